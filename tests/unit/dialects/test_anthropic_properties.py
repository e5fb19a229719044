"""Whatever an OpenAI client says, what goes to Anthropic keeps its rules, and nothing is lost; whatever comes back is a valid answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.chunk_rules import check_stream
from support.messages import event
from support.messages_rules import check_request

from ipin_proxy.call import CHAT, Bill, Call, Caller, Deployment
from ipin_proxy.dialects import anthropic
from ipin_proxy.dialects.anthropic_reply import Asked, completion_of
from ipin_proxy.dialects.anthropic_request import Traits, encode_request
from ipin_proxy.errors import BadRequest, ProxyError
from ipin_proxy.records import Model, Provider
from ipin_proxy.web import members

Json = dict[str, Any]

at_leisure = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

PROVIDER = Provider.from_json({"id": "acme", "type": "anthropic", "baseUrl": "http://acme.test"})
DEPLOYMENT = Deployment(Model(id="m", provider_id="acme"), PROVIDER, "claude", "acme-secret-key-0123456789", 1.0)
MODELS = st.sampled_from(
    [
        "claude-3-opus-20240229",
        "claude-3-5-haiku-latest",
        "claude-3-7-sonnet",
        "claude-sonnet-4-20250514",
        "claude-haiku-4-5",
        "claude-opus-4-7",
        "kimi-k2",
        "anthropic/claude-sonnet-4.6",
    ]
)

# Conversations as clients make them, good and bad.

TEXTS = st.text(max_size=12) | st.sampled_from(["", " ", "Hello", "\n\t", "é\u2028👋", "x  "])
IDS = st.sampled_from(["call_1", "call_2", "a.b:c", "", "é", "toolu_1", "x" * 80])
NAMES = st.sampled_from(["get_weather", "get_time"])
PARTS = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, TEXTS),
    st.just({"type": "text", "text": "kept", "cache_control": {"type": "ephemeral"}}),
    st.just({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}),
    st.just({"type": "image_url", "image_url": {"url": "https://pictures.example/a.png"}}),
    st.just({"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0="}}),
)
TEXT_PARTS = st.builds(lambda text: {"type": "text", "text": text}, TEXTS)
ARGUMENTS = st.sampled_from(["{}", '{"a": 1}', '{"a": ', "", "[1]", "null", '{"a": 1e999}', '{"a": NaN}'])
CALLS = st.builds(
    lambda id_, name, arguments: {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}},
    IDS,
    NAMES,
    ARGUMENTS,
)
THOUGHTS = st.sampled_from(
    [
        None,
        [{"type": "reasoning.text", "text": "hm", "signature": "sig"}],
        [{"type": "reasoning.text", "text": "hm"}, {"type": "reasoning.encrypted", "data": "x"}],
    ]
)
MESSAGES = st.one_of(
    st.builds(
        lambda role, content: {"role": role, "content": content},
        st.sampled_from(["system", "developer"]),
        TEXTS | st.lists(TEXT_PARTS, max_size=2),
    ),
    st.builds(lambda content: {"role": "user", "content": content}, TEXTS | st.lists(PARTS, max_size=3)),
    st.builds(
        lambda content, calls, thoughts: {
            "role": "assistant",
            "content": content,
            "tool_calls": calls,
            "reasoning_details": thoughts,
        },
        st.none() | TEXTS | st.lists(TEXT_PARTS, max_size=2),
        st.lists(CALLS, max_size=3),
        THOUGHTS,
    ),
    st.builds(
        lambda id_, content: {"role": "tool", "tool_call_id": id_, "content": content},
        IDS,
        TEXTS | st.lists(PARTS, max_size=2),
    ),
    st.builds(
        lambda name: {"role": "assistant", "content": None, "function_call": {"name": name, "arguments": "{}"}}, NAMES
    ),
    st.builds(lambda name: {"role": "function", "name": name, "content": "told"}, NAMES),
)
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}
MORE = st.fixed_dictionaries(
    {},
    optional={
        "tools": st.sampled_from([None, [], [TOOL]]),
        "tool_choice": st.sampled_from(
            [None, "auto", "none", "required", {"type": "function", "function": {"name": "get_time"}}]
        ),
        "parallel_tool_calls": st.booleans(),
        "max_tokens": st.none() | st.integers(1, 100_000),
        "max_completion_tokens": st.integers(1, 10_000),
        "temperature": st.floats(-5, 5) | st.sampled_from([float("inf"), 10**30, 0]),
        "top_p": st.floats(-1, 2),
        "top_k": st.integers(1, 50),
        "stop": st.none() | TEXTS | st.lists(TEXTS, max_size=3),
        "reasoning_effort": st.sampled_from([None, "none", "minimal", "low", "medium", "high", "xhigh", "max"]),
        "thinking": st.sampled_from([None, {"type": "disabled"}]),
        "response_format": st.sampled_from(
            [
                None,
                {"type": "text"},
                {"type": "json_object"},
                {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}},
            ]
        ),
        "user": TEXTS,
        "n": st.just(1),
        "stream": st.booleans(),
    },
)
TRAITS = st.builds(
    Traits,
    st.none() | st.integers(1, 9000),
    st.frozensets(st.sampled_from(sorted(anthropic.REFUSABLE))),
    st.booleans(),
)


def texts_in(value: Any) -> list[str]:
    """Every text of a conversation that is more than blanks, in order."""
    if isinstance(value, str):
        return [value.strip()] if value.strip() else []
    found: list[str] = []
    for part in value or ():
        found += texts_in(part.get("text") if part.get("type") == "text" else part.get("content"))
    return found


@at_leisure
@given(st.lists(MESSAGES, min_size=1, max_size=8), MORE, MODELS, TRAITS)
def test_any_conversation_becomes_one_that_keeps_the_rules(
    talk: list[Json], more: Json, model: str, traits: Traits
) -> None:
    body = encode_request({"model": "m", "messages": talk, **more}, model, traits)
    check_request(body)
    everything = json.dumps(body, ensure_ascii=False)
    for message in talk:
        for text in texts_in(message.get("content")):
            assert json.dumps(text, ensure_ascii=False)[1:-1] in everything
    used = [block for each in body["messages"] if type(each["content"]) is list for block in each["content"]]
    calls = [block for block in used if block["type"] == "tool_use"]
    names = [each["function"]["name"] for message in talk for each in message.get("tool_calls") or ()] + [
        message["function_call"]["name"] for message in talk if "function_call" in message
    ]
    assert sorted(call["name"] for call in calls) == sorted(names)


@at_leisure
@given(st.lists(st.sampled_from(["user", "assistant"]), min_size=1, max_size=10))
def test_texts_keep_their_order_and_their_speaker(roles: list[str]) -> None:
    talk = [{"role": role, "content": f"text {at}"} for at, role in enumerate(roles)]
    body = encode_request({"messages": talk}, "claude-3-5-haiku")
    said = [(each["role"], text) for each in body["messages"] for text in texts_in(each["content"])]
    assert said == ([("user", "Begin.")] if roles[0] == "assistant" else []) + [
        (role, f"text {at}") for at, role in enumerate(roles)
    ]


@at_leisure
@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.randoms(use_true_random=False), st.booleans())
def test_every_result_finds_its_call(rounds: list[int], random: Any, again: bool) -> None:
    """Also where the ids of one round are used again in the next."""
    talk: list[Json] = [{"role": "user", "content": "Go"}]
    wanted = []
    for round_, count in enumerate(rounds):
        ids = [f"call_{number}" if again else f"call_{round_}_{number}" for number in range(count)]
        function = {"name": "f", "arguments": "{}"}
        talk.append({"role": "assistant", "tool_calls": [{"id": id_, "function": function} for id_ in ids]})
        results = [{"role": "tool", "tool_call_id": id_, "content": f"{round_} {id_}"} for id_ in ids]
        wanted += [result["content"] for result in results]
        random.shuffle(results)
        talk += results
    body = encode_request({"messages": talk, "tools": [TOOL]}, "claude-haiku-4-5")
    check_request(body)
    results = [
        block["content"]
        for each in body["messages"]
        if type(each["content"]) is list
        for block in each["content"]
        if block["type"] == "tool_result"
    ]
    assert results == wanted
    if not again:
        ids = [
            block["id"]
            for each in body["messages"]
            for block in each["content"]
            if type(block) is dict and "id" in block
        ]
        assert ids == [f"call_{round_}_{number}" for round_, count in enumerate(rounds) for number in range(count)]


# Nonsense of every kind.

KEYS = st.sampled_from(
    [
        "role",
        "content",
        "type",
        "text",
        "image_url",
        "url",
        "file",
        "file_data",
        "file_id",
        "tool_calls",
        "tool_call_id",
        "function",
        "name",
        "arguments",
        "id",
        "parameters",
        "description",
        "json_schema",
        "schema",
        "effort",
        "max_tokens",
        "enabled",
        "budget_tokens",
        "source",
        "data",
        "cache_control",
        "tools",
        "mode",
        "allowed_tools",
        "signature",
        "thinking",
        "reasoning_details",
        "refusal",
        "function_call",
        "is_error",
        "index",
        "delta",
        "message",
        "usage",
        "stop_reason",
        "content_block",
        "input",
        "partial_json",
        "citations",
        "citation",
        "error",
        "title",
        "stop_details",
        "explanation",
        "input_tokens",
        "output_tokens",
    ]
)
WORDS = st.sampled_from(
    [
        "user",
        "assistant",
        "system",
        "tool",
        "function",
        "text",
        "image_url",
        "file",
        "input_audio",
        "tool_use",
        "thinking",
        "redacted_thinking",
        "image",
        "data:,",
        "data:image/png;base64,x",
        "https://",
        "auto",
        "allowed_tools",
        "json_schema",
        "reasoning.text",
        "end_turn",
        "tool_result",
        "message_start",
        "message_delta",
        "message_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "error",
        "ping",
        "text_delta",
        "input_json_delta",
        "thinking_delta",
        "signature_delta",
        "citations_delta",
        "overloaded_error",
        "�",
    ]
)
PLAIN = st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | WORDS | st.text(max_size=5)
JSON = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=20
)
MEMBERS = st.sampled_from(
    [
        "tools",
        "tool_choice",
        "functions",
        "function_call",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "stop",
        "n",
        "response_format",
        "reasoning_effort",
        "reasoning",
        "thinking",
        "output_config",
        "user",
        "metadata",
        "service_tier",
        "modalities",
        "audio",
        "safety_identifier",
    ]
)


@at_leisure
@given(
    JSON | st.lists(st.dictionaries(KEYS, JSON, max_size=4), max_size=3),
    st.dictionaries(MEMBERS, JSON, max_size=4),
    MODELS,
)
def test_nonsense_is_refused_with_its_place(talk: Any, more: Json, model: str) -> None:
    try:
        encode_request({"messages": talk, **more}, model)
    except BadRequest as error:
        assert error.param and error.message


# Answers.


def call_of(body: Json) -> Call:
    given = members.parse(json.dumps(body).encode())
    nobody: Any = None
    return Call("r", Caller("ann"), CHAT, "m", True, nobody, 0.0, "openai", members=given)


CALL = call_of({})


def play(pieces: list[bytes], asked: Asked) -> bytes:
    bill = Bill(CALL, deployment=DEPLOYMENT)
    pipe = anthropic.translated(asked, bill, DEPLOYMENT)
    out = b""
    try:
        for piece in pieces:
            out += pipe.feed(piece)
        return out + pipe.finish()
    except ProxyError as error:
        return out + (pipe.fail(error) or b"")


@at_leisure
@given(
    st.dictionaries(KEYS, JSON, max_size=6) | st.fixed_dictionaries({"content": st.lists(st.dictionaries(KEYS, JSON))})
)
def test_any_message_is_an_answer_or_an_error(message: Json) -> None:
    try:
        found = completion_of(message, Asked(model="m"), "acme")
    except ProxyError:
        return
    json.dumps(found)
    (choice,) = found["choices"]
    said = choice["message"]
    assert isinstance(said["content"], str) or said["tool_calls"]
    assert choice["finish_reason"] in ("stop", "length", "tool_calls", "content_filter")
    for call in said.get("tool_calls") or ():
        assert call["id"] and call["function"]["name"] and isinstance(call["function"]["arguments"], str)


BLOCKS = st.one_of(
    st.tuples(st.just("text"), st.lists(st.text(max_size=5), max_size=4)),
    st.tuples(st.just("thinking"), st.lists(st.text(max_size=5), max_size=4)),
    st.tuples(st.just("redacted_thinking"), st.just([])),
    st.tuples(st.just("tool_use"), st.sampled_from([[], ['{"a"', ": 1}"], ["", "{}"]])),
    st.tuples(st.just("server_tool_use"), st.just(["{}"])),
)
DELTAS = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "tool_use": ("input_json_delta", "partial_json"),
    "server_tool_use": ("input_json_delta", "partial_json"),
}


def events_of(blocks: list[tuple[str, list[str]]], stop: str, *, pings: bool) -> list[Json]:
    """A stream as Anthropic's rules have it."""
    usage = {"input_tokens": 3, "output_tokens": 1}
    events: list[Json] = [{"type": "message_start", "message": {"id": "msg_1", "model": "claude", "usage": usage}}]
    for index, (kind, pieces) in enumerate(blocks):
        block = {
            "type": kind,
            "id": f"toolu_{index}",
            "name": "f",
            "input": {},
            "data": "x",
            "text": "",
            "thinking": "",
        }
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        for piece in pieces:
            name, member = DELTAS[kind]
            events.append({"type": "content_block_delta", "index": index, "delta": {"type": name, member: piece}})
            events += [{"type": "ping"}] if pings else []
        if kind == "thinking":
            signed = {"type": "signature_delta", "signature": f"sig{index}"}
            events.append({"type": "content_block_delta", "index": index, "delta": signed})
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 9}})
    return [*events, {"type": "message_stop"}]


