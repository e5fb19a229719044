"""A JSON object as a request body: what its members say, and where in the bytes they stand.

What goes upstream are the caller's own bytes; only a member that has to change is replaced, so numbers keep their digits,
names their order and unknown fields their place. Bodies with pictures in them are parsed hollow: the insides of very long
strings are left out of the text that is parsed, and stay where they are in the bytes. A mark in the string says which they
are, so that who needs them finds them (`stretches`), and a value that is written again has them in it.

Two readers must never find different values. So a member that comes twice is refused, even in another case: `Model`
beside `model` is one member to servers written in Go, whose JSON decoder takes the last of them.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

# Bytes. Below this a plain parse takes a millisecond or two, and hollowing would save nothing.
HOLLOW_FROM = 256 * 1024
# A run of 2 steps without a quote or an odd escape contains a whole step without them, so it cannot be missed.
_STEP = 4096
_MIN_RUN = 2 * _STEP
# What stays of a hollowed string: enough to see a data URL's media type, or padding at the end of its base64.
_KEPT_PREFIX = 256
_KEPT_SUFFIX = 16
_BLOCK = 64 * 1024

MAX_MEMBERS = 1_000  # at the top, where each costs us more than it does the json module
MAX_NAME = 256  # characters of a member's name; also keeps names whole when strings are hollowed

_BLANKS = re.compile(r"[ \t\n\r]*")
# A member's name with nothing to unescape, up to its value; and the way from a value to the next name.
_NAME = re.compile(r'"([^"\\\x00-\x1f]*)"[ \t\n\r]*:[ \t\n\r]*')
_COMMA = re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
# Escapes that are plain text to what is left out: PHP writes every "/" of base64 as "\/", and some break it into lines.
PLAIN_ESCAPES = {b"\\/": b"/", b"\\n": b"\n", b"\\r": b"\r"}
_ODD_ESCAPE = re.compile(rb"\\[^/nr]")
# Text between two strings begins with one of these, if it is JSON at all; text inside a string mostly does not.
_BETWEEN_STRINGS = b" \t\n\r,:]}"
# Behind a number, the end of a mark. In JSON it is as plain as the hexadecimal digits before it.
_MARK_END = "]"
_DIGITS = 4300  # the limit of int() in current Pythons; early 3.10 had none, and took quadratic time


Stretch = bytes | bytearray | memoryview
"""Bytes that are not copied."""


class BodyError(ValueError):
    """A body that is not one JSON object with each member once. `message` is for people; `member` is the one that came
    twice, if that is what is wrong."""

    def __init__(self, message: str, member: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.member = member


class _Remove:
    """The type of REMOVE."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "REMOVE"


REMOVE = _Remove()
"""In place of a value: take the member out."""


