"""What a call costs, by hand: replies of every provider's shape, a price, and the nano-dollars that come out.

A token of a price of p dollars a million costs p × 1000 nano-dollars.
"""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from ipin_proxy.call import (
    CHAT,
    COMPLETION,
    EMBEDDING,
    IMAGE,
    IMAGE_EDIT,
    IMAGE_PART,
    MESSAGE,
    OCR,
    RERANK,
    RESPONSE,
    SPEECH,
    TRANSCRIPTION,
    VIDEO_PART,
    Call,
    Caller,
    Document,
    Operation,
    Picture,
    Usage,
)
from ipin_proxy.meter import cost_in, usage_of
from ipin_proxy.prices import Cost, Line, estimate, lines_of, price_of, text_tokens
from ipin_proxy.records import Price
from ipin_proxy.web import members, multipart
from ipin_proxy.web.head import Headers
from ipin_proxy.web.multipart import FilePart

Json = dict[str, Any]

GPT = {"input": 2.5, "output": 10, "cachedInput": 1.25}
CLAUDE = {"input": 3, "output": 15, "cachedInput": 0.3, "cacheWrite": 3.75, "cacheWrite1h": 6}
GEMINI = {
    "input": 1.25,
    "output": 10,
    "cachedInput": 0.125,
    "longContext": [{"aboveTokens": 200_000, "input": 2.5, "output": 15, "cachedInput": 0.25}],
}
SPOKEN = {"input": 2.5, "output": 10, "audioInput": 40, "audioOutput": 80}
DRAWN = {"input": 5, "output": 40, "imageInput": 10}
ANTHROPIC_REPLY = {
    "type": "message",
    "usage": {
        "input_tokens": 10,
        "cache_read_input_tokens": 300,
        "cache_creation_input_tokens": 50,
        "cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 20},
        "output_tokens": 4,
    },
}
RESPONSES_REPLY = {
    "object": "response",
    "usage": {
        "input_tokens": 36,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 87,
        "output_tokens_details": {"reasoning_tokens": 64},
        "total_tokens": 123,
    },
}
AUDIO_REPLY = {
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 20, "audio_tokens": 60},
        "completion_tokens_details": {"audio_tokens": 30},
    }
}
IMAGE_REPLY = {
    "data": [{"b64_json": "QUJD"}],
    "usage": {
        "input_tokens": 50,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
        "output_tokens": 4160,
        "total_tokens": 4210,
    },
}
HEARD = {
    "text": "Hello.",
    "usage": {
        "type": "tokens",
        "input_tokens": 14,
        "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
        "output_tokens": 45,
        "total_tokens": 59,
    },
}


def long_prompt(tokens: int) -> Json:
    details = {"cached_tokens": 1}
    return {"usage": {"prompt_tokens": tokens, "completion_tokens": 10, "prompt_tokens_details": details}}


def chat(prompt: int, completion: int, **more: Any) -> Json:
    return {"usage": {"prompt_tokens": prompt, "completion_tokens": completion, **more}}


