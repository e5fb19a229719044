"""Usage from whatever shape a provider tells it in; what no provider can mean counts as nothing."""

from __future__ import annotations

from typing import Any

import pytest

from ipin_proxy.call import NANO, Bill, Usage
from ipin_proxy.meter import MOST_TOKENS, nano_dollars, usage_of

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
    "cache hits": (
        {"prompt_tokens": 30, "prompt_cache_hit_tokens": 20, "prompt_cache_miss_tokens": 10, "completion_tokens": 4},
        {"input_tokens": 30, "cached_tokens": 20, "output_tokens": 4},
    ),
    "thinking beside the sum": (
        {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 90},
        {"input_tokens": 5, "output_tokens": 2},
    ),
    "transcription by tokens": (
        {"type": "tokens", "input_tokens": 14, "input_token_details": {"audio_tokens": 14}, "output_tokens": 45},
        {"input_tokens": 14, "audio_input_tokens": 14, "output_tokens": 45},
    ),
    "transcription by time": ({"type": "duration", "seconds": 12.5}, {"seconds": 12.5}),
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


def test_the_latest_word_on_usage_holds_and_a_price_once_told_stays() -> None:
    bill = Bill(None)  # type: ignore[arg-type]  # the call itself plays no part
    for usage in (Usage(input_tokens=5, output_tokens=1), None, Usage(5, output_tokens=9, cost=700), Usage(5)):
        bill.used(usage)
    assert bill.usage == Usage(input_tokens=5, cost=700)
