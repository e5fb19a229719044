"""Anthropic's Messages API as an upstream, under the chat hub.

Where it is and how it wants its key; what to try when a model refuses what others take; and its answers, streams and errors, which
rooms beside this one put into OpenAI's words. It chats, and reads what is in pictures: what else is asked for is refused before
anybody is bothered.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Generator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ..call import CHAT, COUNT, MESSAGE, RESPONSE, Bill, Call, Deployment, Operation
from ..errors import DO_NOT_RETRY, BadRequest, ProxyError, Unsupported, UpstreamError, UpstreamRefused
from ..manners import Manners
from ..meter import usage_of
from ..upstream import Content, Heard, Outbound, Piece, Reply
from ..web.members import BodyError, Members
from ..web.response import JSON_TYPE, STREAM_TYPE, Pipe
from . import openai, refusals, vision
from .anthropic_native import MessagesTap, events_of
from .anthropic_ocr import question_about, text_read
from .anthropic_parts import is_thought
from .anthropic_reply import ERRORS, NO_CREDIT, TOO_LONG, Asked, completion_of
from .anthropic_request import THOUGHTS, Traits, encode_request
from .anthropic_stream import Message, decode_stream
from .anthropic_thoughts import MISSING, REFUSAL, is_unsigned, thoughtless, without_thoughts
from .openai_stream import KEEP_ALIVE, events_of_completion
from .translation import Decoding, Translation, encode_stream

Json = dict[str, Any]

PATH = "/messages"
VERSION = "2023-06-01"  # which all servers of this format know, and all models but for what they refuse
FIRST_WITHOUT_SAMPLING = "2026-10-21"  # an administrator may have set a later version
VERSION_HEADER, BETA_HEADER = "anthropic-version", "anthropic-beta"
HOME = re.compile(r"(?:.+\.)?anthropic\.com")
SIGN_IN_TOKEN = "sk-ant-oat"  # of a person, which goes nowhere but into Authorization
PAGE_SIZE = 1000

MOST_TRIES = 4
REFUSAL_CHARS = 300  # longer ones repeat what a caller sent, and nothing is to be learned from that
MOST_TOKENS = re.compile(r"max_tokens: *\d+ *> *(\d{1,9})\b")
UNSIGNED = "unsigned thoughts"
SAMPLING = ("temperature", "top_p", "top_k")
REFUSABLE = {  # what a refusal may be about, and how that is seen
    **{name: re.compile(rf"\b{name}\b") for name in SAMPLING},
    "thinking": re.compile(r"\bthinking\b|\badaptive\b"),
    "output_config": re.compile(r"\boutput_config\b|\boutput_format\b|\beffort\b"),
}
# How it is said that something is not wanted at all; a value that is wrong is the caller's.
UNWANTED = re.compile(
    r"not (?:be )?(?:supported|permitted|allowed|available|compatible)|unsupported|deprecated|n[o']t support|cannot both"
    r"|no longer|unknown|unrecognized",
    re.IGNORECASE,
)


class Upstream(openai.Upstream):
    """What Anthropic, and whoever speaks as it does, is told and answers."""

    rewrites = True

    def native_for(self, operation: Operation) -> openai.Upstream | None:
        return Native() if operation is MESSAGE else None if operation is RESPONSE else self

    def requests(
        self, call: Call, deployment: Deployment, manners: Manners, number: int
    ) -> Generator[Outbound, Heard, None]:
        vision.check_sizes(call.pictures, deployment.upstream_model, call.shown_model)
        if call.document is not None:
            return once(outbound(question_about(call.document, deployment.upstream_model), call, deployment))
        if call.operation is not CHAT or call.members is None:
            raise Unsupported(
                f"Provider '{deployment.provider.id}' only chats. Use /v1/chat/completions, or a model of another provider.",
                param="model",
            )
        return attempts(call.members.values, call.members, call, deployment, manners)

    def decode_error(self, reply: Reply, body: bytes, deployment: Deployment) -> ProxyError:
        error = super().decode_error(reply, body, deployment)
        return in_our_words(error) if isinstance(error, UpstreamRefused) else error

    def pipe_of(self, reply: Reply, bill: Bill, deployment: Deployment) -> tuple[str, Pipe] | None:
        if bill.call.wants_stream and reply.media_type in openai.VAGUE_TYPES:
            return STREAM_TYPE, self.decode_stream(bill, deployment)
        return None

    def decode_body(self, contents: Sequence[Content], bill: Bill, deployment: Deployment) -> Content:
        if bill.call.document is not None:
            reply = openai.json_reply(contents[0].body, deployment, whole=True)
            openai.raise_if_error(reply, deployment)
            bill.used(usage_of(reply))
            return Content(JSON_TYPE, json.dumps(text_read(reply, deployment)).encode())
        completion = self.completion(bill.call, contents[0], bill, deployment)
        if bill.call.wants_stream:
            return Content(STREAM_TYPE, events_of_completion(completion, with_usage=bill.call.asks_usage))
        return Content(JSON_TYPE, json.dumps(completion).encode())

    def decode_stream(self, bill: Bill, deployment: Deployment) -> Pipe:
        return translated(asked_by(bill.call, deployment), bill, deployment)

    def decoding(self, call: Call, bill: Bill, deployment: Deployment) -> Decoding:
        return decoding(asked_by(call, deployment)._replace(usage=True), bill, deployment)

    def completion(self, call: Call, content: Content, bill: Bill, deployment: Deployment) -> Json:
        reply = openai.json_reply(content.body, deployment, whole=True)
        openai.raise_if_error(reply, deployment)
        bill.used(usage_of(reply))
        completion = completion_of(reply, asked_by(call, deployment), deployment.provider.id)
        bill.finish_reason = openai.first_finish_reason(completion)
        return completion

    def list_request(self, deployment: Deployment, after: str = "") -> Outbound:
        """Its list of models comes in pages."""
        request = super().list_request(deployment)
        query = f"limit={PAGE_SIZE}" + (f"&after_id={quote(after, safe='')}" if after else "")
        path = f"{request.path}{'&' if '?' in request.path else '?'}{query}"
        headers = {**headers_to(deployment), "accept": JSON_TYPE}
        return request._replace(path=path, headers=headers)


class Native(Upstream):
    """The same for callers who speak Messages themselves: bytes pass, but for the name of the model."""

    rewrites = False

    def requests(
        self, call: Call, deployment: Deployment, manners: Manners, number: int
    ) -> Generator[Outbound, Heard, None]:
        vision.check_sizes(call.pictures, deployment.upstream_model, call.shown_model)
        changes: Json = {"model": deployment.upstream_model} if call.model != deployment.upstream_model else {}
        return natively(changes, call, deployment, manners)

    def decode_error(self, reply: Reply, body: bytes, deployment: Deployment) -> ProxyError:
        """Its own type and whatever else it says stay as they are: that is what these clients know."""
        error = openai.Upstream.decode_error(self, reply, body, deployment)
        return in_their_words(error, openai.error_told(body, reply.media_type), deployment)

    def decode_body(self, contents: Sequence[Content], bill: Bill, deployment: Deployment) -> Content:
        body = contents[0].body
        reply = openai.json_reply(body, deployment, whole=bill.call.wants_stream)
        openai.raise_if_error(reply, deployment)
        bill.used(usage_of(reply))
        completion = completion_of(reply, asked_by(bill.call, deployment), deployment.provider.id)
        bill.finish_reason = openai.first_finish_reason(completion)
        if bill.call.wants_stream:
            try:
                return Content(STREAM_TYPE, events_of(reply))
            except (ValueError, TypeError, RecursionError) as error:
                provider = deployment.provider.id
                raise UpstreamError(f"Provider '{provider}' answered with a body of a shape nobody knows.") from error
        return Content(JSON_TYPE, body)

    def decode_stream(self, bill: Bill, deployment: Deployment) -> Pipe:
        return MessagesTap(bill, lambda event: in_their_words(error_in(event, deployment), event, deployment))


def natively(changes: Json, call: Call, deployment: Deployment, manners: Manners) -> Generator[Outbound, Heard, None]:
    """The caller's bytes; where thoughts in them are refused, without those that nobody has signed, which is remembered of the
    model, and then without any: some are signed by somebody else."""
    values = call.members.values if call.members is not None else {}
    place = at_model(UNSIGNED, deployment)
    is_known = place in manners.refused_by(deployment.provider)
    less = thoughtless(values, is_unsigned) if is_known else {}
    heard = yield outbound(openai.body_of(call, {**changes, **less}), call, deployment)
    for is_refused in (is_unsigned, is_thought):
        message = openai.error_told(heard.body, JSON_TYPE).get("message") if heard.status == 400 else None
        if not isinstance(message, str) or not is_about_thoughts(message):
            return
        further = thoughtless(values, is_refused)
        if further == less:
            continue  # it was told so
        if not is_about_thoughts(refusals.without_echoes(message, values, REFUSAL, MISSING)):
            return
        if is_refused is is_unsigned and "messages" in further:
            manners.refuses(deployment.provider, {place})
        less = further
        heard = yield outbound(openai.body_of(call, {**changes, **less}), call, deployment)


def is_about_thoughts(message: str) -> bool:
    return REFUSAL.search(message) is not None or MISSING.search(message) is not None


def in_their_words(error: ProxyError, told: Json, deployment: Deployment) -> ProxyError:
    if not isinstance(error, UpstreamRefused):
        return error
    told = openai.error_of(told)
    kind = openai.word(told.get("type"), deployment)
    more = told.get("details")
    error.details = {"type": kind} if kind in ERRORS else {}
    if type(more) is dict and not openai.tells_secrets(more, deployment):
        error.details["details"] = more
    return error


def attempts(
    hub: Mapping[str, Any], members: Members, call: Call, deployment: Deployment, manners: Manners
) -> Generator[Outbound, Heard, None]:
    """A chat in the hub's words: the request, and after a refusal the same without what was refused, which is remembered of
    the model. `members` is the body it was made of, in which its long strings lie."""
    provider = deployment.provider
    takes_sampling = headers_to(deployment)[VERSION_HEADER] < FIRST_WITHOUT_SAMPLING
    traits = Traits(None, refused_at(deployment, manners), takes_sampling)
    for _ in range(MOST_TRIES):
        body = encode_request(hub, deployment.upstream_model, traits, lambda text: openai.whole_string(members, text))
        heard = yield outbound(written(body, members), call, deployment)
        message = openai.error_told(heard.body, JSON_TYPE).get("message") if heard.status == 400 else None
        if not isinstance(message, str):
            return
        message = refusals.without_echoes(message, hub, UNWANTED, MOST_TOKENS)
        found = traits_after(message, body, hub, traits)
        if found == traits:
            return
        if is_about_the_model(message):
            manners.refuses(provider, {at_model(name, deployment) for name in found.refused - traits.refused})
        traits = found


def outbound(body: Sequence[Piece], call: Call, deployment: Deployment) -> Outbound:
    provider = deployment.provider
    is_theirs = call.operation in (MESSAGE, COUNT)
    origin, path = openai.endpoint(provider, call.operation.path if is_theirs else PATH)
    asked = call.request.headers
    version = asked.get(VERSION_HEADER) if is_theirs else None
    headers = {**headers_to(deployment, asked.get(BETA_HEADER), version), "content-type": JSON_TYPE}
    headers["accept"] = STREAM_TYPE if call.wants_stream else JSON_TYPE
    return Outbound(provider.id, origin, "POST", path, headers, body, deployment.timeout_s)


def once(request: Outbound) -> Generator[Outbound, Heard, None]:
    """A request for which nothing else is known to be tried."""
    yield request


def traits_after(message: str, body: Json, hub: Mapping[str, Any], traits: Traits) -> Traits:
    """What to do without after a refusal; the same as before where it is about nothing that could be left out. What a caller
    asked for in Anthropic's own words is theirs to correct."""
    if REFUSAL.search(message) and without_thoughts(body["messages"]) != body["messages"]:
        return traits._replace(refused=traits.refused | {THOUGHTS})
    most = MOST_TOKENS.search(message)
    if most is not None and 0 < int(most[1]) < body["max_tokens"]:
        return traits._replace(max_tokens=int(most[1]))
    named = {name for name, words in REFUSABLE.items() if name in body and words.search(message)}
    named -= {name for name in ("thinking", "output_config") if isinstance(hub.get(name), dict)}
    if not UNWANTED.search(message):
        named &= {"output_config"} if "format" in body.get("output_config", ()) else set()
    if {"temperature", "top_p"} <= named:
        named.discard("temperature")  # the two of them are refused together
    return traits._replace(refused=traits.refused | named)


