"""What holds for every page and screen: both themes, narrow and wide, axe-core, and names that are hostile or long.

The server of this module is full of such names.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from support import build
from support.book import entry, prefill
from support.proxy import PASSWORD, Proxy
from support.upstream import Upstream

from ipin_proxy.call import Attempt
from ipin_proxy.entries import Entry

from .window import HOSTILE, NARROW, WIDE, axe, sticking_out

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make browser")
expect = sync_api.expect
if TYPE_CHECKING:
    from playwright.sync_api import Page

# Colours do not change at once, even where motion is not wanted.
REPAINTED = """
() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))
  .then(() => Promise.all(document.getAnimations().map((each) => each.finished)))
"""
# Ids that are there twice, and icons that are drawn from nothing.
AMISS = """
() => {
  const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
  const twice = ids.filter((id, at) => ids.indexOf(id) !== at);
  const drawn = [...document.querySelectorAll("use")].map((each) => each.getAttribute("href").split("#")[1]);
  const shapes = new Set([...document.querySelectorAll("svg[hidden] [id]")].map((each) => each.id));
  return [...twice, ...drawn.filter((id) => !shapes.has(id))];
}
"""
Opened = Callable[[str], "Page"]
LONG = "a-name-without-a-single-place-to-break-it-that-goes-on-and-on-and-on-and-on-and-on-and-on"
VARIABLE = "A_RATHER_LONG_NAME_FOR_THE_KEY_OF_A_PROVIDER_KEY"
LONG_ALIAS = LONG[:60]
SCREENS = [
    "/",
    "/admin.html#/overview",
    "/admin.html#/start",
    "/admin.html#/start?step=models",
    "/admin.html#/start?step=key",
    "/admin.html#/start?step=try",
    "/admin.html#/providers",
    "/admin.html#/models",
    "/admin.html#/models?q=nothing-has-this-name",
    "/admin.html#/aliases",
    "/admin.html#/keys",
    "/admin.html#/users",
    "/admin.html#/playground?panel=chat",
    "/admin.html#/playground?panel=embeddings",
    "/admin.html#/playground?panel=transcription",
    "/admin.html#/playground?panel=speech",
    "/admin.html#/playground?panel=ocr",
    "/admin.html#/playground?panel=rerank",
    "/admin.html#/playground?panel=images",
    "/admin.html#/docs",
    "/admin.html#/overview?days=30",
    "/admin.html#/requests",
    "/admin.html#/requests?q=nothing-has-this-name",
    "/admin.html#/requests/req_hostile",
    "/admin.html#/audit",
    "/admin.html#/settings",
    "/admin.html#/settings?part=file",
    "/admin.html#/settings?part=backups",
    "/user.html#/overview",
    "/user.html#/playground",
    "/user.html#/docs",
    "/chat.html",
]
# A dialog: the screen, and the buttons and entries of menus that lead to it.
DIALOGS = {
    "choose a provider": ("/admin.html#/providers", ["Add a provider"]),
    "a provider": ("/admin.html#/providers", ["Add a provider", "Another server"]),
    "a model": ("/admin.html#/models", ["Add by hand"]),
    "an alias": ("/admin.html#/aliases", ["Add an alias"]),
    "a stored alias": ("/admin.html#/aliases", [f"More for {LONG_ALIAS}", "Edit"]),
    "use of an alias": ("/admin.html#/aliases", [f"More for {LONG_ALIAS}", "Use with…"]),
    "models of a provider": ("/admin.html#/models?provider=hostile", ["Add from a provider"]),
    "a key": ("/admin.html#/keys", ["Create an API key"]),
    "a user": ("/admin.html#/users", ["Add a user"]),
    "what goes with a provider": ("/admin.html#/providers", [f"More for {HOSTILE}", "Delete"]),
    "columns of the log": ("/admin.html#/requests", ["Columns"]),
    "a question": ("/admin.html#/settings?part=file", ["Export with secrets"]),
    "the connection": ("/chat.html", ["Connection"]),
    "parameters": ("/chat.html", ["System prompt and parameters"]),
}
# Where which record is seen.
SHOWING_NAMES = [
    each
    for each in SCREENS
    if re.search(
        r"/(providers|models|aliases|keys|users|requests|requests/req_hostile|playground\?panel=chat|docs)$", each
    )
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream, chromium: Any) -> Iterator[Proxy]:
    """A server whose every record has a name that is hostile, and one that is long."""
    base_url = shared_upstream.base_url
    types = ("chat", "embedding", "transcription", "speech", "reranking", "ocr", "image", "moderation")
    providers = [
        build.provider(base_url, "hostile", name=HOSTILE, headers={"x-note": HOSTILE}),
        build.provider(base_url, "long", name=LONG, apiKey=f"env:{VARIABLE}"),
    ]
    models = [
        build.model(f"hostile-{each}", "hostile", name=f"{HOSTILE} {each}", type=each, price={"input": 0.25})
        for each in types
    ]
    models += [build.model(f"{LONG}/{LONG}", "long", name=f"{LONG} {LONG}"), build.model("off", "long", enabled=False)]
    keys = [
        build.key(
            "sk-tests-0123456789abcdefghij", "key-1", name=HOSTILE, username=HOSTILE, expiresAt=1_700_000_000_000
        ),
        build.key("sk-long-0123456789abcdefghij", "key-2", name=LONG, username=LONG, allowedModels=[HOSTILE, LONG]),
    ]
    folder = tmp_path_factory.mktemp("every")
    prefill(folder, hostile_calls())
    proxy = Proxy.start(folder, providers=providers, models=models, keys=keys, env={VARIABLE: "sk-long"})
    for name, key in ((HOSTILE, "key-1"), (LONG, "key-2")):
        person = {"username": name[:60], "password": PASSWORD, "apiKeyId": key, "email": "a.person@example.com"}
        assert proxy.admin("POST", "/users", person).status == 201
    prompt = {"template": f"{HOSTILE} {{{{ENV_INFO}}}}", "mode": "replace"}
    for id_, name, model in (("hostile-alias", HOSTILE, HOSTILE), (LONG_ALIAS, LONG, f"{LONG}/{LONG}")):
        alias = {
            "id": id_,
            "name": name,
            "target": model,
            "modelMap": {"haiku": model, name: model},
            "systemPrompt": prompt,
        }
        assert proxy.admin("POST", "/aliases", alias).status == 201
    yield proxy
    proxy.stop()


def hostile_calls() -> list[Entry]:
    """Calls whose every text is hostile, or long."""
    now = int(time.time() * 1000)
    texts = ("key_id", "key_name", "user_id", "user_name", "model", "served_model", "upstream_model", "provider_id")
    more = ("alias", "endpoint", "user_agent", "error_code", "error_message", "finish_reason")
    calls = []
    for number, text in enumerate((HOSTILE, LONG)):
        given: dict[str, Any] = dict.fromkeys((*texts, *more), text)
        attempts = (Attempt(text, 503, 20, text), Attempt(text, 200, 100))
        calls.append(entry(number, time_ms=now - number, status=502, attempts=attempts, cost=1_500_000, **given))
    return [calls[0]._replace(request_id="req_hostile"), calls[1]]


@pytest.fixture
def opened(page: Page, visit: Callable[[], Page]) -> Opened:
    """`opened(path)`: a window with that page, freshly loaded."""

    def opened(path: str) -> Page:
        window = visit() if path == "/" else page
        window.goto(path)
        settled(window)
        return window

    return opened


def settled(page: Page) -> None:
    """Until nothing is loading any more."""
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page.locator(".loading, main [aria-busy=true], .play-slot:empty")).to_have_count(0)


def faults(page: Page) -> dict[str, list[str]]:
    """What is wrong with what the page shows now: wide and narrow, light and dark. It is light and wide before and dark
    and narrow after; only contrast depends on the theme."""
    found = {"wide": sticking_out(page), "light": axe(page), "amiss": page.evaluate(AMISS)}
    page.set_viewport_size(NARROW)
    found |= {"narrow": sticking_out(page), "narrow, light": axe(page)}
    page.emulate_media(color_scheme="dark")
    page.evaluate(REPAINTED)
    found |= {"narrow, dark": axe(page, "color-contrast")}
    page.set_viewport_size(WIDE)
    found |= {"dark": axe(page, "color-contrast")}
    return {where: what for where, what in found.items() if what}


@pytest.mark.parametrize("path", SCREENS)
def test_a_screen_is_accessible_and_fits_and_shows_names_as_text(opened: Opened, path: str) -> None:
    page = opened(path)
    if path in SHOWING_NAMES:
        shown = page.get_by_role("main").get_by_text(HOSTILE)
        assert shown.count() + page.locator("option", has_text=HOSTILE).count() > 0
    assert page.locator("img[src=x], [onerror]").count() == 0
    assert faults(page) == {}


@pytest.mark.parametrize("name", DIALOGS)
def test_a_dialog_is_accessible_and_fits(opened: Opened, name: str) -> None:
    path, buttons = DIALOGS[name]
    page = opened(path)
    for button in buttons:
        page.get_by_role("button", name=button).or_(page.get_by_role("menuitem", name=button)).last.click()
    dialog = page.locator("dialog[open]")
    expect(dialog).to_be_visible()
    expect(dialog.locator(".loading, [aria-busy=true]")).to_have_count(0)
    assert faults(page) == {}
    page.set_viewport_size(NARROW)
    assert dialog.evaluate("(dialog) => dialog.scrollWidth - dialog.clientWidth") <= 0
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_hostile_names_are_text_in_dialogs_and_notes_too(page: Page) -> None:
    page.goto("/admin.html#/models")
    page.get_by_role("button", name="More for hostile-chat").click()
    page.get_by_role("menuitem", name="Edit").click()
    expect(page.get_by_role("dialog", name=HOSTILE)).to_be_visible()
    page.keyboard.press("Escape")
    page.goto("/admin.html#/keys")
    expect(
        page.get_by_role("heading", name="API keys", exact=True)
    ).to_be_visible()  # the screen before has rows like it
    page.get_by_role("row").filter(has_text=HOSTILE).get_by_role("button", name=re.compile("More for")).first.click()
    page.get_by_role("menuitem", name="Delete").click()
    expect(page.get_by_role("alertdialog")).to_contain_text(HOSTILE)
    page.keyboard.press("Escape")
    page.goto("/admin.html#/providers")
    page.get_by_role("button", name=f"More for {HOSTILE}").click()
    page.get_by_role("menuitem", name="Disable").click()
    expect(page.get_by_text(f"{HOSTILE} is disabled.").first).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text(f"{HOSTILE} is enabled.").first).to_be_visible()
    assert page.locator("img[src=x], [onerror]").count() == 0
