"""The fixtures every test may use: clock, upstream, proxy, key, admin; and start_proxy for one of special make.

`proxy` and `upstream` are shared by all tests of a run and cleaned between them, which keeps a test at milliseconds. A
test that needs its own settings or a fresh process asks for `start_proxy`.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import build
from support.client import Reply
from support.clock import Clock
from support.proxy import KEY, Proxy
from support.upstream import Upstream

gc.disable()  # until all tests are found

with contextlib.suppress(ImportError):
    from hypothesis import settings

    settings.register_profile("house", deadline=None)  # the machine may be busy: that is no fault of what is tested
    settings.load_profile("house")

MODELS = [
    build.model(),
    build.model("gpt-same", upstreamModel="gpt-same"),  # nothing has to change on its way
    build.model("org/gpt-slash"),
    build.model("embed-public", type="embedding"),
    build.model("image-public", type="image"),
    build.model("speech-public", type="speech"),
    build.model("rerank-public", type="reranking"),
    build.model("moderation-public", type="moderation"),
]


def pytest_collection_finish() -> None:
    """What was loaded and found lives as long as the run: it need not be looked at in every collection."""
    gc.freeze()
    gc.enable()


class House:
    """The shared proxy, replaced when a test has broken it."""

    def __init__(self, upstream: Upstream, folder: Callable[[], Path]) -> None:
        self.upstream = upstream
        self.folder = folder
        self.proxy: Proxy | None = None

    def healthy(self) -> Proxy:
        if self.proxy is not None and not self.proxy.is_healthy():
            self.stop()
        if self.proxy is None:
            provider = build.provider(self.upstream.base_url)
            self.proxy = Proxy.start(self.folder(), providers=[provider], models=MODELS)
        return self.proxy

    def stop(self) -> None:
        if self.proxy is not None:
            self.proxy.stop()
            self.proxy = None


@pytest.fixture(scope="session")
def shared_upstream() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture(scope="session")
def house(shared_upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(shared_upstream, lambda: tmp_path_factory.mktemp("proxy"))
    yield house
    house.stop()


@pytest.fixture
def clock() -> Clock:
    """Time that stands still until it is told to move."""
    return Clock()


@pytest.fixture
def upstream(shared_upstream: Upstream) -> Iterator[Upstream]:
    """The scripted provider "acme" with an empty queue; what it received must have been proper HTTP."""
    shared_upstream.clear()
    yield shared_upstream
    complaints = list(shared_upstream.complaints)
    shared_upstream.clear()
    assert complaints == []


@pytest.fixture
def running(house: House) -> Proxy:
    """A running proxy with the provider "acme" and the models above; a file may have one of its own instead."""
    return house.healthy()


@pytest.fixture
def proxy(running: Proxy, upstream: Upstream) -> Iterator[Proxy]:
    """The running proxy. No test may make it print a trace."""
    before = len(running.output)
    yield running
    running.client.close()
    assert "Traceback" not in running.output[before:]


@pytest.fixture
def start_proxy(tmp_path: Path, upstream: Upstream) -> Iterator[Callable[..., Proxy]]:
    """Starts a proxy with the arguments of `Proxy.start`; the shared provider and models unless others are given."""
    started: list[Proxy] = []

    def start(**options: object) -> Proxy:
        folder = tmp_path / f"proxy-{len(started)}"
        folder.mkdir()
        given = {"providers": [build.provider(upstream.base_url)], "models": MODELS, **options}
        proxy = Proxy.start(folder, **given)  # type: ignore[arg-type]
        started.append(proxy)
        return proxy

    yield start
    for proxy in started:
        proxy.stop()


@pytest.fixture
def key() -> str:
    """A virtual key that may use every model."""
    return KEY


@pytest.fixture
def admin(proxy: Proxy) -> Callable[..., Reply]:
    """`admin("GET", "/providers")`: a request to /api/admin by the signed-in administrator."""
    return proxy.admin
