"""The text in a picture, asked of a chat model that sees: OpenAI, except that the caller sent a document and wants its text.

The image comes first and the question behind it, as models expect that flatten a message into one text. Where a provider has
a path of its own for it (`ocrPath`), that is asked instead, in the one way that such servers are known to take.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Sequence
from typing import Any

from ..call import Bill, Call, Deployment, Document
from ..errors import Unsupported, UpstreamError
from ..manners import Manners
from ..media.images import PDF
from ..meter import usage_of
from ..upstream import Base64Range, Content, Heard, Outbound, Piece, Reply
from ..web.multipart import FilePart
from ..web.response import JSON_TYPE, Pipe
from . import openai, vision
from .ownpaths import request_to
from .thoughts import TEXT, ThinkSplitter

Json = dict[str, Any]

CHAT_PATH = "/chat/completions"
PROMPT = (
    "Extract all the text in this image, in the order in which it is read. "
    "Answer with the text alone: no comment, no description, no code fence. If there is none, answer with nothing."
)
# Hosts of providers that take a PDF as a part of a chat; what others make of one is not told anywhere.
TAKES_PDF = re.compile(r"api\.openai\.com|(?:.+\.)?openrouter\.ai|.+\.openai\.azure\.com")
# dots.ocr knows this prompt for plain text, and falls into endless repetition at times: hence the end. (Its model card.)
DOTS = re.compile(r"dots[._-]?ocr", re.I)
DOTS_PROMPT = "Extract the text content from this image."
DOTS_SAMPLING = {"temperature": 0.1, "top_p": 0.9, "max_tokens": 16_384}
ANSWERS = ("text", "result", "content")  # of a path of its own, where its text may be


class Upstream(openai.Upstream):
    """What those are told and answer who are asked to read."""

    def requests(
        self, call: Call, deployment: Deployment, manners: Manners, number: int
    ) -> Generator[Outbound, Heard, None]:
        document = call.document
        assert document is not None
        vision.check_sizes(call.pictures, deployment.upstream_model, call.shown_model)
        if own_path := own_path_of(deployment):
            yield own_request(document, deployment, own_path)
            return
        provider = deployment.provider
        origin, path = openai.endpoint(provider, CHAT_PATH)
        headers = {**openai.credentials(provider, deployment.secret), "content-type": JSON_TYPE, "accept": "*/*"}
        body = chat_about(document, deployment)
        yield Outbound(provider.id, origin, "POST", path, headers, body, deployment.timeout_s)

    def pipe_of(self, reply: Reply, bill: Bill, deployment: Deployment) -> tuple[str, Pipe] | None:
        return None

    def decode_body(self, contents: Sequence[Content], bill: Bill, deployment: Deployment) -> Content:
        reply = openai.json_reply(contents[0].body, deployment)
        openai.raise_if_error(reply, deployment)
        bill.used(usage_of(reply))
        bill.finish_reason = openai.first_finish_reason(reply)
        text = own_text(reply) if own_path_of(deployment) else chat_text(reply)
        if text is None:
            raise UpstreamError(f"Provider '{deployment.provider.id}' answered without a text.")
        answer: Json = {"text": text, "model": deployment.model.id, "provider": deployment.provider.id}
        if isinstance(reply.get("usage"), dict):
            answer["usage"] = reply["usage"]
        return Content(JSON_TYPE, json.dumps(answer).encode())


def own_path_of(deployment: Deployment) -> str | None:
    """Where a provider reads without being chatted with; its chat models are asked as all others are."""
    return deployment.provider.ocr_path if deployment.model.type == "ocr" else None


def chat_about(document: Document, deployment: Deployment) -> list[Piece]:
    """The body of a chat with one message: the document, then the question."""
    model = deployment.upstream_model
    is_dots = DOTS.search(model) is not None
    lead: Json = {"model": model, **(DOTS_SAMPLING if is_dots else {})}
    question = {"type": "text", "text": document.prompt or (DOTS_PROMPT if is_dots else PROMPT)}
    begin = json.dumps(lead)[:-1] + ', "messages": [{"role": "user", "content": ['
    url, rest = url_of(document)
    if document.media_type == PDF:
        if not TAKES_PDF.fullmatch(openai.endpoint(deployment.provider, "")[0].host):
            raise Unsupported(
                f"Provider '{deployment.provider.id}' is not known to read PDFs; send each page as an image.",
                param=document.place,
            )
        name = json.dumps(document.name or "document.pdf")
        part = f'{{"type": "file", "file": {{"filename": {name}, "file_data": '
    else:
        part = '{"type": "image_url", "image_url": {"url": '
    end = f"}}}}, {json.dumps(question)}]}}]}}"
    return [f'{begin}{part}"'.encode(), url, *rest, f'"{end}'.encode()]


def url_of(document: Document) -> tuple[bytes, list[Piece]]:
    """The document as a URL within a JSON text: its beginning, and the rest."""
    if not document.media_type:  # an address, which goes on as it came
        address = document.payload[0] if not isinstance(document.payload, FilePart) else ""
        return json.dumps(address)[1:-1].encode(), []
    return f"data:{document.media_type};base64,".encode(), base64_of(document)


def base64_of(document: Document) -> list[Piece]:
    payload = document.payload
    if isinstance(payload, FilePart):
        return [Base64Range(payload.source, payload.begin, payload.begin + payload.size)]
    return [each.encode() if isinstance(each, str) else each for each in payload]


def own_request(document: Document, deployment: Deployment, path: str) -> Outbound:
    """A request to a provider's own path, beside `/v1`."""
    provider = deployment.provider
    if not document.media_type or document.media_type == PDF:
        what = "addresses of images" if not document.media_type else "PDFs"
        raise Unsupported(f"Provider '{provider.id}' takes no {what}; send the image itself.", param=document.place)
    end = f'", "prompt": {json.dumps(document.prompt)}}}' if document.prompt else '"}'
    return request_to(deployment, path, [b'{"image_b64": "', *base64_of(document), end.encode()])


def chat_text(reply: Json) -> str | None:
    """What a chat model said; an image without any text may be answered with nothing."""
    choices = reply.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    if not isinstance(message, dict):
        return None
    content = message.get("content")
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        return without_thoughts("".join(text for text in texts if isinstance(text, str)))
    if content is None:
        refusal = message.get("refusal")
        return refusal if isinstance(refusal, str) else ""
    return without_thoughts(content) if isinstance(content, str) else None


def without_thoughts(text: str) -> str:
    """What was read, where the model thinks first and its server leaves that in front."""
    splitter = ThinkSplitter()
    return "".join(said for kind, said in [*splitter.feed(text), *splitter.finish()] if kind == TEXT)


def own_text(reply: Json) -> str | None:
    return next((reply[name] for name in ANSWERS if isinstance(reply.get(name), str)), None)
