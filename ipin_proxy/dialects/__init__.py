"""Wire formats. A client dialect is what callers speak to us, an upstream dialect what we speak to providers.

Functions here are pure: bytes and values in, bytes and values out. To add a dialect, write a file and add a line to a
table below. Providers of a type without a file of its own are spoken to in OpenAI's format, which nearly all offer.
"""

from __future__ import annotations

from typing import Any, Protocol

from ..call import Bill, Call, Deployment
from ..errors import ProxyError
from ..upstream import Outbound, Reply
from ..web.response import Pipe
from . import demo, openai


class ClientDialect(Protocol):
    """The face towards callers."""

    keep_alive: bytes  # what a stream says when there is nothing to say

    def encode_error(self, error: ProxyError, request_id: str) -> dict[str, Any]: ...

    def encode_stream_error(self, error: ProxyError, call: Call) -> bytes: ...


class UpstreamDialect(Protocol):
    """The face towards providers."""

    def encode_request(self, call: Call, deployment: Deployment, *, ask_usage: bool) -> Outbound: ...

    def decode_error(self, reply: Reply, body: bytes, deployment: Deployment) -> ProxyError: ...

    def decode_body(self, body: bytes, bill: Bill, deployment: Deployment) -> bytes: ...

    def decode_stream(self, bill: Bill, deployment: Deployment) -> Pipe: ...


OPENAI = "openai"

CLIENTS: dict[str, ClientDialect] = {OPENAI: openai.Client()}
UPSTREAMS: dict[str, UpstreamDialect] = {"openai": openai.Upstream(), "demo": demo.Upstream()}


def upstream_dialect(provider_type: str) -> UpstreamDialect:
    return UPSTREAMS.get(provider_type, UPSTREAMS["openai"])
