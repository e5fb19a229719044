"""Transcription and translation: one recording in a form becomes a text.

Looked at before a provider is bothered: that there is one recording, of a size and a kind that can be taken, and how long it
lasts. All else in the form goes on as it came, be it a field that nobody here has heard of.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .. import keys
from ..app import App, Visit
from ..bodies import model_name
from ..call import Call, Operation
from ..errors import BadRequest, PayloadTooLarge, UnsupportedMediaType
from ..forms import asks_stream, form_of, model_field, one_file
from ..relay import relay
from ..web.multipart import FilePart, Form
from ..web.task import THREAD, Steps

MB = 1024 * 1024
NAME_CHARS = 100  # of a file, in a message


def hear(operation: Operation) -> Callable[[App, Visit], Steps]:
    """A handler for calls that send a recording and want words."""

    def handler(app: App, visit: Visit) -> Steps:
        keys.check_use(visit.caller, operation.scope, visit.address)
        yield THREAD  # the form may lie on disk
        form = form_of(visit.request)
        model = model_name(model_field(form))
        look = partial(with_length, form, app.config.settings.max_audio_mb)
        return (yield from relay(app, visit.call(operation, model, asks_stream(form), form=form, look=look)))

    return handler


def with_length(form: Form, most_mb: int, call: Call) -> Call:
    """The call with its recording looked at. Raises BadRequest, PayloadTooLarge, UnsupportedMediaType."""
    recording = one_file(form, "file")
    check_size(recording, most_mb)
    return call._replace(seconds=seconds_of(recording))


def check_size(recording: FilePart, most_mb: int) -> None:
    if not recording.size:
        raise BadRequest(
            f"The file {name_of(recording)} is empty (0 bytes). Send the recording itself.",
            code="missing_file",
            param="file",
        )
    if recording.size > most_mb * MB:
        raise PayloadTooLarge(
            f"The file {name_of(recording)} has {recording.size:,} bytes; at most {most_mb} MB ({most_mb * MB:,}) are taken. "
            "Send it in parts or compressed, or raise MAX_AUDIO_MB.",
            param="file",
        )


def seconds_of(recording: FilePart) -> float | None:
    """How long it lasts, if it tells. Raises UnsupportedMediaType for what neither by its name nor by its bytes can be one:
    names are often missing or made up, and some kinds of file begin in no way that could be told."""
    from ..media import audio  # with a reader for each container

    found = audio.inspect(recording.open(), recording.size)
    if found is not None:
        return found.seconds
    _, dot, extension = recording.filename.rpartition(".")
    if not dot or extension.lower() not in audio.EXTENSIONS:
        raise UnsupportedMediaType(
            f"The file {name_of(recording)} is no recording that is known here, neither by its name nor by its first bytes. "
            f"Send one of {', '.join(sorted(audio.EXTENSIONS))}.",
            param="file",
        )
    return None


def name_of(recording: FilePart) -> str:
    name = recording.filename
    return f"'{name if len(name) <= NAME_CHARS else f'{name[:NAME_CHARS]}…'}'"
