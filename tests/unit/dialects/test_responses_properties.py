"""Whatever is said in a conversation arrives in the chat; whatever a provider streams becomes a valid stream of responses."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st
from support.responses_checker import check, texts_in

from ipin_proxy.dialects.responses_reply import Asked, encode_response
from ipin_proxy.dialects.responses_request import decode_request
from ipin_proxy.dialects.responses_stream import encode_stream
from ipin_proxy.dialects.responses_tools import INPUT
from ipin_proxy.errors import BadRequest, ProxyError, UpstreamError

Json = dict[str, Any]

TOOLS = [
    {"type": "function", "name": "time", "parameters": {"type": "object", "properties": {}}},
    {"type": "custom", "name": "apply_patch"},
    {"type": "namespace", "name": "agents", "tools": [{"type": "function", "name": "spawn"}]},
]
BODY: Json = {"model": "big", "input": "Hi", "tools": TOOLS}
TOLD = decode_request(BODY).tools

WORDS = st.text(min_size=1, max_size=6)
ODD = st.sampled_from(
    [None, True, 0, -1, 3, 10**400, 1.5, float("inf"), "", "x", "\ud83d", "stop", [], [None], {}, {"type": "x"}, [[{}]]]
)


def places_in(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a value: what holds it, and its name or number there."""
    found: list[tuple[Any, Any]] = []
    for name, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        found += [(value, name), *places_in(inner)]
    return found


@st.composite
def spoiled(draw: Any, values: st.SearchStrategy[Any]) -> Any:
    """A value of which up to two members are something else."""
    value = json.loads(json.dumps(draw(values)))
    for _ in range(draw(st.integers(0, 2))):
        places = places_in(value)
        if places:
            holder, name = places[draw(st.integers(0, len(places) - 1))]
            holder[name] = json.loads(json.dumps(draw(ODD)))
    return value


# -- requests

turns = st.one_of(
    st.tuples(st.sampled_from(["user", "assistant", "developer", "system"]), st.lists(WORDS, min_size=1, max_size=3)),
    st.tuples(st.just("calls"), st.lists(st.tuples(st.sampled_from(["time", "apply_patch", "spawn"]), WORDS, WORDS), min_size=1, max_size=3)),
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(turns, min_size=1, max_size=8), st.randoms(use_true_random=False), st.booleans())
def test_roles_texts_calls_and_their_order_stay(conversation: list[Any], random: Any, openai: bool) -> None:
    items: list[Json] = []
    expected: list[tuple[Any, ...]] = []
    for number, (role, told) in enumerate(conversation):
        if role != "calls":
            kind = "output_text" if role == "assistant" else "input_text"
            items.append({"type": "message", "role": role, "content": [{"type": kind, "text": text} for text in told]})
            expected.append((role if openai or role != "developer" else "system", "\n".join(told)))
            continue
        outputs = []
        for at, (name, text, output) in enumerate(told):
            call_id = f"call_{number}_{at}"
            custom = name == "apply_patch"
            call: Json = {"type": "custom_tool_call" if custom else "function_call", "call_id": call_id, "name": name}
            call |= {"input": text} if custom else {"arguments": json.dumps({"a": text})}
            items.append(call | ({"namespace": "agents"} if name == "spawn" else {}))
            outputs.append({"type": f"{call['type']}_output", "call_id": call_id, "output": output})
            upstream = "agents__spawn" if name == "spawn" else name
            expected.append(("call", call_id, upstream, {INPUT if custom else "a": text}))
        expected += [("tool", each["call_id"], each["output"]) for each in outputs]
        random.shuffle(outputs)
        items += outputs
    chat = decode_request({**BODY, "input": items}, openai=openai).chat
    found: list[tuple[Any, ...]] = []
    for message in chat["messages"]:
        if message["role"] == "tool":
            found.append(("tool", message["tool_call_id"], message["content"]))
        elif message["content"] is not None:
            found.append((message["role"], message["content"]))
        for call in message.get("tool_calls", ()):
            function = call["function"]
            found.append(("call", call["id"], function["name"], json.loads(function["arguments"])))
    assert found == (expected if openai else with_one_system(expected))


