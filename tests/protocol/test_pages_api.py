"""What the pages ask for besides the records: who is there, settings, presets, tests before saving, several at once."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support import build
from support.client import Reply
from support.proxy import KEY, MASTER_KEY, PASSWORD, Proxy
from support.upstream import Upstream, answer

Json = dict[str, Any]
SECRET = "acme-secret-key-0123456789"
CHAT = {"model": build.PUBLIC_MODEL, "messages": [{"role": "user", "content": "Hello"}]}


numbers = itertools.count(1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    """A proxy of this file alone."""
    providers, models = [build.provider(shared_upstream.base_url)], [build.model(), build.model("gpt-same")]
    proxy = Proxy.start(tmp_path_factory.mktemp("pages"), providers=providers, models=models)
    yield proxy
    proxy.stop()


@pytest.fixture
def id_() -> str:
    """An id that no other test has."""
    return f"id-{next(numbers)}"


def refused(reply: Reply, status: int, param: str | None = None) -> str:
    assert (reply.status, reply.error["param"]) == (status, param), reply.body
    return str(reply.error["message"])


def signed_in(proxy: Proxy, username: str = "admin") -> str:
    reply = proxy.post("/api/user/login", {"username": username, "password": PASSWORD})
    assert reply.status == 200, reply.body
    return str(reply.json["token"])


def person(proxy: Proxy, name: str, **fields: object) -> str:
    """A user of that name; their session's token."""
    reply = proxy.admin("POST", "/users", {"username": name, "password": PASSWORD, **fields})
    assert reply.status == 201, reply.body
    return signed_in(proxy, name)


# Who is there.


@pytest.mark.parametrize("path", ["/v1/models", f"/v1/models/{build.PUBLIC_MODEL}", "/v1/usage", "/usage"])
@pytest.mark.parametrize("version", [[], [("anthropic-version", "2023-06-01")]])
def test_what_a_key_may_see_is_kept_by_no_cache_in_between(
    proxy: Proxy, path: str, version: list[tuple[str, str]]
) -> None:
    """Of a key in `x-api-key` a cache knows nothing, and would tell the next one, who has none."""
    reply = proxy.get(path, headers=[("x-api-key", KEY), *version])
    assert (reply.status, reply.header("cache-control")) == (200, "no-store")


def test_a_page_learns_who_is_there_without_an_error(proxy: Proxy, id_: str) -> None:
    for key in (None, "unknown", MASTER_KEY):
        reply = proxy.get("/api/session", key)
        assert (reply.status, reply.json["user"]) == (200, None)
    token = person(proxy, id_)
    found = proxy.get("/api/session", headers=[("cookie", f"ipin_session={token}")])
    assert found.json["user"].items() >= {"username": id_, "role": "user"}.items()
    assert set(found.json["user"]) == {"id", "username", "role"}
    assert found.header("cache-control") == "no-store"


def test_a_page_learns_how_much_may_be_sent_before_it_is(proxy: Proxy) -> None:
    assert proxy.get("/api/session").json["limits"] == {"audioMb": 25, "imageMb": 20}
    for name, value, told in (("MAX_AUDIO_MB", 30, {"audioMb": 30, "imageMb": 20}), ("MAX_BODY_MB", 8, None)):
        assert proxy.admin("PUT", "/settings", {name: value}).status == 200
        assert proxy.get("/api/session").json["limits"] == (told or {"audioMb": 8, "imageMb": 8})
    assert proxy.admin("PUT", "/settings", {"MAX_AUDIO_MB": "", "MAX_BODY_MB": ""}).status == 200
    assert proxy.get("/api/session").json["limits"] == {"audioMb": 25, "imageMb": 20}


def test_no_other_site_may_read_who_is_there(proxy: Proxy) -> None:
    reply = proxy.get("/api/session", headers=[("origin", "https://elsewhere.example")])
    assert reply.header("access-control-allow-origin") is None


