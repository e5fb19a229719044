"""Anthropic's clients at the running server, in front of providers that speak as OpenAI does, and of some that speak as they do."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import build, messages
from support.build import chunk, completion, finish, opening, spoken, tool_call, tool_chunk, usage
from support.client import Reply
from support.messages_checker import Message, read_messages_stream
from support.pictures import png
from support.proxy import KEY, Proxy
from support.upstream import Script, Seen, Upstream, answer, hang_up, pause, stall, stream

Json = dict[str, Any]

PATH = "/v1/messages"
COUNT = f"{PATH}/count_tokens"
VERSION = ("anthropic-version", "2023-06-01")
POOR = "sk-key-with-little-to-spend-1"
NARROW = "sk-key-with-one-call-at-once-1"
ELSEWHERE = "sk-key-for-another-model-0001"
PICTURE = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": base64.b64encode(png(80, 60)).decode()},
}
TOOL = {"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}


@pytest.fixture(scope="module")
def both(shared_upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy of which "acme" speaks as OpenAI does, and "native" as Anthropic."""
    folder: Path = tmp_path_factory.mktemp("messages")
    base = shared_upstream.origin
    proxy = Proxy.start(
        folder,
        providers=[build.provider(base), build.provider(base, "native", type="anthropic")],
        models=[
            build.model(),
            build.model("claude", "native", upstreamModel=messages.MODEL),
            build.model(messages.MODEL, "native"),
            build.model("thinker", "native", upstreamModel="claude-sonnet-4-5"),
            build.model("fallen", "native", upstreamModel="claude-opus-4-7", fallbacks=["gpt-public"]),
            build.model("blind", supportsImageUpload=False),
            build.model("embeds", type="embedding"),
        ],
        keys=[
            build.key(KEY),
            build.key(POOR, "poor", rpm=1),
            build.key(NARROW, "narrow", maxParallel=1),
            build.key(ELSEWHERE, "elsewhere", allowedModels=["blind"]),
        ],
    )
    yield proxy
    proxy.stop()


@pytest.fixture
def proxy(both: Proxy, upstream: Upstream) -> Iterator[Proxy]:
    before = len(both.output)
    yield both
    both.client.close()
    assert "Traceback" not in both.output[before:]


@pytest.fixture
def talking(start_proxy: Callable[..., Proxy], upstream: Upstream) -> Proxy:
    """One that says something a few times a second to those whose provider is silent."""
    providers = [build.provider(upstream.origin), build.provider(upstream.origin, "native", type="anthropic")]
    models = [build.model(), build.model("claude", "native", upstreamModel=messages.MODEL)]
    return start_proxy(providers=providers, models=models, env={"KEEPALIVE_S": "0.2"})


def asked(text: Any = "Say hello.", *, model: str = build.PUBLIC_MODEL, **more: Any) -> Json:
    return {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": text}], **more}


def ask(proxy: Proxy, path: str = f"{PATH}?beta=true", key: str = KEY, **more: Any) -> Reply:
    return proxy.post(path, asked(**more), key, [VERSION])


def told(proxy: Proxy, **more: Any) -> Message:
    reply = ask(proxy, stream=True, **more)
    assert (reply.status, reply.header("content-type")) == (200, "text/event-stream")
    return read_messages_stream(reply.body)


def refusal(reply: Reply, status: int) -> Json:
    """The error in a reply, which has Anthropic's shape, and the id of its request twice."""
    assert reply.status == status, reply.body
    body = reply.json
    assert body["type"] == "error" and body["error"]["message"]
    assert body["request_id"] == reply.header("request-id") == reply.header("x-request-id")
    error: Json = body["error"]
    return error


def line_of(proxy: Proxy, reply: Reply) -> Any:
    id_ = reply.header("x-request-id")
    return proxy.log_lines(lambda line: line.get("event") == "call" and line.get("request_id") == id_)[0]


# -- a chat provider behind it


def test_a_message_goes_there_and_back(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion("Hello, Grüße!"))
    reply = ask(proxy, system="Be kind.", metadata={"user_id": "ann"})
    assert reply.status == 200
    said = reply.json
    assert (said["type"], said["role"], said["model"]) == ("message", "assistant", build.PUBLIC_MODEL)
    assert said["content"] == [{"type": "text", "text": "Hello, Grüße!"}]
    assert said["stop_reason"] == "end_turn"
    assert (said["usage"]["input_tokens"], said["usage"]["output_tokens"]) == (3, 2)
    assert reply.header("request-id") == reply.header("x-request-id")
    assert reply.header("x-ipin-provider") == "acme"
    seen = upstream.history[-1]
    assert (seen.method, seen.path) == ("POST", "/v1/chat/completions")
    assert seen.json == {
        "model": build.UPSTREAM_MODEL,
        "max_tokens": 50,
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Say hello."}],
        "user": "ann",
    }
    line = line_of(proxy, reply)
    assert (line["endpoint"], line["input_tokens"], line["output_tokens"]) == (PATH, 3, 2)


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "both"])
def test_either_header_opens(proxy: Proxy, upstream: Upstream, header: str) -> None:
    upstream.will_answer(200, completion())
    headers = {
        "authorization": [("authorization", f"Bearer {KEY}")],
        "x-api-key": [("x-api-key", KEY)],
        "both": [("authorization", "Bearer sk-of-somebody-else"), ("x-api-key", KEY)],
    }[header]
    assert proxy.post(PATH, asked(), headers=headers).status == 200


