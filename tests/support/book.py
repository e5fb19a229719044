"""A ledger in a folder of its own, entries to put into it, and what its file holds. For the tests of the ledger."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ipin_proxy.call import Attempt
from ipin_proxy.entries import Entry
from ipin_proxy.ledger import Ledger
from ipin_proxy.ledgerfile import place
from ipin_proxy.trail import Change

NAME = "ipin-proxy-usage.db"
NOW_MS = 1_795_000_000_000  # 2026-11-18 13:06:40 UTC
DAY_MS = 86_400_000


def entry(number: int = 1, **changes: Any) -> Entry:
    """A call that went well, the `number`-th of its second."""
    usual: dict[str, Any] = {
        "request_id": f"req_{number:06}",
        "time_ms": NOW_MS + number,
        "key_id": "k1",
        "key_name": "Class 7b",
        "user_id": "u1",
        "user_name": "ann",
        "address": "192.0.2.7",
        "user_agent": "OpenAI/Python 2.3.0",
        "dialect": "openai",
        "endpoint": "/v1/chat/completions",
        "model": "gpt",
        "upstream_model": "gpt-4o",
        "provider_id": "acme",
        "served_model": "gpt",
        "latency_ms": 120.5,
        "upstream_ms": 118.25,
        "overhead_ms": 2.25,
        "input_tokens": 100,
        "output_tokens": 20,
        "cost": 1_000,
        "cost_basis": "priced",
        "finish_reason": "stop",
        "bytes_in": 500,
        "bytes_out": 900,
        "attempts": (Attempt("acme", 200, 118, ""),),
    }
    return Entry(**{**usual, **changes})


def refused(number: int = 1, **changes: Any) -> Entry:
    """A call that we refused: nobody was asked, so nothing was used."""
    usual: dict[str, Any] = {
        "status": 429,
        "error_origin": "proxy",
        "error_code": "rate_limit_exceeded",
        "error_message": "Too many requests.",
        "cost": None,
        "cost_basis": "",
        "attempts": (),
        "input_tokens": 0,
        "output_tokens": 0,
        "finish_reason": "",
        "provider_id": "",
        "served_model": "",
    }
    return entry(number, **{**usual, **changes})


class Book:
    """Opens ledgers on `path`, keeps what they say, and closes at the end what a test left open."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self.said: list[str] = []
        self._open: list[Ledger] = []

    def __enter__(self) -> Book:
        return self

    def __exit__(self, *error: object) -> None:
        for ledger in self._open:
            ledger.close()

    def open(self, path: Path | None = None, **options: Any) -> Ledger:
        options.setdefault("retention_days", 0)
        options.setdefault("wall", lambda: NOW_MS / 1000)
        ledger = Ledger(path or self.path, warn=lambda event, message: self.said.append(message), **options)
        self._open.append(ledger)
        return ledger

    def with_calls(self, *entries: Entry, **options: Any) -> Ledger:
        """A ledger with these, in the database."""
        ledger = self.open(**options)
        for each in entries:
            ledger.record(each)
        assert ledger.flush(30)
        return ledger

    @property
    def journals(self) -> list[Path]:
        return [self.path.with_name(f"ipin-proxy-usage.journal{suffix}") for suffix in ("", ".2")]

    def is_journal(self, descriptor: int) -> bool:
        about = os.fstat(descriptor)
        return any(path.exists() and os.path.samestat(about, path.stat()) for path in self.journals)

    def request_ids(self) -> list[str]:
        """What is in the database itself, in the order it was written."""
        with contextlib.closing(sqlite3.connect(self.path)) as db:
            return [id_ for (id_,) in db.execute("SELECT request_id FROM calls ORDER BY id")]

    def sums(self, table: str) -> tuple[int, int]:
        """Calls and cost, of all rows of `hours` (of lanes), `days` or `splits` (by nothing)."""
        where = {"hours": "lane > 0", "days": "1", "splits": "by = 0"}[table]
        with contextlib.closing(sqlite3.connect(self.path)) as db:
            row = db.execute(f"SELECT total(calls), total(cost) FROM {table} WHERE {where}").fetchone()
            return int(row[0]), int(row[1])


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The file itself, for a test that looks into it, or breaks it."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        yield db
        db.commit()


def prefill(folder: Path, entries: Iterable[Entry], changes: Iterable[Change] = ()) -> None:
    """Write calls and changes into the ledger of a server that is yet to be started in `folder`."""
    ledger = Ledger(place(folder / "ipin-proxy.db"))
    for each in entries:
        ledger.record(each)
    for change in changes:
        ledger.audit(change)
    assert ledger.flush(30)
    ledger.close()
