"""Who comes with an identity: the user record that is theirs, found by Google's id for them, or made at their first sign-in.

An administrator may have made the record before, with the address; it becomes theirs if that address is surely theirs. An
address that belongs to somebody else with another account is never handed over: addresses are given to new people, the id
(`sub`) is not. A refusal says why, for the log.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from . import guestlist, keys, passes
from .config import Settings
from .idtoken import Identity
from .records import Budget, User

if TYPE_CHECKING:
    from .app import App
    from .store import Draft

MOST_GUESTS = 10_000  # users who made themselves: the database is one document, written anew with each


class NotWelcome(Exception):
    """Somebody who may not come in; the message says who and why, to an administrator."""

    def __init__(self, identity: Identity, why: str) -> None:
        super().__init__(f"{identity.email}: {why}")


class Admitted(NamedTuple):
    """A user who may have a pass, the secret to sign it with, and who they were before; None for a new one."""

    user: User
    secret: str
    before: User | None


def admitted(app: App, identity: Identity) -> Admitted:
    """The user behind an identity, up to date; nothing is written when there is nothing new. Raises NotWelcome, and
    ProxyError when it cannot be saved."""
    settings, snapshot = app.config.settings, app.store.snapshot()
    check_listed(settings, identity)
    known = user_of(snapshot.users, identity, settings)
    secret = passes.secret_in(snapshot.settings)
    if known is not None and secret and known.pass_generation and known == with_identity(known, identity):
        return Admitted(known, secret, known)
    with app.store.edit() as draft:
        known = user_of(draft.users, identity, settings)
        user = with_identity(known, identity) if known is not None else new_user(draft, identity, settings)
        draft.users[user.id] = user = passes.prepare(draft, user)
        keys.note_use(app, draft)
        return Admitted(user, passes.secret_in(draft.settings), known)


def check_listed(settings: Settings, identity: Identity) -> None:
    if not guestlist.is_listed(settings.allowed_domains, settings.allowed_emails, identity.email, identity.domain):
        whose = f"of the organisation {identity.domain}" if identity.domain else "private"
        raise NotWelcome(identity, f"neither ALLOWED_DOMAINS nor ALLOWED_EMAILS lets this account in; it is {whose}")


def user_of(users: Mapping[str, User], identity: Identity, settings: Settings) -> User | None:
    """The record of this person; None when they have none yet. Raises NotWelcome when they may not have one."""
    found = next((user for user in users.values() if user.google_sub == identity.sub), None)
    if found is None:
        same = [user for user in users.values() if (user.email or "").lower() == identity.email]
        if len(same) > 1:
            raise NotWelcome(identity, f"several users have this address: {', '.join(user.id for user in same[:5])}")
        if not same:
            return None
        found = same[0]
        if found.google_sub is not None:
            raise NotWelcome(
                identity,
                f"the user '{found.id}' has this address and came with another account; delete that user if the address "
                "has gone to somebody else",
            )
        if not guestlist.is_sure(settings.allowed_emails, identity.email, identity.domain):
            raise NotWelcome(
                identity,
                f"the user '{found.id}' has this address, and for a private account Google does not answer for it; name it "
                "in ALLOWED_EMAILS if it is theirs",
            )
    if not found.enabled:
        raise NotWelcome(identity, f"the user '{found.id}' is disabled")
    return found


def with_identity(user: User, identity: Identity) -> User:
    """The record with what the identity says today."""
    email = user.email if (user.email or "").lower() == identity.email else identity.email
    return replace(user, email=email, google_sub=identity.sub, google_domain=identity.domain)


def new_user(draft: Draft, identity: Identity, settings: Settings) -> User:
    """A record for somebody who comes for the first time. Raises NotWelcome."""
    if sum(user.google_sub is not None for user in draft.users.values()) >= MOST_GUESTS:
        raise NotWelcome(identity, f"there are {MOST_GUESTS} users who signed in with Google; delete some")
    try:
        usd = guestlist.allowance(settings.default_budgets, identity.email, identity.domain)
    except LookupError:
        raise NotWelcome(identity, "DEFAULT_BUDGETS has no row for this account; add one, or * for everybody") from None
    taken = {user.username.casefold() for user in draft.users.values()}
    if not guestlist.is_sure(settings.allowed_emails, identity.email, identity.domain):
        taken |= {key.username.casefold() for key in draft.keys.values()}  # a key is that of the user it names
    name = identity.email if identity.email not in taken else f"{identity.email[:200]} {secrets.token_hex(4)}"
    made = User(
        id=f"user-{secrets.token_hex(8)}",
        username=name,
        created_at=int(time.time() * 1000),
        budgets=() if usd is None else (Budget(usd=usd, window="month"),),
    )
    return with_identity(made, identity)