# What it is, the reply, the model's price, nano-dollars.
REPLIES: list[tuple[str, Json, Json, int]] = [
    # (1000 - 400) x 2500 + 400 x 1250 + 77 x 10000 = 1500000 + 500000 + 770000
    ("OpenAI chat", chat(1000, 77, prompt_tokens_details={"cached_tokens": 400}), GPT, 2_770_000),
    # (1000 - 400 - 100) x 2500 + 400 x 1250 + 100 x 3125 + 77 x 10000 = 1250000 + 500000 + 312500 + 770000
    (
        "OpenAI chat, newly cached",
        chat(1000, 77, prompt_tokens_details={"cached_tokens": 400, "cache_write_tokens": 100}),
        GPT,
        2_832_500,
    ),
    # 36 x 1250 + 87 x 10000 = 45000 + 870000: reasoning is output already
    ("Responses", RESPONSES_REPLY, {"input": 1.25, "output": 10}, 915_000),
    # 36 x 1250 + 64 x 3000 + (87 - 64) x 10000 = 45000 + 192000 + 230000
    ("Responses, reasoning has a price", RESPONSES_REPLY, {"input": 1.25, "output": 10, "reasoning": 3}, 467_000),
    # 10 x 3000 + 300 x 300 + 30 x 3750 + 20 x 6000 + 4 x 15000 = 30000 + 90000 + 112500 + 120000 + 60000
    ("Anthropic", ANTHROPIC_REPLY, CLAUDE, 412_500),
    # 10 x 3000 + 300 x 3000 + 30 x 3000 x 1.25 + 20 x 3000 x 2 + 4 x 15000
    # = 30000 + 900000 + 112500 + 120000 + 60000
    ("Anthropic, no prices for the cache", ANTHROPIC_REPLY, {"input": 3, "output": 15}, 1_222_500),
    # what it says: 0.00014 x 10^9
    ("OpenRouter", chat(10, 5, cost=0.00014), GPT, 140_000),
    # its fee and the model: (0.001 + 0.02) x 10^9
    (
        "OpenRouter, with a key of one's own",
        chat(10, 5, cost=0.001, is_byok=True, cost_details={"upstream_inference_cost": 0.02}),
        GPT,
        21_000_000,
    ),
    # 10 x 280 + 20 x 28 + 4 x 420 = 2800 + 560 + 1680
    (
        "DeepSeek",
        chat(30, 4, prompt_cache_hit_tokens=20, prompt_cache_miss_tokens=10),
        {"input": 0.28, "output": 0.42, "cachedInput": 0.028},
        5_040,
    ),
    # 5 x 300 + (90 - 5) x 2500 = 1500 + 212500: what is beyond the sum was thought
    ("Gemini", chat(5, 2, total_tokens=90), {"input": 0.3, "output": 2.5}, 214_000),
    # 199999 x 1250 + 1 x 125 + 10 x 10000 = 249998750 + 125 + 100000
    ("Gemini, 200 000 tokens", long_prompt(200_000), GEMINI, 250_098_875),
    # 200000 x 2500 + 1 x 250 + 10 x 15000 = 500000000 + 250 + 150000: all of it at the higher price
    ("Gemini, one more", long_prompt(200_001), GEMINI, 500_150_250),
    # 32 x 2000 + (9 + 94) x 6000 = 64000 + 618000
    (
        "Grok",
        chat(32, 9, total_tokens=135, completion_tokens_details={"reasoning_tokens": 94}),
        {"input": 2, "output": 6},
        682_000,
    ),
    # 3 x 590 + 2 x 790 = 1770 + 1580
    (
        "Groq, in a stream",
        {"choices": [], "x_groq": {"id": "r", **chat(3, 2)}},
        {"input": 0.59, "output": 0.79},
        3_350,
    ),
    # 26 x 50 + 298 x 100 = 1300 + 29800
    ("Ollama", {"done": True, "prompt_eval_count": 26, "eval_count": 298}, {"input": 0.05, "output": 0.1}, 31_100),
    # 4 x 20
    ("embeddings", {"data": [{"embedding": [0.1]}], "usage": {"prompt_tokens": 4, "total_tokens": 4}}, {"input": 0.02}, 80),
    # 60 x 2500 x ... text 100 - 20 - 60 = 20: 20 x 2500 + 60 x 40000 + 20 x 2500 + 20 x 10000 + 30 x 80000
    # = 50000 + 2400000 + 50000 + 200000 + 2400000
    ("audio in a chat", AUDIO_REPLY, SPOKEN, 5_100_000),
    # 100 x 2500 + 50 x 10000 = 250000 + 500000
    ("audio in a chat, no price of its own", AUDIO_REPLY, {"input": 2.5, "output": 10}, 750_000),
    # 14 x 2500 + 45 x 10000 = 35000 + 450000
    ("transcription by tokens", HEARD, {"input": 2.5, "output": 10}, 485_000),
    # 14 x 6000 + 45 x 10000 = 84000 + 450000
    ("transcription by tokens, audio has a price", HEARD, {"input": 2.5, "output": 10, "audioInput": 6}, 534_000),
    # 12.345 x 0.0001 x 10^9
    ("transcription by time", {"usage": {"type": "duration", "seconds": 12.345}}, {"perSecond": 0.0001}, 1_234_500),
    # 30 x 0.00003083 x 10^9
    ("transcription by time, Groq", {"usage": {"type": "duration", "seconds": 30}}, {"perSecond": 3.083e-05}, 924_900),
    # 2 x 0.04 x 10^9
    ("images, each", {"data": [{"url": "https://x.example/1"}, {"url": "https://x.example/2"}]}, {"perImage": 0.04}, 80_000_000),
    # 10 x 5000 + 40 x 10000 + 4160 x 40000 = 50000 + 400000 + 166400000
    ("images by tokens", IMAGE_REPLY, DRAWN, 166_850_000),
    # 10 x 5000 + 40 x 10000 + 4160 x 30000, drawn and not written = 50000 + 400000 + 124800000
    ("images by tokens, of their own", IMAGE_REPLY, {**DRAWN, "output": 12, "imageOutput": 30}, 125_250_000),
    # 2 x 0.002 x 10^9
    ("reranking, Cohere", {"results": [], "meta": {"billed_units": {"search_units": 2}}}, {"perRequest": 0.002}, 4_000_000),
    # 7 x 50
    ("reranking, Jina", {"results": [], "usage": {"total_tokens": 7}}, {"input": 0.05}, 350),
    # once 0.002 x 10^9; its tokens are no matter
    ("reranking, by the call", {"results": [], "usage": {"total_tokens": 7}}, {"perRequest": 0.002}, 2_000_000),
    # 3 x 0.004 x 10^9
    ("OCR, Mistral", {"pages": [], "usage_info": {"pages_processed": 3}}, {"perPage": 0.004}, 12_000_000),
    # 14 x 600 + 101 x 12000 = 8400 + 1212000
    (
        "speech, in events",
        {"type": "speech.audio.done", "usage": {"input_tokens": 14, "output_tokens": 101}},
        {"input": 0.6, "output": 12},
        1_220_400,
    ),
    # 10 x 1000 + 5 x 1000 + 0.005 x 10^9 = 10000 + 5000 + 5000000
    ("a fee for the call", chat(10, 5), {"input": 1, "output": 1, "perRequest": 0.005}, 5_015_000),
    ("free", chat(10, 5), {"input": 0, "output": 0}, 0),
    # 3 x 0.1 x 1000, a tenth being a tenth
    ("a tenth", chat(3, 0), {"input": 0.1, "output": 0.1}, 300),
    # 0.5, 1.5 and 2.5 are rounded to the even one
    ("half of one", chat(1, 0), {"input": 0.0005}, 0),
    ("one and a half", chat(3, 0), {"input": 0.0005}, 2),
    ("two and a half", chat(5, 0), {"input": 0.0005}, 2),
    # 2 x 0.5 + 3 x 0.5 = 2.5: not each line is rounded, but the sum
    ("two halves and three", chat(2, 3), {"input": 0.0005, "output": 0.0005}, 2),
    # 1 x 0.5001 is more than a half
    ("a bit more than half", chat(1, 0), {"input": 0.0005001}, 1),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "price", "nano"), [row[1:] for row in REPLIES], ids=[row[0] for row in REPLIES])
