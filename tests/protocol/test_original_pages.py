"""The original project's own pages as a client: somebody who still serves them from beside this server can go on.

Every call is made as those pages make it: their paths, their camelCase bodies, the token of the sign-in as a bearer, and
whole records sent back as they were listed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support import build
from support.client import Reply
from support.proxy import MASTER_KEY, PASSWORD, Proxy
from support.upstream import Upstream

Json = dict[str, Any]
Page = Callable[..., Reply]
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    """A proxy of this file alone."""
    providers = [build.provider(shared_upstream.base_url)]
    models = [build.model(), build.model("blind", supportsImageUpload=False)]
    proxy = Proxy.start(tmp_path_factory.mktemp("original"), providers=providers, models=models)
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module")
def token(running: Proxy) -> str:
    """What the original's sign-in page keeps for all its further calls."""
    reply = running.post("/api/admin/login", {"username": "admin", "password": PASSWORD})
    assert reply.status == 200, reply.body
    return str(reply.json["token"])


@pytest.fixture
def page(proxy: Proxy, token: str) -> Page:
    """`page("GET", "/models")`: a call of the original's admin.js."""
    return lambda method, path, body=None: proxy.request(method, "/api/admin" + path, body, token)


@pytest.fixture
def number() -> int:
    """A number that no other test has."""
    return next(numbers)


def made_in_the_page(number: int) -> str:
    """A key as the original page makes one: `sk-` and some 22 characters of base 36."""
    return f"sk-0k3y9made1in2the3page{number:03}"


def created(page: Page, path: str, body: Json) -> Json:
    reply = page("POST", path, body)
    assert reply.status == 201, reply.body
    return dict(reply.json)


def row(page: Page, path: str, id_: str) -> Json | None:
    """One record, as the page's table gets it."""
    reply = page("GET", path)
    assert reply.status == 200, reply.body
    (rows,) = reply.json.values()
    return next((each for each in rows if each["id"] == id_), None)


def new_key(number: int, **fields: object) -> Json:
    given = {"id": f"made-{number}", "key": made_in_the_page(number), "username": "ann", "allowedModels": []}
    return {**given, "enabled": True, **fields}


# Signing in.


@pytest.mark.parametrize("path", ["/api/admin/login", "/api/user/login"])
def test_signing_in_answers_a_token_for_all_further_calls(proxy: Proxy, path: str) -> None:
    reply = proxy.post(path, {"username": "admin", "password": PASSWORD})
    assert reply.status == 200
    assert proxy.get("/api/admin/providers", reply.json["token"]).status == 200


def test_a_person_reads_their_name_and_their_key(proxy: Proxy, page: Page, number: int) -> None:
    key = created(page, "/apikeys", new_key(number, allowedModels=[build.PUBLIC_MODEL]))
    person = {"username": f"ann-{number}", "password": PASSWORD, "apiKeyId": key["id"], "enabled": True}
    created(page, "/users", person)
    token = proxy.post("/api/user/login", {"username": person["username"], "password": PASSWORD}).json["token"]
    me = proxy.get("/api/user/me", token).json
    assert me["user"]["username"] == person["username"]
    assert (me["apiKey"]["name"], me["apiKey"]["allowedModels"]) == (key["name"], [build.PUBLIC_MODEL])
    assert isinstance(me["apiKey"]["key"], str)
    assert me["apiKey"]["key"] != made_in_the_page(number)


def test_only_a_missing_session_is_401(proxy: Proxy, page: Page, number: int) -> None:
    """Any 401 throws the person back to the original's sign-in page, so nothing else may be one."""
    assert proxy.get("/api/admin/models").status == 401
    assert proxy.get("/api/admin/models", "a token of yesterday").status == 401
    assert page("PUT", "/models/unknown", {"name": "x"}).status == 404
    assert page("POST", "/models", {}).status == 400
    assert page("POST", "/models", build.model()).status == 409
    person = {"username": f"ben-{number}", "password": PASSWORD, "apiKeyId": "", "enabled": True}
    created(page, "/users", person)
    token = proxy.post("/api/user/login", {"username": person["username"], "password": PASSWORD}).json["token"]
    assert proxy.get("/api/admin/models", token).status == 403
    wrong = {"currentPassword": "wrong", "newPassword": "another good password"}
    assert proxy.request("PUT", "/api/user/password", wrong, token).status == 400


def test_a_page_that_asks_for_the_master_key_goes_on_without(page: Page) -> None:
    reply = page("GET", "/masterkey")
    assert reply.error["code"] == "not_found"
    assert MASTER_KEY not in reply.body.decode()


# Providers and models.


