"""A bill that is closed: what a call has used, what that costs, and the entry that is kept of it.

What a provider told counts. Where it told nothing, or broke off before it could, what came through is counted, and the entry
says that it is a guess. Numbers and names, never what was said.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .call import (
    CHAT,
    COMPLETION,
    HEARING,
    IMAGE_EDIT,
    IMAGE_PART,
    MESSAGE,
    OCR,
    RESPONSE,
    SPEECH,
    Bill,
    Call,
    Caller,
    Usage,
)
from .entries import Entry
from .errors import ProxyError, UpstreamError, UpstreamTimeout
from .prices import ESTIMATED, NOTHING, PRICED, Cost, estimate, price_of
from .records import Price
from .web.response import CallerGone, ShuttingDown

if TYPE_CHECKING:
    from .app import Visit

CLIENT, PROXY, UPSTREAM = "client", "proxy", "upstream"
WRITING = (CHAT, COMPLETION, RESPONSE, MESSAGE, *HEARING, OCR)  # whose answers are text
GONE = 499  # what nginx calls it when the caller hangs up
CHARACTERS_A_TOKEN = 4
AROUND_AN_ANSWER = 300  # bytes of a JSON answer that are no text
# Left while they were at work: it is known what they were asked, and that will be charged, if all of it was sent.
LEFT = (CallerGone, ShuttingDown, UpstreamTimeout)
FREE = Cost(0, PRICED)
# What the log calls errors that are none of ours.
CODES: tuple[tuple[type[Exception], str], ...] = (
    (CallerGone, "client_closed_request"),
    (ShuttingDown, "draining"),
    (TimeoutError, "upstream_timeout"),
    (OSError, "upstream_stream_interrupted"),
)


def closed(bill: Bill) -> tuple[Usage, Cost]:
    """What a call used and what that costs."""
    deployment, usage = bill.deployment, bill.usage
    if not bill.attempts or deployment is None:
        return NOTHING, FREE
    price = deployment.model.price
    if not bill.has_answered and usage is None:
        if not (bill.is_sent and isinstance(bill.error, LEFT)):
            return NOTHING, FREE  # who refuses charges nothing, nor does who was not asked
        usage = estimate(bill.call, output_seen(bill) if is_in_background(bill.call) else 0)
        return usage, price_of(usage, price)
    if (
        usage is not None
        and bill.error is not None
        and bill.frames
        and not bill.is_counted
        and bill.call.operation in WRITING  # else what came are sounds and pictures
        and (came := tokens_seen(bill)) > usage.output_tokens
    ):
        usage = usage._replace(output_tokens=came, estimated=True)  # it was cut before the last word on it
    if usage is not None and bill.call.operation is SPEECH and not usage.audio_output_tokens:
        usage = usage._replace(audio_output_tokens=usage.output_tokens)  # what is spoken is sound; nobody says so
    if usage is not None and usage.total_tokens and usage.cost is None and price is not None:
        usage = by_size(usage, bill.call, price)
    cost = price_of(usage, price)
    is_told = usage is not None and (usage.total_tokens > 0 or usage.cost is not None or cost.nano is not None)
    if is_told or (usage is not None and usage.images):
        assert usage is not None
        return usage, cost
    guess = estimate(bill.call, output_seen(bill))
    if usage is not None:
        guess = guess._replace(
            seconds=usage.seconds or guess.seconds,
            pages=usage.pages or guess.pages,
            characters=usage.characters or guess.characters,
        )
    return guess, price_of(guess, price)


def by_size(usage: Usage, call: Call, price: Price) -> Usage:
    """The usage with what has a price and was told by nobody, by the size of the file: the seconds of a recording, the pages of a PDF."""
    if call.operation in HEARING and price.per_second is not None and not usage.seconds:
        return usage._replace(seconds=estimate(call).seconds, estimated=True)
    if call.operation is OCR and price.per_page is not None and not usage.pages:
        return usage._replace(pages=estimate(call).pages, estimated=True)
    return usage


def output_seen(bill: Bill) -> int | None:
    """How many tokens of an answer have come; None where that does not say what was made."""
    if bill.call.operation not in WRITING or is_in_background(bill.call):
        return None
    return tokens_seen(bill)


def is_in_background(call: Call) -> bool:
    """Whether a provider goes on with a call whoever hangs up: what it makes of it, nobody here will hear."""
    return call.operation is RESPONSE and call.member("background") is True


def tokens_seen(bill: Bill) -> int:
    """About how many tokens of an answer have come: most providers send each in an event of its own, some several."""
    if bill.frames:
        # What the others have more than the shortest event, which mostly is the first, is text.
        return max(bill.frames - 1, (bill.heard_bytes - bill.frames * bill.shortest_frame_bytes) // CHARACTERS_A_TOKEN)
    return max(0, bill.bytes_out - AROUND_AN_ANSWER) // CHARACTERS_A_TOKEN


def entry_of(bill: Bill, usage: Usage, cost: Cost) -> Entry:
    """What the ledger keeps of a call."""
    call, deployment, error = bill.call, bill.deployment, bill.error
    latency_ms = (time.monotonic() - call.started_at) * 1000
    overhead_ms = latency_ms - bill.upstream_ms if bill.overhead_ms is None else bill.overhead_ms
    overhead_ms = min(max(0.0, overhead_ms), latency_ms)
    return Entry(
        call.id,
        int(time.time() * 1000 - latency_ms),
        *whose(call.caller),
        call.address,
        call.request.headers.get("user-agent") or "",
        call.dialect,
        call.endpoint,
        call.alias,
        call.model,
        deployment.upstream_model if deployment is not None else "",
        deployment.provider.id if deployment is not None else "",
        deployment.model.id if deployment is not None else "",
        call.wants_stream,
        media_of(call),
        GONE if isinstance(error, CallerGone) else bill.status,
        latency_ms,
        latency_ms - overhead_ms,
        overhead_ms,
        bill.first_chunk_ms,
        usage.input_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
        usage.audio_input_tokens,
        usage.audio_output_tokens,
        usage.seconds,
        usage.images,
        usage.pages,
        usage.characters,
        cost.nano,
        usage.cost,
        cost.basis if cost.nano is not None or not usage.estimated else ESTIMATED,
        bill.finish_reason,
        *(told_of(error) if error is not None else ("", "", "")),
        bill.bytes_in,
        bill.bytes_out,
        tuple(bill.attempts),
    )


def entry_of_refusal(visit: Visit, error: ProxyError) -> Entry:
    """What the ledger keeps of a request that was refused before it was a call, though its key is good."""
    latency_ms = (time.monotonic() - visit.arrived_at) * 1000
    origin, code, message = told_of(error)
    return Entry(
        visit.id,
        int(time.time() * 1000 - latency_ms),
        *whose(visit.caller),
        visit.address,
        visit.request.headers.get("user-agent") or "",
        visit.dialect,
        visit.route.pattern if visit.route is not None else "",
        status=error.status,
        latency_ms=latency_ms,
        overhead_ms=latency_ms,
        cost=FREE.nano,
        cost_basis=FREE.basis,
        error_origin=origin,
        error_code=code,
        error_message=message,
        bytes_in=visit.request.body_bytes,
    )


def whose(caller: Caller) -> tuple[str, str, str, str]:
    """Id and name of the key, id and name of the user; the master key has a name and no id."""
    key, user = caller.key, caller.user
    key_id, name = (key.id, key.name or key.id) if key is not None else ("", caller.name if user is None else "")
    return (key_id, name, user.id, user.username) if user is not None else (key_id, name, "", "")


def media_of(call: Call) -> str:
    """What a call has in it beside text: "audio", "document", "image", "video", in this order, with commas."""
    if not call.pictures and call.form is None and call.document is None:
        return ""
    found = {each.kind for each in call.pictures}
    if call.operation is OCR:
        found.add("document")
    elif call.operation in HEARING:  # whether it tells how long it lasts or not
        found.add("audio")
    elif call.operation is IMAGE_EDIT:
        found.add(IMAGE_PART)
    return ",".join(sorted(found))


def told_of(error: Exception) -> tuple[str, str, str]:
    """Where an error comes from, its code and its message."""
    if isinstance(error, ProxyError):
        if isinstance(error, UpstreamError):
            return UPSTREAM, error.code or "upstream_error", error.message
        code = error.code
        return CLIENT if error.status < 500 and error.status != 429 else PROXY, code, error.message
    code = next((code for kind, code in CODES if isinstance(error, kind)), "internal_error")
    origin = CLIENT if isinstance(error, CallerGone) else UPSTREAM if isinstance(error, OSError) else PROXY
    return origin, code, str(error)


def log_line(entry: Entry) -> dict[str, Any]:
    """The same for the log, as far as there is something to say."""
    line: dict[str, Any] = {
        "request_id": entry.request_id,
        "caller": entry.key_name or entry.user_name,
        "endpoint": entry.endpoint,
        "model": entry.model,
        "stream": entry.stream,
        "status": entry.status,
        "ms": round(entry.latency_ms, 1),
        "upstream_ms": round(entry.upstream_ms, 1),
    }
    if entry.alias:
        line["alias"] = entry.alias
    if entry.provider_id:
        line["provider"] = entry.provider_id
        line["upstream_model"] = entry.upstream_model
    if entry.first_chunk_ms is not None:
        line["first_chunk_ms"] = entry.first_chunk_ms
    if entry.input_tokens or entry.output_tokens:
        line["input_tokens"] = entry.input_tokens
        line["output_tokens"] = entry.output_tokens
    for name, amount in (
        ("cached_tokens", entry.cached_tokens),
        ("reasoning_tokens", entry.reasoning_tokens),
        ("seconds", round(entry.seconds, 3)),
        ("finish_reason", entry.finish_reason),
    ):
        if amount:
            line[name] = amount
    if entry.attempts and entry.cost is not None:
        line["cost_nano_usd"] = entry.cost
    if entry.cost_basis == ESTIMATED:
        line["estimated"] = True
    if entry.error_code:
        line["error"] = entry.error_code
        line["message"] = entry.error_message
    if len(entry.attempts) > 1:
        line["attempts"] = [f"{each.provider} {each.status or each.error} {each.ms} ms" for each in entry.attempts]
    return line
