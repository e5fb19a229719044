"""The life of one AI call, top to bottom.

`relay` reads as the order of events: who serves it, ask until one speaks, then either a whole answer or a stream that the
loop carries on. It is a generator because it waits (`web/task.py`). Until the first useful bytes of an answer are in,
failing over is possible and a failure is an honest status; only then does a 200 go out. Whoever ends the call, its bill
is settled once.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from . import pictures
from .affordable import check_priced, is_budgeted, is_weighed
from .billing import told_of
from .call import (
    CHAT,
    COMPLETION,
    HEARING,
    MESSAGE,
    RESPONSE,
    Attempt,
    Bill,
    Call,
    Deployment,
    Picture,
    Usage,
)
from .deployments import Catalog, asked_for, name_at, no_deployment
from .dialects import client_dialect, way
from .dialects.parts import Part
from .dialects.passage import Passage
from .errors import BadRequest, BudgetExceeded, ProxyError, UpstreamError, UpstreamRefused, draining, web_page
from .limits import NOTHING, Estimate
from .logs import Log
from .memory import owner_of
from .meter import MEASURED, cost_in, measured
from .prices import estimate, price_of
from .records import Model, Provider
from .standings import decimal
from .upstream import Content, Heard, Reply
from .web.members import BodyError
from .web.response import PAGE_TYPE, STREAM_TYPE, CallerGone, Early, Pipe, Response, ShuttingDown, Stream
from .web.task import THREAD, Next, Steps

if TYPE_CHECKING:
    from .app import App
    from .dialects.faces import Way

FORWARDED = ("openai-processing-ms", "openai-version")
COOLING_DOWN = "cooling_down"  # in place of an error: it failed a moment before, so another was asked
HEARD_BYTES = 16 * 1024  # of a stream, for the log
ERROR_BYTES = 256 * 1024  # of a refusal; what says more than this echoes what was asked
LONG_BODY_BYTES = 256 * 1024  # parsing more than this would hold up everybody's streams
PICTURE_BYTES = 32 * 1024  # likewise looking at images in more than this
REWRITTEN_BYTES = 16 * 1024  # likewise writing this anew in another dialect, or as a stream
MOST_BYTES = 128 * 1024 * 1024  # of several replies that make one answer
# Whose streams are events, whatever the provider makes of them, or calls them.
TALKING = (CHAT, COMPLETION, RESPONSE, MESSAGE)
SPOKEN_OPERATIONS = (*TALKING, *HEARING)
EXPECTED_ENDS = (ProxyError, CallerGone, TimeoutError, ShuttingDown)
STREAM_HEADERS = {"content-type": STREAM_TYPE, "cache-control": "no-cache", "x-accel-buffering": "no"}


class Answer(NamedTuple):
    """A deployment that speaks: a whole `body`, or a `pipe` with its first output and the rest still to come."""

    deployment: Deployment
    reply: Reply
    media_type: str
    body: bytes = b""
    pipe: Pipe | None = None


class Overheard:
    """A pipe whose output is also kept for the log, as far as the log shows it (LOG_BODIES)."""

    def __init__(self, pipe: Pipe, log: Log, request_id: str, answer: Answer) -> None:
        self._pipe = pipe
        self._log = log
        self._id = request_id
        self._media_type = answer.media_type
        self._heard = bytearray(answer.body)
        self.idle = pipe.idle

    def feed(self, data: bytes) -> bytes:
        out = self._pipe.feed(data)
        if len(self._heard) < HEARD_BYTES:
            self._heard += out
        return out

    def finish(self) -> bytes:
        out = self._pipe.finish()
        self._log.body(self._id, "reply", bytes(self._heard + out), self._media_type)
        return out

    def fail(self, error: Exception) -> bytes | None:
        out = self._pipe.fail(error)
        self._log.body(self._id, "reply", bytes(self._heard + (out or b"")), self._media_type)
        return out


def relay(app: App, call: Call) -> Steps:
    """Carry one call to an upstream and back. Read it top to bottom."""
    bill = Bill(call, app.settle, bytes_in=call.request.body_bytes)
    client, keepalive_s = client_dialect(call.dialect), app.config.settings.keepalive_s
    early: Early | None = None
    if call.wants_stream and call.operation in SPOKEN_OPERATIONS:
        early = Early(Response(200, STREAM_HEADERS), client.keep_alive, keepalive_s)
        yield early
    try:
        catalog = app.catalog()
        call, model = asked_for(catalog, call)
        bill.call = call
        if call.operation is RESPONSE:
            call = bill.call = yield from continued(app, call)
        if call.look is not None:
            yield THREAD  # files may lie on disk
            call = bill.call = call.look(call)._replace(look=None)
        shown = client.pictures_in(call)
        parts = [] if (first := next(shown, None)) is None else (yield from listed(call, first, shown))
        admit(app, bill, model, parts)
        if parts or call.document is not None:
            call = bill.call = with_pictures(app, call, model, parts)
        if call.alias:
            yield from prompted(catalog, call)
        answer = yield from first_answer(app, catalog, call, bill, model)
    except Exception as error:
        bill.error, bill.status = error, getattr(error, "status", 503 if isinstance(error, ShuttingDown) else 500)
        bill.settle()
        if isinstance(error, ProxyError) and bill.reservation is not None:
            error.headers = {**app.limits.headers(call.caller), **error.headers}
        if early is not None and early.sent and isinstance(error, (ProxyError, ShuttingDown)):
            words = client.encode_stream_error(error if isinstance(error, ProxyError) else draining(), call)
            return Response(200, STREAM_HEADERS, words)
        raise
    bill.status, bill.has_answered = answer.reply.status, True
    bill.used(charged(answer.reply))
    if call.operation in MEASURED:
        bill.measured(measured(call))
    headers = headers_of(answer, bill)
    if answer.pipe is None:
        if app.log.bodies:
            app.log.body(call.id, "reply", answer.body, answer.media_type)
        bill.bytes_out = len(answer.body)
        bill.settle()
        if bill.cost is not None:
            headers["cost"] = decimal(bill.cost)
        headers.update(app.limits.headers(call.caller))
        return Response(bill.status, headers, answer.body)
    headers.update(app.limits.headers(call.caller))
    if bill.is_complete:
        bill.settle()
    at_end = partial(end, app, bill)
    pipe: Pipe = Overheard(answer.pipe, app.log, call.id, answer) if app.log.bodies else answer.pipe
    stream = Stream(answer.reply, pipe, at_end, answer.body, answer.deployment.timeout_s, keepalive_s)
    return Response(bill.status, headers, stream=stream)


def continued(app: App, call: Call) -> Generator[Next, None, Call]:
    """A call by the Responses API with the length of the conversation that it only refers to, which is paid for each time."""
    previous, names = call.member("previous_response_id"), references_of(call)
    if type(previous) is not str and not names:
        return call
    if names:
        yield THREAD  # who looks for an item reads all that came with it
    more = app.memory.conversations.weigh(owner_of(call.caller), previous if type(previous) is str else None, names)
    return call._replace(added_chars=call.added_chars + more)


def references_of(call: Call) -> list[str]:
    """The ids of the items of a conversation that are somewhere else."""
    from .conversations import referred_to  # few calls are by this API

    return referred_to(call.member("input"))


def listed(call: Call, first: Part, shown: Iterator[Part]) -> Generator[Next, None, list[Part]]:
    """The images and videos that are shown in a call, of which there is a first."""
    if len(call.request.body) > PICTURE_BYTES:
        yield THREAD
    return [first, *shown]


def admit(app: App, bill: Bill, model: Model, shown: Sequence[Part]) -> None:
    """Let the call begin, and hold what it may use. Raises BadRequest (nobody knows its price), RateLimited, QuotaExceeded."""
    caller, guess = bill.call.caller, NOTHING
    if is_weighed(caller):
        pictures_shown = tuple(Picture(each.kind, each.place) for each in shown) or bill.call.pictures
        used = estimate(bill.call._replace(pictures=pictures_shown))
        guess = Estimate(used.total_tokens, price_of(used, model.price).nano)
        if guess.cost is None:
            check_priced(bill.call, model, app.config.settings.unpriced)
    bill.reservation = app.limits.admit(caller, guess)


def hold(app: App, bill: Bill, fallback: Model) -> None:
    """Hold what the call may cost at a model that stands in for its own. Raises BudgetExceeded."""
    if bill.reservation is not None and is_budgeted(bill.call.caller):
        app.limits.hold(bill.reservation, price_of(estimate(bill.call), fallback.price).nano or 0)


def with_pictures(app: App, call: Call, model: Model, shown: Sequence[Part]) -> Call:
    """The call with its images looked at. Raises BadRequest for what its model does not take or what is no image: before
    anybody asks who would serve it."""
    pictures.check_kinds(call, model, shown or call.pictures)
    return pictures.looked_at(call, shown, app.config.settings.max_image_mb) if shown else call


def prompted(catalog: Catalog, call: Call) -> Generator[Next, None, None]:
    """Put the system prompt of the alias that a call goes through, if it has one, into its body. Raises BadRequest."""
    prompt = catalog.aliases[call.alias].system_prompt
    if prompt is None:
        return
    if len(call.request.body) > REWRITTEN_BYTES:
        yield THREAD
    try:
        client_dialect(call.dialect).put_prompt(call, prompt)
    except BodyError as error:
        raise BadRequest(error.message, code="invalid_json") from error


def charged(reply: Reply) -> Usage | None:
    """What the head of a reply says of its cost."""
    cost = cost_in(reply.headers)
    return Usage(cost=cost) if cost is not None else None


def first_answer(app: App, catalog: Catalog, call: Call, bill: Bill, model: Model) -> Generator[Next, None, Answer]:
    """Try the deployments in their order until one speaks. Raises the last one's error when none does."""
    failure: ProxyError | None = None
    places = deployments_of(app, catalog, call, model)
    turns = app.cooldowns.last(places)
    passed = [] if turns is places else passed_over(places[: places.index(turns[0])])
    for deployment in turns:
        if deployment.model is not model:
            if failure is not None and is_unknown_there(failure, call):
                continue  # another model has answered nothing that could be gone on from
            try:
                hold(app, bill, deployment.model)
            except BudgetExceeded as error:
                failure = failure or error
                continue  # another one may be cheaper
        bill.asks(deployment)
        started_at = time.monotonic()
        try:
            answer = yield from ask(app, call, bill, deployment)
        except BadRequest as error:
            failure = failure or error  # nobody was asked: another may take what this one is known to fail at
        except ProxyError as error:
            note_attempt(bill, started_at, error, passed)
            error.headers = {**identity_of(deployment, bill), **error.headers}
            if is_unknown_there(error, call):
                failure = failure or error
                continue
            if not is_the_deployments_fault(error):
                raise
            failure = error
            app.cooldowns.failed(deployment)
        except (CallerGone, ShuttingDown) as error:
            note_attempt(bill, started_at, error, passed)
            raise
        else:
            failure = None  # as below
            note_attempt(bill, started_at, None, passed)
            app.cooldowns.answered(deployment)
            return answer
    assert failure is not None
    try:
        raise failure
    finally:
        failure = None  # it would hold itself through its traceback, and with it the body of the call


