"""The playground's panels for recordings, speech and pictures: real uploads and answers, through the proxy."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from support import build, sounds
from support.build import PNG
from support.proxy import Proxy
from support.upstream import Upstream, hang_up, pause, stall

from .window import HAND_OVER, axe, result, sticking_out

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make browser")
expect = sync_api.expect
if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

MB = 1024 * 1024
NOTE = {"name": "note.wav", "mimeType": "audio/wav", "buffer": build.wav(0.1)}
LONG = {"name": "long.wav", "mimeType": "audio/wav", "buffer": build.wav(0.1) + bytes(8 * MB)}
SIGN = {"name": "sign.png", "mimeType": "image/png", "buffer": PNG}
SEGMENTS = [{"start": 0, "end": 1.25, "text": " Good"}, {"start": 3661.5, "end": 3662, "text": " morning."}]
SPOKEN = {"text": "Good morning.", "language": "english", "duration": 1.5, "segments": SEGMENTS}
SUBTITLES = "1\n00:00:00,000 --> 00:00:01,500\nGood morning.\n"
UNTHROTTLED = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
# Notes every microphone that is lent to the page.
NOTE_TRACKS = """
const ask = MediaDevices.prototype.getUserMedia;
window.tracks = [];
MediaDevices.prototype.getUserMedia = async function (...asked) {
  const sound = await ask.apply(this, asked);
  window.tracks.push(...sound.getTracks());
  return sound;
};
"""
# Why there is no microphone: what the browser is made to be like, and what is said of it.
NO_MICROPHONE = {
    "not allowed": ("", "may not use the microphone"),
    "too old a browser": (
        "Object.defineProperty(navigator, 'mediaDevices', { value: undefined })",
        "This browser cannot record",
    ),
    "plain http": (
        "Object.defineProperty(navigator, 'mediaDevices', { value: undefined });"
        "Object.defineProperty(window, 'isSecureContext', { value: false })",
        "only to pages over https or on localhost",
    ),
    "none": (
        "MediaDevices.prototype.getUserMedia = () => Promise.reject(new DOMException('', 'NotFoundError'))",
        "No microphone was found",
    ),
}

Panel = Callable[..., "Page"]
pytestmark = pytest.mark.usefixtures("of_files")


@pytest.fixture
def limit(proxy: Proxy) -> Iterator[Callable[[str, int], None]]:
    """Sets how many MB of something the server takes, for as long as a test."""
    changed: list[str] = []

    def limit(name: str, most_mb: int) -> None:
        changed.append(name)
        assert proxy.admin("PUT", "/settings", {name: most_mb}).status == 200

    yield limit
    for name in changed:
        proxy.admin("PUT", "/settings", {name: ""})


@pytest.fixture
def slow_uploads(page: Page) -> Iterator[Callable[[int], None]]:
    """Sets how many bytes a second leave the page; -1: as many as can."""
    session = page.context.new_cdp_session(page)

    def slow_uploads(bytes_per_s: int) -> None:
        session.send("Network.emulateNetworkConditions", {**UNTHROTTLED, "uploadThroughput": bytes_per_s})

    yield slow_uploads
    slow_uploads(-1)
    session.detach()


def choose(page: Page, file: dict[str, Any]) -> Locator:
    """Gives the field of the panel that is seen its file."""
    field = page.locator(".file-field input").filter(visible=True)
    field.set_input_files([file])  # type: ignore[list-item]
    return field


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).filter(visible=True).click()


def saved(page: Page, name: str = "Download") -> tuple[str, bytes]:
    """A download of the result: its name and its bytes."""
    with page.expect_download() as download:
        result(page).get_by_role("link", name=name, exact=True).click()
    return download.value.suggested_filename, download.value.path().read_bytes()


def fields_of(upstream: Upstream) -> list[tuple[str, str]]:
    """The fields that the provider was sent, without the file."""
    return [(part.name, part.text) for part in upstream.history[-1].form if part.name != "file"]


# Recordings.


def test_a_recording_becomes_text_with_times(panel: Panel, upstream: Upstream) -> None:
    page = panel("hears")
    upstream.will_answer(200, {**SPOKEN, "words": [{"word": "Good", "start": 0, "end": 0.4}]})
    press(page, "Transcribe")
    recording = page.get_by_label("Recording", exact=True)
    expect(recording).to_have_accessible_description(re.compile("Choose a recording first"))
    choose(page, NOTE)
    expect(page.get_by_label("Your recording")).to_be_visible()
    page.get_by_label("Format").select_option("verbose_json")
    page.get_by_label("Language", exact=True).fill("en")
    page.get_by_label("Prompt").fill("Ann, Bob")
    page.get_by_label("Temperature").fill("0")
    page.get_by_label("Times of").select_option("segment,word")
    press(page, "Transcribe")
    expect(result(page)).to_contain_text("Good morning.")
    expect(result(page)).to_contain_text("english · 1.5 s")
    rows = result(page).get_by_role("region", name="Segments with times").get_by_role("row")
    expect(rows.nth(1)).to_have_text("0:00.00:01.3Good")
    expect(rows.nth(2)).to_have_text("1:01:01.51:01:02.0morning.")
    result(page).get_by_text("Words with times").click()
    expect(result(page).get_by_role("region", name="Words with times").get_by_role("row")).to_have_count(2)
    assert saved(page) == ("note.txt", b"Good morning.")
    assert saved(page, "Download JSON")[0] == "note.json"
    assert fields_of(upstream) == [
        ("model", "gpt-upstream"),
        ("response_format", "verbose_json"),
        ("language", "en"),
        ("prompt", "Ann, Bob"),
        ("temperature", "0"),
        ("timestamp_granularities[]", "segment"),
        ("timestamp_granularities[]", "word"),
    ]
    file = upstream.history[-1].field("file")
    assert (file.filename, file.data) == ("note.wav", NOTE["buffer"])
    assert axe(page) == []
    page.set_viewport_size({"width": 375, "height": 667})
    assert sticking_out(page) == []


@pytest.mark.parametrize(("format", "media_type"), [("srt", "text/plain"), ("vtt", "text/vtt")])
def test_subtitles_stay_subtitles(panel: Panel, upstream: Upstream, format: str, media_type: str) -> None:
    page = panel("hears")
    upstream.will_answer(200, SUBTITLES.encode(), headers={"content-type": media_type})
    choose(page, NOTE)
    page.get_by_label("Format").select_option(format)
    press(page, "Transcribe")
    expect(result(page).get_by_role("region", name="The subtitles")).to_contain_text("00:00:01,500")
    assert saved(page) == (f"note.{format}", SUBTITLES.encode())


def test_a_recording_is_translated_into_english(panel: Panel, upstream: Upstream) -> None:
    page = panel("hears")
    tokens = {"type": "tokens", "input_tokens": 14, "output_tokens": 3}
    upstream.will_answer(200, {"text": "Good morning.", "usage": tokens})
    choose(page, NOTE)
    page.get_by_label("Language", exact=True).fill("not a language")
    page.get_by_label("Task").select_option("translation")
    expect(page.get_by_label("Language", exact=True)).to_be_hidden()
    press(page, "Translate")
    expect(result(page)).to_contain_text("Good morning.")
    expect(result(page)).to_contain_text("14 tokens in · 3 out · from acme")
    assert upstream.history[-1].path == "/v1/audio/translations"
    assert fields_of(upstream) == [("model", "gpt-upstream"), ("response_format", "json")]
    page.get_by_text("This call as code").filter(visible=True).click()
    expect(page.get_by_role("region", name="curl code")).to_contain_text("/v1/audio/translations")
    page.get_by_role("tab", name="Python").click()
    expect(page.get_by_role("region", name="Python code")).to_contain_text("client.audio.translations.create")


def test_the_text_is_seen_while_it_comes(panel: Panel, upstream: Upstream, expecting: Callable[[str], None]) -> None:
    page = panel("hears")
    first, second = ({"type": "transcript.text.delta", "delta": text} for text in ("Grüße, ", "日本."))
    done = {"type": "transcript.text.done", "text": "Grüße, 日本.", "usage": {"type": "duration", "seconds": 3}}
    upstream.will_stream(first, pause, second, done, done=False)
    upstream.will_stream(first, hang_up, done=False)
    choose(page, NOTE)
    page.get_by_label("Show the text while it comes").check()
    press(page, "Transcribe")
    expect(result(page)).to_have_text("Grüße,")
    expect(page.get_by_text("The answer comes in")).to_be_visible()
    upstream.resume()
    expect(result(page)).to_contain_text("Grüße, 日本.")
    expect(result(page)).to_contain_text("3 s of sound")
    assert saved(page) == ("note.txt", "Grüße, 日本.".encode())
    assert ("stream", "true") in fields_of(upstream)
    page.get_by_text("Raw request and response").filter(visible=True).click()
    expect(page.get_by_role("region", name="raw response")).to_contain_text('"delta": "Grüße, "')
    expecting("ERR_INCOMPLETE_CHUNKED")
    press(page, "Transcribe")
    expect(result(page).get_by_role("alert")).to_be_visible()
    expect(result(page)).to_contain_text("Grüße,")


def test_only_what_a_format_can_hold_is_asked_for(panel: Panel) -> None:
    page = panel("hears")
    stream, times = page.get_by_label("Show the text while it comes"), page.get_by_label("Times of")
    stream.check()
    expect(times).to_be_hidden()
    page.get_by_label("Format").select_option("verbose_json")
    expect(times).to_be_visible()
    expect(stream).to_be_hidden()
    times.select_option("word")
    page.get_by_text("This call as code").filter(visible=True).click()
    code = page.get_by_role("region", name="curl code")
    expect(code).to_contain_text("timestamp_granularities[]=word")
    expect(code).not_to_contain_text("stream")
    page.get_by_label("Format").select_option("srt")
    expect(code).not_to_contain_text("timestamp_granularities")
    page.get_by_label("Format").select_option("json")
    expect(code).to_contain_text("stream=true")


def test_a_recording_is_dropped_or_pasted_and_taken_away(panel: Panel, upstream: Upstream) -> None:
    page = panel("hears")
    data = base64.b64encode(build.wav(0.1)).decode()
    page.get_by_label("Prompt").evaluate(HAND_OVER, ["drop", data, "dropped.wav", "audio/wav"])
    expect(page.get_by_text("dropped.wav", exact=True)).to_be_visible()
    page.locator("body").evaluate(HAND_OVER, ["paste", data, "pasted.wav", "audio/wav"])
    expect(page.get_by_text("pasted.wav", exact=True)).to_be_visible()
    expect(page.get_by_text("dropped.wav", exact=True)).to_have_count(0)
    page.get_by_role("button", name="Take pasted.wav away").click()
    press(page, "Transcribe")
    expect(page.get_by_label("Recording", exact=True)).to_be_focused()
    assert upstream.history == []


def test_what_is_surely_no_recording_is_told_before_it_travels(
    panel: Panel, upstream: Upstream, limit: Callable[[str, int], None]
) -> None:
    limit("MAX_AUDIO_MB", 1)
    page = panel("hears")
    recording = page.get_by_label("Recording", exact=True)
    expect(recording).to_have_accessible_description(re.compile("up to 1 MB"))
    for name, media_type, size, complaint in (
        ("note.txt", "text/plain", 9, "note.txt is no recording, but text/plain"),
        ("none.wav", "audio/wav", 0, "none.wav is empty"),
        ("large.wav", "audio/wav", MB + 1, "a recording may have up to 1 MB"),
    ):
        choose(page, {"name": name, "mimeType": media_type, "buffer": bytes(size)})
        expect(recording).to_have_accessible_description(re.compile(complaint))
    assert upstream.history == []


def test_the_limits_are_the_servers_and_may_change(
    panel: Panel, limit: Callable[[str, int], None], expecting: Callable[[str], None]
) -> None:
    page = panel("hears")
    choose(page, LONG)
    limit("MAX_AUDIO_MB", 2)
    expecting("status of 413")
    press(page, "Transcribe")
    expect(result(page).get_by_role("alert")).to_contain_text("at most 2 MB")
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_role("heading", level=1, name="Overview")).to_be_visible()
    page.get_by_role("link", name="Playground").click()
    expect(page.get_by_label("Recording", exact=True)).to_have_accessible_description(re.compile("up to 2 MB"))


def test_what_only_the_server_can_tell_is_told_where_the_result_would_be(
    panel: Panel, upstream: Upstream, expecting: Callable[[str], None]
) -> None:
    expecting("status of 4(00|15)")
    page = panel("hears")
    choose(page, {"name": "note", "mimeType": "", "buffer": b"only words"})
    press(page, "Transcribe")
    expect(result(page)).to_contain_text("no recording that is known here")
    choose(page, NOTE)
    upstream.will_answer(400, build.error("It could not be decoded.", "invalid_request_error", "bad_audio"))
    press(page, "Transcribe")
    expect(result(page).get_by_role("alert")).to_contain_text("It could not be decoded.")
    expect(result(page)).to_contain_text("Status 400 · bad_audio")
    upstream.will_answer(200, {"text": ""})
    result(page).get_by_role("button", name="Try again").click()
    expect(result(page)).to_contain_text("No words were heard.")


def test_the_progress_of_an_upload_is_seen(
    panel: Panel, upstream: Upstream, slow_uploads: Callable[[int], None]
) -> None:
    page = panel("hears")
    choose(page, LONG)
    slow_uploads(400_000)
    press(page, "Transcribe")
    bar = page.get_by_role("progressbar", name="Upload").filter(visible=True)
    expect(page.get_by_text(re.compile(r"[1-9][\d.]* [kM]B of 8 MB sent"))).to_be_visible()
    assert 0 < bar.evaluate("(bar) => bar.value") < 1
    upstream.will_answer(200, {"text": "Good morning."})
    slow_uploads(-1)
    expect(result(page)).to_contain_text("Good morning.")
    expect(bar).to_have_count(0)
    assert upstream.history[-1].field("file").data == LONG["buffer"]


def test_an_upload_is_stopped_on_its_way(panel: Panel, upstream: Upstream, slow_uploads: Callable[[int], None]) -> None:
    page = panel("hears")
    choose(page, LONG)
    slow_uploads(400_000)
    press(page, "Transcribe")
    expect(page.get_by_text(re.compile(r"of 8 MB sent"))).to_be_visible()
    press(page, "Stop")
    expect(result(page)).to_have_text("Stopped.")
    expect(page.get_by_role("button", name="Transcribe")).to_be_focused()
    assert upstream.history == []


@pytest.mark.parametrize("how", ["stopping", "leaving"])
def test_a_call_that_is_given_up_ends_at_the_provider_too(panel: Panel, upstream: Upstream, how: str) -> None:
    page = panel("hears")
    upstream.will_say(stall)
    choose(page, NOTE)
    press(page, "Transcribe")
    expect(page.get_by_text(re.compile("^Waiting for the model"))).to_be_visible()
    upstream.wait_paused()
    if how == "stopping":
        press(page, "Stop")
    else:
        page.get_by_role("link", name="Models").click()
        expect(page.get_by_role("heading", level=1, name="Models")).to_be_visible()
        page.get_by_role("link", name="Playground").click()
    upstream.wait_closed()
    expect(result(page)).to_have_text("Stopped.")


# The microphone.


def test_a_recording_is_made_and_sent(
    visit: Callable[..., Page], session: Any, panel: Panel, upstream: Upstream
) -> None:
    page = panel("hears", visit(session, permissions=["microphone"]))
    press(page, "Record")
    expect(page.get_by_role("button", name="Stop recording")).to_be_focused()
    expect(page.get_by_role("timer")).to_have_text("0:01")
    assert axe(page) == []
    press(page, "Stop recording")
    expect(page.get_by_text("recording.webm", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Record", exact=True)).to_be_focused()
    length = "(player) => Number.isFinite(player.duration) && player.duration > 0.5"
    page.wait_for_function(length, arg=page.get_by_label("Your recording").element_handle())
    upstream.will_answer(200, {"text": "Beep."})
    press(page, "Transcribe")
    expect(result(page)).to_contain_text("Beep.")
    file = upstream.history[-1].field("file")
    assert (file.filename, file.media_type) == ("recording.webm", "audio/webm")
    assert file.data.startswith(b"\x1a\x45\xdf\xa3")


def test_a_recording_is_discarded_or_ends_with_the_visit(
    visit: Callable[..., Page], session: Any, panel: Panel
) -> None:
    window = visit(session, permissions=["microphone"])
    window.add_init_script(NOTE_TRACKS)
    page = panel("hears", window)
    press(page, "Record")
    press(page, "Discard")
    expect(page.get_by_role("button", name="Record", exact=True)).to_be_visible()
    expect(page.get_by_label("Your recording")).to_have_count(0)
    press(page, "Record")
    expect(page.get_by_role("timer")).to_have_text("0:01")
    page.get_by_role("link", name="Models").click()
    expect(page.get_by_role("heading", level=1, name="Models")).to_be_visible()
    page.get_by_role("link", name="Playground").click()
    expect(page.get_by_text("recording.webm", exact=True)).to_be_visible()
    assert page.evaluate("tracks.map((each) => each.readyState)") == ["ended", "ended"]


@pytest.mark.parametrize("why", NO_MICROPHONE)
def test_why_there_is_no_microphone_is_told(visit: Callable[..., Page], session: Any, panel: Panel, why: str) -> None:
    script, complaint = NO_MICROPHONE[why]
    window = visit(session)
    window.add_init_script(script or "0")
    page = panel("hears", window)
    press(page, "Record")
    expect(page.get_by_label("Recording", exact=True)).to_have_accessible_description(re.compile(complaint))
    expect(page.get_by_role("button", name="Record", exact=True)).to_be_visible()


# Speech.


def test_speech_is_played_and_can_be_kept(panel: Panel, upstream: Upstream) -> None:
    page = panel("speech-public")
    upstream.will_answer(200, build.wav(2), headers={"content-type": "audio/wav"})
    page.get_by_label("Text", exact=True).fill("Good evening.")
    page.get_by_label("Format").select_option("wav")
    page.get_by_label("Speed").fill("7")
    press(page, "Speak")
    expect(page.get_by_label("Speed")).to_have_accessible_description(re.compile("From 0.25 to 4"))
    page.get_by_label("Speed").fill("1.5")
    page.get_by_label("Instructions").fill("Calmly.")
    press(page, "Speak")
    expect(result(page)).to_contain_text("wav · 31.3 kB · 2 s")
    player = result(page).locator("audio")
    expect(player).to_be_visible()
    expect(player).to_have_js_property("paused", False)
    assert saved(page) == ("speech.wav", build.wav(2))
    sent = upstream.history[-1].json
    assert (sent["input"], sent["speed"], sent["instructions"]) == ("Good evening.", 1.5, "Calmly.")


def test_the_name_of_a_sound_is_that_of_what_it_is(panel: Panel, upstream: Upstream) -> None:
    page = panel("speech-public")
    upstream.will_answer(200, build.wav(1), headers={"content-type": "audio/mpeg"})
    press(page, "Speak")
    expect(result(page)).to_contain_text("You asked for mp3; the provider answered with wav.")
    assert saved(page)[0] == "speech.wav"
    expect(result(page).locator("audio")).to_have_js_property("duration", 1)
    upstream.will_answer(200, bytes(48_000), headers={"content-type": "audio/pcm"})
    page.get_by_label("Format").select_option("pcm")
    press(page, "Speak")
    expect(result(page)).to_contain_text("pcm · 46.9 kB · 1 s")
    assert saved(page) == ("speech.pcm", bytes(48_000))
    expect(result(page).locator("audio")).to_be_visible()


def test_real_audio_is_heard_before_it_is_whole(panel: Panel, upstream: Upstream) -> None:
    sound = sounds.real("mp3").read_bytes()
    page = panel("speech-public")
    head, tail = sound[: len(sound) // 2], sound[len(sound) // 2 :]
    upstream.will_stream(head, pause, tail, headers={"content-type": "audio/mpeg"}, done=False)
    press(page, "Speak")
    player = result(page).locator("audio")
    expect(player).to_have_js_property("paused", False)
    page.wait_for_function("(player) => player.currentTime > 0.1", arg=player.element_handle())
    expect(page.get_by_text("The answer comes in")).to_be_visible()
    upstream.resume()
    expect(result(page)).to_contain_text(re.compile(r"mp3 · [\d.]+ kB · 4(\.1)? s"))
    expect(player).to_have_js_property("error", None)
    assert saved(page) == ("speech.mp3", sound)


def test_a_sound_that_the_browser_cannot_play_can_be_kept(panel: Panel, upstream: Upstream) -> None:
    page = panel("speech-public")
    upstream.will_answer(200, b"fLaC" + bytes(2000), headers={"content-type": "audio/flac"})
    page.get_by_label("Format").select_option("flac")
    press(page, "Speak")
    expect(result(page)).to_contain_text("This browser cannot play flac.")
    expect(result(page).locator("audio")).to_be_hidden()
    assert saved(page)[0] == "speech.flac"


def test_sound_ends_when_another_panel_is_looked_at(panel: Panel, upstream: Upstream) -> None:
    page = panel("speech-public")
    upstream.will_answer(200, build.wav(60), headers={"content-type": "audio/wav"})
    press(page, "Speak")
    player = result(page).locator("audio")
    expect(player).to_have_js_property("paused", False)
    handle = player.element_handle()
    page.get_by_role("tab", name="Embeddings").click()
    page.wait_for_function("(player) => player.paused", arg=handle)


# Pictures.


def test_the_text_of_a_picture_is_read(panel: Panel, upstream: Upstream, limit: Callable[[str, int], None]) -> None:
    limit("MAX_IMAGE_MB", 1)
    page = panel("reads")
    text = "# Room 12\n\n<b>Monday</b>"
    upstream.will_answer(200, build.completion(text))
    picture = page.get_by_label("Picture or PDF")
    expect(picture).to_have_accessible_description(re.compile("up to 1 MB"))
    choose(page, {"name": "huge.png", "mimeType": "image/png", "buffer": bytes(MB + 1)})
    expect(picture).to_have_accessible_description(re.compile("huge.png has 1 MB; an image may have up to 1 MB"))
    choose(page, SIGN)
    expect(page.get_by_role("img", name="sign.png")).to_be_visible()
    expect(picture).not_to_have_accessible_description(re.compile("huge.png"))
    page.get_by_label("Prompt").fill("Which room?")
    press(page, "Read the text")
    expect(result(page).get_by_role("region", name="The text")).to_have_text(text)
    assert saved(page) == ("sign.txt", text.encode())
    result(page).get_by_role("tab", name="Formatted").click()
    expect(result(page).get_by_role("heading", name="Room 12")).to_be_visible()
    expect(result(page)).to_contain_text("<b>Monday</b>")
    assert axe(page) == []
    image, question = upstream.history[-1].json["messages"][0]["content"]
    assert image["image_url"]["url"] == f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    assert question["text"] == "Which room?"


def test_a_picture_is_pasted_and_its_progress_seen(
    panel: Panel, upstream: Upstream, slow_uploads: Callable[[int], None]
) -> None:
    page = panel("reads")
    large = PNG + bytes(4 * MB)
    page.locator("body").evaluate(HAND_OVER, ["paste", base64.b64encode(large).decode(), "screen.png"])
    expect(page.get_by_role("img", name="screen.png")).to_be_visible()
    slow_uploads(200_000)
    press(page, "Read the text")
    expect(page.get_by_text(re.compile("of 4 MB sent"))).to_be_visible()
    press(page, "Stop")
    expect(result(page)).to_have_text("Stopped.")
    assert upstream.history == []


def test_a_pdf_is_offered_to_whoever_takes_it(panel: Panel, expecting: Callable[[str], None]) -> None:
    expecting("status of 400")
    page = panel("reads")
    choose(page, {"name": "a.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7\n"})
    expect(page.get_by_text("a.pdf", exact=True)).to_be_visible()
    press(page, "Read the text")
    expect(result(page)).to_contain_text("not known to read PDFs")
