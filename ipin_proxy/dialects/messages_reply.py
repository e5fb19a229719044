"""A completion as a Messages object, and what a stream of one shares with it: calls, stop reasons, usage.

A provider's answer is read as what it is meant to be: whatever is missing in it, or has another type, makes no error here
unless no answer is left.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any, NamedTuple

from ..call import Usage
from ..errors import UpstreamError
from ..meter import usage_of
from .arguments import decode
from .messages_tools import Names
from .openai_chunks import first_choice, raise_if_failed
from .thoughts import THOUGHT, ThinkSplitter, ToldBeside, said_in

Json = dict[str, Any]

ODD_IN_ID = re.compile(r"[^A-Za-z0-9_-]")
CUT_SHORT = frozenset({"length", "max_tokens", "model_length"})
REFUSED = frozenset({"content_filter", "safety", "refusal"})
CHARACTERS_A_TOKEN = 4


def fresh_id(prefix: str) -> str:
    return prefix + secrets.token_hex(12)


class Asked(NamedTuple):
    """What an answer is written with: the name the model was asked by, the names of the tools, the stop sequences, whether
    thoughts are shown, about how many tokens went in, the ids of earlier calls. `keep` is told what must be handed back with a
    call of a tool, by its id."""

    model: str
    names: Names
    stops: tuple[str, ...] = ()
    thinks: bool = False
    input_tokens: int = 0
    request_id: str = ""
    new_id: Callable[[str], str] = fresh_id
    keep: Callable[[str, Json], None] | None = None
    ids: frozenset[str] = frozenset()


def encode_response(completion: Json, asked: Asked) -> Json:
    """A Messages object. Raises UpstreamError when there is no answer in the completion."""
    choice = first_choice(completion)
    message = choice.get("message") if choice is not None else None
    if choice is None or type(message) is not dict:
        raise UpstreamError("The provider answered without an answer: it has no message.")
    raise_if_failed(choice)
    thoughts, text = thoughts_and_text(message)
    content: list[Json] = []
    if thoughts and asked.thinks:
        content.append({"type": "thinking", "thinking": thoughts, "signature": ""})
    refusal = message.get("refusal")
    is_refused = type(refusal) is str and bool(refusal)
    if is_refused:
        text += str(refusal)  # some have begun to answer
    calls = calls_of(message, asked)
    if text.strip() if calls else text:  # blank text beside calls would be refused when it is sent back
        content.append({"type": "text", "text": text})
    content += calls
    if calls and asked.keep is not None:
        keep_for_later(message, calls, "" if asked.thinks else thoughts, asked.keep)
    if not any(block["type"] != "thinking" for block in content):
        content.append({"type": "text", "text": ""})
    reason, sequence = stop_of(choice, bool(calls), is_refused, asked.stops)
    return {
        "id": asked.new_id("msg_"),
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": usage_told(usage_of(completion), asked, len(thoughts) + len(text)),
    }


def thoughts_and_text(message: Json) -> tuple[str, str]:
    thoughts = ToldBeside().of(message)
    said = said_in(message.get("content"))
    if not any(kind == THOUGHT for kind, _ in said):
        splitter = ThinkSplitter()
        said = [*splitter.feed("".join(text for _, text in said)), *splitter.finish()]
    if thoughts:
        said = [each for each in said if each[0] != THOUGHT]
    return (
        thoughts or "".join(text for kind, text in said if kind == THOUGHT),
        "".join(text for kind, text in said if kind != THOUGHT),
    )


# -- calls of tools -------------------------------------------------------------------------------------------------


def calls_of(message: Json, asked: Asked) -> list[Json]:
    """The calls of tools in a message, as blocks. One without a name cannot be made."""
    told = message.get("tool_calls")
    rows = [row for row in told if type(row) is dict] if type(told) is list else []
    old = message.get("function_call")
    if not rows and type(old) is dict:
        rows = [{"function": old}]
    blocks: list[Json] = []
    taken: set[str] = set()
    for row in rows:
        function = row.get("function")
        name = function.get("name") if type(function) is dict else None
        if type(function) is not dict or type(name) is not str or not name:
            continue
        given = row.get("id")
        id = call_id(given if type(given) is str else "", taken, asked)
        block = {
            "type": "tool_use",
            "id": id,
            "name": asked.names.long(name),
            "input": input_of(function.get("arguments")),
        }
        blocks.append(block)
        if asked.keep is not None and (kept := kept_of(row, id)):
            asked.keep(id, kept)
    return blocks


def call_id(given: str, taken: set[str], asked: Asked) -> str:
    """An id that clients take, and that no other call has: some providers count anew in each answer, and clients find the
    result of a call by its id, wherever it was made."""
    id = ODD_IN_ID.sub("_", given)
    if not id or id in taken or id in asked.ids:
        id = asked.new_id("toolu_")
    taken.add(id)
    return id


def kept_of(row: Json, id: str) -> Json:
    """What of a call the provider wants back, and our callers have no place for: Gemini's thought signature, and an id
    that had to be changed."""
    kept: Json = {}
    if type(row.get("extra_content")) is dict:
        kept["extra_content"] = row["extra_content"]
    given = row.get("id")
    if type(given) is str and given and given != id:
        kept["id"] = given
    return kept


def keep_for_later(message: Json, calls: list[Json], thoughts: str, keep: Callable[[str, Json], None]) -> None:
    """What belongs to the message goes with its first call."""
    kept: Json = {"reasoning": thoughts} if thoughts else {}
    if type(message.get("reasoning_details")) is list and message["reasoning_details"]:
        kept["reasoning_details"] = message["reasoning_details"]
    if kept:
        keep(calls[0]["id"], kept)


def input_of(arguments: Any) -> Json:
    """The arguments of a call as an object: they are a text with one in it, at some providers the object itself, and sometimes
    a text in a text. What cannot be read is empty: the tool says what it
    lacks, and the model tries again."""
    for _ in range(2):
        if type(arguments) is not str:
            break
        try:
            arguments = decode(arguments)
        except (ValueError, RecursionError):
            return {}
    return arguments if type(arguments) is dict else {}


# -- the end --------------------------------------------------------------------------------------------------------


def stop_of(choice: Json, has_calls: bool, is_refused: bool, stops: tuple[str, ...]) -> tuple[str, str | None]:
    """Why an answer ended, and by which stop sequence, where a provider tells that (vLLM does)."""
    told = choice.get("finish_reason")
    finish = told.lower() if type(told) is str else ""
    if finish in CUT_SHORT:
        return "max_tokens", None
    if finish in REFUSED:
        return "refusal", None
    if has_calls:  # Gemini and Ollama say "stop" then
        return "tool_use", None
    matched = choice.get("stop_reason")
    if type(matched) is str and matched in stops:
        return "stop_sequence", matched
    return ("refusal" if is_refused else "end_turn"), None


def usage_told(usage: Usage | None, asked: Asked, characters: int) -> Json:
    """Usage as Anthropic counts it, where cached tokens are not among the input; a guess where the provider told none."""
    if usage is None:
        usage = Usage(input_tokens=asked.input_tokens, output_tokens=-(-characters // CHARACTERS_A_TOKEN))
    return {
        "input_tokens": max(0, usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
    }