def deployments_of(app: App, catalog: Catalog, call: Call, model: Model) -> list[Deployment]:
    """Where this call may go. Raises NotConfigured."""
    which = (model.id, call.pin, call.operation.scope)
    only = catalog.only.get(which)
    if only is not None:
        return only
    settings = app.config.settings
    default_s = settings.audio_timeout_s if call.operation.scope == "audio" else settings.request_timeout_s
    found = []
    for each, row in catalog.rows(model, call.pin, call.caller):
        if each is not model and not may_stand_in(each, call, settings.unpriced):
            continue
        provider = catalog.providers.get(row.provider_id)
        if provider is None or not provider.enabled:
            continue
        secret = None
        if provider.api_key is not None:
            secret = app.secret_of(provider)
            if secret is None:
                continue
        timeout_s = provider.timeout_seconds or default_s
        found.append(Deployment(each, provider, name_at(each, row), secret, timeout_s))
    if not found:
        raise no_deployment(model)
    if len(found) == 1 and not model.fallbacks and catalog.has_record(model) and not reads_a_file(found[0].provider):
        catalog.only[which] = found  # the same every time, as long as nobody changes anything
    return found


def may_stand_in(model: Model, call: Call, unpriced: str) -> bool:
    """Whether a fallback can take this call: what is shown in it, and on whoever's budget it is."""
    try:
        check_priced(call, model, unpriced)
    except BadRequest:
        return False
    return pictures.refused_by(model, call.pictures) is None


