"""Signing in and out, sessions by cookie and by bearer, and what a signed-in person may do."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support import build
from support.client import Reply
from support.proxy import MASTER_KEY, PASSWORD, Proxy
from support.upstream import Upstream

Json = dict[str, Any]
OTHER = "another good password"
LEGACY_PASSWORD = "from-the-original"
LEGACY = {
    "id": "u-legacy",
    "username": "Legacy",
    "password": hashlib.sha256(LEGACY_PASSWORD.encode()).hexdigest(),
    "apiKeyId": "",
    "enabled": True,
    "createdAt": 1_700_000_000_000,
}
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    """A proxy that believes the tests when they say where they come from, so that each has an address of its own."""
    proxy = Proxy.start(
        tmp_path_factory.mktemp("accounts"),
        providers=[build.provider(shared_upstream.base_url)],
        models=[build.model(), build.model("org/gpt-slash")],
        env={"TRUSTED_PROXIES": "127.0.0.1/32"},
    )
    yield proxy
    proxy.stop()


@pytest.fixture
def address() -> str:
    return f"192.0.2.{next(numbers)}"


@pytest.fixture
def sign_in(proxy: Proxy, address: str) -> Callable[..., Reply]:
    def sign_in(username: str, password: str = PASSWORD, path: str = "/api/user/login", **headers: str) -> Reply:
        given = [("x-forwarded-for", address), *headers.items()]
        return proxy.post(path, {"username": username, "password": password}, headers=given)

    return sign_in


@pytest.fixture
def person(proxy: Proxy) -> Callable[..., Json]:
    """Makes a user of an own name with PASSWORD."""

    def person(**fields: object) -> Json:
        given = {"username": f"person-{next(numbers)}", "password": PASSWORD, **fields}
        reply = proxy.admin("POST", "/users", given)
        assert reply.status == 201, reply.body
        return dict(reply.json)

    return person


def cookie_of(reply: Reply) -> dict[str, str]:
    """The Cookie header a browser would send from now on."""
    return {"cookie": (reply.header("set-cookie") or "").partition(";")[0]}


def me(proxy: Proxy, token: str | None = None, **headers: str) -> Reply:
    return proxy.get("/api/user/me", token, list(headers.items()))


# Signing in.


def test_a_sign_in_answers_a_token_and_sets_a_cookie(proxy: Proxy, sign_in: Callable[..., Reply]) -> None:
    reply = sign_in("admin", path="/api/admin/login")
    assert reply.status == 200
    assert reply.json["user"] == {
        "id": "admin",
        "username": "admin",
        "email": None,
        "role": "admin",
        "apiKeyId": None,
    }
    name, *attributes = (reply.header("set-cookie") or "").split("; ")
    assert name == f"ipin_session={reply.json['token']}"
    assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Strict"}
    assert reply.header("cache-control") == "no-store"
    assert me(proxy, reply.json["token"]).status == 200
    assert me(proxy, **cookie_of(reply)).status == 200


def test_behind_https_the_cookie_is_secure(sign_in: Callable[..., Reply]) -> None:
    reply = sign_in("admin", **{"x-forwarded-proto": "https"})
    assert "Secure" in (reply.header("set-cookie") or "").split("; ")


def test_user_names_have_no_case(sign_in: Callable[..., Reply], person: Callable[..., Json]) -> None:
    assert sign_in(person()["username"].upper()).status == 200


def test_every_refusal_to_sign_in_is_the_same(sign_in: Callable[..., Reply], person: Callable[..., Json]) -> None:
    user, disabled = person(), person(enabled=False)
    refusals = [
        sign_in(user["username"], "not the password"),
        sign_in("nobody-of-that-name", PASSWORD),
        sign_in(disabled["username"], PASSWORD),
        sign_in(user["username"], PASSWORD, "/api/admin/login"),
    ]
    assert [reply.status for reply in refusals] == [401] * 4
    errors = [reply.error for reply in refusals]
    assert errors[0]["code"] == "invalid_credentials"
    assert errors == [errors[0]] * 4
    assert all(reply.header("set-cookie") is None for reply in refusals)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"password": "x"}, "username"),
        ({"username": "admin"}, "password"),
        ({"username": "admin", "password": ""}, "password"),
        ({"username": ["admin"], "password": "x"}, "username"),
        ({"username": "admin", "password": 12345678}, "password"),
    ],
)
def test_a_sign_in_without_name_or_password_says_which(proxy: Proxy, body: Json, param: str) -> None:
    reply = proxy.post("/api/user/login", body)
    assert (reply.status, reply.error["param"]) == (400, param)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"admin"', b"\xff\xfe", b'{"username":"a","username":"b"}'])
def test_a_sign_in_that_is_no_json_object_is_400(proxy: Proxy, body: bytes) -> None:
    reply = proxy.post("/api/user/login", body)
    assert (reply.status, reply.error["code"]) == (400, "invalid_json")


def test_a_sign_in_as_xml_is_415(proxy: Proxy) -> None:
    assert proxy.post("/api/user/login", b"<a/>", headers=[("content-type", "application/xml")]).status == 415


def test_odd_texts_are_wrong_passwords_and_nothing_more(sign_in: Callable[..., Reply]) -> None:
    assert sign_in("admin", "half \ud83d of a pair").status == 401
    assert sign_in("a" * 10_000).status == 401
    assert sign_in("admin", "x" * 20_000).status == 401


def test_another_site_cannot_sign_a_browser_in(sign_in: Callable[..., Reply]) -> None:
    assert sign_in("admin", origin="https://elsewhere.example").error["code"] == "cross_site_request"
    assert sign_in("admin", **{"sec-fetch-site": "cross-site"}).status == 403


def test_wrong_passwords_slow_down_and_then_even_the_right_one_waits(
    sign_in: Callable[..., Reply], person: Callable[..., Json]
) -> None:
    user = person()
    assert [sign_in(user["username"], "wrong").status for _ in range(5)] == [401] * 5
    reply = sign_in(user["username"], PASSWORD)
    assert reply.status == 429
    assert 1 <= int(reply.header("retry-after") or 0) <= 60
    assert reply.error["type"] == "rate_limit_error"
    assert sign_in("admin").status == 200, "another name from the same address"


def test_many_names_from_one_address_slow_down(sign_in: Callable[..., Reply]) -> None:
    statuses = [sign_in(f"nobody-{number}", "wrong").status for number in range(25)]
    assert statuses == [401] * 20 + [429] * 5


# Sessions.


def test_without_a_session_there_is_nothing_to_see(proxy: Proxy) -> None:
    for headers in ({}, {"cookie": "ipin_session=made-up"}, {"cookie": "ipin_session="}):
        reply = me(proxy, **headers)
        assert (reply.status, reply.error["code"]) == (401, "not_signed_in")
    assert me(proxy, "made-up").status == 401


def test_an_ordinary_user_is_no_administrator(
    proxy: Proxy, sign_in: Callable[..., Reply], person: Callable[..., Json]
) -> None:
    token = sign_in(person()["username"]).json["token"]
    for method, path in (("GET", "/providers"), ("POST", "/users"), ("DELETE", "/apikeys/key-1")):
        reply = proxy.request(method, f"/api/admin{path}", {} if method == "POST" else None, token)
        assert (reply.status, reply.error["type"]) == (403, "permission_error")


def test_promoting_and_demoting_take_effect_at_once(
    proxy: Proxy, sign_in: Callable[..., Reply], person: Callable[..., Json]
) -> None:
    user = person()
    token = sign_in(user["username"]).json["token"]
    proxy.admin("PUT", f"/users/{user['id']}", {"role": "admin"})
    assert proxy.get("/api/admin/users", token).status == 200
    proxy.admin("PUT", f"/users/{user['id']}", {"role": "user"})
    assert proxy.get("/api/admin/users", token).status == 403


@pytest.mark.parametrize("by", ["bearer", "cookie"])
def test_signing_out_ends_the_session(proxy: Proxy, sign_in: Callable[..., Reply], by: str) -> None:
    reply = sign_in("admin")
    token, cookie = reply.json["token"], cookie_of(reply)
    out = proxy.post(
        "/api/logout", None, token if by == "bearer" else None, list(cookie.items()) if by == "cookie" else ()
    )
    assert (out.status, out.json) == (200, {"success": True})
    assert (out.header("set-cookie") or "").startswith("ipin_session=; ")
    assert "Max-Age=0" in (out.header("set-cookie") or "")
    assert me(proxy, token).status == 401
    assert me(proxy, **cookie).status == 401


def test_signing_out_without_a_session_is_fine(proxy: Proxy) -> None:
    assert proxy.post("/api/logout").status == 200


def test_another_site_cannot_sign_a_person_out(proxy: Proxy, sign_in: Callable[..., Reply]) -> None:
    reply = sign_in("admin")
    headers = [*cookie_of(reply).items(), ("sec-fetch-site", "cross-site")]
    assert proxy.post("/api/logout", None, None, headers).status == 403
    assert me(proxy, reply.json["token"]).status == 200


@pytest.mark.parametrize(
    ("method", "change"), [("PUT", {"enabled": False}), ("PUT", {"password": OTHER}), ("DELETE", None)]
)
def test_a_session_dies_with_its_user(
    proxy: Proxy, sign_in: Callable[..., Reply], person: Callable[..., Json], method: str, change: Json | None
) -> None:
    user = person()
    reply = sign_in(user["username"])
    assert proxy.admin(method, f"/users/{user['id']}", change).status == 200
    assert me(proxy, reply.json["token"]).status == 401
    assert me(proxy, **cookie_of(reply)).status == 401


def use_of(proxy: Proxy, key: Json) -> int:
    return proxy.get("/v1/models", key["key"]).status


@pytest.mark.parametrize("is_linked", [True, False], ids=["linked", "named"])
def test_a_key_opens_nothing_while_its_user_is_disabled(
    proxy: Proxy, person: Callable[..., Json], is_linked: bool
) -> None:
    user = person()
    key = proxy.admin(
        "POST", "/apikeys", {"name": "a key", **({} if is_linked else {"username": user["username"]})}
    ).json
    if is_linked:
        proxy.admin("PUT", f"/users/{user['id']}", {"apiKeyId": key["id"]})
    found = [use_of(proxy, key)]
    for enabled in (False, True):
        proxy.admin("PUT", f"/users/{user['id']}", {"enabled": enabled})
        found.append(use_of(proxy, key))
    assert found == [200, 401, 200]


def test_a_shared_key_opens_as_long_as_one_of_its_users_is_enabled(proxy: Proxy, person: Callable[..., Json]) -> None:
    ann, bob = person(), person()
    key = proxy.admin("POST", "/apikeys", {"name": "shared", "username": ann["username"]}).json
    for each in (ann, bob):
        proxy.admin("PUT", f"/users/{each['id']}", {"apiKeyId": key["id"]})
    found = []
    for each in (ann, bob):
        proxy.admin("PUT", f"/users/{each['id']}", {"enabled": False})
        found.append(use_of(proxy, key))
    assert found == [200, 401]


def test_a_key_of_a_deleted_user_is_a_key_like_any_other(proxy: Proxy, person: Callable[..., Json]) -> None:
    user = person()
    key = proxy.admin("POST", "/apikeys", {"name": "left", "username": user["username"]}).json
    proxy.admin("DELETE", f"/users/{user['id']}")
    assert use_of(proxy, key) == 200


def test_a_session_does_not_come_back_when_its_user_is_enabled_again(
    proxy: Proxy, sign_in: Callable[..., Reply], person: Callable[..., Json]
) -> None:
    user = person()
    token = sign_in(user["username"]).json["token"]
    proxy.admin("PUT", f"/users/{user['id']}", {"enabled": False})
    proxy.admin("PUT", f"/users/{user['id']}", {"enabled": True})
    assert me(proxy, token).status == 401


@pytest.mark.parametrize("again", ["import", "page"])
def test_nor_when_an_import_has_disabled_them(
    proxy: Proxy, sign_in: Callable[..., Reply], person: Callable[..., Json], again: str
) -> None:
    user = person()
    token = sign_in(user["username"]).json["token"]
    before = proxy.admin("GET", "/export?secrets=1").json
    users = [{**each, "enabled": each["id"] != user["id"]} for each in before["users"]]
    assert proxy.admin("POST", "/import", {**before, "users": users}).status == 200
    if again == "import":
        assert proxy.admin("POST", "/import", before).status == 200
    else:
        assert proxy.admin("PUT", f"/users/{user['id']}", {"enabled": True}).status == 200
    assert me(proxy, token).status == 401
    assert sign_in(user["username"]).status == 200


def test_a_session_survives_other_changes_of_its_user(
    proxy: Proxy, sign_in: Callable[..., Reply], person: Callable[..., Json]
) -> None:
    user = person()
    token = sign_in(user["username"]).json["token"]
    changes = {"email": "person@example.com", "password": "", "enabled": True}
    assert proxy.admin("PUT", f"/users/{user['id']}", changes).status == 200
    assert me(proxy, token).json["user"]["email"] == "person@example.com"


# What a person sees and changes of themselves.


def test_me_shows_the_linked_key_masked(
    proxy: Proxy, sign_in: Callable[..., Reply], person: Callable[..., Json]
) -> None:
    key = "sk-linked-0123456789-abcdef"
    proxy.add_key(key, "key-of-me", allowedModels=["gpt-public"])
    user = person(apiKeyId="key-of-me")
    found = me(proxy, sign_in(user["username"]).json["token"]).json
    assert found["user"]["username"] == user["username"]
    assert found["user"]["apiKeyId"] == "key-of-me"
    assert found["apiKey"]["allowedModels"] == ["gpt-public"]
    assert found["apiKey"]["key"] == "sk-li...cdef"
    assert "usage" in found
    assert key not in json.dumps(found)
    assert "assword" not in json.dumps(found)


def test_me_without_a_key_says_so(proxy: Proxy, sign_in: Callable[..., Reply], person: Callable[..., Json]) -> None:
    assert me(proxy, sign_in(person()["username"]).json["token"]).json["apiKey"] is None


def test_a_new_password_ends_the_old_sessions_and_begins_one(
    proxy: Proxy, sign_in: Callable[..., Reply], person: Callable[..., Json]
) -> None:
    name = person()["username"]
    here, elsewhere = sign_in(name), sign_in(name)
    body = {"currentPassword": PASSWORD, "newPassword": OTHER}
    reply = proxy.request("PUT", "/api/user/password", body, None, list(cookie_of(here).items()))
    assert (reply.status, reply.json["success"]) == (200, True)
    assert [me(proxy, each.json["token"]).status for each in (here, elsewhere, reply)] == [401, 401, 200]
    assert me(proxy, **cookie_of(reply)).status == 200
    assert sign_in(name, PASSWORD).status == 401
    assert sign_in(name, OTHER).status == 200


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"currentPassword": "wrong", "newPassword": OTHER}, "currentPassword"),
        ({"newPassword": OTHER}, "currentPassword"),
        ({"currentPassword": PASSWORD}, "newPassword"),
        ({"currentPassword": PASSWORD, "newPassword": "short"}, "newPassword"),
        ({"currentPassword": PASSWORD, "newPassword": 123456789}, "newPassword"),
    ],
)
def test_a_password_is_not_changed_by_a_bad_request(
    proxy: Proxy, sign_in: Callable[..., Reply], person: Callable[..., Json], body: Json, param: str
) -> None:
    name = person()["username"]
    token = sign_in(name).json["token"]
    reply = proxy.request("PUT", "/api/user/password", body, token)
    assert (reply.status, reply.error["param"]) == (400, param)
    assert me(proxy, token).status == 200
    assert sign_in(name, PASSWORD).status == 200


def test_guessing_the_current_password_slows_down_too(
    proxy: Proxy, sign_in: Callable[..., Reply], person: Callable[..., Json], address: str
) -> None:
    token = sign_in(person()["username"]).json["token"]
    body = {"currentPassword": "wrong", "newPassword": OTHER}
    where = [("x-forwarded-for", address)]
    statuses = [proxy.request("PUT", "/api/user/password", body, token, where).status for _ in range(6)]
    assert statuses == [400] * 5 + [429]


def test_a_password_of_the_original_server_works_and_is_hashed_anew(
    start_proxy: Callable[..., Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = build.database
    monkeypatch.setattr(build, "database", lambda **given: {**original(**given), "users": [LEGACY]})
    proxy = start_proxy()
    file = proxy.folder / "ipin-proxy.db"

    def sign_in(password: str) -> int:
        return proxy.post("/api/user/login", {"username": "legacy", "password": password}).status

    def stored() -> str:
        users = json.loads(file.read_text())["users"]
        return str(next(user for user in users if user["id"] == "u-legacy")["passwordHash"])

    assert stored().startswith("sha256$")
    assert sign_in("wrong") == 401
    assert stored().startswith("sha256$")
    assert sign_in(LEGACY_PASSWORD) == 200
    assert stored().startswith("scrypt$")
    assert sign_in(LEGACY_PASSWORD) == 200
    assert sign_in("wrong") == 401
    assert proxy.post("/api/admin/login", {"username": "legacy", "password": LEGACY_PASSWORD}).status == 401


# Cookies and other sites.

FROM_ELSEWHERE = [
    ("sec-fetch-site", "cross-site"),
    ("sec-fetch-site", "same-site"),
    ("origin", "https://elsewhere.example"),
    ("origin", "null"),
]


@pytest.mark.parametrize("sign", FROM_ELSEWHERE)
def test_another_sites_page_cannot_change_anything(
    proxy: Proxy, sign_in: Callable[..., Reply], sign: tuple[str, str]
) -> None:
    cookie = cookie_of(sign_in("admin"))
    body = {"id": "crossed", "baseUrl": "https://provider.example/v1"}
    reply = proxy.post("/api/admin/providers", body, None, [*cookie.items(), sign])
    assert (reply.status, reply.error["code"]) == (403, "cross_site_request")
    assert proxy.admin("GET", "/providers/crossed").status == 404


@pytest.mark.parametrize("sign", FROM_ELSEWHERE)
def test_another_sites_page_cannot_spend_a_persons_key(
    proxy: Proxy, upstream: Upstream, sign_in: Callable[..., Reply], sign: tuple[str, str]
) -> None:
    cookie = cookie_of(sign_in("admin"))
    for method, path, body in (("POST", "/v1/chat/completions", build.hello()), ("GET", "/v1/models", None)):
        reply = proxy.request(method, path, body, None, [*cookie.items(), sign])
        assert (reply.status, reply.error["code"]) == (403, "cross_site_request")
    assert upstream.history == []


def test_our_own_page_can(proxy: Proxy, sign_in: Callable[..., Reply], person: Callable[..., Json]) -> None:
    cookie = cookie_of(sign_in("admin"))
    user = person()
    for sign in (("sec-fetch-site", "same-origin"), ("origin", proxy.base_url), ("accept", "*/*")):
        reply = proxy.request(
            "PUT", f"/api/admin/users/{user['id']}", {"email": "a@b.c"}, None, [*cookie.items(), sign]
        )
        assert reply.status == 200


@pytest.mark.parametrize("sign", [("sec-fetch-mode", "cors"), *FROM_ELSEWHERE])
def test_a_bearer_is_good_wherever_it_comes_from(
    proxy: Proxy, upstream: Upstream, sign_in: Callable[..., Reply], sign: tuple[str, str]
) -> None:
    token = sign_in("admin").json["token"]
    assert proxy.request("PUT", "/api/admin/users/admin", {}, token, [sign]).status == 200
    upstream.will_answer(200, build.completion())
    assert proxy.post("/v1/chat/completions", build.hello(), MASTER_KEY, [sign]).status == 200


def test_a_wrong_key_is_not_made_good_by_a_cookie(proxy: Proxy, sign_in: Callable[..., Reply]) -> None:
    cookie = list(cookie_of(sign_in("admin")).items())
    assert proxy.get("/v1/models", "sk-wrong-wrong-wrong", cookie).status == 401
    assert proxy.get("/api/user/me", "wrong-token", cookie).status == 401


def test_a_session_token_is_no_api_key(proxy: Proxy, sign_in: Callable[..., Reply]) -> None:
    reply = proxy.get("/v1/models", sign_in("admin").json["token"])
    assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")


# A signed-in person on /v1.


def test_an_administrator_may_use_everything(proxy: Proxy, upstream: Upstream, sign_in: Callable[..., Reply]) -> None:
    cookie = list(cookie_of(sign_in("admin")).items())
    upstream.will_answer(200, build.completion())
    reply = proxy.post("/v1/chat/completions", build.hello(), None, cookie)
    assert reply.status == 200
    id_ = reply.header("x-request-id")
    (line,) = proxy.log_lines(lambda line: line.get("event") == "call" and line.get("request_id") == id_)
    assert (line["caller"], line["status"]) == ("admin", 200)


def test_others_may_use_what_their_key_may(
    proxy: Proxy, upstream: Upstream, sign_in: Callable[..., Reply], person: Callable[..., Json]
) -> None:
    proxy.add_key("sk-narrow-0123456789-abcdef", "key-narrow", allowedModels=["gpt-public"])
    cookie = list(cookie_of(sign_in(person(apiKeyId="key-narrow")["username"])).items())
    listed = proxy.get("/v1/models", None, cookie)
    assert [model["id"] for model in listed.json["data"]] == ["gpt-public"]
    upstream.will_answer(200, build.completion())
    assert proxy.post("/v1/chat/completions", build.hello(), None, cookie).status == 200
    refused = proxy.post("/v1/chat/completions", build.hello(model="org/gpt-slash"), None, cookie)
    assert (refused.status, refused.error["code"]) == (403, "model_not_allowed")


@pytest.mark.parametrize(
    "key", [None, {"enabled": False}, {"expiresAt": "2020-01-01"}], ids=["none", "disabled", "expired"]
)
def test_without_a_usable_key_it_is_a_clear_403(
    proxy: Proxy, sign_in: Callable[..., Reply], person: Callable[..., Json], key: Json | None
) -> None:
    link = {}
    if key is not None:
        id_ = f"key-useless-{next(numbers)}"
        proxy.add_key(f"sk-useless-0123456789-{id_}", id_, **key)
        link = {"apiKeyId": id_}
    user = person(**link)
    reply = proxy.get("/v1/models", None, list(cookie_of(sign_in(user["username"])).items()))
    assert (reply.status, reply.error["code"]) == (403, "no_linked_key")
    assert user["username"] in reply.error["message"]


# What is written down.


def test_neither_passwords_nor_tokens_are_logged(
    proxy: Proxy, sign_in: Callable[..., Reply], person: Callable[..., Json]
) -> None:
    name = person()["username"]
    token = sign_in(name).json["token"]
    sign_in(name, "a wrong password indeed")
    proxy.request("PUT", "/api/user/password", {"currentPassword": PASSWORD, "newPassword": OTHER}, token)
    proxy.log_lines(lambda line: line.get("event") == "password_changed" and line.get("actor") == name)
    for secret in (PASSWORD, OTHER, "a wrong password indeed", token):
        assert secret not in proxy.output
