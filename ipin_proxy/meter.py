"""Usage, read from whatever shape a provider tells it in. Nothing here trusts a number: what is missing, negative, not
finite, too large or a text counts as nothing, and never replaces something.

Sources: the OpenAI, Anthropic and OpenRouter API references for where usage stands; DeepSeek's `prompt_cache_hit_tokens`;
Groq's `x_groq.usage`; Cohere's and Jina's billed units for reranking.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from .call import NANO, Usage

MOST_TOKENS = 10**12  # more than any context window; a larger number is garbage
MOST_DOLLARS = 10**6


def usage_of(body: Any) -> Usage | None:
    """The usage a reply or a stream's event tells, or None when it tells none."""
    if not isinstance(body, dict):
        return None
    for holder in (body, body.get("response"), body.get("message"), body.get("x_groq")):
        if isinstance(holder, dict) and isinstance(holder.get("usage"), dict):
            return read_usage(holder["usage"])
    return None


def read_usage(told: dict[str, Any]) -> Usage | None:
    """Read one `usage` object. None when there is nothing in it to count."""
    input_details = first_dict(told, "prompt_tokens_details", "input_tokens_details", "input_token_details")
    output_details = first_dict(told, "completion_tokens_details", "output_tokens_details")
    cached = tokens(input_details, "cached_tokens") or tokens(
        told, "cache_read_input_tokens", "prompt_cache_hit_tokens"
    )
    written = tokens(input_details, "cache_write_tokens") or tokens(told, "cache_creation_input_tokens")
    entered = tokens(told, "prompt_tokens", "input_tokens")
    if "prompt_tokens" not in told and ("cache_read_input_tokens" in told or "cache_creation_input_tokens" in told):
        entered += cached + written  # Anthropic counts input without what was read from or written to the cache
    output = tokens(told, "completion_tokens", "output_tokens")
    if not entered and not output:
        entered = tokens(told, "total_tokens")  # rerankers and some embedders tell nothing else
    usage = Usage(
        input_tokens=entered,
        cached_tokens=min(cached, entered),
        cache_write_tokens=min(written, entered),
        output_tokens=output,
        reasoning_tokens=min(tokens(output_details, "reasoning_tokens", "thinking_tokens"), output),
        audio_input_tokens=min(tokens(input_details, "audio_tokens"), entered),
        audio_output_tokens=min(tokens(output_details, "audio_tokens"), output),
        seconds=amount(told.get("seconds")),
        cost=cost_of(told),
    )
    return usage if usage != NOTHING else None


NOTHING = Usage()


def cost_of(told: dict[str, Any]) -> int | None:
    """What the provider says it charges, in nano-dollars. With a customer's own key behind OpenRouter, `cost` is only
    OpenRouter's fee, and the model's price stands beside it."""
    cost = nano_dollars(told.get("cost"))
    if cost is None:
        return None
    details = told.get("cost_details")
    if told.get("is_byok") is True and isinstance(details, dict):
        cost += nano_dollars(details.get("upstream_inference_cost")) or 0
    return cost


def nano_dollars(value: Any) -> int | None:
    """US dollars as a number or a decimal text, as integer nano-dollars; None when it is no price."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        dollars = Decimal(str(value))
        return round(dollars * NANO) if 0 <= dollars <= MOST_DOLLARS else None
    except (InvalidOperation, ValueError):
        return None


def tokens(told: dict[str, Any], *names: str) -> int:
    """The first of these members that is a sane count; else 0."""
    for name in names:
        value = told.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_TOKENS:
            return value
    return 0


def amount(value: Any) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if number and 0 < value <= MOST_TOKENS else 0.0


def first_dict(told: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        value = told.get(name)
        if isinstance(value, dict):
            return value
    return {}