def reads_a_file(provider: Provider) -> bool:
    """Whether a provider's key is read anew for every call: whoever rotates such a file tells nobody."""
    return (provider.api_key or "").startswith("file:")


def ask(app: App, call: Call, bill: Bill, deployment: Deployment) -> Generator[Next, None, Answer]:
    """Send the call to one deployment and wait until it speaks. Raises ProxyError."""
    back = way(call, deployment, app.memory)
    reply = yield from accepted(app, back, bill, deployment)
    try:
        if call.wants_stream and call.operation in TALKING:
            yield from reply.look()
        raise_if_none(reply, call, deployment)
        passing = back.pipe_of(reply, bill, deployment)
        if passing is not None:
            return (yield from streamed(*passing, deployment, reply, app.config.settings.keepalive_s))
        contents = [(yield from whole(reply, deployment))]
        for number in range(1, back.replies_of(call)):
            contents.append((yield from further(app, back, bill, deployment, number)))
            if size_of(contents) > MOST_BYTES:
                raise UpstreamError(f"Provider '{deployment.provider.id}' answered with more than can be passed on.")
        most_bytes = REWRITTEN_BYTES if back.rewrites or call.wants_stream else LONG_BODY_BYTES
        if call.form is not None or size_of(contents) > most_bytes:
            yield THREAD
        content = back.decode_body(contents, bill, deployment)
        reply.close()
        return Answer(deployment, reply, content.media_type, content.body)
    except BaseException:
        reply.keep_alive = False  # who answers with nonsense may hang up just as well, or has more to say
        reply.close()
        raise