def test_signing_out_everywhere_ends_all_sessions_of_one_person(proxy: Proxy, id_: str) -> None:
    first, second = person(proxy, id_), signed_in(proxy, id_)
    other = signed_in(proxy)
    assert proxy.post("/api/logout", None, first).status == 200
    assert [proxy.get("/api/user/me", token).status for token in (first, second)] == [401, 200]
    third = signed_in(proxy, id_)
    assert proxy.post("/api/logout?everywhere=1", None, third).json == {"success": True}
    assert [proxy.get("/api/user/me", token).status for token in (second, third, other)] == [401, 401, 200]
    assert proxy.post("/api/logout?everywhere=1", None, third).status == 200


def test_another_sites_page_cannot_sign_anybody_out(proxy: Proxy, id_: str) -> None:
    token = person(proxy, id_)
    cookie = [("cookie", f"ipin_session={token}"), ("sec-fetch-site", "cross-site")]
    assert proxy.post("/api/logout?everywhere=1", None, headers=cookie).status == 403
    assert proxy.get("/api/user/me", token).status == 200


# One's own key, and everybody's.


def test_people_replace_their_own_key(proxy: Proxy, upstream: Upstream, id_: str) -> None:
    old = f"sk-old-0123456789-{id_}"
    proxy.add_key(old, id_, name="Ada's", allowedModels=[build.PUBLIC_MODEL])
    token = person(proxy, id_, apiKeyId=id_)
    shown = proxy.get("/api/user/me", token).json
    assert shown["usage"]["spent"]["total"] == {"requests": 0, "tokens": 0, "costUsd": 0}

    reply = proxy.post("/api/user/key/rotate", None, token)
    assert reply.status == 200
    new, mask = reply.json["apiKey"]["key"], shown["apiKey"]["key"]
    assert reply.json["apiKey"] == {**shown["apiKey"], "key": new}
    upstream.will_answer(200, build.completion("Hi"))
    assert proxy.post("/v1/chat/completions", CHAT, new).status == 200
    assert proxy.post("/v1/chat/completions", CHAT, old).status == 401
    again = proxy.get("/api/user/me", token).json["apiKey"]["key"]
    assert again != mask and again.startswith(new[:5]) and len(again) < len(new)
    assert new not in (proxy.folder / "ipin-proxy.db").read_text()


def test_who_has_no_key_has_none_to_replace(proxy: Proxy, id_: str) -> None:
    reply = proxy.post("/api/user/key/rotate", None, person(proxy, id_))
    assert (reply.status, reply.error["code"]) == (404, "no_linked_key")
    assert proxy.post("/api/user/key/rotate").status == 401
    assert proxy.get("/api/user/me", MASTER_KEY).status == 403


def test_an_administrator_replaces_any_key(proxy: Proxy, id_: str) -> None:
    old, id_ = f"sk-old-0123456789-{id_}", f"team/{id_}"
    proxy.add_key(old, id_, name="Team")
    reply = proxy.admin("POST", f"/apikeys/{id_}/rotate")
    assert (reply.status, reply.json["id"], reply.json["name"]) == (200, id_, "Team")
    assert proxy.get("/v1/models", reply.json["key"]).status == 200
    assert proxy.get("/v1/models", old).status == 401
    assert "..." in proxy.admin("GET", f"/apikeys/{id_}").json["key"]
    assert proxy.admin("POST", "/apikeys/nobody/rotate").status == 404
    line = proxy.log_lines(lambda line: line.get("action") == "rotate" and line["id"] == id_)[0]
    assert (line["actor"], line["resource"]) == ("admin", "apiKeys")


# Settings.


def settings(proxy: Proxy) -> dict[str, Json]:
    return {line["name"]: line for line in proxy.admin("GET", "/settings").json["settings"]}


def test_settings_say_what_they_are_and_where_they_come_from(proxy: Proxy) -> None:
    found = settings(proxy)
    assert found["PORT"].items() >= {"value": 0, "source": "flag", "settable": False, "stored": None}.items()
    assert found["LOG_LEVEL"].items() >= {"value": "info", "source": "default", "settable": True}.items()
    assert found["DRAIN_SECONDS"]["source"] == "environment"
    assert all(line["help"] for line in found.values())
    for hidden in (MASTER_KEY, PASSWORD):
        assert hidden not in json.dumps(found)


