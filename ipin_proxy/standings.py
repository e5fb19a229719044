"""How a limit stands: how much of it is used and when it is free again; as JSON, as headers, and in words for people.

Values in, texts out. Times are seconds since 1970, but for waits; money is nano-dollars.
"""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

from .accounts import KEY
from .call import NANO
from .errors import BudgetExceeded, ConcurrencyLimited, ProxyError, QuotaExceeded, RateLimited

REQUESTS, TOKENS, PARALLEL, MONTHLY, BUDGET = "requests", "tokens", "parallel", "monthlyRequests", "budget"
RATE_HEADERS = {
    kind: (f"x-ratelimit-limit-{kind}", f"x-ratelimit-remaining-{kind}", f"x-ratelimit-reset-{kind}")
    for kind in (REQUESTS, TOKENS)
}
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November"),
    "December",
)
SPANS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


class Standing(NamedTuple):
    """One limit of a key or user: what it is (`kind`), whose (`of`, `name`), how much, how much of that is used and how
    much held for calls that are running. `resets_in` are the seconds until it is free again: of a refusal, until a call
    is possible; else until all of it is. None: it never is, or there is nothing to wait for. Of a budget the amounts are
    nano-dollars; `raised_until` is in seconds since 1970."""

    kind: str
    of: str
    name: str
    limit: int
    used: int
    held: int
    resets_in: float | None
    window: str = "minute"
    days: int | None = None
    label: str = ""
    raised_until: float | None = None

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used - self.held)

    def public_json(self, now: float) -> dict[str, Any]:
        """For `GET /v1/usage` and the pages: money in US dollars, times in milliseconds since 1970."""
        is_money = self.kind == BUDGET
        found: dict[str, Any] = {"kind": self.kind, "of": self.of, "name": self.name, "window": self.window}
        if self.days is not None:
            found["days"] = self.days
        if self.label:
            found["label"] = self.label
        for name, amount in (("limit", self.limit), ("used", self.used), ("held", self.held)):
            found[f"{name}Usd" if is_money else name] = as_usd(amount) if is_money else amount
        found["remainingUsd" if is_money else "remaining"] = as_usd(self.remaining) if is_money else self.remaining
        found["resetsAt"] = None if self.resets_in is None else up((now + self.resets_in) * 1000)
        if self.raised_until is not None:
            found["raisedUntil"] = round(self.raised_until * 1000)
        return found

    def rate_headers(self) -> dict[str, str]:
        """`x-ratelimit-limit-requests` and its kin, as OpenAI's clients know them."""
        limit, remaining, reset = RATE_HEADERS[self.kind]
        return {limit: str(self.limit), remaining: str(self.remaining), reset: as_reset(self.resets_in or 0.0)}


def refusal(standing: Standing, now: float) -> ProxyError:
    """The error for a limit that is reached, with when to come again: clients obey that to the second."""
    wait = standing.resets_in
    headers = {} if wait is None else {"retry-after": str(max(1, up(wait)))}
    if standing.kind in (BUDGET, MONTHLY):
        kind = BudgetExceeded if standing.kind == BUDGET else QuotaExceeded
        return kind(sentence(standing, now), headers=headers)
    headers["retry-after-ms"] = str(max(1, up((wait or 1.0) * 1000)))
    if standing.kind == PARALLEL:
        return ConcurrencyLimited(sentence(standing, now), headers=headers)
    return RateLimited(sentence(standing, now), headers=headers)


# -- in words ---------------------------------------------------------------------------------------------------------


