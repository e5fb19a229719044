"""Usage, read from whatever shape a provider tells it in. Nothing here trusts a number: what is missing, negative, not
finite, too large or a text counts as nothing, and never replaces something. Only a cost may be a text: some tell it so.

Sources: the OpenAI, Anthropic, Ollama and OpenRouter API references for where usage stands; DeepSeek's
`prompt_cache_hit_tokens`; Groq's `x_groq.usage`; Cohere's and Jina's billed units for reranking; Mistral's pages of OCR and
seconds of audio; LiteLLM's header.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .call import HEARING, NANO, OCR, SPEECH, Call, Usage
from .web.members import Stretch

MOST_TOKENS = 10**9  # more than any context window; a larger number is garbage
MOST_BESIDE = 10**6  # tokens that a total may have beyond its parts
MOST_DOLLARS = 10**6
COST_HEADER = "x-litellm-response-cost"
MEASURED = (*HEARING, SPEECH, OCR)  # of which we count something ourselves
PDF = "application/pdf"  # whose pages nobody has counted
# All that the `usage` of many servers holds.
PLAIN = frozenset({"prompt_tokens", "completion_tokens", "total_tokens"})
# Where else a body may tell what it used.
BESIDE = frozenset({"eval_count", "prompt_eval_count", "meta", "usage_info", "data", "b64_json"})
KEPT_APART = frozenset({"cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation"})


def usage_of(body: Any, *, writes: bool = True) -> Usage | None:
    """The usage a reply or a stream's event tells, or None when it tells none. `writes`: the model may say something."""
    if not isinstance(body, dict):
        return None
    told = told_in(body)
    usage = read_usage(told, writes=writes) if told is not None else None
    if BESIDE.isdisjoint(body):
        return usage
    other = read_beside(body)
    if usage is None or other is None:
        return usage or other
    if other.images and not usage.image_output_tokens:  # who draws need not say that what came out was drawn
        usage = usage._replace(image_output_tokens=usage.output_tokens)
    return usage.after(other)


def told_in(body: dict[str, Any]) -> dict[str, Any] | None:
    """The `usage` of a reply, wherever it stands."""
    told = body.get("usage")
    if isinstance(told, dict):
        return told
    for holder in map(body.get, ("response", "message", "x_groq")):
        if isinstance(holder, dict) and isinstance(holder.get("usage"), dict):
            inner: dict[str, Any] = holder["usage"]
            return inner
    return None


def read_usage(told: dict[str, Any], *, writes: bool = True) -> Usage | None:
    """Read one `usage` object. None when there is nothing in it to count."""
    get = told.get
    entered = tokens(get("prompt_tokens")) or tokens(get("input_tokens"))
    output = tokens(get("completion_tokens")) or tokens(get("output_tokens"))
    total = tokens(get("total_tokens"))
    thoughts = heard = 0
    if not entered and not output:
        entered = total  # rerankers and some embedders tell nothing else
    elif total > entered + output and entered and "prompt_tokens" in told:
        beside = tokens_beside(total - entered - output)
        heard = beside if amount(get("prompt_audio_seconds")) else 0
        if writes and not heard:
            thoughts = beside
            output += thoughts
        else:
            entered += beside
    if PLAIN.issuperset(told):
        return Usage(entered, output_tokens=output, reasoning_tokens=thoughts) if entered or output else None
    return read_details(told, entered, output, thoughts, heard)


