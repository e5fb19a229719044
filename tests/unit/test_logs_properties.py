"""Whatever is logged, a line stays a line; whatever is written in .env quotes, it is read back."""

from __future__ import annotations

import json
import os
from tempfile import TemporaryFile
from typing import Any

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given
from hypothesis import strategies as st

from ipin_proxy import envfile
from ipin_proxy.logs import Log, redact

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(min_size=1).filter(lambda name: name not in ("event", "self", "exc_info")), anything))
def test_a_line_is_one_line_of_printable_json(fields: dict[str, Any]) -> None:
    with TemporaryFile() as file:
        Log("debug", fd=file.fileno()).info("event", **fields)
        Log("debug", fd=file.fileno()).error("event", **fields)
        text = os.pread(file.fileno(), 10_000_000, 0).decode("ascii")
    first, second, rest = text.split("\n")
    assert (first + second).isprintable() and rest == ""
    assert json.loads(first) and json.loads(second)


@given(anything)
def test_redacting_twice_changes_nothing_more(value: Any) -> None:
    once = redact(value)
    assert redact(once) == once


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_quoted_value_is_read_back(value: str) -> None:
    double = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    assert envfile.parse(f'A="{double}"\nB=1') == {"A": value, "B": "1"}
    if "\n" not in value:
        single = value.replace("\\", "\\\\").replace("'", "\\'")
        assert envfile.parse(f"A='{single}'  # end") == {"A": value}


@given(st.text())
def test_any_text_is_read_or_refused_with_a_line_number(text: str) -> None:
    try:
        found = envfile.parse(text)
    except ValueError as error:
        assert str(error).startswith("line ")
    else:
        assert all(name.isidentifier() for name in found)
