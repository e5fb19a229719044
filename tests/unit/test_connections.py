"""Connections to providers: what cannot be connected to is told as that."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from ipin_proxy.connections import Connections, Origin
from ipin_proxy.errors import UpstreamUnreachable


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", ["::1%a b", "::1%a\r\nx: y", "a..b", "a" * 300])
def test_a_host_that_cannot_be_one_is_unreachable(scheme: str, host: str) -> None:
    connections = Connections({}, time.monotonic)
    with pytest.raises(UpstreamUnreachable):
        connections.connect(Origin(scheme, host, 80), time.monotonic() + 5)


def test_a_provider_in_the_process_needs_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's limit is reached: that is no fault of ours, and passes."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    connections = Connections({"demo": socket.socket.close}, time.monotonic)
    with pytest.raises(UpstreamUnreachable):
        connections.connect(Origin("demo", "demo", 0), time.monotonic() + 5)
