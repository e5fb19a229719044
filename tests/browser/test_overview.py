"""The overview: figures of a time against the time before, charts with their twins as tables, and the ways into the log."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from support import build
from support.book import DAY_MS, entry, prefill, refused
from support.proxy import KEY, Proxy
from support.upstream import Upstream

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make browser")
expect = sync_api.expect
if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Route

NANO = 1_000_000_000


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream, chromium: Any) -> Iterator[Proxy]:
    """A server with calls of this week and of the week before. The key is past 80 % of its budget."""
    folder = tmp_path_factory.mktemp("overview")
    now = int(time.time() * 1000)
    today = now - now % DAY_MS
    usual = {"key_id": "key-1", "key_name": "Class 7b", "provider_id": "acme"}
    calls = [
        entry(1, time_ms=now - 1000, cost=9 * NANO // 10, model="gpt-public", served_model="gpt-public", **usual),
        entry(2, time_ms=today - DAY_MS, cost=3 * NANO // 10, model="org/blind", served_model="org/blind", **usual),
        entry(3, time_ms=today - 2 * DAY_MS, cost=0, model="gpt-public", served_model="gpt-public", **usual),
        refused(4, time_ms=today - 2 * DAY_MS, key_id="key-1", key_name="Class 7b", model="gpt-public"),
        entry(
            5, time_ms=today - 8 * DAY_MS, cost=8 * NANO // 10, model="gpt-public", served_model="gpt-public", **usual
        ),
    ]
    prefill(folder, calls)
    key = build.key(KEY, name="Class 7b", budgets=[{"usd": 2.2, "window": "total"}])
    providers = [build.provider(shared_upstream.base_url, name="Acme AI")]
    proxy = Proxy.start(folder, providers=providers, models=[build.model("gpt-public")], keys=[key])
    yield proxy
    proxy.stop()


def figure(page: Page, name: str) -> Locator:
    return (
        page.get_by_role("list", name=re.compile("^Figures")).get_by_role("listitem").filter(has_text=re.compile(name))
    )


def test_the_figures_of_a_time_tell_the_change_against_the_time_before(page: Page) -> None:
    page.goto("/admin.html#/overview")
    expect(figure(page, "Spend")).to_contain_text("$1.20")
    expect(figure(page, "Spend")).to_contain_text("+50 % was $0.80")
    expect(figure(page, "^Calls")).to_contain_text("4")
    expect(figure(page, "^Errors")).to_contain_text("25 % of calls")
    expect(figure(page, "p50")).to_contain_text(re.compile(r"1[12]\d ms"))
    expect(figure(page, "p95")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 640, 375])
def test_a_long_figure_stays_in_one_line(page: Page, width: int) -> None:
    def of_a_large_server(route: Route) -> None:
        told = route.fetch().json()
        told["totals"] |= {"costUsd": 12_864_154.34, "calls": 1_234_567, "errors": 12_345_678_901}
        route.fulfill(json=told)

    page.route("**/api/admin/usage?*", of_a_large_server)
    page.set_viewport_size({"width": width, "height": 800})
    page.goto("/admin.html#/overview")
    for name, said in (("Spend", "$12,864,154.34"), ("^Calls", "1,234,567"), ("^Errors", "12,345,678,901")):
        figured = figure(page, name).get_by_text(said, exact=True)
        expect(figured).to_be_visible()
        lines = figured.evaluate(
            "(each) => { const all = new Range(); all.selectNodeContents(each); return all.getClientRects().length; }"
        )
        assert lines == 1, name


def test_a_time_is_a_link_and_comes_back_with_the_address(page: Page) -> None:
    page.goto("/admin.html#/overview")
    times = page.get_by_role("navigation", name="Time")
    expect(times.get_by_role("link", name="7 days")).to_have_attribute("aria-current", "true")
    times.get_by_role("link", name="30 days").click()
    expect(page).to_have_url(re.compile(r"#/overview\?days=30"))
    expect(times.get_by_role("link", name="30 days")).to_be_focused()
    expect(figure(page, "Spend")).to_contain_text("$2.00")
    times.get_by_role("link", name="Today").click()
    expect(figure(page, "^Calls")).to_contain_text("1")
    page.go_back()
    page.reload()
    expect(figure(page, "Spend")).to_contain_text("$2.00")


def test_a_chart_says_what_it_shows_and_has_a_twin_with_every_number(page: Page) -> None:
    page.goto("/admin.html#/overview")
    chart = page.get_by_role("figure").filter(has=page.get_by_role("heading", name="Spend"))
    expect(chart.get_by_role("img", name=re.compile(r"^Spend, .* at most \$0\.90"))).to_be_visible()
    expect(chart.locator("rect.column")).to_have_count(2)
    chart.get_by_text("As a table").click()
    rows = chart.get_by_role("table", name="Spend").get_by_role("row")
    expect(rows).to_have_count(8)
    expect(rows.last).to_contain_text("$0.90")
    chart.locator("rect.slot").last.hover()
    expect(chart.get_by_role("status")).to_contain_text("$0.90")


def test_latency_is_a_chart_whose_columns_end_at_the_p95(page: Page) -> None:
    page.goto("/admin.html#/overview")
    chart = page.get_by_role("figure").filter(has=page.get_by_role("heading", name="Latency"))
    expect(chart.get_by_role("img", name=re.compile(r"^Latency, .* at most 1[12]\d ms"))).to_be_visible()
    expect(chart.get_by_role("img").locator("rect.column")).to_have_count(3)  # days with a call that went well
    chart.get_by_text("As a table").click()
    rows = chart.get_by_role("table", name="Latency").get_by_role("row")
    expect(rows).to_have_count(8)
    expect(rows.last).to_contain_text(re.compile(r"1[12]\d ms\s*1[12]\d ms"))
    expect(rows.nth(1)).to_contain_text(re.compile(r"–\s*–"))
    chart.locator("rect.slot").last.hover()
    expect(chart.get_by_role("status")).to_contain_text(re.compile(r"1[12]\d ms p50, 1[12]\d ms p95"))


def test_who_used_most_leads_to_those_calls_in_the_log(page: Page) -> None:
    page.goto("/admin.html#/overview")
    models = page.get_by_role("region", name="Models")
    expect(models.get_by_role("listitem").first).to_contain_text("gpt-public")
    expect(models.get_by_role("listitem").first).to_contain_text("$0.90 · 2 calls")
    expect(page.get_by_role("region", name="Providers")).to_contain_text("Acme AI")
    page.get_by_role("region", name="API keys").get_by_role("link", name="Class 7b").click()
    expect(page.get_by_role("heading", level=1, name="Requests")).to_be_visible()
    expect(page.get_by_label("API key", exact=True)).to_have_value("key-1")
    expect(page.get_by_role("main")).to_contain_text("4 calls")


def test_a_budget_that_is_nearly_used_is_worth_a_look(page: Page) -> None:
    page.goto("/admin.html#/overview")
    expect(page.get_by_role("main")).to_contain_text("The API key Class 7b has used 80 % of a budget.")


def test_trouble_of_the_record_is_said_over_everything(page: Page) -> None:
    def troubled(route: Any) -> None:
        reply = route.fetch()
        route.fulfill(response=reply, json={**reply.json(), "trouble": "The ledger is in trouble: disk full."})

    page.route("**/api/admin/usage?*", troubled)
    page.goto("/admin.html#/overview")
    expect(page.get_by_role("alert").filter(has_text="disk full")).to_be_visible()


def test_a_record_that_cannot_be_read_leaves_the_rest_of_the_screen(page: Page, expecting: Any) -> None:
    expecting("status of 503")
    broken = {"error": {"message": "The ledger cannot be read: torn.", "code": "ledger_unreadable", "param": None}}
    page.route("**/api/admin/usage?*", lambda route: route.fulfill(status=503, json=broken))
    page.goto("/admin.html#/overview")
    expect(page.get_by_text("The ledger cannot be read: torn.")).to_be_visible()
    expect(page.get_by_role("textbox", name="Base URL")).to_be_visible()
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(figure(page, "^Calls")).to_be_visible()
