"""What somebody is told of their own: what was spent today, this week, this month and in all, how each limit stands, and when
the spans begin anew. Days, weeks and months are those of the calendar in UTC, as everywhere.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from .call import Caller
from .entries import DAY_MS
from .spending import Spent, usd
from .windows import Today, day_of

if TYPE_CHECKING:
    from .app import App

Json = dict[str, Any]


class Account(NamedTuple):
    """Whose: by "key" or "user" and id; `by` is "" for everybody together."""

    by: str
    id: str


def account_of(caller: Caller) -> Account:
    """What a caller sees as their own: their key, or for who comes without one themselves; the master key has everything."""
    if caller.key is not None:
        return Account("key", caller.key.id)
    return Account("user", caller.user.id) if caller.user is not None else Account("", "")


def statement(app: App, caller: Caller, account: Account | None = None) -> Json:
    """`{spent: {today, week, month, total}, limits, resets}`, of the caller unless another account is named. Raises
    ProxyError where the ledger cannot be read."""
    now = time.time()
    today = Today.of(day_of(now))
    begins = {"today": today.day, "week": today.week, "month": today.month, "total": 0}
    account = account or account_of(caller)
    sums = app.ledger.sums([day * DAY_MS for day in begins.values()], account.by, account.id)
    ends = {"today": today.day + 1, "week": today.week + 7, "month": today.next_month}
    return {
        "spent": {name: as_json(each) for name, each in zip(begins, sums, strict=True)},
        "limits": app.limits.describe(caller),
        "resets": {name: day * DAY_MS for name, day in ends.items()},
    }


def as_json(spent: Spent) -> Json:
    return {"requests": spent.calls, "tokens": spent.tokens, "costUsd": usd(spent.cost)}
