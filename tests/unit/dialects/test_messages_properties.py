"""Anthropic's Messages over the hub, with whatever comes: conversations keep what was said, streams keep the rules."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given
from hypothesis import strategies as st
from support.messages_checker import Message, check_usage, read_messages_stream

from ipin_proxy.dialects.messages_count import estimate
from ipin_proxy.dialects.messages_errors import overflow_message
from ipin_proxy.dialects.messages_reply import Asked, encode_response
from ipin_proxy.dialects.messages_request import decode_request
from ipin_proxy.dialects.messages_stream import encode_stream
from ipin_proxy.dialects.messages_tools import NAME, Names
from ipin_proxy.dialects.schemas import cleaned_schema, is_strict
from ipin_proxy.dialects.tastes import Taste, taste_of
from ipin_proxy.dialects.thoughts import TEXT, THOUGHT, ThinkSplitter
from ipin_proxy.errors import BadRequest, UpstreamError
from ipin_proxy.records import Provider

Json = dict[str, Any]

WORDS = st.text(min_size=1, max_size=8)
NAMES = st.sampled_from(
    [
        *["type", "text", "content", "role", "messages", "system", "tools", "name", "input", "id", "tool_use_id"],
        *["is_error", "source", "data", "media_type", "url", "title", "thinking", "signature", "input_schema"],
        *["tool_choice", "stop_sequences", "max_tokens", "budget_tokens", "metadata", "user_id", "output_config"],
        *["format", "effort", "schema", "choices", "delta", "message", "index", "finish_reason", "tool_calls"],
        *["function", "arguments", "reasoning_content", "reasoning", "reasoning_details", "refusal", "usage"],
        *["prompt_tokens", "completion_tokens", "error", "code", "function_call", "extra_content", "stop_reason"],
        *["$ref", "properties", "items", "anyOf", "allOf", "enum", "required", "additionalProperties"],
    ]
)
KINDS = st.sampled_from(
    [
        *["text", "image", "document", "tool_use", "tool_result", "thinking", "base64", "url", "content"],
        *["user", "assistant", "system", "auto", "tool", "any", "enabled", "json_schema", "custom", "stop"],
        *["tool_calls", "length", "error", "object", "array", "string", "#/properties/text", "#", "{}"],
        *['{"a":1}', "null"],
    ]
)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.just(10**400) | KINDS | st.text(max_size=4)
JSON = st.recursive(
    PLAIN | st.just("\ud83d"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=5),
    max_leaves=25,
)
TASTES = st.sampled_from(
    [
        Taste(),
        taste_of("openrouter.ai", "anthropic/claude-sonnet-4.5"),
        taste_of("api.deepseek.com", "deepseek-reasoner"),
        taste_of("generativelanguage.googleapis.com", "gemini-3-pro"),
        taste_of("api.mistral.ai", "mistral-large"),
        taste_of("api.openai.com", "o3"),
    ]
)


def asked(**more: Any) -> Asked:
    return Asked("claude-sonnet-5", Names(), request_id="req_1", **more)


def written(chunks: list[Any], **more: Any) -> bytes:
    step = encode_stream(asked(thinks=True, **more))
    next(step)
    return b"".join([step.send([chunk]) for chunk in chunks] + [step.send(None)])


# ---- requests --------------------------------------------------------------------------------------------------------


@given(st.dictionaries(NAMES, JSON, max_size=6), JSON, TASTES)
def test_any_body_is_a_chat_or_is_refused(more: Json, content: Any, taste: Taste):
    body = {"max_tokens": 5, "messages": [{"role": "user", "content": content}], **more}
    with contextlib.suppress(BadRequest):
        decoded = decode_request(body, taste)
        assert json.dumps(decoded.body["messages"], allow_nan=False)
        assert decoded.body["messages"]


@given(JSON, JSON, TASTES)
def test_any_turn_of_an_assistant_is_read_or_refused(content: Any, result: Any, taste: Taste):
    call = {"type": "tool_use", "id": "a", "name": "x", "input": {}}
    messages = [
        {"role": "user", "content": "Go"},
        {"role": "assistant", "content": content},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": result}]},
    ]
    with contextlib.suppress(BadRequest):
        check_order(decode_request({"max_tokens": 5, "messages": messages}, taste).body["messages"])


@given(JSON)
def test_anything_has_a_count(body: Any):
    assert estimate(body) >= 1
    assert estimate({"messages": [{"role": "user", "content": body}], "tools": body, "system": body}) >= 1


def check_order(messages: list[Json]) -> None:
    """A chat's rule for tools: behind the calls of a message their results, all of them, each once."""
    at = 0
    while at < len(messages):
        message, at = messages[at], at + 1
        assert message["role"] != "tool", "a result without its call"
        ids = [call["id"] for call in message.get("tool_calls", ())]
        assert len(ids) == len(set(ids))
        results = messages[at : at + len(ids)]
        assert [each["role"] for each in results] == ["tool"] * len(ids)
        assert [each["tool_call_id"] for each in results] == ids
        assert all(each["content"] for each in results)
        at += len(ids)