def accepted(app: App, back: Way, bill: Bill, deployment: Deployment, number: int = 0) -> Generator[Next, None, Reply]:
    """Send the call, and after a refusal what its dialect knows to try then, until an answer begins. Raises ProxyError: the
    last refusal, when there is nothing more to try."""
    requests = back.requests(bill.call, deployment, app.memory.manners, number)
    takes_long = is_long(bill.call)
    if back.rewrites and takes_long:
        yield THREAD
    outbound = next(requests)
    refusal: ProxyError | None = None
    try:
        while True:
            reply = yield from app.upstreams.send(outbound, bill.sent)
            is_question = outbound.method == "GET"  # of the dialect's own, whose answer it waits for
            if 200 <= reply.status < 300 and not is_question:
                return reply
            try:
                body = yield from reply.read_beginning(ERROR_BYTES)
            finally:
                reply.close()
            if not is_question:
                refusal = back.decode_error(reply, body, deployment)
            if takes_long:
                yield THREAD  # to see what was refused, and to write the rest anew
            outbound = requests.send(Heard(reply.status, body))
    except StopIteration:
        assert refusal is not None
        raise refusal from None
    finally:
        refusal = None  # as in first_answer


def is_long(call: Call) -> bool:
    """Whether it may take long to write a call anew: for what is in it, or for a conversation that it only refers to."""
    if len(call.request.body) > REWRITTEN_BYTES:
        return True
    is_response = call.operation is RESPONSE
    return is_response and (call.member("previous_response_id") is not None or bool(references_of(call)))


def raise_if_none(reply: Reply, call: Call, deployment: Deployment) -> None:
    """Raises UpstreamError for a reply that cannot hold an answer."""
    provider = deployment.provider.id
    if reply.media_type == PAGE_TYPE and call.operation not in HEARING:  # whose texts some call so
        raise web_page(provider)
    if reply.status in (204, 205):
        raise UpstreamError(f"Provider '{provider}' answered without a body.")


def whole(reply: Reply, deployment: Deployment) -> Generator[Next, None, Content]:
    if reply.media_type == STREAM_TYPE:
        raise UpstreamError(f"Provider '{deployment.provider.id}' answered with a stream that was not asked for.")
    return Content(reply.headers.get("content-type") or "", (yield from reply.read_all()))


