"""What the query of a reader says: times, pages, words."""

from __future__ import annotations

import pytest
from support.book import DAY_MS

from ipin_proxy import paging
from ipin_proxy.errors import BadRequest

NOON = 1_795_780_800_000  # 2026-11-27 12:00 UTC
MIDNIGHT = NOON - DAY_MS // 2


@pytest.mark.parametrize(
    ("given", "first", "end"),
    [
        ("2026-11-27", MIDNIGHT, MIDNIGHT + DAY_MS),
        (" 2026-11-27 ", MIDNIGHT, MIDNIGHT + DAY_MS),
        ("2026-11-27T12:00Z", NOON, NOON),
        ("2026-11-27 12:00:00.000", NOON, NOON),
        ("2026-11-27T13:30:00+01:30", NOON, NOON),
        ("2026-11-27T13:30:00 01:30", NOON, NOON),  # the plus of a query that nobody has encoded
        ("2026-11-27T13:30:00.5 0130", NOON + 500, NOON + 500),
        ("2026-11-27T07:00-05", NOON, NOON),
        (str(NOON), NOON, NOON),
        ("0", 0, 0),
        ("", None, None),
        ("9999999999999", 9_999_999_999_999, 9_999_999_999_999),
        ("8640000000000000", 10**13, 10**13),
    ],
)
def test_a_time_is_read_in_any_usual_way(given: str, first: int | None, end: int | None) -> None:
    assert paging.stretch({"from": given}) == (first, None)
    assert paging.stretch({"to": given}) == (None, end)


@pytest.mark.parametrize(
    "given", ["x", "1790000000", "-1", "²", "٣", "1e12", "2026-02-30", "9" * 5_000, "2026-11-27T25:00"]
)
def test_what_is_no_time_is_told(given: str) -> None:
    for name in ("from", "to"):
        with pytest.raises(BadRequest) as wrong:
            paging.stretch({name: given})
        assert wrong.value.param == name
        assert len(wrong.value.message) < 300


def test_sums_are_of_whole_days_until_now_unless_the_query_says_so() -> None:
    assert paging.days({}, 30, NOON / 1000) == (MIDNIGHT - 29 * DAY_MS, NOON + 1)
    assert paging.days({"to": "2026-11-26"}, 1, NOON / 1000) == (MIDNIGHT - DAY_MS, MIDNIGHT)
    assert paging.days({"from": "2026-11-20"}, 1, NOON / 1000) == (MIDNIGHT - 7 * DAY_MS, NOON + 1)
    later = str(NOON + DAY_MS)
    assert paging.days({"from": later}, 30, NOON / 1000) == (NOON + DAY_MS, NOON + DAY_MS)
    assert paging.days({"to": "0"}, 30, NOON / 1000) == (0, 0)


def test_pages_and_words_have_bounds() -> None:
    assert paging.page_in({}) == (1, 50)
    assert paging.page_in({"page": "3", "pageSize": "1000"}) == (3, 1000)
    for name, given in (("page", "0"), ("page", "1.5"), ("pageSize", "1001"), ("pageSize", "9" * 5_000), ("page", "²")):
        with pytest.raises(BadRequest) as wrong:
            paging.page_in({name: given})
        assert wrong.value.param == name
    assert paging.word_in({}, "sort", "asc", ("asc", "desc")) == "asc"
    with pytest.raises(BadRequest):
        paging.word_in({"sort": "up"}, "sort", "asc", ("asc", "desc"))
