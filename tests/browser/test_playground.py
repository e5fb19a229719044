"""The playground's other panels: what is sent, and what becomes of the answer."""

from __future__ import annotations

import base64
import io
import re
import wave
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from support import build
from support.build import PNG
from support.proxy import Proxy
from support.upstream import Upstream, stall

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make browser")
expect = sync_api.expect
if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

PATHS = {
    "embed-public": "/v1/embeddings",
    "speech-public": "/v1/audio/speech",
    "rerank-public": "/v1/rerank",
    "image-public": "/v1/images/generations",
    "hears": "/v1/audio/transcriptions",
    "reads": "/v1/ocr",
}


def silence() -> bytes:
    """A tenth of a second of it, as WAV."""
    made = io.BytesIO()
    with wave.open(made, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(8000)
        sound.writeframes(b"\x80" * 800)
    return made.getvalue()


@pytest.fixture
def panel(page: Page) -> Callable[[str], Page]:
    """Opens the panel of a model."""

    def panel(model: str) -> Page:
        page.goto(f"/admin.html#/playground?model={model}")
        expect(page.get_by_label("Model", exact=True).filter(visible=True)).to_have_value(model)
        return page

    return panel


@pytest.fixture
def of_files(proxy: Proxy) -> Iterator[None]:
    """Models that take a file, for as long as a test."""
    proxy.add_model("hears", type="transcription")
    proxy.add_model("reads", type="ocr")
    yield
    for each in ("hears", "reads"):
        proxy.admin("DELETE", f"/models/{each}")


def result(page: Page) -> Locator:
    return page.get_by_role("region", name="Result").filter(visible=True)


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


def test_speech_is_played_and_can_be_kept(panel: Callable[[str], Page], upstream: Upstream) -> None:
    page = panel("speech-public")
    upstream.will_answer(200, silence(), headers={"content-type": "audio/wav"})
    page.get_by_label("Text", exact=True).fill("Good evening.")
    page.get_by_label("Format").select_option("wav")
    page.get_by_role("button", name="Speak").click()
    with page.expect_download() as download:
        result(page).get_by_role("link", name="Download").click()
    assert download.value.path().read_bytes() == silence()
    assert download.value.suggested_filename == "speech.wav"
    expect(result(page).locator("audio")).to_be_visible()
    assert upstream.history[-1].json["input"] == "Good evening."


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


def test_a_recording_becomes_text(panel: Callable[[str], Page], of_files: None, upstream: Upstream) -> None:
    page = panel("hears")
    spoken = {
        "text": "Good morning.",
        "language": "english",
        "duration": 1.5,
        "segments": [{"start": 0, "text": "Good"}],
    }
    upstream.will_answer(200, spoken)
    page.get_by_role("button", name="Transcribe").click()
    recording = page.get_by_label("Recording")
    expect(recording).to_have_accessible_description(re.compile("Choose a recording first"))
    recording.set_input_files([{"name": "note.wav", "mimeType": "audio/wav", "buffer": silence()}])
    expect(page.get_by_label("Your recording")).to_be_visible()
    page.get_by_label("Language", exact=True).fill("en")
    page.get_by_label("Format").select_option("verbose_json")
    page.get_by_label("Prompt").fill("Ann, Bob")
    page.get_by_role("button", name="Transcribe").click()
    expect(result(page)).to_contain_text("Good morning.")
    expect(result(page)).to_contain_text("english · 1.5 s")
    with page.expect_download() as download:
        result(page).get_by_role("link", name="Download").click()
    assert download.value.path().read_text() == "Good morning."
    sent = upstream.history[-1].form
    assert {part.name: part.data.decode() for part in sent if part.name != "file"} == {
        "model": "gpt-upstream",
        "response_format": "verbose_json",
        "language": "en",
        "prompt": "Ann, Bob",
    }
    assert [(part.filename, part.data) for part in sent if part.name == "file"] == [("note.wav", silence())]


def test_subtitles_stay_subtitles(panel: Callable[[str], Page], of_files: None, upstream: Upstream) -> None:
    page = panel("hears")
    subtitles = "1\n00:00:00,000 --> 00:00:01,500\nGood morning.\n"
    upstream.will_answer(200, subtitles.encode(), headers={"content-type": "text/plain"})
    page.get_by_label("Recording").set_input_files([{"name": "note.wav", "mimeType": "audio/wav", "buffer": silence()}])
    page.get_by_label("Format").select_option("srt")
    page.get_by_role("button", name="Transcribe").click()
    expect(result(page)).to_contain_text("00:00:01,500")
    with page.expect_download() as download:
        result(page).get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "transcript.srt"
    assert download.value.path().read_text() == subtitles


def test_what_is_no_recording_is_refused_where_the_result_would_be(
    panel: Callable[[str], Page], of_files: None, expecting: Callable[[str], None]
) -> None:
    expecting("status of 415")
    page = panel("hears")
    page.get_by_label("Recording").set_input_files(
        [{"name": "note.txt", "mimeType": "text/plain", "buffer": b"only words"}]
    )
    page.get_by_role("button", name="Transcribe").click()
    expect(result(page)).to_contain_text("no recording that is known here")


def test_the_progress_of_an_upload_is_seen_and_it_can_be_stopped(
    panel: Callable[[str], Page], of_files: None, upstream: Upstream
) -> None:
    page = panel("hears")
    upstream.will_say(stall)
    large = silence() + bytes(8 * 1024 * 1024)
    page.get_by_label("Recording").set_input_files([{"name": "long.wav", "mimeType": "audio/wav", "buffer": large}])
    page.get_by_role("button", name="Transcribe").click()
    bar = page.get_by_role("progressbar", name="Upload").filter(visible=True)
    expect(bar).to_have_js_property("value", 1)
    upstream.wait_paused()
    page.get_by_role("button", name="Stop").filter(visible=True).click()
    expect(result(page)).to_contain_text("Stopped.")
    expect(bar).to_have_count(0)
    upstream.wait_closed()


def test_the_text_of_a_picture_is_read(panel: Callable[[str], Page], of_files: None, upstream: Upstream) -> None:
    page = panel("reads")
    upstream.will_answer(200, build.completion("Room 12\nMonday"))
    picture = page.get_by_label("Picture")
    picture.set_input_files([{"name": "huge.png", "mimeType": "image/png", "buffer": bytes(10 * 1024 * 1024 + 1)}])
    expect(picture).to_have_accessible_description(re.compile("10 MB"))
    picture.set_input_files([{"name": "sign.png", "mimeType": "image/png", "buffer": PNG}])
    expect(page.get_by_role("img", name="sign.png")).to_be_visible()
    page.get_by_label("Question").fill("Which room?")
    page.get_by_role("button", name="Read the text").click()
    expect(result(page).get_by_role("region", name="The text of the picture")).to_have_text("Room 12\nMonday")
    image, question = upstream.history[-1].json["messages"][0]["content"]
    assert image["image_url"]["url"] == f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    assert question["text"] == "Which room?"


def test_a_pdf_is_offered_to_whoever_takes_it(
    panel: Callable[[str], Page], of_files: None, expecting: Callable[[str], None]
) -> None:
    expecting("status of 400")
    page = panel("reads")
    page.get_by_label("Picture").set_input_files(
        [{"name": "a.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7\n"}]
    )
    page.get_by_role("button", name="Read the text").click()
    expect(result(page)).to_contain_text("not known to read PDFs")


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
