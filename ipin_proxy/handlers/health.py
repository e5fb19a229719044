"""Is it alive, is it ready, and the empty answers that clients warm a connection up with. No key is asked for. Whoever watches
over us is answered while all workers are busy, too: `alive` and `ready` are steps, which do not wait for one."""

from __future__ import annotations

import time

from ..app import App, Visit
from ..errors import Unavailable
from ..web.response import Response
from ..web.task import Steps


def alive(app: App, visit: Visit) -> Steps:
    """`GET /health`: the process answers. Nothing more, since anybody may ask."""
    yield from ()
    return Response.json({"status": "healthy", "service": "ipin-proxy", "timestamp": int(time.time() * 1000)})


def ready(app: App, visit: Visit) -> Steps:
    """`GET /ready`: the store is loaded and new calls are welcome. They are also while the ledger is in trouble, which is
    told; what it is, only administrators learn."""
    yield from ()
    if app.is_draining:
        raise Unavailable("The server is shutting down.")
    return Response.json({"status": "ready", "ledger": "ok" if app.ledger.trouble is None else "trouble"})


def telemetry(app: App, visit: Visit) -> Response:
    """What coding agents tell their maker, and would tell again if nobody took it. It is not looked at."""
    return Response.json({})


def hello(app: App, visit: Visit) -> Response:
    return Response()
