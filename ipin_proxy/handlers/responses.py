"""Responses that this house has kept: those of providers that only chat. One may be read again, with what it was made from, or
forgotten. What a provider keeps itself is asked for there."""

from __future__ import annotations

from .. import keys
from ..app import App, Visit
from ..bodies import private_json
from ..call import RESPONSE
from ..conversations import Kept
from ..dialects.openai_stream import events_of_response
from ..dialects.responses_reply import deleted, page_of
from ..errors import BadRequest, NotFound
from ..memory import owner_of
from ..relay import STREAM_HEADERS
from ..web.response import Response

MOST_ITEMS = 100
MOST_DIGITS = 15


def retrieve(app: App, visit: Visit) -> Response:
    query = visit.request.query
    if query.get("stream") != "true":
        return private_json(find_kept(app, visit).response)
    after = query.get("starting_after", "")  # SDKs go on so where a stream was broken off
    if after and not (after.isascii() and after.isdigit() and len(after) <= MOST_DIGITS):
        raise BadRequest("'starting_after' must be the number of an event.", param="starting_after")
    events = events_of_response(find_kept(app, visit).response, int(after) if after else -1)
    return Response(200, STREAM_HEADERS, events)


def delete(app: App, visit: Visit) -> Response:
    find_kept(app, visit)
    app.memory.conversations.delete(owner_of(visit.caller), visit.params["id"])
    return private_json(deleted(visit.params["id"]))


def input_items(app: App, visit: Visit) -> Response:
    query = visit.request.query
    limit = query.get("limit", "20")
    if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit[:4]) <= MOST_ITEMS:
        raise BadRequest(f"'limit' must be a whole number from 1 to {MOST_ITEMS}.", param="limit")
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise BadRequest("'order' must be asc or desc.", param="order")
    items = find_kept(app, visit).input
    return private_json(page_of(items, after=query.get("after"), limit=int(limit), newest_first=order == "desc"))


def find_kept(app: App, visit: Visit) -> Kept:
    keys.check_use(visit.caller, RESPONSE.scope, visit.address)
    name = visit.params["id"]
    found = app.memory.conversations.get(owner_of(visit.caller), name)
    if found is None:
        raise NotFound(
            f"Response with id '{name[:80]}' not found. It may be too old, made with another key, or kept by its provider.",
            param="id",
        )
    return found
