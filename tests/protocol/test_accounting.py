"""From a reply to a row: what is told of usage in every shape, what that costs to the nano-dollar, and what the ledger says
of calls that went well, that failed, that were refused and that were left."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support import build
from support.build import Json, completion, finish, hello
from support.client import Client, Cut, Reply, request
from support.proxy import KEY, Proxy
from support.upstream import Seen, Upstream, answer, hang_up, pause, stall, stream

CHAT = "/v1/chat/completions"
PRICE = {"input": 3, "output": 15, "cachedInput": 0.3, "cacheWrite": 3.75, "reasoning": 20}
# Which usage a provider tells, and what it costs at this price in nano-dollars, worked out by hand.
COSTS: dict[str, tuple[Json, int]] = {
    "plain": (build.usage_of(1_000, 100), 3_000_000 + 1_500_000),
    "cached, as OpenAI counts": (
        {**build.usage_of(1_000, 100), "prompt_tokens_details": {"cached_tokens": 600}},
        400 * 3_000 + 600 * 300 + 1_500_000,
    ),
    "cached, as Anthropic counts": (
        {
            "input_tokens": 400,
            "cache_read_input_tokens": 600,
            "cache_creation_input_tokens": 200,
            "output_tokens": 100,
        },
        400 * 3_000 + 600 * 300 + 200 * 3_750 + 1_500_000,
    ),
    "cached, as DeepSeek counts": (
        {**build.usage_of(1_000, 100), "prompt_cache_hit_tokens": 600, "prompt_cache_miss_tokens": 400},
        400 * 3_000 + 600 * 300 + 1_500_000,
    ),
    "reasoning within the output": (
        {**build.usage_of(10, 100), "completion_tokens_details": {"reasoning_tokens": 40}},
        10 * 3_000 + 60 * 15_000 + 40 * 20_000,
    ),
    "more cached than there was": (
        {**build.usage_of(100, 0), "prompt_tokens_details": {"cached_tokens": 5_000}},
        100 * 300,
    ),
    "reported": ({**build.usage_of(1_000, 100), "cost": 0.000123456}, 123_456),
    "reported by the customer's own key": (
        {**build.usage_of(1, 1), "cost": 0.001, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.02}},
        21_000_000,
    ),
    "sound beside the prompt, as Mistral counts": (
        {"prompt_tokens": 4, "completion_tokens": 87, "total_tokens": 466, "prompt_audio_seconds": 9},
        379 * 3_000 + 87 * 15_000,
    ),
    "a single cheap token": (build.usage_of(1, 0), 3_000),
    "negative counts": (build.usage_of(10, -5), 30_000),
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    proxy = Proxy.start(
        tmp_path_factory.mktemp("accounting"),
        providers=[
            build.provider(shared_upstream.base_url),
            build.provider(shared_upstream.base_url, "spare"),
            build.provider(shared_upstream.base_url, "off", enabled=False),
        ],
        models=[
            build.model("unserved", "off"),
            build.model(price=PRICE, fallbacks=["second"]),
            build.model("second", "spare", price=PRICE),
            build.model("unpriced"),
            build.model("speaks", type="speech", price=PRICE),
            build.model("hears", type="transcription"),
            build.model("speaks-by-token", type="speech", price={"input": 0.6, "output": 10, "audioOutput": 12}),
            build.model("draws", type="image", price={"perImage": 0.04}),
            build.model("embeds", type="embedding", price={"input": 3}),
            build.model("ranks", type="reranking", price={"input": 3}),
        ],
    )
    yield proxy
    proxy.stop()


def ask(proxy: Proxy, **more: Any) -> Reply:
    reply = proxy.post(CHAT, hello(**more), KEY)
    reply.read()
    return reply


def row_of(proxy: Proxy, reply: Reply) -> Json:
    found: Json = proxy.admin("GET", f"/requests/{reply.header('x-request-id')}").json
    return found


@pytest.mark.parametrize(("told", "nano"), COSTS.values(), ids=COSTS)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_every_usage_costs_what_it_costs(
    proxy: Proxy, upstream: Upstream, told: Json, nano: int, streamed: bool
) -> None:
    if streamed:
        upstream.will_stream(build.chunk("Hi"), finish(), {**build.chunk(""), "choices": [], "usage": told})
    else:
        upstream.will_answer(200, completion() | {"usage": told})
    row = row_of(proxy, ask(proxy, stream=streamed))
    assert round(row["costUsd"] * 1e9) == nano
    assert row["costBasis"] == ("reported" if "cost" in told else "priced")
    assert sum(round(line["costUsd"] * 1e9) for line in row["costLines"]) == (0 if "cost" in told else nano)


def test_a_call_of_the_log_tells_its_price_line_by_line(proxy: Proxy, upstream: Upstream) -> None:
    told = {**build.usage_of(1_000, 100), "prompt_tokens_details": {"cached_tokens": 600}}
    upstream.will_answer(200, completion() | {"usage": told})
    assert row_of(proxy, ask(proxy))["costLines"] == [
        {"kind": "input", "quantity": 400, "price": "3", "costUsd": 0.0012},
        {"kind": "cachedInput", "quantity": 600, "price": "0.3", "costUsd": 0.00018},
        {"kind": "output", "quantity": 100, "price": "15", "costUsd": 0.0015},
    ]


@pytest.mark.parametrize(
    "told",
    [
        {"prompt_tokens": 100, "total_tokens": 100},
        {"total_tokens": 100},
        {"prompt_tokens": 7, "total_tokens": 100},
        {"prompt_tokens": 7, "completion_tokens": 0, "total_tokens": 100},
    ],
    ids=["both", "total", "prompt is a part", "nothing written"],
)
def test_all_that_a_model_used_which_writes_nothing_was_read(proxy: Proxy, upstream: Upstream, told: Json) -> None:
    upstream.will_answer(200, build.embeddings([1.0]) | {"usage": told})
    embedded = proxy.post("/v1/embeddings", {"model": "embeds", "input": "hi"}, KEY)
    upstream.will_answer(200, {"results": [], "usage": told})
    ranked = proxy.post("/v1/rerank", {"model": "ranks", "query": "hi", "documents": ["a"]}, KEY)
    for reply in (embedded, ranked):
        row = row_of(proxy, reply)
        assert (row["inputTokens"], row["outputTokens"], row["reasoningTokens"]) == (100, 0, 0)
        assert (row["costUsd"], row["costBasis"]) == (0.0003, "priced")


def test_what_was_spent_is_the_sum_of_it(start_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    proxy = start_proxy(models=[build.model(price=PRICE)])
    for told, _ in COSTS.values():
        upstream.will_answer(200, completion() | {"usage": told})
        last = ask(proxy)
    total = sum(nano for _, nano in COSTS.values())
    usage = proxy.admin("GET", "/usage?by=key").json
    assert usage["totals"]["costUsd"] == usage["series"][0]["costUsd"] == total / 1e9
    assert float(last.header("monthlyCost") or "") == total / 1e9
    assert usage["totals"]["calls"] == len(COSTS)


def test_usage_that_comes_late_or_makes_no_sense_takes_nothing_back(proxy: Proxy, upstream: Upstream) -> None:
    empty = {**build.chunk(""), "choices": []}
    told = [
        build.usage_of(100, 1),
        build.usage_of(100, 50),
        build.usage_of(0, 0),
        {"prompt_tokens": "9", "cost": "NaN"},
    ]
    upstream.will_stream(
        build.chunk("Hi"), *({**empty, "usage": each} for each in told), finish(), {**empty, "usage": None}
    )
    row = row_of(proxy, ask(proxy, stream=True))
    assert (row["inputTokens"], row["outputTokens"], row["costUsd"]) == (100, 50, 0.00105)


def test_a_row_says_everything(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(build.chunk("Hi"), finish(), build.usage(7, 2))
    body = hello(stream=True)
    reply = proxy.post(CHAT, body, KEY, headers=[("user-agent", "tests/1.0")])
    reply.read()
    row = row_of(proxy, reply)
    expected = {
        "keyId": "key-1",
        "keyName": "key-1",
        "address": "127.0.0.1",
        "userAgent": "tests/1.0",
        "dialect": "openai",
        "endpoint": CHAT,
        "model": build.PUBLIC_MODEL,
        "servedModel": build.PUBLIC_MODEL,
        "upstreamModel": build.UPSTREAM_MODEL,
        "providerId": "acme",
        "stream": True,
        "status": 200,
        "totalTokens": 9,
        "finishReason": "stop",
        "errorOrigin": "",
        "errorCode": "",
        "bytesOut": len(reply.body),
    }
    assert {name: row[name] for name in expected} == expected
    assert row["latencyMs"] >= row["upstreamMs"] >= 0 and row["firstChunkMs"] is not None and row["bytesIn"] > 0
    assert abs(row["latencyMs"] - row["upstreamMs"] - row["overheadMs"]) < 0.01
    assert [(each["provider"], each["status"]) for each in row["attempts"]] == [("acme", 200)]


def test_a_row_tells_when_a_call_began_and_how_long_it_took(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(build.chunk("Hi"), pause, finish())
    began_at, began = time.time(), time.monotonic()
    reply = proxy.post(CHAT, hello(stream=True), KEY)
    next(reply.frames())
    heard_at, heard = time.time(), time.monotonic()
    upstream.resume()
    reply.read()
    took_ms = (time.monotonic() - began) * 1000
    row = row_of(proxy, reply)
    assert began_at * 1000 - 1 <= row["time"] <= heard_at * 1000
    assert 0 <= row["firstChunkMs"] <= (heard - began) * 1000
    assert row["firstChunkMs"] <= row["latencyMs"] <= took_ms


def test_the_log_has_a_line_of_it_too(proxy: Proxy, upstream: Upstream) -> None:
    told = {**build.usage_of(1_000, 100), "prompt_tokens_details": {"cached_tokens": 600}}
    upstream.will_stream(build.chunk("Hi"), finish(), {**build.chunk(""), "choices": [], "usage": told})
    reply = ask(proxy, stream=True)
    row, id_ = row_of(proxy, reply), reply.header("x-request-id")
    (line,) = proxy.log_lines(lambda line: line.get("event") == "call" and line.get("request_id") == id_)
    expected = {
        "caller": "key-1",
        "endpoint": CHAT,
        "model": build.PUBLIC_MODEL,
        "stream": True,
        "status": 200,
        "ms": pytest.approx(row["latencyMs"], abs=0.1),
        "upstream_ms": pytest.approx(row["upstreamMs"], abs=0.1),
        "first_chunk_ms": pytest.approx(row["firstChunkMs"], abs=0.1),
        "provider": "acme",
        "upstream_model": build.UPSTREAM_MODEL,
        "input_tokens": 1_000,
        "output_tokens": 100,
        "cached_tokens": 600,
        "finish_reason": "stop",
        "cost_nano_usd": round(row["costUsd"] * 1e9),
    }
    assert {name: line.get(name) for name in expected} == expected
    assert line.keys().isdisjoint({"alias", "estimated", "error", "seconds"})


def test_every_attempt_is_in_it(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(500, build.error("Down."))
    upstream.will_answer(200, completion())
    row = row_of(proxy, ask(proxy))
    assert [(each["provider"], each["status"]) for each in row["attempts"]] == [("acme", 500), ("spare", 200)]
    assert (row["model"], row["servedModel"], row["providerId"]) == (build.PUBLIC_MODEL, "second", "spare")


def test_who_was_passed_over_is_in_it_too(start_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    models = [build.model(price=PRICE, fallbacks=["second"]), build.model("second", "spare", price=PRICE)]
    providers = [build.provider(upstream.base_url), build.provider(upstream.base_url, "spare")]
    proxy = start_proxy(providers=providers, models=models)
    for status in (500, 200, 200, 500, 200):
        upstream.will_answer(status, completion() if status == 200 else build.error("Down."))
    seen = []
    for _ in range(3):
        row = row_of(proxy, ask(proxy))
        seen.append([(each["provider"], each["status"], each["error"]) for each in row["attempts"]])
    passed = ("acme", 0, "cooling_down")
    assert seen == [
        [("acme", 500, "upstream_error"), ("spare", 200, "")],
        [passed, ("spare", 200, "")],
        [passed, ("spare", 500, "upstream_error"), ("acme", 200, "")],
    ]
    assert "acme cooling_down 0 ms" in proxy.log_lines(lambda line: line["event"] == "call")[1]["attempts"]


@pytest.mark.parametrize(
    ("status", "code", "origin"),
    [
        (400, "invalid_json", "client"),
        (400, "missing_model", "client"),
        (404, "model_not_found", "client"),
        (503, "provider_not_configured", "proxy"),
    ],
)
def test_what_is_refused_is_there_too(proxy: Proxy, status: int, code: str, origin: str) -> None:
    bodies: dict[str, object] = {
        "invalid_json": b"{",
        "missing_model": {"messages": []},
        "model_not_found": hello(model="x"),
        "provider_not_configured": hello(model="unserved"),
    }
    reply = proxy.post(CHAT, bodies[code], KEY)
    row = row_of(proxy, reply)
    assert (row["status"], row["errorCode"], row["errorOrigin"]) == (status, code, origin)
    assert (row["costUsd"], row["attempts"], row["keyId"], row["endpoint"]) == (0, [], "key-1", CHAT)


def test_who_is_slowed_down_made_no_mistake(start_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    proxy = start_proxy(models=[build.model()], keys=[build.key(KEY, rpm=1)])
    upstream.will_answer(200, completion())
    began_at = time.time()
    first, late = ask(proxy), ask(proxy)
    assert (first.status, late.status) == (200, 429)
    row = row_of(proxy, late)
    assert (row["status"], row["errorCode"], row["errorOrigin"]) == (429, "rate_limit_exceeded", "proxy")
    assert began_at * 1000 - 1 <= row["time"] <= row["time"] + row["latencyMs"] <= time.time() * 1000 + 1


def test_who_has_no_key_is_not_in_the_ledger(proxy: Proxy) -> None:
    reply = proxy.post(CHAT, hello(), "sk-nobodys")
    assert reply.status == 401
    assert proxy.admin("GET", f"/requests/{reply.header('x-request-id')}").status == 404


def test_an_error_of_the_provider_costs_nothing(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(400, build.error("Too long.", "invalid_request_error", "context_length_exceeded"))
    row = row_of(proxy, ask(proxy))
    assert (row["costUsd"], row["errorOrigin"], row["errorCode"]) == (0, "upstream", "context_length_exceeded")
    assert row["errorMessage"] == "Too long."


def test_who_could_not_be_asked_is_owed_nothing(start_proxy: Callable[..., Proxy]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:  # it takes connections, and never says a word of TLS
        provider = build.provider(f"https://127.0.0.1:{mute.getsockname()[1]}/v1", timeoutSeconds=0.3)
        proxy = start_proxy(providers=[provider], models=[build.model(price=PRICE)])
        reply = ask(proxy)
    row = row_of(proxy, reply)
    assert (reply.status, row["status"], row["costUsd"], row["inputTokens"]) == (504, 504, 0, 0)


def test_who_was_asked_and_took_too_long_is_owed_for_the_question(
    start_proxy: Callable[..., Proxy], upstream: Upstream
) -> None:
    provider = build.provider(upstream.base_url, timeoutSeconds=0.3)
    proxy = start_proxy(providers=[provider], models=[build.model(price=PRICE)])
    upstream.will_stream(stall, done=False)
    reply = ask(proxy, stream=True)
    row = row_of(proxy, reply)
    assert (reply.status, row["costBasis"], row["outputTokens"]) == (504, "estimated", 0)
    assert row["costUsd"] * 1e6 == pytest.approx(3 * row["inputTokens"]) and row["inputTokens"] > 0


@pytest.mark.parametrize(("wanted", "drawn"), [(1, 1), (3, 3), (3, 2)])
@pytest.mark.parametrize("is_edit", [False, True], ids=["drawn", "edited"])
def test_every_picture_of_a_stream_is_paid_for(
    proxy: Proxy, upstream: Upstream, is_edit: bool, wanted: int, drawn: int
) -> None:
    kind = "image_edit.completed" if is_edit else "image_generation.completed"
    upstream.will_stream(*[build.named_event(kind, {"type": kind, "b64_json": "aGkh"})] * drawn, done=False)
    if is_edit:
        fields: list[tuple[str, object]] = [("model", "draws"), ("prompt", "a cat"), ("n", wanted), ("stream", "true")]
        reply = proxy.form("/v1/images/edits", [*fields, ("image", ("a.png", build.PNG, "image/png"))], KEY)
    else:
        body = {"model": "draws", "prompt": "a cat", "n": wanted, "stream": True}
        reply = proxy.post("/v1/images/generations", body, KEY)
    assert reply.body.count(b"aGkh") == drawn
    row = row_of(proxy, reply)
    assert (row["images"], row["costUsd"], row["costBasis"]) == (drawn, pytest.approx(0.04 * drawn), "priced")
    assert row["bytesOut"] == len(reply.body)


def test_pictures_that_came_before_a_stream_broke_are_paid_for(proxy: Proxy, upstream: Upstream) -> None:
    kind = "image_generation.completed"
    upstream.will_stream(*[build.named_event(kind, {"type": kind, "b64_json": "aGkh"})] * 2, hang_up, done=False)
    body = {"model": "draws", "prompt": "a cat", "n": 3, "stream": True}
    reply = proxy.post("/v1/images/generations", body, KEY)
    assert reply.body.count(b"aGkh") == 2 and b"upstream_stream_interrupted" in reply.body
    row = row_of(proxy, reply)
    assert (row["images"], row["costUsd"], row["errorCode"]) == (2, 0.08, "upstream_stream_interrupted")


@pytest.mark.parametrize("told", [{"data": []}, {"data": None}, {"data": [], "usage": {"total_tokens": 0}}])
@pytest.mark.parametrize("stream", [False, True])
def test_who_draws_nothing_is_paid_nothing(proxy: Proxy, upstream: Upstream, told: Json, stream: bool) -> None:
    upstream.will_answer(200, {"created": 1, **told})
    reply = proxy.post("/v1/images/generations", {"model": "draws", "prompt": "x", "n": 4, "stream": stream}, KEY)
    assert (reply.status, reply.error["code"]) == (502, "upstream_invalid_response")
    assert "without a picture" in reply.error["message"]
    row = row_of(proxy, reply)
    assert (row["images"], row["costUsd"]) == (0, 0)


def test_sounds_that_came_are_not_counted_as_text(proxy: Proxy, upstream: Upstream) -> None:
    pieces = [{"type": "speech.audio.delta", "audio": "UklGRg" * size} for size in (1, *[3_000] * 20)]
    upstream.will_stream(*pieces, done=False)
    body = {"model": "speaks", "input": "Say this.", "voice": "alloy", "stream_format": "sse"}
    reply = proxy.post("/v1/audio/speech", body, KEY)
    assert b"upstream_stream_interrupted" in reply.body
    row = row_of(proxy, reply)
    assert (row["costBasis"], row["characters"]) == ("estimated", 9)
    assert 1 <= row["outputTokens"] <= 50, "which nine characters make when they are spoken"


def test_what_is_uploaded_is_in_the_log(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, {"text": "Hello"})
    upstream.will_answer(200, {"text": "Hello"})
    for recording in (build.wav(1), bytes(1000)):  # of which one does not tell how long it lasts
        form: list[tuple[str, object]] = [("model", "hears"), ("file", ("a.mp3", recording, "audio/mpeg"))]
        assert row_of(proxy, proxy.form("/v1/audio/transcriptions", form, KEY))["media"] == "audio"
    upstream.will_answer(200, build.images(build.PNG))
    form = [("model", "draws"), ("prompt", "a cat"), ("image", ("a.png", build.PNG, "image/png"))]
    assert row_of(proxy, proxy.form("/v1/images/edits", form, KEY))["media"] == "image"


def test_what_is_spoken_is_paid_for_as_sound(proxy: Proxy, upstream: Upstream) -> None:
    usage = {"input_tokens": 100, "output_tokens": 1000, "total_tokens": 1100}
    upstream.will_stream(
        {"type": "speech.audio.delta", "audio": "UklGRg"}, {"type": "speech.audio.done", "usage": usage}, done=False
    )
    body = {"model": "speaks-by-token", "input": "Say this.", "voice": "alloy", "stream_format": "sse"}
    row = row_of(proxy, proxy.post("/v1/audio/speech", body, KEY))
    assert (row["outputTokens"], row["audioOutputTokens"], row["costBasis"]) == (1000, 1000, "priced")
    assert row["costUsd"] * 1e6 == pytest.approx(100 * 0.6 + 1000 * 12)


@pytest.mark.parametrize("each", ["A line.\n", "and/or ", 'He said "é". ', "Ein Fuß. ", "💬 plain words. "])
@pytest.mark.parametrize("as_ascii", [True, False])
def test_every_character_of_a_long_text_is_counted_once(
    proxy: Proxy, upstream: Upstream, each: str, as_ascii: bool
) -> None:
    text = each * 50_000
    upstream.will_answer(200, b"ID3", headers={"content-type": "audio/mpeg"})
    body = json.dumps({"model": "speaks", "input": text, "voice": "alloy"}, ensure_ascii=as_ascii)
    body = body.replace("/", "\\/")  # as PHP writes it
    reply = proxy.post("/v1/audio/speech", body.encode(), KEY, {"content-type": "application/json"})
    assert (reply.status, row_of(proxy, reply)["characters"]) == (200, len(text))


def test_an_answer_without_usage_is_guessed_and_says_so(proxy: Proxy, upstream: Upstream) -> None:
    words = "word " * 200
    upstream.will_answer(200, {**completion(words), "usage": None})
    row = row_of(proxy, ask(proxy))
    assert row["costBasis"] == "estimated" and 200 <= row["outputTokens"] <= 300
    assert row["costUsd"] > 0
    upstream.will_stream(*(build.chunk("word ") for _ in range(200)), finish())
    row = row_of(proxy, ask(proxy, stream=True))
    assert row["costBasis"] == "estimated" and 200 <= row["outputTokens"] <= 500


def test_a_price_nobody_knows_is_unknown_and_not_nothing(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion())
    row = row_of(proxy, ask(proxy, model="unpriced"))
    assert (row["costUsd"], row["costBasis"]) == (None, "unknown")


def test_the_row_is_there_when_the_last_word_is(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(build.chunk("Hi"), finish(), build.usage(7, 2), b"data: [DONE]\n\n", pause, done=False)
    wire = proxy.raw(request("POST", CHAT, hello(stream=True), KEY))
    reply = wire.reply()
    wire.until(b"[DONE]")
    row = row_of(proxy, reply)  # the connection to the provider is still open
    upstream.resume()
    assert (row["status"], row["totalTokens"], row["finishReason"]) == (200, 9, "stop")


def test_no_secret_is_kept(proxy: Proxy, upstream: Upstream) -> None:
    secret, theirs = "acme-secret-key-0123456789", "sk-proj-AbCdEfGhIjKlMnOpQrStUvWxYz012345"
    upstream.will_answer(400, build.error(f"Incorrect API key provided: {secret} or {theirs}."))
    reply = proxy.post(CHAT, hello(text="My password is hunter2-and-a-half"), KEY, headers=[("user-agent", theirs)])
    reply.read()
    assert reply.status == 400 and secret.encode() not in reply.body and b"hunter2" not in reply.body
    kept = [path.read_bytes() for path in proxy.folder.iterdir() if "usage" in path.name]
    told = [f"/requests/{reply.header('x-request-id')}", "/requests", "/requests?format=csv", "/requests?format=jsonl"]
    shown = [proxy.admin("GET", path).body for path in (*told, "/usage?by=model", "/audit", "/providers", "/export")]
    shown.append(proxy.get("/metrics", proxy.master_key).body)
    for text in (*kept, *shown, proxy.output.encode()):
        assert secret.encode() not in text and theirs.encode() not in text
        assert b"hunter2" not in text and KEY.encode() not in text


# -- the power switch -------------------------------------------------------------------------------------------------

KILLS = int(os.environ.get("IPIN_TESTS_KILLS", "5"))


def test_what_was_answered_is_in_the_ledger_whenever_it_is_killed(
    start_proxy: Callable[..., Proxy], upstream: Upstream
) -> None:
    """Complete answers and rows are the same, after every kill; but for calls whose answer was on its way."""
    models = [build.model(price=PRICE)]
    upstream.default(said)
    proxy = start_proxy(models=models)
    sent, complete = set[str](), set[str]()
    for round_ in range(KILLS):
        workers = [threading.Thread(target=work, args=(proxy, f"{round_}-{n}", sent, complete)) for n in range(4)]
        for worker in workers:
            worker.start()
        enough = len(complete) + 20 + 7 * round_
        proxy.log_lines(lambda line: line["event"] == "call")
        while len(complete) < enough and any(worker.is_alive() for worker in workers):
            workers[0].join(0.002)
        proxy.signal(signal.SIGKILL)
        proxy.stop()
        for worker in workers:
            worker.join()
        proxy = Proxy.start(proxy.folder, providers=[build.provider(upstream.base_url)], models=models)
    upstream.default(None)
    total = proxy.admin("GET", "/requests").json["total"]  # which has the journal read first
    assert proxy.stop() == 0
    with contextlib.closing(sqlite3.connect(proxy.folder / "ipin-proxy-usage.db")) as database:
        rows = [id_ for (id_,) in database.execute("SELECT request_id FROM calls")]
    assert len(rows) == len(set(rows)) == total, "none is there twice"
    assert complete <= set(rows) <= sent
    assert len(rows) - len(complete) <= 4 * KILLS, "only answers that were on their way"


def said(seen: Seen) -> Any:
    if seen.json.get("stream"):
        return stream(build.chunk("Hi"), finish(), build.usage(7, 2))
    return answer(200, completion())


def work(proxy: Proxy, name: str, sent: set[str], complete: set[str]) -> None:
    """Ask until nobody answers any more."""
    client = Client(proxy.port)
    for number in range(10_000):
        id_ = f"kill-{name}-{number}"
        sent.add(id_)
        try:
            reply = client.post(CHAT, hello(stream=number % 2 == 0), KEY, headers=[("x-request-id", id_)])
            reply.read()
        except (Cut, OSError):
            return
        finally:
            client.close()
        if reply.status == 200:
            complete.add(id_)