@st.composite
def conversations(draw: st.DrawFn) -> list[Json]:
    """A conversation by Anthropic's rules: what tools put out follows the calls, in any order, with texts between."""
    messages: list[Json] = [{"role": "user", "content": draw(WORDS)}]
    number = 0
    for _ in range(draw(st.integers(0, 4))):
        calls = [
            {"type": "tool_use", "id": f"toolu_{number + n}", "name": draw(WORDS), "input": {"n": n}}
            for n in range(draw(st.integers(0, 3)))
        ]
        number += len(calls)
        texts = [
            {"type": "text", "text": text} for text in draw(st.lists(WORDS, min_size=0 if calls else 1, max_size=2))
        ]
        messages.append({"role": "assistant", "content": texts + calls})
        blocks = [{"type": "tool_result", "tool_use_id": call["id"], "content": draw(WORDS)} for call in calls]
        said = [
            {"type": "text", "text": text} for text in draw(st.lists(WORDS, min_size=0 if calls else 1, max_size=2))
        ]
        messages.append({"role": "user", "content": draw(st.permutations(blocks + said))})
        if draw(st.booleans()):
            messages.append({"role": "system", "content": draw(WORDS)})
    return messages


def texts_of(messages: list[Json], role: str) -> str:
    told = [message["content"] for message in messages if message["role"] == role]
    rows = [[{"type": "text", "text": each}] if type(each) is str else each for each in told]
    return "".join(row["text"] for blocks in rows for row in blocks or () if row["type"] == "text")


def roles_of(messages: list[Json]) -> list[str]:
    """Who speaks, one after the other; what tools say is no speech."""
    roles: list[str] = []
    for message in messages:
        content, role = message["content"], message["role"]
        only_results = type(content) is list and bool(content) and all(row["type"] == "tool_result" for row in content)
        if role != "tool" and not only_results and roles[-1:] != [role]:
            roles.append(role)
    return roles


@given(conversations())
def test_a_conversation_keeps_what_was_said_and_its_order(messages: list[Json]):
    decoded = decode_request({"max_tokens": 5, "messages": messages})
    chat = decoded.body["messages"]
    check_order(chat)
    assert roles_of(chat) == roles_of(messages)
    for role in ("user", "assistant", "system"):
        assert texts_of(chat, role).replace("\n\n", "") == texts_of(messages, role).replace("\n\n", "")
    calls = [
        block
        for message in messages
        for block in message["content"]
        if type(block) is dict and block["type"] == "tool_use"
    ]
    told = [call for message in chat for call in message.get("tool_calls", ())]
    assert [(call["id"], call["input"]) for call in calls] == [
        (call["id"], json.loads(call["function"]["arguments"])) for call in told
    ]
    assert all(NAME.fullmatch(call["function"]["name"]) for call in told)
    assert [call["name"] for call in calls] == [decoded.names.long(call["function"]["name"]) for call in told]
    results = {
        block["tool_use_id"]: block["content"]
        for message in messages
        for block in message["content"]
        if type(block) is dict and block["type"] == "tool_result"
    }
    assert results == {message["tool_call_id"]: message["content"] for message in chat if message["role"] == "tool"}


@given(st.lists(st.text(min_size=1, max_size=80), max_size=8, unique=True))
def test_names_of_tools_are_short_and_come_back(given_names: list[str]):
    names = Names()
    short = [names.short(name) for name in given_names]
    assert all(NAME.fullmatch(each) for each in short) and len(set(short)) == len(short)
    assert [names.long(each) for each in short] == given_names
    assert short == [names.short(name) for name in given_names]


# ---- replies and streams ---------------------------------------------------------------------------------------------


@given(st.dictionaries(NAMES, JSON, max_size=6), st.dictionaries(NAMES, JSON, max_size=6), JSON)
def test_any_completion_is_a_message_or_an_error(message: Json, choice: Json, usage: Any):
    completion = {"choices": [{**choice, "index": 0, "message": message}], "usage": usage}
    with contextlib.suppress(UpstreamError):
        found = encode_response(completion, asked(thinks=True, keep=lambda _, __: None))
        json.dumps(found, allow_nan=False)
        check_usage(found["usage"])
        assert any(block["type"] != "thinking" for block in found["content"])