def is_about_the_model(message: str) -> bool:
    """Whether a refusal holds for every call of the model, and not for this one and what is in its schema."""
    return len(message) <= REFUSAL_CHARS and bool(UNWANTED.search(message)) and "schema" not in message


def refused_at(deployment: Deployment, manners: Manners) -> frozenset[str]:
    known = manners.refused_by(deployment.provider)
    return frozenset(name for name in REFUSABLE if at_model(name, deployment) in known) if known else known


def at_model(member: str, deployment: Deployment) -> str:
    """How it is remembered that a member is refused: by one model, while others of the provider may take it."""
    return f"{member} of {deployment.upstream_model}"


def written(body: Json, members: Members) -> Sequence[Piece]:
    try:
        return members.encode(body)
    except BodyError as error:
        raise BadRequest(error.message, code="invalid_json") from error


def headers_to(deployment: Deployment, beta: str | None = None, version: str | None = None) -> dict[str, str]:
    """The key goes into `x-api-key`, and to others than Anthropic also where they may look for it. What the administrator
    wrote goes before; betas of both are wanted."""
    provider, secret = deployment.provider, deployment.secret
    headers = openai.credentials(provider, secret)
    own = {name.lower() for name in provider.headers}
    if secret and provider.auth == "bearer" and not secret.startswith(SIGN_IN_TOKEN):
        headers.setdefault("x-api-key", secret)
        if "authorization" not in own and HOME.fullmatch(openai.endpoint(provider, "")[0].host):
            del headers["authorization"]
    headers.setdefault(VERSION_HEADER, version or VERSION)
    words = [word.strip() for told in (headers.get(BETA_HEADER), beta) for word in (told or "").split(",")]
    if betas := list(dict.fromkeys(filter(None, words))):
        headers[BETA_HEADER] = ",".join(betas)
    return headers


