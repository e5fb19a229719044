"""Asking a provider about itself: whether it answers, whether it takes its key, which models it lists.

`check` turns every outcome into a sentence for an administrator; `list_models` raises what goes wrong. Both send one GET
with the provider's credentials, follow no redirect, and show neither the key nor a provider's own pages.
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, NamedTuple

from .call import Deployment
from .dialects import upstream_dialect
from .dialects.listing import models_told, next_page
from .dialects.openai import raise_if_error
from .errors import NotConfigured, ProxyError, UpstreamError
from .records import Model, Provider
from .upstream import Reply
from .web.task import THREAD, Next

if TYPE_CHECKING:
    from .app import App

LIMIT_S = 10.0  # somebody is looking at the page and waiting
MOST_PAGES = 10
BUILT_IN = "demo"


class Finding(NamedTuple):
    """How a check went. `status` is the provider's, 0 when nothing was answered."""

    ok: bool
    status: int
    latency_ms: int
    message: str

    def to_json(self) -> dict[str, Any]:
        return {"ok": self.ok, "status": self.status, "latencyMs": self.latency_ms, "message": self.message}


class Told(NamedTuple):
    """A reply that has been read; `value` is its JSON, None when it is none."""

    reply: Reply
    body: bytes
    value: Any


def check(app: App, provider: Provider) -> Generator[Next, None, Finding]:
    """Whether calls to a provider can be expected to work."""
    if provider.type == BUILT_IN:
        return Finding(True, 200, 0, "The demo is built in and always answers.")
    started_at = time.monotonic()
    try:
        deployment = deployment_of(app, provider)
        told = yield from ask(app, deployment)
    except ProxyError as error:
        return Finding(False, 0, _ms_since(started_at), error.message)
    ok, message = judged(told, deployment)
    return Finding(ok, told.reply.status, _ms_since(started_at), message)


def list_models(app: App, provider: Provider) -> Generator[Next, None, list[dict[str, Any]]]:
    """What a provider says it serves, `{id, name}` each, with what else it tells of them. Raises ProxyError."""
    if provider.type == BUILT_IN:
        return [{"id": BUILT_IN, "name": BUILT_IN}]
    deployment = deployment_of(app, provider)
    found: dict[str, dict[str, Any]] = {}
    after = ""
    for _ in range(MOST_PAGES):
        told = yield from ask(app, deployment, after)
        if not 200 <= told.reply.status < 300:
            raise upstream_dialect(provider).decode_error(told.reply, told.body, deployment)
        raise_if_error(told.value, deployment)
        models = models_told(told.value)
        if models is None:
            raise UpstreamError(f"Provider '{provider.id}' answered with something that is not a list of models.")
        news = {row["id"]: row for row in models if row["id"] not in found}
        found |= news
        after = next_page(told.value)
        if not after or not news:  # some say that there is more, and tell the same again
            break
    return list(found.values())


def deployment_of(app: App, provider: Provider) -> Deployment:
    """A provider with its key, as dialects know it. Raises NotConfigured when the key is not where it should be."""
    secret = None
    if provider.api_key is not None:
        secret = app.secret_of(provider)
        if secret is None:
            raise NotConfigured(
                f"Provider '{provider.id}' has {provider.shown_key()} as its key, and nothing usable is there. "
                "Set the variable or make the file, then reload or restart the server."
            )
    return Deployment(Model(id=provider.id, provider_id=provider.id), provider, provider.id, secret, LIMIT_S)


def ask(app: App, deployment: Deployment, after: str = "") -> Generator[Next, None, Told]:
    """GET the provider's list of models, or its page behind the model `after`. Raises UpstreamError and its kind."""
    reply = yield from app.upstreams.send(upstream_dialect(deployment.provider).list_request(deployment, after))
    try:
        body = yield from reply.read_all()
    finally:
        reply.close()
    yield THREAD  # lists of hundreds of models take a while to parse
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    return Told(reply, body, value)


def judged(told: Told, deployment: Deployment) -> tuple[bool, str]:
    """Whether this reply is a good sign, and what to tell an administrator."""
    provider, status = deployment.provider, told.reply.status
    if 200 <= status < 300:
        try:
            raise_if_error(told.value, deployment)
        except ProxyError as error:
            return False, f"It answered with an error: {error.message}"
        if told.value is None:
            return False, "It answered with something that is not JSON, such as a web page. Check the base URL."
        models = models_told(told.value)
        if models is None:
            return True, "It answers, but not with a list of models. Try a call."
        return True, f"It works: {len(models)} model{'' if len(models) == 1 else 's'} listed."
    if status in (401, 403):
        if deployment.secret is None:
            return False, f"It asks for an API key (status {status}), and this provider has none. Enter one."
        return False, f"It did not accept the API key (status {status}). Check the key and the kind of authentication."
    if status in (404, 405):
        if told.value is not None:
            return (
                True,
                f"It answers, but lists no models (status {status}). Try a call; if it fails, check the base URL.",
            )
        return False, f"There is no API at this base URL (status {status}). Check its path; most end in /v1."
    if 300 <= status < 400:
        return False, f"It redirects to another address (status {status}), which is not followed. Check the base URL."
    message = upstream_dialect(provider).decode_error(told.reply, told.body, deployment).message
    if status == 429:
        return False, f"It is there, but refuses for now (status 429): {message}"
    return False, f"It answered with status {status}: {message}"


def _ms_since(started_at: float) -> int:
    return round((time.monotonic() - started_at) * 1000)