def test_a_stream_comes_word_by_word(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(opening(), chunk("Hel"), pause, chunk("lo"), finish(), usage(9, 4))
    reply = ask(proxy, stream=True)
    frames = reply.frames()
    shown = b""
    while b'"Hel"' not in shown:  # while the rest is not even sent
        shown += next(frames)
    upstream.resume()
    message = read_messages_stream(shown + b"".join(frames))
    assert (message.text, message.stop_reason, message.is_whole) == ("Hello", "end_turn", True)
    assert (message.usage["input_tokens"], message.usage["output_tokens"]) == (9, 4)
    assert upstream.history[-1].json["stream_options"] == {"include_usage": True}
    line = line_of(proxy, reply)
    assert (line["input_tokens"], line["output_tokens"], line["finish_reason"]) == (9, 4, "stop")
    assert line["first_chunk_ms"] is not None


@pytest.mark.parametrize("streams", [False, True])
def test_a_tool_is_called_and_answers(proxy: Proxy, upstream: Upstream, streams: bool) -> None:
    rome = '{"city": "Rome"}'
    if streams:
        upstream.will_stream(
            opening(), tool_chunk(0, name="get_weather"), tool_chunk(0, rome), finish("tool_calls"), usage(3, 2)
        )
        message = told(proxy, tools=[TOOL])
        (call,), reason = message.calls, message.stop_reason
    else:
        upstream.will_answer(
            200, completion(None, finish="tool_calls", tool_calls=[tool_call("get_weather", rome, id="call_0")])
        )
        said = ask(proxy, tools=[TOOL]).json
        (call,), reason = said["content"], said["stop_reason"]
    assert (call["id"], call["name"], call["input"], reason) == ("call_0", "get_weather", {"city": "Rome"}, "tool_use")
    upstream.will_answer(200, completion("Sunny."))
    use = {"type": "tool_use", "id": "call_0", "name": "get_weather", "input": {"city": "Rome"}}
    result = {"type": "tool_result", "tool_use_id": "call_0", "content": "18 C"}
    turns = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result]},
    ]
    assert proxy.post(PATH, {**asked(), "messages": turns, "tools": [TOOL]}, KEY).status == 200
    sent = upstream.history[-1].json["messages"]
    assert [each["role"] for each in sent] == ["user", "assistant", "tool"]
    assert json.loads(sent[1]["tool_calls"][0]["function"]["arguments"]) == {"city": "Rome"}


@pytest.mark.parametrize(("status", "told"), [(400, "{}"), (500, "Jinja Exception: {}")])
def test_a_system_message_in_the_middle_is_the_users_where_it_is_refused(
    start_proxy: Callable[..., Proxy], upstream: Upstream, status: int, told: str
) -> None:
    """Claude Code sends one in every conversation, and templates of Qwen's models know it at the beginning alone."""
    proxy = start_proxy()
    refused = build.error(told.format("System message must be at the beginning."), "BadRequestError")

    def answers(seen: Seen) -> Script:
        roles = [message["role"] for message in seen.json["messages"]]
        return answer(status, refused) if "system" in roles[1:] else answer(200, completion())

    upstream.default(answers)
    turns = [
        {"role": "user", "content": "Hi."},
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": [messages.text("Look."), PICTURE]},
        {"role": "system", "content": "Be kind."},
    ]
    for more in range(2):
        body = {**asked(system="You are Ada."), "messages": turns}
        assert proxy.post(PATH, body, KEY, [VERSION]).status == 200
        assert len(upstream.history) == 2 + more  # it is remembered
        first, user, assistant, last = upstream.history[-1].json["messages"]
        assert (first["role"], user["role"], assistant["role"], last["role"]) == ("system", "user", "assistant", "user")
        assert user["content"] == "Hi.\n\n<system-reminder>\nBe brief.\n</system-reminder>"
        assert [part.get("text") for part in last["content"]] == [
            "Look.",
            None,
            "<system-reminder>\nBe kind.\n</system-reminder>",
        ]
    reply = proxy.post("/v1/chat/completions", {"model": "gpt-public", "messages": turns[:2]}, KEY)
    assert reply.status == status  # whoever speaks as the provider does is told what it says


def test_patterns_of_which_no_grammar_can_be_made_are_left_out(
    start_proxy: Callable[..., Proxy], upstream: Upstream
) -> None:
    """llama.cpp makes one of the tools of every request, so that with one tool too many nobody is answered at all."""
    proxy = start_proxy()
    said = "Unable to generate parser. JSON schema conversion failed:\nPattern must start with '^' and end with '$'"

    def answers(seen: Seen) -> Script:
        return answer(400, build.error(said)) if b'"pattern":"' in seen.body else answer(200, completion())

    upstream.default(answers)
    named = {"type": "string", "pattern": r"\d+", "minLength": 1}
    schema = {"type": "object", "properties": {"pattern": named}, "required": ["pattern"]}
    for more in range(2):
        assert ask(proxy, tools=[{"name": "find", "input_schema": schema}]).status == 200
        assert len(upstream.history) == 2 + more  # it is remembered
        (tool,) = upstream.history[-1].json["tools"]
        told = {**schema, "properties": {"pattern": {"type": "string", "minLength": 1}}}
        assert tool["function"]["parameters"] == told


@pytest.mark.parametrize("streams", [True, False])
def test_no_two_calls_of_a_conversation_have_one_id(proxy: Proxy, upstream: Upstream, streams: bool) -> None:
    """Some providers count from 0 in every answer, and Claude Code takes a result that it has for that of the second call."""
    use = {"type": "tool_use", "id": "call_0", "name": "get_weather", "input": {}}
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": [use]}]
    turns.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_0", "content": "Rain."}]})
    body = {**asked(stream=streams), "tools": [TOOL]}
    if streams:
        upstream.will_stream(opening(), tool_chunk(0, "{}", name="get_weather", id="call_0"), finish("tool_calls"))
    else:
        called = [tool_call("get_weather", "{}", id="call_0")]
        upstream.will_answer(200, completion(None, finish="tool_calls", tool_calls=called))
    reply = proxy.post(PATH, {**body, "messages": turns}, KEY)
    (call,) = read_messages_stream(reply.body).content if streams else reply.json["content"]
    assert call["id"] not in ("", "call_0")
    more = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "Sun."}]}
    upstream.will_answer(200, completion("Mixed."))
    again = [*turns, {"role": "assistant", "content": [call]}, more]
    assert proxy.post(PATH, {**asked(), "tools": [TOOL], "messages": again}, KEY).status == 200
    said = upstream.history[-1].json["messages"]
    assert [each.get("tool_call_id") for each in said] == [None, None, "call_0", None, "call_0"]
    assert [said[2]["content"], said[4]["content"]] == ["Rain.", "Sun."]


