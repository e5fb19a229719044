"""The official anthropic Python SDK through the running server: in front of a provider that chats, and of one of its own kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support import build, messages
from support.build import chunk, completion, delta, finish, opening, tool_call, tool_chunk, usage
from support.proxy import KEY, Proxy
from support.upstream import Upstream, answer, hang_up

anthropic = pytest.importorskip("anthropic", reason="the anthropic SDK is not installed: make sdk")

MODEL = build.PUBLIC_MODEL
ASKED: Any = [{"role": "user", "content": "The weather in Paris?"}]
WEATHER: Any = {"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
THINKING: Any = {"type": "adaptive"}


@pytest.fixture(scope="module")
def running(shared_upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    base = shared_upstream.origin
    proxy = Proxy.start(
        tmp_path_factory.mktemp("anthropic"),
        providers=[build.provider(base), build.provider(base, "native", type="anthropic")],
        models=[build.model(), build.model("claude", "native", upstreamModel=messages.MODEL)],
    )
    yield proxy
    proxy.stop()


@pytest.fixture
def client(proxy: Proxy) -> Iterator[Any]:
    with anthropic.Anthropic(api_key=KEY, base_url=proxy.base_url, max_retries=0, timeout=10) as client:
        yield client


def test_create(client: Any, upstream: Upstream) -> None:
    upstream.will_answer(200, completion(build.EMOJI))
    said = client.messages.create(model=MODEL, max_tokens=50, messages=ASKED, system="Be kind.")
    assert (said.content[0].text, said.stop_reason, said.model) == (build.EMOJI, "end_turn", MODEL)
    assert (said.usage.input_tokens, said.usage.output_tokens) == (3, 2)
    assert said._request_id


def test_a_stream_with_thoughts_and_a_tool(client: Any, upstream: Upstream) -> None:
    upstream.will_stream(
        opening(),
        delta(reasoning_content="I need "),
        delta(reasoning_content="the weather."),
        chunk("Let me "),
        chunk("see."),
        tool_chunk(0, '{"city"', name="get_weather"),
        tool_chunk(0, ': "Paris"}'),
        finish("tool_calls"),
        usage(9, 4),
    )
    with client.messages.stream(
        model=MODEL, max_tokens=2000, messages=ASKED, tools=[WEATHER], thinking=THINKING
    ) as stream:
        texts = list(stream.text_stream)
        done = stream.get_final_message()
    thought, text, call = done.content
    assert (thought.thinking, "".join(texts), text.text) == ("I need the weather.", "Let me see.", "Let me see.")
    assert (call.name, call.input, done.stop_reason) == ("get_weather", {"city": "Paris"}, "tool_use")
    assert (done.usage.input_tokens, done.usage.output_tokens) == (9, 4)

    upstream.will_answer(200, completion("18 C."))
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "18 C"}
    turns = [*ASKED, {"role": "assistant", "content": done.content}, {"role": "user", "content": [result]}]
    after = client.messages.create(model=MODEL, max_tokens=2000, messages=turns, tools=[WEATHER], thinking=THINKING)
    assert after.content[0].text == "18 C."
    assert [each["role"] for each in upstream.history[-1].json["messages"]] == ["user", "assistant", "tool"]


def test_the_tool_runner_falls_back_to_the_whole_conversation(client: Any, upstream: Upstream) -> None:
    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """The weather in a city."""
        return f"18 C in {city}"

    call = tool_call("get_weather", '{"city": "Paris"}')
    upstream.will_answer(200, completion(None, finish="tool_calls", tool_calls=[call]))
    upstream.will_answer(200, completion("It is 18 C."))
    runner = client.beta.messages.tool_runner(model=MODEL, max_tokens=100, messages=ASKED, tools=[get_weather])
    assert runner.until_done().content[0].text == "It is 18 C."
    assert upstream.history[-1].json["messages"][-1]["content"] == "18 C in Paris"


def test_a_schema(client: Any, upstream: Upstream) -> None:
    pydantic = pytest.importorskip("pydantic")
    city = pydantic.create_model("City", name=(str, ...))
    upstream.will_answer(200, completion('{"name": "Paris"}'))
    done = client.messages.parse(model=MODEL, max_tokens=50, messages=ASKED, output_format=city)
    assert done.parsed_output.name == "Paris"
    assert upstream.history[-1].json["response_format"]["json_schema"]["schema"]["required"] == ["name"]


def test_counting_and_models(client: Any, upstream: Upstream) -> None:
    assert client.messages.count_tokens(model=MODEL, messages=ASKED, tools=[WEATHER]).input_tokens > 10
    upstream.will_answer(200, {"input_tokens": 77})
    assert client.messages.count_tokens(model="claude", messages=ASKED).input_tokens == 77
    assert [model.id for model in client.models.list(limit=1)] == [MODEL, "claude"]  # page by page
    assert client.models.retrieve("claude").display_name


def test_errors_are_of_the_right_class(proxy: Proxy, client: Any, upstream: Upstream) -> None:
    def ask(who: Any = client, model: str = MODEL) -> Any:
        return who.messages.create(model=model, max_tokens=50, messages=ASKED)

    upstream.will(answer(429, build.error("Slow down.")), answer(400, build.error("Odd.")), answer(503, build.error()))
    with pytest.raises(anthropic.RateLimitError, match=r"Slow down\."):
        ask()
    with pytest.raises(anthropic.BadRequestError) as raised:
        ask()
    assert raised.value.body["error"] == {"type": "invalid_request_error", "message": "Odd."}
    assert raised.value.request_id
    with pytest.raises(anthropic.InternalServerError):
        ask()
    with pytest.raises(anthropic.NotFoundError):
        ask(model="none")
    stranger = anthropic.Anthropic(api_key="sk-nobodys-key", base_url=proxy.base_url, max_retries=2)
    with stranger, pytest.raises(anthropic.AuthenticationError):
        ask(stranger)
    upstream.will_answer(400, build.error("This model's maximum context length is 8 tokens. However, you requested 9."))
    with pytest.raises(anthropic.BadRequestError, match="prompt is too long"):
        ask()


def test_what_passes_is_tried_again(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will(answer(503, build.error(), headers=[("retry-after", "0")]), answer(200, completion("At last.")))
    with anthropic.Anthropic(auth_token=KEY, base_url=proxy.base_url, max_retries=1, timeout=10) as patient:
        said = patient.messages.create(model=MODEL, max_tokens=50, messages=ASKED)
    assert said.content[0].text == "At last."


def test_an_error_in_mid_stream_raises(client: Any, upstream: Upstream) -> None:
    upstream.will_stream(opening(), chunk("Hel"), hang_up, done=False)
    words: list[str] = []
    asked = client.messages.stream(model=MODEL, max_tokens=50, messages=ASKED)
    with pytest.raises(anthropic.APIStatusError), asked as stream:
        for word in stream.text_stream:
            words.append(word)
    assert words == ["Hel"]


def test_between_two_of_a_kind_signatures_survive(client: Any, upstream: Upstream) -> None:
    upstream.will_stream(
        messages.start(),
        messages.block(0, {"type": "thinking", "thinking": "", "signature": ""}),
        messages.delta(0, type="thinking_delta", thinking="Hm."),
        messages.delta(0, type="signature_delta", signature="sig=="),
        messages.event({"type": "content_block_stop", "index": 0}),
        *messages.said(1, "Hello"),
        *messages.end(),
        done=False,
    )
    with client.messages.stream(model="claude", max_tokens=2000, messages=ASKED, thinking=THINKING) as stream:
        done = stream.get_final_message()
    assert (done.content[0].signature, done.content[1].text) == ("sig==", "Hello")
    assert done.usage.cache_read_input_tokens == 100
    upstream.will_answer(200, messages.message(messages.text("Bye.")))
    turns = [*ASKED, {"role": "assistant", "content": done.content}, {"role": "user", "content": "Bye?"}]
    client.messages.create(model="claude", max_tokens=2000, messages=turns, thinking=THINKING)
    sent = upstream.history[-1]
    assert sent.json["messages"][1]["content"][0]["signature"] == "sig=="
    assert sent.header("anthropic-version") == "2026-10-21"


def test_a_stream_that_came_in_one_piece_has_all_that_is_in_it(client: Any, upstream: Upstream) -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "sig=="}
    searched = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
    whole = messages.message(thought, searched, messages.text("Hello"), messages.tool_use(city="Rome"), stop="tool_use")
    upstream.will_answer(200, whole)
    with client.messages.stream(model="claude", max_tokens=2000, messages=ASKED, thinking=THINKING) as stream:
        done = stream.get_final_message()
    assert [block.to_dict(exclude_none=True) for block in done.content] == whole["content"]
    assert (done.id, done.stop_reason, done.usage.output_tokens) == (whole["id"], "tool_use", 5)


@pytest.mark.parametrize("base", ["/acme", "/v1/messages/acme", "/v1"])
def test_every_base_url(proxy: Proxy, upstream: Upstream, base: str) -> None:
    upstream.will_answer(200, completion())
    with anthropic.Anthropic(api_key=KEY, base_url=proxy.base_url + base, max_retries=0, timeout=10) as client:
        assert client.messages.create(model=MODEL, max_tokens=50, messages=ASKED).content[0].text == "Hello!"
        assert client.messages.count_tokens(model=MODEL, messages=ASKED).input_tokens > 0
        assert client.models.list().data
