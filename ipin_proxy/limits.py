"""May this caller make this call now? Requests and tokens a minute, calls at once, requests a month, budgets.

`admit` reserves before a call, `settle` corrects after it, so that calls in parallel cannot overrun a limit together: what
they may cost is held until it is known what they did cost; `hold` raises it for one that falls back on a dearer model. A
limit blocks when what is used and held has reached it; so a single call may overrun a budget by its own cost, twenty at once
may not. Counters live in memory and are rebuilt from the ledger at the start; they go by the ids of key and user, so one that
is deleted and made again under its id goes on where it was. One lock, held for microseconds; nothing here waits for anything.

Windows are those of the calendar in UTC. A clock that is set back by a little stands still until it has caught up; by more,
what was used on days that are yet to come counts as used today. So setting a clock frees nothing and counts nothing twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from .accounts import KEY, LEAST_DAYS, USER, Account, Allowance
from .call import Caller, Json
from .records import Budget, User, VirtualKey
from .standings import BUDGET, MONTHLY, PARALLEL, REQUESTS, TOKENS, Standing, decimal, longest, refusal
from .windows import BEGINNING, DAY_S, Sliding, Today, day_of

STEP_S = 2 * 3600.0  # set back by less, a clock is waited for: such a step is somebody's time zone, or less
MOST_COST = 10**18  # nano-dollars of one call: whoever tells more is not believed, and no total is poisoned
MOST_TOKENS = 10**12
A_MOMENT_S = 1.0  # until a call that is running may be over


class Spent(Protocol):
    """What the ledger tells of a key or user since a moment: calls that were admitted, and what they cost."""

    @property
    def calls(self) -> int: ...
    @property
    def cost(self) -> int: ...


class Reader(Protocol):
    """Since a moment and until before another (ms), by "key" or "user": id → Spent."""

    def __call__(self, since_ms: int, by: str, until_ms: int | None = None, /) -> Mapping[str, Spent]: ...


class Estimate(NamedTuple):
    """What a call may use, before it is made; the cost is None where nobody can know it."""

    tokens: int = 0
    cost: int | None = None


class Alert(NamedTuple):
    """A budget of which a call has used up another part: `percent` is 80 or 100. Times are seconds since 1970; there is no
    end to a total, and none that is the same tomorrow to a rolling window."""

    of: str
    id: str
    name: str
    budget: Budget
    limit: int
    spent: int
    percent: int
    begins: float | None
    ends: float | None
    time: float


class Totals(NamedTuple):
    """What a key or user has spent, and how many calls it has made this month."""

    day: int
    week: int
    month: int
    total: int
    calls: int


class Reservation:
    """What is held for a call that is running. `charged` is its cost once it is settled: where nobody knows it, the
    estimate. `time` is when it was admitted (seconds since 1970), which decides the day it counts for."""

    __slots__ = ("charged", "cost", "day", "is_parallel", "key", "settled", "time", "tokens", "user")

    def __init__(self, key: Account, user: Account | None, day: int, time: float) -> None:
        self.key = key
        self.user = user
        self.day = day
        self.time = time
        self.tokens = 0
        self.cost = 0
        self.charged = 0
        self.is_parallel = False
        self.settled = False


NOTHING = Estimate()


class Limits:
    """All accounts. `wall` tells seconds since 1970, `clock` those of a monotonic clock. `alert`, if it is set, hears of
    every budget that is used up to 80 and to 100 %, once a window; it must not block."""

    def __init__(self, wall: Callable[[], float], clock: Callable[[], float]) -> None:
        self.alert: Callable[[Alert], None] | None = None
        self._wall = wall
        self._clock = clock
        self._lock = threading.Lock()
        self._now = wall()
        self._today = Today.of(day_of(self._now))
        self._known_from = self._today.day  # from this day on it is known what was spent on each
        self._wanted_days = 1  # of the longest rolling budget
        self._accounts: dict[str, dict[str, Account]] = {KEY: {}, USER: {}}

    # -- a call -------------------------------------------------------------------------------------------------------

    def admit(self, caller: Caller, estimate: Estimate = NOTHING, *, counts_parallel: bool = True) -> Reservation:
        """Let a call begin, and hold what it may use until `settle` or `release`. Raises RateLimited, ConcurrencyLimited,
        QuotaExceeded, BudgetExceeded; a call that is refused counts for nothing. The estimate matters only where
        `is_weighed` says so. Whatever is quick and free (counting tokens, by the dozen) is no call in parallel, nor one of
        the month's."""
        with self._lock:
            today = self._look_at_the_clock()
            key, user = self._with_limits_of(caller)
            reached = None
            if key.rules.any or (user is not None and user.rules.any):
                reached = self._reached(key, user, today, counts_parallel)
            if reached is None:
                return self._reserve(key, user, estimate, counts_parallel)
            error = refusal(reached, self._now)
            for standing in self._rates(key):
                error.headers = {**standing.rate_headers(), **error.headers}
        raise error

    def hold(self, reservation: Reservation, cost: int) -> None:
        """A call goes on to where it may cost so much: hold that, if it is more. Raises BudgetExceeded where a budget is used
        up by other calls alone, as it would for a new one; then nothing has changed."""
        with self._lock:
            more = min(max(0, cost), MOST_COST) - reservation.cost
            if more <= 0 or reservation.settled:
                return
            key, user = reservation.key, reservation.user
            reached = self._used_up(key, user, self._look_at_the_clock(), reservation.cost)
            if not reached:
                reservation.cost += more
                for account in (key, user) if user is not None else (key,):
                    account.held += more
                return
            error = refusal(longest(reached), self._now)
        raise error

    def settle(self, reservation: Reservation, tokens: int, cost: int | None) -> None:
        """A call is over: what it used in place of what was held. The first time counts; a cost of None is unknown, and
        the estimate stands for it."""
        alerts: list[Alert] = []
        with self._lock:
            if reservation.settled:
                return
            today = self._look_at_the_clock()
            self._let_go(reservation)
            cost = reservation.cost if cost is None else min(max(0, cost), MOST_COST)
            reservation.charged = cost
            key, user = reservation.key, reservation.user
            if key.tokens is not None:
                key.tokens.add(self._clock(), min(max(0, tokens), MOST_TOKENS))
            day = min(reservation.day, today.day)
            for account in (key, user):
                if account is not None:
                    account.charge(day, today, cost)
                    if self.alert is not None and cost and account.rules.allowances:
                        alerts += self._alerts(account, today, day, cost)
        for alert in alerts:
            assert self.alert is not None
            self.alert(alert)

    def release(self, reservation: Reservation) -> None:
        """A call ended before anybody was asked: nothing was used. That it was made still counts for its minute."""
        with self._lock:
            if not reservation.settled:
                self._let_go(reservation)

    # -- what is told -------------------------------------------------------------------------------------------------

    def headers(self, caller: Caller) -> dict[str, str]:
        """`x-ratelimit-*` where there is such a limit, and `monthlyCost`, `monthlyRequests`: of the key, or of a person
        without one; of the calls that are over. The limits are those of the last call that began."""
        with self._lock:
            today = self._look_at_the_clock()
            key, user = self._accounts_of(caller)
            found: dict[str, str] = {}
            if key.rules.any:
                for standing in self._rates(key):
                    found.update(standing.rate_headers())
            account = user if caller.key is None and user is not None else key
            found["monthlyCost"] = decimal(account.spent(today.month))
            found["monthlyRequests"] = str(account.calls.get(today.month, 0))
            return found

    def state(self, caller: Caller) -> list[Standing]:
        """How each limit of a key and of its user stands. A Caller made of a key, or of a user, will do."""
        with self._lock:
            return self._standings(caller)

    def describe(self, caller: Caller) -> list[Json]:
        """The same as JSON. How long it is until a reset is reckoned from our clock, and so is when that is: with a reader's
        own, which is a moment older, a month would begin on the last day of the one before."""
        with self._lock:
            return [each.public_json(self._now) for each in self._standings(caller)]

    def _standings(self, caller: Caller) -> list[Standing]:
        today = self._look_at_the_clock()
        key, user = self._with_limits_of(caller)
        found = [*self._rates(key)]
        if key.rules.parallel:
            found.append(self._parallel(key, key.rules.parallel))
        if key.rules.monthly:
            found.append(self._monthly(key, key.rules.monthly, today))
        for account in (key, user) if user is not None else (key,):
            found += [self._budget(account, each, today) for each in account.rules.allowances]
        return found

    @property
    def in_flight(self) -> int:
        """How many calls are running, of everybody."""
        with self._lock:
            return sum(account.open for account in self._accounts[KEY].values())

    def totals(self, of: str, id_: str) -> Totals:
        """What the "key" or "user" with this id has spent; "" is whoever has no key."""
        with self._lock:
            today = self._look_at_the_clock()
            account = self._accounts[of].get(id_) or Account(of, id_)
            day, week, month = map(account.spent, (today.day, today.week, today.month))
            return Totals(day, week, month, account.total, account.calls.get(today.month, 0))

    # -- what was before ----------------------------------------------------------------------------------------------

    def restore(self, spent: Reader, recent: Iterable[tuple[int, str, int]] = (), *, days: int = 1) -> None:
        """Take what the ledger knows, before the first call: `recent` are the calls of the last minute (when in ms, key,
        tokens), `days` is `longest_rolling` of all keys and users. What lies ahead by more than a day, written when a clock
        was wrong, counts in total alone."""
        with self._lock:
            today, now, at = self._look_at_the_clock(), self._now, self._clock()
            self._wanted_days = max(self._wanted_days, days)
            firsts = {today.day, *days_before(today, self._wanted_days)}
            for of in (KEY, USER):
                for id_, row in spent(0, of).items():
                    self._account(of, id_).total = row.cost
                for id_, costs in by_day(spent, of, firsts, today.day + 2).items():
                    account = self._account(of, id_)
                    account.days = costs
                    account.sums.clear()
                ahead = spent((today.day + 2) * DAY_S * 1000, of)
                for id_, row in spent(today.month * DAY_S * 1000, of).items():
                    later = ahead[id_].calls if id_ in ahead else 0
                    self._account(of, id_).calls[today.month] = row.calls - later
            self._known_from = today.day - self._wanted_days + 1
            for time_ms, id_, tokens in sorted(recent):
                if id_:
                    self._account(KEY, id_).recall_minute(at - max(0.0, now - time_ms / 1000), tokens)

    @property
    def lacks_days(self) -> bool:
        """Whether a budget of more days has been set up than the past is known day by day; `recall` sees to it."""
        return self._today.day - self._wanted_days + 1 < self._known_from

    def recall(self, spent: Reader) -> None:
        """Ask the ledger for the days that `lacks_days` misses. They are over, so nothing changes there meanwhile."""
        with self._lock:
            today, until, wanted = self._today, self._known_from, self._wanted_days
        if today.day - wanted + 1 >= until:
            return
        found = {of: by_day(spent, of, days_before(today, wanted), until) for of in (KEY, USER)}
        with self._lock:
            for of, accounts in self._accounts.items():
                for id_ in found[of].keys() | accounts.keys():
                    account = self._account(of, id_)
                    later = {day: cost for day, cost in account.days.items() if day >= until}
                    account.days = {**found[of].get(id_, {}), **later}
                    account.sums.clear()
            self._known_from = today.day - wanted + 1

    # -- under the lock -----------------------------------------------------------------------------------------------

    def _look_at_the_clock(self) -> Today:
        now = self._wall()
        if now >= self._now or self._now - now > STEP_S:
            self._now = now
        if not 0 <= self._now - self._today.day * DAY_S < DAY_S:
            self._turn(day_of(self._now))
        return self._today

    def _turn(self, day: int) -> None:
        is_back = day < self._today.day
        self._today = today = Today.of(day)
        kept_days = max(LEAST_DAYS, self._wanted_days + 1)
        for accounts in self._accounts.values():
            for account in accounts.values():
                if is_back:
                    account.go_back(today)
                account.turn(kept_days)

    def _account(self, of: str, id_: str) -> Account:
        accounts = self._accounts[of]
        found = accounts.get(id_)
        if found is None:
            found = accounts[id_] = Account(of, id_)
        return found

    def _accounts_of(self, caller: Caller) -> tuple[Account, Account | None]:
        """Of the key and the user. Whoever has no key shares the account of none."""
        id_, user = caller.key.id if caller.key is not None else "", caller.user
        key = self._accounts[KEY].get(id_) or self._account(KEY, id_)
        return key, self._account(USER, user.id) if user is not None else None

    def _with_limits_of(self, caller: Caller) -> tuple[Account, Account | None]:
        """The same, with the limits of these records, which are today's: not for the caller of a call that has been running
        while somebody changed them."""
        key, user = self._accounts_of(caller)
        for account, record in ((key, caller.key), (user, caller.user)):
            if account is not None and record is not None and account.record is not record:
                account.follow(record)
                for allowance in account.rules.allowances:
                    self._wanted_days = max(self._wanted_days, allowance.budget.days or 1)
        return key, user

    def _reserve(self, key: Account, user: Account | None, estimate: Estimate, counts_parallel: bool) -> Reservation:
        found = Reservation(key, user, self._today.day, self._now)
        found.is_parallel = counts_parallel
        key.running += counts_parallel
        key.open += 1
        if user is not None:
            user.open += 1
        if key.requests is not None:
            key.requests.add(self._clock())
        if estimate is not NOTHING:
            found.tokens = min(max(0, estimate.tokens), MOST_TOKENS)
            found.cost = min(max(0, estimate.cost or 0), MOST_COST)
            key.held_tokens += found.tokens
            key.held += found.cost
            if user is not None:
                user.held += found.cost
        return found

    def _let_go(self, reservation: Reservation) -> None:
        reservation.settled = True
        key, user = reservation.key, reservation.user
        key.running -= reservation.is_parallel
        key.held_tokens -= reservation.tokens
        for account in (key, user):
            if account is not None:
                account.open -= 1
                account.held -= reservation.cost

    def _reached(self, key: Account, user: Account | None, today: Today, counts_parallel: bool) -> Standing | None:
        """The limit that keeps a call from being made, if one does: one that lasts goes before one that passes, and of
        several the one that lasts longest."""
        rules = key.rules
        lasting = self._used_up(key, user, today)
        if rules.monthly and key.calls.get(today.month, 0) + key.running >= rules.monthly:
            lasting.append(self._monthly(key, rules.monthly, today))
        if lasting:
            return longest(lasting)
        at, passing = self._clock(), []
        if rules.rpm and key.requests is not None and key.requests.used(at) >= rules.rpm:
            passing.append(self._requests(key, key.requests, rules.rpm, at, key.requests.below_at(rules.rpm)))
        if rules.tpm and key.tokens is not None and key.tokens.used(at) + key.held_tokens >= rules.tpm:
            free_at = key.tokens.below_at(rules.tpm - key.held_tokens) or at + A_MOMENT_S
            passing.append(self._tokens(key, key.tokens, rules.tpm, at, free_at))
        if passing:
            return max(passing, key=lambda each: each.resets_in or 0.0)
        if rules.parallel and counts_parallel and key.running >= rules.parallel:
            return self._parallel(key, rules.parallel)._replace(resets_in=A_MOMENT_S)
        return None

    def _used_up(self, key: Account, user: Account | None, today: Today, but: int = 0) -> list[Standing]:
        """The budgets that are used up by what was spent and is held, `but` for so much of it. Where they are only by what is
        held, that may be over in a moment."""
        found = []
        for account in (key, user) if user is not None else (key,):
            for each in account.rules.allowances:
                spent, limit = account.spent_of(each, today), each.limit(self._now)
                if spent + account.held - but >= limit:
                    standing = self._budget(account, each, today)
                    found.append(standing if spent >= limit else standing._replace(resets_in=A_MOMENT_S))
        return found

    def _rates(self, key: Account) -> list[Standing]:
        """The limits of a minute, with when all of each is free again."""
        at, rules, found = self._clock(), key.rules, []
        if rules.rpm and key.requests is not None:
            key.requests.used(at)
            found.append(self._requests(key, key.requests, rules.rpm, at, key.requests.empty_at()))
        if rules.tpm and key.tokens is not None:
            key.tokens.used(at)
            found.append(self._tokens(key, key.tokens, rules.tpm, at, key.tokens.empty_at()))
        return found

    def _requests(self, key: Account, made: Sliding, limit: int, at: float, free_at: float | None) -> Standing:
        wait = free_at - at if free_at is not None else 0.0
        return Standing(REQUESTS, KEY, key.name, limit, made.used(at), 0, wait)

    def _tokens(self, key: Account, used: Sliding, limit: int, at: float, free_at: float | None) -> Standing:
        wait = free_at - at if free_at is not None else 0.0
        return Standing(TOKENS, KEY, key.name, limit, used.used(at), key.held_tokens, wait)

    def _parallel(self, key: Account, limit: int) -> Standing:
        return Standing(PARALLEL, KEY, key.name, limit, 0, key.running, None, window="")

    def _monthly(self, key: Account, limit: int, today: Today) -> Standing:
        made, wait = key.calls.get(today.month, 0), today.next_month * DAY_S - self._now
        return Standing(MONTHLY, KEY, key.name, limit, made, key.running, wait, window="month")

    def _budget(self, account: Account, allowance: Allowance, today: Today) -> Standing:
        budget, limit = allowance.budget, allowance.limit(self._now)
        frees_on = account.frees_on(allowance, today, limit)
        return Standing(
            BUDGET,
            account.of,
            account.name,
            limit,
            account.spent_of(allowance, today),
            account.held,
            frees_on * DAY_S - self._now if frees_on is not None else None,
            budget.window,
            budget.days,
            budget.name,
            allowance.raised_until if self._now < allowance.raised_until else None,
        )

    def _alerts(self, account: Account, today: Today, day: int, cost: int) -> list[Alert]:
        found = []
        for allowance in account.rules.allowances:
            percents = account.passed(allowance, today, self._now, day, cost)
            if not percents:
                continue
            budget, limit = allowance.budget, allowance.limit(self._now)
            first, following = today.first(budget.window, budget.days), today.next(budget.window)
            begins = first * DAY_S if first != BEGINNING else None
            ends = following * DAY_S if following is not None else None
            spent = account.spent_of(allowance, today)
            found += [
                Alert(account.of, account.id, account.name, budget, limit, spent, percent, begins, ends, self._now)
                for percent in percents
            ]
        return found


# -- what was spent on which day --------------------------------------------------------------------------------------


def longest_rolling(records: Iterable[VirtualKey | User]) -> int:
    """The days of the longest rolling budget there is; 1 where there is none."""
    return max((budget.days or 1 for record in records for budget in record.budgets), default=1)


def days_before(today: Today, wanted: int) -> set[int]:
    """The days on which a window can begin that began before today."""
    return {today.week, today.month, *range(today.day - wanted + 1, today.day)}


def by_day(spent: Reader, of: str, firsts: set[int], until: int) -> dict[str, dict[int, int]]:
    """What each key or user has spent from each of these days to the next of them, the last one to `until`. Each is asked for
    by itself: a difference of two sums would have in it what is spent while they are read."""
    found: dict[str, dict[int, int]] = {}
    end = until
    for first in sorted((each for each in firsts if each < until), reverse=True):
        for id_, row in spent(first * DAY_S * 1000, of, end * DAY_S * 1000).items():
            if row.cost:
                found.setdefault(id_, {})[first] = row.cost
        end = first
    return found
