"""The audit: who changed what, when and from where, and every field as it was and as it is."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from support import build
from support.book import prefill
from support.proxy import Proxy
from support.upstream import Upstream

from ipin_proxy.trail import Change

from .window import HOSTILE

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make browser")
expect = sync_api.expect
if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream, chromium: Any) -> Iterator[Proxy]:
    """A server whose trail has more than one page."""
    folder = tmp_path_factory.mktemp("audit")
    now = int(time.time() * 1000)
    before = {"name": "Old name", "enabled": True, "price": {"input": 2.5, "output": 10}, "rpm": None}
    after = {"name": HOSTILE, "enabled": True, "price": {"input": 2.5, "output": 8}, "rpm": None, "tags": ["a"]}
    changes = [
        Change(now - n * 1000, "ben", "192.0.2.9", "create", "users", f"u{n}", None, {"n": n}) for n in range(60)
    ]
    changes += [
        Change(now + 1, "ann", "192.0.2.7", "update", "models", "gpt", before, after),
        Change(now + 2, "ann", "192.0.2.7", "rotate", "apiKeys", "key-1"),
        Change(now - 100_000, "eve", "192.0.2.8", "create", "aliases", "cheap", None, {"id": "cheap"}),
    ]
    prefill(folder, [], changes)
    proxy = Proxy.start(folder, providers=[build.provider(shared_upstream.base_url)], models=[build.model("gpt")])
    yield proxy
    proxy.stop()


@pytest.fixture
def audit(page: Page) -> Page:
    page.goto("/admin.html#/audit")
    expect(page.get_by_role("table", name="Changes").first).to_be_visible()
    return page


def row(page: Page, words: str) -> Locator:
    return page.get_by_role("table", name="Changes").locator("tbody tr").filter(has_text=words)


def test_a_change_is_told_field_by_field(audit: Page) -> None:
    change = row(audit, "Changed model")
    expect(change).to_contain_text("192.0.2.7")
    change.get_by_text("3 fields: name, price.output, tags").click()
    lines = change.get_by_role("table", name="Changes").get_by_role("row")
    expect(lines.filter(has_text="price.output")).to_contain_text(re.compile(r"10\s*8"))
    expect(lines.filter(has_text="name").first).to_contain_text(HOSTILE)
    expect(lines.filter(has_text="enabled")).to_have_count(0)
    expect(row(audit, "Renewed API key")).to_contain_text("key-1")


def test_changes_are_filtered_by_who_what_and_which(audit: Page) -> None:
    audit.get_by_label("Kind of record").select_option("models")
    expect(audit.get_by_role("status").filter(has_text="1 change")).to_be_visible()
    expect(audit).to_have_url(re.compile("resource=models"))
    audit.reload()
    expect(audit.get_by_label("Kind of record")).to_have_value("models")
    audit.get_by_label("Action").select_option("update")
    expect(audit).to_have_url(re.compile("action=update"))
    audit.get_by_role("searchbox", name="Who").fill("nobody")
    expect(audit.get_by_role("heading", name="No change matches")).to_be_visible()
    audit.get_by_role("button", name="Show all").click()
    audit.get_by_role("button", name="ann").first.click()
    expect(audit.get_by_role("searchbox", name="Who")).to_have_value("ann")
    expect(audit.get_by_role("status").filter(has_text="2 changes")).to_be_visible()


def test_aliases_are_a_kind_of_record_too(audit: Page) -> None:
    audit.get_by_label("Kind of record").select_option(label="alias")
    change = row(audit, "Created alias")
    expect(change).to_have_count(1)
    change.get_by_role("link", name="cheap").click()
    expect(audit).to_have_url(re.compile(r"#/aliases\?q=cheap"))


def test_the_trail_has_pages(audit: Page) -> None:
    pages = audit.get_by_role("navigation", name="Pages of Changes")
    pages.get_by_role("button", name="Next").click()
    expect(pages).to_contain_text(re.compile("^51–"))
    expect(audit).to_have_url(re.compile("page=2"))


def test_what_is_done_here_is_in_the_trail(audit: Page, proxy: Proxy) -> None:
    assert proxy.admin("PUT", "/models/gpt", {"name": "Renamed by a test"}).status == 200
    audit.reload()
    change = row(audit, "Changed model").first
    expect(change).to_contain_text("admin")
    change.get_by_text("1 field: name").click()
    expect(change).to_contain_text("Renamed by a test")
