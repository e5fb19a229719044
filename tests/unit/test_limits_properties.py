"""What holds for limits whatever is called, in whichever order, and whatever the clock does."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st
from support.accounting import DAY_S, House, budget, caller, key, user

from ipin_proxy.accounts import nano
from ipin_proxy.call import NANO
from ipin_proxy.errors import ProxyError
from ipin_proxy.limits import Estimate, Reservation
from ipin_proxy.windows import MINUTE_S, Sliding, Today, day_of

NANO_USD = 1e-9
gaps = st.sampled_from([0.0, 0.25, 1.0, 20.0, 59.75, 60.0, 3_600.0])
costs = st.integers(0, 40)
windows = st.sampled_from(
    [("day", None), ("week", None), ("month", None), ("total", None), ("rolling", 1), ("rolling", 5), ("rolling", 40)]
)
# A call is begun (what it may use), or one that is running ends (which, and how much of that it did use), or time passes.
steps = st.lists(
    st.tuples(st.just("begin"), costs)
    | st.tuples(st.just("end"), st.tuples(st.integers(0, 30), st.floats(0, 1)))
    | st.tuples(st.just("pass"), gaps),
    max_size=60,
)
# Time to the next call, and its cost; half a day at a time, so that weeks and months turn.
calls = st.lists(st.tuples(st.sampled_from([0, 1, DAY_S // 2, DAY_S, 9 * DAY_S]), costs), min_size=1, max_size=40)


def nano_budget(amount: int, window: tuple[str, int | None]) -> Any:
    return budget(amount * NANO_USD, window[0], days=window[1])


@settings(deadline=None)
@given(st.lists(st.tuples(gaps, st.integers(0, 9)), max_size=40), st.integers(1, 40))
def test_a_sliding_minute_is_what_a_naive_count_says(events: list[tuple[float, int]], limit: int) -> None:
    window, now, added = Sliding(), 7.0, []
    for gap, amount in events:
        now += gap
        naive = sum(amount for at, amount in added if at + MINUTE_S > now)
        assert window.used(now) == naive
        free_at = window.below_at(limit)
        if naive < limit:
            assert free_at is None
        elif free_at is not None:
            assert sum(amount for at, amount in added if at + MINUTE_S > free_at) < limit
            assert sum(amount for at, amount in added if at + MINUTE_S >= free_at) >= limit
        window.add(now, amount)
        added.append((now, amount))


@settings(deadline=None)
@given(steps, st.integers(1, 100), st.integers(1, 100), windows, windows)
def test_no_order_of_calls_overruns_a_budget_by_more_than_one_of_them(
    steps: list[Any], of_key: int, of_user: int, first: tuple[str, int | None], second: tuple[str, int | None]
) -> None:
    """As long as no call costs more than was estimated: what is spent stays below the limit but for the last one let in."""
    house = House()
    who = caller(key(budgets=(nano_budget(of_key, first),)), user(budgets=(nano_budget(of_user, second),)))
    running: list[tuple[Reservation, int]] = []
    for step, value in steps:
        if step == "pass":
            house.advance(value)
        elif step == "end" and running:
            held, estimate = running.pop(value[0] % len(running))
            house.settle(held, int(estimate * value[1]))
        elif step == "begin":
            before = [each.used + each.held for each in house.limits.state(who)]
            is_free = all(used < limit for used, limit in zip(before, (of_key, of_user), strict=True))
            try:
                running.append((house.limits.admit(who, Estimate(0, value)), value))
            except ProxyError:
                assert not is_free
            else:
                assert is_free
        for standing, limit in zip(house.limits.state(who), (of_key, of_user), strict=True):
            assert standing.limit == limit
            assert standing.used + standing.held < limit + 40
            assert standing.held == sum(estimate for _, estimate in running)
    for held, estimate in running:
        house.settle(held, estimate)
    assert [each.held for each in house.limits.state(who)] == [0, 0]


@settings(deadline=None)
@given(steps, st.integers(1, 5), st.integers(1, 60), st.integers(1, 4), st.integers(1, 12))
def test_no_order_of_calls_passes_a_limit_of_requests(
    steps: list[Any], rpm: int, tpm: int, parallel: int, monthly: int
) -> None:
    house = House()
    who = caller(rpm=rpm, tpm=tpm, max_parallel=parallel, monthly_requests=monthly)
    begun: list[float] = []
    ended: list[tuple[float, int]] = []
    running: list[tuple[Reservation, int]] = []
    for step, value in steps:
        now = house.clock()
        if step == "pass":
            house.advance(value)
        elif step == "end" and running:
            held, estimate = running.pop(value[0] % len(running))
            house.settle(held, tokens=estimate)
            ended.append((now, estimate))
        elif step == "begin":
            of_minute = sum(at + MINUTE_S > now for at in begun)
            tokens = sum(used for at, used in ended if at + MINUTE_S > now) + sum(used for _, used in running)
            is_free = (
                of_minute < rpm and tokens < tpm and len(running) < parallel and len(begun) < monthly
            )  # all of it is in one month
            try:
                running.append((house.limits.admit(who, Estimate(value)), value))
            except ProxyError as error:
                assert not is_free
                wait = error.headers.get("retry-after-ms")
                assert wait is None or int(wait) >= 1
            else:
                assert is_free
                begun.append(now)


@settings(deadline=None)
@given(calls, st.integers(1, 60))
def test_a_refusal_tells_the_first_moment_at_which_a_call_is_possible(calls: list[tuple[int, int]], limit: int) -> None:
    """Whoever waits as told is let in, whoever comes a moment before is not."""
    for window in (("day", None), ("week", None), ("month", None), ("rolling", 1), ("rolling", 3), ("rolling", 31)):
        house = House()
        who = caller(budgets=(nano_budget(limit, window),))
        for gap, cost in calls:
            house.advance(gap)
            try:
                house.call(who, cost)
            except ProxyError as error:
                wait = int(error.headers["retry-after"])
                house.advance(wait - 1)
                with pytest.raises(ProxyError):
                    house.limits.admit(who)
                house.advance(1)
                house.call(who, cost)


@settings(deadline=None, max_examples=60)
@given(calls, st.integers(0, 40))
def test_totals_are_what_the_rows_add_up_to_live_and_after_a_restart(calls: list[tuple[int, int]], days: int) -> None:
    house = House("2026-10-28T13:00:00")
    who = caller(
        key(budgets=(nano_budget(10**6, ("rolling", days + 1)),)), user(budgets=(nano_budget(10**6, ("total", None)),))
    )
    for gap, cost in calls:
        house.advance(gap)
        house.call(who, cost)
    today = Today.of(day_of(house.wall()))
    for each in (house, house.restarted(days=days + 1)):
        for of, id_ in (("key", "k"), ("user", "u")):
            day, week, month, total, made = each.limits.totals(of, id_)
            naive = [
                sum(row.cost for row in house.rows if day_of(row.time) >= first)
                for first in (today.day, today.week, today.month, -1)
            ]
            assert [day, week, month, total] == naive
            assert made == sum(day_of(row.time) >= today.month for row in house.rows)
        rolling, whole = each.limits.state(who)
        assert rolling.used == sum(row.cost for row in house.rows if day_of(row.time) >= today.day - days)
        assert whole.used == sum(row.cost for row in house.rows)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0, 60, DAY_S, 31 * DAY_S, -60, -DAY_S, -9 * DAY_S, -40 * DAY_S]), costs), max_size=40
    )
)
def test_whatever_the_clock_does_nothing_is_lost_and_nothing_counted_twice(jumps: list[tuple[int, int]]) -> None:
    house = House()
    who = caller(budgets=(nano_budget(10**6, ("rolling", 7)),))
    spent = 0
    for jump, cost in jumps:
        before = house.limits.totals("key", "k")
        house.wall.advance(jump)
        after = house.limits.totals("key", "k")
        if jump < 0:
            assert all(now >= was for now, was in zip(after, before, strict=True)), "setting a clock back frees nothing"
        house.call(who, cost)
        spent += cost
        found = house.limits.totals("key", "k")
        assert found.total == spent
        assert found.day <= found.week <= spent and found.day <= found.month <= spent
        assert house.limits.state(who)[0].used <= spent
        assert found.calls <= len(house.rows)


@settings(deadline=None)
@given(st.integers(0, 10**8), st.integers(0, 10**6 - 1), st.integers(0, 10**30))
def test_dollars_as_they_are_written_are_whole_nano_dollars(whole: int, millionths: int, huge: int) -> None:
    assert nano(float(f"{whole}.{millionths:06}")) == whole * NANO + millionths * 1_000
    assert nano(huge) == huge * NANO
    assert nano(float(f"{millionths}e-9")) == millionths


def test_dollars_of_every_size() -> None:
    found = [nano(usd) for usd in (0, 0.0, 0.1, 1e-9, 4e-10, 6e-10, 1e16, 1.5, 0.30000000049999)]
    assert found == [0, 0, NANO // 10, 1, 0, 1, 10**25, 3 * NANO // 2, 300_000_000]
    assert nano(1.7e308) > 10**316
