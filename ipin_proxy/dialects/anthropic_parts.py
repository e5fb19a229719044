"""Parts of a chat message as Anthropic's content blocks: text, images, documents, and thoughts that are handed back.

Strings may be hollow (`web/members.py`): an image in base64 is a beginning, a mark and an end. So nothing here looks further into one
than to its comma.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from ..errors import BadImage, BadRequest, Unsupported
from ..media.images import PDF

Json = dict[str, Any]
Whole = Callable[[str], str]  # a string with what was left out of it

IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
ALIASES = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}
OWN_PARTS = frozenset({"image", "document", "search_result"})  # written in Anthropic's way already
OWN_FILE = "file_"  # what ids of files begin with there; OpenAI's begin with "file-"
FORMAT = "anthropic-claude-v1"  # OpenRouter's name for thoughts that are signed as these are


def text_block(text: Any, place: str, marked: Any = None) -> list[Json]:
    """A text as a block, with the `cache_control` of `marked`; none for a blank one, which would be refused."""
    if text is None:
        return []
    if type(text) is not str:
        raise BadRequest(f"'{place}' must be a text.", param=place)
    if not text.strip():
        return []
    return [with_mark({"type": "text", "text": text}, marked)]


def with_mark(block: Json, marked: Any) -> Json:
    """The block with the `cache_control` of what it was made of."""
    mark = marked.get("cache_control") if type(marked) is dict else None
    if type(mark) is dict:
        block["cache_control"] = mark
    return block


def blocks_of(content: Any, place: str, whole: Whole, *, shows: bool = True) -> list[Json]:
    """The blocks of a message's `content`. `shows`: it may hold more than texts. Raises BadRequest."""
    if content is None:
        return []
    if type(content) is str:
        return text_block(content, place)
    if type(content) is not list:
        raise BadRequest(f"'{place}' must be a text or a list of parts.", param=place)
    blocks: list[Json] = []
    for at, part in enumerate(content):
        blocks += part_blocks(part, f"{place}[{at}]", whole, shows=shows)
    return blocks


def part_blocks(part: Any, place: str, whole: Whole, *, shows: bool) -> list[Json]:
    if type(part) is str:  # some write a list of plain texts
        return text_block(part, place)
    if type(part) is not dict:
        raise BadRequest(f"'{place}' must be an object with a type.", param=place)
    kind = part.get("type", "text" if "text" in part else "image_url" if "image_url" in part else None)
    if kind in ("text", "input_text", "output_text"):
        return text_block(part.get("text"), f"{place}.text", part)
    if kind == "refusal":
        return text_block(part.get("refusal"), f"{place}.refusal", part)
    if shows and kind == "image_url":
        return [with_mark(image_block(part, place), part)]
    if shows and kind == "file":
        return [with_mark(file_block(part, place, whole), part)]
    if shows and type(kind) is str and kind in OWN_PARTS:
        return [part]
    shown = f"'{kind}'" if type(kind) is str and len(kind) <= 40 else "this type"
    where = "" if shows else " by the assistant"
    raise Unsupported(
        f"Parts of type {shown}{where} have no place in the format of this model's provider. Leave '{place}' out, or "
        "choose another model.",
        param=place,
    )


def image_block(part: Json, place: str) -> Json:
    value = part.get("image_url")
    url = value.get("url") if type(value) is dict else value
    place = f"{place}.image_url"
    if type(url) is not str:
        raise BadImage("An image must be a text: a data URL, or an http(s) address.", param=place)
    source = url_source(url)
    if source is not None:
        return {"type": "image", "source": source}
    media_type, data = data_of(url, place)
    media_type = ALIASES.get(media_type, media_type)
    if media_type not in IMAGE_TYPES:
        raise Unsupported(
            f"Images of type '{media_type[:40]}' are not taken by this model's provider; send JPEG, PNG, GIF or WebP.",
            param=place,
        )
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


def file_block(part: Json, place: str, whole: Whole) -> Json:
    """A PDF or a text as a document."""
    file = part.get("file")
    place = f"{place}.file"
    if type(file) is not dict:
        raise BadRequest(f"'{place}' must be an object with file_data.", param=place)
    data, file_id, name = file.get("file_data"), file.get("file_id"), file.get("filename")
    if type(file_id) is str and file_id.startswith(OWN_FILE):
        source: Json = {"type": "file", "file_id": file_id}
    elif type(data) is not str:
        raise Unsupported("A file must be sent itself: as a data URL in file_data.", param=place)
    else:
        source = url_source(data) or document_source(data, f"{place}.file_data", whole)
    title = {"title": name} if type(name) is str and name else {}
    return {"type": "document", "source": source, **title}


def document_source(url: str, place: str, whole: Whole) -> Json:
    media_type, data = data_of(url, place)
    if media_type == PDF:
        return {"type": "base64", "media_type": PDF, "data": data}
    if media_type.startswith("text/"):
        try:
            text = base64.b64decode(whole(data), validate=True).decode()
        except (binascii.Error, ValueError) as error:
            raise BadRequest(f"'{place}' is not a text in base64 and UTF-8.", param=place) from error
        return {"type": "text", "media_type": "text/plain", "data": text}
    raise Unsupported(
        f"Files of type '{media_type[:40]}' are not taken by this model's provider; send a PDF or a text.", param=place
    )


def url_source(url: str) -> Json | None:
    """The source for what is only an address; None when the thing itself is there."""
    return {"type": "url", "url": url} if url[:8].lower().startswith(("http://", "https://")) else None


def data_of(url: str, place: str) -> tuple[str, str]:
    """A data URL's media type and its base64. Images have been put right by now (`pictures.py`), files have not."""
    header, comma, data = url.partition(",")
    words = [word.strip().lower() for word in header[:200].split(";")]
    if not comma or not words[0].startswith("data:") or "base64" not in words[1:]:
        raise BadImage("It must be a data URL in base64 (data:image/png;base64,…), or an http(s) address.", param=place)
    return words[0][5:] or "text/plain", data


# -- thoughts -------------------------------------------------------------------------------------------------------


def thoughts_of(message: Json) -> list[Json]:
    """What an assistant's message hands back of its thoughts: only those that are signed, since no other is accepted.

    Where they are: in `reasoning_details`, as OpenRouter has them and `anthropic_reply.py` gives them; in `thinking_blocks`, as
    LiteLLM does; or as blocks among the parts of the content.
    """
    found: list[Json] = []
    for member in ("reasoning_details", "thinking_blocks", "content"):
        rows = message.get(member)
        for row in rows if type(rows) is list else ():
            if type(row) is dict and (block := thought_of(row)) is not None:
                found.append(block)
        if found:
            break
    return found


def thought_of(row: Json) -> Json | None:
    """A row of any of these as a block."""
    get = row.get
    kind, signature, data = get("type"), get("signature"), get("data")
    if kind in ("redacted_thinking", "reasoning.encrypted"):
        is_own = kind == "redacted_thinking" or get("format", FORMAT) == FORMAT
        return {"type": "redacted_thinking", "data": data} if is_own and type(data) is str and data else None
    if kind not in ("thinking", "reasoning.text") or type(signature) is not str or not signature:
        return None
    if kind == "reasoning.text" and get("format", FORMAT) not in (FORMAT, None):
        return None
    text = get("thinking") if kind == "thinking" else get("text")
    return {"type": "thinking", "thinking": text if type(text) is str else "", "signature": signature}


def is_thought(part: Any) -> bool:
    return type(part) is dict and part.get("type") in ("thinking", "redacted_thinking")
