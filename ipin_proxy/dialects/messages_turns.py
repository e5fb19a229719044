"""The conversation in a Messages body, as the messages of a chat.

A chat is stricter about tools than most conversations are: the results of all calls of a message stand right behind it,
each once, in front of whatever else was said. So what lies between two turns of the assistant is collected first, and
written in that order; what has lost its partner gets one, or becomes text.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .messages_blocks import Note, blocks_of, left_out, parts_of, text_part
from .messages_shapes import Json, list_at, name_at, object_at, text_at, wrong
from .messages_tools import Names
from .refusals import reminder
from .tastes import Taste

NO_OUTPUT = "(no output)"
SHOWN_BELOW = "(shown in the next message)"
INTERRUPTED = "Error: the call was interrupted; it has no result."

Recall = Callable[[str], "Json | None"]


@dataclass(slots=True)
class ToolCall:
    """A call and, once it has come, its result. `hub_id` is the provider's name for it."""

    hub_id: str
    name: str
    json: Json
    result: Json | None = None


@dataclass(slots=True)
class Turn:
    """A turn of the assistant, and all that comes behind it until the next one."""

    texts: list[str] = field(default_factory=list)
    parts: list[Json] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    by_id: dict[str, list[ToolCall]] = field(default_factory=dict)  # a name for several is nobody's rule, but seen
    answered: dict[str, int] = field(default_factory=dict)  # how many of these have their result
    taken: set[str] = field(default_factory=set)
    kept: Json = field(default_factory=dict)
    shown: list[Json] = field(default_factory=list)  # what results of tools hold that is no text
    others: list[tuple[str, list[Json]]] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        return bool(self.answered or self.others)


