"""The JSON database: a frozen snapshot in memory, a durable replace on disk.

Readers take `store.snapshot()`, which is one attribute read and never waits. Writers take `with store.edit() as draft`,
one at a time: change the draft's mappings, and leaving the block checks it, writes it, and only then swaps the snapshot.
Whatever goes wrong leaves file and snapshot as they were.

A person may edit the file at any time. `check_for_edits` notices, and takes the edit whole or reports and ignores it;
a change through `edit` goes on top of a good edit and refuses to bury a broken one. This room decides what may replace
what. Which file it is, storeplace.py finds out; the bytes on disk are storefile.py's, the document is snapshot.py's,
the lock storelock.py's.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from . import config
from .errors import BadRequest, ConfigError, Conflict, NotFound, ProxyError, reason
from .snapshot import Broken, Document, Draft, Printer, Snapshot, parse, render
from .storefile import Backup, ChangedMeanwhile, Signature, StoreFile, without_journal
from .storelock import StoreLock
from .storeplace import can_write, choose, find, folder_for, is_folder, left_behind, quoted

__all__ = ["Backup", "Draft", "Snapshot", "Store", "find", "inspect", "left_behind", "plan"]

Warn = Callable[..., object]


class Store:
    """One open database. Made by `Store.open`; `path` is the file as it was named, links not followed."""

    def __init__(self, path: Path, file: StoreFile, lock: StoreLock | None, tell: Callable[[str], None]) -> None:
        self.path = path
        self.begun_as: Path | None = None  # the database it began as a copy of, just now
        self._file = file
        self._lock = lock  # None: nothing can be written, so nothing has to be locked
        self._tell = tell
        self._mutex = threading.RLock()
        self._editing = False
        self._seen: Signature | None = None  # of the file as it was last loaded, written or reported
        self._suspect: Signature | None = None  # of a broken file that may be half of somebody's saving
        self._broken = ""  # why the file as it is now cannot be taken; empty when it is ours
        self._has_news = False  # an edit by hand is loaded that check_for_edits has not told of
        self._original = b""  # what the original server wrote, until it is kept aside
        self._unkept_ns: int | None = None  # when the version in force was written, until it is in a backup
        self._snapshot = Snapshot.of()
        self._printer = Printer()

    @classmethod
    def open(
        cls,
        paths: Sequence[Path],
        *,
        seed: Path | None = None,
        last_resort: bool = False,
        aside: Sequence[Path] = (),
        warn: Warn | None = None,
    ) -> Store:
        """Open the database that is one of `paths`, or make one. Raises ConfigError with one line for a person.

        The first path whose file holds something and can be written is it. Else a file that can only be read is copied
        to the first path that can be written; else a new one is made there, from `seed` if that exists. `last_resort`
        adds a folder of our own in the system's temporary folder as the last path. If nothing can be written at all, a
        file that can be read is served as it is, and every change is refused.

        `aside` are folders for what cannot be kept beside a file that is mounted by itself. `warn(event, message=…)` is
        called for what a person should know, now and later.
        """

        def tell(message: str) -> None:
            if warn is not None:
                warn("database", message=message)

        path, source = choose(list(paths), seed, last_resort, tell)
        real = Path(os.path.realpath(path))
        folder = folder_for(real, aside)
        writable = not real.exists() or can_write(real)
        lock = StoreLock(real, tell, folder) if writable else None
        # Where it is mounted to be read, an edit is often another file that the link leads to, as Kubernetes makes them.
        store = cls(path, StoreFile(real if writable else path, tell, folder), lock, tell)
        try:
            store._load_first(source)
        except BaseException:
            store.close()
            raise
        return store

    def snapshot(self) -> Snapshot:
        """The database as it is now. It never changes; the next change makes another one."""
        return self._snapshot

    @contextlib.contextmanager
    def edit(self) -> Iterator[Draft]:
        """Change the database: alone, all or nothing, on disk before it is seen.

        Raises Conflict when the change takes what another record has, or when the file was edited by hand and cannot
        be read; BadRequest for a value JSON cannot hold; ProxyError with the code `store_unwritable` when it cannot be
        saved. An exception from the block discards the draft. Keep the block short: other writers wait for it.
        """
        with self._mutex:
            if self._editing:
                raise RuntimeError("an edit inside an edit would be lost when the outer one is saved")
            self._editing = True
            try:
                self._check_writable()
                self._take_in_edits(patient=False)
                if self._broken:
                    raise Conflict(
                        "The database file was edited by hand and cannot be read, so nothing was changed. "
                        "Correct the file or restore a backup, then try again.",
                        code="store_broken",
                    )
                draft = Draft.of(self._snapshot)
                yield draft
                if draft.differs_from(self._snapshot):
                    self._save(draft.frozen(self._snapshot))
            finally:
                self._editing = False

    def check_for_edits(self) -> bool:
        """Whether an edit by hand has been loaded since the last call, now or with a change that came before. A stat when
        nothing happened; never waits for a writer.

        A file that cannot be read is looked at once more at the next call, since an editor may be writing it, then
        reported once; the snapshot in force stays.
        """
        if not self._mutex.acquire(blocking=False):
            return False
        try:
            if self._editing:
                return False
            self._take_in_edits(patient=True)
            has_news, self._has_news = self._has_news, False
            return has_news
        finally:
            self._mutex.release()

    def reload(self) -> bool:
        """Read the file again, though it may look unchanged; whether it is good. A broken one is reported."""
        with self._mutex:
            if self._file.signature() is not None:  # one that is gone looks different enough
                self._seen = self._suspect = None
            self._take_in_edits(patient=False)
            self._has_news = False
            return not self._broken

    def backups(self) -> list[Backup]:
        """The kept versions, newest first."""
        return self._file.backups()

    def backup(self, name: str) -> tuple[Backup, Snapshot]:
        """A kept version and what it says. Raises NotFound for a name that `backups` does not list, and Conflict for a
        version that cannot be read."""
        with self._mutex:
            kept = next((backup for backup in self.backups() if backup.name == name), None)
            if kept is None:
                raise NotFound(f"There is no backup with the name {name!r}.", param="name")
            try:
                return kept, parse(self._file.kept_as(name).read_bytes()).snapshot
            except (OSError, Broken) as error:
                why = reason(error) if isinstance(error, OSError) else str(error)
                raise Conflict(
                    f"The backup {name} cannot be read: {why}.", param="name", code="store_broken"
                ) from error

    def restore(self, name: str, check: Callable[[Backup, Snapshot], Snapshot] | None = None) -> None:
        """Go back to a kept version. What is there now becomes a backup, or, if it is broken, `….broken.bak`.

        `check` sees the version first, while nobody else can change anything, and says what it is to be; it refuses it by
        raising. Raises as `backup`, and ProxyError with the code `store_unwritable`.
        """
        with self._mutex:
            self._check_writable()
            kept, after = self.backup(name)
            self._take_in_edits(patient=False)
            if check is not None:
                after = check(kept, after)
            if self._broken:
                try:
                    self._file.keep_aside(self._file.read()[0], ".broken")
                except OSError as error:
                    raise self._unwritable(error) from error
            self._save(after, keep=not self._broken)

    def close(self) -> None:
        """Let go of the file. Everything acknowledged is on disk already."""
        with self._mutex:
            if self._lock is not None:
                self._lock.release()
            self._lock = None

    # Loading.

    def _load_first(self, source: Path | None) -> None:
        """The first look at the file: here a broken one ends the start."""
        file = self._file
        try:
            if self._lock is not None and file.signature() is not None:
                file.tighten()
                file.recover()
                file.part_from_backup()
            content, signature = file.read() if file.signature() is not None else (b"", None)
            if not content.strip():
                self._begin(source, signature)
                return
            self._adopt(_parsed(file, content), content, signature)
        except OSError as error:
            whose = " Give it to the user who runs iPin Proxy." if isinstance(error, PermissionError) else ""
            raise ConfigError(f"{error.filename or file.path} cannot be used: {reason(error)}.{whose}") from error
        except ProxyError as error:
            why = reason(error.__cause__) if isinstance(error.__cause__, OSError) else error.message
            raise ConfigError(f"{file.path} cannot be written: {why}.") from error

    def _begin(self, source: Path | None, signature: Signature | None) -> None:
        """No data yet: take it from `source`, or begin empty."""
        file = self._file
        _check_not_emptied(file, source)
        if file.backups():
            self._keep_newest_backup()
        self._seen = signature
        if source is None:
            self._save(Snapshot.of(), keep=False)
            return
        content = without_journal(source.read_bytes())
        document = _parsed(_quiet(source), content)
        self._seen = file.write(content, signature, keep=False)
        self._lock_replaced()
        self.begun_as = source
        self._tell(f"the database {file.path} begins as a copy of {source}")
        self._adopt(document, content, self._seen)

    def _keep_newest_backup(self) -> None:
        """A new database begins though there was one: the changes of this start alone would push out two of its versions."""
        file = self._file
        told = f"there is no database {file.path}, though there are backups of one"
        newest = _newest_good(file)
        if newest is None:
            self._tell(f"{told}; none of them can be read")
            return
        kept = file.keep_aside(file.kept_as(newest.name).read_bytes(), ".last")
        self._tell(f"{told}; the newest good one is kept as {kept.name} ({_written(newest)}); {_restoring(kept, file)}")

    def _take_in_edits(self, *, patient: bool) -> None:
        """Load the file if somebody else wrote it. `patient`: report a broken one only when it has stayed so."""
        now = self._file.signature()
        if now == self._seen:
            return
        if now is None:
            self._seen = None
            self._broken = ""
            self._keep_in_force()
            self._tell(f"{self._file.path} is gone; what it held stays in force, and the next change writes it again")
            return
        try:
            content, now = self._file.read()
            document = parse(content)
            _check_new_settings(document.snapshot, self._snapshot)
        except (OSError, Broken) as error:
            if patient and self._suspect != now:
                self._suspect = now
                return
            self._seen = now
            self._broken = reason(error) if isinstance(error, OSError) else str(error)
            self._keep_in_force()
            self._tell(f"{self._file.path} was edited and cannot be used: {self._broken}. What was in force stays so.")
            return
        if self._lock is not None:
            self._file.tighten()
        self._broken = ""
        if not (document.is_original or document.has_keys) and render(document.snapshot) == self._printer.render(
            self._snapshot
        ):
            self._seen = now  # touched, or written another way: nothing of it is news
            return
        self._keep_in_force()
        self._adopt(document, content, now)
        self._has_news = True
        self._tell(f"{self._file.path} was edited by hand and is loaded")

    def _adopt(self, document: Document, content: bytes, signature: Signature | None) -> None:
        """Make a document what is in force, in today's form: the original's file is kept, keys leave the file."""
        self._seen = signature
        self._unkept_ns = signature.mtime_ns if signature is not None else None
        for notice in document.notices:
            self._tell(f"{self._file.path}: {notice}")
        self._snapshot = document.snapshot
        self._printer = Printer()  # which would keep the records of before
        self._original = content if document.is_original else b""
        if self._lock is None or not (document.is_original or document.has_keys):
            return
        with contextlib.suppress(ProxyError):  # told by _save; the snapshot is good, and the next change tries again
            # The version before is not kept as a backup: it holds the keys that are to leave the disk.
            self._save(document.snapshot, keep=False)

    def _keep_in_force(self) -> None:
        """Somebody wrote over the version in force, and only memory has it now: make it a backup, once."""
        if self._lock is not None and self._unkept_ns is not None:
            self._file.keep_version(self._printer.render(self._snapshot), self._unkept_ns)
            self._unkept_ns = None

    # Saving.

    def _save(self, after: Snapshot, *, keep: bool = True) -> None:
        try:
            content = self._printer.render(after)
        except ValueError as error:
            raise BadRequest(
                f"The change holds a value that JSON cannot hold: {error}. Correct it and try again."
            ) from error
        self._keep_original()
        try:
            self._seen = self._file.write(content, self._seen, keep=keep)
        except ChangedMeanwhile:
            raise Conflict(
                "The database file was edited by hand at the same moment, so nothing was changed. Try again.",
                code="store_changed",
            ) from None
        except OSError as error:
            raise self._unwritable(error) from error
        self._lock_replaced()
        self._broken = ""
        self._unkept_ns = self._seen.mtime_ns
        self._snapshot = after

    def _keep_original(self) -> None:
        """Before the first change to a file of the original server's: nothing can make that anew. Raises ProxyError."""
        if not self._original:
            return
        try:
            kept = self._file.keep_aside(self._original, ".v0")
        except OSError as error:
            self._tell(f"{self._file.path} stays as the original server wrote it, with keys in clear: {reason(error)}")
            raise ProxyError(
                f"The original server's database cannot be kept as a backup ({reason(error)}), so nothing was changed. "
                "Make room beside it, or give DB_STORAGE_PATHS a folder that can be written, and start again.",
                code="store_unwritable",
            ) from error
        self._original = b""
        self._tell(
            f"{self._file.path} was in the original server's form; it is kept as "
            f"{kept.name if kept.parent == self._file.path.parent else kept}"
        )

    def _lock_replaced(self) -> None:
        if self._lock is not None and not self._file.in_place:
            self._lock.replaced()

    def _check_writable(self) -> None:
        if self._lock is None:
            raise ProxyError(
                "The database can only be read here, so nothing was changed. "
                "Make its file writable, or give DB_STORAGE_PATHS a folder that is, and start again.",
                code="store_unwritable",
            )

    def _unwritable(self, error: OSError) -> ProxyError:
        self._tell(f"{self._file.path} cannot be written: {reason(error)}")
        return ProxyError(
            f"The change could not be saved ({reason(error)}), so nothing was changed. "
            "An administrator can make room or correct the permissions of the database file.",
            code="store_unwritable",
        )