def test_what_was_hidden_goes_back_to_who_wants_it(proxy: Proxy, upstream: Upstream) -> None:
    signed = {**tool_call("get_weather", "{}", id="call_9"), "extra_content": {"google": {"thought_signature": "S"}}}
    upstream.will_answer(200, completion(None, finish="tool_calls", tool_calls=[signed]))
    ask(proxy, tools=[TOOL]).read()
    use = {"type": "tool_use", "id": "call_9", "name": "get_weather", "input": {}}
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": [use]}]
    for key, wanted in ((KEY, signed["extra_content"]), (NARROW, None)):  # and nobody is given another's
        upstream.will_answer(200, completion("Sunny."))
        proxy.post(PATH, {**asked(), "messages": turns, "tools": [TOOL]}, key).read()
        (call,) = upstream.history[-1].json["messages"][1]["tool_calls"]
        assert call.get("extra_content") == wanted


def test_a_picture_is_looked_at(proxy: Proxy, upstream: Upstream) -> None:
    data = base64.b64encode(png(28, 28)).decode()
    shown = {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": data}}
    upstream.will_answer(200, completion("A dot."))
    assert ask(proxy, text=[shown, {"type": "text", "text": "What is it?"}]).status == 200
    parts = upstream.history[-1].json["messages"][0]["content"]
    assert parts[0]["image_url"]["url"] == f"data:image/png;base64,{data}"  # what it is, not what it was said to be
    assert refusal(ask(proxy, text=[shown], model="blind"), 400)["type"] == "invalid_request_error"
    broken = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "bm90aGluZw=="}}
    assert refusal(ask(proxy, text=[broken]), 400)["type"] == "invalid_request_error"


@pytest.mark.parametrize("is_result", [False, True], ids=["sent", "result"])
def test_a_picture_in_a_document_is_looked_at(proxy: Proxy, upstream: Upstream, is_result: bool) -> None:
    def shown(data: str) -> list[Json]:
        source = {"type": "base64", "media_type": "image/jpeg", "data": data}
        parts = [messages.text("Page 1"), {"type": "image", "source": source}, {"type": []}]
        document = {"type": "document", "source": {"type": "content", "content": parts}}
        return [{"type": "tool_result", "tool_use_id": "t1", "content": [document]} if is_result else document]

    data = base64.b64encode(png(28, 28)).decode()
    assert "no image" in refusal(ask(proxy, text=shown("bm90aGluZw==")), 400)["message"]
    assert "does not take images" in refusal(ask(proxy, text=shown(data), model="blind"), 400)["message"]
    assert upstream.history == []
    upstream.will_answer(200, messages.message())
    ask(proxy, text=shown(data), model="claude").read()
    content = json.dumps(upstream.history[-1].json["messages"][0]["content"])
    assert '"image/png"' in content and '"image/jpeg"' not in content


