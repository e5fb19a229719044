"""The pages and what they load, from `static/`, and the description of the API that they, and others, read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from ..app import App, Visit
from ..errors import NotFound
from ..web.files import SECURITY, Files
from ..web.response import JSON_HEADERS, Response
from ..web.router import Route

Handler = Callable[[App, Visit], Response]

FILES = Files(Path(__file__).resolve().parents[2] / "static")
ICON = "favicon.svg"


def page(name: str) -> Handler:
    """One file of `static/`, whatever path it is asked for under."""

    def handler(app: App, visit: Visit) -> Response:
        return serve(visit, name)

    return handler


def script(app: App, visit: Visit) -> Response:
    """`GET /js/…`: the files of `static/js/` and its folders."""
    return serve(visit, f"js/{visit.params['path']}")


def icon(app: App, visit: Visit) -> Response:
    """`GET /favicon.ico`, which browsers ask for unbidden; without one there is nothing to say, and no error."""
    return FILES.answer(visit.request, ICON) or Response(204, SECURITY)


def serve(visit: Visit, name: str) -> Response:
    answer = FILES.answer(visit.request, name)
    if answer is None:
        raise NotFound(f"There is nothing at {visit.request.method} {visit.request.path}.")
    return answer


def describe(routes: Callable[[], Iterable[Route]]) -> Handler:
    """`GET /openapi.json`: made of the table of routes, once."""
    made: list[bytes] = []

    def handler(app: App, visit: Visit) -> Response:
        if not made:
            from .. import openapi  # seldom asked for

            made.append(json.dumps(openapi.document(routes())).encode())
        return Response(200, {**JSON_HEADERS, "cache-control": "no-cache"}, made[0])

    return handler
