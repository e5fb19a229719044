"""Password hashes, sessions, the wait after wrong sign-ins, and who a cookie is believed from."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ipin_proxy import signin
from ipin_proxy.errors import BadRequest, Forbidden, TooManyAttempts, Unauthorized
from ipin_proxy.records import User
from ipin_proxy.store import Store
from ipin_proxy.web.head import parse_request
from ipin_proxy.web.request import Request

PASSWORD = "correct horse battery staple"
ANN = User(id="u1", username="Ann", password_hash="scrypt$made-up")
USERS = {ANN.id: ANN}
COSTLY = "scrypt${}${}${}$".format(*signin.SCRYPT_COST)
HERE, THERE = "192.0.2.1", "198.51.100.7"
HALF_A_DAY_S = 12 * 3600


@pytest.fixture
def attempts(clock: Any) -> signin.Attempts:
    return signin.Attempts(clock)


@pytest.fixture
def sessions(clock: Any) -> signin.Sessions:
    return signin.Sessions(clock)


def request(method: str = "POST", peer: str = HERE, **headers: str) -> Request:
    lines = [f"{method} /api/admin/users HTTP/1.1", "host: proxy.test:3000"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = parse_request("\r\n".join([*lines, "", ""]).encode())
    return Request(head, SimpleNamespace(peer=peer))  # type: ignore[arg-type]


def wait_of(refusal: pytest.ExceptionInfo[TooManyAttempts]) -> int:
    return int(refusal.value.headers["retry-after"])


# Passwords.


@pytest.fixture
def cheaply(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test that is not about what a hash costs."""
    monkeypatch.setattr(signin, "NOBODY", signin.NOBODY.replace(COSTLY, "scrypt$16$8$1$"))
    monkeypatch.setattr(signin, "SCRYPT_COST", (16, 8, 1))


def test_a_password_opens_its_own_hash_and_no_other(cheaply: None) -> None:
    stored = signin.hash_password(PASSWORD)
    assert signin.verify_password(stored, PASSWORD)
    assert not signin.verify_password(stored, PASSWORD + " ")
    assert not signin.verify_password(stored, "")
    assert PASSWORD not in stored


def test_two_hashes_of_one_password_differ(cheaply: None) -> None:
    assert signin.hash_password(PASSWORD) != signin.hash_password(PASSWORD)


@pytest.mark.parametrize("password", ["ünïcödé 日本語", "half \ud83d of a pair", "nul\0inside"])
def test_any_text_can_be_a_password(cheaply: None, password: str) -> None:
    assert signin.verify_password(signin.hash_password(password), password)


def test_a_hash_of_the_original_server_verifies_and_counts_as_outdated(cheaply: None) -> None:
    stored = "sha256$" + hashlib.sha256(PASSWORD.encode()).hexdigest()
    assert signin.verify_password(stored, PASSWORD)
    assert not signin.verify_password(stored, "wrong")
    assert signin.is_outdated(stored)
    assert not signin.is_outdated(signin.hash_password(PASSWORD))


@pytest.mark.parametrize("password", ["", "x", PASSWORD])
def test_nobody_has_no_password(cheaply: None, password: str) -> None:
    assert not signin.verify_password(None, password)


@pytest.mark.parametrize("stored", [None, "sha256$" + "0" * 64, "scrypt$8192$8$10$00$" + "00" * 32])
def test_a_wrong_password_costs_the_same_for_everybody(stored: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[int, ...]] = []
    original = signin._scrypt

    def counted(password: str, salt: bytes, *cost: int) -> bytes:
        made.append(cost)
        return original(password, salt, *cost)

    monkeypatch.setattr(signin, "_scrypt", counted)
    assert not signin.verify_password(stored, "wrong")
    assert made == [signin.SCRYPT_COST]


@pytest.mark.parametrize(
    "stored",
    [
        f"scrypt$536870912$8$1$00${'00' * 32}",  # would take half a terabyte
        f"scrypt$16384$999$99$00${'00' * 32}",
        f"scrypt$-5$8$1$00${'00' * 32}",
        f"scrypt$16385$8$1$00${'00' * 32}",
        f"scrypt$0$0$0$00${'00' * 32}",
        f"scrypt$16384$8$1$0${'00' * 32}",
        "scrypt$8192$8$10$00$00",
        "scrypt$x",
        "bcrypt$whatever",
    ],
)
def test_a_hash_that_is_not_ours_opens_nothing(stored: str) -> None:
    assert not signin.verify_password(stored, PASSWORD)


@pytest.mark.parametrize("password", [None, 12345678, "", "short", "x" * 2000])
def test_an_unfit_new_password_is_refused_without_being_repeated(password: object) -> None:
    with pytest.raises(BadRequest) as refusal:
        signin.check_password(password, "newPassword")
    assert refusal.value.param == "newPassword"
    assert "8" in refusal.value.message
    assert not password or str(password) not in refusal.value.message