def test_a_large_body_with_a_picture_and_a_long_input_arrives_whole(proxy: Proxy, upstream: Upstream) -> None:
    data = base64.b64encode(png(28, 28, more=bytes(300_000))).decode()
    shown = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    patch = "line\n" * 5_000
    turns = [
        {"role": "user", "content": [shown, {"type": "text", "text": "x\n" * 9_000}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "edit", "input": {"patch": patch}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": patch}]},
    ]
    upstream.will_answer(200, completion())
    assert proxy.post(PATH, {**asked(), "messages": turns}, KEY).status == 200
    first, call, result = upstream.history[-1].json["messages"]
    assert first["content"][0]["image_url"]["url"] == f"data:image/png;base64,{data}"
    assert first["content"][1]["text"] == "x\n" * 9_000
    assert json.loads(call["tool_calls"][0]["function"]["arguments"]) == {"patch": patch}
    assert result["content"] == patch


def test_what_was_left_out_is_in_the_log(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion())
    reply = ask(proxy, tools=[{"type": "web_search_20250305", "name": "web_search"}])
    assert reply.status == 200 and "tools" not in upstream.history[-1].json
    (line,) = proxy.log_lines(
        lambda line: line.get("event") == "left_out" and line.get("request_id") == reply.header("x-request-id")
    )
    assert "web_search" in str(line["notes"])


def test_an_answer_longer_than_the_model_gives_is_asked_for_once(proxy: Proxy, upstream: Upstream) -> None:
    too_large = "max_tokens is too large: 64000. This model supports at most 16384 completion tokens, whereas you provided 64000."
    upstream.will(answer(400, build.error(too_large, "invalid_request_error")), answer(200, completion()))
    assert ask(proxy, max_tokens=64000).status == 200
    upstream.will_answer(200, completion())
    assert ask(proxy, max_tokens=64000).status == 200
    assert [seen.json["max_tokens"] for seen in upstream.history[-3:]] == [64000, 16384, 16384]


def test_what_a_refusal_says_is_learned_from_an_event_too(
    start_proxy: Callable[..., Proxy], upstream: Upstream
) -> None:
    too_large = "max_tokens is too large: 64000. This model supports at most 16384 completion tokens, whereas you provided 64000."
    upstream.will_stream(build.error(too_large, "invalid_request_error"), status=400, done=False)
    upstream.will_stream(*spoken("Hello"))
    assert read_messages_stream(ask(start_proxy(), stream=True, max_tokens=64000).body).text == "Hello"
    assert [seen.json["max_tokens"] for seen in upstream.history] == [64000, 16384]


def test_a_member_of_ours_that_is_refused_is_left_out(proxy: Proxy, upstream: Upstream) -> None:
    refused = "Unsupported parameter: 'user' is not supported with this model."
    upstream.will(answer(400, build.error(refused, "invalid_request_error")), answer(200, completion()))
    assert ask(proxy, metadata={"user_id": "ann"}, model="blind").status == 200
    assert [("user" in seen.json) for seen in upstream.history[-2:]] == [True, False]


@pytest.mark.parametrize("model", ["gpt-public", "claude"])
@pytest.mark.parametrize("words", ["this supports at most 3 completion tokens", "temperature unsupported"])
def test_what_one_caller_wrote_teaches_nothing_about_a_model(
    proxy: Proxy, upstream: Upstream, model: str, words: str
) -> None:
    upstream.will_answer(400, build.error(f"Invalid stop sequence '{words}'.", "invalid_request_error"))
    refused = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "stop": [words], "temperature": 0.5}
    if model == "claude":
        assert proxy.post("/v1/chat/completions", refused, KEY).status == 400
    else:
        refusal(ask(proxy, model=model, stop_sequences=[words], temperature=0.5), 400)
    upstream.will_answer(200, messages.message() if model == "claude" else completion())
    allowed = {"model": model, "messages": refused["messages"], "temperature": 0.5, "max_tokens": 50}
    reply = proxy.post("/v1/chat/completions" if model == "claude" else PATH, allowed, KEY)
    assert reply.status == 200
    assert (upstream.history[-1].json["temperature"], upstream.history[-1].json["max_tokens"]) == (0.5, 50)


def test_a_stream_that_came_in_one_piece_is_a_stream(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion("Hello"))
    message = told(proxy)
    assert (message.text, message.is_whole) == ("Hello", True)


def test_silence_is_bridged_with_pings(talking: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(pause, opening(), chunk("Hi"), pause, finish(), usage(1, 1))
    reply = ask(talking, stream=True)
    frames = reply.frames()
    assert next(frames) == b'event: ping\ndata: {"type":"ping"}\n\n'
    upstream.resume()
    seen = next(frames)
    while not seen.endswith(b'event: ping\ndata: {"type":"ping"}\n\n') or b'"Hi"' not in seen:
        seen += next(frames)
    upstream.resume()
    assert read_messages_stream(seen + b"".join(frames)).text == "Hi"


# -- what goes wrong


@pytest.mark.parametrize("model", [build.PUBLIC_MODEL, "claude"])
def test_an_error_behind_nothing_but_pings_is_an_event(talking: Proxy, upstream: Upstream, model: str) -> None:
    broken = messages.event(messages.error()) if model == "claude" else {"error": {"message": "Busy", "code": 529}}
    upstream.will_stream(pause, broken, done=False)
    frames = ask(talking, stream=True, model=model).frames()
    seen = next(frames)
    upstream.resume()
    message = read_messages_stream(seen + b"".join(frames))
    assert message.error is not None and message.error["type"] == "overloaded_error"


@pytest.mark.parametrize("model", [build.PUBLIC_MODEL, "claude"])
def test_nobody_waits_after_an_error(talking: Proxy, upstream: Upstream, model: str) -> None:
    """Nor is told that it is still alive, where the provider forgets to close."""
    said = [opening(), chunk("Hel"), {"error": {"message": "Busy", "code": 529}}]
    if model == "claude":
        said = [messages.start(), messages.block(0, messages.text()), messages.event(messages.error())]
    upstream.will_stream(*said, stall, done=False)
    message = read_messages_stream(ask(talking, stream=True, model=model).body)
    assert message.error is not None and message.error["type"] == "overloaded_error"
    upstream.wait_closed()


def test_before_the_first_word_an_error_is_a_status(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_stream({"error": {"message": "Busy", "code": 503}}, done=False)
    assert refusal(ask(proxy, stream=True), 503)["message"] == "Busy"


@pytest.mark.parametrize("break_off", [hang_up, {"error": {"message": "Broken."}}], ids=["cut", "told"])
def test_behind_the_first_word_it_is_an_event(proxy: Proxy, upstream: Upstream, break_off: Any) -> None:
    upstream.will_stream(opening(), chunk("Hel"), break_off, done=False)
    message = told(proxy)
    assert message.text == "Hel" and message.error is not None and not message.is_whole


def test_a_clean_end_without_a_finish_is_a_cut(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(opening(), chunk("Hel"), done=False)
    assert told(proxy).error is not None


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "invalid_request_error"), (404, "not_found_error"), (429, "rate_limit_error"), (500, "api_error")],
)
def test_a_providers_refusal_keeps_its_status(proxy: Proxy, upstream: Upstream, status: int, kind: str) -> None:
    upstream.will_answer(status, build.error("It is not to be."), headers=[("retry-after", "7")])
    reply = ask(proxy)
    assert refusal(reply, status) == {"type": kind, "message": "It is not to be."}
    assert reply.header("retry-after") == "7"


@pytest.mark.parametrize("status", [400, 500])
def test_a_prompt_that_is_too_long_is_told_in_the_words_clients_know(
    proxy: Proxy, upstream: Upstream, status: int
) -> None:
    long = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
    upstream.will_answer(status, build.error(long, "invalid_request_error", "context_length_exceeded"))
    error = refusal(ask(proxy), 400)
    assert error == {"type": "invalid_request_error", "message": "prompt is too long: 9000 tokens > 8192 maximum"}


def test_our_key_that_a_provider_refuses_is_no_fault_of_the_callers(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(401, build.error("Bad key"))
    reply = ask(proxy)
    assert refusal(reply, 502)["type"] == "api_error"
    assert reply.header("x-should-retry") == "false"


def test_every_refusal_has_their_shape(proxy: Proxy) -> None:
    reply = proxy.post(PATH, asked(), "sk-nobodys-key-at-all-0000")
    assert refusal(reply, 401)["type"] == "authentication_error"
    assert reply.header("x-should-retry") == "false"
    assert refusal(ask(proxy, key=ELSEWHERE), 403)["type"] == "permission_error"
    assert refusal(ask(proxy, model="no-such"), 404)["type"] == "not_found_error"
    assert refusal(ask(proxy, model="embeds"), 400)["type"] == "invalid_request_error"
    assert refusal(proxy.get(PATH, KEY), 405)["type"] == "invalid_request_error"
    assert refusal(proxy.post(f"{PATH}/batches", {}, KEY), 404)["type"] == "not_found_error"
    assert refusal(proxy.get("/v1/nothing", KEY, [VERSION]), 404)["type"] == "not_found_error"
    assert refusal(proxy.post(PATH, "{", KEY), 400)["type"] == "invalid_request_error"
    assert (
        refusal(proxy.post(PATH, {"model": build.PUBLIC_MODEL}, KEY), 400)["message"] == "The body has no 'messages'."
    )
    no_limit = {"model": build.PUBLIC_MODEL, "messages": [{"role": "user", "content": "x"}]}
    assert "max_tokens" in refusal(proxy.post(PATH, no_limit, KEY), 400)["message"]
    large = proxy.raw(
        f"POST {PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: 99999999\r\n\r\n".encode()
    ).final("POST")
    assert refusal(large, 413)["type"] == "request_too_large"


def test_a_limit_that_is_reached_tells_when_to_come_back(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion())
    assert ask(proxy, key=POOR).status == 200
    reply = ask(proxy, key=POOR)
    assert refusal(reply, 429)["type"] == "rate_limit_error"
    assert int(reply.header("retry-after") or 0) > 0


def test_a_conversation_that_is_to_be_kept_is_refused_as_the_sdks_know_it(proxy: Proxy) -> None:
    error = refusal(ask(proxy, thread={"type": "create"}), 400)
    assert error["details"] == {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}


# -- both ends alike


def test_bytes_pass_between_two_of_a_kind(proxy: Proxy, upstream: Upstream) -> None:
    body = (
        b'{"model": "claude",  "max_tokens": 5, "thread": {"type":"create"}, "new_member": 1.50,\n "messages": [{"role":"user",'
        b'"content":[{"type":"text","text":"Gr\\u00fc\\u00dfe","cache_control":{"type":"ephemeral"}}]}], "tools": [{"type":'
        b'"web_search_20250305","name":"web_search"}]}'
    )
    raw = json.dumps({**messages.message(messages.text("Hi")), "new_member": [1.50]}, indent=3).encode()
    upstream.will_answer(200, raw)
    headers = [
        ("anthropic-version", "2026-10-21"),
        ("anthropic-beta", "a-1, b-2"),
        ("content-type", "application/json"),
    ]
    reply = proxy.post(f"{PATH}?beta=true", body, KEY, headers)
    assert (reply.status, reply.body) == (200, raw)
    seen = upstream.history[-1]
    assert seen.path == PATH
    assert seen.body == body.replace(b'"claude"', f'"{messages.MODEL}"'.encode())
    assert (seen.header("anthropic-version"), seen.header("anthropic-beta")) == ("2026-10-21", "a-1,b-2")
    assert KEY not in str(seen.headers)
    line = line_of(proxy, reply)
    assert (line["input_tokens"], line["cached_tokens"], line["output_tokens"]) == (130, 100, 5)
    assert line["finish_reason"] == "stop"


def test_thoughts_that_nobody_signed_go_to_nobody_who_refuses_them(proxy: Proxy, upstream: Upstream) -> None:
    """Somebody else's model had them, and the conversation comes back to Anthropic's."""
    signed = {"type": "thinking", "thinking": "Paris.", "signature": "c2ln"}
    unsigned = {"type": "thinking", "thinking": "London.", "signature": ""}
    picture = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(png(80, 60)).decode()}
    talk: list[Json] = [
        {"role": "user", "content": "Where?"},
        {"role": "assistant", "content": [signed, messages.text("Here.")]},
        {"role": "user", "content": [messages.text("x" * 40_000), {"type": "image", "source": picture}]},
        {"role": "assistant", "content": [unsigned]},
        {"role": "assistant", "content": [unsigned, messages.text("There."), messages.tool_use()]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "Sun."}]},
    ]
    edits = [{"type": "clear_thinking_20251015", "keep": "all"}, {"type": "of_tomorrow"}]
    asked = {
        "model": "thinker",
        "messages": talk,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "context_management": {"edits": edits},
    }
    said = "messages.3.content.0: Invalid `signature` in `thinking` block"
    upstream.will(answer(400, messages.error("invalid_request_error", said)), *[answer(200, messages.message())] * 3)
    assert ask(proxy, **asked).status == 200
    first, second = (seen.json for seen in upstream.history)
    assert first["messages"] == talk
    bare = [*talk[:3], {**talk[4], "content": talk[4]["content"][1:]}, talk[5]]
    assert second == {
        **{name: value for name, value in first.items() if name != "thinking"},
        "messages": bare,
        "context_management": {"edits": edits[1:]},
    }
    # It is remembered, and who asks something new may think.
    assert ask(proxy, **{**asked, "messages": [*talk, {"role": "user", "content": "Now?"}]}).status == 200
    assert upstream.history[-1].json["messages"] == [*bare, {"role": "user", "content": "Now?"}]
    assert upstream.history[-1].json["thinking"] == asked["thinking"]
    assert len(upstream.history) == 3
    # Other models may want them.
    assert ask(proxy, **{**asked, "model": "claude"}).status == 200
    assert upstream.history[-1].json["messages"] == talk


