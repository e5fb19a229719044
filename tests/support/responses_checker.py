"""A reader of Responses streams that forgives nothing: the rules of the events, as a state machine.

`check(bytes)` reads a whole stream and gives back the last response; it fails at the first event that is out of place. The
rules are those of the API, and beside them that one item is open at a time: some clients complete the one they saw last.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ipin_proxy.web.sse import FrameSplitter, parse_event

Json = dict[str, Any]

ENDINGS = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
}
ALWAYS = {"id", "object", "created_at", "status", "error", "incomplete_details", "model", "output", "usage"} | {
    *("instructions", "metadata", "parallel_tool_calls", "temperature", "tool_choice", "tools", "top_p", "text")
}
LONE = re.compile(r"[\ud800-\udfff]")


def events_in(stream: bytes) -> list[Json]:
    """The events of a stream; each has a name, which is its type, and data. Comments are let pass."""
    splitter = FrameSplitter()
    frames = splitter.feed(stream)
    assert splitter.rest == b"", "the stream ends in the middle of an event"
    found = []
    for frame in frames:
        event = parse_event(frame)
        if event.data is None:
            assert frame.startswith(b":"), f"a frame without data: {frame!r}"
            continue
        body = json.loads(event.data)
        assert isinstance(body, dict) and event.event == body["type"], (
            f"named {event.event}, of type {body.get('type')}"
        )
        found.append(body)
    return found


def check(stream: bytes) -> Json:
    """The response that a valid stream ends with."""
    checker = Checker()
    for number, event in enumerate(events_in(stream)):
        assert event["sequence_number"] == number, f"event {number} has the number {event['sequence_number']}"
        checker.take(event)
    assert checker.last is not None, "the stream has no ending"
    return checker.last


def texts_in(response: Json) -> Json:
    """What a response says: texts, refusals, thoughts, and calls as (id, name, arguments or input)."""
    found: Json = {"text": "", "refusal": "", "thoughts": "", "calls": []}
    for item in response["output"]:
        for part in item.get("content") or ():
            found["text" if part["type"] == "output_text" else "refusal"] += part.get("text", part.get("refusal"))
        for part in item.get("summary") or ():
            found["thoughts"] += part["text"]
        if "call_id" in item:
            found["calls"].append((item["call_id"], item["name"], item.get("arguments", item.get("input"))))
    return found


class Checker:
    def __init__(self) -> None:
        self.begun = 0
        self.first: Json | None = None
        self.last: Json | None = None
        self.ids: set[str] = set()
        self.done: list[Json] = []
        self.item: Json | None = None  # the one that is open
        self.texts: list[str] = []  # of it, what has come for each part
        self.part: Json | None = None  # the one that is open in it
        self.parts: list[Json] = []  # and those that are done
        self.is_told = False  # the `.done` of the text or arguments that are open

    def take(self, event: Json) -> None:
        kind = event["type"]
        assert self.last is None, f"{kind} after the ending"
        if self.begun < 2:
            assert kind == ("response.created", "response.in_progress")[self.begun], f"begins with {kind}"
            self.begun += 1
            self.check_response(event["response"], "in_progress")
            assert event["response"]["output"] == [] and event["response"]["usage"] is None
            self.first = self.first or event["response"]
            return
        assert not LONE.search(json.dumps(event, ensure_ascii=False)), "half a character"
        if kind in ENDINGS:
            self.end(event["response"], ENDINGS[kind])
            return
        assert type(event["output_index"]) is int, f"{kind} without an output_index"
        assert event["output_index"] == len(self.done), f"{kind} of another item than the open one"
        if kind == "response.output_item.added":
            self.add(event["item"])
            return
        assert self.item is not None, f"{kind} without an open item"
        if kind == "response.output_item.done":
            self.finish(event["item"])
            return
        assert event["item_id"] == self.item["id"], f"{kind} of another item"
        family = self.item["type"]
        if family == "message":
            self.in_message(kind, event)
        elif family == "reasoning":
            self.in_reasoning(kind, event)
        else:
            self.in_call(kind, event)

    def check_response(self, response: Json, status: str) -> None:
        assert response.keys() >= ALWAYS, f"without {ALWAYS - response.keys()}"
        assert response["object"] == "response" and response["status"] == status
        assert type(response["created_at"]) is int and response["id"].startswith("resp_")
        assert isinstance(response["output"], list) and isinstance(response["tools"], list)
        assert self.first is None or {
            **response,
            **dict.fromkeys(("status", "output", "usage", "error")),
        } == {
            **self.first,
            **dict.fromkeys(("status", "output", "usage", "error")),
            "incomplete_details": response["incomplete_details"],
        }, "the response is another one"

    def add(self, item: Json) -> None:
        assert self.item is None, "an item is added while another is open"
        assert item["id"] not in self.ids, f"the id {item['id']} comes twice"
        self.ids.add(item["id"])
        kind = item["type"]
        if kind == "message":
            assert item["role"] == "assistant" and item["content"] == [] and item["status"] == "in_progress"
            assert item["id"].startswith("msg_")
        elif kind == "reasoning":
            assert item["summary"] == [] and item["id"].startswith("rs_")
        elif kind == "compaction":
            assert item["encrypted_content"] == "" and item["id"].startswith("cmp_")
        else:
            self.check_call(item, "in_progress")
            assert item["input" if kind == "custom_tool_call" else "arguments"] == ""
            assert item["call_id"] not in self.ids, f"the call id {item['call_id']} comes twice"
            self.ids.add(item["call_id"])
        self.item, self.texts, self.part, self.parts, self.is_told = item, [], None, [], False

    def check_call(self, item: Json, status: str) -> None:
        custom = item["type"] == "custom_tool_call"
        assert custom or item["type"] == "function_call", f"an item of the type {item['type']}"
        assert item["id"].startswith("ctc_" if custom else "fc_") and item["status"] == status
        assert item["name"] and item["call_id"] and isinstance(item["name"], str) and isinstance(item["call_id"], str)

    def in_message(self, kind: str, event: Json) -> None:
        assert event["content_index"] == len(self.parts), f"{kind} of another part"
        if kind == "response.content_part.added":
            part = event["part"]
            assert self.part is None, "a part is added while another is open"
            if part["type"] == "output_text":
                assert part == {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            else:
                assert part == {"type": "refusal", "refusal": ""}
            self.part, self.is_told = part, False
            self.texts.append("")
            return
        assert self.part is not None, f"{kind} without an open part"
        name = "output_text" if self.part["type"] == "output_text" else "refusal"
        if kind == f"response.{name}.delta":
            assert not self.is_told and event["delta"], "a delta after the end of the text, or an empty one"
            assert name == "refusal" or isinstance(event["logprobs"], list)
            self.texts[-1] += event["delta"]
        elif kind == "response.output_text.annotation.added":
            assert not self.is_told and event["annotation_index"] == len(self.part["annotations"])
            self.part["annotations"].append(event["annotation"])
        elif kind == f"response.{name}.done":
            assert not self.is_told and event["refusal" if name == "refusal" else "text"] == self.texts[-1]
            self.is_told = True
        elif kind == "response.content_part.done":
            part = event["part"]
            assert self.is_told and part["refusal" if name == "refusal" else "text"] == self.texts[-1]
            assert name == "refusal" or part["annotations"] == self.part["annotations"]
            self.parts.append(part)
            self.part = None
        else:
            raise AssertionError(f"{kind} in a message")

    def in_reasoning(self, kind: str, event: Json) -> None:
        assert event["summary_index"] == len(self.parts), f"{kind} of another part"
        if kind == "response.reasoning_summary_part.added":
            assert self.part is None and event["part"] == {"type": "summary_text", "text": ""}
            self.part, self.is_told = event["part"], False
            self.texts.append("")
            return
        assert self.part is not None, f"{kind} without an open part"
        if kind == "response.reasoning_summary_text.delta":
            assert not self.is_told and event["delta"]
            self.texts[-1] += event["delta"]
        elif kind == "response.reasoning_summary_text.done":
            assert not self.is_told and event["text"] == self.texts[-1]
            self.is_told = True
        elif kind == "response.reasoning_summary_part.done":
            assert self.is_told and event["part"] == {"type": "summary_text", "text": self.texts[-1]}
            self.parts.append(event["part"])
            self.part = None
        else:
            raise AssertionError(f"{kind} in reasoning")

    def in_call(self, kind: str, event: Json) -> None:
        assert self.item is not None
        custom = self.item["type"] == "custom_tool_call"
        name = "response.custom_tool_call_input" if custom else "response.function_call_arguments"
        if kind == f"{name}.delta":
            assert not self.is_told and event["delta"]
            self.texts.append(event["delta"])
        elif kind == f"{name}.done":
            assert not self.is_told and event["input" if custom else "arguments"] == "".join(self.texts)
            self.is_told = True
        else:
            raise AssertionError(f"{kind} in a call")

    def finish(self, item: Json) -> None:
        opened = self.item
        assert opened is not None and item["id"] == opened["id"] and item["type"] == opened["type"]
        assert self.part is None, "an item is done while a part of it is open"
        if item["type"] == "message":
            assert item["content"] == self.parts and self.parts and item["status"] in ("completed", "incomplete")
        elif item["type"] == "reasoning":
            assert item["summary"] == self.parts
        elif item["type"] == "compaction":
            assert item["encrypted_content"]
        else:
            assert self.is_told, "a call is done before its arguments are"
            self.check_call(item, item["status"])
            assert item["status"] in ("completed", "incomplete")
            assert (item["call_id"], item["name"]) == (opened["call_id"], opened["name"])
            assert item["input" if item["type"] == "custom_tool_call" else "arguments"] == "".join(self.texts)
        self.done.append(item)
        self.item = None

    def end(self, response: Json, status: str) -> None:
        self.check_response(response, status)
        if status == "failed":
            error = response["error"]
            assert isinstance(error["code"], str) and error["code"] and isinstance(error["message"], str)
            assert response["output"][: len(self.done)] == self.done
            assert [each["id"] for each in response["output"][len(self.done) :]] == (
                [self.item["id"]] if self.item else []
            )
        else:
            assert self.item is None, "the response ends while an item is open"
            assert response["output"] == self.done and response["error"] is None
            assert (status == "incomplete") == (response["incomplete_details"] is not None)
        usage = response["usage"]
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
        assert 0 <= usage["input_tokens_details"]["cached_tokens"] <= usage["input_tokens"]
        assert 0 <= usage["output_tokens_details"]["reasoning_tokens"] <= usage["output_tokens"]
        self.last = response
