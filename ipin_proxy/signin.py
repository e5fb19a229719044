"""People: password hashes, sessions, and the slow-down of wrong sign-ins.

A session is a random token in a cookie (or a bearer on `/api/*`); here it is known by its SHA-256 and lives in memory, so
a restart ends them all. It dies after 12 idle hours, and with the password, the enabling or the existence of its user.
A cookie travels with whatever any page makes a browser send, so requests that stand on it alone must come from our own
origin. This room knows no page and no route, keeps no password, and never says which half of a sign-in was wrong.
"""

from __future__ import annotations

import contextlib
import hmac
import math
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from . import keys, passes
from .addresses import came_over_https
from .call import Caller
from .errors import BadRequest, Forbidden, ProxyError, TooManyAttempts, Unauthorized
from .records import User, key_digest
from .web.request import Request

if TYPE_CHECKING:
    from .app import App

COOKIE = "ipin_session"
IDLE_S = 12 * 60 * 60.0
MOST_SESSIONS = 4096
MOST_SESSIONS_EACH = 64  # of one user: a script that signs in for every request must not push the others out
COOKIES_TRIED = 4  # a browser sends one; a stranger may send a thousand
MOST_COOKIE_CHARS = 128

SHORTEST_PASSWORD = 8  # NIST SP 800-63B
LONGEST_PASSWORD = 1024  # hashing is slow on purpose; a longer text only serves to make it slower
SCRYPT_COST = (2**13, 8, 10)  # n, r, p: 8 MB and about 0.15 s, of the strength OWASP asks for with this little memory
MOST_SCRYPT_BYTES = 128 * 1024 * 1024  # what a hash from a file may ask for
# In the place of a user who does not exist, so that the answer takes as long: no password has a hash of nothing but zeros.
NOBODY = "scrypt${}${}${}${}${}".format(*SCRYPT_COST, "00" * 16, "00" * 32)
SCRYPT_HASH = re.compile(r"scrypt\$([0-9]{1,9})\$([0-9]{1,3})\$([0-9]{1,2})\$([0-9a-f]{2,200})\$([0-9a-f]{64})")
HASHINGS = 4  # at once: they take memory and whole cores
HASHINGS_EACH = 2  # of one name: who has an account and signs in without a pause must not keep all others out

FREE_BY_NAME, FREE_BY_ADDRESS = 5, 20  # wrong sign-ins without a wait; many people may share an address
FIRST_WAIT_S, LONGEST_WAIT_S = 4.0, 60.0  # the first is longer than a busy machine needs for a few hashes
NEWCOMERS = 20  # addresses that get a first try with a name whatever others did to it: more would be a way to guess
FORGOTTEN_AFTER_S = 15 * 60.0
MOST_REMEMBERED = 10_000
LONGEST_NAME = 256

WRONG = "The user name or the password is wrong."
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


# -- passwords --------------------------------------------------------------------------------------------------------

_hashing = threading.BoundedSemaphore(HASHINGS)


def hash_password(password: str) -> str:
    """`scrypt$n$r$p$salt$hash`, salt and hash in hex. Takes about 0.15 s; waits its turn when several are being made."""
    salt = secrets.token_bytes(16)
    found = _scrypt(password, salt, *SCRYPT_COST)
    return "scrypt${}${}${}${}${}".format(*SCRYPT_COST, salt.hex(), found.hex())


def verify_password(stored: str | None, password: str) -> bool:
    """Whether this is the password behind a stored hash; None, for nobody, takes as long as a wrong one.

    `sha256$HEX` is the original server's unsalted hash; a wrong password for it costs an scrypt as well, and a right one
    is followed by one when it is hashed anew. A hash that nobody here can have written is wrong.
    """
    stored = stored or NOBODY
    if stored.startswith("sha256$"):
        if hmac.compare_digest(key_digest(password), stored[7:].lower()):
            return True
        stored = NOBODY
    found = SCRYPT_HASH.fullmatch(stored)
    if found is None:
        return False
    n, r, p = int(found[1]), int(found[2]), int(found[3])
    if 128 * n * r > MOST_SCRYPT_BYTES:
        return False
    try:
        expected = bytes.fromhex(found[5])
        return hmac.compare_digest(_scrypt(password, bytes.fromhex(found[4]), n, r, p), expected)
    except ValueError:  # n is no power of 2, say
        return False


def check_password(password: object, param: str) -> str:
    """A password somebody wants to have. Raises BadRequest with `param`; never says it again."""
    if not isinstance(password, str) or not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise BadRequest(
            f"'{param}' must be a text of {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters.", param=param
        )
    return password


