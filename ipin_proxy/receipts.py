"""What a call of the log cost, line by line: its counts by the price that its model has now, if that gives what it did cost.

The log keeps what a call cost and not by which price. A price that was changed since gives another sum; then there are no
lines, rather than wrong ones. Nor does the log keep apart how long a cache is kept, and the tokens of pictures from those of
text; mostly all are of the one kind, and which that was is what the cost says, to the nano-dollar. Values in, values out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .call import NANO, Usage
from .prices import ESTIMATED, PRICED, lines_of
from .records import Model
from .spending import usd

# The members of an item of the log that a price is about.
COUNTS = {
    "input_tokens": "inputTokens",
    "cached_tokens": "cachedTokens",
    "cache_write_tokens": "cacheWriteTokens",
    "output_tokens": "outputTokens",
    "reasoning_tokens": "reasoningTokens",
    "audio_input_tokens": "audioInputTokens",
    "audio_output_tokens": "audioOutputTokens",
    "seconds": "seconds",
    "images": "images",
    "pages": "pages",
    "characters": "characters",
}


def cost_lines(item: dict[str, Any], model: Model | None) -> list[dict[str, Any]]:
    """`[{kind, quantity, price, costUsd}]` of an item of the log that `model` answered: `price` is US dollars as a decimal
    text, for a million tokens or for one of what is not counted in tokens."""
    if model is None or item["costUsd"] is None or item["costBasis"] not in (PRICED, ESTIMATED):
        return []
    usage = Usage(**{name: item[told] for name, told in COUNTS.items()}, estimated=item["costBasis"] == ESTIMATED)
    nano = round(item["costUsd"] * NANO)
    for each in readings(usage):
        lines = lines_of(each, model.price)
        if lines and sum(line.nano for line in lines) == nano:
            return [
                {"kind": line.kind, "quantity": line.quantity, "price": line.price, "costUsd": usd(line.nano)}
                for line in lines
            ]
    return []


def readings(usage: Usage) -> Iterator[Usage]:
    """What a usage may have been of which the log keeps this much: all that was written to a cache is kept for an hour, or
    all that came out is a picture; nothing in between, since some price fits that by chance."""
    yield usage
    if usage.cache_write_tokens:
        yield usage._replace(cache_write_1h_tokens=usage.cache_write_tokens)
    if usage.output_tokens:
        yield usage._replace(image_output_tokens=usage.output_tokens)
