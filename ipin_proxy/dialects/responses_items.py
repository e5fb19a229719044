"""The items of an answer while they are made: a message, what was thought, a call of a tool.

Each takes pieces of text at any time and tells its events once it is open: added, the deltas, and what closes it. Joined,
the deltas of an item are what its end says, whatever the pieces were.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from .letters import Letters
from .messages_calls import EMPTY, Escaping
from .responses_messages import COMPACTION, sealed
from .responses_tools import CUSTOM, Tool, Unwrapping, named

Json = dict[str, Any]
Tell = Callable[[str, Json], None]
NewId = Callable[[str], str]

PREFIXES = {CUSTOM: "ctc"}


class Text:
    """Text that comes in pieces: what nobody has been told yet, and all of it."""

    __slots__ = ("_fresh", "_letters", "_said")

    def __init__(self) -> None:
        self._said: list[str] = []
        self._fresh: list[str] = []
        self._letters = Letters()

    def add(self, text: str) -> None:
        if text := self._letters.feed(text):
            self._fresh.append(text)

    def take(self) -> str:
        """What is new."""
        if not self._fresh:
            return ""
        text = "".join(self._fresh)
        self._fresh.clear()
        self._said.append(text)
        return text

    def last(self) -> str:
        """What is new, and is the last of it."""
        if rest := self._letters.last():
            self._fresh.append(rest)
        return self.take()

    @property
    def whole(self) -> str:
        return "".join([*self._said, *self._fresh])


class Item(Protocol):
    """What the items have in common. `is_ready`: it can be opened; `is_over`: nothing more can come for it, now that
    another item has begun."""

    is_open: bool

    @property
    def is_ready(self) -> bool: ...

    @property
    def is_over(self) -> bool: ...

    def open(self, tell: Tell, index: int) -> None: ...

    def flush(self, tell: Tell) -> None:
        """Tell what is new."""

    def close(self, tell: Tell, status: str) -> None: ...

    def json(self, status: str) -> Json: ...


class Reasoning:
    """What a model thought, as a summary: that is what clients show."""

    is_ready = is_over = True

    def __init__(self, id: str) -> None:
        self.text = Text()
        self.encrypted: str | None = None
        self.is_open = False
        self._place: Json = {"item_id": id}
        self._has_part = False

    def open(self, tell: Tell, index: int) -> None:
        self.is_open = True
        self._place["output_index"] = index
        item = {"id": self._place["item_id"], "type": "reasoning", "summary": []}
        tell("response.output_item.added", {"output_index": index, "item": item})
        self._place["summary_index"] = 0

    def flush(self, tell: Tell) -> None:
        self._say(tell, self.text.take())

    def _say(self, tell: Tell, text: str) -> None:
        if not text:
            return
        if not self._has_part:
            self._has_part = True
            tell("response.reasoning_summary_part.added", {**self._place, "part": {"type": "summary_text", "text": ""}})
        tell("response.reasoning_summary_text.delta", {**self._place, "delta": text})

    def close(self, tell: Tell, status: str) -> None:
        self._say(tell, self.text.last())
        item = self.json(status)
        for part in item["summary"]:
            tell("response.reasoning_summary_text.done", {**self._place, "text": part["text"]})
            tell("response.reasoning_summary_part.done", {**self._place, "part": part})
        tell("response.output_item.done", {"output_index": self._place["output_index"], "item": item})

    def json(self, status: str) -> Json:
        summary = [{"type": "summary_text", "text": text}] if (text := self.text.whole) else []
        item: Json = {"id": self._place["item_id"], "type": "reasoning", "summary": summary}
        if self.encrypted is not None:
            item["encrypted_content"] = self.encrypted
        return item


class Part:
    """A part of a message: text or a refusal."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.text = Text()
        self.annotations: list[Json] = []
        self.logprobs: list[Json] = []
        self.told_annotations = 0
        self.told_logprobs = 0
        self.is_open = False

    def json(self) -> Json:
        if self.kind == "refusal":
            return {"type": "refusal", "refusal": self.text.whole}
        return {
            "type": "output_text",
            "text": self.text.whole,
            "annotations": self.annotations,
            "logprobs": self.logprobs,
        }


