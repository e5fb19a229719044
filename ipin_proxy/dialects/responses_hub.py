"""One call by the Responses API on its way through the hub: its request as a chat, and what its answer is written with.

What is remembered of it, so that it may be continued, is its own turn, under the key it was made with.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from ..call import Call, Deployment
from ..conversations import STEM_CHARS, encoded
from ..errors import BadRequest, ProxyError
from ..memory import owner_of
from ..web.members import BodyError
from . import messages_errors, openai
from .messages_request import USER_CHARS, nearest
from .refusals import with_leading_system
from .responses_reply import MOST_REPEATED, Asked, encode_response, fit_to_repeat
from .responses_request import decode_request, input_items
from .responses_stream import encode_stream
from .schemas import cleaned_chat
from .tastes import OPENAI, Taste, taste_of
from .translation import Encode

if TYPE_CHECKING:
    from ..memory import Memory

Json = dict[str, Any]

SIGNING = "anthropic"  # the type of providers whose models take back what they thought if it is signed, and think on


class Hub:
    """`body` is the chat."""

    def __init__(self, call: Call, deployment: Deployment, memory: Memory) -> None:
        assert call.members is not None
        try:
            told = call.members.full()
        except BodyError as error:
            raise BadRequest(error.message, code="invalid_json") from error
        self._owner, self._conversations = owner_of(call.caller), memory.conversations
        host = openai.endpoint(deployment.provider, "")[0].host
        signs = deployment.provider.type == SIGNING
        taste = Taste() if signs else taste_of(host, deployment.upstream_model)  # what it takes, its own dialect knows
        previous = told.get("previous_response_id")
        decoded = decode_request(
            told,
            earlier=self._conversations.history(self._owner, previous) if type(previous) is str else None,
            look_up=partial(self._conversations.items, self._owner),
            recall=partial(memory.keepsakes.of, self._owner),
            openai=OPENAI.fullmatch(host) is not None,
            reasoning=taste.hands_back,
            details=taste.reasoning or signs,
        )
        memory.note(call, decoded.notes)
        chat = tasted(decoded.chat, taste)
        self.body: Json = {**cleaned_chat(chat, deployment.provider), "model": deployment.upstream_model}
        id = f"resp_{secrets.token_hex(STEM_CHARS // 2)}"
        stores = told.get("store") is not False
        keep = partial(memory.keepsakes.keep, self._owner) if stores else None
        repeats = told if len(call.request.body) <= MOST_REPEATED else fit_to_repeat(told)
        self._asked = Asked(id, int(time.time()), call.model, repeats, decoded.tools, keep, decoded.compacts)
        # Written down now, in a thread's time: the stream ends on the loop.
        self._items = encoded(input_items(decoded.given, id)) if stores else None

    def written(self, completion: Json) -> Json:
        response = encode_response(completion, self._asked)
        self._keep(response)
        return response

    def step(self) -> Encode:
        return encode_stream(self._asked, self._keep)

    def told(self, error: ProxyError) -> ProxyError:
        """A conversation that is too long is known by its code, whatever a provider calls it."""
        return messages_errors.overflow(error) or error

    def _keep(self, response: Json) -> None:
        if self._items is not None:
            self._conversations.keep(self._owner, response, self._items)


# -- what a model takes ---------------------------------------------------------------------------------------------


def tasted(chat: Json, taste: Taste) -> Json:
    """The chat as its model wants to be told it."""
    effort = nearest(chat.pop("reasoning_effort", None), taste.efforts)
    if effort is not None:
        chat |= {"reasoning": {"effort": effort}} if taste.reasoning else {"reasoning_effort": effort}
    if not taste.sampling:
        chat.pop("temperature", None)
        chat.pop("top_p", None)
    user = chat.get("user")
    if type(user) is not str or not taste.user:
        chat.pop("user", None)
    elif len(user) > USER_CHARS:
        chat["user"] = hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()
    if taste.leading_system:
        chat["messages"] = with_leading_system(chat["messages"])
    chat["messages"] = [with_fitting_calls(message, taste) for message in chat["messages"]]
    return chat


def with_fitting_calls(message: Json, taste: Taste) -> Json:
    calls, of = message.get("tool_calls"), message.get("tool_call_id")
    if calls:
        return {**message, "tool_calls": [fitting_call(call, taste) for call in calls]}
    return {**message, "tool_call_id": taste.fitting_id(of)} if of is not None else message


def fitting_call(call: Json, taste: Taste) -> Json:
    kept = call if taste.extras else {name: value for name, value in call.items() if name != "extra_content"}
    return {**kept, "id": taste.fitting_id(call["id"])}