# The wait.


def test_a_few_mistakes_are_free_then_each_costs_more(attempts: signin.Attempts, clock: Any) -> None:
    for _ in range(signin.FREE_BY_NAME):
        attempts.begin("ann", HERE)
    waits = []
    for _ in range(8):
        with pytest.raises(TooManyAttempts) as refusal:
            attempts.begin("ann", HERE)
        waits.append(wait_of(refusal))
        clock.advance(waits[-1])
        attempts.begin("ann", HERE)
    assert waits == [4, 8, 16, 32, 60, 60, 60, 60]


def test_coming_too_early_does_not_make_the_wait_longer(attempts: signin.Attempts, clock: Any) -> None:
    for _ in range(signin.FREE_BY_NAME):
        attempts.begin("ann", HERE)
    for _ in range(50):
        with pytest.raises(TooManyAttempts):
            attempts.begin("ann", HERE)
    clock.advance(signin.FIRST_WAIT_S)
    attempts.begin("ann", HERE)


def test_success_clears_the_name(attempts: signin.Attempts) -> None:
    for _ in range(3):
        for _ in range(signin.FREE_BY_NAME):
            attempts.begin("ann", HERE)
        attempts.succeeded("ann", HERE)


def test_one_name_does_not_wait_for_another(attempts: signin.Attempts) -> None:
    for _ in range(signin.FREE_BY_NAME):
        attempts.begin("ann", HERE)
    attempts.begin("bob", HERE)


def test_many_names_from_one_address_are_slowed_down(attempts: signin.Attempts) -> None:
    for number in range(signin.FREE_BY_ADDRESS):
        attempts.begin(f"name-{number}", HERE)
    with pytest.raises(TooManyAttempts):
        attempts.begin("one-more", HERE)
    attempts.begin("one-more", THERE)


def test_an_account_of_ones_own_does_not_help_to_guess_others(attempts: signin.Attempts, clock: Any) -> None:
    for number in range(signin.FREE_BY_ADDRESS + 3):
        attempts.begin("mine", HERE)
        attempts.succeeded("mine", HERE)
        attempts.begin(f"name-{number}", HERE)
        try:
            attempts.begin("mine", HERE)
        except TooManyAttempts as refusal:
            assert number >= signin.FREE_BY_ADDRESS - 1
            clock.advance(int(refusal.headers["retry-after"]))
        else:
            attempts.succeeded("mine", HERE)
            assert number < signin.FREE_BY_ADDRESS - 1


def test_all_addresses_of_an_ipv6_network_count_as_one(attempts: signin.Attempts) -> None:
    for number in range(signin.FREE_BY_ADDRESS):
        attempts.begin(f"name-{number}", f"2001:db8:1:2::{number + 1:x}")
    with pytest.raises(TooManyAttempts):
        attempts.begin("one-more", "2001:db8:1:2:ffff::1")
    attempts.begin("one-more", "2001:db8:1:3::1")


def test_strangers_cannot_lock_a_person_out_where_they_have_signed_in_before(attempts: signin.Attempts) -> None:
    attempts.begin("ann", HERE)
    attempts.succeeded("ann", HERE)
    for _ in range(signin.FREE_BY_NAME):
        attempts.begin("ann", THERE)
    with pytest.raises(TooManyAttempts):
        attempts.begin("ann", THERE)
    attempts.begin("ann", HERE)


def test_strangers_do_not_make_a_person_wait_who_comes_from_elsewhere(attempts: signin.Attempts) -> None:
    """Nobody is known yet, as after a restart."""
    for _ in range(signin.FREE_BY_NAME):
        attempts.begin("ann", THERE)
    attempts.begin("ann", HERE)
    with pytest.raises(TooManyAttempts):  # it was wrong: no second try, and none for the strangers
        attempts.begin("ann", HERE)
    with pytest.raises(TooManyAttempts):
        attempts.begin("ann", THERE)


def test_many_addresses_do_not_make_many_tries(attempts: signin.Attempts) -> None:
    tries = 0
    for number in range(5000):
        with contextlib.suppress(TooManyAttempts):
            attempts.begin("ann", f"203.0.{number // 250}.{number % 250}")
            tries += 1
    assert tries <= signin.NEWCOMERS
    assert max(len(each.blocks) for each in attempts._wrong.values()) <= signin.NEWCOMERS


def test_mistakes_are_forgotten(attempts: signin.Attempts, clock: Any) -> None:
    for _ in range(3):
        for _ in range(signin.FREE_BY_NAME):
            attempts.begin("ann", HERE)
        clock.advance(signin.FORGOTTEN_AFTER_S + 1)