def test_thoughts_that_somebody_else_signed_go_where_they_are_refused(proxy: Proxy, upstream: Upstream) -> None:
    """Others who speak this API sign in a way of their own; which of the thoughts it was nobody says of more than the first."""
    theirs = {"type": "thinking", "thinking": "London.", "signature": "0b5e9c2e-8f0c-4c6e"}
    talk: list[Json] = [
        {"role": "user", "content": "Where?"},
        {"role": "assistant", "content": [theirs, messages.text("There."), messages.tool_use()]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "Sun."}]},
    ]
    asked: Json = {"messages": talk, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    said = "messages.1.content.0: Invalid `signature` in `thinking` block"
    for _ in range(2):  # nothing of it is remembered: of the next conversation the thoughts may be its own
        upstream.will(answer(400, messages.error("invalid_request_error", said)), answer(200, messages.message()))
        assert ask(proxy, model=messages.MODEL, **asked).status == 200
        first, second = (seen.json for seen in upstream.history[-2:])
        assert first["messages"] == talk and "thinking" not in second
        assert second["messages"] == [talk[0], {**talk[1], "content": talk[1]["content"][1:]}, talk[2]]


def test_who_takes_over_between_calls_of_tools_goes_without_thinking(proxy: Proxy, upstream: Upstream) -> None:
    """Who made the calls has told nothing of what it thought, and Anthropic wants it then."""
    talk: list[Json] = [
        {"role": "user", "content": "Where?"},
        {"role": "assistant", "content": [messages.tool_use()]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "Sun."}]},
    ]
    said = (
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` is "
        "enabled, a final `assistant` message must start with a thinking block."
    )
    upstream.will(answer(400, messages.error("invalid_request_error", said)), answer(200, messages.message()))
    asked: Json = {"messages": talk, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    assert ask(proxy, model=messages.MODEL, **asked).status == 200
    first, second = (seen.json for seen in upstream.history)
    assert second == {name: value for name, value in first.items() if name != "thinking"}


@pytest.mark.parametrize("thought", ["", "c2ln"])
def test_a_refusal_of_a_signature_is_told_where_it_is_the_callers_own(
    proxy: Proxy, upstream: Upstream, thought: str
) -> None:
    said = "Invalid `signature` in `thinking` block"
    upstream.will(answer(400, messages.error("invalid_request_error", f"Odd: {said}")))
    block = {"type": "thinking", "thinking": "Paris.", "signature": thought}
    talk = [{"role": "user", "content": said}, {"role": "assistant", "content": [block, messages.text("Here.")]}]
    reply = ask(proxy, model="claude", messages=[*talk, {"role": "user", "content": "Now?"}])
    assert refusal(reply, 400)["message"] == f"Odd: {said}"
    assert len(upstream.history) == 1


def test_frames_pass_between_two_of_a_kind(proxy: Proxy, upstream: Upstream) -> None:
    thought = [
        messages.block(0, {"type": "thinking", "thinking": "", "signature": ""}),
        messages.delta(0, type="signature_delta", signature="sig=="),
        messages.event({"type": "content_block_stop", "index": 0}),
    ]
    odd = b'event: of_tomorrow\ndata: {"type":"of_tomorrow","x":1.50}\n\n'
    sent = [messages.start(), *thought, odd, *messages.said(1, "Hi"), *messages.end("end_turn", 7)]
    upstream.will_stream(*sent, done=False)
    reply = ask(proxy, stream=True, model="claude")
    assert reply.body == b"".join(sent)
    line = line_of(proxy, reply)
    assert (line["input_tokens"], line["output_tokens"], line["finish_reason"]) == (130, 7, "stop")
    assert line["first_chunk_ms"] is not None


def test_errors_pass_between_two_of_a_kind(proxy: Proxy, upstream: Upstream) -> None:
    details = {"error_code": "of_tomorrow", "unsupported": ["thread"]}
    error = {"type": "invalid_request_error", "message": "prompt is too long: 2 tokens > 1 maximum", "details": details}
    upstream.will_answer(400, {"type": "error", "error": error, "request_id": "req_theirs"})
    assert refusal(ask(proxy, model="claude"), 400) == error
    upstream.will_answer(529, messages.error())
    assert refusal(ask(proxy, model="claude"), 529) == {"type": "overloaded_error", "message": "Overloaded"}
    broken = messages.event(messages.error("api_error", "Broken."))
    sent = [messages.start(), *messages.said(0, "Hel"), broken]
    upstream.will_stream(*sent, done=False)
    assert ask(proxy, stream=True, model="claude").body == b"".join(sent)
    upstream.will_stream(messages.start(), *messages.said(0, "Hel"), hang_up, done=False)
    message = told(proxy, model="claude")
    assert message.text == "Hel" and message.error is not None


def test_details_of_an_error_that_tell_the_key_do_not_pass(proxy: Proxy, upstream: Upstream) -> None:
    for more in ({"sent": ["native-secret-key-0123456789"]}, {"at": {upstream.origin.upper(): 1}}):
        error = {"type": "invalid_request_error", "message": "No.", "details": more}
        upstream.will_answer(400, {"type": "error", "error": error})
        assert refusal(ask(proxy, model="claude"), 400) == {"type": "invalid_request_error", "message": "No."}
        broken = messages.event({"type": "error", "error": {**error, "type": "api_error"}})
        upstream.will_stream(messages.start(), *messages.said(0, "Hel"), broken, done=False)
        reply = ask(proxy, stream=True, model="claude")
        assert b'"No."' in reply.body and b"details" not in reply.body


@pytest.mark.parametrize(
    "broken",
    [
        b'data: {"error":{"message":"Out of memory.","type":"server_error"}}\n\n',
        b'{"error":{"message":"Out of memory."}}\n\n',
        b'data: {"type":"error","error":{"type":"api_error","message":"Out of memory."}}\n\n',
        b'data: {"detail":"Out of memory."}\n\n',
        b"event: error\ndata: Out of memory.\n\n",
    ],
)
@pytest.mark.parametrize("ending", [[], [hang_up], messages.end()])
def test_an_error_that_clients_would_not_see_is_told_as_one(
    proxy: Proxy, upstream: Upstream, broken: bytes, ending: list[Any]
) -> None:
    upstream.will_stream(messages.start(), *messages.said(0, "Hel"), broken, *ending, done=False)
    reply = ask(proxy, stream=True, model="claude")
    message = read_messages_stream(reply.body)
    assert message.text == "Hel" and message.error is not None
    assert (message.error["type"], message.error["message"]) == ("api_error", "Out of memory.")
    assert line_of(proxy, reply)["error"] in ("upstream_invalid_response", "upstream_error")
    upstream.will_stream(broken, *ending, done=False)  # before anything else it is a status
    status = 500 if b"api_error" in broken else 502
    assert "Out of memory." in refusal(ask(proxy, stream=True, model="claude"), status)["message"]


@pytest.mark.parametrize("kind", ["api_error", "authentication_error"])
def test_an_error_in_a_stream_tells_nothing_of_the_provider_s_key(proxy: Proxy, upstream: Upstream, kind: str) -> None:
    broken = messages.event(messages.error(kind, f"No such key native-secret-key-0123456789 at {upstream.origin}"))
    upstream.will_stream(messages.start(), *messages.said(0, "Hel"), broken, done=False)
    reply = ask(proxy, stream=True, model="claude")
    message = read_messages_stream(reply.body)
    assert message.error is not None and message.error["type"] == "api_error"
    assert b"native-secret" not in reply.body and str(upstream.port).encode() not in reply.body


@pytest.mark.parametrize("ending", [[], [hang_up]])
@pytest.mark.parametrize("cut", [b"", b'event: message_stop\ndata: {"type":"mess'])
def test_an_answer_that_was_cut_behind_its_reason_to_stop_is_whole(
    proxy: Proxy, upstream: Upstream, ending: list[Any], cut: bytes
) -> None:
    sent = [messages.start(), *messages.said(0, "Hello"), messages.end("end_turn", 7)[0]]
    upstream.will_stream(*sent, cut, *ending, done=False)
    reply = ask(proxy, stream=True, model="claude")
    assert reply.body == b"".join(sent) + messages.event({"type": "message_stop"})
    line = line_of(proxy, reply)
    assert (line.get("error"), line["output_tokens"], line["finish_reason"]) == (None, 7, "stop")


def test_an_error_right_behind_the_start_is_still_a_status(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(messages.start(), messages.event(messages.error()), done=False)
    assert refusal(ask(proxy, stream=True, model="claude"), 529)["type"] == "overloaded_error"


def test_who_was_asked_first_may_be_replaced_by_one_of_another_kind(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will(answer(529, messages.error()), stream(*spoken("Hi"), usage(1, 1)))
    message = told(proxy, model="fallen")
    assert (message.text, message.is_whole) == ("Hi", True)
    assert [seen.path for seen in upstream.history[-2:]] == [PATH, "/v1/chat/completions"]


def test_a_native_answer_in_one_piece_is_a_stream_too(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, messages.message(messages.text("Hi"), messages.tool_use(city="Rome"), stop="tool_use"))
    message = told(proxy, model="claude")
    assert (message.text, message.calls[0]["input"], message.stop_reason) == ("Hi", {"city": "Rome"}, "tool_use")


def test_nothing_is_lost_of_a_native_answer_in_one_piece(proxy: Proxy, upstream: Upstream) -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    searched = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    cited = {"type": "text", "text": "Hi", "citations": [{"type": "char_location", "cited_text": "x"}]}
    whole = messages.message(thought, searched, found, cited, messages.tool_use(city="Rome"), stop="tool_use")
    upstream.will_answer(200, {**whole, "container": {"id": "c_1"}, "of_tomorrow": 1})
    reply = ask(proxy, stream=True, model="claude")
    events = [json.loads(event.data) for event in reply.events()]
    assert [event["type"] for event in events if event["type"].startswith("message_")] == [
        "message_start",
        "message_delta",
        "message_stop",
    ]
    begun, ended = events[0]["message"], events[-2]
    assert (begun["id"], begun["of_tomorrow"], begun["content"]) == (whole["id"], 1, [])
    assert ended["delta"] == {"stop_reason": "tool_use", "stop_sequence": None, "container": {"id": "c_1"}}
    assert ended["usage"] == whole["usage"]
    starts = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    assert starts == [
        {"type": "thinking", "thinking": "", "signature": ""},
        {**searched, "input": {}},
        found,
        {"type": "text", "text": "", "citations": []},
        messages.tool_use(),
    ]
    deltas = [(event["index"], event["delta"]) for event in events if event["type"] == "content_block_delta"]
    assert deltas == [
        (0, {"type": "thinking_delta", "thinking": "Hm."}),
        (0, {"type": "signature_delta", "signature": "c2ln"}),
        (1, {"type": "input_json_delta", "partial_json": '{"query": "x"}'}),
        (3, {"type": "citations_delta", "citation": {"type": "char_location", "cited_text": "x"}}),
        (3, {"type": "text_delta", "text": "Hi"}),
        (4, {"type": "input_json_delta", "partial_json": '{"city": "Rome"}'}),
    ]


# -- counting, models, and the other paths


def test_tokens_are_estimated_where_the_provider_cannot_count(proxy: Proxy, upstream: Upstream) -> None:
    few = ask(proxy, f"{COUNT}?beta=true").json["input_tokens"]
    many = ask(proxy, COUNT, text="word " * 100_000).json["input_tokens"]  # as long as bodies that are hollowed
    assert 0 < few < 100 < 100_000 < many < 200_000
    assert upstream.history == []


def test_tokens_are_counted_by_who_can(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, {"input_tokens": 1234})
    assert ask(proxy, COUNT, model="claude").json == {"input_tokens": 1234}
    seen = upstream.history[-1]
    assert (seen.path, seen.json["model"]) == (COUNT, messages.MODEL)
    upstream.will_answer(400, messages.error("invalid_request_error", "messages: too odd"))
    assert refusal(ask(proxy, COUNT, model="claude"), 400)["message"] == "messages: too odd"
    for nonsense in (answer(529, messages.error()), answer(200, {"input_tokens": -1}), answer(200, "[]")):
        upstream.will(nonsense)
        assert ask(proxy, COUNT, model="claude").json["input_tokens"] > 0
    upstream.will_answer(404, messages.error("not_found_error", "?"))
    assert ask(proxy, COUNT, model="claude").json["input_tokens"] > 0
    before = len(upstream.history)
    assert ask(proxy, COUNT, model="claude").json["input_tokens"] > 0
    assert len(upstream.history) == before  # it has been found out


def test_counting_is_no_call_in_parallel_and_in_no_ledger(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(opening(), chunk("Hi"), pause, finish(), usage(1, 1))
    reply = ask(proxy, stream=True, key=NARROW)
    frames = reply.frames()
    next(frames)
    assert all(ask(proxy, COUNT, key=NARROW).status == 200 for _ in range(14))
    assert refusal(ask(proxy, key=NARROW), 429)["type"] == "rate_limit_error"
    upstream.resume()
    b"".join(frames)
    refusal(proxy.post(COUNT, {"model": build.PUBLIC_MODEL}, KEY, [VERSION]), 400)
    refusal(proxy.post(COUNT, b"<xml/>", KEY, [VERSION, ("content-type", "text/xml")]), 415)
    found = proxy.admin("GET", "/requests?pageSize=200").json["items"]
    assert found and not any(item["endpoint"] == COUNT for item in found)


def test_models_have_what_both_kinds_of_clients_read(proxy: Proxy) -> None:
    page = proxy.get("/v1/models?limit=2", KEY, [VERSION]).json
    assert page["object"] == "list" and page["has_more"] is True and len(page["data"]) == 2
    first = page["data"][0]
    assert (first["type"], first["object"], first["id"]) == ("model", "model", page["first_id"])
    assert first["display_name"] and first["created_at"].endswith("Z") and first["owned_by"]
    rest = proxy.get(f"/v1/models?limit=1000&after_id={page['last_id']}", KEY, [VERSION]).json
    assert rest["has_more"] is False
    ids = [row["id"] for row in [*page["data"], *rest["data"]]]
    assert ids == [row["id"] for row in proxy.get("/v1/models", KEY).json["data"]]
    back = proxy.get(f"/v1/models?limit=1&before_id={ids[2]}", KEY, [VERSION]).json
    assert ([row["id"] for row in back["data"]], back["has_more"]) == ([ids[1]], True)
    one = proxy.get(f"/v1/models/{ids[0]}", KEY, [VERSION]).json
    assert (one["id"], one["type"]) == (ids[0], "model")
    refusal(proxy.get("/v1/models/none", KEY, [VERSION]), 404)
    refusal(proxy.get("/v1/models", None, [VERSION]), 401)


@pytest.mark.parametrize(
    "when", [1_795_000_000_000_000, -1, 10**400, "today"], ids=["microseconds", "negative", "huge", "text"]
)
def test_a_model_that_was_made_at_no_time_is_in_the_list_all_the_same(
    start_proxy: Callable[..., Proxy], when: object
) -> None:
    proxy = start_proxy(models=[build.model(createdAt=when)])
    [row] = proxy.get("/v1/models", KEY, [VERSION]).json["data"]
    assert (row["created"], row["created_at"]) == (0, "1970-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("path", "pinned"),
    [
        ("/v1/messages", False),
        ("/v1/v1/messages", False),
        ("/acme/v1/messages", True),
        ("/acme/v1/v1/messages", True),
        ("/v1/messages/acme", True),
        ("/v1/messages/acme/v1/messages", True),
        ("/v1/messages/acme/v1/v1/messages", True),
    ],
)
def test_every_base_url_that_clients_make_a_path_of(proxy: Proxy, upstream: Upstream, path: str, pinned: bool) -> None:
    upstream.will_answer(200, completion())
    assert ask(proxy, f"{path}?beta=true").status == 200
    if pinned:
        refusal(ask(proxy, path.replace("acme", "native")), 404)  # which does not serve that model
        refusal(ask(proxy, path.replace("acme", "nobody")), 404)
    assert ask(proxy, f"{path}/count_tokens").json["input_tokens"] > 0


@pytest.mark.parametrize("base", ["", "/v1", "/acme", "/v1/messages/acme"])
def test_the_other_paths_of_clients_are_answered(proxy: Proxy, base: str) -> None:
    for path in (base or "/", f"{base}/api/hello"):
        reply = proxy.request("HEAD", path)
        assert (reply.status, reply.body) == (200, b"")
    reply = proxy.post(f"{base}/api/event_logging/v2/batch", {"events": []})
    assert (reply.status, reply.json) == (200, {})
    assert proxy.post(f"{base}/api/claude_code/metrics", {}).status in (404, 405)
    assert proxy.get(f"{base}/v1/models", KEY).status == 200


def test_a_caller_who_leaves_ends_the_call(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(opening(), chunk("Hel"), stall)
    reply = ask(proxy, stream=True)
    seen, frames = b"", reply.frames()
    while b'"Hel"' not in seen:
        seen += next(frames)
    proxy.client.close()
    upstream.wait_closed()
    line = line_of(proxy, reply)
    assert (line["error"], line["output_tokens"] > 0) == ("client_closed_request", True)


def test_a_wrong_form_is_told_with_its_place(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy()
    reply = proxy.post(PATH, asked(messages=[{"role": "robot", "content": "x"}]), KEY)
    assert "messages[0].role" in refusal(reply, 400)["message"]
