"""The table of list prices is sound, and a model's row is found under the names it goes by, and under no other."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ipin_proxy import pricelist
from ipin_proxy.call import Usage
from ipin_proxy.presets import PRESETS
from ipin_proxy.prices import price_of
from ipin_proxy.records import Price, Provider

DATA: dict[str, Any] = json.loads(pricelist.FILE.read_text(encoding="utf-8"))
LIST = pricelist.read()
MODELS = {f"{row['provider']} {row['id']}": row for row in DATA["models"]}
OPENAI, ANTHROPIC = "https://api.openai.com/v1", "https://api.anthropic.com"
OPENROUTER, GROQ = "https://openrouter.ai/api/v1", "https://api.groq.com/openai/v1"


def provider(base_url: str) -> Provider:
    return Provider.from_json({"id": "some", "baseUrl": base_url})


def found(base_url: str | None, model: str) -> tuple[str, str] | None:
    """Whose list price is offered, and for which of their models."""
    offer = pricelist.find(provider(base_url) if base_url else None, model)
    return (offer.vendor, offer.model) if offer is not None else None


def test_the_table_says_from_when_and_where_it_is() -> None:
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", LIST.date)
    assert len(LIST.source) > 20
    assert len(MODELS) == len(DATA["models"]) >= 150


@pytest.mark.parametrize("row", MODELS.values(), ids=MODELS)
def test_a_row_is_a_price_that_can_be_reckoned_with(row: dict[str, Any]) -> None:
    assert row.keys() <= {"provider", "id", "price", "contextWindow", "vision"}
    assert row["provider"] in LIST.vendors
    price = Price.from_json(row["price"])
    assert price.extra == {} and price.to_json() == row["price"]
    assert type(row.get("contextWindow", 1)) is int and type(row.get("vision", True)) is bool
    everything = Usage(1000, 100, output_tokens=10, seconds=1.5, images=1, pages=1, characters=9)
    without_output = everything._replace(output_tokens=0)
    cost = price_of(everything if "output" in row["price"] else without_output, price)
    assert cost.basis == "priced"
    # No price is a million times too high: a token costs less than a tenth of a cent, and the rest less than a dollar.
    assert all(getattr(price, name) or 0 <= 1000 for name in ("input", "output", "image_output", "audio_output"))
    assert all((getattr(price, name) or 0) < 1 for name in ("per_second", "per_image", "per_page", "per_request"))
    assert (price.cached_input or 0) <= (price.input or 0)
    for tier in price.long_context:
        assert (tier.input or 0) >= (price.input or 0)


def test_well_known_prices_are_what_everybody_knows() -> None:
    assert MODELS["openai gpt-4o"]["price"] == {"input": 2.5, "output": 10, "cachedInput": 1.25}
    assert MODELS["openai gpt-4o-mini"]["price"] == {"input": 0.15, "output": 0.6, "cachedInput": 0.075}
    assert MODELS["openai whisper-1"]["price"] == {"perSecond": 0.0001}  # 0.6 cents a minute
    assert MODELS["openai tts-1"]["price"] == {"perCharacter": 1.5e-05}  # 15 dollars a million
    assert MODELS["anthropic claude-haiku-4-5"]["price"] == {
        "input": 1,
        "output": 5,
        "cachedInput": 0.1,
        "cacheWrite": 1.25,
        "cacheWrite1h": 2,
    }


def test_providers_are_known_by_the_hosts_of_the_presets() -> None:
    named = {"openai", "anthropic", "groq", "gemini", "mistral", "deepseek", "xai", "together", "openrouter", "azure"}
    for preset in PRESETS:
        if preset.id in named:
            vendor = LIST.vendor_of(provider(preset.base_url.replace("{resource}", "mine")))
            assert vendor is not None and vendor.id == preset.id


@pytest.mark.parametrize(
    ("base_url", "model", "expected"),
    [
        (OPENAI, "gpt-4o", ("OpenAI", "gpt-4o")),
        (OPENAI, "GPT-4o", ("OpenAI", "gpt-4o")),
        (OPENAI, "gpt-4o-2024-08-06", ("OpenAI", "gpt-4o")),
        (OPENAI, "gpt-4o-2024-05-13", ("OpenAI", "gpt-4o-2024-05-13")),  # costs twice what later ones do
        (OPENAI, "openai/gpt-4o", ("OpenAI", "gpt-4o")),
        ("https://API.OpenAI.com./v1?x=1", "gpt-4o", ("OpenAI", "gpt-4o")),
        ("https://mine.openai.azure.com/openai/v1", "gpt-4o", ("OpenAI", "gpt-4o")),
        (ANTHROPIC, "claude-haiku-4-5-20251001", ("Anthropic", "claude-haiku-4-5")),
        (ANTHROPIC, "claude-haiku-4-5@20251001", ("Anthropic", "claude-haiku-4-5")),
        (OPENROUTER, "anthropic/claude-haiku-4.5", ("Anthropic", "claude-haiku-4-5")),
        (OPENROUTER, "x-ai/grok-4.7", ("xAI", "grok-4.7")),
        (None, "gpt-4o", ("OpenAI", "gpt-4o")),
        (
            "https://generativelanguage.googleapis.com/v1beta/openai",
            "models/gemini-2.5-pro",
            ("Google", "gemini-2.5-pro"),
        ),
        (GROQ, "openai/gpt-oss-120b", ("Groq", "openai/gpt-oss-120b")),
        ("https://api.together.xyz/v1", "openai/gpt-oss-120b", ("Together AI", "openai/gpt-oss-120b")),
        ("https://api.together.xyz/v1", "hf:zai-org/GLM-5.3", ("Together AI", "zai-org/GLM-5.3")),
        ("https://api.synthetic.new/openai/v1", "hf:zai-org/GLM-5.3", ("Z.AI", "glm-5.3")),
    ],
)
def test_a_model_is_found_under_the_names_it_goes_by(
    base_url: str | None, model: str, expected: tuple[str, str]
) -> None:
    assert found(base_url, model) == expected


@pytest.mark.parametrize(
    ("base_url", "model"),
    [
        (OPENAI, "gpt-4o-of-ours"),
        (OPENAI, "gpt-4"),
        (OPENAI, "claude-haiku-4-5"),  # whoever is there, it is not theirs
        (OPENAI, "anthropic/claude-haiku-4-5"),
        (OPENAI, ""),
        (OPENROUTER, "openai/gpt-4o:free"),
        (OPENROUTER, "openai/claude-haiku-4.5"),
        (OPENROUTER, "somebody/gpt-4o"),
        (OPENROUTER, "openai/gpt-oss-120b"),  # hosts of it ask different prices, its maker none
        (GROQ, "gpt-4o"),
        ("http://localhost:11434/v1", "llama3.2"),
        ("http://localhost:11434/v1", "gpt-oss:120b"),
        (None, "../../etc/passwd"),
        (None, "x" * 100_000),
        (None, "hf:models/hf:"),
    ],
)
def test_what_is_only_like_it_is_not_taken_for_it(base_url: str | None, model: str) -> None:
    assert found(base_url, model) is None


@pytest.mark.parametrize(
    "base_url",
    ["https://api.openai.com.evil.example", "https://notopenai.azure.com", "https://openai.azure.com.evil.example"],
)
def test_a_host_is_not_taken_for_another(base_url: str) -> None:
    assert LIST.vendor_of(provider(base_url)) is None


def test_an_offer_tells_all_there_is_to_know() -> None:
    offer = pricelist.find(provider(OPENAI), "gpt-4o")
    assert offer is not None
    assert offer.to_json() == {
        "date": LIST.date,
        "source": LIST.source,
        "provider": "OpenAI",
        "model": "gpt-4o",
        "price": {"input": 2.5, "output": 10, "cachedInput": 1.25},
        "contextWindow": 128_000,
        "supportsImageUpload": True,
    }
