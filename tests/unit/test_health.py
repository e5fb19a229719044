"""Whoever watches over the server is answered, also where nobody of it has time."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from ipin_proxy import config
from ipin_proxy.app import App
from ipin_proxy.dispatch import Dispatcher
from ipin_proxy.logs import Log
from ipin_proxy.store import Store
from ipin_proxy.web.head import HeadReader, parse_request
from ipin_proxy.web.request import Request


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_it_waits_for_no_worker(tmp_path: Path, path: str) -> None:
    """Which may all be busy, or stuck, for longer than a container's probe waits."""
    store = Store.open([tmp_path / "ipin-proxy.db"])
    log = Log("error", tmp_path / "log")
    app = App(config.load({}, {}, None, {}), store, log)
    head = parse_request(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    steps = Dispatcher(app).handle(Request(head, SimpleNamespace(peer="127.0.0.1", heads=HeadReader())))  # type: ignore[arg-type]
    with pytest.raises(StopIteration) as answered:
        next(steps)
    assert answered.value.value.status == 200
    log.close()
    store.close()
