"""AI calls in OpenAI's dialect: read what decides where a call goes, leave the rest of its body alone, relay it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from .. import keys
from ..app import App, Visit
from ..bodies import json_members, model_name
from ..call import COMPLETION, RESPONSE, SPEECH, Operation
from ..errors import BadRequest, MethodNotAllowed, ProxyError
from ..relay import LONG_BODY_BYTES, relay
from ..web.task import THREAD, Steps

if TYPE_CHECKING:
    from ..web.multipart import Form

Handler = Callable[[App, Visit], Steps]


def create(operation: Operation) -> Handler:
    """A handler for calls whose body is a JSON object."""

    def handler(app: App, visit: Visit) -> Steps:
        keys.check_use(visit.caller, operation.scope, visit.address)
        if len(visit.request.body) > LONG_BODY_BYTES:
            yield THREAD
        body = json_members(visit.request)
        model = model_name(body.values.get("model", operation.usual_model))
        check_members(operation, body.values)
        call = visit.call(operation, model, wants_stream(operation, body.values), members=body)
        if app.log.bodies:
            app.log.body(visit.id, "request", body.raw, visit.request.content_type)
        return (yield from relay(app, call))

    return handler


def upload(operation: Operation) -> Handler:
    """A handler for calls whose body is a form with files, which is sent on as it came."""

    def handler(app: App, visit: Visit) -> Steps:
        keys.check_use(visit.caller, operation.scope, visit.address)
        yield THREAD  # the form may lie on disk
        from ..forms import asks_stream, form_of, model_field  # most servers never see one

        form = form_of(visit.request)
        model = model_name(model_field(form))
        check_fields(operation, form)
        call = visit.call(operation, model, asks_stream(form), form=form)
        return (yield from relay(app, call))

    return handler


def refuse_websocket(app: App, visit: Visit) -> NoReturn:
    """`GET /v1/responses`: Codex tries a WebSocket first, and takes 426 alone as a reason to use POST at once."""
    if (visit.request.headers.get("upgrade") or "").lower() == "websocket":
        raise ProxyError(
            "WebSockets are not served here; use POST.",
            status=426,
            type="invalid_request_error",
            code="websocket_not_supported",
            headers={"upgrade": "HTTP/1.1", "connection": "upgrade"},  # RFC 9110 §7.8: the one goes with the other
        )
    raise MethodNotAllowed(
        "GET is not possible here; /v1/responses takes OPTIONS, POST.", headers={"allow": "OPTIONS, POST"}
    )


def check_members(operation: Operation, values: Mapping[str, Any]) -> None:
    nothing = (None,) if operation is COMPLETION else (None, "")  # what is before the cursor at the top of a file
    for member, code in operation.required.items():
        if values.get(member) in nothing or (member == "documents" and not values[member]):
            raise BadRequest(f"The body has no '{member}'.", code=code, param=member)
    if operation is RESPONSE and not any(
        values.get(member) for member in ("input", "prompt", "previous_response_id", "conversation")
    ):
        raise BadRequest("The body has no 'input'.", code="missing_input", param="input")


def check_fields(operation: Operation, form: Form) -> None:
    for field, code in operation.required.items():
        if not form.first(field):
            raise BadRequest(f"The form has no '{field}' field.", code=code, param=field)
    if not form.files:
        raise BadRequest("The form has no file.", code="missing_file", param="image")


def wants_stream(operation: Operation, values: Mapping[str, Any]) -> bool:
    stream = values.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise BadRequest(f"'stream' must be true or false, not {stream!r:.40}.", param="stream")
    if operation is SPEECH:
        return values.get("stream_format") == "sse"
    return bool(stream) and operation.may_stream
