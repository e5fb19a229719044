"""A chat's answer as a Responses object, and step by step what happens to it on the way there.

`Answer` takes chunks, whole or in pieces, builds the items of the output and tells each event as it happens; the stream
writes them down, a whole reply lets them pass. One item is open at a time, because clients complete the one they saw last:
what comes for another waits. What a provider lies about (names, ids, indices, types) is put right or left out.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, NamedTuple

from ..call import Usage
from ..errors import ProxyError, UpstreamError
from ..meter import usage_of
from .responses_items import Compaction, Item, Message, Reasoning, ToolCall
from .responses_messages import AFTER, DETAILS, sealed
from .responses_tools import CUSTOM, FUNCTION, Tool, is_deep
from .thoughts import THOUGHT, Said, ThinkSplitter, ToldBeside, add_detail

Json = dict[str, Any]
Tell = Callable[[str, Json], None]

SEALED = "reasoning.encrypted_content"
# How an answer ends that has not come to its end, by its finish reason.
CUT_SHORT = {"length": "max_output_tokens", "max_tokens": "max_output_tokens", "content_filter": "content_filter"}
BROKEN = frozenset({"error", "network_error"})
MOST_CALLS = 1000  # of tools, in one answer: what waits for its turn is written in one go at the end
ONE_CALL = "function_call"  # the key of the only call in the older form

COMPACT = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
HALVES = re.compile(r"\\ud[89a-f]")  # as JSON writes them: whole pairs, too, are looked at

# Of what a response says of its request. A stream says it three times, and writes it on the loop.
MOST_REPEATED = 256 * 1024
ALWAYS_REPEATED = 16 * 1024  # of a single member, whatever the others are

# What a response says of its request when that said nothing.
DEFAULTS: Json = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


class Asked(NamedTuple):
    """What of a request its answer has to know: `id` of the response (`resp_` and something no other has), when it was made
    in seconds since 1970, the model as the caller calls it, the request's body, and its tools as `decode_request` gave them.
    `keep` is told what must be handed back with the items, by the id of one, where the caller has not asked to have it.
    `compacts`: the answer is to stand for the whole conversation, and nothing else is wanted."""

    id: str
    created_at: int
    model: str
    body: Json
    tools: Mapping[str, Tool] = {}
    keep: Callable[[str, Json], None] | None = None
    compacts: bool = False

    @property
    def wants_sealed(self) -> bool:
        include = self.body.get("include")
        return type(include) is list and SEALED in include and not self.compacts


def encode_response(completion: Json, asked: Asked) -> Json:
    """A whole completion as a Responses object. Raises UpstreamError when there is no answer in it."""
    choices = completion.get("choices")
    if type(choices) is not list or not choices or type(choices[0]) is not dict:
        raise UpstreamError("The provider answered without an answer: it has no choices.")
    answer = Answer(asked, lambda kind, members: None)
    answer.take(completion)
    response: Json = json.loads(written(answer.end()))
    return response


def fit_to_repeat(body: Json) -> Json:
    """A request without what is too long to be repeated in its response."""
    sizes = {name: len(json.dumps(body[name])) for name in DEFAULTS if name in body and not is_deep(body[name])}
    if sum(sizes.values()) <= MOST_REPEATED:
        return body
    return {name: value for name, value in body.items() if sizes.get(name, 0) <= ALWAYS_REPEATED}


def repeated(body: Json) -> Json:
    """What a response says of its request, as OpenAI repeats it."""
    told = {
        name: default if (value := body.get(name)) is None or is_deep(value) else value
        for name, default in DEFAULTS.items()
    }
    text = told["text"]
    if type(text) is dict and text.get("format") is None:
        told["text"] = {**DEFAULTS["text"], **{name: value for name, value in text.items() if value is not None}}
    return told


def response_of(asked: Asked, told: Json, status: str, output: list[Json]) -> Json:
    """A Responses object, with what is `told` of its request."""
    return {
        "id": asked.id,
        "object": "response",
        "created_at": asked.created_at,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "model": asked.model,
        "output": output,
        "usage": None,
        **told,
    }


def page_of(items: list[Json], *, after: str | None = None, limit: int = 20, newest_first: bool = True) -> Json:
    """A list of items as the API gives it, from behind the one named `after`."""
    ordered = items[::-1] if newest_first else items
    names = [item.get("id") for item in ordered]
    begin = names.index(after) + 1 if after in names else 0
    page = ordered[begin : begin + limit]
    ends = {"first_id": page[0].get("id") if page else None, "last_id": page[-1].get("id") if page else None}
    return {"object": "list", "data": page, **ends, "has_more": begin + limit < len(ordered)}


def deleted(response_id: str) -> Json:
    return {"id": response_id, "object": "response", "deleted": True}


def written(value: Json) -> str:
    """JSON that every client can read: without half characters, and without numbers that are none, of which some providers
    have the one in tokens and the other in their probabilities."""
    try:
        text = COMPACT(value)
    except ValueError:
        return written(finite(value))
    if HALVES.search(text) is None:
        return text
    whole = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return COMPACT(json.loads(whole))


def finite(value: Any) -> Any:
    if type(value) is dict:
        return {name: finite(inner) for name, inner in value.items()}
    if type(value) is list:
        return [finite(inner) for inner in value]
    return None if type(value) is float and not isfinite(value) else value


def usage_told(usage: Usage) -> Json:
    """Usage in the words of this API, where all members are always there."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": usage.cache_write_tokens},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }


