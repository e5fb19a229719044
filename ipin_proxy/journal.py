"""The ledger's journal: a line for every call, written before its caller has the last byte.

One write into the page cache, which the system keeps when the process is killed; so nothing has to wait for the disk, and
nothing is lost. A line says which process wrote it and as the how-manieth, and ends in one way only: its checksum fits, or
it is no line. What has reached the database is cut off by going on in the other of two files and removing the first.

The write is made by whoever has a line, mostly the loop's thread, as long as the disk is quick. When a write took longer than
`SLOW_S`, or something else on that disk hangs, lines go to a thread of our own until it is quick again, and are waited for no
longer than that. So a disk that hangs holds traffic up once; what is recorded meanwhile is in memory alone, and would be lost
if the process were killed at that moment. This room knows lines, and not what is in them.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from .errors import reason

SLOW_S = 0.05
STUCK_S = 5.0  # something else on the disk has been waited for since so long
QUICK_S = 0.005
TELL_S = 3.0  # a disk that was slow for a moment is nobody's trouble
RETRY_S = 1.0  # between attempts to open the file again
CUT_BYTES = 1_000_000
MOST_BYTES = 64 * 1024 * 1024  # the database has not been writable for a long time: more is in memory alone
MOST_WAITING = 100_000
APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)


class Line(NamedTuple):
    """What a journal holds: who wrote it, as the how-manieth, and what."""

    process: str
    number: int
    text: bytes


class Journal:
    """The journal of this process, in two files that take turns. `add` may be called by any thread, the rest by one."""

    def __init__(self, paths: tuple[Path, Path], process: str) -> None:
        self.paths = paths
        self.busy_since = 0.0  # set by who works on the same disk, while it waits for it
        self._process = process.encode()
        self._writing = threading.Lock()  # the file; held while the disk is waited for
        self._file = -1
        self._turn = 0
        self._size = 0
        self._last = 0  # the highest number in the file
        self._torn = False  # the file may end within a line
        self._failure = ""
        self._retry_at = 0.0
        self._old: tuple[int, Path] | None = None  # a file that is full, and the highest number in it
        self._handing = threading.Condition()  # what follows; never held for long
        self._is_slow = False
        self._slow_why = ""
        self._slow_since = 0.0
        self._waiting: list[tuple[int, bytes]] = []
        self._handed = self._written = 0  # lines, to the thread and by it
        self._behind_since = 0.0  # when it began to write what it is writing

    @property
    def trouble(self) -> str:
        """What is wrong, as the rest of a sentence; empty when nothing is."""
        is_slow = self._is_slow and time.monotonic() - self._slow_since > TELL_S
        return self._failure or (self._slow_why if is_slow else "")

    def add(self, number: int, text: bytes) -> None:
        """Write a line. Never raises; `trouble` says what is wrong."""
        body = b"%b %d %b" % (self._process, number, text)
        line = b"%08x %b\n" % (crc32(body), body)
        writing = self._writing
        is_behind = self._is_slow or self._waiting
        if is_behind or not (writing.acquire(blocking=False) or writing.acquire(timeout=SLOW_S)):
            self._hand_over(number, line)
            return
        begun = time.monotonic()
        is_stuck = self._is_stuck(begun)
        if not is_stuck:
            self._put(number, line)
        writing.release()
        if is_stuck:
            self._hand_over(number, line)
        elif (took := time.monotonic() - begun) > SLOW_S:
            self._turn_slow(f"a write took {took:.1f} s")

    def cut(self, committed: int, *, at_once: bool = False) -> None:
        """All lines up to this number are safe elsewhere: remove a full file of them, and begin another when this one is."""
        if self._old is not None:
            if committed < self._old[0]:
                return
            with contextlib.suppress(OSError):
                os.unlink(self._old[1])
            if self._old[1].exists():
                return
            self._old = None
        if self._size < CUT_BYTES and not (at_once and self._size):
            return
        with self._unless_it_hangs() as is_ours:
            if not is_ours:
                return
            full, self._old = self._file, (self._last, self.paths[self._turn])
            self._turn = 1 - self._turn
            self._file, self._size, self._torn = -1, 0, False
            self._open()
        with contextlib.suppress(OSError):
            os.close(full)
        if committed >= self._old[0]:
            self.cut(committed)

    def probe(self) -> None:
        """After a failure: find out whether it is over, with an empty line."""
        with self._unless_it_hangs() as is_ours:
            if is_ours:
                self._retry_at = 0.0
                self._put(0, b"\n")

    def remove_left(self) -> bool:
        """What processes before this one wrote is safe elsewhere; whether none of it is left, as it is in a file in use, or in
        one that could not be read."""
        with self._unless_it_hangs() as is_ours:
            if not is_ours:
                return False
            in_use = {self.paths[self._turn]} if self._file >= 0 else set()
            in_use |= {self._old[1]} if self._old is not None else set()
            for path in set(self.paths) - in_use:
                with contextlib.suppress(OSError):
                    os.unlink(path)
            return not any(path.exists() for each in self.paths for path in (each, _unread(each)))

    def close(self, committed: int) -> None:
        """No more lines come: what is not safe elsewhere stays for the next start."""
        self.cut(committed, at_once=True)
        with self._unless_it_hangs() as is_ours:
            if is_ours and self._file >= 0:
                with contextlib.suppress(OSError):
                    os.close(self._file)
                if not self._size:
                    with contextlib.suppress(OSError):
                        os.unlink(self.paths[self._turn])
                self._file = -1

    @contextlib.contextmanager
    def _unless_it_hangs(self) -> Iterator[bool]:
        """Hold the file, unless somebody who waits for the disk does."""
        is_ours = self._writing.acquire(timeout=SLOW_S)
        try:
            yield is_ours
        finally:
            if is_ours:
                self._writing.release()

    # With the file.

    def _open(self) -> None:
        try:
            self._file = os.open(self.paths[self._turn], APPEND, 0o600)
            self._size = os.fstat(self._file).st_size
            self._torn = self._size > 0  # somebody else's, which could not be removed
        except OSError as error:
            self._file = -1
            self._retry_at = time.monotonic() + RETRY_S
            self._failure = f"the journal {self.paths[self._turn]} cannot be written: {reason(error)}"

    def _put(self, number: int, line: bytes) -> None:
        if self._file < 0:
            if time.monotonic() < self._retry_at:
                return
            self._open()
            if self._file < 0:
                return
        if self._size > MOST_BYTES:
            self._failure = f"the journal {self.paths[self._turn]} is full, because the database is not written"
            return
        if self._torn:
            line = b"\n" + line
        try:
            written = os.write(self._file, line)
        except OSError as error:
            self._failure = f"the journal {self.paths[self._turn]} cannot be written: {reason(error)}"
            return
        self._size += written
        self._last = number if number > self._last else self._last
        self._torn = written != len(line)
        if self._torn:
            self._failure = f"the journal {self.paths[self._turn]} cannot be written: no space left on device"
        else:
            self._failure = ""

    # While the disk is slow.

    def _turn_slow(self, why: str) -> None:
        with self._handing:
            if not self._is_slow:
                thread = threading.Thread(target=self._write_behind, name="journal", daemon=True)
                with contextlib.suppress(RuntimeError):  # the system has no more: the next line tries again
                    thread.start()
                    self._is_slow, self._slow_since = True, time.monotonic()
                    self._slow_why = f"the disk of {self.paths[0].parent} is slow: {why}"

    def _hand_over(self, number: int, line: bytes) -> None:
        """Have a line written by the thread, and wait for that as long as it is reasonable."""
        self._turn_slow("it does not answer")
        with self._handing:
            if len(self._waiting) >= MOST_WAITING:
                return
            self._waiting.append((number, line))
            self._handed += 1
            mine = self._handed
            self._handing.notify_all()
            if self._is_slow and (not self._behind_since or time.monotonic() - self._behind_since < SLOW_S):
                self._handing.wait_for(lambda: self._written >= mine, SLOW_S)

    def _write_behind(self) -> None:
        """Write what others would have to wait for, until that is quick again."""
        quick_since = time.monotonic()
        while True:
            with self._handing:
                if not self._waiting:
                    self._handing.wait(RETRY_S)
                lines, self._waiting = self._waiting, []
                self._behind_since = begun = time.monotonic()
            with self._writing:
                for number, line in lines:
                    self._put(number, line)
            now = time.monotonic()
            if now - begun > QUICK_S * (len(lines) + 1) or self._is_stuck(now):
                quick_since = now
            with self._handing:
                self._behind_since = 0.0
                self._written += len(lines)
                self._handing.notify_all()
                if now - quick_since >= RETRY_S and not self._waiting:
                    self._is_slow = False
                    return

    def _is_stuck(self, now: float) -> bool:
        """Whether somebody has been waiting for the disk for too long."""
        busy_since = self.busy_since
        return busy_since > 0 and now - busy_since > STUCK_S


def read(paths: tuple[Path, ...], tell: Callable[[str], object]) -> list[Line]:
    """The lines of a process that is gone, in the order of their numbers. What is torn is none. A file that cannot be read is
    kept under another name, since those that were read are removed."""
    found: dict[tuple[str, int], Line] = {}
    for path in paths:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            kept = _unread(path)
            with contextlib.suppress(OSError):
                os.replace(path, kept)
            tell(
                f"the journal {path} cannot be read, and the last calls may be missing: {reason(error)}. It is kept as "
                f"{kept.name}; a start reads it when it can be read and has its old name"
            )
            continue
        for line in _lines(content):
            found[line.process, line.number] = line
    return [found[which] for which in sorted(found)]


def _unread(path: Path) -> Path:
    return path.with_name(f"{path.name}.unread")


def _lines(content: bytes) -> Iterator[Line]:
    """Only what ends in a line end was written whole: a checksum may fit the beginning of nothing."""
    for raw in content.split(b"\n")[:-1]:
        checksum, _, body = raw.partition(b" ")
        process, _, rest = body.partition(b" ")
        number, _, text = rest.partition(b" ")
        if checksum == b"%08x" % crc32(body) and number.isdigit():
            yield Line(process.decode("ascii", "replace"), int(number), text)
