"""Which provider is a chute, and where its paths are, however its base URL was written."""

from __future__ import annotations

import pytest

from ipin_proxy.call import Deployment
from ipin_proxy.dialects import chutes, openai, upstream_dialect
from ipin_proxy.dialects.chutes_audio import DEFAULT_VOICE, VOICES, voice_of
from ipin_proxy.dialects.chutes_hosts import host_in, is_chutes
from ipin_proxy.dialects.openai import endpoint
from ipin_proxy.dialects.ownpaths import request_to
from ipin_proxy.errors import BadRequest
from ipin_proxy.records import Model, Provider


def provider(url: str, type: str = "openai") -> Provider:
    """Also with a base URL that no administrator could enter."""
    return Provider(id="acme", base_url=url, type=type)


@pytest.mark.parametrize(
    "url",
    [
        "https://chutes.ai",
        "https://llm.chutes.ai/v1",
        "http://chutes-whisper-large-v3.chutes.ai",
        "https://LLM.Chutes.AI/v1/",
        "https://a.b.chutes.ai:8443/v1?x=1",
        "https://llm.chutes.ai./v1",
        "https://user@llm.chutes.ai/v1",
    ],
)
def test_hosts_that_are(url: str) -> None:
    assert is_chutes(provider(url))
    assert upstream_dialect(provider(url)).__class__ is chutes.Upstream


@pytest.mark.parametrize(
    "url",
    [
        "https://notchutes.ai/v1",
        "https://chutes.ai.evil.example/v1",
        "https://chutes.ai@evil.example/v1",
        "https://evil.example/chutes.ai/v1",
        "https://evil.example/v1?host=llm.chutes.ai",
        "https://evil.example#.chutes.ai",
        "https://xn--chutes-.ai/v1",
        "https://chutes.ai.:443@evil.example/v1",
        "https://chutes-ai.example/v1",
        "https://chutes.aiai/v1",
    ],
)
def test_hosts_that_are_not(url: str) -> None:
    assert not is_chutes(provider(url))
    assert upstream_dialect(provider(url)).__class__ is openai.Upstream


def test_what_a_provider_says_of_itself_counts_more() -> None:
    assert is_chutes(provider("http://localhost:8000", type="chutes"))
    for other in ("anthropic", "ollama"):
        assert not is_chutes(provider("https://claude.chutes.ai", type=other))


@pytest.mark.parametrize(
    ("url", "transcribe", "chat"),
    [
        ("https://x.chutes.ai", "/transcribe", "/v1/chat/completions"),
        ("https://x.chutes.ai/", "/transcribe", "/v1/chat/completions"),
        ("https://x.chutes.ai/v1", "/transcribe", "/v1/chat/completions"),
        ("https://x.chutes.ai/v1/", "/transcribe", "/v1/chat/completions"),
        ("https://x.chutes.ai/v1?a=b&c", "/transcribe?a=b&c", "/v1/chat/completions?a=b&c"),
        ("https://gate.example/my/v1", "/my/transcribe", "/my/v1/chat/completions"),
        ("https://gate.example/my", "/my/transcribe", "/my/v1/chat/completions"),
        ("https://gate.example/v1/v1", "/v1/transcribe", "/v1/v1/chat/completions"),
        ("https://x.chutes.ai/transcribe", "/transcribe", None),
        ("https://x.chutes.ai/v1/speak/", "/transcribe", None),
    ],
)
def test_native_paths_stand_beside_v1(url: str, transcribe: str, chat: str | None) -> None:
    given = provider(url, type="chutes")
    deployment = Deployment(Model(id="m", provider_id="acme"), given, "m", "cpk_1234567890", 1.0)
    outbound = request_to(deployment, "/transcribe", [b"{}"])
    assert (outbound.path, outbound.origin.host) == (transcribe, host_in(url))
    assert outbound.headers["authorization"] == "Bearer cpk_1234567890"
    if chat is not None:
        assert endpoint(given, "/chat/completions")[1] == chat


def test_voices() -> None:
    assert voice_of(None) == voice_of("alloy") == voice_of({"id": "Alloy"}) == DEFAULT_VOICE
    for name in ("af_sky", "bm_lewis", "zf_xiaobei", "Somebody"):
        assert voice_of(name) == voice_of({"id": name}) == name
    assert all(voice[2] == "_" and voice[0] in "ab" and voice[1] in "fm" for voice in VOICES.values())
    for wrong in ("", 1, [], {"id": 1}):
        with pytest.raises(BadRequest, match="'voice'"):
            voice_of(wrong)
