"""The playground's other panels: what is sent, and what becomes of the answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from support import build
from support.build import PNG
from support.proxy import Proxy
from support.upstream import Upstream, stall

from .window import result

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make browser")
expect = sync_api.expect
if TYPE_CHECKING:
    from playwright.sync_api import Page

PATHS = {
    "embed-public": "/v1/embeddings",
    "speech-public": "/v1/audio/speech",
    "rerank-public": "/v1/rerank",
    "image-public": "/v1/images/generations",
    "hears": "/v1/audio/transcriptions",
    "reads": "/v1/ocr",
}


def test_embeddings_are_compared(panel: Callable[[str], Page], upstream: Upstream) -> None:
    page = panel("embed-public")
    upstream.will_answer(200, build.embeddings([0.6, 0.8, 0.0], [0.8, 0.6, 0.0]))
    page.get_by_label("Text", exact=True).fill("one")
    page.get_by_label("Another text").fill("two")
    page.get_by_label("Dimensions").fill("3")
    page.get_by_role("button", name="Embed").click()
    expect(result(page)).to_contain_text("0.9600")
    expect(result(page)).to_contain_text("3 dimensions")
    expect(result(page)).to_contain_text("0.6000")
    sent = upstream.history[-1].json
    assert (sent["input"], sent["dimensions"]) == (["one", "two"], 3)
    page.get_by_text("This call as code").filter(visible=True).click()
    expect(page.get_by_role("tabpanel").filter(visible=True).last).to_contain_text("/v1/embeddings")


def test_documents_are_put_in_order(panel: Callable[[str], Page], upstream: Upstream) -> None:
    page = panel("rerank-public")
    upstream.will_answer(200, build.reranked(0.1, 0.9, 0.5))
    page.get_by_label("Question").fill("Which one?")
    page.get_by_label("Documents").fill("worst\nbest\nmiddling")
    page.get_by_role("button", name="Rank").click()
    ranked = result(page).get_by_role("listitem")
    expect(ranked).to_have_count(3)
    assert [each.split("\n")[0] for each in ranked.all_inner_texts()] == ["best", "middling", "worst"]
    assert upstream.history[-1].json["documents"] == ["worst", "best", "middling"]


def test_a_picture_is_drawn(panel: Callable[[str], Page], upstream: Upstream) -> None:
    page = panel("image-public")
    upstream.will_answer(200, build.images(PNG))
    page.get_by_label("Description").fill("A dot")
    page.get_by_role("button", name="Draw").click()
    picture = result(page).get_by_role("img", name="A dot")
    expect(picture).to_be_visible()
    assert picture.evaluate("(picture) => picture.decode().then(() => picture.naturalWidth)") == 1
    with page.expect_download() as download:
        result(page).get_by_role("link", name="Download").click()
    assert download.value.path().read_bytes() == PNG


def test_every_panel_shows_its_call_in_three_languages(
    panel: Callable[[str], Page], proxy: Proxy, of_files: None
) -> None:
    for model, path in PATHS.items():
        page = panel(model)
        page.get_by_text("This call as code").filter(visible=True).click()
        code = page.get_by_role("region", name=re.compile("code$")).filter(visible=True)
        expect(code).to_contain_text(f"{proxy.base_url}{path}")
        expect(code).to_contain_text("Bearer YOUR-KEY")
        for language, sign in (
            ("Python", re.compile(r"import (OpenAI|httpx)")),
            ("JavaScript", re.compile(r"\bawait ")),
        ):
            page.get_by_role("tab", name=language).filter(visible=True).click()
            expect(code).to_contain_text(sign)
            expect(code).to_contain_text(model)
            expect(code).to_contain_text(proxy.base_url)


def test_what_went_out_and_came_back_can_be_looked_at(panel: Callable[[str], Page], upstream: Upstream) -> None:
    page = panel("rerank-public")
    page.get_by_text("Raw request and response").filter(visible=True).click()
    upstream.will_answer(200, build.reranked(0.1, 0.9, 0.5))
    page.get_by_role("button", name="Rank").click()
    expect(page.get_by_role("region", name="raw request")).to_contain_text("POST /v1/rerank")
    expect(page.get_by_role("region", name="raw request")).to_contain_text('"model": "rerank-public"')
    expect(page.get_by_role("region", name="raw response")).to_contain_text("HTTP 200")
    expect(page.get_by_role("region", name="raw response")).to_contain_text('"relevance_score": 0.9')


def test_what_the_provider_refuses_is_told_where_the_result_would_be(
    panel: Callable[[str], Page], upstream: Upstream, expecting: Callable[[str], None]
) -> None:
    page = panel("embed-public")
    expecting("status of 400")
    upstream.will_answer(400, build.error("That is too long.", "invalid_request_error"))
    page.get_by_role("button", name="Embed").click()
    expect(result(page).get_by_role("alert")).to_contain_text("That is too long.")
    upstream.will_answer(200, build.embeddings([1.0], [1.0]))
    result(page).get_by_role("button", name="Try again").click()
    expect(result(page)).to_contain_text("1.0000")


def test_a_call_that_takes_too_long_is_stopped(panel: Callable[[str], Page], upstream: Upstream) -> None:
    page = panel("image-public")
    upstream.will_say(stall)
    page.get_by_role("button", name="Draw").click()
    upstream.wait_paused()
    page.get_by_role("button", name="Stop").filter(visible=True).click()
    expect(result(page)).to_contain_text("Stopped")
    expect(page.get_by_role("button", name="Draw")).to_be_focused()


def test_kinds_without_a_model_say_what_they_need(page: Page) -> None:
    page.goto("/admin.html#/playground")
    page.get_by_role("tab", name="More kinds").click()
    expect(page.get_by_role("tabpanel").filter(visible=True)).to_contain_text("Transcription")
    page.get_by_role("button", name="Add models").click()
    expect(page.get_by_role("heading", level=1, name="Models")).to_be_visible()


def test_what_was_typed_stays_when_somebody_adds_a_model(panel: Callable[[str], Page], proxy: Proxy) -> None:
    page = panel("speech-public")
    page.get_by_label("Text", exact=True).filter(visible=True).fill("A long text.")
    page.get_by_role("tab", name="Chat").click()
    message = page.get_by_role("textbox", name="Message").filter(visible=True)
    message.fill("A draft.")
    proxy.add_model("speech-added", type="speech")
    proxy.add_model("chat-added")
    page.get_by_role("link", name="Models").click()
    expect(page.get_by_role("table", name="Models")).to_be_visible()
    page.get_by_role("link", name="Playground").click()

    choice = page.get_by_label("Model", exact=True).filter(visible=True)
    expect(message).to_have_value("A draft.")
    expect(choice.get_by_role("option", name="chat-added")).to_be_attached()
    page.get_by_role("tab", name="Speech").click()
    expect(page.get_by_label("Text", exact=True).filter(visible=True)).to_have_value("A long text.")
    expect(choice).to_have_value("speech-public")
    choice.select_option("speech-added")
    for each in ("speech-added", "chat-added"):
        proxy.admin("DELETE", f"/models/{each}")
    page.get_by_role("link", name="Models").click()
    page.get_by_role("link", name="Playground").click()
    expect(choice).to_have_value("speech-public")