def is_outdated(stored: str) -> bool:
    """Whether a hash was made in another way than we make them today."""
    return not stored.startswith("scrypt${}${}${}$".format(*SCRYPT_COST))


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    from hashlib import scrypt  # loads libcrypto, which most starts and most requests do not need

    with _hashing:
        secret = password.encode("utf-8", "surrogatepass")
        return scrypt(secret, salt=salt, n=n, r=r, p=p, maxmem=2 * MOST_SCRYPT_BYTES, dklen=32)


# -- wrong sign-ins ---------------------------------------------------------------------------------------------------


@dataclass(slots=True, repr=False, eq=False)
class Wrong:
    """How often in a row, when last, until when the next one has to wait, and from where the first ones came."""

    count: int = 0
    at: float = 0.0
    until: float = 0.0
    blocks: set[str] = field(default_factory=set)


class Attempts:
    """Counts wrong sign-ins by user name and by address, and makes the next one wait: 4 s, 8 s, 16 s … up to a minute.

    Nobody is held; who comes too early is refused, with a right password too. An address from which this user has signed
    in before is counted for itself, so that strangers who keep guessing cannot lock a person out; from a new one there is
    a first try, since after a restart all are new. Where there is no name to guess, the address alone counts (`look`, and
    `failed` afterwards).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._wrong: OrderedDict[tuple[str, ...], Wrong] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._turns: list[str] = []  # the names whose passwords are being looked at

    @contextlib.contextmanager
    def turn_of(self, name: str) -> Iterator[None]:
        """While it lasts a password of this name is looked at. Raises TooManyAttempts when that would be too many at once."""
        with self._lock:
            if len(self._turns) >= HASHINGS or self._turns.count(name) >= HASHINGS_EACH:
                raise TooManyAttempts(
                    "Many people are signing in. Try again in a moment.", headers={"retry-after": "1"}
                )
            self._turns.append(name)
        try:
            yield
        finally:
            with self._lock:
                self._turns.remove(name)

    def begin(self, name: str, address: str) -> None:
        """Count an attempt as wrong until it turns out right, so that a hundred at once are a hundred. Raises
        TooManyAttempts, and counts nothing, while one of the two has to wait."""
        block = block_of(address)
        now = self._clock()
        with self._lock:
            counted = ((self._name_key(name, block), FREE_BY_NAME), (("address", block), FREE_BY_ADDRESS))
            check_wait(max(self._wait_until(key, block) for key, _ in counted) - now, "passwords")
            for key, free in counted:
                self._count(key, free, now, block)

    def succeeded(self, name: str, address: str) -> None:
        """The attempt was right: the name starts anew, the address is as it was before."""
        block = block_of(address)
        with self._lock:
            self._wrong.pop(self._name_key(name, block), None)
            entry = self._wrong.get(("address", block))
            if entry is not None:
                entry.count = max(0, entry.count - 1)
                entry.until = self._clock()
            self._known[name, block] = None
            self._known.move_to_end((name, block))
            if len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)

    def look(self, address: str) -> None:
        """Raises TooManyAttempts while this address has to wait."""
        block = block_of(address)
        with self._lock:
            check_wait(self._wait_until(("address", block), block) - self._clock(), "sign-ins")

    def failed(self, address: str) -> None:
        """Count a wrong attempt from this address."""
        block = block_of(address)
        with self._lock:
            self._count(("address", block), FREE_BY_ADDRESS, self._clock(), block)

    def _name_key(self, name: str, block: str) -> tuple[str, ...]:
        return ("known", name, block) if (name, block) in self._known else ("name", name)

    def _wait_until(self, key: tuple[str, ...], block: str) -> float:
        entry = self._wrong.get(key)
        if entry is None or (block not in entry.blocks and len(entry.blocks) < NEWCOMERS):
            return 0.0
        return entry.until

    def _count(self, key: tuple[str, ...], free: int, now: float, block: str) -> None:
        entry = self._wrong.get(key)
        if entry is None or now - entry.at > FORGOTTEN_AFTER_S:
            self._wrong[key] = entry = Wrong()
        self._wrong.move_to_end(key)
        if len(self._wrong) > MOST_REMEMBERED:
            self._wrong.popitem(last=False)
        entry.count += 1
        entry.at = now
        if len(entry.blocks) < NEWCOMERS:
            entry.blocks.add(block)
        over = min(entry.count - free, 10)
        entry.until = now + min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0**over) if over >= 0 else now


def check_wait(wait_s: float, wrong: str) -> None:
    """Raises TooManyAttempts when there is something left to wait."""
    if wait_s > 0:
        seconds = math.ceil(wait_s)
        raise TooManyAttempts(
            f"Too many wrong {wrong}. Try again in {seconds} s.", headers={"retry-after": str(seconds)}
        )


def block_of(address: str) -> str:
    """What counts as one address: of IPv6 the first 64 bits, since every household has all that begin with them."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or IPv6Address(int(found) >> 64 << 64))
    return str(found)


