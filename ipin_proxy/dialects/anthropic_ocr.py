"""The text in a picture or a PDF, asked of a model that is spoken to by Anthropic's Messages API.

The document first and the question behind it, as in `ocr.py`. The document is not copied: it lies between two texts of JSON, and only
such come here as these models take.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..call import Deployment, Document
from ..media.images import PDF
from ..meter import usage_of
from ..upstream import Piece
from .anthropic_models import default_max_tokens
from .anthropic_reply import Asked, completion_of, usage_told
from .ocr import PROMPT, base64_of, url_of

Json = dict[str, Any]


def question_about(document: Document, model: str) -> Sequence[Piece]:
    """The body of a request with one message: the document, then what is wanted of it."""
    lead = json.dumps({"model": model, "max_tokens": default_max_tokens(model)})
    question = json.dumps({"type": "text", "text": document.prompt or PROMPT})
    kind = "document" if document.media_type == PDF else "image"
    begin = f'{lead[:-1]}, "messages": [{{"role": "user", "content": [{{"type": "{kind}", "source": {{"type": '
    end = f'"}}}}, {question}]}}]}}'.encode()
    if not document.media_type:  # an address, which goes on as it came
        address, rest = url_of(document)
        return [f'{begin}"url", "url": "'.encode(), address, *rest, end]
    return [f'{begin}"base64", "media_type": "{document.media_type}", "data": "'.encode(), *base64_of(document), end]


def text_read(message: Json, deployment: Deployment) -> Json:
    """The answer as callers of `/v1/ocr` get it. Raises UpstreamError for what is none."""
    provider = deployment.provider.id
    said = completion_of(message, Asked(), provider)["choices"][0]["message"]
    answer: Json = {"text": said["content"] or "", "model": deployment.model.id, "provider": provider}
    usage = usage_of(message)
    return {**answer, "usage": usage_told(usage)} if usage is not None else answer
