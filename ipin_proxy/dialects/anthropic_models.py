"""What Anthropic's models take, by the version in their names: how they are made to think, and how long an answer may be.

Names that tell no version (an alias, or a model of somebody else who speaks the same format) are None here, and treated as most
models are; what is wrong then is found out by a refusal (`anthropic.py`).
"""

from __future__ import annotations

import re
from functools import lru_cache

Version = tuple[int, int]

# claude-3-7-sonnet-20250219, claude-sonnet-4-20250514, claude-opus-4.1, claude-haiku-4-5@20251001: a date is no version.
_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[.-](\d{1,2}))?(?!\d)")

# `max_tokens` must be said. As much as every model of that age can do, since OpenAI's callers mean "as long as it takes".
DEFAULT_MAX_TOKENS = 8192
_MAX_TOKENS = (((4, 0), 32_000), ((3, 5), 8192), ((0, 0), 4096))

FIRST_THINKING: Version = (3, 7)
FIRST_ADAPTIVE: Version = (4, 6)  # from there on "adaptive" is known; "enabled" with a budget is refused from 4.7 on
FIRST_WITHOUT_PREFILL: Version = (4, 6)
FIRST_WITH_ONE_SAMPLER: Version = (4, 1)  # temperature or top_p, not both
FIRST_WITH_FORMATS: Version = (4, 5)  # output_config.format


@lru_cache(maxsize=1024)
def version_of(model: str) -> Version | None:
    found = _VERSION.search(model.lower())
    return (int(found[1]), int(found[2] or 0)) if found is not None else None


def default_max_tokens(model: str) -> int:
    version = version_of(model)
    if version is None:
        return DEFAULT_MAX_TOKENS
    return next(tokens for first, tokens in _MAX_TOKENS if version >= first)


def is_since(model: str, first: Version, *, unknown: bool) -> bool:
    """Whether a model is of this version or a later one; `unknown` for those whose names do not tell."""
    version = version_of(model)
    return unknown if version is None else version >= first
