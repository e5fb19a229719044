"""The images and videos of a call: whether its model takes them, and whether they are any.

In this order: a caller who may not use a model hears of that first, one whose model does not see hears that, and only
then is an image looked at (`media/`). What is as it should be goes out as it came. Where an image had to be put right, the
member it is in is written anew and nothing else; videos, and what is only an address, are not looked into.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .call import IMAGE_PART, VIDEO_PART, Call, Picture
from .dialects import parts, vision
from .errors import BadImage, BadRequest
from .records import Model
from .web.members import BodyError, Members

if TYPE_CHECKING:
    from .media import dataurls

MB = 1024 * 1024
CODES = {IMAGE_PART: "image_upload_not_supported", VIDEO_PART: "video_upload_not_supported"}
FLAGS = {IMAGE_PART: "supportsImageUpload", VIDEO_PART: "supportsVideoUpload"}
WORDS = {IMAGE_PART: "images", VIDEO_PART: "videos"}


def refused_by(model: Model, shown: Sequence[parts.Part | Picture]) -> parts.Part | Picture | None:
    """The first of these that is of a kind the model does not take."""
    refused = {kind for kind in {each.kind for each in shown} if vision.takes(model, kind) is False}
    return next((each for each in shown if each.kind in refused), None)


def check_kinds(call: Call, model: Model, shown: Sequence[parts.Part | Picture]) -> None:
    """Raises BadRequest for what the model does not take."""
    part = refused_by(model, shown)
    if part is not None and call.document is not None:
        raise BadRequest(
            f"The model '{call.shown_model}' does not look at images, so it cannot read them.",
            code=CODES[part.kind],
            param="model",
        )
    if part is not None:
        raise BadRequest(
            f"The model '{call.shown_model}' does not take {WORDS[part.kind]}. Choose one that does (GET /v1/models says "
            f"which), or leave this out. If it does, an administrator can say so with {FLAGS[part.kind]}.",
            code=CODES[part.kind],
            param=part.place,
        )


def looked_at(call: Call, shown: Sequence[parts.Part], most_mb: int) -> Call:
    """The call with its images looked at, and put right where they had to be. Raises BadImage."""
    members = call.members
    assert members is not None  # or there would be no parts
    pictures: list[Picture] = []
    changed: set[str] = set()
    for part in shown:
        if part.kind != IMAGE_PART or (sent := parts.sent(part)) is None:
            pictures.append(Picture(part.kind, part.place))
            continue
        image = read(members, sent, most_mb * MB)
        pictures.append(Picture(part.kind, sent.place, image.size if image is not None else None))
        if not sent.usual or (image is not None and not image.sound):
            parts.write(part, sent.text, image, members.stand_in)
            changed.add(part.member)
    try:
        members.amend(*changed)
    except BodyError as error:
        raise BadRequest(error.message, code="invalid_json") from error
    return call._replace(pictures=tuple(pictures))


def read(members: Members, sent: parts.Sent, most_bytes: int) -> dataurls.Image | None:
    """The image in a part; None when it is at an address. Raises BadImage, which names the part."""
    from .media import dataurls  # only where somebody shows something

    text = members.stretches(sent.text)
    try:
        if sent.declared is None or sent.is_data_url:
            return dataurls.read_url(text, most_bytes)
        return dataurls.read_base64(text, sent.declared, most_bytes)
    except BadImage as error:
        error.param = sent.place
        raise