def test_a_changed_setting_counts_at_once_and_is_kept(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy()
    reply = proxy.admin("PUT", "/settings", {"CORS_ORIGINS": ["https://app.example"], "MAX_BODY_MB": 1})
    assert (reply.status, reply.json["overridden"]) == (200, [])
    assert settings(proxy)["CORS_ORIGINS"].items() >= {"value": ["https://app.example"], "source": "database"}.items()
    allowed = proxy.get("/v1/models", headers=[("origin", "https://app.example")])
    assert allowed.header("access-control-allow-origin") == "https://app.example"
    strange = proxy.get("/v1/models", headers=[("origin", "https://other.example")])
    assert strange.header("access-control-allow-origin") is None
    large = proxy.raw(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n").reply()
    assert (large.status, "1 MB" in large.error["message"]) == (413, True)
    stored = json.loads((proxy.folder / "ipin-proxy.db").read_text())["settings"]
    assert stored.items() >= {"CORS_ORIGINS": ["https://app.example"], "MAX_BODY_MB": 1}.items()

    assert proxy.admin("PUT", "/settings", {"CORS_ORIGINS": None, "MAX_BODY_MB": ""}).status == 200
    assert settings(proxy)["CORS_ORIGINS"].items() >= {"value": ["*"], "source": "default", "stored": None}.items()
    assert "MAX_BODY_MB" not in json.loads((proxy.folder / "ipin-proxy.db").read_text())["settings"]


def test_no_page_of_anybody_else_may_use_the_api_once_that_is_set(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy()
    assert proxy.admin("PUT", "/settings", {"CORS_ORIGINS": "none"}).status == 200
    assert settings(proxy)["CORS_ORIGINS"].items() >= {"value": [], "source": "database", "stored": "none"}.items()
    reply = proxy.get("/health", headers=[("Origin", "https://other.example")])
    assert reply.header("access-control-allow-origin") is None


def test_what_the_environment_says_goes_before_and_is_said_so(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy()
    reply = proxy.admin("PUT", "/settings", {"DRAIN_SECONDS": 7, "LOG_LEVEL": "debug"})
    assert reply.json["overridden"] == ["DRAIN_SECONDS"]
    line = settings(proxy)["DRAIN_SECONDS"]
    assert (line["value"], line["stored"], line["source"]) == (1, 7, "environment")


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", 8080), ("NOTHING", 1), ("LOG_LEVEL", "loud"), ("MAX_BODY_MB", {}), ("masterKeyHash", "0" * 64)],
)
def test_a_wrong_setting_changes_none(proxy: Proxy, name: str, value: object) -> None:
    refused(proxy.admin("PUT", "/settings", {"LOG_BODIES": "on", name: value}), 400, name)
    assert settings(proxy)["LOG_BODIES"]["value"] is False
    assert proxy.admin("PUT", "/settings", {}).status == 400


def test_a_setting_edited_by_hand_counts_too(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy()
    file = proxy.folder / "ipin-proxy.db"
    document = json.loads(file.read_text())
    document["settings"]["LOG_LEVEL"] = "debug"
    file.write_text(json.dumps(document))
    proxy.log_lines(lambda line: line.get("event") == "reloaded")
    assert settings(proxy)["LOG_LEVEL"]["value"] == "debug"


def test_a_setting_edited_by_hand_counts_also_when_a_change_is_quicker(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy()
    assert settings(proxy)["LOG_LEVEL"]["source"] == "default"
    file = proxy.folder / "ipin-proxy.db"
    document = json.loads(file.read_text())
    document["settings"]["LOG_LEVEL"] = "debug"
    file.write_text(json.dumps(document))
    proxy.add_model("another")
    proxy.log_lines(lambda line: line.get("event") == "reloaded")
    assert settings(proxy)["LOG_LEVEL"].items() >= {"value": "debug", "stored": "debug"}.items()


# Providers, before they are saved.


def test_presets_come_in_the_order_to_show(proxy: Proxy) -> None:
    found = proxy.admin("GET", "/presets").json["presets"]
    assert [found[0]["id"], found[-1]["id"]] == ["openai", "custom"]
    members = {"id", "name", "owner", "host", "baseUrl", "type", "auth", "local", "keyUrl", "keyHint", "note"}
    members |= {"modelMap"}
    assert all(set(preset) == members for preset in found)
    assert proxy.get("/api/admin/presets").status == 401


def test_a_provider_is_tested_before_it_is_saved(proxy: Proxy, upstream: Upstream) -> None:
    listed = {"data": [{"id": "m-1"}, {"id": "m-2"}]}
    given = {"baseUrl": upstream.base_url, "apiKey": "fresh-key-0123456789"}
    upstream.will(answer(200, listed), answer(200, listed))
    reply = proxy.admin("POST", "/providers/test", given)
    assert (reply.status, reply.json["ok"], "2 models" in reply.json["message"]) == (200, True, True)
    found = proxy.admin("POST", "/providers/models", given).json["models"]
    assert [model["id"] for model in found] == ["m-1", "m-2"]
    assert {seen.header("authorization") for seen in upstream.history} == {"Bearer fresh-key-0123456789"}
    assert "fresh-key" not in (proxy.folder / "ipin-proxy.db").read_text()


@pytest.mark.parametrize("key", [None, "", "acme-...6789", "********"])
def test_a_stored_key_serves_for_a_test_at_its_own_host(proxy: Proxy, upstream: Upstream, key: str | None) -> None:
    upstream.will_answer(200, {"data": []})
    given = {"id": "acme", "baseUrl": f"{upstream.base_url}/", "apiKey": key, "timeoutSeconds": 5}
    assert proxy.admin("POST", "/providers/test", given).json["ok"] is True
    assert upstream.history[-1].header("authorization") == f"Bearer {SECRET}"


@pytest.mark.parametrize("path", ["/providers/test", "/providers/models"])
def test_a_stored_key_goes_to_no_other_host(proxy: Proxy, upstream: Upstream, path: str) -> None:
    for base_url in (f"http://localhost:{upstream.port}/v1", "http://127.0.0.1:1/v1", "https://127.0.0.1/v1"):
        for key in ({}, {"apiKey": ""}, {"apiKey": "acme-...6789"}):
            refused(proxy.admin("POST", path, {"id": "acme", "baseUrl": base_url, **key}), 400, "apiKey")
    refused(
        proxy.admin("POST", path, {"id": "other", "baseUrl": "https://x.example", "apiKey": "a...b"}), 400, "apiKey"
    )
    refused(proxy.admin("POST", path, {"apiKey": "x"}), 400, "baseUrl")
    refused(proxy.admin("POST", path, {"id": 5, "baseUrl": "https://x.example"}), 400, "id")
    assert upstream.history == []


def test_a_provider_may_be_called_what_a_route_is(proxy: Proxy, upstream: Upstream) -> None:
    for id_ in ("test", "models"):
        proxy.add_provider(upstream.base_url, id_)
        assert proxy.admin("PUT", f"/providers/{id_}", {"name": "Named"}).json["name"] == "Named"
        assert proxy.admin("GET", f"/providers/{id_}").json["id"] == id_
        assert proxy.admin("DELETE", f"/providers/{id_}").status == 200


# Several at once.


def test_several_models_are_added_in_one_go(proxy: Proxy) -> None:
    before = len(proxy.admin("GET", "/models").json["models"])
    rows = [{"id": f"many/{number}", "providerId": "acme"} for number in range(40)]
    reply = proxy.admin("POST", "/models", {"models": rows})
    assert reply.status == 201
    assert [model["id"] for model in reply.json["models"]] == [row["id"] for row in rows]
    assert len(proxy.admin("GET", "/models").json["models"]) == before + 40


@pytest.mark.parametrize(
    ("wrong", "status", "param"),
    [
        ({"providerId": "acme"}, 400, "models[1].id"),
        ({"id": "b", "providerId": "nobody"}, 400, "models[1].providerId"),
        ({"id": "a", "providerId": "acme"}, 409, "models[1].id"),
        ({"id": build.PUBLIC_MODEL, "providerId": "acme"}, 409, "models[1].id"),
        ("not an object", 400, "models[1]"),
    ],
)
def test_one_wrong_model_among_several_adds_none(proxy: Proxy, wrong: object, status: int, param: str) -> None:
    before = proxy.admin("GET", "/models").json
    reply = proxy.admin("POST", "/models", {"models": [{"id": "a", "providerId": "acme"}, wrong]})
    refused(reply, status, param)
    assert proxy.admin("GET", "/models").json == before
    refused(proxy.admin("POST", "/models", {"models": []}), 400, "models")


def test_several_keys_are_made_and_told_once(proxy: Proxy) -> None:
    made = proxy.admin("POST", "/apikeys", {"apiKeys": [{"name": "one"}, {"name": "two"}]}).json["apiKeys"]
    assert [proxy.get("/v1/models", key["key"]).status for key in made] == [200, 200]
    assert len({key["id"] for key in made}) == 2


@pytest.mark.parametrize(("path", "plural"), [("/models", "models"), ("/apikeys", "apiKeys")])
def test_several_are_switched_and_deleted_at_once(proxy: Proxy, id_: str, path: str, plural: str) -> None:
    one, three = f"one-{id_}", f"org/three-{id_}"
    for each in (one, "bulk", three):
        assert proxy.admin("POST", path, {"id": each, "providerId": "acme"}).status == 201
    reply = proxy.admin("POST", f"{path}/bulk", {"ids": [three, one, three], "action": "disable"})
    assert reply.status == 200
    assert [(row["id"], row["enabled"]) for row in reply.json[plural]] == [(three, False), (one, False)]
    assert proxy.admin("GET", f"{path}/bulk").json["enabled"] is True
    reply = proxy.admin("POST", f"{path}/bulk", {"ids": [one, three], "action": "enable"})
    assert {row["enabled"] for row in reply.json[plural]} == {True}

    refused(proxy.admin("POST", f"{path}/bulk", {"ids": [one, "nobody"], "action": "delete"}), 404, "ids[1]")
    assert proxy.admin("GET", f"{path}/{one}").status == 200
    reply = proxy.admin("POST", f"{path}/bulk", {"ids": [one, three], "action": "delete"})
    assert reply.json == {"deleted": [one, three]}
    assert [proxy.admin("GET", f"{path}/{each}").status for each in (one, three, "bulk")] == [404, 404, 200]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"action": "enable"}, "ids"),
        ({"ids": [], "action": "enable"}, "ids"),
        ({"ids": [1], "action": "enable"}, "ids"),
        ({"ids": "one", "action": "enable"}, "ids"),
        ({"ids": ["gpt-same"]}, "action"),
        ({"ids": ["gpt-same"], "action": "explode"}, "action"),
        ({"ids": ["gpt-same"], "action": ["delete"]}, "action"),
    ],
)
def test_a_wrong_order_for_several_is_told(proxy: Proxy, body: Json, param: str) -> None:
    refused(proxy.admin("POST", "/models/bulk", body), 400, param)


def test_a_deleted_key_leaves_its_user_without_one(proxy: Proxy, id_: str) -> None:
    proxy.add_key(f"sk-old-0123456789-{id_}", id_)
    token = person(proxy, id_, apiKeyId=id_)
    proxy.admin("POST", "/apikeys/bulk", {"ids": [id_], "action": "delete"})
    assert proxy.get("/api/user/me", token).json["apiKey"] is None


def test_all_of_this_is_for_administrators(proxy: Proxy, id_: str) -> None:
    token = person(proxy, id_)
    other_site = [("cookie", f"ipin_session={signed_in(proxy)}"), ("sec-fetch-site", "same-site")]
    ours = [("GET", "/settings"), ("PUT", "/settings"), ("GET", "/presets"), ("POST", "/providers/test")]
    ours += [("POST", "/providers/models"), ("POST", "/models/bulk"), ("POST", "/apikeys/bulk")]
    ours += [("POST", "/apikeys/key-1/rotate"), ("GET", "/export"), ("POST", "/import")]
    ours += [("GET", "/backups"), ("POST", "/backups/x/restore")]
    for method, path in ours:
        assert proxy.request(method, f"/api/admin{path}", {}).status == 401
        assert proxy.request(method, f"/api/admin{path}", {}, token).status == 403
        if method != "GET":
            assert proxy.request(method, f"/api/admin{path}", {}, headers=other_site).status == 403
