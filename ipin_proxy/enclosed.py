"""What of a body is files: pictures, recordings and documents in base64, which cost something else than text of their length.

They are counted where providers look for them and nowhere else: a text that only looks like a file costs what texts cost, and
whoever wrote one would be held nothing for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from .call import CHAT, COMPLETION, COUNT, IMAGE, IMAGE_EDIT, MESSAGE, RESPONSE, Operation
from .web.members import Members

IN_PARTS = (CHAT, MESSAGE, RESPONSE, COUNT)
ONLY_TEXT = (COMPLETION,)
FILE_PARTS = frozenset(
    {"image_url", "input_image", "computer_screenshot", "image", "video_url", "input_video", "video"}
    | {"input_audio", "audio_url", "audio", "file", "input_file", "document"}
)
DOCUMENTS = frozenset({"file", "input_file", "document"})
RECORDINGS = frozenset({"input_audio", "audio_url", "audio"})
BY_MEMBER = frozenset({"image_url", "video_url", "audio_url", "input_audio"})  # some servers want no type beside these
# What is a text in base64 is read as one.
DATA_URL = re.compile(
    r"\s*data:(?!text/|application/(?:[\w.-]{1,50}\+)?(?:x-)?(?:json|ndjson|xml|yaml|javascript|sql)[;,])",
    re.IGNORECASE,
)
BASE64 = re.compile(r"[A-Za-z0-9+/]{64}")
SEEN_OR_HEARD = re.compile(r"\s*data:(image|audio|video)/", re.IGNORECASE)
READ, HEARD, SEEN, OTHER = "read", "heard", "seen", "other"  # what becomes of a file


class Enclosed(NamedTuple):
    """How many characters of a body are files; of these documents, of which the pages are read, and recordings. `others`: how many
    files there are that are mostly pictures and in no part for one: those to draw from, and what is sent as a file."""

    chars: int = 0
    document_chars: int = 0
    recording_chars: int = 0
    others: int = 0


def enclosed(members: Members, operation: Operation) -> Enclosed:
    if operation in ONLY_TEXT:
        return Enclosed()
    if operation in IN_PARTS:
        found = [*files_in_parts(members.values)]
    else:
        is_drawing = operation in (IMAGE, IMAGE_EDIT)
        values = {name: value for name, value in members.values.items() if name != "prompt"}
        found = [(OTHER, text) for text in files_in(values, is_drawing)]
    chars = {READ: 0, HEARD: 0, SEEN: 0, OTHER: 0}
    for what, text in found:
        chars[what] += sum(map(len, members.stretches(text)))
    return Enclosed(sum(chars.values()), chars[READ], chars[HEARD], sum(what is OTHER for what, _ in found))


def files_in_parts(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Those in the parts of messages, and of what tools put out, and what becomes of each."""
    told = [value for name in ("messages", "input") if type(value := values.get(name)) is list]
    messages = [each for row in told for each in row if type(each) is dict]
    contents = [each[name] for each in messages for name in ("content", "output") if name in each]
    while contents:
        content = contents.pop()
        for part in content if type(content) is list else [content]:
            kind = part.get("type") if type(part) is dict else ""
            source = part.get("source") if kind == "document" else None
            if kind == "tool_result":
                contents.append(part.get("content"))
            elif type(source) is dict and source.get("type") == "content":
                contents.append(source.get("content"))
            elif type(source) is dict and source.get("type") == "text":
                continue
            elif (type(kind) is str and kind in FILE_PARTS) or (kind is None and not BY_MEMBER.isdisjoint(part)):
                for text in files_in(part, True):
                    yield use_of(part, text), text


def use_of(part: dict[str, Any], text: str) -> str:
    """What becomes of a file in a part of a message: by what the part is, or, in one for any file, what the file is said to be."""
    kind = part.get("type")
    if kind in DOCUMENTS:
        said = SEEN_OR_HEARD.match(text)
        return READ if said is None else HEARD if said[1].lower() == "audio" else OTHER
    return HEARD if kind in RECORDINGS or (kind is None and not RECORDINGS.isdisjoint(part)) else SEEN


def files_in(value: Any, may_be_bare: bool) -> Iterator[str]:
    """The texts in a value that are data URLs, or base64 without that."""
    values = [value]
    while values:
        each = values.pop()
        if type(each) is dict:
            values += each.values()
        elif type(each) is list:
            values += each
        elif type(each) is str and (DATA_URL.match(each) or (may_be_bare and BASE64.match(each))):
            yield each
