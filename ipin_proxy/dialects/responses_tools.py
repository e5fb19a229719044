"""The tools of the Responses API for models that know functions alone: offered as functions, and their calls made again what
the caller had in mind.

Flat functions become nested ones, those in a namespace get its name before theirs, a custom tool becomes a function with one
text. Hosted tools run on OpenAI's servers, so nobody could answer a call to one: they are left out, with a note, and never
refused, since coding agents always send them. Pure; what stands in a tool beside this is the provider's to judge.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..errors import BadRequest

Json = dict[str, Any]

# Types of items that are calls, by the type of their tool.
FUNCTION, CUSTOM = "function_call", "custom_tool_call"
INPUT = "input"  # the one argument of a custom tool's function
NO_ARGUMENTS = {"type": "object", "properties": {}}
MODES = frozenset({"auto", "none", "required"})

LENIENT = json.JSONDecoder(strict=False).decode  # models write line ends into their texts

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
ODD = re.compile(r"[^A-Za-z0-9_-]+")
NAME_CHARS = 64
DIGEST_CHARS = 8
MOST_DEPTH = 200  # levels of a schema; what is deeper could be read, but not written
SHOWN_CHARS = 80


class Tool(NamedTuple):
    """What a caller calls a tool: the type of its calls, its name, and the namespace that is in."""

    kind: str
    name: str
    namespace: str | None = None

    @property
    def full_name(self) -> str:
        if not self.namespace:
            return self.name
        return f"{self.namespace}{'' if self.namespace.endswith('__') else '__'}{self.name}"


class Toolbox:
    """The tools of one request: as functions for a chat, and by the names they have there."""

    def __init__(self) -> None:
        self.functions: list[Json] = []
        self.called: dict[str, Tool] = {}
        self.notes: list[str] = []
        self._names: dict[Tool, str] = {}

    def add(self, tools: Any, place: str, namespace: str | None = None) -> None:
        """Take in a list of tools. Raises BadRequest for what is none."""
        if tools is None:
            return
        if type(tools) is not list:
            raise BadRequest(f"{place} must be a list of tools.", param=place)
        for at, tool in enumerate(tools):
            self._add_one(tool, f"{place}[{at}]", namespace)

    def _add_one(self, tool: Any, place: str, namespace: str | None) -> None:
        kind = tool.get("type") if type(tool) is dict else None
        if type(kind) is not str:
            raise BadRequest(f"{place} must be an object with a type, such as function.", param=f"{place}.type")
        if kind == "function":
            self._offer(Tool(FUNCTION, name_in(tool, place), namespace), function_of(tool, place))
        elif kind == "custom":
            self._offer(Tool(CUSTOM, name_in(tool, place), namespace), function_of_custom(tool, place))
        elif kind == "namespace" and namespace is None:
            self.add(tool.get("tools"), f"{place}.tools", name_in(tool, place))
        else:
            self.notes.append(f"the tool '{kind[:SHOWN_CHARS]}' was left out: a chat has only functions")

    def _offer(self, tool: Tool, function: Json) -> None:
        if tool in self._names:
            self.notes.append(f"the tool '{tool.full_name[:SHOWN_CHARS]}' was left out the second time")
            return
        name = fitting_name(tool.full_name)
        if name in self.called:
            name = fitting_name(tool.full_name, tool.kind)
        self._names[tool] = name
        self.called[name] = tool
        self.functions.append({"type": "function", "function": {"name": name, **function}})

    def name_of(self, tool: Tool) -> str:
        """The name of a tool upstream, also of one that is not offered any more but was called once."""
        return self._names.get(tool) or fitting_name(tool.full_name)

    def choose(self, choice: Any) -> Any:
        """`tool_choice` for a chat; None for what it means anyway. A list of allowed tools takes the others away."""
        if choice is None or choice == "auto":
            return None
        if type(choice) is str:
            if choice not in MODES:
                raise refused_choice(choice)
            return self._must(choice)
        kind = choice.get("type") if type(choice) is dict else None
        if type(kind) is not str:
            raise BadRequest("tool_choice must be auto, none, required, or an object with a type.", param="tool_choice")
        if kind == "allowed_tools":
            self._allow(choice.get("tools"))
            return self.choose(choice.get("mode"))
        if kind not in ("function", "custom"):
            self.notes.append(f"the choice of the tool '{kind[:SHOWN_CHARS]}' was left out, as the tool was")
            return None
        name = self._chosen(choice, "tool_choice")
        if name is None:
            raise refused_choice(choice.get("name"))
        return {"type": "function", "function": {"name": name}}

    def _must(self, choice: str) -> str | None:
        if choice == "required" and not self.functions:
            self.notes.append("tool_choice required was left out: no tool is left to be called")
            return None
        return choice

    def _allow(self, tools: Any) -> None:
        if type(tools) is not list:
            raise BadRequest("tool_choice.tools must be a list of tools.", param="tool_choice.tools")
        allowed = {
            self._chosen(tool, f"tool_choice.tools[{at}]")
            for at, tool in enumerate(tools)
            if type(tool) is not dict or tool.get("type") in ("function", "custom")
        }
        self.functions = [each for each in self.functions if each["function"]["name"] in allowed]

    def _chosen(self, choice: Any, place: str) -> str | None:
        if type(choice) is not dict:
            raise BadRequest(f"{place} must be an object with a type and a name.", param=place)
        namespace = choice.get("namespace")
        kind = CUSTOM if choice["type"] == "custom" else FUNCTION
        tool = Tool(kind, name_in(choice, place), namespace if type(namespace) is str else None)
        return self._names.get(tool)


def name_in(tool: Json, place: str) -> str:
    name = tool.get("name")
    if type(name) is not str or not name:
        raise BadRequest(f"{place}.name must be the name of the tool.", param=f"{place}.name")
    return name


def refused_choice(choice: Any) -> BadRequest:
    shown = str(choice)[:SHOWN_CHARS]
    return BadRequest(f"tool_choice is '{shown}', which is none of the tools of this request.", param="tool_choice")


def fitting_name(name: str, also: str = "") -> str:
    """A name that every provider takes: the one it has, or one with a digest for its end, so that none is there twice."""
    if NAME.fullmatch(name) and not also:
        return name
    digest = hashlib.sha256(f"{also} {name}".encode("utf-8", "replace")).hexdigest()[:DIGEST_CHARS]
    return f"{ODD.sub('_', name)[: NAME_CHARS - DIGEST_CHARS - 1]}_{digest}"


def function_of(tool: Json, place: str) -> Json:
    parameters = tool.get("parameters")
    if parameters is None:
        parameters = NO_ARGUMENTS
    if type(parameters) is not dict or is_deep(parameters):
        raise BadRequest(
            f"{place}.parameters must be a JSON schema, no deeper than {MOST_DEPTH} levels.",
            param=f"{place}.parameters",
        )
    function: Json = {"parameters": parameters}
    if type(tool.get("description")) is str:
        function = {"description": tool["description"], **function}
    if tool.get("strict") is True:  # false is what a chat takes for granted; some servers know no such member
        function["strict"] = True
    return function


def function_of_custom(tool: Json, place: str) -> Json:
    """A function with one text. A grammar can only be told, not enforced."""
    form = tool.get("format")
    if form is not None and type(form) is not dict:
        raise BadRequest(f"{place}.format must be an object.", param=f"{place}.format")
    form = form or {}
    told = "The whole input of the tool as plain text, not as JSON."
    description = tool.get("description")
    told_all = [description] if type(description) is str and description else []
    if type(definition := form.get("definition")) is str:
        syntax = form.get("syntax")
        told_all.append(f"The input must follow this {syntax if type(syntax) is str else ''} grammar:\n{definition}")
    function: Json = {"description": "\n\n".join(told_all)} if told_all else {}
    properties = {INPUT: {"type": "string", "description": told}}
    function["parameters"] = {
        "type": "object",
        "properties": properties,
        "required": [INPUT],
        "additionalProperties": False,
    }
    return function


def is_deep(value: Any) -> bool:
    """Whether a value has more levels than can be written for sure."""
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [inner for each in level for inner in inside(each) if type(inner) in (dict, list)]
        if not level:
            return False
    return True


def inside(value: Any) -> Iterable[Any]:
    return value.values() if type(value) is dict else value if type(value) is list else ()


def wrapped(text: str) -> str:
    """The input of a custom tool as its function's arguments."""
    return json.dumps({INPUT: text}, ensure_ascii=False)


