"""The ledger's file: opened for the one writer or for a reader, brought up to date, set aside when it is broken.

A file of an older version is copied before it is changed; one of a newer version is refused, because an older program would
count wrongly in it. What is no database at all, or is damaged, is kept under another name, so that a person can look at it,
and a new one begins: traffic does not wait for that. This room knows files and versions, not what is in the tables.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ConfigError, reason
from .migrations import MIGRATIONS
from .storefile import write_new
from .storeplace import folder_for

if TYPE_CHECKING:
    import sqlite3

OLDEST_SQLITE = (3, 24, 0)  # the first with ON CONFLICT (…) DO UPDATE
SQLITE_WITH_JSON = (3, 38, 0)  # before, it was up to whoever built it
BUSY_S = 5.0  # who else holds the file, a backup program perhaps, is waited for so long
WRITER_CACHE_KB = 8_000
READER_CACHE_KB = 16_000
WAL_BYTES = 16_000_000  # what is left of SQLite's own journal when it has been larger
BESIDE = ("", "-wal", "-shm")


class Broken(Exception):
    """The file is no ledger, or is damaged; the message says how."""


def place(database: Path, others: Sequence[Path] = ()) -> Path:
    """Where the ledger of a database is: beside the file itself, links followed, as its lock is; or, as that too, in one of the
    `others`. Raises ConfigError where nobody can tell: a link to where we may not look, a name that is too long."""
    real = Path(os.path.realpath(database))
    beside = real.with_name(f"{real.name.removesuffix('.db')}-usage.db")
    try:
        return beside if beside.exists() else folder_for(real, others) / beside.name
    except OSError as error:
        raise ConfigError(f"{beside} cannot be used: {reason(error)}.") from error


def bring_along(before: Path, path: Path, tell: Callable[[str], object]) -> None:
    """Of a database that begins as a copy of another one the ledger does so, too: else its budgets would begin anew."""
    if path.exists() or not before.exists():
        return
    import sqlite3

    # Where nothing can be written, SQLite opens a file whose own journal is gone only as one that nobody else has.
    options = "mode=ro" if Path(f"{before}-wal").exists() else "immutable=1"
    try:
        with contextlib.closing(open_reader(before, options)) as db:
            _copy(db, path)
        for old, new in zip(journals(before), journals(path), strict=True):
            if old.exists():
                write_new(new, old.read_bytes())
        tell(f"the ledger {path} begins as a copy of {before}")
    except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
        tell(f"{path} begins without what is in {before}, which cannot be copied: {error}")


def journals(path: Path) -> tuple[Path, Path]:
    """The two files of a ledger's journal."""
    stem = path.name.removesuffix(".db")
    return path.with_name(f"{stem}.journal"), path.with_name(f"{stem}.journal.2")


def open_writer(path: Path, tell: Callable[[str], object]) -> sqlite3.Connection:
    """The connection of the one who writes; the file is made where there is none.

    Raises ConfigError for a file of a newer version, sqlite3.Error and OSError when it cannot be used now.
    """
    check_sqlite()
    try:
        return _opened(path, tell)
    except Broken as error:
        set_aside(path, str(error), tell)
        return _opened(path, tell)


def open_reader(path: Path, options: str = "mode=ro") -> sqlite3.Connection:
    """A connection that cannot write but in temporary tables. Raises sqlite3.Error."""
    import sqlite3
    from urllib.parse import quote

    uri = f"file:{quote(os.path.abspath(path))}?{options}"
    db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_S)
    try:
        db.execute(f"PRAGMA cache_size = -{READER_CACHE_KB}")
        db.execute("PRAGMA temp_store = MEMORY")
        return db
    except BaseException:
        db.close()
        raise


def check(path: Path) -> None:
    """Raises ConfigError when a start would refuse this ledger; nothing is written."""
    check_sqlite()
    if not path.exists():
        return
    import sqlite3

    unusable = contextlib.suppress(sqlite3.Error, OSError, UnicodeDecodeError)
    with unusable, contextlib.closing(open_reader(path, "immutable=1")) as db:
        _check_version(path, _version(db))


