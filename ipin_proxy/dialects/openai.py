"""OpenAI's wire format towards providers: the hub, and the common case, where bytes pass through as they came.

URL, headers and body of a request; errors in the many shapes that providers write them. Streams are looked at in passing
(openai_stream.py) and otherwise left alone; what callers read is openai_client.py's.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import Generator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from .. import __version__, queries
from ..call import (
    CHAT,
    COMPLETION,
    EMBEDDING,
    HEARING,
    IMAGE,
    IMAGE_EDIT,
    MESSAGE,
    RESPONSE,
    SPEECH,
    Bill,
    Call,
    Deployment,
    Operation,
)
from ..connections import Origin
from ..errors import DO_NOT_RETRY, BadRequest, ProxyError, UpstreamError, UpstreamRefused
from ..manners import Manners
from ..meter import usage_of
from ..prices import WITHOUT_ANSWER
from ..records import SENSITIVE_NAME, Provider
from ..upstream import Content, FileRange, Heard, Outbound, Piece, Reply
from ..web import members
from ..web.response import JSON_TYPE, STREAM_TYPE, Pipe
from ..web.sse import FRAME_END, parse_event
from . import vision
from .bases import split_base
from .openai_stream import StreamTap, events_of_completion, events_of_pictures, events_of_response
from .passage import Sounds

if TYPE_CHECKING:
    from .translation import Decoding

USER_AGENT = f"ipin-proxy/{__version__}"
# What of a caller's headers a provider may need to see.
FORWARDED_HEADERS = ("openai-beta", "idempotency-key", "http-referer", "x-title", "x-openrouter-title")
# What of an upstream's error headers tells the caller when to come back.
RETRY_HEADERS = ("retry-after", "retry-after-ms", "x-should-retry")
NO_QUOTA = "insufficient_quota"  # the account is used up, and waiting does not cure that
STATUS_TYPES = {402: NO_QUOTA, 408: "timeout", 429: "rate_limit_error"}
# Types and codes of errors that concern our key and not the caller's.
NOT_FOR_CALLERS = frozenset({"authentication_error", "invalid_api_key", "permission_error"})
MESSAGE_CHARS = 2000
LOOKED_AT_CHARS = 2 * MESSAGE_CHARS  # of an upstream's message, which may be megabytes

# What stands for an event stream when a provider forgets to say so.
BYTES_TYPE = "application/octet-stream"
VAGUE_TYPES = frozenset({STREAM_TYPE, "", "text/plain", BYTES_TYPE, "application/x-ndjson"})
BINARY_OPERATIONS = (SPEECH, IMAGE, IMAGE_EDIT)
# One of these is in every request with reasoning that our own answers gave: its seal, or its id.
OURS = (b'"ipin1.', b'"rs_')
USAGE_MEMBER = re.compile(rb"stream_options|include_usage")

decode_json = json.JSONDecoder().decode  # what `loads` comes to after a look at its many arguments

# What an answer has, whichever it is.
ANSWER_MEMBERS = frozenset({"choices", "chunks", "data", "output", "results", "segments", "text", "transcription"})
# And where that of an operation is.
ANSWERS = {CHAT: "choices", COMPLETION: "choices", EMBEDDING: "data", RESPONSE: "output"}


class Upstream:
    """What OpenAI-compatible providers are told and answer."""

    rewrites = False

    def native_for(self, operation: Operation) -> Upstream | None:
        return None if operation is MESSAGE else self

    def requests(
        self, call: Call, deployment: Deployment, manners: Manners, number: int
    ) -> Generator[Outbound, Heard, None]:
        """Some older servers refuse `stream_options`, which the caller may not even have sent: once more without, and
        remembered."""
        if call.operation is EMBEDDING:
            from . import embeddings

            yield from embeddings.requests(partial(self.encode_request, ask_usage=False), call, deployment, manners)
            return
        ask_usage = wants_usage(call, deployment, manners)
        heard = yield self.encode_request(call, deployment, ask_usage=ask_usage)
        if ask_usage and heard.status in (400, 422) and USAGE_MEMBER.search(heard.body):
            manners.refuses(deployment.provider, {"stream_options"})
            again = yield self.encode_request(call, deployment, ask_usage=False)
            if again.status == heard.status:  # what was asked had only been repeated in it
                manners.takes(deployment.provider, {"stream_options"})

    def replies_of(self, call: Call) -> int:
        return 1

    def encode_request(
        self, call: Call, deployment: Deployment, *, ask_usage: bool, less: str | None = None
    ) -> Outbound:
        provider = deployment.provider
        if call.pictures:
            vision.check_sizes(call.pictures, deployment.upstream_model, call.shown_model)
        origin, path, headers = way_to(deployment, call.operation.path)
        given = call.request.headers
        for name in FORWARDED_HEADERS:
            if name in given:
                headers.setdefault(name, given[name])
        # Whatever a caller called its JSON (curl says it is a form); of an upload the header holds the boundary.
        media_type = given.get("content-type") if call.form is not None else None
        headers["content-type"] = media_type or JSON_TYPE
        headers["accept"] = "text/event-stream" if call.wants_stream else "*/*"
        changes: dict[str, Any] = {}
        if call.model != deployment.upstream_model:
            changes["model"] = deployment.upstream_model
        if ask_usage:
            changes["stream_options"] = {**(call.member("stream_options") or {}), "include_usage": True}
        if less is not None:
            changes[less] = members.REMOVE
        if call.operation is RESPONSE and call.members is not None and any(each in call.request.body for each in OURS):
            from .responses_messages import without_ours  # of a conversation that a model who only chats had a part in

            changes |= without_ours(call.members.values, partial(whole_string, call.members))
        body = body_of(call, changes)
        return Outbound(provider.id, origin, "POST", path, headers, body, deployment.timeout_s)

    def decode_error(self, reply: Reply, body: bytes, deployment: Deployment) -> ProxyError:
        """The provider's refusal in our words where it concerns our key, else in its own."""
        provider = deployment.provider
        if reply.status in (401, 403):
            return UpstreamError(
                f"Provider '{provider.id}' did not accept its API key (status {reply.status}). "
                "An administrator has to correct the key of this provider.",
                code="upstream_auth_failed",
                headers=DO_NOT_RETRY,
            )
        if not 400 <= reply.status <= 599:
            what = "a redirect, which is not followed" if reply.status < 400 else f"status {reply.status}"
            return UpstreamError(f"Provider '{provider.id}' answered with {what}; its base URL may be wrong.")
        told = error_told(body, reply.media_type)
        headers = {name: value for name in RETRY_HEADERS if (value := reply.headers.get(name)) is not None}
        headers.update((name, value) for name, value in reply.headers.items() if name.startswith("x-ratelimit-"))
        if reply.status == 429 and NO_QUOTA in (told.get("type"), told.get("code")):
            headers = {**DO_NOT_RETRY, **headers}  # else clients obey a retry-after of a month, or try for minutes
        message = clean_message(told.get("message"), deployment)
        return UpstreamRefused(
            message or f"Provider '{provider.id}' answered with status {reply.status} and no message.",
            status=reply.status,
            type=word(told.get("type"), deployment) or STATUS_TYPES.get(reply.status) or default_type(reply.status),
            code=word(told.get("code"), deployment)
            or ("" if message or reply.status < 500 else wordless_code(reply.status)),
            param=word(told.get("param"), deployment) or None,
            headers=headers,
        )

    def pipe_of(self, reply: Reply, bill: Bill, deployment: Deployment) -> tuple[str, Pipe] | None:
        operation = bill.call.operation
        is_stream = reply.media_type == STREAM_TYPE if operation in HEARING else reply.media_type in VAGUE_TYPES
        if operation in BINARY_OPERATIONS and reply.media_type == BYTES_TYPE:
            is_stream = False  # sounds or a picture, from who draws and speaks only as a whole
        if bill.call.wants_stream and is_stream:
            return STREAM_TYPE, self.decode_stream(bill, deployment)
        if operation in BINARY_OPERATIONS and reply.media_type not in (JSON_TYPE, STREAM_TYPE):
            raises = partial(raise_if_error, deployment=deployment)
            return reply.headers.get("content-type") or BYTES_TYPE, Sounds(bill, raises)
        return None

    def decode_body(self, contents: Sequence[Content], bill: Bill, deployment: Deployment) -> Content:
        """A whole JSON reply: usage is read, an error in a 200 is raised, and the caller gets the form asked for:
        embeddings as base64, a stream's worth of events."""
        call, body = bill.call, contents[0].body
        if call.operation in HEARING:
            from . import hearing

            return hearing.transcript_of(contents[0], bill, deployment)
        if call.operation is EMBEDDING:
            from . import embeddings  # not every house has such models

            reply, body = embeddings.reply_of(body, deployment, packs=call.asks_base64)
        else:
            reply = json_reply(body, deployment)
        raise_if_error(reply, deployment)
        bill.used(usage_of(reply, writes=call.operation not in WITHOUT_ANSWER))
        bill.finish_reason = first_finish_reason(reply)
        raise_if_no_answer(call, reply, deployment)
        try:
            if call.wants_stream and call.operation in (CHAT, COMPLETION):
                return Content(STREAM_TYPE, events_of_completion(json.loads(body), with_usage=call.asks_usage))
            if call.wants_stream and call.operation is RESPONSE:
                return Content(STREAM_TYPE, events_of_response(json.loads(body)))
            if call.wants_stream and call.operation in (IMAGE, IMAGE_EDIT):
                return Content(STREAM_TYPE, events_of_pictures(json.loads(body), call.operation))
        except (ValueError, TypeError, RecursionError) as error:
            provider = deployment.provider.id
            raise UpstreamError(f"Provider '{provider}' answered with a body of a shape nobody knows.") from error
        return Content(JSON_TYPE, body)

    def decode_stream(self, bill: Bill, deployment: Deployment) -> Pipe:
        return StreamTap(bill, deployment, raise_if_told)

    def decoding(self, call: Call, bill: Bill, deployment: Deployment) -> Decoding:
        from .openai_chunks import decoding

        return decoding(bill, deployment, raise_if_told)

    def completion(self, call: Call, content: Content, bill: Bill, deployment: Deployment) -> dict[str, Any]:
        reply = json_reply(content.body, deployment, whole=True)
        raise_if_error(reply, deployment)
        bill.used(usage_of(reply))
        bill.finish_reason = first_finish_reason(reply)
        raise_if_no_answer(call, reply, deployment)
        return reply

    def list_request(self, deployment: Deployment, after: str = "") -> Outbound:
        """What asks for the list of models; where that comes in pages, for the one behind the model `after`."""
        provider = deployment.provider
        origin, path = endpoint(provider, "/models")
        headers = {**credentials(provider, deployment.secret), "accept": JSON_TYPE}
        return Outbound(provider.id, origin, "GET", path, headers, (), deployment.timeout_s)


