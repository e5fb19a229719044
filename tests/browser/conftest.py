"""The browser, one server for each module, and windows on it that are watched.

`page` is a window of the signed-in administrator, `stranger` one of nobody, `visit` opens further ones. The administrator
signs in through the page, once for each module. Without Playwright, Chromium or axe-core the tests are skipped: `make browser`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from support import build
from support.proxy import PASSWORD, Proxy
from support.upstream import Script, Seen, Upstream, answer

from .window import AXE, Watch, sign_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 4_000
MODELS = [
    build.model(build.PUBLIC_MODEL, name="Public chat"),
    build.model("org/blind", name="Blind chat", supportsImageUpload=False),
    build.model("embed-public", type="embedding"),
    build.model("speech-public", type="speech"),
    build.model("rerank-public", type="reranking"),
    build.model("image-public", type="image"),
    build.model("retired", name="Retired", enabled=False),
]
LISTED = [build.UPSTREAM_MODEL, "vendor/listed-vision", "vendor/listed-embed", "vendor/listed-rerank"]
Visit = Callable[..., "Page"]


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The browser. It goes with this folder, since Playwright occupies the event loop of the thread while it is there."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make browser")
    if not os.access(CHROMIUM, os.X_OK):
        pytest.skip(f"{CHROMIUM} is not there; install Chromium, or say in CHROMIUM where it is")
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: make browser")
    sync_api.expect.set_options(timeout=PATIENCE_MS)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream, chromium: Browser) -> Iterator[Proxy]:
    """The server of a module, with the provider "acme" and the models above."""
    providers = [build.provider(shared_upstream.base_url)]
    proxy = Proxy.start(tmp_path_factory.mktemp("pages"), providers=providers, models=MODELS)
    yield proxy
    proxy.stop()


@pytest.fixture
def proxy(running: Proxy, upstream: Upstream) -> Iterator[Proxy]:
    upstream.default(provider_lists)
    yield running
    running.client.close()
    assert "Traceback" not in running.output


def provider_lists(seen: Seen) -> Script | None:
    """What the upstream says when a page asks what it serves; pages may ask at any time."""
    if seen.method != "GET" or not seen.path.startswith("/v1/models"):
        return None
    return answer(200, {"object": "list", "data": [{"id": each, "object": "model"} for each in LISTED]})


@pytest.fixture(scope="module")
def session(chromium: Browser, running: Proxy) -> Any:
    """What a browser keeps once the administrator has signed in."""
    context = chromium.new_context(base_url=running.base_url)
    page = context.new_page()
    sign_in(page)
    page.wait_for_url("**/admin.html*")
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def session_of(proxy: Proxy) -> Callable[..., Any]:
    """`session_of("ann")`: what a browser keeps once that user has signed in."""

    def session_of(username: str, password: str = PASSWORD) -> Any:
        reply = proxy.post("/api/user/login", {"username": username, "password": password})
        assert reply.status == 200, reply.body
        cookie = {"name": "ipin_session", "value": reply.json["token"], "domain": "127.0.0.1", "path": "/"}
        return {"cookies": [{**cookie, "httpOnly": True, "sameSite": "Strict"}], "origins": []}

    return session_of


@pytest.fixture
def visit(chromium: Browser, proxy: Proxy) -> Iterator[Visit]:
    """`visit(session, color_scheme="dark")`: a window, watched; with the options of Playwright's contexts."""
    watches: list[Watch] = []

    def visit(state: Any = None, **options: Any) -> Page:
        given = {"base_url": proxy.base_url, "reduced_motion": "reduce", "locale": "en-GB", **options}
        context = chromium.new_context(storage_state=state, **given)
        context.set_default_timeout(PATIENCE_MS)
        watches.append(Watch(context, proxy.base_url))
        return context.new_page()

    visit.watches = watches  # type: ignore[attr-defined]
    yield visit
    complaints = [each for watch in watches for each in watch.settle()]
    for watch in watches:
        watch.context.close()
    assert complaints == []


@pytest.fixture
def expecting(visit: Any) -> Callable[[str], None]:
    """`expecting("status of 401")`: what the console will say because this test brings it about, in all windows so far."""

    def expecting(pattern: str) -> None:
        for watch in visit.watches:
            watch.expect(pattern)

    return expecting


@pytest.fixture
def page(visit: Visit, session: Any) -> Page:
    """A window of the signed-in administrator."""
    return visit(session)


@pytest.fixture
def stranger(visit: Visit) -> Page:
    """A window of nobody yet."""
    return visit()
