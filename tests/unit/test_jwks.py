"""The issuer's keys: fetched over TLS, kept as long as they say, asked for again with measure, and what happens without."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from support.clock import Clock
from support.issuer import FIRST, SECOND, Key, jwks
from support.upstream import CERTIFICATE, Upstream, answer, hang_up, pause, stall

from ipin_proxy.errors import TooManyAttempts, Unavailable
from ipin_proxy.idtoken import RsaKey
from ipin_proxy.jwks import (
    DEFAULT_AGE_S,
    LONGEST_USE_S,
    MOST_BYTES,
    MOST_WAITING,
    REFETCH_S,
    RETRY_S,
    Jwks,
    freshness_s,
)
from ipin_proxy.upstream import Upstreams
from ipin_proxy.web.head import parse_reply

HOUR = [("cache-control", "public, max-age=3600, must-revalidate, no-transform")]
PUBLIC = {key.kid: RsaKey(key.n, key.e) for key in (FIRST, SECOND)}


class Keys:
    """A Jwks and what it warned of, at a server of its own and a clock that stands still."""

    def __init__(self, server: Upstream, clock: Clock, ca_file: str = str(CERTIFICATE)) -> None:
        self.url = f"{server.origin}/oauth2/v3/certs"
        self.warnings: list[dict[str, Any]] = []
        self.upstreams = Upstreams({}, clock)
        self.jwks = Jwks(
            self.upstreams, lambda event, **fields: self.warnings.append({"event": event, **fields}), ca_file
        )

    def key(self, kid: str = "first") -> RsaKey | None:
        return self.jwks.key(self.url, kid)

    def at_once(self, kid: str = "first") -> bool:
        return self.jwks.answers_at_once(self.url, kid)


@pytest.fixture
def server() -> Iterator[Upstream]:
    with closing(Upstream(tls=True)) as server:
        yield server
        assert server.complaints == []


@pytest.fixture
def keys(server: Upstream, clock: Clock) -> Iterator[Keys]:
    keys = Keys(server, clock)
    yield keys
    keys.upstreams.connections.close()


def test_keys_are_fetched_once_and_kept_for_as_long_as_they_say(server: Upstream, keys: Keys, clock: Clock) -> None:
    server.will_answer(200, jwks(FIRST, SECOND), headers=HOUR)
    assert not keys.at_once()
    assert keys.key("first") == PUBLIC["first"] and keys.key("second") == PUBLIC["second"]
    clock.advance(3599)
    assert keys.at_once() and keys.key() == PUBLIC["first"]
    assert len(server.history) == 1
    clock.advance(1)
    server.will_answer(200, jwks(SECOND), headers=HOUR)
    assert not keys.at_once()
    assert keys.key("first") is None and keys.key("second") == PUBLIC["second"]
    assert len(server.history) == 2
    seen = server.history[0]
    assert (seen.method, seen.path, seen.header("authorization")) == ("GET", "/oauth2/v3/certs", None)


def test_a_new_name_is_looked_for_once_a_minute(server: Upstream, keys: Keys, clock: Clock) -> None:
    server.will_answer(200, jwks(FIRST), headers=HOUR)
    assert keys.key("first") and keys.key("second") is None  # just fetched: it would say the same
    clock.advance(REFETCH_S)
    server.will_answer(200, jwks(FIRST, SECOND), headers=HOUR)
    assert keys.at_once("first") and not keys.at_once("second")
    assert keys.key("second") == PUBLIC["second"]
    for number in range(50):
        assert keys.at_once(f"made-up-{number}") and keys.key(f"made-up-{number}") is None
    assert len(server.history) == 2
    clock.advance(REFETCH_S)
    server.will_answer(200, jwks(FIRST, SECOND), headers=HOUR)
    assert keys.key("made-up") is None and keys.key("another") is None
    assert len(server.history) == 3


def test_old_keys_go_on_for_a_day_when_there_are_no_new_ones(server: Upstream, keys: Keys, clock: Clock) -> None:
    server.will_answer(200, jwks(FIRST), headers=HOUR)
    server.default(lambda seen: answer(503, "down"))
    assert keys.key()
    clock.advance(3600)
    assert keys.key() == PUBLIC["first"]
    assert keys.warnings[-1]["event"] == "sign_in_keys_not_fetched" and "503" in keys.warnings[-1]["message"]
    assert keys.at_once() and keys.key() == PUBLIC["first"]  # nobody waits for the next try, which is in a minute
    assert len(server.history) == 2
    clock.advance(LONGEST_USE_S - 3600 - 1)
    assert keys.key() == PUBLIC["first"]
    clock.advance(1)
    with pytest.raises(Unavailable) as raised:
        keys.key()
    assert raised.value.code == "sign_in_unavailable" and raised.value.headers["retry-after"]
    clock.advance(RETRY_S + REFETCH_S)
    server.default(None)
    server.will_answer(200, jwks(SECOND), headers=HOUR)
    assert keys.key("first") is None


def test_a_new_name_is_not_called_wrong_while_nobody_can_say(server: Upstream, keys: Keys, clock: Clock) -> None:
    server.will_answer(200, jwks(FIRST), headers=HOUR)
    assert keys.key()
    clock.advance(REFETCH_S)
    server.will_answer(500, "down")
    with pytest.raises(Unavailable):
        keys.key("second")
    assert keys.key("first") == PUBLIC["first"]


def test_without_any_keys_it_is_tried_again_soon_but_not_for_everybody(
    server: Upstream, keys: Keys, clock: Clock
) -> None:
    server.will_answer(500, "down")
    for _ in range(5):
        with pytest.raises(Unavailable):
            keys.key()
    assert len(server.history) == 1
    clock.advance(RETRY_S)
    server.will_answer(200, jwks(FIRST))
    assert keys.key() == PUBLIC["first"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, jwks(FIRST)),
        (302, jwks(FIRST)),
        (204, None),
        (200, ""),
        (200, "<html>"),
        (200, []),
        (200, {"keys": {}}),
        (200, {"keys": []}),
        (200, {"keys": [None, 1, "x", {}, Key("small").jwk()]}),
        (200, '{"keys": [], "keys": []}'),
        (200, "[" * 100_000),
        (200, json.dumps(jwks(FIRST)) + " " * MOST_BYTES),
    ],
)
def test_an_answer_that_is_no_set_of_keys_takes_the_place_of_none(
    server: Upstream, keys: Keys, clock: Clock, status: int, body: object
) -> None:
    server.will_answer(status, body, headers=[("location", "https://evil.example/")] if status == 302 else ())
    with pytest.raises(Unavailable):
        keys.key()
    clock.advance(RETRY_S)
    server.will_answer(200, jwks(FIRST, {"kty": "EC", "kid": "other"}))
    assert keys.key() == PUBLIC["first"] and keys.key("other") is None
    clock.advance(DEFAULT_AGE_S)
    server.will_answer(status, body)
    assert keys.key() == PUBLIC["first"]


def test_a_broken_answer_is_none(server: Upstream, keys: Keys) -> None:
    server.will_answer(200, json.dumps(jwks(FIRST))[:100], hang_up, headers=[("content-length", "5000")])
    with pytest.raises(Unavailable):
        keys.key()
    assert keys.warnings


def test_a_certificate_that_is_not_trusted_is_no_issuer(server: Upstream, clock: Clock) -> None:
    server.will_answer(200, jwks(FIRST))
    strangers = Keys(server, clock, ca_file="")
    with pytest.raises(Unavailable):
        strangers.key()
    assert "certificate is not trusted" in strangers.warnings[0]["message"]
    assert server.history == []


def test_nobody_there_is_said_and_not_waited_for(clock: Clock) -> None:
    gone = Upstream(tls=True)
    keys = Keys(gone, clock)
    gone.close()
    with pytest.raises(Unavailable):
        keys.key()
    assert "could not be reached" in keys.warnings[0]["message"]


def test_another_issuer_begins_anew(server: Upstream, keys: Keys) -> None:
    server.will_answer(200, jwks(FIRST), headers=HOUR)
    assert keys.key("first")
    keys.url += "?of=another"
    server.will_answer(200, jwks(SECOND), headers=HOUR)
    assert not keys.at_once("first")
    assert keys.key("first") is None and keys.key("second") == PUBLIC["second"]
    assert server.history[1].path == "/oauth2/v3/certs?of=another"


def test_many_at_once_ask_once_and_no_more_than_some_wait(server: Upstream, keys: Keys) -> None:
    server.will_stream(pause, json.dumps(jwks(FIRST)), done=False)
    found: queue.SimpleQueue[object] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found.put(keys.key())
        except TooManyAttempts as error:
            found.put(error.headers["retry-after"])

    threads = [threading.Thread(target=ask) for _ in range(2 * MOST_WAITING)]
    for thread in threads:
        thread.start()
    assert [found.get(timeout=10) for _ in range(MOST_WAITING)] == ["2"] * MOST_WAITING
    server.wait_paused()
    server.resume()
    assert [found.get(timeout=10) for _ in range(MOST_WAITING)] == [PUBLIC["first"]] * MOST_WAITING
    for thread in threads:
        thread.join(10)
    assert len(server.history) == 1 and found.empty()


def test_a_silent_issuer_is_not_waited_for_for_ever(server: Upstream) -> None:
    ticking = Clock()
    keys = Keys(server, lambda: ticking.advance(4.0) or ticking())  # type: ignore[arg-type]  # every look takes 4 s
    server.will_say(stall)
    with pytest.raises(Unavailable):
        keys.key()
    assert "did not answer in time" in keys.warnings[0]["message"]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ("", DEFAULT_AGE_S),
        ("cache-control: max-age=1000", 1000),
        ("cache-control: public,MAX-AGE = 1000, x=1", 1000),
        ('cache-control: max-age="1000"', 1000),
        ("cache-control: max-age=1000\r\nage: 400", 600),
        ("cache-control: max-age=1000\r\nage: soon", 1000),
        ("cache-control: max-age=0", REFETCH_S),
        ("cache-control: no-store", DEFAULT_AGE_S),
        ("cache-control: s-max-age=9000", DEFAULT_AGE_S),
        ("cache-control: max-age=-5", DEFAULT_AGE_S),
        ("cache-control: max-age=9999999999", LONGEST_USE_S),
        ("cache-control: max-age=1000\r\nage: 99999999999999", REFETCH_S),
    ],
)
def test_how_long_keys_are_fresh(headers: str, seconds: float) -> None:
    head = parse_reply(f"HTTP/1.1 200 OK\r\nx: y\r\n{headers}".rstrip().encode() + b"\r\n\r\n")
    assert freshness_s(head.headers) == seconds