def wants_usage(call: Call, deployment: Deployment, manners: Manners) -> bool:
    """Whether to ask for a stream's usage on the caller's behalf."""
    if not call.wants_stream or call.operation not in (CHAT, COMPLETION) or call.asks_usage:
        return False
    if not isinstance(call.member("stream_options") or {}, dict):
        return False  # what it is, the provider may say
    allowed = deployment.provider.include_usage
    return allowed if allowed is not None else "stream_options" not in manners.refused_by(deployment.provider)


def body_of(call: Call, changes: dict[str, Any]) -> Sequence[Piece]:
    """The caller's body byte for byte, with nothing but `changes` changed."""
    if call.members is not None:
        try:
            return call.members.pieces(changes)
        except members.BodyError as error:
            raise BadRequest(error.message, code="invalid_json") from error
    assert call.form is not None
    from ..web.multipart import FormError  # is here already where there is a form

    try:
        segments = call.form.segments({name: str(value) for name, value in changes.items()})
    except FormError as error:
        raise BadRequest(f"{error.message} Choose another boundary.", code=error.code) from error
    return [each if isinstance(each, bytes) else FileRange(call.form.source, *each) for each in segments]


def whole_string(body: members.Members, text: str) -> str:
    """A string of a body with what was left out of it."""
    return "".join(each if isinstance(each, str) else str(bytes(each), "ascii") for each in body.stretches(text))


