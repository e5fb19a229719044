"""Usage, read from whatever shape a provider tells it in. Nothing here trusts a number: what is missing, negative, not
finite, too large or a text counts as nothing, and never replaces something.

Sources: the OpenAI, Anthropic and OpenRouter API references for where usage stands; DeepSeek's `prompt_cache_hit_tokens`;
Groq's `x_groq.usage`; Cohere's and Jina's billed units for reranking.
"""

from __future__ import annotations

from typing import Any

from .call import NANO, Usage

MOST_TOKENS = 10**12  # more than any context window; a larger number is garbage
MOST_DOLLARS = 10**6


def usage_of(body: Any) -> Usage | None:
    """The usage a reply or a stream's event tells, or None when it tells none."""
    if not isinstance(body, dict):
        return None
    told = body.get("usage")
    if isinstance(told, dict):
        return read_usage(told)
    for holder in map(body.get, ("response", "message", "x_groq")):
        if isinstance(holder, dict) and isinstance(holder.get("usage"), dict):
            return read_usage(holder["usage"])
    return None


def read_usage(told: dict[str, Any]) -> Usage | None:
    """Read one `usage` object. None when there is nothing in it to count."""
    get = told.get
    entered = tokens(get("prompt_tokens")) or tokens(get("input_tokens"))
    output = tokens(get("completion_tokens")) or tokens(get("output_tokens"))
    if not entered and not output:
        entered = tokens(get("total_tokens"))  # rerankers and some embedders tell nothing else
    cached = tokens(get("cache_read_input_tokens")) or tokens(get("prompt_cache_hit_tokens"))
    written = tokens(get("cache_creation_input_tokens"))
    reasoning = audio_input = audio_output = 0
    details = get("prompt_tokens_details") or get("input_tokens_details") or get("input_token_details")
    if isinstance(details, dict):
        cached = tokens(details.get("cached_tokens")) or cached
        written = tokens(details.get("cache_write_tokens")) or written
        audio_input = tokens(details.get("audio_tokens"))
    details = get("completion_tokens_details") or get("output_tokens_details")
    if isinstance(details, dict):
        reasoning = tokens(details.get("reasoning_tokens")) or tokens(details.get("thinking_tokens"))
        audio_output = tokens(details.get("audio_tokens"))
    if "prompt_tokens" not in told and ("cache_read_input_tokens" in told or "cache_creation_input_tokens" in told):
        entered += cached + written  # Anthropic counts input without what was read from or written to the cache
    usage = Usage(
        input_tokens=entered,
        cached_tokens=min(cached, entered),
        cache_write_tokens=min(written, entered),
        output_tokens=output,
        reasoning_tokens=min(reasoning, output),
        audio_input_tokens=min(audio_input, entered),
        audio_output_tokens=min(audio_output, output),
        seconds=amount(get("seconds")),
        cost=cost_of(told) if "cost" in told else None,
    )
    return usage if entered or output or usage.seconds or usage.cost is not None else None


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
    from decimal import Decimal, InvalidOperation  # most providers tell no price

    try:
        dollars = Decimal(str(value))
        return round(dollars * NANO) if 0 <= dollars <= MOST_DOLLARS else None
    except (InvalidOperation, ValueError):
        return None


def tokens(value: Any) -> int:
    """A sane count; else 0."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 < value <= MOST_TOKENS else 0


def amount(value: Any) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if number and 0 < value <= MOST_TOKENS else 0.0