def test_a_provider_is_added_changed_and_deleted(page: Page, number: int) -> None:
    id_ = f"provider-{number}"
    given = {"id": id_, "name": "A name", "baseUrl": "https://api.example.com/v1", "apiKey": "sk-secret-0123456789"}
    created(page, "/providers", {**given, "enabled": True})
    whole = row(page, "/providers", id_)
    assert whole is not None
    assert whole["baseUrl"] == given["baseUrl"]
    assert given["apiKey"] not in str(whole)
    reply = page("PUT", f"/providers/{id_}", {**whole, "name": "Another", "enabled": False})
    assert (reply.status, reply.json["name"], reply.json["enabled"]) == (200, "Another", False)
    assert page("DELETE", f"/providers/{id_}").json["success"] is True
    assert row(page, "/providers", id_) is None


def test_a_model_with_a_slash_in_its_name_is_changed_and_deleted_under_it(page: Page, number: int) -> None:
    id_ = f"org-{number}/some/name"
    given = {"id": id_, "name": "A name", "providerId": "acme", "enabled": True, "supportsImageUpload": True}
    created(page, "/models", given)
    whole = row(page, "/models", id_)
    assert whole is not None
    assert given.items() <= whole.items()
    reply = page("PUT", f"/models/{id_}", {**whole, "supportsImageUpload": False})
    assert (reply.status, reply.json["supportsImageUpload"]) == (200, False)
    assert page("DELETE", f"/models/{id_}").json["success"] is True
    assert row(page, "/models", id_) is None


def test_the_list_of_models_says_true_or_false_to_images(proxy: Proxy, key: str) -> None:
    """The page compares with `=== true`, for its camera mark and for its guard."""
    models = {each["id"]: each for each in proxy.get("/v1/models", key).json["data"]}
    assert models[build.PUBLIC_MODEL]["supports_image_upload"] is True
    assert models["blind"]["supports_image_upload"] is False


# API keys.


def test_a_key_that_the_page_made_is_the_key(proxy: Proxy, page: Page, number: int) -> None:
    """The person has copied it before it was sent; nobody reads the answer."""
    created(page, "/apikeys", new_key(number))
    assert proxy.get("/v1/models", made_in_the_page(number)).status == 200


def test_every_key_in_the_list_has_a_text_to_cut(page: Page, number: int) -> None:
    """The page calls `key.substring` on each; one key without would leave the whole table empty."""
    created(page, "/apikeys", new_key(number))
    keys = page("GET", "/apikeys").json["apiKeys"]
    assert len(keys) >= 2
    assert all(isinstance(each["key"], str) and each["key"] for each in keys)
    assert made_in_the_page(number) not in str(keys)


def test_a_key_edited_with_its_mask_in_the_field_stays_the_key(proxy: Proxy, page: Page, number: int) -> None:
    created(page, "/apikeys", new_key(number))
    whole = row(page, "/apikeys", f"made-{number}")
    assert whole is not None
    reply = page("PUT", f"/apikeys/made-{number}", {**whole, "username": "ben", "allowedModels": ["blind"]})
    assert (reply.status, reply.json["username"]) == (200, "ben")
    listed = proxy.get("/v1/models", made_in_the_page(number))
    assert [each["id"] for each in listed.json["data"]] == ["blind"]


def test_a_key_is_disabled_and_deleted(proxy: Proxy, page: Page, number: int) -> None:
    created(page, "/apikeys", new_key(number))
    whole = row(page, "/apikeys", f"made-{number}")
    assert page("PUT", f"/apikeys/made-{number}", {**(whole or {}), "enabled": False}).status == 200
    assert proxy.get("/v1/models", made_in_the_page(number)).status == 401
    assert page("DELETE", f"/apikeys/made-{number}").json["success"] is True
    assert row(page, "/apikeys", f"made-{number}") is None


# Users.


def test_a_user_without_id_role_or_email_is_a_user(proxy: Proxy, page: Page, number: int) -> None:
    given = {"username": f"cat-{number}", "password": PASSWORD, "apiKeyId": "", "enabled": True}
    made = created(page, "/users", given)
    assert (bool(made["id"]), made["role"]) == (True, "user")
    assert proxy.post("/api/user/login", {"username": given["username"], "password": PASSWORD}).status == 200


def test_a_user_edited_without_a_new_password_keeps_the_old_one(proxy: Proxy, page: Page, number: int) -> None:
    name = f"dan-{number}"
    made = created(page, "/users", {"username": name, "password": PASSWORD, "apiKeyId": "", "enabled": True})
    key = created(page, "/apikeys", new_key(number))
    whole = row(page, "/users", made["id"])
    assert whole is not None
    reply = page("PUT", f"/users/{made['id']}", {**whole, "password": "", "apiKeyId": key["id"]})
    assert (reply.status, reply.json["apiKeyId"]) == (200, key["id"])
    assert proxy.post("/api/user/login", {"username": name, "password": PASSWORD}).status == 200
    assert page("DELETE", f"/users/{made['id']}").json["success"] is True
    assert proxy.post("/api/user/login", {"username": name, "password": PASSWORD}).status == 401
