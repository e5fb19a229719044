"""Authorization header → Caller. The one place where a credential of a request is looked at.

A virtual key is known by its SHA-256 alone, found in one look-up, compared in constant time; what is none may be a pass
(passes.py). Every refusal is the same sentence: nobody learns from it whether a key exists.
"""

from __future__ import annotations

import binascii
import hmac
import secrets
import time
from dataclasses import replace
from ipaddress import ip_network
from typing import TYPE_CHECKING

from . import passes
from .addresses import is_in
from .call import NAME_CHARS, Caller
from .errors import Forbidden, Unauthorized
from .records import VirtualKey, key_digest
from .web.request import Request

if TYPE_CHECKING:
    from .app import App
    from .store import Draft

REFUSAL = "The API key is missing, unknown, disabled or expired. Send a valid one as 'Authorization: Bearer KEY'."
MOST_KEY_CHARS = 2048  # a pass names its user, by an id of up to 256 characters of any script
MASTER = Caller("master key", is_admin=True)


def new_key() -> str:
    """A key nobody can guess: 256 bits."""
    return f"sk-{secrets.token_urlsafe(32)}"


def presented(request: Request) -> list[str]:
    """The credentials a request carries: bearer and x-api-key. A client that sends two different ones (Claude Code does)
    is good if either is."""
    found = []
    scheme, _, credential = (request.headers.get("authorization") or "").partition(" ")
    if scheme.lower() == "bearer" and credential.strip():
        found.append(credential.strip())
    key = request.headers.get("x-api-key")
    if key and key.strip() not in found:
        found.append(key.strip())
    return [each for each in found if len(each) <= MOST_KEY_CHARS]


def caller_by_key(app: App, request: Request) -> Caller | None:
    """Who holds the presented key: the master, a virtual key that is enabled and not expired, a person with a pass, or
    nobody."""
    for credential in presented(request):
        caller = holder_of(app, credential)
        if caller is not None:
            return caller
    return None


def holder_of(app: App, credential: str) -> Caller | None:
    digest = key_digest(credential)
    if is_master(app, digest):
        return MASTER
    snapshot = app.store.snapshot()
    key = snapshot.keys_by_hash.get(digest)
    caller: Caller | None = None
    if key is not None and hmac.compare_digest(digest, key.key_hash):
        caller = Caller(key.name or key.id, key=key, user=snapshot.owners.get(key.id))
    elif credential.count(".") == 2:
        caller = passes.caller(app, credential, digest)
    return caller if caller is not None and is_still(app, caller) else None


def caller_by_password(app: App, request: Request) -> Caller | None:
    """Who holds the key that is sent as the password of Basic authentication, as some collectors of metrics do. It is
    looked for nowhere else: what a proxy in front asks people for comes in the same header."""
    scheme, _, given = (request.headers.get("authorization") or "").partition(" ")
    if scheme.lower() != "basic" or len(given) > 2 * MOST_KEY_CHARS:
        return None
    try:
        password = binascii.a2b_base64(given.strip()).decode().partition(":")[2]
    except ValueError:
        return None
    return holder_of(app, password) if password else None


def is_still(app: App, caller: Caller) -> bool:
    """Whether the holder of a key of the present database may use it now, which is noted. Whoever disables a user means all
    that this user has."""
    if caller.until is not None and caller.until <= time.time() * 1000:
        return False
    if caller.user is not None and not caller.user.enabled:
        return False
    key = caller.key
    if key is None:
        return True
    if not is_valid(key):
        return False
    app.last_used[key.id] = int(time.time() * 1000)
    return True


def master_by_key(app: App, request: Request) -> Caller | None:
    """The holder of the master key, which opens the pages' own API too; nobody else's key does."""
    return MASTER if any(is_master(app, key_digest(each)) for each in presented(request)) else None


def is_master(app: App, digest: str) -> bool:
    return bool(app.master_digest) and hmac.compare_digest(digest, app.master_digest)


def note_use(app: App, draft: Draft) -> None:
    """When keys were last used goes to disk with a change that is made anyway."""
    for id_, used_at in list(app.last_used.items()):
        key = draft.keys.get(id_)
        if key is not None and used_at > (key.last_used_at or 0):
            draft.keys[id_] = replace(key, last_used_at=used_at)


def is_valid(key: VirtualKey) -> bool:
    return key.enabled and (key.expires_at is None or key.expires_at > time.time() * 1000)


def refused() -> Unauthorized:
    return Unauthorized(REFUSAL)


def check_use(caller: Caller, scope: str, address: str) -> None:
    """Raises Forbidden when the caller's key is not for this kind of call, or not from this address."""
    key = caller.key
    if key is None:
        return
    if key.scopes and scope not in key.scopes:
        raise Forbidden(
            f"This API key is not for '{scope}' calls, only for: {', '.join(key.scopes)}.", code="scope_not_allowed"
        )
    check_address(caller, address)


def check_address(caller: Caller, address: str) -> None:
    if caller.key is None or not caller.key.allowed_ips:
        return
    if not is_in(address, [ip_network(row, strict=False) for row in caller.key.allowed_ips]):
        raise Forbidden("This API key may not be used from this address.", code="ip_not_allowed")


def check_model(caller: Caller, model: str, asked: str) -> None:
    """Raises Forbidden for every name outside a key's list, existing or not, so that names cannot be probed. `asked` is
    what the caller called the model, for the message."""
    if not caller.may_use(model):
        raise Forbidden(
            f"This API key may not use the model '{asked[:NAME_CHARS]}'. GET /v1/models lists those it may use.",
            code="model_not_allowed",
            param="model",
        )
