"""Content blocks of a Messages body, as the parts of a chat: text, images, documents, what a search found.

Of a block only what a chat knows goes on. What Anthropic's servers made of their own tools is left out with a note, and so
is a block that nobody knows: the list of them grows with every release of a client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..errors import Unsupported
from ..media.images import PDF
from .messages_shapes import Json, list_at, name_at, object_at, shown, text_at, wrong

Note = Callable[[str], None]


def blocks_of(content: Any, place: str) -> Iterator[tuple[Json, str, str]]:
    """Each block of a message's content, its type and its place; a text is one block."""
    if type(content) is str:
        yield {"type": "text", "text": content}, "text", place
        return
    if type(content) is not list:
        raise wrong(place, "a text or a list of blocks")
    for at, block in enumerate(content):
        where = f"{place}[{at}]"
        yield object_at(block, where), name_at(block.get("type"), f"{where}.type"), where


def parts_of(block: Json, kind: str, place: str, *, keeps_cache: bool, note: Note) -> list[Json]:
    """A block that a user may send, as parts."""
    if kind == "text":
        text = text_at(block.get("text"), f"{place}.text")
        return [text_part(text, block, keeps_cache)] if text else []
    if kind == "image":
        return [image_part(block, place)]
    if kind == "document":
        return document_parts(block, place)
    if kind == "search_result":
        return [text_part(search_result(block, place))]
    if kind == "tool_reference":
        return [text_part(f"Tool: {text_at(block.get('tool_name'), f'{place}.tool_name')}")]
    left_out(kind, note)
    return []


def left_out(kind: str, note: Note) -> None:
    note(f"A block of type '{shown(kind)}' has no place in a chat and was left out.")


def text_part(text: str, block: Json | None = None, keeps_cache: bool = False) -> Json:
    part: Json = {"type": "text", "text": text}
    if keeps_cache and block is not None and type(block.get("cache_control")) is dict:
        part["cache_control"] = block["cache_control"]
    return part


def image_part(block: Json, place: str) -> Json:
    """Marks of long strings stay whole: data is put together, never looked into."""
    source, kind = _source(block, place)
    if kind == "base64":
        media_type = name_at(source.get("media_type"), f"{place}.source.media_type")
        data = name_at(source.get("data"), f"{place}.source.data")
        return {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{data}"}}
    if kind == "url":
        return {"type": "image_url", "image_url": {"url": name_at(source.get("url"), f"{place}.source.url")}}
    raise _elsewhere("image", kind, place)


def document_parts(block: Json, place: str) -> list[Json]:
    source, kind = _source(block, place)
    title, context = (_optional(block, name, place) for name in ("title", "context"))
    if kind == "base64":
        media_type = name_at(source.get("media_type"), f"{place}.source.media_type")
        data = name_at(source.get("data"), f"{place}.source.data")
        if media_type != PDF:
            raise wrong(f"{place}.source.media_type", f"'{PDF}'")
        file = {"filename": title or "document.pdf", "file_data": f"data:{PDF};base64,{data}"}
        return [*([text_part(context)] if context else []), {"type": "file", "file": file}]
    head = "\n".join(filter(None, (title, context)))
    if kind == "text":
        text = text_at(source.get("data"), f"{place}.source.data")
        return [text_part(f"{head}\n\n{text}" if head else text)]
    if kind == "content":
        parts = [text_part(head)] if head else []
        for inner, inner_kind, where in blocks_of(source.get("content"), f"{place}.source.content"):
            if inner_kind == "image":
                parts.append(image_part(inner, where))
            elif inner_kind == "text":
                parts.append(text_part(text_at(inner.get("text"), f"{where}.text")))
            else:
                raise wrong(f"{where}.type", "text or image")
        return parts
    raise _elsewhere("document", kind, place)


def search_result(block: Json, place: str) -> str:
    head = [text for name in ("title", "source") if (text := _optional(block, name, place))]
    found = block.get("content")
    texts = [
        text_at(object_at(each, f"{place}.content[{at}]").get("text"), f"{place}.content[{at}].text")
        for at, each in enumerate(list_at(found, f"{place}.content") if found is not None else ())
    ]
    return "\n".join([*head, *texts])


def _source(block: Json, place: str) -> tuple[Json, str]:
    source = object_at(block.get("source"), f"{place}.source")
    return source, name_at(source.get("type"), f"{place}.source.type")


def _optional(block: Json, name: str, place: str) -> str:
    value = block.get(name)
    return "" if value is None else text_at(value, f"{place}.{name}")


def _elsewhere(what: str, kind: str, place: str) -> Unsupported:
    return Unsupported(
        f"'{place}.source' is of type '{shown(kind)}', which cannot be passed on; send the {what} itself, as base64.",
        param=f"{place}.source.type",
    )
