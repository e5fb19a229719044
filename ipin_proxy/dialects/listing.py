"""Lists of models, in the shapes in which providers write them.

OpenAI's `data[]`, Together's bare array, Ollama's and Gemini's `models[]` (Gemini puts `models/` before each name, and
takes it with or without). OpenRouter tells prices too: decimal texts, US dollars for one token.
"""

from __future__ import annotations

import re
from typing import Any

from ..records import Price

Json = dict[str, Any]

# How many tokens go in: OpenRouter and Together, Groq, vLLM, Mistral, Gemini.
CONTEXT_MEMBERS = ("context_length", "context_window", "max_model_len", "max_context_length", "inputTokenLimit")
# OpenRouter's prices for one token, and for one of something else, as members of ours.
FOR_A_TOKEN = {
    "prompt": "input",
    "completion": "output",
    "input_cache_read": "cachedInput",
    "input_cache_write": "cacheWrite",
    "input_cache_write_1h": "cacheWrite1h",
    "internal_reasoning": "reasoning",
    "audio": "audioInput",
    "audio_output": "audioOutput",
    "image_token": "imageInput",
}
FOR_ONE = {"request": "perRequest"}
# Of pictures it tells the one for one that is shown, which has tokens besides; and one whose unit is not clear.
OTHER_PRICES = frozenset({"image", "image_output", "web_search", "input_audio_cache", "discount"})
OF_PICTURES = ("image", "image_output")
FROM = "min_prompt_tokens"  # on an override: the tokens from which it holds
MOST_DOLLARS = 1_000_000  # for a million tokens; who asks for more has another unit in mind
MOST_TOKENS = 10**9
NUMBER = re.compile(r"(\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE]([+-]?\d{1,3}))?", re.ASCII)


def models_told(value: Any) -> list[Json] | None:
    """`{id, name}` of every model in a reply, with `contextWindow` and `price` where they are told; None when it is no such
    list."""
    if isinstance(value, dict):
        is_empty = value.get("object") == "list" and value.get("data", ...) is None  # as Ollama without a model says it
        told = next((value[name] for name in ("data", "models") if isinstance(value.get(name), list)), None)
        value = [] if told is None and is_empty else told
    if not isinstance(value, list):
        return None
    found = [row for item in value if (row := _model_told(item)) is not None]
    return list({row["id"]: row for row in found}.values()) if found or not value else None


def next_page(value: Any) -> str:
    """The model behind which the next page of a list begins; "" when this is the last. (Anthropic's `has_more`.)"""
    if not isinstance(value, dict) or value.get("has_more") is not True:
        return ""
    return _first_text(value, "last_id")


def for_a_million(value: Any, places: int = 6) -> float | None:
    """A price for one as the price for a million, exactly: the decimal point is moved and nothing is multiplied. With
    `places` 0, as it is. None for what is no number, or below 0: "-1" says that it depends."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        found = NUMBER.fullmatch(value.strip() if isinstance(value, str) else repr(value))
    except ValueError:  # a number of thousands of digits
        return None
    if found is None:
        return None
    dollars = float(f"{found[1]}e{int(found[2] or 0) + places}")
    if dollars > MOST_DOLLARS:
        return None
    return int(dollars) if dollars.is_integer() else dollars


def price_told(pricing: Any) -> Json | None:
    """A model's price as the members of ours; None when its provider tells none, or one that depends."""
    if not isinstance(pricing, dict) or "prompt" not in pricing or "completion" not in pricing:
        return None
    price = _members_of(pricing)
    if price is None:
        return None
    if not any(price.values()) and any(for_a_million(pricing.get(name), places=0) for name in OF_PICTURES):
        return None  # who draws for money writes 0 for words
    tiers = [tier for each in _list_of(pricing.get("overrides")) if (tier := _tier_told(each)) is not None]
    if tiers:
        # Of two from the same number of tokens the later one holds.
        price["longContext"] = list({tier["aboveTokens"]: tier for tier in tiers}.values())
    return Price.read(price).to_json()


def _members_of(pricing: Json) -> Json | None:
    """Prices that are not told are 0 there as well; only input and output are free when they say so."""
    found: Json = {}
    for names, places in ((FOR_A_TOKEN, 6), (FOR_ONE, 0)):
        for name, member in names.items():
            if name not in pricing:
                continue
            dollars = for_a_million(pricing[name], places)
            if dollars is None:
                return None
            if dollars or name in ("prompt", "completion"):
                found[member] = dollars
    return found


def _tier_told(override: Any) -> Json | None:
    """An override that depends on how long the prompt is and on nothing else; there are those that depend on the hour."""
    if not isinstance(override, dict) or type(override.get(FROM)) is not int:
        return None
    if not 1 < override[FROM] <= MOST_TOKENS:
        return None
    if override.keys() - FOR_A_TOKEN.keys() - FOR_ONE.keys() - OTHER_PRICES != {FROM}:
        return None
    price = _members_of({name: value for name, value in override.items() if name in FOR_A_TOKEN})
    return {"aboveTokens": override[FROM] - 1, **price} if price else None


def _list_of(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _model_told(item: Any) -> Json | None:
    if isinstance(item, str):
        item = {"id": item}
    if not isinstance(item, dict):
        return None
    id_ = _first_text(item, "id", "model", "name").removeprefix("models/")
    if not id_:
        return None
    name = _first_text(item, "display_name", "displayName", "name").removeprefix("models/")
    row: Json = {"id": id_, "name": name or id_}
    size = next((item[name] for name in CONTEXT_MEMBERS if type(item.get(name)) is int and item[name] > 0), None)
    if size:
        row["contextWindow"] = size
    if price := price_told(item.get("pricing")):
        row["price"] = price
    return row


def _first_text(item: Json, *names: str) -> str:
    return next((value for name in names if isinstance(value := item.get(name), str) and value), "")
