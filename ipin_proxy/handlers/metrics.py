"""`GET /metrics` for a monitoring system: the counters of `metrics.py`, and what the other parts know of themselves now."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from .. import __version__, keys, signin
from ..app import App, Visit
from ..bodies import PRIVATE
from ..errors import Forbidden
from ..metrics import MEDIA_TYPE, Gauge
from ..web.response import Response

SCOPE = "metrics"
STATM, DESCRIPTORS = Path("/proc/self/statm"), Path("/proc/self/fd")


def scrape(app: App, visit: Visit) -> Response:
    """The text, for administrators and for keys that name the scope: one without scopes is good for calls, and says
    nothing of what others do."""
    request = visit.request
    caller = (
        keys.caller_by_key(app, request)
        or signin.caller_by_session(app, request)
        or keys.caller_by_password(app, request)
    )
    if caller is None:
        raise keys.refused()
    visit.caller = caller
    keys.check_address(caller, visit.address)
    if not caller.is_admin and (caller.key is None or SCOPE not in caller.key.scopes):
        raise Forbidden(
            "This is for administrators, and for API keys whose scopes name 'metrics'.", code="scope_not_allowed"
        )
    text = app.metrics.text(gauges(app))
    return Response(200, {"content-type": MEDIA_TYPE, **PRIVATE}, text.encode())


def gauges(app: App) -> Iterator[Gauge]:
    ledger = app.ledger
    yield Gauge("ipin_build_info", "The version that is running.", 1, labels={"version": __version__})
    yield Gauge("ipin_calls_in_flight", "AI calls that are running.", app.limits.in_flight)
    if app.server is not None:
        yield Gauge("ipin_connections", "Connections of callers that are open.", len(app.server.connections))
    yield Gauge("ipin_draining", "1 while the server is shutting down.", int(app.is_draining))
    yield Gauge("ipin_ledger_trouble", "1 while calls cannot be written down.", int(ledger.trouble is not None))
    yield Gauge("ipin_ledger_lost_calls_total", "AI calls that could never be written down.", ledger.lost, "counter")
    begun = app.metrics.began_at
    yield Gauge("process_start_time_seconds", "When the process began, in seconds since 1970.", begun)
    yield Gauge("process_cpu_seconds_total", "Processor time that was used.", time.process_time(), "counter")
    resident = resident_bytes()
    if resident is not None:
        yield Gauge("process_resident_memory_bytes", "Memory that is in use.", resident)
    descriptors = open_descriptors()
    if descriptors is not None:
        yield Gauge("process_open_fds", "Descriptors that are open.", descriptors)


def resident_bytes() -> int | None:
    """Where the system tells it: Linux."""
    try:
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def open_descriptors() -> int | None:
    try:
        return len(os.listdir(DESCRIPTORS))
    except OSError:
        return None
