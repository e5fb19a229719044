"""The older tracking page and its data, for bookmarks and scripts: the request log in that page's words."""

from __future__ import annotations

import re
from typing import Any

from .. import paging
from ..app import App, Visit
from ..bodies import private_json
from ..requestlog import SORTS
from ..selection import RequestFilter
from ..web.response import Response

PAGE = "../admin.html#/requests"


def snake(name: str) -> str:
    """costUsd → cost_usd."""
    return re.sub(r"(?=[A-Z])", "_", name).lower()


SORTED_BY = {snake(name): name for name in SORTS}


def page(app: App, visit: Visit) -> Response:
    """`GET /ui/tracking`: it is a screen of the administrators' page now."""
    return Response(302, {"location": PAGE})


def data(app: App, visit: Visit) -> Response:
    """`GET /ui/tracking_data?page&page_size&sort_by&sort_order`: `{items, total_items, page, page_size, total_pages}`."""
    query = visit.request.query
    number, size = paging.page_in(query, "page_size")
    sort = paging.word_in(query, "sort_by", "time", SORTED_BY)
    order = paging.word_in(query, "sort_order", "desc", ("asc", "desc"))
    items, total = app.ledger.requests(RequestFilter(), SORTED_BY[sort], order, number, size)
    rows: list[dict[str, Any]] = [{snake(name): value for name, value in item.items()} for item in items]
    return private_json(
        {
            "items": rows,
            "total_items": total,
            "page": number,
            "page_size": size,
            "total_pages": -(-total // size),
        }
    )
