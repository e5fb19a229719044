"""The trail of changes over the real server: who did what to which record, what was before and after, and never a secret."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import build
from support.book import opened
from support.client import Reply
from support.proxy import KEY, MASTER_KEY, PASSWORD, Proxy
from support.upstream import Upstream

Json = dict[str, Any]
Admin = Callable[..., Reply]
SECRET = "acme-planted-secret-0123456789"
HEADER_SECRET = "header-planted-secret-0123456789"
QUERY_SECRET = "query-planted-secret-0123456789"
OTHER_PASSWORD = "another good password"
HASH = "scrypt$16384$8$1$c2FsdHNhbHRzYWx0c2FsdA==$aGFzaGhhc2hoYXNoaGFzaA=="
PLANTED = (SECRET, HEADER_SECRET, QUERY_SECRET, PASSWORD, OTHER_PASSWORD, "scrypt$", MASTER_KEY, KEY)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    proxy = Proxy.start(
        tmp_path_factory.mktemp("audit"),
        providers=[build.provider(shared_upstream.base_url)],
        models=[build.model()],
    )
    yield proxy
    proxy.stop()
    ledger = (proxy.folder / "ipin-proxy-usage.db").read_bytes()
    assert [each for each in PLANTED if each.encode() in ledger] == []


def trail(admin: Admin, query: str = "") -> list[Json]:
    """The newest changes first."""
    reply = admin("GET", f"/audit?{query}")
    assert reply.status == 200, reply.body
    assert [each for each in PLANTED if each in reply.body.decode()] == []
    return list(reply.json["items"])


def last(admin: Admin, query: str = "") -> Json:
    return trail(admin, f"pageSize=1&{query}")[0]


def test_making_changing_and_deleting_a_record_is_in_the_trail(admin: Admin) -> None:
    record = {"id": "trail", "baseUrl": f"https://x.example/v1?key={QUERY_SECRET}", "apiKey": SECRET}
    assert admin("POST", "/providers", {**record, "headers": {"X-Auth-Token": HEADER_SECRET}}).status == 201
    made = last(admin)
    assert {name: made[name] for name in ("actor", "address", "action", "resource", "id", "before")} == {
        "actor": "admin",
        "address": "127.0.0.1",
        "action": "create",
        "resource": "providers",
        "id": "trail",
        "before": None,
    }
    assert (made["after"]["id"], made["after"]["apiKey"][:4], made["after"]["enabled"]) == ("trail", "acme", True)

    assert admin("PUT", "/providers/trail", {"name": "Trail", "enabled": False}).status == 200
    changed = last(admin)
    assert (changed["action"], changed["before"]["enabled"], changed["after"]["enabled"]) == ("update", True, False)
    different = {name for name in changed["after"] if changed["after"][name] != changed["before"].get(name)}
    assert different == {"name", "enabled"}

    assert admin("DELETE", "/providers/trail").status == 200
    gone = last(admin)
    assert (gone["action"], gone["before"], gone["after"]) == ("delete", changed["after"], None)


def test_what_goes_along_with_a_record_is_in_the_trail_too(admin: Admin) -> None:
    admin("POST", "/providers", {"id": "carried", "baseUrl": "https://x.example/v1"})
    admin("POST", "/models", {"id": "carried", "providerId": "carried"})
    admin("POST", "/apikeys", {"id": "key-carried"})
    admin("POST", "/users", {"id": "u-carried", "username": "carried", "password": PASSWORD, "apiKeyId": "key-carried"})
    admin("DELETE", "/providers/carried")
    assert {(row["action"], row["resource"]) for row in trail(admin, "id=carried&action=delete")} == {
        ("delete", "providers"),
        ("delete", "models"),
    }
    admin("PUT", "/apikeys/key-carried", {"username": "Carried"})
    admin("PUT", "/users/u-carried", {"username": "renamed"})
    named = last(admin, "id=key-carried")
    assert (named["before"]["username"], named["after"]["username"]) == ("Carried", "renamed")
    admin("DELETE", "/apikeys/key-carried")
    link = last(admin, "id=u-carried")
    assert (link["before"]["apiKeyId"], link["after"]["apiKeyId"]) == ("key-carried", None)


def test_of_passwords_and_keys_it_says_only_that_they_changed(admin: Admin, proxy: Proxy) -> None:
    admin("POST", "/users", {"id": "u-pass", "username": "pass", "password": PASSWORD})
    assert last(admin)["after"]["password"] == "set"
    admin("PUT", "/users/u-pass", {"password": OTHER_PASSWORD})
    assert last(admin)["after"]["password"] == "changed"
    admin("PUT", "/users/u-pass", {"email": "pass@example.org"})
    assert "password" not in last(admin)["after"]

    made = admin("POST", "/apikeys", {"id": "key-pass"}).json["key"]
    admin("PUT", "/users/u-pass", {"apiKeyId": "key-pass"})
    turned = admin("POST", "/apikeys/key-pass/rotate").json["key"]
    row = last(admin)
    assert (row["action"], row["resource"], row["id"]) == ("rotate", "apiKeys", "key-pass")
    assert row["before"]["key"] != row["after"]["key"]

    token = proxy.post("/api/user/login", {"username": "pass", "password": OTHER_PASSWORD}).json["token"]
    given = {"currentPassword": OTHER_PASSWORD, "newPassword": PASSWORD}
    reply = proxy.request("PUT", "/api/user/password", given, token)
    assert reply.status == 200
    row = last(admin)
    assert (row["actor"], row["id"], row["after"]) == ("pass", "u-pass", {"password": "changed"})
    own = proxy.post("/api/user/key/rotate", {}, reply.json["token"]).json["apiKey"]["key"]
    assert (last(admin)["actor"], last(admin)["action"]) == ("pass", "rotate")
    text = json.dumps(trail(admin, "pageSize=1000"))
    assert [key for key in (made, turned, own) if key in text] == []


def test_many_changes_at_once_are_one_row_each(admin: Admin) -> None:
    rows = [{"id": f"bulk-{n}", "providerId": "acme"} for n in range(3)]
    admin("POST", "/models", {"models": rows})
    admin("POST", "/models/bulk", {"ids": ["bulk-0", "bulk-1"], "action": "disable"})
    found = trail(admin, "resource=models&action=disable")
    assert [(row["id"], row["before"]["enabled"], row["after"]["enabled"]) for row in found] == [
        ("bulk-1", True, False),
        ("bulk-0", True, False),
    ]
    admin("POST", "/models/bulk", {"ids": ["bulk-0", "bulk-1", "bulk-2"], "action": "delete"})
    assert {row["id"] for row in trail(admin, "action=delete&resource=models")} >= {"bulk-0", "bulk-1", "bulk-2"}


def test_settings_and_prices_are_in_the_trail(admin: Admin) -> None:
    admin("PUT", "/settings", {"LOG_LEVEL": "debug", "MAX_IMAGE_MB": 5})
    rows = {row["id"]: row for row in trail(admin, "resource=settings")}
    assert (rows["LOG_LEVEL"]["before"], rows["LOG_LEVEL"]["after"]) == ({"value": None}, {"value": "debug"})
    assert rows["MAX_IMAGE_MB"]["after"] == {"value": 5}
    admin("PUT", "/settings", {"LOG_LEVEL": None, "MAX_IMAGE_MB": None})
    assert last(admin, "id=LOG_LEVEL")["after"] == {"value": None}

    admin("POST", "/models", {"id": "priced", "providerId": "acme", "upstreamModel": "priced-one"})
    file = {
        "priced-one": {"litellm_provider": "acme", "input_cost_per_token": 0.000002, "output_cost_per_token": 0.000004}
    }
    admin("POST", "/prices/import?dryRun=1", file)
    assert last(admin)["action"] == "create"
    admin("POST", "/prices/import", file)
    row = last(admin)
    assert (row["action"], row["id"], row["before"]) == ("update", "priced", {"price": None})
    assert (row["after"]["price"]["input"], row["after"]["price"]["output"]) == (2, 4)

    tiers = [{"input": 4, "aboveTokens": 200_000}], [{"input": 4, "aboveTokens": 100_000}]
    for each in tiers:
        admin("PUT", "/models/priced", {"price": {"input": 2, "output": 4, "longContext": each}})
    row = last(admin)
    assert tuple(row[when]["price"]["longContext"] for when in ("before", "after")) == tiers


def test_a_whole_database_is_told_by_its_counts_and_record_by_record(admin: Admin) -> None:
    admin(
        "POST", "/providers", {"id": "going", "baseUrl": f"https://x.example/v1?key={QUERY_SECRET}", "apiKey": SECRET}
    )
    admin("POST", "/apikeys", {"id": "key-raised", "budgets": [{"usd": 1}]})
    document = admin("GET", "/export?secrets=0").json
    assert (last(admin)["action"], last(admin)["id"]) == ("export", "without secrets")
    document["providers"] = [row for row in document["providers"] if row["id"] != "going"]
    document["models"].append({"id": "imported", "providerId": "acme"})
    document["users"].append({"id": "u-in", "username": "brought in", "role": "admin", "passwordHash": HASH})
    document["settings"] |= {"MAX_IMAGE_MB": 7, "someToken": SECRET}
    next(row for row in document["apiKeys"] if row["id"] == "key-raised")["budgets"][0]["usd"] = 1000
    begin = len(trail(admin, "pageSize=1000"))
    assert admin("POST", "/import?dryRun=1", document).status == 200
    assert len(trail(admin, "pageSize=1000")) == begin
    assert admin("POST", "/import", document).status == 200
    row, *others = trail(admin, "pageSize=1000")[:-begin]
    assert (row["action"], row["resource"], row["actor"]) == ("import", "database", "admin")
    assert row["after"]["models"] == row["before"]["models"] + 1
    assert (row["after"]["added"], row["after"]["removed"]) == (4, 1)
    found = {(each["action"], each["resource"], each["id"]): each for each in others}
    assert found.keys() == {
        ("delete", "providers", "going"),
        ("create", "models", "imported"),
        ("update", "apiKeys", "key-raised"),
        ("create", "users", "u-in"),
        ("update", "settings", "MAX_IMAGE_MB"),
        ("update", "settings", "someToken"),
    }
    gone, raised = found["delete", "providers", "going"], found["update", "apiKeys", "key-raised"]
    assert (gone["before"]["source"], gone["after"]) == ("database", None)
    assert [raised[when]["budgets"][0]["usd"] for when in ("before", "after")] == [1, 1000]
    assert found["create", "users", "u-in"]["after"]["password"] == "set"
    assert found["update", "settings", "MAX_IMAGE_MB"]["after"] == {"value": 7}
    assert found["update", "settings", "someToken"]["after"] == {"value": "********"}

    name = admin("GET", "/backups").json["backups"][0]["name"]
    assert admin("POST", f"/backups/{name}/restore").status == 200
    row, *others = trail(admin, f"pageSize={len(others) + 1}")
    assert (row["action"], row["id"], row["after"]["removed"]) == ("restore", name, 4)
    back = {"create": "delete", "delete": "create", "update": "update"}
    assert {(back[each["action"]], each["resource"], each["id"]) for each in others} == found.keys()


def test_sign_ins_of_administrators_are_in_the_trail(admin: Admin, proxy: Proxy) -> None:
    admin("POST", "/users", {"id": "u-sign", "username": "sign", "password": PASSWORD})
    proxy.post("/api/user/login", {"username": "sign", "password": PASSWORD})
    proxy.post("/api/admin/login", {"username": "admin", "password": "wrong"})
    before = len(trail(admin, "action=sign_in&pageSize=1000"))
    proxy.post("/api/admin/login", {"username": "admin", "password": PASSWORD})
    found = trail(admin, "action=sign_in&pageSize=1000")
    assert (len(found), found[0]["actor"]) == (before + 1, "admin")
    assert {row["actor"] for row in found} == {"admin"}


def test_who_signs_out_everywhere_is_in_the_trail(admin: Admin, proxy: Proxy) -> None:
    admin("POST", "/users", {"id": "u-out", "username": "out", "password": PASSWORD})
    token = proxy.post("/api/user/login", {"username": "out", "password": PASSWORD}).json["token"]
    before = trail(admin)
    assert proxy.post("/api/logout", None, "nobody's").status == 200
    assert trail(admin) == before
    assert proxy.post("/api/logout?everywhere=1", None, token).status == 200
    row = last(admin)
    assert (row["actor"], row["action"], row["resource"], row["id"]) == ("out", "revoke", "users", "u-out")
    before = trail(admin)
    assert proxy.post("/api/logout?everywhere=1", None, token).status == 200
    assert trail(admin) == before, "there was nothing left to end"


def test_what_was_refused_is_no_change(admin: Admin) -> None:
    before = trail(admin)
    assert admin("POST", "/models", {"id": "nobody", "providerId": "nobody"}).status == 400
    assert admin("DELETE", "/models/nobody").status == 404
    assert admin("POST", "/models/bulk", {"ids": [build.PUBLIC_MODEL, "nobody"], "action": "delete"}).status == 404
    assert trail(admin) == before


def test_the_trail_is_filtered_and_paged(admin: Admin) -> None:
    for number in range(5):
        admin("PUT", f"/models/{build.PUBLIC_MODEL}", {"name": f"name {number}"})
    page = admin("GET", f"/audit?id={build.PUBLIC_MODEL}&page=2&pageSize=2").json
    assert (page["total"], page["page"], page["pageSize"]) == (5, 2, 2)
    assert [row["after"]["name"] for row in page["items"]] == ["name 2", "name 1"]
    newest = page["items"][0]["time"]
    assert all(row["time"] >= newest for row in trail(admin, f"from={newest}"))
    assert trail(admin, "actor=nobody") == trail(admin, "from=2100-01-01") == []
    for query, param in (("page=0", "page"), ("pageSize=x", "pageSize"), ("to=soon", "to")):
        reply = admin("GET", f"/audit?{query}")
        assert (reply.status, reply.error["param"]) == (400, param)


def test_a_change_stands_where_it_cannot_be_written_down(start_proxy: Callable[..., Proxy], tmp_path: Path) -> None:
    proxy = start_proxy(env={"LOG_LEVEL": "error"})
    proxy.admin("PUT", f"/models/{build.PUBLIC_MODEL}", {"name": "Before"})
    ledger = proxy.folder / "ipin-proxy-usage.db"
    with opened(ledger) as db:
        db.execute("DROP TABLE audit")
    reply = proxy.admin("PUT", f"/models/{build.PUBLIC_MODEL}", {"name": "After"})
    assert (reply.status, reply.json["name"]) == (200, "After")
    (line,) = proxy.log_lines(lambda line: line["event"] == "change_not_in_trail")
    assert (line["level"], line["actor"]) == ("error", "admin")
    assert (line["action"], line["resource"], line["id"]) == ("update", "models", build.PUBLIC_MODEL)
    ready = proxy.get("/ready")
    assert (ready.status, ready.json) == (200, {"status": "ready", "ledger": "trouble"})
    assert "trail" in proxy.admin("GET", "/usage").json["trouble"]
    with opened(ledger) as db:
        db.execute(
            "CREATE TABLE audit (id INTEGER PRIMARY KEY, time, actor, address, action, resource, resource_id, before, after)"
        )
    proxy.admin("PUT", f"/models/{build.PUBLIC_MODEL}", {"name": "Once more"})
    assert proxy.get("/ready").json == {"status": "ready", "ledger": "ok"}
    assert last(proxy.admin)["after"]["name"] == "Once more"
