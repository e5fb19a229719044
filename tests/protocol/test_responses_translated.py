"""The Responses API in front of providers that only chat: found out once, answered all the same, and kept for who continues."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support import build, messages
from support.build import chunk, completion, finish, opening, spoken, tool_call, tool_chunk, usage
from support.client import Reply
from support.proxy import KEY, Proxy
from support.responses_checker import check
from support.upstream import Upstream, answer, hang_up, pause, stream

Json = dict[str, Any]

PATH, CHAT = "/v1/responses", "/v1/chat/completions"
OTHER = "sk-key-of-somebody-else-00001"
NOT_FOUND = answer(404, {"detail": "Not Found"})
PATCH = {"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}}
SHELL = {
    "type": "function",
    "name": "shell",
    "parameters": {"type": "object", "properties": {"cmd": {"type": "string"}}},
}


@pytest.fixture(scope="module")
def house(shared_upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy in which "acme" is asked, model by model, whether it speaks it; "claude" is an Anthropic one's."""
    base = shared_upstream.origin
    models = [build.model(f"m{number}", upstreamModel=f"up{number}") for number in range(12)]
    proxy = Proxy.start(
        tmp_path_factory.mktemp("responses"),
        providers=[
            build.provider(base),
            build.provider(base, "native", type="anthropic"),
            build.provider(base, "chats", responses=False),
            build.provider(base, "speaks", responses=True),
        ],
        models=[
            build.model("chats", "chats"),
            build.model("alternates", "chats", upstreamModel="alternates"),
            build.model("speaks", "speaks"),
            *models,
            build.model("claude", "native", upstreamModel=messages.MODEL),
            build.model("newest", "native", upstreamModel="claude-opus-4-7"),
        ],
        keys=[build.key(KEY), build.key(OTHER, "other")],
    )
    yield proxy
    proxy.stop()


@pytest.fixture
def running(house: Proxy) -> Proxy:
    return house


def ask(proxy: Proxy, key: str = KEY, **more: Any) -> Reply:
    return proxy.post(PATH, {"model": "m0", "input": "Say hello.", **more}, key)


def learned(proxy: Proxy, upstream: Upstream, model: str) -> None:
    """After this it is known of the model that it only chats."""
    upstream.will(NOT_FOUND, answer(200, completion()))
    assert ask(proxy, model=model).status == 200


@pytest.mark.parametrize(("status", "model"), [(404, "m1"), (405, "m2"), (501, "m3")])
def test_a_provider_that_does_not_know_it_is_asked_for_a_chat_and_not_again(
    proxy: Proxy, upstream: Upstream, status: int, model: str
) -> None:
    upstream.will(answer(status, {"detail": "No."}), answer(200, completion("Hello!")))
    reply = ask(proxy, model=model, instructions="Be kind.")
    assert reply.status == 200
    said = reply.json
    assert (said["object"], said["status"], said["model"]) == ("response", "completed", model)
    assert said["output"][0]["content"][0]["text"] == "Hello!"
    assert (said["usage"]["input_tokens"], said["usage"]["output_tokens"]) == (3, 2)
    assert [seen.path for seen in upstream.history] == [PATH, CHAT]
    sent = upstream.history[-1].json
    assert sent["model"] == model.replace("m", "up")
    assert [each["role"] for each in sent["messages"]] == ["system", "user"]
    upstream.will_stream(opening(), chunk("Hel"), chunk("lo"), finish(), usage(3, 2))
    again = ask(proxy, model=model, stream=True)
    assert check(again.body)["output"][0]["content"][0]["text"] == "Hello"
    assert [seen.path for seen in upstream.history] == [PATH, CHAT, CHAT]
    id_ = again.header("x-request-id")
    (line,) = proxy.log_lines(lambda line: line.get("event") == "call" and line.get("request_id") == id_)
    assert (line["input_tokens"], line["output_tokens"], line["finish_reason"]) == (3, 2, "stop")


def test_what_a_providers_record_says_is_not_found_out(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion())
    assert ask(proxy, model="chats").status == 200
    upstream.will(NOT_FOUND)
    assert ask(proxy, model="speaks").status == 404
    assert [seen.path for seen in upstream.history] == [CHAT, PATH]