# -- sessions ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True, repr=False, eq=False)
class Session:
    """A signed-in user, as they were when they signed in."""

    user_id: str
    password_hash: str | None
    used_at: float


class Sessions:
    """Who is signed in. Bounded: the one that has been idle longest goes first. `attempts` counts the wrong sign-ins."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.attempts = Attempts(clock)
        self._clock = clock
        self._lock = threading.Lock()
        self._by_digest: OrderedDict[str, Session] = OrderedDict()  # in the order of their last use

    def open(self, user: User) -> str:
        """A new session's token: 256 random bits, told this once."""
        token = secrets.token_urlsafe(32)
        now = self._clock()
        with self._lock:
            theirs = [digest for digest, each in self._by_digest.items() if each.user_id == user.id]
            for digest in theirs[: max(0, len(theirs) - MOST_SESSIONS_EACH + 1)]:
                del self._by_digest[digest]
            while self._by_digest:
                oldest = next(iter(self._by_digest.values()))
                if len(self._by_digest) < MOST_SESSIONS and now - oldest.used_at <= IDLE_S:
                    break
                self._by_digest.popitem(last=False)
            self._by_digest[key_digest(token)] = Session(user.id, user.password_hash, now)
        return token

    def user_of(self, token: str, users: Mapping[str, User]) -> User | None:
        """Whose token this is, if the session still holds; using it keeps it alive."""
        digest = key_digest(token)
        now = self._clock()
        with self._lock:
            session = self._by_digest.get(digest)
            if session is None:
                return None
            user = users.get(session.user_id)
            if user is None or not is_theirs(session, user) or now - session.used_at > IDLE_S:
                del self._by_digest[digest]
                return None
            session.used_at = now
            self._by_digest.move_to_end(digest)
            return user

    def close(self, token: str) -> None:
        with self._lock:
            self._by_digest.pop(key_digest(token), None)

    def hand_over(self, digest: str, user: User, heir: User) -> None:
        """A session of `user` that still holds is `heir`'s from now on: who brings back a database goes on in it, with
        whatever password."""
        with self._lock:
            session = self._by_digest.get(digest)
            if session is not None and (session.user_id, session.password_hash) == (user.id, user.password_hash):
                self._by_digest[digest] = Session(heir.id, heir.password_hash, self._clock())
                self._by_digest.move_to_end(digest)

    def close_all_of(self, user_id: str) -> None:
        """What a new password, disabling or deleting a user does to their sessions."""
        with self._lock:
            for digest in [digest for digest, each in self._by_digest.items() if each.user_id == user_id]:
                del self._by_digest[digest]

    def close_lost(self, users: Mapping[str, User]) -> None:
        """The same for everybody, when a whole database has changed: what has ended does not come back with the next one."""
        with self._lock:
            for digest, each in list(self._by_digest.items()):
                user = users.get(each.user_id)
                if user is None or not is_theirs(each, user):
                    del self._by_digest[digest]


def is_theirs(session: Session, user: User) -> bool:
    """Whether the user of a session may go on in it."""
    return user.enabled and user.password_hash == session.password_hash


# -- signing in -------------------------------------------------------------------------------------------------------


def authenticate(app: App, username: str, password: str, address: str, *, only_admin: bool = False) -> User:
    """The user this name and password belong to. Every reason against it is the same Unauthorized; TooManyAttempts when
    there were too many wrong ones, or too many are being looked at right now."""
    name = username.strip().casefold()
    if len(name) > LONGEST_NAME or len(password) > LONGEST_PASSWORD:
        raise wrong()
    with app.sessions.attempts.turn_of(name):
        app.sessions.attempts.begin(name, address)
        user = app.store.snapshot().users_by_name.get(name)
        is_right = verify_password(user.password_hash if user else None, password)
        if user is None or not is_right or not user.enabled or (only_admin and user.role != "admin"):
            raise wrong()
        app.sessions.attempts.succeeded(name, address)
        return with_good_hash(app, user, password)


def wrong() -> Unauthorized:
    return Unauthorized(WRONG, code="invalid_credentials")