def test_what_is_remembered_is_bounded(attempts: signin.Attempts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signin, "MOST_REMEMBERED", 10)
    for number in range(100):
        attempts.begin(f"name-{number}", f"203.0.113.{number}")
        attempts.succeeded(f"name-{number}", f"203.0.113.{number}")
        attempts.begin(f"name-{number}", f"203.0.113.{number}")
    assert len(attempts._wrong) <= 10
    assert len(attempts._known) <= 10


def nobodys_house(sessions: signin.Sessions) -> Any:
    store = SimpleNamespace(snapshot=lambda: SimpleNamespace(users_by_name={}))
    return SimpleNamespace(sessions=sessions, store=store)


def test_who_comes_while_many_are_signing_in_is_asked_to_come_back(sessions: signin.Sessions, cheaply: None) -> None:
    with contextlib.ExitStack() as others:
        for number in range(signin.HASHINGS):
            others.enter_context(sessions.attempts.turn_of(f"name-{number}"))
        for _ in range(signin.FREE_BY_NAME + 1):
            with pytest.raises(TooManyAttempts) as refusal:
                signin.authenticate(nobodys_house(sessions), "ann", PASSWORD, HERE)
            assert wait_of(refusal) == 1
    with pytest.raises(Unauthorized):
        signin.authenticate(nobodys_house(sessions), "ann", PASSWORD, HERE)


@pytest.mark.parametrize("meanwhile", ["the very password", "another password"])
def test_a_password_that_is_changed_while_it_is_hashed_anew_opens_nothing_any_more(
    sessions: signin.Sessions, cheaply: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, meanwhile: str
) -> None:
    with contextlib.closing(Store.open([tmp_path / "ipin-proxy.db"])) as store:

        def put(password_hash: str) -> None:
            with store.edit() as draft:
                draft.users[ANN.id] = replace(ANN, password_hash=password_hash)

        def hash_slowly(password: str) -> str:
            put(hash_password(meanwhile))
            return hash_password(password)

        hash_password = signin.hash_password
        monkeypatch.setattr(signin, "hash_password", hash_slowly)
        put("sha256$" + hashlib.sha256(b"the very password").hexdigest())
        app: Any = SimpleNamespace(sessions=sessions, store=store)
        if meanwhile == "the very password":  # hashed anew by a sign-in from another window
            user = signin.authenticate(app, "ann", "the very password", HERE)
            assert sessions.user_of(sessions.open(user), store.snapshot().users) is not None
        else:
            with pytest.raises(Unauthorized):
                signin.authenticate(app, "ann", "the very password", HERE)


def test_one_account_that_signs_in_without_a_pause_keeps_nobody_else_out(
    sessions: signin.Sessions, cheaply: None
) -> None:
    with contextlib.ExitStack() as eager:
        with pytest.raises(TooManyAttempts):
            for _ in range(signin.HASHINGS):
                eager.enter_context(sessions.attempts.turn_of("eager"))
        with pytest.raises(Unauthorized):
            signin.authenticate(nobodys_house(sessions), "ann", PASSWORD, HERE)


# Sessions.


def test_a_session_is_its_users_until_it_is_closed(sessions: signin.Sessions) -> None:
    token = sessions.open(ANN)
    assert sessions.user_of(token, USERS) is ANN
    sessions.close(token)
    assert sessions.user_of(token, USERS) is None


def test_the_token_itself_is_not_kept(sessions: signin.Sessions) -> None:
    token = sessions.open(ANN)
    assert len(token) >= 43
    assert token not in repr(sessions._by_digest)


def test_using_a_session_keeps_it_alive_and_idling_ends_it(sessions: signin.Sessions, clock: Any) -> None:
    token = sessions.open(ANN)
    for _ in range(3):
        clock.advance(HALF_A_DAY_S - 1)
        assert sessions.user_of(token, USERS) is ANN
    clock.advance(HALF_A_DAY_S + 1)
    assert sessions.user_of(token, USERS) is None


def test_a_session_is_handed_over_only_while_it_holds(sessions: signin.Sessions) -> None:
    """Of who brings back a database: a password that was changed in the meantime has ended theirs."""
    token, heir = sessions.open(ANN), User(id="u2", username="Ann", password_hash="scrypt$of-then")
    digest = signin.key_digest(token)
    for other in (replace(ANN, password_hash="scrypt$another"), replace(ANN, id="u3")):
        sessions.hand_over(digest, other, heir)
        assert sessions.user_of(token, USERS) is ANN
    sessions.hand_over(digest, ANN, heir)
    assert sessions.user_of(token, {heir.id: heir}) is heir