class Message:
    """What a model says."""

    is_ready = is_over = True

    def __init__(self, id: str) -> None:
        self.is_open = False
        self._id = id
        self._index = 0
        self._parts: list[Part] = []
        self._told = 0  # parts that are done

    def say(self, kind: str, text: str, logprobs: list[Json] | None = None) -> None:
        part = self._part(kind)
        part.text.add(text)
        if logprobs:
            part.logprobs += logprobs

    def annotate(self, annotations: list[Json]) -> None:
        self._part("output_text").annotations += annotations

    def _part(self, kind: str) -> Part:
        if not self._parts or self._parts[-1].kind != kind:
            self._parts.append(Part(kind))
        return self._parts[-1]

    def open(self, tell: Tell, index: int) -> None:
        self.is_open, self._index = True, index
        item = {"id": self._id, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        tell("response.output_item.added", {"output_index": index, "item": item})

    def flush(self, tell: Tell) -> None:
        while self._told < len(self._parts):
            part = self._parts[self._told]
            place = {"item_id": self._id, "output_index": self._index, "content_index": self._told}
            is_last = self._told == len(self._parts) - 1
            self._tell_part(tell, part, place, part.text.take() if is_last else part.text.last())
            if is_last:
                return
            self._finish_part(tell, part, place)

    def _tell_part(self, tell: Tell, part: Part, place: Json, text: str) -> None:
        if not part.is_open:
            part.is_open = True
            empty: Json = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            if part.kind == "refusal":
                empty = {"type": "refusal", "refusal": ""}
            tell("response.content_part.added", {**place, "part": empty})
        if text and part.kind == "refusal":
            tell("response.refusal.delta", {**place, "delta": text})
        elif text:
            logprobs, part.told_logprobs = part.logprobs[part.told_logprobs :], len(part.logprobs)
            tell("response.output_text.delta", {**place, "delta": text, "logprobs": logprobs})
        while part.told_annotations < len(part.annotations):
            at, part.told_annotations = part.told_annotations, part.told_annotations + 1
            told = {"annotation_index": at, "annotation": part.annotations[at]}
            tell("response.output_text.annotation.added", {**place, **told})

    def _finish_part(self, tell: Tell, part: Part, place: Json) -> None:
        self._told += 1
        done = part.json()
        if part.kind == "refusal":
            tell("response.refusal.done", {**place, "refusal": done["refusal"]})
        else:
            tell("response.output_text.done", {**place, "text": done["text"], "logprobs": done["logprobs"]})
        tell("response.content_part.done", {**place, "part": done})

    def close(self, tell: Tell, status: str) -> None:
        self.flush(tell)
        part = self._parts[-1]
        place = {"item_id": self._id, "output_index": self._index, "content_index": self._told}
        self._tell_part(tell, part, place, part.text.last())
        self._finish_part(tell, part, place)
        tell("response.output_item.done", {"output_index": self._index, "item": self.json(status)})

    def json(self, status: str) -> Json:
        content = [part.json() for part in self._parts]
        return {"id": self._id, "type": "message", "role": "assistant", "status": status, "content": content}


class Compaction:
    """What a conversation came to, for who makes it shorter: they hand it back unread, and so it is told when it is whole."""

    is_ready = is_over = True

    def __init__(self, id: str) -> None:
        self.is_open = False
        self._id = id
        self._index = 0
        self._text = Text()

    def say(self, kind: str, text: str, logprobs: list[Json] | None = None) -> None:
        self._text.add(text)

    def annotate(self, annotations: list[Json]) -> None:
        pass

    def open(self, tell: Tell, index: int) -> None:
        self.is_open, self._index = True, index
        item = {"id": self._id, "type": COMPACTION, "encrypted_content": ""}
        tell("response.output_item.added", {"output_index": index, "item": item})

    def flush(self, tell: Tell) -> None:
        pass

    def close(self, tell: Tell, status: str) -> None:
        self._text.last()
        tell("response.output_item.done", {"output_index": self._index, "item": self.json(status)})

    def json(self, status: str) -> Json:
        return {"id": self._id, "type": COMPACTION, "encrypted_content": sealed({"summary": self._text.whole})}


class Shape:
    """How far a JSON object has come, by its brackets; read only when somebody wants to know, and each piece once."""

    OUTSIDE = re.compile(r'["{}\[\]]')
    INSIDE = re.compile(r'["\\]')

    __slots__ = ("_depth", "_first", "_has_text", "_in_text", "_skips", "unread")

    def __init__(self) -> None:
        self.unread: list[str] = []
        self._first = ""
        self._depth = 0
        self._in_text = self._has_text = self._skips = False

    @property
    def is_whole(self) -> bool:
        """Whether it has come to its end, and is not empty."""
        for piece in self.unread:
            self._read(piece)
        self.unread.clear()
        return self._first == "{" and self._depth == 0 and self._has_text

    def _read(self, piece: str) -> None:
        self._first = self._first or piece.lstrip()[:1]
        at, self._skips = int(self._skips), False
        while (mark := (self.INSIDE if self._in_text else self.OUTSIDE).search(piece, at)) is not None:
            at = mark.end()
            if mark[0] == "\\":
                self._skips = at == len(piece)  # what it escapes is in the next piece
                at += 1
            elif mark[0] == '"':
                self._in_text, self._has_text = not self._in_text, True
            else:
                self._depth += 1 if mark[0] in "{[" else -1


class ToolCall:
    """A call of a tool: of a function, or of a custom tool, whose input is taken out of the arguments again."""

    def __init__(self, new_id: NewId, tools: Mapping[str, Tool]) -> None:
        self.is_open = False
        self.told_id = ""  # what the provider calls it
        self.call_id = ""  # what we do
        self.extra: Json | None = None  # what the provider wants to have back with it
        self._new_id = new_id
        self._tools = tools
        self._name = ""
        self._id = ""
        self._index = 0
        self._is_called = False  # with an empty object, up to now
        self._tool = Tool("function_call", "")
        self._arguments = Text()
        self._escaping = Escaping()
        self._unwrapping = Unwrapping()
        self._input = Text()  # what is told
        self._shape = Shape()

    def hear(self, call_id: str, name: str, arguments: str) -> None:
        """The next of it. A name and an id that come again are the same ones: they are not added up."""
        self.told_id = self.told_id or call_id
        self._name = self._name or name
        if arguments.strip() == EMPTY and not self._arguments.whole:
            self._is_called = True  # some gateways begin all arguments so; where nothing follows it is told at the end
        elif arguments:
            self._arguments.add(arguments)
            self._shape.unread.append(arguments)

    @property
    def is_ready(self) -> bool:
        return bool(self._name)

    @property
    def is_nothing(self) -> bool:
        """Whether nobody is called, and with nothing."""
        return not (self._name or self._is_called or self._arguments.whole)

    @property
    def is_over(self) -> bool:
        """A whole object of JSON cannot go on. An empty one can: some begin with it."""
        return self._shape.is_whole

    def is_another(self, call_id: str, name: str, arguments: str) -> bool:
        """Whether this begins a call of its own, although it has the number of this one."""
        if not name or not self._name:
            return False
        return bool(call_id and self.told_id and call_id != self.told_id) or bool(arguments.strip() and self.is_over)

    def settle_id(self, taken: set[str], new_id: NewId) -> None:
        """The call's id: as the provider says, unless another call has that already."""
        self.call_id = self.told_id if self.told_id and self.told_id not in taken else new_id("call")
        taken.add(self.call_id)

    def open(self, tell: Tell, index: int) -> None:
        self.is_open, self._index = True, index
        self._tool = named(self._name, self._tools)
        self._id = self._new_id(PREFIXES.get(self._tool.kind, "fc"))
        item = self._json("", "in_progress")
        tell("response.output_item.added", {"output_index": index, "item": item})

    def flush(self, tell: Tell) -> None:
        self._say(tell, self._arguments.take())

    def _say(self, tell: Tell, text: str) -> None:
        is_custom = self._tool.kind == CUSTOM
        self._input.add(self._unwrapping.feed(text) if is_custom else self._escaping.feed(text))
        self._tell(tell, self._input.take())

    def _tell(self, tell: Tell, delta: str) -> None:
        if delta:
            kind = "custom_tool_call_input" if self._tool.kind == CUSTOM else "function_call_arguments"
            tell(f"response.{kind}.delta", {"item_id": self._id, "output_index": self._index, "delta": delta})

    def close(self, tell: Tell, status: str) -> None:
        place = {"item_id": self._id, "output_index": self._index}
        self._say(tell, self._arguments.last())
        if self._tool.kind == CUSTOM:
            self._input.add(self._unwrapping.finish())
            self._tell(tell, self._input.last())
            tell("response.custom_tool_call_input.done", {**place, "input": self._input.whole})
        else:
            if not self._arguments.whole:  # of a function without parameters: clients parse what they get
                self._say(tell, EMPTY)
            told = {"arguments": self._input.whole, "name": self._tool.name}
            tell("response.function_call_arguments.done", {**place, **told})
        tell("response.output_item.done", {"output_index": self._index, "item": self.json(status)})

    def json(self, status: str) -> Json:
        item = self._json(self._input.whole, status)
        return item | ({"extra_content": self.extra} if self.extra else {})

    def _json(self, text: str, status: str) -> Json:
        item: Json = {"id": self._id, "type": self._tool.kind, "status": status, "call_id": self.call_id}
        item["name"] = self._tool.name
        if self._tool.namespace:
            item["namespace"] = self._tool.namespace
        return item | {"input" if self._tool.kind == CUSTOM else "arguments": text}
