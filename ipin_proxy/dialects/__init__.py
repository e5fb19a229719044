"""Wire formats. A client dialect is what callers speak to us, an upstream dialect what we speak to providers.

Functions here are pure: bytes and values in, bytes and values out. To add a dialect, write a file and add a line to a
table below. Providers of a type without a file of its own are spoken to in OpenAI's format, which nearly all offer.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from functools import cache
from importlib import import_module
from typing import Any, Protocol

from ..call import OCR, Bill, Call, Deployment, Operation
from ..errors import ProxyError
from ..manners import Manners
from ..records import Provider
from ..upstream import Content, Heard, Outbound, Reply
from ..web.response import Pipe
from . import openai
from .chutes_hosts import is_chutes
from .parts import Part


class ClientDialect(Protocol):
    """The face towards callers."""

    keep_alive: bytes  # what a stream says when there is nothing to say

    def pictures_in(self, call: Call) -> Iterator[Part]: ...

    def encode_error(self, error: ProxyError, request_id: str) -> dict[str, Any]: ...

    def encode_stream_error(self, error: ProxyError, call: Call) -> bytes: ...


class UpstreamDialect(Protocol):
    """The face towards providers."""

    rewrites: bool  # whether it writes a caller's body anew, which takes its time

    def requests(
        self, call: Call, deployment: Deployment, manners: Manners, number: int
    ) -> Generator[Outbound, Heard, None]:
        """The request to send, and after it what else is to be tried: each next one when the one before was refused. A GET
        is a question of our own, whose answer is sent in, too. `number` counts where one call needs several replies."""

    def replies_of(self, call: Call) -> int:
        """How many replies make one answer."""

    def decode_error(self, reply: Reply, body: bytes, deployment: Deployment) -> ProxyError: ...

    def pipe_of(self, reply: Reply, bill: Bill, deployment: Deployment) -> tuple[str, Pipe] | None:
        """The media type and the pipe of an answer that passes while it comes; None for one that is read whole."""

    def decode_body(self, contents: Sequence[Content], bill: Bill, deployment: Deployment) -> Content: ...

    def list_request(self, deployment: Deployment, after: str = "") -> Outbound:
        """What asks for the list of models; where that comes in pages, for the one behind the model `after`."""


OPENAI = "openai"

CLIENTS: dict[str, ClientDialect] = {OPENAI: openai.Client()}
# Files of this folder, by the `type` of the providers that speak so; whoever is asked to read is spoken to by another.
UPSTREAMS = frozenset({OPENAI, "anthropic", "chutes", "demo"})
READING = "ocr"
SEEING = frozenset({"anthropic", "demo"})  # but for these, who read, or refuse to, in their own way


def upstream_dialect(provider: Provider, operation: Operation | None = None) -> UpstreamDialect:
    if operation is OCR and (provider.type not in SEEING or (provider.ocr_path and provider.type != "demo")):
        return _upstream(READING)
    if is_chutes(provider):
        return _upstream("chutes")
    return _upstream(provider.type if provider.type in UPSTREAMS else OPENAI)


@cache
def _upstream(name: str) -> UpstreamDialect:
    """Loaded when it is first spoken: most never are."""
    dialect: UpstreamDialect = import_module(f".{name}", __package__).Upstream()
    return dialect
