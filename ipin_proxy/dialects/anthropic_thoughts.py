"""A conversation without thoughts that are refused: because nobody signed them, or for somebody else, or for another conversation.

What another provider's model thought is handed back without a signature, or with another's, and Anthropic refuses every
conversation with such a thought in it. A client that was answered by somebody else but once could never come back; so whoever
refuses gets the conversation without them. Where they are missing between calls of tools, nobody may think on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ..web.members import REMOVE
from .anthropic_parts import is_thought

Json = dict[str, Any]

# "messages.1.content.0: Invalid `signature` in `thinking` block", "messages.1.content.0.thinking.signature: Field required"
# Both words, in any order; from its beginning, since a server may repeat them thousands of times.
REFUSAL = re.compile(r"\A(?=.*thinking).*signature", re.DOTALL)
# "…Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` is enabled, a final `assistant` message
# must start with a thinking block…"
MISSING = re.compile(r"must start with a thinking block")
CLEARING = "clear_thinking"  # an edit of the context that is refused where nobody thinks


def is_unsigned(block: Any) -> bool:
    return type(block) is dict and block.get("type") == "thinking" and not block.get("signature")


def thoughtless(body: Mapping[str, Any], is_refused: Callable[[Any], bool]) -> Json:
    """The members of a Messages body that change when it goes without the thoughts that are refused; {} when it need not."""
    told = body.get("messages")
    if type(told) is not list:
        return {}
    messages = without_thoughts(told, is_refused)
    changes: Json = {"messages": messages} if messages != told else {}
    thinking = body.get("thinking")
    if type(thinking) is dict and thinking.get("type") == "enabled" and not thinks_on(messages):
        changes["thinking"] = REMOVE
        management = body.get("context_management")
        edits = management.get("edits") if type(management) is dict else None
        if type(management) is dict and type(edits) is list:
            changes["context_management"] = {**management, "edits": [each for each in edits if not is_clearing(each)]}
    return changes


def without_thoughts(messages: list[Any], is_refused: Callable[[Any], bool] = is_thought) -> list[Any]:
    """The messages without such blocks, and without those that were nothing else."""
    found: list[Any] = []
    for message in messages:
        content = message.get("content") if type(message) is dict and message.get("role") == "assistant" else None
        if type(content) is list and any(map(is_refused, content)):
            content = [block for block in content if not is_refused(block)]
            if not content:
                continue
            message = {**message, "content": content}
        found.append(message)
    return found


def thinks_on(messages: list[Any]) -> bool:
    """Whether a model that has a budget to think may use it: while it uses tools, each of its messages must begin with a
    thought."""
    for message in reversed(messages):
        content = message.get("content") if type(message) is dict else None
        kinds = [block.get("type") for block in content if type(block) is dict] if type(content) is list else []
        role = message.get("role") if type(message) is dict else None
        if role == "user" and "tool_result" not in kinds:
            return True
        if role == "assistant" and kinds[:1] not in (["thinking"], ["redacted_thinking"]):
            return False
    return True


def is_clearing(edit: Any) -> bool:
    kind = edit.get("type") if type(edit) is dict else None
    return type(kind) is str and kind.startswith(CLEARING)
