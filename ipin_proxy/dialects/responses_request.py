"""A request of the Responses API as a chat, for providers that know no other: items become messages, flat tools nested ones.

Pure: what an earlier response said, and what the ids of items stand for, is given by whoever remembers it (`earlier`, `look_up`).
What has no meaning outside of OpenAI's servers is left out with a note for the log; only what would change the answer, such
as a file that lies there, is refused. What is not as the API wants it is a BadRequest that names its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..conversations import is_item_reference
from ..errors import BadRequest, Unsupported
from .responses_messages import Chat, Recall
from .responses_tools import SHOWN_CHARS, Tool, Toolbox, is_deep
from .tastes import EFFORTS

Json = dict[str, Any]
LookUp = Callable[[Sequence[str]], Mapping[str, Json]]

MOST_ITEMS = 100_000
LARGEST = 10**9  # a number of tokens beyond it is none
LOGPROBS = "message.output_text.logprobs"

# What a chat takes under the same name. The second are OpenAI's own: other servers refuse what they do not know, and coding
# agents always send some of them.
NUMBERS = ("temperature", "top_p")
ALIKE = ("user",)
ALIKE_AT_OPENAI = (
    "metadata",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
)
# What only servers that keep conversations, or run without their caller, can do.
ELSEWHERE = {
    "background": "Leave it out, and wait for the answer or stream it.",
    "conversation": "Send the whole conversation in input, or use previous_response_id.",
    "prompt": "Send the text of the prompt in instructions.",
}


class Decoded(NamedTuple):
    """The chat to be asked for, the tools by the names they have in it, what was left out, for the log, and the items that
    were given in this request, those that it refers to among them. `compacts`: the answer is to stand for the whole
    conversation."""

    chat: Json
    tools: dict[str, Tool]
    notes: tuple[str, ...]
    given: list[Json]
    compacts: bool = False


def decode_request(
    body: Json,
    *,
    earlier: Sequence[Json] | None = None,
    look_up: LookUp | None = None,
    recall: Recall | None = None,
    openai: bool = False,
    reasoning: bool = False,
    details: bool = False,
) -> Decoded:
    """The request as a chat. `earlier` are the items of the conversation that `previous_response_id` continues, None when
    nobody knows it. With `openai` it is a chat as OpenAI's own models want it: with developers, and all members; with
    `reasoning` the model gets back what it thought before, as some demand; with `details` only the form of it in which it is
    signed, for those who take their own word alone; `recall` has it of the calls of who did not ask to keep it."""
    refuse_elsewhere(body)
    tools = Toolbox()
    tools.add(body.get("tools"), "tools")
    items = items_of(body, earlier, look_up)
    for item, place in items:  # before any of their calls is read
        if item.get("type") == "additional_tools":
            tools.add(item.get("tools"), f"{place}.tools")
    chat = Chat(
        tools, openai=openai, reasoning=reasoning, details=details or reasoning, recall=recall or (lambda _: None)
    )
    if (instructions := text_member(body, "instructions")) is not None:
        chat.instruct(instructions)
    chat.read(items)
    messages = chat.messages()
    if not messages:
        raise BadRequest("input is missing: send a text or a list of items.", code="missing_input", param="input")
    asked: Json = {"model": body.get("model"), "messages": messages}
    choice = tools.choose(body.get("tool_choice"))
    if tools.functions and not chat.compacts:
        asked["tools"] = tools.functions
        if choice is not None:
            asked["tool_choice"] = choice
        if body.get("parallel_tool_calls") is False:  # true is what a chat takes for granted
            asked["parallel_tool_calls"] = False
    asked |= sampling_of(body, openai=openai) | text_of(body, openai=openai) | reasoning_of(body)
    for name in (*ALIKE, *ALIKE_AT_OPENAI) if openai else ALIKE:
        if body.get(name) is not None:
            asked[name] = body[name]
    if body.get("stream") is True:
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
    given = [item for item, _ in items[len(earlier or ()) :]]
    return Decoded(asked, tools.called, tuple(dict.fromkeys([*tools.notes, *chat.notes])), given, chat.compacts)


def refuse_elsewhere(body: Json) -> None:
    for name, remedy in ELSEWHERE.items():
        if body.get(name) not in (None, False):
            raise Unsupported(f"{name} is not possible with a provider that only chats. {remedy}", param=name)


def items_of(body: Json, earlier: Sequence[Json] | None, look_up: LookUp | None) -> list[tuple[Json, str]]:
    """Every item of the conversation with its place, references looked up."""
    previous = body.get("previous_response_id")
    if previous is not None and (type(previous) is not str or earlier is None):
        raise unknown_response(previous)
    items = [(item, f"previous_response_id[{at}]") for at, item in enumerate(earlier or ())]
    given = input_of(body)
    names = names_in(given)
    found = look_up(names) if names and look_up is not None else {}
    for at, item in enumerate(given):
        place = f"input[{at}]"
        if type(item) is not dict:
            raise BadRequest(f"{place} must be an object, such as a message.", param=place)
        items.append((looked_up(item, place, found), place))
    return items


def names_in(given: Iterable[Any]) -> list[str]:
    """The ids of the items that are referred to. Raises BadRequest for one that is there twice: it may be as long as a book,
    and who refers to it a thousand times sends next to nothing."""
    names: dict[str, None] = {}
    for at, item in enumerate(given):
        name = item.get("id") if is_item_reference(item) else None
        if type(name) is not str:
            continue
        if name in names:
            raise BadRequest(
                f"input[{at}] refers to the item '{name[:SHOWN_CHARS]}', as one before it does. Leave one of them out.",
                param=f"input[{at}].id",
            )
        names[name] = None
    return list(names)


def unknown_response(told: Any) -> BadRequest:
    return BadRequest(
        f"Previous response with id '{str(told)[:SHOWN_CHARS]}' not found. It may be too old, made with another key, or not "
        "stored; send the whole conversation in input.",
        code="previous_response_not_found",
        param="previous_response_id",
    )


def input_of(body: Json) -> list[Any]:
    given = body.get("input")
    if given is None:
        return []
    if type(given) is str:
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]}]
    if type(given) is not list:
        raise BadRequest("input must be a text or a list of items.", param="input")
    if len(given) > MOST_ITEMS:
        raise BadRequest(f"input has more than {MOST_ITEMS} items.", param="input")
    return given


def looked_up(item: Json, place: str, known: Mapping[str, Json]) -> Json:
    """The item itself, or the one that it refers to by its id."""
    if not is_item_reference(item):
        return item
    name = item.get("id")
    found = known.get(name) if type(name) is str else None
    if found is None:
        raise BadRequest(
            f"{place} refers to the item '{str(name)[:SHOWN_CHARS]}', which is not known here. Send the item itself.",
            param=f"{place}.id",
        )
    return found


def input_items(given: Iterable[Json], response_id: str) -> list[Json]:
    """The items of a request as it is remembered, each with an id."""
    stem = response_id.removeprefix("resp_")
    items: list[Json] = []
    for at, item in enumerate(given):
        kind = item.get("type") or "message"
        items.append(
            {"id": f"{'msg' if kind == 'message' else 'item'}_{stem}i{at:x}", "type": kind, **without_null(item)}
        )
    return items


def without_null(item: Json) -> Json:
    return {name: value for name, value in item.items() if value is not None or name not in ("id", "type")}


# -- the other members ----------------------------------------------------------------------------------------------


def sampling_of(body: Json, *, openai: bool) -> Json:
    found: Json = {}
    for name in NUMBERS:
        value = body.get(name)
        if value is None:
            continue
        if type(value) not in (int, float) or not -LARGEST < value < LARGEST or math.isnan(value):
            raise BadRequest(f"{name} must be a number.", param=name)
        found[name] = value
    limit = whole_number(body, "max_output_tokens", least=1)
    if limit is not None:
        # Models of OpenAI's that reason know only the one, most other servers only the other.
        found["max_completion_tokens" if openai else "max_tokens"] = limit
    include = body.get("include")
    if include is not None and type(include) is not list:
        raise BadRequest("include must be a list of texts.", param="include")
    top = whole_number(body, "top_logprobs", least=0)
    if LOGPROBS in (include or ()) or top:
        found["logprobs"] = True
        if top:
            found["top_logprobs"] = top
    return found


def whole_number(body: Json, name: str, *, least: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not int or not least <= value <= LARGEST:
        raise BadRequest(f"{name} must be a whole number from {least} to {LARGEST}.", param=name)
    return value


def text_of(body: Json, *, openai: bool) -> Json:
    """What `text` says about the form of the answer."""
    text = object_member(body, "text")
    found: Json = {}
    if openai and type(text.get("verbosity")) is str:
        found["verbosity"] = text["verbosity"]
    form = object_member(text, "format", "text.")
    kind = form.get("type")
    if kind in (None, "text"):
        return found
    if kind == "json_object":
        return found | {"response_format": {"type": "json_object"}}
    if kind != "json_schema":
        raise BadRequest("text.format.type must be text, json_object or json_schema.", param="text.format.type")
    schema, name = form.get("schema"), form.get("name")
    if type(schema) is not dict or is_deep(schema):
        raise BadRequest("text.format.schema must be a JSON schema, not too deep.", param="text.format.schema")
    if name is not None and type(name) is not str:
        raise BadRequest("text.format.name must be a text.", param="text.format.name")
    told: Json = {"name": name or "response", "schema": schema}
    told |= {name: form[name] for name in ("description", "strict") if form.get(name) is not None}
    return found | {"response_format": {"type": "json_schema", "json_schema": told}}


def reasoning_of(body: Json) -> Json:
    effort = object_member(body, "reasoning").get("effort")
    if effort is None:
        return {}
    if type(effort) is not str or effort not in EFFORTS:
        raise BadRequest(f"reasoning.effort must be one of {', '.join(EFFORTS)}.", param="reasoning.effort")
    return {"reasoning_effort": effort}


def object_member(body: Json, name: str, above: str = "") -> Json:
    value = body.get(name)
    if value is None:
        return {}
    if type(value) is not dict:
        raise BadRequest(f"{above}{name} must be an object.", param=above + name)
    return value


def text_member(body: Json, name: str) -> str | None:
    value = body.get(name)
    if value is not None and type(value) is not str:
        raise BadRequest(f"{name} must be a text.", param=name)
    return value or None
