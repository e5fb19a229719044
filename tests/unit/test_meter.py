"""Usage from whatever shape a provider tells it in; what no provider can mean counts as nothing."""

from __future__ import annotations

from typing import Any

import pytest

from ipin_proxy.call import NANO, Bill, Usage
from ipin_proxy.meter import MOST_TOKENS, cost_in, nano_dollars, usage_of

Json = dict[str, Any]


def read(**told: Any) -> Json:
    """What is read from a reply with this usage, without what is nothing."""
    usage = usage_of({"usage": told})
    return {name: value for name, value in usage._asdict().items() if value not in (0, 0.0, None)} if usage else {}


SHAPES: dict[str, tuple[Json, Json]] = {
    "chat": (
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 80, "cache_write_tokens": 5, "audio_tokens": 3},
            "completion_tokens_details": {"reasoning_tokens": 40, "audio_tokens": 2},
        },
        {
            "input_tokens": 100,
            "cached_tokens": 80,
            "cache_write_tokens": 5,
            "output_tokens": 50,
            "reasoning_tokens": 40,
            "audio_input_tokens": 3,
            "audio_output_tokens": 2,
        },
    ),
    "responses": (
        {
            "input_tokens": 9,
            "input_tokens_details": {"cached_tokens": 7},
            "output_tokens": 8,
            "output_tokens_details": {"reasoning_tokens": 6},
            "total_tokens": 17,
        },
        {"input_tokens": 9, "cached_tokens": 7, "output_tokens": 8, "reasoning_tokens": 6},
    ),
    "cache apart from the input": (
        {
            "input_tokens": 10,
            "cache_creation_input_tokens": 50,
            "cache_read_input_tokens": 300,
            "output_tokens": 4,
            "output_tokens_details": {"thinking_tokens": 3},
        },
        {
            "input_tokens": 360,
            "cached_tokens": 300,
            "cache_write_tokens": 50,
            "output_tokens": 4,
            "reasoning_tokens": 3,
        },
    ),
    "sound beside the prompt": (
        {
            "prompt_audio_seconds": 5,
            "prompt_tokens": 5,
            "total_tokens": 404,
            "completion_tokens": 24,
            "prompt_tokens_details": {"cached_tokens": 368},
        },
        {"input_tokens": 380, "cached_tokens": 368, "output_tokens": 24, "audio_input_tokens": 375, "seconds": 5.0},
    ),
    "sound beside the prompt, of which more is told": (
        {
            "prompt_tokens": 4,
            "completion_tokens": 87,
            "total_tokens": 466,
            "prompt_audio_seconds": 9,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 375},
        },
        {"input_tokens": 379, "output_tokens": 87, "audio_input_tokens": 375, "seconds": 9.0},
    ),
    "no sound": (
        {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 20, "prompt_audio_seconds": None},
        {"input_tokens": 10, "output_tokens": 10, "reasoning_tokens": 6},
    ),
    "cache hits": (
        {"prompt_tokens": 30, "prompt_cache_hit_tokens": 20, "prompt_cache_miss_tokens": 10, "completion_tokens": 4},
        {"input_tokens": 30, "cached_tokens": 20, "output_tokens": 4},
    ),
    "cache hits beside details that do not tell them": (
        {
            "prompt_tokens": 30,
            "prompt_cache_hit_tokens": 20,
            "completion_tokens": 4,
            "prompt_tokens_details": {"audio_tokens": 0},
        },
        {"input_tokens": 30, "cached_tokens": 20, "output_tokens": 4},
    ),
    "kept for minutes and for an hour": (
        {
            "input_tokens": 10,
            "cache_creation_input_tokens": 50,
            "cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 20},
            "cache_read_input_tokens": 0,
            "output_tokens": 4,
        },
        {"input_tokens": 60, "cache_write_tokens": 50, "cache_write_1h_tokens": 20, "output_tokens": 4},
    ),
    "kept, and only told how": (
        {"input_tokens": 10, "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4}},
        {"input_tokens": 17, "cache_write_tokens": 7, "cache_write_1h_tokens": 4},
    ),
    "thinking beside the sum": (
        {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 90},
        {"input_tokens": 5, "output_tokens": 85, "reasoning_tokens": 83},
    ),
    "thinking beside the sum, and told": (
        {
            "prompt_tokens": 32,
            "completion_tokens": 9,
            "total_tokens": 135,
            "completion_tokens_details": {"reasoning_tokens": 94},
        },
        {"input_tokens": 32, "output_tokens": 103, "reasoning_tokens": 94},
    ),
    "a total beyond reason": (
        {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 900_000_000},
        {"input_tokens": 5, "output_tokens": 2},
    ),
    "images by tokens": (
        {
            "input_tokens": 50,
            "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
            "output_tokens": 4160,
            "output_tokens_details": {"image_tokens": 4100, "text_tokens": 60},
            "total_tokens": 4210,
        },
        {"input_tokens": 50, "image_input_tokens": 40, "output_tokens": 4160, "image_output_tokens": 4100},
    ),
    "transcription by tokens": (
        {"type": "tokens", "input_tokens": 14, "input_token_details": {"audio_tokens": 14}, "output_tokens": 45},
        {"input_tokens": 14, "audio_input_tokens": 14, "output_tokens": 45},
    ),
    "transcription by time": ({"type": "duration", "seconds": 12.5}, {"seconds": 12.5}),
    "less than a second": ({"type": "duration", "seconds": 0.5}, {"seconds": 0.5}),
    "reranking": ({"total_tokens": 7}, {"input_tokens": 7}),
    "embeddings": ({"prompt_tokens": 4, "total_tokens": 4}, {"input_tokens": 4}),
    "a price": ({"prompt_tokens": 1, "cost": 0.00014}, {"input_tokens": 1, "cost": 140_000}),
}


