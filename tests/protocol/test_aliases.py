"""Aliases over the wire: every way to ask for one, what goes upstream, who may, what is listed and written down; and how they
are made, changed and looked at before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support import build, containers
from support.build import completion, hello, spoken
from support.client import Reply
from support.proxy import KEY, Proxy
from support.upstream import Upstream, answer, stream

Json = dict[str, Any]
CHAT = "/v1/chat/completions"
# Keys with a list of their own; `secret(name)` is the key itself.
KEYS = {"aliased": ["cheap"], "behind": ["gpt-public"], "elsewhere": ["gpt-other"], "default-only": ["gpt-default"]}
ALIASES: list[Json] = [
    {"id": "cheap", "name": "Cheap one", "target": "gpt-public", "modelMap": {"haiku": "gpt-small"}},
    {"id": "agent", "target": "mapped", "modelMap": {"haiku": "vendor/small", "exact-name": "gpt-small"}},
    {"id": "catch-all", "target": "gpt-default", "default": True},
    {"id": "off", "target": "gpt-public", "enabled": False},
    {"id": "nowhere", "target": "gone"},
    {
        "id": "prompted",
        "target": "gpt-public",
        "systemPrompt": {"template": "OURS {{MODEL_INFO}}", "mode": "append"},
    },
]


def secret(name: str) -> str:
    return f"sk-key-of-{name}-0123456789"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    origin = shared_upstream.origin
    providers = [
        build.provider(f"{origin}/v1"),
        build.provider(f"{origin}/mapped/v1", "mapped", modelMap={"sonnet": "vendor/usual"}, defaultModel="vendor/any"),
    ]
    models = [
        build.model(),
        *(build.model(name, upstreamModel=f"up-{name}") for name in ("gpt-small", "gpt-other", "gpt-default")),
        build.model("embed-public", type="embedding"),
    ]
    keys = [build.key(KEY), *(build.key(secret(name), name, allowedModels=listed) for name, listed in KEYS.items())]
    proxy = Proxy.start(tmp_path_factory.mktemp("aliases"), providers=providers, models=models, keys=keys)
    for row in ALIASES:
        reply = proxy.admin("POST", "/aliases", row)
        assert reply.status == 201, reply.body
    yield proxy
    proxy.stop()


def ask(proxy: Proxy, model: str, path: str = CHAT, key: str = KEY, **more: Any) -> Reply:
    return proxy.post(path, hello(model=model, **more), key)


def refused(reply: Reply, status: int, code: str) -> str:
    error = reply.error
    assert (reply.status, error["code"]) == (status, code), error
    return str(error["message"])


# Every way to ask for one.


@pytest.mark.parametrize(
    ("path", "model", "provider", "expected"),
    [
        (CHAT, "cheap", "acme", "gpt-upstream"),
        (f"/cheap{CHAT}", "whatever", "acme", "gpt-upstream"),
        (f"/cheap{CHAT}", "claude-haiku-4-5", "acme", "up-gpt-small"),
        (f"/agent{CHAT}", "claude-haiku-4-5", "mapped", "vendor/small"),
        (f"/agent{CHAT}", "exact-name", "acme", "up-gpt-small"),
        (f"/agent{CHAT}", "claude-sonnet-5", "mapped", "vendor/usual"),
        (f"/agent{CHAT}", "claude-opus-4-8", "mapped", "vendor/any"),
        (CHAT, "agent", "mapped", "vendor/any"),
        (f"/mapped{CHAT}", "claude-sonnet-5", "mapped", "vendor/usual"),
        (CHAT, "claude-opus-4-8", "acme", "up-gpt-default"),
        (CHAT, "gpt-public", "acme", "gpt-upstream"),
    ],
)
@pytest.mark.parametrize("streams", [False, True])
def test_a_name_leads_to_its_model(
    proxy: Proxy, upstream: Upstream, path: str, model: str, provider: str, expected: str, streams: bool
) -> None:
    upstream.will(stream(*spoken("Hi")) if streams else answer(200, completion("Hi")))
    reply = ask(proxy, model, path, stream=streams)
    assert reply.status == 200, reply.body
    reply.read()
    assert (upstream.history[0].json["model"], reply.header("x-ipin-provider")) == (expected, provider)
    assert upstream.history[0].path.startswith("/mapped/" if provider == "mapped" else "/v1/")


def test_other_routes_take_aliases_too(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will(answer(200, build.response("Hi")), answer(200, build.text_completion("Hi")))
    assert proxy.post("/cheap/v1/responses", {"model": "gpt-5", "input": "Hi"}, KEY).status == 200
    assert proxy.post("/v1/completions", {"model": "cheap", "prompt": "Hi"}, KEY).status == 200
    assert [seen.json["model"] for seen in upstream.history] == ["gpt-upstream"] * 2
    message = refused(proxy.post("/v1/embeddings", {"model": "cheap", "input": "x"}, KEY), 400, "invalid_model_type")
    assert message.startswith("The model 'cheap' is of type chat")
    refused(proxy.post("/v1/embeddings", {"model": "no-embedding", "input": "x"}, KEY), 404, "model_not_found")


def test_bytes_that_need_no_change_are_not_changed(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will(answer(200, completion()))
    raw = b'{ "messages":[{"role":"user","content":"Hi \\u00e9"}],"model" : "cheap", "x":1.50}'
    proxy.request("POST", CHAT, raw, KEY, [("content-type", "application/json")]).read()
    assert upstream.history[0].body == raw.replace(b'"cheap"', b'"gpt-upstream"')


def test_the_log_says_what_was_asked_for_and_which_way_it_went(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will(answer(200, completion()))
    id_ = ask(proxy, "claude-haiku-4-5", f"/cheap{CHAT}").header("x-request-id")
    row = proxy.admin("GET", f"/requests/{id_}").json
    told = {name: row[name] for name in ("alias", "model", "servedModel", "upstreamModel", "providerId")}
    assert told == {
        "alias": "cheap",
        "model": "claude-haiku-4-5",
        "servedModel": "gpt-small",
        "upstreamModel": "up-gpt-small",
        "providerId": "acme",
    }
    (line,) = proxy.log_lines(lambda each: each.get("request_id") == id_ and each.get("event") == "call")
    assert line["alias"] == "cheap"
    series = proxy.admin("GET", "/usage?by=alias").json["series"]
    assert "cheap" in [each["bucket"] for each in series]


# What is wrong.


def test_what_leads_nowhere_is_told(proxy: Proxy) -> None:
    reply = ask(proxy, "nowhere")
    assert "leads to 'gone'" in refused(reply, 503, "provider_not_configured")
    assert reply.header("x-should-retry") == "false"
    refused(ask(proxy, "anything", f"/nowhere{CHAT}"), 503, "provider_not_configured")
    assert "'off'" in refused(ask(proxy, "anything", f"/off{CHAT}"), 404, "not_found")
    refused(ask(proxy, "anything", f"/nobody{CHAT}"), 404, "not_found")


def test_a_target_that_goes_away_is_told_from_the_next_call_on(proxy: Proxy, upstream: Upstream) -> None:
    proxy.add_model("short-lived", upstreamModel="up")
    proxy.admin("POST", "/aliases", {"id": "for-a-while", "target": "short-lived"})
    upstream.will(answer(200, completion()))
    assert ask(proxy, "for-a-while").status == 200
    proxy.admin("PUT", "/models/short-lived", {"enabled": False})
    refused(ask(proxy, "for-a-while"), 503, "provider_not_configured")
    assert "short-lived" in proxy.admin("GET", "/aliases/for-a-while").json["trouble"]
    proxy.admin("DELETE", "/models/short-lived")
    refused(ask(proxy, "for-a-while"), 503, "provider_not_configured")
    proxy.admin("DELETE", "/aliases/for-a-while")


# Who may.


@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        ("aliased", [("cheap", CHAT), ("x", f"/cheap{CHAT}"), ("haiku", f"/cheap{CHAT}")]),
        ("behind", [("cheap", CHAT), ("x", f"/cheap{CHAT}")]),
        ("default-only", [("anything", CHAT), ("catch-all", CHAT)]),
    ],
)
def test_a_key_s_list_names_the_alias_or_what_is_behind_it(
    proxy: Proxy, upstream: Upstream, key: str, allowed: list[tuple[str, str]]
) -> None:
    for model, path in allowed:
        upstream.will(answer(200, completion()))
        assert ask(proxy, model, path, secret(key)).status == 200


@pytest.mark.parametrize("key", ["elsewhere", "aliased", "behind"])
def test_behind_its_list_a_key_learns_nothing_of_other_aliases(proxy: Proxy, key: str) -> None:
    names = ["agent", "catch-all", "nowhere", "off", "no-such-name"]
    told = {
        refused(ask(proxy, name, key=secret(key)), 403, "model_not_allowed").replace(f"'{name}'", "") for name in names
    }
    assert len(told) == 1
    told = {
        refused(ask(proxy, "x", f"/{name}{CHAT}", secret(key)), 404, "not_found").replace(f"'{name}'", "")
        for name in names
    }
    assert len(told) == 1
    listed = {each["id"] for each in proxy.get("/v1/models", secret(key)).json["data"]}
    assert not listed & set(names)


def test_a_prefix_is_told_to_nobody_without_a_key(proxy: Proxy) -> None:
    assert ask(proxy, "x", f"/cheap{CHAT}", "sk-wrong-0123456789").status == 401
    assert ask(proxy, "x", f"/nobody{CHAT}", "sk-wrong-0123456789").status == 401


# Lists.


def test_aliases_are_listed_among_the_models(proxy: Proxy) -> None:
    rows = {each["id"]: each for each in proxy.get("/v1/models", KEY).json["data"]}
    assert {"cheap", "agent", "catch-all", "prompted", "gpt-public"} <= set(rows)
    assert not {"off", "nowhere"} & set(rows)
    assert (rows["cheap"]["name"], rows["cheap"]["type"], rows["cheap"]["owned_by"]) == ("Cheap one", "chat", "acme")
    assert rows["agent"]["owned_by"] == "mapped"
    assert proxy.get("/v1/models/cheap", KEY).json == rows["cheap"]
    assert [each["id"] for each in proxy.get("/v1/models", secret("aliased")).json["data"]] == ["cheap"]
    assert proxy.get("/v1/models/cheap", secret("aliased")).status == 200
    refused(proxy.get("/v1/models/agent", secret("aliased")), 403, "model_not_allowed")
    behind = {each["id"] for each in proxy.get("/agent/v1/models", KEY).json["data"]}
    assert behind == {"exact-name"}
    assert {each["id"] for each in proxy.get("/cheap/v1/models", KEY).json["data"]} == {"gpt-public"}
    assert proxy.get("/agent/v1/models/exact-name", KEY).status == 200
    refused(proxy.get("/agent/v1/models/nothing", KEY), 404, "model_not_found")


# Prompts.


def test_a_prompt_goes_into_chats_and_responses_and_into_nothing_else(proxy: Proxy, upstream: Upstream) -> None:
    theirs = "You are powered by the model named Sample."
    upstream.will(
        answer(200, completion()), answer(200, build.response("Hi")), answer(200, build.text_completion("Hi"))
    )
    body = {"messages": [{"role": "system", "content": theirs}, {"role": "user", "content": "Hi"}], "model": "prompted"}
    proxy.post(CHAT, {**body, "seed": 7}, KEY).read()
    proxy.post("/prompted/v1/responses", {"model": "gpt", "input": "Hi"}, KEY).read()
    proxy.post("/v1/completions", {"model": "prompted", "prompt": "Hi"}, KEY).read()
    chat, response, text = (seen.json for seen in upstream.history)
    assert chat["messages"][0] == {"role": "system", "content": f"{theirs}\n\nOURS {theirs}"}
    assert (chat["messages"][1:], chat["seed"]) == (body["messages"][1:], 7)
    assert response == {"model": "gpt-upstream", "input": "Hi", "instructions": "OURS "}
    assert text == {"model": "gpt-upstream", "prompt": "Hi"}


def test_a_prompt_leaves_pictures_and_everything_else_as_it_was(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will(answer(200, completion()))
    long = "x" * 400_000
    raw = json.dumps({"model": "prompted", "messages": [{"role": "user", "content": long}], "x": "é"}).encode()
    proxy.request("POST", CHAT, raw, KEY, [("content-type", "application/json")]).read()
    sent = upstream.history[0].json
    assert sent["messages"] == [{"role": "system", "content": "OURS "}, {"role": "user", "content": long}]
    assert (sent["x"], sent["model"]) == ("é", "gpt-upstream")


def test_a_prompt_goes_beside_that_of_clients_who_have_no_instructions(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will(answer(200, build.response("Hi")))
    theirs, long = "You are powered by the model named Sample.", "x" * 400_000
    asked = [{"role": "developer", "content": theirs}, {"role": "user", "content": long}]
    proxy.post("/v1/responses", {"model": "prompted", "input": asked}, KEY).read()
    sent = upstream.history[0].json
    ours = {"role": "developer", "content": f"{theirs}\n\nOURS {theirs}"}
    assert sent == {"model": "gpt-upstream", "input": [ours, asked[1]]}


def test_a_prompt_reaches_a_provider_that_speaks_another_language(proxy: Proxy, upstream: Upstream) -> None:
    proxy.add_provider(f"{upstream.origin}/other/v1", "other", type="anthropic", modelMap={"sonnet": "claude-sonnet-5"})
    prompt = {"template": "OURS", "mode": "prepend"}
    proxy.admin("POST", "/aliases", {"id": "over", "target": "other", "systemPrompt": prompt})
    told = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
    }
    upstream.will(answer(200, {**told, "id": "m", "model": "x", "usage": {"input_tokens": 1, "output_tokens": 1}}))
    reply = ask(proxy, "claude-sonnet-4-0", f"/over{CHAT}")
    assert reply.json["choices"][0]["message"]["content"] == "Hi"
    sent = upstream.history[0].json
    assert (sent["model"], "OURS" in json.dumps(sent["system"])) == ("claude-sonnet-5", True)
    proxy.admin("DELETE", "/aliases/over")
    proxy.admin("DELETE", "/providers/other")


def test_an_empty_prompt_in_place_of_the_clients_leaves_none(proxy: Proxy, upstream: Upstream) -> None:
    proxy.admin(
        "POST", "/aliases", {"id": "bare", "target": "gpt-public", "systemPrompt": {"template": "", "mode": "replace"}}
    )
    upstream.will(answer(200, completion()))
    messages = [{"role": "system", "content": "theirs"}, {"role": "user", "content": "Hi"}]
    proxy.post(CHAT, {"model": "bare", "messages": messages}, KEY).read()
    assert upstream.history[0].json["messages"] == messages[1:]
    proxy.admin("DELETE", "/aliases/bare")


def test_an_upload_goes_through_an_alias_too(proxy: Proxy, upstream: Upstream) -> None:
    proxy.add_model("hears", type="transcription", upstreamModel="up-hears")
    proxy.admin("POST", "/aliases", {"id": "ear", "target": "hears", "systemPrompt": {"template": "OURS"}})
    upstream.will(answer(200, {"text": "Hi"}))
    path, file = "/ear/v1/audio/transcriptions", ("a.wav", containers.wav(), "audio/wav")
    reply = proxy.form(path, [("model", "whisper-1"), ("file", file)], KEY)
    assert reply.json["text"] == "Hi"
    assert upstream.history[0].field("model").text == "up-hears"
    proxy.admin("DELETE", "/aliases/ear")
    proxy.admin("DELETE", "/models/hears")


# Records.


def test_an_alias_is_made_changed_listed_and_deleted(proxy: Proxy) -> None:
    made = proxy.admin("POST", "/aliases", {"id": "mine", "target": "gpt-public", "invented": {"next": "month"}})
    assert made.status == 201
    expected = {
        "id": "mine",
        "name": "mine",
        "target": "gpt-public",
        "modelMap": {},
        "systemPrompt": None,
        "default": False,
        "enabled": True,
        "invented": {"next": "month"},
        "trouble": "",
    }
    assert {name: value for name, value in made.json.items() if name != "createdAt"} == expected
    changed = proxy.admin(
        "PUT", "/aliases/mine", {**made.json, "modelMap": {"haiku": "gpt-small"}, "trouble": "made up"}
    )
    assert (changed.json["modelMap"], changed.json["trouble"]) == ({"haiku": "gpt-small"}, "")
    assert "mine" in [each["id"] for each in proxy.admin("GET", "/aliases").json["aliases"]]
    done = proxy.admin("POST", "/aliases/bulk", {"ids": ["mine"], "action": "disable"})
    assert [each["enabled"] for each in done.json["aliases"]] == [False]
    assert proxy.admin("DELETE", "/aliases/mine").json == {"success": True}
    assert proxy.admin("GET", "/aliases/mine").status == 404
    trail = proxy.admin("GET", "/audit?resource=aliases&id=mine").json["items"]
    assert [each["action"] for each in trail] == ["delete", "disable", "update", "create"]
    assert "trouble" not in trail[-1]["after"]


@pytest.mark.parametrize(
    ("row", "status", "param"),
    [
        ({"id": "gpt-public", "target": "acme"}, 409, "id"),
        ({"id": "acme", "target": "gpt-public"}, 409, "id"),
        ({"id": "cheap", "target": "gpt-public"}, 409, "id"),
        ({"id": "v1", "target": "gpt-public"}, 400, "id"),
        ({"id": "count_tokens", "target": "gpt-public"}, 400, "id"),
        ({"id": "a/b", "target": "gpt-public"}, 400, "id"),
        ({"id": "new"}, 400, "target"),
        ({"id": "new", "target": "x", "modelMap": {"haiku": 3}}, 400, "modelMap"),
        ({"id": "new", "target": "x", "systemPrompt": {"template": "x", "mode": "insert"}}, 400, "systemPrompt.mode"),
        ({"id": "new", "target": "x", "default": True}, 409, "default"),
    ],
)
def test_what_cannot_be_an_alias_is_refused(proxy: Proxy, row: Json, status: int, param: str) -> None:
    reply = proxy.admin("POST", "/aliases", row)
    assert (reply.status, reply.error["param"]) == (status, param), reply.body


def test_no_model_or_provider_takes_the_id_of_an_alias(proxy: Proxy) -> None:
    assert proxy.admin("POST", "/models", build.model("cheap")).status == 409
    assert proxy.admin("POST", "/providers", build.provider("https://provider.test", "cheap")).status == 409


def test_a_preview_says_where_a_name_leads_and_what_a_prompt_becomes(proxy: Proxy) -> None:
    alias = {"id": "", "target": "agent-of-nothing", "systemPrompt": {"template": "{{ENV_INFO}}", "mode": "replace"}}
    told = proxy.admin("POST", "/aliases/preview", {"alias": alias, "model": "claude-haiku"}).json
    assert "agent-of-nothing" in told["trouble"] and told["leadsTo"] is None
    assert told["prompt"] == told["sections"]["ENV_INFO"] != ""
    alias = {"target": "mapped", "modelMap": {"haiku": "vendor/small"}}
    told = proxy.admin("POST", "/aliases/preview", {"alias": alias, "model": "claude-haiku", "system": "Hi"}).json
    assert told["leadsTo"] == {"model": "mapped/vendor/small", "provider": "mapped", "upstreamModel": "vendor/small"}
    assert (told["trouble"], told["prompt"], told["system"]) == ("", "Hi", "Hi")
    for body, param in (({}, "alias"), ({"alias": {"target": "x"}, "model": 3}, "model"), ({"alias": {}}, "target")):
        reply = proxy.admin("POST", "/aliases/preview", body)
        assert (reply.status, reply.error["param"]) == (400, param)


def test_places_that_are_disabled_are_passed_over_and_told_when_none_is_left(proxy: Proxy, upstream: Upstream) -> None:
    for id_ in ("one", "two"):
        proxy.add_provider(upstream.base_url, id_)
    proxy.add_model("twice", "one", deployments=[{"providerId": "two", "upstreamModel": "theirs"}])
    for row in ({"id": "to-it", "target": "twice"}, {"id": "by-name", "target": "acme", "modelMap": {"opus": "twice"}}):
        assert proxy.admin("POST", "/aliases", row).status == 201
    found = []
    for disabled in (None, "one", "two"):
        if disabled is not None:
            assert proxy.admin("PUT", f"/providers/{disabled}", {"enabled": False}).status == 200
        told = proxy.admin("POST", "/aliases/preview", {"alias": {"target": "twice"}}).json
        place = told["leadsTo"]
        found.append((place and (place["provider"], place["upstreamModel"]), told["trouble"]))
        for path, name in (("/v1/models", "to-it"), ("/to-it/v1/models", "twice")):
            offered = {each["id"] for each in proxy.get(path, KEY).json["data"]}
            assert (name in offered) is (place is not None)
        for id_ in ("to-it", "by-name"):
            assert proxy.admin("GET", f"/aliases/{id_}").json["trouble"] == told["trouble"]
    assert found == [
        (("one", "gpt-upstream"), ""),
        (("two", "theirs"), ""),
        (None, "It leads to the model 'twice', and no provider that serves it is enabled."),
    ]
    refused(ask(proxy, "to-it"), 503, "provider_not_configured")
    for path in ("/aliases/to-it", "/aliases/by-name", "/providers/one", "/providers/two"):
        assert proxy.admin("DELETE", path).status == 200


def test_aliases_travel_with_the_database(proxy: Proxy) -> None:
    document = proxy.admin("GET", "/export").json
    assert {each["id"] for each in document["aliases"]} >= {"cheap", "prompted"}
    assert proxy.admin("POST", "/import?dryRun=1", document).json["changed"] == []
    document["aliases"] = [each for each in document["aliases"] if each["id"] != "off"]
    assert proxy.admin("POST", "/import?dryRun=1", document).json["removed"] == [{"kind": "alias", "id": "off"}]
