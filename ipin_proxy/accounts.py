"""What a key or a user may, and what it has used: one `Account` each, in memory.

An account holds counters and no limits: those are `Rules`, made of the record anew whenever that has changed, so that a
budget that is raised counts at once. Whoever works on an account holds the lock of `limits.Limits`. Money is nano-dollars,
days are those of `windows`.
"""

from __future__ import annotations

from typing import NamedTuple

from .call import NANO
from .records import Budget, User, VirtualKey
from .windows import Sliding, Today, first_of_month

KEY, USER = "key", "user"
LEAST_DAYS = 62  # of spending are kept in any case: this month, and the one before for a clock that is set back
KEPT_MONTHS = 3
THRESHOLDS = (80, 100)  # percent of a budget that somebody is told of


Same = tuple[str, int | None, int]


class Allowance(NamedTuple):
    """A budget in nano-dollars, and by how much it is raised until when (seconds since 1970)."""

    budget: Budget
    nano: int
    raised_by: int
    raised_until: float

    @classmethod
    def of(cls, budget: Budget) -> Allowance:
        return cls(budget, nano(budget.usd), nano(budget.raise_usd or 0), (budget.raise_until or 0) / 1000)

    @property
    def known_as(self) -> Same:
        """The same for the same budget, also of a record that was changed elsewhere."""
        return self.budget.window, self.budget.days, self.nano

    def limit(self, now: float) -> int:
        return self.nano + self.raised_by if now < self.raised_until else self.nano


class Rules(NamedTuple):
    """What a record says about limits, and whether it says anything (`any`): requests and tokens a minute, calls at once,
    requests a month, budgets."""

    any: bool = False
    rpm: int | None = None
    tpm: int | None = None
    parallel: int | None = None
    monthly: int | None = None
    allowances: tuple[Allowance, ...] = ()

    @classmethod
    def of(cls, record: VirtualKey | User) -> Rules:
        allowances = tuple(map(Allowance.of, record.budgets))
        if isinstance(record, User):
            return cls(bool(allowances), allowances=allowances)
        counted = record.rpm, record.tpm, record.max_parallel, record.monthly_requests
        return cls(bool(allowances) or any(counted), *counted, allowances)


NO_RULES = Rules()


class Account:
    """What one key, or one user, has used. `held` are the estimates of calls that are running, `open` their number, and
    `running` the number of those that count as running at once."""

    __slots__ = (
        *("calls", "days", "held", "held_tokens", "id", "of", "open", "record", "requests", "rules", "running", "sums"),
        *("tokens", "told", "total"),
    )

    def __init__(self, of: str, id_: str) -> None:
        self.of = of
        self.id = id_
        self.record: VirtualKey | User | None = None
        self.rules = NO_RULES
        self.requests: Sliding | None = None  # of the last minute, where there is a limit
        self.tokens: Sliding | None = None
        self.running = 0
        self.open = 0
        self.held_tokens = 0
        self.held = 0
        self.days: dict[int, int] = {}  # what was spent on each
        self.calls: dict[int, int] = {}  # in each month, by its first day
        self.total = 0
        self.sums: dict[int, int] = {}  # what was spent since a day; forgotten when another day begins
        self.told: dict[Same, tuple[int, int]] = {}  # of budgets: first day of the window, how many thresholds

    def follow(self, record: VirtualKey | User) -> None:
        """Take the limits of a record that is not the one of last time."""
        self.record = record
        self.rules = rules = Rules.of(record)
        self.requests = (self.requests or Sliding()) if rules.rpm else None
        self.tokens = (self.tokens or Sliding()) if rules.tpm else None
        names = [each.known_as for each in rules.allowances]
        self.told = {each: self.told[each] for each in names if each in self.told}

    def recall_minute(self, at: float, tokens: int) -> None:
        """A call of the last minute, before the limits are known."""
        self.requests = self.requests or Sliding()
        self.requests.add(at)
        self.tokens = self.tokens or Sliding()
        self.tokens.add(at, tokens)

    @property
    def name(self) -> str:
        if isinstance(self.record, User):
            return self.record.username
        return (self.record.name if self.record is not None else "") or self.id

    def spent(self, first: int) -> int:
        """Since the beginning of a day."""
        found = self.sums.get(first)
        if found is None:
            found = self.sums[first] = sum(cost for day, cost in self.days.items() if day >= first)
        return found

    def spent_of(self, allowance: Allowance, today: Today) -> int:
        """Of a budget, in the window that is running."""
        budget = allowance.budget
        return self.total if budget.window == "total" else self.spent(today.first(budget.window, budget.days))

    def charge(self, day: int, today: Today, cost: int) -> None:
        """One call more, which began on that day, and its cost."""
        month = today.month if day >= today.month else first_of_month(day)
        self.calls[month] = self.calls.get(month, 0) + 1
        if not cost:
            return
        self.days[day] = self.days.get(day, 0) + cost
        self.total += cost
        for first in self.sums:
            if day >= first:
                self.sums[first] += cost

    def turn(self, kept_days: int) -> None:
        """Another day has begun: forget what no window can reach any more. It goes by number and not by date, so that a
        clock that was wrong for a moment does not take the past with it."""
        self.sums.clear()
        for kept, most in ((self.days, kept_days), (self.calls, KEPT_MONTHS)):
            while len(kept) > most:
                del kept[min(kept)]

    def go_back(self, today: Today) -> None:
        """The clock was set back: what was used on days that are yet to come was used until now."""
        for kept, at in ((self.days, today.day), (self.calls, today.month)):
            later = [when for when in kept if when > at]
            if later:
                kept[at] = kept.get(at, 0) + sum(kept.pop(when) for when in later)

    def frees_on(self, allowance: Allowance, today: Today, limit: int) -> int | None:
        """The first day on which there is room in a budget again, if nothing more is spent; where there is room now, on
        which there is all of it, or more of it. None: never, or nothing is used."""
        budget = allowance.budget
        if not limit:
            return None
        following = today.next(budget.window)
        if following is not None or budget.window == "total":
            return following
        first = today.first(budget.window, budget.days)
        left = self.spent(first)
        for day in sorted(day for day, cost in self.days.items() if day >= first and cost):
            left -= self.days[day]
            if left < limit:
                return day + (budget.days or 1)
        return None

    def passed(self, allowance: Allowance, today: Today, now: float, day: int, cost: int) -> list[int]:
        """The thresholds (percent) of a budget that the last charge, on that day, has passed. What had been passed before the first of
        a window, such as before a restart, counts as told; a raise makes room for being told again."""
        budget, limit = allowance.budget, allowance.limit(now)
        first, spent = today.first(budget.window, budget.days), self.spent_of(allowance, today)
        known = self.told.get(allowance.known_as)
        before = (
            known[1] if known is not None and known[0] == first else level(spent - (cost if day >= first else 0), limit)
        )
        after = level(spent, limit)
        self.told[allowance.known_as] = (first, after)
        return [*THRESHOLDS[before:after]]


def level(spent: int, limit: int) -> int:
    """How many of the thresholds are passed."""
    return sum(spent * 100 >= limit * percent for percent in THRESHOLDS)


def nano(usd: float) -> int:
    """US dollars as an administrator wrote them, in nano-dollars: 0.1 is a tenth, and of millions no cent is lost."""
    text = repr(usd)  # the shortest that is this number, and so what was written
    if "e" in text:
        whole = int(usd)
        return whole * NANO + round((usd - whole) * NANO)
    dollars, _, rest = text.partition(".")
    parts: int = 10 ** len(rest)
    return int(dollars) * NANO + round(int(rest or "0") * NANO / parts)