def json_reply(body: bytes, deployment: Deployment, *, whole: bool = False) -> dict[str, Any]:
    """A reply's members; in a long one without the insides of very long strings, which are pictures, unless it is wanted
    `whole`."""
    try:
        reply = (
            members.parse(body).values
            if len(body) > members.HOLLOW_FROM and not whole
            else decode_json(str(body, "utf-8").removeprefix("\ufeff"))
        )
    except (ValueError, RecursionError):
        reply = None
    if not isinstance(reply, dict):
        raise UpstreamError(f"Provider '{deployment.provider.id}' answered with a body that is not a JSON object.")
    return reply


def raise_if_error(body: Any, deployment: Deployment) -> None:
    """OpenRouter and others answer 200 with an error inside; SDKs would take it for a completion without choices."""
    if not isinstance(body, dict) or not is_error(body):
        return
    if body.get("object") == "response" and body.get("status") != "failed":
        return
    message = clean_message(error_of(body).get("message"), deployment)
    raise UpstreamError(message or f"Provider '{deployment.provider.id}' answered with an error and no message.")


def raise_if_told(body: Any, deployment: Deployment) -> None:
    """The same of what is told inside a stream, with the provider's own type and code where these are words: no status says
    there what they say, such as that a quota is used up."""
    try:
        raise_if_error(body, deployment)
    except UpstreamError as error:
        told = error_of(body)
        kind, code = (name if isinstance(name := told.get(each), str) else "" for each in ("type", "code"))
        if NOT_FOR_CALLERS.isdisjoint((kind, code)):
            error.type, error.code = word(kind, deployment) or error.type, word(code, deployment) or error.code
            error.param = word(told.get("param"), deployment) or None
        raise