class Turns:
    """Takes the messages of a conversation, one after the other; `messages` are those of the chat."""

    def __init__(self, taste: Taste, names: Names, recall: Recall, note: Note) -> None:
        self.messages: list[Json] = []
        self.ids: set[str] = set()  # of all calls, as the caller knows them
        self._taste = taste
        self._names = names
        self._recall = recall
        self._note = note
        self._turn = Turn()
        self._unsaid: list[tuple[Any, str]] = []  # of the assistant's newest turn, while it is nothing but thoughts

    def take(self, message: Json, place: str) -> None:
        role = message.get("role")
        content = message.get("content")
        if role == "assistant":
            if self._turn.is_over:
                if is_unsaid(content):
                    # Unless more of it comes it was interrupted, and many templates refuse two messages of the user's in a row.
                    self._unsaid.append((content, place))
                    return
                self.close()
            for earlier, where in self._unsaid:
                self._take_assistant(earlier, f"{where}.content")
            self._unsaid.clear()
            self._take_assistant(content, f"{place}.content")
        elif role == "user":
            self._unsaid.clear()
            self._take_user(content, f"{place}.content")
        elif role == "system":
            self._take_system(content, f"{place}.content")
        else:
            raise wrong(f"{place}.role", "user, assistant or system")

    # -- what was said ----------------------------------------------------------------------------------------------

    def _take_assistant(self, content: Any, place: str) -> None:
        turn, texts = self._turn, []
        for block, kind, where in blocks_of(content, place):
            if kind == "text":
                text = text_at(block.get("text"), f"{where}.text")
                if text:
                    texts.append(text)
                    turn.parts.append(text_part(text, block, self._taste.cache_control))
            elif kind == "thinking":
                turn.thoughts.append(text_at(block.get("thinking"), f"{where}.thinking"))
            elif kind == "tool_use":
                self._take_call(block, where)
            elif kind != "redacted_thinking":  # which nobody but its maker can read
                left_out(kind, self._note)
        if texts:
            turn.texts.append("".join(texts))

    def _take_call(self, block: Json, place: str) -> None:
        turn = self._turn
        given = name_at(block.get("id"), f"{place}.id")
        self.ids.add(given)
        name = name_at(block.get("name"), f"{place}.name")
        told = block.get("input")
        arguments = "{}" if told is None else arguments_of(object_at(told, f"{place}.input"), f"{place}.input")
        kept = self._recall(given) or {}
        hub_id = self._taste.fitting_id(str(kept.get("id") or given))
        mine = turn.by_id.setdefault(given, [])
        number, free = len(mine) + 1, hub_id
        while free in turn.taken:
            free, number = f"{hub_id}_{number}", number + 1
        turn.taken.add(free)
        call: Json = {
            "id": free,
            "type": "function",
            "function": {"name": self._names.short(name), "arguments": arguments},
        }
        if "extra_content" in kept and self._taste.extras:
            call["extra_content"] = kept["extra_content"]
        turn.kept = {**kept, **turn.kept}
        mine.append(ToolCall(free, name, call))
        turn.calls.append(mine[-1])

    def _take_user(self, content: Any, place: str) -> None:
        parts: list[Json] = []
        for block, kind, where in blocks_of(content, place):
            if kind == "tool_result":
                parts += self._take_result(block, where)
            else:
                parts += parts_of(block, kind, where, keeps_cache=self._taste.cache_control, note=self._note)
        if parts:
            self._add("user", parts)

    def _take_system(self, content: Any, place: str) -> None:
        parts = []
        for block, kind, where in blocks_of(content, place):
            if kind != "text":
                raise wrong(f"{where}.type", "text")
            text = text_at(block.get("text"), f"{where}.text")
            if text:
                parts.append(text_part(text, block, self._taste.cache_control))
        if not parts:
            return
        if self._taste.leading_system:  # templates that know a system message only at the beginning
            self._add("user", [text_part(reminder("\n\n".join(part["text"] for part in parts)))])
        else:
            self._add("system", parts)

    def _add(self, role: str, parts: list[Json]) -> None:
        others = self._turn.others
        if others and others[-1][0] == role:
            others[-1][1].extend(parts)
        else:
            others.append((role, parts))

    # -- what tools said --------------------------------------------------------------------------------------------

    def _take_result(self, block: Json, place: str) -> list[Json]:
        """Put a result to its call. What has no call, or comes a second time, is given back as parts of the user's."""
        given = name_at(block.get("tool_use_id"), f"{place}.tool_use_id")
        content, parts = block.get("content"), []
        if content is not None:
            for inner, kind, where in blocks_of(content, f"{place}.content"):
                parts += parts_of(inner, kind, where, keeps_cache=False, note=self._note)
        texts = [part["text"] for part in parts if part["type"] == "text"]
        shown = [part for part in parts if part["type"] != "text"]
        text = "\n".join(texts) or (SHOWN_BELOW if shown else NO_OUTPUT)
        if block.get("is_error") is True:
            text = f"Error: {text}"
        turn = self._turn
        mine, number = turn.by_id.get(given, []), turn.answered.get(given, 0)
        if number == len(mine):
            if mine and mine[-1].result is not None and _text_of(mine[-1].result) == text:
                return []
            return [text_part(f"Result of the tool call {given}:\n{text}"), *shown]
        call, turn.answered[given] = mine[number], number + 1
        said = text_part(text, block, self._taste.cache_control)
        call.result = {
            "role": "tool",
            "tool_call_id": call.hub_id,
            "content": [said] if "cache_control" in said else text,
        }
        if shown:
            turn.shown += [text_part(f"From the result of the tool call {given} ({call.name}):"), *shown]
        return []

    # -- the chat ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Write the turn: the assistant, the results of its calls in their order, and then the others."""
        turn, self._turn = self._turn, Turn()
        if turn.texts or turn.calls:
            self.messages.append(self._assistant(turn))
        for call in turn.calls:
            missing = {"role": "tool", "tool_call_id": call.hub_id, "content": INTERRUPTED}
            self.messages.append(call.result or missing)
        if turn.shown:
            if turn.others and turn.others[0][0] == "user":
                turn.others[0] = ("user", turn.shown + turn.others[0][1])
            else:
                turn.others.insert(0, ("user", turn.shown))
        for role, parts in turn.others:
            self.messages.append({"role": role, "content": content_of(parts)})

    def _assistant(self, turn: Turn) -> Json:
        has_cache = any("cache_control" in part for part in turn.parts)
        text = "\n\n".join(turn.texts) or None
        message: Json = {"role": "assistant", "content": turn.parts if has_cache else text}
        if not turn.calls:
            return message
        message["tool_calls"] = [call.json for call in turn.calls]
        if self._taste.hands_back:
            message["reasoning_content"] = "".join(turn.thoughts) or turn.kept.get("reasoning", "")
        if self._taste.reasoning and "reasoning_details" in turn.kept:
            message["reasoning_details"] = turn.kept["reasoning_details"]
        return message


def decode_messages(
    told: Any, taste: Taste, names: Names, recall: Recall, note: Note
) -> tuple[list[Json], frozenset[str]]:
    """The messages of a chat, and the ids of the calls in it. Raises BadRequest."""
    messages = list_at(told, "messages")
    if not messages:
        raise wrong("messages", "a list of at least one message")
    turns = Turns(taste, names, recall, note)
    for at, message in enumerate(messages):
        turns.take(object_at(message, f"messages[{at}]"), f"messages[{at}]")
    turns.close()
    if not turns.messages:
        raise wrong("messages", "a conversation in which something is said")
    return turns.messages, frozenset(turns.ids)


def is_unsaid(content: Any) -> bool:
    """Whether there is nothing in a message of the assistant but thoughts."""
    return type(content) is list and all(
        type(block) is dict
        and (block.get("type") in ("thinking", "redacted_thinking") or block == {"type": "text", "text": ""})
        for block in content
    )


def content_of(parts: list[Json]) -> str | list[Json]:
    """Parts as a plain text where they are nothing else: there are servers that take no list."""
    if all(part["type"] == "text" and "cache_control" not in part for part in parts):
        return "\n\n".join(part["text"] for part in parts)
    return parts


def arguments_of(value: Json, place: str) -> str:
    """An input as the text a chat has for it, with the characters as they are: escapes would cost the model tokens."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError as error:
        raise wrong(place, "without numbers that JSON cannot write") from error


def _text_of(result: Json) -> Any:
    content = result["content"]
    return content[0]["text"] if type(content) is list else content
