"""Chutes that hear and speak: the templates of Whisper and of Kokoro.

`/transcribe` takes `{"audio_b64", "language"?, "prompt"?}` and answers segments; every format but JSON is made here. `/speak`
takes `{"text", "voice", "speed"?}` and answers WAV. A schema may refuse what it does not know, so nothing is sent that the
caller did not ask for.

Sources: the templates and examples in chutesai/chutes, and what its clients do.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Set
from functools import partial
from typing import Any

from ..call import TRANSLATION, Bill, Call, Deployment
from ..errors import BadRequest, Unsupported, UpstreamError
from ..forms import NO, YES
from ..manners import Manners
from ..media.transcripts import FORMATS, render, usage
from ..records import Provider
from ..upstream import Base64Range, Content, Heard, Piece, Reply
from ..web.response import STREAM_TYPE, Pipe
from .chutes_hosts import Json, Requests, json_of, members_of
from .openai import raise_if_error
from .openai_stream import events_of_transcript
from .ownpaths import request_to
from .passage import Sounds
from .segments import transcript_told
from .wave import Samples

ENGLISH = "en"
# How a schema says that it does not know a member, and not that its value is wrong.
UNKNOWN_MEMBER = re.compile(
    r"extra|unexpected|not permitted|forbidden"
    r"|(?:unknown|unrecogni[sz]ed|unsupported|invalid) (?:field|param|arg|member|key|option|input|propert)",
    re.IGNORECASE,
)

DEFAULT_VOICE = "af_heart"
# OpenAI's voices by their nearest in Kokoro, of those that its first release had already.
VOICES = {
    "alloy": DEFAULT_VOICE,
    "ash": "am_adam",
    "ballad": "bm_lewis",
    "cedar": "am_michael",
    "coral": "af_sarah",
    "echo": "am_michael",
    "fable": "bm_george",
    "marin": "af_heart",
    "nova": "af_bella",
    "onyx": "am_adam",
    "sage": "af_nicole",
    "shimmer": "af_sky",
    "verse": "am_michael",
}
SOUND_FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")

UNTOLD_TYPES = ("", "application/octet-stream", "binary/octet-stream")


def transcribe(call: Call, deployment: Deployment, manners: Manners) -> Requests:
    """The recording as base64, and what the caller said of it. Where a language is told the templates translate, which is
    what a translation wants; others take none, or no prompt: once more without, and remembered."""
    check_wishes(call, deployment.provider)
    said = {"language": call.field("language"), "prompt": call.field("prompt")}
    translates = call.operation is TRANSLATION
    if translates:
        said["language"] = said["language"] or ENGLISH
    refused = manners.refused_by(deployment.provider)
    while True:
        if translates and "language" in refused:
            raise Unsupported(
                f"Provider '{deployment.provider.id}' cannot translate: it takes no language. "
                "POST /v1/audio/transcriptions writes down what was said as it was said.",
                param="model",
            )
        sent = {name: value for name, value in said.items() if value and name not in refused}
        told = yield request_to(deployment, "/transcribe", recording_and(sent, call))
        named, is_certain = refused_members(told, sent.keys())
        if translates and not is_certain:
            named -= {"language"}  # the one in question is refused, but not any
        if not named:
            return
        if is_certain:
            manners.refuses(deployment.provider, named)
        refused |= named


def recording_and(members: Json, call: Call) -> list[Piece]:
    assert call.form is not None
    file = next(each for each in call.form.files if each.field == "file")
    rest = json.dumps(members)[1:]
    return [
        b'{"audio_b64": "',
        Base64Range(file.source, file.begin, file.begin + file.size),
        f'"{", " if members else ""}{rest}'.encode(),
    ]


def check_wishes(call: Call, provider: Provider) -> None:
    """What no chute can answer is said before one is asked. Raises BadRequest."""
    assert call.form is not None
    wish, stream = call.field("response_format") or FORMATS[0], (call.field("stream") or "").strip().lower()
    if wish == "diarized_json":
        raise Unsupported(
            f"Provider '{provider.id}' does not tell speakers apart; ask for {', '.join(FORMATS)}.",
            param="response_format",
        )
    if wish not in FORMATS:
        raise BadRequest(
            f"'response_format' must be one of {', '.join(FORMATS)}, not '{wish:.40}'.", param="response_format"
        )
    if stream not in YES | NO:
        raise BadRequest(f"'stream' must be true or false, not '{stream:.40}'.", param="stream")
    if call.wants_stream and wish in ("srt", "vtt"):
        raise BadRequest(
            f"With stream=true the words come as events; leave it out to get {wish}.", param="response_format"
        )
    for each in call.form.all("timestamp_granularities"):
        if each not in ("segment", "word"):
            raise BadRequest(
                f"'timestamp_granularities' must be segment or word, not '{each:.40}'.", param="timestamp_granularities"
            )
        if each == "word" and (wish != "verbose_json" or call.wants_stream):
            raise BadRequest(
                "Only response_format=verbose_json, without stream, has a place for the times of words.",
                param="timestamp_granularities",
            )


def refused_members(told: Heard, sent: Set[str]) -> tuple[frozenset[str], bool]:
    """Which of the members sent a refusal names, and whether it certainly means that it does not know them."""
    if told.status not in (400, 422):
        return frozenset(), False
    try:
        value = json.loads(told.body)
    except (ValueError, RecursionError):
        value = None
    rows = value.get("detail") if isinstance(value, dict) else None
    if isinstance(rows, list):  # FastAPI's list: each has its place, and may well complain of the value alone
        named = {
            str(place)
            for row in rows
            if isinstance(row, dict) and UNKNOWN_MEMBER.search(f"{row.get('type')} {row.get('msg')}")
            for place in (row["loc"] if isinstance(row.get("loc"), list) else ())
        }
        return frozenset(named & sent), True
    text = told.body.decode("utf-8", "replace")
    return frozenset(name for name in sent if re.search(rf"\b{name}\b", text)), bool(UNKNOWN_MEMBER.search(text))


def heard(content: Content, bill: Bill, deployment: Deployment) -> Content:
    """What was heard, in the format that was asked for."""
    call, provider = bill.call, deployment.provider
    assert call.form is not None
    value = json_of(content, deployment)
    raise_if_error(value, deployment)
    transcript = transcript_told(value, call.seconds)
    if transcript is None:
        raise UpstreamError(f"Provider '{provider.id}' answered with a body of a shape nobody knows.")
    if "word" not in call.form.all("timestamp_granularities"):
        transcript = transcript._replace(words=None)
    elif transcript.words is None:
        if transcript.segments:
            raise Unsupported(
                f"Provider '{provider.id}' does not tell when each word was said; leave out timestamp_granularities=word.",
                param="timestamp_granularities",
            )
        transcript = transcript._replace(words=())
    if transcript.duration:
        bill.lasted(call.seconds or transcript.duration)
    if call.wants_stream:
        return Content(STREAM_TYPE, events_of_transcript({"text": transcript.text, **usage(transcript)}))
    translates = call.operation is TRANSLATION
    language = "english" if translates else transcript.language or call.field("language")
    wish, task = call.field("response_format") or FORMATS[0], "translate" if translates else "transcribe"
    return Content(*render(transcript._replace(language=language), wish, task))


def speak(call: Call, deployment: Deployment) -> Requests:
    """What comes is WAV, whichever of the compressed formats was asked for, and says so. `instructions` have no place there,
    as they have none in OpenAI's older models."""
    asked = members_of(call)
    if call.wants_stream:
        raise Unsupported(
            f"Provider '{deployment.provider.id}' sends sound, no events; leave out stream_format.",
            param="stream_format",
        )
    wish, speed = asked.get("response_format"), asked.get("speed")
    if wish is not None and wish not in SOUND_FORMATS:
        raise BadRequest(f"'response_format' must be one of {', '.join(SOUND_FORMATS)}.", param="response_format")
    if not isinstance(asked["input"], str):
        raise BadRequest("'input' must be a text.", code="missing_input", param="input")
    said: Json = {"text": asked["input"], "voice": voice_of(asked.get("voice"))}
    if speed is not None:
        if isinstance(speed, bool) or not isinstance(speed, (int, float)) or not math.isfinite(speed):
            raise BadRequest("'speed' must be a number, such as 1.0.", param="speed")
        said["speed"] = speed
    yield request_to(deployment, "/speak", [json.dumps(said).encode()])


def voice_of(asked: Any) -> str:
    """A voice of the model's own, by its name there, OpenAI's name, or OpenAI's `{"id"}`."""
    name = asked.get("id") if isinstance(asked, dict) else asked
    if name is None:
        return DEFAULT_VOICE
    if not isinstance(name, str) or not name:
        raise BadRequest("'voice' must be the name of a voice, such as alloy or af_heart.", param="voice")
    return VOICES.get(name.lower(), name)


def sound(reply: Reply, bill: Bill, deployment: Deployment) -> tuple[str, Pipe]:
    """The media type and the pipe of an answer of `/speak`."""
    if bill.call.member("response_format") == "pcm":
        return "audio/pcm", Samples(deployment.provider.id, bill)
    media_type = reply.headers.get("content-type") or ""
    raises = partial(raise_if_error, deployment=deployment)
    return "audio/wav" if reply.media_type in UNTOLD_TYPES else media_type, Sounds(bill, raises)
