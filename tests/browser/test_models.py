"""Models in the administration: finding them among many, adding, changing, several at once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from support import build
from support.proxy import Proxy

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make browser")
expect = sync_api.expect
if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

MANY = 1_000
MOST_ROWS = 120  # what a table may hold at once, its head included


def names(page: Page) -> Locator:
    """The heads of the rows, in their order."""
    return page.get_by_role("table", name="Models").get_by_role("rowheader")


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name))


def act(page: Page, name: str, action: str) -> None:
    """An entry of the menu of a row."""
    row(page, name).get_by_role("button", name="More for").click()
    page.get_by_role("menuitem", name=action).click()


@pytest.fixture
def models(page: Page) -> Page:
    page.goto("/admin.html#/models")
    expect(page.get_by_role("table", name="Models")).to_be_visible()
    return page


def test_searching_and_filtering_find_a_model_and_can_be_sent_on_as_an_address(models: Page) -> None:
    page = models
    page.get_by_role("searchbox", name="Search models").fill("public")
    expect(names(page)).to_have_count(5)
    page.get_by_label("Type", exact=True).select_option("Embedding")
    expect(names(page)).to_have_count(1)
    expect(names(page)).to_contain_text("embed-public")
    page.reload()
    expect(page.get_by_role("searchbox", name="Search models")).to_have_value("public")
    expect(names(page)).to_have_count(1)
    page.get_by_role("searchbox", name="Search models").fill("nothing like it")
    expect(page.get_by_role("heading", name="No model matches")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    expect(names(page)).to_have_count(7)
    page.get_by_label("Status", exact=True).select_option("Disabled")
    expect(names(page)).to_have_count(1)
    expect(names(page)).to_contain_text("Retired")


def test_an_address_leads_to_the_models_of_one_provider(models: Page, proxy: Proxy) -> None:
    page = models
    proxy.add_provider("https://provider.example/v1", "other")
    proxy.add_model("other/only", "other")
    page.goto("/admin.html#/providers")
    page.get_by_role("link", name="1 model of Other").click()
    expect(page).to_have_url(re.compile("#/models.*provider=other"))
    expect(page.get_by_label("Provider", exact=True)).to_have_value("other")
    expect(names(page)).to_have_count(1)
    page.go_back()
    expect(page.get_by_role("heading", level=1, name="Providers")).to_be_visible()
    proxy.admin("DELETE", "/providers/other")


def test_a_head_sorts_and_says_how(models: Page) -> None:
    page = models
    head = page.get_by_role("columnheader", name="Type")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    expect(names(page).last).to_contain_text("speech-public")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    expect(names(page).first).to_contain_text("speech-public")
    page.reload()
    expect(names(page).first).to_contain_text("speech-public")


def test_a_model_is_added_by_hand_and_changed(models: Page, proxy: Proxy) -> None:
    page = models
    page.get_by_role("button", name="Add by hand").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Id", exact=True).fill("by/hand-vision")
    form.get_by_label("Display name").fill("By hand")
    form.get_by_label("Name at the provider").fill(build.UPSTREAM_MODEL)
    form.get_by_label("Takes images").check()
    form.get_by_text("Prices").click()
    form.get_by_label("Input", exact=True).fill("0.25")
    form.get_by_label("Output", exact=True).fill("1.5")
    form.get_by_text("Fallbacks and further places").click()
    form.get_by_role("button", name="Add a fallback").click()
    form.get_by_role("group", name="Fallbacks").get_by_role("combobox").select_option(build.PUBLIC_MODEL)
    form.get_by_role("button", name="Add model").click()
    expect(row(page, "By hand").get_by_role("img", name="takes images")).to_be_visible()
    expect(row(page, "By hand")).to_contain_text("1.5")
    added = proxy.admin("GET", "/models/by/hand-vision").json
    assert (added["price"], added["fallbacks"]) == ({"input": 0.25, "output": 1.5}, [build.PUBLIC_MODEL])
    assert (added["upstreamModel"], added["supportsImageUpload"]) == (build.UPSTREAM_MODEL, True)

    act(page, "By hand", "Edit")
    expect(form.get_by_label("Id", exact=True)).to_be_disabled()
    form.get_by_label("Type", exact=True).select_option("OCR")
    form.get_by_label("Takes images").uncheck()
    form.get_by_role("button", name="Save").click()
    expect(row(page, "By hand")).to_contain_text("OCR")
    changed = proxy.admin("GET", "/models/by/hand-vision").json
    assert changed == {**added, "type": "ocr", "supportsImageUpload": False, "takesImages": False}
    proxy.admin("DELETE", "/models/by/hand-vision")


def test_an_id_that_is_taken_or_missing_is_told(models: Page) -> None:
    page = models
    page.get_by_role("button", name="Add by hand").click()
    form = page.get_by_role("dialog")
    form.get_by_role("button", name="Add model").click()
    expect(form.get_by_label("Id", exact=True)).to_have_attribute("aria-invalid", "true")
    form.get_by_label("Id", exact=True).fill(build.PUBLIC_MODEL)
    form.get_by_role("button", name="Add model").click()
    expect(form.get_by_label("Id", exact=True)).to_have_accessible_description(re.compile("already"))


def test_what_is_typed_is_not_lost_without_a_question(models: Page) -> None:
    page = models
    page.get_by_role("link", name="API keys").click()
    page.get_by_role("link", name="Models", exact=True).click()
    page.get_by_role("button", name="Add by hand").click()
    form = page.get_by_role("dialog", name="Add a model")
    form.get_by_label("Id", exact=True).fill("nearly-lost")
    page.keyboard.press("Escape")
    page.get_by_role("alertdialog").get_by_role("button", name="Go on editing").click()
    expect(form.get_by_label("Id", exact=True)).to_have_value("nearly-lost")
    page.go_back()
    page.get_by_role("alertdialog").get_by_role("button", name="Go on editing").click()
    expect(form.get_by_label("Id", exact=True)).to_have_value("nearly-lost")
    page.keyboard.press("Escape")
    page.get_by_role("alertdialog").get_by_role("button", name="Leave").click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_several_are_disabled_enabled_and_deleted_at_once(models: Page, proxy: Proxy) -> None:
    page = models
    for each in ("bulk-1", "bulk-2", "bulk-3"):
        proxy.add_model(each)
    page.goto("/admin.html#/models?q=bulk")
    page.reload()
    expect(names(page)).to_have_count(3)
    page.get_by_role("checkbox", name="Tick all").check()
    page.get_by_role("checkbox", name="Tick bulk-3").uncheck()
    page.get_by_role("button", name="Disable", exact=True).click()
    expect(row(page, "bulk-1")).to_contain_text("disabled")
    expect(row(page, "bulk-3")).to_contain_text("enabled")
    page.get_by_role("button", name="Undo").click()
    expect(row(page, "bulk-1")).to_contain_text("enabled")
    page.get_by_role("checkbox", name="Tick bulk-1").check()
    page.get_by_role("checkbox", name="Tick bulk-2").check()
    page.get_by_role("button", name="Delete…").click()
    question = page.get_by_role("alertdialog", name="Delete 2 models?")
    expect(question.get_by_role("listitem")).to_have_text(["bulk-1", "bulk-2"])
    question.get_by_role("button", name="Delete 2 models").click()
    expect(names(page)).to_have_count(1)
    act(page, "bulk-3", "Delete")
    page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    expect(names(page)).to_have_count(0)
    assert proxy.admin("GET", "/models/bulk-3").status == 404


def test_a_thousand_models_are_shown_a_page_at_a_time(page: Page, proxy: Proxy) -> None:
    many = [build.model(f"many-{number:04}") for number in range(MANY)]
    assert proxy.admin("POST", "/models", {"models": many}).status == 201
    page.goto("/admin.html#/models?q=many")
    expect(names(page).first).to_contain_text("many-0000")
    assert page.get_by_role("row").count() <= MOST_ROWS
    page.get_by_role("button", name="Next").click()
    expect(names(page).first).not_to_contain_text("many-0000")
    assert page.get_by_role("row").count() <= MOST_ROWS
    page.get_by_role("searchbox", name="Search models").fill("many-0999")
    expect(names(page)).to_have_count(1)
    page.get_by_role("searchbox", name="Search models").fill("many")
    page.get_by_role("checkbox", name="Tick all").check()
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("alertdialog").get_by_role("button", name=re.compile("Delete")).click()
    expect(names(page)).to_have_count(0)
    assert all(not each["id"].startswith("many") for each in proxy.admin("GET", "/models").json["models"])
