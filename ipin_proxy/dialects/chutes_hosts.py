"""Where chutes live, and how one is asked for what OpenAI has no path for.

A chute is a model on a host of its own, `https://{slug}.chutes.ai`. Chat and embeddings are OpenAI's, behind `/v1`; what its
template makes itself (`/transcribe`, `/speak`, `/generate`) stands beside that. A base URL may or may not end in `/v1`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from ..call import Call, Deployment
from ..errors import BadRequest, UpstreamError
from ..records import Provider
from ..upstream import Content, Heard, Outbound, Piece
from ..web.members import BodyError
from .openai import JSON_TYPE, credentials, split_base

Json = dict[str, Any]
Requests = Generator[Outbound, Heard, None]

HOME = "chutes.ai"
# Hosts that serve the models of many chutes, by the name in the body; every other one serves its own model alone.
SHARED_HOSTS = frozenset(f"{name}.{HOME}" for name in ("llm", "embed", "image", "claude", "api"))
IMAGE_HOST = f"image.{HOME}"
# The end of a base URL that its native paths do not have.
NOT_NATIVE = re.compile(r"(?:/v1)?/(?:transcribe|speak|generate)(?:/v1)?$|/v1$")


def is_chutes(provider: Provider) -> bool:
    """Whether a provider is one: it says so, or says nothing special and lives there. The one place where that is decided."""
    if provider.type != "openai":
        return provider.type == "chutes"
    host = host_in(provider.base_url)
    return host == HOME or host.endswith(f".{HOME}")


@lru_cache(maxsize=1024)
def host_in(base_url: str) -> str:
    return (urlsplit(base_url.strip()).hostname or "").lower().removesuffix(".")


def native(call: Call, deployment: Deployment, path: str, body: Sequence[Piece]) -> Outbound:
    """A request to a path beside `/v1`. Of the caller's headers none goes with it."""
    provider = deployment.provider
    origin, base, query = split_base(provider.base_url, provider.ca_file or "", provider.verify)
    path = NOT_NATIVE.sub("", base) + path
    headers = credentials(provider, deployment.secret)
    headers |= {"content-type": JSON_TYPE, "accept": "*/*"}
    return Outbound(
        provider.id, origin, "POST", f"{path}?{query}" if query else path, headers, body, deployment.timeout_s
    )


def members_of(call: Call) -> Json:
    """Every member of a JSON body, also where long texts were left out of it."""
    assert call.members is not None
    try:
        return call.members.full()
    except BodyError as error:
        raise BadRequest(error.message, code="invalid_json") from error


def json_of(content: Content, deployment: Deployment) -> Any:
    try:
        return json.loads(content.body)
    except (ValueError, RecursionError) as error:
        provider = deployment.provider.id
        raise UpstreamError(f"Provider '{provider}' answered with a body that is not JSON.") from error
