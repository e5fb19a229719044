"""The chat page: with a pasted key or with the session; the conversation stays in this browser until it is cleared."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.build import PNG, chunk, completion, finish, opening, spoken, tool_chunk
from support.proxy import KEY, PASSWORD, Proxy
from support.upstream import Upstream, pause

from .window import HAND_OVER, WITHOUT_STORAGE

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make browser")
expect = sync_api.expect
if TYPE_CHECKING:
    from playwright.sync_api import Page

Visit = Callable[..., "Page"]


def connect(page: Page, key: str = KEY) -> None:
    page.goto("/chat.html?model=gpt-public")
    page.get_by_role("button", name="Paste an API key").click()
    form = page.get_by_role("dialog", name="Connection")
    form.get_by_label("API key", exact=True).last.fill(key)
    form.get_by_role("button", name="Use it").click()
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()


def say(page: Page, text: str) -> None:
    page.get_by_role("textbox", name="Message").fill(text)
    page.keyboard.press("Enter")


def choose(page: Page, action: str) -> None:
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitem", name=action).click()


def test_a_pasted_key_is_tested_and_then_used(
    stranger: Page, upstream: Upstream, expecting: Callable[[str], None]
) -> None:
    page = stranger
    expecting("status of 401")
    page.goto("/chat.html")
    page.get_by_role("button", name="Paste an API key").click()
    form = page.get_by_role("dialog", name="Connection")
    secret = form.get_by_label("API key", exact=True).last
    secret.fill("sk-nobody-has-this-key")
    form.get_by_role("button", name="Test connection").click()
    expect(form.get_by_role("status")).to_contain_text(re.compile("key", re.IGNORECASE))
    secret.fill(KEY)
    form.get_by_role("button", name="Test connection").click()
    expect(form.get_by_role("status")).to_contain_text("6 models")
    form.get_by_role("button", name="Use it").click()

    page.get_by_label("Model", exact=True).select_option("gpt-public")
    upstream.will_stream(opening(), chunk("Hel"), pause, chunk("lo!"), finish())
    say(page, "Say hello.")
    answer = page.get_by_role("article", name="gpt-public")
    expect(answer).to_contain_text("Hel")
    expect(answer).not_to_contain_text("Hello!")
    upstream.resume()
    expect(answer).to_contain_text("Hello!")
    page.reload()
    expect(answer).to_contain_text("Hello!")  # key and conversation are remembered in this tab
    assert KEY not in page.evaluate("JSON.stringify(localStorage)")


def test_the_session_serves_without_a_key(page: Page, upstream: Upstream) -> None:
    page.goto("/chat.html?model=org/blind")
    expect(page.get_by_label("Model", exact=True)).to_have_value("org/blind")
    page.get_by_role("button", name="System prompt and parameters").click()
    page.get_by_role("dialog").get_by_label("System prompt").fill("Be brief.")
    page.get_by_role("dialog").get_by_label("Show the answer while it comes").uncheck()
    page.get_by_role("button", name="Done").click()
    upstream.will_answer(200, completion("Briefly."))
    say(page, "How?")
    expect(page.get_by_role("article", name="org/blind")).to_contain_text("Briefly.")
    assert upstream.history[-1].json["messages"][0] == {"role": "system", "content": "Be brief."}


def test_a_conversation_is_exported_and_cleared(stranger: Page, upstream: Upstream) -> None:
    page = stranger
    connect(page)
    upstream.will_stream(*spoken("**Gladly.**"))
    say(page, "Keep this?")
    expect(page.get_by_role("article", name="gpt-public")).to_contain_text("Gladly.")
    with page.expect_download() as markdown:
        choose(page, "Export as Markdown")
    text = markdown.value.path().read_text()
    assert markdown.value.suggested_filename.endswith(".md")
    assert "Keep this?" in text and "**Gladly.**" in text and KEY not in text
    with page.expect_download() as exported:
        choose(page, "Export as JSON")
    document: Any = json.loads(exported.value.path().read_text())
    assert [each["text"] for each in document["messages"]] == ["Keep this?", "**Gladly.**"]
    choose(page, "Clear the conversation")
    expect(page.get_by_role("article")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("article")).to_have_count(2)
    choose(page, "Clear the conversation")
    page.reload()
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()
    expect(page.get_by_role("article")).to_have_count(0)


def test_a_message_and_its_pictures_outlive_another_connection(page: Page) -> None:
    page.goto("/chat.html?model=gpt-public")
    box = page.get_by_role("textbox", name="Message")
    box.fill("What is this?")
    box.evaluate(HAND_OVER, ["paste", base64.b64encode(PNG).decode(), "pasted.png"])
    expect(page.get_by_role("button", name="Remove pasted.png")).to_be_visible()
    page.get_by_role("button", name="Connection: admin").click()
    form = page.get_by_role("dialog", name="Connection")
    form.get_by_text("An API key").click()
    form.get_by_label("API key", exact=True).last.fill(KEY)
    form.get_by_role("button", name="Use it").click()
    expect(page.get_by_role("button", name="Connection: API key")).to_be_visible()
    expect(box).to_have_value("What is this?")
    expect(page.get_by_role("button", name="Remove pasted.png")).to_be_visible()


def test_images_go_with_a_message_and_with_the_export(stranger: Page, upstream: Upstream, tmp_path: Path) -> None:
    page, huge = stranger, tmp_path / "huge.png"
    huge.touch()
    os.truncate(huge, 20 * 1024 * 1024 + 1)
    connect(page)
    box = page.get_by_role("textbox", name="Message")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add images").click()
    chooser.value.set_files(huge)
    expect(page.get_by_role("alert").filter(visible=True)).to_contain_text("20 MB")
    data = base64.b64encode(PNG).decode()
    box.evaluate(HAND_OVER, ["paste", data, "pasted.png"])
    box.evaluate(HAND_OVER, ["drop", data, "dropped.png"])
    expect(page.get_by_role("list", name="Images to be sent").get_by_role("listitem")).to_have_count(2)
    upstream.will_stream(*spoken("Dots."))
    say(page, "What are these?")
    expect(page.get_by_role("article", name="gpt-public")).to_contain_text("Dots.")
    content = upstream.history[-1].json["messages"][0]["content"]
    assert [each["type"] for each in content] == ["text", "image_url", "image_url"]
    with page.expect_download() as exported:
        choose(page, "Export as JSON")
    document: Any = json.loads(exported.value.path().read_text())
    assert [each["name"] for each in document["messages"][0]["images"]] == ["pasted.png", "dropped.png"]


def test_a_conversation_with_calls_of_tools_survives_a_reload(stranger: Page, upstream: Upstream) -> None:
    upstream.will_stream(opening(), tool_chunk(1, "{}", name="look"), finish("tool_calls"))  # some count from 1
    connect(stranger)
    say(stranger, "Look.")
    expect(stranger.get_by_role("article", name="gpt-public")).to_contain_text("asks to call look")
    stranger.reload()
    expect(stranger.get_by_role("article", name="gpt-public")).to_contain_text("asks to call look")
    expect(stranger.get_by_role("textbox", name="Message")).to_be_visible()


def test_what_is_being_written_survives_a_reload(stranger: Page) -> None:
    connect(stranger)
    stranger.get_by_role("textbox", name="Message").fill("Half a thought")
    stranger.reload()
    expect(stranger.get_by_role("textbox", name="Message")).to_have_value("Half a thought")


def test_nobody_goes_on_with_what_somebody_else_has_said(
    visit: Visit, proxy: Proxy, upstream: Upstream, session_of: Callable[..., Any]
) -> None:
    """One browser, several people: what one has said is neither shown nor sent on with the words of the next."""
    for name in ("ida", "joe"):
        proxy.admin("POST", "/users", {"username": name, "password": PASSWORD, "role": "admin"})
    page = visit(session_of("ida"))
    page.goto("/chat.html?model=gpt-public")
    upstream.will_stream(*spoken("It stays between us."))
    say(page, "A secret")
    expect(page.get_by_role("article", name="gpt-public")).to_contain_text("between us")
    for name, articles in (("joe", 0), ("ida", 2)):
        page.context.add_cookies(session_of(name)["cookies"])
        page.goto("/chat.html")
        expect(page.get_by_role("textbox", name="Message")).to_be_visible()
        expect(page.get_by_role("article")).to_have_count(articles)


def test_a_browser_that_keeps_nothing_can_be_talked_with(stranger: Page, upstream: Upstream) -> None:
    stranger.add_init_script(WITHOUT_STORAGE)
    upstream.will_stream(*spoken("Hello"))
    connect(stranger)
    say(stranger, "Good morning")
    expect(stranger.get_by_role("article", name="gpt-public")).to_contain_text("Hello")
    expect(stranger.get_by_text("This browser does not keep the conversation.").first).to_be_visible()


def test_signing_out_that_does_not_work_is_said(page: Page, expecting: Callable[[str], None]) -> None:
    expecting("status of 503")
    page.route("**/api/logout", lambda route: route.fulfill(status=503, body="down for a moment"))
    page.goto("/chat.html")
    choose(page, "Sign out")
    expect(page.get_by_role("alertdialog", name="Signing out did not work")).to_be_visible()


def test_a_key_that_is_taken_away_meanwhile_can_be_changed_in_place(
    stranger: Page, proxy: Proxy, upstream: Upstream, expecting: Callable[[str], None]
) -> None:
    page = stranger
    expecting("status of 401")
    proxy.add_key("sk-taken-away-0123456789", "taken")
    connect(page, "sk-taken-away-0123456789")
    proxy.admin("DELETE", "/apikeys/taken")
    say(page, "Still there?")
    answer = page.get_by_role("article", name="gpt-public")
    answer.get_by_role("button", name="Change the key").click()
    form = page.get_by_role("dialog", name="Connection")
    form.get_by_label("API key", exact=True).last.fill(KEY)
    form.get_by_role("button", name="Use it").click()
    upstream.will_stream(*spoken("Again."))
    answer.get_by_role("button", name="Try again").click()
    expect(answer).to_contain_text("Again.")


def test_parameters_are_kept_though_another_tab_is_written_in_meanwhile(page: Page) -> None:
    page.goto("/chat.html?model=gpt-public")
    other = page.context.new_page()
    other.goto("/chat.html?model=gpt-public")
    page.get_by_role("button", name="System prompt and parameters").click()
    form = page.get_by_role("dialog")
    form.get_by_label("System prompt").fill("Be brief.")
    page.evaluate("addEventListener('storage', () => (document.title = 'heard'), { once: true })")
    other.get_by_role("textbox", name="Message").fill("Meanwhile.")
    expect(page).to_have_title("heard")
    form.get_by_label("Temperature").fill("1")
    page.get_by_role("button", name="Done").click()
    other.close()
    page.reload()
    page.get_by_role("button", name="System prompt and parameters").click()
    expect(form.get_by_label("System prompt")).to_have_value("Be brief.")
    expect(form.get_by_label("Temperature")).to_have_value("1")
