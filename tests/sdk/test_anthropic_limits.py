"""What the official anthropic Python SDK makes of limits: which exception it raises, whether it asks again, and how long it waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from support import build
from support.build import chunk, completion, finish, usage
from support.proxy import KEY, Proxy
from support.upstream import Upstream, pause

anthropic = pytest.importorskip("anthropic", reason="the anthropic SDK is not installed: make sdk")

ASKED: Any = [{"role": "user", "content": "Say hello."}]
Asked = Callable[..., tuple[Any, list[float]]]


@pytest.fixture
def asked(start_proxy: Callable[..., Proxy], monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Starts a proxy whose key has these limits; a client that tries twice, and what it sleeps in between."""

    def ask(**limits: Any) -> tuple[Any, list[float]]:
        models = [build.model(price={"perRequest": 0.25}), build.model("unpriced")]
        proxy = start_proxy(keys=[build.key(KEY, **limits)], models=models)
        pauses: list[float] = []
        monkeypatch.setattr(time, "sleep", pauses.append)
        return anthropic.Anthropic(api_key=KEY, base_url=proxy.base_url, max_retries=1, timeout=10), pauses

    return ask


def say(client: Any, model: str = build.PUBLIC_MODEL, **more: Any) -> Any:
    return client.messages.create(model=model, max_tokens=9, messages=ASKED, **more)


def refused_second(client: Any, upstream: Upstream) -> Any:
    """The error of a second call, where one was allowed; the provider has not heard of it."""
    upstream.will_answer(200, completion())
    say(client)
    with client, pytest.raises(anthropic.RateLimitError) as caught:
        say(client)
    assert len(upstream.history) == 1
    return caught.value


@pytest.mark.parametrize("limits", [{"rpm": 1}, {"tpm": 3}], ids=["requests", "tokens"])
def test_what_a_minute_allows_is_waited_for(asked: Asked, upstream: Upstream, limits: Any) -> None:
    client, pauses = asked(**limits)
    error = refused_second(client, upstream)
    assert error.body["error"]["type"] == "rate_limit_error"
    told = int(error.response.headers["retry-after-ms"]) / 1000
    assert len(pauses) == 1 and told <= pauses[0] <= min(60, told + 1), "as long as it was told, to the millisecond"


def test_a_call_that_runs_is_waited_for_a_moment(asked: Asked, upstream: Upstream) -> None:
    client, pauses = asked(maxParallel=1)
    upstream.will_stream(chunk("Hel"), pause, finish(), usage(3, 2))
    with client, say(client, stream=True) as stream:
        next(iter(stream))
        with pytest.raises(anthropic.RateLimitError):
            say(client)
        upstream.resume()
        for _ in stream:
            pass
    assert pauses == [1.0]


@pytest.mark.parametrize("limits", [{"budgets": [{"usd": 0.25, "window": "month"}]}, {"monthlyRequests": 1}])
def test_what_a_moment_does_not_cure_is_not_asked_again(asked: Asked, upstream: Upstream, limits: Any) -> None:
    client, pauses = asked(**limits)
    assert "It begins anew on" in refused_second(client, upstream).body["error"]["message"]
    assert pauses == []


def test_a_model_without_a_price_is_a_bad_request(asked: Asked) -> None:
    client, pauses = asked(budgets=[{"usd": 1, "window": "month"}])
    with client, pytest.raises(anthropic.BadRequestError, match="no budget can pay for it"):
        say(client, "unpriced")
    assert pauses == []
