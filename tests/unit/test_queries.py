"""Queries of base URLs: what is taken for a secret, its masks, and what they stand for when they come back."""

from __future__ import annotations

import pytest

from ipin_proxy import queries

SECRET = "QSECRET-123456789"


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        (f"https://x.example/v1?api_key={SECRET}", [SECRET]),
        (f"https://x.example/v1?a=b&k={SECRET}", [SECRET]),
        (f"https://x.example/v1?{SECRET}", [SECRET]),
        ("https://x.example/v1?key=ab%2Fcd-1234", ["ab%2Fcd-1234", "ab/cd-1234"]),
        ("https://x.example/v1?key=ab/cd=1234", ["ab/cd=1234", "ab%2Fcd%3D1234"]),
        ("https://x.example/v1?token=short", ["token=short"]),
        ("https://x.example/v1?api-version=2024-10-21&deployment=a&flag&key=", []),
        ("https://x.example/v1", []),
        ("", []),
    ],
)
def test_what_is_taken_for_a_secret(url: str, secrets: list[str]) -> None:
    assert queries.secrets_of(url) == secrets
    masked = queries.masked(url)
    assert not any(secret in masked for secret in secrets)
    assert (masked == url) == (secrets == [])
    assert queries.filled(masked, url) == (url, False)


def test_a_mask_stands_for_what_the_same_server_has_stored() -> None:
    stored = f"https://x.example/v1?a=b&api_key={SECRET}"
    masked = queries.masked(stored)
    assert queries.filled(masked.replace("/v1", "/v2"), stored) == (stored.replace("/v1", "/v2"), False)
    assert queries.filled(masked.replace("a=b", "a=c"), stored) == (stored.replace("a=b", "a=c"), False)
    for other in ("https://y.example/", "http://x.example/", "https://x.example:1/", ""):
        assert queries.filled(masked, f"{other}v1?api_key={SECRET}") == ("https://x.example/v1?a=b", True)
    assert queries.filled(f"https://x.example/v1?api_key={SECRET[::-1]}", stored)[0].endswith(SECRET[::-1])
    assert queries.filled("https://x.example/v1?key=...", "https://x.example/v1?key=other") == (
        "https://x.example/v1?key=other",
        False,
    )
    assert queries.filled("https://x.example/v1?key=...", "https://x.example/v1") == ("https://x.example/v1", True)
