"""Providers people use, as a starting point: where each one is, whose it is, how it wants its key.

The pages offer these to fill in a new provider with, and those whose key is found in the environment are offered as
providers by themselves (offers.py). Nothing else depends on them: what is stored is a plain provider record.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class Preset(NamedTuple):
    """`owner` is who gets to read what is sent there. A `base_url` may hold a {placeholder} for a person to fill in;
    `key_url` is where keys are made, `variable` the environment variable in which a key is looked for. `model_map` is what coding
    agents get there for the names they know: the largest of its current models, the usual one, and the small and quick one."""

    id: str
    name: str
    owner: str
    base_url: str
    type: str = "openai"
    auth: str = "bearer"
    local: bool = False
    key_url: str | None = None
    key_hint: str = ""
    note: str | None = None
    variable: str | None = None
    model_map: Mapping[str, str] = MappingProxyType({})

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "owner": self.owner,
            "host": urlsplit(self.base_url).netloc,
            "baseUrl": self.base_url,
            "type": self.type,
            "auth": self.auth,
            "local": self.local,
            "keyUrl": self.key_url,
            "keyHint": self.key_hint,
            "note": self.note,
            "modelMap": dict(self.model_map),
        }


def agents(opus: str, sonnet: str, haiku: str) -> Mapping[str, str]:
    """A model map by families, as aliases.py reads them."""
    return MappingProxyType({"opus": opus, "sonnet": sonnet, "haiku": haiku})


def local(id_: str, name: str, port: int, note: str) -> Preset:
    """A server on the administrator's own machine."""
    return Preset(
        id=id_,
        name=name,
        owner="You: it runs on a machine of yours",
        base_url=f"http://localhost:{port}/v1",
        auth="none",
        local=True,
        key_hint="Usually none.",
        note=f"{note} In a container, localhost is the container itself: give the other machine's name or address.",
    )


PRESETS = (
    Preset(
        id="openai",
        name="OpenAI",
        owner="OpenAI",
        base_url="https://api.openai.com/v1",
        key_url="https://platform.openai.com/api-keys",
        key_hint="Begins with sk-",
        variable="OPENAI_API_KEY",
        model_map=agents("gpt-6-astra", "gpt-6.1-sol", "gpt-6-luna"),
    ),
    Preset(
        id="openrouter",
        name="OpenRouter",
        owner="OpenRouter, Inc.",
        base_url="https://openrouter.ai/api/v1",
        key_url="https://openrouter.ai/settings/keys",
        key_hint="Begins with sk-or-",
        note="Passes calls on to many companies; which one answers depends on the model.",
        variable="OPENROUTER_API_KEY",
        model_map=agents("anthropic/claude-opus-4.8", "anthropic/claude-sonnet-5", "anthropic/claude-haiku-4.5"),
    ),
    Preset(
        id="anthropic",
        name="Anthropic",
        owner="Anthropic",
        base_url="https://api.anthropic.com/v1",
        type="anthropic",
        key_url="https://console.anthropic.com/settings/keys",
        key_hint="Begins with sk-ant-",
        variable="ANTHROPIC_API_KEY",
        model_map=agents("claude-opus-4-8", "claude-sonnet-5", "claude-haiku-4-5"),
    ),
    Preset(
        id="groq",
        name="Groq",
        owner="Groq, Inc.",
        base_url="https://api.groq.com/openai/v1",
        key_url="https://console.groq.com/keys",
        key_hint="Begins with gsk_",
        note="Images: at most 4 MB as base64 in one request.",
        variable="GROQ_API_KEY",
        model_map=agents("openai/gpt-oss-120b", "openai/gpt-oss-120b", "openai/gpt-oss-20b"),
    ),
    Preset(
        id="gemini",
        name="Gemini",
        owner="Google",
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        key_url="https://aistudio.google.com/apikey",
        key_hint="An API key of Google AI Studio",
        note="The ids it lists begin with models/.",
        model_map=agents("gemini-pro-latest", "gemini-flash-latest", "gemini-flash-lite-latest"),
    ),
    Preset(
        id="mistral",
        name="Mistral",
        owner="Mistral AI",
        base_url="https://api.mistral.ai/v1",
        key_url="https://console.mistral.ai/api-keys",
        key_hint="An API key of the Mistral console",
        model_map=agents("mistral-large-latest", "devstral-latest", "devstral-small-latest"),
    ),
    Preset(
        id="deepseek",
        name="DeepSeek",
        owner="DeepSeek",
        base_url="https://api.deepseek.com/v1",
        key_url="https://platform.deepseek.com/api_keys",
        key_hint="Begins with sk-",
        model_map=agents("deepseek-v4-pro", "deepseek-v4-pro", "deepseek-v4-flash"),
    ),
    Preset(
        id="xai",
        name="xAI",
        owner="xAI",
        base_url="https://api.x.ai/v1",
        key_url="https://console.x.ai",
        key_hint="Begins with xai-",
        note="Images must be JPEG or PNG.",
        model_map=agents("grok-4.7", "grok-4.7", "grok-4.3"),
    ),
    Preset(
        id="together",
        name="Together",
        owner="Together AI",
        base_url="https://api.together.xyz/v1",
        key_url="https://api.together.ai/settings/api-keys",
        key_hint="An API key of Together AI",
        model_map=agents("moonshotai/Kimi-K3", "zai-org/GLM-5.3", "zai-org/GLM-5.3-Flash"),
    ),
    Preset(
        id="chutes",
        name="Chutes",
        owner="Chutes (operators of its network run the models)",
        base_url="https://llm.chutes.ai/v1",
        type="chutes",
        key_url="https://chutes.ai/app/api",
        key_hint="Begins with cpk_",
        note="A single chute has a host of its own, such as https://chutes-whisper-large-v3.chutes.ai.",
        variable="CHUTES_API_TOKEN",
    ),
    Preset(
        id="synthetic",
        name="Synthetic",
        owner="Synthetic",
        base_url="https://api.synthetic.new/openai/v1",
        key_url="https://synthetic.new",
        key_hint="An API key of Synthetic",
        note="Model ids look like hf:owner/name.",
    ),
    Preset(
        id="aiml",
        name="AI/ML API",
        owner="AI/ML API",
        base_url="https://api.aimlapi.com/v1",
        key_url="https://aimlapi.com/app/keys",
        key_hint="An API key of AI/ML API",
    ),
    Preset(
        id="azure",
        name="Azure OpenAI",
        owner="Microsoft",
        base_url="https://{resource}.openai.azure.com/openai/v1",
        auth="header:api-key",
        key_url="https://portal.azure.com",
        key_hint="Key 1 or key 2 of the resource",
        note="Put the name of your resource in the address. Models go by the names of your deployments.",
    ),
    local("ollama", "Ollama", 11434, "Start it with: ollama serve."),
    local("lmstudio", "LM Studio", 1234, "Start its server on the Developer page."),
    local("vllm", "vLLM", 8000, "Start it with: vllm serve MODEL."),
    local("llamacpp", "llama.cpp", 8080, "Start it with: llama-server -m MODEL.gguf."),
    Preset(
        id="custom",
        name="Another server",
        owner="Whoever runs that server",
        base_url="",
        key_hint="If it wants one",
        note="Anything that speaks OpenAI's API; the address usually ends in /v1.",
    ),
)
