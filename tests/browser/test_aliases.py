"""Aliases in the administration: adding one, its names and its prompt, the preview, and the lines to copy."""

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


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name))


def act(page: Page, name: str, action: str) -> None:
    """An entry of the menu of a row."""
    row(page, name).get_by_role("button", name="More for").click()
    page.get_by_role("menuitem", name=action).click()


def add(proxy: Proxy, id: str, **fields: object) -> None:
    reply = proxy.admin("POST", "/aliases", {"id": id, "target": build.PUBLIC_MODEL, **fields})
    assert reply.status == 201, reply.body


def test_the_first_alias_is_added_looked_at_and_used(page: Page, proxy: Proxy) -> None:
    page.goto("/admin.html#/aliases")
    expect(page.get_by_role("heading", name="No alias yet")).to_be_visible()
    page.get_by_role("button", name="Add an alias").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Id", exact=True).fill("a/b")
    form.get_by_role("button", name="Add alias").click()
    expect(form).to_contain_text("it is a part of an address")
    form.get_by_label("Id", exact=True).fill(build.PUBLIC_MODEL)
    form.get_by_role("button", name="Add alias").click()
    expect(form).to_contain_text("is the id of an alias, a model or a provider already")
    form.get_by_label("Id", exact=True).fill("agent")
    form.get_by_label("Display name").fill("For agents")
    form.get_by_label("Stands for").select_option("acme")
    form.get_by_label("Haiku").fill("org/blind")
    form.get_by_role("button", name="Add a name").click()
    form.get_by_label("Asked for").first.fill("exact-name")
    form.get_by_label("Model", exact=True).fill(build.PUBLIC_MODEL)
    form.get_by_text("System prompt", exact=True).click()
    form.get_by_label("Prompt", exact=True).fill("OURS {{ENV_INFO}}")
    form.get_by_label("Where it goes").select_option("replace")
    form.get_by_text("Preview", exact=True).click()
    expect(form).to_contain_text("There is no model 'claude-sonnet-5' there.")
    form.get_by_label("Asked for").last.fill("claude-haiku-4-5")
    expect(form).to_contain_text(re.compile("claude-haiku-4-5 is answered by .* of acme"))
    final = form.get_by_role("region", name="The final prompt")
    expect(final).to_contain_text("OURS # Environment")
    form.get_by_label("The client's own prompt").fill("<env>here</env>")
    expect(final).to_have_text("OURS <env>here</env>")
    form.get_by_role("button", name="Add alias").click()

    panel = page.get_by_role("dialog", name="Use For agents with…")
    base = f"{proxy.base_url}/agent"
    lines = f"export ANTHROPIC_BASE_URL={base}\nexport ANTHROPIC_AUTH_TOKEN=YOUR-KEY\nclaude"
    expect(panel.get_by_role("region", name="set-up of Claude Code, In the terminal", exact=True)).to_have_text(lines)
    panel.get_by_role("button", name="Copy set-up of Claude Code, In the terminal", exact=True).click()
    expect(panel.get_by_role("button", name="Copy set-up of Claude Code, In the terminal", exact=True)).to_contain_text(
        "Copied"
    )
    panel.get_by_role("tab", name="OpenAI SDKs").click()
    expect(panel).to_contain_text(f"export OPENAI_BASE_URL={base}/v1")
    panel.get_by_role("button", name="Close").last.click()

    expect(row(page, "For agents")).to_contain_text("haiku → org/blind")
    stored = proxy.admin("GET", "/aliases/agent").json
    assert (stored["target"], stored["modelMap"]) == ("acme", {"haiku": "org/blind", "exact-name": build.PUBLIC_MODEL})
    assert stored["systemPrompt"] == {"template": "OURS {{ENV_INFO}}", "mode": "replace"}
    proxy.admin("DELETE", "/aliases/agent")


