"""Providers offered from well-known environment variables, without a key being stored.

An offer is a provider record whose key is the reference `env:NAME`. It stands until a stored provider takes its id.
"""

from __future__ import annotations

from collections.abc import Mapping

from .records import Provider

KNOWN = (
    ("OPENAI_API_KEY", "openai", "OpenAI", "https://api.openai.com/v1", "openai"),
    ("OPENROUTER_API_KEY", "openrouter", "OpenRouter", "https://openrouter.ai/api/v1", "openai"),
    ("ANTHROPIC_API_KEY", "anthropic", "Anthropic", "https://api.anthropic.com/v1", "anthropic"),
    ("GROQ_API_KEY", "groq", "Groq", "https://api.groq.com/openai/v1", "openai"),
    ("CHUTES_API_TOKEN", "chutes", "Chutes", "https://llm.chutes.ai/v1", "chutes"),
)


def offered(environ: Mapping[str, str]) -> dict[str, Provider]:
    """The providers the environment holds a key for, by id."""
    return {
        id_: Provider(id=id_, name=name, base_url=base_url, type=type_, api_key=f"env:{variable}")
        for variable, id_, name, base_url, type_ in KNOWN
        if environ.get(variable)
    }
