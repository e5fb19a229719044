"""Where chutes live, and how one is asked for what OpenAI has no path for.

A chute is a model on a host of its own, `https://{slug}.chutes.ai`. Chat and embeddings are OpenAI's, behind `/v1`; what its
template makes itself (`/transcribe`, `/speak`, `/generate`) stands beside that. A base URL may or may not end in `/v1`.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from ..call import Call, Deployment
from ..errors import BadRequest, UpstreamError
from ..records import Provider
from ..upstream import Content, Heard, Outbound
from ..web.members import BodyError

Json = dict[str, Any]
Requests = Generator[Outbound, Heard, None]

HOME = "chutes.ai"
# Hosts that serve the models of many chutes, by the name in the body; every other one serves its own model alone.
SHARED_HOSTS = frozenset(f"{name}.{HOME}" for name in ("llm", "embed", "image", "claude", "api"))
IMAGE_HOST = f"image.{HOME}"


def is_chutes(provider: Provider) -> bool:
    """Whether a provider is one: it says so, or says nothing special and lives there. The one place where that is decided."""
    if provider.type != "openai":
        return provider.type == "chutes"
    host = host_in(provider.base_url)
    return host == HOME or host.endswith(f".{HOME}")


@lru_cache(maxsize=1024)
def host_in(base_url: str) -> str:
    return (urlsplit(base_url.strip()).hostname or "").lower().removesuffix(".")


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
