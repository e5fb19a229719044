"""Prices in providers' lists of models: moved from one token to a million without a digit being lost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ipin_proxy.dialects.listing import for_a_million, models_told, price_told

Json = dict[str, Any]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("0.0000025", 2.5),
        ("0.000000075", 0.075),
        ("0.00000003083", 0.03083),
        ("0", 0),
        ("0.0", 0),
        ("1e-7", 0.1),
        ("2.5E-06", 2.5),
        (" 0.000015 ", 15),
        (2.5e-06, 2.5),
        (3.333333e-05, 33.33333),
        (0, 0),
        (1, 1_000_000),
        (".000003", 3),
    ],
)
def test_a_price_for_a_token_is_one_for_a_million(told: Any, expected: float) -> None:
    found = for_a_million(told)
    assert found == expected and Decimal(str(found)) == Decimal(str(told).strip()) * 10**6


NO_PRICES: list[Any] = [-1, -1e-07, True, None, [], {}, float("nan"), float("inf"), 10**400, 10**5000, "9" * 5000]


@pytest.mark.parametrize(
    "told",
    [*NO_PRICES, *["-1", "-0.5", "free", "NaN", "Infinity", "1,5", "1e", "1e9999", "0x10", "1_000", "٣"], ""],
    ids=range(len(NO_PRICES) + 12),
)
def test_what_is_no_price_is_none(told: Any) -> None:
    assert for_a_million(told) is None


def listed(pricing: Any) -> Any:
    """What a list says of one model with this `pricing`."""
    return (models_told({"data": [{"id": "m", "name": "M", "context_length": 4096, "pricing": pricing}]}) or [])[0]


def test_openrouters_prices_are_read_from_its_list() -> None:
    row = listed(
        {
            "prompt": "0.000003",
            "completion": "0.000015",
            "request": "0",
            "image": "0.0048",
            "web_search": "0.01",
            "internal_reasoning": "0",
            "input_cache_read": "0.0000003",
            "input_cache_write": "0.00000375",
            "input_cache_write_1h": "0.000006",
        }
    )
    assert row == {
        "id": "m",
        "name": "M",
        "contextWindow": 4096,
        "price": {"input": 3, "output": 15, "cachedInput": 0.3, "cacheWrite": 3.75, "cacheWrite1h": 6},
    }


@pytest.mark.parametrize(
    ("pricing", "expected"),
    [
        ({"prompt": "0", "completion": "0"}, {"input": 0, "output": 0}),
        ({"prompt": "-1", "completion": "-1"}, None),
        ({"prompt": "0.000001", "completion": "-1"}, None),
        ({"prompt": "0.000001", "completion": "0.000002", "audio": "-1"}, None),
        ({"prompt": "0.000001"}, None),
        ({"input": 0.3, "output": 0.3}, None),
        ({"prompt": "0.000001", "completion": None}, None),
        ({"prompt": "2", "completion": "2"}, None),  # two million dollars for a million tokens
        ([], None),
        ("free", None),
        (None, None),
        (
            {"prompt": "0.000001", "completion": "0.000002", "audio": "0.00004", "audio_output": "0.00008"},
            {"input": 1, "output": 2, "audioInput": 40, "audioOutput": 80},
        ),
        (
            {"prompt": "0", "completion": "0", "request": "0.005", "image_output": "0.04", "image_token": "0.00001"},
            {"input": 0, "output": 0, "imageInput": 10, "perRequest": 0.005},
        ),
        ({"prompt": "0", "completion": "0", "image_output": "0.00004"}, None),
        ({"prompt": "0", "completion": "0", "image": "0", "web_search": "0.01"}, {"input": 0, "output": 0}),
    ],
)
def test_a_price_that_is_not_told_or_depends_is_none(pricing: Any, expected: Json | None) -> None:
    assert price_told(pricing) == expected
    assert listed(pricing).get("price") == expected


LONG = {"min_prompt_tokens": 200_001, "prompt": "0.0000025", "completion": "0.000015"}


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([LONG], [{"input": 2.5, "output": 15, "aboveTokens": 200_000}]),
        ([{"min_prompt_tokens": 200_001, "prompt": "0.0000025"}], [{"input": 2.5, "aboveTokens": 200_000}]),
        ([LONG, {**LONG, "prompt": "0.000003"}], [{"input": 3, "output": 15, "aboveTokens": 200_000}]),
        ([{**LONG, "utc_start": "00:00", "utc_end": "06:00"}], None),
        ([{**LONG, "on_a_sunday": True}], None),
        ([{"prompt": "0.000001"}], None),
        ([{**LONG, "min_prompt_tokens": "many"}], None),
        ([{**LONG, "min_prompt_tokens": -5}], None),
        ([{**LONG, "min_prompt_tokens": 10**30}], None),
        ([{**LONG, "min_prompt_tokens": True}], None),
        ([{**LONG, "prompt": "-1"}], None),
        ([3, None, []], None),
        ("none", None),
    ],
)
def test_prices_of_long_prompts_are_tiers_and_others_are_left_out(overrides: Any, expected: Any) -> None:
    price = price_told({"prompt": "0.00000125", "completion": "0.00001", "overrides": overrides})
    assert price is not None and (price["input"], price["output"]) == (1.25, 10)
    assert price.get("longContext") == expected
