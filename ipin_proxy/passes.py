"""Passes: our own tokens, which people get for their identity token and use as a key.

A pass is a JWT (RFC 7519) signed with HS256 by a secret of this server, which stands in the settings of the database, is made
with the first pass, and leaves in no export: without it every pass is void. It names a user and that user's `pass_generation`;
taking the generation away revokes all passes of theirs at once, and so does whatever else ends sessions. A pass lets in as
long as its user would get a new one: enabled, still on the lists, and within TOKEN_DAYS. The key linked to its user, if there
is one, limits it as it limits them.
"""

from __future__ import annotations

import binascii
import hmac
import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from . import guestlist
from .call import Caller
from .records import User

if TYPE_CHECKING:
    from .app import App
    from .config import Settings
    from .store import Draft

SECRET = "passSecret"  # in the database's settings
IS_SECRET = re.compile(r"[0-9a-f]{64}")
DAY_S = 24 * 60 * 60
# Compared as it stands: whoever can write another header cannot make us read it, and so choose no algorithm.
HEADER = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"  # {"alg":"HS256","typ":"JWT"}
ISSUER = "ipin-proxy"
MOST_REMEMBERED = 2048  # passes whose signature was found right


class Claims(NamedTuple):
    """What a pass says."""

    user_id: str
    generation: str
    issued_at_s: int
    expires_at_s: int


class Pass(NamedTuple):
    """A pass as it is handed out, its id (`jti`) for the log, and (ms) until when it is good."""

    text: str
    id: str
    expires_at: int


class Passes:
    """Reads passes, and remembers which signatures are right: a small matter, but not for every call on a new connection."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, Claims]] = {}  # by digest, with the secret that it was signed with

    def read(self, text: str, digest: str, secret: str) -> Claims | None:
        """What a pass of ours says; None for anything else. `digest` is that of the whole text."""
        known = self._known.get(digest)
        if known is not None and known[0] == secret:
            return known[1]
        claims = claims_of(text, secret)
        if claims is not None:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[digest] = (secret, claims)
        return claims


# -- who holds one ----------------------------------------------------------------------------------------------------


def caller(app: App, text: str, digest: str) -> Caller | None:
    """Who comes with this pass, if it is one and still good."""
    settings, snapshot = app.config.settings, app.store.snapshot()
    if not settings.google_client_id or not text.startswith(HEADER):
        return None
    secret = secret_in(snapshot.settings)
    claims = app.passes.read(text, digest, secret) if secret else None
    if claims is None:
        return None
    user = snapshot.users.get(claims.user_id)
    if user is None or user.pass_generation != claims.generation or not may_enter(user, settings):
        return None
    until_s = min(claims.expires_at_s, claims.issued_at_s + settings.token_days * DAY_S)
    if until_s <= time.time():
        return None
    key = snapshot.keys.get(user.api_key_id) if user.api_key_id is not None else None
    if key is None and user.api_key_id is not None:
        return None  # what was to limit this person is gone
    return Caller(user.username, key=key, user=user, is_admin=user.role == "admin", until=until_s * 1000)


def may_enter(user: User, settings: Settings) -> bool:
    """Whether this user may come in by an identity, as the lists are now."""
    return (
        user.enabled
        and user.google_sub is not None
        and guestlist.is_listed(
            settings.allowed_domains, settings.allowed_emails, (user.email or "").lower(), user.google_domain
        )
    )


# -- made, and ended --------------------------------------------------------------------------------------------------


def issue(user: User, secret: str, days: int) -> Pass:
    """A new pass for a user who has a generation."""
    now_s = int(time.time())
    expires_at_s = now_s + days * DAY_S
    id_ = secrets.token_hex(8)
    claims = {
        "iss": ISSUER,
        "sub": user.id,
        "gen": user.pass_generation,
        "iat": now_s,
        "exp": expires_at_s,
        "jti": id_,
    }
    payload = _encoded(json.dumps(claims, separators=(",", ":"), ensure_ascii=False).encode())
    message = f"{HEADER}.{payload}"
    return Pass(f"{message}.{signature(message, secret)}", id_, expires_at_s * 1000)


def secret_in(settings: Mapping[str, Any]) -> str:
    """The secret of a database; empty when it has none."""
    found = settings.get(SECRET)
    return found if isinstance(found, str) and IS_SECRET.fullmatch(found) else ""


def prepare(draft: Draft, user: User) -> User:
    """A user who can have passes, in a database that can sign them."""
    if not secret_in(draft.settings):
        draft.settings[SECRET] = secrets.token_hex(32)
    return user if user.pass_generation else replace(user, pass_generation=secrets.token_hex(8))


def revoked(user: User) -> User:
    """The user without any pass that is good."""
    return replace(user, pass_generation=None)


def after_change(before: User, after: User) -> User:
    """A changed user: with a new password, or when they are disabled or let in again, passes end as sessions do."""
    return after if is_same_entry(before, after) else revoked(after)


def is_same_entry(before: User, after: User) -> bool:
    """Whether a change of a user leaves alone how they come in."""
    return (after.enabled, after.password_hash) == (before.enabled, before.password_hash)


def without_revived(user: User, known: User | None) -> User:
    """A user of an earlier state that comes back, without the passes that were revoked since then; `known` is who they are now."""
    is_same = known is not None and known.pass_generation == user.pass_generation
    return user if is_same or user.pass_generation is None else revoked(user)


def revoke(app: App, user_id: str) -> None:
    """End all passes of a user. Raises ProxyError when that cannot be saved."""
    user = app.store.snapshot().users.get(user_id)
    if user is None or user.pass_generation is None:
        return
    with app.store.edit() as draft:
        if user_id in draft.users:
            draft.users[user_id] = revoked(draft.users[user_id])


# -- the text ---------------------------------------------------------------------------------------------------------


def claims_of(text: str, secret: str) -> Claims | None:
    """What a text says that is signed with this secret. The signature is compared as it is written, since base64 has
    several ways to write the same."""
    message, _, signed = text.rpartition(".")
    header, _, payload = message.partition(".")
    if header != HEADER or not text.isascii() or not hmac.compare_digest(signed, signature(message, secret)):
        return None
    try:
        claims = json.loads(_decoded(payload))
        found = Claims(claims["sub"], claims["gen"], claims["iat"], claims["exp"])
    except (ValueError, KeyError, TypeError):
        return None
    return found if claims.get("iss") == ISSUER else None


def signature(message: str, secret: str) -> str:
    return _encoded(hmac.digest(bytes.fromhex(secret), message.encode("ascii"), "sha256"))


def _encoded(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode().rstrip("=").replace("+", "-").replace("/", "_")


def _decoded(text: str) -> bytes:
    return binascii.a2b_base64(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4))
