"""The keys Google signs identity tokens with: fetched when needed, kept for as long as it says.

A set is good for its max-age. A token that names a key which is not in it makes us look again, at most once a minute, since
strangers can make names up. While the keys cannot be had the old ones go on, for a day. One asks at a time and the others
wait for it, all in worker threads: `answers_at_once` tells beforehand whether anybody would have to.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from .connections import Origin
from .errors import ProxyError, TooManyAttempts, Unavailable
from .idtoken import RsaKey, rsa_key
from .snapshot import Broken, read_json
from .upstream import Outbound, Reply, Upstreams
from .web.head import Headers
from .web.response import JSON_TYPE
from .web.task import run

FETCH_S = 10.0  # somebody is waiting to be let in
REFETCH_S = 60.0
RETRY_S = 5.0  # when there are none at all: soon, but not for everybody who asks meanwhile
LONGEST_USE_S = 24 * 60 * 60.0
DEFAULT_AGE_S = 5 * 60.0  # where nothing is said about it
MOST_BYTES = 256 * 1024
MOST_WAITING = 64  # a class or two; they hold threads that others need for connecting to providers
MAX_AGE = re.compile(r"(?:^|,)\s*max-age\s*=\s*\"?([0-9]{1,10})", re.IGNORECASE)


class KeySet(NamedTuple):
    """What was fetched from `url`, by kid, and (monotonic seconds) how long it is fresh and how long it may be used."""

    url: str
    keys: Mapping[str, RsaKey]
    fresh_until: float
    usable_until: float


class State(NamedTuple):
    """What is known: the keys, who was asked last, until when that was enough, and whether there was an answer."""

    found: KeySet = KeySet("", {}, 0.0, 0.0)
    asked: str = ""
    enough_until: float = 0.0
    is_answered: bool = False


class Jwks:
    """The keys of one issuer at a time: another URL means another issuer, and begins anew."""

    def __init__(self, upstreams: Upstreams, warn: Callable[..., object], ca_file: str = "") -> None:
        """`warn(event, message=…)` is told each time the keys cannot be fetched."""
        self._upstreams = upstreams
        self._warn = warn
        self._ca_file = ca_file
        self._asking = threading.Lock()
        self._waiting = threading.BoundedSemaphore(MOST_WAITING)
        self._state = State()  # replaced as a whole: who reads it takes no lock

    def answers_at_once(self, url: str, kid: str) -> bool:
        """Whether `key` would not ask anybody."""
        state, now = self._state, self._upstreams.clock()
        if state.asked == url and now < state.enough_until:
            return True
        return state.found.url == url and now < state.found.fresh_until and kid in state.found.keys

    def key(self, url: str, kid: str) -> RsaKey | None:
        """The key of that name; None when the issuer has none. May ask the issuer, so it belongs into a worker's thread.

        Raises Unavailable when nobody can say, TooManyAttempts when too many wait for the answer already.
        """
        is_settled = self.answers_at_once(url, kid) or self._ask_in_turn(url, kid)
        state = self._state
        if state.found.url == url and self._upstreams.clock() < state.found.usable_until:
            key = state.found.keys.get(kid)
            if key is not None or (is_settled and state.is_answered):
                return key
        raise Unavailable(
            "The keys by which sign-ins are checked cannot be had at the moment. Try again in a moment.",
            code="sign_in_unavailable",
        )

    def _ask_in_turn(self, url: str, kid: str) -> bool:
        """Ask, if nobody has meanwhile. False when whoever asks takes too long: a name can take longer to be looked up
        than any limit of ours."""
        if not self._waiting.acquire(blocking=False):
            raise TooManyAttempts("Many people are signing in. Try again in a moment.", headers={"retry-after": "2"})
        try:
            if not self._asking.acquire(timeout=FETCH_S):
                return False
            try:
                if not self.answers_at_once(url, kid):
                    self._ask(url)
                return True
            finally:
                self._asking.release()
        finally:
            self._waiting.release()

    def _ask(self, url: str) -> None:
        found, is_answered = self._state.found, True
        try:
            found = fetched(self._upstreams, url, self._ca_file)
        except ProxyError as error:
            is_answered = False
            self._warn("sign_in_keys_not_fetched", message=f"{url}: {error.message}")
        now = self._upstreams.clock()
        is_usable = found.url == url and now < found.usable_until
        self._state = State(found, url, now + (REFETCH_S if is_usable else RETRY_S), is_answered)


def fetched(upstreams: Upstreams, url: str, ca_file: str = "") -> KeySet:
    """What is there now. Blocks, FETCH_S at most. Raises ProxyError, whose message is for an administrator."""
    parts = urlsplit(url)
    name = parts.hostname or ""
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    origin = Origin(parts.scheme, name, parts.port or 443, ca_file)
    outbound = Outbound(name, origin, "GET", path, {"accept": JSON_TYPE}, (), FETCH_S)
    asked_at = upstreams.clock()
    reply = run(upstreams.send(outbound), upstreams.clock)
    try:
        content = run(reply.read_beginning(MOST_BYTES + 1), upstreams.clock)
    finally:
        reply.close()
    keys = keys_in(reply, content)
    fresh_s = freshness_s(reply.headers)
    return KeySet(url, keys, asked_at + fresh_s, asked_at + LONGEST_USE_S)


def keys_in(reply: Reply, content: bytes) -> dict[str, RsaKey]:
    """The keys of a reply, by kid. Raises Unavailable when it is no set of keys, or one without any that is good."""
    if reply.status != 200:
        raise Unavailable(f"the answer has the status {reply.status}")
    if len(content) > MOST_BYTES:
        raise Unavailable(f"the answer is longer than {MOST_BYTES // 1024} KB")
    try:
        document: Any = read_json(content)
    except Broken as error:
        raise Unavailable(f"the answer is no JSON: {error}") from None
    rows = document.get("keys") if isinstance(document, dict) else None
    found = dict(filter(None, map(rsa_key, rows))) if isinstance(rows, list) else {}
    if not found:
        raise Unavailable("the answer holds no RSA key that signs with RS256")
    return found


def freshness_s(headers: Headers) -> float:
    """How long an answer is fresh, by its own word (RFC 9111 §4.2): at least as long as we leave between two questions,
    at most as long as it may be used."""
    told = MAX_AGE.search(headers.get("cache-control") or "")
    age = (headers.get("age") or "").strip()
    spent_s = int(age[:10]) if age.isascii() and age.isdigit() else 0
    fresh_s = int(told[1]) - spent_s if told else DEFAULT_AGE_S
    return min(max(fresh_s, REFETCH_S), LONGEST_USE_S)
