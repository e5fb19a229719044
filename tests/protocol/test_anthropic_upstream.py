"""An OpenAI client, and behind the running server a provider that speaks Anthropic's Messages API."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support import build, messages, pictures
from support.build import hello
from support.chunk_rules import Heard, check_stream
from support.client import Reply, request
from support.messages_rules import check_request
from support.proxy import KEY, Proxy
from support.upstream import Upstream, answer, hang_up, pause

CHAT = "/v1/chat/completions"
SECRET = build.provider("")["apiKey"]
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture(scope="module")
def claude(shared_upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy of which the provider "acme" is an Anthropic one; "spare" is too, and comes after it."""
    folder: Path = tmp_path_factory.mktemp("claude")
    base = shared_upstream.origin
    proxy = Proxy.start(
        folder,
        providers=[
            build.provider(base, type="anthropic"),
            build.provider(base, "spare", type="openai"),
            build.provider(base, "late", type="anthropic", headers={"anthropic-version": "2026-10-21"}),
        ],
        models=[
            build.model(upstreamModel=messages.MODEL),
            build.model("newest", upstreamModel="claude-opus-4-7"),
            build.model("other", upstreamModel="kimi-k2"),
            build.model("late", "late", upstreamModel="claude-opus-4-7"),
            build.model("spare", "spare"),
            build.model("both", upstreamModel=messages.MODEL, fallbacks=["spare"]),
            build.model("embeds", type="embedding"),
        ],
    )
    yield proxy
    proxy.stop()


@pytest.fixture
def proxy(claude: Proxy, upstream: Upstream) -> Iterator[Proxy]:
    before = len(claude.output)
    yield claude
    claude.client.close()
    assert "Traceback" not in claude.output[before:]


def ask(proxy: Proxy, **more: Any) -> Reply:
    return proxy.post(CHAT, hello(**more), KEY)


def stream(proxy: Proxy, **more: Any) -> Heard:
    reply = ask(proxy, stream=True, **more)
    assert (reply.status, reply.header("content-type")) == (200, "text/event-stream")
    return check_stream(reply.body)


def sent(upstream: Upstream) -> Any:
    """The latest request, which keeps the rules."""
    body = upstream.history[-1].json
    check_request(body)
    return body


def line_of(proxy: Proxy, reply: Reply) -> Any:
    id_ = reply.header("x-request-id")
    return proxy.log_lines(lambda line: line.get("event") == "call" and line.get("request_id") == id_)[0]


def test_a_chat_goes_there_and_back(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, messages.message(messages.text("Hello, Grüße!")))
    reply = ask(proxy, max_tokens=50)
    assert reply.status == 200
    said = reply.json
    assert said["object"] == "chat.completion"
    assert said["choices"][0]["message"]["content"] == "Hello, Grüße!"
    assert said["choices"][0]["finish_reason"] == "stop"
    assert (said["usage"]["prompt_tokens"], said["usage"]["completion_tokens"]) == (130, 5)
    seen = upstream.history[-1]
    assert (seen.method, seen.path) == ("POST", "/v1/messages")
    assert sent(upstream) == {
        "model": messages.MODEL,
        "max_tokens": 50,
        "messages": [{"role": "user", "content": "Say hello."}],
    }
    line = line_of(proxy, reply)
    assert (line["input_tokens"], line["cached_tokens"], line["output_tokens"]) == (130, 100, 5)


def test_it_is_told_the_key_and_the_version(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, messages.message())
    proxy.post(CHAT, hello(), KEY, headers=[("anthropic-beta", "files-api-2025-04-14, x-1")]).read()
    seen = upstream.history[-1]
    assert seen.header_all("x-api-key") == [SECRET]
    assert seen.header("anthropic-version") == "2023-06-01"
    assert seen.header("anthropic-beta") == "files-api-2025-04-14,x-1"
    assert KEY not in str(seen.headers)


