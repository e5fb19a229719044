"""How a limit stands: in numbers for programs, in words for people."""

from __future__ import annotations

import pytest

from ipin_proxy.call import NANO
from ipin_proxy.standings import (
    BUDGET,
    MONTHLY,
    REQUESTS,
    Standing,
    as_reset,
    decimal,
    moment,
    money,
    refusal,
    sentence,
    span,
)

NOON = 1_795_780_800.0  # 27 November 2026 at 12:00 UTC


@pytest.mark.parametrize(
    ("nano", "plain", "said"),
    [
        (0, "0", "0.00 USD"),
        (1, "0.000000001", "0.000000001 USD"),
        (12_000, "0.000012", "0.000012 USD"),
        (NANO // 2, "0.5", "0.50 USD"),
        (10 * NANO, "10", "10.00 USD"),
        (1_234_567 * NANO + 5, "1234567.000000005", "1,234,567.000000005 USD"),
    ],
)
def test_money_in_full_and_without_exponents(nano: int, plain: str, said: str) -> None:
    assert (decimal(nano), money(nano)) == (plain, said)


def test_resets_as_openai_writes_them() -> None:
    assert [as_reset(seconds) for seconds in (0, 0.0004, 0.25, 1, 1.2, 59.5, 60, 61.00000001, 360)] == [
        *("0s", "1ms", "250ms", "1s", "2s", "1m0s", "1m0s", "1m1s", "6m0s")
    ]


def test_times_in_words() -> None:
    assert [span(seconds) for seconds in (0.01, 1, 1.2, 90, 119.5, 121, 7_199, 7_200, 90_000, 200_000)] == [
        *("1 second", "1 second", "2 seconds", "90 seconds", "2 minutes", "3 minutes"),
        *("120 minutes", "2 hours", "25 hours", "3 days"),
    ]
    assert moment(NOON) == "27 November 2026 at 12:00 UTC"


@pytest.mark.parametrize(
    ("wait", "seconds", "milliseconds"),
    [(1e-9, "1", "1"), (0.0, "1", "1000"), (0.4, "1", "400"), (1.0000000001, "1", "1000"), (29.5, "30", "29500")],
)
def test_a_wait_is_whole_seconds_and_never_none(wait: float, seconds: str, milliseconds: str) -> None:
    headers = refusal(Standing(REQUESTS, "key", "k", 1, 1, 0, wait), NOON).headers
    assert (headers["retry-after"], headers["retry-after-ms"]) == (seconds, milliseconds)


def test_one_of_a_kind_is_said_in_the_singular() -> None:
    assert "may make 1 call a minute, and has made 1." in sentence(Standing(REQUESTS, "key", "k", 1, 1, 0, 5), NOON)
    monthly = Standing(MONTHLY, "key", "k", 1, 1, 0, 5, "month")
    assert "may make 1 call a month, and has made 1. It begins anew" in sentence(monthly, NOON)
    rolling = Standing(BUDGET, "user", "ann", NANO, NANO, 0, 5, "rolling", 1)
    assert "1.00 USD in 1 day of the user 'ann'" in sentence(rolling, NOON)
