"""What the query of a reader asks for: a page, a stretch of time, one of several words. A wrong one is told by its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .columns import Invalid, deadline, moment
from .entries import DAY_MS, MOST_TIME
from .errors import BadRequest

USUAL_PAGE_SIZE = 50
MOST_PAGE_SIZE = 1_000
MOST_PAGE = 10**9  # a number, and not a size
DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
# A plus that nobody has encoded arrives as a blank.
LOST_PLUS = re.compile(r"(:\d\d(?:[.,]\d+)?) (\d\d:?\d\d)", re.ASCII)

Query = Mapping[str, str]


def stretch(query: Query) -> tuple[int | None, int | None]:
    """`from` and `to` in milliseconds, the first moment and the first one after; None where the query says nothing. A date
    alone is its beginning, and as `to` its end. Raises BadRequest."""
    found = time_in(query, "from"), time_in(query, "to")
    first, end = found
    if first is not None and end is not None and first > end:
        raise BadRequest("'from' lies after 'to'.", param="from")
    return found


def days(query: Query, usual: int, now: float) -> tuple[int, int]:
    """The same for sums, which have a beginning and an end: so many days that end with today, unless the query says other
    ones. Raises BadRequest."""
    first, end = stretch(query)
    if end is None:
        end = max(int(now * 1000) + 1, first or 0)
    if first is None:
        first = max(0, (end - 1) // DAY_MS - usual + 1) * DAY_MS
    return first, end


def time_in(query: Query, name: str) -> int | None:
    given = query.get(name, "").strip()
    if not given:
        return None
    try:
        if given.isascii() and given.isdigit():
            found = int(given[:20]) and deadline(int(given[:20]))
        else:
            found = moment(LOST_PLUS.sub(r"\1+\2", given))
    except Invalid as wrong:
        raise BadRequest(f"'{name}' {wrong.why}.", param=name) from None
    if name == "to" and DATE.fullmatch(given):
        found += DAY_MS
    return min(found, MOST_TIME)


def page_in(query: Query, size: str = "pageSize") -> tuple[int, int]:
    """Which page (from 1), and how many a page. Raises BadRequest."""
    return number_in(query, "page", 1, 1, MOST_PAGE), number_in(query, size, USUAL_PAGE_SIZE, 1, MOST_PAGE_SIZE)


def number_in(query: Query, name: str, usual: int, least: int, most: int) -> int:
    given = query.get(name, "").strip()
    if not given:
        return usual
    found = int(given) if given.isascii() and given.isdigit() and len(given) <= len(str(most)) else -1
    if not least <= found <= most:
        raise BadRequest(f"'{name}' must be a whole number from {least} to {most}, not {given!r:.40}.", param=name)
    return found


def word_in(query: Query, name: str, usual: str, words: Iterable[str]) -> str:
    """One of these words. Raises BadRequest."""
    given = query.get(name, "").strip() or usual
    known = list(words)
    if given not in known:
        raise BadRequest(f"'{name}' must be one of {', '.join(known)}, not {given!r:.40}.", param=name)
    return given