def with_one_system(told: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    above = next((at for at, each in enumerate(told) if each[0] != "system"), len(told))
    return [("system", "\n\n".join(each[1] for each in told[:above])), *told[above:]] if above > 1 else told


CALL = {
    "type": "function_call",
    "call_id": "c1",
    "name": "time",
    "arguments": "{}",
    "namespace": "n",
    "extra_content": {},
}
WHOLE: Json = {
    "model": "big",
    "instructions": "Be short.",
    "input": [
        {"type": "additional_tools", "tools": [{"type": "function", "name": "late"}]},
        {"role": "developer", "content": "Dutch."},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Hi"},
                {"type": "input_image", "image_url": "data:", "detail": "low"},
                {"type": "input_file", "file_data": "data:", "filename": "a"},
                {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
            ],
        },
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "Hm."}],
            "encrypted_content": "x",
            "content": [],
        },
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
        CALL,
        {"type": "custom_tool_call", "call_id": "c2", "name": "apply_patch", "input": "x"},
        {"type": "local_shell_call", "call_id": "c3", "action": {"command": ["ls"]}},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_image", "image_url": "data:"}]},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "done"},
        {"type": "local_shell_call_output", "id": "c3", "output": "a"},
        {"type": "web_search_call"},
    ],
    "tools": [
        *TOOLS,
        {"type": "web_search"},
        {"type": "custom", "name": "p", "format": {"syntax": "lark", "definition": "s"}},
    ],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "time"}]},
    "parallel_tool_calls": True,
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}, "verbosity": "low"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "include": ["message.output_text.logprobs"],
    "temperature": 1,
    "max_output_tokens": 5,
    "stream": True,
}


@settings(deadline=None, max_examples=300)
@given(spoiled(st.just(WHOLE)), st.booleans())
def test_whatever_is_asked_is_a_chat_or_refused_with_its_place(body: Json, openai: bool) -> None:
    try:
        found = decode_request(body, reasoning=True, openai=openai)
    except BadRequest as error:
        assert error.param
        return
    assert json.loads(json.dumps(found.chat))["messages"]


# -- streams

calls = st.fixed_dictionaries(
    {
        "index": st.sampled_from([0, 1, 2, None]),
        "id": st.sampled_from(["call_1", "call_2", "", None]),
        "extra_content": st.sampled_from([None, {"google": {"thought_signature": "s"}}]),
        "function": st.fixed_dictionaries(
            {
                "name": st.sampled_from(["time", "apply_patch", "agents__spawn", "unheard", None]),
                "arguments": st.sampled_from(
                    ["{", '{"input"', ':"', "a\\u00", "e\\", '"}', "{}", None, '{"a":1}', {"a": 1}]
                ),
            }
        ),
    }
)
deltas = st.one_of(
    st.fixed_dictionaries({"content": WORDS}),
    st.fixed_dictionaries({"content": st.just([{"type": "thinking", "thinking": [{"text": "Hm"}]}, {"type": "text", "text": "4"}])}),
    st.fixed_dictionaries({"reasoning_content": WORDS}),
    st.fixed_dictionaries({"reasoning_details": st.just([{"type": "reasoning.text", "index": 0, "text": "Hm"}])}),
    st.fixed_dictionaries({"refusal": WORDS}),
    st.fixed_dictionaries({"annotations": st.just([{"type": "url_citation", "url_citation": {"url": "u", "start_index": 1}}])}),
    st.fixed_dictionaries({"tool_calls": st.lists(calls, max_size=3)}),
    st.fixed_dictionaries({"function_call": st.just({"name": "time", "arguments": "{"})}),
)  # fmt: skip
finishes = st.sampled_from(["stop", "length", "tool_calls", "content_filter", None])
LOGPROBS = {"content": [{"token": "a", "logprob": -1}]}


