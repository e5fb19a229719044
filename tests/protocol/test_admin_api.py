"""Providers, models, keys and users over the admin API: the rules every record follows, and each one's own."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from support import build
from support.client import Reply
from support.proxy import MASTER_KEY, PASSWORD, Proxy
from support.upstream import Upstream

Json = dict[str, Any]
Admin = Callable[..., Reply]
URL = "https://provider.example/v1"
SECRET = "provider-secret-0123456789-wxyz"
OFFERED_SECRET = "sk-offered-0123456789-abcdef"
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    """A proxy of this file alone, whose environment offers two providers."""
    proxy = Proxy.start(
        tmp_path_factory.mktemp("admin"),
        providers=[build.provider(shared_upstream.base_url)],
        models=[build.model()],
        env={"OPENAI_API_KEY": OFFERED_SECRET, "GROQ_API_KEY": OFFERED_SECRET, "SPARE_API_KEY": "spare-0123456789"},
    )
    yield proxy
    proxy.stop()


@pytest.fixture
def admin(proxy: Proxy) -> Admin:
    return proxy.admin


@pytest.fixture
def id_() -> str:
    """An id that no other test has."""
    return f"id-{next(numbers)}"


def provider(id_: str, **fields: object) -> Json:
    return {"id": id_, "baseUrl": URL, "apiKey": SECRET, **fields}


def model(id_: str, **fields: object) -> Json:
    return {"id": id_, "providerId": "acme", **fields}


def secret_of(id_: str) -> str:
    return f"sk-given-0123456789-{id_}"


def key(id_: str, **fields: object) -> Json:
    return {"id": id_, "key": secret_of(id_), **fields}


def user(id_: str, **fields: object) -> Json:
    return {"id": id_, "username": f"name-{id_}", "password": PASSWORD, **fields}


KINDS = pytest.mark.parametrize(
    ("path", "member", "made", "change"),
    [
        ("/providers", "providers", provider, {"name": "Another name"}),
        ("/models", "models", model, {"name": "Another name"}),
        ("/apikeys", "apiKeys", key, {"name": "Another name"}),
        ("/users", "users", user, {"email": "somebody@example.com"}),
    ],
    ids=["providers", "models", "keys", "users"],
)


def added(admin: Admin, path: str, record: Json) -> Json:
    reply = admin("POST", path, record)
    assert reply.status == 201, reply.body
    return dict(reply.json)


def listed(admin: Admin, path: str, id_: str) -> Json | None:
    """A record as the list shows it."""
    (rows,) = admin("GET", path).json.values()
    return next((row for row in rows if row["id"] == id_), None)


def stored(proxy: Proxy, member: str, id_: str) -> Json:
    """A record as the database file has it."""
    rows = json.loads((proxy.folder / "ipin-proxy.db").read_text())[member]
    return dict(next(row for row in rows if row["id"] == id_))


def refused(reply: Reply, status: int, param: str | None = None) -> str:
    """Checks a refusal; its message."""
    assert (reply.status, reply.error["param"]) == (status, param), reply.body
    return str(reply.error["message"])


# What holds for every record.


@KINDS
def test_a_record_is_made_read_changed_and_deleted(
    admin: Admin, proxy: Proxy, id_: str, path: str, member: str, made: Any, change: Json
) -> None:
    created = added(admin, path, made(id_))
    assert created["id"] == id_
    assert created["enabled"] is True
    assert isinstance(created["createdAt"], int)

    row = listed(admin, path, id_)
    assert row is not None
    assert admin("GET", f"{path}/{id_}").json == row

    reply = admin("PUT", f"{path}/{id_}", change)
    assert (reply.status, reply.json) == (200, {**row, **change})
    assert listed(admin, path, id_) == {**row, **change}
    assert change.items() <= stored(proxy, member, id_).items()

    reply = admin("DELETE", f"{path}/{id_}")
    assert (reply.status, reply.json["success"]) == (200, True)
    assert listed(admin, path, id_) is None
    for method, body in (("GET", None), ("PUT", change), ("DELETE", None)):
        message = refused(admin(method, f"{path}/{id_}", body), 404)
        assert id_ in message


@KINDS
def test_an_id_is_taken_once_and_never_changed(
    admin: Admin, id_: str, path: str, member: str, made: Any, change: Json
) -> None:
    other = f"{id_}-other"
    added(admin, path, made(id_))
    added(admin, path, made(other))
    again = {**made(f"{id_}-new"), "id": id_}
    refused(admin("POST", path, again), 409, "id")
    refused(admin("PUT", f"{path}/{id_}", {"id": other}), 409, "id")
    refused(admin("PUT", f"{path}/{id_}", {"id": f"{id_}-renamed"}), 400, "id")
    assert admin("PUT", f"{path}/{id_}", {"id": id_, **change}).status == 200


@KINDS
def test_a_whole_record_can_be_sent_back_as_it_was_listed(
    admin: Admin, proxy: Proxy, id_: str, path: str, member: str, made: Any, change: Json
) -> None:
    added(admin, path, made(id_))
    before = stored(proxy, member, id_)
    row = listed(admin, path, id_)
    assert row is not None
    reply = admin("PUT", f"{path}/{id_}", row)
    assert (reply.status, reply.json) == (200, row)
    assert stored(proxy, member, id_) == before


@KINDS
def test_what_nobody_here_knows_is_kept(
    admin: Admin, proxy: Proxy, id_: str, path: str, member: str, made: Any, change: Json
) -> None:
    added(admin, path, {**made(id_), "noteOfTomorrow": {"deep": [1, None]}})
    admin("PUT", f"{path}/{id_}", change)
    assert stored(proxy, member, id_)["noteOfTomorrow"] == {"deep": [1, None]}


@KINDS
def test_what_only_the_server_sets_is_not_taken_from_a_body(
    admin: Admin, id_: str, path: str, member: str, made: Any, change: Json
) -> None:
    ours = {"createdAt": 5, "lastUsedAt": 5, "keyHash": "0" * 64, "keyHint": "x", "passwordHash": "scrypt$x"}
    created = added(admin, path, {**made(id_), **ours})
    assert created["createdAt"] > 1_600_000_000_000
    changed = admin("PUT", f"{path}/{id_}", ours).json
    assert changed["createdAt"] == created["createdAt"]


@KINDS
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"id":"a","id":"b"}', b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_400(
    admin: Admin, path: str, member: str, made: Any, change: Json, body: bytes
) -> None:
    for method, where in (("POST", path), ("PUT", f"{path}/anything")):
        reply = admin(method, where, body)
        assert (reply.status, reply.error["code"]) == (400, "invalid_json")


@KINDS
def test_a_value_that_json_cannot_hold_is_400(
    admin: Admin, id_: str, path: str, member: str, made: Any, change: Json
) -> None:
    body = json.dumps(made(id_))[:-1].encode() + b',"size":1e999}'
    assert admin("POST", path, body).status == 400
    assert admin("GET", f"{path}/{id_}").status == 404


@pytest.mark.parametrize(
    ("path", "record", "param"),
    [
        ("/providers", {"baseUrl": URL}, "id"),
        ("/providers", {"id": "x1"}, "baseUrl"),
        ("/providers", {"id": "x1", "baseUrl": "ftp://provider.example"}, "baseUrl"),
        ("/providers", {"id": "x1", "baseUrl": "https://u:p@provider.example"}, "baseUrl"),
        ("/providers", {"id": "x1", "baseUrl": URL, "type": "mystery"}, "type"),
        ("/providers", {"id": "x1", "baseUrl": URL, "enabled": "yes"}, "enabled"),
        ("/providers", {"id": "x1", "baseUrl": URL, "timeoutSeconds": -1}, "timeoutSeconds"),
        ("/providers", {"id": "x1", "baseUrl": URL, "headers": {"Host": "x"}}, "headers"),
        ("/providers", {"id": "x1", "baseUrl": URL, "auth": "magic"}, "auth"),
        ("/providers", {"id": "x1", "baseUrl": URL, "apiKey": ["k"]}, "apiKey"),
        ("/providers", {"id": "x1", "baseUrl": URL, "apiKey": "sk-ab...wxyz"}, "apiKey"),
        ("/providers", {"id": "x1", "baseUrl": URL, "apiKey": "env:MASTER_API_KEY"}, "apiKey"),
        ("/providers", {"id": "x1", "baseUrl": URL, "apiKey": "env:PATH"}, "apiKey"),
        ("/providers", {"id": "x1", "baseUrl": URL, "apiKey": "file:../../etc/passwd"}, "apiKey"),
        ("/providers", {"id": "x1", "baseUrl": URL, "apiKey": "file:/etc/passwd"}, "apiKey"),
        ("/providers", {"id": "x1", "baseUrl": URL, "apiKey": "file:/run/secrets"}, "apiKey"),
        ("/providers/test", {"baseUrl": URL, "apiKey": "file:/etc/passwd"}, "apiKey"),
        ("/providers/models", {"baseUrl": URL, "apiKey": "file:/etc/passwd"}, "apiKey"),
        ("/providers", {"id": "a/b", "baseUrl": URL}, "id"),
        ("/providers", {"id": "v1", "baseUrl": URL}, "id"),
        ("/providers", {"id": "Admin", "baseUrl": URL}, "id"),
        ("/models", {"providerId": "acme"}, "id"),
        ("/models", {"id": "x1"}, "providerId"),
        ("/models", {"id": "x1", "providerId": "nobody"}, "providerId"),
        ("/models", {"id": "x1", "providerId": "acme", "type": "telepathy"}, "type"),
        ("/models", {"id": "x1", "providerId": "acme", "price": {"input": -1}}, "price.input"),
        (
            "/models",
            {"id": "x1", "providerId": "acme", "deployments": [{"providerId": "nobody"}]},
            "deployments[0].providerId",
        ),
        ("/apikeys", {"key": "too-short"}, "key"),
        ("/apikeys", {"key": "with a blank in the middle"}, "key"),
        ("/apikeys", {"key": "ümläute-gehören-hier-nicht-her"}, "key"),
        ("/apikeys", {"key": 1234567890123456}, "key"),
        ("/apikeys", {"key": "sk-abcdefghijkl...wxyz"}, "key"),
        ("/apikeys", {"allowedModels": "gpt-public"}, "allowedModels"),
        ("/apikeys", {"rpm": 0}, "rpm"),
        ("/apikeys", {"expiresAt": "tomorrow"}, "expiresAt"),
        ("/apikeys", {"allowedIps": ["10.0.0.0/33"]}, "allowedIps[0]"),
        ("/apikeys", {"budgets": [{"usd": -5}]}, "budgets[0].usd"),
        ("/apikeys", {"budgets": [{"usd": 10**400}]}, "budgets[0].usd"),
        ("/users", {"password": PASSWORD}, "username"),
        ("/users", {"username": "", "password": PASSWORD}, "username"),
        ("/users", {"username": "x1"}, "password"),
        ("/users", {"username": "x1", "password": ""}, "password"),
        ("/users", {"username": "x1", "password": "short"}, "password"),
        ("/users", {"username": "x1", "password": 1234567890}, "password"),
        ("/users", {"username": "x1", "password": PASSWORD, "role": "king"}, "role"),
        ("/users", {"username": "x1", "password": PASSWORD, "apiKeyId": "nothing"}, "apiKeyId"),
    ],
)
def test_a_field_that_is_missing_or_malformed_is_named(admin: Admin, path: str, record: Json, param: str) -> None:
    reply = admin("POST", path, record)
    message = refused(reply, 400, param)
    for secret in ("short", PASSWORD, "too-short", "with a blank"):
        assert secret not in message


def test_other_methods_are_not_allowed(admin: Admin) -> None:
    for path in ("/providers", "/models", "/apikeys", "/users"):
        reply = admin("DELETE", path)
        assert (reply.status, reply.error["code"]) == (405, "method_not_allowed")
        assert {"GET", "POST"} <= set((reply.header("allow") or "").split(", "))


def test_only_administrators_come_in(proxy: Proxy, key: str) -> None:
    for credential in (None, key, "nonsense"):
        assert proxy.get("/api/admin/providers", credential).status == 401


def test_answers_are_not_cached(admin: Admin) -> None:
    assert admin("GET", "/providers").header("cache-control") == "no-store"


def test_every_change_is_a_line_in_the_log(admin: Admin, proxy: Proxy, id_: str) -> None:
    admin("POST", "/providers", provider(id_))
    admin("PUT", f"/providers/{id_}", {"name": "x"})
    admin("DELETE", f"/providers/{id_}")
    proxy.log_lines(lambda line: line.get("id") == id_ and line.get("action") == "delete")  # the last one is out
    lines = proxy.log_lines(lambda line: line.get("event") == "admin" and line.get("id") == id_)
    assert [(line["action"], line["resource"], line["actor"], line["address"]) for line in lines] == [
        (action, "providers", "admin", "127.0.0.1") for action in ("create", "update", "delete")
    ]
    assert SECRET not in proxy.output


# Providers.


def test_a_providers_key_is_shown_as_a_mask(admin: Admin, proxy: Proxy, id_: str) -> None:
    created = added(admin, "/providers", provider(id_, headers={"X-Api-Key": SECRET, "X-Title": "us"}))
    assert created["apiKey"] == "provi...wxyz"
    assert created["headers"] == {"X-Api-Key": "provi...wxyz", "X-Title": "us"}
    assert created["source"] == "database"
    assert SECRET not in admin("GET", "/providers").body.decode()
    assert stored(proxy, "providers", id_)["apiKey"] == SECRET
    assert "source" not in stored(proxy, "providers", id_)


@pytest.mark.parametrize(
    "change", [{}, {"apiKey": ""}, {"apiKey": None}, {"apiKey": "provi...wxyz"}, {"apiKey": "•••"}]
)
def test_a_key_that_is_not_entered_again_stays(admin: Admin, proxy: Proxy, id_: str, change: Json) -> None:
    added(admin, "/providers", provider(id_))
    assert admin("PUT", f"/providers/{id_}", {"name": "x", **change}).status == 200
    assert stored(proxy, "providers", id_)["apiKey"] == SECRET


def test_a_key_that_is_entered_takes_the_others_place(admin: Admin, proxy: Proxy, id_: str) -> None:
    added(admin, "/providers", provider(id_))
    admin("PUT", f"/providers/{id_}", {"apiKey": "another-secret-0123456789"})
    assert stored(proxy, "providers", id_)["apiKey"] == "another-secret-0123456789"


def test_the_mask_of_a_header_stands_for_the_stored_one_and_for_nothing_else(
    admin: Admin, proxy: Proxy, id_: str
) -> None:
    masked = {"X-Api-Key": "provi...wxyz"}
    refused(admin("POST", "/providers", provider(id_, headers=masked)), 400, "headers")
    added(admin, "/providers", provider(id_, headers={"X-Api-Key": SECRET, "X-Title": "us"}))
    refused(admin("PUT", f"/providers/{id_}", {"headers": {"X-Other-Key": "provi...wxyz"}}), 400, "headers")
    assert admin("PUT", f"/providers/{id_}", {"headers": {**masked, "X-Title": "us..."}}).status == 200
    assert stored(proxy, "providers", id_)["headers"] == {"X-Api-Key": SECRET, "X-Title": "us..."}


def test_a_key_that_is_entered_is_no_file_outside_of_the_secrets_folder(admin: Admin, id_: str) -> None:
    added(admin, "/providers", provider(id_))
    for change in ({"apiKey": "file:/etc/passwd"}, {"apiKey": "file:/run/secrets-of-others/x"}):
        refused(admin("PUT", f"/providers/{id_}", change), 400, "apiKey")
        refused(admin("POST", "/providers/test", {"id": id_, **change}), 400, "apiKey")
    assert admin("PUT", f"/providers/{id_}", {"apiKey": "file:/run/secrets/acme"}).status == 200


@pytest.mark.parametrize("secret", [SECRET, "env:SPARE_API_KEY", "file:spare"])
@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/v1",
        "http://provider.example/v1",
        "https://provider.example:8443/v1",
        "https://provider.example.elsewhere.example/v1",
    ],
)
def test_a_stored_key_never_moves_to_another_server(
    admin: Admin, proxy: Proxy, id_: str, secret: str, url: str
) -> None:
    added(admin, "/providers", provider(id_, apiKey=secret))
    for change in ({}, {"apiKey": ""}, {"apiKey": "provi...wxyz"}, {"auth": "none"}, {"type": "demo"}):
        refused(admin("PUT", f"/providers/{id_}", {"baseUrl": url, **change}), 400, "apiKey")
    assert stored(proxy, "providers", id_)["baseUrl"] == URL
    assert admin("PUT", f"/providers/{id_}", {"baseUrl": url, "apiKey": "entered-again-0123456789"}).status == 200


def test_nor_does_a_stored_header_that_is_a_secret(admin: Admin, id_: str) -> None:
    added(admin, "/providers", provider(id_, headers={"X-Api-Key": SECRET, "X-Title": "us"}))
    move = {"baseUrl": "https://elsewhere.example/v1", "apiKey": "entered-again-0123456789"}
    for headers in ({}, {"headers": {"X-Api-Key": "provi...wxyz"}}, {"headers": {"x-api-key": "..."}}):
        refused(admin("PUT", f"/providers/{id_}", {**move, **headers}), 400, "headers")
    entered = {"headers": {"X-Api-Key": "entered-again", "X-Title": "us"}}
    assert admin("PUT", f"/providers/{id_}", {**move, **entered}).status == 200


@pytest.mark.parametrize("url", [f"{URL}/", "https://PROVIDER.example:443/v2", "https://provider.example/v1?version=2"])
def test_moving_within_a_server_needs_no_key(admin: Admin, id_: str, url: str) -> None:
    added(admin, "/providers", provider(id_))
    assert admin("PUT", f"/providers/{id_}", {"baseUrl": url}).status == 200


def test_a_key_in_the_query_of_a_base_url_is_a_mask_and_stays(admin: Admin, proxy: Proxy, id_: str) -> None:
    url = f"{URL}?api-version=2024-10-21&key={SECRET}"
    shown = added(admin, "/providers", {"id": id_, "baseUrl": url})
    assert shown["baseUrl"] == f"{URL}?api-version=2024-10-21&key=provi...wxyz"
    assert SECRET not in admin("GET", "/providers").body.decode()
    for path in ("?key=provi...wxyz", "/chat?key=provi...wxyz&api-version=2025-01-01"):
        changed = admin("PUT", f"/providers/{id_}", {**shown, "baseUrl": URL + path})
        assert (changed.status, changed.json["baseUrl"]) == (200, URL + path)
        assert stored(proxy, "providers", id_)["baseUrl"] == URL + path.replace("provi...wxyz", SECRET)
    elsewhere = "https://elsewhere.example/v1?key="
    for path, method in ((f"/providers/{id_}", "PUT"), ("/providers/test", "POST")):
        refused(admin(method, path, {**shown, "baseUrl": f"{elsewhere}provi...wxyz"}), 400, "baseUrl")
    refused(admin("POST", "/providers", {"id": f"{id_}-2", "baseUrl": f"{elsewhere}provi...wxyz"}), 400, "baseUrl")
    assert admin("PUT", f"/providers/{id_}", {"baseUrl": f"{elsewhere}entered-again"}).status == 200


def test_a_provider_without_secrets_moves_freely(admin: Admin, id_: str) -> None:
    added(admin, "/providers", {"id": id_, "baseUrl": "http://localhost:11434"})
    assert admin("PUT", f"/providers/{id_}", {"baseUrl": "http://localhost:8000"}).json["apiKey"] is None


def test_a_reference_is_shown_as_it_is(admin: Admin, id_: str) -> None:
    assert added(admin, "/providers", provider(id_, apiKey="env:SPARE_API_KEY"))["apiKey"] == "env:SPARE_API_KEY"
    refused(admin("PUT", f"/providers/{id_}", {"apiKey": "env:MASTER_API_KEY"}), 400, "apiKey")


def test_deleting_a_provider_deletes_its_models(admin: Admin, id_: str) -> None:
    added(admin, "/providers", provider(id_))
    mine = [f"{id_}/one", f"{id_}/two"]
    for name in mine:
        added(admin, "/models", model(name, providerId=id_))
    shared = f"{id_}/shared"
    rows = [{"providerId": id_}, {"providerId": "acme", "upstreamModel": "m"}]
    added(admin, "/models", model(shared, deployments=rows))
    assert admin("DELETE", f"/providers/{id_}").json == {"success": True, "deletedModels": mine}
    assert [listed(admin, "/models", name) for name in mine] == [None, None]
    left = listed(admin, "/models", shared)
    assert left is not None
    assert [row["providerId"] for row in left["deployments"]] == ["acme"]


def test_what_the_environment_offers_is_listed_and_can_be_stored(admin: Admin, proxy: Proxy) -> None:
    offer = listed(admin, "/providers", "openai")
    assert offer is not None
    assert (offer["source"], offer["apiKey"]) == ("environment", "env:OPENAI_API_KEY")
    assert admin("GET", "/providers/openai").json == offer
    added(admin, "/models", model("gpt-offered", providerId="openai"))
    assert "OPENAI_API_KEY" in refused(admin("DELETE", "/providers/openai"), 409)
    refused(admin("PUT", "/providers/openai", {"baseUrl": "https://elsewhere.example/v1"}), 400, "apiKey")

    changed = admin("PUT", "/providers/openai", {"name": "Ours"}).json
    assert (changed["source"], changed["name"], changed["baseUrl"]) == ("database", "Ours", offer["baseUrl"])
    assert stored(proxy, "providers", "openai")["apiKey"] == "env:OPENAI_API_KEY"
    assert OFFERED_SECRET not in (proxy.folder / "ipin-proxy.db").read_text()

    assert admin("DELETE", "/providers/openai").json == {"success": True, "deletedModels": ["gpt-offered"]}
    assert listed(admin, "/providers", "openai") == offer


def test_a_change_is_in_force_at_once(admin: Admin, proxy: Proxy, upstream: Upstream, id_: str, key: str) -> None:
    added(admin, "/providers", provider(id_, baseUrl=upstream.base_url))
    added(admin, "/models", model(f"{id_}/m", providerId=id_, upstreamModel="m"))
    upstream.will_answer(200, build.completion())
    assert proxy.post("/v1/chat/completions", build.hello(model=f"{id_}/m"), key).status == 200
    assert upstream.history[-1].header("authorization") == f"Bearer {SECRET}"
    admin("PUT", f"/models/{id_}/m", {"enabled": False})
    assert proxy.post("/v1/chat/completions", build.hello(model=f"{id_}/m"), key).status == 404


# Models.


@pytest.mark.parametrize(
    "name", ["org/model", "a/b/c", "model:latest", "mödel mit blank", "50%-off", "a?b#c", "..", "%2F"]
)
def test_any_name_can_be_a_model(admin: Admin, id_: str, name: str) -> None:
    name = f"{id_}/{name}"
    added(admin, "/models", model(name))
    encoded = f"/models/{quote(name, safe='')}"
    assert admin("GET", encoded).json["id"] == name
    assert admin("PUT", encoded, {"name": "Shown"}).json["name"] == "Shown"
    assert admin("DELETE", encoded).status == 200
    assert listed(admin, "/models", name) is None


def test_a_slash_may_stand_as_it_is(admin: Admin, id_: str) -> None:
    added(admin, "/models", model(f"{id_}/large"))
    assert admin("PUT", f"/models/{id_}/large", {"type": "ocr"}).json["type"] == "ocr"
    assert admin("DELETE", f"/models/{id_}/large").status == 200


def test_a_model_whose_provider_is_gone_can_still_be_changed(
    start_proxy: Callable[..., Proxy], upstream: Upstream
) -> None:
    proxy = start_proxy(models=[build.model("orphan", "nobody")])
    assert proxy.admin("PUT", "/models/orphan", {"enabled": False}).status == 200
    refused(proxy.admin("PUT", "/models/orphan", {"providerId": "nobody-else"}), 400, "providerId")
    assert proxy.admin("PUT", "/models/orphan", {"providerId": "acme"}).status == 200


def test_null_puts_a_member_back(admin: Admin, id_: str) -> None:
    added(admin, "/models", model(id_, upstreamModel="m", price={"input": 1}, type="ocr"))
    changed = admin("PUT", f"/models/{id_}", {"upstreamModel": None, "price": None, "type": None}).json
    assert (changed["upstreamModel"], changed["price"], changed["type"]) == (None, None, "chat")


# Keys.


def test_a_key_is_made_and_shown_once(admin: Admin, proxy: Proxy) -> None:
    created = added(admin, "/apikeys", {"name": "Made", "username": "ann"})
    key = created["key"]
    assert key.startswith("sk-") and len(key) >= 40
    assert proxy.get("/v1/models", key).status == 200
    row = listed(admin, "/apikeys", created["id"])
    assert row is not None
    assert row["key"] == f"{key[:5]}...{key[-4:]}"
    assert row["key"].isascii()
    changed = admin("PUT", f"/apikeys/{created['id']}", {"name": "Named"})
    assert changed.json["key"] == row["key"]
    assert not {"keyHash", "keyHint"} & {*created, *row}
    assert key not in (proxy.folder / "ipin-proxy.db").read_text()
    assert key not in proxy.output


def test_a_key_that_the_page_made_is_taken(admin: Admin, proxy: Proxy, id_: str) -> None:
    given: Json = {
        "id": id_,
        "key": f"sk-page-0123456789{id_}",
        "username": "ann",
        "allowedModels": [],
        "enabled": True,
    }
    assert added(admin, "/apikeys", given)["key"] == given["key"]
    assert proxy.get("/v1/models", given["key"]).status == 200


def test_a_key_is_not_given_out_twice(admin: Admin, proxy: Proxy, id_: str) -> None:
    added(admin, "/apikeys", key(id_))
    added(admin, "/apikeys", key(f"{id_}-other"))
    taken = secret_of(id_)
    refused(admin("POST", "/apikeys", {"key": taken}), 409, "key")
    refused(admin("PUT", f"/apikeys/{id_}-other", {"key": taken}), 409, "key")
    refused(admin("POST", "/apikeys", {"key": MASTER_KEY}), 409, "key")


@pytest.mark.parametrize("change", [{}, {"key": ""}, {"key": None}, {"key": "sk-gi...1234"}, {"key": "********"}])
def test_a_key_that_is_not_entered_again_goes_on_working(admin: Admin, proxy: Proxy, id_: str, change: Json) -> None:
    added(admin, "/apikeys", key(id_))
    assert admin("PUT", f"/apikeys/{id_}", {"name": "x", **change}).status == 200
    assert proxy.get("/v1/models", secret_of(id_)).status == 200


def test_a_key_can_be_replaced(admin: Admin, proxy: Proxy, id_: str) -> None:
    added(admin, "/apikeys", key(id_))
    new = f"sk-new-0123456789-{id_}"
    reply = admin("PUT", f"/apikeys/{id_}", {"key": new})
    assert reply.status == 200
    assert new not in reply.body.decode()
    assert proxy.get("/v1/models", secret_of(id_)).status == 401
    assert proxy.get("/v1/models", new).status == 200


def test_a_disabled_or_deleted_key_opens_nothing(admin: Admin, proxy: Proxy, id_: str) -> None:
    added(admin, "/apikeys", key(id_))
    admin("PUT", f"/apikeys/{id_}", {"enabled": False})
    assert proxy.get("/v1/models", secret_of(id_)).status == 401
    admin("PUT", f"/apikeys/{id_}", {"enabled": True})
    assert proxy.get("/v1/models", secret_of(id_)).status == 200
    admin("DELETE", f"/apikeys/{id_}")
    assert proxy.get("/v1/models", secret_of(id_)).status == 401


def test_a_connection_that_stays_open_keeps_no_right(admin: Admin, proxy: Proxy, upstream: Upstream, id_: str) -> None:
    """A client repeats its headers word for word on one connection; what it may is asked anew all the same."""
    added(admin, "/apikeys", key(id_))
    wire = proxy.open()

    def status(secret: str = secret_of(id_), **more: object) -> tuple[int, object]:
        upstream.clear()
        upstream.will_answer(200, build.completion())
        body = json.dumps(build.hello(**more)).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {secret}\r\n"
        wire.send(head.encode() + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        reply = wire.final("POST")
        return reply.status, None if reply.status == 200 else reply.error["code"]

    good, bad = (200, None), (401, "invalid_api_key")
    assert [status(), status(text="A longer one.")] == [good, good]
    admin("PUT", f"/apikeys/{id_}", {"enabled": False})
    assert [status(), status()] == [bad, bad]
    admin("PUT", f"/apikeys/{id_}", {"enabled": True})
    assert [status(), status("sk-nobody-has-this-one"), status()] == [good, bad, good]
    admin("PUT", f"/apikeys/{id_}", {"allowedModels": ["another"]})
    assert status() == (403, "model_not_allowed")
    admin("PUT", f"/apikeys/{id_}", {"allowedModels": [], "scopes": ["embeddings"]})
    assert status() == (403, "scope_not_allowed")
    admin("PUT", f"/apikeys/{id_}", {"scopes": []})
    assert status() == good
    admin("DELETE", f"/apikeys/{id_}")
    assert status() == bad


def test_a_key_that_expires_while_its_connection_is_open_opens_nothing_more(
    admin: Admin, proxy: Proxy, upstream: Upstream, id_: str
) -> None:
    until_ms = int(time.time() * 1000) + 1500
    added(admin, "/apikeys", key(id_, expiresAt=until_ms))
    wire = proxy.open()
    body = json.dumps(build.hello()).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {secret_of(id_)}\r\n"
    call = head.encode() + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    statuses = []
    while not statuses or statuses[-1] == 200:
        assert time.time() * 1000 < until_ms + 20_000
        upstream.will_answer(200, build.completion())
        statuses.append(wire.send(call).final("POST").status)
    assert statuses[-1] == 401
    assert time.time() * 1000 >= until_ms
    assert statuses[0] == 200
    upstream.clear()


def test_the_list_knows_when_a_key_was_last_used(admin: Admin, proxy: Proxy, id_: str) -> None:
    created = added(admin, "/apikeys", key(id_))
    assert created["lastUsedAt"] is None
    proxy.get("/v1/models", secret_of(id_))
    row = listed(admin, "/apikeys", id_)
    assert row is not None
    assert row["lastUsedAt"] >= created["createdAt"]
    admin("PUT", f"/apikeys/{id_}", {"name": "x"})
    assert stored(proxy, "apiKeys", id_)["lastUsedAt"] == row["lastUsedAt"]


def test_a_key_may_name_models_that_come_later(admin: Admin, id_: str) -> None:
    assert added(admin, "/apikeys", key(id_, allowedModels=["not/yet"]))["allowedModels"] == ["not/yet"]


def test_deleting_a_key_unlinks_it(admin: Admin, id_: str) -> None:
    added(admin, "/apikeys", key(id_))
    added(admin, "/users", user(id_, apiKeyId=id_))
    admin("DELETE", f"/apikeys/{id_}")
    assert admin("GET", f"/users/{id_}").json["apiKeyId"] is None


# Users.


def test_a_user_as_the_original_page_makes_one(admin: Admin, proxy: Proxy, id_: str) -> None:
    given = {"username": f"name-{id_}", "password": PASSWORD, "apiKeyId": "", "enabled": True}
    created = added(admin, "/users", given)
    assert (created["role"], created["apiKeyId"], created["email"]) == ("user", None, None)
    assert created["id"]
    text = (proxy.folder / "ipin-proxy.db").read_text()
    assert PASSWORD not in text
    assert stored(proxy, "users", created["id"])["passwordHash"].startswith("scrypt$")
    for shown in (created, listed(admin, "/users", created["id"])):
        assert shown is not None
        assert not [name for name in shown if "assword" in name]


def test_a_user_name_is_taken_once_whatever_its_case(admin: Admin, id_: str) -> None:
    added(admin, "/users", user(id_, username=f"Ann-{id_}"))
    added(admin, "/users", user(f"{id_}-other"))
    refused(admin("POST", "/users", user(f"{id_}-new", username=f"aNN-{id_}")), 409, "username")
    refused(admin("PUT", f"/users/{id_}-other", {"username": f"ANN-{id_}"}), 409, "username")
    assert admin("PUT", f"/users/{id_}", {"username": f"ANN-{id_}"}).status == 200


@pytest.mark.parametrize("change", [{}, {"password": ""}, {"password": None}, {"password": "••••••••"}])
def test_a_password_that_is_not_entered_again_stays(admin: Admin, proxy: Proxy, id_: str, change: Json) -> None:
    added(admin, "/users", user(id_))
    assert admin("PUT", f"/users/{id_}", {"email": "a@example.com", **change}).status == 200
    assert proxy.post("/api/user/login", {"username": f"name-{id_}", "password": PASSWORD}).status == 200


def test_an_administrator_sets_a_new_password(admin: Admin, proxy: Proxy, id_: str) -> None:
    added(admin, "/users", user(id_))
    new = "a password with ... three dots"
    assert admin("PUT", f"/users/{id_}", {"password": new}).status == 200
    assert proxy.post("/api/user/login", {"username": f"name-{id_}", "password": new}).status == 200
    refused(admin("PUT", f"/users/{id_}", {"password": "short"}), 400, "password")


def test_the_last_administrator_stays(admin: Admin, id_: str) -> None:
    for method, change in (("DELETE", None), ("PUT", {"enabled": False}), ("PUT", {"role": "user"})):
        reply = admin(method, "/users/admin", change)
        assert (reply.status, reply.error["code"]) == (409, "last_administrator")
    added(admin, "/users", user(id_, role="admin", enabled=False))
    assert admin("DELETE", "/users/admin").status == 409, "the other one is disabled"
    admin("PUT", f"/users/{id_}", {"enabled": True})
    assert admin("PUT", "/users/admin", {"role": "admin", "enabled": True}).status == 200
    assert admin("DELETE", f"/users/{id_}").status == 200
