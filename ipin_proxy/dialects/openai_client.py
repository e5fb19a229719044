"""OpenAI's wire format towards callers: the one error shape that its SDKs read, and where in their bodies pictures stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .. import prices
from ..call import CHAT, RESPONSE, Call, Deployment
from ..errors import ProxyError
from ..memory import owner_of
from . import parts
from .openai_stream import KEEP_ALIVE, error_frame, error_members

if TYPE_CHECKING:
    from ..memory import Memory
    from ..records import SystemPrompt
    from .faces import Hub

REFUSAL_BYTES = 4096  # of a refusal that is looked at
WORD = re.compile(rb"[A-Za-z0-9_-]{4,200}")
ID = re.compile(rb"[A-Za-z0-9][_-].*\d|\d.*[_-]")  # as vs_1a2b, file-1a2b


class Client:
    """What OpenAI clients read."""

    keep_alive = KEEP_ALIVE

    def pictures_in(self, call: Call) -> Iterator[parts.Part]:
        """The images and videos in a call. Every one is asked for them: that there is none takes a short chat half a
        microsecond."""
        if call.operation is CHAT and call.members is not None:
            return parts.in_messages(call.members.values)
        if call.operation is RESPONSE and call.members is not None:
            return parts.in_input(call.members.values)
        return iter(())

    def put_prompt(self, call: Call, prompt: SystemPrompt) -> None:
        from .. import prompts  # few aliases have one

        if call.members is not None and call.operation in (CHAT, RESPONSE):
            prompts.put(call.members, prompt, prompts.for_chat if call.operation is CHAT else prompts.for_responses)

    def is_ours(self, call: Call, memory: Memory) -> bool:
        """Whether a call continues a response that only this house has kept, or refers to the items of one."""
        from ..conversations import referred_to, response_of  # few calls are by an API that can

        name = call.member("previous_response_id") or next(map(response_of, referred_to(call.member("input"))), None)
        return type(name) is str and memory.conversations.has(owner_of(call.caller), name)

    def is_named_in(self, refusal: bytes, call: Call) -> bool:
        """Whether a refusal is about what a call refers to, which is not there: a response, a file, a vector store."""
        previous = call.member("previous_response_id")
        if type(previous) is str and previous and previous.encode("utf-8", "replace") in refusal:
            return True
        body, model = call.request.body, call.model.encode("utf-8", "replace")
        words = {word for word in WORD.findall(refusal[:REFUSAL_BYTES]) if ID.search(word) and word != model}
        return any(b'"%b"' % word in body for word in words)

    def hub_of(self, call: Call, deployment: Deployment, memory: Memory) -> Hub:
        """A call by the Responses API as a chat."""
        from .responses_hub import Hub

        return Hub(call, deployment, memory)

    def count(self, call: Call) -> int:
        return prices.text_tokens(call)

    def as_told(self, error: ProxyError) -> ProxyError:
        return error

    def encode_error(self, error: ProxyError, request_id: str) -> dict[str, Any]:
        return {"error": error_object(error)}

    def encode_stream_error(self, error: ProxyError, call: Call) -> bytes:
        return error_frame(error, call.operation)


def error_object(error: ProxyError) -> dict[str, Any]:
    """`details` are ours, for those who look."""
    return {**error_members(error), **error.details}