def test_what_a_reply_costs(reply: Json, price: Json, nano: int) -> None:
    usage = usage_of(json.loads(json.dumps(reply)))
    cost = price_of(usage, Price.from_json(price))
    told = "cost" in reply.get("usage", {})
    assert (cost.nano, cost.basis) == (nano, "reported" if told else "priced")
    assert sum(line.nano for line in lines_of(usage or Usage(), Price.from_json(price))) == nano


def test_a_cost_in_the_head_of_a_reply_counts_as_the_providers_word() -> None:
    usage = Usage(10, output_tokens=5)._replace(cost=cost_in({"x-litellm-response-cost": "0.0000725"}))
    assert price_of(usage, Price.from_json(GPT)) == Cost(72_500, "reported")
    assert lines_of(usage, Price.from_json(GPT)) == [Line("reported", 1, "0.0000725", 72_500)]


def test_characters_that_were_spoken_are_paid_for_one_by_one() -> None:
    # 11 x 0.000015 x 10^9
    usage, price = Usage(characters=11), Price.from_json({"perCharacter": 1.5e-05})
    assert price_of(usage, price) == Cost(165_000, "priced")
    assert lines_of(usage, price) == [Line("perCharacter", 11, "0.000015", 165_000)]


def test_the_lines_say_what_was_counted_and_at_which_price() -> None:
    usage = usage_of(ANTHROPIC_REPLY)
    assert usage is not None and lines_of(usage, Price.from_json(CLAUDE)) == [
        Line("input", 10, "3", 30_000),
        Line("cachedInput", 300, "0.3", 90_000),
        Line("cacheWrite", 30, "3.75", 112_500),
        Line("cacheWrite1h", 20, "6", 120_000),
        Line("output", 4, "15", 60_000),
    ]


