"""Anthropic's Messages API towards callers, over the chat hub: the face, whose rooms stand beside it.

    messages_request    a Messages body as a chat's         messages_reply     a completion as a Messages object
    messages_turns      the order of its conversation       messages_stream    chunks as events
    messages_blocks     its content                         messages_calls     calls of tools out of deltas
    messages_tools      its tools and their names           messages_errors    refusals, and prompts that are too long
    messages_shapes     what its values must be             messages_count     about how many tokens it is

It is loaded when the first caller speaks it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..call import Call
from ..errors import ProxyError
from . import messages_errors, parts
from .messages_count import estimate
from .messages_reply import Asked, encode_response
from .messages_request import Decoded, decode_request, refuse_thread
from .messages_stream import PING, encode_stream

__all__ = [
    "Asked",
    "Client",
    "Decoded",
    "decode_request",
    "encode_response",
    "encode_stream",
    "estimate",
    "refuse_thread",
]


class Client:
    """What Anthropic's clients read."""

    keep_alive = PING

    def pictures_in(self, call: Call) -> Iterator[parts.Part]:
        return parts.in_messages(call.members.values) if call.members is not None else iter(())

    def encode_error(self, error: ProxyError, request_id: str) -> dict[str, Any]:
        return messages_errors.encode_error(error, request_id)

    def encode_stream_error(self, error: ProxyError, call: Call) -> bytes:
        return messages_errors.encode_stream_error(error, call.id)
