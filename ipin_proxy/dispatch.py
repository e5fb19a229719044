"""Request in, Response out: match, identify, call the handler. The one place where errors become answers.

Routing, authentication and the handler look at the same parsed path. A path that no route has may be a prefix that pins a
provider (`/openai/v1/models`), or a client's warm-up (`HEAD` of whatever it was given as base URL).
"""

from __future__ import annotations

import itertools
import re
import secrets
from inspect import isgeneratorfunction
from typing import NamedTuple

from . import billing, keys, signin
from .addresses import caller_address
from .app import ADMIN, KEY, NOBODY, PUBLIC, App, Visit
from .call import COUNT, Caller
from .deployments import Catalog
from .dialects import ANY, MESSAGES, client_dialect, dialect_of
from .errors import (
    BadRequest,
    Forbidden,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    ProxyError,
    RequestTimeout,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
    draining,
)
from .records import RESERVED_SEGMENTS
from .routes import ROUTES
from .web.framing import FramingError
from .web.head import HeadError
from .web.request import BadPath, BodyTooLarge, Request, SlowRequest
from .web.response import CallerGone, Response, ShuttingDown
from .web.router import Route, Router
from .web.task import THREAD, Steps

SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
# A prefix that names a provider or an alias, before everything that has a version; and the ways in which clients that put
# `/v1/messages` behind their base URL make paths of bases that end in `/v1` or `/v1/messages/{alias}`.
PINNED = re.compile(r"/([^/]+)(/v1/.+)")
DOUBLED = re.compile(r"((?:/[^/]+)?)/v1(/v1/(?:messages|models)(?:/.*)?)")
NAMED = re.compile(r"(?:/v1)?/v1/messages/([^/]+)((?:/v1)?/v1/.+|/count_tokens)?")
MESSAGES_PATH = "/v1/messages"
NO_NAMES = ("count_tokens", "batches")
COUNT_PATTERN = f"/v1{COUNT.path}"
# Whatever a client may have been given as base URL: the root or a prefix, with or without what clients put behind it.
BASE = r"(?:/(?!v1(?:/|\Z))([^/]+))?(?:/v1(?:/messages(?:/[^/]+(?:/v1(?:/messages)?)?)?)?)?"
# What clients warm a connection up with: HEAD of a base URL itself, GET or HEAD of this behind it.
BASE_PATH = re.compile(rf"{BASE}/?")
# And what they tell their maker.
ASIDE_PATH = re.compile(BASE + r"(/api/(?:hello|event_logging/.+))")
# Of ours: unique among processes and within one; no secret, so nobody asks the system for random bytes on every call.
ID_PREFIX = secrets.token_hex(8)
ID_NUMBERS = itertools.count(1)
PREFLIGHT_S = "600"
MB = 1024 * 1024
PUBLIC_BODY_BYTES = 64 * 1024  # a body from nobody we know: a name and a password
SAME_ORIGIN_PATHS = ("/api/admin", "/api/user", "/api/logout", "/api/session")


class Known(NamedTuple):
    """What was found out about a request: true of the next one with the same head, as long as its key is valid and nobody
    has changed anything (else there is another catalog, or another master key). Behind these two, members of a Visit."""

    catalog: Catalog
    master: str
    dialect: str
    address: str
    params: dict[str, str]
    pin: str | None
    route: Route
    allowed: tuple[str, ...]
    caller: Caller


