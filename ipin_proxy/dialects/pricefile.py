"""Prices as LiteLLM's `model_prices_and_context_window.json` writes them: an object of models, US dollars for one unit each.

A key is a model's name at its provider, often behind the provider's name; `litellm_provider` says which that is. Prices of
batches, of priority and of other ways to be served differently are left out, as are prices for what nothing here counts.
Pure: JSON in, values out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..columns import Invalid, shown
from ..records import Price
from .listing import for_a_million

Json = dict[str, Any]
Rows = Mapping[str, Mapping[str, Json]]
"""Provider, as LiteLLM calls it → model, as the provider calls it → its row."""

NO_MODELS = frozenset({"sample_spec", "fallback_generalizations"})
TOKENS = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cachedInput",
    "cache_creation_input_token_cost": "cacheWrite",
    "cache_creation_input_token_cost_above_1hr": "cacheWrite1h",
    "output_cost_per_reasoning_token": "reasoning",
    "input_cost_per_audio_token": "audioInput",
    "output_cost_per_audio_token": "audioOutput",
    "input_cost_per_image_token": "imageInput",
    "output_cost_per_image_token": "imageOutput",
}
# What a kind of tokens is part of; a model without a price for the whole makes nothing but that kind.
LIKE = {
    "reasoning": "output",
    "audioInput": "input",
    "audioOutput": "output",
    "imageInput": "input",
    "imageOutput": "output",
}
ALONE = {"audioOutput": "output", "imageOutput": "output"}
DRAWING, HEARING = ("image_generation", "image_edit"), ("audio_transcription", "audio_speech")
# What is paid for one by one: the first of these that costs anything in a row of such a mode.
UNITS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("perSecond", ("input_cost_per_second", "output_cost_per_second"), HEARING),
    ("perImage", ("output_cost_per_image", "input_cost_per_image"), DRAWING),
    ("perCharacter", ("input_cost_per_character",), HEARING),
    ("perPage", ("ocr_cost_per_page",), ()),
    ("perRequest", ("input_cost_per_query", "input_cost_per_request"), ()),
)
OTHERWISE = ("perSecond", "perImage", "perPage", "perCharacter")  # beside tokens, the same in other words
COST = re.compile(r"(?:^|_)cost(?:_|$)")
TIER = re.compile(r"(.+)_above_([1-9]\d{0,4})k_tokens")


def rows_of(data: Any) -> Rows:
    """The models of a file. Raises Invalid when it is no such file."""
    found: dict[str, dict[str, Json]] = {}
    if isinstance(data, dict):
        for key, row in data.items():
            if isinstance(row, dict) and isinstance(row.get("alias_of"), str):
                row = data.get(row["alias_of"])
            provider = row.get("litellm_provider") if isinstance(row, dict) else None
            if isinstance(provider, str) and key not in NO_MODELS:
                found.setdefault(provider, {})[key.removeprefix(f"{provider}/")] = row
    if not found:
        raise Invalid(
            "is not a price file of LiteLLM: that is an object of models, each with a litellm_provider; "
            "it is called model_prices_and_context_window.json"
        )
    return found


def price_in(row: Json) -> Json | None:
    """A model's price as the members of ours; None where it has none of those. Raises Invalid for what can be no price."""
    price: Json = {}
    tiers: dict[int, Json] = {}
    for name, value in row.items():
        tier = TIER.fullmatch(name)
        member = TOKENS.get(tier[1] if tier else name)
        if member is not None and value is not None:
            place = tiers.setdefault(int(tier[2]) * 1000, {}) if tier else price
            place[member] = checked(name, for_a_million(value), value)
    for member, names, modes in UNITS:
        told = [name for name in names if row.get(name) is not None and (not modes or row.get("mode") in modes)]
        amounts = [checked(name, for_a_million(row[name], places=0), row[name]) for name in told]
        if amounts:
            price[member] = next(filter(None, amounts), 0)
    if any(price.get(member) for member in TOKENS.values()):
        price = {member: value for member, value in price.items() if member not in OTHERWISE}
    elif any(price.get(member) for member, _, _ in UNITS):
        price = {member: value for member, value in price.items() if member not in TOKENS.values()}
    for only, whole in ALONE.items():
        if only in price:
            price.setdefault(whole, price[only])
    price = tidied(price)
    long = [{"aboveTokens": above, **own} for above, tier in sorted(tiers.items()) if (own := different(tier, price))]
    if long:
        price["longContext"] = long
    if not any(price.values()) and is_charged(row):
        return None
    return Price.read(price).to_json() if price else None


def is_charged(row: Json) -> bool:
    """Whether anything in a row costs something: one that costs only what nothing here counts (a pixel, a song) is not free."""
    return any(COST.search(name) and for_a_million(value, places=0) for name, value in row.items())


def checked(name: str, dollars: float | None, value: Any) -> float:
    if dollars is None:
        raise Invalid(f"must be a price in US dollars, 0 or more, got {shown(value)}", name)
    return dollars


def different(tier: Json, price: Json) -> Json:
    """What costs something else in a tier. A kind without a price of its own below needs none there, if it costs the same."""
    return {
        member: each
        for member, each in tier.items()
        if each != price.get(member) and (member in price or each != tier.get(LIKE.get(member, "")))
    }


def tidied(price: Json) -> Json:
    """Without kinds of tokens that cost what all the others cost."""
    return {member: each for member, each in price.items() if member not in LIKE or each != price.get(LIKE[member])}