@pytest.mark.parametrize(("told", "expected"), SHAPES.values(), ids=SHAPES)
def test_every_shape_is_read(told: Json, expected: Json) -> None:
    assert read(**told) == expected


@pytest.mark.parametrize(
    "body",
    [
        {"usage": {"prompt_tokens": 3}},
        {"type": "response.completed", "response": {"usage": {"input_tokens": 3}}},
        {"type": "message_start", "message": {"usage": {"input_tokens": 3}}},
        {"choices": [], "x_groq": {"id": "r", "usage": {"prompt_tokens": 3}}},
        {"usage": None, "response": None, "x_groq": {"usage": {"prompt_tokens": 3}}},
    ],
)
def test_every_place_is_looked_at(body: Json) -> None:
    assert usage_of(body) == Usage(input_tokens=3)


PICTURES = [{"b64_json": "QUJD"}, {"url": "https://pictures.example/1.png"}]
BESIDE: dict[str, tuple[Json, Usage]] = {
    "ollama": (
        {"model": "m", "message": {"role": "assistant"}, "done": True, "prompt_eval_count": 26, "eval_count": 298},
        Usage(26, output_tokens=298),
    ),
    "ollama, embeddings": ({"embeddings": [[0.1]], "prompt_eval_count": 8}, Usage(8)),
    "searches": (
        {"results": [], "meta": {"billed_units": {"search_units": 2}}},
        Usage(search_units=2),
    ),
    "billed tokens": (
        {"meta": {"billed_units": {"input_tokens": 7.0, "output_tokens": 1}}},
        Usage(7, output_tokens=1),
    ),
    "pages": ({"pages": [], "usage_info": {"pages_processed": 3, "doc_size_bytes": 1234}}, Usage(pages=3)),
    "pages and tokens": (
        {"usage_info": {"pages_processed": 3}, "usage": {"prompt_tokens": 9, "completion_tokens": 50}},
        Usage(9, output_tokens=50, pages=3),
    ),
    "pictures": ({"created": 1, "data": PICTURES}, Usage(images=2)),
    "pictures and tokens": (
        {"data": PICTURES[:1], "usage": {"input_tokens": 9, "output_tokens": 4160}},
        Usage(9, output_tokens=4160, image_output_tokens=4160, images=1),
    ),
    "pictures and words": (
        {"data": PICTURES[:1], "usage": {"output_tokens": 4160, "output_tokens_details": {"image_tokens": 4100}}},
        Usage(output_tokens=4160, image_output_tokens=4100, images=1),
    ),
    "a picture at the end of a stream": (
        {"type": "image_generation.completed", "b64_json": "QUJD", "usage": {"input_tokens": 9, "output_tokens": 50}},
        Usage(9, output_tokens=50, image_output_tokens=50, images=1),
    ),
    "speech at the end of a stream": (
        {"type": "speech.audio.done", "usage": {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}},
        Usage(14, output_tokens=101),
    ),
}


@pytest.mark.parametrize(("body", "expected"), BESIDE.values(), ids=BESIDE)
def test_what_stands_elsewhere_is_found(body: Json, expected: Usage) -> None:
    assert usage_of(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        {"data": []},
        {"data": [{"embedding": [1, 2]}]},
        {"data": "QUJD", "meta": None, "usage_info": 3},
        {"data": ["QUJD"]},
        {"meta": {"billed_units": []}},
        {"type": "image_generation.partial_image", "b64_json": "QUJD"},
        {"prompt_eval_count": "26", "eval_count": None},
        {"usage_info": {"pages_processed": -1}},
    ],
)
def test_what_only_looks_like_it_is_nothing(body: Json) -> None:
    assert usage_of(body) is None


@pytest.mark.parametrize(
    "body", [None, 17, "usage", [], {}, {"usage": None}, {"usage": []}, {"usage": {}}, {"response": {"usage": 3}}]
)
def test_nothing_told_is_nothing(body: Any) -> None:
    assert usage_of(body) is None


NONSENSE = [
    -1,
    -0.5,
    1.5,
    float("nan"),
    float("inf"),
    float("-inf"),
    1e300,
    10**5000,
    MOST_TOKENS + 1,
    "12",
    True,
    [1],
    {},
]


