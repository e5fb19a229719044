"""Limits over the whole server: what is refused, with which words and headers, on every route, and that nobody gets past them."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support import build
from support.build import Json, completion, finish, hello
from support.client import Client, Reply, request
from support.proxy import KEY, Proxy
from support.script import Script, frame
from support.upstream import Seen, Upstream, answer, hang_up, pause, reset, stall

CHAT = "/v1/chat/completions"
BY_CALL = {"perRequest": 0.25}
MODELS = [
    build.model(price=BY_CALL),
    build.model("by-token", price={"input": 1, "output": 4}),
    build.model("unpriced"),
    build.model("half-priced", price={"input": 1}),
    build.model("embed", type="embedding", price=BY_CALL),
    build.model("rank", type="reranking", price=BY_CALL),
    build.model("say", type="speech", price=BY_CALL),
    build.model("hear", type="transcription", price=BY_CALL),
    build.model("listen", type="transcription", price={"perSecond": 0.01}),
    build.model("draw", type="image", price=BY_CALL),
    build.model("judge", type="moderation", price=BY_CALL),
    build.model("read", "native", type="ocr", price={"perPage": 0.06}),
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    url = shared_upstream.base_url
    providers = [build.provider(url), build.provider(url, "native", type="anthropic")]
    proxy = Proxy.start(tmp_path_factory.mktemp("limits"), providers=providers, models=MODELS)
    yield proxy
    proxy.stop()


@pytest.fixture
def limited(proxy: Proxy) -> Iterator[Callable[..., str]]:
    """Makes a key with these limits; the key is gone after the test."""
    made: list[str] = []

    def make(**limits: Any) -> str:
        key = f"sk-limited-{len(made)}-{threading.get_ident()}-0123456789"
        reply = proxy.admin("POST", "/apikeys", {"name": f"Key {len(made)}", "key": key, **limits})
        assert reply.status == 201, reply.body
        made.append(reply.json["id"])
        return key

    yield make
    for id_ in made:
        proxy.admin("DELETE", f"/apikeys/{id_}")


def ask(proxy: Proxy, key: str, model: str = build.PUBLIC_MODEL, **more: Any) -> Reply:
    reply = proxy.post(CHAT, hello(model=model, **more), key)
    reply.read()
    return reply


def code_of(reply: Reply) -> tuple[int, str, str]:
    return reply.status, reply.error["type"], reply.error["code"]


@contextlib.contextmanager
def started_again(proxy: Proxy, upstream: Upstream, keys: list[Json]) -> Iterator[Proxy]:
    """Another process in the folder of one that has ended, or ends now."""
    proxy.stop()
    again = Proxy.start(proxy.folder, providers=[build.provider(upstream.base_url)], models=MODELS, keys=keys)
    try:
        yield again
    finally:
        again.stop()


def test_requests_a_minute(proxy: Proxy, upstream: Upstream, limited: Callable[..., str]) -> None:
    key = limited(rpm=2)
    for left in ("1", "0"):
        upstream.will_answer(200, completion())
        reply = ask(proxy, key)
        assert reply.status == 200
        assert reply.header("x-ratelimit-limit-requests") == "2"
        assert reply.header("x-ratelimit-remaining-requests") == left
    refused = ask(proxy, key)
    assert code_of(refused) == (429, "rate_limit_error", "rate_limit_exceeded")
    assert 1 <= int(refused.header("retry-after") or "") <= 60
    assert refused.header("x-ratelimit-remaining-requests") == "0"
    assert refused.header("x-should-retry") is None
    first_wait = int(refused.header("retry-after-ms") or "")
    again = ask(proxy, key)
    assert int(again.header("retry-after-ms") or "") <= first_wait, "a refused call extends nothing"
    assert len(upstream.history) == 2


def test_tokens_a_minute_count_what_was_used(proxy: Proxy, upstream: Upstream, limited: Callable[..., str]) -> None:
    key = limited(tpm=1_000)
    upstream.will_answer(200, completion() | {"usage": build.usage_of(900, 150)})
    first = ask(proxy, key, max_tokens=10)
    assert first.status == 200 and first.header("x-ratelimit-remaining-tokens") == "0"
    assert code_of(ask(proxy, key)) == (429, "rate_limit_error", "rate_limit_exceeded")


def test_calls_at_once(proxy: Proxy, upstream: Upstream, limited: Callable[..., str]) -> None:
    key = limited(maxParallel=1)
    upstream.will_stream(build.chunk("Hel"), pause, finish())
    wire = proxy.raw(request("POST", CHAT, hello(stream=True), key))
    stream = wire.reply()
    assert next(stream.texts()) == "Hel"
    refused = ask(proxy, key)
    assert code_of(refused) == (429, "rate_limit_error", "concurrency_limit_exceeded")
    assert refused.header("retry-after") == "1"
    upstream.resume()
    stream.read()
    upstream.will_answer(200, completion())
    assert ask(proxy, key).status == 200


def test_who_hangs_up_gives_their_place_back(proxy: Proxy, upstream: Upstream, limited: Callable[..., str]) -> None:
    key = limited(maxParallel=1)
    upstream.will_stream(build.chunk("Hel"), pause, finish())
    wire = proxy.raw(request("POST", CHAT, hello(stream=True), key))
    assert next(wire.reply().texts()) == "Hel"
    wire.close()
    proxy.log_lines(lambda line: line["event"] == "call" and line["status"] == 499)
    upstream.resume()
    upstream.will_answer(200, completion())
    assert ask(proxy, key).status == 200


def test_calls_a_month(proxy: Proxy, upstream: Upstream, limited: Callable[..., str]) -> None:
    key = limited(monthlyRequests=1)
    upstream.will_answer(200, completion())
    reply = ask(proxy, key)
    assert reply.header("monthlyRequests") == "1"
    refused = ask(proxy, key)
    assert code_of(refused) == (429, "insufficient_quota", "quota_exceeded")
    assert refused.header("x-should-retry") == "false"
    assert int(refused.header("retry-after") or "") > 0


def test_a_call_that_fails_upstream_costs_nothing_and_counts(
    proxy: Proxy, upstream: Upstream, limited: Callable[..., str]
) -> None:
    key = limited(budgets=[{"usd": 1, "window": "total"}])
    upstream.will_answer(400, build.error("No."))
    reply = ask(proxy, key)
    assert (reply.status, reply.header("monthlyCost"), reply.header("monthlyRequests")) == (400, "0", "1")


def test_the_headers_say_what_a_call_and_the_month_cost(
    proxy: Proxy, upstream: Upstream, limited: Callable[..., str]
) -> None:
    key = limited()
    upstream.will_answer(200, completion() | {"usage": build.usage_of(1_000, 500)})
    reply = ask(proxy, key, "by-token")
    told = [reply.header(name) for name in ("cost", "monthlyCost", "monthlyRequests")]
    assert told == ["0.003", "0.003", "1"]
    upstream.will_stream(build.chunk("Hi"), finish(), build.usage(1_000, 500))
    reply = ask(proxy, key, "by-token", stream=True)
    told = [reply.header(name) for name in ("cost", "monthlyCost", "monthlyRequests")]
    assert told == [None, "0.003", "1"], "of a stream, what was before it"
    upstream.will_answer(200, completion() | {"usage": build.usage_of(0, 1)})
    reply = ask(proxy, key, "by-token")
    told = [reply.header(name) for name in ("cost", "monthlyCost", "monthlyRequests")]
    assert told == ["0.000004", "0.006004", "3"]


def test_a_price_that_nobody_knows_is_not_told_as_nothing(
    proxy: Proxy, upstream: Upstream, limited: Callable[..., str]
) -> None:
    upstream.will_answer(200, completion())
    reply = ask(proxy, limited(), "unpriced")
    assert (reply.status, reply.header("cost"), reply.header("monthlyRequests")) == (200, None, "1")


def test_the_cost_in_a_reply_goes_before_the_price(
    proxy: Proxy, upstream: Upstream, limited: Callable[..., str]
) -> None:
    key = limited()
    upstream.will_answer(200, completion() | {"usage": {**build.usage_of(1, 1), "cost": 0.0125}})
    assert ask(proxy, key).header("cost") == "0.0125"
    upstream.will_answer(200, completion(), headers=[("x-litellm-response-cost", "0.5")])
    assert ask(proxy, key, "unpriced").header("cost") == "0.5"


@pytest.mark.parametrize("of", ["key", "user"])
def test_a_budget_for_ten_calls_lets_ten_of_forty_through(
    proxy: Proxy, upstream: Upstream, limited: Callable[..., str], of: str
) -> None:
    budgets = [{"usd": 2.5, "window": "month"}]
    if of == "user":
        name = "pays-for-both"
        reply = proxy.admin("POST", "/users", {"username": name, "password": "a long password", "budgets": budgets})
        assert reply.status == 201, reply.body
        keys = [limited(username=name), limited(username=name)]
    else:
        keys = [limited(budgets=budgets)]
    upstream.default(lambda seen: answer(200, completion()))
    try:
        replies = at_once(proxy, [keys[number % len(keys)] for number in range(20)], 2)
    finally:
        upstream.default(None)
    statuses = sorted(reply.status for reply in replies)
    assert statuses == [200] * 10 + [429] * 30
    assert len(upstream.history) == 10, "who is refused is not asked for"
    refused = next(reply for reply in replies if reply.status == 429)
    assert code_of(refused) == (429, "insufficient_quota", "budget_exceeded")
    assert refused.header("x-should-retry") == "false"
    assert "2.50 USD a month" in refused.error["message"]
    assert int(refused.header("retry-after") or "") > 0


def at_once(proxy: Proxy, keys: list[str], times: int, model: str = build.PUBLIC_MODEL) -> list[Reply]:
    """Each of these keys asks so many times, all of them at once."""
    begin, replies = threading.Barrier(len(keys)), list[Reply]()

    def work(key: str) -> None:
        client = Client(proxy.port)
        begin.wait()
        for _ in range(times):
            reply = client.post(CHAT, hello(model=model), key)
            reply.read()
            replies.append(reply)
        client.close()

    threads = [threading.Thread(target=work, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return replies


def test_what_parallel_calls_may_cost_is_held(proxy: Proxy, upstream: Upstream, limited: Callable[..., str]) -> None:
    key = limited(budgets=[{"usd": 0.02, "window": "day"}])
    upstream.will_stream(build.chunk("Hel"), pause, finish(), build.usage(10, 1))
    wire = proxy.raw(request("POST", CHAT, hello(model="by-token", stream=True, max_tokens=5_000), key))
    stream = wire.reply()
    assert next(stream.texts()) == "Hel"
    refused = ask(proxy, key, "by-token")
    assert code_of(refused) == (429, "insufficient_quota", "budget_exceeded"), "5,000 tokens at 4 dollars are all of it"
    assert refused.header("retry-after") == "1", "that may be over in a moment"
    upstream.resume()
    stream.read()
    upstream.will_answer(200, completion())
    assert ask(proxy, key, "by-token").status == 200, "it used next to nothing"


def test_a_raise_takes_effect_at_once(proxy: Proxy, upstream: Upstream, limited: Callable[..., str]) -> None:
    key = limited(name="To be raised", budgets=[{"usd": 0.25, "window": "total"}])
    upstream.will_answer(200, completion())
    assert ask(proxy, key).status == 200
    assert ask(proxy, key).status == 429
    rows = proxy.admin("GET", "/apikeys").json["apiKeys"]
    id_ = next(row["id"] for row in rows if row["name"] == "To be raised")
    assert proxy.admin("PUT", f"/apikeys/{id_}", {"budgets": [{"usd": 0.5, "window": "total"}]}).status == 200
    upstream.will_answer(200, completion())
    assert ask(proxy, key).status == 200
    assert ask(proxy, key).status == 429


def test_a_new_name_takes_nobody_out_of_a_budget(proxy: Proxy, upstream: Upstream, limited: Callable[..., str]) -> None:
    person = {"id": "u-bob", "username": "bob", "password": "a good password", "budgets": [{"usd": 0.25}]}
    assert proxy.admin("POST", "/users", person).status == 201
    key = limited(username="bob")
    upstream.will_answer(200, completion())
    assert ask(proxy, key).status == 200
    assert proxy.admin("PUT", "/users/u-bob", {"username": "robert"}).status == 200
    assert code_of(ask(proxy, key)) == (429, "insufficient_quota", "budget_exceeded")
    assert proxy.admin("PUT", "/users/u-bob", {"enabled": False}).status == 200
    assert ask(proxy, key).status == 401


@pytest.mark.parametrize("model", ["unpriced", "half-priced"])
def test_a_model_without_a_price_is_not_for_budgets(
    proxy: Proxy, upstream: Upstream, limited: Callable[..., str], model: str
) -> None:
    refused = ask(proxy, limited(budgets=[{"usd": 1, "window": "month"}]), model)
    assert code_of(refused) == (400, "invalid_request_error", "model_not_priced")
    assert (refused.error["param"], upstream.history) == ("model", [])


def test_unless_that_is_allowed(start_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    key = build.key(KEY, budgets=[{"usd": 1, "window": "month"}])
    proxy = start_proxy(keys=[key], models=MODELS, env={"UNPRICED": "allow"})
    upstream.will_answer(200, completion())
    assert ask(proxy, KEY, "unpriced").status == 200


def test_a_fallback_without_a_price_does_not_stand_in(start_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    models = [build.model(price=BY_CALL, fallbacks=["unpriced", "half-priced"])]
    models += [build.model("unpriced"), build.model("half-priced", price={"input": 1})]
    proxy = start_proxy(keys=[build.key(KEY, budgets=[{"usd": 1, "window": "month"}])], models=models)
    upstream.will_answer(500, build.error())
    assert ask(proxy, KEY).status == 500
    assert len(upstream.history) == 1


def test_calls_that_fall_back_at_once_do_not_overrun_a_budget_together(
    start_proxy: Callable[..., Proxy], upstream: Upstream
) -> None:
    """All of them are let through at the price of the cheap model, and fail there before one asks the dear one."""
    models = [
        build.model("cheap", price={"perRequest": 0.01}, upstreamModel="cheap", fallbacks=["dear"]),
        build.model("dear", price={"perRequest": 1}, upstreamModel="dear"),
    ]
    proxy = start_proxy(keys=[build.key(KEY, budgets=[{"usd": 3, "window": "month"}])], models=models)
    all_are_here = threading.Barrier(10)

    def serve(seen: Seen) -> Script:
        if seen.json["model"] == "dear":
            return answer(200, completion())
        all_are_here.wait(10)
        return answer(500, build.error("Down."))

    upstream.default(serve)
    replies = at_once(proxy, [KEY] * 10, 1, "cheap")
    upstream.default(None)
    assert sorted(reply.status for reply in replies) == [200] * 3 + [500] * 7
    assert len(upstream.history) == 13, "who has no room for the dear one hears of the failure"
    spent, limits = (proxy.get("/v1/usage", KEY).json[name] for name in ("spent", "limits"))
    assert (spent["total"]["costUsd"], limits[0]["heldUsd"]) == (3, 0)


WAV = build.wav(1.0)
PNG = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
BODIES: dict[str, Json] = {
    CHAT: hello(),
    "/v1/completions": {"model": build.PUBLIC_MODEL, "prompt": "Hello"},
    "/v1/responses": {"model": build.PUBLIC_MODEL, "input": "Hello"},
    "/v1/embeddings": {"model": "embed", "input": "Hello"},
    "/v1/rerank": {"model": "rank", "query": "q", "documents": ["d"]},
    "/v1/moderations": {"model": "judge", "input": "Hello"},
    "/v1/images/generations": {"model": "draw", "prompt": "A cat"},
    "/v1/audio/speech": {"model": "say", "input": "Hello", "voice": "alloy"},
    "/v1/ocr": {"model": build.PUBLIC_MODEL, "image": PNG},
    "/acme/v1/chat/completions": hello(),
}
FORMS: dict[str, list[tuple[str, object]]] = {
    "/v1/audio/transcriptions": [("model", "hear"), ("file", ("a.wav", WAV, "audio/wav"))],
    "/v1/audio/translations": [("model", "hear"), ("file", ("a.wav", WAV, "audio/wav"))],
    "/v1/images/edits": [("model", "draw"), ("prompt", "A cat"), ("image", ("a.png", b"\x89PNG", "image/png"))],
}


@pytest.mark.parametrize("path", [*BODIES, *FORMS])
def test_no_route_goes_around_a_budget(
    proxy: Proxy, upstream: Upstream, limited: Callable[..., str], path: str
) -> None:
    key = limited(budgets=[{"usd": 0, "window": "month"}])
    reply = proxy.post(path, BODIES[path], key) if path in BODIES else proxy.form(path, FORMS[path], key)
    assert code_of(reply) == (429, "insufficient_quota", "budget_exceeded")
    assert upstream.history == []


def test_a_recording_that_does_not_tell_how_long_it_lasts_is_not_heard_for_nothing(
    proxy: Proxy, upstream: Upstream, limited: Callable[..., str]
) -> None:
    key = limited(budgets=[{"usd": 0.1, "window": "month"}])
    form: list[tuple[str, object]] = [("model", "listen"), ("file", ("a.mp3", bytes(80_006), "audio/mpeg"))]
    upstream.will_answer(200, {"text": "Hello"})
    heard = proxy.form("/v1/audio/transcriptions", form, key)
    assert (heard.status, heard.header("cost")) == (200, "0.11")
    row = proxy.admin("GET", f"/requests/{heard.header('x-request-id')}").json
    assert (row["seconds"], row["costBasis"]) == (11, "estimated")
    upstream.will_answer(200, {"text": "Hello", "usage": {"type": "tokens", "input_tokens": 9, "output_tokens": 3}})
    heard = proxy.form("/v1/audio/transcriptions", form, KEY)
    row = proxy.admin("GET", f"/requests/{heard.header('x-request-id')}").json
    assert (row["seconds"], row["inputTokens"], row["costUsd"], row["costBasis"]) == (11, 9, 0.11, "estimated")
    assert code_of(proxy.form("/v1/audio/transcriptions", form, key)) == (429, "insufficient_quota", "budget_exceeded")


def test_a_pdf_whose_pages_nobody_counts_is_not_read_for_nothing(
    proxy: Proxy, upstream: Upstream, limited: Callable[..., str]
) -> None:
    key = limited(budgets=[{"usd": 0.1, "window": "month"}])
    form: list[tuple[str, object]] = [
        ("model", "read"),
        ("file", ("a.pdf", b"%PDF-1.7\n" + bytes(100_000), "application/pdf")),
    ]
    said = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
    }
    upstream.will_answer(200, {**said, "usage": {"input_tokens": 1000, "output_tokens": 10}})
    read = proxy.form("/v1/ocr", form, key)
    assert (read.status, read.json["text"], read.header("cost")) == (200, "Hello", "0.12")
    row = proxy.admin("GET", f"/requests/{read.header('x-request-id')}").json
    assert (row["inputTokens"], row["pages"], row["costBasis"]) == (1000, 2, "estimated")
    assert code_of(proxy.form("/v1/ocr", form, key)) == (429, "insufficient_quota", "budget_exceeded")


def test_a_limit_is_told_before_what_a_model_cannot_do(
    proxy: Proxy, upstream: Upstream, limited: Callable[..., str]
) -> None:
    proxy.add_model("blind", supportsImageUpload=False, price=BY_CALL)
    shown = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG}}]}]
    key = limited(budgets=[{"usd": 0, "window": "month"}])
    reply = proxy.post(CHAT, {"model": "blind", "messages": shown}, key)
    assert code_of(reply) == (429, "insufficient_quota", "budget_exceeded")
    reply = proxy.post(CHAT, {"model": "blind", "messages": shown}, KEY)
    assert code_of(reply) == (400, "invalid_request_error", "image_upload_not_supported")


def test_what_was_spent_is_known_after_a_kill(start_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    keys = [build.key(KEY, budgets=[{"usd": 0.5, "window": "month"}], rpm=3)]
    proxy = start_proxy(keys=keys, models=MODELS)
    for _ in range(2):
        upstream.will_answer(200, completion())
        assert ask(proxy, KEY).status == 200
    proxy.signal(signal.SIGKILL)
    with started_again(proxy, upstream, keys) as again:
        refused = ask(again, KEY)
        assert code_of(refused) == (429, "insufficient_quota", "budget_exceeded")
        assert refused.header("x-ratelimit-remaining-requests") == "1"


def test_spending_is_known_by_ids_of_any_length(start_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    begun, other = "k" * 255, "sk-other-0123456789abcdefghij"
    keys = [
        build.key(KEY, f"{begun}1", budgets=[{"usd": 0.25, "window": "total"}]),
        build.key(other, f"{begun}2", budgets=[{"usd": 0.25, "window": "total"}]),
    ]
    proxy = start_proxy(keys=keys, models=MODELS)
    upstream.will_answer(200, completion())
    assert ask(proxy, KEY).status == 200
    assert proxy.get("/v1/usage", other).json["spent"]["total"]["requests"] == 0
    with started_again(proxy, upstream, keys) as again:
        assert code_of(ask(again, KEY)) == (429, "insufficient_quota", "budget_exceeded")


def test_what_a_budget_was_charged_by_estimate_is_known_after_a_kill(
    start_proxy: Callable[..., Proxy], upstream: Upstream
) -> None:
    keys = [build.key(KEY, budgets=[{"usd": 0.1, "window": "month"}])]
    proxy = start_proxy(keys=keys, models=MODELS)
    usage = {"type": "tokens", "input_tokens": 14, "output_tokens": 45, "total_tokens": 59}
    upstream.will_answer(200, {"text": "Hello", "usage": usage})  # no word of the seconds that are paid for
    form: list[tuple[str, object]] = [("model", "listen"), ("file", ("a.mp3", bytes(80_006), "audio/mpeg"))]
    heard = proxy.form("/v1/audio/transcriptions", form, KEY)
    assert [heard.header(name) for name in ("cost", "monthlyCost")] == ["0.11", "0.11"]
    row = proxy.admin("GET", f"/requests/{heard.header('x-request-id')}").json
    assert (row["costUsd"], row["costBasis"], row["outputTokens"]) == (0.11, "estimated", 45)
    proxy.signal(signal.SIGKILL)
    with started_again(proxy, upstream, keys) as again:
        assert code_of(ask(again, KEY)) == (429, "insufficient_quota", "budget_exceeded")


def test_an_aborted_stream_is_paid_for_by_what_came(
    proxy: Proxy, upstream: Upstream, limited: Callable[..., str]
) -> None:
    key = limited()
    upstream.will_stream(*(build.chunk(f"word{number} ") for number in range(40)), pause, finish())
    wire = proxy.raw(request("POST", CHAT, hello(model="by-token", stream=True), key))
    reply = wire.reply()
    texts = reply.texts()
    for _ in range(40):
        next(texts)
    wire.close()
    (line,) = proxy.log_lines(
        lambda line: line["event"] == "call" and line["request_id"] == reply.header("x-request-id")
    )
    assert (line["status"], line["estimated"]) == (499, True)
    upstream.resume()
    assert 35 <= line["output_tokens"] <= 120 and line["input_tokens"] > 0
    assert line["cost_nano_usd"] == line["input_tokens"] * 1_000 + line["output_tokens"] * 4_000


MESSAGE = {"model": "by-token", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize(("path", "body"), [(CHAT, hello(model="by-token", stream=True)), ("/v1/messages", MESSAGE)])
@pytest.mark.parametrize("who", ["provider", "caller"])
def test_what_is_told_of_a_whole_answer_counts_whoever_hangs_up_then(
    proxy: Proxy, upstream: Upstream, limited: Callable[..., str], path: str, body: Json, who: str
) -> None:
    """Of the eight pieces the provider has charged two tokens, and says so behind the last one."""
    last = b"".join(map(frame, (build.chunk("ended"), finish(), build.usage(7, 2))))
    told = (*(build.chunk("word ") for _ in range(7)), last)
    upstream.will_stream(*told, reset if who == "provider" else pause, done=False)
    wire = proxy.raw(request("POST", path, body, limited()))
    reply = wire.reply()
    if who == "caller":
        wire.until(b"ended")
        wire.close()
    else:
        reply.read()
    (line,) = proxy.log_lines(
        lambda line: line["event"] == "call" and line["request_id"] == reply.header("x-request-id")
    )
    upstream.resume()
    assert (line["input_tokens"], line["output_tokens"], line["cost_nano_usd"]) == (7, 2, 7 * 1_000 + 2 * 4_000)
    assert "estimated" not in line
    assert line["status"] == (200 if who == "provider" else 499)
    assert "error" not in line or who == "caller"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_what_a_provider_goes_on_with_in_the_background_is_paid_for_as_what_it_may_become(
    proxy: Proxy, upstream: Upstream, limited: Callable[..., str], streamed: bool
) -> None:
    """Nobody hears how long the answer gets: not when the first word on it is all that comes, nor when a caller hangs up."""
    body = {"model": "by-token", "input": "Think.", "background": True, "max_output_tokens": 5_000, "stream": streamed}
    queued = {**build.response(status="queued"), "background": True}
    if streamed:
        upstream.will_stream(
            build.named_event("response.queued", {"type": "response.queued", "response": queued}), stall
        )
        wire = proxy.raw(request("POST", "/v1/responses", body, limited()))
        reply = wire.reply()
        wire.until(b"response.queued")
        wire.close()
    else:
        upstream.will_answer(200, queued)
        reply = proxy.post("/v1/responses", body, limited())
        assert (reply.status, reply.json["status"]) == (200, "queued")
    (line,) = proxy.log_lines(
        lambda line: line["event"] == "call" and line["request_id"] == reply.header("x-request-id")
    )
    assert (line["estimated"], line["output_tokens"]) == (True, 5_000)
    assert line["cost_nano_usd"] == line["input_tokens"] * 1_000 + 5_000 * 4_000


def test_a_stream_that_breaks_is_paid_for_by_its_last_word(
    proxy: Proxy, upstream: Upstream, limited: Callable[..., str]
) -> None:
    told = {**build.chunk("Hi"), "usage": build.usage_of(100, 50)}
    upstream.will_stream(told, done=False)
    reply = ask(proxy, limited(), "by-token", stream=True)
    assert b"upstream_stream_interrupted" in reply.body
    (line,) = proxy.log_lines(
        lambda line: line["event"] == "call" and line["request_id"] == reply.header("x-request-id")
    )
    assert (line["input_tokens"], line["output_tokens"], line["cost_nano_usd"]) == (100, 50, 300_000)


def test_comments_in_a_stream_are_not_paid_for(proxy: Proxy, upstream: Upstream, limited: Callable[..., str]) -> None:
    words = [build.chunk(f"word{number} ") for number in range(40)]
    upstream.will_stream(*[b": OPENROUTER PROCESSING\n\n"] * 200, *words, hang_up, done=False)
    reply = ask(proxy, limited(), "by-token", stream=True)
    row = proxy.admin("GET", f"/requests/{reply.header('x-request-id')}").json
    assert row["costBasis"] == "estimated" and 35 <= row["outputTokens"] <= 120


def test_a_refusal_speaks_before_a_stream_begins(proxy: Proxy, limited: Callable[..., str]) -> None:
    reply = ask(proxy, limited(budgets=[{"usd": 0, "window": "month"}]), stream=True)
    assert (reply.status, reply.header("content-type")) == (429, "application/json")
