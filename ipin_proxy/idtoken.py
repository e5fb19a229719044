"""Identity tokens: what Google signs to say who somebody is, checked whole before a word of it is believed.

`opened` looks at a token's outside and says which key must have signed it; `identity` checks that signature and then every
claim. RS256 is RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 §8.2.2): what must come out is built and compared whole. Padding is
never parsed, which is how signatures were forged with small exponents. Values in, values out: keys come from jwks.py, who may
come in is guests.py's affair. A refusal says why, for the log; the caller is told nothing of it.
"""

from __future__ import annotations

import binascii
import hmac
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from .snapshot import Broken, read_json

Json = dict[str, Any]

MOST_CHARS = 8192
ISSUERS = ("https://accounts.google.com", "accounts.google.com")
SKEW_S = 60  # by how much two clocks may differ
MOST_EMAIL_CHARS = 254  # RFC 5321, with its erratum
PART = re.compile(r"[A-Za-z0-9_-]+")  # Python's decoder drops whatever is none of these
SUBJECT = re.compile(r"[!-~]{1,255}")
# ASCII alone: the Kelvin sign becomes a k in small letters, and so another address.
EMAIL = re.compile(r"[!-?A-~]+@[A-Za-z0-9.-]+", re.ASCII)
DOMAIN = re.compile(r"[A-Za-z0-9.-]{1,253}", re.ASCII)

LEAST_BITS, MOST_BITS = 2048, 8192  # of a modulus; the upper limit is for our own time
MOST_EXPONENT = 2**32
SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")  # the DER of what the digest is


class NotAccepted(Exception):
    """This is no identity token for us; the message says why, to an administrator."""


class Identity(NamedTuple):
    """Who somebody is, by Google's word. `sub` is theirs for ever, `email` may change; `domain` is the organisation that
    manages the account, None for a private one. The last two are in small letters."""

    sub: str
    email: str
    domain: str | None


class RsaKey(NamedTuple):
    """A public key."""

    n: int
    e: int


class Signed(NamedTuple):
    """A token taken apart, of which nothing is believed yet: who must have signed `message`, and what it would say."""

    kid: str
    message: bytes
    signature: bytes
    payload: bytes


# -- from the outside in ----------------------------------------------------------------------------------------------


def opened(token: str) -> Signed:
    """The parts of a token. Its header may name the key and nothing else: a key that comes along (`jwk`, `x5c`) or an
    address to fetch one from (`jku`, `x5u`) is the sender's own. Raises NotAccepted."""
    if len(token) > MOST_CHARS:
        raise NotAccepted(f"it is longer than {MOST_CHARS} characters")
    parts = token.split(".")
    if len(parts) != 3:
        raise NotAccepted(f"it has {len(parts)} parts instead of three")
    header_bytes, payload, signature = map(_decoded, parts)
    header = _object(header_bytes, "header")
    if header.get("alg") != "RS256":
        raise NotAccepted("it is not signed with RS256")
    if "crit" in header:
        raise NotAccepted("its header demands extensions (crit), of which we know none")
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise NotAccepted("its header names no key (kid)")
    return Signed(kid, token.rpartition(".")[0].encode("ascii"), signature, payload)


def identity(
    signed: Signed, key: RsaKey, client_ids: Sequence[str], now_s: float, nonce: str | None = None
) -> Identity:
    """Who a token says somebody is, once it is known that Google says so, to us, and now. `nonce` is the one that the
    page has asked Google with, if it has. Raises NotAccepted."""
    if not is_signature(signed.message, signed.signature, key):
        raise NotAccepted("its signature is wrong")
    claims = _object(signed.payload, "payload")
    if claims.get("iss") not in ISSUERS:
        raise NotAccepted("Google is not its issuer (iss)")
    check_audience(claims, client_ids)
    check_times(claims, now_s)
    if nonce is not None and not _is_text(claims.get("nonce"), nonce):
        raise NotAccepted("it does not hold the nonce that came with it")
    if not _is_yes(claims.get("email_verified")):
        raise NotAccepted("its address is not verified (email_verified)")
    return Identity(_subject(claims), _email(claims), _domain(claims))


def is_signature(message: bytes, signature: bytes, key: RsaKey) -> bool:
    """Whether the owner of this key has signed the message with RS256. Takes 0.1 ms at 2048 bits."""
    from hashlib import sha256  # loads libcrypto, which most starts do not need

    size = (key.n.bit_length() + 7) // 8
    number = int.from_bytes(signature, "big")
    if len(signature) != size or number >= key.n:
        return False
    found = pow(number, key.e, key.n).to_bytes(size, "big")
    ending = SHA256_PREFIX + sha256(message).digest()
    expected = b"\x00\x01" + b"\xff" * (size - 3 - len(ending)) + b"\x00" + ending
    return hmac.compare_digest(found, expected)


