"""Is it alive, is it ready, and the empty answers that clients warm a connection up with. No key is asked for."""

from __future__ import annotations

import time

from ..app import App, Visit
from ..errors import Unavailable
from ..web.response import Response


def alive(app: App, visit: Visit) -> Response:
    """`GET /health`: the process answers. Nothing more, since anybody may ask."""
    return Response.json({"status": "healthy", "service": "ipin-proxy", "timestamp": int(time.time() * 1000)})


def ready(app: App, visit: Visit) -> Response:
    """`GET /ready`: the store is loaded and new calls are welcome. They are also while the ledger is in trouble, which is
    told; what it is, only administrators learn."""
    if app.is_draining:
        raise Unavailable("The server is shutting down.")
    return Response.json({"status": "ready", "ledger": "ok" if app.ledger.trouble is None else "trouble"})


def telemetry(app: App, visit: Visit) -> Response:
    """What coding agents tell their maker, and would tell again if nobody took it. It is not looked at."""
    return Response.json({})


def hello(app: App, visit: Visit) -> Response:
    return Response()
