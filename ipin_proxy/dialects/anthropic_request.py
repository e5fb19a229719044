"""A chat in OpenAI's words as the body of Anthropic's Messages API.

What has a place there is put into it, what only steers how OpenAI works (seeds, penalties, log probabilities, storage) is left
out, as Anthropic's own compatible endpoint does, and what would make another answer (several choices, sound, parts that nobody
could see) is `Unsupported`, so that another deployment may be tried. Members that only Anthropic knows pass.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import BadRequest, Unsupported
from . import anthropic_models as models
from .anthropic_parts import Whole
from .anthropic_thoughts import without_thoughts
from .anthropic_turns import Conversation

Json = dict[str, Any]

# Members of the Messages API that OpenAI has none for.
OWN_MEMBERS = ("top_k", "context_management", "container", "mcp_servers", "inference_geo", "cache_control")
MIN_BUDGET = 1024  # tokens of thinking
ANSWER_TOKENS = 8192  # that are left for the answer where nobody says how long it may be
# `reasoning_effort` as a budget for models that want one, and as the word for those that judge themselves.
EFFORTS = {
    "minimal": (1024, "low"),
    "low": (1024, "low"),
    "medium": (8192, "medium"),
    "high": (16_384, "high"),
    "xhigh": (32_768, "xhigh"),
    "max": (32_768, "max"),
}
MIN_TOP_P_THINKING = 0.95
TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
CHOICES = {"auto": "auto", "none": "none", "required": "any", "any": "any"}
JSON_ONLY = "Answer with one JSON object and nothing else: no comment before or after it, no code fence."
BY_SCHEMA = "Answer with JSON that is valid by this JSON schema, and nothing else: no comment, no code fence.\n\n"
OPEN_SCHEMA: Json = {"type": "object", "properties": {}}
USER_CHARS = 256
THOUGHTS = "thoughts"  # that are handed back, where their signatures are refused
OLDER_MEMBER = "functions"  # whose answers are told in the older form


class Traits(NamedTuple):
    """What was found out about a model by its refusals: how long its answers may be, and what it does not take."""

    max_tokens: int | None = None
    refused: frozenset[str] = frozenset()
    takes_sampling: bool = True  # the version of the API that is spoken has temperature and its kind


NOTHING_KNOWN = Traits()


def encode_request(hub: Mapping[str, Any], model: str, traits: Traits = NOTHING_KNOWN, whole: Whole = str) -> Json:
    """The body for `model`, which is the upstream name. Raises BadRequest, Unsupported."""
    refuse_what_cannot_be(hub)
    messages = hub.get("messages")
    if type(messages) is not list or not messages:
        raise BadRequest("'messages' must be a list with a message in it.", code="missing_input", param="messages")
    talk = Conversation(whole)
    for at, message in enumerate(messages):
        talk.add(message, at)
    may_prefill = not models.is_since(model, models.FIRST_WITHOUT_PREFILL, unknown=False)
    body: Json = {"model": model, "messages": talk.close(may_prefill=may_prefill)}
    if THOUGHTS in traits.refused:
        body["messages"] = without_thoughts(body["messages"])
    add_tools(body, hub, talk.tools)
    add_thinking(body, hub, traits)
    add_format(body, hub, talk.system, traits)
    if talk.system:
        body["system"] = system_of(talk.system)
    add_sampling(body, hub, traits)
    if stop := stop_sequences(hub.get("stop")):
        body["stop_sequences"] = stop
    if user := user_of(hub):
        body["metadata"] = {"user_id": user}
    tier = hub.get("service_tier")
    if type(tier) is str and tier in TIERS:
        body["service_tier"] = TIERS[tier]
    if hub.get("stream") is True:
        body["stream"] = True
    for name in OWN_MEMBERS:
        if hub.get(name) is not None and name not in body and name not in traits.refused:
            body[name] = hub[name]
    if thinks(body) or not traits.takes_sampling:
        body.pop("top_k", None)
    return body


def refuse_what_cannot_be(hub: Mapping[str, Any]) -> None:
    n = hub.get("n")
    if n is not None and (type(n) is not int or n < 1):
        raise BadRequest("'n' must be a whole number of 1 or more.", param="n")
    if n is not None and n > 1:
        raise Unsupported("The provider of this model gives one answer at a time; leave 'n' out.", param="n")
    modalities = hub.get("modalities")
    if hub.get("audio") is not None or (type(modalities) is list and "audio" in modalities):
        raise Unsupported("The provider of this model answers in texts; leave 'audio' out.", param="modalities")


def system_of(blocks: list[Json]) -> str | list[Json]:
    """A text, unless there is more to it, such as what is to be cached."""
    if all(block.keys() == {"type", "text"} for block in blocks):
        return "\n\n".join(block["text"] for block in blocks)
    return blocks


# -- tools ----------------------------------------------------------------------------------------------------------


def add_tools(body: Json, hub: Mapping[str, Any], called: Mapping[str, None]) -> None:
    tools = tools_of(hub)
    choice = hub.get("tool_choice")
    if choice is None:
        choice = hub.get("function_call")
    wanted, only = choice_of(choice)
    if only is not None:
        tools = [tool for tool in tools if tool.get("name") in only]
    if not tools and called:  # calls in a conversation are refused without tools, so they are named, and not to be used
        tools, wanted = [{"name": name, "input_schema": OPEN_SCHEMA} for name in called], {"type": "none"}
    if not tools:
        return
    body["tools"] = tools
    one_at_a_time = hub.get("parallel_tool_calls") is False or (not hub.get("tools") and bool(hub.get(OLDER_MEMBER)))
    if one_at_a_time and (wanted is None or wanted["type"] != "none"):
        wanted = {**(wanted or {"type": "auto"}), "disable_parallel_tool_use": True}
    if wanted is not None:
        body["tool_choice"] = wanted


def tools_of(hub: Mapping[str, Any]) -> list[Json]:
    found: list[Json] = []
    for member in ("tools", OLDER_MEMBER):
        rows = hub.get(member)
        if rows is not None and type(rows) is not list:
            raise BadRequest(f"'{member}' must be a list.", param=member)
        for at, row in enumerate(rows or ()):
            place = f"{member}[{at}]"
            if type(row) is not dict:
                raise BadRequest(f"'{place}' must be an object.", param=place)
            found.append(function_of(row, row, place) if member == OLDER_MEMBER else tool_of(row, place))
        if found:
            break
    return found


def tool_of(tool: Json, place: str) -> Json:
    kind = tool.get("type", "function" if "function" in tool else None)
    if kind == "function":
        function = tool.get("function")
        if type(function) is not dict:
            raise BadRequest(f"'{place}.function' must be an object with a name.", param=f"{place}.function")
        return function_of(function, tool, f"{place}.function")
    # Its own tools, which its servers run (web_search_20250305), and tools in its own shape.
    if type(tool.get("name")) is str and (kind not in ("custom", None) or type(tool.get("input_schema")) is dict):
        return tool
    raise Unsupported(
        f"The provider of this model takes tools of type 'function' only; leave '{place}' out.", param=place
    )


def function_of(function: Json, tool: Json, place: str) -> Json:
    name, about, schema = function.get("name"), function.get("description"), function.get("parameters")
    if type(name) is not str or not name:
        raise BadRequest(f"'{place}' has no name.", param=f"{place}.name")
    if about is not None and type(about) is not str:
        raise BadRequest(f"'{place}.description' must be a text.", param=f"{place}.description")
    if schema is not None and type(schema) is not dict:
        raise BadRequest(f"'{place}.parameters' must be a JSON schema.", param=f"{place}.parameters")
    made: Json = {"name": name}
    if about:
        made["description"] = about
    made["input_schema"] = schema if schema and "type" in schema else {**OPEN_SCHEMA, **(schema or {})}
    mark = tool.get("cache_control", function.get("cache_control"))
    return {**made, "cache_control": mark} if type(mark) is dict else made


def choice_of(choice: Any) -> tuple[Json | None, frozenset[str] | None]:
    """`tool_choice` in Anthropic's words, and the names of those tools that are left when it allows only some."""
    if choice is None:
        return None, None
    if type(choice) is str and choice in CHOICES:
        return {"type": CHOICES[choice]}, None
    if type(choice) is dict:
        allowed = choice.get("allowed_tools") if choice.get("type") == "allowed_tools" else None
        if type(allowed) is dict and type(rows := allowed.get("tools")) is list:
            functions = [row.get("function") for row in rows if type(row) is dict]
            names = [each.get("name") for each in functions if type(each) is dict]
            mode = {"type": "any" if allowed.get("mode") == "required" else "auto"}
            return mode, frozenset(name for name in names if type(name) is str)
        function = choice.get("function", choice)
        name = function.get("name") if type(function) is dict else None
        if type(name) is str and name:
            return {"type": "tool", "name": name}, None
    raise BadRequest(
        "'tool_choice' must be auto, none, required, or a function by its name: "
        '{"type": "function", "function": {"name": "…"}}.',
        param="tool_choice",
    )


