"""The Responses API over chats: what the situations in tests/cases/responses do not show."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.responses_checker import check, events_in, texts_in

from ipin_proxy.dialects.responses_hub import tasted
from ipin_proxy.dialects.responses_items import Text
from ipin_proxy.dialects.responses_messages import sealed, unsealed, without_ours
from ipin_proxy.dialects.responses_reply import Asked, deleted, encode_response, page_of
from ipin_proxy.dialects.responses_request import decode_request, input_items
from ipin_proxy.dialects.responses_stream import encode_stream
from ipin_proxy.dialects.responses_tools import Unwrapping, fitting_name, wrapped
from ipin_proxy.dialects.tastes import taste_of
from ipin_proxy.errors import BadRequest, BudgetExceeded, UpstreamError, UpstreamTimeout
from ipin_proxy.web.sse import frame

Json = dict[str, Any]

HELLO = {"choices": [{"index": 0, "delta": {"content": "Hello"}}]}
STOP = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
DEEP: Any = {}
for _ in range(400):
    DEEP = {"properties": DEEP}


def asked(**body: Any) -> Asked:
    return Asked("resp_1", 1, "big", body, decode_request({"input": "Hi", **body}).tools)


# -- streams


def test_nothing_is_said_before_the_first_chunk() -> None:
    assert next(encode_stream(asked())) == b""


def test_an_error_before_the_first_chunk_still_is_a_whole_stream() -> None:
    step = encode_stream(asked())
    next(step)
    response = check(step.throw(UpstreamTimeout("Provider 'acme' went silent.")))
    assert response["error"] == {"code": "upstream_timeout", "message": "Provider 'acme' went silent."}


def test_an_answer_that_ends_before_it_begins_has_failed() -> None:
    step = encode_stream(asked())
    next(step)
    assert check(step.send(None))["status"] == "failed"


def test_after_its_end_a_stream_says_nothing_more() -> None:
    step = encode_stream(asked())
    out = next(step) + step.send([HELLO]) + step.send([STOP]) + step.send(None)
    assert check(out)["status"] == "completed"
    assert step.send([HELLO]) == step.send(None) == step.throw(UpstreamError("late")) == step.send([STOP]) == b""
    step.close()


def test_a_budget_that_is_used_up_is_told_so_that_nobody_tries_again() -> None:
    step = encode_stream(asked())
    next(step)
    out = step.send([HELLO]) + step.throw(BudgetExceeded("The budget is used up."))
    assert check(out)["error"]["code"] == "insufficient_quota"


def test_the_whole_object_is_kept_before_its_last_event_goes_out() -> None:
    kept: list[Json] = []
    step = encode_stream(asked(), kept.append)
    next(step)
    step.send([HELLO])
    assert kept == []
    out = step.send([STOP]) + step.send(None)
    assert events_in(out)[-1]["response"] == kept[0]


def test_a_failed_answer_is_not_kept() -> None:
    kept: list[Json] = []
    step = encode_stream(asked(), kept.append)
    next(step)
    step.throw(UpstreamError("broken"))
    assert kept == []


def test_a_stream_and_a_whole_reply_say_the_same() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "time", "arguments": "{}"}}
    message = {"role": "assistant", "content": "I look.", "reasoning_content": "Hm.", "tool_calls": [call]}
    step = encode_stream(asked())
    chunk = {"choices": [{"index": 0, "delta": message, "finish_reason": "tool_calls"}]}
    streamed = check(next(step) + step.send([chunk]) + step.send(None))
    assert streamed == encode_response(
        {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}, asked()
    )


def test_the_first_call_does_not_wait_for_the_second() -> None:
    step = encode_stream(asked())
    next(step)
    step.send([call_chunk(0, "call_1", "time", '{"zone":')])
    out = step.send([call_chunk(1, "call_2", "time", "{")])
    assert out == b""
    assert b"response.output_item.done" in step.send([call_chunk(0, None, None, '"UTC"}')])


@pytest.mark.parametrize("text", ['{"a":"}"', '{"a":"\\"}"', '{"a":[{}', "{}", '*** say {"a": 1}', '"a"', ""])
def test_a_call_goes_on_until_its_arguments_are_whole(text: str) -> None:
    step = encode_stream(asked())
    next(step)
    step.send([call_chunk(0, "call_1", "time", text)])
    assert b"output_item.done" not in step.send([call_chunk(1, "call_2", "time", "{}")])


def call_chunk(index: int, id: str | None, name: str | None, arguments: str) -> Json:
    call = {"index": index, "id": id, "function": {"name": name, "arguments": arguments}}
    return {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}


def test_a_call_of_nobody_with_nothing_is_none() -> None:
    step = encode_stream(asked())
    out = (
        next(step)
        + step.send([call_chunk(0, "call_1", None, "")])
        + step.send([HELLO])
        + step.send([STOP])
        + step.send(None)
    )
    assert texts_in(check(out)) == {"text": "Hello", "refusal": "", "thoughts": "", "calls": []}


def test_a_name_that_is_repeated_behind_whole_arguments_begins_no_call() -> None:
    step = encode_stream(asked())
    out = (
        next(step)
        + step.send([call_chunk(0, "call_1", "time", '{"a":1}')])
        + step.send([call_chunk(0, "call_1", "time", "\n")])
    )
    out += step.send([STOP]) + step.send(None)
    assert texts_in(check(out))["calls"] == [("call_1", "time", '{"a":1}\n')]


def test_numbers_and_characters_that_nobody_can_read_do_not_get_out() -> None:
    odd = [{"token": "\ud83d", "logprob": float("-inf")}]
    choice = {"index": 0, "delta": {"content": "a"}, "logprobs": {"content": odd}, "finish_reason": "stop"}
    kept: list[Json] = []
    step = encode_stream(asked(), kept.append)
    response = check(next(step) + step.send([{"choices": [choice]}]) + step.send(None))
    assert response["output"][0]["content"][0]["logprobs"] == [{"token": "\ufffd", "logprob": None}]
    assert kept == [response]


@pytest.mark.parametrize("name", ["metadata", "text", "reasoning", "user"])
def test_what_is_too_deep_to_be_written_is_not_repeated(name: str) -> None:
    step = encode_stream(Asked("resp_1", 1, "big", {name: DEEP}))
    assert check(next(step) + step.send([HELLO]) + step.send(None))["status"] == "completed"


def test_the_checker_misses_no_event_and_no_order() -> None:
    """Any event left out, and any two exchanged, must be seen; else the checker proves nothing."""
    cite = {"type": "url_citation", "url_citation": {"url": "u"}}
    step = encode_stream(asked(tools=[{"type": "custom", "name": "apply_patch"}]))
    out = next(step) + step.send([{"choices": [{"delta": {"reasoning_content": "Hm"}}]}])
    for delta in ({"content": "a"}, {"content": "b", "annotations": [cite]}, {"refusal": "no"}):
        out += step.send([{"choices": [{"delta": delta}]}])
    out += step.send([call_chunk(0, "call_1", "time", '{"a":')]) + step.send([call_chunk(0, None, None, "1}")])
    out += step.send([call_chunk(1, "call_2", "apply_patch", '{"input":"a')]) + step.send(
        [call_chunk(1, None, None, 'b"}')]
    )
    events = events_in(out + step.send([STOP]) + step.send(None))
    assert len({event["type"] for event in events}) == 20  # all there are
    check(stream_of(events))
    wrong = [events[:at] + events[at + 1 :] for at in range(len(events))]
    for at in range(len(events) - 1):
        first, second = events[at : at + 2]
        if second["type"] != "response.output_text.annotation.added":  # which may stand before the text or behind it
            wrong.append([*events[:at], second, first, *events[at + 2 :]])
    for each in wrong:
        with pytest.raises((AssertionError, KeyError)):
            check(stream_of(each))


def stream_of(events: list[Json]) -> bytes:
    numbered = [{**event, "sequence_number": number} for number, event in enumerate(events)]
    return b"".join(frame(json.dumps(event), event["type"]) for event in numbered)


# -- requests


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": 5}, "input"),
        ({"input": [5]}, "input[0]"),
        ({"input": [{}]}, "input[0].type"),
        ({"input": [{"type": 5}]}, "input[0].type"),
        ({"input": [{"role": 5, "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": ["user"], "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": 5}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [5]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": 5}]}]}, "input[0].content[0].text"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0].image_url"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0].file_data"),
        ({"input": [{"role": "system", "content": [{"type": "input_image", "image_url": "x"}]}]}, "input[0].content"),
        ({"input": [{"type": "function_call"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call", "call_id": "c"}]}, "input[0].name"),
        ({"input": [{"type": "function_call", "call_id": "c", "name": "f"}]}, "input[0].arguments"),
        ({"input": [{"type": "custom_tool_call", "call_id": "c", "name": "f", "input": 5}]}, "input[0].input"),
        ({"input": [{"type": "local_shell_call", "call_id": "c", "action": []}]}, "input[0].action"),
        ({"input": [{"type": "function_call_output", "call_id": 5}]}, "input[0].call_id"),
        ({"input": [{"type": "reasoning", "summary": 5}]}, "input[0].summary"),
        ({"input": [{"type": "item_reference", "id": 5}]}, "input[0].id"),
        ({"input": [{"type": "item_reference", "id": "a"}, {"id": "b"}, {"id": "a"}]}, "input[2].id"),
        ({"input": [{"type": "additional_tools", "tools": 5}]}, "input[0].tools"),
        ({"instructions": ["x"]}, "instructions"),
        ({"tools": {}}, "tools"),
        ({"tools": [5]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "function", "name": "f", "parameters": []}]}, "tools[0].parameters"),
        ({"tools": [{"type": "function", "name": "f", "parameters": DEEP}]}, "tools[0].parameters"),
        ({"tools": [{"type": "custom", "name": "f", "format": "text"}]}, "tools[0].format"),
        ({"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "function"}]}]}, "tools[0].tools[0].name"),
        ({"tool_choice": "any"}, "tool_choice"),
        ({"tool_choice": 5}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name"),
        ({"tool_choice": {"type": "allowed_tools", "tools": 5}}, "tool_choice.tools"),
        ({"tool_choice": {"type": "allowed_tools", "tools": [5]}}, "tool_choice.tools[0]"),
        ({"tool_choice": {"type": "allowed_tools", "tools": [], "mode": 5}}, "tool_choice"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 10**400}, "top_p"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": 10**400}, "max_output_tokens"),
        ({"max_output_tokens": 1.5}, "max_output_tokens"),
        ({"top_logprobs": -1}, "top_logprobs"),
        ({"include": "x"}, "include"),
        ({"text": []}, "text"),
        ({"text": {"format": "json"}}, "text.format"),
        ({"text": {"format": {"type": "json_schema", "schema": []}}}, "text.format.schema"),
        ({"text": {"format": {"type": "json_schema", "schema": {}, "name": 5}}}, "text.format.name"),
        ({"reasoning": "high"}, "reasoning"),
        ({"reasoning": {"effort": 5}}, "reasoning.effort"),
        ({"previous_response_id": 5}, "previous_response_id"),
        ({"previous_response_id": "resp_0"}, "previous_response_id"),
    ],
    ids=str,
)
def test_what_is_not_as_it_should_be_is_refused_with_its_place(body: Json, param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        decode_request({"model": "big", "input": "Hi", **body})
    assert refused.value.param == param and len(refused.value.message) < 400


def test_a_name_that_is_too_long_or_odd_becomes_a_short_one_of_its_own() -> None:
    names = {fitting_name(name) for name in ("a" * 65, "a" * 66, "a b", "a.b", "a_b", "é", "\ud800")}
    assert len(names) == 7 and all(0 < len(name) <= 64 and name.isascii() for name in names)
    assert fitting_name("a_b") == "a_b"


def test_a_tool_that_was_renamed_is_called_by_its_own_name_again() -> None:
    body = {"input": "Hi", "tools": [{"type": "function", "name": "files.read"}]}
    found = decode_request(body)
    name = found.chat["tools"][0]["function"]["name"]
    call = {"id": "call_1", "function": {"name": name, "arguments": "{}"}}
    reply = {"choices": [{"message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    output = encode_response(reply, Asked("resp_1", 1, "big", body, found.tools))["output"]
    assert output[0]["name"] == "files.read"
    again = decode_request(
        {**body, "input": [*output, {"type": "function_call_output", "call_id": "call_1", "output": "x"}]}
    )
    assert again.chat["messages"][0]["tool_calls"][0]["function"]["name"] == name


def test_a_signature_comes_back_by_each_way_that_callers_keep_an_answer() -> None:
    extra = {"google": {"thought_signature": "s"}}
    call = {"id": "call_1", "function": {"name": "time", "arguments": "{}"}, "extra_content": extra}
    reply = {"choices": [{"message": {"tool_calls": [call]}, "finish_reason": "stop"}]}
    output = encode_response(reply, asked(include=["reasoning.encrypted_content"]))["output"]
    done = {"type": "function_call_output", "call_id": "call_1", "output": "12:00"}
    whole = [*output, done]
    typed = [{name: value for name, value in item.items() if name != "extra_content"} for item in whole]
    for kept in (whole, typed):
        messages = decode_request({"input": kept}).chat["messages"]
        assert messages[0]["tool_calls"][0]["extra_content"] == extra


def test_a_signature_goes_to_nobody_who_takes_none() -> None:
    """The model may have changed in the middle of a conversation, and some refuse what they do not know."""
    call = {"id": "call_1", "type": "function", "function": {"name": "time", "arguments": "{}"}}
    signed = {"role": "assistant", "content": None, "tool_calls": [{**call, "extra_content": {"google": {}}}]}
    for host, wanted in (("api.groq.com", call), ("localhost", signed["tool_calls"][0])):
        (message,) = tasted({"messages": [signed]}, taste_of(host, "m"))["messages"]
        assert message["tool_calls"] == [wanted]


def test_ids_of_calls_are_no_longer_than_their_provider_takes() -> None:
    """OpenAI takes 40 characters and vLLM gives 46: a conversation that began at the one may go on at the other."""
    ids = [f"chatcmpl-tool-{number:032x}" for number in (1, 2)]
    calls = [{"id": id, "type": "function", "function": {"name": "time", "arguments": "{}"}} for id in ids]
    said = [{"role": "assistant", "content": None, "tool_calls": calls}]
    said += [{"role": "tool", "tool_call_id": id, "content": "x"} for id in ids]
    for host, most in (("api.openai.com", 40), ("openrouter.ai", 40), ("localhost", 46)):
        assistant, *tools = tasted({"messages": said}, taste_of(host, "gpt-4.1"))["messages"]
        given = [call["id"] for call in assistant["tool_calls"]]
        assert [tool["tool_call_id"] for tool in tools] == given
        assert len(set(given)) == 2 and max(map(len, given)) == most


def test_details_of_reasoning_come_back_with_the_message_they_belong_to() -> None:
    first, last = {"type": "reasoning.text", "text": "Hm."}, {"type": "reasoning.encrypted", "data": "x"}
    reply = {"choices": [{"message": {"content": "4", "reasoning": "Hm.", "reasoning_details": [first]}}]}
    step = encode_stream(asked(include=["reasoning.encrypted_content"]))
    next(step)
    step.send([{"choices": [{"delta": reply["choices"][0]["message"]}]}])
    step.send([{"choices": [{"delta": {"reasoning_details": [last]}, "finish_reason": "stop"}]}])
    output = events_in(step.send(None))[-1]["response"]["output"]
    plain = [{"role": "user", "content": "And?"}, {"role": "assistant", "content": "5"}]
    messages = decode_request({"input": [*plain, plain[0], *output, *plain]}, reasoning=True).chat["messages"]
    assert messages[3]["reasoning_details"] == [first, last] and messages[3]["reasoning_content"] == "Hm."
    assert messages[:3] + messages[4:] == [*plain, plain[0], *plain]


def test_the_screen_of_a_computer_is_a_picture_of_the_users() -> None:
    screen = {"type": "computer_screenshot", "image_url": "data:image/png;base64,iVBORw0KGgo="}
    call = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"}
    said = [{"role": "user", "content": "What is there?"}, call]
    for output in (screen, [screen]):
        answered = {"type": "function_call_output", "call_id": "c1", "output": output}
        *_, tool, user = decode_request({"input": [*said, answered]}).chat["messages"]
        assert (tool["role"], tool["tool_call_id"]) == ("tool", "c1")
        assert user["content"][-1] == {"type": "image_url", "image_url": {"url": screen["image_url"]}}


@pytest.mark.parametrize(
    "text", [None, 5, "", "gAAAAA", "ipin1.", "ipin1.é", "ipin1.bnVsbA==", "ipin1.e30", sealed({})]
)
def test_what_is_not_sealed_by_us_is_nothing(text: Any) -> None:
    assert unsealed(text) == {}


def test_input_is_remembered_as_items_with_ids() -> None:
    assert input_items(decode_request({"input": "Hi"}).given, "resp_1")[0]["id"] == "msg_1i0"
    items = input_items([{"role": "user", "content": "Hi", "id": None}, {"type": "reasoning", "id": "rs_9"}], "resp_1")
    assert [(item["id"], item["type"]) for item in items] == [("msg_1i0", "message"), ("rs_9", "reasoning")]
    assert decode_request({"input": items[:1]}).chat["messages"] == [{"role": "user", "content": "Hi"}]


def test_items_are_given_page_by_page() -> None:
    items = [{"id": f"msg_{number}"} for number in range(5)]
    page = page_of(items, limit=2)
    assert [item["id"] for item in page["data"]] == ["msg_4", "msg_3"] and page["has_more"]
    page = page_of(items, after="msg_3", limit=3)
    assert (page["first_id"], page["last_id"], page["has_more"]) == ("msg_2", "msg_0", False)
    assert page_of([], newest_first=False)["data"] == []
    assert deleted("resp_1")["deleted"] is True


# -- the input of custom tools


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (wrapped('a "b" \\ \n é 😀'), 'a "b" \\ \n é 😀'),
        (json.dumps({"input": "é 😀"}), "é 😀"),
        (' {\n "input" : "a"}  ', "a"),
        ('{"input":"a","why":"b"}', "a"),
        ('{"why":"b","input":"a"}', "a"),
        ('{"patch":"a"}', "a"),
        ('{"a":"1","b":"2"}', '{"a":"1","b":"2"}'),
        ('"a"', "a"),
        ("*** Begin", "*** Begin"),
        ("{}", ""),
        ("", ""),
        ('{"input":"a', "a"),
        ('{"input":"a\\', "a"),
        ('{"input":"a\\u00', "a"),
        ('{"input":"a\\d\\x41"}', "a\\d\\x41"),
        ('{"input":"a\nb"}', "a\nb"),
        ('{"input":5}', '{"input":5}'),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_the_input_of_a_custom_tool_is_what_was_meant_however_it_comes(arguments: str, text: str) -> None:
    ways = [[arguments], list(arguments)]
    ways += [[arguments[:at], arguments[at:]] for at in range(1, min(len(arguments), 99))]
    for pieces in ways:
        unwrapping, found = Unwrapping(), Text()
        for piece in pieces:
            found.add(unwrapping.feed(piece))
        found.add(unwrapping.finish())
        found.last()
        assert found.whole == text


def test_a_turn_of_very_many_calls_is_read_in_no_time() -> None:
    """Each call was looked for among all before it that had no output yet."""
    calls = [{"type": "function_call", "call_id": f"c{at}", "name": "f", "arguments": "{}"} for at in range(50_000)]
    outputs = [{"type": "function_call_output", "call_id": each["call_id"], "output": "x"} for each in calls]
    messages = decode_request({"input": [*calls, *outputs]}).chat["messages"]
    assert len(messages[0]["tool_calls"]) == len(messages[1:]) == 50_000


def test_a_call_behind_an_output_begins_another_turn() -> None:
    call, output = (
        {"type": "function_call", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "output": ""},
    )
    items = [{**call, "call_id": "a"}, {**call, "call_id": "b"}, {**output, "call_id": "b"}, {**call, "call_id": "c"}]
    items += [{**output, "call_id": "a"}, {**output, "call_id": "c"}]
    messages = decode_request({"input": items}).chat["messages"]
    assert [message["role"] for message in messages] == ["assistant", "tool", "tool", "assistant", "tool"]


def test_what_is_handed_back_does_not_change_what_is_kept() -> None:
    kept = {"reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]}
    after = sealed({"details": [{"type": "reasoning.text", "text": "So."}], "after": True})
    items = [
        {"type": "function_call", "id": "fc_1", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "reasoning", "encrypted_content": after},
        {"type": "reasoning", "encrypted_content": after},
        {"type": "function_call_output", "call_id": "a", "output": ""},
    ]
    chat = decode_request({"input": items}, details=True, recall=lambda name: kept if name == "fc_1" else None).chat
    assert [each["text"] for each in chat["messages"][0]["reasoning_details"]] == ["Hm.", "So.", "So."]
    assert len(kept["reasoning_details"]) == 1


def test_thousands_of_calls_in_one_answer_are_none() -> None:
    """They would be written in one go at the end, in which nobody else is served."""
    step = encode_stream(asked())
    next(step)
    calls = [{"index": at, "id": f"c{at}", "function": {"name": "f", "arguments": "{"}} for at in range(1001)]
    step.send([{"choices": [{"delta": {"tool_calls": calls[:1000]}}]}])
    last = events_in(step.send([{"choices": [{"delta": {"tool_calls": calls[1000:]}}]}]))[-1]
    assert last["type"] == "response.failed"


def test_what_was_thought_here_is_known_by_its_id_however_much_there_is_of_it() -> None:
    step = encode_stream(asked()._replace(id=f"resp_{'0f' * 16}"))
    out = next(step)
    for at in range(300):
        out += step.send([{"choices": [{"delta": {"content" if at % 2 else "reasoning_content": "Hm."}}]}])
    output = check(out + step.send([STOP]) + step.send(None))["output"]
    assert len(output) == 300
    assert without_ours({"input": output}, str) == {"input": output[1::2]}