def test_a_later_version_has_no_temperature(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, messages.message())
    ask(proxy, model="late", temperature=0.5, top_p=0.5, top_k=3).read()
    assert upstream.history[-1].header("anthropic-version") == "2026-10-21"
    assert not sent(upstream).keys() & {"temperature", "top_p", "top_k"}


def test_a_stream_comes_word_by_word(proxy: Proxy, upstream: Upstream) -> None:
    first, *rest = messages.said(0, "Hel", "lo")
    upstream.will_stream(messages.start(), first, rest[0], pause, *rest[1:], *messages.end(), done=False)
    reply = ask(proxy, stream=True)
    frames = reply.frames()
    shown = b"".join(next(frames) for _ in range(2))
    assert b'"Hel"' in shown  # while the rest is not even sent
    upstream.resume()
    heard = check_stream(shown + b"".join(frames))
    assert (heard.content, heard.finish, heard.usage) == ("Hello", "stop", None)
    assert upstream.history[-1].header("accept") == "text/event-stream"
    assert sent(upstream)["stream"] is True
    line = line_of(proxy, reply)
    assert (line["input_tokens"], line["output_tokens"], line["finish_reason"]) == (130, 5, "stop")


def test_a_streams_usage_is_told_to_who_asks(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(messages.start(), *messages.said(0, "Hi"), *messages.end(), done=False)
    heard = stream(proxy, stream_options={"include_usage": True})
    assert heard.usage is not None
    assert (heard.usage["prompt_tokens"], heard.usage["prompt_tokens_details"]["cached_tokens"]) == (130, 100)
    assert "stream_options" not in sent(upstream)


@pytest.mark.parametrize("streams", [False, True])
def test_a_tool_is_called_and_answers(proxy: Proxy, upstream: Upstream, streams: bool) -> None:
    if streams:
        call = messages.called(0, '{"city"', ': "Paris"}')
        upstream.will_stream(messages.start(), *call, *messages.end("tool_use"), done=False)
        heard = stream(proxy, tools=[TOOL])
        (made,) = heard.calls
        id_, finish = made["id"], heard.finish
    else:
        upstream.will_answer(200, messages.message(messages.tool_use(city="Paris"), stop="tool_use"))
        choice = ask(proxy, tools=[TOOL]).json["choices"][0]
        made = choice["message"]["tool_calls"][0]["function"]
        id_, finish = choice["message"]["tool_calls"][0]["id"], choice["finish_reason"]
    assert (json.loads(made["arguments"]), finish) == ({"city": "Paris"}, "tool_calls")
    talk = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [build.tool_call("get_weather", "{}", id=id_)]},
        {"role": "tool", "tool_call_id": id_, "content": "18 C"},
    ]
    upstream.will_answer(200, messages.message())
    assert ask(proxy, messages=talk, tools=[TOOL]).status == 200
    assert sent(upstream)["messages"][2]["content"][0] == {
        "type": "tool_result",
        "tool_use_id": "toolu_1",
        "content": "18 C",
    }


