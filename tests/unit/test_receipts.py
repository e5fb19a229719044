"""What a call of the log cost, line by line; or nothing, where the lines would be wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import build
from support.book import Book, entry

from ipin_proxy.receipts import cost_lines
from ipin_proxy.records import Model

MODEL = Model.from_json(build.model("gpt", price={"input": 2.5, "output": 10, "cachedInput": 1.25}))


def item_of(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    usual = {"input_tokens": 1000, "cached_tokens": 400, "output_tokens": 50, "cost": 2_500_000}
    with Book(tmp_path) as book:
        found = book.with_calls(entry(1, **{**usual, **changes})).request("req_000001")
    assert found is not None
    return found


def test_each_kind_has_its_line_and_they_add_up(tmp_path: Path) -> None:
    lines = cost_lines(item_of(tmp_path), MODEL)
    assert [tuple(line.values()) for line in lines] == [
        ("input", 600, "2.5", 0.0015),
        ("cachedInput", 400, "1.25", 0.0005),
        ("output", 50, "10", 0.0005),
    ]


def test_a_price_that_was_changed_since_gives_no_lines(tmp_path: Path) -> None:
    assert MODEL.price is not None
    dearer = replace(MODEL, price=replace(MODEL.price, input=3.0))
    assert cost_lines(item_of(tmp_path), dearer) == []


@pytest.mark.parametrize("changes", [{"cost_basis": "reported"}, {"cost": None, "cost_basis": "unknown"}])
def test_what_no_price_was_applied_to_has_no_lines(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert cost_lines(item_of(tmp_path, **changes), MODEL) == []


def test_a_model_that_is_gone_or_has_no_price_gives_no_lines(tmp_path: Path) -> None:
    item = item_of(tmp_path)
    assert cost_lines(item, None) == []
    assert cost_lines(item, replace(MODEL, price=None)) == []


@pytest.mark.parametrize(
    ("changes", "kind", "count"),
    [
        ({"input_tokens": 600, "cached_tokens": 0, "cache_write_tokens": 200, "cost": 2_700_000}, "cacheWrite1h", 200),
        (
            {"input_tokens": 0, "cached_tokens": 0, "output_tokens": 1000, "images": 1, "cost": 40_000_000},
            "imageOutput",
            1000,
        ),
    ],
    ids=["cache of an hour", "picture"],
)
def test_what_the_log_does_not_keep_apart_is_known_by_what_it_cost(
    tmp_path: Path, changes: dict[str, Any], kind: str, count: int
) -> None:
    assert MODEL.price is not None
    model = replace(MODEL, price=replace(MODEL.price, cache_write=3.125, cache_write_1h=6.0, image_output=40.0))
    item = item_of(tmp_path, **changes)
    lines = cost_lines(item, model)
    assert {line["kind"]: line["quantity"] for line in lines}[kind] == count
    assert sum(round(line["costUsd"] * 1e9) for line in lines) == round(item["costUsd"] * 1e9)
    assert cost_lines({**item, "costUsd": item["costUsd"] + 1e-9}, model) == [], "some of the one and some of the other"