class Dispatcher:
    """What the server asks (`web.server.Service`). None of its methods raises."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._router = Router(ROUTES)
        self._in_steps = frozenset(route.handler for route in ROUTES if isgeneratorfunction(route.handler))

    def handle(self, request: Request) -> Steps:
        try:
            visit = visit_of(request)
            if visit is None:
                visit = self._begin(request)
            else:  # the body took its time, in which a key or a session may have ended
                self._identify(visit)
            route = visit.route
            if route is None:
                response = self._without_route(visit)
            elif route.handler in self._in_steps:
                response = yield from route.handler(self._app, visit)
            else:
                yield THREAD  # plain handlers may take their time
                response = route.handler(self._app, visit)
        except Exception as error:  # noqa: BLE001 - the one error boundary
            response = self._rendered(error, request)
        response = self.finished(request, response)
        request.state = None  # request and visit know each other: that would keep a body until the collector comes by
        return response

    def screen(self, request: Request) -> Response | None:
        """A body is still to come: say now what would be said anyway, before it is sent and read."""
        try:
            visit = self._begin(request)
            if visit.route is None:
                return self.finished(request, self._without_route(visit))
            if visit.route.access == PUBLIC:
                request.most_bytes = PUBLIC_BODY_BYTES
        except Exception as error:  # noqa: BLE001 - the one error boundary
            return self.finished(request, self._rendered(error, request))
        return None

    def refuse(self, error: Exception, request: Request | None) -> Response:
        return self.finished(request, self._rendered(as_refusal(error, self._app), request))

    def failed(self, error: BaseException) -> None:
        self._app.log.error("server_failure", exc_info=error)

    # -- the way in -----------------------------------------------------------------------------------------------

    def _begin(self, request: Request) -> Visit:
        """Find the route and who is asking. Raises ProxyError; what is known by then stays with the request."""
        app = self._app
        catalog, master, known = app.catalog(), app.master_digest, request.connection.heads.note
        if (
            isinstance(known, Known)
            and known.catalog is catalog
            and known.master == master
            and keys.is_still(app, known.caller)
        ):
            visit = request.state = Visit(request_id(request), request, *known[2:])
            return visit
        visit = request.state = Visit(
            request_id(request),
            request,
            dialect_of(request),
            caller_address(request, app.config.settings.trusted_proxies),
        )
        found = self._router.match(request.method, request.path)
        if found.route is None and not found.allowed:
            path, visit.pin = found_behind(request.path)
            if path is not None:
                found = self._router.match(request.method, path)
        visit.allowed = found.allowed
        visit.route = route = found.route
        if route is None:
            return visit
        visit.params = found.params
        visit.dialect = route.dialect if route.dialect != ANY else visit.dialect
        check_encoding(request)
        self._identify(visit)
        if route.access == KEY and visit.caller.session is None:
            request.connection.heads.note = Known(
                catalog, master, visit.dialect, visit.address, visit.params, visit.pin, route, (), visit.caller
            )
        return visit

    def _identify(self, visit: Visit) -> None:
        if visit.route is not None and visit.route.access != PUBLIC:
            visit.caller = identify(self._app, visit.request, visit.route.access)
            if visit.pin is not None:  # told to nobody without a key
                self._app.catalog().check_pin(visit.pin, visit.caller)

    def _without_route(self, visit: Visit) -> Response:
        """OPTIONS, warm-ups, 405 and 404."""
        request = visit.request
        if request.method == "OPTIONS" and (visit.allowed or request.path == "*"):
            return Response(204, {"allow": ", ".join(visit.allowed) or "GET, HEAD, OPTIONS, POST, PUT, DELETE"})
        if request.method == "HEAD" and behind_prefix(BASE_PATH, request.path):
            return Response(200)
        if visit.allowed:
            raise MethodNotAllowed(
                f"{request.method} is not possible here; {request.path} takes {', '.join(visit.allowed)}.",
                headers={"allow": ", ".join(visit.allowed)},
            )
        raise NotFound(f"There is nothing at {request.method} {request.path}.")

    # -- the way out ----------------------------------------------------------------------------------------------

    def _rendered(self, error: Exception, request: Request | None) -> Response:
        """An error in the caller's own dialect. What nobody foresaw becomes a plain 500; the trace goes to the log."""
        visit = visit_of(request)
        if isinstance(error, CallerGone):
            return Response(499, close=True)
        if isinstance(error, ShuttingDown):
            error = draining()
        if isinstance(error, BadPath):  # of its query, which is read only by those who need it
            error = as_refusal(error, self._app)
        if not isinstance(error, ProxyError):
            self._app.log.error("internal_error", request_id=visit.id if visit else "", exc_info=error)
            error = ProxyError("Something went wrong on our side; the log has the details under this request's id.")
        id_ = visit.id if visit is not None else request_id(request)
        client = client_dialect(visit.dialect if visit is not None else dialect_of(request))
        error = client.as_told(error)
        body = client.encode_error(error, id_)
        if visit is not None and is_a_call(visit):
            self._app.keep(billing.entry_of_refusal(visit, error))
        if error.status >= 500 or error.status in (401, 403, 429):
            self._app.log.info(
                "refused",
                request_id=id_,
                address=visit.address if visit is not None else "",
                method=request.method if request is not None else "",
                path=request.path if request is not None else "",
                status=error.status,
                error=error.code,
            )
        response = Response.json(body, error.status, error.headers)
        response.headers["x-request-id"] = id_
        return response

    def finished(self, request: Request | None, response: Response) -> Response:
        headers = response.headers
        visit = visit_of(request)
        if "x-request-id" not in headers:
            headers["x-request-id"] = visit.id if visit is not None else request_id(request)
        if (visit.dialect if visit is not None else dialect_of(request)) == MESSAGES:
            headers["request-id"] = headers["x-request-id"]
        headers.setdefault("x-content-type-options", "nosniff")
        if request is not None:
            self._allow_origin(headers, request)
        if self._app.log.hears("debug"):
            self._told(request, response)
        return response

    def _told(self, request: Request | None, response: Response) -> None:
        """A line for every answer: of calls, changes and refusals there are others, of the rest there is none without."""
        visit = visit_of(request)
        self._app.log.debug(
            "answered",
            request_id=response.headers["x-request-id"],
            address=visit.address if visit is not None else "",
            method=request.method if request is not None else "",
            path=request.path if request is not None else "",
            status=response.status,
        )

    def _allow_origin(self, headers: dict[str, str], request: Request) -> None:
        """CORS for what is opened with a key. The pages' own API is for their own origin alone."""
        allowed = self._app.config.settings.cors_origins
        origin = request.headers.get("origin")
        to_all = "*" in allowed
        if (to_all and origin is None) or not allowed or request.path.startswith(SAME_ORIGIN_PATHS):
            return
        if not to_all:
            headers["vary"] = "origin"
        if origin is None or not (to_all or origin.lower() in allowed):
            return
        headers["access-control-allow-origin"] = "*" if to_all else origin
        headers["access-control-expose-headers"] = "*"
        if request.method == "OPTIONS":
            headers["access-control-allow-methods"] = "GET, POST, PUT, DELETE, OPTIONS"
            headers["access-control-allow-headers"] = (
                request.headers.get("access-control-request-headers") or "authorization, content-type, x-api-key"
            )
            headers["access-control-max-age"] = PREFLIGHT_S


