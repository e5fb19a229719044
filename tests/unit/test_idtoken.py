"""Identity tokens: one test breaks each check, and every trick by which signatures were ever forged is tried."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from support import issuer
from support.issuer import CLIENT_ID, FIRST, SECOND, Key, claims, encoded, padded, signed, token

from ipin_proxy.idtoken import (
    MOST_CHARS,
    SHA256_PREFIX,
    SKEW_S,
    Identity,
    NotAccepted,
    RsaKey,
    identity,
    is_signature,
    opened,
    rsa_key,
)

Json = dict[str, Any]
NOW = 1_790_000_000
ANN = Identity("110169484474386276334", "ann@example.org", "example.org")
KNOWN = {key.kid: RsaKey(key.n, key.e) for key in map(Key, ("first", "second", "three", "uneven"))}


def verify(text: str, now_s: float = NOW, client_ids: tuple[str, ...] = (CLIENT_ID,), **more: Any) -> Identity:
    found = opened(text)
    return identity(found, KNOWN[found.kid], client_ids, now_s, **more)


def said(**changes: object) -> Json:
    return claims(NOW, **changes)


def refusal(text: str, now_s: float = NOW, **more: Any) -> str:
    with pytest.raises(NotAccepted) as raised:
        verify(text, now_s, **more)
    assert len(text) < 60 or text[:60] not in str(raised.value)
    return str(raised.value)


def test_a_good_token_says_who_somebody_is() -> None:
    assert verify(token(said())) == ANN
    assert verify(token(said(), SECOND)) == ANN


def test_a_private_account_has_no_domain() -> None:
    assert verify(token(said(hd=None, email="Bob@Gmail.com"))) == (ANN.sub, "bob@gmail.com", None)


# 1. From the outside.


def test_a_token_that_is_too_long_is_not_looked_at() -> None:
    assert verify(token(said(extra="x" * 5000)))
    assert "longer" in refusal(token(said(extra="x" * MOST_CHARS)))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text.rpartition(".")[0],
        lambda text: text + ".",
        lambda text: text + ".AAAA",
        lambda text: text.replace(".", ""),
        lambda text: "." + text,
    ],
)
def test_a_token_has_three_parts(change: Callable[[str], str]) -> None:
    assert "parts" in refusal(change(token(said())))


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("more", ["=", "+", "/", " ", "\n", "%3D", "é", "\0", "~"])
def test_no_character_outside_of_base64url_is_passed_over(place: int, more: str) -> None:
    parts = token(said()).split(".")
    for changed in (parts[place] + more, more + parts[place], parts[place][:9] + more + parts[place][9:]):
        assert "base64url" in refusal(".".join([*parts[:place], changed, *parts[place + 1 :]]))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_no_part_is_empty(place: int) -> None:
    parts = token(said()).split(".")
    parts[place] = ""
    assert "base64url" in refusal(".".join(parts))


def test_a_part_of_a_length_that_base64_does_not_have_is_refused() -> None:
    assert "base64url" in refusal(token(said()) + "A" * (3 if len(token(said()).rpartition(".")[2]) % 4 == 2 else 1))


# 2. The header.


@pytest.mark.parametrize(
    "alg", ["none", "None", "HS256", "RS384", "RS512", "PS256", "ES256", "rs256", "", None, ["RS256"]]
)
def test_only_rs256_will_do(alg: object) -> None:
    assert "RS256" in refusal(token(said(), alg=alg))


def test_a_token_without_a_signature_is_none() -> None:
    unsigned = f"{encoded({'alg': 'none', 'kid': 'first'})}.{encoded(said())}."
    assert refusal(unsigned)
    assert "RS256" in refusal(unsigned + "AAAA")


def test_the_public_key_is_no_secret_to_sign_with() -> None:
    """HS256 with what everybody knows: the oldest of the tricks."""
    modulus = FIRST.n.to_bytes(FIRST.size, "big")
    for secret in (modulus, json.dumps(FIRST.jwk()).encode(), FIRST.jwk()["n"].encode(), b""):
        assert "RS256" in refusal(issuer.with_hs256(secret, said(), kid="first"))


@pytest.mark.parametrize("kid", [None, "", 1, ["first"], {"kid": "first"}, True])
def test_the_key_is_named(kid: object) -> None:
    assert "kid" in refusal(token(said(), kid=kid))


def test_a_key_that_is_named_must_be_the_one() -> None:
    assert "signature" in refusal(token(said(), FIRST, kid="second"))


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
def test_a_key_that_comes_along_is_ignored(name: str) -> None:
    mine = Key("small")
    value = {"jwk": mine.jwk(kid="first"), "x5c": ["MIIB"]}.get(name, "https://evil.example/keys")
    assert "signature" in refusal(token(said(), mine, kid="first", **{name: value}))
    assert verify(token(said(), FIRST, **{name: value})) == ANN


@pytest.mark.parametrize("crit", [["exp"], [], "b64", None])
def test_demands_are_refused(crit: object) -> None:
    header = encoded(json.dumps({"alg": "RS256", "kid": "first", "crit": crit}))
    assert "crit" in refusal(signed(header, encoded(said())))


@pytest.mark.parametrize(
    "header",
    [
        "[]",
        '"RS256"',
        "null",
        "",
        "{",
        '{"alg":"RS256","kid":"first"} ',
        '{"alg":"RS256","kid":"first"}{}',
        '{"alg":"none","alg":"RS256","kid":"first"}',
        '{"alg":"RS256","kid":"first","x":NaN}',
        b'{"alg":"RS256","kid":"first","x":"\xff"}',
        "[" * 3000,
        '{"x":' + "9" * 5000 + "}",
    ],
)
def test_the_header_is_one_json_object(header: str | bytes) -> None:
    if header == '{"alg":"RS256","kid":"first"} ':  # blanks around it are JSON
        assert verify(signed(encoded(header), encoded(said()))) == ANN
    elif header:
        assert "header" in refusal(signed(encoded(header), encoded(said())))


# 3. The signature.


def test_the_signature_is_over_the_text_as_it_came() -> None:
    """The same claims, written another way, are another message."""
    header, payload, signature = token(said()).split(".")
    again = encoded(json.dumps(said(), indent=1))
    assert verify(signed(header, again)) == ANN
    assert "signature" in refusal(f"{header}.{again}.{signature}")
    assert "signature" in refusal(
        f"{encoded(json.dumps({'typ': 'JWT', 'kid': 'first', 'alg': 'RS256'}))}.{payload}.{signature}"
    )


def test_the_signature_of_another_token_is_none_for_this_one() -> None:
    other = token(said(email="bob@example.org"))
    assert "signature" in refusal(f"{token(said()).rpartition('.')[0]}.{other.rpartition('.')[2]}")


def test_openssl_agrees() -> None:
    key, signature = Key(issuer.OPENSSL["key"]), bytes.fromhex(issuer.OPENSSL["signature"])
    message = issuer.OPENSSL["message"].encode()
    public = RsaKey(key.n, key.e)
    assert is_signature(message, signature, public)
    assert key.sign(message) == signature
    assert not is_signature(message + b" ", signature, public)
    assert not is_signature(message, signature[:-1] + bytes([signature[-1] ^ 1]), public)


@pytest.mark.parametrize("name", ["first", "second", "three", "uneven"])
def test_every_size_of_key_has_its_own_length_of_signature(name: str) -> None:
    key = Key(name)
    public, signature = RsaKey(key.n, key.e), key.sign(b"message")
    assert len(signature) == key.size and is_signature(b"message", signature, public)
    for wrong in (signature[:-1], signature[1:], signature + b"\0", b"\0" + signature, b"", signature * 2):
        assert not is_signature(b"message", wrong, public)


def test_a_signature_below_the_modulus_has_no_double_above_it() -> None:
    """s and s + n have the same power; only one of them is the signature. The uneven key leaves room for the other."""
    key = Key("uneven")
    number = int.from_bytes(key.sign(b"message"), "big")
    double = (number + key.n).to_bytes(key.size, "big")
    assert pow(number + key.n, key.e, key.n) == pow(number, key.e, key.n)
    assert not is_signature(b"message", double, RsaKey(key.n, key.e))


@pytest.mark.parametrize("number", [0, 1, -1])
def test_numbers_that_stay_what_they_are_sign_nothing(number: int) -> None:
    assert not is_signature(b"message", (number % FIRST.n).to_bytes(FIRST.size, "big"), RsaKey(FIRST.n, FIRST.e))


def cube_root(number: int) -> int:
    low, high = 0, 1 << (number.bit_length() // 3 + 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**3 < number else (low, middle)
    return low


@pytest.mark.parametrize("padding", [8, 1, 0])
def test_a_forged_signature_with_a_small_exponent_is_refused(padding: int) -> None:
    """Bleichenbacher 2006: with e = 3 a cube root begins like a signature, for readers who stop where the digest ends."""
    key, message = Key("three"), b"message"
    digest = SHA256_PREFIX + hashlib.sha256(message).digest()
    begin = b"\x00\x01" + b"\xff" * padding + b"\x00" + digest
    target = int.from_bytes(begin + b"\0" * (key.size - len(begin)), "big")
    forged = cube_root(target)
    block = (forged**3).to_bytes(key.size, "big")
    assert block.startswith(begin) and forged**3 < key.n
    assert not is_signature(message, forged.to_bytes(key.size, "big"), RsaKey(key.n, 3))


def test_only_the_one_right_padding_is_accepted() -> None:
    """Blocks that lenient readers have taken, each really signed: only the first is what RFC 8017 says."""
    message, digest = b"message", hashlib.sha256(b"message").digest()
    public, size = RsaKey(FIRST.n, FIRST.e), FIRST.size
    right = padded(SHA256_PREFIX + digest, size)
    no_parameters = bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20" + digest  # without the NULL
    sha1 = bytes.fromhex("3021300906052b0e03021a05000414") + hashlib.sha1(message).digest()
    short = b"\x00\x01" + b"\xff" * 8 + b"\x00" + SHA256_PREFIX + digest
    wrong = [
        padded(digest, size),
        padded(no_parameters, size),
        padded(sha1, size),
        padded(SHA256_PREFIX + hashlib.sha256(b"massage").digest(), size),
        short + b"\0" * (size - len(short)),
        b"\x00\x02" + right[2:],
        b"\x00\x00" + right[2:],
        right[:5] + b"\xfe" + right[6:],
        right[: -len(digest) - len(SHA256_PREFIX) - 1] + b"\xff" + SHA256_PREFIX + digest,
    ]
    assert is_signature(message, FIRST.raise_to_d(right), public)
    for block in wrong:
        assert len(block) == size
        assert not is_signature(message, FIRST.raise_to_d(block), public)


# 4. to 10. The claims, each of a token that is signed well.


@pytest.mark.parametrize("iss", ["https://accounts.google.com", "accounts.google.com"])
def test_google_is_the_issuer_by_either_name(iss: str) -> None:
    assert verify(token(said(iss=iss))) == ANN


@pytest.mark.parametrize(
    "iss",
    [
        None,
        "",
        "http://accounts.google.com",
        "https://accounts.google.com/",
        "https://accounts.google.com.evil.example",
        "https://securetoken.google.com/app",
        "ACCOUNTS.GOOGLE.COM",
        ["accounts.google.com"],
        {"a": 1},
        1,
        True,
    ],
)
def test_nobody_else_is_the_issuer(iss: object) -> None:
    assert "iss" in refusal(token(said(iss=iss)))


@pytest.mark.parametrize(
    "aud", [None, "", "another.apps.googleusercontent.com", CLIENT_ID + " ", CLIENT_ID.upper(), 1, True, {}]
)
def test_a_token_for_another_client_is_refused(aud: object) -> None:
    assert "aud" in refusal(token(said(aud=aud)))


@pytest.mark.parametrize(
    "aud", [[], [CLIENT_ID, "another"], ["another"], [[CLIENT_ID]], [CLIENT_ID, 1], [CLIENT_ID, None]]
)
def test_a_list_of_clients_holds_only_trusted_ones(aud: object) -> None:
    assert "aud" in refusal(token(said(aud=aud)))


@pytest.mark.parametrize("azp", [None, "another", [CLIENT_ID], True])
def test_with_a_list_of_clients_ours_must_be_the_one_it_was_made_for(azp: object) -> None:
    assert verify(token(said(aud=[CLIENT_ID]))) == ANN
    assert "azp" in refusal(token(said(aud=[CLIENT_ID], azp=azp)))


def test_several_clients_can_be_trusted() -> None:
    ours = ("web", "phone")
    assert verify(token(said(aud="phone")), client_ids=ours) == ANN
    assert verify(token(said(aud=["web", "phone"], azp="web")), client_ids=ours) == ANN
    assert "aud" in refusal(token(said()), client_ids=ours)


def test_a_token_is_good_until_its_time_is_over(clock: Any) -> None:
    text = token(claims(clock()))
    clock.advance(3600 + SKEW_S - 1)
    assert verify(text, clock()) == ANN
    clock.advance(1)
    assert "exp" in refusal(text, clock())


def test_a_clock_may_be_slow_by_a_minute_and_not_by_more(clock: Any) -> None:
    text = token(claims(clock(), nbf=None))
    clock.advance(-SKEW_S)
    assert verify(text, clock()) == ANN
    clock.advance(-1)
    assert "iat" in refusal(text, clock())


def test_a_token_is_not_good_before_its_time(clock: Any) -> None:
    text = token(claims(clock(), nbf=clock() + SKEW_S))
    assert verify(text, clock()) == ANN
    clock.advance(-1)
    assert "nbf" in refusal(text, clock())


@pytest.mark.parametrize("name", ["exp", "iat"])
def test_a_token_without_its_times_is_refused(name: str) -> None:
    assert name in refusal(token(said(**{name: None})))


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", [True, False, str(NOW), [NOW], {}, 10**400])
def test_a_time_is_a_number(name: str, value: object) -> None:
    assert name in refusal(token(said(**{name: value})))


@pytest.mark.parametrize("written", ["1e999", "-1e999", "NaN", "Infinity", "null"])
def test_no_time_is_beyond_all_numbers(written: str) -> None:
    text = json.dumps(said()).replace(f'"exp": {NOW + 3600}', f'"exp": {written}')
    assert refusal(signed(encoded({"alg": "RS256", "kid": "first"}), encoded(text)))


def test_a_time_may_have_a_fraction() -> None:
    assert verify(token(said(iat=NOW - 0.5, exp=NOW + 60.25))) == ANN


def test_a_nonce_must_come_back() -> None:
    text = token(said(nonce="n-0S6_WzA2Mj"))
    assert verify(text, nonce="n-0S6_WzA2Mj") == ANN
    assert verify(text) == ANN  # none was sent by us
    for nonce in ("", "n-0S6_WzA2Mk"):
        assert "nonce" in refusal(text, nonce=nonce)
    assert "nonce" in refusal(token(said()), nonce="n-0S6_WzA2Mj")
    assert "nonce" in refusal(token(said(nonce=["a"])), nonce="a")


@pytest.mark.parametrize("verified", [True, "true"])
def test_a_verified_address_is_believed(verified: object) -> None:
    assert verify(token(said(email_verified=verified))) == ANN


@pytest.mark.parametrize("verified", [None, False, "false", "True", "yes", "", 1, 1.0, [True], {"a": True}])
def test_an_address_that_is_not_verified_is_nobodys(verified: object) -> None:
    assert "email_verified" in refusal(token(said(email_verified=verified)))


@pytest.mark.parametrize(
    "email",
    [
        None,
        "",
        "ann",
        "@example.org",
        "ann@",
        "ann@@example.org",
        "a b@example.org",
        "ann@example.org\n",
        1,
        ["a@b.c"],
        "ann@e\u212aample.org",
        "änn@example.org",
        "ann@exämple.org",
        "ann@example.org\0",
        "x" * 250 + "@a.org",
    ],
)
def test_an_address_is_one_in_ascii(email: object) -> None:
    """The Kelvin sign, U+212A, is a small k to Python's lower()."""
    assert "email" in refusal(token(said(email=email)))


