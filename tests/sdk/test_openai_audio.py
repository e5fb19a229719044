"""The official openai Python SDK hears and speaks through the running proxy: at a provider of OpenAI's kind, and at a chute.

What a caller sees must be the same at both, but for what only one of them can tell.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import build
from support.proxy import KEY, Proxy
from support.script import Script
from support.subtitles import Cue, read_srt, read_vtt
from support.upstream import Seen, Upstream, answer, pause, stream

openai = pytest.importorskip("openai", reason="the openai SDK is not installed: make sdk")

RECORDING = build.wav(3.5)
SOUND = build.wav(0.1, 24_000)
SEGMENTS: list[dict[str, Any]] = [
    {"start": 0.0, "end": 2.0, "text": " Hello"},
    {"start": 2.0, "end": 3.5, "text": " 日本 & you."},
]
TEXT = "Hello 日本 & you."
SRT = "1\n00:00:00,000 --> 00:00:02,000\nHello\n\n2\n00:00:02,000 --> 00:00:03,500\n日本 & you.\n\n"
VTT = "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nHello\n\n00:00:02.000 --> 00:00:03.500\n日本 &amp; you.\n\n"
CUES = [Cue(0, 2000, "Hello"), Cue(2000, 3500, "日本 & you.")]
DETAILS = {
    "seek": 0,
    "tokens": [],
    "temperature": 0.0,
    "avg_logprob": -0.2,
    "compression_ratio": 1.0,
    "no_speech_prob": 0.0,
}
VERBOSE = {
    "task": "transcribe",
    "language": "english",
    "duration": 3.5,
    "text": TEXT,
    "segments": [{"id": number, **each, **DETAILS} for number, each in enumerate(SEGMENTS)],
    "usage": {"type": "duration", "seconds": 4},
}
BOTH = ("whisper", "chute-whisper")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    providers = [
        build.provider(shared_upstream.base_url),
        build.provider(shared_upstream.origin, "chute", type="chutes"),
    ]
    models = [
        build.model("whisper", type="transcription"),
        build.model("chute-whisper", "chute", type="transcription"),
        build.model("tts", type="speech"),
        build.model("chute-tts", "chute", type="speech"),
        build.model("chute-image", "chute", type="image"),
        build.model("chute-embedding", "chute", type="embedding"),
    ]
    proxy = Proxy.start(tmp_path_factory.mktemp("sdk-audio"), providers=providers, models=models)
    yield proxy
    proxy.stop()


@pytest.fixture
def client(proxy: Proxy) -> Iterator[Any]:
    client = openai.OpenAI(api_key=KEY, base_url=proxy.base_url + "/v1", max_retries=0, timeout=10)
    yield client
    client.close()


@pytest.fixture
def provider(upstream: Upstream) -> Upstream:
    """Answers both kinds of request, each in its own way."""
    upstream.default(told)
    return upstream


def told(seen: Seen) -> Script:
    if seen.path == "/transcribe":
        return answer(200, SEGMENTS)
    if seen.path in ("/speak", "/v1/audio/speech"):
        return answer(200, SOUND, headers={"content-type": "audio/wav"})
    fields = {part.name: part.text for part in seen.form if part.filename is None}
    if fields.get("stream") == "true":
        words: list[Any] = [{"type": "transcript.text.delta", "delta": word} for word in ("Hello", " 日本 & you.")]
        usage = {"type": "tokens", "input_tokens": 9, "output_tokens": 4, "total_tokens": 13}
        return stream(*words, {"type": "transcript.text.done", "text": TEXT, "usage": usage}, done=False)
    text_type = {"content-type": "text/plain; charset=utf-8"}
    return {
        "text": answer(200, TEXT + "\n", headers=text_type),
        "srt": answer(200, SRT, headers=text_type),
        "vtt": answer(200, VTT, headers=text_type),
        "verbose_json": answer(200, VERBOSE),
    }.get(fields.get("response_format", ""), answer(200, {"text": TEXT, "usage": VERBOSE["usage"]}))


def recording() -> io.BytesIO:
    file = io.BytesIO(RECORDING)
    file.name = "spéech.wav"
    return file


# Hearing.


@pytest.mark.parametrize("model", BOTH)
def test_a_transcription(client: Any, provider: Upstream, model: str) -> None:
    heard = client.audio.transcriptions.create(model=model, file=recording(), language="en", prompt="names")
    assert heard.text == TEXT
    assert heard.usage.type == "duration"
    (seen,) = provider.history
    if model == "whisper":
        parts = {part.name: part for part in seen.form}
        assert (parts["file"].data, parts["language"].text, parts["prompt"].text) == (RECORDING, "en", "names")
        assert parts["model"].text == "gpt-upstream"
    else:
        assert base64.b64decode(seen.json.pop("audio_b64")) == RECORDING
        assert {name: seen.json[name] for name in ("language", "prompt")} == {"language": "en", "prompt": "names"}


@pytest.mark.parametrize("model", BOTH)
def test_files_are_given_in_every_way(client: Any, provider: Upstream, model: str, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(RECORDING)
    with path.open("rb") as opened:
        for file in (path, opened, RECORDING, ("b.mp3", RECORDING), ("b", RECORDING, "audio/mpeg")):
            assert client.audio.transcriptions.create(model=model, file=file).text == TEXT


@pytest.mark.parametrize("model", BOTH)
def test_texts_are_texts(client: Any, provider: Upstream, model: str) -> None:
    assert client.audio.transcriptions.create(model=model, file=recording(), response_format="text") == TEXT + "\n"
    srt = client.audio.transcriptions.create(model=model, file=recording(), response_format="srt")
    assert read_srt(srt.encode()) == CUES
    vtt = client.audio.transcriptions.create(model=model, file=recording(), response_format="vtt")
    assert read_vtt(vtt.encode()) == CUES


@pytest.mark.parametrize("model", BOTH)
def test_segments_and_their_times(client: Any, provider: Upstream, model: str) -> None:
    heard = client.audio.transcriptions.create(
        model=model, file=recording(), response_format="verbose_json", timestamp_granularities=["segment"]
    )
    assert (heard.text, heard.duration) == (TEXT, 3.5)
    assert [(each.id, each.start, each.end, each.text) for each in heard.segments] == [
        (0, 0.0, 2.0, " Hello"),
        (1, 2.0, 3.5, " 日本 & you."),
    ]
    assert all(isinstance(each.avg_logprob, float) and each.tokens == [] for each in heard.segments)


@pytest.mark.parametrize("model", BOTH)
def test_a_stream(client: Any, provider: Upstream, model: str) -> None:
    events = list(client.audio.transcriptions.create(model=model, file=recording(), stream=True))
    assert "".join(each.delta for each in events if each.type == "transcript.text.delta") == TEXT
    assert (events[-1].type, events[-1].text) == ("transcript.text.done", TEXT)


def test_a_stream_does_not_wait_for_its_end(client: Any, upstream: Upstream) -> None:
    upstream.will_stream(
        {"type": "transcript.text.delta", "delta": "Hel"},
        pause,
        {"type": "transcript.text.done", "text": "Hello"},
        done=False,
    )
    events = iter(client.audio.transcriptions.create(model="whisper", file=recording(), stream=True))
    assert next(events).delta == "Hel"
    upstream.resume()
    assert [each.type for each in events] == ["transcript.text.done"]


def test_a_stream_that_breaks_raises(client: Any, upstream: Upstream) -> None:
    upstream.will_stream({"type": "transcript.text.delta", "delta": "Hel"}, done=False)
    events = client.audio.transcriptions.create(model="whisper", file=recording(), stream=True)
    with pytest.raises(openai.APIError, match="broke off"):
        list(events)


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # the SDK advises against it; people use it
@pytest.mark.parametrize("model", BOTH)
def test_translations(client: Any, provider: Upstream, model: str) -> None:
    assert client.audio.translations.create(model=model, file=recording()).text == TEXT
    assert client.audio.translations.create(model=model, file=recording(), response_format="text") == TEXT + "\n"
    heard = client.audio.translations.create(model=model, file=recording(), response_format="verbose_json")
    assert (heard.text, heard.language, len(heard.segments)) == (TEXT, "english", 2)
    paths = {seen.path for seen in provider.history}
    assert paths == ({"/v1/audio/translations"} if model == "whisper" else {"/transcribe"})


def test_many_fields_reach_their_provider(client: Any, upstream: Upstream) -> None:
    upstream.will_answer(200, {"task": "transcribe", "duration": 1.0, "text": "", "segments": []})
    client.audio.transcriptions.create(
        model="whisper",
        file=recording(),
        response_format="diarized_json",
        chunking_strategy={"type": "server_vad", "threshold": 0.5},
        include=["logprobs"],
        known_speaker_names=["Ann", "Bob"],
        extra_body={"x_new": "1"},
    )
    names = [part.name for part in upstream.history[0].form]
    expected = {"chunking_strategy[type]", "chunking_strategy[threshold]", "include[]", "x_new", "response_format"}
    assert expected <= set(names)
    assert names.count("known_speaker_names[]") == 2


def test_what_a_chute_cannot_tell_is_an_exception(client: Any, provider: Upstream) -> None:
    for wish in (
        {"response_format": "diarized_json"},
        {"response_format": "verbose_json", "timestamp_granularities": ["word"]},
        {"response_format": "srt", "stream": True},
    ):
        with pytest.raises(openai.BadRequestError) as raised:
            client.audio.transcriptions.create(model="chute-whisper", file=recording(), **wish)
        assert raised.value.param in ("response_format", "timestamp_granularities")


@pytest.mark.parametrize("model", BOTH)
def test_refusals_are_exceptions(client: Any, upstream: Upstream, model: str) -> None:
    with pytest.raises(openai.APIStatusError) as raised:
        client.audio.transcriptions.create(model=model, file=("a.txt", b"text"))
    assert (raised.value.status_code, raised.value.code) == (415, "unsupported_media_type")
    with pytest.raises(openai.BadRequestError) as raised:
        client.audio.transcriptions.create(model=model, file=("a.wav", b""))
    assert raised.value.code == "missing_file"
    assert upstream.started == 0
    upstream.will_answer(503, {"detail": "No instances available (yet)"}, headers={"retry-after": "3"})
    with pytest.raises(openai.InternalServerError) as raised:
        client.audio.transcriptions.create(model=model, file=recording())
    assert raised.value.response.headers["retry-after"] == "3"


# Speaking, drawing, embedding.


@pytest.mark.parametrize("model", ["tts", "chute-tts"])
def test_speech(client: Any, provider: Upstream, model: str, tmp_path: Path) -> None:
    said = client.audio.speech.create(model=model, voice="alloy", input="Grüß Gott", response_format="wav", speed=1.5)
    assert (said.content, said.response.headers["content-type"]) == (SOUND, "audio/wav")
    with client.audio.speech.with_streaming_response.create(model=model, voice="nova", input="Hi") as streamed:
        streamed.stream_to_file(tmp_path / "hi.wav")
    assert (tmp_path / "hi.wav").read_bytes() == SOUND


def test_samples_of_a_chute(client: Any, provider: Upstream) -> None:
    said = client.audio.speech.create(model="chute-tts", voice="af_sky", input="Hi", response_format="pcm")
    assert (said.content, said.response.headers["content-type"]) == (SOUND[44:], "audio/pcm")
    assert provider.history[0].json == {"text": "Hi", "voice": "af_sky"}


def test_pictures_of_a_chute(client: Any, upstream: Upstream) -> None:
    upstream.default(lambda seen: answer(200, build.PNG, headers={"content-type": "image/jpeg"}))
    drawn = client.images.generate(model="chute-image", prompt="a lighthouse", size="512x512", n=2)
    assert [base64.b64decode(each.b64_json) for each in drawn.data] == [build.PNG] * 2
    edited = client.images.edit(
        model="chute-image", prompt="at night", image=[("a.png", build.PNG), ("b.png", build.PNG)]
    )
    assert base64.b64decode(edited.data[0].b64_json) == build.PNG
    assert len(upstream.history[2].json["image_b64"]) == 2


def test_vectors_of_a_chute(client: Any, upstream: Upstream) -> None:
    upstream.will_answer(200, build.embeddings([0.5, -0.25]))
    told = client.embeddings.create(model="chute-embedding", input="x")
    assert told.data[0].embedding == [0.5, -0.25]