def test_what_the_price_does_not_say_of_a_cache_is_shown_as_it_was_taken() -> None:
    lines = lines_of(usage_of(ANTHROPIC_REPLY) or Usage(), Price.from_json({"input": 0.1, "output": 0}))
    assert [(line.kind, line.price) for line in lines] == [
        ("input", "0.1"),
        ("cachedInput", "0.1"),
        ("cacheWrite", "0.125"),
        ("cacheWrite1h", "0.2"),
        ("output", "0"),
    ]


@pytest.mark.parametrize(
    ("usage", "price"),
    [
        (Usage(10, output_tokens=5), None),
        (None, None),
        (None, GPT),
        (Usage(), GPT),
        (Usage(10, output_tokens=5), {}),
        (Usage(10, output_tokens=5), {"input": 1}),
        (Usage(10, output_tokens=5), {"output": 1}),
        (Usage(10, cached_tokens=5), {"cachedInput": 1}),
        (Usage(10), {"reasoning": 1}),
        (Usage(10, output_tokens=5), {"perSecond": 1}),
        (Usage(10, output_tokens=5), {"perImage": 1}),
        (None, {"perPage": 1}),
        (None, {"perCharacter": 1}),
        (None, {"input": 1, "output": 1, "perRequest": 1}),
        (None, {"perRequest": 1, "perSecond": 1}),
        (Usage(10, output_tokens=5), {"input": 1, "perRequest": 1}),
        (Usage(10, output_tokens=5), {"input": 1, "perImage": 1}),
        (Usage(100), {"longContext": [{"aboveTokens": 100, "input": 1}]}),
        (Usage(10**9, output_tokens=10**9), {"input": 10**6, "output": 10**6}),
    ],
)
def test_what_is_not_known_stays_unknown(usage: Usage | None, price: Json | None) -> None:
    assert price_of(usage, Price.from_json(price) if price is not None else None) == Cost(None, "unknown")


def test_a_call_that_is_paid_as_such_has_a_price_whatever_is_told() -> None:
    price = Price.from_json({"perRequest": 0.002})
    assert price_of(None, price).nano == price_of(Usage(10), price).nano == 2_000_000


def test_what_is_paid_for_by_unit_leaves_no_gap_where_tokens_have_no_price() -> None:
    price = Price.from_json({"perSecond": 0.0001, "output": 10})
    # 3 x 10000 + 2 x 0.0001 x 10^9
    assert price_of(Usage(14, output_tokens=3, seconds=2.0), price).nano == 230_000


def test_a_tier_takes_what_it_does_not_say_from_below() -> None:
    tiers = [{"aboveTokens": 100, "input": 2}, {"aboveTokens": 10, "output": 7}]
    price = Price.from_json({"input": 1, "output": 5, "cachedInput": 0.5, "longContext": tiers})
    # 10 x 1000 + 1 x 5000 / 11 x 1000 + 1 x 7000 / 100 x 2000 + 1 x 500 + 1 x 5000
    assert price_of(Usage(10, output_tokens=1), price).nano == 15_000
    assert price_of(Usage(11, output_tokens=1), price).nano == 18_000
    assert price_of(Usage(101, cached_tokens=1, output_tokens=1), price).nano == 205_500


def test_a_guess_is_called_one() -> None:
    assert price_of(Usage(10, output_tokens=5, estimated=True), Price.from_json(GPT)).basis == "estimated"


def test_a_changed_price_counts_from_then_on() -> None:
    usage = Usage(10)
    assert [price_of(usage, Price.from_json({"input": each})).nano for each in (1, 2, 1)] == [10_000, 20_000, 10_000]


# What a call may use.


