"""Models in the administration: finding them among many, adding, changing, several at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from support import build
from support.proxy import Proxy
from support.upstream import Upstream, answer

from .window import NARROW

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make browser")
expect = sync_api.expect
if TYPE_CHECKING:
    from playwright.sync_api import FilePayload, Locator, Page

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


def test_a_further_place_needs_no_more_than_a_provider(models: Page, proxy: Proxy) -> None:
    page = models
    act(page, "gpt-public", "Edit")
    form = page.get_by_role("dialog")
    form.get_by_text("Fallbacks and further places").click()
    form.get_by_role("button", name="Add a fallback").click()
    form.get_by_role("button", name="Add a place").click()
    form.get_by_role("button", name="Save").click()
    expect(form).to_have_count(0)
    saved = proxy.admin("GET", "/models/gpt-public").json
    try:
        assert saved["deployments"] == [{"providerId": "acme", "weight": 1}]
        assert len(saved["fallbacks"]) == 1
    finally:
        proxy.admin("PUT", "/models/gpt-public", {"deployments": [], "fallbacks": []})


def test_what_has_no_field_in_a_further_place_stays(models: Page, proxy: Proxy) -> None:
    page = models
    place = {"providerId": "acme", "upstreamModel": "theirs", "weight": 1, "region": "eu"}
    proxy.admin("PUT", "/models/gpt-public", {"deployments": [place]})
    try:
        page.reload()
        act(page, "gpt-public", "Edit")
        form = page.get_by_role("dialog")
        form.get_by_label("Weight").fill("2")
        form.get_by_role("button", name="Save").click()
        expect(form).to_have_count(0)
        assert proxy.admin("GET", "/models/gpt-public").json["deployments"] == [{**place, "weight": 2}]
    finally:
        proxy.admin("PUT", "/models/gpt-public", {"deployments": []})


def test_a_place_at_a_provider_with_a_long_name_fits_a_small_screen(models: Page, proxy: Proxy) -> None:
    page = models
    named = build.provider("http://127.0.0.1:9/v1", id="long", name="A provider with a name that is rather long " * 2)
    proxy.admin("POST", "/providers", named)
    proxy.admin("PUT", "/models/gpt-public", {"deployments": [{"providerId": "long"}]})
    try:
        page.set_viewport_size(NARROW)
        page.reload()
        act(page, "gpt-public", "Edit")
        remove = page.get_by_role("dialog").get_by_role("button", name="Remove this place")
        remove.scroll_into_view_if_needed()
        body = page.locator(".dialog-body")
        assert body.evaluate("(body) => body.scrollWidth - body.clientWidth") <= 0
    finally:
        proxy.admin("PUT", "/models/gpt-public", {"deployments": []})
        proxy.admin("DELETE", "/providers/long")


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


def test_a_model_is_unreachable_only_when_none_of_its_places_is_enabled(models: Page, proxy: Proxy) -> None:
    page = models
    for id_ in ("first", "second"):
        assert proxy.admin("POST", "/providers", {"id": id_, "baseUrl": "https://x.example/v1"}).status == 201
    served = {"id": "twice-served", "providerId": "first", "deployments": [{"providerId": "second"}]}
    assert proxy.admin("POST", "/models", served).status == 201
    try:
        for disabled, state in (("first", "enabled"), ("second", "provider disabled")):
            proxy.admin("PUT", f"/providers/{disabled}", {"enabled": False})
            page.goto("/admin.html#/overview")
            finding = page.get_by_text("1 enabled model has no enabled provider.")
            expect(page.get_by_role("heading", name="Worth a look")).to_be_visible()
            expect(finding).to_have_count(0 if state == "enabled" else 1)
            page.goto("/admin.html#/providers")
            expect(page.get_by_role("link", name="1 model of second")).to_be_visible()
            page.goto("/admin.html#/models")
            expect(row(page, "twice-served").get_by_text(state, exact=True)).to_be_visible()
    finally:
        for id_ in ("first", "second"):
            proxy.admin("DELETE", f"/providers/{id_}")


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


def known_provider(proxy: Proxy) -> None:
    """A provider whose host the table of list prices knows."""
    proxy.add_provider("https://api.openai.com/v1", "openai")


def test_a_list_price_is_offered_with_its_figures_and_taken_only_when_wanted(models: Page, proxy: Proxy) -> None:
    page = models
    known_provider(proxy)
    page.reload()
    page.get_by_role("button", name="Add by hand").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Id", exact=True).fill("of-my-own")
    form.get_by_label("Name at the provider").fill("gpt-4o-2024-11-20")
    form.get_by_label("Provider", exact=True).select_option("openai")
    offer = form.get_by_role("button", name=re.compile("Take the list price of .*20"))
    expect(offer).to_be_visible()
    expect(form.get_by_text("$2.50 input, $10.00 output, $1.25 cached input")).to_be_visible()
    form.get_by_role("button", name="Add model").click()
    expect(names(page).filter(has_text="of-my-own")).to_have_count(1)
    assert proxy.admin("GET", "/models/of-my-own").json["price"] is None

    act(page, "of-my-own", "Edit")
    form.get_by_text("Prices, in US dollars").click()
    offer.click()
    expect(offer).to_have_count(0)
    expect(form.get_by_label("Cached input")).to_have_value("1.25")
    form.get_by_role("button", name="Save").click()
    expect(row(page, "of-my-own")).to_contain_text("10")
    assert proxy.admin("GET", "/models/of-my-own").json["price"] == {"input": 2.5, "output": 10, "cachedInput": 1.25}
    act(page, "of-my-own", "Edit")
    expect(form.get_by_label("Output", exact=True)).to_have_value("10")
    expect(offer).to_have_count(0)
    page.keyboard.press("Escape")  # nothing was typed, so nothing is asked
    expect(form).to_have_count(0)
    proxy.admin("DELETE", "/providers/openai")


def test_tiers_are_edited_and_what_has_no_field_stays(
    models: Page, proxy: Proxy, expecting: Callable[[str], None]
) -> None:
    page = models
    price = {"input": 1, "note": "ours", "longContext": [{"audioInput": 7, "aboveTokens": 1000}]}
    proxy.add_model("tiered", price=price)
    page.reload()
    act(page, "tiered", "Edit")
    form = page.get_by_role("dialog")
    form.get_by_label("Cache write, 1 h", exact=True).fill("6.5")
    form.get_by_label("Input above that", exact=True).fill("2.25")
    form.get_by_role("button", name="Add a tier").click()
    form.get_by_label("Above how many tokens").nth(1).fill("2000")
    form.get_by_label("Output above that", exact=True).nth(1).fill("3")
    form.get_by_label("Input", exact=True).fill("")
    form.get_by_role("button", name="Save").click()
    expect(form).to_have_count(0)
    assert proxy.admin("GET", "/models/tiered").json["price"] == {
        "note": "ours",
        "cacheWrite1h": 6.5,
        "longContext": [
            {"input": 2.25, "audioInput": 7, "aboveTokens": 1000},
            {"output": 3, "aboveTokens": 2000},
        ],
    }
    expecting("status of 400")
    act(page, "tiered", "Edit")
    form.get_by_label("Above how many tokens").nth(1).fill("1000")
    form.get_by_role("button", name="Save").click()
    costs = form.get_by_role("group", name="What it costs")
    expect(costs).to_have_accessible_description(re.compile("two tiers above the same number"))
    page.keyboard.press("Escape")
    page.get_by_role("alertdialog").get_by_role("button", name="Leave").click()
    proxy.admin("DELETE", "/models/tiered")


def test_a_price_file_is_shown_before_it_changes_anything(
    models: Page, proxy: Proxy, expecting: Callable[[str], None]
) -> None:
    page = models
    expecting("status of 400")
    known_provider(proxy)
    proxy.add_model("mini", "openai", upstreamModel="gpt-4o-mini", price={"input": 9})
    proxy.add_model("bad", "openai", upstreamModel="gpt-bad")
    priced = {"litellm_provider": "openai", "input_cost_per_token": 1.5e-07, "output_cost_per_token": 6e-07}
    bad = {"litellm_provider": "openai", "input_cost_per_token": -1}
    page.reload()
    page.get_by_role("button", name="Import prices").click()
    form = page.get_by_role("dialog", name="Import prices")
    expect(form.get_by_role("button", name="Take prices")).to_be_disabled()
    form.get_by_label("Price file").set_input_files([file_of([1, 2])])
    expect(form).to_contain_text("is not a price file of LiteLLM")
    form.get_by_label("Price file").set_input_files([file_of({"gpt-4o-mini": priced, "gpt-bad": bad})])
    expect(form).to_contain_text("1 price would change")
    expect(form.get_by_role("definition")).to_have_text("$9.00 input → $0.15 input, $0.60 output")
    expect(form.get_by_role("listitem")).to_contain_text("bad: input_cost_per_token must be a price")
    assert proxy.admin("GET", "/models/mini").json["price"] == {"input": 9}
    form.get_by_role("button", name="Take 1 price").click()
    expect(row(page, "mini")).to_contain_text("0.15")
    assert proxy.admin("GET", "/models/mini").json["price"] == {"input": 0.15, "output": 0.6}
    proxy.admin("DELETE", "/providers/openai")


def file_of(data: object) -> FilePayload:
    return {"name": "prices.json", "mimeType": "application/json", "buffer": json.dumps(data).encode()}


def test_models_are_added_with_the_prices_their_provider_lists_only_when_wanted(
    models: Page, proxy: Proxy, upstream: Upstream
) -> None:
    page = models
    listed = [
        {"id": "vendor/priced", "pricing": {"prompt": "0.0000025", "completion": "0.00001"}},
        {"id": "openai/gpt-4o"},
        {"id": "vendor/unknown"},
    ]
    upstream.default(lambda seen: answer(200, {"data": listed}) if seen.method == "GET" else None)
    for wanted in (False, True):
        page.goto("/admin.html#/models?provider=acme")
        page.get_by_role("button", name="Add from a provider").click()
        form = page.get_by_role("dialog", name="Models of Acme")
        form.get_by_role("button", name="Tick all shown").click()
        expect(form.get_by_text("$2.50 / $10.00")).to_have_count(2)
        expect(form.get_by_title(re.compile(r"OpenAI, the list price of .*20.*: \$2\.50 input"))).to_have_count(1)
        form.get_by_label("Add them with the prices shown").set_checked(wanted)
        form.get_by_role("button", name="Add 3 models").click()
        expect(form).to_have_count(0)
        added = {each["id"]: each["price"] for each in proxy.admin("GET", "/models").json["models"]}
        own, offered = {"input": 2.5, "output": 10}, {"input": 2.5, "output": 10, "cachedInput": 1.25}
        prices = (own, offered, None) if wanted else (None, None, None)
        assert tuple(added[each["id"]] for each in listed) == prices
        for each in listed:
            proxy.admin("DELETE", f"/models/{each['id']}")
