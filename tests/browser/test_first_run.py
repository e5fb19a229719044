"""From an empty database to a working chat, as a newcomer goes who has read nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from support.build import chunk, finish, opening, usage
from support.proxy import Proxy
from support.upstream import Upstream

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make browser")
expect = sync_api.expect
if TYPE_CHECKING:
    from playwright.sync_api import Page

SECRET = "sk-of-the-provider-0123456789"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, chromium: Any) -> Iterator[Proxy]:
    """A server of which nobody has configured anything."""
    proxy = Proxy.start(tmp_path_factory.mktemp("first"), keys=[])
    yield proxy
    proxy.stop()


def test_before_anything_is_set_up_the_screens_say_how_to_begin(page: Page) -> None:
    page.goto("/admin.html")
    expect(page).to_have_url(re.compile("#/start"))
    expect(page.get_by_role("heading", level=1, name="Set-up guide")).to_be_visible()
    for screen, words in (("providers", "No provider yet"), ("models", "No model yet"), ("keys", "No API key yet")):
        page.goto(f"/admin.html#/{screen}")
        expect(page.get_by_role("heading", name=words)).to_be_visible()
    page.get_by_role("link", name="Overview").click()
    expect(page).to_have_url(re.compile("#/start"))


def test_who_is_on_the_way_to_another_screen_is_not_called_back(page: Page) -> None:
    page.goto("/admin.html#/start?step=provider")
    step = page.get_by_role("button", name="2 Models")
    step.evaluate("(step) => { location.hash = '#/keys'; step.click(); }")
    expect(page.get_by_role("heading", name="No API key yet")).to_be_visible()
    expect(page).to_have_url(re.compile("#/keys$"))

    held: list[Any] = []
    page.route("**/api/admin/users", lambda route: held.append(route))
    with page.expect_request("**/api/admin/users"):
        page.get_by_role("link", name="Overview").click()
    page.get_by_role("link", name="Providers").click()
    expect(page.get_by_role("heading", name="No provider yet")).to_be_visible()
    with page.expect_response("**/api/admin/users"):
        held[0].continue_()
    page.evaluate("() => new Promise((done) => setTimeout(done))")
    expect(page).to_have_url(re.compile("#/providers$"))


def test_the_demo_answers_before_any_account_exists(page: Page) -> None:
    page.goto("/admin.html#/playground")
    page.get_by_role("textbox", name="Message").fill("Hello, whoever you are")
    page.keyboard.press("Enter")
    expect(page.get_by_role("article", name="demo")).to_contain_text("Hello, whoever you are")


def test_every_preset_says_where_a_key_would_go_and_whose_that_is(page: Page, proxy: Proxy) -> None:
    presets = proxy.admin("GET", "/presets").json["presets"]
    assert len(presets) == 18
    page.goto("/admin.html#/start")
    for preset in presets:
        page.get_by_role("button").filter(has=page.get_by_text(preset["name"], exact=True)).click()
        address = page.get_by_label("Base URL")
        expect(address).to_have_value(preset["baseUrl"])
        if preset["local"]:
            expect(page.get_by_role("main")).to_contain_text(f"go to {preset['host']}, a machine of your own network.")
        elif preset["host"]:
            expect(page.get_by_role("main")).to_contain_text(
                f"go to {preset['host']}, which belongs to {preset['owner']}."
            )
        else:
            address.fill("https://models.example/v1")
            expect(page.get_by_role("main")).to_contain_text("go to models.example.")
            address.fill("")
        page.get_by_role("button", name="Another provider").click()
    expect(page.get_by_role("searchbox", name="Search providers")).to_be_visible()


def test_what_is_typed_in_the_guide_is_not_lost_with_a_step(page: Page) -> None:
    page.goto("/admin.html#/start?step=provider")
    page.get_by_role("button").filter(has=page.get_by_text("Groq", exact=True)).click()
    secret = page.get_by_label("API key", exact=True)
    secret.fill("gsk-typed-already")
    for way in ("2 Models", "Another provider"):
        page.get_by_role("button", name=way).click()
        page.get_by_role("button", name="Go on editing").click()
        expect(secret).to_have_value("gsk-typed-already")
    page.get_by_role("button", name="Another provider").click()
    page.get_by_role("button", name="Leave", exact=True).click()
    expect(page.get_by_role("heading", name="Who answers?")).to_be_focused()


def test_the_guide_leads_from_nothing_to_a_working_chat(page: Page, proxy: Proxy, upstream: Upstream) -> None:
    page.goto("/admin.html")
    page.get_by_role("button", name=re.compile("^OpenAI")).click()
    expect(page.get_by_role("main")).to_contain_text("go to api.openai.com, which belongs to OpenAI")
    page.get_by_label("Base URL").fill(upstream.base_url)
    page.get_by_label("API key").fill(SECRET)
    page.get_by_role("button", name="Test").click()
    expect(page.get_by_role("status").filter(has_text=re.compile("works", re.IGNORECASE)).first).to_be_visible()
    page.get_by_role("button", name="Save and go on").click()

    # It can be left here, and goes on here when it is opened again.
    expect(page.get_by_role("heading", name="Which models?")).to_be_focused()
    page.get_by_role("link", name="Leave the guide").click()
    expect(page.get_by_role("heading", level=1, name="Overview")).to_be_visible()
    page.get_by_role("link", name=re.compile("Set-up guide")).first.click()
    expect(page.get_by_role("heading", name="Which models?")).to_be_visible()

    page.get_by_role("checkbox", name="vendor/listed-vision", exact=True).check()
    page.get_by_role("button", name="Add 1 model").click()
    page.get_by_role("button", name="Create key").click()
    line = page.get_by_role("textbox", name="API key")
    expect(line).to_have_text(re.compile(r"^sk-\S{30,}$"))
    key = line.inner_text()
    assert [each["id"] for each in proxy.get("/v1/models", key).json["data"]] == ["vendor/listed-vision"]
    page.get_by_role("button", name="Go on", exact=True).click()

    example = page.get_by_role("tabpanel").filter(visible=True)
    expect(example).to_contain_text(f"Bearer {key}")
    expect(example).to_contain_text(f"{proxy.base_url}/v1/chat/completions")
    page.get_by_role("tab", name="Python").click()
    expect(example).to_contain_text("from openai import OpenAI")
    expect(example).to_contain_text("vendor/listed-vision")

    upstream.will_stream(opening(), chunk("It "), chunk("works."), finish(), usage(3, 2))
    page.get_by_role("link", name="Open the playground").click()
    page.get_by_role("textbox", name="Message").fill("Does it work?")
    page.keyboard.press("Enter")
    expect(page.get_by_role("article", name="vendor/listed-vision")).to_contain_text("It works.")
    assert upstream.history[-1].header("authorization") == f"Bearer {SECRET}"
    page.goto("/admin.html#/keys")
    expect(page.get_by_role("row", name=re.compile("My first key"))).to_be_visible()
    assert key not in page.content()