def error_told(error: ProxyError) -> Json:
    """An error as a failed response has it. By this code coding agents know that asking again is of no use."""
    code = error.type if error.type == "insufficient_quota" else error.code or "server_error"
    return {"code": code, "message": error.message}


class Answer:
    """An answer while it comes. `take` every chunk, then `end`, or `fail`."""

    def __init__(self, asked: Asked, tell: Tell) -> None:
        self._asked = asked
        self._tell = tell
        self._repeated = repeated(asked.body)
        self._stem = asked.id.removeprefix("resp_")
        self._made = 0  # items, for their ids
        self._output: list[Json] = []  # the items that are done
        self._waiting: deque[Item] = deque()  # the first is open, or opens when it can
        self._calls: dict[Any, ToolCall] = {}
        self._call_ids: set[str] = set()
        self._details: list[Any] = []
        self._reasoning = ToldBeside()
        self._splitter = ThinkSplitter()
        self._heard: list[ToolCall] = []
        self._usage: Usage | None = None
        self._reason = ""
        self._begun = False

    # -- what comes in

    def take(self, chunk: Json) -> None:
        """One chunk, or a whole completion. Raises UpstreamError for what is an error."""
        self._begin()
        if chunk.get("error"):
            raise UpstreamError("The provider broke off its answer with an error.")
        if chunk.get("usage") or "x_groq" in chunk:  # most tell none, and are not searched for it
            usage = usage_of(chunk)
            if usage is not None:
                self._usage = usage if self._usage is None else usage.after(self._usage)
        choices = chunk.get("choices")
        for choice in choices if type(choices) is list else ():
            if type(choice) is dict and choice.get("index") in (None, 0):
                self._take_choice(choice)
        self._move()

    def _take_choice(self, choice: Json) -> None:
        delta = choice.get("delta") or choice.get("message")
        if type(delta) is dict:
            self._take_thoughts(delta)
            self._take_text(delta, logprobs_of(choice))
            if not self._asked.compacts:
                self._take_calls(delta)
        reason = choice.get("finish_reason")
        if type(reason) is str and reason:
            self._reason = reason
            if reason in BROKEN:
                raise UpstreamError("The provider broke off its answer with an error.")

    def _take_thoughts(self, delta: Json) -> None:
        text = self._reasoning.of(delta)
        details = delta.get("reasoning_details")
        if type(details) is list and (self._asked.wants_sealed or self._asked.keep is not None):
            for each in details:
                if type(each) is dict and not is_deep(each):
                    add_detail(self._details, each)
        if text:
            self._think(text)

    def _think(self, text: str) -> None:
        if self._asked.compacts:
            return
        last = self._waiting[-1] if self._waiting else None
        if type(last) is not Reasoning:
            last = Reasoning(self._new_id("rs"))
            self._waiting.append(last)
        last.text.add(text)

    def _take_text(self, delta: Json, logprobs: list[Json]) -> None:
        content = delta.get("content")
        if type(content) is list:
            self._no_marks()
            for part in content:
                self._take_part(part)
        elif type(content) is str and content:
            self._take_words(content, logprobs)
        refusal = delta.get("refusal")
        if type(refusal) is str and refusal:
            self._no_marks()
            self._message().say("refusal", refusal)
        annotations = delta.get("annotations")
        if type(annotations) is list and (found := [flat for each in annotations if (flat := citation_of(each))]):
            self._message().annotate(found)

    def _take_words(self, text: str, logprobs: list[Json]) -> None:
        """A text, in front of which some put what they thought, between marks. What has probabilities is told as it is."""
        if logprobs:
            self._no_marks()
            self._message().say("output_text", text, logprobs)
        else:
            self._say_all(self._splitter.feed(text))

    def _no_marks(self) -> None:
        """What comes now is not between marks, nor will anything be that comes behind it."""
        self._say_all(self._splitter.finish())

    def _say_all(self, said: Said) -> None:
        for kind, text in said:
            if kind != THOUGHT:
                self._message().say("output_text", text)
            elif not self._reasoning.has_told:
                self._think(text)

    def _take_part(self, part: Any) -> None:
        """Content in parts, as Mistral's models that think send it."""
        if type(part) is str:
            part = {"type": "text", "text": part}
        if type(part) is not dict:
            return
        thinking = part.get("thinking")
        if type(thinking) is list:
            thinking = "".join(
                each["text"] for each in thinking if type(each) is dict and type(each.get("text")) is str
            )
        if type(thinking) is str and thinking:
            self._think(thinking)
        elif type(part.get("text")) is str and part["text"]:
            self._message().say("output_text", part["text"])

    def _message(self) -> Message | Compaction:
        """The message that is being said: the last item, or a new one."""
        last = self._waiting[-1] if self._waiting else None
        if not isinstance(last, (Message, Compaction)):
            last = Compaction(self._new_id("cmp")) if self._asked.compacts else Message(self._new_id("msg"))
            self._waiting.append(last)
        return last

    def _take_calls(self, delta: Json) -> None:
        calls = delta.get("tool_calls")
        told: list[ToolCall] = []  # those this delta has told of: a name after it begins another
        for call in calls if type(calls) is list else ():
            if type(call) is dict:
                function = call.get("function")
                self._take_call(call, function if type(function) is dict else {}, told)
        call = delta.get("function_call")
        if type(call) is dict:
            self._take_call({"index": ONE_CALL}, call, told)

    def _take_call(self, call: Json, function: Json, told: list[ToolCall]) -> None:
        name, call_id = word(function.get("name")), word(call.get("id"))
        arguments = arguments_of(function.get("arguments"))
        if not (name or call_id or arguments):
            return
        self._no_marks()
        item, index = self._call_meant(call.get("index"), call_id, name)
        if item is None or item.is_another(call_id, name, arguments) or (name and item in told):
            if len(self._heard) == MOST_CALLS:
                raise UpstreamError(f"The provider called more than {MOST_CALLS} tools in one answer.")
            item = ToolCall(self._new_id, self._asked.tools)
            self._waiting.append(item)
            self._heard.append(item)
            self._calls.pop(index, None)  # so that the last is the last
            self._calls[index] = item
        told.append(item)
        item.hear(call_id, name, arguments)
        extra = call.get("extra_content")
        if type(extra) is dict and not is_deep(extra):
            item.extra = extra

    def _call_meant(self, index: Any, call_id: str, name: str) -> tuple[ToolCall | None, Any]:
        """The call that has this number, and the number. Some do not number them: then an id or a name begins one."""
        if type(index) not in (int, str):
            index = call_id or ((len(self._heard),) if name else next(reversed(self._calls), None))
        elif index not in self._calls and not name and self._heard and call_id in ("", self._heard[-1].told_id):
            last = next(reversed(self._calls))
            if type(last) is tuple or last == self._heard[-1].told_id:  # it has its number only now
                self._calls[index] = self._calls.pop(last)
        return self._calls.get(index), index

    def _new_id(self, prefix: str) -> str:
        self._made += 1
        return f"{prefix}_{self._stem}{self._made:02x}"

    # -- what goes out

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            beginning = {"response": response_of(self._asked, self._repeated, "in_progress", [])}
            self._tell("response.created", beginning)
            self._tell("response.in_progress", beginning)

    def _move(self) -> None:
        """Tell what can be told: of the first item, and of the next ones when it is done."""
        while self._waiting and self._open_first():
            first = self._waiting[0]
            first.flush(self._tell)
            if len(self._waiting) == 1 or not first.is_over:
                return
            self._close_first("completed")

    def _open_first(self) -> bool:
        """Open the first item, unless it is; False when it cannot be."""
        first = self._waiting[0]
        if first.is_open:
            return True
        if not first.is_ready:
            return False
        if type(first) is ToolCall:
            first.settle_id(self._call_ids, self._new_id)
        first.open(self._tell, len(self._output))
        return True

    def _close_first(self, status: str) -> None:
        item = self._waiting.popleft()
        if type(item) is Reasoning and self._asked.wants_sealed:
            kept = {"text": item.text.whole, **({"details": self._details} if self._details else {})}
            item.encrypted, self._details = sealed(kept), []
        item.close(self._tell, status)
        self._output.append(item.json(status))

    def end(self) -> Json:
        """The proper end of the answer: the whole object. Raises UpstreamError when it turns out to be none."""
        self._begin()
        self._no_marks()
        if not (self._output or self._waiting or self._reason or self._usage):
            raise UpstreamError("The provider ended its answer before it began.")
        if self._asked.compacts and not self._waiting:
            raise UpstreamError("The provider did not sum up the conversation.")
        why = CUT_SHORT.get(self._reason)
        while self._waiting:
            first = self._waiting[0]
            if type(first) is ToolCall and first.is_nothing:
                self._waiting.popleft()
                continue
            if not self._open_first():
                raise UpstreamError("The provider called a tool without a name.")
            self._waiting[0].flush(self._tell)
            is_cut = why is not None and len(self._waiting) == 1
            self._close_first("incomplete" if is_cut else "completed")
        self._seal_the_rest()
        response = self._whole("completed" if why is None else "incomplete")
        if why is not None:
            response["incomplete_details"] = {"reason": why}
        self._tell(f"response.{response['status']}", {"response": response})
        return response

    def _seal_the_rest(self) -> None:
        """What a provider wants to have back with the next turn, in an item without words: its caller keeps nothing else. For
        one who has not asked for it, what led to a call is kept here by the call."""
        if not self._asked.wants_sealed:
            first = next((item["id"] for item in self._output if item["type"] in (FUNCTION, CUSTOM)), None)
            if self._asked.keep is not None and self._details and first is not None:
                self._asked.keep(first, {DETAILS: self._details})
            return
        calls = {call.call_id: call.extra for call in self._heard if call.extra}
        kept = {name: value for name, value in (("calls", calls), ("details", self._details)) if value}
        if kept:
            item = Reasoning(self._new_id("rs"))
            item.encrypted = sealed({**kept, AFTER: True})
            item.open(self._tell, len(self._output))
            item.close(self._tell, "completed")
            self._output.append(item.json("completed"))

    def fail(self, error: ProxyError) -> Json:
        """The improper end. What is open stays so: a call that is done would be carried out."""
        self._begin()
        response = self._whole("failed")
        response["output"] = [*self._output, *(each.json("incomplete") for each in self._waiting if each.is_open)]
        response["error"] = error_told(error)
        self._tell("response.failed", {"response": response})
        return response

    def _whole(self, status: str) -> Json:
        response = response_of(self._asked, self._repeated, status, self._output)
        response["usage"] = usage_told(self._usage or Usage())
        return response


# -- what is in a chunk ---------------------------------------------------------------------------------------------


def word(value: Any) -> str:
    return value if type(value) is str else ""


def arguments_of(value: Any) -> str:
    """Arguments as the text they should be; some servers send an object."""
    if type(value) is str:
        return value
    if value is None:
        return ""
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError as error:
        raise UpstreamError("The provider called a tool with arguments that are nested too deeply.") from error


def logprobs_of(choice: Json) -> list[Json]:
    told = choice.get("logprobs")
    content = told.get("content") if type(told) is dict else None
    return [each for each in content if type(each) is dict and not is_deep(each)] if type(content) is list else []


def citation_of(annotation: Any) -> Json | None:
    """A citation of the web, which is flat in this API."""
    told = annotation.get("url_citation") if type(annotation) is dict else None
    if type(told) is not dict or type(told.get("url")) is not str:
        return None
    places = {name: at if type(at := told.get(name)) is int else 0 for name in ("start_index", "end_index")}
    return {"type": "url_citation", **places, "url": told["url"], "title": word(told.get("title"))}
