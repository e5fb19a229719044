"""Uploads as AI calls: what a form says, read so that no server behind us can read something else.

Servers differ in what they take for a field of some name (`Model`, `model[0]`, the first or the last of several). What decides
where a call goes, or what it costs, must be there once and by its plain name; all else in a form is none of our business.
"""

from __future__ import annotations

from urllib.parse import unquote

from .errors import BadRequest
from .web import multipart
from .web.multipart import FilePart, Form
from .web.request import Request

YES = frozenset({"true", "1", "yes", "on", "y", "t"})  # as pydantic reads a switch, and with it most servers
NO = frozenset({"false", "0", "no", "off", "n", "f", ""})


def form_of(request: Request) -> Form:
    """A request's form. Raises BadRequest (`invalid_multipart_data`)."""
    try:
        return multipart.parse_request(request)
    except multipart.FormError as error:
        raise BadRequest(error.message, code=error.code) from error


def model_field(form: Form) -> str | None:
    """The one field that names the model. Raises BadRequest when some server might read another part as that one."""
    likes = [part for part in form.parts if is_read_as(part.name, "model")]
    for part in likes:
        if len(likes) > 1 or part.name != "model" or part.value is None:
            raise BadRequest(
                "The form has several 'model' fields, a file of that name, or a name that some servers take for it; "
                "send one text as 'model'.",
                param="model",
            )
    return form.first("model")


def one_file(form: Form, name: str) -> FilePart:
    """The one file of that name. Raises BadRequest when there is none, or when some server might read another part as it."""
    likes = [part for part in form.parts if is_read_as(part.name, name)]
    if not likes:
        raise BadRequest(f"The form has no '{name}'. Send a file by that name.", code="missing_file", param=name)
    if len(likes) > 1 or likes[0].name != name:
        raise BadRequest(
            f"The form has several '{name}' parts, or a name that some servers take for it; send one file as '{name}'.",
            param=name,
        )
    if likes[0].filename is None:
        raise BadRequest(
            f"'{name}' came as a text, not as a file. Give its part a filename.", code="missing_file", param=name
        )
    return next(file for file in form.files if file.field == name)


def is_read_as(name: str, wanted: str) -> bool:
    """Whether anybody takes a field of this name for the wanted one: servers differ in letters' case, in lists (`model[0]`),
    blanks, backslashes and percent signs."""
    plain = unquote(name).replace("\\", "").partition("[")[0]
    return plain.strip(" \t\r\n\0\ufeff").casefold() == wanted


def asks_stream(form: Form) -> bool:
    """Whether a form asks for an event stream; what is neither yes nor no, the provider may judge."""
    return (form.first("stream") or "").strip().lower() in YES
