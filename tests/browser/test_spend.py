"""Spend against limits: in the lists of keys and of users, in their forms, and on one's own page."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from support import build
from support.book import DAY_MS, entry, prefill, refused
from support.proxy import KEY, PASSWORD, Proxy
from support.upstream import Upstream

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make browser")
expect = sync_api.expect
if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

NANO = 1_000_000_000


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream, chromium: Any) -> Iterator[Proxy]:
    """A server on which ann has spent 1.25 dollars with her key today, when a call was refused too, and half a dollar in a year
    that is over."""
    folder = tmp_path_factory.mktemp("spend")
    now = int(time.time() * 1000)
    hers = {"key_id": "key-1", "key_name": "Hers", "user_id": "ann", "user_name": "ann"}
    old = entry(2, time_ms=now - 400 * DAY_MS, cost=NANO // 2, **hers)
    prefill(folder, [entry(1, time_ms=now, cost=5 * NANO // 4, **hers), refused(3, time_ms=now, **hers), old])
    budgets = [{"usd": 100, "window": "month"}, {"usd": 2, "window": "total", "name": "trial"}]
    keys = [
        build.key(KEY, name="Hers", budgets=budgets, rpm=30),
        build.key("sk-idle-0123456789abcdefghij", "idle", name="Idle"),
    ]
    providers = [build.provider(shared_upstream.base_url)]
    proxy = Proxy.start(folder, providers=providers, models=[build.model("gpt-public")], keys=keys)
    ann = {"id": "ann", "username": "ann", "password": PASSWORD, "apiKeyId": "key-1"}
    assert proxy.admin("POST", "/users", {**ann, "budgets": [{"usd": 1, "window": "day"}]}).status == 201
    yield proxy
    proxy.stop()


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name))


def test_keys_show_what_they_spent_and_the_budget_that_is_used_most(page: Page) -> None:
    page.goto("/admin.html#/keys")
    expect(row(page, "Hers")).to_contain_text("$1.25")
    expect(row(page, "Hers")).to_contain_text("87 % of $2.00 in total")
    expect(row(page, "Idle")).to_contain_text("$0.00")
    expect(row(page, "Idle")).to_contain_text("0 calls")
    page.get_by_role("button", name="This month").click()
    expect(page.get_by_role("columnheader", name="This month")).to_have_attribute("aria-sort", "descending")
    expect(page.locator("tbody tr").first).to_contain_text("Hers")


def test_the_form_of_a_key_shows_how_each_of_its_limits_stands(page: Page) -> None:
    page.goto("/admin.html#/keys")
    row(page, "Hers").get_by_role("button", name="Hers", exact=True).click()
    form = page.get_by_role("dialog", name="Edit Hers")
    for words in ("Budget a month", "$1.25 of $100.00", "$1.75 of $2.00", "87 % used", "Calls a minute"):
        expect(form.get_by_role("list").filter(has_text=words)).to_be_visible()


def test_users_show_what_they_spent_and_that_a_budget_is_used_up(page: Page) -> None:
    page.goto("/admin.html#/users")
    expect(row(page, "ann")).to_contain_text("$1.25")
    expect(row(page, "ann")).to_contain_text("used up: 125 % of $1.00 a day")
    page.get_by_role("button", name="More for ann").click()
    page.get_by_role("menuitem", name="Edit").click()
    expect(page.get_by_role("dialog", name="Edit ann")).to_contain_text("$1.25 of $1.00")


def test_a_record_that_cannot_be_read_keeps_nobody_from_keys(page: Page, expecting: Callable[[str], None]) -> None:
    expecting("status of 503")
    broken = {"error": {"message": "The ledger cannot be read: torn.", "code": "ledger_unreadable", "param": None}}
    page.route("**/api/admin/usage?*", lambda route: route.fulfill(status=503, json=broken))
    page.goto("/admin.html#/keys")
    expect(row(page, "Hers")).to_contain_text("not known")


def test_ones_own_page_shows_usage_and_limits_with_when_they_begin_anew(
    visit: Callable[..., Page], session_of: Callable[..., Any]
) -> None:
    page = visit(session_of("ann"))
    page.goto("/user.html")
    limits = page.get_by_role("region", name="Limits").get_by_role("listitem")
    day = limits.filter(has_text="Budget a day, of all you do")
    expect(day).to_contain_text("$1.25 of $1.00")
    expect(day).to_contain_text(re.compile(r"Used up\. Begins anew in"))
    expect(limits.filter(has_text="Budget in total, trial, of your key")).to_contain_text("$1.75 of $2.00")
    figures = page.get_by_role("list", name=re.compile("^Figures")).get_by_role("listitem")
    expect(figures.filter(has_text=re.compile("^Spend"))).to_contain_text("$1.25")
    expect(page.get_by_role("img", name=re.compile("^Calls, "))).to_be_visible()
    expect(page.get_by_role("table", name="By the calendar").get_by_role("row", name="In all")).to_contain_text("$1.75")
    page.get_by_role("navigation", name="Time").get_by_role("link", name="Today").click()
    expect(page).to_have_url(re.compile(r"/user\.html#/overview\?days=1"))
    expect(figures.filter(has_text=re.compile("^Calls"))).to_contain_text("2")
    calendar = page.get_by_role("region", name="By the calendar")
    expect(calendar.get_by_role("row", name="Today")).to_have_text("Today$1.251120")
    expect(calendar).to_contain_text("A call that was refused here, such as over a limit, counts for nothing.")
    assert "/api/admin" not in page.content()
