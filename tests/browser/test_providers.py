"""Providers in the administration: adding one from a preset or by hand, testing, changing, disabling, deleting."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from support import build
from support.proxy import Proxy
from support.upstream import Upstream

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make browser")
expect = sync_api.expect
if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

OTHER = re.compile("Another server")
SECRET = "sk-entered-in-the-page-0123456789"


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=re.compile(re.escape(name))))


def act(page: Page, name: str, action: str) -> None:
    """An entry of the menu of a row."""
    row(page, name).get_by_role("button", name=f"More for {name}").click()
    page.get_by_role("menuitem", name=action).click()


@pytest.fixture
def providers(page: Page) -> Page:
    page.goto("/admin.html#/providers")
    expect(page.get_by_role("table", name="Providers")).to_be_visible()
    return page


def test_a_provider_is_chosen_tested_and_added_with_some_of_its_models(
    providers: Page, proxy: Proxy, upstream: Upstream
) -> None:
    page = providers
    page.get_by_role("button", name="Add a provider").click()
    choice = page.get_by_role("dialog", name="Add a provider")
    expect(choice.get_by_role("button", name=re.compile("OpenRouter"))).to_contain_text("openrouter.ai")
    choice.get_by_role("searchbox").fill("nothing has this name")
    choice.get_by_role("button", name=OTHER).click()

    form = page.get_by_role("dialog")
    form.get_by_label("Name", exact=True).fill("My Own")
    expect(form.get_by_label("Id", exact=True)).to_have_value("my-own")
    form.get_by_label("Base URL").fill(upstream.base_url)
    expect(form).to_contain_text(f"go to 127.0.0.1:{upstream.port}")
    form.get_by_label("API key").fill(SECRET)
    form.get_by_role("button", name="Test").click()
    expect(form.get_by_role("status").filter(has_text=re.compile("works|models", re.IGNORECASE)).first).to_be_visible()
    assert upstream.history[-1].header("authorization") == f"Bearer {SECRET}"
    form.get_by_role("button", name="Add provider").click()

    models = page.get_by_role("dialog", name="Models of My Own")
    models.get_by_role("searchbox").fill("listed")
    models.get_by_role("checkbox", name="vendor/listed-vision", exact=True).check()
    models.get_by_role("checkbox", name="vendor/listed-embed", exact=True).check()
    expect(models.get_by_label("Type of vendor/listed-embed")).to_have_value("embedding")
    expect(models.get_by_label("vendor/listed-vision takes images")).to_be_checked()
    models.get_by_role("button", name="Add 2 models").click()

    expect(row(page, "My Own").get_by_role("link", name="2 models of My Own")).to_be_visible()
    assert SECRET not in page.content()
    added = proxy.admin("GET", "/models/vendor/listed-embed").json
    assert (added["providerId"], added["type"], added["enabled"]) == ("my-own", "embedding", True)


def test_a_preset_says_whose_it_is_before_it_is_saved(providers: Page) -> None:
    page = providers
    page.get_by_role("button", name="Add a provider").click()
    page.get_by_role("searchbox", name="Search providers").last.fill("azure")
    page.get_by_role("dialog").get_by_role("button", name=re.compile("Azure")).click()
    form = page.get_by_role("dialog", name=re.compile("Azure"))
    form.get_by_role("button", name="Add").click()
    expect(form.get_by_label("Base URL")).to_have_accessible_description(re.compile("braces"))
    form.get_by_label("Base URL").fill("https://mine.openai.azure.com/openai/v1")
    expect(form).to_contain_text("mine.openai.azure.com, which belongs to Microsoft")


def test_what_the_form_lacks_or_the_server_refuses_stands_beside_the_field(
    providers: Page, expecting: Callable[[str], None]
) -> None:
    page = providers
    expecting("status of 400")
    page.get_by_role("button", name="Add a provider").click()
    page.get_by_role("dialog").get_by_role("button", name=OTHER).click()
    form = page.get_by_role("dialog")
    form.get_by_label("Name", exact=True).fill("Acme")
    form.get_by_label("Id", exact=True).fill("acme")
    form.get_by_label("Base URL").fill("provider.example/v1")
    form.get_by_role("button", name="Add provider").click()
    expect(form.get_by_label("Id", exact=True)).to_have_accessible_description(re.compile("already"))
    expect(form.get_by_label("Base URL")).to_have_accessible_description(re.compile("http://"))
    form.get_by_label("Id", exact=True).fill("acme-too")
    form.get_by_label("Base URL").fill("https://provider.example/v1")
    form.get_by_label("API key").fill("env:PATH")
    form.get_by_role("button", name="Add provider").click()
    expect(form.get_by_label("API key")).to_have_accessible_description(re.compile("PATH"))
    expect(form.get_by_label("API key")).to_be_focused()


def test_a_secret_left_blank_stays_and_a_reference_is_shown(providers: Page, proxy: Proxy, upstream: Upstream) -> None:
    page = providers
    row(page, "Acme").get_by_role("button", name="Acme", exact=True).click()
    form = page.get_by_role("dialog", name=re.compile("Acme"))
    expect(form.get_by_label("API key")).to_have_value("")
    expect(form.get_by_label("Id", exact=True)).to_be_disabled()
    form.get_by_label("Name", exact=True).fill("Acme & Sons")
    form.get_by_text("More:").click()
    form.get_by_label("Time limit in seconds").fill("45")
    form.get_by_role("button", name="Add a header").click()
    form.get_by_label("Header", exact=True).fill("x-team")
    form.get_by_label("Value", exact=True).fill("blue")
    form.get_by_role("button", name="Save").click()
    expect(row(page, "Acme & Sons")).to_be_visible()
    stored = proxy.admin("GET", "/providers/acme").json
    assert (stored["timeoutSeconds"], stored["headers"]) == (45, {"x-team": "blue"})

    row(page, "Acme & Sons").get_by_role("button", name="Test").click()
    expect(row(page, "Acme & Sons")).to_contain_text("works")
    assert upstream.history[-1].header("authorization") == "Bearer acme-secret-key-0123456789"
    assert upstream.history[-1].header("x-team") == "blue"

    reference = build.provider("https://provider.example/v1", "by-reference", apiKey="env:ANY_PROVIDER_KEY")
    proxy.admin("POST", "/providers", reference)
    page.reload()
    expect(row(page, "By-Reference")).to_contain_text("env:ANY_PROVIDER_KEY")
    proxy.admin("DELETE", "/providers/by-reference")
    proxy.admin("PUT", "/providers/acme", {"name": "Acme", "headers": {}, "timeoutSeconds": None})


def test_all_are_tested_at_once_and_what_fails_says_so(providers: Page, proxy: Proxy, upstream: Upstream) -> None:
    page = providers
    proxy.add_provider("http://127.0.0.1:9/v1", "nobody-there")
    page.reload()
    page.get_by_role("button", name="Test all").click()
    expect(row(page, "Nobody-There")).to_contain_text("fails")
    expect(row(page, "Acme")).to_contain_text("works")
    page.reload()  # it is remembered
    expect(row(page, "Nobody-There")).to_contain_text("fails")
    page.goto("/admin.html#/overview")
    expect(page.get_by_role("listitem").filter(has_text="The last test of Nobody-There failed")).to_be_visible()
    proxy.admin("DELETE", "/providers/nobody-there")


def test_a_row_says_what_a_provider_is_and_sorts_by_it(providers: Page, proxy: Proxy) -> None:
    page = providers
    proxy.add_provider("https://claude.example/v1", "claude", type="anthropic")
    page.reload()
    expect(row(page, "Claude")).to_contain_text("claude.example/v1")
    expect(row(page, "Claude")).to_contain_text("Anthropic")
    expect(row(page, "Acme")).to_contain_text("OpenAI-compatible")
    page.get_by_role("columnheader", name="Type").get_by_role("button").click()
    expect(page.get_by_role("rowheader").first).to_contain_text("Claude")
    page.get_by_role("columnheader", name="Type").get_by_role("button").click()
    expect(page.get_by_role("rowheader").first).to_contain_text("Acme")
    proxy.admin("DELETE", "/providers/claude")


def test_disabling_can_be_undone(providers: Page, proxy: Proxy) -> None:
    page = providers
    act(page, "Acme", "Disable")
    expect(row(page, "Acme")).to_contain_text("disabled")
    assert proxy.admin("GET", "/providers/acme").json["enabled"] is False
    page.get_by_role("button", name="Undo").click()
    expect(row(page, "Acme")).to_contain_text("enabled")
    assert proxy.admin("GET", "/providers/acme").json["enabled"] is True


def test_deleting_says_what_goes_with_it_and_can_be_thought_over(providers: Page, proxy: Proxy) -> None:
    page = providers
    proxy.add_provider("https://provider.example/v1", "doomed")
    proxy.add_model("doomed/one", "doomed")
    proxy.add_model("doomed/two", "doomed")
    page.reload()
    act(page, "Doomed", "Delete")
    question = page.get_by_role("alertdialog", name="Delete Doomed?")
    expect(question.get_by_role("listitem")).to_have_text(["doomed/one", "doomed/two"])
    page.keyboard.press("Escape")
    expect(question).to_have_count(0)
    expect(page.get_by_role("button", name="More for Doomed")).to_be_focused()
    act(page, "Doomed", "Delete")
    question.get_by_role("button", name="Delete with 2 models").click()
    expect(row(page, "Doomed")).to_have_count(0)
    assert proxy.admin("GET", "/models/doomed/one").status == 404


def test_a_search_that_was_taken_back_does_not_come_again(page: Page) -> None:
    page.goto("/admin.html#/providers?q=nothing-like-it")
    page.get_by_role("button", name="Show all").click()
    expect(page.get_by_role("row", name=re.compile("acme"))).to_be_visible()
    page.reload()
    expect(page.get_by_role("row", name=re.compile("acme"))).to_be_visible()
