"""The official openai Python SDK in a loop with tools and thinking, while the provider speaks Anthropic's Messages API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support import build, messages
from support.messages_rules import check_request
from support.proxy import KEY, Proxy
from support.upstream import Upstream, answer

openai = pytest.importorskip("openai", reason="the openai SDK is not installed: make sdk")

MODEL = build.PUBLIC_MODEL
ASKED: Any = [{"role": "user", "content": "The weather in Paris?"}]
WEATHER: Any = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


@pytest.fixture(scope="module")
def running(shared_upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    provider = build.provider(shared_upstream.origin, type="anthropic")
    model = build.model(upstreamModel="claude-sonnet-4-5")
    proxy = Proxy.start(tmp_path_factory.mktemp("over"), providers=[provider], models=[model])
    yield proxy
    proxy.stop()


@pytest.fixture
def client(proxy: Proxy) -> Iterator[Any]:
    with openai.OpenAI(api_key=KEY, base_url=proxy.base_url + "/v1", max_retries=0, timeout=10) as client:
        yield client


def thought(index: int) -> list[bytes]:
    return [
        messages.block(index, {"type": "thinking", "thinking": "", "signature": ""}),
        messages.delta(index, type="thinking_delta", thinking="I need "),
        messages.delta(index, type="thinking_delta", thinking="the weather."),
        messages.delta(index, type="signature_delta", signature="sig=="),
        messages.event({"type": "content_block_stop", "index": index}),
    ]


def test_a_loop_with_tools_and_thinking(client: Any, upstream: Upstream) -> None:
    call = messages.called(2, '{"city"', ': "Paris"}')
    upstream.will_stream(
        messages.start(), *thought(0), *messages.said(1, "Let me see."), *call, *messages.end("tool_use"), done=False
    )
    with client.chat.completions.stream(
        model=MODEL, messages=ASKED, tools=[WEATHER], reasoning_effort="low", stream_options={"include_usage": True}
    ) as stream:
        done = stream.get_final_completion()
    (choice,) = done.choices
    assert (choice.message.content, choice.finish_reason) == ("Let me see.", "tool_calls")
    assert choice.message.tool_calls[0].function.arguments == '{"city": "Paris"}'
    assert done.usage.prompt_tokens == 130

    said = choice.message.model_dump(exclude_none=True)
    result = {"role": "tool", "tool_call_id": said["tool_calls"][0]["id"], "content": "18 C"}
    upstream.will_answer(200, messages.message(messages.text("It is 18 C.")))
    after = client.chat.completions.create(
        model=MODEL, messages=[*ASKED, said, result], tools=[WEATHER], reasoning_effort="low"
    )
    assert after.choices[0].message.content == "It is 18 C."
    body = upstream.history[-1].json
    check_request(body)
    assert [block["type"] for block in body["messages"][1]["content"]] == ["thinking", "text", "tool_use"]
    assert body["messages"][1]["content"][0] == {
        "type": "thinking",
        "thinking": "I need the weather.",
        "signature": "sig==",
    }
    assert body["thinking"]["type"] == "enabled"


def test_a_schema(client: Any, upstream: Upstream) -> None:
    pydantic = pytest.importorskip("pydantic")
    city = pydantic.create_model("City", name=(str, ...))
    upstream.will_answer(200, messages.message(messages.text('{"name": "Paris"}')))
    done = client.chat.completions.parse(model=MODEL, messages=ASKED, response_format=city)
    assert done.choices[0].message.parsed.name == "Paris"
    assert upstream.history[-1].json["output_config"]["format"]["schema"]["required"] == ["name"]


def test_errors_are_of_the_right_class(client: Any, upstream: Upstream) -> None:
    upstream.will(
        answer(429, messages.error("rate_limit_error", "Slow down.")),
        answer(400, messages.error("invalid_request_error", "prompt is too long: 2 tokens > 1 maximum")),
    )
    with pytest.raises(openai.RateLimitError, match=r"Slow down\."):
        client.chat.completions.create(model=MODEL, messages=ASKED)
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model=MODEL, messages=ASKED)
    assert raised.value.code == "context_length_exceeded"


def test_an_error_in_mid_stream_raises(client: Any, upstream: Upstream) -> None:
    upstream.will_stream(messages.start(), *messages.said(0, "Hel"), messages.event(messages.error()), done=False)
    words = []
    with pytest.raises(openai.APIError, match="Overloaded"):
        for each in client.chat.completions.create(model=MODEL, messages=ASKED, stream=True):
            words += [choice.delta.content for choice in each.choices if choice.delta.content]
    assert words == ["Hel"]
