"""Costs of any usage at any price: the lines add up, nothing is negative, more costs no less, and fractions agree."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

pytest.importorskip("hypothesis", reason="Hypothesis is not installed: make test")

from hypothesis import given
from hypothesis import strategies as st

from ipin_proxy.call import Usage
from ipin_proxy.prices import Line, lines_of, price_of
from ipin_proxy.records import Price, PriceTier, TokenPrices, columns_of

TOKENS = [one.attribute for one in columns_of(TokenPrices)]
UNITS = ["per_second", "per_image", "per_page", "per_character", "per_request"]
IN_TOKENS = {one.member for one in columns_of(TokenPrices)}

dollars = st.one_of(st.sampled_from([0, 0.1, 0.15, 2.5, 10, 1e-7, 3.083e-05, 0.0005]), st.floats(0, 1000))
token_prices = st.dictionaries(st.sampled_from(TOKENS), dollars, max_size=6)
unit_prices = st.dictionaries(st.sampled_from(UNITS), dollars, max_size=2)
COUNTS = [name for name in Usage._fields if name not in ("seconds", "cost", "estimated")]
counts = st.one_of(st.integers(0, 20), st.integers(0, 2_000_000))
seconds = st.one_of(st.just(0.0), st.floats(0, 100_000), st.decimals(0, 9999, places=3).map(float))


@st.composite
def usages(draw: Any) -> Usage:
    told = draw(st.dictionaries(st.sampled_from(COUNTS), counts, max_size=8))
    return Usage(**told)._replace(seconds=draw(seconds), estimated=draw(st.booleans()))


@st.composite
def prices(draw: Any) -> Price:
    tier = draw(st.none() | st.tuples(st.integers(1, 2_000_000), token_prices))
    tiers = () if tier is None else (PriceTier(above_tokens=tier[0], **tier[1]),)
    return Price(**draw(token_prices), **draw(unit_prices), long_context=tiers)


def exactly(*lines: Line) -> Fraction:
    """Lines of a cost as nano-dollars, reckoned in fractions from the texts that people read."""
    return sum(
        (
            Fraction(repr(line.quantity)) * Fraction(line.price) * (10**3 if line.kind in IN_TOKENS else 10**9)
            for line in lines
        ),
        Fraction(0),
    )


@given(usages(), prices())
def test_the_lines_add_up_and_each_is_as_good_as_exact(usage: Usage, price: Price) -> None:
    cost, lines = price_of(usage, price), lines_of(usage, price)
    if cost.nano is None:
        assert (cost.basis, lines) == ("unknown", [])
        return
    assert cost.basis == ("estimated" if usage.estimated else "priced")
    assert cost.nano >= 0 and all(line.nano >= 0 and line.quantity > 0 for line in lines)
    assert sum(line.nano for line in lines) == cost.nano
    assert round(exactly(*lines)) == cost.nano  # half to even, as Python rounds fractions
    for line in lines:
        assert abs(exactly(line) - line.nano) <= 1


@given(usages(), prices())
def test_no_token_is_paid_for_twice_or_forgotten(usage: Usage, price: Price) -> None:
    everything = replace(price, input=price.input or 0, output=price.output or 0, long_context=())
    cost = price_of(usage, everything)
    paid = {line.kind: line.quantity for line in lines_of(usage, everything)}
    entered = ("input", "cachedInput", "cacheWrite", "cacheWrite1h", "audioInput", "imageInput")
    left = ("output", "reasoning", "audioOutput", "imageOutput")
    if usage.total_tokens and cost.nano is not None:  # else it is beyond belief
        assert sum(paid.get(kind, 0) for kind in entered) == usage.input_tokens
        assert sum(paid.get(kind, 0) for kind in left) == usage.output_tokens
        assert paid.get("cachedInput", 0) == min(usage.cached_tokens, usage.input_tokens)


MORE = ["input_tokens", "output_tokens", "seconds", "images", "pages", "characters", "search_units"]


@given(usages(), prices(), st.sampled_from(MORE), st.integers(1, 1000))
def test_more_never_costs_less(usage: Usage, price: Price, name: str, more: int) -> None:
    flat = replace(price, long_context=())
    less = price_of(usage, flat).nano
    after = price_of(usage._replace(**{name: getattr(usage, name) + more}), flat).nano
    if less is not None and after is not None:
        assert after >= less


@given(usages(), prices(), st.integers(0, 10**15))
def test_the_providers_word_goes_before_any_price(usage: Usage, price: Price, cost: int) -> None:
    usage = usage._replace(cost=cost)
    told, [line] = price_of(usage, price), lines_of(usage, price)
    assert (told.nano, told.basis) == (cost, "reported")
    assert round(Fraction(line.price) * 10**9) == cost == line.nano


@given(usages(), usages(), usages())
def test_words_on_usage_add_up_to_the_same_in_any_company(one: Usage, two: Usage, three: Usage) -> None:
    told = [each._replace(estimated=False) for each in (one, two, three)]
    merged = told[2].after(told[1].after(told[0]))
    assert merged == told[2].after(told[1]).after(told[0])
    for count in range(len(Usage._fields)):
        if Usage._fields[count] not in ("seconds", "cost"):
            assert merged[count] == max(each[count] for each in told)
