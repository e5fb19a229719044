"""Calls of tools out of the deltas of a stream: which delta belongs to which call, and which call may be told already.

Providers send several calls one after the other or in turns, with and without an index, with names that come late. Anthropic
has one block open at a time; so the first call that is not over is told while it comes, and the others wait for it.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ..errors import UpstreamError
from .letters import Letters
from .messages_reply import Json, input_of

MOST_CALLS = 512
MOST_CHECKS = 8  # of whether a call is whole, since each reads all of it
MOST_CHARS = 64 * 1024 * 1024
EMPTY = "{}"

Index = int | str  # some write their numbers as texts


class Escaping:
    """Line ends, and what else is no letter, that a model wrote into a text of its arguments as they are: JSON wants them
    escaped, and clients give up on the whole answer. Between texts they stay."""

    OUTSIDE = re.compile('"')
    INSIDE = re.compile(r'["\\\x00-\x1f]')

    __slots__ = ("_in_text", "_skips")

    def __init__(self) -> None:
        self._in_text = self._skips = False

    def feed(self, piece: str) -> str:
        out: list[str] = []
        done, at, self._skips = 0, int(self._skips), False
        while (mark := (self.INSIDE if self._in_text else self.OUTSIDE).search(piece, at)) is not None:
            at = mark.end()
            if mark[0] == '"':
                self._in_text = not self._in_text
            elif mark[0] == "\\":
                self._skips = at == len(piece)  # what it escapes is in the next piece
                at += 1
            else:
                out += [piece[done : mark.start()], json.dumps(mark[0])[1:-1]]
                done = at
        return "".join([*out, piece[done:]]) if out else piece


class StreamedCall:
    """One call while it comes. `given` is the provider's id for it; `row` what else it said of it."""

    __slots__ = (
        *("_checks", "_escaping", "_held", "_letters", "_pieces"),
        *("given", "id", "index", "name", "row"),
    )

    def __init__(self, index: Index | None) -> None:
        self.index = index
        self.given = ""
        self.name = ""
        self.id = ""  # once its block is open
        self.row: Json = {}
        self._pieces: list[str] = []
        self._held: list[str] = []  # what was not told yet
        self._checks = 0
        self._escaping = Escaping()
        self._letters = Letters()

    @property
    def has_arguments(self) -> bool:
        return bool(self._pieces)

    @property
    def is_empty(self) -> bool:
        """Whether nothing has come but an empty object, with which some gateways begin what follows it."""
        return len(self._pieces) == 1 and self._pieces[0].strip() == EMPTY

    @property
    def _is_object(self) -> bool:
        return bool(self._pieces) and self._pieces[0].lstrip().startswith("{")

    def add(self, arguments: str) -> None:
        if not self._pieces and arguments.isspace():
            return
        if self.is_empty and arguments.lstrip().startswith("{"):
            self._pieces.clear()
            self._held.clear()
        if not (arguments := self._escaping.feed(self._letters.feed(arguments))):
            return
        self._pieces.append(arguments)
        self._held.append(arguments)

    def told(self) -> str:
        """The arguments that came and were not told, if they are an object as far as one can see: a text that is something
        else must not reach a client as the beginning of one."""
        if not self._is_object or self.is_empty:
            return ""
        text = "".join(self._held)
        self._held.clear()
        return text

    def rest(self) -> str:
        """The same at the end, when what is no object may have turned out to hold one."""
        if self.is_empty:
            return EMPTY
        told = self.told()
        if not told and self._pieces and not self._is_object:
            found = input_of("".join(self._pieces))
            return json.dumps(found) if found else ""
        return told

    def is_whole(self) -> bool:
        """Whether nothing can come behind the arguments any more."""
        if not self._is_object or self._checks >= MOST_CHECKS or not self._pieces[-1].rstrip().endswith("}"):
            return False
        self._checks += 1
        try:
            return type(json.loads("".join(self._pieces))) is dict
        except (ValueError, RecursionError):
            return False


class StreamedCalls:
    """All calls of a stream, in the order in which they began. `live` is the number of the one that is told."""

    def __init__(self) -> None:
        self.all: list[StreamedCall] = []
        self.live = 0
        self._by_index: dict[Index, StreamedCall] = {}
        self._by_id: dict[str, StreamedCall] = {}
        self._chars = 0

    def take(self, delta: Any) -> None:
        """One entry of `tool_calls`. Raises UpstreamError when there is no end of them."""
        if type(delta) is not dict:
            return
        function = delta.get("function")
        function = function if type(function) is dict else {}
        told_name, told_id, told_index = function.get("name"), delta.get("id"), delta.get("index")
        name = told_name if type(told_name) is str else ""
        given = told_id if type(told_id) is str else ""
        arguments = function.get("arguments")
        if type(arguments) is dict:
            arguments = _dumped(arguments)
        is_given = type(arguments) is str and bool(arguments.strip())
        call = self._find(told_index if type(told_index) in (int, str) else None, given, name, is_given)
        call.name = call.name or name  # some repeat it
        if given and not call.given:
            call.given = given
            self._by_id.setdefault(given, call)
        for member in ("id", "extra_content"):
            if delta.get(member):
                call.row[member] = delta[member]
        if type(arguments) is str and arguments:
            self._chars += len(arguments)
            if self._chars > MOST_CHARS:
                raise UpstreamError("The provider called a tool with arguments without an end.")
            call.add(arguments)

    def _find(self, index: Index | None, given: str, name: str, has_arguments: bool) -> StreamedCall:
        last = self.all[-1] if self.all else None
        if index is not None:
            call = self._by_index.get(index)
            if call is None and not name:
                known = self._by_id.get(given) if given else last
                if known is not None and known.index is None:  # it has its number only now
                    call = self._by_index[index] = known
                    known.index = index
            if call is not None and given and call.given and given != call.given:
                other = self._by_id.get(given)  # Gemini and some gateways count none of them
                call = other if other is not None and other.index == index else None
        elif given:
            call = self._by_id.get(given)
        else:
            call = last
            if call is not None and name and call.name and (call.has_arguments or name != call.name):
                call = None  # a whole call in each delta, and nothing to tell them apart by
        if call is not None and name and call.name and has_arguments and not call.is_empty and call.is_whole():
            call = None  # the same, all with one number
        return call if call is not None else self._new(index)

    def _new(self, index: Index | None) -> StreamedCall:
        if len(self.all) >= MOST_CALLS:
            raise UpstreamError("The provider called more tools at once than anybody can run.")
        call = StreamedCall(index)
        self.all.append(call)
        if index is not None:
            self._by_index[index] = call
        return call


def _dumped(value: Json) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return EMPTY
