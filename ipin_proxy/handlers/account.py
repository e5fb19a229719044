"""Signing in and out, and what people may see and change of themselves."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import Any

from .. import audit, keys, kinds, paging, passes, signin, statements
from ..app import App, Visit
from ..bodies import asks_for, json_object, private_json
from ..call import Caller
from ..errors import BadRequest, Forbidden, NotFound, ProxyError, Unauthorized
from ..records import User, VirtualKey
from ..spending import usd
from ..web.response import Response

DAYS = 30  # of one's own usage, unless the query names others
OWN_SPLITS = ("day", "hour", "model", "key", "alias")


def admin_login(app: App, visit: Visit) -> Response:
    """`POST /api/admin/login`: as user_login, for administrators; to others it says what it says to a wrong password."""
    return sign_in(app, visit, only_admin=True)


def user_login(app: App, visit: Visit) -> Response:
    """`POST /api/user/login`: `{username, password}` → `{token, user}` and the cookie."""
    return sign_in(app, visit, only_admin=False)


def sign_in(app: App, visit: Visit, *, only_admin: bool) -> Response:
    signin.check_same_origin(visit.request)  # no other site may sign a browser in, as whomever
    given = json_object(visit.request)
    username, password = text_of(given, "username"), text_of(given, "password")
    user = signin.authenticate(app, username, password, visit.address, only_admin=only_admin)
    app.log.info("signed_in", actor=user.username, address=visit.address, request_id=visit.id)
    if user.role == "admin":
        visit.caller = Caller(user.username, user=user)
        audit.note(app, visit, "sign_in", "users", user.id)
    return with_session(app, visit, user, {"user": describe(user)})


def logout(app: App, visit: Visit) -> Response:
    """`POST /api/logout`: the session is over, here and in the browser. Also when there was none. With `?everywhere=1`
    so are all others of the same person, and their passes; a pass can ask for that too."""
    if any(True for _ in signin.cookies(visit.request)):
        signin.check_same_origin(visit.request)
    is_everywhere = asks_for(visit.request, "everywhere")
    given = signin.tokens(visit.request)
    holders = map(partial(signin.holder_of, app), given) if is_everywhere else ()
    people = {user.id: user for user in holders if user is not None}
    for token in given:
        app.sessions.close(token)
    for user in people.values():
        app.sessions.close_all_of(user.id)
        passes.revoke(app, user.id)
        visit.caller = Caller(user.username, user=user)
        audit.note(app, visit, "revoke", "users", user.id)
    return private_json({"success": True}, headers={"set-cookie": signin.cookie(app, visit.request, "")})


def session(app: App, visit: Visit) -> Response:
    """`GET /api/session`: `{"user": {id, username, role}}`, or null: a page learns who is there without an error. And
    `limits`, so that a page can say what is too large before it is sent."""
    caller = signin.caller_by_session(app, visit.request)
    user = caller.user if caller is not None else None
    shown = {"id": user.id, "username": user.username, "role": user.role} if user is not None else None
    return private_json({"user": shown, "limits": limits(app)})


def limits(app: App) -> dict[str, int]:
    """How large one recording and one image may be, in MB."""
    settings = app.config.settings
    return {
        "audioMb": min(settings.max_audio_mb, settings.max_body_mb),
        "imageMb": min(settings.max_image_mb, settings.max_body_mb),
    }


def me(app: App, visit: Visit) -> Response:
    """`GET /api/user/me`: `{user, apiKey (masked) or null, usage}`. A ledger that cannot be read keeps nobody from seeing the
    rest: `usage` is null then."""
    user = signed_in(visit)
    caller = with_linked_key(app, user)
    shown = shown_key(caller.key) if caller.key is not None else None
    try:
        used = statements.statement(app, caller, statements.Account("user", user.id))
    except ProxyError:
        used = None
    return private_json({"user": describe(user), "apiKey": shown, "usage": used})


def usage(app: App, visit: Visit) -> Response:
    """`GET /api/user/usage?from&to&by`: `{from, to, totals, series, months, spent, limits, resets}`, all of it one's own:
    also of what was called with the page, and with a key that was one's own then."""
    user, query = signed_in(visit), visit.request.query
    from_ms, to_ms = paging.days(query, DAYS, time.time())
    by = paging.word_in(query, "by", "day", OWN_SPLITS)
    found = app.ledger.usage(from_ms, to_ms, by, user=user.id)
    months = [
        {"month": each.month, "calls": each.calls, "costUsd": usd(each.cost)}
        for each in app.ledger.own_usage("user", user.id)
    ]
    standing = statements.statement(app, with_linked_key(app, user), statements.Account("user", user.id))
    return private_json({**found, "months": months, **standing})


