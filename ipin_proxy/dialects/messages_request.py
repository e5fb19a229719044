"""A Messages body as a chat's, the way from callers who speak Anthropic's API to providers who do not.

Values in, values out. What differs between providers is told by a `Taste`; what a chat has no place for is left out, with a
note for the log where somebody might look for it. Schemas of tools stay as they are (`schemas.py`). In a hollow body the
input of tools must be whole, since it becomes a text within a text; of other long strings the marks stay whole.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from ..errors import BadRequest
from . import schemas
from .messages_blocks import Note, blocks_of, text_part
from .messages_shapes import Json, count_at, list_at, number_at, object_at, text_at, wrong
from .messages_tools import Names, decode_tools
from .messages_turns import Recall, content_of, decode_messages
from .tastes import EFFORTS, Taste

BILLING = "x-anthropic-billing-header:"  # of Claude Code: its hash changes, and a provider's cache with it
MOST_TEMPERATURE, MOST_TOP_P, MOST_TOP_K = 1, 1, 10**6
LOW_BUDGET, MEDIUM_BUDGET = 2_000, 16_000  # tokens to think; below them it is that effort
USER_CHARS = 64
SCHEMA_NAME = "answer"
RUN_ELSEWHERE = ("mcp_servers", "container")


class Decoded(NamedTuple):
    """A chat, and what its answer must be written with: the names of tools, the stop sequences, whether thoughts are shown, ids
    that calls have already. `notes` say what was left out, for the log."""

    body: Json
    names: Names
    stops: tuple[str, ...] = ()
    thinks: bool = False
    notes: tuple[str, ...] = ()
    ids: frozenset[str] = frozenset()


def decode_request(body: Json, taste: Taste | None = None, recall: Recall | None = None) -> Decoded:
    """A Messages body as a chat's. `recall` tells what was kept of a call of a tool when it was answered, by the call's id.
    Raises BadRequest."""
    refuse_thread(body)
    try:
        return _decoded(body, taste or Taste(), recall or (lambda _: None))
    except RecursionError as error:
        raise BadRequest("The body is nested too deeply to be read.", code="invalid_json") from error


def refuse_thread(body: Json) -> None:
    """The SDKs' tool runners let the server keep the conversation; on this answer they repeat it whole."""
    if body.get("thread") is not None:
        raise BadRequest(
            "'thread' cannot be used with this model: send the whole conversation in 'messages'.",
            code="thread_unsupported_request",
            param="thread",
            details={"details": {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}},
        )


def _decoded(body: Json, taste: Taste, recall: Recall) -> Decoded:
    notes: dict[str, None] = {}  # each once, in their order

    def note(text: str) -> None:
        notes[text] = None

    names = Names()
    tools = decode_tools(body, names, note)
    messages, ids = decode_messages(body.get("messages"), taste, names, recall, note)
    chat: Json = {"model": body.get("model"), "messages": [*_system(body.get("system"), taste), *messages]}
    limit = "max_completion_tokens" if taste.completion_tokens else "max_tokens"
    chat[limit] = count_at(body.get("max_tokens"), "max_tokens")
    stops = _stops(body.get("stop_sequences"))
    chat |= _sampling(body, taste, note)
    if stops:
        if taste.most_stops is not None and len(stops) > taste.most_stops:
            note(f"Only {taste.most_stops} of {len(stops)} stop sequences can be passed on.")
        chat["stop"] = list(stops[: taste.most_stops])
    thinks, reasoning = _reasoning(body, taste)
    chat |= tools | reasoning | _format(body) | _user(body, taste)
    if taste.continues and messages[-1]["role"] == "assistant":
        chat |= {"continue_final_message": True, "add_generation_prompt": False}
    chat |= _stream(body.get("stream"))
    for name in RUN_ELSEWHERE:
        if body.get(name):
            note(f"'{name}' is for Anthropic's own servers and was left out.")
    return Decoded(chat, names, stops, thinks, tuple(notes), ids)


def _system(told: Any, taste: Taste) -> list[Json]:
    if told is None:
        return []
    parts = []
    for block, kind, place in blocks_of(told, "system"):
        if kind != "text":
            raise wrong(f"{place}.type", "text")
        text = text_at(block.get("text"), f"{place}.text")
        if text and not text.lstrip().startswith(BILLING):
            parts.append(text_part(text, block, taste.cache_control))
    return [{"role": "system", "content": content_of(parts)}] if parts else []


