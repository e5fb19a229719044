"""The browser, one server for each module, and windows on it that are watched.

`page` is a window of the signed-in administrator, `stranger` one of nobody, `visit` opens further ones. Without Playwright,
Chromium or axe-core the tests are skipped: `make browser`.
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

from .window import AXE, PATIENCE_MS, WIDE, Watch

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
    "--use-fake-device-for-media-stream",  # a microphone that beeps
]
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
def session(running: Proxy) -> Any:
    """What a browser keeps once the administrator has signed in."""
    return state_of(running, "admin")


@pytest.fixture
def session_of(proxy: Proxy) -> Callable[..., Any]:
    """`session_of("ann")`: what a browser keeps once that user has signed in."""
    return lambda username: state_of(proxy, username)


def state_of(proxy: Proxy, username: str) -> Any:
    reply = proxy.post("/api/user/login", {"username": username, "password": PASSWORD})
    assert reply.status == 200, reply.body
    cookie = {"name": "ipin_session", "value": reply.json["token"], "domain": "127.0.0.1", "path": "/"}
    return {"cookies": [{**cookie, "httpOnly": True, "sameSite": "Strict"}], "origins": []}


@pytest.fixture
def visit(chromium: Browser, proxy: Proxy) -> Iterator[Visit]:
    """`visit(session, color_scheme="dark")`: a window of its own, watched; with the options of Playwright's contexts."""
    watches: list[Watch] = []

    def visit(state: Any = None, **options: Any) -> Page:
        watches.append(Watch(chromium, proxy.base_url, state, **options))
        return watches[-1].context.new_page()

    visit.watches = watches  # type: ignore[attr-defined]
    yield visit
    complaints = [each for watch in watches for each in watch.settle()]
    for watch in watches:
        watch.context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def shared_window(chromium: Browser, running: Proxy, session: Any) -> Iterator[Watch]:
    """The window that `page` is: a browser takes four times as long for a fresh one as for a fresh page in it."""
    watch = Watch(chromium, running.base_url, session)
    watch.context.new_page()
    yield watch
    watch.context.close()


@pytest.fixture
def page(shared_window: Watch, visit: Any) -> Iterator[Page]:
    """A window of the signed-in administrator, which remembers nothing of the tests before. What a test changes in
    the window itself (its clock, its scripts, whether it is online) would stay: such a test takes `visit(session)`."""
    page = shared_window.context.pages[0]
    page.goto("/health")  # away from the page before, but not from its server and its storage
    page.evaluate("localStorage.clear(); sessionStorage.clear()")
    page.mouse.move(0, 0)  # what lies under the pointer looks different
    page.set_viewport_size(WIDE)
    page.emulate_media(color_scheme="light")
    shared_window.forget()
    visit.watches.append(shared_window)
    yield page
    visit.watches.remove(shared_window)
    page.unroute_all()
    assert shared_window.settle() == []


@pytest.fixture
def panel(page: Page) -> Callable[..., Page]:
    """`panel("hears")`: the playground's panel of that model, in this window or in another one."""
    from playwright.sync_api import expect

    def panel(model: str, page: Page = page) -> Page:
        page.goto(f"/admin.html#/playground?model={model}")
        expect(page.get_by_label("Model", exact=True).filter(visible=True)).to_have_value(model)
        return page

    return panel


@pytest.fixture
def of_files(proxy: Proxy) -> Iterator[None]:
    """Models that take a file, for as long as a test."""
    proxy.add_model("hears", type="transcription")
    proxy.add_model("reads", type="ocr")
    yield
    for each in ("hears", "reads"):
        proxy.admin("DELETE", f"/models/{each}")


@pytest.fixture
def expecting(visit: Any) -> Callable[[str], None]:
    """`expecting("status of 401")`: what the console will say because this test brings it about, in all windows so far."""

    def expecting(pattern: str) -> None:
        for watch in visit.watches:
            watch.expect(pattern)

    return expecting


@pytest.fixture
def stranger(visit: Visit) -> Page:
    """A window of nobody yet."""
    return visit()
