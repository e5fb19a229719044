"""The trail of changes: durable before it is answered for, complete, and never in the way of calls."""

from __future__ import annotations

import errno
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.book import DAY_MS, NOW_MS, Book, entry, opened
from support.shelf import raising

from ipin_proxy import ledgerfile, trail
from ipin_proxy.errors import ProxyError
from ipin_proxy.trail import Change, TrailFilter


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with Book(tmp_path) as book:
        yield book


def change(number: int = 1, **more: Any) -> Change:
    usual = {"actor": "admin", "address": "192.0.2.1", "action": "update", "resource": "models", "id": f"m{number}"}
    return Change(**{"time_ms": NOW_MS + number, **usual, **more})


def test_a_change_comes_back_as_the_contract_has_it(book: Book) -> None:
    log = book.open()
    log.audit(change(1, before={"name": "Alt", "rpm": None}, after={"name": "Größe", "list": [1, 2.5, True]}))
    assert log.audits() == (
        [
            {
                "time": NOW_MS + 1,
                "actor": "admin",
                "address": "192.0.2.1",
                "action": "update",
                "resource": "models",
                "id": "m1",
                "before": {"name": "Alt", "rpm": None},
                "after": {"name": "Größe", "list": [1, 2.5, True]},
            }
        ],
        1,
    )


def test_a_change_is_in_the_file_when_it_is_answered_for(book: Book) -> None:
    book.open().audit(change(1))
    with opened(book.path) as db:
        assert db.execute("SELECT resource_id, before, after FROM audit").fetchall() == [("m1", None, None)]


def test_changes_come_in_pages_the_newest_first_and_can_be_filtered(book: Book) -> None:
    log = book.open()
    for number in range(10):
        log.audit(change(number, actor=f"a{number % 2}", resource=("keys", "models")[number % 3 == 0]))
    items, total = log.audits(2, 4)
    assert (total, [item["id"] for item in items]) == (10, ["m5", "m4", "m3", "m2"])
    for filters, numbers in (
        (TrailFilter(actor="a1"), [9, 7, 5, 3, 1]),
        (TrailFilter(actor="a1", resource="models"), [9, 3]),
        (TrailFilter(id="m7"), [7]),
        (TrailFilter(action="delete"), []),
        (TrailFilter(address="192.0.2.1", from_ms=NOW_MS + 2, to_ms=NOW_MS + 4), [3, 2]),
        (TrailFilter(actor="' OR 1=1 --"), []),
        (TrailFilter(actor="\ud800", from_ms=-1, to_ms=2**80), []),
    ):
        items, total = log.audits(1, 50, filters)
        assert ([item["id"] for item in items], total) == ([f"m{number}" for number in numbers], len(numbers))
    assert log.audits(10**30, 10**30) == ([], 10)


def test_changes_are_kept_when_rows_go(book: Book) -> None:
    log = book.with_calls(entry(1, time_ms=NOW_MS - 400 * DAY_MS))
    log.audit(change(1, time_ms=NOW_MS - 400 * DAY_MS))
    log.close()
    log = book.open(retention_days=30)
    while book.request_ids():
        log._do(None, 30)
    assert log.audits()[1] == 1


@pytest.mark.parametrize("state", [math.nan, {1, 2}, {"x": object()}, "y" * (trail.MOST_STATE + 1)])
def test_a_state_that_cannot_be_kept_does_not_keep_the_change_out(book: Book, state: Any) -> None:
    log = book.open()
    log.audit(change(1, before=state, after={"ok": 1}))
    [item] = log.audits()[0]
    assert (list(item["before"]), item["after"]) == (["notKept"], {"ok": 1})


def test_a_change_that_cannot_be_written_is_not_taken_for_written(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    log = book.open()
    with monkeypatch.context() as patched:
        patched.setattr(ledgerfile, "open_writer", raising(errno.ENOSPC))
        with pytest.raises(ProxyError) as refusal:
            log.audit(change(1))
    assert refusal.value.code == "ledger_unwritable"
    assert log.trouble is not None
    log.audit(change(2))
    assert [item["id"] for item in log.audits()[0]] == ["m2"]
    assert log.trouble is None
