"""Signing in with Google: an identity token in, a pass out that is a key, and everything that ends it."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from support import build, issuer
from support.build import completion, hello
from support.client import Reply, request
from support.issuer import CLIENT_ID, FIRST, SECOND, Key, claims, encoded, jwks, token
from support.proxy import PASSWORD, Proxy
from support.upstream import CERTIFICATE, Upstream, answer, pause

Json = dict[str, Any]
DAY_MS = 24 * 60 * 60 * 1000
LISTS = {
    "ALLOWED_DOMAINS": "example.org",
    "ALLOWED_EMAILS": "ann@gmail.com,carl@example.net,dora@example.com,erin@example.com",
    "DEFAULT_BUDGETS": "boss@example.org=50,@example.org=2,*=0.5",
}
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def google() -> Iterator[Upstream]:
    with closing(Upstream(tls=True)) as google:
        google.default(lambda seen: answer(200, jwks(FIRST), headers=[("cache-control", "max-age=9000")]))
        yield google


def environment(google: Upstream, **more: str) -> dict[str, str]:
    """Of a server that believes this issuer, and the tests when they say where they come from."""
    return {
        "GOOGLE_CLIENT_ID": CLIENT_ID,
        "GOOGLE_JWKS_URL": f"{google.origin}/certs",
        "SSL_CERT_FILE": str(CERTIFICATE),
        "TRUSTED_PROXIES": "127.0.0.1/32",
        **more,
    }


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream, google: Upstream) -> Iterator[Proxy]:
    proxy = Proxy.start(
        tmp_path_factory.mktemp("identity"),
        providers=[build.provider(shared_upstream.base_url)],
        models=[build.model(price={"input": 1, "output": 2}), build.model("gpt-other")],
        settings=LISTS,
        env=environment(google),
    )
    yield proxy
    proxy.stop()


class Person:
    """Somebody with an account at Google, by default one that example.org manages, at an address of the network of their own."""

    def __init__(self, proxy: Proxy, **said: object) -> None:
        number = next(numbers)
        self.proxy = proxy
        self.said = {"sub": f"1000{number}", "email": f"person-{number}@example.org", **said}
        self.headers = [("x-forwarded-for", f"198.51.100.{number % 250}")]

    def credential(self, **changes: object) -> str:
        return token(claims(**{**self.said, **changes}))

    def sign_in(self, credential: str | None = None, more: str = "") -> Reply:
        given = self.credential() if credential is None else credential
        return self.proxy.get(f"/token?credential={quote(given)}{more}", headers=self.headers)

    def get_pass(self) -> str:
        reply = self.sign_in()
        assert reply.status == 200, reply.body
        return str(reply.json["token"])

    @property
    def record(self) -> Json | None:
        users = self.proxy.admin("GET", "/users").json["users"]
        return next((user for user in users if user["googleSub"] == self.said["sub"]), None)

    @property
    def id(self) -> str:
        assert self.record is not None
        return str(self.record["id"])

    def change(self, **fields: object) -> None:
        reply = self.proxy.admin("PUT", f"/users/{self.id}", fields)
        assert reply.status == 200, reply.body


@pytest.fixture
def person(proxy: Proxy) -> Callable[..., Person]:
    return lambda **said: Person(proxy, **said)


def models(proxy: Proxy, key: str) -> Reply:
    return proxy.get("/v1/models", key)


def changes_of(person: Person) -> list[Json]:
    """What the trail has of their record, the newest first."""
    return list(person.proxy.admin("GET", f"/audit?resource=users&id={person.id}").json["items"])


def reason(proxy: Proxy, reply: Reply) -> str:
    """What the log says about a refused sign-in."""
    id_ = reply.header("x-request-id")
    line = proxy.log_lines(lambda line: line["event"] == "sign_in_refused" and line["request_id"] == id_)[0]
    return str(line["reason"])


def database(proxy: Proxy) -> Json:
    return dict(json.loads((proxy.folder / "ipin-proxy.db").read_text()))


def own_pass(proxy: Proxy, person: Person, **changes: object) -> str:
    """A pass as the server with this database would write it."""
    stored = database(proxy)
    user = next(user for user in stored["users"] if user.get("googleSub") == person.said["sub"])
    now = int(time.time())
    said = {
        "iss": "ipin-proxy",
        "sub": user["id"],
        "gen": user["passGeneration"],
        "iat": now,
        "exp": now + 900,
        "jti": "1",
    }
    message = f"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.{encoded({**said, **changes})}"
    return f"{message}.{encoded(issuer.hs256(bytes.fromhex(stored['settings']['passSecret']), message))}"


# Coming in.


def test_an_identity_token_is_exchanged_for_a_pass(proxy: Proxy, person: Callable[..., Person]) -> None:
    ann = person()
    before = time.time() * 1000
    reply = ann.sign_in()
    assert reply.status == 200 and reply.header("cache-control") == "no-store"
    assert set(reply.json) == {"token", "email", "expiresAt"}
    assert reply.json["email"] == ann.said["email"]
    assert 30 * DAY_MS - 1000 <= reply.json["expiresAt"] - before <= 30 * DAY_MS + 60_000
    assert reply.json["token"].count(".") == 2
    record = ann.record
    assert record is not None
    assert {name: record[name] for name in ("username", "email", "role", "enabled", "apiKeyId", "googleDomain")} == {
        "username": ann.said["email"],
        "email": ann.said["email"],
        "role": "user",
        "enabled": True,
        "apiKeyId": None,
        "googleDomain": "example.org",
    }
    assert record["budgets"] == [{"usd": 2.0, "window": "month"}]
    assert before - 1000 <= record["createdAt"] <= time.time() * 1000
    assert not {"passGeneration", "passwordHash"} & set(record)
    created = proxy.log_lines(lambda line: line["event"] == "admin" and line["id"] == record["id"])
    assert [(line["action"], line["actor"]) for line in created] == [("create", ann.said["email"])]


def test_a_pass_is_a_key(proxy: Proxy, upstream: Upstream, person: Callable[..., Person]) -> None:
    ann = person()
    key = ann.get_pass()
    assert [row["id"] for row in models(proxy, key).json["data"]] == ["gpt-public", "gpt-other"]
    assert proxy.get("/v1/models", headers=[("x-api-key", key)]).status == 200
    for stream in (False, True):
        upstream.will_answer(200, completion("Hi!")) if not stream else upstream.will_stream(*build.spoken("Hi!"))
        reply = proxy.post("/v1/chat/completions", hello(stream=stream), key)
        assert reply.status == 200 and b"Hi!" in reply.body
    assert all(key not in str(seen.headers) for seen in upstream.history)
    assert proxy.log_lines(lambda line: line["event"] == "call" and line["caller"] == ann.said["email"])
    assert key not in proxy.output and ann.credential() not in proxy.output


def test_who_comes_again_is_the_same_and_nothing_is_written(proxy: Proxy, person: Callable[..., Person]) -> None:
    ann = person()
    first = ann.get_pass()
    file = proxy.folder / "ipin-proxy.db"
    before = file.read_bytes()
    second = ann.get_pass()
    assert first != second and file.read_bytes() == before
    assert models(proxy, first).status == models(proxy, second).status == 200


def test_many_first_sign_ins_at_once_make_one_user(proxy: Proxy, person: Callable[..., Person]) -> None:
    ann = person()
    credential = ann.credential()
    replies: list[Reply] = []
    threads = [threading.Thread(target=lambda: replies.append(ann.sign_in(credential))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert [reply.status for reply in replies] == [200] * 8
    assert len([user for user in database(proxy)["users"] if user.get("googleSub") == ann.said["sub"]]) == 1
    assert all(models(proxy, reply.json["token"]).status == 200 for reply in replies)


@pytest.mark.parametrize(
    ("said", "usd"),
    [
        ({"email": "boss@example.org"}, 50.0),
        ({"email": "Clerk@Example.ORG", "hd": "Example.Org"}, 2.0),
        ({"email": "ann@gmail.com", "hd": None}, 0.5),
        ({"email": "dora@example.com", "hd": "example.com"}, 0.5),
    ],
)
def test_the_budget_is_that_of_the_closest_row(person: Callable[..., Person], said: Json, usd: float) -> None:
    somebody = person(**said)
    assert somebody.sign_in().status == 200
    assert somebody.record is not None and somebody.record["budgets"] == [{"usd": usd, "window": "month"}]


@pytest.mark.parametrize("more", [{}, {"nonce": None}])
def test_it_may_come_as_json(proxy: Proxy, person: Callable[..., Person], more: Json) -> None:
    ann = person()
    reply = proxy.post("/token", {"credential": ann.credential(), **more}, headers=ann.headers)
    assert reply.status == 200 and models(proxy, reply.json["token"]).status == 200


def test_a_nonce_is_looked_at(proxy: Proxy, person: Callable[..., Person]) -> None:
    ann = person()
    credential = ann.credential(nonce="a1")
    assert ann.sign_in(credential, "&nonce=a1").status == 200
    refused = ann.sign_in(credential, "&nonce=a2")
    assert refused.status == 401 and "nonce" in reason(proxy, refused)
    reply = proxy.post("/token", {"credential": credential, "nonce": "a2"}, headers=ann.headers)
    assert reply.status == 401


def form(proxy: Proxy, fields: list[tuple[str, str]], *cookies: str, headers: list[tuple[str, str]]) -> Reply:
    given = [("content-type", "application/x-www-form-urlencoded"), *(("cookie", each) for each in cookies), *headers]
    return proxy.post("/token", urlencode(fields).encode(), headers=given)


def test_googles_own_form_is_taken_when_its_cookie_comes_along(proxy: Proxy, person: Callable[..., Person]) -> None:
    ann = person()
    fields = [("credential", ann.credential()), ("g_csrf_token", "c0ffee"), ("select_by", "btn")]
    reply = form(
        proxy,
        fields,
        "a=b; g_csrf_token=c0ffee; c=d",
        headers=[("origin", "https://accounts.google.com"), *ann.headers],
    )
    assert reply.status == 200 and models(proxy, reply.json["token"]).status == 200


@pytest.mark.parametrize(
    ("sent", "cookies"),
    [
        ("c0ffee", ()),
        ("c0ffee", ("g_csrf_token=c0ffef",)),
        ("c0ffee", ("g_csrf_token=",)),
        ("c0ffee", ("xg_csrf_token=c0ffee", "g_csrf_token x=c0ffee")),
        ("c0ffee", ("g_csrf_token=evil; g_csrf_token=c0ffee",)),
        ("c0ffee", ("g_csrf_token=c0ffee", "g_csrf_token=evil")),
        ("", ("g_csrf_token=",)),
        (None, ("g_csrf_token=c0ffee",)),
        (None, ()),
        ("\udcff", ("g_csrf_token=\xff",)),
    ],
)
def test_a_form_of_another_site_is_refused(
    proxy: Proxy, person: Callable[..., Person], sent: str | None, cookies: tuple[str, ...]
) -> None:
    ann = person()
    fields = [("credential", ann.credential())] + ([("g_csrf_token", sent)] if sent is not None else [])
    body = urlencode(fields, errors="surrogateescape").encode()
    lines = [f"cookie: {each}".encode("latin-1") for each in cookies]
    head = [b"POST /token HTTP/1.1", b"host: x", b"content-type: application/x-www-form-urlencoded"]
    wire = proxy.raw(b"\r\n".join([*head, *lines, b"content-length: %d" % len(body), b"", body]))
    reply = wire.final("POST")
    assert reply.status == 403 and reply.error["param"] == "g_csrf_token"
    assert ann.record is None


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"credential=a&credential=b&g_csrf_token=x", "application/x-www-form-urlencoded", 400),
        (b"a=1&" * 100, "application/x-www-form-urlencoded", 400),
        (b"credential=\xff", "application/x-www-form-urlencoded", 400),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"{}", "application/json", 400),
        (b'{"credential":""}', "application/json", 400),
        (b'{"credential":["a"]}', "application/json", 400),
        (b'{"credential":"a","nonce":1}', "application/json", 400),
        (b'{"credential":"a","Credential":"b"}', "application/json", 400),
        (b"<x/>", "application/xml", 415),
        (b"x" * 70_000, "application/json", 413),
    ],
)
def test_what_is_no_sign_in_is_told_so(proxy: Proxy, body: bytes, media_type: str, status: int) -> None:
    reply = proxy.post("/token", body, headers=[("content-type", media_type)])
    assert reply.status == status and reply.error["message"]


@pytest.mark.parametrize("path", ["/token", "/token?credential=", "/token?Credential=a.b.c"])
def test_without_a_credential_there_is_nothing_to_check(proxy: Proxy, path: str) -> None:
    reply = proxy.get(path)
    assert reply.status == 400 and reply.error["param"] == "credential"


def test_a_token_that_is_too_long_is_not_looked_at(proxy: Proxy, person: Callable[..., Person]) -> None:
    reply = proxy.post("/token", {"credential": token(claims(extra="x" * 9000))}, headers=person().headers)
    assert reply.status == 401 and "longer" in reason(proxy, reply)


def test_pages_of_other_hosts_may_ask(proxy: Proxy, person: Callable[..., Person]) -> None:
    ann = person()
    headers = [("origin", "https://app.example"), *ann.headers]
    reply = proxy.post("/token", {"credential": ann.credential()}, headers=headers)
    assert reply.status == 200 and reply.header("access-control-allow-origin") == "*"
    preflight = proxy.request("OPTIONS", "/token", headers=[*headers, ("access-control-request-method", "POST")])
    assert preflight.status == 204 and preflight.header("access-control-allow-origin") == "*"


# Not coming in.


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda ann: "a.b.c", "base64url"),
        (lambda ann: ann.credential()[:-4], "signature"),
        (lambda ann: ann.credential() + "AAAA", "signature"),
        (lambda ann: token(claims(**ann.said), SECOND, kid="first"), "signature"),
        (lambda ann: token(claims(**ann.said), SECOND), "no key of the name"),
        (
            lambda ann: token(claims(**ann.said), Key("small"), kid="first", jwk=Key("small").jwk(kid="first")),
            "signature",
        ),
        (lambda ann: token(claims(**ann.said), alg="none"), "RS256"),
        (lambda ann: issuer.with_hs256(json.dumps(FIRST.jwk()).encode(), claims(**ann.said), kid="first"), "RS256"),
        (lambda ann: token(claims(**ann.said), crit=["exp"]), "crit"),
        (lambda ann: ann.credential(iss="https://accounts.google.com.evil.example"), "iss"),
        (lambda ann: ann.credential(aud="another-client"), "GOOGLE_CLIENT_ID"),
        (lambda ann: ann.credential(aud=[CLIENT_ID, "another-client"]), "aud"),
        (lambda ann: ann.credential(exp=int(time.time()) - 61), "exp"),
        (lambda ann: ann.credential(iat=int(time.time()) + 120), "iat"),
        (lambda ann: ann.credential(nbf=int(time.time()) + 120), "nbf"),
        (lambda ann: ann.credential(email_verified=False), "email_verified"),
        (lambda ann: ann.credential(email=None), "email"),
        (lambda ann: ann.credential(sub=None), "sub"),
    ],
)
def test_a_bad_token_is_refused_and_only_the_log_says_why(
    proxy: Proxy, person: Callable[..., Person], make: Callable[[Person], str], why: str
) -> None:
    ann = person()
    reply = ann.sign_in(make(ann))
    assert reply.status == 401 and reply.header("x-should-retry") == "false"
    assert reply.error == {
        "message": "Signing in with Google did not work. Sign in there again.",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_credential",
    }
    assert why in reason(proxy, reply)
    assert ann.record is None


@pytest.mark.parametrize(
    "said",
    [
        {"email": "ann@example.org", "hd": None},
        {"email": "ann@evil-example.org", "hd": "evil-example.org"},
        {"email": "ann@example.org", "hd": "evil-example.org"},
        {"email": "ann@example.org.evil.example", "hd": "example.org.evil.example"},
        {"email": "ann@sub.example.org", "hd": "sub.example.org"},
        {"email": "ann@gmail.com.evil.example", "hd": None},
        {"email": "xcarl@example.net", "hd": None},
    ],
)
def test_who_is_on_no_list_stays_outside(proxy: Proxy, person: Callable[..., Person], said: Json) -> None:
    stranger = person(**said)
    reply = stranger.sign_in()
    assert reply.status == 403 and reply.error["code"] == "account_not_allowed"
    assert said["email"] not in str(reply.error)
    assert "ALLOWED_DOMAINS" in reason(proxy, reply) and said["email"] in reason(proxy, reply)
    assert stranger.record is None


def test_wrong_ones_slow_down_the_address_they_come_from_alone(proxy: Proxy, person: Callable[..., Person]) -> None:
    guesser, ann = person(), person()
    refusals = [guesser.sign_in(token(claims(), SECOND, kid="first")) for _ in range(21)]
    assert {reply.status for reply in refusals[:19]} == {401} and refusals[-1].status == 429
    assert int(refusals[-1].header("retry-after") or 0) >= 1
    assert guesser.sign_in().status == 429  # with a right one too
    assert ann.sign_in().status == 200
    ann.headers = guesser.headers
    signed_in = proxy.post("/api/user/login", {"username": "admin", "password": PASSWORD}, headers=ann.headers)
    assert signed_in.status == 200  # passwords have nothing to do with it


def test_a_class_signs_in_at_once_from_one_address(start_proxy: Callable[..., Proxy]) -> None:
    """Also when the keys have still to be fetched."""
    with closing(Upstream(tls=True)) as google:
        google.will_stream(pause, json.dumps(jwks(FIRST)), done=False)
        proxy = start_proxy(env=environment(google), settings=LISTS)
        # Made before anybody asks: they take their time, and whoever fetches the keys does not wait for ever.
        credentials = [Person(proxy).credential() for _ in range(40)]
        wires = [proxy.raw(request("GET", f"/token?credential={each}", host="x")) for each in credentials]
        google.wait_paused()
        google.resume()
        assert [wire.final().status for wire in wires] == [200] * len(wires)
        assert len(google.history) == 1


def test_a_class_that_takes_its_private_accounts_first_need_not_wait(person: Callable[..., Person]) -> None:
    ann, private = person(), person(hd=None)
    private.headers = ann.headers
    credential = private.credential()
    assert {private.sign_in(credential).status for _ in range(40)} == {403}
    assert ann.sign_in().status == 200


def test_good_ones_never_do(person: Callable[..., Person]) -> None:
    ann = person()
    credential = ann.credential()
    assert {ann.sign_in(credential).status for _ in range(40)} == {200}


# Whose record it is.


def test_a_record_that_was_made_before_becomes_theirs(proxy: Proxy, person: Callable[..., Person]) -> None:
    email = f"made-before-{next(numbers)}@example.org"
    made = proxy.admin(
        "POST", "/users", {"username": f"Ann {next(numbers)}", "password": PASSWORD, "email": email.upper()}
    )
    ann = person(email=email)
    key = ann.get_pass()
    assert ann.record is not None and ann.id == made.json["id"]
    assert ann.record["username"] == made.json["username"] and ann.record["budgets"] == []
    assert models(proxy, key).status == 200
    (taken, _) = changes_of(ann)
    assert (taken["action"], taken["actor"], taken["before"]["googleSub"]) == ("update", made.json["username"], None)
    assert taken["after"]["googleSub"] == ann.said["sub"]
    ann.get_pass()
    assert len(changes_of(ann)) == 2, "nothing has changed since"


def test_an_address_may_change_the_person_stays(proxy: Proxy, person: Callable[..., Person]) -> None:
    ann = person()
    key, id_ = ann.get_pass(), ann.id
    ann.said["email"] = f"married-{next(numbers)}@example.org"
    assert ann.sign_in().status == 200
    assert ann.id == id_ and ann.record is not None and ann.record["email"] == ann.said["email"]
    assert models(proxy, key).status == 200
    newest = changes_of(ann)[0]
    assert (newest["action"], newest["after"]["email"]) == ("update", ann.said["email"])


def test_an_address_that_is_given_to_somebody_else_brings_no_record_along(
    proxy: Proxy, person: Callable[..., Person]
) -> None:
    ann = person()
    assert ann.sign_in().status == 200
    heir = person(email=ann.said["email"])
    refused = heir.sign_in()
    assert refused.status == 403 and ann.id in reason(proxy, refused)
    assert proxy.admin("DELETE", f"/users/{ann.id}").status == 200
    assert heir.sign_in().status == 200


def test_a_private_account_takes_no_record_unless_its_address_is_named(
    proxy: Proxy, person: Callable[..., Person]
) -> None:
    given = {"username": "carl", "password": PASSWORD, "email": "carl@example.net"}
    carl = proxy.admin("POST", "/users", given).json["id"]
    named = person(email="carl@example.net", hd=None)
    assert named.sign_in().status == 200 and named.id == carl
    proxy.admin("PUT", "/settings", {"ALLOWED_EMAILS": "*"})
    try:
        eve = proxy.admin("POST", "/users", {**given, "username": "eve", "email": "eve@example.net"}).json["id"]
        refused = person(email="eve@example.net", hd=None).sign_in()
        assert refused.status == 403 and eve in reason(proxy, refused)
        stranger = person(email="mallory@example.net", hd=None)
        assert stranger.sign_in().status == 200
    finally:
        proxy.admin("PUT", "/settings", {"ALLOWED_EMAILS": LISTS["ALLOWED_EMAILS"]})
    assert models(proxy, own_pass(proxy, stranger)).status == 401  # everybody was welcome, and is no more


def test_a_private_account_gets_no_key_that_names_its_address(proxy: Proxy, person: Callable[..., Person]) -> None:
    """Whoever owns a key limits it, and is told what it used."""
    proxy.add_key("sk-of-fay-0123456789", "key-fay", username="fay@example.net")
    proxy.add_key("sk-of-gus-0123456789", "key-gus", username="gus@example.org")
    proxy.admin("PUT", "/settings", {"ALLOWED_EMAILS": "*"})
    try:
        assert person(email="fay@example.net", hd=None).sign_in().status == 200
        assert proxy.get("/v1/usage", "sk-of-fay-0123456789").json["user"] is None
        gus = person(email="gus@example.org")
        assert gus.sign_in().status == 200
        assert proxy.get("/v1/usage", "sk-of-gus-0123456789").json["user"]["id"] == gus.id
    finally:
        proxy.admin("PUT", "/settings", {"ALLOWED_EMAILS": LISTS["ALLOWED_EMAILS"]})


def test_an_address_that_two_users_have_is_nobodys(proxy: Proxy, person: Callable[..., Person]) -> None:
    twice = f"twice-{next(numbers)}@example.org"
    for number in (next(numbers), next(numbers)):
        proxy.admin("POST", "/users", {"username": f"twice-{number}", "password": PASSWORD, "email": twice})
    refused = person(email=twice).sign_in()
    assert refused.status == 403 and "several users" in reason(proxy, refused)


def test_a_user_name_that_is_taken_is_no_obstacle(proxy: Proxy, person: Callable[..., Person]) -> None:
    ann = person(email="x" * 200 + "@" + "a" * 30 + ".example.org")
    assert proxy.admin("POST", "/users", {"username": ann.said["email"], "password": PASSWORD}).status == 201
    key = ann.get_pass()
    assert ann.record is not None and ann.record["username"].startswith("xxx")
    proxy.admin("PUT", "/settings", {"KEEPALIVE_S": 14})  # the database is read and written again
    assert models(proxy, key).status == 200


def test_without_a_row_for_them_nobody_new_comes_in(proxy: Proxy, person: Callable[..., Person]) -> None:
    ann = person()
    proxy.admin("PUT", "/settings", {"DEFAULT_BUDGETS": "boss@example.org=50"})
    try:
        refused = ann.sign_in()
        assert refused.status == 403 and "DEFAULT_BUDGETS" in reason(proxy, refused)
        proxy.admin("PUT", "/settings", {"DEFAULT_BUDGETS": "@example.org=unlimited"})
        assert ann.sign_in().status == 200
        assert ann.record is not None and ann.record["budgets"] == []
    finally:
        proxy.admin("PUT", "/settings", {"DEFAULT_BUDGETS": LISTS["DEFAULT_BUDGETS"]})


# What ends a pass.


def revoke(person: Person) -> None:
    reply = person.proxy.admin("POST", f"/users/{person.id}/revoke")
    assert reply.status == 200 and reply.json == {"success": True}


def disable_and_enable(person: Person) -> None:
    person.change(enabled=False)
    person.change(enabled=True)


def delete(person: Person) -> None:
    assert person.proxy.admin("DELETE", f"/users/{person.id}").status == 200


def new_password(person: Person) -> None:
    person.change(password=PASSWORD)


def sign_out_everywhere_with_a_pass(person: Person) -> None:
    given = person.get_pass()
    assert person.proxy.post("/api/logout?everywhere=1", key=given).json == {"success": True}


def sign_out_everywhere_on_the_page(person: Person) -> None:
    person.change(password=PASSWORD)
    held = person.get_pass()
    signed_in = person.proxy.post("/api/user/login", {"username": person.said["email"], "password": PASSWORD})
    session = str(signed_in.json["token"])
    assert person.proxy.post("/api/logout", key=held).status == 200  # which says nothing of passes
    assert models(person.proxy, held).status == 200
    assert person.proxy.post("/api/logout?everywhere=1", key=session).status == 200
    assert models(person.proxy, held).status == 401
    assert person.proxy.get("/api/user/me", session).status == 401


def change_password(person: Person) -> None:
    new_password(person)
    held = person.get_pass()
    signed_in = person.proxy.post("/api/user/login", {"username": person.said["email"], "password": PASSWORD})
    body = {"currentPassword": PASSWORD, "newPassword": "another good password"}
    assert person.proxy.request("PUT", "/api/user/password", body, str(signed_in.json["token"])).status == 200
    assert models(person.proxy, held).status == 401


@pytest.mark.parametrize(
    "end",
    [
        revoke,
        disable_and_enable,
        delete,
        new_password,
        sign_out_everywhere_with_a_pass,
        sign_out_everywhere_on_the_page,
        change_password,
    ],
)
def test_it_ends_every_pass_of_a_person_and_nobody_elses(
    proxy: Proxy, person: Callable[..., Person], end: Callable[[Person], None]
) -> None:
    ann, bob = person(), person()
    passes, others = [ann.get_pass(), ann.get_pass()], bob.get_pass()
    assert [models(proxy, each).status for each in passes] == [200, 200]
    end(ann)
    for each in passes:
        reply = models(proxy, each)
        assert reply.status == 401 and reply.error["code"] == "invalid_api_key"
    assert models(proxy, others).status == 200
    assert models(proxy, ann.get_pass()).status == 200  # who may, comes in again


def test_a_pass_that_was_ended_is_dead_on_an_open_connection_too(proxy: Proxy, person: Callable[..., Person]) -> None:
    """Where a head that repeats itself is not read again."""
    ann = person()
    head = request("GET", "/v1/models", key=ann.get_pass())
    wire = proxy.open()
    assert [wire.send(head).reply().status for _ in range(3)] == [200] * 3
    revoke(ann)
    assert wire.send(head).reply().status == 401


def test_somebody_disabled_gets_no_new_one(proxy: Proxy, person: Callable[..., Person]) -> None:
    ann = person()
    held = ann.get_pass()
    ann.change(enabled=False)
    assert models(proxy, held).status == 401
    refused = ann.sign_in()
    assert refused.status == 403 and "disabled" in reason(proxy, refused)


def test_nobody_is_revoked_who_is_not_there_and_only_administrators_can(
    proxy: Proxy, person: Callable[..., Person]
) -> None:
    assert proxy.admin("POST", "/users/nobody/revoke").status == 404
    ann = person()
    held = ann.get_pass()
    for path in (f"/api/admin/users/{ann.id}/revoke", "/api/admin/users", "/api/user/me"):
        assert proxy.post(path, key=held).status in (401, 405)
        assert proxy.get(path, held).status in (401, 405)
    assert models(proxy, held).status == 200
    assert proxy.admin("POST", "/users/admin/revoke").status == 200  # who has none; the session ends
    proxy._token = ""
    assert proxy.admin("GET", "/users").status == 200


def test_an_administrators_pass_opens_no_page(proxy: Proxy, person: Callable[..., Person]) -> None:
    ann = person()
    held = ann.get_pass()
    ann.change(role="admin")
    assert models(proxy, held).status == 200
    assert proxy.get("/api/admin/users", held).status == 401
    ann.change(role="user")


@pytest.mark.parametrize(
    "change",
    [
        {"exp": 1_000_000_000},
        {"iat": 1_000_000_000},  # longer ago than TOKEN_DAYS
        {"gen": "0" * 16},
        {"gen": None},
        {"sub": "nobody"},
        {"sub": "admin"},
        {"iss": "accounts.google.com"},
    ],
)
def test_what_a_pass_says_is_looked_at(proxy: Proxy, person: Callable[..., Person], change: Json) -> None:
    ann = person()
    assert ann.sign_in().status == 200
    good, other = own_pass(proxy, ann), own_pass(proxy, ann, **change)
    assert (models(proxy, good).status, models(proxy, other).status) == (200, 401)
    assert proxy.post("/api/logout?everywhere=1", key=other).status == 200
    assert models(proxy, good).status == 200, "what lets nobody in ends nothing, either"


def test_no_other_token_is_a_pass(proxy: Proxy, person: Callable[..., Person]) -> None:
    ann = person()
    held = ann.get_pass()
    header, payload, signature = held.split(".")
    said = json.loads(issuer.decoded(payload))
    forged = [
        f"{header}.{encoded({**said, 'sub': 'admin'})}.{signature}",
        f"{header}.{payload}.{signature[:-1]}{'A' if signature[-1] != 'A' else 'B'}",
        f"{header}.{payload}.",
        f"{header}.{payload}.{signature}=",
        f"{encoded({'alg': 'none'})}.{payload}.",
        issuer.with_hs256(b"", said),
        issuer.with_hs256(b"passSecret", said),
        issuer.with_hs256(json.dumps(FIRST.jwk()).encode(), said),
        token(said),
        ann.credential(),
        "..",
        "cpk_0123456789.0123456789.0123456789",
    ]
    assert [models(proxy, each).status for each in forged] == [401] * len(forged)
    assert models(proxy, held).status == 200


def test_fewer_days_count_for_passes_that_are_out_already(proxy: Proxy, person: Callable[..., Person]) -> None:
    ann = person()
    assert ann.sign_in().status == 200
    now = int(time.time())
    old = own_pass(proxy, ann, iat=now - 5 * 86_400, exp=now + 25 * 86_400)
    assert models(proxy, old).status == 200
    proxy.admin("PUT", "/settings", {"TOKEN_DAYS": 4})
    try:
        assert models(proxy, old).status == 401
        reply = ann.sign_in()
        assert 0 <= reply.json["expiresAt"] - (now * 1000 + 4 * DAY_MS) < 60_000
    finally:
        proxy.admin("PUT", "/settings", {"TOKEN_DAYS": None})
    assert models(proxy, old).status == 200


def test_who_is_taken_off_the_lists_is_out_at_once(proxy: Proxy, person: Callable[..., Person]) -> None:
    ann, erin = person(), person(email="erin@example.com", hd="example.com")
    held, others = ann.get_pass(), erin.get_pass()
    proxy.admin("PUT", "/settings", {"ALLOWED_DOMAINS": "other.example"})
    try:
        assert models(proxy, held).status == 401 and models(proxy, others).status == 200
        assert ann.sign_in().status == 403
    finally:
        proxy.admin("PUT", "/settings", {"ALLOWED_DOMAINS": LISTS["ALLOWED_DOMAINS"]})
    assert models(proxy, held).status == 200


def test_the_key_that_is_linked_to_a_person_limits_their_pass(proxy: Proxy, person: Callable[..., Person]) -> None:
    ann = person()
    held = ann.get_pass()
    proxy.add_key("sk-linked-0123456789abcdef", "linked", allowedModels=["gpt-other"], scopes=["models"])
    ann.change(apiKeyId="linked")
    assert [row["id"] for row in models(proxy, held).json["data"]] == ["gpt-other"]
    refused = proxy.post("/v1/chat/completions", hello(), held)
    assert refused.status == 403 and refused.error["code"] == "scope_not_allowed"
    proxy.admin("PUT", "/apikeys/linked", {"enabled": False})
    assert models(proxy, held).status == 401
    proxy.admin("PUT", "/apikeys/linked", {"enabled": True, "allowedIps": ["203.0.113.0/24"]})
    assert models(proxy, held).error["code"] == "ip_not_allowed"
    assert proxy.admin("DELETE", "/apikeys/linked").status == 200
    assert len(models(proxy, held).json["data"]) == 2


def test_a_pass_is_none_without_the_key_that_was_to_limit_it(proxy: Proxy, person: Callable[..., Person]) -> None:
    ann = person()
    held, stored = ann.get_pass(), database(proxy)
    user = next(user for user in stored["users"] if user["id"] == ann.id)
    user["apiKeyId"] = "deleted-by-hand"
    (proxy.folder / "ipin-proxy.db").write_text(json.dumps(stored))
    proxy.log_lines(lambda line: "edited by hand and is loaded" in str(line.get("message")))
    assert models(proxy, held).status == 401
    ann.change(apiKeyId=None)
    assert models(proxy, held).status == 200


# The database as a document.


def test_the_secret_of_passes_leaves_in_no_export_and_no_import_changes_it(
    proxy: Proxy, person: Callable[..., Person]
) -> None:
    ann = person()
    held = ann.get_pass()
    before = database(proxy)
    secret = before["settings"]["passSecret"]
    generation = next(user["passGeneration"] for user in before["users"] if user["id"] == ann.id)
    for path in ("/export?secrets=0", "/export?secrets=1", "/settings", "/users", f"/users/{ann.id}", "/backups"):
        assert secret not in proxy.admin("GET", path).body.decode(), path
    document = proxy.admin("GET", "/export?secrets=1").json
    assert generation not in proxy.admin("GET", "/export").body.decode()
    document["settings"]["passSecret"] = "00" * 32
    assert proxy.admin("POST", "/import", document).status == 200
    assert database(proxy)["settings"]["passSecret"] == secret
    assert models(proxy, held).status == 200
    assert secret not in proxy.output


def test_no_import_makes_a_pass_good_again(proxy: Proxy, person: Callable[..., Person]) -> None:
    ann = person()
    held = ann.get_pass()
    document = proxy.admin("GET", "/export?secrets=1").json
    revoke(ann)
    assert proxy.admin("POST", "/import", document).status == 200
    assert models(proxy, held).status == 401
    id_ = ann.id
    delete(ann)
    assert proxy.admin("POST", "/import", document).status == 200
    assert ann.id == id_ and models(proxy, held).status == 401
    assert models(proxy, ann.get_pass()).status == 200


def test_an_import_that_disables_somebody_or_brings_a_password_ends_their_passes(
    proxy: Proxy, person: Callable[..., Person]
) -> None:
    ann = person()
    held = ann.get_pass()
    document = proxy.admin("GET", "/export?secrets=1").json
    for change in ({"enabled": False}, {"passwordHash": "sha256$" + "ab" * 32}):
        users = [user | change if user["id"] == ann.id else user for user in document["users"]]
        assert proxy.admin("POST", "/import", {"users": users}).status == 200
        assert proxy.admin("POST", "/import", {"users": document["users"]}).status == 200
        assert models(proxy, held).status == 401
        held = ann.get_pass()


def test_an_earlier_version_brings_no_revoked_pass_back(proxy: Proxy, person: Callable[..., Person]) -> None:
    ann, bob = person(), person()
    held, others = ann.get_pass(), bob.get_pass()
    id_ = ann.id
    revoke(ann)
    again = ann.get_pass()
    backups = [each["name"] for each in proxy.admin("GET", "/backups").json["backups"]]
    assert proxy.admin("POST", f"/backups/{backups[1]}/restore").status == 200  # from before she was revoked
    assert ann.id == id_
    assert [models(proxy, each).status for each in (held, again, others)] == [401, 401, 200]
    assert models(proxy, ann.get_pass()).status == 200


def test_without_its_secret_every_pass_is_void(start_proxy: Callable[..., Proxy], google: Upstream) -> None:
    proxy = start_proxy(env=environment(google), settings=LISTS)
    ann = Person(proxy)
    held = ann.get_pass()
    proxy.admin("PUT", "/settings", {"TOKEN_DAYS": 29})  # makes a version with the secret
    stored = database(proxy)
    del stored["settings"]["passSecret"]
    (proxy.folder / "ipin-proxy.db").write_text(json.dumps(stored))
    proxy.wait_output(lambda text: '"event":"reloaded"' in text, "a reload")
    assert models(proxy, held).status == 401
    kept = proxy.admin("GET", "/backups").json["backups"][0]["name"]
    assert proxy.admin("POST", f"/backups/{kept}/restore").status == 200
    assert models(proxy, held).status == 401
    assert models(proxy, ann.get_pass()).status == 200 and models(proxy, held).status == 401


def test_an_import_without_secrets_leaves_passes_as_they_are(proxy: Proxy, person: Callable[..., Person]) -> None:
    ann = person()
    held = ann.get_pass()
    document = proxy.admin("GET", "/export").json
    assert proxy.admin("POST", "/import", document).status == 200
    assert models(proxy, held).status == 200


# Servers of their own.


def test_there_is_nothing_until_a_client_is_set_and_again_when_it_is_not(
    start_proxy: Callable[..., Proxy], google: Upstream
) -> None:
    env = environment(google)
    del env["GOOGLE_CLIENT_ID"]
    proxy = start_proxy(env=env)
    ann = Person(proxy)
    absent, elsewhere = ann.sign_in(), proxy.get("/tokens")
    assert absent.status == 404 and absent.error["code"] == "not_found"
    assert absent.error["message"].replace("/token", "/tokens") == elsewhere.error["message"]
    assert proxy.post("/token", {"credential": ann.credential()}).status == 404
    assert "passSecret" not in database(proxy)["settings"]
    proxy.admin("PUT", "/settings", {"GOOGLE_CLIENT_ID": CLIENT_ID})
    refused = ann.sign_in()
    assert refused.status == 403 and "ALLOWED_DOMAINS" in reason(proxy, refused)  # nobody is on any list
    proxy.admin("PUT", "/settings", {"ALLOWED_DOMAINS": ["example.org"]})
    held = ann.get_pass()
    assert ann.record is not None and ann.record["budgets"] == [{"usd": 1.0, "window": "month"}]
    proxy.admin("PUT", "/settings", {"GOOGLE_CLIENT_ID": None})
    assert models(proxy, held).status == 401 and ann.sign_in().status == 404


def test_a_pass_outlives_a_restart_and_counts_on_no_other_server(
    start_proxy: Callable[..., Proxy], google: Upstream, tmp_path: Path
) -> None:
    first = start_proxy(env=environment(google), settings=LISTS)
    ann = Person(first)
    held = ann.get_pass()
    other = start_proxy(env=environment(google), settings=LISTS)
    ann.proxy = other
    assert ann.sign_in().status == 200
    assert models(first, held).status == 200 and models(other, held).status == 401
    file = first.folder / "ipin-proxy.db"
    assert file.stat().st_mode & 0o777 == 0o600
    first.stop()
    content = file.read_bytes()
    again = start_proxy(env=environment(google), settings=LISTS)
    (again.folder / "ipin-proxy.db").write_bytes(content)
    again.wait_output(lambda text: '"event":"reloaded"' in text, "a reload")
    assert models(again, held).status == 200


def test_while_google_cannot_be_asked_nobody_is_called_wrong(start_proxy: Callable[..., Proxy]) -> None:
    with closing(Upstream(tls=True)) as google:
        google.default(lambda seen: answer(503, "down"))
        proxy = start_proxy(env=environment(google), settings=LISTS)
        ann = Person(proxy)
        for _ in range(25):
            reply = ann.sign_in()
            assert reply.status == 503 and reply.error["code"] == "sign_in_unavailable"
            assert reply.header("retry-after")
        assert 1 <= len(google.history) <= 3  # not for everybody who asks
        assert proxy.log_lines(lambda line: line["event"] == "sign_in_keys_not_fetched")


def test_a_certificate_that_nobody_vouches_for_is_not_google(
    start_proxy: Callable[..., Proxy], google: Upstream
) -> None:
    env = environment(google)
    del env["SSL_CERT_FILE"]
    proxy = start_proxy(env=env, settings=LISTS)
    before = len(google.history)
    assert Person(proxy).sign_in().status == 503
    assert len(google.history) == before
    line = proxy.log_lines(lambda line: line["event"] == "sign_in_keys_not_fetched")[0]
    assert "certificate is not trusted" in line["message"]


def test_who_can_let_nobody_in_is_told_at_the_start(start_proxy: Callable[..., Proxy], google: Upstream) -> None:
    proxy = start_proxy(env=environment(google))
    assert proxy.log_lines(lambda line: line["event"] == "nobody_may_sign_in")


def test_a_database_that_cannot_be_written_is_not_the_fault_of_who_comes(
    start_proxy: Callable[..., Proxy], google: Upstream
) -> None:
    proxy = start_proxy(env=environment(google), settings=LISTS)
    ann = Person(proxy)
    file = proxy.folder / "ipin-proxy.db"
    content = file.read_bytes()
    file.write_text("{ broken by hand")
    replies = [ann.sign_in() for _ in range(22)]
    assert {reply.status for reply in replies} == {409}
    file.write_bytes(content)
    assert ann.sign_in().status == 200