def rsa_key(row: Any) -> tuple[str, RsaKey] | None:
    """The kid and the key of a row of a JWK set (RFC 7517); None for one that signs nothing for us, or is too weak."""
    if not isinstance(row, dict) or row.get("kty") != "RSA":
        return None
    if row.get("alg", "RS256") != "RS256" or row.get("use", "sig") != "sig":
        return None
    kid = row.get("kid")
    try:
        n, e = (int.from_bytes(_decoded(row[name]), "big") for name in ("n", "e"))
    except (KeyError, TypeError, NotAccepted):
        return None
    if not isinstance(kid, str) or not kid or not LEAST_BITS <= n.bit_length() <= MOST_BITS:
        return None
    if n % 2 == 0 or e % 2 == 0 or not 3 <= e <= MOST_EXPONENT:
        return None
    return kid, RsaKey(n, e)


# -- claims -----------------------------------------------------------------------------------------------------------


def check_audience(claims: Json, client_ids: Sequence[str]) -> None:
    """Raises NotAccepted for a token that was made for another client: whoever runs that one could come in with it."""
    audience = claims.get("aud")
    if isinstance(audience, str):
        if audience not in client_ids:
            raise NotAccepted(f"it is for another client (aud is {_shown(audience)}); compare GOOGLE_CLIENT_ID")
        return
    if not isinstance(audience, list) or not audience or not all(each in client_ids for each in audience):
        raise NotAccepted("it is not for our client alone (aud); compare GOOGLE_CLIENT_ID")
    if claims.get("azp") not in client_ids:
        raise NotAccepted("it was not made for our client (azp)")


def check_times(claims: Json, now_s: float) -> None:
    """Raises NotAccepted for a token whose time is over, or yet to come."""
    expires, issued = _seconds(claims, "exp"), _seconds(claims, "iat")
    if expires <= now_s - SKEW_S:
        raise NotAccepted("its time is over (exp); compare the clock of this server")
    if issued > now_s + SKEW_S:
        raise NotAccepted("it is from the future (iat); compare the clock of this server")
    if "nbf" in claims and _seconds(claims, "nbf") > now_s + SKEW_S:
        raise NotAccepted("it is not valid yet (nbf); compare the clock of this server")


def _seconds(claims: Json, name: str) -> float:
    value = claims.get(name)
    # A bool is a number to Python; 1e999 is read as infinity, which no time ever reaches.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 2**53:
        raise NotAccepted(f"its '{name}' is not a time")
    return value


def _is_yes(value: Any) -> bool:
    return value is True or _is_text(value, "true")


def _is_text(value: Any, wanted: str) -> bool:
    return isinstance(value, str) and value == wanted


def _subject(claims: Json) -> str:
    sub = claims.get("sub")
    if not isinstance(sub, str) or not SUBJECT.fullmatch(sub):
        raise NotAccepted("it does not say who it is about (sub)")
    return sub


def _email(claims: Json) -> str:
    email = claims.get("email")
    if not isinstance(email, str) or len(email) > MOST_EMAIL_CHARS or not EMAIL.fullmatch(email):
        raise NotAccepted("it holds no address (email); the page must ask Google for it")
    return email.lower()


def _domain(claims: Json) -> str | None:
    domain = claims.get("hd")
    if domain is None:
        return None
    if not isinstance(domain, str) or not DOMAIN.fullmatch(domain):
        raise NotAccepted("its 'hd' is not a domain")
    return domain.lower()


# -- encodings --------------------------------------------------------------------------------------------------------


def _decoded(part: str) -> bytes:
    """Base64 for URLs without padding (RFC 7515 §2)."""
    if not PART.fullmatch(part):
        raise NotAccepted("it has a part that is empty or not in base64url")
    try:
        return binascii.a2b_base64(part.replace("-", "+").replace("_", "/") + "=" * (-len(part) % 4))
    except binascii.Error:
        raise NotAccepted("it has a part that is not in base64url") from None


def _object(content: bytes, what: str) -> Json:
    try:
        found = read_json(content)
    except Broken:
        found = None
    if not isinstance(found, dict):
        raise NotAccepted(f"its {what} is not a JSON object")
    return found


def _shown(text: str) -> str:
    return repr(text if len(text) <= 100 else f"{text[:100]}…")
