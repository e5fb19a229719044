"""Lists of models, in the shapes in which providers write them.

OpenAI's `data[]`, Together's bare array, Ollama's and Gemini's `models[]` (Gemini puts `models/` before each name, and
takes it with or without).
"""

from __future__ import annotations

from typing import Any

# How many tokens go in: OpenRouter and Together, Groq, vLLM, Mistral, Gemini.
CONTEXT_MEMBERS = ("context_length", "context_window", "max_model_len", "max_context_length", "inputTokenLimit")


def models_told(value: Any) -> list[dict[str, Any]] | None:
    """`{id, name}` of every model in a reply, with `contextWindow` where it is told; None when it is no such list."""
    if isinstance(value, dict):
        value = next((value[name] for name in ("data", "models") if isinstance(value.get(name), list)), None)
    if not isinstance(value, list):
        return None
    found = [row for item in value if (row := _model_told(item)) is not None]
    return list({row["id"]: row for row in found}.values()) if found or not value else None


def _model_told(item: Any) -> dict[str, Any] | None:
    if isinstance(item, str):
        item = {"id": item}
    if not isinstance(item, dict):
        return None
    id_ = _first_text(item, "id", "model", "name").removeprefix("models/")
    if not id_:
        return None
    name = _first_text(item, "display_name", "displayName", "name").removeprefix("models/")
    row: dict[str, Any] = {"id": id_, "name": name or id_}
    size = next((item[name] for name in CONTEXT_MEMBERS if type(item.get(name)) is int and item[name] > 0), None)
    return {**row, "contextWindow": size} if size else row


def _first_text(item: dict[str, Any], *names: str) -> str:
    return next((value for name in names if isinstance(value := item.get(name), str) and value), "")