def test_who_speaks_it_gets_the_bytes(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_stream(*build.response_events("Hel", "lo"), done=False)
    body = b'{"model": "up0",  "input": "hi", "stream": true, "tools": [{"type":"web_search"}], "odd": 1.50}'
    reply = proxy.post(PATH, body.replace(b"up0", b"m0"), KEY, [("content-type", "application/json")])
    assert reply.body == b"".join(build.response_events("Hel", "lo"))
    assert upstream.history[-1].body == body


def test_a_refusal_of_what_it_does_know_is_told_as_it_is(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(400, build.error("Bad input.", "invalid_request_error"))
    assert (ask(proxy).status, upstream.started) == (400, 1)


def test_that_something_a_call_refers_to_is_not_there_says_nothing_of_the_provider(
    proxy: Proxy, upstream: Upstream
) -> None:
    told = "Vector store with id 'vs_abc123' not found."
    upstream.will(answer(404, build.error(told, "invalid_request_error")))
    reply = ask(proxy, model="m11", tools=[{"type": "file_search", "vector_store_ids": ["vs_abc123"]}])
    assert (reply.status, reply.error["message"]) == (404, told)
    upstream.will_answer(200, build.response())
    assert ask(proxy, model="m11").status == 200
    assert [seen.path for seen in upstream.history] == [PATH, PATH]


def test_tools_that_run_elsewhere_are_left_out_with_a_line_in_the_log(proxy: Proxy, upstream: Upstream) -> None:
    learned(proxy, upstream, "m4")
    upstream.will_answer(200, completion())
    hosted = [{"type": "web_search"}, {"type": "namespace", "name": "mcp", "tools": [SHELL]}, {"type": "tool_search"}]
    reply = ask(proxy, model="m4", tools=hosted)
    assert reply.status == 200
    id_ = reply.header("x-request-id")
    (line,) = proxy.log_lines(lambda line: line.get("event") == "left_out" and line.get("request_id") == id_)
    assert "web_search" in str(line["notes"])
    assert [tool["type"] for tool in upstream.history[-1].json["tools"]] == ["function"]


def test_a_custom_tool_is_called_there_and_back(proxy: Proxy, upstream: Upstream) -> None:
    learned(proxy, upstream, "m5")
    upstream.will_stream(
        opening(),
        tool_chunk(0, '{"input": "*** Beg', name="apply_patch"),
        tool_chunk(0, 'in\\n"}'),
        finish("tool_calls"),
        usage(3, 2),
    )
    response = check(ask(proxy, model="m5", stream=True, store=False, tools=[PATCH, SHELL]).body)
    (item,) = response["output"]
    assert (item["type"], item["name"], item["input"]) == ("custom_tool_call", "apply_patch", "*** Begin\n")
    upstream.will_answer(200, completion("Done."))
    output = {"type": "custom_tool_call_output", "call_id": item["call_id"], "output": "ok"}
    reply = ask(proxy, model="m5", tools=[PATCH], input=[{"role": "user", "content": "Go."}, item, output])
    assert reply.json["output"][0]["content"][0]["text"] == "Done."
    _, call, result = upstream.history[-1].json["messages"]
    assert json.loads(call["tool_calls"][0]["function"]["arguments"]) == {"input": "*** Begin\n"}
    assert (result["role"], result["content"]) == ("tool", "ok")


def test_users_messages_are_one_where_turns_must_alternate(proxy: Proxy, upstream: Upstream) -> None:
    """Codex begins with two of them, which templates of Mistral's and Gemma's models refuse."""
    said = "After the optional system message, conversation roles must alternate user/assistant/user/assistant/..."
    upstream.will(answer(400, {"object": "error", "message": said, "type": "BadRequestError", "code": 400}))
    upstream.will(*[answer(200, completion())] * 2)
    talk = [{"role": role, "content": role} for role in ("developer", "user", "user", "assistant", "developer", "user")]
    for count in (2, 3):  # it is remembered
        assert ask(proxy, model="alternates", input=talk).status == 200
        assert len(upstream.history) == count
        told = upstream.history[-1].json["messages"]
        assert [each["role"] for each in told] == ["system", "user", "assistant", "user"]
        assert told[1]["content"] == "user\n\nuser"
        assert told[3]["content"] == "<system-reminder>\ndeveloper\n</system-reminder>\n\nuser"


def test_a_response_is_continued_read_and_forgotten_by_its_key_alone(proxy: Proxy, upstream: Upstream) -> None:
    learned(proxy, upstream, "m6")
    upstream.will_answer(200, completion("I am Ada."))
    first = ask(proxy, model="m6", input="Who are you?").json
    upstream.will_answer(200, completion("Ada, still."))
    second = ask(proxy, model="m6", input="And now?", previous_response_id=first["id"]).json
    assert second["previous_response_id"] == first["id"]
    assert [each["content"] for each in upstream.history[-1].json["messages"]] == [
        "Who are you?",
        "I am Ada.",
        "And now?",
    ]

    # Another model, of which nobody knows yet that it only chats: what is kept here cannot be continued there.
    upstream.will_answer(200, completion("Ada, here too."))
    assert ask(proxy, model="m7", input="?", previous_response_id=second["id"]).status == 200
    assert len(upstream.history[-1].json["messages"]) == 5

    place = f"{PATH}/{first['id']}"
    alone = proxy.get(place, KEY)
    assert (alone.json, alone.header("cache-control")) == (first, "no-store")
    told = proxy.get(f"{place}?stream=true", KEY)
    assert told.header("content-type") == "text/event-stream" and check(told.body) == first
    rest = proxy.get(f"{place}?stream=true&starting_after=4", KEY).body
    assert b'"sequence_number": 5' in rest and told.body.endswith(rest) and rest != told.body
    assert proxy.get(f"{place}?stream=true&starting_after=x", KEY).error["param"] == "starting_after"
    items = proxy.get(f"{place}/input_items?order=asc&limit=1", KEY).json
    assert (items["object"], items["has_more"], items["data"][0]["content"][0]["text"]) == (
        "list",
        False,
        "Who are you?",
    )
    assert proxy.get(f"{place}/input_items?limit=0", KEY).error["param"] == "limit"
    for reply in (proxy.get(place, OTHER), proxy.request("DELETE", place, key=OTHER), proxy.get(f"{PATH}/resp_0", KEY)):
        assert (reply.status, reply.error["code"]) == (404, "not_found")
    before = len(upstream.history)
    theirs = ask(proxy, OTHER, model="m6", previous_response_id=first["id"])
    assert (theirs.status, theirs.error["code"]) == (400, "previous_response_not_found")
    assert len(upstream.history) == before
    assert proxy.request("DELETE", place, key=KEY).json == {"id": first["id"], "object": "response", "deleted": True}
    assert proxy.get(place, KEY).status == 404


@pytest.mark.parametrize("model", ["speaks", "m7"])
def test_what_was_thought_here_is_not_told_to_who_speaks_the_api_itself(
    proxy: Proxy, upstream: Upstream, model: str
) -> None:
    """Nobody there can open it, and who cannot refuses the conversation: a model may be exchanged in the middle of one."""
    told = completion("I am Ada.")
    told["choices"][0]["message"]["reasoning_content"] = "Who am I?"
    upstream.will_answer(200, told)
    first = ask(proxy, model="chats", store=False, include=["reasoning.encrypted_content"]).json
    thought, said = dict(first["output"][0]), first["output"][1]
    assert thought.pop("encrypted_content")
    theirs = [
        {**thought, "encrypted_content": "gAAAAA=="},
        {"type": "reasoning", "id": "rs_68af4030baa48193", "summary": []},
    ]
    upstream.will_answer(200, build.response())
    more = {"role": "user", "content": "And now?"}
    mine = [first["output"][0], thought]
    assert ask(proxy, model=model, input=[*mine, said, *theirs, more]).json == build.response()
    assert upstream.history[-1].path == PATH
    assert upstream.history[-1].json["input"] == [said, *theirs, more]


@pytest.mark.parametrize("streams", [True, False])
def test_a_conversation_that_is_too_long_is_made_shorter(proxy: Proxy, upstream: Upstream, streams: bool) -> None:
    """Coding agents end it with a trigger and begin anew with the item that comes back, and with nothing else."""
    user, more = ({"role": "user", "content": text} for text in ("Tidy up.", "Go on."))
    long = "There is a.txt. " * 20_000  # more than is parsed of a string
    upstream.will(stream(*build.spoken(long, "All."), usage(9, 5)) if streams else answer(200, completion()))
    reply = ask(proxy, model="chats", stream=streams, input=[user, {"type": "compaction_trigger"}], tools=[SHELL])
    response = check(reply.body) if streams else reply.json
    (item,) = response["output"]
    assert item["type"] == "compaction" and "tools" not in upstream.history[-1].json
    summed_up = f"{long}All." if streams else "Hello!"
    upstream.will_answer(200, completion())
    further = ask(proxy, model="chats", input=[more], previous_response_id=response["id"], tools=[SHELL]).json
    assert further["output"][0]["type"] == "message" and "tools" in upstream.history[-1].json
    assert upstream.history[-1].json["messages"][1]["content"].endswith(summed_up)
    for model, member in (("chats", "messages"), ("speaks", "input")):
        upstream.will_answer(200, completion() if model == "chats" else build.response())
        assert ask(proxy, model=model, input=[user, item, more]).status == 200
        first, told, last = upstream.history[-1].json[member]
        assert (first, last) == (user, more) and told["role"] == "user" and told["content"].endswith(summed_up)


@pytest.mark.parametrize("model", ["speaks", "m7"])
@pytest.mark.parametrize("by", ["its id", "its items", "the ids of its items"])
def test_what_is_kept_here_is_continued_here(proxy: Proxy, upstream: Upstream, model: str, by: str) -> None:
    """Also at a provider who keeps responses itself, since it does not know these."""
    upstream.will_answer(200, completion("I am Ada."))
    first = ask(proxy, model="chats", input="Who are you?").json
    upstream.will_answer(200, completion("Ada, still."))
    if by == "its id":
        more: Json = {"input": "And now?", "previous_response_id": first["id"]}
    else:
        reference = {"id": first["output"][0]["id"]}  # which is all that the API asks for
        if by == "its items":
            reference["type"] = "item_reference"
        asked = [{"role": "user", "content": text} for text in ("Who are you?", "And now?")]
        more = {"input": [asked[0], reference, asked[1]]}
    assert ask(proxy, model=model, **more).json["output"][0]["content"][0]["text"] == "Ada, still."
    told = [each["content"] for each in upstream.history[-1].json["messages"]]
    assert told == ["Who are you?", "I am Ada.", "And now?"]
    unknown = {"type": "item_reference", "id": "msg_0f1e2d"}
    upstream.will_answer(404, build.error("Item with id 'msg_0f1e2d' not found.", "invalid_request_error"))
    assert ask(proxy, model=model, input=[unknown]).status == 404
    assert upstream.history[-1].path == PATH


def test_who_gets_the_id_of_a_key_gets_nothing_else_of_it(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion("A secret."))
    said = ask(proxy, OTHER, model="chats").json
    assert proxy.get(f"{PATH}/{said['id']}", OTHER).status == 200
    fresh = "sk-another-key-of-that-id-0001"
    assert proxy.admin("DELETE", "/apikeys/other").status == 200
    assert proxy.admin("POST", "/apikeys", {"id": "other", "name": "other", "key": fresh}).status == 201
    assert proxy.get(f"{PATH}/{said['id']}", fresh).status == 404


def test_a_conversation_that_is_referred_to_counts_as_sent(proxy: Proxy, upstream: Upstream) -> None:
    """Else hundreds of calls in parallel would be held next to nothing on a budget."""
    without_usage = {name: value for name, value in completion("Yes.").items() if name != "usage"}
    upstream.will(*[answer(200, without_usage)] * 4)
    first = ask(proxy, model="chats", input="x" * 100_000).json
    heard = proxy.get(f"{PATH}/{first['id']}/input_items", KEY).json["data"][0]
    said = {"type": "item_reference", "id": first["output"][0]["id"]}
    for refers, expected in (
        ({"previous_response_id": first["id"]}, 25_000),
        ({"input": [said, {"type": "item_reference", "id": heard["id"]}]}, 25_000),
        ({"input": [said]}, 1),
    ):
        id_ = ask(proxy, model="chats", **refers).header("x-request-id")
        (line,) = proxy.log_lines(lambda line, id_=id_: line.get("event") == "call" and line.get("request_id") == id_)
        assert expected < line["input_tokens"] < expected + 2000


@pytest.mark.parametrize("streams", [False, True])
def test_what_is_very_long_is_not_repeated(proxy: Proxy, upstream: Upstream, streams: bool) -> None:
    """A stream would say it three times, and nobody else is answered while it is written."""
    tools = [{**SHELL, "name": f"shell{at}", "description": "x" * 1000} for at in range(300)]
    upstream.will(stream(*spoken("Hi"), usage(3, 2)) if streams else answer(200, completion("Hi")))
    reply = ask(proxy, model="chats", stream=streams, tools=tools, instructions="Be kind.", temperature=0.5)
    said = check(reply.body) if streams else reply.json
    assert (said["tools"], said["instructions"], said["temperature"]) == ([], "Be kind.", 0.5)
    assert len(upstream.history[-1].json["tools"]) == 300


def test_an_item_may_be_referred_to_and_continued_from(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will(*[answer(200, completion(text)) for text in ("One.", "Two.", "Three.")])
    first = ask(proxy, model="chats").json
    reference = {"type": "item_reference", "id": first["output"][0]["id"]}
    second = ask(proxy, model="chats", input=[reference, {"role": "user", "content": "And?"}])
    assert second.status == 200, second.body
    third = ask(proxy, model="chats", previous_response_id=second.json["id"])
    assert third.status == 200, third.body
    told = [message["content"] for message in upstream.history[-1].json["messages"]]
    assert told == ["One.", "And?", "Two.", "Say hello."]


def test_what_is_not_to_be_stored_is_not(proxy: Proxy, upstream: Upstream) -> None:
    learned(proxy, upstream, "m8")
    upstream.will_answer(200, completion("Hush."))
    said = ask(proxy, model="m8", store=False).json
    assert proxy.get(f"{PATH}/{said['id']}", KEY).status == 404


@pytest.mark.parametrize("streams", [False, True])
def test_it_is_answered_by_anthropic_too(proxy: Proxy, upstream: Upstream, streams: bool) -> None:
    if streams:
        call = messages.called(1, '{"cmd"', ': "ls"}', name="shell")
        upstream.will_stream(
            messages.start(), *messages.said(0, "Let me see."), *call, *messages.end("tool_use"), done=False
        )
        response = check(ask(proxy, model="claude", stream=True, tools=[SHELL]).body)
    else:
        use = messages.tool_use(name="shell", cmd="ls")
        upstream.will_answer(200, messages.message(messages.text("Let me see."), use, stop="tool_use"))
        response = ask(proxy, model="claude", tools=[SHELL]).json
    said, made = response["output"]
    assert said["content"][0]["text"] == "Let me see."
    assert (made["type"], made["name"], json.loads(made["arguments"])) == ("function_call", "shell", {"cmd": "ls"})
    assert response["usage"]["input_tokens"] == 130
    assert response["usage"]["input_tokens_details"]["cached_tokens"] == 100
    assert [seen.path for seen in upstream.history] == ["/v1/messages"]


def test_how_much_is_thought_is_told_as_it_was(proxy: Proxy, upstream: Upstream) -> None:
    for effort, budget in (("high", 16_384), ("xhigh", 32_768)):
        upstream.will_answer(200, messages.message())
        assert ask(proxy, model="claude", reasoning={"effort": effort}).status == 200
        assert upstream.history[-1].json["thinking"] == {"type": "enabled", "budget_tokens": budget}
    upstream.will_answer(200, messages.message())
    assert ask(proxy, model="newest", reasoning={"effort": "xhigh"}).status == 200
    assert upstream.history[-1].json["output_config"] == {"effort": "xhigh"}
    for model in ("claude", "chats"):
        refused = ask(proxy, model=model, reasoning={"effort": "ultra"})
        assert (refused.status, refused.error["param"]) == (400, "reasoning.effort")


@pytest.mark.parametrize("streams", [True, False])
def test_what_was_thought_goes_back_with_its_signature(proxy: Proxy, upstream: Upstream, streams: bool) -> None:
    """Without it a model that has called a tool does not think on."""
    wanted: Json = {"include": ["reasoning.encrypted_content"], "reasoning": {"effort": "medium"}, "tools": [SHELL]}
    if streams:
        upstream.will_stream(
            messages.start(),
            messages.block(0, {"type": "thinking", "thinking": "", "signature": ""}),
            messages.delta(0, type="thinking_delta", thinking="Where am I?"),
            messages.delta(0, type="signature_delta", signature="c2ln"),
            messages.event({"type": "content_block_stop", "index": 0}),
            *messages.called(1, "{}", name="shell"),
            *messages.end("tool_use"),
            done=False,
        )
        output = check(ask(proxy, model="claude", stream=True, **wanted).body)["output"]
    else:
        thought = {"type": "thinking", "thinking": "Where am I?", "signature": "c2ln"}
        upstream.will_answer(200, messages.message(thought, messages.tool_use(name="shell"), stop="tool_use"))
        output = ask(proxy, model="claude", **wanted).json["output"]
    upstream.will_answer(200, messages.message())
    result = {"type": "function_call_output", "call_id": output[-1]["call_id"], "output": "/tmp"}
    asked = [{"role": "user", "content": "Say hello."}, *output, result]
    assert ask(proxy, model="claude", input=asked, **wanted).status == 200
    assert [part["text"] for part in output[0]["summary"]] == ["Where am I?"]
    sent = upstream.history[-1].json
    assert sent["messages"][1]["content"][0] == {
        "type": "thinking",
        "thinking": "Where am I?",
        "signature": "c2ln",
    }
    assert sent["thinking"]["type"] == "enabled"


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("hands_back", [True, False])
@pytest.mark.parametrize("stores", [True, False])
def test_what_led_to_a_call_is_kept_for_who_has_not_asked_to_have_it(
    proxy: Proxy, upstream: Upstream, streams: bool, hands_back: bool, stores: bool
) -> None:
    """Whoever continues a response by its id has nothing to hand back, and the model is to think on all the same."""
    wanted: Json = {"reasoning": {"effort": "medium"}, "tools": [SHELL], **({} if stores else {"store": False})}
    thought = {"type": "thinking", "thinking": "Where am I?", "signature": "c2ln"}
    if streams:
        thinks = [
            messages.block(0, {"type": "thinking", "thinking": "", "signature": ""}),
            messages.delta(0, type="thinking_delta", thinking="Where am I?"),
            messages.delta(0, type="signature_delta", signature="c2ln"),
            messages.event({"type": "content_block_stop", "index": 0}),
        ]
        called = messages.called(1, "{}", name="shell")
        upstream.will_stream(messages.start(), *thinks, *called, *messages.end("tool_use"), done=False)
        response = check(ask(proxy, model="claude", stream=True, **wanted).body)
    else:
        upstream.will_answer(200, messages.message(thought, messages.tool_use(name="shell"), stop="tool_use"))
        response = ask(proxy, model="claude", **wanted).json
    assert "encrypted_content" not in json.dumps(response)
    result = {"type": "function_call_output", "call_id": response["output"][-1]["call_id"], "output": "/tmp"}
    if hands_back or not stores:
        more: Json = {"input": [{"role": "user", "content": "Say hello."}, *response["output"], result]}
    else:
        more = {"input": [result], "previous_response_id": response["id"]}
    upstream.will_answer(200, messages.message())
    assert ask(proxy, model="claude", **wanted, **more).status == 200
    sent = upstream.history[-1].json
    assert [block["type"] for block in sent["messages"][1]["content"]] == (["thinking"] * stores) + ["tool_use"]
    assert ("thinking" in sent) is stores  # which is refused where what was thought before a call is missing
    assert not stores or sent["messages"][1]["content"][0] == thought


def test_an_early_failure_is_a_status_and_a_late_one_a_failed_response(proxy: Proxy, upstream: Upstream) -> None:
    learned(proxy, upstream, "m9")
    upstream.will_stream({"error": {"message": "Busy", "code": 503}}, done=False)
    early = ask(proxy, model="m9", stream=True)
    assert (early.status, early.error["message"]) == (503, "Busy")
    upstream.will_stream(opening(), chunk("Hel"), hang_up, done=False)
    late = check(ask(proxy, model="m9", stream=True).body)
    assert (late["status"], late["error"]["code"]) == ("failed", "upstream_stream_interrupted")


def test_a_quota_that_ends_in_the_middle_is_known_by_its_code(proxy: Proxy, upstream: Upstream) -> None:
    """Coding agents ask again and again, but for this."""
    upstream.will_stream(chunk("Hel"), build.error("No quota is left.", "insufficient_quota", "insufficient_quota"))
    failed = check(ask(proxy, model="chats", stream=True).body)
    assert failed["error"] == {"code": "insufficient_quota", "message": "No quota is left."}


def test_a_conversation_that_is_too_long_is_known_by_its_code(proxy: Proxy, upstream: Upstream) -> None:
    learned(proxy, upstream, "m10")
    long = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
    upstream.will_answer(500, {"detail": long})
    reply = ask(proxy, model="m10")
    assert (reply.status, reply.error["code"]) == (400, "context_length_exceeded")


def test_a_stream_comes_word_by_word(proxy: Proxy, upstream: Upstream) -> None:
    learned(proxy, upstream, "m11")
    upstream.will(stream(opening(), chunk("Hel"), pause, chunk("lo"), finish(), usage(3, 2)))
    frames = ask(proxy, model="m11", stream=True).frames()
    seen = b""
    while b'"Hel"' not in seen:  # while the rest is not even sent
        seen += next(frames)
    upstream.resume()
    assert check(seen + b"".join(frames))["status"] == "completed"


def test_what_is_told_in_pieces_and_then_all_again_is_told_once(proxy: Proxy, upstream: Upstream) -> None:
    again = {**completion("Hello there."), "object": "chat.completion"}  # the last chunk of MiniMax
    upstream.will(stream(opening(), chunk("Hello"), chunk(" there."), again, done=False))
    reply = ask(proxy, model="chats", stream=True)
    response = check(reply.body)
    assert [each["content"][0]["text"] for each in response["output"]] == ["Hello there."]
    assert (response["usage"]["input_tokens"], response["usage"]["output_tokens"]) == (3, 2)


def test_calls_of_tools_come_whole(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion(None, finish="tool_calls", tool_calls=[tool_call("shell", '{"cmd": "ls"}')]))
    made = ask(proxy, model="m11", tools=[SHELL]).json["output"][0]
    assert (made["call_id"], made["name"], made["arguments"]) == ("call_1", "shell", '{"cmd": "ls"}')


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("path", [PATH, "/v1/messages"])
def test_of_a_stream_that_was_cut_only_words_are_charged(
    proxy: Proxy, upstream: Upstream, path: str, native: bool
) -> None:
    words = ["a few words "] * 40
    begun = [messages.start(), *messages.said(0, *words)] if native else [opening(), *map(chunk, words)]
    body = {"model": "claude" if native else "chats", "stream": True}
    body |= {"input": "Hi"} if path == PATH else {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    upstream.will_stream(*begun, hang_up, done=False)
    reply = proxy.post(path, body, KEY)
    reply.read()
    (row,) = proxy.admin("GET", f"/requests?q={reply.header('x-request-id')}").json["items"]
    assert row["costBasis"] != "reported" and 80 <= row["outputTokens"] <= 160
    upstream.will_stream(*begun[: 2 if native else 1], hang_up, done=False)
    reply = proxy.post(path, body, KEY)
    reply.read()
    (row,) = proxy.admin("GET", f"/requests?q={reply.header('x-request-id')}").json["items"]
    assert row["outputTokens"] <= 1


def test_what_is_repeated_of_a_request_is_not_charged_as_answered(proxy: Proxy, upstream: Upstream) -> None:
    """Where nobody tells how much an answer was, it is guessed by its words."""
    upstream.will_answer(200, {**completion("Hello there."), "usage": None})
    reply = ask(proxy, model="chats", tools=[SHELL], instructions="Be kind. " * 1000)
    line = proxy.log_lines(lambda each: each.get("request_id") == reply.header("x-request-id"))[0]
    assert len(reply.body) > 9000 and line["estimated"] and line["output_tokens"] == 3


def test_of_a_stream_of_its_own_that_was_cut_only_words_are_charged(proxy: Proxy, upstream: Upstream) -> None:
    events = build.response_events("I ", *["a few words "] * 40)
    for count, least, most in ((-4, 80, 160), (4, 0, 0)):  # without what says it all again; before the first word
        upstream.will_stream(*events[:count], hang_up, done=False)
        reply = ask(proxy, model="speaks", stream=True)
        reply.read()
        (row,) = proxy.admin("GET", f"/requests?q={reply.header('x-request-id')}").json["items"]
        assert least <= row["outputTokens"] <= most
    upstream.will_stream(*events[:-1], hang_up, done=False)
    reply = ask(proxy, model="speaks", stream=True)
    reply.read()
    (row,) = proxy.admin("GET", f"/requests?q={reply.header('x-request-id')}").json["items"]
    assert 80 <= row["outputTokens"] <= 160
