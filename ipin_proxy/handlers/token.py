"""Signing in with Google: an identity token in, a pass out, which is good wherever a key is.

The page that shows Google's button is not ours. It sends what Google gave it as `?credential=`, as JSON, or lets Google's
button post its form. There is nothing here until GOOGLE_CLIENT_ID is set.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Generator, Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl

from .. import audit, guests, idtoken, passes
from ..app import App, Visit
from ..bodies import FORM_TYPE, json_object, private_json
from ..call import Caller
from ..errors import BadRequest, Forbidden, NotFound, Unauthorized
from ..guests import Admitted, NotWelcome
from ..idtoken import NotAccepted
from ..kinds import USERS
from ..web.request import Request
from ..web.response import Response
from ..web.task import CONNECTOR, THREAD, Next, Steps

CSRF = "g_csrf_token"  # Google's button sends it as a cookie and in its form; another site can only do the latter
MOST_FIELDS = 20


class Given(NamedTuple):
    """An identity token, and the nonce that Google was asked with, where the page has used one."""

    credential: str
    nonce: str | None


def issue(app: App, visit: Visit) -> Steps:
    """`GET /token?credential=` and `POST /token`: `{token, email, expiresAt}`."""
    settings = app.config.settings
    if not settings.google_client_id:
        raise NotFound(f"There is nothing at {visit.request.method} {visit.request.path}.")
    given = given_in(visit.request)
    app.strangers.look(visit.address)
    try:
        found = yield from admitted(app, given)
    except NotAccepted as error:
        app.strangers.failed(visit.address)
        note_refusal(app, visit, error)
        # One sentence for every reason: whoever tries tokens out learns nothing from it.
        raise Unauthorized(
            "Signing in with Google did not work. Sign in there again.", code="invalid_credential"
        ) from None
    except NotWelcome as error:
        # Google answers for who this is, so nobody is guessing: people who have taken the wrong one of their accounts, often.
        note_refusal(app, visit, error)
        raise Forbidden(
            "This account may not use this server. Ask its administrator.", code="account_not_allowed"
        ) from None
    return answered(app, visit, found)


def admitted(app: App, given: Given) -> Generator[Next, None, Admitted]:
    """Who comes with this identity token. Raises NotAccepted, NotWelcome, and ProxyError when nobody can say."""
    settings = app.config.settings
    signed = idtoken.opened(given.credential)
    at_once = app.jwks.answers_at_once(settings.google_jwks_url, signed.kid)
    yield THREAD if at_once else CONNECTOR
    key = app.jwks.key(settings.google_jwks_url, signed.kid)
    if key is None:
        raise NotAccepted("Google has no key of the name it is signed with")
    identity = idtoken.identity(signed, key, settings.google_client_id, time.time(), given.nonce)
    return guests.admitted(app, identity)


def answered(app: App, visit: Visit, found: Admitted) -> Response:
    user = found.user
    made = passes.issue(user, found.secret, app.config.settings.token_days)
    visit.caller = Caller(user.username, user=user)
    note_change(app, visit, found)
    if user.role == "admin":
        audit.note(app, visit, "sign_in", "users", user.id)
    app.log.info("signed_in", actor=user.username, by="google", pass_id=made.id, **about(visit))
    return private_json({"token": made.text, "email": user.email, "expiresAt": made.expires_at})


def note_change(app: App, visit: Visit, found: Admitted) -> None:
    """What this sign-in has made of the user's record: a new one, one that is theirs from now on, or another address."""
    user, before = found.user, found.before
    was = audit.state(app, USERS, before, before) if before is not None else None
    now = audit.state(app, USERS, user, user)
    if was != now:
        audit.note(app, visit, "create" if before is None else "update", "users", user.id, was, now)


def note_refusal(app: App, visit: Visit, error: Exception) -> None:
    app.log.warning("sign_in_refused", reason=str(error), **about(visit))


def about(visit: Visit) -> dict[str, str]:
    return {"address": visit.address, "request_id": visit.id}


def given_in(request: Request) -> Given:
    """What a request holds, wherever it holds it. Raises BadRequest, and UnsupportedMediaType."""
    if request.method != "POST":
        return given_as(request.query)
    if request.content_type == FORM_TYPE and not request.body.lstrip().startswith(b"{"):
        fields = form_in(request)
        check_form(request, fields)
        return given_as(fields)
    return given_as(json_object(request))


def given_as(fields: Mapping[str, object]) -> Given:
    credential, nonce = fields.get("credential"), fields.get("nonce")
    if not isinstance(credential, str) or not credential:
        raise BadRequest("There is no 'credential'; it must be the identity token from Google.", param="credential")
    if nonce is not None and not isinstance(nonce, str):
        raise BadRequest("'nonce' must be a text.", param="nonce")
    return Given(credential, nonce)


def form_in(request: Request) -> dict[str, str]:
    try:
        pairs = parse_qsl(bytes(request.body).decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise BadRequest("The form cannot be read.") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise BadRequest("The form has a field twice.")
    return fields


def check_form(request: Request, fields: Mapping[str, str]) -> None:
    """Raises Forbidden for a form that Google's button on a page of this host has not sent: any site can make a browser
    send one, and so sign it in as somebody else."""
    sent = fields.get(CSRF, "")
    cookies = [
        value
        for line in request.headers.all("cookie")
        for name, _, value in (pair.strip().partition("=") for pair in line.split(";"))
        if name == CSRF
    ]
    if not sent or len(cookies) != 1 or not hmac.compare_digest(sent.encode(), cookies[0].encode()):
        raise Forbidden(
            f"The form's '{CSRF}' is not that of the cookie. Google's button must stand on a page of this very host.",
            code="cross_site_request",
            param=CSRF,
        )
