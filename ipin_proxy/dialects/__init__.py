"""Wire formats. A client dialect is what callers speak to us, an upstream dialect what we speak to providers.

Functions here are pure: bytes and values in, bytes and values out. To add a dialect, write a file that offers what `faces.py` says,
and add a line to a table below. Providers of a type without a file of its own are spoken to in OpenAI's format, which nearly all offer.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from ..call import MESSAGE, OCR, RESPONSE, Call, Deployment, Operation
from ..records import Provider
from ..web.request import Request
from .chutes_hosts import is_chutes

if TYPE_CHECKING:
    from ..memory import Memory
    from .faces import ClientDialect, UpstreamDialect, Way

OPENAI, MESSAGES = "openai", "anthropic"
ANY = "any"  # of a route that answers in whichever its caller speaks

# Files of this folder, by the dialect of a route.
CLIENTS = {OPENAI: "openai_client", MESSAGES: "messages"}
CROSSING = (MESSAGE, RESPONSE)  # operations that not every provider knows, and every one that chats can serve
# Files of this folder, by the `type` of the providers that speak so; whoever is asked to read is spoken to by another.
UPSTREAMS = frozenset({OPENAI, "anthropic", "chutes", "demo"})
READING = "ocr"
SEEING = frozenset({"anthropic", "demo"})  # but for these, who read, or refuse to, in their own way


@cache
def client_dialect(name: str) -> ClientDialect:
    """Loaded when the first caller speaks it."""
    dialect: ClientDialect = import_module(f".{CLIENTS[name]}", __package__).Client()
    return dialect


def dialect_of(request: Request | None) -> str:
    """What a caller speaks, as far as it can be told without a route."""
    if request is not None and ("anthropic-version" in request.headers or "/v1/messages" in request.path):
        return MESSAGES
    return OPENAI


def way(call: Call, deployment: Deployment, memory: Memory) -> Way:
    """From the caller's dialect to the provider's and back, for one attempt."""
    back = upstream_dialect(deployment.provider, call.operation)
    if call.operation not in CROSSING:
        return back
    client, native = client_dialect(call.dialect), back.native_for(call.operation)
    speaks = deployment.provider.responses if call.operation is RESPONSE else native is not None
    if speaks and native is not None and not client.is_ours(call, memory):
        return native
    from .crossing import Crossing

    return Crossing(client, back, native if speaks is None else None, call, deployment, memory)


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