def check_sqlite() -> None:
    import sqlite3

    has = f"the SQLite of this Python is {sqlite3.sqlite_version}"
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        needed = ".".join(map(str, OLDEST_SQLITE[:2]))
        raise ConfigError(
            f"{has}, and the ledger needs {needed} or newer. Use another Python, or update the system's SQLite."
        )
    if sqlite3.sqlite_version_info < SQLITE_WITH_JSON:
        with contextlib.closing(sqlite3.connect(":memory:")) as db:
            try:
                db.execute("SELECT json_array_length('[]')")
            except sqlite3.OperationalError:
                raise ConfigError(
                    f"{has}, built without its JSON functions, which the ledger needs. Use another Python, or update "
                    "the system's SQLite."
                ) from None


def inode_of(path: Path) -> tuple[int, int]:
    """Which file it is, whatever it is called."""
    try:
        about = os.stat(path)
    except OSError:
        return (0, 0)
    return about.st_dev, about.st_ino


def is_damage(error: BaseException) -> bool:
    """Whether SQLite says that the file itself is broken, and not only out of reach: perhaps in words that are no text, since it
    names what is. Python 3.10 has no words then."""
    if isinstance(error, (Broken, UnicodeDecodeError)) or (type(error).__name__ == "DatabaseError" and not error.args):
        return True
    words = str(error).lower()
    return "malformed" in words or "not a database" in words


def set_aside(path: Path, why: str, tell: Callable[[str], object]) -> None:
    """Give a broken file another name. Raises OSError."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    kept, number = path.with_name(f"{path.name}.broken-{stamp}"), 1
    while kept.exists():
        number += 1
        kept = path.with_name(f"{path.name}.broken-{stamp}-{number}")
    for suffix in BESIDE:
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", f"{kept}{suffix}")
    tell(f"{path} cannot be read as a ledger ({why}); it is kept as {kept.name}, and a new one has begun")


def _opened(path: Path, tell: Callable[[str], object]) -> sqlite3.Connection:
    import sqlite3

    _make_private(path, tell)
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_S)
    try:
        version = _version(db)
        _check_version(path, version)
        if not version and db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise Broken("it is somebody else's database")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")  # what is committed is on the disk
        db.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KB}")
        db.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        db.execute("PRAGMA temp_store = MEMORY")
        _migrate(db, path, version, tell)
        for table in ("calls", "marks", "days"):
            db.execute(f"SELECT * FROM {table} LIMIT 1").fetchone()
        return db
    except BaseException as error:
        db.close()
        if isinstance(error, (sqlite3.DatabaseError, UnicodeDecodeError)) and is_damage(error):
            raise Broken(str(error)) from error
        raise


def _make_private(path: Path, tell: Callable[[str], object]) -> None:
    """Make the file where there is none, for its owner alone; SQLite gives the files beside it the same mode."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        mode = stat.S_IMODE(os.stat(path).st_mode)
        if os.name != "posix" or not mode & 0o077:
            return
        try:
            for suffix in BESIDE:
                with contextlib.suppress(FileNotFoundError):
                    os.chmod(f"{path}{suffix}", 0o600)
            tell(f"{path} could be read by others (mode {mode:04o}); its mode is 0600 now")
        except OSError as error:  # somebody else's file, which our group may write; or modes are not kept there
            tell(f"{path} can be read by others, and its mode cannot be set to 0600: {reason(error)}")


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _check_version(path: Path, version: int) -> None:
    if version > len(MIGRATIONS):
        raise ConfigError(
            f"{path} was written by a newer iPin Proxy (schema {version}, this one knows {len(MIGRATIONS)}). "
            f"Run that version, or move the file away to begin a new ledger."
        )


def _migrate(db: sqlite3.Connection, path: Path, version: int, tell: Callable[[str], object]) -> None:
    if 0 < version < len(MIGRATIONS):
        kept = _backup(db, path, version)
        tell(f"{path} is brought up to date; as it was it is kept as {kept.name}")
    for number, migration in enumerate(MIGRATIONS[version:], version + 1):
        db.execute("BEGIN IMMEDIATE")
        try:
            migration(db)
            db.execute(f"PRAGMA user_version = {number}")
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise


def _backup(db: sqlite3.Connection, path: Path, version: int) -> Path:
    kept = path.with_name(f"{path.name}.v{version}.bak")
    _copy(db, kept)
    return kept


def _copy(db: sqlite3.Connection, path: Path) -> None:
    """A copy of the file as it is, made whole under another name before it gets its own."""
    import sqlite3

    unfinished = path.with_name(f"{path.name}.tmp")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(unfinished)
    os.close(os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with contextlib.closing(sqlite3.connect(unfinished)) as copy:
        db.backup(copy)
    os.replace(unfinished, path)
