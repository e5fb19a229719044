"""Google, for tests: RSA keys, the JWK set that shows them, and identity tokens signed with them, good and bad.

The keys lie in issuer-keys.json and protect nothing. Signing is a `pow()` or two.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from functools import cache
from pathlib import Path
from typing import Any

Json = dict[str, Any]
FILE = json.loads(Path(__file__).with_name("issuer-keys.json").read_text())
OPENSSL: Json = FILE["openssl"]  # a signature that was not made here
CLIENT_ID = "1234-tests.apps.googleusercontent.com"
SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")


class Key:
    """One RSA key pair of the file."""

    def __init__(self, name: str) -> None:
        row = FILE["keys"][name]
        self.kid = name
        self.p, self.q, self.e = int(row["p"], 16), int(row["q"], 16), int(row["e"])
        self.n = self.p * self.q
        self.size = (self.n.bit_length() + 7) // 8

    def sign(self, message: bytes) -> bytes:
        """RS256."""
        return self.raise_to_d(padded(SHA256_PREFIX + hashlib.sha256(message).digest(), self.size))

    def raise_to_d(self, block: bytes) -> bytes:
        """A signature for whatever stands in the block, padding and all."""
        return power(int.from_bytes(block, "big"), self.e, self.p, self.q).to_bytes(self.size, "big")

    def jwk(self, **changes: object) -> Json:
        """The public half, with members changed, or left out where None."""
        number = lambda value: encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))  # noqa: E731
        row = {"kid": self.kid, "kty": "RSA", "alg": "RS256", "use": "sig", "n": number(self.n), "e": number(self.e)}
        return {name: value for name, value in {**row, **changes}.items() if value is not None}


@cache
def power(base: int, e: int, p: int, q: int) -> int:
    """To the power of d, by way of the Chinese remainder theorem. Still takes 5 ms, and most tests break one good token."""
    at_p, at_q = (pow(base, pow(e, -1, prime - 1), prime) for prime in (p, q))
    return at_q + q * ((at_p - at_q) * pow(q, -1, p) % p)


FIRST, SECOND = Key("first"), Key("second")


def padded(content: bytes, size: int) -> bytes:
    return b"\x00\x01" + b"\xff" * (size - 3 - len(content)) + b"\x00" + content


def encoded(data: bytes | str | Json) -> str:
    """Base64 for URLs without padding, of bytes, a text or JSON."""
    if isinstance(data, dict):
        data = json.dumps(data)
    return base64.urlsafe_b64encode(data.encode() if isinstance(data, str) else data).decode().rstrip("=")


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def jwks(*keys: Key | Json) -> Json:
    return {"keys": [key.jwk() if isinstance(key, Key) else key for key in keys]}


def claims(now_s: float | None = None, **changes: object) -> Json:
    """What a good token says of Ann of example.org; a claim changed to None is left out."""
    now = int(time.time() if now_s is None else now_s)
    said: Json = {
        "iss": "https://accounts.google.com",
        "azp": CLIENT_ID,
        "aud": CLIENT_ID,
        "sub": "110169484474386276334",
        "hd": "example.org",
        "email": "ann@example.org",
        "email_verified": True,
        "nbf": now - 300,
        "iat": now,
        "exp": now + 3600,
        "jti": "0123456789abcdef",
        **changes,
    }
    return {name: value for name, value in said.items() if value is not None}


def token(said: Json | None = None, key: Key = FIRST, **header: object) -> str:
    """A token that says this, signed by this key; members of its header changed, or left out where None."""
    given: Json = {"alg": "RS256", "kid": key.kid, "typ": "JWT", **header}
    head = {name: value for name, value in given.items() if value is not None}
    return signed(encoded(head), encoded(said if said is not None else claims()), key)


def signed(header: str, payload: str, key: Key = FIRST) -> str:
    """Two parts as they are, with a right signature behind them."""
    return f"{header}.{payload}.{encoded(key.sign(f'{header}.{payload}'.encode()))}"


def with_hs256(secret: bytes, said: Json, **header: object) -> str:
    """A token that whoever knows the secret can make."""
    message = f"{encoded({'alg': 'HS256', 'typ': 'JWT', **header})}.{encoded(said)}"
    return f"{message}.{encoded(hs256(secret, message))}"


def hs256(secret: bytes, message: str) -> bytes:
    return hmac.digest(secret, message.encode(), "sha256")