class Members:
    """The parsed body. Made by `parse`.

    `values` holds the top-level members; in a hollow body the byte ranges in `cuts` are missing from the strings in it,
    and each has left its mark there: a number behind what nobody outside can know, since it is made anew for every body.
    """

    __slots__ = ("_amended", "_body", "_mark", "_spans", "_stood_in", "cuts", "values")

    def __init__(
        self,
        body: bytes | bytearray,
        values: dict[str, Any],
        spans: dict[str, tuple[int, int, int]],
        cuts: list[tuple[int, int]],
        mark: str = "",
    ) -> None:
        self._body = body
        self._spans = spans  # name → bytes where the name begins, where the value begins, where the value ends
        self._mark = mark
        self._stood_in: list[Stretch] = []  # what further marks stand for
        self._amended: dict[str, list[Stretch]] = {}
        self.values = values
        self.cuts = cuts

    @property
    def hollow(self) -> bool:
        """Whether strings in `values` are incomplete."""
        return bool(self.cuts)

    @property
    def raw(self) -> bytes:
        """The body as it came. (A body that came as a bytearray is copied.)"""
        return bytes(self._body)

    def full(self) -> dict[str, Any]:
        """Every member, complete. Raises BodyError if a string that was left out turns out to be broken."""
        if self._amended:
            return _parse(self.with_values({}), [], "").values
        if not self.cuts:
            return self.values
        return _parse(self._body, [], "").values

    def stretches(self, text: str) -> list[str | Stretch]:
        """A string of `values`, complete, as its stretches one behind the other: what was parsed of it, which comes first
        and last, and between that the bytes that were left out. Those are ASCII as it stands in JSON, with no escapes but
        PLAIN_ESCAPES; control characters may hide in it."""
        if not self._mark:
            return [text]
        first, *others = text.split(self._mark)
        found: list[str | Stretch] = [first]
        for other in others:
            number, _, rest = other.partition(_MARK_END)
            found += (self._left_out(int(number)), rest)
        return found

    def stand_in(self, stretches: Iterable[str | Stretch]) -> str:
        """A string for `values` that is these stretches, of which those in bytes are as `stretches` gives them: they are
        not copied, a mark stands for each."""
        self._mark = self._mark or _new_mark()
        return "".join(each if isinstance(each, str) else self._put_aside(each) for each in stretches)

    def amend(self, *names: str) -> None:
        """Take what `values` says of these members now for what they say: they are written anew from here on,
        or added. Raises BodyError when one is nested too deeply to be written."""
        self._amended |= {name: self.encode(self.values[name]) for name in names}

    def with_values(self, changes: Mapping[str, Any]) -> bytes:
        """The body with these members' values replaced (or appended, or taken out: REMOVE), all else byte for byte."""
        return b"".join(self.pieces(changes))

    def pieces(self, changes: Mapping[str, Any]) -> list[Stretch]:
        """As `with_values`, but as the pieces of it: views of the body, which is not copied, and what is new."""
        edits = self._edits(changes) if changes or self._amended else ()
        if not edits and isinstance(self._body, bytes):
            return [self._body]
        view = memoryview(self._body)
        pieces: list[Stretch] = []
        at = 0
        for begin, end, new in edits:
            if begin > at:
                pieces.append(view[at:begin])
            pieces += new
            at = end
        pieces.append(view[at:])
        return pieces

    def encode(self, value: Any) -> list[Stretch]:
        """JSON for a new value, compact, in pieces: strings of `values` in it are complete. Escaped to ASCII: half a
        surrogate pair could not be sent otherwise. Raises BodyError when it is nested too deeply."""
        try:
            text = json.dumps(value, separators=(",", ":"))
        except RecursionError:  # what could just be read may be too deep to be written
            raise BodyError("The JSON body is nested too deeply.") from None
        if not self._mark:
            return [text.encode("ascii")]
        return [each.encode("ascii") if isinstance(each, str) else each for each in self.stretches(text)]

    def _left_out(self, number: int) -> Stretch:
        if number >= len(self.cuts):
            return self._stood_in[number - len(self.cuts)]
        begin, end = self.cuts[number]
        return memoryview(self._body)[begin:end]

    def _put_aside(self, data: Stretch) -> str:
        self._stood_in.append(data)
        return f"{self._mark}{len(self.cuts) + len(self._stood_in) - 1}{_MARK_END}"

    def _edits(self, changes: Mapping[str, Any]) -> list[tuple[int, int, list[Stretch]]]:
        """What to put in place of which bytes, in order."""
        edits: list[tuple[int, int, list[Stretch]]] = []
        spans = list(self._spans.items())
        kept = False  # whether a member before this one stays, so that the comma between them may go with this one
        for index, (name, (begin, value_begin, end)) in enumerate(spans):
            if name not in changes:
                kept = True
                if name in self._amended:
                    edits.append((value_begin, end, self._amended[name]))
                continue
            value = changes[name]
            if value is not REMOVE:
                kept = True
                if not self._says(name, value):
                    edits.append((value_begin, end, self.encode(value)))
            elif kept:
                edits.append((spans[index - 1][1][2], end, []))
            else:
                edits.append((begin, spans[index + 1][1][0] if index + 1 < len(spans) else end, []))
        changed = {name: value for name, value in changes.items() if name not in self._spans and value is not REMOVE}
        added = {name: new for name, new in self._amended.items() if name not in self._spans and name not in changes}
        for name, new in {**added, **{name: self.encode(value) for name, value in changed.items()}}.items():
            at = spans[-1][1][2] if spans else self._body.index(b"{") + 1
            edits.append((at, at, [b"," if kept else b"", *self.encode(name), b":", *new]))
            kept = True
        return edits

    def _says(self, name: str, value: Any) -> bool:
        """Whether a member says this already, so that its bytes may stay as they are."""
        return isinstance(value, str) and len(value) < _KEPT_PREFIX and self.values[name] == value


