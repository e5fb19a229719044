"""LiteLLM's price file: which keys are models, what their prices are as ours, and what can be no price."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ipin_proxy.columns import Invalid
from ipin_proxy.dialects.pricefile import price_in, rows_of
from ipin_proxy.pricelist import row_for
from ipin_proxy.records import Price

Json = dict[str, Any]


def row(**members: Any) -> Json:
    return {"litellm_provider": "openai", "mode": "chat", **members}


PRICES: dict[str, tuple[Json, Json | None]] = {
    "tokens": (
        row(input_cost_per_token=2.5e-06, output_cost_per_token=1e-05, cache_read_input_token_cost=1.25e-06),
        {"input": 2.5, "output": 10, "cachedInput": 1.25},
    ),
    "kept for minutes and for an hour": (
        row(
            input_cost_per_token=3e-06,
            output_cost_per_token=1.5e-05,
            cache_creation_input_token_cost=3.75e-06,
            cache_creation_input_token_cost_above_1hr=6e-06,
        ),
        {"input": 3, "output": 15, "cacheWrite": 3.75, "cacheWrite1h": 6},
    ),
    "tiers": (
        row(
            input_cost_per_token=1.25e-06,
            output_cost_per_token=1e-05,
            cache_creation_input_token_cost_above_1hr=2.5e-06,
            input_cost_per_token_above_200k_tokens=2.5e-06,
            output_cost_per_token_above_200k_tokens=1.5e-05,
            cache_creation_input_token_cost_above_1hr_above_200k_tokens=5e-06,
            input_cost_per_token_above_128k_tokens=2e-06,
            output_cost_per_token_above_128k_tokens=1e-05,
        ),
        {
            "input": 1.25,
            "output": 10,
            "cacheWrite1h": 2.5,
            "longContext": [
                {"input": 2, "aboveTokens": 128_000},
                {"input": 2.5, "output": 15, "cacheWrite1h": 5, "aboveTokens": 200_000},
            ],
        },
    ),
    "a tier without a difference": (
        row(input_cost_per_token=1e-06, output_cost_per_token=1e-06, input_cost_per_token_above_272k_tokens=1e-06),
        {"input": 1, "output": 1},
    ),
    "a tier in which all kinds cost the same": (
        row(
            input_cost_per_token=3e-07,
            output_cost_per_token=1e-06,
            input_cost_per_audio_token=1e-06,
            input_cost_per_token_above_200k_tokens=2e-06,
            input_cost_per_audio_token_above_200k_tokens=2e-06,
            input_cost_per_image_token_above_200k_tokens=2e-06,
        ),
        {
            "input": 0.3,
            "output": 1,
            "audioInput": 1,
            "longContext": [{"input": 2, "audioInput": 2, "aboveTokens": 200_000}],
        },
    ),
    "other ways to be served": (
        row(
            input_cost_per_token=1e-06,
            output_cost_per_token=2e-06,
            input_cost_per_token_batches=5e-07,
            output_cost_per_token_priority=4e-06,
            input_cost_per_token_above_272k_tokens_flex=5e-07,
            search_context_cost_per_query={"search_context_size_low": 0.005},
            input_cost_per_pixel=1e-08,
            supports_vision=True,
        ),
        {"input": 1, "output": 2},
    ),
    "kinds of tokens that cost the same": (
        row(
            input_cost_per_token=3e-07,
            output_cost_per_token=2.5e-06,
            output_cost_per_reasoning_token=2.5e-06,
            input_cost_per_audio_token=1e-06,
            input_cost_per_image_token=3e-07,
        ),
        {"input": 0.3, "output": 2.5, "audioInput": 1},
    ),
    "reasoning of its own": (
        row(input_cost_per_token=2e-06, output_cost_per_token=8e-06, output_cost_per_reasoning_token=3e-06),
        {"input": 2, "output": 8, "reasoning": 3},
    ),
    "seconds": (
        row(mode="audio_transcription", input_cost_per_second=0.0001, output_cost_per_second=0.0001),
        {"perSecond": 0.0001},
    ),
    "seconds that say the same as tokens": (
        row(
            mode="audio_transcription",
            input_cost_per_token=2.5e-06,
            output_cost_per_token=1e-05,
            input_cost_per_second=0.0001,
        ),
        {"input": 2.5, "output": 10},
    ),
    "seconds of which one kind is free": (
        row(mode="audio_transcription", input_cost_per_second=0.0, output_cost_per_second=2.77778e-05),
        {"perSecond": 2.77778e-05},
    ),
    "characters": (row(mode="audio_speech", input_cost_per_character=1.5e-05), {"perCharacter": 1.5e-05}),
    "images": (row(mode="image_generation", output_cost_per_image=0.04), {"perImage": 0.04}),
    "images, the older way": (row(mode="image_generation", input_cost_per_image=0.04), {"perImage": 0.04}),
    "images that are shown": (
        row(input_cost_per_token=2e-06, output_cost_per_token=1.2e-05, input_cost_per_image=0.0011),
        {"input": 2, "output": 12},
    ),
    "images by tokens": (
        row(
            mode="image_generation",
            input_cost_per_token=5e-06,
            input_cost_per_image_token=1e-05,
            output_cost_per_image_token=4e-05,
            input_cost_per_image=0.167,
        ),
        {"input": 5, "output": 40, "imageInput": 10},
    ),
    "images and words": (
        row(
            mode="image_generation",
            input_cost_per_token=2e-06,
            output_cost_per_token=1.2e-05,
            output_cost_per_image_token=0.00012,
        ),
        {"input": 2, "output": 12, "imageOutput": 120},
    ),
    "pages": (row(mode="ocr", ocr_cost_per_page=0.004, annotation_cost_per_page=0.005), {"perPage": 0.004}),
    "pages that say the same as tokens": (
        row(mode="ocr", input_cost_per_token=3e-07, output_cost_per_token=1.2e-06, ocr_cost_per_page=0.0003),
        {"input": 0.3, "output": 1.2},
    ),
    "searches": (
        row(mode="rerank", input_cost_per_query=0.002, input_cost_per_token=0.0, output_cost_per_token=0.0),
        {"perRequest": 0.002},
    ),
    "free": (row(input_cost_per_token=0.0, output_cost_per_token=0.0), {"input": 0, "output": 0}),
    "free but for what nobody counts": (
        row(input_cost_per_token=0, output_cost_per_token=0, output_cost_per_image=0.08),
        None,
    ),
    "by the pixel": (row(mode="image_generation", output_cost_per_token=0.0, input_cost_per_pixel=4.19617e-08), None),
    "a cache that is free to write to": (
        row(input_cost_per_token=2.8e-07, output_cost_per_token=4.2e-07, cache_creation_input_token_cost=0.0),
        {"input": 0.28, "output": 0.42, "cacheWrite": 0},
    ),
    "nothing we know": (row(max_input_tokens=1000, output_cost_per_video_per_second=0.1), None),
    "null": (row(input_cost_per_token=None, output_cost_per_token=None), None),
}


@pytest.mark.parametrize(("told", "price"), PRICES.values(), ids=PRICES)
def test_a_row_is_a_price_of_ours(told: Json, price: Json | None) -> None:
    assert price_in(json.loads(json.dumps(told))) == price
    if price is not None:
        assert Price.from_json(price).to_json() == price


@pytest.mark.parametrize(
    "value", [-1e-06, "free", "-1", True, [1], {}, float("nan"), float("inf"), 2, "9" * 5000, 10**400]
)
def test_what_can_be_no_price_is_refused_with_its_key(value: Any) -> None:
    for name in ("input_cost_per_token", "input_cost_per_token_above_200k_tokens"):
        with pytest.raises(Invalid):
            price_in(row(output_cost_per_token=1e-06, **{name: value}))


FILE = {
    "sample_spec": {"litellm_provider": "one of https://…", "input_cost_per_token": 0.0},
    "fallback_generalizations": {"rules": []},
    "$schema": "https://…",
    "gpt-4o": row(input_cost_per_token=2.5e-06),
    "gpt-latest": {"alias_of": "gpt-4o"},
    "lost-latest": {"alias_of": "nowhere"},
    "mistral/mistral-large-latest": row(litellm_provider="mistral", input_cost_per_token=5e-07),
    "azure/eu/gpt-4o": row(litellm_provider="azure", input_cost_per_token=2.75e-06),
    "odd": {"litellm_provider": 3},
    "list": [1],
}


def test_keys_that_are_no_models_are_skipped_and_providers_taken_off() -> None:
    found = {provider: set(models) for provider, models in rows_of(FILE).items()}
    assert found == {"openai": {"gpt-4o", "gpt-latest"}, "mistral": {"mistral-large-latest"}, "azure": {"eu/gpt-4o"}}


@pytest.mark.parametrize("data", [None, [], {}, "text", 3, {"gpt-4o": {"input_cost_per_token": 1}}, {"a": [1]}])
def test_what_is_no_price_file_says_what_one_is(data: Any) -> None:
    with pytest.raises(Invalid, match="model_prices_and_context_window"):
        rows_of(data)


@pytest.mark.parametrize(
    ("aliases", "model", "expected"),
    [
        (("openai",), "gpt-4o", 2.5),
        (("openai",), "gpt-4o-2024-08-06", 2.5),
        (("openai",), "gpt-latest", 2.5),
        (("azure",), "eu/gpt-4o", 2.75),
        (("mistral", "openai"), "gpt-4o", 2.5),
        (("azure",), "gpt-4o", None),
        (("nobody",), "gpt-4o", None),
        ((), "gpt-4o", None),
    ],
)
def test_a_model_is_looked_for_at_its_own_provider(
    aliases: tuple[str, ...], model: str, expected: float | None
) -> None:
    found = row_for(rows_of(FILE), aliases, model)
    assert (price_in(found) or {}).get("input") == expected if found else expected is None
