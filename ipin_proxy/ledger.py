"""The usage ledger: one row for every call, kept whatever happens; sums, searches and the trail of changes read from it.

`record` is what a call waits for: a line in the journal (`journal.py`), and a place in a queue. A thread of our own moves
what is queued into the database, many calls in one transaction, each of them durable when it is committed. So a process
that is killed loses nothing that was answered, a power cut at most the last second, and both leave every call there once.

A disk that is full, slow, read-only or gone is never the caller's affair: entries wait in memory, the thread tries again,
and `trouble` says in a sentence what is wrong. Whoever reads has a connection of his own, on a thread that may wait.
Prompts and answers are not kept. What is in the tables, the rooms below know: entries, requestlog, spending, trail.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import journal, ledgerfile, retention
from .entries import DAY_MS, Entry, written
from .errors import ConfigError, ProxyError, reason
from .upkeep import Upkeep

# What only readers need is loaded when the first of them comes, and what writes when there is something to write.
if TYPE_CHECKING:
    import sqlite3

    from .arrears import Arrear
    from .intake import Writer
    from .requestlog import Page
    from .selection import RequestFilter
    from .spending import Month, Spent
    from .trail import Change, TrailFilter

__all__ = ["Entry", "Ledger"]

Warn = Callable[..., object]
Action = Callable[["sqlite3.Connection"], object]

GATHER_S = 0.5  # between two transactions, unless somebody asks: what a power cut may cost, and a little more
BATCH = 2_000
MOST_QUEUED = 100_000  # lines, about half a kilobyte each: what is kept of a time in which nothing can be written
RETRY_S = 1.0
MOST_RETRY_S = 30.0
PATIENCE_S = 3.0  # of somebody who reads, for what is queued
WRITE_PATIENCE_S = 10.0  # of somebody whose change has to be in the trail
CLOSE_S = 10.0
SWEEP_S = 3600.0
STEP_S = 0.05  # between the steps of a sweep
PROBE_S = 5.0  # until a journal that failed is tried again, when no call does it


class _Job:
    """Something for the thread that writes, and for whoever waits until it has been done."""

    def __init__(self, action: Action | None) -> None:
        self.action = action
        self.done = threading.Event()
        self.error: Exception | None = None


class Ledger:
    """One open ledger. `retention_days` may be changed at any time; 0 keeps rows for ever.

    What a process before this one left in the journal is taken in here. Raises ConfigError, with one line for a person, for
    a file this version cannot write. Any other failure is told (`warn("ledger", message=…)`, once) and tried again.
    """

    def __init__(
        self,
        path: Path,
        *,
        retention_days: int = 90,
        warn: Warn | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self.retention_days = retention_days
        self.lost = 0  # calls that no memory was left for, or that could not be written
        self._warn = warn
        self._wall = wall
        self._process = os.urandom(6).hex()
        self._journal = journal.Journal(ledgerfile.journals(path), self._process)
        self._order = threading.Lock()  # the queue is in the order of its numbers; never held for long
        self._queue: deque[tuple[int, bytes]] = deque()  # what is not in the database yet, as in the journal
        self._number = 0
        self._committed = 0
        self._jobs: deque[_Job] = deque()
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._is_resting = False
        self._is_closing = False
        self._thread: threading.Thread | None = None
        self._db: sqlite3.Connection | None = None
        self._inode: tuple[int, int] = (0, 0)
        self._writer: Writer | None = None
        self._is_taken_in = False
        self._arrears: list[Arrear] = []  # until all of them are taken in
        self._failure = self._trail_failure = ""  # the second of the last change
        self._told = ""
        self._retry_s = RETRY_S
        self._next_sweep = 0.0
        self._upkeep = Upkeep()
        if path.exists() or any(each.exists() for each in self._journal.paths):
            try:
                self._open()
            except ConfigError:
                raise
            except Exception as error:  # noqa: BLE001 the thread tries again
                self._fail(error)
                self._tell()
                from . import arrears

                self._arrears = arrears.of(journal.read(self._journal.paths, self._say))
            self._start()

    # -- a call -------------------------------------------------------------------------------------------------------

    def record(self, entry: Entry) -> None:
        """Keep an entry. When it returns the call survives the end of this process. Never raises; takes microseconds."""
        text = written(entry)
        with self._order:
            number = self._number = self._number + 1
            if len(self._queue) < MOST_QUEUED:
                self._queue.append((number, text))
            else:
                self.lost += 1
        self._journal.add(number, text)
        if self._is_resting:
            self._wake.set()
        elif self._thread is None:
            self._start()

    @property
    def trouble(self) -> str | None:
        """What is wrong, in a sentence; None when everything is kept."""
        problems = [each for each in (self._failure, self._journal.trouble, self._trail_failure) if each]
        if not problems:
            return None
        waiting = len(self._queue)
        told = f"The ledger is in trouble: {'; '.join(problems)}. Calls go on; {waiting} of them wait in memory"
        return f"{told}, {self.lost} are lost." if self.lost else f"{told}."

    def flush(self, patience_s: float = PATIENCE_S) -> bool:
        """Wait until what has been recorded is in the database; whether it is. Not for the loop's thread."""
        if self._queue or self._number > self._committed:
            with contextlib.suppress(Exception):
                self._do(None, patience_s)
        return self._committed >= self._number

    def close(self) -> None:
        """Write what is queued, as far as that is possible, and let go of the file. What is left stays in the journal."""
        self._is_closing = True
        if self._thread is not None:
            self._wake.set()
            self._hurry.set()
            self._thread.join(CLOSE_S)
            if self._thread.is_alive():
                return  # the disk hangs; everything it does not take is in the journal, or lost with it
        self._journal.close(self._committed)
        self._close_database()

    # -- reading: all of it on a thread that may wait ---------------------------------------------------------------------

    def spent(self, since_ms: int, by: str, until_ms: int | None = None) -> Mapping[str, Spent]:
        """What each "key" or "user" has spent since a time, and until before another, which count from the beginning of their
        hour; "" has none."""
        if self._is_new:
            return {}
        from . import arrears

        known = self._arrears
        with self._reading() as db:
            found = arrears.spent(db, known, since_ms, by, until_ms)
        # They may have been taken in meanwhile, and what tells which of them were is removed then.
        return self.spent(since_ms, by, until_ms) if known and self._is_taken_in else found

    def sums(self, since_ms: Sequence[int], by: str = "", id_: str = "") -> list[Spent]:
        """What one key or user, or everybody, has spent since each of these times, which count as for `spent`."""
        from . import spending

        if self._is_new:
            return [spending.Spent() for _ in since_ms]
        with self._reading() as db:
            return [spending.sum_of(db, each, by, id_) for each in since_ms]

    def recent(self, since_ms: int) -> list[tuple[int, str, int]]:
        """The calls since a time for which a provider was asked: when, whose key, how many tokens."""
        if self._is_new:
            return []
        from . import spending

        with self._reading() as db:
            return spending.recent(db, since_ms)

    def usage(self, from_ms: int, to_ms: int, by: str, **only: str) -> dict[str, Any]:
        """Totals and a series, as `spending.usage` says."""
        from . import spending

        with self._reading() as db:
            return spending.usage(db, from_ms, to_ms, by, **only)

    def own_usage(self, by: str = "user", id_: str | None = None) -> list[Month]:
        """What each user (or "key"), or one of them, has spent in each month, the newest month first."""
        from . import spending

        with self._reading() as db:
            return spending.months(db, by, id_)

    def requests(
        self, filters: RequestFilter, sort: str = "time", order: str = "desc", page: int = 1, page_size: int = 50
    ) -> Page:
        """A page of the log, and how many rows there are in all. Raises BadRequest."""
        from . import requestlog

        with self._reading() as db:
            return requestlog.page(db, filters, sort, order, page, page_size)

    def request(self, request_id: str) -> dict[str, Any] | None:
        """One call with everything known of it; of several with the same id the newest."""
        from . import requestlog

        with self._reading() as db:
            return requestlog.one(db, request_id)

    def export(self, filters: RequestFilter, format_: str) -> Iterator[bytes]:
        """The rows of a filter, the oldest first, as "csv" or "jsonl", piece by piece. Raises BadRequest at once."""
        from . import exports, requestlog, selection

        pieces = exports.pieces_of(format_)
        selection.check(filters)

        def run() -> Iterator[bytes]:
            with self._reading() as db:
                yield from pieces(requestlog.rows(db, filters))

        return run()

    def audits(
        self, page: int = 1, page_size: int = 50, filters: TrailFilter | None = None
    ) -> tuple[list[dict[str, Any]], int]:
        """A page of the changes, the newest first, and how many there are."""
        from . import trail

        with self._reading() as db:
            return trail.page(db, filters or trail.TrailFilter(), page, page_size)

    def audit(self, *changes: Change) -> None:
        """Keep changes for good; they are on the disk when this returns. Raises ProxyError when they cannot be."""
        from . import trail

        try:
            self._do(lambda db: trail.write(db, *changes), WRITE_PATIENCE_S)
            self._trail_failure = ""
        except Exception as error:
            self._trail_failure = f"the last change could not be written to the trail: {error}"
            raise ProxyError(
                f"The change could not be written to the trail ({error}). An administrator can make room on the disk, or "
                "correct the permissions of the ledger's file.",
                code="ledger_unwritable",
            ) from error

    @property
    def _is_new(self) -> bool:
        """Nothing has ever been recorded, so there is nothing to open a database for. A link to a disk that is away is no such case."""
        return not self._number and self._db is None and not os.path.lexists(self.path)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        self.flush()
        import sqlite3

        try:
            if not self.path.exists():
                self._do(None, PATIENCE_S)
            elif self._db is None:  # there is a file, and its tables may be about to be made
                with contextlib.suppress(Exception):
                    self._do(None, PATIENCE_S)
            with contextlib.closing(ledgerfile.open_reader(self.path)) as db:
                yield db
        except (sqlite3.Error, OSError, TimeoutError, UnicodeDecodeError) as error:
            # Callers see it too, so it names no path.
            why = reason(error) if isinstance(error, OSError) else error
            raise ProxyError(f"The ledger cannot be read: {why}.", status=503, code="ledger_unreadable") from error

    # -- the thread that writes -------------------------------------------------------------------------------------------

    def _start(self) -> None:
        with self._order:
            if self._thread is None and not self._is_closing:
                thread = threading.Thread(target=self._run, name="ledger", daemon=True)
                with contextlib.suppress(RuntimeError):  # the system has no more: the next call tries again
                    thread.start()
                    self._thread = thread

    def _do(self, action: Action | None, patience_s: float) -> None:
        """Have the thread do something after all that is queued. Raises what went wrong, or TimeoutError."""
        if self._is_closing:
            raise TimeoutError("the ledger is closed")
        job = _Job(action)
        self._jobs.append(job)
        self._hurry.set()
        self._wake.set()
        if self._thread is None:
            self._start()
        if not job.done.wait(patience_s):
            raise TimeoutError("the disk does not answer")
        if job.error is not None:
            raise job.error

    def _run(self) -> None:
        pause_s = 0.0
        while not self._is_closing or self._queue or self._jobs:
            self._is_resting = True
            if not (self._queue or self._jobs or self._is_closing):
                self._wake.wait(pause_s)
            self._is_resting = False
            self._wake.clear()
            if not (self._jobs or self._is_closing):
                self._hurry.wait(GATHER_S if self._queue and not self._failure else 0)
            self._hurry.clear()
            is_written = self._work()
            if is_written:
                pause_s = self._keep_house()
            self._tell()
            if not is_written:
                if self._is_closing:
                    return
                self._hurry.wait(self._retry_s)

    def _work(self) -> bool:
        """Write what is queued and do what is asked for; whether all of that went well."""
        try:
            self._write()
        except Exception as error:  # noqa: BLE001 whatever it is, the next attempt may succeed
            self._fail(error)
            while self._jobs:
                job = self._jobs.popleft()
                job.error = error
                job.done.set()
            return False
        self._failure, self._retry_s = "", RETRY_S
        return True

    def _write(self) -> None:
        with self._busy():
            db = self._open()
            # What comes while this is written waits for the next time: a transaction takes as long for one as for a hundred.
            jobs, until = len(self._jobs), self._number
            while self._committed < until:
                with self._order:
                    batch = [*islice(self._queue, BATCH)]
                    if not batch:
                        self._committed = self._number
                        break
                self._journal.busy_since = time.monotonic()  # each batch anew: many of them are not one that hangs
                self._insert(batch)
                with self._order:
                    for _ in batch:
                        self._queue.popleft()
                self._committed = batch[-1][0]
                self._journal.cut(self._committed)
            for _ in range(jobs):
                job = self._jobs.popleft()
                try:
                    if job.action is not None:
                        job.action(db)
                except Exception as error:  # noqa: BLE001 it belongs to whoever asked
                    job.error = error
                job.done.set()

    def _insert(self, batch: Sequence[tuple[int, bytes]], process: str = "") -> None:
        """A batch, or, when something in it cannot be written at all, its entries one by one, as far as they can be."""
        import sqlite3

        from .intake import Writer

        assert self._db is not None
        if self._writer is None:
            self._writer = Writer(self._db, self._wall)
        try:
            self._writer.insert(batch, process or self._process)
        except (sqlite3.OperationalError, OSError, MemoryError):
            raise
        except Exception as error:
            if ledgerfile.is_damage(error):
                raise
            if len(batch) > 1:
                for each in batch:
                    self._insert([each], process)
                return
            self.lost += 1
            self._say(f"a call could not be written to the ledger: {error!r:.200}")

    def _open(self) -> sqlite3.Connection:
        """The connection, and with the first one what processes before this one left in the journal."""
        if self._db is not None:
            if self._inode == ledgerfile.inode_of(self.path):
                return self._db
            self._close_database()
            self._say(f"{self.path} was moved or removed; a new ledger begins there")
        self._db = ledgerfile.open_writer(self.path, self._say)
        self._inode = ledgerfile.inode_of(self.path)
        self._take_in()
        return self._db

    def _take_in(self) -> None:
        """Every line of the journal that is not in the database, once, though a start may be killed in between."""
        if self._is_taken_in:
            return
        lines = journal.read(self._journal.paths, self._say)
        for process, of in groupby(lines, key=lambda line: line.process):
            if process == self._process:
                continue  # all of these are queued
            found = [(line.number, line.text) for line in of]
            for start in range(0, len(found), BATCH):
                self._insert(found[start : start + BATCH], process)
        self._arrears, self._is_taken_in = [], True
        if self._journal.remove_left():
            assert self._db is not None
            self._db.execute("DELETE FROM marks WHERE name LIKE 'journal:%'")

    def _fail(self, error: Exception) -> None:
        self._close_database()
        if ledgerfile.is_damage(error):
            with contextlib.suppress(OSError):
                ledgerfile.set_aside(self.path, str(error), self._say)
        is_told = isinstance(error, ConfigError)  # and names the file
        self._failure = str(error) if is_told else f"the database {self.path} cannot be written: {error}"
        self._retry_s = min(2 * self._retry_s, MOST_RETRY_S)

    def _close_database(self) -> None:
        db, self._db, self._writer = self._db, None, None
        if db is not None:
            with contextlib.suppress(Exception), contextlib.closing(db):
                if self._inode != ledgerfile.inode_of(self.path):
                    # SQLite would leave the newest rows behind, in a file that the next ledger removes.
                    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _keep_house(self) -> float:
        """Long jobs, a step at a time; how long there is nothing more to do."""
        db, now = self._db, time.monotonic()
        if db is None or len(self._queue) >= BATCH:
            return 0.0
        try:
            with self._busy():
                if now >= self._next_sweep:
                    gone, now_ms = 0, int(self._wall() * 1000)
                    if self.retention_days > 0:
                        gone = retention.sweep(db, now_ms - self.retention_days * DAY_MS)
                        if self._writer is not None:
                            self._writer.forget()
                    if gone >= retention.STEP_ROWS:
                        self._next_sweep = now + STEP_S
                    else:
                        retention.fold(db, now_ms)
                        self._journal.cut(self._committed, at_once=True)
                        self._next_sweep = now + SWEEP_S
                if self._journal.trouble:
                    self._journal.probe()
                if rest_s := self._upkeep.step(db, self._number):
                    return rest_s
                return PROBE_S if self._journal.trouble else max(STEP_S, self._next_sweep - now)
        except Exception as error:  # noqa: BLE001 as in _work
            self._fail(error)
            return RETRY_S

    @contextlib.contextmanager
    def _busy(self) -> Iterator[None]:
        """While the database's disk is waited for, the journal keeps an eye on how long that takes."""
        self._journal.busy_since = time.monotonic()
        try:
            yield
        finally:
            self._journal.busy_since = 0.0

    def _tell(self) -> None:
        """Say what is wrong once, and once that it is over."""
        problem = self._failure or self._journal.trouble
        if problem == self._told:
            return
        self._told = problem
        lost = f"; {self.lost} calls are lost" if self.lost else ""
        self._say(self.trouble or f"the ledger is written again{lost}")

    def _say(self, message: str) -> None:
        if self._warn is not None:
            with contextlib.suppress(Exception):
                self._warn("ledger", message=message)
