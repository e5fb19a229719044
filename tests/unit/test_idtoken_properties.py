"""Whatever a stranger writes is refused in words, and what is believed was really said."""

from __future__ import annotations

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st
from support.issuer import CLIENT_ID, FIRST, claims, encoded, token

from ipin_proxy.idtoken import NotAccepted, RsaKey, identity, opened

NOW = 1_790_000_000


@given(
    st.one_of(
        st.text(max_size=60),
        st.binary(max_size=60).map(encoded),
        st.lists(st.one_of(st.binary(max_size=40).map(encoded), st.text(max_size=9)), min_size=3, max_size=3).map(
            ".".join
        ),
    )
)
def test_any_text_is_a_token_or_refused(text: str) -> None:
    with pytest.raises(NotAccepted):
        opened(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=60)
@given(st.sampled_from(sorted(claims(NOW))), JSON)
def test_any_value_of_a_claim_is_taken_or_refused(name: str, value: object) -> None:
    """Each is signed well. What counts is taken as it was, or not at all."""
    text = token({**claims(NOW), name: value})
    try:
        found = identity(opened(text), RsaKey(FIRST.n, FIRST.e), (CLIENT_ID,), NOW)
    except NotAccepted:
        return
    free = name in ("jti", "azp") or (name in ("nbf", "iat", "exp") and type(value) in (int, float))
    said = {"sub": found.sub, "email": found.email, "hd": found.domain}
    assert free or value == claims(NOW)[name] or (name in said and said[name] == (value and str(value).lower()))
