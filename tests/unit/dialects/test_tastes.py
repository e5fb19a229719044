"""What providers want of a chat, by their host and the model's name there."""

from __future__ import annotations

from typing import Any

import pytest

from ipin_proxy.dialects.tastes import Taste, taste_of


@pytest.mark.parametrize(
    ("host", "model", "wanted"),
    [
        ("api.openai.com", "o3-mini", {"completion_tokens": True, "sampling": False, "most_stops": 4}),
        ("api.openai.com", "gpt-4.1", {"completion_tokens": False, "sampling": True, "efforts": ()}),
        ("api.openai.com", "gpt-5-chat-latest", {"completion_tokens": False, "efforts": ()}),
        ("acme.openai.azure.com", "gpt-5", {"completion_tokens": True}),
        ("openrouter.ai", "anthropic/claude-opus-4.8", {"cache_control": True, "reasoning": True, "top_k": True}),
        ("openrouter.ai", "deepseek/deepseek-r1", {"cache_control": False, "hands_back": True}),
        ("api.deepseek.com", "deepseek-chat", {"hands_back": True, "efforts": ()}),
        ("API.Moonshot.ai", "kimi-k2-thinking", {"hands_back": True}),
        ("api.mistral.ai", "mistral-large-latest", {"short_ids": True, "user": False}),
        ("generativelanguage.googleapis.com", "gemini-3-pro", {"leading_system": True}),
        ("api.groq.com", "llama-3.3-70b-versatile", {"efforts": ()}),
        ("api.groq.com", "openai/gpt-oss-120b", {"efforts": ("low", "medium", "high")}),
        ("localhost", "qwen3:8b", {"hands_back": False, "efforts": ("low", "medium", "high")}),
        ("localhost", "llama3", {"efforts": ()}),
    ],
)
def test_a_taste(host: str, model: str, wanted: dict[str, Any]):
    taste = taste_of(host, model)
    assert {name: getattr(taste, name) for name in wanted} == wanted


def test_a_taste_that_nobody_knows_takes_what_most_do():
    assert taste_of("acme.test", "acme-1") == Taste(efforts=())
