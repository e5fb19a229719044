"""Export, import and backups over the admin API: what leaves, what comes back, and what is never done."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support import build
from support.proxy import KEY, PASSWORD, Proxy
from support.upstream import Upstream

Json = dict[str, Any]
SECRET = "acme-secret-key-0123456789"
HEADER_SECRET = "header-secret-0123456789"
NOTHING: Json = {"added": [], "changed": [], "removed": []}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    """A proxy of this file alone; every test finds it in the state of `initial`."""
    acme = build.provider(shared_upstream.base_url, headers={"X-Auth-Token": HEADER_SECRET, "X-Team": "red"})
    vault = {"id": "vault", "baseUrl": "https://vault.example/v1", "apiKey": "env:VAULT_API_KEY"}
    proxy = Proxy.start(
        tmp_path_factory.mktemp("data"),
        providers=[acme, vault],
        models=[build.model(), build.model("org/gpt-slash")],
        settings={"LOG_LEVEL": "info", "noteToSelf": "kept"},
    )
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module")
def initial(running: Proxy) -> bytes:
    running.admin("POST", "/users", {"id": "u-ada", "username": "ada", "password": PASSWORD, "apiKeyId": "key-1"})
    return running.admin("GET", "/export?secrets=1").body


@pytest.fixture
def proxy(running: Proxy, initial: bytes, upstream: Upstream) -> Iterator[Proxy]:
    yield running
    reply = running.admin("POST", "/import", initial)
    assert reply.status == 200, reply.body
    running.client.close()
    assert "Traceback" not in running.output


def exported(proxy: Proxy, secrets: bool = False) -> Json:
    return dict(proxy.admin("GET", f"/export?secrets={int(secrets)}").json)


def stored(proxy: Proxy) -> Json:
    return dict(json.loads((proxy.folder / "ipin-proxy.db").read_text()))


def without_use(document: Json) -> Json:
    """Without what calls change by themselves."""
    keys = [{name: value for name, value in key.items() if name != "lastUsedAt"} for key in document["apiKeys"]]
    return {**document, "apiKeys": keys}


def row(document: Json, section: str, id_: str) -> Json:
    return next(row for row in document[section] if row["id"] == id_)


# Out.


def test_an_export_is_a_file_without_secrets(proxy: Proxy) -> None:
    reply = proxy.admin("GET", "/export")
    assert reply.status == 200
    assert (reply.header("content-disposition") or "").startswith('attachment; filename="ipin-proxy-2')
    assert reply.header("cache-control") == "no-store"
    text = reply.body.decode()
    for hidden in (SECRET, HEADER_SECRET, KEY, "scrypt", "Hash", "appliedUiPassword"):
        assert hidden not in text
    document = reply.json
    assert document["version"] == 1
    assert row(document, "providers", "acme")["apiKey"] == "acme-...6789"
    assert row(document, "providers", "acme")["headers"]["X-Team"] == "red"
    assert row(document, "providers", "vault")["apiKey"] == "env:VAULT_API_KEY"
    assert "..." in row(document, "apiKeys", "key-1")["key"]
    assert document["settings"] == {"LOG_LEVEL": "info", "noteToSelf": "kept"}


def test_an_export_with_secrets_is_what_the_file_holds(proxy: Proxy) -> None:
    def told() -> int:
        return sum((line.get("action"), line.get("id")) == ("export", "with secrets") for line in proxy.log_lines())

    before = told()
    proxy.admin("POST", "/models", {"id": "one-more", "providerId": "acme"})
    assert without_use(exported(proxy, secrets=True)) == without_use(stored(proxy))
    proxy.wait_output(lambda text: told() > before, "a line of this export")


# In.


@pytest.mark.parametrize("secrets", [False, True])
def test_what_was_exported_changes_nothing_when_it_comes_back(proxy: Proxy, secrets: bool) -> None:
    document = exported(proxy, secrets)
    before = (proxy.folder / "ipin-proxy.db").stat().st_mtime_ns
    for query in ("?dryRun=1", ""):
        reply = proxy.admin("POST", f"/import{query}", document)
        assert reply.json == {**NOTHING, "notices": [], "dryRun": bool(query)}
    assert (proxy.folder / "ipin-proxy.db").stat().st_mtime_ns == before


def test_a_dry_run_says_what_would_change_and_changes_nothing(proxy: Proxy) -> None:
    document = exported(proxy)
    document["models"] = [row(document, "models", "org/gpt-slash"), {"id": "new", "providerId": "acme"}]
    row(document, "models", "org/gpt-slash")["enabled"] = False
    row(document, "apiKeys", "key-1")["key"] = "sk-quite-another-0123456789"
    document["settings"]["LOG_LEVEL"] = "debug"
    document["settings"]["LOG_BODIES"] = "on"
    expected = {
        "added": [{"kind": "model", "id": "new"}, {"kind": "setting", "id": "LOG_BODIES"}],
        "changed": [
            {"kind": "model", "id": "org/gpt-slash", "fields": ["enabled"]},
            {"kind": "apiKey", "id": "key-1", "fields": ["key"]},
            {"kind": "setting", "id": "LOG_LEVEL", "fields": ["value"]},
        ],
        "removed": [{"kind": "model", "id": build.PUBLIC_MODEL}],
        "notices": [],
    }
    before = stored(proxy)
    assert proxy.admin("POST", "/import?dryRun=1", document).json == {**expected, "dryRun": True}
    assert stored(proxy) == before

    assert proxy.admin("POST", "/import", document).json == {**expected, "dryRun": False}
    assert proxy.get("/v1/models", "sk-quite-another-0123456789").status == 200
    assert proxy.get("/v1/models", KEY).status == 401
    settings = {line["name"]: line["value"] for line in proxy.admin("GET", "/settings").json["settings"]}
    assert (settings["LOG_LEVEL"], settings["LOG_BODIES"]) == ("debug", True)


@pytest.mark.parametrize("query", ["dryRun", "dryRun=", "dryRun=y", "dryRun=2"])
def test_what_was_perhaps_to_be_a_dry_run_is_not_the_real_one(proxy: Proxy, query: str) -> None:
    before = stored(proxy)
    newest = proxy.admin("GET", "/backups").json["backups"][0]["name"]
    for path, body in (("/import", {"models": []}), (f"/backups/{newest}/restore", None)):
        reply = proxy.admin("POST", f"{path}?{query}", body)
        assert (reply.status, reply.error["param"]) == (400, "dryRun")
    assert stored(proxy) == before


def test_secrets_that_an_import_lacks_stay(proxy: Proxy, upstream: Upstream) -> None:
    document = exported(proxy)
    row(document, "providers", "acme")["name"] = "Acme, renamed"
    row(document, "apiKeys", "key-1")["name"] = "Renamed"
    del row(document, "apiKeys", "key-1")["key"]
    row(document, "users", "u-ada")["email"] = "ada@example.com"
    reply = proxy.admin("POST", "/import", document)
    assert [change["fields"] for change in reply.json["changed"]] == [["name"], ["name"], ["email"]]

    upstream.will_answer(200, build.completion("Hi"))
    body = {"model": build.PUBLIC_MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    assert proxy.post("/v1/chat/completions", body, KEY).status == 200
    seen = upstream.history[-1]
    assert (seen.header("authorization"), seen.header("x-auth-token")) == (f"Bearer {SECRET}", HEADER_SECRET)
    assert proxy.post("/api/user/login", {"username": "ada", "password": PASSWORD}).status == 200


@pytest.mark.parametrize("change", [{}, {"apiKey": ""}, {"apiKey": None}])
def test_a_stored_key_goes_to_no_other_host_by_an_import(proxy: Proxy, change: Json) -> None:
    document = exported(proxy)
    row(document, "providers", "acme").update(baseUrl="https://elsewhere.example/v1", **change)
    for query in ("?dryRun=1", ""):
        reply = proxy.admin("POST", f"/import{query}", document)
        assert (reply.status, reply.error["param"]) == (400, "providers[0].apiKey")
    row(document, "providers", "acme")["apiKey"] = "fresh-key-0123456789"
    reply = proxy.admin("POST", "/import", document)
    assert (reply.status, reply.error["param"]) == (400, "providers[0].headers")
    row(document, "providers", "vault")["baseUrl"] = "https://elsewhere.example/v1"
    row(document, "providers", "acme")["headers"] = {}
    assert proxy.admin("POST", "/import", document).status == 200


@pytest.mark.parametrize("path", ["/etc/passwd", "/run/secrets", "/run/secrets/../shadow"])
def test_no_key_becomes_a_file_outside_of_the_secrets_folder_by_an_import(proxy: Proxy, path: str) -> None:
    document = exported(proxy)
    row(document, "providers", "vault")["apiKey"] = f"file:{path}"
    for query in ("?dryRun=1", ""):
        reply = proxy.admin("POST", f"/import{query}", document)
        assert (reply.status, reply.error["param"]) == (400, "providers[1].apiKey")
    row(document, "providers", "vault")["apiKey"] = "file:/run/secrets/vault"
    assert proxy.admin("POST", "/import", document).status == 200


def test_a_section_that_is_not_there_stays(proxy: Proxy) -> None:
    reply = proxy.admin("POST", "/import", {"models": [], "aNewMember": {"kept": True}})
    assert [change["id"] for change in reply.json["removed"]] == [build.PUBLIC_MODEL, "org/gpt-slash"]
    assert reply.json["added"] == [{"kind": "other", "id": "aNewMember"}]
    document = stored(proxy)
    assert (len(document["providers"]), len(document["users"]), document["models"]) == (2, 2, [])
    assert document["aNewMember"] == {"kept": True}
    assert document["settings"]["noteToSelf"] == "kept"


def test_what_comes_without_its_secret_is_said(proxy: Proxy) -> None:
    document = exported(proxy)
    document["providers"].append({"id": "p2", "baseUrl": "https://p2.example", "apiKey": "sk-ab...wxyz"})
    document["models"].append({"id": "m2", "providerId": "p3"})
    document["apiKeys"].append({"id": "k2", "name": "Second", "key": "sk-ab...wxyz"})
    document["users"].append({"id": "u2", "username": "second"})
    reply = proxy.admin("POST", "/import", document)
    assert [change["id"] for change in reply.json["added"]] == ["p2", "m2", "u2"]
    notices = "\n".join(reply.json["notices"])
    assert len(reply.json["notices"]) == 4
    assert all(name in notices for name in ("'p2'", "'Second'", "'second'", "'p3'"))
    assert "apiKey" not in row(stored(proxy), "providers", "p2")


def test_the_file_of_the_original_server_can_be_imported(proxy: Proxy) -> None:
    legacy = {
        "providers": [{"id": "old", "name": "Old", "baseUrl": "https://old.example", "apiKey": "old-key-0123456789"}],
        "models": [{"id": "old-model", "providerId": "old", "type": "chat", "enabled": True}],
        "apiKeys": [{"id": "old-key", "key": "sk-from-the-original-0123", "name": "Old", "allowedModels": []}],
        "users": [{"id": "old-user", "username": "Bo", "password": "ab" * 32, "apiKeyId": "old-key", "enabled": True}],
    }
    before = exported(proxy, secrets=True)["users"]
    for query in ("?dryRun=1", ""):
        reply = proxy.admin("POST", f"/import{query}", legacy)
        assert (reply.status, reply.json["notices"]) == (200, []), reply.body
    # Nobody in it is an administrator, so those who are here stay.
    users = {user["id"]: user for user in exported(proxy, secrets=True)["users"]}
    assert users.keys() == {"old-user", "admin"}
    assert users["admin"] in before and users["old-user"]["role"] == "user"
    found = proxy.get("/v1/models", "sk-from-the-original-0123").json["data"]
    assert [model["id"] for model in found] == ["old-model"]
    assert "sk-from-the-original-0123" not in (proxy.folder / "ipin-proxy.db").read_text()


def test_an_administrator_who_is_in_the_file_of_the_original_server_too_stays_one(proxy: Proxy) -> None:
    legacy = {
        "providers": [],
        "models": [],
        "apiKeys": [],
        "users": [{"id": "7", "username": "Admin", "password": "ab" * 32}],
    }
    reply = proxy.admin("POST", "/import", legacy)
    assert reply.status == 200, reply.body
    assert ["'admin' is an administrator" in notice for notice in reply.json["notices"]] == [True]
    assert [(user["id"], user["role"]) for user in exported(proxy)["users"]] == [("admin", "admin")]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"providers": [{"id": "p", "baseUrl": "not an address"}]}, "providers[0].baseUrl"),
        ({"providers": {}}, "providers"),
        ({"models": [{"id": "a", "providerId": "acme"}, {"id": "a", "providerId": "acme"}]}, "models[1].id"),
        ({"models": ["a"]}, "models[0]"),
        ({"users": [{"id": "u", "username": "u", "password": "in clear"}]}, "users[0].password"),
        ({"settings": {"LOG_LEVEL": "loud"}}, "settings.LOG_LEVEL"),
        ({"settings": {"PORT": 80}}, "settings.PORT"),
        ({"settings": {"masterKeyHash": "short"}}, "settings.masterKeyHash"),
        ({"settings": []}, "settings"),
        ({"version": 99}, None),
    ],
)
def test_a_wrong_document_changes_nothing(proxy: Proxy, change: Json, param: str | None) -> None:
    before = stored(proxy)
    for query in ("", "?dryRun=1"):
        reply = proxy.admin("POST", f"/import{query}", {"version": 1, "apiKeys": [], **change})
        assert (reply.status, reply.error["param"]) == (400, param), reply.body
    assert stored(proxy) == before


def test_a_dry_run_is_refused_for_what_the_import_would_be(proxy: Proxy) -> None:
    twins = [{"id": "t1", "username": "Twin"}, {"id": "t2", "username": "twin"}]
    document = {"users": [*exported(proxy)["users"], *twins]}
    for query in ("?dryRun=1", ""):
        reply = proxy.admin("POST", f"/import{query}", document)
        assert (reply.status, reply.error["param"]) == (409, "username"), reply.body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"models":[],"models":[]}',
        b'{"a":NaN}',
        b'{"settings":{"a":1e999}}',
        b"\xff",
        b"[" * 100_000,
        b'{"a":' + b"[" * 200 + b"]" * 200 + b"}",
    ],
    ids=range(9),
)
def test_what_is_no_document_is_refused(proxy: Proxy, body: bytes) -> None:
    for query in ("", "?dryRun=1"):
        assert proxy.admin("POST", f"/import{query}", body).status == 400


def test_an_administrator_is_always_left(proxy: Proxy) -> None:
    before = stored(proxy)
    everybody = exported(proxy)["users"]
    for users in (
        [],
        [{**user, "role": "user"} for user in everybody],
        [{**user, "enabled": False} for user in everybody],
    ):
        for query in ("?dryRun=1", ""):
            reply = proxy.admin("POST", f"/import{query}", {"users": users})
            assert (reply.status, reply.error["code"]) == (409, "last_administrator")
    assert stored(proxy) == before


def test_who_imports_stays_signed_in_with_whatever_password(proxy: Proxy) -> None:
    document = exported(proxy, secrets=True)
    (me,) = [user for user in document["users"] if user["username"] == "admin"]
    me["passwordHash"] = row(document, "users", "u-ada")["passwordHash"]
    me["id"] = "another-id"
    reply = proxy.admin("POST", "/import?dryRun=1", document)
    assert reply.json["notices"] == []
    assert proxy.admin("POST", "/import", document).status == 200
    found = proxy.admin("GET", "/users")
    assert found.status == 200
    assert "another-id" in [user["id"] for user in found.json["users"]]


def test_who_is_not_in_it_is_told_before(proxy: Proxy) -> None:
    proxy.admin("POST", "/users", {"id": "u-eve", "username": "eve", "password": PASSWORD, "role": "admin"})
    token = proxy.post("/api/admin/login", {"username": "eve", "password": PASSWORD}).json["token"]
    document = exported(proxy)
    document["users"] = [user for user in document["users"] if user["id"] != "u-eve"]
    reply = proxy.request("POST", "/api/admin/import?dryRun=1", document, token)
    assert "signed out" in reply.json["notices"][0]
    assert proxy.request("POST", "/api/admin/import", document, token).status == 200
    assert proxy.get("/api/admin/users", token).status == 401


# Backups.


def test_every_change_can_be_undone(proxy: Proxy) -> None:
    before = without_use(stored(proxy))
    assert proxy.admin("DELETE", "/providers/acme").status == 200
    newest = proxy.admin("GET", "/backups").json["backups"][0]
    assert newest.items() >= {"readable": True, "providers": 2, "models": 2, "apiKeys": 1, "users": 2}.items()
    assert newest["sizeBytes"] > 100 and newest["time"] > 1_600_000_000_000

    path = f"/backups/{newest['name']}/restore"
    for query in ("?dryRun=1", ""):
        reply = proxy.admin("POST", path + query, {"time": newest["time"]})
        assert reply.status == 200, reply.body
        assert [change["id"] for change in reply.json["added"]] == ["acme", build.PUBLIC_MODEL, "org/gpt-slash"]
        assert reply.json["dryRun"] is bool(query)
    assert without_use(stored(proxy)) == before
    assert proxy.admin("GET", "/providers/acme").status == 200


def test_an_import_is_undone_by_the_newest_backup(proxy: Proxy) -> None:
    proxy.admin("POST", "/import", {"models": [], "settings": {"LOG_LEVEL": "debug"}})
    newest = proxy.admin("GET", "/backups").json["backups"][0]
    assert newest["models"] == 2
    assert proxy.admin("POST", f"/backups/{newest['name']}/restore").status == 200
    assert len(proxy.admin("GET", "/models").json["models"]) == 2
    line = next(line for line in proxy.admin("GET", "/settings").json["settings"] if line["name"] == "LOG_LEVEL")
    assert line["value"] == "info"


def test_an_earlier_version_brings_no_earlier_master_key_back(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy(env={"MASTER_API_KEY": ""})
    key = proxy.wait_output(lambda text: re.search(r"Master key +(\S+)", text), "a master key").group(1)
    first = next(each for each in reversed(proxy.admin("GET", "/backups").json["backups"]) if each["users"])
    assert "masterKeyHash" not in (proxy.folder / first["name"]).read_text()
    for query in ("?dryRun=1", ""):
        reply = proxy.admin("POST", f"/backups/{first['name']}/restore{query}")
        assert (reply.status, reply.json["removed"]) == (200, [])
    assert proxy.get("/v1/models", key).status == 200


def test_a_backup_that_is_another_one_by_now_is_not_restored(proxy: Proxy) -> None:
    proxy.admin("DELETE", f"/models/{build.PUBLIC_MODEL}")
    newest = proxy.admin("GET", "/backups").json["backups"][0]
    for query in ("?dryRun=1", ""):
        reply = proxy.admin("POST", f"/backups/{newest['name']}/restore{query}", {"time": newest["time"] - 1})
        assert (reply.status, reply.error["code"]) == (409, "backup_changed")
    assert proxy.admin("GET", f"/models/{build.PUBLIC_MODEL}").status == 404


def test_only_backups_are_restored_and_only_good_ones(proxy: Proxy) -> None:
    for name in ("ipin-proxy.db", "..%2fipin-proxy.db", "nothing"):
        assert proxy.admin("POST", f"/backups/{name}/restore").status == 404
    proxy.admin("DELETE", f"/models/{build.PUBLIC_MODEL}")
    newest = proxy.admin("GET", "/backups").json["backups"][0]
    file = proxy.folder / newest["name"]
    file.unlink()
    file.write_text("{ broken")
    (shown,) = [each for each in proxy.admin("GET", "/backups").json["backups"] if each["name"] == newest["name"]]
    assert (shown["readable"], shown["models"]) == (False, None)
    before = stored(proxy)
    reply = proxy.admin("POST", f"/backups/{newest['name']}/restore")
    assert (reply.status, reply.error["code"]) == (409, "store_broken")
    file.write_text(json.dumps({"version": 1, "users": []}))
    reply = proxy.admin("POST", f"/backups/{newest['name']}/restore")
    assert (reply.status, reply.error["code"]) == (409, "last_administrator")
    assert stored(proxy) == before
    file.unlink()


def test_a_file_broken_by_hand_is_mended_by_restoring(proxy: Proxy) -> None:
    file = proxy.folder / "ipin-proxy.db"
    proxy.admin("DELETE", f"/models/{build.PUBLIC_MODEL}")
    file.write_text("{ broken")
    assert proxy.admin("POST", "/models", {"id": "x", "providerId": "acme"}).error["code"] == "store_broken"
    good = next(each for each in proxy.admin("GET", "/backups").json["backups"] if each["models"] == 2)
    assert proxy.admin("POST", f"/backups/{good['name']}/restore").status == 200
    assert proxy.admin("GET", f"/models/{build.PUBLIC_MODEL}").status == 200
    assert len(stored(proxy)["models"]) == 2
