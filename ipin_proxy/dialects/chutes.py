"""Chutes: OpenAI, except for what its own templates do. Transcription, speech and images have paths and members of their own.

What is known of its templates comes from public examples, which disagree; where they do, a refusal decides, and is remembered.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from functools import partial

from ..call import EMBEDDING, HEARING, IMAGE, IMAGE_EDIT, SPEECH, Bill, Call, Deployment
from ..errors import UpstreamError
from ..manners import Manners
from ..upstream import Content, Heard, Outbound, Reply
from ..web.response import JSON_TYPE, STREAM_TYPE, Pipe
from . import embeddings, openai
from .chutes_audio import heard, sound, speak, transcribe
from .chutes_hosts import SHARED_HOSTS, Requests, host_in, json_of
from .chutes_images import drawn, generate, pictures_asked_for
from .listing import models_told

DRAWING = (IMAGE, IMAGE_EDIT)


class Upstream(openai.Upstream):
    """What chutes are told and answer."""

    def requests(self, call: Call, deployment: Deployment, manners: Manners, number: int) -> Requests:
        if call.operation in HEARING:
            return transcribe(call, deployment, manners)
        if call.operation is SPEECH:
            return speak(call, deployment)
        if call.operation in DRAWING:
            return generate(call, deployment, number)
        if call.operation is EMBEDDING:
            encode = partial(self.encode_request, ask_usage=False)
            return embed(lambda each: embeddings.requests(encode, call, each, manners), deployment, manners)
        return super().requests(call, deployment, manners, number)

    def replies_of(self, call: Call) -> int:
        """`/generate` draws one picture."""
        return pictures_asked_for(call) if call.operation in DRAWING else 1

    def pipe_of(self, reply: Reply, bill: Bill, deployment: Deployment) -> tuple[str, Pipe] | None:
        operation = bill.call.operation
        if operation in (*HEARING, *DRAWING):
            return None
        if operation is not SPEECH or reply.media_type in (JSON_TYPE, STREAM_TYPE):
            return super().pipe_of(reply, bill, deployment)
        return sound(reply, bill, deployment)

    def decode_body(self, contents: Sequence[Content], bill: Bill, deployment: Deployment) -> Content:
        operation = bill.call.operation
        if operation in HEARING:
            return heard(contents[0], bill, deployment)
        if operation in DRAWING:
            return drawn(contents, bill, deployment)
        if operation is SPEECH:
            openai.raise_if_error(json_of(contents[0], deployment), deployment)
            raise UpstreamError(f"Provider '{deployment.provider.id}' answered with JSON instead of sound.")
        return super().decode_body(contents, bill, deployment)


def embed(
    ask: Callable[[Deployment], Generator[Outbound, Heard, Heard]], deployment: Deployment, manners: Manners
) -> Requests:
    """A chute takes its model by one name. Under another it answers 404, and then says which one when it is asked; on a host
    of many models that would be somebody else's."""
    name = manners.name_at(deployment)
    told = yield from ask(replace(deployment, upstream_model=name))
    provider = deployment.provider
    if told.status != 404 or host_in(provider.base_url) in SHARED_HOSTS:
        return
    origin, path = openai.endpoint(provider, "/models")
    headers = {**openai.credentials(provider, deployment.secret), "accept": JSON_TYPE}
    told = yield Outbound(provider.id, origin, "GET", path, headers, (), deployment.timeout_s)
    try:
        listed = models_told(json.loads(told.body)) if told.status == 200 else None
    except (ValueError, RecursionError):
        listed = None
    if listed and len(listed) == 1 and listed[0]["id"] != name:
        manners.is_called(deployment, listed[0]["id"])
        yield from ask(replace(deployment, upstream_model=listed[0]["id"]))
