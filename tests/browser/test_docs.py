"""The API docs: a first call and clients for the chosen model, and every route that the server answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.proxy import Proxy

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make browser")
expect = sync_api.expect
if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def docs(page: Page, proxy: Proxy) -> Page:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=proxy.base_url)
    page.goto("/admin.html#/docs?model=org/blind")
    expect(page.get_by_label("Model", exact=True)).to_have_value("org/blind")
    return page


def test_a_first_call_is_ready_to_be_copied(docs: Page, proxy: Proxy) -> None:
    shown = docs.get_by_role("tabpanel").filter(visible=True)
    expect(shown).to_contain_text(f"curl {proxy.base_url}/v1/chat/completions")
    expect(shown).to_contain_text("org/blind")
    shown.get_by_role("button", name="Copy").click()
    expect(shown.get_by_role("button", name="Copy")).to_contain_text("Copied")
    assert f"curl {proxy.base_url}/v1/chat/completions" in docs.evaluate("navigator.clipboard.readText()")
    docs.get_by_role("tab", name="JavaScript").click()
    expect(shown).to_contain_text(f'baseURL: "{proxy.base_url}/v1"')


def test_another_model_is_called_in_its_own_way(docs: Page) -> None:
    docs.get_by_label("Model", exact=True).select_option("embed-public")
    shown = docs.get_by_role("tabpanel").filter(visible=True)
    expect(shown).to_contain_text("/v1/embeddings")
    docs.get_by_role("tab", name="Python").click()
    docs.get_by_label("Model", exact=True).select_option("rerank-public")
    expect(shown).to_contain_text("/rerank")
    docs.reload()
    expect(docs.get_by_label("Model", exact=True)).to_have_value("rerank-public")


def test_well_known_clients_are_told_where_to_point(docs: Page, proxy: Proxy) -> None:
    docs.get_by_role("group").filter(has_text="OpenAI SDKs").get_by_text("OpenAI SDKs").click()
    expect(docs.get_by_role("region", name="set-up of OpenAI SDKs")).to_contain_text(f"{proxy.base_url}/v1")


def test_every_route_of_the_server_is_listed_and_can_be_found(docs: Page, proxy: Proxy) -> None:
    main = docs.get_by_role("main")
    for path in proxy.get("/openapi.json").json["paths"]:
        expect(main.get_by_text(path, exact=True).first).to_be_attached()
    docs.get_by_role("searchbox", name="Search the routes").fill("rerank")
    expect(main).to_contain_text("1 route")
    expect(main.get_by_text("/v1/rerank", exact=True)).to_be_visible()
    expect(main.get_by_text("/v1/embeddings", exact=True)).to_have_count(0)
