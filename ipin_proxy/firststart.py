"""The first administrator and the master key: made when there are none, told once, changed by whoever runs the server.

`prepare` belongs before the banner and is quick unless something has to be made. `apply_password` compares the given
UI_PASSWORD with the one applied last, which takes an scrypt, so it belongs on a thread of its own once the server listens.
What was applied is remembered as a hash: an unchanged UI_PASSWORD never overrides a password changed later on the page,
and never brings back an administrator who was deleted there. Nothing here prints or logs a secret.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from . import keys, passes, signin
from .config import Config
from .errors import ConfigError, ProxyError
from .records import User, key_digest, mask

if TYPE_CHECKING:
    from .store import Draft, Store

APPLIED = "appliedUiPassword"  # in the database's settings: {"username", "passwordHash"}
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # without those that are taken for one another when typed from a screen
GROUPS, GROUP_LETTERS = 4, 5  # 99 bits


class Secrets(NamedTuple):
    """What was just made and has to be shown, once: None where there is nothing to show."""

    username: str | None = None
    password: str | None = None  # only if it was generated
    master_key: str | None = None


def prepare(store: Store, config: Config) -> Secrets:
    """Make sure there are an administrator and a master key. A database that can only be read is served without."""
    username = password = None
    try:
        if not has_administrator(store.snapshot().users):
            username, password = first_administrator(store, config)
        return Secrets(username, password, master_key(store, config))
    except ProxyError:
        return Secrets(username, password)


def take_back(store: Store, made: Secrets) -> None:
    """What was made could not be shown to anybody: the next start is to make it anew."""
    with contextlib.suppress(ProxyError), store.edit() as draft:
        if made.master_key:
            del draft.settings["masterKeyHash"], draft.settings["masterKeyHint"]
        if made.password:
            user = next(each for each in draft.users.values() if each.username == made.username)
            draft.users[user.id] = replace(user, password_hash=None)


def has_administrator(users: Mapping[str, User]) -> bool:
    """Whether anybody can sign in who may change things."""
    return any(user.role == "admin" and user.enabled and user.password_hash for user in users.values())


def first_administrator(store: Store, config: Config) -> tuple[str, str | None]:
    """Make UI_USERNAME an administrator, with UI_PASSWORD or a generated password; (name, the generated password)."""
    given = config.settings.ui_password
    password = given or new_password()
    password_hash = signin.hash_password(password)
    with store.edit() as draft:
        name = set_password(draft, config.settings.ui_username, password_hash)
        if given:
            draft.settings[APPLIED] = {"username": name, "passwordHash": password_hash}
    return name, None if given else password


def apply_password(store: Store, config: Config) -> str | None:
    """Apply a UI_PASSWORD that is not the one applied last; the name of the administrator who got it, else None.

    Raises ProxyError when it cannot be saved.
    """
    username, password = config.settings.ui_username, config.settings.ui_password
    if not password or was_applied(store, username, password):
        return None
    password_hash = signin.hash_password(password)
    with store.edit() as draft:
        name = set_password(draft, username, password_hash)
        draft.settings[APPLIED] = {"username": name, "passwordHash": password_hash}
    return name


def was_applied(store: Store, username: str, password: str) -> bool:
    applied = store.snapshot().settings.get(APPLIED)
    if not isinstance(applied, Mapping) or str(applied.get("username")).casefold() != username.casefold():
        return False
    stored = applied.get("passwordHash")
    return isinstance(stored, str) and signin.verify_password(stored, password)


def reset_first_administrator(store: Store, config: Config) -> tuple[str, str]:
    """A new password for UI_USERNAME, or if that is no administrator for the first one there is: (name, password).

    A UI_PASSWORD that is set counts as applied from now on, or the next start would put it in the place of the new one.
    Raises ConfigError when it cannot be saved.
    """
    users = store.snapshot().users
    administrators = [user for user in users.values() if user.role == "admin"]
    wanted, given = config.settings.ui_username, config.settings.ui_password
    names = [user.username for user in administrators]
    is_there = any(name.casefold() == wanted.casefold() for name in names)
    password = new_password()
    password_hash = signin.hash_password(password)
    applied = {"username": wanted, "passwordHash": signin.hash_password(given)} if given else None
    try:
        with store.edit() as draft:
            name = set_password(draft, wanted if is_there or not names else names[0], password_hash)
            if applied:
                draft.settings[APPLIED] = applied
    except ProxyError as error:
        raise ConfigError(error.message) from error
    return name, password


def set_password(draft: Draft, username: str, password_hash: str) -> str:
    """Give a user this password and make them an enabled administrator; made if need be. Returns the name as stored."""
    user = next((each for each in draft.users.values() if each.username.casefold() == username.casefold()), None)
    if user is None:
        id_ = username if username not in draft.users else f"user-{secrets.token_hex(8)}"
        user = User(id=id_, username=username, created_at=int(time.time() * 1000))
    after = replace(user, password_hash=password_hash, role="admin", enabled=True)
    draft.users[user.id] = passes.revoked(after)
    return user.username


def master_key(store: Store, config: Config) -> str | None:
    """A new master key when none is given and none was ever made; the database keeps its digest alone."""
    if config.settings.master_api_key or store.snapshot().settings.get("masterKeyHash"):
        return None
    key = keys.new_key()
    with store.edit() as draft:
        draft.settings["masterKeyHash"] = key_digest(key)
        draft.settings["masterKeyHint"] = mask(key)
    return key


def new_password() -> str:
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(GROUP_LETTERS)) for _ in range(GROUPS))
