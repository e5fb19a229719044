"""The standard library's HTTP, without the TLS that it would load along.

`http.client` imports `ssl` whenever it can, which is a sixth of the memory of an idle server and of the time of its start.
A server whose providers are on the same machine never needs it, and `connections.py` loads it when the first https
provider is asked. So it looks here, for the length of one import, as if Python had been built without TLS, which is
something `http.client` knows about. Everything that needs these two takes them from here.
"""

from __future__ import annotations

import sys
from typing import Any

modules: dict[str, Any] = sys.modules
is_late = "ssl" in modules or "http.client" in modules  # somebody else in this process, such as a test
if not is_late:
    modules["ssl"] = None
try:
    import http.client as client
    from http.server import ThreadingHTTPServer
finally:
    if not is_late:
        del modules["ssl"]

__all__ = ["ThreadingHTTPServer", "client"]
