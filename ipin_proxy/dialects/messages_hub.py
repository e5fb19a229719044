"""One call by Messages on its way through the hub: its request as a chat, and what its answer is written with."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from ..call import Call, Deployment
from ..errors import BadRequest, ProxyError
from ..web.members import BodyError, Members
from . import messages_errors, openai
from .messages_count import estimate
from .messages_reply import Asked, encode_response
from .messages_request import decode_request
from .messages_stream import encode_stream
from .schemas import cleaned_chat
from .tastes import taste_of
from .translation import Encode

if TYPE_CHECKING:
    from ..memory import Memory

Json = dict[str, Any]


class Hub:
    """`body` is the chat."""

    def __init__(self, call: Call, deployment: Deployment, memory: Memory, owner: str) -> None:
        assert call.members is not None
        told = completed(call.members)
        provider, keepsakes = deployment.provider, memory.keepsakes
        taste = taste_of(openai.endpoint(provider, "")[0].host, deployment.upstream_model)
        decoded = decode_request(told, taste, partial(keepsakes.of, owner))
        memory.note(call, decoded.notes)
        self.body: Json = {**cleaned_chat(decoded.body, provider), "model": deployment.upstream_model}
        self._asked = Asked(
            call.model,
            decoded.names,
            decoded.stops,
            decoded.thinks,
            estimate(told),
            call.id,
            keep=partial(keepsakes.keep, owner),
            ids=decoded.ids,
        )

    def written(self, completion: Json) -> Json:
        return encode_response(completion, self._asked)

    def step(self) -> Encode:
        return encode_stream(self._asked)

    def told(self, error: ProxyError) -> ProxyError:
        return messages_errors.overflow(error) or error


def completed(members: Members) -> Json:
    """A body whose long strings may stay where they are, but for those in the inputs of tools: these become texts within a
    text, and must be whole."""
    values = members.values
    if not members.hollow or b'"tool_use"' not in members.raw:
        return values
    messages = values.get("messages")
    if type(messages) is not list:
        return values
    return {**values, "messages": [_with_inputs(message, members) for message in messages]}


def _with_inputs(message: Any, members: Members) -> Any:
    content = message.get("content") if type(message) is dict else None
    if type(content) is not list:
        return message
    return {**message, "content": [_with_input(block, members) for block in content]}


def _with_input(block: Any, members: Members) -> Any:
    if type(block) is not dict or block.get("type") != "tool_use" or not block.get("input"):
        return block
    try:
        return {**block, "input": json.loads(b"".join(members.encode(block["input"])))}
    except (BodyError, ValueError, RecursionError) as error:
        raise BadRequest("The input of a tool in the body cannot be read.", code="invalid_json") from error
