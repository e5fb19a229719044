"""A ledger of every version there was is opened by this one, with a copy kept, and says what it said.

`ledgers/v1.sql` and so on are ledgers as their versions wrote them; a new version adds one. All hold the same three calls.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.book import NOW_MS, Book, entry, opened
from support.shelf import mode

from ipin_proxy import ledgerfile, ranks
from ipin_proxy.entries import SPLITS, Entry
from ipin_proxy.migrations import MIGRATIONS
from ipin_proxy.selection import RequestFilter
from ipin_proxy.spending import Spent

LEDGERS = sorted((Path(__file__).parent / "ledgers").glob("v*.sql"), key=lambda path: int(path.stem[1:]))
NEWEST = len(MIGRATIONS)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with Book(tmp_path) as book:
        yield book


def as_written(book: Book, ledger: Path) -> None:
    book.path.touch(0o600)
    with opened(book.path) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(ledger.read_text(encoding="utf-8"))


def schema(path: Path) -> dict[str, str]:
    with opened(path) as db:
        return {
            name: re.sub(r'\s+|"', " ", sql or "")
            for name, sql in db.execute("SELECT name, sql FROM sqlite_master WHERE name <> 'sqlite_sequence'")
        }


def test_there_is_a_ledger_of_every_version() -> None:
    assert [path.stem for path in LEDGERS] == [f"v{number}" for number in range(1, NEWEST + 1)]


@pytest.mark.parametrize("ledger", LEDGERS, ids=lambda path: path.stem)
def test_an_old_ledger_says_what_it_said_and_takes_new_calls(book: Book, ledger: Path) -> None:
    as_written(book, ledger)
    log = book.open()
    page = log.requests(RequestFilter(), "time", "asc")
    assert [item["requestId"] for item in page.items] == ["req_000001", "req_000002", "req_000003"]
    assert [item["costUsd"] for item in page.items] == [0.123456789, None, None]
    assert (page.items[0]["userAgent"], page.items[1]["firstChunkMs"]) == ("curl/8.5.0", 12.5)
    assert page.items[2]["errorCode"] == "rate_limit_exceeded"
    assert log.spent(0, "key") == {"k1": Spent(2, 240, 123_456_789)}
    assert log.own_usage()[0].month == "2026-11"
    assert log.audits()[0][0]["after"] == {"enabled": False}
    log.record(entry(4))
    assert log.spent(0, "key") == {"k1": Spent(3, 360, 123_457_789)}
    log.close()
    assert [kept.name for kept in book.path.parent.glob("*.bak")] == (
        [] if ledger == LEDGERS[-1] else [f"{book.path.name}.{ledger.stem}.bak"]
    )


@pytest.mark.parametrize("ledger", LEDGERS, ids=lambda path: path.stem)
def test_an_old_ledger_has_the_schema_of_a_new_one_afterwards(book: Book, ledger: Path, tmp_path: Path) -> None:
    as_written(book, ledger)
    book.open().close()
    book.with_calls(entry(1), path=tmp_path / "new-usage.db").close()
    assert schema(book.path) == schema(tmp_path / "new-usage.db")


def add_a_column(db: sqlite3.Connection) -> None:
    db.execute("ALTER TABLE calls ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey'")


def fail_halfway(db: sqlite3.Connection) -> None:
    add_a_column(db)
    raise sqlite3.OperationalError("database or disk is full")


def test_a_ledger_is_copied_before_it_is_changed(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    book.with_calls(entry(1)).close()
    before = schema(book.path)
    monkeypatch.setattr(ledgerfile, "MIGRATIONS", (*MIGRATIONS, add_a_column))
    log = book.with_calls(entry(2))
    assert log.requests(RequestFilter()).total == 2
    log.close()
    kept = book.path.with_name(f"{book.path.name}.v{NEWEST}.bak")
    assert schema(kept) == before != schema(book.path)
    assert mode(kept) == 0o600
    with opened(kept) as db:
        assert db.execute("SELECT count(*) FROM calls").fetchone() == (1,)
        assert db.execute("PRAGMA user_version").fetchone() == (NEWEST,)
    assert len(book.said) == 1 and kept.name in book.said[0]


def test_a_migration_that_fails_leaves_the_version_before_and_calls_wait(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.with_calls(entry(1)).close()
    before = schema(book.path)
    with monkeypatch.context() as patched:
        patched.setattr(ledgerfile, "MIGRATIONS", (*MIGRATIONS, fail_halfway))
        log = book.open()
        log.record(entry(2))
        assert not log.flush()
        assert log.trouble is not None and "disk is full" in log.trouble
    assert schema(book.path) == before
    assert log.flush(30) and log.trouble is None
    log.close()
    assert book.request_ids() == ["req_000001", "req_000002"]


def test_numbers_that_are_in_the_files_stay_what_they_are() -> None:
    """New ones come at the end."""
    columns = (
        "latency upstream overhead first_chunk input cached cache_write output reasoning total seconds images cost"
    )
    columns += " bytes_in bytes_out tries address user_agent error_message"
    assert " ".join(ranks.KEYS).startswith(columns)
    assert SPLITS[:7] == ("all", "key_id", "user_id", "model", "provider_id", "alias", "hour")
    fields = "request_id time_ms key_id key_name user_id user_name address user_agent dialect endpoint alias model"
    fields += " upstream_model provider_id served_model stream media status latency_ms upstream_ms overhead_ms"
    fields += " first_chunk_ms input_tokens cached_tokens cache_write_tokens output_tokens reasoning_tokens"
    fields += " audio_input_tokens audio_output_tokens seconds images pages characters cost upstream_cost cost_basis"
    fields += " finish_reason error_origin error_code error_message bytes_in bytes_out attempts"
    assert " ".join(Entry._fields).startswith(fields)


def test_statements_are_in_the_words_of_the_oldest_sqlite() -> None:
    """Before 3.35 whatever is to be done on a conflict has to say on which one."""
    for room in Path(ranks.__file__).parent.glob("*.py"):
        assert "ON CONFLICT DO UPDATE" not in room.read_text(encoding="utf-8"), room.name


def test_versions_are_told_from_the_file_alone(book: Book) -> None:
    book.with_calls(entry(1, time_ms=NOW_MS)).close()
    assert int.from_bytes(book.path.read_bytes()[60:64], "big") == NEWEST
