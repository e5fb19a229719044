"""The ledger: every call in it once, whatever happens to the process, the disk or the file."""

from __future__ import annotations

import errno
import itertools
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.book import DAY_MS, NOW_MS, Book, entry, opened, refused
from support.shelf import mode, raising

from ipin_proxy import entries, intake, journal, ledger, ledgerfile, retention
from ipin_proxy.call import Attempt
from ipin_proxy.entries import Entry
from ipin_proxy.errors import ConfigError, ProxyError
from ipin_proxy.ledger import Ledger
from ipin_proxy.ledgerfile import place
from ipin_proxy.migrations import MIGRATIONS
from ipin_proxy.selection import RequestFilter
from ipin_proxy.spending import Spent

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with Book(tmp_path) as book:
        yield book


def ids(*numbers: int) -> list[str]:
    return [f"req_{number:06}" for number in numbers]


# What is kept.


def test_every_field_of_an_entry_comes_back(book: Book) -> None:
    given = Entry(
        request_id="req_größe",
        time_ms=NOW_MS + 5,
        key_id="k9",
        key_name="Klasse 7ü",
        user_id="u9",
        user_name="日本",
        address="2001:db8::7",
        user_agent="curl/8.5.0 'x'\n",
        dialect="anthropic",
        endpoint="/v1/messages",
        alias="claude-cheap",
        model="claude-sonnet",
        upstream_model="gpt-4o-mini",
        provider_id="acme",
        served_model="gpt-mini",
        stream=True,
        media="audio,image",
        status=502,
        latency_ms=1234.567,
        upstream_ms=1200.001,
        overhead_ms=0.125,
        first_chunk_ms=0.0,
        input_tokens=11,
        cached_tokens=2,
        cache_write_tokens=3,
        output_tokens=7,
        reasoning_tokens=4,
        audio_input_tokens=5,
        audio_output_tokens=6,
        seconds=12.345678,
        images=21,
        pages=22,
        characters=23,
        cost=123_456_789_012_345,
        upstream_cost=24,
        cost_basis="reported",
        finish_reason="length",
        error_origin="upstream",
        error_code="upstream_stream_interrupted",
        error_message="It broke; 'sorry'.",
        bytes_in=4_000_000_000,
        bytes_out=8,
        attempts=(Attempt("other", 429, 12, "rate_limit_exceeded"), Attempt("acme", 502, 99, "")),
    )
    assert len({repr(value) for value in given}) == len(given), "two fields that are alike could be confused"
    found = book.with_calls(given).request("req_größe")
    assert found == {
        "requestId": "req_größe",
        "time": NOW_MS + 5,
        "keyId": "k9",
        "keyName": "Klasse 7ü",
        "userId": "u9",
        "userName": "日本",
        "address": "2001:db8::7",
        "userAgent": "curl/8.5.0 'x'\n",
        "dialect": "anthropic",
        "endpoint": "/v1/messages",
        "alias": "claude-cheap",
        "model": "claude-sonnet",
        "servedModel": "gpt-mini",
        "upstreamModel": "gpt-4o-mini",
        "providerId": "acme",
        "stream": True,
        "media": "audio,image",
        "status": 502,
        "latencyMs": 1234.567,
        "upstreamMs": 1200.001,
        "overheadMs": 0.125,
        "firstChunkMs": 0.0,
        "inputTokens": 11,
        "cachedTokens": 2,
        "cacheWriteTokens": 3,
        "outputTokens": 7,
        "reasoningTokens": 4,
        "audioInputTokens": 5,
        "audioOutputTokens": 6,
        "totalTokens": 18,
        "seconds": 12.345678,
        "images": 21,
        "pages": 22,
        "characters": 23,
        "costUsd": 123456.789012345,
        "upstreamCostUsd": 0.000000024,
        "costBasis": "reported",
        "finishReason": "length",
        "errorOrigin": "upstream",
        "errorCode": "upstream_stream_interrupted",
        "errorMessage": "It broke; 'sorry'.",
        "bytesIn": 4_000_000_000,
        "bytesOut": 8,
        "attempts": [
            {"provider": "other", "status": 429, "ms": 12, "error": "rate_limit_exceeded"},
            {"provider": "acme", "status": 502, "ms": 99, "error": ""},
        ],
    }


def test_an_entry_is_the_same_when_it_comes_from_the_journal() -> None:
    attempts = (Attempt("a", 1, 2, "x"),) * 2
    given = entry(7, latency_ms=1.5, seconds=2.25, first_chunk_ms=0.125, cost=None, attempts=attempts)
    as_written = entry(
        number=7,
        latency_ms=1_500,
        upstream_ms=118_250,
        overhead_ms=2_250,
        first_chunk_ms=125,
        seconds=2_250_000,
        cost=None,
        attempts=[["a", 1, 2, "x"]] * 2,
    )
    assert entries.read(entries.written(given)) == [*as_written]
    assert entries.read(entries.written(Entry("x", 1))) == [*Entry("x", 1, attempts=[])]  # type: ignore[arg-type]


def test_a_journal_of_a_version_with_fewer_fields_or_more_can_be_read() -> None:
    text = entries.written(entry(7))
    place = Entry._fields.index("provider_id")
    assert entries.read(text[: text.index(b',"acme"')] + b"]") == [*Entry(*entry(7)[:place])]
    assert entries.read(text[:-1] + b',"more"]') == entries.read(text)
    for nothing in (b"", b"[", b"{}", b"[]", b'["only"]', b"17"):
        assert entries.read(nothing) is None


def test_every_field_and_every_column_has_its_place(book: Book) -> None:
    columns = intake.COLUMNS
    assert {*intake.COMMON, *(column.field for column in columns.values())} == {*Entry._fields}
    book.with_calls(entry())
    with opened(book.path) as db:
        found = {row[1] for row in db.execute("PRAGMA table_info(calls)")}
    assert found == {"id", "facet", "total", "tries", *columns}


