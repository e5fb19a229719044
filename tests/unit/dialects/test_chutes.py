"""What depends on the host of a chute, where no test can listen: asked of the dialect itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ipin_proxy.call import EMBEDDING, IMAGE, Call, Caller, Deployment, Operation
from ipin_proxy.dialects import upstream_dialect
from ipin_proxy.manners import Manners
from ipin_proxy.records import Model, Provider
from ipin_proxy.upstream import Heard, Outbound
from ipin_proxy.web import members
from ipin_proxy.web.head import parse_request
from ipin_proxy.web.request import Request

UNKNOWN = Heard(404, b'{"detail":"model not found"}')


def at(url: str) -> Deployment:
    provider = Provider(id="acme", base_url=url)
    return Deployment(Model(id="public", provider_id="acme"), provider, "Org/Upstream", "cpk_1234567890", 30.0)


def call_of(operation: Operation, **body: Any) -> Call:
    head = parse_request(b"POST / HTTP/1.1\r\nhost: x\r\nidempotency-key: one\r\n\r\n")
    request = Request(head, type("Connection", (), {"peer": "127.0.0.1"})())  # type: ignore[arg-type]
    given = members.parse(json.dumps({"model": "public", **body}).encode())
    return Call("req_1", Caller("ann"), operation, "public", False, request, 0.0, "openai", members=given)


def first(call: Call, deployment: Deployment) -> Outbound:
    return next(upstream_dialect(deployment.provider).requests(call, deployment, Manners(), 0))


def body_of(outbound: Outbound) -> Any:
    return json.loads(b"".join(piece for piece in outbound.body if isinstance(piece, (bytes, memoryview))))


@pytest.mark.parametrize("host", ["image.chutes.ai", "IMAGE.chutes.ai."])
def test_the_shared_image_host_is_told_the_model(host: str) -> None:
    outbound = first(call_of(IMAGE, prompt="a cat"), at(f"https://{host}"))
    assert (outbound.path, body_of(outbound)) == ("/generate", {"prompt": "a cat", "model": "Org/Upstream"})
    assert "idempotency-key" not in outbound.headers  # several pictures are several requests


def test_a_chute_of_its_own_is_not() -> None:
    assert body_of(first(call_of(IMAGE, prompt="a cat"), at("https://flux.chutes.ai"))) == {"prompt": "a cat"}


@pytest.mark.parametrize("host", ["embed.chutes.ai", "llm.chutes.ai", "LLM.chutes.ai."])
def test_on_a_host_of_many_models_a_wrong_name_is_wrong(host: str) -> None:
    deployment = at(f"https://{host}/v1")
    requests = upstream_dialect(deployment.provider).requests(call_of(EMBEDDING, input="x"), deployment, Manners(), 0)
    assert next(requests).path == "/v1/embeddings"
    with pytest.raises(StopIteration):
        requests.send(UNKNOWN)


def test_on_a_host_of_its_own_a_wrong_name_is_looked_up_and_remembered() -> None:
    manners, deployment = Manners(), at("https://me-qwen3-embedding.chutes.ai")
    dialect, call = upstream_dialect(deployment.provider), call_of(EMBEDDING, input="x")
    requests = dialect.requests(call, deployment, manners, 0)
    assert body_of(next(requests))["model"] == "Org/Upstream"
    question = requests.send(UNKNOWN)
    assert (question.method, question.path, question.body) == ("GET", "/v1/models", ())
    assert body_of(requests.send(Heard(200, b'{"data":[{"id":"Qwen/Right"}]}'))) == {
        "model": "Qwen/Right",
        "input": "x",
    }
    assert body_of(next(dialect.requests(call, deployment, manners, 0)))["model"] == "Qwen/Right"


def test_a_name_that_was_right_once_is_looked_up_again() -> None:
    """The chute was deployed anew, with another model."""
    manners, deployment = Manners(), at("https://me-qwen3-embedding.chutes.ai")
    manners.is_called(deployment, "Qwen/Old")
    requests = upstream_dialect(deployment.provider).requests(call_of(EMBEDDING, input="x"), deployment, manners, 0)
    assert body_of(next(requests))["model"] == "Qwen/Old"
    assert requests.send(UNKNOWN).method == "GET"
    assert body_of(requests.send(Heard(200, b'{"data":[{"id":"Qwen/New"}]}')))["model"] == "Qwen/New"
    assert manners.name_at(deployment) == "Qwen/New"
