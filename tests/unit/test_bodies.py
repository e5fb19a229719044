"""Answers of the pages' API: what `json.dumps` would write, and never so much of it at once that everybody waits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ipin_proxy import bodies

ROWS = [{"id": f"key-{n}", "budgets": [{"usd": n, "window": "month"}], "name": "Ä\u2028"} for n in range(300)]
VALUES: list[Any] = [
    {"apiKeys": ROWS},
    {"keys": {row["id"]: [row] for row in ROWS}, "users": {}},
    {"items": ROWS, "total": 300, "trouble": None, "nested": {"again": {"and": ["again", 1.5, True]}}},
    [*ROWS, "text"],
    {},
    [],
    "text",
    None,
]


@pytest.mark.parametrize("value", VALUES)
def test_an_answer_is_what_json_would_be(value: Any) -> None:
    response = bodies.private_json(value, 201, {"x": "y"})
    assert bytes(response.body).decode() == json.dumps(value)
    assert (response.status, response.headers["cache-control"], response.headers["x"]) == (201, "no-store", "y")


@pytest.mark.parametrize("value", VALUES[:4])
def test_a_long_list_is_written_a_row_at_a_time(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """For as long as one call of the standard library takes, no call goes on."""
    written: list[int] = []

    def dumps(what: Any) -> str:
        text = json.JSONEncoder().encode(what)
        written.append(len(text))
        return text

    monkeypatch.setattr(json, "dumps", dumps)
    bodies.private_json(value)
    assert max(written) < 200