def with_linked_key(app: App, user: User) -> Caller:
    """The person with the key linked to them, since both have limits."""
    return Caller(user.username, key=app.store.snapshot().keys.get(user.api_key_id or ""), user=user)


def rotate_key(app: App, visit: Visit) -> Response:
    """`POST /api/user/key/rotate`: a new key in the place of one's own, in full this once; the old one is dead."""
    user = signed_in(visit)
    with app.store.edit() as draft:
        key = draft.keys.get(user.api_key_id or "")
        if key is None:
            raise NotFound("No API key is linked to you. An administrator can link one.", code="no_linked_key")
        after, secret = kinds.rotated(draft, key)
        keys.note_use(app, draft)
    before_after = audit.state(app, kinds.KEYS, key), audit.state(app, kinds.KEYS, after)
    audit.note(app, visit, "rotate", "apiKeys", after.id, *before_after)
    return private_json({"apiKey": {**shown_key(after), "key": secret}})


def change_password(app: App, visit: Visit) -> Response:
    """`PUT /api/user/password`: `{currentPassword, newPassword}`. It ends every session and pass of the user; the answer
    brings the session that goes on. A wrong current password is 400, since pages take a 401 for the end of their session."""
    user = signed_in(visit)
    given = json_object(visit.request)
    current = text_of(given, "currentPassword")
    new = signin.check_password(given.get("newPassword"), "newPassword")
    try:
        user = signin.authenticate(app, user.username, current, visit.address)
    except Unauthorized as error:
        raise BadRequest("The current password is wrong.", code="wrong_password", param="currentPassword") from error
    password_hash = signin.hash_password(new)
    with app.store.edit() as draft:
        stored = draft.users.get(user.id)
        if stored is None or stored.password_hash != user.password_hash:
            raise BadRequest("The password was changed a moment ago.", code="wrong_password", param="currentPassword")
        draft.users[user.id] = changed = passes.revoked(replace(stored, password_hash=password_hash))
    app.sessions.close_all_of(user.id)
    app.log.info("password_changed", actor=user.username, address=visit.address, request_id=visit.id)
    audit.note(app, visit, "update", "users", user.id, None, {"password": "changed"})
    return with_session(app, visit, changed, {"success": True})


def with_session(app: App, visit: Visit, user: User, answer: dict[str, Any]) -> Response:
    token = app.sessions.open(user)
    return private_json({"token": token, **answer}, headers={"set-cookie": signin.cookie(app, visit.request, token)})


def signed_in(visit: Visit) -> User:
    """The person behind a visit. Raises Forbidden for the master key, which is nobody."""
    if visit.caller.user is None:
        raise Forbidden("The master key belongs to nobody; sign in for what is somebody's own.")
    return visit.caller.user


def shown_key(key: VirtualKey) -> dict[str, Any]:
    public = key.public_json()
    return {name: public[name] for name in ("id", "name", "key", "allowedModels", "enabled", "expiresAt")}


def describe(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "role": user.role,
        "apiKeyId": user.api_key_id,
    }


def text_of(given: dict[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise BadRequest(f"The body has no '{name}'; it must be a text.", param=name)
    return value