def test_large_pictures_arrive_whole(proxy: Proxy, upstream: Upstream) -> None:
    picture = pictures.png(64, 64) + bytes(range(256)) * 4000
    data = base64.b64encode(picture).decode()
    parts = [
        {"type": "text", "text": "What is this? " + "x" * 300_000},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
        {"type": "image_url", "image_url": f"data:image/jpg;base64,{data}"},
        {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64," + data_of("é" * 99_999)}},
    ]
    upstream.will_answer(200, messages.message())
    assert ask(proxy, messages=[{"role": "user", "content": parts}]).status == 200
    text, image, other, file = sent(upstream)["messages"][0]["content"]
    assert text == parts[0]
    assert image["source"] == {"type": "base64", "media_type": "image/png", "data": data}
    assert other == image
    assert file["source"]["data"] == "é" * 99_999


def data_of(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_a_long_answer_arrives_whole(proxy: Proxy, upstream: Upstream) -> None:
    text = "long " * 100_000
    upstream.will_answer(200, messages.message(messages.text(text)))
    assert ask(proxy).json["choices"][0]["message"]["content"] == text


def test_json_where_a_stream_was_asked_for_is_made_one(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, messages.message(messages.text("Hi"), messages.tool_use()))
    heard = stream(proxy)
    assert (heard.content, heard.calls[0]["name"], heard.finish) == ("Hi", "get_weather", "tool_calls")


@pytest.mark.parametrize("data", [pictures.png(), pictures.png(more=bytes(range(256)) * 8000), pictures.PDF])
def test_text_is_read_in_pictures_and_pdfs(proxy: Proxy, upstream: Upstream, data: bytes) -> None:
    upstream.will_answer(200, messages.message(messages.text("Total 12.50")))
    reply = proxy.form("/v1/ocr", [("model", "both"), ("file", ("page", data, "image/png"))], KEY)
    assert (reply.status, reply.json["text"], reply.json["usage"]["prompt_tokens"]) == (200, "Total 12.50", 130)
    assert (reply.json["model"], reply.json["provider"]) == ("both", "acme")
    shown, question = sent(upstream)["messages"][0]["content"]
    is_pdf = data == pictures.PDF
    media_type = "application/pdf" if is_pdf else "image/png"
    assert shown["type"] == ("document" if is_pdf else "image")
    assert shown["source"] == {"type": "base64", "media_type": media_type, "data": base64.b64encode(data).decode()}
    assert "text" in question["text"]
    assert line_of(proxy, reply)["input_tokens"] == 130


@pytest.mark.parametrize(
    "header", ["data:application/pdf", "DATA:application/PDF;name=a%20b.pdf", "\n data:application/pdf;a=b;c"]
)
@pytest.mark.parametrize("size", [1, 4000])
def test_a_pdf_is_read_however_its_url_is_written(proxy: Proxy, upstream: Upstream, header: str, size: int) -> None:
    data = pictures.PDF + bytes(range(256)) * size
    upstream.will_answer(200, messages.message(messages.text("Total 12.50")))
    url = f"{header};base64,{base64.encodebytes(data).decode()}"
    reply = proxy.post("/v1/ocr", {"model": "both", "image": url}, KEY)
    assert (reply.status, reply.json["text"]) == (200, "Total 12.50")
    shown, _ = sent(upstream)["messages"][0]["content"]
    assert shown["source"] == {
        "type": "base64",
        "media_type": "application/pdf",
        "data": base64.b64encode(data).decode(),
    }


def test_text_is_read_at_an_address(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, messages.message(messages.text("Total")))
    body = {"model": build.PUBLIC_MODEL, "image": 'https://pictures.example/"a".png', "prompt": "Which total?"}
    assert proxy.post("/v1/ocr", body, KEY).json["text"] == "Total"
    shown, question = sent(upstream)["messages"][0]["content"]
    assert shown["source"] == {"type": "url", "url": 'https://pictures.example/"a".png'}
    assert question["text"] == "Which total?"


# Refusals.


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(
    ("status", "type_", "code"),
    [(529, "overloaded_error", "server_is_overloaded"), (429, "rate_limit_error", "rate_limit_exceeded")],
)
def test_a_refusal_keeps_its_status(
    proxy: Proxy, upstream: Upstream, status: int, type_: str, code: str, streams: bool
) -> None:
    upstream.will_answer(status, messages.error(type_, "Not now."), headers={"retry-after": "9"})
    reply = ask(proxy, stream=streams)
    assert (reply.status, reply.header("retry-after")) == (status, "9")
    assert (reply.error["message"], reply.error["code"]) == ("Not now.", code)


def test_a_refused_key_is_not_the_callers_fault(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(401, messages.error("authentication_error", f"invalid x-api-key {SECRET}"))
    reply = ask(proxy)
    assert (reply.status, reply.error["code"], reply.header("x-should-retry")) == (502, "upstream_auth_failed", "false")
    assert SECRET.encode() not in reply.body


def test_too_long_an_answer_is_asked_for_once_more_with_what_is_allowed(proxy: Proxy, upstream: Upstream) -> None:
    said = "max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens for claude"
    upstream.will(answer(400, messages.error("invalid_request_error", said)), answer(200, messages.message()))
    assert ask(proxy, max_tokens=100_000).status == 200
    assert [seen.json["max_tokens"] for seen in upstream.history] == [100_000, 64_000]


def test_what_a_model_refuses_is_left_out_and_remembered(proxy: Proxy, upstream: Upstream) -> None:
    said = "`temperature` is deprecated for this model."
    upstream.will(answer(400, messages.error("invalid_request_error", said)), *[answer(200, messages.message())] * 3)
    assert ask(proxy, model="newest", temperature=0.5).status == 200
    assert ask(proxy, model="newest", temperature=0.5).status == 200
    assert ask(proxy, temperature=0.5).status == 200  # another model
    assert [seen.json.get("temperature") for seen in upstream.history] == [0.5, None, None, 0.5]


def test_thoughts_whose_signature_is_refused_are_left_out(proxy: Proxy, upstream: Upstream) -> None:
    said = "messages.1.content.0: Invalid `signature` in `thinking` block"
    upstream.will(*[answer(400, messages.error("invalid_request_error", said)), answer(200, messages.message())] * 2)
    detail = {"type": "reasoning.text", "text": "Hm.", "signature": "c2ln", "format": "anthropic-claude-v1"}
    call = build.tool_call("get_weather", "{}")
    talk = [
        {"role": "user", "content": "Where?"},
        {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_details": [detail]},
        {"role": "tool", "tool_call_id": "call_1", "content": "Sun."},
    ]
    for _ in range(2):  # it is no fault of the model's, and not remembered
        assert ask(proxy, messages=talk, tools=[TOOL], reasoning_effort="medium").status == 200
        first, second = (seen.json for seen in upstream.history[-2:])
        assert [block["type"] for block in first["messages"][1]["content"]] == ["thinking", "tool_use"]
        assert [block["type"] for block in second["messages"][1]["content"]] == ["tool_use"]
        assert "thinking" in first and "thinking" not in second


def test_a_schema_that_cannot_be_enforced_is_asked_for(proxy: Proxy, upstream: Upstream) -> None:
    said = "output_config.format: Extra inputs are not permitted"
    upstream.will(answer(400, messages.error("invalid_request_error", said)), answer(200, messages.message()))
    shape = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    assert ask(proxy, model="other", response_format=shape).status == 200
    assert "JSON schema" in sent(upstream)["system"]


def test_another_refusal_is_told_at_once(proxy: Proxy, upstream: Upstream) -> None:
    said = "messages.0.content: Input should be a valid list"
    upstream.will_answer(400, messages.error("invalid_request_error", said))
    reply = ask(proxy, temperature=0.5)
    assert (reply.status, reply.error["message"]) == (400, said)
    assert len(upstream.history) == 1


@pytest.mark.parametrize("body", [{"n": 2}, {"messages": [{"role": "user", "content": [{"type": "video_x"}]}]}])
def test_what_has_no_place_there_goes_to_who_takes_it(proxy: Proxy, upstream: Upstream, body: Any) -> None:
    reply = ask(proxy, **body)
    assert (reply.status, reply.error["code"]) == (400, "unsupported_parameter")
    assert upstream.history == []
    upstream.will_answer(200, build.completion())
    assert ask(proxy, model="both", **body).status == 200
    assert upstream.history[-1].path == CHAT


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", {"model": build.PUBLIC_MODEL, "prompt": "x"}),
        ("/v1/embeddings", {"model": "embeds", "input": "x"}),
    ],
)
def test_it_only_chats(proxy: Proxy, upstream: Upstream, path: str, body: Any) -> None:
    reply = proxy.post(path, body, KEY)
    assert (reply.status, reply.error["code"]) == (400, "unsupported_parameter")
    assert "acme" in reply.error["message"]
    assert upstream.history == []


BROKE = "Your credit balance is too low to access the Anthropic API."


@pytest.mark.parametrize(
    "refusal", [answer(529, messages.error()), answer(400, messages.error("invalid_request_error", BROKE))]
)
def test_the_next_deployment_is_asked_when_it_cannot(proxy: Proxy, upstream: Upstream, refusal: Any) -> None:
    recover(proxy, upstream)
    upstream.will(refusal, answer(200, build.completion()))
    assert ask(proxy, model="both").status == 200
    assert [seen.path for seen in upstream.history[-2:]] == ["/v1/messages", CHAT]


def recover(proxy: Proxy, upstream: Upstream) -> None:
    """Whoever has failed is asked first again after an answer."""
    upstream.will_answer(200, messages.message())
    assert ask(proxy).status == 200


# Streams that go wrong.


@pytest.mark.parametrize("lead", [[], [messages.start()]])
def test_an_error_before_the_first_word_is_a_status(proxy: Proxy, upstream: Upstream, lead: list[bytes]) -> None:
    upstream.will_stream(*lead, messages.event(messages.error()), done=False)
    reply = ask(proxy, stream=True)
    assert (reply.status, reply.error["code"]) == (529, "server_is_overloaded")
    recover(proxy, upstream)
    upstream.will_stream(*lead, messages.event(messages.error()), done=False)
    upstream.will_stream(*build.spoken("Hi"))
    assert b"Hi" in ask(proxy, model="both", stream=True).body


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ([messages.event(messages.error())], "server_is_overloaded"),
        ([], "upstream_stream_interrupted"),
        ([hang_up], "upstream_stream_interrupted"),
    ],
    ids=["error", "end", "hang-up"],
)
def test_what_breaks_off_never_ends_well(proxy: Proxy, upstream: Upstream, steps: list[Any], code: str) -> None:
    upstream.will_stream(messages.start(), *messages.said(0, "Hello"), pause, *steps, done=False)
    reply = ask(proxy, stream=True)
    frames = reply.frames()
    shown = b"".join(next(frames) for _ in range(2))
    upstream.resume()
    heard = check_stream(shown + b"".join(frames))
    assert (heard.content, heard.error and heard.error["code"]) == ("Hello", code)
    assert line_of(proxy, reply)["error"] == code