def _stops(told: Any) -> tuple[str, ...]:
    if told is None:
        return ()
    rows = [text_at(each, f"stop_sequences[{at}]") for at, each in enumerate(list_at(told, "stop_sequences"))]
    return tuple(dict.fromkeys(row for row in rows if row.strip()))


def _sampling(body: Json, taste: Taste, note: Note) -> Json:
    found: Json = {}
    for name, most in (("temperature", MOST_TEMPERATURE), ("top_p", MOST_TOP_P), ("top_k", MOST_TOP_K)):
        if body.get(name) is None:
            continue
        value = number_at(body[name], name, most)
        if taste.top_k if name == "top_k" else taste.sampling:
            found[name] = value
        else:
            note(f"'{name}' is not taken by this model and was left out.")
    return found


def _reasoning(body: Json, taste: Taste) -> tuple[bool, Json]:
    """Whether thoughts are to be shown, and how much the model is to think."""
    told = body.get("thinking")
    thinking = {} if told is None else object_at(told, "thinking")
    kind = None if told is None else text_at(thinking.get("type"), "thinking.type")
    budget = count_at(thinking.get("budget_tokens"), "thinking.budget_tokens") if kind == "enabled" else None
    effort = _effort(body)
    if kind == "disabled":
        effort = "none"
    elif effort is None and budget is not None:
        effort = "low" if budget < LOW_BUDGET else "medium" if budget < MEDIUM_BUDGET else "high"
    thinks = kind is not None and kind != "disabled"
    if not taste.efforts:
        return thinks, {}
    if taste.reasoning:
        if effort == "none":
            return thinks, {"reasoning": {"enabled": False}}
        if budget is not None:
            return thinks, {"reasoning": {"max_tokens": budget}}
        told_effort = nearest(effort, taste.efforts)
        return thinks, {"reasoning": {"effort": told_effort}} if told_effort else {
            "reasoning": {"enabled": True}
        } if thinks else {}
    told_effort = nearest(effort, taste.efforts)
    return thinks, {"reasoning_effort": told_effort} if told_effort else {}


def _effort(body: Json) -> str | None:
    told = body.get("output_config")
    effort = None if told is None else object_at(told, "output_config").get("effort")
    if effort is not None and (type(effort) is not str or effort not in EFFORTS):
        raise wrong("output_config.effort", "low, medium, high, xhigh or max")
    return effort


def nearest(effort: str | None, efforts: tuple[str, ...]) -> str | None:
    """The word a model knows for as much; None where it should not be told, or has no word for not thinking at all."""
    if effort is None or effort in efforts or effort == "none":
        return effort if effort in efforts else None
    wanted = EFFORTS.index(effort)
    return min(
        (each for each in efforts if each != "none"), key=lambda each: abs(EFFORTS.index(each) - wanted), default=None
    )


def _format(body: Json) -> Json:
    """The shape an answer is to have: in `output_config`, and where it stood before that."""
    config = body.get("output_config")
    place, told = (
        "output_config.format",
        object_at(config, "output_config").get("format") if config is not None else None,
    )
    if told is None:
        place, told = "output_format", body.get("output_format")
    if told is None:
        return {}
    wanted = object_at(told, place)
    if wanted.get("type") != "json_schema":
        raise wrong(f"{place}.type", "json_schema")
    schema = object_at(wanted.get("schema"), f"{place}.schema")
    named: Json = {"name": SCHEMA_NAME, "schema": schema}
    if schemas.is_strict(schema):
        named["strict"] = True
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _user(body: Json, taste: Taste) -> Json:
    """Who asks. Claude Code tells 170 characters of device, account and session; as a digest it still tells people apart."""
    told = body.get("metadata")
    user = None if told is None else object_at(told, "metadata").get("user_id")
    if user is None:
        return {}
    text_at(user, "metadata.user_id")
    if not user or not taste.user:
        return {}
    is_short = len(user) <= USER_CHARS
    return {"user": user if is_short else hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()}


def _stream(told: Any) -> Json:
    if told is not None and type(told) is not bool:
        raise wrong("stream", "true or false")
    return {"stream": True, "stream_options": {"include_usage": True}} if told else {}