class Request:
    """As much of a request as an estimate looks at."""

    def __init__(self, body: bytes) -> None:
        self.body = body


def call(body: Json, operation: Operation = CHAT, **more: Any) -> Call:
    raw = json.dumps(body).encode()
    request: Any = Request(raw)
    made = Call("id", Caller("somebody"), operation, "m", False, request, 0.0, "openai", members.parse(raw))
    return made._replace(**more)


def message(text: str) -> Json:
    return {"messages": [{"role": "user", "content": text}]}


def picture(size: int) -> Json:
    url = "data:image/png;base64," + "iVBORw0KGgo" * (size // 11)
    return {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}


LONG = "A" * 100_000
DATA = "data:application/pdf;base64," + LONG


def parts(*told: Json) -> Json:
    return {"messages": [{"role": "user", "content": list(told)}]}


@pytest.mark.parametrize(
    ("body", "operation"),
    [
        (
            parts(
                {"type": "input_audio", "input_audio": {"data": LONG, "format": "wav"}},
                {"type": "video_url", "x": DATA},
            ),
            CHAT,
        ),
        (parts({"type": "file", "file": {"file_data": f"data:audio/wav;base64,{LONG}"}}), CHAT),
        (parts({"image_url": {"url": DATA}}), CHAT),
        (
            parts(
                {"type": "tool_result", "content": [{"type": "image", "source": {"data": LONG}}]}, {"text": DATA[:60]}
            ),
            MESSAGE,
        ),
        (
            {"input": [{"type": "function_call_output", "output": [{"type": "input_image", "image_url": DATA}]}]},
            RESPONSE,
        ),
        ({"input": [{"image": DATA}, "x"]}, EMBEDDING),
        ({"image": [LONG, DATA], "prompt": "x"}, IMAGE),
    ],
)
def test_files_are_no_text_where_they_are_looked_for(body: Json, operation: Operation) -> None:
    body = json.loads(json.dumps(body).replace(LONG, LONG * 3))
    assert text_tokens(call(body, operation)) < 100


@pytest.mark.parametrize(
    ("body", "operation"),
    [
        (parts({"type": "file", "file": {"file_data": DATA}}, {"type": "image_url", "image_url": {"url": DATA}}), CHAT),
        (parts({"type": "document", "source": {"type": "base64", "data": LONG}}), MESSAGE),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_data": DATA}]}]}, RESPONSE),
    ],
)
def test_the_pages_of_a_document_are_read(body: Json, operation: Operation) -> None:
    """So many of a PDF as of one of its length; else it would be held as nothing."""
    body = json.loads(json.dumps(body).replace(LONG, LONG * 3))
    assert 3000 <= text_tokens(call(body, operation)) < 3100


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "A" * 96_000, "format": "mp3"}},
        {"input_audio": {"data": "A" * 96_000, "format": "mp3"}},
        {"type": "audio_url", "audio_url": {"url": "data:audio/mpeg;base64," + "A" * 96_000}},
        {"type": "file", "file": {"file_data": "data:audio/mpeg;base64," + "A" * 96_000}},
    ],
)
@pytest.mark.parametrize("times", [1, 10])
def test_recordings_in_a_chat_are_heard(part: Json, times: int) -> None:
    """Nine seconds each, by their length; else hours of them would be held as nothing."""
    guess = estimate(call(parts(*[part] * times)))
    assert guess.audio_input_tokens == pytest.approx(90 * times, abs=10)
    assert guess.audio_input_tokens < guess.input_tokens < guess.audio_input_tokens + 100 * times


def test_pictures_that_are_sent_as_files_are_looked_at() -> None:
    picture = {"type": "input_file", "file_data": DATA.replace("application/pdf", "image/png")}
    guess = estimate(call({"input": [{"role": "user", "content": [picture] * 2}]}, RESPONSE))
    assert 2_000 <= guess.input_tokens < 2_100