def asked_by(call: Call, deployment: Deployment) -> Asked:
    return Asked.by(call, int(time.time()), deployment.upstream_model)


def translated(asked: Asked, bill: Bill, deployment: Deployment) -> Pipe:
    """The pipe of a stream: Anthropic's events in, OpenAI's frames out."""
    step = encode_stream(bill.call.operation)
    return Translation(decoding(asked, bill, deployment), step, bill, KEEP_ALIVE)


def decoding(asked: Asked, bill: Bill, deployment: Deployment) -> Decoding:
    """How a stream of events is read."""
    provider = deployment.provider.id
    message = Message(asked, provider, lambda event: error_in(event, deployment))

    def note() -> bool:
        bill.used(message.usage)
        bill.finish_reason = message.finish or bill.finish_reason
        return message.is_complete

    return Decoding(decode_stream(message, provider), note)


def error_in(event: Json, deployment: Deployment) -> ProxyError:
    """An error that came inside a stream, with the status it would have had."""
    told = openai.error_of(event)
    kind = told.get("type")
    status, is_known = (ERRORS[kind][0], True) if isinstance(kind, str) and kind in ERRORS else (502, False)
    message = openai.clean_message(told.get("message"), deployment)
    provider = deployment.provider.id
    if status in (401, 403):
        return UpstreamError(
            f"Provider '{provider}' did not accept its API key.", code="upstream_auth_failed", headers=DO_NOT_RETRY
        )
    message = message or f"Provider '{provider}' answered with an error and no message."
    code = "" if is_known else None
    return in_our_words(UpstreamRefused(message, status=status, type=openai.word(kind, deployment), code=code))


def in_our_words(error: UpstreamRefused) -> UpstreamRefused:
    """The same with OpenAI's type and code."""
    if error.type in ERRORS:
        _, error.type, code = ERRORS[error.type]
        error.code = code or error.code
    if error.status == 400 and TOO_LONG in error.message.lower():
        error.code = "context_length_exceeded"
    elif error.status == 400 and NO_CREDIT in error.message.lower():
        error.status, error.type, error.code = 402, "insufficient_quota", "insufficient_quota"
    return error