class Remade(Members):
    """A body that nobody sent: `values` made of those of another, whose long strings stay where they are."""

    __slots__ = ()

    def __init__(self, source: Members, values: dict[str, Any]) -> None:
        super().__init__(source._body, values, {}, source.cuts, source._mark)
        self._stood_in = source._stood_in

    @property
    def raw(self) -> bytes:
        return b"".join(self.pieces({}))

    def full(self) -> dict[str, Any]:
        return _parse(self.raw, [], "").values if self._mark else self.values

    def pieces(self, changes: Mapping[str, Any]) -> list[Stretch]:
        made = {name: value for name, value in {**self.values, **changes}.items() if value is not REMOVE}
        return self.encode(made)


def parse(body: bytes | bytearray | memoryview) -> Members:
    """Read a body. Raises BodyError for all that is not one JSON object, saying where it stops being one.

    Bodies above HOLLOW_FROM bytes are hollowed. In what is left out then, a control character may hide that makes the
    JSON invalid without moving the end of a string; who needs the string finds it with `full`, else the upstream does.
    """
    if isinstance(body, memoryview):
        body = bytes(body)
    cuts = _find_cuts(body) if len(body) > HOLLOW_FROM else []
    return _parse(body, cuts, _new_mark() if cuts else "")


def _new_mark() -> str:
    """What a mark begins with, and no string of a body does but by a chance of 1 in 2⁶⁴."""
    return f"[{os.urandom(8).hex()}:"


def _parse(body: bytes | bytearray, cuts: list[tuple[int, int]], mark: str) -> Members:
    text = _decode(body, cuts, mark)
    values: dict[str, Any] = {}
    spans: dict[str, tuple[int, int, int]] = {}
    try:
        _walk(text, values, spans)
    except json.JSONDecodeError as error:
        _refuse_at(body, _to_bytes([error.pos], text, cuts, mark)[0], error.msg)
    except RecursionError:
        raise BodyError("The JSON body is nested too deeply.") from None
    except BodyError:
        raise
    except ValueError:  # what int() says to thousands of digits, on which it would spend quadratic time
        raise BodyError(f"The JSON body holds a number of more than {_DIGITS} digits.") from None
    if cuts or not text.isascii():
        places = iter(_to_bytes([place for span in spans.values() for place in span], text, cuts, mark))
        spans = dict(zip(spans, zip(places, places, places, strict=True), strict=True))
    return Members(body, values, spans, cuts, mark)


def _decode(body: bytes | bytearray, cuts: list[tuple[int, int]], mark: str) -> str:
    """The text to parse: the body with marks for its cuts."""
    if body.startswith(b"\xef\xbb\xbf"):
        # RFC 8259 8.1: "MUST NOT add a byte order mark". To skip it would be to change the body we pass on.
        raise BodyError("The body begins with a byte order mark; send the JSON without it.")
    try:
        if not cuts:
            return str(body, "utf-8")
        view = memoryview(body)
        pieces: list[Stretch] = []
        at = 0
        for number, (begin, end) in enumerate(cuts):
            pieces += (view[at:begin], f"{mark}{number}{_MARK_END}".encode())
            at = end
        return str(b"".join([*pieces, view[at:]]), "utf-8")
    except UnicodeDecodeError:
        raise BodyError("The body is not UTF-8; send the JSON in UTF-8.") from None


