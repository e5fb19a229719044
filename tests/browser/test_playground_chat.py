"""The playground's chat: answers that grow while they come, images, Markdown that cannot do harm, failures."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from support import build
from support.build import PNG, chunk, completion, delta, finish, opening, spoken, usage
from support.proxy import Proxy
from support.upstream import Upstream, hang_up, pause, stall

from .window import HAND_OVER

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make browser")
expect = sync_api.expect
if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

MB = 1024 * 1024
PICTURE = {"name": "dot.png", "mimeType": "image/png", "buffer": PNG}
LARGE = {"name": "huge.png", "mimeType": "image/png", "buffer": PNG + bytes(4 * MB)}
NO_PICTURE = {"name": "none.png", "mimeType": "image/png", "buffer": b"hello"}


@pytest.fixture
def chat(page: Page) -> Page:
    page.goto("/admin.html#/playground?model=gpt-public")
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()
    return page


def say(page: Page, text: str) -> None:
    page.get_by_role("textbox", name="Message").fill(text)
    page.keyboard.press("Enter")


def attach(page: Page, *files: dict[str, Any]) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add images").click()
    chooser.value.set_files(list(files))  # type: ignore[arg-type]


def answer(page: Page, model: str = "gpt-public") -> Locator:
    return page.get_by_role("article", name=model)


def test_an_answer_is_seen_growing(chat: Page, upstream: Upstream) -> None:
    upstream.will_stream(opening(), chunk("Hel"), pause, chunk("lo"), finish(), usage(3, 2))
    say(chat, "Say hello.")
    expect(answer(chat)).to_contain_text("Hel")
    expect(answer(chat)).not_to_contain_text("Hello")
    expect(answer(chat)).to_have_attribute("aria-busy", "true")
    upstream.resume()
    expect(answer(chat)).to_contain_text("Hello")
    expect(answer(chat)).to_contain_text("3 tokens in · 2 out")
    expect(answer(chat)).to_have_attribute("aria-busy", "false")
    sent = upstream.history[-1].json
    assert (sent["model"], sent["messages"]) == (build.UPSTREAM_MODEL, [{"role": "user", "content": "Say hello."}])


def test_stopping_keeps_what_came_and_ends_the_call(chat: Page, upstream: Upstream) -> None:
    upstream.will_stream(opening(), chunk("Once upon"), stall)
    say(chat, "Tell me a story.")
    expect(answer(chat)).to_contain_text("Once upon")
    chat.get_by_role("button", name="Stop").click()
    expect(answer(chat)).to_contain_text("stopped")
    expect(answer(chat)).to_contain_text("Once upon")
    upstream.wait_closed()
    expect(chat.get_by_role("button", name="Send")).to_be_visible()


def test_an_answer_can_be_had_again_and_a_question_be_mended(chat: Page, upstream: Upstream) -> None:
    upstream.will_stream(*spoken("First try"))
    upstream.will_stream(*spoken("Second try"))
    upstream.will_stream(*spoken("Third try"))
    say(chat, "Hm?")
    expect(answer(chat)).to_contain_text("First try")
    chat.get_by_role("button", name="Answer again").click()
    expect(answer(chat)).to_contain_text("Second try")
    expect(answer(chat)).to_have_count(1)
    chat.get_by_role("button", name=re.compile("^Edit")).click()
    expect(chat.get_by_role("textbox", name="Message")).to_have_value("Hm?")
    say(chat, "Better asked.")
    expect(answer(chat)).to_contain_text("Third try")
    expect(answer(chat)).to_have_count(1)
    assert upstream.history[-1].json["messages"] == [{"role": "user", "content": "Better asked."}]
    chat.get_by_role("button", name="Clear").click()
    expect(answer(chat)).to_have_count(0)
    chat.get_by_role("button", name="Undo").click()
    expect(answer(chat)).to_contain_text("Third try")


def test_parameters_go_with_the_call_and_are_in_the_code(chat: Page, upstream: Upstream) -> None:
    upstream.will_answer(200, completion("At once."))
    chat.get_by_label("System prompt").fill("Be brief.")
    chat.get_by_label("Temperature").fill("0.3")
    chat.get_by_label("Max tokens").fill("50")
    chat.get_by_label("Other parameters").fill('{"seed": 7}')
    chat.get_by_label("Show the answer while it comes").uncheck()
    chat.get_by_text("This call as code").click()
    code = chat.get_by_role("tabpanel").filter(visible=True).last
    expect(code).to_contain_text('"temperature": 0.3')
    chat.get_by_role("tab", name="Python").click()
    expect(code).to_contain_text("temperature=0.3")
    chat.get_by_role("tab", name="JavaScript").click()
    expect(code).to_contain_text("temperature: 0.3")
    say(chat, "Go.")
    expect(answer(chat)).to_contain_text("At once.")
    sent = upstream.history[-1].json
    assert (sent["temperature"], sent["max_tokens"], sent["seed"], sent.get("stream", False)) == (0.3, 50, 7, False)
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    chat.get_by_text("Raw request and response").click()
    expect(chat.get_by_role("region", name="raw request")).to_contain_text('"seed": 7')
    expect(chat.get_by_role("region", name="raw response")).to_contain_text("HTTP 200")
    expect(chat.get_by_role("region", name="raw response")).to_contain_text("At once.")


def test_images_come_by_button_paste_and_drop(chat: Page, upstream: Upstream) -> None:
    attach(chat, PICTURE)
    data = base64.b64encode(PNG).decode()
    box = chat.get_by_role("textbox", name="Message")
    box.evaluate(HAND_OVER, ["paste", data, "pasted.png"])
    box.evaluate(HAND_OVER, ["drop", data, "dropped.png"])
    previews = chat.get_by_role("list", name="Images to be sent")
    expect(previews.get_by_role("listitem")).to_have_count(3)
    previews.get_by_role("button", name="Remove pasted.png").click()
    upstream.will_stream(*spoken("Two dots."))
    say(chat, "What is this?")
    expect(answer(chat)).to_contain_text("Two dots.")
    expect(previews).to_be_hidden()
    expect(chat.get_by_role("article", name="You").get_by_role("img", name="dropped.png")).to_be_visible()
    parts = upstream.history[-1].json["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url", "image_url"]
    assert parts[1]["image_url"]["url"] == f"data:image/png;base64,{data}"


def test_an_image_that_is_too_large_is_told_before_it_travels(page: Page, proxy: Proxy, upstream: Upstream) -> None:
    proxy.admin("PUT", "/settings", {"MAX_IMAGE_MB": 3})
    page.goto("/admin.html#/playground?model=gpt-public")
    attach(page, LARGE)
    proxy.admin("PUT", "/settings", {"MAX_IMAGE_MB": ""})
    complaint = page.get_by_role("alert").filter(visible=True)
    expect(complaint).to_contain_text("huge.png has 4 MB; an image may have up to 3 MB")
    expect(page.get_by_role("list", name="Images to be sent")).to_be_hidden()
    assert upstream.history == []


def test_what_the_server_finds_wrong_with_an_image_is_told_beside_it(
    chat: Page, upstream: Upstream, expecting: Callable[[str], None]
) -> None:
    expecting("status of 400")
    chat.get_by_label("System prompt").fill("Be brief.")
    upstream.will_stream(*spoken("Hello."))
    say(chat, "Hello?")
    expect(answer(chat)).to_contain_text("Hello.")
    attach(chat, PICTURE, NO_PICTURE)
    say(chat, "What is this?")
    asked = chat.get_by_role("article", name="You").last
    wrong = asked.get_by_role("figure").filter(has=chat.get_by_role("img", name="none.png"))
    expect(wrong).to_contain_text(re.compile("PNG|image"))
    expect(asked.get_by_role("figure").filter(has=chat.get_by_role("img", name="dot.png"))).to_have_text("")
    expect(answer(chat).last.get_by_role("alert")).to_contain_text("image_validation_failed")
    assert len(upstream.history) == 1
    chat.get_by_role("button", name=re.compile("^Edit")).click()
    chat.get_by_role("button", name="Remove none.png").click()
    upstream.will_stream(*spoken("A dot."))
    say(chat, "And this?")
    expect(answer(chat).last).to_contain_text("A dot.")


def test_an_image_is_seen_on_its_way_and_can_be_stopped(chat: Page, upstream: Upstream) -> None:
    attach(chat, LARGE)
    network = chat.context.new_cdp_session(chat)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 300_000}
    network.send("Network.emulateNetworkConditions", slow)
    say(chat, "What is this?")
    expect(answer(chat)).to_contain_text(re.compile(r"[\d.]+ [kM]B of 5\.3 MB sent"))
    assert 0 < answer(chat).get_by_role("progressbar", name="Upload").evaluate("(bar) => bar.position") < 1
    chat.get_by_role("button", name="Stop").click()
    expect(answer(chat)).to_contain_text("stopped")
    assert upstream.history == []
    network.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": -1})
    network.detach()
    upstream.will_stream(opening(), chunk("Gre"), pause, chunk("at."), finish(), usage(3, 2))
    chat.get_by_role("button", name="Answer again").click()
    expect(answer(chat)).to_contain_text("Gre")
    upstream.resume()
    expect(answer(chat)).to_contain_text("Great.")
    expect(answer(chat)).to_contain_text("3 tokens in · 2 out")
    expect(answer(chat).get_by_role("progressbar")).to_have_count(0)


def test_a_model_that_does_not_take_images_is_not_sent_any(chat: Page, upstream: Upstream) -> None:
    expect(chat.get_by_role("button", name="Add images")).to_be_visible()
    chat.get_by_label("Model", exact=True).select_option("org/blind")
    expect(chat.get_by_role("button", name="Add images")).to_be_hidden()
    data = base64.b64encode(PNG).decode()
    chat.get_by_role("textbox", name="Message").evaluate(HAND_OVER, ["paste", data, "pasted.png"])
    complaint = chat.get_by_role("alert").filter(visible=True)
    expect(complaint).to_contain_text("org/blind does not take images")
    expect(complaint).to_contain_text("gpt-public")
    assert upstream.history == []


def test_markdown_is_drawn_and_markup_is_only_text(chat: Page, upstream: Upstream) -> None:
    text = (
        "# Title\n\n<script>alert(1)</script> <img src=x onerror=alert(1)>\n\n"
        "**bold** and `code` and [good](https://example.com/a?b=1) and [bad](javascript:alert(1)) "
        "and [data](data:text/html,<script>alert(1)</script>)\n\n"
        "![picture](https://elsewhere.example/x.png)\n\n"
        "```html\n<b onclick=alert(1)>kept</b>\n```\n\n| a | b |\n|---|---|\n| 1 | <i>2</i> |\n\n- one\n- two\n"
    )
    upstream.will_stream(*spoken(*re.findall(r"(?s).{1,7}", text)), usage(3, 2))
    say(chat, "Draw it.")
    said = answer(chat)
    expect(said).to_contain_text("3 tokens in")
    expect(said.get_by_role("heading", name="Title")).to_be_visible()
    expect(said).to_contain_text("<script>alert(1)</script> <img src=x onerror=alert(1)>")
    expect(said.get_by_role("strong")).to_have_text("bold")
    expect(said.get_by_role("cell", name="<i>2</i>")).to_be_visible()
    expect(said.get_by_role("listitem")).to_have_text(["one", "two"])
    expect(said).to_contain_text("<b onclick=alert(1)>kept</b>")
    good = said.get_by_role("link", name="good")
    expect(good).to_have_attribute("href", "https://example.com/a?b=1")
    expect(good).to_have_attribute("rel", re.compile("noopener"))
    addresses = [each.get_attribute("href") or "" for each in said.get_by_role("link").all()]
    assert all(each.startswith("https://") for each in addresses), addresses
    assert said.locator("script, img, iframe, [onclick], [onerror], [style]").count() == 0


def test_a_model_that_cannot_stop_behind_an_address_does_not_stop_the_page(chat: Page, upstream: Upstream) -> None:
    upstream.will_stream(*spoken("(see https://example.com/a_(b)", ")" * 80_000, " end"))
    say(chat, "Stutter.")
    expect(answer(chat)).to_contain_text(") end")
    expect(answer(chat).get_by_role("link")).to_have_text("https://example.com/a_(b)")


def test_odd_chunks_are_read_for_what_they_say(chat: Page, upstream: Upstream) -> None:
    first = {"index": 1, "function": {"name": "look", "arguments": {"at": "it"}}}
    upstream.will_stream(
        delta(content=[{"type": "text", "text": "Let me "}, "see.", None]),
        delta(tool_calls={"index": 0}),
        delta(tool_calls=[first, None]),
        delta("toString"),
    )
    say(chat, "Be odd.")
    expect(answer(chat)).to_contain_text("Let me see.")
    expect(answer(chat)).to_contain_text('look{"at":"it"}')
    expect(answer(chat)).to_contain_text("in all")
    expect(answer(chat)).not_to_contain_text("native code")


def test_an_answer_without_a_word_is_said_to_be_empty(chat: Page, upstream: Upstream) -> None:
    upstream.will_stream(opening(), finish())
    say(chat, "Say nothing.")
    expect(answer(chat)).to_contain_text("The answer is empty.")


def test_a_failure_is_told_and_can_be_tried_again(
    chat: Page, upstream: Upstream, expecting: Callable[[str], None]
) -> None:
    expecting("status of 429|ERR_INCOMPLETE_CHUNKED")
    upstream.will_answer(429, build.error("Too many at once."), headers={"retry-after": "1"})
    upstream.will_stream(opening(), chunk("Half an ans"), hang_up)
    upstream.will_stream(*spoken("Whole."))
    say(chat, "Try.")
    expect(answer(chat).get_by_role("alert")).to_contain_text("Too many at once.")
    answer(chat).get_by_role("button", name="Try again").click()
    expect(answer(chat).get_by_role("alert")).to_be_visible()
    expect(answer(chat)).to_contain_text("Half an ans")
    answer(chat).get_by_role("button", name="Try again").click()
    expect(answer(chat)).to_contain_text("Whole.")
    expect(answer(chat).get_by_role("alert")).to_have_count(0)


def test_an_answer_goes_on_while_another_screen_is_looked_at(chat: Page, upstream: Upstream, proxy: Proxy) -> None:
    upstream.will_stream(*spoken("Still here."))
    say(chat, "Wait for me.")
    expect(answer(chat)).to_contain_text("Still here.")
    chat.get_by_role("link", name="API keys").click()
    expect(chat.get_by_role("heading", level=1, name="API keys")).to_be_visible()
    chat.get_by_role("link", name="Playground").click()
    expect(answer(chat)).to_contain_text("Still here.")
