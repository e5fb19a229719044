"""Forms that are broken, odd or hostile, through the whole server: an answer on purpose, soon, whatever comes. Never a 500.

A good form is cut, spliced, repeated and mixed with bytes that mean something to its readers; what is still a good form must
reach the provider as it is, and nothing else may.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import build
from support.client import multipart, request
from support.proxy import KEY, Proxy
from support.upstream import Seen, Upstream, answer

BOUNDARY = "tests-b0undary"
RECORDING = build.wav(0.05)
NAMES = [
    "model",
    "file",
    "file[]",
    "Model",
    "stream",
    "response_format",
    "language",
    "timestamp_granularities[]",
    "x",
    "\xfc",
]
VALUES = [
    "hears",
    "chute-hears",
    "nothing",
    "true",
    "srt",
    "verbose_json",
    "word",
    "de",
    "",
    "\0",
    "a" * 3000,
    "--" + BOUNDARY,
]
# What stands for something to whoever reads a form.
PIECES = [
    b"\r\n",
    b"\r\n\r\n",
    b"--" + BOUNDARY.encode(),
    b"\r\n--" + BOUNDARY.encode() + b"--\r\n",
    b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n',
    b"Content-Transfer-Encoding: base64\r\n",
    b"; filename*=utf-8''%00%ff\"",
    b"\0\xff",
    b"RIFF\xff\xff\xff\xffWAVE",
]
FIELDS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES) | st.text(max_size=20))
    | st.tuples(
        st.sampled_from(["file", "image", "file[]"]),
        st.tuples(
            st.sampled_from(["a.wav", "", "a.txt"]), st.sampled_from([RECORDING, b"", b"x"]), st.just("audio/wav")
        ),
    ),
    max_size=6,
)
TYPES = st.sampled_from(
    [
        f"multipart/form-data; boundary={BOUNDARY}",
        f'Multipart/Form-Data; charset=utf-8; boundary="{BOUNDARY}"',
        "multipart/form-data; boundary=other",
        "multipart/form-data",
        f"multipart/form-data; boundary={BOUNDARY}; boundary=x",
        "application/json",
        "",
    ]
)
PATHS = st.sampled_from(["/v1/audio/transcriptions", "/v1/audio/translations", "/v1/images/edits"])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    providers = [
        build.provider(shared_upstream.base_url),
        build.provider(shared_upstream.origin, "chute", type="chutes"),
    ]
    models = [
        build.model("hears", type="transcription"),
        build.model("chute-hears", "chute", type="transcription"),
        build.model("draws", type="image"),
        build.model("chute-draws", "chute", type="image"),
    ]
    proxy = Proxy.start(tmp_path_factory.mktemp("fuzz"), providers=providers, models=models)
    yield proxy
    proxy.stop()
    assert "Traceback" not in proxy.output


def told(seen: Seen) -> Any:
    if seen.path == "/generate":
        return answer(200, build.PNG, headers={"content-type": "image/png"})
    return answer(200, [] if seen.path == "/transcribe" else {"text": "x", **build.images(build.PNG)})


def body_of(fields: list[tuple[str, object]]) -> bytes:
    return multipart(fields, BOUNDARY)[1]


def changed(body: bytes, cuts: list[tuple[int, int, bytes]]) -> bytes:
    """The body with stretches taken out and pieces put in, at places that are shares of a thousand of it."""
    for at, length, piece in cuts:
        begin = len(body) * at // 1000
        body = body[:begin] + piece + body[begin + len(body) * length // 1000 :]
    return body


CUTS = st.lists(
    st.tuples(st.integers(0, 1000), st.integers(0, 300), st.sampled_from(PIECES) | st.binary(max_size=30)), max_size=4
)
BRISK = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def ask(proxy: Proxy, path: str, media_type: str, body: bytes) -> int:
    wire = proxy.raw(request("POST", path, body, KEY, {"content-type": media_type}))
    reply = wire.final("POST")
    content = reply.body
    wire.close()
    proxy.client.close()
    if reply.status != 200:
        assert set(reply.error) >= {"message", "type", "param", "code"}
        assert (400 <= reply.status < 500) or (reply.status == 502 and reply.header("x-ipin-provider")), content
    return reply.status


@given(st.sampled_from(["hears", "chute-hears"]), FIELDS, CUTS, TYPES, PATHS)
@BRISK
def test_any_form_of_a_recording_is_answered(
    proxy: Proxy, upstream: Upstream, model: str, fields: Any, cuts: Any, media_type: str, path: str
) -> None:
    upstream.default(told)
    good: list[tuple[str, object]] = [("model", model), ("file", ("a.wav", RECORDING, "audio/wav"))]
    ask(proxy, path, media_type, changed(body_of([*good, *fields]), cuts))


@given(st.sampled_from(["draws", "chute-draws"]), FIELDS, CUTS)
@BRISK
def test_any_form_of_pictures_is_answered(proxy: Proxy, upstream: Upstream, model: str, fields: Any, cuts: Any) -> None:
    upstream.default(told)
    good: list[tuple[str, object]] = [("model", model), ("prompt", "x"), ("image", ("a.png", build.PNG, "image/png"))]
    ask(
        proxy, "/v1/images/edits", f"multipart/form-data; boundary={BOUNDARY}", changed(body_of([*good, *fields]), cuts)
    )


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=40), max_size=12), TYPES)
@BRISK
def test_bytes_that_never_were_a_form(proxy: Proxy, upstream: Upstream, pieces: list[bytes], media_type: str) -> None:
    upstream.default(told)
    ask(proxy, "/v1/audio/transcriptions", media_type, b"".join(pieces))


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["text", "chunks", "segments", "transcription", "start", "end", "timestamp", "words", "word", "language", "detail", "error", "usage", "seconds", "duration", "tokens"]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=12,
), st.sampled_from(["json", "text", "srt", "vtt", "verbose_json"]), st.booleans(), st.sampled_from(["hears", "chute-hears"]))  # fmt: skip
@BRISK
def test_any_answer_is_a_transcript_or_an_error(
    proxy: Proxy, upstream: Upstream, value: Any, wish: str, streams: bool, model: str
) -> None:
    upstream.default(lambda seen: answer(200, value if value is not None else b"null"))
    fields: list[tuple[str, object]] = [("model", model), ("response_format", wish), ("stream", str(streams))]
    body = body_of([*fields, ("file", ("a.wav", RECORDING, "audio/wav"))])
    ask(proxy, "/v1/audio/transcriptions", f"multipart/form-data; boundary={BOUNDARY}", body)
