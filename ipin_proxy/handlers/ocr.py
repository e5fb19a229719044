"""The text in a picture: an upload, or JSON with a data URL, becomes a chat with a model that sees.

Looked at before a provider is bothered: that there is one document, of a size and a kind that can be read. What is made of it
depends on who reads it, so that is the dialect's affair (`dialects/ocr.py`).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from .. import keys
from ..app import App, Visit
from ..bodies import json_members, model_name
from ..call import IMAGE_PART, OCR, Call, Document, Picture
from ..errors import BadImage, BadRequest
from ..forms import form_of, model_field, one_file
from ..media import dataurls, images
from ..relay import relay
from ..web.members import BodyError, Members
from ..web.multipart import FilePart, Form
from ..web.task import THREAD, Steps

MB = 1024 * 1024
TAKEN = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", images.PDF})
HEADS = (64 * 1024, MB)  # how much of a file is looked at for its width and height, one after the other
MEMBERS = ("image", "file", "image_url")  # where a body in JSON may hold the document
# With parameters, as browsers' pages and mail programs write it; or by its first bytes, whatever it is called.
HEADER = r"(?i:data:{}(?:;[^,;]{{0,200}})*;base64,)"
PDF_URL = re.compile(rf"\s*(?:{HEADER.format(images.PDF)}|(?:{HEADER.format('[^,;]{0,200}')})?JVBERi0)")


def read(app: App, visit: Visit) -> Steps:
    """`POST /v1/ocr`: `{text, model, provider, usage}`."""
    keys.check_use(visit.caller, OCR.scope, visit.address)
    yield THREAD  # the form may lie on disk, and the JSON be long
    most_bytes = app.config.settings.max_image_mb * MB
    if visit.request.content_type == "multipart/form-data":
        form = form_of(visit.request)
        model, find = model_name(model_field(form)), partial(of_form, form, most_bytes)
    else:
        body = json_members(visit.request)
        model, find = model_name(body.values.get("model")), partial(of_json, body, most_bytes)
    return (yield from relay(app, visit.call(OCR, model, False, look=partial(with_document, find))))


def with_document(find: Callable[[], Document], call: Call) -> Call:
    """The call with the document that is to be read. Raises BadRequest."""
    document = find()
    return call._replace(pictures=(Picture(IMAGE_PART, document.place, document.size),), document=document)


def of_form(form: Form, most_bytes: int) -> Document:
    """The document of an upload. Raises BadRequest."""
    file = one_file(form, "file")
    if not file.size:
        raise BadRequest("The file is empty (0 bytes). Send the image itself.", code="missing_file", param="file")
    if file.size > most_bytes:
        raise at(images.too_large(file.size, most_bytes), "file")
    head, size = looked_at(file)
    media_type = check_type(images.identify(head), head, "file")
    return Document(media_type, "file", file, size, prompt_in(form.first("prompt")), file.filename)


def looked_at(file: FilePart) -> tuple[bytes, tuple[int, int] | None]:
    """The beginning of a file, and its width and height where that tells."""
    head, size = b"", None
    for most in HEADS:
        with file.open() as view:
            head = view.read(most)
        size = images.size_of(head)
        if size is not None or images.identify(head) != "image/jpeg" or len(head) < most:
            break
    return head, size


def of_json(body: Members, most_bytes: int) -> Document:
    """The document of a JSON body: a data URL, or the address of an image, which is not fetched. Raises BadRequest."""
    place = next((name for name in MEMBERS if body.values.get(name) is not None), None)
    if place is None:
        raise BadRequest(
            "The body has no 'image'. Send a data URL, or the image as a file in a form.",
            code="missing_file",
            param="image",
        )
    value, prompt = body.values[place], prompt_in(body.values.get("prompt"))
    if isinstance(value, dict):
        value, place = value.get("url"), f"{place}.url"
    if not isinstance(value, str):
        raise BadImage("An image must be a text: a data URL, or an http(s) address.", param=place)
    if PDF_URL.match(value):
        return pdf_in(body, place, prompt, most_bytes)
    try:
        image = dataurls.read_url(body.stretches(value), most_bytes)
    except BadImage as error:
        raise at(error, place) from error
    if image is None:
        return Document("", place, [value], None, prompt)
    return Document(check_type(image.media_type, b"", place), place, image.payload, image.size, prompt)


def pdf_in(body: Members, place: str, prompt: str | None, most_bytes: int) -> Document:
    """A PDF in a data URL, or in base64 alone."""
    try:
        value: Any = body.full()
        for name in place.split("."):
            value = value[name]
        payload = "".join(value.rpartition(",")[2].split())
        if len(payload) * 3 // 4 > most_bytes + 2:
            raise at(images.too_large(len(payload) * 3 // 4, most_bytes), place)
        head = base64.b64decode(payload, validate=True)[:1024]
    except BodyError as error:
        raise BadRequest(error.message, code="invalid_json") from error
    except ValueError as error:
        raise BadImage("The PDF is no base64, or it is cut short.", param=place) from error
    if images.identify(head) != images.PDF:
        raise BadImage(f"This is no PDF: it begins with {head[:8]!r}.", param=place)
    return Document(images.PDF, place, [payload], None, prompt)


def check_type(media_type: str | None, head: bytes, place: str) -> str:
    """The type of a document, if it is one that is read. Raises BadImage."""
    if media_type in TAKEN:
        return media_type
    if media_type is None:
        raise at(images.no_image(head), place)
    raise BadImage(f"Text is read from PNG, JPEG, WebP, GIF or PDF, not from {media_type}.", param=place)


def prompt_in(given: Any) -> str | None:
    """What the caller wants to be asked of the image, instead of the usual. Raises BadRequest."""
    if given is None or given == "":
        return None
    if not isinstance(given, str):
        raise BadRequest("'prompt' must be a text: what to ask of the image.", param="prompt")
    return given


def at(error: BadImage, place: str) -> BadImage:
    error.param = place
    return error
