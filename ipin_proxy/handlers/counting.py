"""`POST /v1/messages/count_tokens`: about how many tokens a request would be. A provider that counts itself is asked; else it is a
good guess, there at once. It is no call: it costs nothing, stands in no ledger, and a dozen at a time are none of those in parallel.
"""

from __future__ import annotations

import json
from collections.abc import Generator

from .. import keys
from ..app import App, Visit
from ..bodies import json_members, model_name
from ..call import COUNT, MESSAGE, Call
from ..deployments import Catalog, asked_for
from ..dialects import client_dialect, upstream_dialect
from ..errors import BadRequest, ProxyError, UpstreamRefused
from ..records import Model
from ..relay import ERROR_BYTES, deployments_of, prompted
from ..web.members import BodyError
from ..web.response import Response
from ..web.task import THREAD, Next, Steps


def count(app: App, visit: Visit) -> Steps:
    keys.check_use(visit.caller, COUNT.scope, visit.address)
    yield THREAD
    body = json_members(visit.request)
    model = model_name(body.values.get("model"))
    for member, code in COUNT.required.items():
        if body.values.get(member) in (None, ""):
            raise BadRequest(f"The body has no '{member}'.", code=code, param=member)
    call = visit.call(COUNT, model, False, members=body)
    catalog = app.catalog()
    call, found = asked_for(catalog, call)
    reservation = app.limits.admit(call.caller, counts_parallel=False)
    try:
        if call.alias:
            yield from prompted(catalog, call)
        tokens = yield from count_at_provider(app, catalog, call, found)
    finally:
        app.limits.release(reservation)
    if tokens is None:
        yield THREAD
        try:
            tokens = client_dialect(call.dialect).count(call)
        except BodyError as error:
            raise BadRequest(error.message, code="invalid_json") from error
    return Response.json({"input_tokens": tokens})


def count_at_provider(app: App, catalog: Catalog, call: Call, model: Model) -> Generator[Next, None, int | None]:
    """The provider's own count; None where it has none, or does not answer. Raises what it finds wrong with the request."""
    deployment = deployments_of(app, catalog, call, model)[0]
    native = upstream_dialect(deployment.provider).native_for(MESSAGE)
    manners = app.memory.manners
    place = f"{COUNT.path} of {deployment.upstream_model}"
    if native is None or place in manners.refused_by(deployment.provider):
        return None
    try:
        reply = yield from app.upstreams.send(next(native.requests(call, deployment, manners, 0)))
        try:
            body = yield from reply.read_beginning(ERROR_BYTES)
        finally:
            reply.close()
    except (ProxyError, OSError):
        return None
    if reply.status in (404, 405, 501):
        manners.refuses(deployment.provider, {place})
    error = native.decode_error(reply, body, deployment) if reply.status in (400, 413, 422) else None
    if isinstance(error, UpstreamRefused):
        raise error
    try:
        tokens = json.loads(body).get("input_tokens") if reply.status == 200 else None
    except (ValueError, RecursionError, AttributeError):
        return None
    return tokens if type(tokens) is int and tokens >= 0 else None
