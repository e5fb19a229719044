"""Prices over the admin API: the offer for a model, what a provider's list says, and a price file, looked at and taken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support import build
from support.client import Reply
from support.proxy import KEY, Proxy
from support.upstream import Upstream, answer

Json = dict[str, Any]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    """A proxy of this file alone, with the providers "acme" and "openai"."""
    providers = [
        build.provider(shared_upstream.base_url),
        build.provider("https://api.openai.com/v1", "openai"),
        build.provider("https://nobody-knows.example/v1", "mistral"),
    ]
    proxy = Proxy.start(tmp_path_factory.mktemp("prices"), providers=providers, models=[build.model()])
    yield proxy
    proxy.stop()


@pytest.fixture(autouse=True)
def models(proxy: Proxy) -> Iterator[None]:
    """The models the price file is about; the one of "acme" is not in it."""
    proxy.add_model("fast", "openai", upstreamModel="gpt-4o-mini", price={"input": 9, "note": "by hand"})
    proxy.add_model("gpt-4o-2024-08-06", "openai", upstreamModel=None)
    proxy.add_model("broken", "openai", upstreamModel="gpt-broken", price={"input": 1})
    proxy.add_model("large", "mistral", upstreamModel="mistral-large-latest")
    yield
    for each in ("fast", "gpt-4o-2024-08-06", "broken", "large"):
        proxy.admin("DELETE", f"/models/{each}")


FILE: Json = {
    "sample_spec": {"litellm_provider": "one of …", "input_cost_per_token": 0.0},
    "gpt-4o": {
        "litellm_provider": "openai",
        "input_cost_per_token": 2.5e-06,
        "output_cost_per_token": 1e-05,
        "cache_read_input_token_cost": 1.25e-06,
    },
    "gpt-4o-mini": {"litellm_provider": "openai", "input_cost_per_token": 1.5e-07, "output_cost_per_token": 6e-07},
    "gpt-broken": {"litellm_provider": "openai", "input_cost_per_token": -1},
    "mistral/mistral-large-latest": {
        "litellm_provider": "mistral",
        "input_cost_per_token": 5e-07,
        "output_cost_per_token": 1.5e-06,
    },
}
AFTER = {
    "fast": {"input": 0.15, "output": 0.6},
    "gpt-4o-2024-08-06": {"input": 2.5, "output": 10, "cachedInput": 1.25},
    "large": {"input": 0.5, "output": 1.5},
}


def price_of(proxy: Proxy, id_: str) -> Json | None:
    return proxy.admin("GET", f"/models/{id_}").json["price"]  # type: ignore[no-any-return]


def imported(proxy: Proxy, body: object, query: str = "?dryRun=1") -> Reply:
    return proxy.admin("POST", f"/prices/import{query}", body)


def test_the_list_price_of_a_model_is_told_and_none_is_null(proxy: Proxy) -> None:
    reply = proxy.admin("GET", "/prices?provider=openai&model=gpt-4o-2024-11-20")
    assert (reply.status, reply.json["price"]) == (200, {"input": 2.5, "output": 10, "cachedInput": 1.25})
    assert {"date", "source", "provider", "model", "contextWindow", "supportsImageUpload"} < reply.json.keys()
    assert proxy.admin("GET", "/prices?model=openai/gpt-4o").json["provider"] == "OpenAI"
    nothing = proxy.admin("GET", "/prices?provider=openai&model=of-my-own")
    assert (nothing.status, nothing.json) == (200, None)


def test_the_offer_changes_nothing(proxy: Proxy) -> None:
    proxy.admin("GET", "/prices?provider=openai&model=gpt-4o")
    assert price_of(proxy, "gpt-4o-2024-08-06") is None


def test_an_offer_for_nothing_or_of_nobody_is_refused(proxy: Proxy) -> None:
    assert proxy.admin("GET", "/prices?provider=openai").error["param"] == "model"
    assert proxy.admin("GET", "/prices?provider=nobody&model=gpt-4o").status == 404
    assert proxy.get("/api/admin/prices?model=gpt-4o", KEY).status == 401


def test_a_providers_own_prices_come_with_its_models_else_the_list_price(proxy: Proxy, upstream: Upstream) -> None:
    listed = [
        {"id": "vendor/own", "pricing": {"prompt": "0.0000025", "completion": "0.00001"}},
        {"id": "vendor/depends", "pricing": {"prompt": "-1", "completion": "-1"}},
        {"id": "openai/gpt-4o"},
    ]
    upstream.will(answer(200, {"object": "list", "data": listed}))
    own, depends, known = proxy.admin("GET", "/providers/acme/models").json["models"]
    assert own["price"] == {"input": 2.5, "output": 10} and "listPrice" not in own
    assert not {"price", "listPrice"} & depends.keys()
    assert "price" not in known
    assert (known["listPrice"]["provider"], known["listPrice"]["price"]["input"]) == ("OpenAI", 2.5)


def test_a_price_file_is_looked_at_first(proxy: Proxy) -> None:
    before = {id_: price_of(proxy, id_) for id_ in AFTER}
    reply = imported(proxy, FILE)
    assert reply.status == 200, reply.body
    assert {each["model"]: (each["before"], each["after"]) for each in reply.json["matched"]} == {
        id_: (before[id_], AFTER[id_]) for id_ in AFTER
    }
    assert (reply.json["unmatched"], reply.json["dryRun"]) == (1, True)
    assert [each["model"] for each in reply.json["refused"]] == ["broken"]
    assert "input_cost_per_token" in reply.json["refused"][0]["message"]
    assert {id_: price_of(proxy, id_) for id_ in AFTER} == before


def test_a_price_file_is_taken_and_what_one_row_has_wrong_is_no_matter_to_the_others(proxy: Proxy) -> None:
    reply = imported(proxy, FILE, "")
    assert (reply.status, reply.json["dryRun"]) == (200, False)
    assert {id_: price_of(proxy, id_) for id_ in AFTER} == AFTER
    assert price_of(proxy, "broken") == {"input": 1}
    assert price_of(proxy, build.PUBLIC_MODEL) is None
    again = imported(proxy, FILE).json["matched"]
    assert again and all(each["before"] == each["after"] for each in again)
    lines = proxy.log_lines(lambda line: line.get("resource") == "models" and line.get("id") == "fast")
    assert "update" in [line["action"] for line in lines]


def test_a_model_that_completes_is_found_under_what_its_provider_is_called_there(proxy: Proxy) -> None:
    row = {**FILE["gpt-4o-mini"], "litellm_provider": "text-completion-openai", "mode": "completion"}
    found = imported(proxy, {"gpt-4o-mini": row}).json["matched"]
    assert [(each["model"], each["after"]) for each in found] == [("fast", {"input": 0.15, "output": 0.6})]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b"{},{}" * 400_000,
        b'{"gpt-4o": {"input_cost_per_token": 1}}',
        b'{"gpt-4o": 3}',
    ],
    ids=range(9),
)
def test_what_is_no_price_file_is_refused(proxy: Proxy, body: bytes) -> None:
    reply = imported(proxy, body)
    assert (reply.status, reply.error["code"]) == (400, "invalid_json"), reply.body


@pytest.mark.parametrize(
    "value",
    ["NaN", "Infinity", "-Infinity", "-0.1", "9" * 5000, "1e400", '"free"', "true", "[1]", "{}", "[" * 50 + "]" * 50],
    ids=range(11),
)
def test_a_hostile_value_costs_its_own_row_and_no_other(proxy: Proxy, value: str) -> None:
    text = json.dumps(FILE).replace('"input_cost_per_token": -1', f'"input_cost_per_token": {value}')
    reply = imported(proxy, text.encode())
    assert reply.status == 200, reply.body
    assert [each["model"] for each in reply.json["refused"]] == ["broken"]
    assert {each["model"] for each in reply.json["matched"]} == set(AFTER)


def test_a_file_of_thousands_of_models_is_read(proxy: Proxy) -> None:
    many = {f"model-{number}": {**FILE["gpt-4o"], "mode": "chat", "max_tokens": 4096} for number in range(5_000)}
    reply = imported(proxy, {**many, **FILE})
    assert (reply.status, len(reply.json["matched"])) == (200, len(AFTER))


def test_only_an_administrator_may(proxy: Proxy) -> None:
    assert proxy.post("/api/admin/prices/import", FILE, KEY).status == 401


@pytest.mark.parametrize(
    ("price", "param"),
    [
        ({"audioInput": -1}, "price.audioInput"),
        ({"cacheWrite1h": "6"}, "price.cacheWrite1h"),
        ({"perCharacter": True}, "price.perCharacter"),
        ({"longContext": {}}, "price.longContext"),
        ({"longContext": [{"input": 1}]}, "price.longContext[0].aboveTokens"),
        ({"longContext": [{"aboveTokens": 1, "imageOutput": -1}]}, "price.longContext[0].imageOutput"),
        ({"longContext": [{"aboveTokens": 1}, {"aboveTokens": 1.0}]}, "price.longContext"),
    ],
)
def test_a_price_that_cannot_be_meant_is_refused_with_its_place(proxy: Proxy, price: Json, param: str) -> None:
    reply = proxy.admin("PUT", "/models/fast", {"price": price})
    assert (reply.status, reply.error["param"]) == (400, param)


def test_every_member_of_a_price_is_kept(proxy: Proxy) -> None:
    tokens = "input output cachedInput cacheWrite cacheWrite1h reasoning audioInput audioOutput imageInput imageOutput"
    units = "perSecond perImage perPage perCharacter perRequest"
    tier = dict.fromkeys(tokens.split(), 0.5) | {"aboveTokens": 200_000}
    price = {**dict.fromkeys(f"{tokens} {units}".split(), 0.25), "longContext": [tier]}
    assert proxy.admin("PUT", "/models/fast", {"price": price}).json["price"] == price
    assert price_of(proxy, "fast") == price