def _walk(text: str, values: dict[str, Any], spans: dict[str, tuple[int, int, int]]) -> None:
    """Read the top level: fill in the members and where they stand in the text. Raises JSONDecodeError and BodyError.

    The values are read by the json module at C speed; only this one level is ours.
    """
    at = 0 if text.startswith("{") else _skip(text, 0)
    if text[at : at + 1] != "{":
        _refuse_kind(text[at : at + 1])
    names: dict[str, str] = {}
    at = _skip(text, at + 1)
    more = text[at : at + 1] != "}"
    while more:
        match = _NAME.match(text, at)
        name, begin = (match[1], match.end()) if match is not None else _odd_name(text, at)
        try:
            values[name], end = _scan(text, begin)
        except StopIteration as nothing:
            raise json.JSONDecodeError("Expecting value", text, nothing.value) from None
        folded = name.casefold()
        if folded in names or len(name) > MAX_NAME or len(names) == MAX_MEMBERS:
            _refuse_name(name, names.get(folded))
        names[folded] = name
        spans[name] = (at, begin, end)
        match = _COMMA.match(text, end)
        if match is not None:
            at = match.end()
            continue
        at = _skip(text, end)
        if text[at : at + 1] != "}":
            raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
        more = False
    at += 1
    if at != len(text) and (at := _skip(text, at)) != len(text):
        raise json.JSONDecodeError("Extra data", text, at)


def _odd_name(text: str, at: int) -> tuple[str, int]:
    """A member's name with escapes in it, or the error that it is none: (name, where its value begins)."""
    if text[at : at + 1] != '"':
        raise json.JSONDecodeError("Expecting property name enclosed in double quotes", text, at)
    name, end = _DECODER.raw_decode(text, at)
    colon = _skip(text, end)
    if text[colon : colon + 1] != ":":
        raise json.JSONDecodeError("Expecting ':' delimiter", text, colon)
    return name, _skip(text, colon + 1)


def _skip(text: str, at: int) -> int:
    """Past the blanks."""
    if text[at : at + 1] > " ":  # the common cases: compact JSON, or one blank
        return at
    return _BLANKS.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too


def _refuse_name(name: str, other: str | None) -> NoReturn:
    """A name is too long or one too many, or some reader would take it for one of the names before it."""
    if other is None and len(name) > MAX_NAME:
        raise BodyError(f"A member of the JSON body has a name of more than {MAX_NAME} characters.")
    if other is None:
        raise BodyError(f"The JSON body has more than {MAX_MEMBERS} members.")
    if other == name:
        raise BodyError(f"The JSON body has the member {_shown(name)} twice; send it once.", name)
    raise BodyError(f"The JSON body has the members {_shown(other)} and {_shown(name)}; send one of them.", name)


def _find_cuts(body: bytes | bytearray) -> list[tuple[int, int]]:
    """The insides of very long strings, in order.

    A run of text without quotes and odd escapes is inside a string if a backslash stands before it, or if it begins as
    no text between strings could (in JSON: what is no JSON fails at what we keep of it). It must be ASCII, so that a cut
    never falls into a character, and without the line breaks and tabs that are not allowed in strings: these stay in the
    text, where the parser finds them. Every search is over bytes not searched before, and a memchr where there are no
    escapes: linear, gigabytes a second.
    """
    is_ascii = body.isascii()
    cuts: list[tuple[int, int]] = []
    size, at, quote = len(body), 0, 0
    while at + _STEP <= size:
        step_end = at + _STEP
        if body.find(b'"', at, step_end) >= 0 or _find_odd_escape(body, at, step_end) < step_end:
            at = step_end
            continue
        if quote < step_end:  # else it is remembered: an escape may have ended the run before long before this quote
            quote = body.find(b'"', step_end)
            if quote < 0:
                break
        end = _find_odd_escape(body, at, quote)
        # The step before this one was not free, so the run begins behind what was found in it.
        before = max(body.rfind(b'"', max(0, at - _STEP), at), body.rfind(b"\\", max(0, at - _STEP), at))
        begin = before + 1
        if (
            before >= 0
            and end - begin >= _MIN_RUN
            and _is_inside(body, begin)
            and _is_plain(body, begin, end, is_ascii)
        ):
            # No two backslashes stand beside each other in a run, so one that is there begins an escape: never cut that.
            first, last = begin + _KEPT_PREFIX, end - _KEPT_SUFFIX
            cuts.append((first + (body[first - 1] == 0x5C), last - (body[last - 1] == 0x5C)))
        at = end
    return cuts


