"""Aliases for clients of the Messages API: every form of a URL, the prompt on both ways, counting, walls and lists."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support import build
from support.build import completion
from support.client import Reply
from support.proxy import KEY, Proxy
from support.upstream import Upstream, answer

Json = dict[str, Any]
VERSION = [("anthropic-version", "2023-06-01")]
LISTED = "sk-listed-0123456789abcdef"
PROMPT = {"template": "OURS {{MODEL_INFO}}", "mode": "prepend"}
ALIASES: list[Json] = [
    {"id": "cheap", "target": "gpt-public", "modelMap": {"haiku": "gpt-small"}, "systemPrompt": PROMPT},
    {"id": "real", "target": "theirs", "modelMap": {"sonnet": "claude-sonnet-5"}, "systemPrompt": PROMPT},
    {"id": "catch-all", "target": "gpt-public", "default": True},
    {"id": "nowhere", "target": "gone"},
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    origin = shared_upstream.origin
    providers = [
        build.provider(f"{origin}/v1"),
        build.provider(f"{origin}/theirs/v1", "theirs", type="anthropic"),
    ]
    models = [build.model(), build.model("gpt-small", upstreamModel="up-small")]
    keys = [build.key(KEY), build.key(LISTED, "listed", allowedModels=["gpt-other"])]
    proxy = Proxy.start(tmp_path_factory.mktemp("agents"), providers=providers, models=models, keys=keys)
    for row in ALIASES:
        assert proxy.admin("POST", "/aliases", row).status == 201
    yield proxy
    proxy.stop()


def ask(proxy: Proxy, path: str, model: str = "claude-opus-4-8", key: str = KEY, **more: Any) -> Reply:
    body = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], **more}
    return proxy.post(path, body, key, VERSION)


def message(model: str = "claude-sonnet-5") -> Json:
    told = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "stop_reason": "end_turn"}
    return {**told, "content": [{"type": "text", "text": "Hi"}], "usage": {"input_tokens": 1, "output_tokens": 1}}


@pytest.mark.parametrize("end", ["", "?beta=true"])
@pytest.mark.parametrize("path", ["/cheap/v1/messages", "/v1/messages/cheap", "/v1/messages/cheap/v1/messages"])
def test_every_form_of_a_url_leads_to_the_alias(proxy: Proxy, upstream: Upstream, path: str, end: str) -> None:
    upstream.will(answer(200, completion()), answer(200, completion()))
    reply = ask(proxy, path + end)
    assert (reply.status, reply.json["type"]) == (200, "message")
    assert ask(proxy, path + end, "claude-haiku-4-5-20251001").status == 200
    assert [seen.json["model"] for seen in upstream.history] == ["gpt-upstream", "up-small"]


def test_names_nobody_has_go_to_the_default_at_the_root(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will(answer(200, completion()), answer(200, completion()))
    assert ask(proxy, "/v1/messages").status == 200
    assert ask(proxy, "/v1/messages", "cheap").status == 200


def test_the_prompt_is_put_into_system_for_whichever_provider(proxy: Proxy, upstream: Upstream) -> None:
    theirs = [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=1"},
        {"type": "text", "text": "You are powered by Sample.", "cache_control": {"type": "ephemeral"}},
    ]
    upstream.will(answer(200, completion()), answer(200, message()))
    assert ask(proxy, "/cheap/v1/messages", system=theirs).status == 200
    assert ask(proxy, "/real/v1/messages", "claude-sonnet-4", system=theirs).status == 200
    translated, passed = (seen.json for seen in upstream.history)
    assert "OURS You are powered by Sample." in json.dumps(translated["messages"][0])
    ours = {"type": "text", "text": "OURS You are powered by Sample."}
    assert (passed["model"], passed["system"]) == ("claude-sonnet-5", [theirs[0], ours, theirs[1]])


def test_tokens_are_counted_with_the_prompt(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will(answer(200, {"input_tokens": 7}))
    assert ask(proxy, "/real/v1/messages/count_tokens", "claude-sonnet-4").json == {"input_tokens": 7}
    assert upstream.history[0].json["system"] == "OURS "
    counted = ask(proxy, "/cheap/v1/messages/count_tokens").json["input_tokens"]
    assert counted > ask(proxy, "/v1/messages/count_tokens", "gpt-public").json["input_tokens"]


def test_errors_are_told_in_the_clients_own_shape(proxy: Proxy) -> None:
    for path, status in (("/nowhere/v1/messages", 503), ("/nobody/v1/messages", 404)):
        reply = ask(proxy, path)
        assert (reply.status, reply.json["type"]) == (status, "error"), reply.body
    assert ask(proxy, "/v1/messages", key=LISTED).status == 403
    assert ask(proxy, "/v1/messages/cheap", key=LISTED).status == 404


def test_the_list_has_aliases_in_the_clients_shape(proxy: Proxy) -> None:
    rows = {each["id"]: each for each in proxy.get("/v1/models?limit=1000", KEY, VERSION).json["data"]}
    assert (rows["cheap"]["type"], rows["cheap"]["display_name"]) == ("model", "cheap")
    assert proxy.get("/v1/models/cheap", KEY, VERSION).json["display_name"] == "cheap"
