"""What embedding models are asked, and their replies, read row by row; packed as base64 for those who asked for it and whose
provider answered numbers.

openai-node asks for base64 unless told otherwise and decodes whatever comes: a list of floats becomes an empty or
nonsensical vector there, without an error. Base64 is little-endian float32, packed (OpenAI API reference). A reply may be
tens of megabytes of numbers: read at once, they would hold up every other thread until the last digit.
"""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Callable, Generator
from typing import Any

from ..call import Call, Deployment
from ..errors import UpstreamError
from ..manners import Manners
from ..upstream import Heard, Outbound

ENCODING = "encoding_format"
# Either can be done without: all answer numbers then, which are packed where that is wanted.
ENCODINGS = ("base64", "float")
_BLANKS = re.compile(r"[ \t\n\r]*")
_ROWS = re.compile(r"\[[ \t\n\r]*(?=\{)")
_scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]  # what raw_decode calls


def requests(
    encode: Callable[..., Outbound], call: Call, deployment: Deployment, manners: Manners
) -> Generator[Outbound, Heard, Heard]:
    """Some servers refuse to be told how to write numbers, which SDKs do by themselves: once more without, and remembered. The last
    refusal, if there is no answer."""
    says_how = call.member(ENCODING) in ENCODINGS
    less = ENCODING if says_how and ENCODING in manners.refused_by(deployment.provider) else None
    heard = yield encode(call, deployment, less=less)
    if says_how and less is None and heard.status in (400, 422) and ENCODING.encode() in heard.body:
        manners.refuses(deployment.provider, {ENCODING})
        again = yield encode(call, deployment, less=ENCODING)
        if again.status == heard.status:  # what was asked had only been repeated in it
            manners.takes(deployment.provider, {ENCODING})
        heard = again
    return heard


def reply_of(body: bytes, deployment: Deployment, *, packs: bool) -> tuple[dict[str, Any], bytes]:
    """As `read`. Raises UpstreamError."""
    try:
        return read(body, packs=packs)
    except ValueError as error:
        provider = deployment.provider.id
        raise UpstreamError(f"Provider '{provider}' answered with a body of a shape nobody knows.") from error


def read(body: bytes, *, packs: bool) -> tuple[dict[str, Any], bytes]:
    """What a reply says but its rows, and the reply itself, with every list of numbers packed if that is wanted.

    Raises ValueError for what is no JSON object, or has a vector that is none of 32-bit floats.
    """
    text = str(body, "utf-8").removeprefix("\ufeff")
    told: dict[str, Any] = {}
    changes: list[tuple[int, int, str]] = []
    try:
        at = _expect(text, _skip(text, 0), "{")
        while text.startswith('"', at):
            name, at = _scan(text, at)
            at = _expect(text, _skip(text, at), ":")
            if name == "data" and (rows := _ROWS.match(text, at)) is not None:
                told[name], at = [{}], _read_rows(text, rows.end(), changes, packs)  # there are some
            else:
                told[name], at = _scan(text, at)
            at = _skip(text, at)
            if not text.startswith(",", at):
                break
            at = _skip(text, at + 1)
        if _expect(text, at, "}") != len(text):
            raise ValueError("something follows the reply")
    except (StopIteration, RecursionError) as error:
        raise ValueError("the reply is no JSON object") from error
    return told, _changed(text, changes).encode() if changes else body


def _read_rows(text: str, at: int, changes: list[tuple[int, int, str]], packs: bool) -> int:
    """Read the rows from the first one on, and note how those are written that are packed. Where they end."""
    while True:
        row, end = _scan(text, at)
        if packs and isinstance(row, dict) and is_vector(row.get("embedding")):
            changes.append((at, end, json.dumps({**row, "embedding": pack(row["embedding"])})))
        at = _skip(text, end)
        if not text.startswith(",", at):
            return _expect(text, at, "]")
        at = _skip(text, at + 1)


def _changed(text: str, changes: list[tuple[int, int, str]]) -> str:
    pieces: list[str] = []
    done = 0
    for begin, end, new in changes:
        pieces += [text[done:begin], new]
        done = end
    return "".join([*pieces, text[done:]])


def _skip(text: str, at: int) -> int:
    return _BLANKS.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too


def _expect(text: str, at: int, what: str) -> int:
    if not text.startswith(what, at):
        raise ValueError(f"{what} is missing")
    return _skip(text, at + 1)


def is_vector(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], (int, float))


def pack(vector: list[float]) -> str:
    """Raises ValueError for what is no vector of 32-bit floats."""
    try:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    except (struct.error, OverflowError, TypeError) as error:
        raise ValueError("a vector holds what is no 32-bit float") from error