def test_a_connection_that_breaks_behind_the_last_word_does_no_harm(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(messages.start(), *messages.said(0, "Hi"), messages.end()[0], hang_up, done=False)
    heard = stream(proxy)
    assert (heard.content, heard.finish, heard.error) == ("Hi", "stop", None)


@pytest.mark.parametrize("at_once", [True, False])
def test_what_came_of_a_stream_that_was_cut_is_counted(proxy: Proxy, upstream: Upstream, at_once: bool) -> None:
    begun = [messages.start(), *messages.said(0, "I ", *["a few words "] * 40)]
    upstream.will_stream(*([b"".join(begun)] if at_once else begun), hang_up, done=False)
    reply = ask(proxy, stream=True)
    line = line_of(proxy, reply)
    assert line["estimated"] and 80 <= line["output_tokens"] <= 160
    (row,) = proxy.admin("GET", f"/requests?q={reply.header('x-request-id')}").json["items"]
    assert row["bytesOut"] >= 40 * len("a few words ")


def test_who_hangs_up_at_the_last_word_has_not_left(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(messages.start(), *messages.said(0, "Hi"), *messages.end(), pause, done=False)
    with closing(proxy.raw(request("POST", CHAT, hello(stream=True), KEY))) as wire:
        reply = wire.reply()
        assert any(b"[DONE]" in each for each in reply.frames())
        line = line_of(proxy, reply)  # the connection to the provider is still open
    upstream.resume()
    assert line["status"] == 200 and "error" not in line


@pytest.mark.parametrize("body", [b"nonsense", b"[]", b'{"content": 7}', b"{}", b'{"content": [{"type": []}]}'])
def test_a_lying_provider_is_a_502_or_an_empty_answer(proxy: Proxy, upstream: Upstream, body: bytes) -> None:
    upstream.will_answer(200, body, headers={"content-type": "application/json"})
    reply = ask(proxy)
    if reply.status == 200:
        assert reply.json["choices"][0]["message"]["content"] == ""
    else:
        assert (reply.status, reply.error["code"]) == (502, "upstream_invalid_response")


@pytest.mark.parametrize("depth", [900, 100_000])
def test_deep_nesting_does_no_harm(proxy: Proxy, upstream: Upstream, depth: int) -> None:
    upstream.default(lambda seen: answer(200, messages.message()))
    deep = '{"a":' * depth + "1" + "}" * depth
    call = {"role": "assistant", "tool_calls": [build.tool_call("f", deep)]}
    assert ask(proxy, messages=[call]).status in (200, 400)
    body = json.dumps(hello(tools=[{"type": "function", "function": {"name": "f", "parameters": "DEEP"}}]))
    assert proxy.post(CHAT, body.replace('"DEEP"', deep).encode(), KEY).status in (200, 400)


# What it says of itself.


def test_its_list_of_models_is_read_page_by_page(proxy: Proxy, upstream: Upstream) -> None:
    row: Callable[[str], Any] = lambda id_: {"type": "model", "id": id_, "display_name": id_.title()}  # noqa: E731
    pages = [
        {"data": [row("claude-a"), row("claude-b")], "has_more": True, "first_id": "claude-a", "last_id": "claude-b"},
        {"data": [row("claude-c")], "has_more": False, "first_id": "claude-c", "last_id": "claude-c"},
    ]
    upstream.will(*[answer(200, page) for page in pages])
    found = proxy.admin("GET", "/providers/acme/models").json["models"]
    assert [(each["id"], each["name"]) for each in found] == [
        ("claude-a", "Claude-A"),
        ("claude-b", "Claude-B"),
        ("claude-c", "Claude-C"),
    ]
    assert [seen.path for seen in upstream.history] == [
        "/v1/models?limit=1000",
        "/v1/models?limit=1000&after_id=claude-b",
    ]
    assert upstream.history[-1].header("x-api-key") == SECRET
    assert upstream.history[-1].header("anthropic-version") == "2023-06-01"


def test_a_list_without_an_end_is_given_up(proxy: Proxy, upstream: Upstream) -> None:
    upstream.default(lambda seen: answer(200, {"data": [{"id": "claude-a"}], "has_more": True, "last_id": "claude-a"}))
    assert [each["id"] for each in proxy.admin("GET", "/providers/acme/models").json["models"]] == ["claude-a"]
    assert len(upstream.history) == 2
    rows = iter(range(1000))
    upstream.default(lambda seen: answer(200, {"data": [{"id": str(next(rows))}], "has_more": True, "last_id": "x"}))
    assert len(proxy.admin("GET", "/providers/acme/models").json["models"]) == 10


def test_it_is_found_good(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, {"data": [{"type": "model", "id": "claude-a"}], "has_more": False})
    found = proxy.admin("POST", "/providers/acme/test").json
    assert (found["ok"], found["status"]) == (True, 200)
    upstream.will_answer(401, messages.error("authentication_error", "invalid x-api-key"))
    assert "key" in proxy.admin("POST", "/providers/acme/test").json["message"]


@pytest.mark.parametrize("tail", ["", "/", "/v1", "/v1/", "/v1/messages"])
def test_a_base_url_may_end_in_many_ways(proxy: Proxy, upstream: Upstream, tail: str) -> None:
    id_ = f"base-{len(tail)}"
    with closing(Upstream()) as other:
        proxy.add_provider(f"{other.origin}/anthropic{tail}", id_, type="anthropic")
        proxy.add_model(id_, id_)
        other.will_answer(200, messages.message())
        assert ask(proxy, model=id_).status == 200
        assert other.history[-1].path == "/anthropic/v1/messages"
