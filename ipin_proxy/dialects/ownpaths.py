"""Paths that stand beside `/v1`: what a server offers in a way of its own, and not in OpenAI's."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..call import Deployment
from ..upstream import Outbound, Piece
from ..web.response import JSON_TYPE
from .bases import split_base
from .openai import credentials

# The end of a base URL that such paths do not have: some people write one of them behind it.
OTHER_END = re.compile(r"(?:/v1)?/(?:transcribe|speak|generate)(?:/v1)?$|/v1$")


def request_to(deployment: Deployment, path: str, body: Sequence[Piece]) -> Outbound:
    """A request with JSON to such a path, which may have a query. Of the caller's headers none goes with it."""
    provider = deployment.provider
    origin, base, query = split_base(provider.base_url, provider.ca_file or "", provider.verify)
    target = OTHER_END.sub("", base) + path
    if query:
        target += f"{'&' if '?' in path else '?'}{query}"
    headers = {**credentials(provider, deployment.secret), "content-type": JSON_TYPE, "accept": "*/*"}
    return Outbound(provider.id, origin, "POST", target, headers, body, deployment.timeout_s)
