"""What the official openai Python SDK makes of limits: which exception it raises, whether it asks again, and how long it waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from support import build
from support.build import chunk, completion, finish
from support.proxy import KEY, Proxy
from support.upstream import Upstream, pause

openai = pytest.importorskip("openai", reason="the openai SDK is not installed: make sdk")

USER: Any = [{"role": "user", "content": "Say hello."}]
BY_CALL = {"perRequest": 0.25}


@pytest.fixture
def asked(start_proxy: Callable[..., Proxy], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Any, list[float]]]:
    """Starts a proxy whose key has these limits; a client that tries twice, and what it sleeps in between."""

    def ask(**limits: Any) -> tuple[Any, list[float]]:
        models = [build.model(price=BY_CALL), build.model("unpriced")]
        proxy = start_proxy(keys=[build.key(KEY, **limits)], models=models)
        pauses: list[float] = []
        monkeypatch.setattr(time, "sleep", pauses.append)
        return openai.OpenAI(api_key=KEY, base_url=proxy.base_url + "/v1", max_retries=1, timeout=10), pauses

    return ask


def chat(client: Any, **more: Any) -> Any:
    return client.chat.completions.create(model=build.PUBLIC_MODEL, messages=USER, **more)


@pytest.mark.parametrize("limits", [{"rpm": 1}, {"tpm": 3}], ids=["requests", "tokens"])
def test_what_a_minute_allows_is_waited_for(
    asked: Callable[..., tuple[Any, list[float]]], upstream: Upstream, limits: Any
) -> None:
    client, pauses = asked(**limits)
    upstream.will_answer(200, completion())
    chat(client)
    with client, pytest.raises(openai.RateLimitError) as caught:
        chat(client)
    assert (caught.value.status_code, caught.value.code) == (429, "rate_limit_exceeded")
    told = int(caught.value.response.headers["retry-after-ms"]) / 1000
    assert len(pauses) == 1 and told <= pauses[0] <= min(60, told + 1), "as long as it was told, to the millisecond"
    assert len(upstream.history) == 1


def test_a_call_that_runs_is_waited_for_a_moment(
    asked: Callable[..., tuple[Any, list[float]]], upstream: Upstream
) -> None:
    client, pauses = asked(maxParallel=1)
    upstream.will_stream(chunk("Hel"), pause, finish())
    with client, chat(client, stream=True) as stream:
        next(iter(stream))
        with pytest.raises(openai.RateLimitError) as caught:
            chat(client)
        assert caught.value.code == "concurrency_limit_exceeded"
        upstream.resume()
        for _ in stream:
            pass
    assert pauses == [1.0]


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"budgets": [{"usd": 0.25, "window": "month"}]}, "budget_exceeded"),
        ({"monthlyRequests": 1}, "quota_exceeded"),
    ],
)
def test_what_a_moment_does_not_cure_is_not_asked_again(
    asked: Callable[..., tuple[Any, list[float]]], upstream: Upstream, limits: Any, code: str
) -> None:
    client, pauses = asked(**limits)
    upstream.will_answer(200, completion())
    answer = client.chat.completions.with_raw_response.create(model=build.PUBLIC_MODEL, messages=USER)
    assert (answer.headers["cost"], answer.headers["monthlyCost"]) == ("0.25", "0.25")
    with client, pytest.raises(openai.RateLimitError) as caught:
        chat(client)
    assert (caught.value.code, caught.value.type) == (code, "insufficient_quota")
    assert pauses == [] and len(upstream.history) == 1


def test_a_model_without_a_price_is_a_bad_request(asked: Callable[..., tuple[Any, list[float]]]) -> None:
    client, pauses = asked(budgets=[{"usd": 1, "window": "month"}])
    with client, pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="unpriced", messages=USER)
    assert (caught.value.code, caught.value.param, pauses) == ("model_not_priced", "model", [])