def test_the_request_id_of_several_calls_finds_the_newest(book: Book) -> None:
    log = book.with_calls(entry(1, request_id="mine"), entry(2, request_id="mine", cost=77))
    found = log.request("mine")
    assert found is not None and found["time"] == NOW_MS + 2
    assert log.request("theirs") is None


def test_unknown_costs_stay_unknown(book: Book) -> None:
    log = book.with_calls(entry(1, cost=None, cost_basis="unknown"), entry(2, cost=0))
    found = {item["requestId"]: item["costUsd"] for item in log.requests(RequestFilter()).items}
    assert found == {"req_000001": None, "req_000002": 0.0}
    assert log.usage(NOW_MS - DAY_MS, NOW_MS + DAY_MS, "day")["totals"]["unknownCostCalls"] == 1


def test_no_secret_that_was_repeated_in_an_error_is_kept() -> None:
    secret = "sk-proj-abcdefghijklmnopqrstuvwxyz"
    told = {"error_message": f"Incorrect API key provided: {secret}", "user_agent": f"x {secret}"}
    found = entries.masked(refused(1, **told, model=secret, upstream_model=secret, served_model=secret))
    assert secret not in repr(found)
    assert found.error_message.startswith("Incorrect API key provided: [redacted]")


def test_the_ledger_lies_beside_its_database_links_followed(tmp_path: Path) -> None:
    real = tmp_path / "data"
    real.mkdir()
    (tmp_path / "ipin-proxy.db").symlink_to(real / "ipin-proxy.db")
    assert place(tmp_path / "ipin-proxy.db") == real / "ipin-proxy-usage.db"
    assert place(tmp_path / "school.db") == tmp_path / "school-usage.db"


def test_where_nothing_can_be_made_beside_a_database_its_ledger_goes_to_the_next_folder(tmp_path: Path) -> None:
    missing, other = tmp_path / "missing", tmp_path / "data"
    assert place(missing / "ipin-proxy.db", [other]) == missing / "ipin-proxy-usage.db"
    other.mkdir()
    assert place(missing / "ipin-proxy.db", [tmp_path / "none", other]) == other / "ipin-proxy-usage.db"
    assert place(tmp_path / "ipin-proxy.db", [other]) == tmp_path / "ipin-proxy-usage.db"
    assert not list(other.iterdir())


def test_who_asks_a_ledger_that_cannot_be_read_learns_no_path(tmp_path: Path) -> None:
    log = Ledger(place(tmp_path / "missing" / "ipin-proxy.db"))
    log.record(entry(1))
    with pytest.raises(ProxyError) as raised:
        log.own_usage("key", "k1")
    assert (raised.value.status, raised.value.code) == (503, "ledger_unreadable")
    assert raised.value.message == "The ledger cannot be read: no such file or directory."
    assert log.trouble is not None and str(tmp_path) in log.trouble, "the log and administrators do"
    log.close()