@pytest.mark.parametrize(
    "users",
    [
        {},
        {ANN.id: replace(ANN, enabled=False)},
        {ANN.id: replace(ANN, password_hash="scrypt$another")},
        {ANN.id: replace(ANN, password_hash=None)},
    ],
    ids=["deleted", "disabled", "new-password", "no-password"],
)
def test_a_session_dies_with_what_it_stood_on(sessions: signin.Sessions, users: dict[str, User]) -> None:
    token = sessions.open(ANN)
    assert sessions.user_of(token, users) is None
    assert sessions.user_of(token, USERS) is None, "it came back to life"


def test_a_session_knows_its_user_as_they_are_now(sessions: signin.Sessions) -> None:
    token = sessions.open(ANN)
    promoted = replace(ANN, role="admin", username="Anna")
    assert sessions.user_of(token, {ANN.id: promoted}) is promoted


def test_the_sessions_of_one_user_end_together(sessions: signin.Sessions) -> None:
    bob = replace(ANN, id="u2", username="Bob")
    tokens = [sessions.open(ANN), sessions.open(ANN)]
    other = sessions.open(bob)
    sessions.close_all_of(ANN.id)
    everybody = {**USERS, bob.id: bob}
    assert [sessions.user_of(token, everybody) for token in tokens] == [None, None]
    assert sessions.user_of(other, everybody) is bob


def test_sessions_are_bounded_and_the_longest_idle_goes_first(
    sessions: signin.Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signin, "MOST_SESSIONS", 3)
    people = [replace(ANN, id=f"u{number}") for number in range(4)]
    users = {each.id: each for each in people}
    tokens = [sessions.open(each) for each in people[:3]]
    assert sessions.user_of(tokens[0], users) is people[0]
    newest = sessions.open(people[3])
    alive = [sessions.user_of(token, users) is not None for token in [*tokens, newest]]
    assert alive == [True, False, True, True]


def test_one_user_cannot_push_the_others_out(sessions: signin.Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signin, "MOST_SESSIONS_EACH", 2)
    bob = replace(ANN, id="u2")
    everybody = {**USERS, bob.id: bob}
    first, *others = [sessions.open(ANN), sessions.open(bob), sessions.open(ANN), sessions.open(ANN)]
    assert sessions.user_of(first, everybody) is None
    assert all(sessions.user_of(token, everybody) for token in others)


# Origins.


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec_fetch_site": "same-origin", "origin": "https://elsewhere.example"},
        {"sec_fetch_site": "none"},
        {"sec_fetch_mode": "cors"},
        {"origin": "http://proxy.test:3000"},
        {"origin": "HTTPS://Proxy.Test:3000"},
    ],
)
def test_what_our_own_pages_send_is_let_in(headers: dict[str, str]) -> None:
    signin.check_same_origin(request(**headers))


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "cross-site", "origin": "http://proxy.test:3000"},
        {"sec_fetch_site": ""},
        {"origin": "http://proxy.test"},
        {"origin": "http://proxy.test:3000.elsewhere.example"},
        {"origin": "http://elsewhere.example"},
        {"origin": "null"},
        {"origin": "proxy.test:3000"},
    ],
)
def test_what_another_sites_pages_send_is_not(headers: dict[str, str]) -> None:
    with pytest.raises(Forbidden) as refusal:
        signin.check_same_origin(request(**headers))
    assert refusal.value.code == "cross_site_request"


def test_only_our_own_cookie_is_looked_at() -> None:
    found = signin.cookies(
        request(cookie="a=1; ipin_session=one; ipin_session_2=x; IPIN_SESSION=y;ipin_session=two; b")
    )
    assert list(found) == ["one", "two"]


def test_a_thousand_cookies_are_not_a_thousand_tries() -> None:
    many = "; ".join(f"ipin_session=t{number}" for number in range(1000))
    assert len(list(signin.cookies(request(cookie=many)))) == signin.COOKIES_TRIED


@pytest.mark.parametrize(
    ("peer", "proto", "secure"),
    [
        ("10.0.0.9", "https", True),
        ("10.0.0.9", "https, http", True),
        ("::ffff:10.0.0.9", "https", True),
        ("10.0.0.9", "http", False),
        ("10.0.0.9", None, False),
        (HERE, "https", False),
    ],
)
def test_the_cookie_is_secure_when_a_trusted_proxy_says_https(peer: str, proto: str | None, secure: bool) -> None:
    from ipaddress import ip_network

    app: Any = SimpleNamespace(
        config=SimpleNamespace(settings=SimpleNamespace(trusted_proxies=(ip_network("10.0.0.0/8"),)))
    )
    given = {"x_forwarded_proto": proto} if proto else {}
    cookie = signin.cookie(app, request(peer=peer, **given), "TOKEN")
    assert cookie.startswith("ipin_session=TOKEN; ")
    assert {"Path=/", "HttpOnly", "SameSite=Strict"} <= set(cookie.split("; "))
    assert ("Secure" in cookie.split("; ")) is secure
