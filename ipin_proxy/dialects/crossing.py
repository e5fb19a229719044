"""The way between a caller's dialect and a provider's that differ, for one call to one deployment: into the hub and out again.

The caller's half (`ClientDialect.hub_of`) makes a chat of the request, and their words of its answer; the provider's half takes the
chat as any other. Where a provider may speak the caller's dialect itself it is asked so first; that it does not is remembered.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from ..call import CHAT, Bill, Call, Deployment
from ..errors import ProxyError, UpstreamError
from ..manners import Manners
from ..upstream import Content, Heard, Outbound, Reply
from ..web.members import Remade
from ..web.response import JSON_TYPE, STREAM_TYPE, Pipe
from . import openai, refusals
from .translation import Translation, chars_said

if TYPE_CHECKING:
    from ..memory import Memory
    from .faces import ClientDialect, Hub, UpstreamDialect, Way

NOT_THERE = (404, 405, 501)


class Crossing:
    """Made anew for each attempt: it holds what the answer must be written with."""

    def __init__(
        self,
        client: ClientDialect,
        back: UpstreamDialect,
        native: Way | None,
        call: Call,
        deployment: Deployment,
        memory: Memory,
    ) -> None:
        self._client = client
        self._back = back
        self._memory = memory
        self._place = f"{call.operation.path} of {deployment.upstream_model}"
        if native is not None and (
            self._place in memory.manners.refused_by(deployment.provider) or client.is_ours(call, memory)
        ):
            native = None
        self._native = native
        self.rewrites = native is None
        self._hub: Hub | None = None
        self._call = call
        self._learns = False

    def requests(
        self, call: Call, deployment: Deployment, manners: Manners, number: int
    ) -> Generator[Outbound, Heard, None]:
        if self._native is not None:
            heard = yield from refusals.through(self._native.requests(call, deployment, manners, number))
            if heard.status not in NOT_THERE or self._client.is_named_in(heard.body, call):
                return
            self._learns = True
        self._hub = hub = self._client.hub_of(call, deployment, self._memory)
        self._hub.body.pop("stream_options", None)  # which the provider's half knows better how to ask for
        assert call.members is not None
        chat = hub.body
        for _ in range(refusals.MOST_TRIES):
            chat = refusals.without_refused(chat, deployment, manners)
            self._call = call._replace(operation=CHAT, members=Remade(call.members, chat))
            heard = yield from refusals.through(self._back.requests(self._call, deployment, manners, number))
            if not refusals.is_learned(chat, heard, deployment, manners):
                return

    def replies_of(self, call: Call) -> int:
        return 1

    def decode_error(self, reply: Reply, body: bytes, deployment: Deployment) -> ProxyError:
        if self._hub is None:
            assert self._native is not None
            return self._native.decode_error(reply, body, deployment)
        return self._hub.told(self._back.decode_error(reply, body, deployment))

    def pipe_of(self, reply: Reply, bill: Bill, deployment: Deployment) -> tuple[str, Pipe] | None:
        if self._hub is None:
            assert self._native is not None
            return self._native.pipe_of(reply, bill, deployment)
        self._learn(deployment)
        if not bill.call.wants_stream or reply.media_type not in openai.VAGUE_TYPES:
            return None
        decoding = self._back.decoding(self._call, bill, deployment)
        return STREAM_TYPE, Translation(decoding, self._hub.step(), bill, self._client.keep_alive)

    def decode_body(self, contents: Sequence[Content], bill: Bill, deployment: Deployment) -> Content:
        if self._hub is None:
            assert self._native is not None
            return self._native.decode_body(contents, bill, deployment)
        completion = self._back.completion(self._call, contents[0], bill, deployment)
        try:
            answer = json.dumps(self._hub.written(completion), allow_nan=False)
            # What the model said, should nobody tell how much that was: a response repeats the request, tools and all.
            bill.frames, bill.heard_bytes = 1, chars_said(completion)
            if not bill.call.wants_stream:
                return Content(JSON_TYPE, answer.encode())
            step = self._hub.step()
            next(step)
            return Content(STREAM_TYPE, step.send([completion]) + step.send(None))
        except (ValueError, RecursionError) as error:
            provider = deployment.provider.id
            raise UpstreamError(f"Provider '{provider}' answered with a body of a shape nobody knows.") from error

    def _learn(self, deployment: Deployment) -> None:
        """It chats, and does not speak what the caller does: the next one need not ask."""
        if self._learns:
            self._memory.manners.refuses(deployment.provider, {self._place})