class Unwrapping:
    """The input of a custom tool out of its function's arguments, while they come. What does not begin as they should waits
    for its end: then the input is what a person would take for it. Joined, what it gives is the same however it is fed."""

    HEAD = re.compile(r'\s*\{\s*"input"\s*:\s*"')
    HEAD_CHARS = 200
    PLAIN = re.compile(r'(?:[^"\\]+|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*')
    BEGUN_ESCAPE = re.compile(r"\\(?:u[0-9A-Fa-f]{0,3})?")

    __slots__ = ("_is_done", "_is_inside", "_pieces", "_rest")

    def __init__(self) -> None:
        self._rest = ""  # of the head, or of an escape, what has come
        self._pieces: list[str] | None = None  # all of it, once it is known not to begin as it should
        self._is_inside = self._is_done = False

    def feed(self, text: str) -> str:
        if self._is_done:
            return ""
        if self._pieces is not None:
            self._pieces.append(text)
            return ""
        self._rest += text
        if not self._is_inside:
            head = self.HEAD.match(self._rest, 0, self.HEAD_CHARS)
            if head is None:
                if len(self._rest) > self.HEAD_CHARS:
                    self._pieces, self._rest = [self._rest], ""
                return ""
            self._is_inside, self._rest = True, self._rest[head.end() :]
        return self._read()

    def finish(self) -> str:
        """What is still to be said at the end."""
        if self._is_inside:
            rest, self._rest = "" if self._is_done else self._rest, ""
            return rest if not self.BEGUN_ESCAPE.fullmatch(rest) else ""
        whole = "".join(self._pieces or [self._rest])
        self._pieces, self._is_done = [], True
        return input_of(whole)

    def _read(self) -> str:
        """The text as far as it can be read: up to its end, or to an escape that is not whole yet."""
        found = []
        text, at = self._rest, 0
        while at < len(text):
            end = self.PLAIN.match(text, at).end()  # type: ignore[union-attr]
            plain = text[at:end]
            found.append(LENIENT(f'"{plain}"') if "\\" in plain else plain)
            at = end
            if at >= len(text):
                break
            if text[at] == '"':
                self._is_done = True
                break
            if self.BEGUN_ESCAPE.fullmatch(text, at):
                break
            found.append("\\")  # an escape that JSON does not know: models write some, and mean what stands there
            at += 1
        self._rest = text[at:]
        return "".join(found)


def input_of(arguments: str) -> str:
    """What arguments of an unexpected shape mean: the only text in them, or themselves as they are."""
    try:
        value = LENIENT(arguments)
    except (ValueError, RecursionError):
        return arguments
    if type(value) is str:
        return value
    if type(value) is dict:
        texts = [each for each in value.values() if type(each) is str]
        if type(value.get(INPUT)) is str:
            return str(value[INPUT])
        if len(value) == len(texts) == 1:
            return str(texts[0])
        if not value:
            return ""
    return arguments


def named(name: str, called: Mapping[str, Tool]) -> Tool:
    """The tool that is called by this name; one that nobody offered is a function, whose caller will say so."""
    return called.get(name) or Tool(FUNCTION, name)