@pytest.mark.parametrize(
    "hd", ["", 1, True, ["example.org"], "example.org\n", "e\u212aample.org", " example.org", "x" * 254]
)
def test_a_domain_is_one_in_ascii_or_not_there(hd: object) -> None:
    assert "hd" in refusal(token(said(hd=hd)))


@pytest.mark.parametrize("sub", [None, "", 110169484474386276334, "x" * 256, "a b", "a\n", "ä", ["1"], True])
def test_who_somebody_is_stands_in_the_token(sub: object) -> None:
    assert "sub" in refusal(token(said(sub=sub)))
    assert verify(token(said(sub="x" * 255))).sub == "x" * 255


@pytest.mark.parametrize("payload", ["[]", "null", "{", '{"iss":1,"iss":2}', "[" * 3000, '"x"'])
def test_the_payload_is_one_json_object(payload: str) -> None:
    assert "payload" in refusal(signed(encoded({"alg": "RS256", "kid": "first"}), encoded(payload)))


# Whatever else.


def test_no_changed_letter_goes_unnoticed() -> None:
    """But for the bits of a last letter that mean nothing: base64 of 256 bytes has four of them."""
    text = token(said())
    for place in range(0, len(text), 3):
        changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        with pytest.raises(NotAccepted):
            found = opened(changed)
            assert found != opened(text)
            identity(found, KNOWN["first"], (CLIENT_ID,), NOW)