@at_leisure
@given(
    st.lists(BLOCKS, max_size=5),
    st.sampled_from(["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal", "pause_turn", "something"]),
    st.booleans(),
    st.lists(st.integers(1, 400), max_size=8),
)
def test_a_valid_stream_is_one_still_and_says_the_same(
    blocks: list[tuple[str, list[str]]], stop: str, pings: bool, cuts: list[int]
) -> None:
    data = b"".join(map(event, events_of(blocks, stop, pings=pings)))
    pieces = []
    for cut in cuts:
        pieces.append(data[:cut])
        data = data[cut:]
    heard = check_stream(play([*pieces, data], Asked(usage=True, model="m")))

    def joined(kind: str) -> str:
        return "".join(piece for each, pieces in blocks if each == kind for piece in pieces)

    calls = [(f"toolu_{at}", "".join(pieces) or "{}") for at, (kind, pieces) in enumerate(blocks) if kind == "tool_use"]
    assert (heard.content, heard.reasoning) == (joined("text"), joined("thinking"))
    assert [(call["id"], call["arguments"]) for call in heard.calls] == calls
    assert [each["index"] for each in heard.details] == list(range(len(heard.details)))
    assert heard.usage is not None and heard.usage["completion_tokens"] == 9
    assert heard.error is None


ODD_EVENTS = st.lists(
    st.dictionaries(KEYS, JSON, max_size=5)
    | st.builds(
        lambda kind, index, block, delta: {
            "type": kind,
            "index": index,
            "content_block": block,
            "delta": delta,
            "usage": delta,
        },
        WORDS,
        st.integers(0, 2),
        st.fixed_dictionaries(
            {"type": WORDS, "id": st.sampled_from(["t", "", None]), "name": st.sampled_from(["f", "", 3])}
        ),
        st.fixed_dictionaries(
            {"type": WORDS, "text": JSON, "partial_json": JSON, "thinking": JSON, "stop_reason": JSON}
        ),
    ),
    max_size=10,
)


@at_leisure
@given(ODD_EVENTS, st.booleans(), st.booleans())
def test_a_lying_stream_is_a_valid_one_or_ends_in_an_error(events: list[Json], usage: bool, older: bool) -> None:
    data = [b"data: " + json.dumps(each).encode() + b"\n\n" for each in events]
    check_stream(play(data, Asked(usage, older, model="m")))
    assert play([b"".join(data)], Asked(usage, older, model="m")).count(b"\n\n") >= 1