def size_of(contents: Sequence[Content]) -> int:
    """Bytes, of all bodies together."""
    return sum([len(each.body) for each in contents])


def further(app: App, back: Way, bill: Bill, deployment: Deployment, number: int) -> Generator[Next, None, Content]:
    """One more of the replies that make an answer together."""
    reply = yield from accepted(app, back, bill, deployment, number)
    try:
        raise_if_none(reply, bill.call, deployment)
        return (yield from whole(reply, deployment))
    except BaseException:
        reply.keep_alive = False  # as in `ask`
        raise
    finally:
        reply.close()


def streamed(
    media_type: str, pipe: Pipe, deployment: Deployment, reply: Reply, within_s: float
) -> Generator[Next, None, Answer]:
    """Wait for the first output that is of use; a provider that is silent after its 200 is waited for so long, then
    believed."""
    until = time.monotonic() + within_s
    first = b""
    while not first and (left_s := until - time.monotonic()) > 0:
        data = yield from reply.read_first(left_s)
        if data is None:  # the whole of it is here, so the pipe has said its last word
            return Answer(deployment, reply, media_type, pipe.finish(), Passage())
        first = pipe.feed(data) if data else b""
    return Answer(deployment, reply, media_type, first, pipe)


def is_unknown_there(error: ProxyError, call: Call) -> bool:
    """Whether a provider has not got what a call goes on from. Each keeps its own answers, so another deployment of the model
    may."""
    if not isinstance(error, UpstreamRefused) or not (
        call.member("previous_response_id") or call.member("conversation")
    ):
        return False
    is_missing = error.status == 404 and "model" not in error.message.lower()
    return is_missing or error.code == "previous_response_not_found"


def is_the_deployments_fault(error: ProxyError) -> bool:
    """Whether another deployment might do better: not when the request itself was refused."""
    if isinstance(error, UpstreamRefused):
        return error.status >= 500 or error.status in (402, 404, 408, 429)
    return isinstance(error, UpstreamError)


def passed_over(places: Sequence[Deployment]) -> list[Attempt]:
    """What is noted of those whose turn it would have been, had they not failed a moment before: else nobody could say later
    why another was asked."""
    return [Attempt(each.provider.id, 0, 0, COOLING_DOWN) for each in places]


def note_attempt(bill: Bill, started_at: float, error: Exception | None, passed: Sequence[Attempt]) -> None:
    """What became of an attempt, after those that were passed over for the first one."""
    assert bill.deployment is not None
    if not bill.attempts:
        bill.attempts += passed
    ms = (time.monotonic() - started_at) * 1000
    bill.upstream_ms += ms
    status, code = 200, ""
    if error is not None:
        status, code = getattr(error, "status", 0), told_of(error)[1]
    bill.attempts.append(Attempt(bill.deployment.provider.id, status, int(ms), code))


def headers_of(answer: Answer, bill: Bill) -> dict[str, str]:
    headers = dict(STREAM_HEADERS) if answer.media_type == STREAM_TYPE else {"content-type": answer.media_type}
    told = answer.reply.headers
    for name in FORWARDED:
        if name in told:
            headers[name] = told[name]
    headers.update(identity_of(answer.deployment, bill))
    return headers


def identity_of(deployment: Deployment, bill: Bill) -> dict[str, str]:
    """Who said it, and what we added to that."""
    overhead_ms = bill.overhead_ms = max(0.0, (time.monotonic() - bill.call.started_at) * 1000 - bill.upstream_ms)
    return {
        "x-ipin-provider": deployment.provider.id,
        "x-ipin-model": deployment.model.id,
        "x-ipin-overhead-ms": f"{overhead_ms:.1f}",
    }


def end(app: App, bill: Bill, error: Exception | None) -> None:
    """A stream is over: completely (None), or by what ended it."""
    bill.error = bill.error or error
    if error is not None and not isinstance(error, EXPECTED_ENDS):
        app.log.error("internal_error", request_id=bill.call.id, exc_info=error)
    bill.settle()
