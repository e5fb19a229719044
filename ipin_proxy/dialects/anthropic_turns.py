"""A conversation as Anthropic wants it: turns of user and assistant, and every tool's result right behind its call.

OpenAI's messages come in any order, with several of one role in a row, results among other messages, ids that are used again, or
none at all. What comes out: turns that alternate and begin and end with the user (but for an answer that is to be
continued), ids that are valid and used once, one result for every call, in the order of the calls, and before anything else
that is said in that turn. A result that belongs to no call is told as text; a call without a result is given one that says so.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from ..errors import BadRequest
from .anthropic_parts import Whole, blocks_of, is_thought, text_block, thoughts_of, with_mark
from .arguments import decode

Json = dict[str, Any]
Key = tuple[str, str]  # how a result finds its call: by id, or by the name of a function in the older form

USER, ASSISTANT = "user", "assistant"
OPENING = "Begin."  # where the caller said nothing that the assistant could answer
GO_ON = "Continue."
NO_RESULT = "No result: the call was interrupted."
MOST_ID_CHARS = 64

_ODD = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(slots=True)
class Turn:
    """What one side says before the other does. `calls` maps ids of calls, as they go out, to their results."""

    role: str
    blocks: list[Json] = field(default_factory=list)
    calls: dict[str, Json | None] = field(default_factory=dict)


class Conversation:
    """Built message by message; `turns` is what was said so far, `system` what leads it, `tools` the names that were called."""

    def __init__(self, whole: Whole) -> None:
        self.system: list[Json] = []
        self.turns: list[Turn] = []
        self.tools: dict[str, None] = {}
        self._whole = whole
        self._taken: dict[str, int] = {}  # ids that went out, and how often each was wanted
        # Calls that wait for their results: by how they are found, and then by message, the latest last.
        self._pending: dict[Key, list[deque[tuple[Turn, str]]]] = {}

    def add(self, message: Any, at: int) -> None:
        """Take in the next message. Raises BadRequest."""
        place = f"messages[{at}]"
        if type(message) is not dict:
            raise BadRequest(f"'{place}' must be an object with a role.", param=place)
        role = message.get("role")
        if role in ("system", "developer"):
            self._instruct(message, place)
        elif role == USER:
            self._say(USER, marked_last(blocks_of(message.get("content"), f"{place}.content", self._whole), message))
        elif role == ASSISTANT:
            self._answer(message, place)
        elif role in ("tool", "function"):
            self._result(message, place)
        else:
            shown = repr(role)[:40] if isinstance(role, str) else "that"
            raise BadRequest(
                f"There is no role {shown}; it must be system, developer, user, assistant or tool.",
                param=f"{place}.role",
            )

    def close(self, *, may_prefill: bool) -> list[Json]:
        """The messages, complete. `may_prefill`: the model goes on where the assistant has begun."""
        turns = self._with_results()
        if not turns or turns[0].role != USER:
            turns.insert(0, Turn(USER, text_block(OPENING, "")))
        if turns[-1].role == ASSISTANT and not may_prefill:
            turns.append(Turn(USER, text_block(GO_ON, "")))
        elif turns[-1].role == ASSISTANT:
            tidy_end(turns[-1])
            if not turns[-1].blocks:
                turns.pop()
        return [{"role": turn.role, "content": content_of(turn)} for turn in turns]

    def _say(self, role: str, blocks: list[Json]) -> Turn | None:
        if not blocks:
            return None
        if not self.turns or self.turns[-1].role != role:
            self.turns.append(Turn(role))
        self.turns[-1].blocks += blocks
        return self.turns[-1]

    def _instruct(self, message: Json, place: str) -> None:
        """What leads a conversation is its system prompt. What comes later keeps its place, in the words of the user."""
        blocks = marked_last(blocks_of(message.get("content"), f"{place}.content", self._whole, shows=False), message)
        if not self.turns:
            self.system += blocks
            return
        self._say(USER, [{**block, "text": f"<system>\n{block['text']}\n</system>"} for block in blocks])

    def _answer(self, message: Json, place: str) -> None:
        content = message.get("content")
        parts = [part for part in content if not is_thought(part)] if type(content) is list else content
        said = blocks_of(parts, f"{place}.content", self._whole, shows=False)
        if not said:
            said = text_block(message.get("refusal"), f"{place}.refusal")
        calls = [self._call(*each) for each in calls_in(message, place, self._whole)]
        turn = self._say(
            ASSISTANT, marked_last([*thoughts_of(message), *said, *(block for _, block in calls)], message)
        )
        waiting: dict[Key, deque[tuple[Turn, str]]] = {}
        for key, block in calls:
            assert turn is not None  # there is a block in it
            turn.calls[block["id"]] = None
            if key not in waiting:
                waiting[key] = deque()
                self._pending.setdefault(key, []).append(waiting[key])
            waiting[key].append((turn, block["id"]))

    def _call(self, key: Key, name: str, arguments: Any) -> tuple[Key, Json]:
        self.tools[name] = None
        block = {"type": "tool_use", "id": self._new_id(key[1]), "name": name, "input": input_of(arguments)}
        return key, block

    def _new_id(self, given: str) -> str:
        """The caller's id where it can be, and one that is like it where it cannot."""
        base = found = _ODD.sub("_", given[:MOST_ID_CHARS]) or "call"
        while found in self._taken:
            self._taken[base] += 1
            found = f"{base}_{self._taken[base]}"
        self._taken[found] = 1
        return found

    def _result(self, message: Json, place: str) -> None:
        if message.get("role") == "function":
            key = ("function", text_member(message, "name", place))
        else:
            key = ("id", self._whole(text_member(message, "tool_call_id", place)))
        blocks = blocks_of(message.get("content"), f"{place}.content", self._whole)
        rounds = self._pending.get(key)
        if not rounds:
            named = f" {key[1][:MOST_ID_CHARS]}" if key[1] else ""
            lead = text_block(f"Result of a tool call{named}:", "")
            self._say(USER, [*lead, *blocks] if blocks else [])
            return
        # Of several with this id it belongs to the latest message, and there to the first.
        turn, id_ = rounds[-1].popleft()
        if not rounds[-1]:
            rounds.pop()
        result: Json = {"type": "tool_result", "tool_use_id": id_}
        if blocks:
            result["content"] = plain(blocks)
        if message.get("is_error") is True:
            result["is_error"] = True
        turn.calls[id_] = with_mark(result, message)
        # Its place is taken, so that what is said behind it by the assistant is a turn of its own.
        if self.turns[-1] is turn:
            self.turns.append(Turn(USER))

    def _with_results(self) -> list[Turn]:
        """The turns with every result in its place."""
        found: list[Turn] = []
        for turn in self.turns:
            results = results_of(found[-1]) if found else []
            found.append(Turn(USER, [*results, *turn.blocks]) if results else turn)  # turns of one role are one
        if found and (results := results_of(found[-1])):
            found.append(Turn(USER, results))
        return found


