"""The official openai Python SDK, through the running proxy, against a scripted upstream.

Each test looks at both ends: what the SDK made of the answer, and what the upstream received.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support import build
from support.build import chunk, completion, embeddings, finish, hello, opening, spoken, tool_call, tool_chunk, usage
from support.pictures import IMAGES, TYPES, data_url, png
from support.proxy import KEY, Proxy
from support.upstream import Script, Seen, Upstream, hang_up, pause, stall, stream

openai = pytest.importorskip("openai", reason="the openai SDK is not installed: make sdk")

USER: Any = [{"role": "user", "content": "Say hello."}]
MODEL = build.PUBLIC_MODEL
PICTURE = "data:image/png;base64," + base64.b64encode(build.PNG).decode()
WEATHER: Any = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


@pytest.fixture
def connect(proxy: Proxy) -> Iterator[Callable[..., Any]]:
    """Makes SDK clients that are closed with the test."""
    made: list[Any] = []

    def connect(**options: Any) -> Any:
        given = {"api_key": KEY, "base_url": proxy.base_url + "/v1", "max_retries": 0, "timeout": 10, **options}
        made.append(openai.OpenAI(**given))
        return made[-1]

    yield connect
    for client in made:
        client.close()


@pytest.fixture
def client(connect: Callable[..., Any]) -> Any:
    return connect()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the SDK would have slept between its tries."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


def sent(upstream: Upstream) -> Any:
    """The body of the only request."""
    assert len(upstream.history) == 1
    return upstream.history[0].json


# Chat.


def test_chat(client: Any, upstream: Upstream) -> None:
    upstream.will_answer(200, completion(build.EMOJI))
    answer = client.chat.completions.create(
        model=MODEL, messages=USER, temperature=0.5, seed=7, extra_body={"new": [1]}
    )
    assert answer.choices[0].message.content == build.EMOJI
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (3, 2, 5)
    assert sent(upstream) == {"model": "gpt-upstream", "messages": USER, "temperature": 0.5, "seed": 7, "new": [1]}
    assert upstream.history[0].path == "/v1/chat/completions"


def test_the_body_goes_out_byte_for_byte(client: Any, upstream: Upstream) -> None:
    written: list[bytes] = []
    client._client.event_hooks["request"] = [lambda request: written.append(request.content)]
    upstream.will_answer(200, completion())
    client.chat.completions.create(model="gpt-same", messages=USER, user="Zoë 👩‍👩‍👧")
    assert upstream.history[0].body == written[0]
    upstream.will_answer(200, completion())
    client.chat.completions.create(model=MODEL, messages=USER, user="Zoë 👩‍👩‍👧")
    assert upstream.history[1].body == written[1].replace(b'"gpt-public"', b'"gpt-upstream"')


def test_a_stream(client: Any, upstream: Upstream) -> None:
    upstream.will_stream(opening(), chunk("Hel"), chunk("lo"), finish(), usage(3, 2))
    chunks = list(client.chat.completions.create(model=MODEL, messages=USER, stream=True))
    assert "".join(each.choices[0].delta.content or "" for each in chunks) == "Hello"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert sent(upstream)["stream"] is True


def test_a_stream_with_usage(client: Any, upstream: Upstream) -> None:
    upstream.will_stream(opening(), chunk("Hello"), finish(), usage(3, 2))
    options = {"include_usage": True}
    chunks = list(client.chat.completions.create(model=MODEL, messages=USER, stream=True, stream_options=options))
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == 5
    assert sent(upstream)["stream_options"] == options


def test_the_stream_helper(client: Any, upstream: Upstream) -> None:
    upstream.will_stream(opening(), chunk("Hel"), chunk("lo"), finish())
    with client.chat.completions.stream(model=MODEL, messages=USER) as stream:
        texts = [event.delta for event in stream if event.type == "content.delta"]
        assert stream.get_final_completion().choices[0].message.content == "Hello"
    assert "".join(texts) == "Hello"


def test_closing_a_stream_closes_the_upstream(client: Any, upstream: Upstream) -> None:
    upstream.will_stream(chunk("Hel"), stall)
    stream = client.chat.completions.create(model=MODEL, messages=USER, stream=True)
    assert next(iter(stream)).choices[0].delta.content == "Hel"
    stream.close()
    upstream.wait_closed()


def test_tools(client: Any, upstream: Upstream) -> None:
    upstream.will_answer(
        200, completion(None, finish="tool_calls", tool_calls=[tool_call("weather", '{"city":"Rome"}')])
    )
    upstream.will_answer(200, completion("Sunny."))
    answer = client.chat.completions.create(model=MODEL, messages=USER, tools=[WEATHER], tool_choice="auto")
    call = answer.choices[0].message.tool_calls[0]
    assert (call.id, call.function.name, call.function.arguments) == ("call_1", "weather", '{"city":"Rome"}')
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    history = [*USER, answer.choices[0].message, result]
    assert client.chat.completions.create(model=MODEL, messages=history, tools=[WEATHER]).choices[0].message.content
    assert upstream.history[0].json["tools"] == [WEATHER]
    assert upstream.history[1].json["messages"][2] == result
    assert upstream.history[1].json["messages"][1]["tool_calls"][0]["id"] == "call_1"


def test_streamed_tool_calls(client: Any, upstream: Upstream) -> None:
    upstream.will_stream(
        opening(),
        tool_chunk(0, name="weather"),
        tool_chunk(0, '{"city"'),
        tool_chunk(1, name="weather"),
        tool_chunk(1, '{"city":"Oslo"}'),
        tool_chunk(0, ':"Rome"}'),
        finish("tool_calls"),
    )
    with client.chat.completions.stream(model=MODEL, messages=USER, tools=[WEATHER]) as stream:
        calls = stream.get_final_completion().choices[0].message.tool_calls
    assert [(call.id, call.function.name) for call in calls] == [("call_0", "weather"), ("call_1", "weather")]
    assert [json.loads(call.function.arguments) for call in calls] == [{"city": "Rome"}, {"city": "Oslo"}]


def test_a_schema(client: Any, upstream: Upstream) -> None:
    from pydantic import BaseModel

    class Person(BaseModel):  # type: ignore[misc,unused-ignore]
        name: str
        age: int

    upstream.will_answer(200, completion('{"name": "Ada", "age": 36}'))
    parsed = client.chat.completions.parse(model=MODEL, messages=USER, response_format=Person).choices[0].message.parsed
    assert (parsed.name, parsed.age) == ("Ada", 36)
    schema = sent(upstream)["response_format"]
    assert (schema["type"], schema["json_schema"]["name"], schema["json_schema"]["strict"]) == (
        "json_schema",
        "Person",
        True,
    )


def test_vision_parts(client: Any, upstream: Upstream) -> None:
    upstream.will_answer(200, completion("A dot."))
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://pictures.test/a.png"}},
    ]
    client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": parts}])
    assert sent(upstream)["messages"][0]["content"] == parts


@pytest.mark.parametrize("name", IMAGES)
def test_images_of_every_format_in_chats_and_responses(client: Any, upstream: Upstream, name: str) -> None:
    for url in (
        data_url(IMAGES[name], TYPES[name]),
        data_url(IMAGES[name], "image/jpg"),
    ):  # as it should be, and put right
        upstream.will_stream(*spoken("A ", "square."))
        upstream.will_answer(200, build.response("A square."))
        chat = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
        chunks = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": chat}], stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "A square."
        parts = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": url}]
        answer = client.responses.create(model=MODEL, input=[{"role": "user", "content": parts}])
        assert answer.output_text == "A square."
        asked, responded = (seen.json for seen in upstream.history[-2:])
        right = data_url(IMAGES[name], TYPES[name])
        assert asked["messages"][0]["content"][1]["image_url"]["url"] == right
        assert responded["input"][0]["content"][1]["image_url"] == right


def test_a_large_image(client: Any, upstream: Upstream) -> None:
    url = data_url(png(more=bytes(range(256)) * 16_000))
    upstream.will_answer(200, completion("A square."))
    parts = [{"type": "image_url", "image_url": {"url": url, "detail": "high"}}]
    answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": parts}])
    assert answer.choices[0].message.content == "A square."
    assert sent(upstream)["messages"][0]["content"] == parts


def test_what_is_no_image_is_the_callers_error(connect: Callable[..., Any], upstream: Upstream) -> None:
    client = connect(max_retries=2)
    url = data_url(b"just a text")
    with pytest.raises(openai.BadRequestError, match="This is no image") as caught:
        parts = [{"type": "image_url", "image_url": {"url": url}}]
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": parts}])
    assert (caught.value.code, caught.value.param) == (
        "image_validation_failed",
        "messages[0].content[0].image_url.url",
    )
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(
            model=MODEL, input=[{"role": "user", "content": [{"type": "input_image", "image_url": url}]}], stream=True
        )
    assert (caught.value.code, caught.value.param) == ("image_validation_failed", "input[0].content[0].image_url")
    assert upstream.history == []


# The other operations.


@pytest.mark.parametrize("as_base64", [True, False])
def test_embeddings(client: Any, upstream: Upstream, as_base64: bool) -> None:
    """The SDK asks for base64 by itself, and gets it even from an upstream that answers floats."""
    upstream.will_answer(200, embeddings([0.5, -1.25], [2.0, 0.0], as_base64=as_base64))
    answer = client.embeddings.create(model="embed-public", input=["a", "b"])
    assert [each.embedding for each in answer.data] == [[0.5, -1.25], [2.0, 0.0]]
    assert answer.usage.prompt_tokens == 4
    assert sent(upstream)["encoding_format"] == "base64"


def test_embeddings_as_floats(client: Any, upstream: Upstream) -> None:
    upstream.will_answer(200, embeddings([0.1, -1.25]))
    raw = client.embeddings.with_raw_response.create(model="embed-public", input="a", encoding_format="float")
    assert json.loads(raw.content)["data"][0]["embedding"] == [0.1, -1.25]
    assert sent(upstream) == {"model": "gpt-upstream", "input": "a", "encoding_format": "float"}


def test_completions(client: Any, upstream: Upstream) -> None:
    upstream.will_answer(200, build.text_completion("Hello!"))
    upstream.will_stream(
        build.text_completion("Hel", None), build.text_completion("lo", None), build.text_completion("")
    )
    assert client.completions.create(model=MODEL, prompt="Say").choices[0].text == "Hello!"
    assert upstream.history[0].json == {"model": "gpt-upstream", "prompt": "Say"}
    stream = client.completions.create(model=MODEL, prompt="Say", stream=True)
    assert "".join(each.choices[0].text for each in stream) == "Hello"
    assert upstream.history[1].path == "/v1/completions"


def test_responses(client: Any, upstream: Upstream) -> None:
    upstream.will_answer(200, build.response("Hello!"))
    answer = client.responses.create(model=MODEL, input="Say hello.", instructions="Be brief.")
    assert (answer.output_text, answer.usage.total_tokens) == ("Hello!", 5)
    assert sent(upstream) == {"model": "gpt-upstream", "input": "Say hello.", "instructions": "Be brief."}
    assert upstream.history[0].path == "/v1/responses"


def test_a_stream_of_responses(client: Any, upstream: Upstream) -> None:
    for _ in range(2):
        upstream.will_stream(*build.response_events("Hel", "lo"), done=False)
    events = list(client.responses.create(model=MODEL, input="Say hello.", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(build.response_events("Hel", "lo"))))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "Hello"
    with client.responses.stream(model=MODEL, input="Say hello.") as stream:
        assert stream.get_final_response().output_text == "Hello"


def test_models(client: Any, upstream: Upstream) -> None:
    listed = {each.id: each for each in client.models.list()}
    assert {MODEL, "org/gpt-slash", "embed-public"} <= set(listed)
    assert listed[MODEL].object == "model"
    assert 0 <= listed[MODEL].created < 10_000_000_000, "in seconds"
    assert listed["embed-public"].type == "embedding"
    assert client.models.retrieve("org/gpt-slash").id == "org/gpt-slash"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("org/none")
    assert caught.value.code == "model_not_found"
    assert upstream.started == 0


def test_a_model_with_a_slash(client: Any, upstream: Upstream) -> None:
    upstream.will_answer(200, completion())
    assert client.chat.completions.create(model="org/gpt-slash", messages=USER)
    assert sent(upstream)["model"] == "gpt-upstream"


def test_a_provider_pinned_by_the_base_url(connect: Callable[..., Any], proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion("Hi"))
    pinned = connect(base_url=proxy.base_url + "/acme/v1")
    assert pinned.chat.completions.create(model=MODEL, messages=USER).choices[0].message.content == "Hi"
    assert MODEL in [each.id for each in pinned.models.list()]


def test_images(client: Any, upstream: Upstream) -> None:
    upstream.will_answer(200, build.images(build.PNG))
    answer = client.images.generate(model="image-public", prompt="a dot", n=1)
    assert base64.b64decode(answer.data[0].b64_json) == build.PNG
    assert sent(upstream) == {"model": "gpt-upstream", "prompt": "a dot", "n": 1}


def test_an_image_is_edited(client: Any, upstream: Upstream) -> None:
    noise = bytes(range(256)) * 5000 + b"\r\n--\r\n"  # above the size that is kept in memory
    upstream.will_answer(200, build.images(build.PNG))
    pictures = [("a.png", build.PNG, "image/png"), ("ü.png", noise, "image/png")]
    answer = client.images.edit(model="image-public", prompt="größer", image=pictures, mask=build.PNG, size="256x256")
    assert base64.b64decode(answer.data[0].b64_json) == build.PNG
    seen = upstream.history[0]
    assert seen.path == "/v1/images/edits"
    assert (seen.field("model").text, seen.field("prompt").text, seen.field("size").text) == (
        "gpt-upstream",
        "größer",
        "256x256",
    )
    images = [part for part in seen.form if part.name == "image[]"]
    assert [part.data for part in images] == [build.PNG, noise]
    assert images[0].media_type == "image/png"
    assert seen.field("mask").data == build.PNG


def test_speech(client: Any, upstream: Upstream) -> None:
    sound = bytes(range(256)) * 3000
    upstream.will_answer(200, sound, headers={"content-type": "audio/mpeg"})
    upstream.will_answer(200, sound, headers={"content-type": "audio/mpeg"})
    asked: Any = {"model": "speech-public", "input": "Hello", "voice": "alloy"}
    answer = client.audio.speech.create(**asked)
    assert answer.content == sound
    assert answer.response.headers["content-type"] == "audio/mpeg"
    with client.audio.speech.with_streaming_response.create(**asked) as stream:
        assert b"".join(stream.iter_bytes()) == sound
    assert upstream.history[0].json == {**asked, "model": "gpt-upstream"}


def test_moderations(client: Any, upstream: Upstream) -> None:
    upstream.will_answer(200, build.moderation(flagged=True))
    assert client.moderations.create(model="moderation-public", input="…").results[0].flagged is True
    assert sent(upstream) == {"model": "gpt-upstream", "input": "…"}


# Errors.


def test_a_wrong_key(connect: Callable[..., Any], upstream: Upstream, pauses: list[float]) -> None:
    client = connect(api_key="sk-wrong", max_retries=2)
    with pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(model=MODEL, messages=USER)
    assert (caught.value.code, caught.value.type) == ("invalid_api_key", "invalid_request_error")
    assert caught.value.request_id == caught.value.response.headers["x-request-id"]
    assert (upstream.started, pauses) == (0, [])


def test_a_model_that_is_not_allowed(connect: Callable[..., Any], proxy: Proxy, upstream: Upstream) -> None:
    proxy.add_key("sk-python-sdk-limited-000", "python-sdk-limited", allowedModels=[MODEL])
    client = connect(api_key="sk-python-sdk-limited-000")
    for name in ("gpt-same", "none"):
        with pytest.raises(openai.PermissionDeniedError) as caught:
            client.chat.completions.create(model=name, messages=USER)
        assert (caught.value.code, caught.value.type) == ("model_not_allowed", "permission_error")
    assert [each.id for each in client.models.list()] == [MODEL]
    assert upstream.started == 0


def test_a_model_nobody_has(client: Any, upstream: Upstream) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="none", messages=USER)
    assert caught.value.code == "model_not_found"
    assert "none" in caught.value.message
    assert upstream.started == 0


def test_a_request_without_a_model(client: Any) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="", messages=USER)
    assert (caught.value.code, caught.value.param) == ("missing_model", "model")


ERRORS = [(400, "BadRequestError"), (404, "NotFoundError"), (422, "UnprocessableEntityError"), (429, "RateLimitError")]


@pytest.mark.parametrize(("status", "name"), [*ERRORS, (500, "InternalServerError"), (503, "InternalServerError")])
def test_an_upstreams_error(client: Any, upstream: Upstream, status: int, name: str) -> None:
    upstream.will_answer(status, build.error("So it is.", "some_type", "some_code"))
    with pytest.raises(getattr(openai, name)) as caught:
        client.chat.completions.create(model=MODEL, messages=USER)
    assert (caught.value.type, caught.value.code) == ("some_type", "some_code")
    assert "So it is." in caught.value.message


@pytest.mark.parametrize("body", [{"detail": "No capacity."}, {"error": "No capacity."}, "<html>edge-7</html>"])
def test_foreign_errors_are_readable(client: Any, upstream: Upstream, body: object) -> None:
    upstream.will_answer(429, body)
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model=MODEL, messages=USER)
    assert caught.value.body["message"]
    assert "html" not in caught.value.message
    assert caught.value.type


def test_a_refused_provider_key_is_not_tried_again(
    connect: Callable[..., Any], upstream: Upstream, pauses: list[float]
) -> None:
    upstream.will_answer(401, build.error("Incorrect API key.", "invalid_request_error", "invalid_api_key"))
    with pytest.raises(openai.InternalServerError) as caught:
        connect(max_retries=2).chat.completions.create(model=MODEL, messages=USER)
    assert (caught.value.status_code, caught.value.code) == (502, "upstream_auth_failed")
    assert (len(upstream.history), pauses) == (1, [])


def test_a_rate_limit_is_waited_for(connect: Callable[..., Any], upstream: Upstream, pauses: list[float]) -> None:
    upstream.will_answer(429, build.error("Slow down.", "requests"), headers={"retry-after": "7"})
    upstream.will_answer(429, build.error("Slow down.", "requests"), headers={"retry-after-ms": "3000"})
    upstream.will_answer(200, completion("At last."))
    answer = connect(max_retries=2).chat.completions.create(model=MODEL, messages=USER)
    assert answer.choices[0].message.content == "At last."
    assert pauses == [7, 3]
    assert [seen.json for seen in upstream.history] == [{"model": "gpt-upstream", "messages": USER}] * 3


def test_an_exhausted_quota_is_not_tried_again(
    connect: Callable[..., Any], upstream: Upstream, pauses: list[float]
) -> None:
    error = build.error("You exceeded your quota.", "insufficient_quota", "insufficient_quota")
    upstream.will_answer(429, error, headers={"x-should-retry": "false", "retry-after": "86400"})
    with pytest.raises(openai.RateLimitError):
        connect(max_retries=2).chat.completions.create(model=MODEL, messages=USER)
    assert (len(upstream.history), pauses) == (1, [])


@pytest.mark.parametrize("status", [500, 502])
def test_an_upstream_in_trouble_is_tried_again_by_the_sdk_alone(
    connect: Callable[..., Any], upstream: Upstream, pauses: list[float], status: int
) -> None:
    for _ in range(3):
        upstream.will_answer(status, build.error("Oh no."))
    with pytest.raises(openai.InternalServerError) as caught:
        connect(max_retries=2).chat.completions.create(model=MODEL, messages=USER)
    assert caught.value.status_code == status
    assert (len(upstream.history), len(pauses)) == (3, 2)


def test_an_upstream_that_hangs_up_is_a_502(client: Any, upstream: Upstream) -> None:
    upstream.will_say(hang_up)
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model=MODEL, messages=USER)
    assert caught.value.status_code == 502
    assert caught.value.type == "upstream_error"


def test_a_200_with_an_error_raises(client: Any, upstream: Upstream) -> None:
    upstream.will_answer(200, build.error("No credits."))
    with pytest.raises(openai.InternalServerError, match="No credits"):
        client.chat.completions.create(model=MODEL, messages=USER)


def test_an_error_in_mid_stream_raises(client: Any, upstream: Upstream) -> None:
    upstream.will_stream(chunk("Hel"), pause, build.error("The model fell over.", code="overloaded"), hang_up)
    stream = iter(client.chat.completions.create(model=MODEL, messages=USER, stream=True))
    assert next(stream).choices[0].delta.content == "Hel"
    upstream.resume()
    with pytest.raises(openai.APIError, match="fell over"):
        list(stream)


def test_a_cut_stream_raises(client: Any, upstream: Upstream) -> None:
    upstream.will_stream(chunk("Hel"), hang_up)
    stream = iter(client.chat.completions.create(model=MODEL, messages=USER, stream=True))
    assert next(stream).choices[0].delta.content == "Hel"
    with pytest.raises(openai.APIError) as caught:
        list(stream)
    assert caught.value.code == "upstream_stream_interrupted"


def test_a_cut_stream_of_responses_says_so(client: Any, upstream: Upstream) -> None:
    """The SDK hands its error events to the user; the helper, which waits for the end, raises."""
    for _ in range(2):
        upstream.will_stream(*build.response_events("Hel", "lo")[:6], hang_up, done=False)
    events = list(client.responses.create(model=MODEL, input="Say hello.", stream=True))
    assert (events[-1].type, events[-1].code) == ("error", "upstream_stream_interrupted")
    with pytest.raises(RuntimeError), client.responses.stream(model=MODEL, input="Say hello.") as stream:
        stream.get_final_response()


def test_headers(client: Any, upstream: Upstream) -> None:
    upstream.will_answer(200, completion(), headers={"openai-processing-ms": "17"})
    raw = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=USER, extra_headers={"x-request-id": "mine-17"}
    )
    assert raw.headers["x-request-id"] == "mine-17"
    assert raw.request_id == "mine-17"
    assert raw.headers["x-ipin-provider"] == "acme"
    assert raw.headers["x-ipin-model"] == MODEL
    assert raw.headers["openai-processing-ms"] == "17"
    assert raw.parse().choices[0].message.content == "Hello!"
    upstream.will_stream(chunk("a"), finish())
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=USER, stream=True)
    assert raw.headers["x-ipin-provider"] == "acme"
    assert len(list(raw.parse())) == 2


def test_many_at_once(proxy: Proxy, upstream: Upstream) -> None:
    """The asynchronous client, forty calls in parallel, each with its own answer."""

    def echo(seen: Seen) -> Script:
        return stream(chunk(seen.json["messages"][0]["content"]), finish())

    async def one(client: Any, text: str) -> str:
        answer = await client.chat.completions.create(**hello(text), stream=True)
        return "".join([each.choices[0].delta.content or "" async for each in answer])

    async def all_of_them() -> list[str]:
        url = proxy.base_url + "/v1"
        async with openai.AsyncOpenAI(api_key=KEY, base_url=url, max_retries=0, timeout=10) as client:
            return list(await asyncio.gather(*(one(client, f"number {n}") for n in range(40))))

    upstream.default(echo)
    assert asyncio.run(all_of_them()) == [f"number {n}" for n in range(40)]
