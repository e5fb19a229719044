"""Tools in a Messages body, as functions of a chat: what they are called there, and which of them a model must call.

Names that are too long for a chat, or have characters it does not take, get short ones, the same in every turn; what an
answer calls is mapped back. Tools that Anthropic's own servers run are left out with a note.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

from ..errors import BadRequest
from .messages_shapes import Json, list_at, name_at, object_at, shown, text_at, wrong

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
ODD_IN_NAME = re.compile(r"[^A-Za-z0-9_-]")
KEPT_CHARS = 55
HASH_CHARS = 8
CHOICES = {"auto": "auto", "any": "required", "none": "none"}


class Names:
    """The names of tools: `short` as a chat takes them, `long` as the caller gave them."""

    def __init__(self) -> None:
        self._short: dict[str, str] = {}
        self._long: dict[str, str] = {}

    def short(self, name: str) -> str:
        known = self._short.get(name)
        if known is None:
            known = name if NAME.fullmatch(name) else _shortened(name)
            while self._long.get(known, name) != name:  # somebody has a tool of exactly this name
                known = _shortened(known + name)
            self._short[name], self._long[known] = known, name
        return known

    def long(self, name: str) -> str:
        return self._long.get(name, name)


def _shortened(name: str) -> str:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:HASH_CHARS]
    return f"{ODD_IN_NAME.sub('_', name[:KEPT_CHARS])}_{digest}"


def decode_tools(body: Json, names: Names, note: Callable[[str], None]) -> Json:
    """`tools`, `tool_choice` and `parallel_tool_calls` of a chat; none of them when no tool remains."""
    functions: list[Json] = []
    seen: set[str] = set()
    left_out: set[str] = set()
    told = body.get("tools")
    tools = list_at(told, "tools") if told is not None else []
    # Names that fit keep themselves, wherever they stand in the list.
    ordered = [object_at(tool, f"tools[{at}]") for at, tool in enumerate(tools)]
    for tool in ordered:
        if type(tool.get("name")) is str and NAME.fullmatch(tool["name"]):
            names.short(tool["name"])
    for at, tool in enumerate(ordered):
        place = f"tools[{at}]"
        kind = tool.get("type")
        if kind is not None and kind != "custom":
            note(f"The tool '{shown(text_at(kind, f'{place}.type'))}' is run by Anthropic and was left out.")
            if type(tool.get("name")) is str:
                left_out.add(tool["name"])
            continue
        name = name_at(tool.get("name"), f"{place}.name")
        if name in seen:
            raise BadRequest(
                f"'{place}.name' is '{shown(name)}', which another tool has already.", param=f"{place}.name"
            )
        seen.add(name)
        functions.append(_function(tool, names.short(name), place))
    if not functions:
        return {}
    choice = _choice(body.get("tool_choice"), seen, left_out, names, note)
    return {"tools": functions, **choice}


def _function(tool: Json, name: str, place: str) -> Json:
    """Only what a chat knows: a `type`, `cache_control` and the like would be refused."""
    function: Json = {"name": name}
    if tool.get("description") is not None:
        function["description"] = text_at(tool["description"], f"{place}.description")
    schema = tool.get("input_schema")
    schema = {} if schema is None else object_at(schema, f"{place}.input_schema")
    if schema.get("type") is None:
        schema = {"type": "object", "properties": {}, **{name: told for name, told in schema.items() if name != "type"}}
    function["parameters"] = schema
    if tool.get("strict") is True:
        function["strict"] = True
    return {"type": "function", "function": function}


def _choice(told: Any, seen: set[str], left_out: set[str], names: Names, note: Callable[[str], None]) -> Json:
    if told is None:
        return {}
    choice = object_at(told, "tool_choice")
    kind = choice.get("type")
    found: Json = {}
    if kind == "tool":
        name = name_at(choice.get("name"), "tool_choice.name")
        if name in seen:
            found["tool_choice"] = {"type": "function", "function": {"name": names.short(name)}}
        elif name in left_out:
            note(f"The tool_choice '{shown(name)}' names a tool that was left out, and went with it.")
        else:
            raise BadRequest(
                f"'tool_choice.name' is '{shown(name)}', which is none of the tools.", param="tool_choice.name"
            )
    elif type(kind) is str and kind in CHOICES:
        found["tool_choice"] = CHOICES[kind]
    else:
        raise wrong("tool_choice.type", "auto, any, tool or none")
    if choice.get("disable_parallel_tool_use") is True:
        found["parallel_tool_calls"] = False
    return found