def calls_in(message: Json, place: str, whole: Whole) -> list[tuple[Key, str, Any]]:
    """The calls in an assistant's message: how each will be found again, its name and its arguments."""
    calls, older = message.get("tool_calls"), message.get("function_call")
    found: list[tuple[Key, str, Any]] = []
    if calls is not None and type(calls) is not list:
        raise BadRequest(f"'{place}.tool_calls' must be a list.", param=f"{place}.tool_calls")
    for at, call in enumerate(calls or ()):
        where = f"{place}.tool_calls[{at}]"
        if type(call) is not dict:
            raise BadRequest(f"'{where}' must be an object.", param=where)
        function = call.get("function")
        if type(function) is not dict:
            raise BadRequest(f"'{where}.function' must be an object; other calls are not known here.", param=where)
        id_ = whole(text_member(call, "id", where))
        found.append((("id", id_), named(function, f"{where}.function"), function.get("arguments")))
    if older is not None and not found:
        where = f"{place}.function_call"
        if type(older) is not dict:
            raise BadRequest(f"'{where}' must be an object.", param=where)
        name = named(older, where)
        found.append((("function", name), name, older.get("arguments")))
    return found


def named(function: Json, place: str) -> str:
    name = function.get("name")
    if type(name) is not str or not name:
        raise BadRequest(f"'{place}' has no name.", param=f"{place}.name")
    return name


def text_member(value: Json, name: str, place: str) -> str:
    """A text that may be missing, which is ""."""
    found = value.get(name)
    if found is not None and type(found) is not str:
        raise BadRequest(f"'{place}.{name}' must be a text.", param=f"{place}.{name}")
    return found or ""


def input_of(arguments: Any) -> Json:
    """Arguments as the object they are; what is none is told as it was written."""
    if type(arguments) is dict:
        return arguments
    if arguments is None or (type(arguments) is str and not arguments.strip()):
        return {}
    found: Any = None
    if type(arguments) is str:
        try:
            found = decode(arguments)
        except (ValueError, RecursionError):
            return {"_raw": arguments}
    return found if type(found) is dict else {"_raw": arguments}


def results_of(turn: Turn) -> list[Json]:
    """A result for every call in a turn."""
    lost: Json = {"type": "tool_result", "content": NO_RESULT, "is_error": True}
    return [result or {**lost, "tool_use_id": id_} for id_, result in turn.calls.items()]


def marked_last(blocks: list[Json], message: Json) -> list[Json]:
    """The blocks of a message, the last with the message's own `cache_control`."""
    if blocks and type(message.get("cache_control")) is dict and not is_thought(blocks[-1]):
        blocks[-1] = {**blocks[-1], "cache_control": message["cache_control"]}
    return blocks


def tidy_end(turn: Turn) -> None:
    """An answer that is to be continued may end neither in a thought nor in blanks."""
    while turn.blocks and is_thought(turn.blocks[-1]):
        turn.blocks.pop()
    if turn.blocks:
        turn.blocks[-1] = {**turn.blocks[-1], "text": turn.blocks[-1]["text"].rstrip()}


def content_of(turn: Turn) -> str | list[Json]:
    """A turn's blocks; calls stand last, as the models write them."""
    if turn.calls:
        calls = [block for block in turn.blocks if block["type"] == "tool_use"]
        return [*(block for block in turn.blocks if block["type"] != "tool_use"), *calls]
    return plain(turn.blocks)


def plain(blocks: list[Json]) -> str | list[Json]:
    """A single text without anything else to it is written as one."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        text: str = blocks[0]["text"]
        return text
    return blocks