def test_no_name_that_is_typed_is_lost(page: Page, proxy: Proxy) -> None:
    add(proxy, "typed", modelMap={"x": "y"})
    page.goto("/admin.html#/aliases")
    act(page, "typed", "Edit")
    form = page.get_by_role("dialog")
    form.get_by_role("button", name="Add a name").click()
    form.get_by_label("Model", exact=True).last.fill("z")
    form.get_by_role("button", name="Save").click()
    expect(form).to_contain_text("A line has nothing on its left, so it would be lost.")
    name = form.get_by_role("group", name="Exact names").get_by_label("Asked for").last
    name.fill("x")
    form.get_by_role("button", name="Save").click()
    expect(form).to_contain_text('There are two lines for "x".')
    name.fill("x2")
    form.get_by_role("button", name="Save").click()
    expect(form).to_have_count(0)
    assert proxy.admin("GET", "/aliases/typed").json["modelMap"] == {"x": "y", "x2": "z"}
    proxy.admin("DELETE", "/aliases/typed")


def test_an_alias_is_changed_disabled_deleted_and_brought_back(page: Page, proxy: Proxy) -> None:
    add(proxy, "cheap", modelMap={"haiku": "org/blind", "x": "y"}, systemPrompt={"template": "T", "mode": "append"})
    page.goto("/admin.html#/aliases")
    act(page, "cheap", "Edit")
    form = page.get_by_role("dialog")
    expect(form.get_by_label("Id", exact=True)).to_be_disabled()
    expect(form.get_by_label("Prompt", exact=True)).to_have_value("T")
    form.get_by_label("Haiku").fill("")
    form.get_by_label("Also takes all names that no model has").check()
    form.get_by_role("button", name="Save").click()
    expect(row(page, "cheap")).to_contain_text("default")
    stored = proxy.admin("GET", "/aliases/cheap").json
    assert (stored["modelMap"], stored["default"]) == ({"x": "y"}, True)
    assert stored["systemPrompt"] == {"template": "T", "mode": "append"}
    expect(row(page, "cheap")).to_contain_text("leads nowhere")
    act(page, "cheap", "Disable")
    expect(row(page, "cheap")).to_contain_text("disabled")
    act(page, "cheap", "Delete…")
    page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="No alias yet")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(row(page, "cheap")).to_contain_text("disabled")
    proxy.admin("DELETE", "/aliases/cheap")


def test_what_the_server_refuses_is_told_beside_its_field(page: Page, proxy: Proxy, expecting: object) -> None:
    add(proxy, "first", default=True)
    page.goto("/admin.html#/aliases")
    expecting("status of 409")  # type: ignore[operator]
    page.get_by_role("button", name="Add an alias").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Id", exact=True).fill("second")
    form.get_by_label("Also takes all names that no model has").check()
    form.get_by_role("button", name="Add alias").click()
    expect(form).to_contain_text("The alias 'first' takes the names that no model has.")
    form.get_by_label("Also takes all names that no model has").uncheck()
    form.get_by_label("Stands for").select_option("")
    expecting("status of 400")  # type: ignore[operator]
    form.get_by_role("button", name="Add alias").click()
    expect(form.locator("form-field", has=page.get_by_label("Stands for"))).to_contain_text("is missing")
    form.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Leave").click()
    proxy.admin("DELETE", "/aliases/first")


def test_a_key_can_be_given_an_alias(page: Page, proxy: Proxy) -> None:
    add(proxy, "for-keys")
    page.goto("/admin.html#/keys")
    page.get_by_role("button", name="Create an API key").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Only these:").first.check()
    expect(form.get_by_role("checkbox", name=re.compile("for-keys"))).to_be_visible()
    form.get_by_role("button", name="Cancel").click()
    proxy.admin("DELETE", "/aliases/for-keys")


def test_a_preset_brings_its_map_along(page: Page) -> None:
    page.goto("/admin.html#/providers")
    page.get_by_role("button", name="Add a provider").click()
    page.get_by_role("dialog").get_by_role("button", name=re.compile("OpenRouter")).click()
    form = page.get_by_role("dialog")
    form.get_by_text("More: kind of").click()
    expect(form.get_by_role("group", name="Other names for models").get_by_label("Asked for").first).to_have_value(
        "opus"
    )
    expect(form.get_by_label("Default model")).to_have_value("")
    form.get_by_role("button", name="Cancel").click()
