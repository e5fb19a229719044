"""Our own tokens: what is read out of them, and that nobody else can write one."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from support import issuer
from support.issuer import FIRST, encoded

from ipin_proxy.call import Caller
from ipin_proxy.keys import MOST_KEY_CHARS, is_still
from ipin_proxy.passes import (
    DAY_S,
    HEADER,
    ISSUER,
    MOST_REMEMBERED,
    Claims,
    Passes,
    claims_of,
    issue,
    secret_in,
    signature,
)
from ipin_proxy.records import User, key_digest

SECRET, OTHER = "5a" * 32, "5b" * 32
KEY = bytes.fromhex(SECRET)
ANN = User(id="user-1", username="ann@example.org", google_sub="1", pass_generation="0011223344556677")


def said(**changes: object) -> dict[str, Any]:
    now = int(time.time())
    return {"iss": ISSUER, "sub": ANN.id, "gen": ANN.pass_generation, "iat": now, "exp": now + DAY_S, **changes}


def test_a_pass_says_whose_it_is_and_how_long() -> None:
    before = int(time.time())
    made = issue(ANN, SECRET, 30)
    claims = claims_of(made.text, SECRET)
    assert claims is not None
    assert claims[:2] == (ANN.id, ANN.pass_generation)
    assert before <= claims.issued_at_s <= time.time()
    assert claims.expires_at_s == claims.issued_at_s + 30 * DAY_S == made.expires_at / 1000
    assert made.id != issue(ANN, SECRET, 30).id


def test_it_is_the_jwt_that_any_library_would_write() -> None:
    assert json.loads(issuer.decoded(HEADER)) == {"alg": "HS256", "typ": "JWT"}
    message = f"{HEADER}.{encoded(said())}"
    written = f"{message}.{encoded(issuer.hs256(KEY, message))}"
    now = said()["iat"]
    assert claims_of(written, SECRET) in [
        Claims(ANN.id, str(ANN.pass_generation), at, at + DAY_S) for at in (now, now - 1)
    ]


def test_no_changed_letter_goes_unnoticed_not_even_one_that_means_the_same() -> None:
    text = issue(ANN, SECRET, 30).text
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for place in range(len(text)):
        changed = letters[(letters.find(text[place]) + 1) % 64]
        assert claims_of(text[:place] + changed + text[place + 1 :], SECRET) is None
    for more in ("=", ".", " ", "\n", "A", "é", "\ud800"):
        assert claims_of(text + more, SECRET) is None and claims_of(more + text, SECRET) is None
    for cut in (1, 2, 43, 44, len(text)):
        assert claims_of(text[:-cut], SECRET) is None


@pytest.mark.parametrize("alg", ["none", "None", "HS384", "RS256", "", None])
def test_the_header_is_ours_letter_by_letter(alg: object) -> None:
    payload = encoded(said())
    header = encoded(json.dumps({"alg": alg, "typ": "JWT"}, separators=(",", ":")))
    message = f"{header}.{payload}"
    for signed in (
        "",
        signature(message, SECRET),
        signature(f"{HEADER}.{payload}", SECRET),
        encoded(FIRST.sign(message.encode())),
    ):
        assert claims_of(f"{message}.{signed}", SECRET) is None


def test_another_secret_is_another_server() -> None:
    assert claims_of(issue(ANN, OTHER, 30).text, SECRET) is None


@pytest.mark.parametrize(
    "payload", [{}, [], "x", 1, None, {"iss": ISSUER}, {**said(), "iss": "https://accounts.google.com"}]
)
def test_what_is_signed_well_and_no_pass_is_none(payload: object) -> None:
    message = f"{HEADER}.{encoded(json.dumps(payload))}"
    assert claims_of(f"{message}.{signature(message, SECRET)}", SECRET) is None


@pytest.mark.parametrize("text", ["", ".", "..", "...", "a.b.c", HEADER, f"{HEADER}..", f"{HEADER}.e30."])
def test_what_is_no_pass(text: str) -> None:
    assert claims_of(text, SECRET) is None


@pytest.mark.parametrize("id_", ["x" * 256, "日" * 256, "\U0001f600" * 256, '"' * 256, "é/%"])
def test_every_user_can_have_a_pass_that_is_short_enough_to_be_a_key(id_: str) -> None:
    made = issue(User(id=id_, username="x", pass_generation="0011223344556677"), SECRET, 366)
    assert len(made.text) <= MOST_KEY_CHARS and made.text.isascii() and made.text.count(".") == 2
    claims = claims_of(made.text, SECRET)
    assert claims is not None and claims.user_id == id_


def test_what_is_remembered_counts_for_one_secret_and_is_bounded() -> None:
    passes = Passes()
    text = issue(ANN, SECRET, 30).text
    digest = key_digest(text)
    for _ in range(2):
        assert passes.read(text, digest, SECRET) == claims_of(text, SECRET)
        assert passes.read(text, digest, OTHER) is None
    for number in range(2 * MOST_REMEMBERED):
        assert passes.read(text, str(number), SECRET) is not None
        assert passes.read("x", f"x{number}", SECRET) is None
    assert len(passes._known) <= MOST_REMEMBERED


@pytest.mark.parametrize("value", [None, "", 5, "5A" * 32, "5a" * 31, "5a" * 32 + "\n", "zz" * 32, ["5a" * 32]])
def test_a_secret_that_we_did_not_make_is_none(value: object) -> None:
    assert secret_in({"passSecret": value}) == ""
    assert secret_in({"passSecret": SECRET}) == SECRET and secret_in({}) == ""


def test_a_caller_is_one_for_as_long_as_their_pass_is_good() -> None:
    """Asked for every request, also where a head that repeats itself is not read again."""
    now_ms = int(time.time() * 1000)
    app: Any = None  # nothing is noted of a caller without a key
    assert is_still(app, Caller("ann", user=ANN)) and is_still(app, Caller("ann", user=ANN, until=now_ms + DAY_S))
    assert not is_still(app, Caller("ann", user=ANN, until=now_ms))