def is_error(body: dict[str, Any]) -> bool:
    """OpenAI's shape, vLLM's flat one, FastAPI's; a word such as `detail` may also stand beside an answer."""
    if body.get("error") or body.get("object") == "error":
        return True
    return bool(body.get("detail")) and not ANSWER_MEMBERS & body.keys()


def raise_if_no_answer(call: Call, reply: dict[str, Any], deployment: Deployment) -> None:
    """SDKs take whatever has the status 200 for an answer, and fail where they look into it."""
    member = ANSWERS.get(call.operation)
    if member is None:
        if call.operation in (IMAGE, IMAGE_EDIT) and "data" in reply and not reply["data"]:  # others have it elsewhere
            raise UpstreamError(f"Provider '{deployment.provider.id}' answered without a picture.")
        return
    rows = reply.get(member)
    if not isinstance(rows, list) or not (rows or call.operation is RESPONSE):  # of which some are only begun
        raise UpstreamError(f"Provider '{deployment.provider.id}' answered without an answer: it has no {member}.")
    if rows and isinstance(rows[0], dict) and rows[0].get("error"):
        raise_if_error({"error": rows[0]["error"]}, deployment)


def first_finish_reason(reply: dict[str, Any]) -> str:
    choices = reply.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    reason = first.get("finish_reason") if isinstance(first, dict) else None
    return reason if isinstance(reason, str) else ""


# -- where ----------------------------------------------------------------------------------------------------------


def way_to(deployment: Deployment, path: str) -> tuple[Origin, str, dict[str, str]]:
    """The endpoint behind `path`, and a copy of what every request to it carries, which are found out once."""
    known = deployment.memo.get(path)
    if known is None:
        provider = deployment.provider
        known = deployment.memo[path] = (*endpoint(provider, path), credentials(provider, deployment.secret))
    origin, at, headers = known
    return origin, at, headers.copy()


def endpoint(provider: Provider, path: str) -> tuple[Origin, str]:
    """Where a provider's `path` (behind `/v1`) is: the origin, and the path with the base URL's query."""
    origin, base, query = split_base(provider.base_url, provider.ca_file or "", provider.verify)
    return origin, f"{base}{path}?{query}" if query else base + path


def credentials(provider: Provider, secret: str | None) -> dict[str, str]:
    """The headers every request to a provider carries. What the administrator wrote wins over what we would send."""
    headers = {"user-agent": USER_AGENT, "accept-encoding": "identity"}
    if secret and provider.auth == "bearer":
        headers["authorization"] = f"Bearer {secret}"
    elif secret and provider.auth == "basic":
        headers["authorization"] = "Basic " + base64.b64encode(secret.encode()).decode()
    elif secret and provider.auth.startswith("header:"):
        headers[provider.auth[7:].lower()] = secret
    for name, value in provider.headers.items():
        headers[name.lower()] = value
    return headers


# -- errors ---------------------------------------------------------------------------------------------------------


def error_told(body: bytes, media_type: str) -> dict[str, Any]:
    """The error in a refusal's body, whatever shape it has; {} for HTML and other pages, which are never passed on."""
    if (begin := body.lstrip()).startswith((b"data:", b"event:")):  # who was asked for a stream may refuse in one
        body = parse_event(FRAME_END.split(begin, 1)[0]).data or body
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        text = body[: 8 * LOOKED_AT_CHARS].decode("utf-8", "replace").strip()  # more than is looked at in any script
        return {"message": text} if media_type == "text/plain" and not text.startswith("<") else {}
    return error_of(value)