# -- how to answer --------------------------------------------------------------------------------------------------


def add_thinking(body: Json, hub: Mapping[str, Any], traits: Traits) -> None:
    """`max_tokens`, and how much of it is for thinking: in the caller's own words for Anthropic, else as an effort says."""
    asked = whole_number(hub, "max_completion_tokens") or whole_number(hub, "max_tokens")
    model = body["model"]
    most = asked or models.default_max_tokens(model)
    effort, budget = effort_of(hub)
    output, own = an_object(hub, "output_config"), an_object(hub, "thinking")
    if output is not None and "output_config" not in traits.refused:
        body["output_config"] = dict(output)
    if own is not None and "thinking" not in traits.refused:
        body["thinking"] = own
        told = own.get("budget_tokens")
        if asked is None and type(told) is int:
            most = max(most, told + ANSWER_TOKENS)
    elif effort is not None or budget is not None:
        if models.is_since(model, models.FIRST_ADAPTIVE, unknown=False):
            if effort is not None and "output_config" not in traits.refused:
                body["output_config"] = {"effort": EFFORTS[effort][1], **body.get("output_config", {})}
            if may_think(body, traits):
                body["thinking"] = {"type": "adaptive"}
        elif models.is_since(model, models.FIRST_THINKING, unknown=True):
            wanted = max(MIN_BUDGET, budget or EFFORTS[effort or "medium"][0])
            if asked is not None:
                wanted = max(MIN_BUDGET, min(wanted, asked // 2))
            if may_think(body, traits) and thought_before(body["messages"]) and (asked is None or wanted < asked):
                body["thinking"] = {"type": "enabled", "budget_tokens": wanted}
                most = asked or max(most, wanted + ANSWER_TOKENS)
    body["max_tokens"] = min(most, traits.max_tokens) if traits.max_tokens is not None else most
    keep_budget(body)


def keep_budget(body: Json) -> None:
    """A budget is less than `max_tokens`, which a refusal may have made smaller."""
    thinking: Json = body.get("thinking") or {}
    budget = thinking.get("budget_tokens")
    if type(budget) is int and budget >= body["max_tokens"]:
        if body["max_tokens"] > MIN_BUDGET:
            body["thinking"] = {**thinking, "budget_tokens": max(MIN_BUDGET, body["max_tokens"] // 2)}
        else:
            del body["thinking"]


def effort_of(hub: Mapping[str, Any]) -> tuple[str | None, int | None]:
    """The effort that is asked for and the budget, in OpenAI's member or in OpenRouter's `reasoning`; None for no thinking."""
    effort, budget = hub.get("reasoning_effort"), None
    param = "reasoning_effort"
    reasoning = an_object(hub, "reasoning")
    if reasoning is not None:
        if effort is None:
            effort, param = reasoning.get("effort"), "reasoning.effort"
        told = reasoning.get("max_tokens")
        budget = told if type(told) is int and told > 0 else None
        if effort is None and budget is None and reasoning.get("enabled") is True:
            effort = "medium"
    if effort in (None, "none"):
        return None, budget if effort is None else None
    if type(effort) is not str or effort not in EFFORTS:
        raise BadRequest(f"'{param}' must be one of none, {', '.join(EFFORTS)}.", param=param)
    return effort, budget


def may_think(body: Json, traits: Traits) -> bool:
    """Nobody may think who is told which tool to use, or whose answer is begun already."""
    choice = body.get("tool_choice")
    forced = choice is not None and choice["type"] in ("any", "tool")
    return not forced and body["messages"][-1]["role"] == "user" and "thinking" not in traits.refused


def thought_before(messages: list[Json]) -> bool:
    """Whoever has used tools while thinking must be told what was thought; else the rest goes without."""
    last = messages[-1]["content"]
    if type(last) is str or not any(block["type"] == "tool_result" for block in last):
        return True
    for message in reversed(messages[:-1]):
        if message["role"] == "assistant":
            content = message["content"]
            return type(content) is list and content[0]["type"] in ("thinking", "redacted_thinking")
    return True


def add_format(body: Json, hub: Mapping[str, Any], system: list[Json], traits: Traits) -> None:
    """`response_format`: a schema that the provider enforces where its models can, else an instruction."""
    wanted = hub.get("response_format")
    if wanted is None:
        return
    kind = wanted.get("type") if type(wanted) is dict else None
    if kind == "json_object":
        system.append({"type": "text", "text": JSON_ONLY})
    elif kind == "json_schema":
        told = wanted.get("json_schema")
        schema = told.get("schema") if type(told) is dict else None
        if type(schema) is not dict:
            raise BadRequest(
                "'response_format.json_schema' has no schema, which must be an object.",
                param="response_format.json_schema",
            )
        can = models.is_since(body["model"], models.FIRST_WITH_FORMATS, unknown=True)
        if can and "output_config" not in traits.refused:
            shape = {"format": {"type": "json_schema", "schema": schema}}
            body["output_config"] = {**shape, **body.get("output_config", {})}
        else:
            try:
                system.append({"type": "text", "text": BY_SCHEMA + json.dumps(schema, ensure_ascii=False)})
            except RecursionError as error:
                raise BadRequest("The schema is nested too deeply.", param="response_format.json_schema") from error
    elif kind != "text":
        raise BadRequest(
            "'response_format.type' must be text, json_object or json_schema.", param="response_format.type"
        )


def add_sampling(body: Json, hub: Mapping[str, Any], traits: Traits) -> None:
    """`temperature` goes up to 1 there, and not together with `top_p` to the newest models, nor with thinking."""
    temperature, top_p = number(hub, "temperature"), number(hub, "top_p")
    if not traits.takes_sampling:
        return
    if temperature is not None and not thinks(body) and "temperature" not in traits.refused:
        body["temperature"] = min(max(temperature, 0), 1)
    if top_p is None or "top_p" in traits.refused or (thinks(body) and top_p < MIN_TOP_P_THINKING):
        return
    if "temperature" in body and models.is_since(body["model"], models.FIRST_WITH_ONE_SAMPLER, unknown=False):
        return
    body["top_p"] = min(max(top_p, 0), 1)


def thinks(body: Json) -> bool:
    thinking = body.get("thinking")
    return thinking is not None and thinking.get("type") != "disabled"


def stop_sequences(stop: Any) -> list[str]:
    """Blank ones are refused there, and would stop at every other word here."""
    rows = stop if type(stop) is list else [] if stop is None else [stop]
    if not all(type(row) is str for row in rows):
        raise BadRequest("'stop' must be a text or a list of texts.", param="stop")
    return [row for row in rows if row.strip()]


def user_of(hub: Mapping[str, Any]) -> str | None:
    metadata = hub.get("metadata")
    given = metadata.get("user_id") if type(metadata) is dict else None
    found = next((value for value in (hub.get("user"), given, hub.get("safety_identifier")) if value), None)
    return found if type(found) is str and len(found) <= USER_CHARS else None


def an_object(hub: Mapping[str, Any], name: str) -> Json | None:
    value = hub.get(name)
    if value is not None and type(value) is not dict:
        raise BadRequest(f"'{name}' must be an object.", param=name)
    return value


def whole_number(hub: Mapping[str, Any], name: str) -> int | None:
    value = hub.get(name)
    if value is not None and (type(value) is not int or value < 1):
        raise BadRequest(f"'{name}' must be a whole number of 1 or more.", param=name)
    return value


def number(hub: Mapping[str, Any], name: str) -> float | None:
    value = hub.get(name)
    if value is not None and type(value) not in (int, float):
        raise BadRequest(f"'{name}' must be a number.", param=name)
    return value
