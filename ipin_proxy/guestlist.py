"""Who may come in with an identity token, and what they may spend: the lists of an administrator, read and looked up.

    ALLOWED_DOMAINS=example.org              accounts that this organisation manages, by Google's word (the claim `hd`)
    ALLOWED_EMAILS=ann@example.net           single addresses; * is everybody in the world
    DEFAULT_BUDGETS=ann@example.org=5, @example.org=2, *=1      US dollars a month, or unlimited; the closest row counts

An address that ends in a domain is not of that domain: anybody can have a private account for an address of theirs, and keeps
it when the address goes to somebody else. So whose account it is decides, never how it is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

EVERYBODY = "*"
UNLIMITED = "unlimited"
# Google answers for an address of its own as for one of an organisation it manages.
OWN_DOMAINS = ("gmail.com", "googlemail.com")
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
LOCAL_PART = re.compile(r"[!-?A-~]{1,64}", re.ASCII)
AMOUNT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
CLIENT_ID = re.compile(r"[A-Za-z0-9._-]{1,255}", re.ASCII)


# -- looking up -------------------------------------------------------------------------------------------------------


def is_listed(domains: Sequence[str], emails: Sequence[str], email: str, domain: str | None) -> bool:
    """Whether somebody with this address may come in, whose account is managed by this organisation, or by none."""
    return (domain is not None and domain in domains) or EVERYBODY in emails or email in emails


def is_sure(emails: Sequence[str], email: str, domain: str | None) -> bool:
    """Whether this address is surely that of whoever comes with it: Google manages it, or an administrator has named it."""
    return domain is not None or domain_of(email) in OWN_DOMAINS or email in emails


def allowance(rows: Sequence[str], email: str, domain: str | None) -> float | None:
    """What somebody may spend a month, None for any amount. Raises LookupError when no row is about them."""
    wanted = [email]
    if domain is not None or domain_of(email) in OWN_DOMAINS:
        wanted.append(f"@{domain_of(email)}")
    if domain is not None:
        wanted.append(f"@{domain}")
    amounts = dict(_pair(row) for row in rows)
    found = next((amounts[who] for who in (*wanted, EVERYBODY) if who in amounts), None)
    if found is None:
        raise LookupError(email)
    return None if found == UNLIMITED else float(found)


def domain_of(email: str) -> str:
    return email.rpartition("@")[2]


# -- reading ----------------------------------------------------------------------------------------------------------


def client_ids(text: str) -> tuple[str, ...]:
    return _rows(text, lambda row: CLIENT_ID.fullmatch(row) is not None)


def domains(text: str) -> tuple[str, ...]:
    """Domains of organisations. Raises ValueError, also for Google's own: private accounts are of no organisation, so that
    row would let nobody in."""
    return _rows(_small(text), lambda row: is_domain(row) and row not in OWN_DOMAINS)


def emails(text: str) -> tuple[str, ...]:
    return _rows(_small(text), lambda row: row == EVERYBODY or is_email(row))


def budgets(text: str) -> tuple[str, ...]:
    """Rows as `who=amount`. Raises ValueError, also when two are about the same."""
    rows = _rows("=".join(part.strip() for part in _small(text).split("=")), _is_budget)
    if len({_pair(row)[0] for row in rows}) != len(rows):
        raise ValueError
    return rows


def is_domain(text: str) -> bool:
    labels = text.split(".")
    return len(labels) > 1 and len(text) <= 253 and all(map(LABEL.fullmatch, labels))


def is_email(text: str) -> bool:
    local, at, domain = text.rpartition("@")
    return bool(at) and LOCAL_PART.fullmatch(local) is not None and is_domain(domain)


def _is_budget(row: str) -> bool:
    who, amount = _pair(row)
    is_somebody = who == EVERYBODY or (is_domain(who[1:]) if who.startswith("@") else is_email(who))
    return is_somebody and (amount == UNLIMITED or AMOUNT.fullmatch(amount) is not None)


def _pair(row: str) -> tuple[str, str]:
    who, _, amount = row.rpartition("=")  # there may be another = in an address
    return who, amount


def _rows(text: str, is_good: Callable[[str], bool]) -> tuple[str, ...]:
    rows = [row for row in (part.strip() for part in text.split(",")) if row]
    if not rows or not all(map(is_good, rows)):
        raise ValueError
    return tuple(dict.fromkeys(rows))


def _small(text: str) -> str:
    if not text.isascii():  # other letters may become these when they are made small
        raise ValueError
    return text.lower()
