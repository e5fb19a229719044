"""Who is sent a PDF, and how."""

from __future__ import annotations

import json

import pytest

from ipin_proxy.call import Deployment, Document
from ipin_proxy.dialects.ocr import chat_about
from ipin_proxy.errors import Unsupported
from ipin_proxy.records import Model, Provider

PDF = Document("application/pdf", "file", ["JVBERi0xLjc="], name='Q3 "final".pdf')


def deployment(base_url: str) -> Deployment:
    model = Model(id="m", provider_id="p", type="chat")
    return Deployment(model, Provider(id="p", base_url=base_url), "gpt-4o", None, 1.0)


@pytest.mark.parametrize(
    "base_url",
    [
        "https://api.openai.com/v1",
        "https://API.OpenAI.com",
        "https://openrouter.ai/api/v1",
        "https://eu.openrouter.ai/api/v1",
        "https://mine.openai.azure.com/openai/v1",
    ],
)
def test_a_pdf_is_a_file_part_where_it_is_known_to_be_taken(base_url: str) -> None:
    sent = json.loads(b"".join(bytes(piece) for piece in chat_about(PDF, deployment(base_url))))  # type: ignore[arg-type]
    file, question = sent["messages"][0]["content"]
    assert file == {
        "type": "file",
        "file": {"filename": 'Q3 "final".pdf', "file_data": "data:application/pdf;base64,JVBERi0xLjc="},
    }
    assert question["type"] == "text"


@pytest.mark.parametrize(
    "base_url",
    [
        "http://127.0.0.1:8000/v1",
        "https://api.openai.com.evil.example/v1",
        "https://evil.example/api.openai.com/v1",
        "https://notopenrouter.ai/api/v1",
    ],
)
def test_nobody_else_is_sent_one(base_url: str) -> None:
    with pytest.raises(Unsupported):
        chat_about(PDF, deployment(base_url))