def inspect(path: Path, aside: Sequence[Path] = ()) -> Snapshot:
    """What the database at `path` says, without locking or writing anything; `aside` as for Store.open. Raises ConfigError."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except IsADirectoryError:
        raise ConfigError(is_folder(path)) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {reason(error)}.") from error
    content = without_journal(content)
    if not content.strip():
        return Snapshot.of()
    return _parsed(_quiet(path, aside), content).snapshot


def plan(paths: Sequence[Path], seed: Path, *, last_resort: bool) -> tuple[Path | str, Path | None]:
    """Where a start would make a database that is not there yet, and what it would begin as; nothing stays written.
    Raises ConfigError where a start would."""
    try:
        path, source = choose(list(paths), seed, False, lambda message: None)
    except ConfigError:
        if not last_resort:
            raise
        return "the temporary folder, WHICH IS LOST WHEN THAT FOLDER IS EMPTIED", None
    _check_not_emptied(_quiet(path), source)
    if source is not None:
        inspect(source)
    return path, source


def _check_not_emptied(file: StoreFile, source: Path | None) -> None:
    if source is None and file.signature() is not None and file.backups():
        raise ConfigError(f"{file.path} is empty, though it was not always. {_advice(file)}")


def _check_new_settings(after: Snapshot, before: Snapshot) -> None:
    """Raises Broken for a setting that nobody could use: of its edit the records would count, and the next start refuse it."""
    new = {name: value for name, value in after.settings.items() if value != before.settings.get(name)}
    try:
        config.load({}, {}, None, new)
    except ConfigError as error:
        raise Broken(str(error).removesuffix(".")) from None


def _quiet(path: Path, aside: Sequence[Path] = ()) -> StoreFile:
    """A file that is only looked at."""
    real = Path(os.path.realpath(path))
    return StoreFile(real, lambda message: None, folder_for(real, aside))


def _parsed(file: StoreFile, content: bytes) -> Document:
    try:
        return parse(content)
    except Broken as error:
        raise ConfigError(f"{file.path} cannot be read: {error}. The file was left as it is. {_advice(file)}") from None


def _advice(file: StoreFile) -> str:
    """The newest backup that can be read, and the command that puts it back."""
    newest = _newest_good(file)
    if newest is None:
        return "There is no good backup; correct the file, or move it away to begin with an empty database."
    return (
        f"The newest good backup is {newest.name} ({_written(newest)}); {_restoring(file.kept_as(newest.name), file)}"
    )


def _newest_good(file: StoreFile) -> Backup | None:
    for backup in file.backups():
        with contextlib.suppress(OSError, Broken):
            parse(file.kept_as(backup.name).read_bytes())
            return backup
    return None


def _written(backup: Backup) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(backup.saved_at / 1000))


def _restoring(kept: Path, file: StoreFile) -> str:
    copy = "copy /y" if os.name == "nt" else "cp -p"
    return f"restore it with: {copy} {quoted(kept)} {quoted(file.path)}"