def anything(delta: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    choice = st.fixed_dictionaries(
        {"index": st.sampled_from([0, 0, 0, 1, None]), "delta": delta},
        optional={"finish_reason": st.none() | KINDS, "stop_reason": PLAIN},
    )
    return st.fixed_dictionaries({"choices": st.lists(choice, min_size=1, max_size=2)}, optional={"usage": JSON})


CALLS = st.fixed_dictionaries(
    {
        "function": st.fixed_dictionaries(
            {},
            optional={
                "name": st.sampled_from(["x", "y", "", None]),
                "arguments": st.sampled_from(["", "{", "}", '"a":1', "{}", "[1]", " ", None, {"a": 1}, 5]),
            },
        )
    },
    optional={
        "index": st.sampled_from([0, 1, 2, -1, None, "0"]),
        "id": st.sampled_from(["a", "b", "", "ü:1", None, 7]),
    },
)
TEXTS = st.sampled_from(["Hi", " ", "", "<think>", "</think>", "<th", None]) | st.text(max_size=4)
DELTAS = st.fixed_dictionaries(
    {},
    optional={
        "content": TEXTS,
        "reasoning_content": TEXTS,
        "refusal": TEXTS,
        "tool_calls": st.lists(CALLS, max_size=3),
    },
)


@given(st.lists(anything(DELTAS) | anything(JSON) | JSON, max_size=8), st.booleans())
def test_any_chunks_are_a_valid_stream(chunks: list[Any], thinks: bool):
    step = encode_stream(asked(thinks=thinks, stops=("stop",), keep=lambda _, __: None))
    next(step)
    message = read_messages_stream(b"".join([step.send([chunk]) for chunk in chunks] + [step.send(None)]))
    assert message.is_whole == (message.error is None)
    assert thinks or not message.thinking


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[Json], Json]:
    """A stream by OpenAI's rules, calls in turns included, and what it says in one piece."""
    text, thought = draw(st.text(max_size=12)), draw(st.text(max_size=12))
    calls = [
        {
            "id": f"call_{n}",
            "function": {"name": draw(st.sampled_from("xy")), "arguments": json.dumps({"n": draw(WORDS)})},
        }
        for n in range(draw(st.integers(0, 3)))
    ]
    deltas: list[Json] = [{"reasoning_content": piece} for piece in cut(draw, thought)] + [
        {"content": piece} for piece in cut(draw, text)
    ]
    streams = []
    for index, call in enumerate(calls):
        first = {"index": index, "id": call["id"], "function": {"name": call["function"]["name"], "arguments": ""}}
        rest = [
            {"index": index, "function": {"arguments": piece}} for piece in cut(draw, call["function"]["arguments"])
        ]
        streams.append([first, *rest])
    while any(streams):
        stream = draw(st.sampled_from([each for each in streams if each]))
        deltas.append({"tool_calls": [stream.pop(0)]})
    finish = draw(st.sampled_from(["stop", "length", "tool_calls"]))
    chunks: list[Json] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks += [
        {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]},
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
    ]
    message: Json = {"content": text, "reasoning_content": thought, "tool_calls": calls}
    whole = {
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    }
    return chunks, whole


def inputs_of(content: list[Json]) -> Json:
    return {block["id"]: (block["name"], block["input"]) for block in content if block["type"] == "tool_use"}


def cut(draw: st.DrawFn, text: str) -> list[str]:
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    return [text[begin:end] for begin, end in zip([0, *places], [*places, len(text)], strict=True)]


@given(answers())
def test_a_stream_says_what_the_whole_answer_says(answer: tuple[list[Json], Json]):
    chunks, whole = answer
    streamed: Message = read_messages_stream(written(chunks))
    found = encode_response(whole, asked(thinks=True))
    assert inputs_of(streamed.content) == inputs_of(found["content"])
    assert streamed.thinking == "".join(block["thinking"] for block in found["content"] if block["type"] == "thinking")
    assert streamed.text == "".join(block["text"] for block in found["content"] if block["type"] == "text")
    assert (streamed.stop_reason, streamed.usage) == (found["stop_reason"], found["usage"])


@given(st.text(alphabet="<>/think ab\n", max_size=40), st.data())
def test_thoughts_are_the_same_however_they_are_cut(text: str, data: st.DataObject):
    def said(pieces: list[str]) -> tuple[str, str]:
        splitter = ThinkSplitter()
        rows = [row for piece in pieces for row in splitter.feed(piece)] + splitter.finish()
        return "".join(text for kind, text in rows if kind == THOUGHT), "".join(
            text for kind, text in rows if kind == TEXT
        )

    text = data.draw(st.sampled_from(["", "<think>", "<think>\n"])) + text
    assert said(cut(data.draw, text)) == said([text])


# ---- errors and schemas ----------------------------------------------------------------------------------------------


@given(
    st.text(max_size=200)
    | st.lists(
        st.sampled_from(
            ["prompt is too long: ", "9", " tokens", " > ", "8", " maximum", "context length is ", "requested ", "("]
        ),
        max_size=30,
    ).map("".join)
)
def test_any_message_is_told_or_left(message: str):
    told = overflow_message(message)
    assert told is None or "prompt is too long" in told or told.startswith("input length and `max_tokens`")


@given(st.dictionaries(NAMES, JSON, max_size=6))
def test_any_schema_is_cleaned(schema: Json):
    for base_url in (
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "https://api.x.ai/v1",
        "https://acme.test",
    ):
        provider = Provider.from_json({"id": "acme", "baseUrl": base_url})
        cleaned = cleaned_schema(schema, provider)
        assert type(cleaned) is dict
        assert "acme" not in base_url or cleaned is schema
    is_strict(schema)
