"""Images and videos in the bodies of callers: where they stand, and how each way to write one is read and put right.

A walker for each kind of body (chat and messages, responses) finds the parts; what a part is, and where in it the image
stands, the part says itself, so that reading one and writing one is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..call import IMAGE_PART, VIDEO_PART
from ..errors import BadImage

if TYPE_CHECKING:
    from ..media.dataurls import Image, Text

Json = dict[str, Any]

KINDS = {
    "image_url": IMAGE_PART,  # chat: {url, detail}
    "input_image": IMAGE_PART,  # responses: a text, or a file_id beside it
    "computer_screenshot": IMAGE_PART,  # responses: likewise
    "image": IMAGE_PART,  # Anthropic: a source; Qwen's own library: a text
    "video_url": VIDEO_PART,
    "input_video": VIDEO_PART,
    "video": VIDEO_PART,  # Qwen: a video, or a list of its images
}
# What says of a part which it is and where its image stands.
OWN = frozenset({"type", "image_url", "image", "source"})
# What holds parts in Anthropic's messages, and where: a result of a tool, and a document, which may be one.
HOLDERS: Mapping[str, str] = {"tool_result": "content", "document": "source.content"}
DEEPEST = 2
# How `image_url` is written, by the type of its part: as a text, or as an object with the text in it.
FLAT = {"input_image": True, "computer_screenshot": True, "image_url": False, None: False}


class Part(NamedTuple):
    """A part of a body that is an image or a video: which of the two, where it stands, and itself, to be changed in place."""

    kind: str
    place: str
    json: Json

    @property
    def member(self) -> str:
        """The member of the body it is in."""
        return self.place.partition("[")[0]


class Sent(NamedTuple):
    """What a part holds: the text, where it stands in the part, and the type it is said to have where that stands beside it
    (None: it is a URL). `usual`: it stands there as all servers look for it."""

    text: str
    place: str
    declared: str | None
    usual: bool

    @property
    def is_data_url(self) -> bool:
        return self.text[:64].lstrip()[:5].lower() == "data:"


def in_messages(values: Json) -> Iterator[Part]:
    """The parts of a chat, or of Anthropic's messages, where results of tools have parts of their own."""
    messages = values.get("messages")
    for at, message in enumerate(messages if type(messages) is list else ()):
        if type(message) is dict and type(content := message.get("content")) is list:
            yield from _in_content(content, f"messages[{at}].content")


def in_input(values: Json) -> Iterator[Part]:
    """The parts of what the Responses API calls input: in messages, and in what tools put out."""
    items = values.get("input")
    for at, item in enumerate(items if type(items) is list else ()):
        if type(item) is not dict:
            continue
        for member in ("content", "output"):
            content = item.get(member)
            if type(content) is list:
                yield from _in_content(content, f"input[{at}].{member}")
            elif type(content) is dict and (kind := _kind_of(content)) is not None:
                yield Part(kind, f"input[{at}].{member}", content)


def _in_content(content: list[Any], place: str, deeper: int = DEEPEST) -> Iterator[Part]:
    for at, part in enumerate(content):
        if type(part) is not dict:
            continue
        kind = _kind_of(part)
        if kind is not None:
            yield Part(kind, f"{place}[{at}]", part)
        elif deeper and type(name := part.get("type")) is str and name in HOLDERS:
            member = HOLDERS[name]
            inner = part if member == "content" else part.get("source")
            if type(inner) is dict and type(parts := inner.get("content")) is list:
                yield from _in_content(parts, f"{place}[{at}].{member}", deeper - 1)


def _kind_of(part: Json) -> str | None:
    name = part.get("type")
    if name is None:  # vLLM goes by the members then
        name = next((each for each in ("image_url", "video_url") if part.get(each) is not None), None)
    return KINDS.get(name) if type(name) is str else None


def sent(part: Part) -> Sent | None:
    """What an image part holds; None when that is somewhere else (a file_id, a uuid), or nothing the provider could not
    complain about itself. Raises BadImage for what is no text."""
    json = part.json
    source = json.get("source")
    if type(source) is dict:
        if source.get("type") == "base64":
            declared = source.get("media_type")
            found = _sent(source.get("data"), ".source.data", part, declared if type(declared) is str else "")
        else:
            found = _sent(source.get("url"), ".source.url", part)
        return found and found._replace(usual=not found.is_data_url)
    name = "image_url" if "image_url" in json else "image"
    value = json.get(name)
    if type(value) is dict:
        found, is_flat = _sent(value.get("url"), f".{name}.url", part), False
    else:
        found, is_flat = _sent(value, f".{name}", part), True
    return found and found._replace(usual=is_flat is FLAT.get(json.get("type"), is_flat))


def _sent(text: Any, place: str, part: Part, declared: str | None = None) -> Sent | None:
    if text is None:
        return None
    if type(text) is not str:
        raise BadImage("An image must be a text: a data URL, or an http(s) address.", param=part.place + place)
    return Sent(text, part.place + place, declared, True)


def write(part: Part, text: str, image: Image | None, stand_in: Callable[[Text], str]) -> None:
    """Put an image into its part, where all servers look for it: the one that was found, or the address that it has."""
    json = part.json
    source = json.get("source")
    if type(source) is dict:
        if image is not None:
            source.pop("url", None)
            source |= {"type": "base64", "media_type": image.media_type, "data": stand_in(image.payload)}
        return
    url = text if image is None else stand_in(image.url)
    name = "image_url" if "image_url" in json else "image"
    value = json[name]
    others = {other: told for other, told in value.items() if other != "url"} if type(value) is dict else {}
    if FLAT.get(json.get("type"), type(value) is not dict):
        json[name] = url
        for other in others.keys() - OWN:  # such as the detail; what would say something else beside it goes
            json.setdefault(other, others[other])
    else:
        json[name] = {"url": url, **others}
