"""What was heard, as OpenAI-compatible providers answer: a transcript as JSON or as text, whatever they call it.

It keeps its type and its bytes; where a stream was asked for and it came whole, it is told as events.
"""

from __future__ import annotations

import contextlib
import json
from typing import Any

from ..call import Bill, Deployment
from ..errors import UpstreamError, web_page
from ..meter import amount, usage_of
from ..upstream import Content
from ..web.response import JSON_TYPE, PAGE_TYPE, STREAM_TYPE
from .openai import raise_if_error
from .openai_stream import events_of_transcript

TEXT_TYPE = "text/plain; charset=utf-8"


def transcript_of(content: Content, bill: Bill, deployment: Deployment) -> Content:
    """What was heard, as JSON or as text: it keeps its type, unless a stream of it was asked for."""
    body, provider = content.body, deployment.provider.id
    told: Any = None
    media_type = content.media_type.partition(";")[0].strip().lower()
    if media_type == PAGE_TYPE:
        # whisper.cpp calls a text so. A browser must not take it for a page, since it may be read out of anybody's recording.
        if body.lstrip().startswith(b"<"):
            raise web_page(provider)
        content = Content(TEXT_TYPE, body)
    is_json = media_type == JSON_TYPE
    if is_json or body.lstrip().startswith(b"{"):
        with contextlib.suppress(ValueError, RecursionError):
            told = json.loads(body)
        raise_if_error(told, deployment)
        is_json = is_json or not content.media_type
    if is_json and isinstance(told, dict):
        bill.used(usage_of(told))
        if duration := amount(told.get("duration")):
            bill.lasted(duration)
        if not {"text", "segments"} & told.keys():
            raise UpstreamError(f"Provider '{provider}' answered without an answer: it has no text.")
    elif is_json and not isinstance(told, str):  # which is what text formats are to servers that make all JSON
        raise UpstreamError(f"Provider '{provider}' answered with a body that is not a JSON object.")
    if not bill.call.wants_stream:
        return Content(content.media_type or (JSON_TYPE if is_json else TEXT_TYPE), body)
    if not is_json or isinstance(told, str):
        told = {"text": told if is_json else body.decode("utf-8", "replace")}
    try:
        return Content(STREAM_TYPE, events_of_transcript(told))
    except TypeError as error:
        raise UpstreamError(f"Provider '{provider}' answered with a body of a shape nobody knows.") from error