def test_nothing_is_made_before_there_is_something_to_keep(book: Book) -> None:
    log = book.open()
    assert log.spent(0, "key") == {} and log.recent(0) == [] and log.trouble is None
    log.close()
    assert list(book.path.parent.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
def test_the_files_are_their_owners_alone(book: Book) -> None:
    old = os.umask(0)
    try:
        log = book.with_calls(entry(1))
        log.record(entry(2))
        assert {mode(path) for path in book.path.parent.iterdir()} == {0o600}
        log.close()
        book.path.chmod(0o644)
        book.with_calls(entry(3))
        assert mode(book.path) == 0o600
    finally:
        os.umask(old)
    assert book.said == [f"{book.path} could be read by others (mode 0644); its mode is 0600 now"]


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
def test_a_file_whose_mode_is_not_ours_to_change_is_used_and_told_of(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.with_calls(entry(1)).close()
    book.path.chmod(0o660)  # a volume's group, of which the server is one
    monkeypatch.setattr(os, "chmod", raising(errno.EPERM))
    log = book.with_calls(entry(2))
    assert (log.trouble, len(book.said)) == (None, 1)
    assert "its mode cannot be set to 0600: operation not permitted" in book.said[0]


# Nothing is lost, nothing is there twice.


def test_what_was_recorded_is_there_after_a_kill_and_after_any_number_of_starts(book: Book, tmp_path: Path) -> None:
    log = book.with_calls(entry(1), entry(2))
    log.record(entry(3))
    killed = tmp_path / "killed"
    killed.mkdir()
    for path in (book.path, *book.path.parent.glob("*-wal"), *book.journals):
        if path.exists():
            shutil.copy(path, killed)
    with Book(killed) as other:
        for _ in range(3):
            assert other.with_calls().requests(RequestFilter()).total == 3
            assert sorted(other.request_ids()) == ids(1, 2, 3)
            assert other.sums("days") == other.sums("hours") == other.sums("splits") == (3, 3_000)


def test_a_journal_that_cannot_be_read_is_kept_for_a_start_that_can(
    book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as that of a server that root started once."""
    killed = tmp_path / "killed"
    killed.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(journal.Journal, "cut", lambda *_, **__: None)
        log = book.with_calls(entry(1), entry(2))
        log.record(entry(3))
        for path in (book.path, *book.path.parent.glob("*-wal"), book.journals[0]):
            shutil.copy(path, killed)
    with Book(killed) as other:
        with monkeypatch.context() as patched:
            patched.setattr(Path, "read_bytes", raising(errno.EACCES))
            other.with_calls(entry(4)).close()
        other.with_calls(entry(5)).close()
        unread = killed / "ipin-proxy-usage.journal.unread"
        assert "cannot be read, and the last calls may be missing" in other.said[0] and unread.name in other.said[0]
        unread.rename(other.journals[0])
        for _ in range(2):
            other.open().close()
            assert sorted(other.request_ids()) == ids(1, 2, 3, 4, 5)
        with opened(other.path) as db:
            assert db.execute("SELECT count(*) FROM marks WHERE name LIKE 'journal:%'").fetchone() == (0,)


def test_a_process_may_be_killed_at_any_moment_a_start_too(
    book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database of one moment with the journal of the same or of a later one: all that can be left behind."""
    monkeypatch.setattr(journal.Journal, "cut", lambda *_, **__: None)
    log = book.open()
    moments = []
    for number in range(4):
        log.record(entry(2 * number + 1))
        log.record(entry(2 * number + 2))
        log.flush(30)
        moments.append({path.name: path.read_bytes() for path in (book.path, *book.journals) if path.exists()})
        moments[-1].update({path.name: path.read_bytes() for path in book.path.parent.glob("*-wal")})
    for (older, files), (later, others) in itertools.combinations_with_replacement(enumerate(moments), 2):
        folder = tmp_path / f"{older}-{later}"
        folder.mkdir()
        for name, content in {**others, **{n: c for n, c in files.items() if ".db" in n}}.items():
            (folder / name).write_bytes(content)
        with Book(folder) as other:
            other.open().close()
            assert other.request_ids() == ids(*range(1, 2 * later + 3))
            assert other.sums("days")[0] == 2 * later + 2


def test_a_journal_that_is_cut_at_any_byte_holds_every_line_before_the_cut(tmp_path: Path) -> None:
    path = tmp_path / "j"
    written = journal.Journal((path, tmp_path / "j.2"), "abc")
    ends = []
    for number in range(1, 5):
        written.add(number, entries.written(Entry(f"r{number}", number)))
        ends.append(path.stat().st_size)
    content = path.read_bytes()
    for cut in range(len(content) + 1):
        path.write_bytes(content[:cut])
        found = [line.number for line in journal.read((path,), print)]
        assert found == [number for number, end in enumerate(ends, 1) if end <= cut]


@pytest.mark.parametrize("before", [-3, -1, 0, 1, 40])
def test_a_start_takes_in_what_a_cut_journal_holds_and_goes_on_after_it(book: Book, before: int) -> None:
    log = book.open()
    for number in (1, 2, 3):
        log.record(entry(number))
    content = book.journals[0].read_bytes()
    lines = content.splitlines(keepends=True)
    log.close()
    book.path.unlink()
    cut = len(lines[0]) + len(lines[1]) + before
    book.journals[0].write_bytes(content[:cut])
    again = book.with_calls(entry(4))
    again.close()
    assert book.request_ids() == ids(*([1] if before < 0 else [1, 2]), 4)
    assert not any(path.exists() for path in book.journals)


def test_bytes_that_rot_in_the_journal_cost_their_line_alone(book: Book) -> None:
    log = book.open()
    for number in (1, 2, 3):
        log.record(entry(number))
    lines = book.journals[0].read_bytes().splitlines(keepends=True)
    log.close()
    book.path.unlink()
    book.journals[0].write_bytes(lines[0] + lines[1].replace(b"req_000002", b"req_999999") + b"\xff\0\n\n" + lines[2])
    book.open().close()
    assert book.request_ids() == ids(1, 3)


@pytest.mark.parametrize("is_last", [False, True])
def test_a_call_is_kept_when_no_thread_can_be_started(
    book: Book, monkeypatch: pytest.MonkeyPatch, is_last: bool
) -> None:
    """A container's limit is reached with the first call: the next one starts the thread, or the next process takes it in."""
    ledger = book.open()
    with monkeypatch.context() as exhausted:
        exhausted.setattr(threading.Thread, "start", no_thread)
        ledger.record(entry(1))
        if is_last:
            ledger.close()
    if is_last:
        ledger = book.open()
    ledger.record(entry(2))
    assert ledger.flush()
    assert book.request_ids() == ids(1, 2)


def no_thread(thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("is_stuck", [False, True])
def test_a_disk_that_is_slow_while_no_thread_can_be_started_costs_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_stuck: bool
) -> None:
    """What was slow is written all the same; what would have to wait is written with the next line for which there is one."""
    path = tmp_path / "j"
    written = journal.Journal((path, tmp_path / "j.2"), "abc")
    with monkeypatch.context() as exhausted:
        exhausted.setattr(threading.Thread, "start", no_thread)
        exhausted.setattr(journal, "SLOW_S", -1)
        written.busy_since = time.monotonic() - 2 * journal.STUCK_S if is_stuck else 0.0
        for number in (1, 2):
            written.add(number, entries.written(Entry(f"r{number}", number)))
    written.busy_since = 0.0
    monkeypatch.setattr(journal, "SLOW_S", 30)
    written.add(3, entries.written(Entry("r3", 3)))
    assert sorted(line.number for line in journal.read((path,), print)) == [1, 2, 3]
    assert not written.trouble


def test_the_journal_stays_short_and_its_files_take_turns(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "CUT_BYTES", 1_000)
    log = book.open()
    seen = set()
    for number in range(1, 60):
        log.record(entry(number))
        log.flush(30)
        sizes = {path.name: path.stat().st_size for path in book.journals if path.exists()}
        assert len(sizes) == 1 and sum(sizes.values()) < 2_000
        seen |= set(sizes)
    log.close()
    assert len(seen) == 2
    assert book.request_ids() == ids(*range(1, 60))


def test_a_journal_that_cannot_be_removed_is_not_taken_in_twice(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", raising(errno.EACCES))
        for number in (1, 2, 3):
            log = book.with_calls(entry(number))
            log.close()
    assert any(path.exists() for path in book.journals)
    book.with_calls(entry(4)).close()
    assert book.request_ids() == ids(1, 2, 3, 4)


def test_twenty_threads_record_at_once(book: Book) -> None:
    log = book.open()

    def work(which: int) -> None:
        for number in range(200):
            log.record(entry(which * 1000 + number, key_id=f"k{which}"))

    threads = [threading.Thread(target=work, args=(which,)) for which in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {id_: spent.calls for id_, spent in log.spent(0, "key").items()} == {f"k{n}": 200 for n in range(20)}
    log.close()
    assert len(set(book.request_ids())) == len(book.request_ids()) == 4_000


# A process of its own for each kill, forked from one that has loaded everything.
WRITES_UNTIL_KILLED = """
import itertools, os, sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from ipin_proxy import journal, ledger
from support.book import entry
ledger.GATHER_S, journal.CUT_BYTES = 0.002, 4_000
journal.SLOW_S = journal.STUCK_S = 600  # of a slow disk it is not promised
for first in sys.stdin:
    if child := os.fork():
        os.waitpid(child, 0)
        print("ended", flush=True)
        continue
    print(os.getpid(), flush=True)
    book = ledger.Ledger(Path(sys.argv[3]), retention_days=0)
    for number in itertools.count(int(first)):
        book.record(entry(number))
        os.write(1, f"{number}\\n".encode())  # at once: half a line would be nobody's word
"""


def test_fifty_kills_lose_nothing_and_double_nothing(book: Book) -> None:
    told: list[int] = []
    command = [sys.executable, "-c", WRITES_UNTIL_KILLED, str(ROOT), str(ROOT / "tests"), str(book.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdin is not None and starter.stdout is not None
        for attempt in range(50):
            print((attempt + 1) * 100_000, file=starter.stdin, flush=True)
            process = int(starter.stdout.readline())
            for _ in range(attempt * 7 % 200 + 1):
                told.append(int(starter.stdout.readline()))
            os.kill(process, signal.SIGKILL)
            told += map(int, iter(starter.stdout.readline, "ended\n"))
        starter.stdin.close()
    book.open().close()
    found = [int(id_.removeprefix("req_")) for id_ in book.request_ids()]
    assert len(found) == len(set(found)), "a call is there twice"
    assert set(told) <= set(found), "a call is missing"
    assert len(set(found) - set(told)) <= 50  # recorded, and killed before it could say so
    assert book.sums("days") == book.sums("splits") == (len(found), 1_000 * len(found))


# Disks.


def failing(monkeypatch: pytest.MonkeyPatch, number: int) -> Callable[[], None]:
    """No journal and no database can be opened for writing; the answer ends that."""
    context = pytest.MonkeyPatch()
    real = os.open

    def refuse(path: Any, flags: int, *args: Any, **more: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(number, os.strerror(number), str(path))
        return real(path, flags, *args, **more)

    context.setattr(os, "open", refuse)
    monkeypatch.setattr(ledger, "RETRY_S", 0.01)
    monkeypatch.setattr(journal, "RETRY_S", 0.0)
    return context.undo


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EACCES, errno.EIO])
def test_what_cannot_be_written_waits_in_memory_and_is_said_once(
    book: Book, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    works_again = failing(monkeypatch, number)
    log = book.open()
    try:
        for each in range(1, 8):
            log.record(entry(each))
            log.flush()
        assert log.trouble is not None and os.strerror(number).lower() in log.trouble.lower()
        assert "7 of them wait in memory" in log.trouble
        with pytest.raises(ProxyError) as refusal:
            log.requests(RequestFilter())
        assert (refusal.value.status, refusal.value.code) == (503, "ledger_unreadable")
    finally:
        works_again()
    log.record(entry(8))
    assert log.flush(30)
    assert log.trouble is None
    log.close()
    assert book.request_ids() == ids(*range(1, 9))
    assert len(book.said) == 2 and book.said[-1] == "the ledger is written again"


def test_that_the_journal_is_written_again_is_said_though_no_call_comes(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "PROBE_S", 0.01)
    log, write = book.with_calls(entry(1)), os.write
    is_full, is_over = True, threading.Event()

    def write_unless_full(descriptor: int, data: bytes) -> int:
        if is_full and book.is_journal(descriptor):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", write_unless_full)
    monkeypatch.setattr(log, "_warn", lambda event, message: is_over.set() if "again" in message else None)
    log.record(entry(2))
    assert log.flush(30) and log.trouble is not None
    is_full = False
    assert is_over.wait(30)
    assert log.trouble is None


FILLS_A_DISK = """
import resource, sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from ipin_proxy import ledger
from support.book import entry
ledger.GATHER_S = ledger.RETRY_S = 0.01
book = ledger.Ledger(Path(sys.argv[3]), retention_days=0)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
number = 0
while book.flush() and number < 50_000:
    for number in range(number + 1, number + 100):
        book.record(entry(number))
for number in range(number + 1, number + 2_000):
    book.record(entry(number))
print(book.flush(), book.trouble)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
number += 1
book.record(entry(number))
print(book.flush(60), book.trouble, number)
book.close()
"""


@pytest.mark.skipif(os.name != "posix", reason="files are limited as POSIX has it")
def test_a_disk_that_fills_up_costs_no_call_once_there_is_room_again(book: Book) -> None:
    """No file may grow beyond 300 kB, which ends writes in the middle of a line, and transactions in the middle of a page."""
    command = [sys.executable, "-c", FILLS_A_DISK, str(ROOT), str(ROOT / "tests"), str(book.path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    full, room = done.stdout.splitlines()
    assert full.startswith("False The ledger is in trouble: ")
    is_written, trouble, number = room.split()
    assert (is_written, trouble) == ("True", "None")
    assert book.request_ids() == ids(*range(1, int(number) + 1))


def test_a_torn_write_costs_neither_its_line_nor_the_next(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    real, room = os.write, 500

    def write(descriptor: int, data: Any) -> int:
        nonlocal room
        if not book.is_journal(descriptor):
            return real(descriptor, data)
        if not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = real(descriptor, bytes(data)[:room])
        room -= written
        return written

    monkeypatch.setattr(ledger, "GATHER_S", 60)
    log = book.open()
    monkeypatch.setattr(os, "write", write)
    for number in (1, 2, 3):
        log.record(entry(number))
    assert log.trouble is not None and "no space left" in log.trouble.lower()
    room = 10_000
    log.record(entry(4))
    assert log.trouble is None
    found = [entries.read(line.text) for line in journal.read((book.journals[0],), print)]
    assert [each[0] for each in found if each] == ids(1, 4)
    log.close()
    assert book.request_ids() == ids(1, 2, 3, 4)


def test_a_disk_that_hangs_holds_up_one_call_and_no_other(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    real, hangs, answers = os.write, threading.Event(), threading.Event()

    def write(descriptor: int, data: Any) -> int:
        if book.is_journal(descriptor):
            hangs.set()
            assert answers.wait(60)
        return real(descriptor, data)

    log = book.with_calls(entry(1))
    monkeypatch.setattr(os, "write", write)
    victim = threading.Thread(target=log.record, args=(entry(2),))
    victim.start()
    assert hangs.wait(60)
    for number in range(3, 10):
        log.record(entry(number))
    assert log.flush(60), "the database does not hang"
    assert victim.is_alive()
    answers.set()
    victim.join()
    log.close()
    assert sorted(book.request_ids()) == ids(*range(1, 10))


def test_while_a_transaction_hangs_nobody_writes_to_that_disk(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "STUCK_S", 0.0)
    log = book.with_calls(entry(1))
    hangs, answers = threading.Event(), threading.Event()

    def hang(*_: object) -> None:
        hangs.set()
        assert answers.wait(60)

    waiting = threading.Thread(target=log._do, args=(hang, 60))
    waiting.start()
    assert hangs.wait(60)
    writers: list[str] = []
    real = os.write

    def write(descriptor: int, data: Any) -> int:
        writers.append(threading.current_thread().name)
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    log.record(entry(2))
    log.record(entry(3))
    assert threading.current_thread().name not in writers
    answers.set()
    waiting.join()
    log.close()
    assert book.request_ids() == ids(1, 2, 3)


def test_memory_has_an_end_and_what_is_lost_is_counted(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    works_again = failing(monkeypatch, errno.ENOSPC)
    monkeypatch.setattr(ledger, "MOST_QUEUED", 5)
    log = book.open()
    for number in range(1, 8):
        log.record(entry(number))
    assert not log.flush()
    assert log.lost == 2
    assert log.trouble is not None and log.trouble.endswith("5 of them wait in memory, 2 are lost.")
    works_again()
    assert log.flush(30)
    log.record(entry(8))
    assert log.flush(30)
    log.close()
    assert book.request_ids() == ids(1, 2, 3, 4, 5, 8)
    assert book.said[-1] == "the ledger is written again; 2 calls are lost"


def test_closing_on_a_full_disk_leaves_what_the_journal_holds_for_the_next_start(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "GATHER_S", 60)
    log = book.open()
    log.record(entry(1))
    log.record(entry(2))
    with monkeypatch.context() as patched:
        patched.setattr(ledgerfile, "open_writer", raising(errno.ENOSPC))
        log.close()
    assert not book.path.exists()
    book.open().close()
    assert book.request_ids() == ids(1, 2)


def test_what_waits_in_a_journal_while_somebody_else_has_the_database_was_spent_all_the_same(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start rebuilds the limits of what this says: without it budgets would be used twice."""
    monkeypatch.setattr(ledgerfile, "BUSY_S", 0.01)
    next_hour = NOW_MS + 3_600_000
    book.with_calls(entry(1)).close()
    with opened(book.path) as other:
        other.execute("BEGIN IMMEDIATE")
        log = book.open()
        for each in (entry(2), refused(3), entry(4, time_ms=next_hour, cost=None)):
            log.record(each)
        log.close()
        log = book.open()
        for by, id_ in (("key", "k1"), ("user", "u1")):
            assert log.spent(0, by) == {id_: Spent(3, 360, 2_000)}
            assert log.spent(0, by, next_hour) == {id_: Spent(2, 240, 2_000)}
            assert log.spent(next_hour, by) == {id_: Spent(1, 120, 0)}
        other.rollback()
        assert log.spent(0, "key") == {"k1": Spent(3, 360, 2_000)}
    log.close()
    assert book.request_ids() == ids(1, 2, 3, 4)


# Files.


def test_a_file_that_is_no_database_is_set_aside_and_a_new_one_begins(book: Book) -> None:
    book.path.write_bytes(b"These are my holidays, not a database. " * 100)
    book.path.chmod(0o600)
    log = book.with_calls(entry(1))
    assert log.trouble is None
    log.close()
    [kept] = book.path.parent.glob(f"{book.path.name}.broken-*")
    assert kept.read_bytes().startswith(b"These are my holidays")
    assert book.request_ids() == ids(1)
    assert len(book.said) == 1 and kept.name in book.said[0]


def test_somebody_elses_database_is_set_aside_too(book: Book) -> None:
    with opened(book.path) as db:
        db.execute("CREATE TABLE holidays (day TEXT)")
    book.with_calls(entry(1)).close()
    assert len([*book.path.parent.glob("*.broken-*")]) == 1


def test_a_file_that_breaks_while_it_is_used_is_set_aside_with_nothing_new_lost(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "GATHER_S", 60)
    log = book.with_calls(*map(entry, range(1, 400)))
    log.close()
    content = bytearray(book.path.read_bytes())
    content[4096:] = b"\x5a" * (len(content) - 4096)
    book.path.write_bytes(content)
    log = book.open()
    for number in range(400, 410):
        log.record(entry(number))
    assert log.flush(30)
    assert log.trouble is None
    log.close()
    assert book.request_ids() == ids(*range(400, 410))
    assert len([*book.path.parent.glob("*.broken-*")]) == 1


def test_a_file_whose_damage_sqlite_tells_in_what_is_no_text_is_set_aside_too(book: Book) -> None:
    """Such a file ended every start."""
    book.with_calls(entry(1)).close()
    content = book.path.read_bytes()
    assert content.count(b"CREATE TABLE latencies ") == 1
    book.path.write_bytes(content.replace(b"CREATE TABLE latencies ", b"CREATE \x8e\x8e\x8e\x8e\x8e latencies "))
    ledgerfile.check(book.path)
    book.with_calls(entry(2)).close()
    assert book.request_ids() == ids(2)
    assert len([*book.path.parent.glob("*.broken-*")]) == 1


def test_an_empty_file_is_a_new_ledger(book: Book) -> None:
    book.path.touch()
    book.with_calls(entry(1)).close()
    assert book.request_ids() == ids(1) and book.said == [
        f"{book.path} could be read by others (mode 0644); its mode is 0600 now"
    ]


def test_a_link_to_a_disk_that_is_away_is_no_new_ledger(book: Book, tmp_path: Path) -> None:
    """Or a start would begin all budgets anew."""
    disk, away = tmp_path / "disk", tmp_path / "away"
    book.with_calls(entry(1)).close()
    away.mkdir()
    book.path.rename(away / "ledger.db")
    book.path.symlink_to(disk / "ledger.db")
    log = book.open()
    with pytest.raises(ProxyError) as raised:
        log.spent(0, "key")
    assert raised.value.code == "ledger_unreadable"
    away.rename(disk)
    assert log.spent(0, "key") == {"k1": Spent(1, 120, 1_000)}


def test_a_file_that_is_taken_away_is_noticed(book: Book) -> None:
    log = book.with_calls(entry(1))
    book.path.rename(book.path.with_name("elsewhere.db"))
    log.record(entry(2))
    assert log.flush(30)
    assert log.requests(RequestFilter()).total == 1
    assert book.said == [f"{book.path} was moved or removed; a new ledger begins there"]


@pytest.mark.parametrize("then", ["a call", "the end"])
def test_a_file_that_is_moved_has_all_its_calls(book: Book, then: str) -> None:
    log = book.with_calls(entry(1), entry(2))
    elsewhere = book.path.with_name("elsewhere.db")
    book.path.rename(elsewhere)
    if then == "a call":
        log.record(entry(3))
        assert log.flush(30)
    log.close()
    with opened(elsewhere) as db:
        assert db.execute("SELECT request_id FROM calls ORDER BY id").fetchall() == [(id_,) for id_ in ids(1, 2)]


def test_a_backup_that_takes_the_place_of_the_file_is_gone_on_with(book: Book, tmp_path: Path) -> None:
    log = book.with_calls(entry(1))
    kept = tmp_path / "kept.db"
    with opened(book.path) as db, opened(kept) as copy:
        db.backup(copy)
    for number in range(2, 50):
        log.record(entry(number))
    assert log.flush(30)
    kept.replace(book.path)
    log.record(entry(50))
    assert log.flush(30)
    log.close()
    assert book.request_ids() == ids(1, 50)
    with opened(book.path) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_newer_file_is_refused_with_one_line_and_left_alone(book: Book) -> None:
    book.with_calls(entry(1)).close()
    with opened(book.path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(
        ConfigError, match=rf"written by a newer iPin Proxy \(schema 99, this one knows {len(MIGRATIONS)}\)"
    ):
        book.open()
    with pytest.raises(ConfigError, match="newer"):
        ledgerfile.check(book.path)
    assert book.request_ids() == ids(1)


def test_a_check_says_nothing_of_good_ledgers_and_writes_nothing(book: Book) -> None:
    ledgerfile.check(book.path)
    assert not book.path.exists()
    book.with_calls(entry(1)).close()
    before = [path.name for path in book.path.parent.iterdir()]
    ledgerfile.check(book.path)
    assert [path.name for path in book.path.parent.iterdir()] == before


# Numbers that are none.


NONSENSE: list[dict[str, Any]] = [
    {"input_tokens": math.nan, "output_tokens": math.inf, "cached_tokens": -5, "reasoning_tokens": 10**40},
    {"input_tokens": "many", "output_tokens": None, "images": [1], "pages": {"a": 1}, "characters": b"x"},
    {"latency_ms": math.nan, "upstream_ms": -math.inf, "overhead_ms": "slow", "first_chunk_ms": 1e300},
    {"seconds": math.inf, "bytes_in": -1, "bytes_out": 2**70},
    {"cost": math.nan, "upstream_cost": -1},
    {"cost": 10**30},
    {"cost": "0.1", "status": "fine", "stream": "yes"},
    {"time_ms": -1},
    {"time_ms": 10**20, "request_id": "x" * 10_000},
    {"time_ms": "now", "key_id": None, "model": 17, "media": ["image"]},
    {"user_agent": "\ud800 half", "model": "nul\0nul", "key_name": "\ud83d", "error_message": "y" * 10**6},
    {"attempts": None},
    {"attempts": "twice"},
    {"attempts": ((1, 2), ("p", math.nan, -1, None), object())},
    {"attempts": (Attempt("p", 200, 10**50, ""),) * 1000},
]


@pytest.mark.parametrize("nonsense", NONSENSE, ids=lambda each: "-".join(each))
def test_nonsense_counts_as_nothing_and_spoils_nothing(book: Book, nonsense: dict[str, Any]) -> None:
    log = book.with_calls(entry(1), entry(2, **nonsense), entry(3))
    assert log.trouble is None and log.lost == 0
    found = log.requests(RequestFilter())
    assert found.total == 3
    totals = log.usage(0, 10**14, "day")["totals"]
    assert totals["calls"] == 3
    assert all(math.isfinite(value) and value >= 0 for value in totals.values() if value is not None)
    assert totals["inputTokens"] in (200, 300) and 2_000 <= round(totals["costUsd"] * 10**9) <= 3_000
    log.record(entry(4, **nonsense))
    log.close()
    assert len(book.request_ids()) == 4


@pytest.mark.parametrize("nonsense", NONSENSE, ids=lambda each: "-".join(each))
def test_nonsense_goes_through_the_journal_as_well(book: Book, nonsense: dict[str, Any]) -> None:
    log = book.open()
    log.record(entry(1, **nonsense))
    content = book.journals[0].read_bytes()
    log.close()
    book.path.unlink()
    book.journals[0].write_bytes(content)
    log = book.open()
    assert log.requests(RequestFilter()).total == 1
    assert log.usage(0, 10**14, "day")["totals"]["calls"] == 1


def test_texts_without_end_take_no_room(book: Book) -> None:
    endless = "x" * 10**5
    log = book.open()
    log.record(entry(1, finish_reason=endless, model=endless, attempts=(Attempt(endless, 200, 1, endless),) * 100))
    assert sum(path.stat().st_size for path in book.journals if path.exists()) < 50_000
    [item] = log.requests(RequestFilter()).items
    assert (len(item["finishReason"]), len(item["attempts"]), item["costUsd"]) == (256, 50, 0.000001)


def test_huge_sums_are_exact(book: Book) -> None:
    most = entries.MOST_COST
    log = book.with_calls(*(entry(number, cost=most - number) for number in range(200)))
    exact = sum(most - number for number in range(200))
    assert log.spent(0, "key")["k1"].cost == exact
    assert log.own_usage()[0].cost == exact


def test_of_a_call_with_something_unspeakable_the_rest_is_kept(book: Book) -> None:
    class Evil:
        def __str__(self) -> str:
            raise RuntimeError("no")

    log = book.with_calls(entry(1), entry(2, finish_reason=Evil()), entry(3))
    log.close()
    assert book.request_ids() == ids(1, 2, 3) and book.said == []


def test_calls_that_come_while_others_are_written_wait_for_the_next_transaction(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else there is one for every few calls as long as they keep coming."""
    real, batches = intake.Writer.insert, []

    def insert(self: intake.Writer, batch: Sequence[tuple[int, bytes]], process: str) -> None:
        batches.append(len(batch))
        if len(batches) == 1:
            log.record(entry(2))
            log.record(entry(3))
        real(self, batch, process)

    monkeypatch.setattr(ledger, "GATHER_S", 60)
    monkeypatch.setattr(intake.Writer, "insert", insert)
    log = book.open()
    log.record(entry(1))
    log.flush()
    assert batches == [1]
    assert log.flush() and batches == [1, 2]


def test_a_line_that_cannot_be_read_keeps_no_other_out(book: Book) -> None:
    left = journal.Journal(book.journals, "before")
    left.add(1, entries.written(entry(1)))
    left.add(2, b"[" * 100_000 + b"]" * 100_000)
    left.add(3, entries.written(entry(3)))
    log = book.open()
    assert log.lost == 1 and log.trouble is None
    log.close()
    assert book.request_ids() == ids(1, 3)
    assert len(book.said) == 1 and "could not be written" in book.said[0]


def test_no_line_of_a_journal_keeps_others_out_or_changes_their_order(book: Book) -> None:
    """Of older versions and newer ones, with numbers that JSON has not, or no lines of ours at all."""
    whole = [json.loads(entries.written(entry(number))) for number in range(1, 9)]
    whole[1] = whole[1][:12]
    whole[2].append("more")
    whole[3][Entry._fields.index("cost")] = math.nan
    whole[4][Entry._fields.index("input_tokens")] = 1.5
    whole[5][Entry._fields.index("first_chunk_ms")] = math.inf
    whole[6][Entry._fields.index("user_agent")] = "half a \ud83c"
    lines = [json.dumps(each).encode() for each in whole]
    nothing = [b"\xff\xfe", b"", b"[", b"17", b"{}", b'["only"]', b"]", b"null", b"[[]", b"'"]
    left = journal.Journal(book.journals, "before")
    given = itertools.chain.from_iterable(itertools.zip_longest(nothing, lines, fillvalue=b"no"))
    for number, line in enumerate(given, 1):
        left.add(number, line)
    log = book.open()
    assert log.trouble is None and log.lost == 0 and book.said == []
    items = log.requests(RequestFilter(), order="asc").items
    assert [item["requestId"] for item in items] == book.request_ids() == ids(*range(1, 9))
    assert [item["costUsd"] for item in items] == [0.000001, None, 0.000001, None] + [0.000001] * 4
    assert items[3]["costBasis"] == "unknown" and items[4]["inputTokens"] == 1 and items[6]["userAgent"] == "half a ?"


def test_many_calls_at_once_are_written_in_their_order_with_those_that_have_to_be_put_right(book: Book) -> None:
    odd: dict[int, dict[str, Any]] = {
        3: {"user_agent": "x" * 400},
        249: {"attempts": (Attempt("a", 200, 1, ""), Attempt("b", 502, -1, "no"))},
        250: {"request_id": "nul\0"},
        251: {"input_tokens": 7.9},
        700: {"cost": True},
    }
    log = book.with_calls(*(entry(number, **odd.get(number, {})) for number in range(1, 751)))
    expected = ids(*range(1, 751))
    expected[249] = "nul\ufffd"
    assert book.request_ids() == expected
    assert book.sums("days") == book.sums("hours") == book.sums("splits") == (750, 749_000)
    assert log.usage(0, 10**14, "day")["totals"]["inputTokens"] == 749 * 100 + 7
    assert (log.request("req_000003") or {})["userAgent"] == "x" * 299 + "…"
    assert [attempt["ms"] for attempt in (log.request("req_000249") or {})["attempts"]] == [1, 0]


def test_texts_of_any_script_come_back_and_half_a_character_becomes_a_question_mark(book: Book) -> None:
    given = {
        "key_name": "Klasse 7b 🎓",
        "user_agent": "Zoë's 🎓\\ud83c",
        "error_message": 'He said "no\\\udf93" 🎓',
        "model": "\ud800",
        "address": "\\u0000",
    }
    [item] = book.with_calls(entry(1, **given)).requests(RequestFilter()).items
    assert (item["keyName"], item["userAgent"], item["address"]) == ("Klasse 7b 🎓", "Zoë's 🎓\\ud83c", "\\u0000")
    assert (item["errorMessage"], item["model"]) == ('He said "no\\?" 🎓', "?")


def test_a_call_the_database_refuses_takes_no_other_with_it(book: Book) -> None:
    """Nor what was remembered of those that were written with it, and have to be written again."""
    log = book.with_calls(entry(1))
    with opened(book.path) as db:
        db.execute(
            "CREATE TRIGGER no BEFORE INSERT ON calls WHEN new.request_id = 'req_000003'"
            " BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    for number in range(2, 6):
        log.record(entry(number, key_id="another", finish_reason="length"))
    assert log.flush(30) and log.lost == 1
    assert book.request_ids() == ids(1, 2, 4, 5)
    assert log.requests(RequestFilter(key="another")).total == 3
    assert book.sums("days") == book.sums("hours") == book.sums("splits") == (4, 4_000)


def test_what_calls_have_in_common_is_found_again_when_it_was_forgotten(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MOST_KNOWN", 2)
    log = book.open()
    for number in range(1, 13):
        log.record(entry(number, key_id=f"k{number % 4}"))
        log.flush(30)
    with opened(book.path) as db:
        assert db.execute("SELECT count(*), sum(rows) FROM facets").fetchone() == (4, 12)
        assert db.execute("SELECT count(*) FROM lanes").fetchone() == (4,)


# Keeping, and letting go.


def test_old_rows_go_and_what_they_add_up_to_stays(book: Book) -> None:
    old = [entry(number, time_ms=NOW_MS - 91 * DAY_MS + number, key_id="old") for number in range(1, 2_501)]
    log = book.with_calls(*old, entry(9_001), entry(9_002, time_ms=NOW_MS - 89 * DAY_MS), retention_days=90)
    log.close()
    log = book.open(retention_days=90)
    steps = 0
    while log.requests(RequestFilter()).total > 2:
        steps += 1
        assert steps < 10_000
        log.flush()
    assert [item["requestId"] for item in log.requests(RequestFilter()).items] == ids(9_001, 9_002)
    assert log.requests(RequestFilter(key="old")).total == 0
    assert log.spent(0, "key")["old"].calls == 2_500
    assert log.usage(0, NOW_MS + DAY_MS, "day")["totals"]["calls"] == 2_502
    assert sum(month.calls for month in log.own_usage()) == 2_502


def test_rows_go_in_small_steps(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "STEP_ROWS", 10)
    book.with_calls(*(entry(number) for number in range(1, 26))).close()
    db = ledgerfile.open_writer(book.path, print)
    assert [retention.sweep(db, NOW_MS + 21) for _ in range(4)] == [10, 10, 0, 0]
    db.close()
    assert book.request_ids() == ids(21, 22, 23, 24, 25)


def test_zero_days_are_for_ever(book: Book) -> None:
    book.with_calls(entry(1, time_ms=1_000), retention_days=0).close()
    log = book.open(retention_days=0)
    log.record(entry(2))
    log.flush(30)
    assert log.requests(RequestFilter()).total == 2


def test_calls_are_found_when_all_before_them_are_gone(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids are never given again, so that orders that were made of them hold."""
    book.with_calls(*map(entry, range(1, 30))).close()
    db = ledgerfile.open_writer(book.path, print)
    assert retention.sweep(db, NOW_MS + DAY_MS) == 29
    retention.fold(db, NOW_MS)
    assert [db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("facets", "ways", "outcomes")] == [
        0
    ] * 3
    db.close()
    log = book.with_calls(entry(31), refused(32))
    assert log.requests(RequestFilter(), "latencyMs").total == 2
    with opened(book.path) as raw:
        assert raw.execute("SELECT min(id) FROM calls").fetchone() == (30,)


def test_sums_by_the_hour_become_days_after_a_quarter(book: Book) -> None:
    day = NOW_MS // DAY_MS * DAY_MS
    old = day - 100 * DAY_MS
    book.with_calls(entry(1, time_ms=old + 5 * 3_600_000), entry(2, time_ms=old + 7 * 3_600_000), entry(3)).close()
    db = ledgerfile.open_writer(book.path, print)
    retention.fold(db, NOW_MS)
    db.close()
    log = book.open()
    found = log.usage(old + 6 * 3_600_000, NOW_MS + DAY_MS, "hour")
    assert (found["from"], found["totals"]["calls"]) == (old, 3)
    assert [row["calls"] for row in found["series"]] == [2, 1]
    for by in ("hour", "day", "key"):
        found = log.usage(old + 6 * 3_600_000, old + 7 * 3_600_000, by)
        assert (found["from"], found["to"], found["totals"]["calls"]) == (old, old + DAY_MS, 2), by


# Reading while it is written.


def test_whoever_reads_sees_what_was_just_recorded(book: Book) -> None:
    log = book.open()
    for number in range(1, 6):
        log.record(entry(number))
        assert log.requests(RequestFilter()).total == number
        assert log.spent(0, "user")["u1"].calls == number


def test_many_who_read_a_new_ledger_at_once_all_find_it_empty(book: Book) -> None:
    ledger = book.open()
    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(ledger.usage, 0, NOW_MS, "day") for _ in range(8)]
        assert [each.result()["totals"]["calls"] for each in found] == [0] * 8


def test_a_reader_that_takes_its_time_holds_nobody_up(book: Book) -> None:
    log = book.with_calls(*map(entry, range(1, 3_001)))
    pieces = log.export(RequestFilter(), "jsonl")
    first = next(pieces)
    for number in range(3_001, 3_100):
        log.record(entry(number))
    assert log.flush(30)
    lines = first.splitlines() + [line for piece in pieces for line in piece.splitlines()]
    assert len(lines) == 3_000


def test_a_ledger_can_be_closed_twice_and_while_it_is_idle(book: Book) -> None:
    log = book.open()
    log.close()
    log.close()
    again = book.with_calls(entry(1))
    again.close()
    again.close()
    assert book.request_ids() == ids(1)


def test_its_own_thread_ends_with_it(tmp_path: Path) -> None:
    before = threading.active_count()
    log = Ledger(tmp_path / "x-usage.db")
    log.record(entry(1))
    log.close()
    assert threading.active_count() == before