def with_good_hash(app: App, user: User, password: str) -> User:
    """The user, their password hashed as we do it today. A database that cannot be written keeps nobody out; a password that
    is another one by now does."""
    if user.password_hash is None or not is_outdated(user.password_hash):
        return user
    new_hash = hash_password(password)
    try:
        with app.store.edit() as draft:
            current = draft.users.get(user.id)
            if current is not None and current.password_hash == user.password_hash:
                draft.users[user.id] = replace(current, password_hash=new_hash)
    except ProxyError as error:
        app.log.warning("password_not_rehashed", user=user.username, message=error.message)
    current = app.store.snapshot().users.get(user.id, user)
    if current.password_hash in (user.password_hash, new_hash):
        return current
    # Somebody was quicker: the same person in another window, or who has changed the password.
    if not verify_password(current.password_hash, password):
        raise wrong()
    return current


# -- who asks ---------------------------------------------------------------------------------------------------------


def caller_by_session(app: App, request: Request) -> Caller | None:
    """Who is signed in, for `/api/*`: by the token as a bearer, else by cookie. Raises Forbidden (another site's page).

    A credential that is presented decides alone: a wrong one is not made good by a cookie.
    """
    users = app.store.snapshot().users
    presented = keys.presented(request)
    for token in presented:
        user = app.sessions.user_of(token, users)
        if user is not None:
            return as_caller(user, token)
    if presented:
        return None
    for token in cookies(request):
        user = app.sessions.user_of(token, users)
        if user is not None:
            if request.method not in SAFE_METHODS:
                check_same_origin(request)
            return as_caller(user, token)
    return None


def caller_by_cookie(app: App, request: Request) -> Caller | None:
    """Who is signed in, for what is usually opened with a key. Raises Forbidden: another site's page, or no usable key.

    Administrators may use everything; everybody else what the key linked to them may.
    """
    if keys.presented(request):
        return None
    snapshot = app.store.snapshot()
    for token in cookies(request):
        user = app.sessions.user_of(token, snapshot.users)
        if user is None:
            continue
        check_same_origin(request)
        if user.role == "admin":
            return as_caller(user, token)
        key = snapshot.keys.get(user.api_key_id or "")
        if key is None or not keys.is_valid(key):
            raise Forbidden(
                f"No usable API key is linked to the user '{user.username}'. An administrator can link one.",
                code="no_linked_key",
            )
        app.last_used[key.id] = int(time.time() * 1000)
        return as_caller(user, token)._replace(key=key)
    return None


def as_caller(user: User, token: str) -> Caller:
    return Caller(user.username, user=user, is_admin=user.role == "admin", session=key_digest(token))


def tokens(request: Request) -> list[str]:
    """Every session token a request carries, to be closed with a sign-out."""
    return [*keys.presented(request), *cookies(request)]


def holder_of(app: App, token: str) -> User | None:
    """Whose session or pass this is, if it still holds."""
    user = app.sessions.user_of(token, app.store.snapshot().users)
    if user is None and (caller := passes.caller(app, token, key_digest(token))) is not None:
        user = caller.user
    return user


def cookies(request: Request) -> Iterator[str]:
    """The values of our cookie. A page on a sibling host can add one of that name, so each is tried, up to a few."""
    tried = 0
    for line in request.headers.all("cookie"):
        for pair in line.split(";"):
            name, _, value = pair.strip().partition("=")
            if name == COOKIE and 0 < len(value) <= MOST_COOKIE_CHARS and tried < COOKIES_TRIED:
                tried += 1
                yield value


def check_same_origin(request: Request) -> None:
    """Raises Forbidden when a browser says that a page of another origin made this request.

    Sec-Fetch-Site is the browser's own word (`same-site` includes other ports of localhost); browsers without it send
    Origin with whatever changes something. Who sends neither is no browser, or one that asks for a GET within our origin.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        is_ours = site.strip().lower() in ("same-origin", "none")
    else:
        is_ours = origin is None or host_of_origin(origin) == without_default_port(request.headers.get("host") or "")
    if not is_ours:
        raise Forbidden(
            "A session's cookie is good for the pages of this server alone, and this request came from another site. "
            "Use an API key. (Behind a reverse proxy: it must pass the Host header on.)",
            code="cross_site_request",
        )


def host_of_origin(origin: str) -> str | None:
    """The host of an Origin header, `null` and its like being nobody's."""
    _, found, host = origin.strip().partition("://")
    return without_default_port(host) if found else None


def without_default_port(host: str) -> str:
    """The same host in one spelling: browsers leave out 80 or 443, proxies do not always."""
    return host.strip().lower().removesuffix(":80").removesuffix(":443")


# -- cookies ----------------------------------------------------------------------------------------------------------


def cookie(app: App, request: Request, token: str) -> str:
    """The Set-Cookie header that carries a token; an empty token takes the cookie away."""
    secure = "; Secure" if came_over_https(request, app.config.settings.trusted_proxies) else ""
    ending = "" if token else "; Max-Age=0"
    return f"{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict{secure}{ending}"