def test_pictures_that_are_drawn_from_are_looked_at() -> None:
    sent = "".join(
        f'--x\r\nContent-Disposition: form-data; name="image[]"; filename="{n}.png"\r\n\r\nPNG\r\n' for n in range(3)
    )
    form = multipart.parse_file(io.BytesIO(f"{sent}--x--".encode()), "multipart/form-data; boundary=x")
    for asked in (
        call({}, IMAGE_EDIT, members=None, form=form),
        call({"prompt": "x", "image": [DATA.replace("application/pdf", "image/png")] * 3}, IMAGE),
    ):
        guess = estimate(asked)
        assert guess.image_input_tokens == 3_000
        assert 3_000 <= guess.input_tokens < 3_100


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize(
    ("body", "operation"),
    [
        (message(DATA), CHAT),
        (message(LONG), CHAT),
        (parts({"type": "text", "text": DATA}), CHAT),
        ({**message("x"), "tools": [{"type": "image_url", "description": DATA}]}, CHAT),
        ({"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": DATA}}]}]}, CHAT),
        (parts({"type": "document", "source": {"type": "text", "data": LONG}}), MESSAGE),
        (
            parts({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": DATA}]}}),
            MESSAGE,
        ),
        (parts({"type": "tool_use", "input": {"type": "image", "url": DATA}}), MESSAGE),
        (parts({"type": "file", "file": {"file_data": "data:text/plain;base64," + LONG}}), CHAT),
        (parts({"type": "file", "file": {"file_data": "data:application/ld+json;base64," + LONG}}), CHAT),
        ({"prompt": DATA}, COMPLETION),
        ({"prompt": DATA}, IMAGE),
        ({"input": LONG, "model": "x;base64,"}, EMBEDDING),
        ({"input": DATA}, RESPONSE),
    ],
)
def test_a_text_that_looks_like_a_file_costs_what_texts_cost(body: Json, operation: Operation, size: int) -> None:
    body = json.loads(json.dumps(body).replace(LONG, LONG * size))
    assert text_tokens(call(body, operation)) > 24_000 * size


def test_a_text_is_four_characters_a_token_and_an_answer_what_it_may_be() -> None:
    assert estimate(call({**message("x" * 4000), "max_tokens": 50})) == Usage(
        input_tokens=(4000 + 66) // 4, output_tokens=50, estimated=True
    )


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, 2_000),
        ({"max_completion_tokens": 9, "max_tokens": 5}, 9),
        ({"max_output_tokens": 9}, 9),
        ({"max_completion_tokens": 1, "max_tokens": 500}, 500),
        ({"max_tokens": 9, "n": 3}, 27),
        ({"max_tokens": 10**30, "n": 10**30}, 128_000_000),
        ({"max_tokens": "9", "n": "3"}, 27),
        ({"max_tokens": 9.0, "n": " +3 "}, 27),
        ({"max_tokens": "1e400", "n": "nan"}, 2_000),
        ({"max_tokens": -1, "n": "9" * 5_000}, 2_000),
        ({"max_tokens": 9.5, "n": -3.0}, 2_000),
        ({"max_tokens": True, "n": None}, 2_000),
        ({"max_tokens": "many"}, 2_000),
    ],
)
def test_the_callers_bound_is_reserved(asked: Json, expected: int) -> None:
    assert estimate(call({**message("Hi."), **asked})).output_tokens == expected
    assert estimate(call({"prompt": "Hi.", **asked}, COMPLETION)).output_tokens == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"prompt": ["A", "B", "C"]}, 30),
        ({"prompt": [[1, 2], [3]], "n": 2}, 40),
        ({"prompt": [1, 2, 3]}, 10),
        ({"prompt": []}, 10),
        ({"prompt": "A", "n": 2, "best_of": 5}, 50),
        ({"prompt": "A", "best_of": -5}, 10),
    ],
)
def test_each_prompt_of_a_completion_has_an_answer(asked: Json, expected: int) -> None:
    assert estimate(call({"max_tokens": 10, **asked}, COMPLETION)).output_tokens == expected


@pytest.mark.parametrize("size", [30_000, 3_000_000])
def test_files_are_not_taken_for_text(size: int) -> None:
    small = estimate(call(picture(size))).input_tokens
    assert 0 < small < 200
    sizes = (Picture(IMAGE_PART, "p", (1500, 1000)), Picture(IMAGE_PART, "p"), Picture(VIDEO_PART, "p"))
    assert estimate(call(picture(size), pictures=sizes)).input_tokens == small + 1600 + 1000 + 10_000