def sentence(standing: Standing, now: float) -> str:
    """Which limit, of what, how much of it is used, when it is free again."""
    whose = f"the API key '{standing.name}'" if standing.of == KEY else f"the user '{standing.name}'"
    used, held, wait = standing.used, standing.held, standing.resets_in
    if standing.kind == BUDGET:
        label = f" '{standing.label}'" if standing.label else ""
        raised = f" (raised until {moment(standing.raised_until)})" if standing.raised_until is not None else ""
        running = f", {money(held)} held for calls that are running" if held else ""
        much = f"{money(standing.limit)} {in_each(standing.window, standing.days)}{raised}"
        then = renewal(standing, now) if used >= standing.limit else "There is room again when those have cost less."
        return f"The budget{label} of {much} of {whose} is used up: {money(used)} spent{running}. {then}"
    if standing.kind == MONTHLY:
        running = f", {held:,} of them running" if held else ""
        much = f"{counted(standing.limit, 'call')} a month"
        return f"{whose[0].upper()}{whose[1:]} may make {much}, and has made {used + held:,}{running}. {renewal(standing, now)}"
    whose = f"{whose[0].upper()}{whose[1:]}"
    if standing.kind == PARALLEL:
        return (
            f"{whose} may have {counted(standing.limit, 'call')} running at once, and has {held:,}. "
            "Ask again when one of them has ended."
        )
    then = f"The next call is possible in {span(max(1.0, wait or 1.0))}."
    if standing.kind == TOKENS:
        running = f", {held:,} of them held for calls that are running" if held else ""
        return f"{whose} may use {counted(standing.limit, 'token')} a minute, and has used {used + held:,}{running}. {then}"
    return f"{whose} may make {counted(standing.limit, 'call')} a minute, and has made {used:,}. {then}"


def longest(reached: list[Standing]) -> Standing:
    """The limit that lasts longest; one that does not begin anew does."""
    return max(reached, key=lambda each: float("inf") if each.resets_in is None else each.resets_in)


def renewal(standing: Standing, now: float) -> str:
    wait = standing.resets_in
    if wait is None:
        return "It does not begin anew; an administrator can raise it."
    when = f"{moment(now + wait)}, in {span(wait)}"
    return f"There is room again on {when}." if standing.window == "rolling" else f"It begins anew on {when}."


def in_each(window: str, days: int | None) -> str:
    """A budget of so much a month, in 7 days, in total."""
    if window == "rolling":
        return f"in {counted(days or 1, 'day')}"
    return "in total" if window == "total" else f"a {window}"


def span(seconds: float) -> str:
    """3 seconds, 5 minutes, 4 days: in the largest unit of which there are two, rounded up."""
    whole = max(1, up(seconds))
    unit, length = next(each for each in SPANS if whole >= 2 * each[1] or each[1] == 1)
    return counted(-(-whole // length), unit)


def moment(time_s: float) -> str:
    """1 December 2026 at 00:00 UTC."""
    at = time.gmtime(time_s)
    return f"{at.tm_mday} {MONTHS[at.tm_mon - 1]} {at.tm_year} at {at.tm_hour:02}:{at.tm_min:02} UTC"


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


# -- numbers ----------------------------------------------------------------------------------------------------------


def money(nano: int) -> str:
    """10.00 USD; all the digits of a small amount."""
    whole, rest = divmod(nano, NANO)
    digits = f"{rest:09}".rstrip("0")
    return f"{whole:,}.{digits:0<2} USD"


def decimal(nano: int) -> str:
    """US dollars in full, for a header: 0.000012, never 1.2e-05."""
    whole, rest = divmod(nano, NANO)
    return f"{whole}.{rest:09}".rstrip("0").rstrip(".")


def as_usd(nano: int) -> float:
    """US dollars as JSON has them: the nearest number, which is written with the same digits up to millions."""
    return nano / NANO


def up(number: float) -> int:
    """The next whole number, but for the noise of floats: 30.0000001 is 30."""
    return math.ceil(round(number, 6))


def as_reset(seconds: float) -> str:
    """As OpenAI writes it: 12ms, 3s, 6m0s."""
    whole = up(seconds)
    if whole < 60:
        return f"{up(seconds * 1000)}ms" if 0 < seconds < 1 else f"{whole}s"
    return f"{whole // 60}m{whole % 60}s"