def read_details(told: dict[str, Any], entered: int, output: int, thoughts: int, heard: int) -> Usage | None:
    """What a `usage` says of its tokens, and beside them."""
    get = told.get
    cached = tokens(get("cache_read_input_tokens")) or tokens(get("prompt_cache_hit_tokens"))
    written = tokens(get("cache_creation_input_tokens"))
    audio_input = image_input = reasoning = audio_output = image_output = for_an_hour = 0
    into = get("prompt_tokens_details") or get("input_tokens_details") or get("input_token_details")
    if isinstance(into, dict):
        cached = tokens(into.get("cached_tokens")) or cached
        written = tokens(into.get("cache_write_tokens")) or written
        audio_input, image_input = tokens(into.get("audio_tokens")), tokens(into.get("image_tokens"))
    out_of = get("completion_tokens_details") or get("output_tokens_details")
    if isinstance(out_of, dict):
        reasoning = tokens(out_of.get("reasoning_tokens")) or tokens(out_of.get("thinking_tokens"))
        audio_output, image_output = tokens(out_of.get("audio_tokens")), tokens(out_of.get("image_tokens"))
    kept = get("cache_creation")
    if isinstance(kept, dict):
        for_an_hour = tokens(kept.get("ephemeral_1h_input_tokens"))
        written = written or for_an_hour + tokens(kept.get("ephemeral_5m_input_tokens"))
    if (cached or written) and "prompt_tokens" not in told and not KEPT_APART.isdisjoint(told):
        entered += cached + written  # Anthropic counts input without what was read from or written to the cache
    cached = min(cached, entered)
    written = min(written, entered - cached)
    usage = Usage(
        input_tokens=entered,
        cached_tokens=cached,
        cache_write_tokens=written,
        output_tokens=output,
        reasoning_tokens=min(reasoning or thoughts, output),
        audio_input_tokens=min(audio_input or heard, entered),
        audio_output_tokens=min(audio_output, output),
        seconds=amount(get("seconds")) or amount(get("prompt_audio_seconds")),
        cost=cost_of(told) if "cost" in told else None,
        cache_write_1h_tokens=min(for_an_hour, written),
        image_input_tokens=min(image_input, entered),
        image_output_tokens=min(image_output, output),
    )
    return usage if entered or output or usage.seconds or usage.cost is not None else None


def tokens_beside(surplus: int) -> int:
    """What is in the total and in neither part. Gemini and Grok leave what they thought out of the output, which is paid for as
    that; Mistral leaves the sound out of the prompt; and who writes nothing can only have read it."""
    return surplus if 0 < surplus <= MOST_BESIDE else 0


def read_beside(body: dict[str, Any]) -> Usage | None:
    """What is told outside of `usage`: Ollama's counts, billed units, pages that were read, and pictures, which are counted."""
    usage = None
    get = body.get
    if "eval_count" in body or "prompt_eval_count" in body:
        usage = Usage(input_tokens=tokens(get("prompt_eval_count")), output_tokens=tokens(get("eval_count")))
    elif isinstance(get("meta"), dict) and isinstance(body["meta"].get("billed_units"), dict):
        units = body["meta"]["billed_units"].get
        usage = Usage(
            input_tokens=tokens(units("input_tokens")),
            output_tokens=tokens(units("output_tokens")),
            search_units=tokens(units("search_units")),
        )
    elif isinstance(get("usage_info"), dict):
        usage = Usage(pages=tokens(body["usage_info"].get("pages_processed")))
    elif isinstance(rows := get("data"), list):
        # Looking at the first is enough to know embeddings, which come by the thousand.
        usage = Usage(images=sum(map(is_picture, rows)) if rows and is_picture(rows[0]) else 0)
    elif "b64_json" in body and str(get("type")).endswith(".completed"):
        usage = Usage(images=1)
    return usage if usage is not None and any(usage) else None


def is_picture(row: Any) -> bool:
    """Whether a row of a reply's `data` is a picture, as a file or as an address."""
    return isinstance(row, dict) and any(isinstance(row.get(name), str) for name in ("b64_json", "url"))


def measured(call: Call) -> Usage:
    """What can be counted of a call without asking anybody: how long its recording lasts, the characters to be spoken, the
    picture to be read."""
    document = call.document
    return Usage(
        seconds=call.seconds or 0.0,
        characters=characters_of(call) if call.operation is SPEECH else 0,
        pages=1 if document is not None and document.media_type != PDF else 0,
    )


def characters_of(call: Call) -> int:
    """How long the text is that is to be spoken."""
    text = call.member("input")
    if not isinstance(text, str) or call.members is None:
        return 0
    return sum(map(written_chars, call.members.stretches(text)))


def written_chars(stretch: str | Stretch) -> int:
    """How many characters a stretch of a text stands for. What was never parsed of it has escapes in it, of two bytes each
    (`PLAIN_ESCAPES`)."""
    if isinstance(stretch, str):
        return len(stretch)
    return len(stretch) - bytes(stretch).count(b"\\")


def cost_in(headers: Mapping[str, str]) -> int | None:
    """What a reply's head says it costs, in nano-dollars. 0 says nothing there: that is what stands for an unknown price."""
    told = headers.get(COST_HEADER)
    return nano_dollars(told.strip()) or None if told is not None else None


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
    if type(value) is int:
        return value if 0 < value <= MOST_TOKENS else 0
    return tokens(int(value)) if type(value) is float and value.is_integer() else 0


def amount(value: Any) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if number and 0 < value <= MOST_TOKENS else 0.0
