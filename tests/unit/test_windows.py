"""The spans of time limits count in: the last sixty seconds, and the calendar in UTC."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from ipin_proxy.windows import BEGINNING, DAY_S, Sliding, Today, day_of

EPOCH = date(1970, 1, 1)


def day(text: str) -> int:
    return (date.fromisoformat(text) - EPOCH).days


def test_what_was_counted_is_gone_after_sixty_seconds() -> None:
    window = Sliding()
    window.add(100.0, 3)
    window.add(130.0, 4)
    assert [window.used(now) for now in (130.0, 159.999, 160.0, 189.999, 190.0)] == [7, 7, 4, 4, 0]


def test_it_is_known_when_there_is_room_again() -> None:
    window = Sliding()
    assert window.below_at(1) is None and window.empty_at() is None
    for at in (100.0, 110.0, 120.0):
        window.add(at, 2)
    assert window.below_at(7) is None, "there is room now"
    assert window.below_at(6) == 160.0
    assert window.below_at(4) == 170.0
    assert window.below_at(1) == window.empty_at() == 180.0
    assert window.below_at(0) is None, "there never is"


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    for number in range(-800, 40_000, 3):
        on = EPOCH + timedelta(number)
        today = Today.of(number)
        assert today.week == number - on.weekday()
        assert today.month == number - on.day + 1
        following = date(on.year + on.month // 12, on.month % 12 + 1, 1)
        assert today.next_month == (following - EPOCH).days


@pytest.mark.parametrize(
    ("window", "first", "following"),
    [
        ("day", "2026-11-27", "2026-11-28"),
        ("week", "2026-11-23", "2026-11-30"),
        ("month", "2026-11-01", "2026-12-01"),
    ],
)
def test_the_windows_of_a_friday_in_november(window: str, first: str, following: str) -> None:
    today = Today.of(day("2026-11-27"))
    assert (today.first(window), today.next(window)) == (day(first), day(following))


def test_a_rolling_window_has_today_in_it_and_a_total_has_everything() -> None:
    today = Today.of(day("2026-11-27"))
    assert [today.first("rolling", days) for days in (1, 7)] == [today.day, day("2026-11-21")]
    assert (today.next("rolling"), today.next("total"), today.first("total")) == (None, None, BEGINNING)


def test_a_day_is_one_of_utc() -> None:
    midnight = day("2026-11-27") * DAY_S
    assert [day_of(midnight + seconds) for seconds in (-0.001, 0, DAY_S - 0.001, DAY_S)] == [
        day("2026-11-26"),
        *[day("2026-11-27")] * 2,
        day("2026-11-28"),
    ]
