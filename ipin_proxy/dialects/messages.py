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
from typing import TYPE_CHECKING, Any

from ..call import Call, Deployment
from ..errors import ProxyError
from ..memory import owner_of
from . import messages_errors, parts
from .messages_count import estimate
from .messages_hub import Hub
from .messages_request import refuse_thread
from .messages_stream import PING

if TYPE_CHECKING:
    from ..memory import Memory
    from ..records import SystemPrompt


class Client:
    """What Anthropic's clients read."""

    keep_alive = PING

    def pictures_in(self, call: Call) -> Iterator[parts.Part]:
        return parts.in_messages(call.members.values) if call.members is not None else iter(())

    def put_prompt(self, call: Call, prompt: SystemPrompt) -> None:
        from .. import prompts  # few aliases have one

        if call.members is not None:
            prompts.put(call.members, prompt, prompts.for_messages)

    def is_ours(self, call: Call, memory: Memory) -> bool:
        return False

    def is_named_in(self, refusal: bytes, call: Call) -> bool:
        return False

    def hub_of(self, call: Call, deployment: Deployment, memory: Memory) -> Hub:
        return Hub(call, deployment, memory, owner_of(call.caller))

    def count(self, call: Call) -> int:
        """About how many tokens a body is. Raises BodyError, BadRequest."""
        assert call.members is not None
        body = call.members.full()
        refuse_thread(body)
        return estimate(body)

    def as_told(self, error: ProxyError) -> ProxyError:
        return messages_errors.overflow(error) or error

    def encode_error(self, error: ProxyError, request_id: str) -> dict[str, Any]:
        return messages_errors.encode_error(error, request_id)

    def encode_stream_error(self, error: ProxyError, call: Call) -> bytes:
        return messages_errors.encode_stream_error(error, call.id)