def _find_odd_escape(body: bytes | bytearray, begin: int, end: int) -> int:
    """Where the first escape begins that is none of PLAIN_ESCAPES; `end` if none does before that."""
    backslash = body.find(b"\\", begin, end)
    if backslash < 0:
        return end
    for at in range(backslash, end, _BLOCK):  # in parts, between which others get a turn
        odd = _ODD_ESCAPE.search(body, at, min(at + _BLOCK, end) + 1)  # it may reach over the end
        if odd is not None:
            return odd.start()
    return end


def _is_inside(body: bytes | bytearray, begin: int) -> bool:
    return body[begin - 1] == 0x5C or body[begin] not in _BETWEEN_STRINGS


def _is_plain(body: bytes | bytearray, begin: int, end: int, is_ascii: bool) -> bool:
    if any(body.find(char, begin, end) >= 0 for char in b"\n\r\t\0"):
        return False
    # There is no isascii for a part of bytes. In small copies, which stay in the processor's cache.
    return is_ascii or all(body[at : min(at + _BLOCK, end)].isascii() for at in range(begin, end, _BLOCK))


def _to_bytes(places: list[int], text: str, cuts: list[tuple[int, int]], mark: str) -> list[int]:
    """Where these places in the text, in rising order and none in a mark, are in the body."""
    is_ascii = text.isascii()
    found: list[int] = []
    done = offset = 0  # characters counted, and the byte of the parsed text they end at
    missing = index = 0  # by how many bytes the parsed text is shorter up to there, after so many cuts
    for place in places:
        offset += place - done if is_ascii else len(text[done:place].encode())
        done = place
        while index < len(cuts) and cuts[index][0] - missing <= offset:
            missing += cuts[index][1] - cuts[index][0] - len(f"{mark}{index}{_MARK_END}")
            index += 1
        found.append(offset + missing)
    return found


def _read_int(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError("too many digits")
    return int(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise BodyError(f"The body is not valid JSON: {name} is no JSON value; send a number or null.")


def _refuse_kind(first: str) -> NoReturn:
    if not first:
        raise BodyError("The body is empty; send a JSON object.")
    kind = {"[": "an array", '"': "a string"}.get(first)
    raise BodyError(f"The body must be a JSON object, but it {f'is {kind}' if kind else f'begins with {first!a}'}.")


def _refuse_at(body: bytes | bytearray, place: int, reason: str) -> NoReturn:
    """`reason` is the json module's, as in "Expecting value" or "Unterminated string starting at"."""
    line_begin = body.rfind(b"\n", 0, place) + 1
    line = body.count(b"\n", 0, place) + 1
    column = len(body[line_begin:place].decode("utf-8", "replace")) + 1
    raise BodyError(f"The body is not valid JSON: {reason.removesuffix(' at')} at line {line}, column {column}.")


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 60 else name[:57] + "...")


_DECODER = json.JSONDecoder(
    parse_constant=_refuse_constant,
    # int itself keeps the scanner at C speed; only Pythons before the limit was invented need ours.
    parse_int=int if hasattr(sys, "get_int_max_str_digits") else _read_int,
)
_scan: Callable[[str, int], tuple[Any, int]] = _DECODER.scan_once  # type: ignore[attr-defined]  # what raw_decode calls
