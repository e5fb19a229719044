"""May this caller make this call now? Each limit, its refusal and its reset; what survives a restart; what a clock may do."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from support.accounting import DAY_S, USD, House, at, budget, caller, key, user

from ipin_proxy.affordable import check_priced, is_budgeted, is_weighed
from ipin_proxy.call import CHAT, EMBEDDING, IMAGE, OCR, RERANK, SPEECH, TRANSCRIPTION, Call, Caller, Operation
from ipin_proxy.errors import (
    BadRequest,
    BudgetExceeded,
    ConcurrencyLimited,
    ProxyError,
    QuotaExceeded,
    RateLimited,
)
from ipin_proxy.limits import Alert, Estimate, Totals, longest_rolling
from ipin_proxy.records import Model, Price
from ipin_proxy.web import members


@pytest.fixture
def house() -> House:
    """A Friday in November, at noon UTC."""
    return House()


def refused(house: House, who: Caller, kind: type[ProxyError], **more: Any) -> ProxyError:
    with pytest.raises(kind) as raised:
        house.limits.admit(who, **more)
    assert type(raised.value) is kind
    assert raised.value.status == 429
    return raised.value


# Nobody limited.


def test_calls_in_flight_are_those_that_are_not_over(house: House) -> None:
    held = [house.limits.admit(each) for each in (caller(), caller(key("other")), Caller("master key"), caller())]
    assert house.limits.in_flight == 4
    house.settle(held[0])
    house.limits.release(held[1])
    house.settle(held[2])
    assert house.limits.in_flight == 1


def test_a_key_without_limits_is_let_through_and_counted(house: House) -> None:
    who = caller()
    for _ in range(3):
        house.call(who, cost=2_500)
    assert house.limits.headers(who) == {"monthlyCost": "0.0000075", "monthlyRequests": "3"}
    assert house.limits.state(who) == []
    assert house.limits.totals("key", "k") == Totals(7_500, 7_500, 7_500, 7_500, 3)


def test_the_master_key_and_people_have_accounts_too(house: House) -> None:
    master, person = Caller("master key", is_admin=True), Caller("ann", user=user(), is_admin=True, session="s")
    house.call(master, cost=USD)
    house.call(person, cost=2 * USD)
    assert house.limits.headers(person) == {"monthlyCost": "2", "monthlyRequests": "1"}
    assert house.limits.headers(master) == {"monthlyCost": "3", "monthlyRequests": "2"}, "of all without a key"
    assert house.limits.totals("user", "nobody") == Totals(0, 0, 0, 0, 0)


def test_a_running_call_is_in_no_total_until_it_is_over(house: House) -> None:
    who = caller()
    held = house.limits.admit(who, Estimate(10, USD))
    assert house.limits.headers(who) == {"monthlyCost": "0", "monthlyRequests": "0"}
    house.settle(held, USD // 2)
    assert house.limits.headers(who) == {"monthlyCost": "0.5", "monthlyRequests": "1"}


# A minute.


def test_requests_a_minute_slide(house: House) -> None:
    who = caller(rpm=2)
    house.call(who)
    house.advance(20)
    house.call(who)
    house.advance(10.5)
    error = refused(house, who, RateLimited)
    assert (error.type, error.code) == ("rate_limit_error", "rate_limit_exceeded")
    assert (error.headers["retry-after"], error.headers["retry-after-ms"]) == ("30", "29500")
    assert "x-should-retry" not in error.headers
    assert error.message == (
        "The API key 'Class 7b' may make 2 calls a minute, and has made 2. The next call is possible in 30 seconds."
    )
    house.advance(29.4)
    assert refused(house, who, RateLimited).headers["retry-after"] == "1"
    house.advance(0.1)
    house.call(who)
    refused(house, who, RateLimited)


def test_refused_calls_do_not_prolong_the_wait(house: House) -> None:
    who = caller(rpm=1)
    house.call(who)
    for _ in range(59):
        house.advance(1)
        refused(house, who, RateLimited)
    house.advance(1)
    house.call(who)


def test_what_sdks_are_told_of_a_minute(house: House) -> None:
    who = caller(rpm=10, tpm=1_000)
    house.call(who, tokens=300)
    house.advance(15)
    held = house.limits.admit(who, Estimate(200))
    assert house.limits.headers(who) == {
        "x-ratelimit-limit-requests": "10",
        "x-ratelimit-remaining-requests": "8",
        "x-ratelimit-reset-requests": "1m0s",
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "500",
        "x-ratelimit-reset-tokens": "45s",
        "monthlyCost": "0",
        "monthlyRequests": "1",
    }
    house.settle(held, tokens=50)
    house.advance(44.5)
    assert house.limits.headers(who)["x-ratelimit-remaining-tokens"] == "650"
    house.advance(0.5)
    found = house.limits.headers(who)
    assert (found["x-ratelimit-remaining-requests"], found["x-ratelimit-remaining-tokens"]) == ("9", "950")
    house.advance(14.8)
    assert house.limits.headers(who)["x-ratelimit-reset-requests"] == "200ms"
    house.advance(0.2)
    found = house.limits.headers(who)
    assert (found["x-ratelimit-remaining-requests"], found["x-ratelimit-reset-requests"]) == ("10", "0s")


def test_tokens_a_minute_count_what_is_held_and_then_what_was_used(house: House) -> None:
    who = caller(tpm=1_000)
    first = house.limits.admit(who, Estimate(600))
    second = house.limits.admit(who, Estimate(600))
    error = refused(house, who, RateLimited)
    assert error.headers["retry-after"] == "1", "a call that is running may be over any moment"
    assert error.headers["x-ratelimit-remaining-tokens"] == "0"
    house.settle(first, tokens=100)
    third = house.limits.admit(who, Estimate(1))
    house.advance(30)
    house.settle(second, tokens=2_000)
    house.settle(third, tokens=1)
    error = refused(house, who, RateLimited)
    assert error.headers["retry-after"] == "60", "tokens count from when they are known, however long a call took"
    assert error.message == (
        "The API key 'Class 7b' may use 1,000 tokens a minute, and has used 2,101. "
        "The next call is possible in 60 seconds."
    )
    house.advance(59.9)
    refused(house, who, RateLimited)
    house.advance(0.1)
    house.call(who)


def test_of_requests_and_tokens_the_longer_wait_is_told(house: House) -> None:
    who = caller(rpm=1, tpm=10)
    held = house.limits.admit(who)
    house.advance(20)
    house.settle(held, tokens=10)
    error = refused(house, who, RateLimited)
    assert error.headers["retry-after"] == "60" and "tokens" in error.message
    assert error.headers["x-ratelimit-remaining-requests"] == "0"


def test_what_is_held_makes_the_wait_for_used_tokens_longer(house: House) -> None:
    who = caller(tpm=1_000)
    house.call(who, tokens=600)
    house.advance(20)
    house.limits.admit(who, Estimate(500))
    assert refused(house, who, RateLimited).headers["retry-after"] == "40"


def test_a_minute_that_is_long_over_has_nothing_to_wait_for(house: House) -> None:
    who = caller(rpm=5, tpm=1_000)
    house.call(who, tokens=10)
    house.advance(120)
    assert [(each.used, each.resets_in) for each in house.limits.state(who)] == [(0, 0.0), (0, 0.0)]


def test_a_limit_that_is_taken_away_or_raised_counts_at_once(house: House) -> None:
    record = key(rpm=1, max_parallel=1, monthly_requests=2)
    who = caller(record)
    house.call(who)
    refused(house, who, RateLimited)
    house.call(caller(replace(record, rpm=2)))
    house.advance(60)
    refused(house, who, QuotaExceeded)
    house.call(caller(replace(record, rpm=None, monthly_requests=None)))


# At once.


def test_a_call_that_ends_brings_no_limits_back_that_were_changed_meanwhile(house: House) -> None:
    before, now = caller(key()), caller(key(rpm=2))
    held = house.limits.admit(before)
    house.call(now)
    house.call(now)
    house.settle(held)
    assert house.limits.headers(before)["x-ratelimit-limit-requests"] == "2"
    with pytest.raises(RateLimited):
        house.call(now)


def test_calls_at_once_are_counted_while_they_run(house: House) -> None:
    who = caller(max_parallel=2)
    held = [house.limits.admit(who) for _ in range(2)]
    error = refused(house, who, ConcurrencyLimited)
    assert (error.type, error.code) == ("rate_limit_error", "concurrency_limit_exceeded")
    assert (error.headers["retry-after"], error.headers["retry-after-ms"]) == ("1", "1000")
    assert error.message == (
        "The API key 'Class 7b' may have 2 calls running at once, and has 2. Ask again when one of them has ended."
    )
    house.settle(held[0])
    house.settle(held[0])
    house.limits.admit(who)
    refused(house, who, ConcurrencyLimited)


def test_counting_tokens_by_the_dozen_is_no_call_in_parallel(house: House) -> None:
    """Claude Code does so when it is asked for its context."""
    who = caller(max_parallel=1)
    running = house.limits.admit(who)
    counts = [house.limits.admit(who, counts_parallel=False) for _ in range(14)]
    refused(house, who, ConcurrencyLimited)
    for each in (*counts, running):
        house.settle(each)
    house.limits.admit(who)
    refused(house, who, ConcurrencyLimited)


# A month.


def test_counting_tokens_takes_no_call_of_the_month_from_anybody(house: House) -> None:
    who = caller(monthly_requests=2)
    house.call(who)
    counts = [house.limits.admit(who, counts_parallel=False) for _ in range(14)]
    assert [(each.used, each.held) for each in house.limits.state(who)] == [(1, 0)]
    house.call(who)
    for each in counts:
        house.limits.release(each)
    refused(house, who, QuotaExceeded)


def test_requests_a_month_end_with_the_month_in_utc(house: House) -> None:
    who = caller(monthly_requests=2)
    house.be("2026-11-30T23:59:00")
    house.call(who)
    held = house.limits.admit(who)
    error = refused(house, who, QuotaExceeded)
    assert (error.type, error.code) == ("insufficient_quota", "quota_exceeded")
    assert (error.headers["retry-after"], error.headers["x-should-retry"]) == ("60", "false")
    assert "retry-after-ms" not in error.headers
    assert error.message == (
        "The API key 'Class 7b' may make 2 calls a month, and has made 2, 1 of them running. "
        "It begins anew on 1 December 2026 at 00:00 UTC, in 60 seconds."
    )
    house.advance(60)
    house.settle(held)
    assert house.limits.headers(who)["monthlyRequests"] == "0", "that call counts for the month it began in"
    house.call(who)
    house.call(who)
    assert refused(house, who, QuotaExceeded).headers["retry-after"] == str(31 * DAY_S)


def test_a_call_that_reached_nobody_is_given_back(house: House) -> None:
    who = caller(monthly_requests=1, max_parallel=1, budgets=(budget(1),))
    held = house.limits.admit(who, Estimate(5, 2 * USD))
    refused(house, who, QuotaExceeded)
    house.limits.release(held)
    house.limits.release(held)
    house.limits.settle(held, 5, USD)
    house.call(who)
    assert house.limits.totals("key", "k") == Totals(0, 0, 0, 0, 1)


# Budgets.


@pytest.mark.parametrize(
    ("window", "reset", "words", "until"),
    [
        ("day", "2026-11-28T00:00:00", "a day", "28 November 2026 at 00:00 UTC, in 12 hours"),
        ("week", "2026-11-30T00:00:00", "a week", "30 November 2026 at 00:00 UTC, in 3 days"),
        ("month", "2026-12-01T00:00:00", "a month", "1 December 2026 at 00:00 UTC, in 4 days"),
    ],
)
def test_a_budget_blocks_when_it_is_reached_and_until_its_window_ends(
    house: House, window: str, reset: str, words: str, until: str
) -> None:
    who = caller(budgets=(budget(2, window),))
    house.call(who, USD)
    house.call(who, USD - 1)
    house.call(who, USD // 2)
    error = refused(house, who, BudgetExceeded)
    assert (error.type, error.code) == ("insufficient_quota", "budget_exceeded")
    assert error.headers == {"x-should-retry": "false", "retry-after": str(int(at(reset) - house.wall()))}
    assert error.message == (
        f"The budget of 2.00 USD {words} of the API key 'Class 7b' is used up: 2.499999999 USD spent. "
        f"It begins anew on {until}."
    )
    house.be(reset)
    house.advance(-0.25)
    assert refused(house, who, BudgetExceeded).headers["retry-after"] == "1"
    house.advance(0.25)
    house.call(who, USD)


def test_a_budget_that_is_reached_to_the_nano_dollar_blocks(house: House) -> None:
    who = caller(budgets=(budget(0.1, "day"),))
    house.call(who, USD // 10 - 1)
    house.call(who, 1)
    refused(house, who, BudgetExceeded)


def test_a_total_budget_never_resets(house: House) -> None:
    who = caller(budgets=(budget(1, "total"),))
    house.call(who, USD)
    house.advance(3_000 * DAY_S)
    error = refused(house, who, BudgetExceeded)
    assert error.headers == {"x-should-retry": "false"}
    assert error.message == (
        "The budget of 1.00 USD in total of the API key 'Class 7b' is used up: 1.00 USD spent. "
        "It does not begin anew; an administrator can raise it."
    )


def test_a_budget_of_nothing_lets_nothing_through(house: House) -> None:
    error = refused(house, caller(budgets=(budget(0, "day"),)), BudgetExceeded)
    assert "retry-after" not in error.headers and "does not begin anew" in error.message


def test_a_rolling_budget_is_of_the_last_days_with_today(house: House) -> None:
    who = caller(budgets=(budget(3, "rolling", days=3, name="pilot"),))
    house.call(who, USD)  # on the 27th
    house.be("2026-11-28T12:00:00")
    house.call(who, USD)
    house.be("2026-11-29T12:00:00")
    house.call(who, USD)
    error = refused(house, who, BudgetExceeded)
    assert error.headers["retry-after"] == str(12 * 3600)
    assert error.message == (
        "The budget 'pilot' of 3.00 USD in 3 days of the API key 'Class 7b' is used up: 3.00 USD spent. "
        "There is room again on 30 November 2026 at 00:00 UTC, in 12 hours."
    )
    house.be("2026-11-30T00:00:00")
    house.call(who, 2 * USD)
    assert refused(house, who, BudgetExceeded).headers["retry-after"] == str(2 * DAY_S), "the 28th alone is not enough"
    house.be("2026-12-01T00:00:00")
    refused(house, who, BudgetExceeded)
    house.be("2026-12-02T00:00:00")
    house.call(who)


def test_a_rolling_budget_of_many_days_counts_all_of_them(house: House) -> None:
    who = caller(budgets=(budget(1_000, "rolling", days=90),))
    for _ in range(120):
        house.call(who, USD)
        house.advance(DAY_S)
    (standing,) = house.limits.state(who)
    assert standing.used == 89 * USD, "of today there is none yet"
    house.call(who, USD)
    (standing,) = house.limits.state(who)
    assert standing.used == 90 * USD


def test_of_key_and_user_the_strictest_wins(house: House) -> None:
    ann = user(budgets=(budget(5, "month"), budget(2, "day")))
    first, second = (caller(key(name, budgets=(budget(3, "week"),)), ann) for name in ("one", "two"))
    house.call(first, USD)
    house.call(second, USD)
    error = refused(house, first, BudgetExceeded)
    assert "of the user 'ann'" in error.message and "2.00 USD a day" in error.message
    house.be("2026-11-28T00:00:00")
    house.call(first, 2 * USD)
    error = refused(house, first, BudgetExceeded)
    assert "3.00 USD a week of the API key" in error.message, "it lasts longer than the user's day"
    house.be("2026-11-29T00:00:00")
    house.call(second, USD)
    error = refused(house, second, BudgetExceeded)
    assert "5.00 USD a month of the user 'ann'" in error.message
    house.call(caller(key("one"), None), USD)


def test_what_lasts_is_told_before_what_passes(house: House) -> None:
    who = caller(rpm=1, max_parallel=1, monthly_requests=10, budgets=(budget(1, "day"), budget(1, "total")))
    house.call(who, USD)
    error = refused(house, who, BudgetExceeded)
    assert "in total" in error.message
    assert error.headers["x-ratelimit-remaining-requests"] == "0"


def test_what_calls_may_cost_is_held_until_it_is_known_what_they_did(house: House) -> None:
    who = caller(user=user(budgets=(budget(10, "month"),)))
    first, second = (house.limits.admit(who, Estimate(0, 5 * USD)) for _ in range(2))
    error = refused(house, who, BudgetExceeded)
    assert error.message.endswith(
        "is used up: 0.00 USD spent, 10.00 USD held for calls that are running. There is room again when those have cost less."
    )
    assert error.headers["retry-after"] == "1", "and not when the month is over"
    house.settle(first, USD)
    third = house.limits.admit(who, Estimate(0, 40 * USD))
    house.settle(second, None)
    assert second.charged == 5 * USD, "an unknown cost counts as the estimate"
    house.settle(third, 0)
    assert house.limits.totals("user", "u").month == 6 * USD
    assert house.limits.state(who)[0].held == 0


def test_a_call_that_becomes_dearer_holds_more_if_the_others_leave_room(house: House) -> None:
    who = caller(key(budgets=(budget(10, "month"),)), user(budgets=(budget(12, "total"),)))
    first, second, third = (house.limits.admit(who, Estimate(0, USD)) for _ in range(3))
    house.limits.hold(first, 50 * USD)  # a single call may overrun a budget
    assert [each.held for each in house.limits.state(who)] == [52 * USD] * 2
    for held, cost in ((second, 2 * USD), (third, 50 * USD)):
        with pytest.raises(BudgetExceeded, match=r"52\.00 USD held"):
            house.limits.hold(held, cost)
    house.limits.hold(second, 0)  # what is cheaper takes nothing back
    house.settle(first, 2 * USD)
    house.limits.hold(first, 50 * USD)  # it is over
    house.limits.hold(second, 8 * USD)
    assert [(each.used, each.held) for each in house.limits.state(who)] == [(2 * USD, 9 * USD)] * 2
    for held in (second, third):
        house.settle(held, 0)
    assert [each.held for each in house.limits.state(who)] == [0, 0]


def test_twenty_threads_get_ten_calls_out_of_a_budget_for_ten(house: House) -> None:
    who = caller(key(), user(budgets=(budget(1, "month"),)))
    ready, ended = threading.Barrier(20), threading.Barrier(20)
    passed: list[int] = []
    errors: list[Exception] = []

    def work(number: int) -> None:
        ready.wait()
        try:
            held = house.limits.admit(who, Estimate(10, USD // 10))
        except BudgetExceeded as error:
            errors.append(error)
            ended.wait()
        else:
            ended.wait()  # all have asked before the first one is over
            house.limits.settle(held, 10, USD // 10)
            passed.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (len(passed), len(errors)) == (10, 10)
    assert house.limits.totals("user", "u").month == USD
    refused(house, who, BudgetExceeded)


def test_counters_add_up_when_many_threads_use_them(house: House) -> None:
    who = caller(key(budgets=(budget(10**6, "rolling", days=9),), rpm=10**9, tpm=10**9, max_parallel=10**6))

    def work() -> None:
        for number in range(200):
            held = house.limits.admit(who, Estimate(7, 11))
            house.limits.headers(who)
            house.limits.settle(held, 1, number)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    spent = 8 * sum(range(200))
    assert house.limits.totals("key", "k") == Totals(spent, spent, spent, spent, 1_600)
    requests, tokens, parallel, rolling = house.limits.state(who)
    assert [(each.used, each.held) for each in (requests, tokens, parallel, rolling)] == [
        *[(1_600, 0), (1_600, 0), (0, 0), (spent, 0)]
    ]


def test_raising_a_budget_counts_at_once_and_lowering_too(house: House) -> None:
    record = key(budgets=(budget(1, "total"),))
    house.call(caller(record), USD)
    refused(house, caller(record), BudgetExceeded)
    house.call(caller(replace(record, budgets=(budget(1.5, "total"),))), USD // 4)
    refused(house, caller(replace(record, budgets=(budget(1.25, "total"),))), BudgetExceeded)
    house.call(caller(replace(record, budgets=())))


def test_a_raise_lasts_until_its_end(house: House) -> None:
    who = caller(budgets=(budget(1, "total", raiseUsd=0.5, raiseUntil="2026-11-27T18:00:00Z"),))
    house.call(who, USD)
    house.call(who, USD // 2)
    error = refused(house, who, BudgetExceeded)
    assert "1.50 USD in total (raised until 27 November 2026 at 18:00 UTC)" in error.message
    (standing,) = house.limits.state(who)
    assert (standing.limit, standing.raised_until) == (3 * USD // 2, at("2026-11-27T18:00:00"))
    (told,) = house.limits.describe(who)
    assert (told["limitUsd"], told["raisedUntil"]) == (1.5, at("2026-11-27T18:00:00") * 1000)
    house.be("2026-11-27T18:00:00")
    (standing,) = house.limits.state(who)
    assert (standing.limit, standing.remaining, standing.raised_until) == (USD, 0, None)
    assert "raisedUntil" not in house.limits.describe(who)[0]


def test_a_key_made_again_under_its_id_goes_on_where_it_was(house: House) -> None:
    house.call(caller(key(budgets=(budget(1),))), USD)
    refused(house, caller(key(name="New", key_hash="1" * 64, budgets=(budget(1),))), BudgetExceeded)


@pytest.mark.parametrize(("tokens", "cost"), [(-5, -USD), (10**40, 10**400)])
def test_odd_numbers_poison_no_total(house: House, tokens: int, cost: int) -> None:
    who = caller(budgets=(budget(10**12, "total"),), tpm=10)
    house.call(who, cost, tokens, estimate=cost)
    spent = house.limits.totals("key", "k").total
    assert 0 <= spent <= 10**18
    house.advance(60)
    house.call(who, 1)
    assert house.limits.totals("key", "k").total == spent + 1
    assert all(each.public_json(house.wall()) for each in house.limits.state(who))


# What is told of all limits.


def test_a_month_begins_when_it_begins_whatever_the_clock_shows_by_then(house: House) -> None:
    who = caller(monthly_requests=100, budgets=(budget(5), budget(5, "day")))
    month, day = at("2026-12-01T00:00:00") * 1000, at("2026-11-28T00:00:00") * 1000
    for seconds in (0, 0.0137, 61.9999, 3_600.123456):
        house.advance(seconds)
        assert [each["resetsAt"] for each in house.limits.describe(who)] == [month, month, day]
    house.wall.advance(-60)  # the clock is set back
    assert [each["resetsAt"] for each in house.limits.describe(who)] == [month, month, day]


def test_every_limit_tells_how_it_stands(house: House) -> None:
    who = caller(
        key(rpm=60, tpm=1_000, max_parallel=3, monthly_requests=100, budgets=(budget(2.5, "week"),)),
        user(budgets=(budget(7, "rolling", days=30, name="pilot"), budget(100, "total"))),
    )
    house.call(who, USD, 100)
    house.advance(10)
    house.limits.admit(who, Estimate(40, USD // 4))
    now = house.wall()
    minute, friday = round((now + 60) * 1000), round(now * 1000)
    assert [each.public_json(now) for each in house.limits.state(who)] == [
        {
            "kind": "requests",
            "of": "key",
            "name": "Class 7b",
            "window": "minute",
            "limit": 60,
            "used": 2,
            "held": 0,
            "remaining": 58,
            "resetsAt": minute,
        },
        {
            "kind": "tokens",
            "of": "key",
            "name": "Class 7b",
            "window": "minute",
            "limit": 1_000,
            "used": 100,
            "held": 40,
            "remaining": 860,
            "resetsAt": friday + 50_000,
        },
        {
            "kind": "parallel",
            "of": "key",
            "name": "Class 7b",
            "window": "",
            "limit": 3,
            "used": 0,
            "held": 1,
            "remaining": 2,
            "resetsAt": None,
        },
        {
            "kind": "monthlyRequests",
            "of": "key",
            "name": "Class 7b",
            "window": "month",
            "limit": 100,
            "used": 1,
            "held": 1,
            "remaining": 98,
            "resetsAt": at("2026-12-01T00:00:00") * 1000,
        },
        {
            "kind": "budget",
            "of": "key",
            "name": "Class 7b",
            "window": "week",
            "limitUsd": 2.5,
            "usedUsd": 1.0,
            "heldUsd": 0.25,
            "remainingUsd": 1.25,
            "resetsAt": at("2026-11-30T00:00:00") * 1000,
        },
        {
            "kind": "budget",
            "of": "user",
            "name": "ann",
            "window": "rolling",
            "days": 30,
            "label": "pilot",
            "limitUsd": 7.0,
            "usedUsd": 1.0,
            "heldUsd": 0.25,
            "remainingUsd": 5.75,
            "resetsAt": at("2026-12-27T00:00:00") * 1000,
        },
        {
            "kind": "budget",
            "of": "user",
            "name": "ann",
            "window": "total",
            "limitUsd": 100.0,
            "usedUsd": 1.0,
            "heldUsd": 0.25,
            "remainingUsd": 98.75,
            "resetsAt": None,
        },
    ]


# Restarts.


def test_a_restart_changes_nothing(house: House) -> None:
    who = caller(
        key(monthly_requests=100, budgets=(budget(9, "day"), budget(9, "week"), budget(9, "rolling", days=40))),
        user(budgets=(budget(9, "month"), budget(99, "total"))),
    )
    for when, cost in (
        *(("2026-08-01T12:00:00", 1), ("2026-10-18T23:59:59", 2), ("2026-10-19T00:00:00", 4)),
        *(("2026-11-01T00:00:00", 8), ("2026-11-22T23:59:59", 16), ("2026-11-23T00:00:00", 32)),
        *(("2026-11-26T23:59:59", 64), ("2026-11-27T00:00:00", 128), ("2026-11-27T12:00:00", 256)),
    ):
        house.be(when)
        house.call(who, cost)
    after = house.restarted(days=40)
    assert after.limits.state(who) == house.limits.state(who)
    for of, id_ in (("key", "k"), ("user", "u")):
        assert after.limits.totals(of, id_) == house.limits.totals(of, id_) == Totals(384, 480, 504, 511, 6)
    assert [each.used for each in after.limits.state(who)] == [6, 384, 480, 508, 504, 511]
    for later in ("2026-11-28T00:00:00", "2026-11-29T00:00:00", "2026-11-30T00:00:00", "2026-12-27T00:00:00"):
        house.be(later)
        after.be(later)
        assert after.limits.state(who) == house.limits.state(who)


def test_the_last_minute_survives_a_restart(house: House) -> None:
    who = caller(rpm=3, tpm=1_000)
    house.call(who, tokens=500)
    house.advance(10)
    house.call(who, tokens=500)
    house.advance(10)
    after = house.restarted()
    assert refused(after, who, RateLimited).headers["retry-after"] == "40"
    after.advance(40)
    after.call(who)
    after.call(who)
    assert refused(after, who, RateLimited).headers["retry-after"] == "10"


def test_rows_of_nobody_or_of_the_future_do_no_harm(house: House) -> None:
    who = caller(rpm=5, tpm=50)
    later = (house.wall() + 500) * 1000
    house.limits.restore(house.spent, [(int(later), "k", 5), (0, "", 7), (int(house.wall() * 1000), "", 9)])
    house.limits.state(who)  # from here on its limits are known
    found = house.limits.headers(who)
    assert (found["x-ratelimit-remaining-requests"], found["x-ratelimit-reset-requests"]) == ("4", "1m0s")


def test_a_rolling_budget_that_is_new_learns_what_was_before(house: House) -> None:
    for day in range(1, 28):
        house.be(f"2026-11-{day:02}T06:00:00")
        house.call(caller(), 1)
    after = house.restarted()
    assert not after.limits.lacks_days
    after.be("2026-11-28T06:00:00")
    rolling = caller(budgets=(budget(1, "rolling", days=20),))
    after.call(rolling, 1)
    assert after.limits.lacks_days
    after.limits.recall(after.spent)
    assert not after.limits.lacks_days
    (standing,) = after.limits.state(rolling)
    assert (standing.used, after.limits.totals("key", "k").month) == (20, 28)
    after.be("2026-11-29T06:00:00")
    (standing,) = after.limits.state(rolling)
    assert standing.used == 19
    after.limits.recall(after.spent)
    assert after.limits.state(rolling) == [standing]


def test_a_rolling_budget_of_one_day_more_misses_that_day(house: House) -> None:
    house.call(caller(), 1)
    house.be("2026-11-28T06:00:00")
    after = house.restarted()
    rolling = caller(budgets=(budget(1, "rolling", days=2),))
    after.call(rolling, 1)
    assert after.limits.lacks_days
    after.limits.recall(after.spent)
    assert after.limits.state(rolling)[0].used == 2


def test_what_is_spent_while_a_rolling_budget_learns_counts_once(house: House) -> None:
    house.call(caller(), 1)
    after = house.restarted()
    rolling = caller(budgets=(budget(1, "rolling", days=20),))
    after.call(rolling, 1)

    def busy(since_ms: int, by: str, until_ms: int | None = None) -> Any:
        found = after.spent(since_ms, by, until_ms)
        after.call(rolling, 1)
        return found

    after.limits.recall(busy)
    (standing,) = after.limits.state(rolling)
    assert standing.used == len(after.rows) > 20


def test_what_a_wrong_clock_has_written_far_ahead_counts_in_total_alone(house: House) -> None:
    house.be("2031-05-05T00:00:00")
    house.call(caller(), 7)
    house.wall.now_s = at("2026-11-27T12:00:00")
    house.limits = House().limits
    house.call(caller(), 1)
    house.rows[-1] = house.rows[-1]._replace(time=house.wall())
    assert house.restarted().limits.totals("key", "k") == Totals(1, 1, 1, 8, 1)


# Clocks.


def test_a_clock_set_back_frees_nothing_and_counts_nothing_twice(house: House) -> None:
    who = caller(budgets=(budget(3, "day"),))
    house.call(who, USD)
    house.be("2026-11-28T12:00:00")
    house.call(who, 2 * USD)
    house.wall.now_s = at("2026-11-27T18:00:00")
    refused(house, who, BudgetExceeded)
    assert house.limits.totals("key", "k") == Totals(3 * USD, 3 * USD, 3 * USD, 3 * USD, 2)
    house.be("2026-11-28T00:00:00")
    house.call(who, USD)
    assert house.limits.totals("key", "k") == Totals(USD, 4 * USD, 4 * USD, 4 * USD, 3)


def test_a_clock_that_was_years_ahead_for_a_moment_takes_the_past_with_it_neither_way(house: House) -> None:
    who = caller(budgets=(budget(5, "month"),), monthly_requests=100)
    house.call(who, 3 * USD)
    house.wall.now_s = at("2099-01-01T00:00:00")
    held = house.limits.admit(who, Estimate(0, USD))
    house.call(who, USD)
    house.wall.now_s = at("2026-11-27T12:00:10")
    house.settle(held, USD)
    assert house.limits.totals("key", "k") == Totals(5 * USD, 5 * USD, 5 * USD, 5 * USD, 3)
    refused(house, who, BudgetExceeded)
    house.be("2026-12-01T00:00:00")
    house.call(who)
    assert house.limits.totals("key", "k") == Totals(0, 0, 0, 5 * USD, 1)


def test_a_clock_that_is_corrected_by_a_little_stands_still(house: House) -> None:
    who = caller(budgets=(budget(1, "day"),))
    house.call(who, USD)
    house.be("2026-11-28T00:00:01")
    house.call(who, USD)
    house.wall.now_s = at("2026-11-27T23:59:59")
    refused(house, who, BudgetExceeded)
    assert house.limits.totals("key", "k").day == USD, "it is the new day still"
    house.be("2026-11-28T00:00:02")
    assert house.limits.totals("key", "k").day == USD


def test_months_turn_also_across_years_and_leap_days() -> None:
    house = House("2027-12-31T23:59:59")
    who = caller(budgets=(budget(1, "month"),))
    house.call(who, USD)
    house.advance(1)
    house.call(who, USD)
    assert refused(house, who, BudgetExceeded).headers["retry-after"] == str(31 * DAY_S)
    house.be("2028-02-01T00:00:00")
    house.call(who, USD)
    assert refused(house, who, BudgetExceeded).headers["retry-after"] == str(29 * DAY_S)
    house.be("2028-02-29T23:59:59")
    refused(house, who, BudgetExceeded)
    house.advance(1)
    house.call(who)


def test_a_call_counts_for_the_day_it_began_on(house: House) -> None:
    who = caller(budgets=(budget(1, "day"),))
    house.be("2026-11-27T23:59:00")
    held = house.limits.admit(who, Estimate(0, USD // 2))
    house.be("2026-11-28T00:01:00")
    house.settle(held, USD)
    assert house.limits.totals("key", "k") == Totals(0, USD, USD, USD, 1)
    house.call(who)


def test_years_of_use_keep_no_more_than_they_need(house: House) -> None:
    who = caller(budgets=(budget(10**6, "rolling", days=100),))
    for _ in range(500):
        house.advance(DAY_S)
        house.call(who, 1)
    account = house.limits.admit(who).key
    assert 100 <= len(account.days) <= 102 and len(account.calls) <= 4
    assert house.limits.state(who)[0].used == 100
    assert house.limits.totals("key", "k").total == 500


# Alerts.


@pytest.fixture
def told(house: House) -> list[Alert]:
    found: list[Alert] = []
    house.limits.alert = found.append
    return found


def percents(told: list[Alert]) -> list[tuple[str, int]]:
    found = [(each.budget.window, each.percent) for each in told]
    told.clear()
    return found


def test_an_alert_is_given_once_for_each_threshold_and_window(house: House, told: list[Alert]) -> None:
    who = caller(user=user(budgets=(budget(10, "month"),)))
    house.call(who, 8 * USD - 1)
    assert told == []
    house.call(who, 1)
    assert told == [
        Alert(
            *("user", "u", "ann", who.user.budgets[0] if who.user else None, 10 * USD, 8 * USD, 80),
            *(at("2026-11-01T00:00:00"), at("2026-12-01T00:00:00"), house.wall()),
        )
    ]
    told.clear()
    house.call(who, USD)
    assert told == []
    house.call(who, 3 * USD)
    assert percents(told) == [("month", 100)]
    house.be("2026-12-01T00:00:00")
    house.call(who, 12 * USD)
    assert percents(told) == [("month", 80), ("month", 100)]


def test_each_budget_of_key_and_user_is_told_of_for_itself(house: House, told: list[Alert]) -> None:
    who = caller(key(budgets=(budget(1, "day"), budget(2, "total"))), user(budgets=(budget(1, "rolling", days=2),)))
    house.call(who, USD)
    assert percents(told) == [("day", 80), ("day", 100), ("rolling", 80), ("rolling", 100)]
    house.be("2026-11-28T12:00:00")
    assert percents(told) == []


def test_what_was_passed_before_a_restart_is_not_told_again(house: House, told: list[Alert]) -> None:
    who = caller(budgets=(budget(10, "month"), budget(10, "rolling", days=3)))
    house.call(who, 9 * USD)
    assert percents(told) == [("month", 80), ("rolling", 80)]
    after = house.restarted(days=3)
    after.limits.alert = told.append
    after.call(who, USD // 2)
    assert told == []
    after.call(who, USD // 2)
    assert percents(told) == [("month", 100), ("rolling", 100)]


def test_a_rolling_budget_is_told_of_again_only_after_it_was_free(house: House, told: list[Alert]) -> None:
    who = caller(budgets=(budget(10, "rolling", days=3),))
    house.call(who, 8 * USD)
    house.be("2026-11-28T12:00:00")
    house.call(who, USD)
    assert percents(told) == [("rolling", 80)]
    house.be("2026-11-30T12:00:00")
    house.call(who, USD)
    assert told == []
    house.call(who, 7 * USD)
    assert percents(told) == [("rolling", 80)]


def test_a_call_of_yesterday_alarms_nobody_about_today(house: House, told: list[Alert]) -> None:
    who = caller(budgets=(budget(10, "day"),))
    held = house.limits.admit(who)
    house.be("2026-11-28T00:00:01")
    house.limits.alert = None
    house.call(who, 8 * USD)
    house.limits.alert = told.append
    house.settle(held, USD)
    assert told == []


def test_a_raise_makes_room_for_another_alert(house: House, told: list[Alert]) -> None:
    record = key(budgets=(budget(10, "month"),))
    house.call(caller(record), 10 * USD)
    told.clear()
    raised = replace(record, budgets=(budget(10, "month", raiseUsd=10, raiseUntil="2026-12-31"),))
    house.call(caller(raised), USD)
    assert told == []
    house.call(caller(raised), 5 * USD)
    assert percents(told) == [("month", 80)]


def test_what_is_much_only_without_a_raise_is_told_behind_its_end(house: House, told: list[Alert]) -> None:
    who = caller(budgets=(budget(10, "month", raiseUsd=10, raiseUntil="2026-11-27T18:00:00Z"),))
    house.call(who, 9 * USD)
    house.be("2026-11-27T18:00:00")
    assert told == []
    house.call(who, USD // 10)
    assert percents(told) == [("month", 80)]


def test_calls_that_cost_nothing_and_budgets_of_nothing_alarm_nobody(house: House, told: list[Alert]) -> None:
    who = caller(budgets=(budget(1, "month"),))
    house.call(who, 0)
    house.limits.settle(house.limits.admit(caller(key("other"))), 0, USD)
    held = house.limits.admit(who)
    refused(house, caller(key(budgets=(budget(0, "month"),))), BudgetExceeded)
    house.settle(held, USD)
    assert told == []


# Prices, and what has to be known.


def test_how_far_back_a_start_has_to_look() -> None:
    assert longest_rolling([key(), user()]) == 1
    assert longest_rolling([key(budgets=(budget(1),)), user(budgets=(budget(1, "rolling", days=30),))]) == 30


def asked(who: Caller, operation: Operation = CHAT) -> Call:
    body = b'{"model": "gpt", "prompt": "A cat", "messages": []}'
    request = SimpleNamespace(body=body)
    return Call("id", who, operation, "gpt", False, request, 0.0, "openai", members.parse(body))  # type: ignore[arg-type]


def test_a_model_without_a_price_is_refused_where_somebody_has_a_budget() -> None:
    model = Model(id="gpt", provider_id="p")
    for who in (caller(budgets=(budget(1),)), caller(user=user(budgets=(budget(1),)))):
        assert is_budgeted(who)
        with pytest.raises(BadRequest) as raised:
            check_priced(asked(who), model, "refuse")
        assert (raised.value.code, raised.value.param) == ("model_not_priced", "model")
        assert "'gpt' has no price" in raised.value.message
        with pytest.raises(BadRequest):
            check_priced(asked(who), replace(model, price=Price()), "refuse")
        check_priced(asked(who), model, "allow")
        check_priced(asked(who), replace(model, price=Price(input=0, output=0)), "refuse")
    check_priced(asked(caller(rpm=5)), model, "refuse")


@pytest.mark.parametrize(
    ("operation", "price", "is_enough"),
    [
        (CHAT, Price(input=3, output=15), True),
        (CHAT, Price(per_request=0.01), True),
        (CHAT, Price(input=3), False),
        (CHAT, Price(output=15), False),
        (CHAT, Price(per_request=0.01, input=3), False),
        (CHAT, Price(per_second=1), False),
        (CHAT, Price(per_image=0.04), False),
        (EMBEDDING, Price(input=0.02), True),
        (EMBEDDING, Price(output=0.02), False),
        (RERANK, Price(per_request=0.002), True),
        (IMAGE, Price(per_image=0.04), True),
        (IMAGE, Price(input=5, output=40), True),
        (TRANSCRIPTION, Price(per_second=0.0001), True),  # nobody may know yet how long it lasts
        (TRANSCRIPTION, Price(per_image=0.04), False),
        (SPEECH, Price(per_character=0.00001), True),
        (SPEECH, Price(input=0.6, audio_output=12), True),
        (OCR, Price(per_page=0.001), True),
        (OCR, Price(input=3, output=15), True),
    ],
)
def test_a_price_must_say_what_such_a_call_costs(operation: Operation, price: Price, is_enough: bool) -> None:
    call = asked(caller(budgets=(budget(1),)), operation)
    if operation is SPEECH:
        body = b'{"model": "gpt", "input": "Say this."}'
        call = call._replace(members=members.parse(body), request=SimpleNamespace(body=body))  # type: ignore[arg-type]
    model = Model(id="gpt", provider_id="p", price=price)
    if is_enough:
        check_priced(call, model, "refuse")
        return
    with pytest.raises(BadRequest) as raised:
        check_priced(call, model, "refuse")
    assert raised.value.code == "model_not_priced" and "does not say what such a call costs" in raised.value.message


def test_an_estimate_is_asked_for_where_it_matters() -> None:
    assert not is_weighed(caller(rpm=1, max_parallel=1, monthly_requests=1))
    assert is_weighed(caller(tpm=1)) and is_weighed(caller(user=user(budgets=(budget(1),))))
    assert not is_weighed(Caller("master key", is_admin=True))
