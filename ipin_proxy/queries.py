"""The query of a base URL, where some providers want their key: what of it is a secret, and how it may be shown.

That is a guess, and errs on the safe side: whatever is called like a secret, and whatever is as long as one, unless it is
the version of an API.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from .records import SENSITIVE_NAME, is_mask, mask

SECRET_CHARS = 8  # shorter ones are what people write for servers that want no key: "none", "x"


def secrets_of(base_url: str) -> list[str]:
    """The texts by which a message may give one away: as it stands in the URL, decoded, and coded in full; with its name
    when it is too short to be looked for alone."""
    found: list[str] = []
    for pair in filter(is_secret, parameters(base_url)):
        value = value_of(pair)
        found += [value, unquote(value), quote(unquote(value), "")] if len(value) >= SECRET_CHARS else [pair]
    return list(dict.fromkeys(found))


def masked(base_url: str) -> str:
    """The same URL with masks where the secrets were."""
    return with_query(base_url, [masked_pair(pair) if is_secret(pair) else pair for pair in parameters(base_url)])


def filled(base_url: str, stored: str) -> tuple[str, bool]:
    """The same URL with the stored secrets where only their masks are, if it goes to the same server; and whether there
    are masks that stand for nothing. Those are left out."""
    known = {masked_pair(pair): pair for pair in parameters(stored)} if server_of(base_url) == server_of(stored) else {}
    given = parameters(base_url)
    kept = [known.get(pair, pair) for pair in given if pair in known or not is_mask(value_of(pair))]
    return with_query(base_url, kept), len(kept) < len(given)


def parameters(base_url: str) -> list[str]:
    query = base_url.partition("?")[2]
    return query.split("&") if query else []


def with_query(base_url: str, pairs: list[str]) -> str:
    url, mark, query = base_url.partition("?")
    return f"{url}?{'&'.join(pairs)}" if pairs or (mark and not query) else url


def value_of(pair: str) -> str:
    """`name=value`, or a value that has no name."""
    name, equals, value = pair.partition("=")
    return value if equals else name


def masked_pair(pair: str) -> str:
    value = value_of(pair)
    return pair.removesuffix(value) + mask(value)


def is_secret(pair: str) -> bool:
    name, equals, value = pair.partition("=")
    if equals and value and SENSITIVE_NAME.search(name):
        return True
    return len(value_of(pair)) >= SECRET_CHARS and not name.lower().endswith("version")


def server_of(base_url: str) -> list[str]:
    """Scheme and host of a URL that nobody has checked yet."""
    return re.split("[/?]", base_url.lower(), maxsplit=3)[:3]