@pytest.mark.parametrize("value", NONSENSE, ids=range(len(NONSENSE)))
def test_what_cannot_be_meant_is_not_counted(value: Any) -> None:
    names = ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "total_tokens")
    assert read(**dict.fromkeys(names, value)) == {}
    details = {"prompt_tokens_details": {"cached_tokens": value}, "completion_tokens_details": value}
    assert read(prompt_tokens=5, completion_tokens=value, **details) == {"input_tokens": 5}


def test_an_unfit_number_does_not_hide_a_good_one() -> None:
    assert read(prompt_tokens="many", input_tokens=5) == {"input_tokens": 5}


def test_a_part_is_never_more_than_the_whole() -> None:
    details = {"cached_tokens": 99, "cache_write_tokens": 99, "audio_tokens": 99, "reasoning_tokens": 99}
    told = read(prompt_tokens=5, completion_tokens=2, prompt_tokens_details=details, completion_tokens_details=details)
    assert set(told.values()) == {5, 2}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (0, 0),
        (0.1, 100_000_000),
        (1.23e-7, 123),
        (1e-12, 0),
        ("0.0000001", 100),
        ("1e-3", 1_000_000),
        (3, 3 * NANO),
        (0.1 + 0.2, 300_000_000),
        (1_000_000, 1_000_000 * NANO),
    ],
)
def test_prices_are_whole_nano_dollars(told: Any, expected: int) -> None:
    assert nano_dollars(told) == expected


@pytest.mark.parametrize(
    "told",
    [None, True, -1, -1e-9, 1_000_001, float("nan"), float("inf"), "", "free", "NaN", "sNaN", "1e999999999", [1]],
)
def test_prices_nobody_can_mean_are_none(told: Any) -> None:
    assert nano_dollars(told) is None
    assert usage_of({"usage": {"prompt_tokens": 1, "cost": told}}) == Usage(input_tokens=1)


def test_behind_a_key_of_ones_own_the_fee_and_the_models_price_add_up() -> None:
    told = {"cost": 0.001, "cost_details": {"upstream_inference_cost": 0.02}}
    assert read(**told, is_byok=True) == {"cost": 21_000_000}
    assert read(**told, is_byok=False) == {"cost": 1_000_000}
    assert read(cost=0.001, is_byok=True, cost_details="unknown") == {"cost": 1_000_000}


@pytest.mark.parametrize(
    ("told", "expected"),
    [("0.0000725", 72_500), (" 1e-05 ", 10_000), ("0.0", None), ("", None), ("None", None), ("-1", None), (None, None)],
)
def test_a_cost_in_the_head_of_a_reply_is_read_and_none_there_is_unknown(
    told: str | None, expected: int | None
) -> None:
    assert cost_in({} if told is None else {"x-litellm-response-cost": told}) == expected


def bill(*told: Usage | None) -> Usage | None:
    """What is known after these words on usage."""
    account = Bill(None)  # type: ignore[arg-type]  # the call itself plays no part
    for usage in told:
        account.used(usage)
    return account.usage


def test_usage_is_told_as_a_running_total_and_nothing_takes_it_back() -> None:
    assert bill(Usage(5, output_tokens=1), None, Usage(5, output_tokens=9, cost=700), Usage(5)) == Usage(
        5, output_tokens=9, cost=700
    )
    begun = usage_of({"message": {"usage": {"input_tokens": 9, "cache_read_input_tokens": 90, "output_tokens": 1}}})
    ended = usage_of({"type": "message_delta", "usage": {"output_tokens": 40}})
    assert bill(begun, ended) == Usage(99, cached_tokens=90, output_tokens=40)


@pytest.mark.parametrize("value", [*NONSENSE, None, 0], ids=range(len(NONSENSE) + 2))
def test_no_late_word_resets_or_poisons_a_total(value: Any) -> None:
    good = usage_of({"usage": {"prompt_tokens": 100, "completion_tokens": 50, "seconds": 2.5, "cost": 0.001}})
    names = ("prompt_tokens", "completion_tokens", "total_tokens", "seconds" if value != 1.5 else "input_tokens")
    cost = {"cost": value} if value not in (1.5, "12") else {}  # which are costs
    late = usage_of({"usage": {**dict.fromkeys(names, value), **cost}, "eval_count": value})
    assert bill(good, late) == good == bill(late, good)


def test_a_guess_gives_way_to_what_is_told() -> None:
    guess = Usage(500, output_tokens=2000, seconds=3.5, characters=12, pages=1, images=4, estimated=True)
    assert bill(guess) == guess
    assert bill(guess, Usage(4)) == bill(Usage(4), guess) == Usage(4, seconds=3.5, characters=12, pages=1)


def test_the_last_word_on_seconds_holds_and_a_measure_is_for_want_of_one() -> None:
    account = Bill(None)  # type: ignore[arg-type]  # as above
    account.lasted(12.5)
    account.used(Usage(seconds=12.0))
    account.lasted(13.0)
    assert account.usage == Usage(seconds=12.0)