# Keys.


def test_a_row_of_a_key_set_is_a_key() -> None:
    assert rsa_key(FIRST.jwk()) == ("first", RsaKey(FIRST.n, FIRST.e))
    assert rsa_key(FIRST.jwk(alg=None, use=None)) == ("first", RsaKey(FIRST.n, FIRST.e))


@pytest.mark.parametrize(
    "row",
    [
        FIRST.jwk(kty="EC"),
        FIRST.jwk(kty=None),
        FIRST.jwk(alg="RS384"),
        FIRST.jwk(use="enc"),
        FIRST.jwk(kid=None),
        FIRST.jwk(kid=""),
        FIRST.jwk(kid=7),
        FIRST.jwk(n=None),
        FIRST.jwk(e=None),
        FIRST.jwk(n=5),
        FIRST.jwk(n="!" + FIRST.jwk()["n"]),
        FIRST.jwk(n=encoded((FIRST.n - 1).to_bytes(FIRST.size, "big"))),
        FIRST.jwk(n=encoded(b"\xff" * 1025)),
        FIRST.jwk(e=encoded(b"\x01")),
        FIRST.jwk(e=encoded(b"\x02")),
        FIRST.jwk(e=encoded(b"\x00")),
        FIRST.jwk(e=encoded(b"\x01\x00\x00\x00\x01")),
        FIRST.jwk(e=FIRST.jwk()["n"]),
        Key("small").jwk(),
        {},
        [],
        None,
        "key",
        7,
    ],
)
def test_what_is_no_good_key_is_left_out(row: object) -> None:
    assert rsa_key(row) is None