def error_of(value: Any) -> dict[str, Any]:
    """message, type, param and code out of OpenAI's, vLLM's flat, Gemini's array, FastAPI's, Ollama's, Anthropic's, Mistral's,
    Cloudflare's `errors`, Hugging Face's list of texts."""
    if isinstance(value, list):
        value = value[0] if value else {}
    if isinstance(value, str):
        return {"message": value}
    if not isinstance(value, dict):
        return {}
    error = value.get("error")
    several = error or value.get("errors")
    if isinstance(several, list):
        error = several[0] if several else None
    if isinstance(error, dict):
        metadata = error.get("metadata")
        raw = metadata.get("raw") if isinstance(metadata, dict) else None
        message = error.get("message")
        if message == "Provider returned error" and isinstance(raw, str):
            message = f"{message}: {raw}"  # OpenRouter; what was meant stands behind it
        return {**error, "message": message_text(message), "type": error.get("type") or error.get("status")}
    if isinstance(error, str):
        return {**value, "message": message_text(value.get("message")) or error}
    if "detail" in value:
        return {"message": message_text(value["detail"])}
    return {**value, "message": message_text(value.get("message"))}


def message_text(told: Any) -> str:
    """A message as a text; "" where there is none to be made of it."""
    with contextlib.suppress(RecursionError):  # what could just be read may be too deep to be written
        return "" if told is None else detail_text(told)
    return ""


def detail_text(detail: Any) -> str:
    """FastAPI's `detail`: a text, an object with a message, or a list of validation errors with their place."""
    if isinstance(detail, list):
        return "; ".join([detail_text(row) for row in detail if isinstance(row, (dict, str))])
    if not isinstance(detail, dict):
        return str(detail)
    if "msg" in detail:
        place = detail.get("loc")  # `body.messages.0`: the way to a value that was refused
        return f"{'.'.join(map(str, place)) if isinstance(place, list) else place or ''}: {detail['msg']}"
    message = detail.get("message")
    if isinstance(message, str) and message:
        return message
    return detail_text(detail["detail"]) if "detail" in detail else json.dumps(detail)


def clean_message(told: Any, deployment: Deployment) -> str:
    """An upstream's message without our credentials and its host, and no longer than a message should be."""
    host, secrets = endpoint(deployment.provider, "")[0].host, secrets_of(deployment.provider, deployment.secret)
    message = beginning(told, [*secrets, *filter(None, [host])]) if isinstance(told, str) else ""
    for secret in secrets:
        message = message.replace(secret, "[key]")
    if host:
        name = re.escape(host)
        if "." not in host:  # on a network of one's own it is a word, such as "model", which may be a part of others
            name = rf"(?<!\w){name}(?!\w)"
        message = re.sub(rf"(?:https?://)?{name}(?::\d+)?", "[provider]", message, flags=re.IGNORECASE)
    return message[:MESSAGE_CHARS]


def tells_secrets(value: Any, deployment: Deployment) -> bool:
    """Whether JSON of an upstream holds our credentials or its host anywhere: what is not looked through word by word."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return True
    known = secrets_of(deployment.provider, deployment.secret)
    secrets = [json.dumps(each, ensure_ascii=False)[1:-1] for each in known]
    host = endpoint(deployment.provider, "")[0].host
    return any(each in text for each in secrets) or bool(host and host.lower() in text.lower())


def beginning(message: str, whole: Sequence[str]) -> str:
    """What of a message is looked at. The cut goes through none of the texts that must be found whole to be replaced."""
    cut = LOOKED_AT_CHARS
    while (
        at := max((message.find(text, max(0, cut - len(text) + 1), cut + len(text) - 1) for text in whole), default=-1)
    ) >= 0:
        cut = at
    return message[:cut]


def secrets_of(provider: Provider, secret: str | None) -> list[str]:
    """Every form in which a provider has seen our credentials, the longest first: one may be a part of another."""
    secret = secret or ""
    found = [secret, *(value for name, value in provider.headers.items() if SENSITIVE_NAME.search(name))]
    if provider.auth == "basic":
        found += [base64.b64encode(secret.encode()).decode(), secret.partition(":")[2]]
    long = [each for each in found if len(each) >= queries.SECRET_CHARS]
    return sorted(long + queries.secrets_of(provider.base_url), key=len, reverse=True)


def wordless_code(status: int) -> str:
    """What a failure is called that came with a page, or with nothing."""
    return "upstream_timeout" if status == 504 else "upstream_invalid_response"


def default_type(status: int) -> str:
    return "invalid_request_error" if status < 500 else "upstream_error"


def word(told: Any, deployment: Deployment) -> str:
    """An upstream's `type`, `code` or `param`, which may be a number, and may hold what a message may not; "" for none."""
    is_number = isinstance(told, int) and not isinstance(told, bool)
    return clean_message(str(told) if is_number else told, deployment)