def chunk_of(delta: Json, finish: str | None) -> Json:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": LOGPROBS if "content" in delta else None}
    return {
        "choices": [choice],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 3}},
    }


chunks = st.builds(chunk_of, deltas, st.none() | finishes)


@settings(deadline=None, max_examples=300)
@given(st.lists(spoiled(chunks), max_size=10), st.booleans(), st.booleans())
def test_whatever_a_provider_streams_becomes_a_valid_stream(told: list[Json], is_cut: bool, is_sealed: bool) -> None:
    body = {**BODY, "include": ["reasoning.encrypted_content"]} if is_sealed else BODY
    step = encode_stream(Asked("resp_1", 1, "big", body, TOLD))
    out = next(step)
    for chunk in told:
        out += step.send([chunk])
    out += step.throw(UpstreamError("cut")) if is_cut else step.send(None)
    response = check(out)
    assert not is_cut or response["status"] == "failed"


@settings(deadline=None)
@given(
    spoiled(
        st.builds(lambda delta, finish: {"choices": [{"message": delta, "finish_reason": finish}]}, deltas, finishes)
    )
)
def test_whatever_a_provider_replies_is_a_response_or_its_error(told: Json) -> None:
    with contextlib.suppress(ProxyError):
        response = encode_response(told, Asked("resp_1", 1, "big", BODY, TOLD))
        assert response["status"] in ("completed", "incomplete")
        json.dumps(response)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["content", "reasoning_content", "refusal"]), WORDS), max_size=12))
def test_texts_are_the_same_when_joined(told: list[tuple[str, str]]) -> None:
    step = encode_stream(Asked("resp_1", 1, "big", BODY, TOLD))
    out = next(step)
    for name, text in told:
        out += step.send([{"choices": [{"index": 0, "delta": {name: text}}]}])
    out += step.send([{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]) + step.send(None)
    found = texts_in(check(out))
    for name, member in (("content", "text"), ("reasoning_content", "thoughts"), ("refusal", "refusal")):
        assert found[member] == "".join(text for kind, text in told if kind == name)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["time", "apply_patch", "agents__spawn"]), st.text(max_size=12)), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
    st.booleans(),
)  # fmt: skip
def test_calls_are_the_same_however_their_pieces_are_mixed(
    told: list[tuple[str, str]], random: Any, is_ascii: bool
) -> None:
    queues: list[list[Json]] = []
    for number, (name, text) in enumerate(told):
        arguments = json.dumps({INPUT: text}, ensure_ascii=is_ascii)
        cuts = sorted(random.randrange(len(arguments) + 1) for _ in range(random.randrange(5)))
        parts = [arguments[a:b] for a, b in zip([0, *cuts], [*cuts, len(arguments)], strict=True)]
        queue = [{"index": number, "id": f"call_{number}", "function": {"name": name, "arguments": parts[0]}}]
        queues.append(queue + [{"index": number, "function": {"arguments": part}} for part in parts[1:]])
    step = encode_stream(Asked("resp_1", 1, "big", BODY, TOLD))
    out = next(step)
    begun = 0  # calls begin in their order; after that their pieces come as they like
    while any(queues):
        ready = [at for at, queue in enumerate(queues) if queue and at <= begun]
        at = random.choice(ready)
        begun = max(begun, at + 1)
        out += step.send([{"choices": [{"index": 0, "delta": {"tool_calls": [queues[at].pop(0)]}}]}])
    out += step.send([{"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}]) + step.send(None)
    expected = []
    for number, (name, text) in enumerate(told):
        said = text if name == "apply_patch" else json.dumps({INPUT: text}, ensure_ascii=is_ascii)
        expected.append((f"call_{number}", name.removeprefix("agents__"), said))
    assert texts_in(check(out))["calls"] == expected