def found_behind(path: str) -> tuple[str | None, str | None]:
    """What is asked for behind a base URL, and the name in that, if it has one; (None, None) when there is nothing."""
    aside = behind_prefix(ASIDE_PATH, path)
    if aside is not None:
        return aside[2], None
    named = NAMED.fullmatch(path)
    if named is not None and named[1] not in NO_NAMES:
        rest = named[2] or MESSAGES_PATH
        return (MESSAGES_PATH + rest if rest == "/count_tokens" else rest.replace("/v1/v1/", "/v1/", 1)), named[1]
    doubled = behind_prefix(DOUBLED, path)
    if doubled is not None:
        path = doubled[1] + doubled[2]
    pinned = behind_prefix(PINNED, path)
    if pinned is not None:
        return pinned[2], pinned[1]
    return (path, None) if doubled is not None else (None, None)


def behind_prefix(pattern: re.Pattern[str], path: str) -> re.Match[str] | None:
    """The match of a path whose first group, if there is one, is a prefix and not the name of something of ours."""
    found = pattern.fullmatch(path)
    return None if found is not None and (found[1] or "").lower() in RESERVED_SEGMENTS else found


def identify(app: App, request: Request, access: str) -> Caller:
    """Who is asking, if they may come in here. Raises Unauthorized, Forbidden."""
    if access == KEY:
        caller = keys.caller_by_key(app, request) or signin.caller_by_cookie(app, request)
        if caller is None:
            raise keys.refused()
        return caller
    caller = signin.caller_by_session(app, request) or keys.master_by_key(app, request)
    if caller is None:
        raise Unauthorized("You are not signed in, or your session has ended. Sign in again.", code="not_signed_in")
    if access == ADMIN and not caller.is_admin:
        raise Forbidden("This is for administrators.")
    return caller


def is_a_call(visit: Visit) -> bool:
    """Whether somebody with a good key wanted to make a call, of which there is no bill: it was refused before. Counting
    tokens is none."""
    route = visit.route
    wanted = route is not None and route.access == KEY and route.method == "POST" and route.pattern != COUNT_PATTERN
    return wanted and not visit.has_bill and visit.caller is not NOBODY


def visit_of(request: Request | None) -> Visit | None:
    """What `_begin` found out about a request; None before it, or when there is no request."""
    return request.state if request is not None and isinstance(request.state, Visit) else None


def request_id(request: Request | None) -> str:
    """The caller's own id for this request if it is sane, else one of ours."""
    given = request.headers.get("x-request-id") if request is not None else None
    return given if given and SANE_ID.fullmatch(given) else f"req_{ID_PREFIX}{next(ID_NUMBERS):08x}"


def check_encoding(request: Request) -> None:
    """A compressed body is refused: nobody looks into it, so nobody could check what it asks for."""
    encoding = (request.headers.get("content-encoding") or "identity").strip().lower()
    if encoding != "identity":
        raise UnsupportedMediaType(f"Request bodies cannot be sent with content-encoding '{encoding[:40]}'.")


def as_refusal(error: Exception, app: App) -> ProxyError:
    """What the server could not make a request of, as an error to answer with."""
    if isinstance(error, ProxyError):
        return error
    if isinstance(error, HeadError):
        return BadRequest(error.message, status=error.status, code="bad_request")
    if isinstance(error, BadPath):
        return BadRequest(f"The path cannot be read: {error}.", code="bad_request")
    if isinstance(error, FramingError):
        return BadRequest(f"The request body cannot be read: {error.message}.", code="bad_request")
    if isinstance(error, BodyTooLarge):
        limit, usual = error.limit, app.config.settings.max_body_mb * MB
        much = f"{limit // MB} MB" if limit >= MB else f"{limit // 1024} KB"
        hint = "Send less, or raise MAX_BODY_MB." if limit == usual else "This route takes no more."
        return PayloadTooLarge(f"The request body is larger than {much}. {hint}")
    if isinstance(error, SlowRequest):
        return RequestTimeout(f"The request took too long: {error}.")
    if isinstance(error, ConnectionError):
        return Unavailable("The server has too many connections; please ask again in a moment.", code="overloaded")
    if isinstance(error, OSError):
        return Unavailable(
            "The server's temporary folder is full or cannot be written, so the upload was not taken. "
            "Try again in a moment; an administrator can make room, or set TMPDIR to another folder.",
            status=507,
            code="storage_full",
        )
    return ProxyError("The request could not be taken in.")