@pytest.mark.parametrize("size", [30_000, 3_000_000])
def test_text_beside_files_counts(size: int) -> None:
    body = picture(size)
    parts = body["messages"][0]["content"]
    alone = estimate(call(body)).input_tokens
    parts += [{"type": "text", "text": "Good day! " * 4_000}, parts[0]]
    assert estimate(call(body)).input_tokens == pytest.approx(2 * alone + 10_000, abs=30)


def test_a_long_text_is_one() -> None:
    text = "A text has blanks in it, and that is how it is told from a file. " * 20_000
    assert estimate(call(message(text))).input_tokens == pytest.approx(len(text) / 4, rel=0.01)


def test_the_prompt_of_an_alias_counts_as_text() -> None:
    assert (
        estimate(call(message("Hi."), added_chars=4000)).input_tokens
        == estimate(call(message("Hi."))).input_tokens + 1000
    )


def test_what_came_of_a_broken_answer_is_counted_instead_of_what_might_have_come() -> None:
    assert estimate(call({**message("Hi."), "max_tokens": 5000}), output_tokens=7).output_tokens == 7


def test_other_calls_are_guessed_in_their_own_units() -> None:
    spoken = estimate(call({"input": "Good morning!"}, SPEECH))
    assert (spoken.characters, spoken.output_tokens, spoken.audio_output_tokens) == (13, 18, 18)
    heard = estimate(call({}, TRANSCRIPTION, members=None, seconds=60.0, form=Form()))
    assert (heard.seconds, heard.input_tokens, heard.audio_input_tokens, heard.output_tokens) == (60.0, 600, 600, 240)
    drawn = estimate(call({"prompt": "A lighthouse", "n": 2}, IMAGE))
    assert (drawn.images, drawn.output_tokens, drawn.image_output_tokens) == (2, 8_000, 8_000)
    ranked = estimate(call({"query": "?", "documents": ["x"] * 101}, RERANK))
    assert (ranked.search_units, ranked.output_tokens) == (2, 0)
    assert estimate(call({"input": ["x"]}, EMBEDDING)).output_tokens == 0
    page = Document("image/png", "file", [])
    read = estimate(call({}, OCR, members=None, form=Form(), document=page))
    assert (read.pages, read.input_tokens, read.output_tokens) == (1, 1_000, 2_000)


@pytest.mark.parametrize(
    ("payload", "pages"),
    [
        (FilePart("file", "a.pdf", "", Headers([]), 220_000, 0, io.BytesIO()), 3),
        (["QUJD" * 40_000, "QUJD"], 2),
        ([], 1),
    ],
)
def test_the_pages_of_a_pdf_are_guessed_by_its_length(payload: Any, pages: int) -> None:
    document = Document("application/pdf", "file", payload)
    guess = estimate(call({}, OCR, members=None, form=Form(), document=document))
    assert (guess.pages, guess.input_tokens) == (pages, 1_000 * pages)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [(["3"], 3), (["1", "3"], 3), ([" 3"], 3), (["3.0"], 3), (["x"], 1), (["-3", ""], 1), ([], 1)],
)
def test_as_many_pictures_are_held_as_any_server_would_draw(asked: list[str], expected: int) -> None:
    sent = "".join(f'--x\r\nContent-Disposition: form-data; name="n"\r\n\r\n{n}\r\n' for n in asked)
    sent += '--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\nPNG\r\n--x--'
    form = multipart.parse_file(io.BytesIO(sent.encode()), "multipart/form-data; boundary=x")
    assert estimate(call({}, IMAGE_EDIT, members=None, form=form)).images == expected


class Form:
    """A form without fields."""

    def first(self, name: str) -> None:
        return None


@pytest.mark.parametrize(
    "body",
    [
        {"documents": None, "n": [], "input": 3, "max_tokens": {}},
        {"documents": {}, "n": 1.5, "input": None, "messages": "x"},
    ],
)
@pytest.mark.parametrize("operation", [CHAT, SPEECH, RERANK, IMAGE, EMBEDDING])
def test_what_makes_no_sense_is_guessed_all_the_same(body: Json, operation: Operation) -> None:
    guess = estimate(call(body, operation))
    assert guess.estimated and all(count >= 0 for count in guess if count is not None)
