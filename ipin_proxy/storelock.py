"""One process per database: a lock that the system drops when its holder is gone, `kill -9` included.

Two locks for one database, because each covers what the other cannot. The lock file beside it stays the same while the
database is replaced again and again. The lock on the database itself works where the folder cannot be written, and
between containers that share nothing but that one mounted file; it ends when the file is replaced. Where the lock file
cannot be beside a mounted file it is in the folder that takes its ledger, which nobody else may use then either.

This room knows paths and file descriptors, and nothing of what is in the file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

from .errors import ConfigError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

# A file system that knows no locks (some network and FUSE mounts) says so with one of these.
NO_LOCKS_HERE = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
TAKEN = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}
PID_BYTES = 32
LOCKED_BYTE = 1 << 20  # Windows keeps others from reading a locked byte, so it lies beyond the number of the process


class StoreLock:
    """The lock on one database file, in its folder or another one. Taken by the constructor, which raises ConfigError when another process has it."""

    def __init__(self, database: Path, warn: Callable[[str], None], folder: Path | None = None) -> None:
        self.path = (folder or database.parent) / f"{database.name}.lock"
        self._database = database
        self._warn = warn
        self._beside = -1
        self._itself = -1
        try:
            self._beside = self._take_beside()
            self._itself = self._take_itself()
        except BaseException:
            self.release()
            raise
        if self._beside < 0 and self._itself < 0:
            warn(f"{database} cannot be locked; make sure that only one iPin Proxy uses it")

    def replaced(self) -> None:
        """The database is a new file now: the lock on the old one guards nothing any more."""
        if self._itself >= 0:
            os.close(self._itself)
            self._itself = -1

    def release(self) -> None:
        """Let the next one in. The lock file stays: removing it could take it away from a process that just opened it."""
        if self._beside >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(self._beside, 0)
            os.close(self._beside)
            self._beside = -1
        self.replaced()

    def _take_beside(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        try:
            descriptor = os.open(self.path, flags, 0o600)
        except OSError:
            return -1  # a folder that cannot be written; the database itself is locked instead
        if not self._locked(descriptor, LOCKED_BYTE):
            return -1
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, b"%d\n" % os.getpid())
        with contextlib.suppress(OSError, AttributeError):
            # Started once as root (sudo … --reset-password), it must not keep its owner out the next time.
            owner = os.stat(self._database if self._database.exists() else self._database.parent)
            if os.geteuid() == 0 and owner.st_uid != 0:
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
        return descriptor

    def _take_itself(self) -> int:
        if sys.platform == "win32":
            return -1  # a locked file could not be replaced
        try:
            descriptor = os.open(self._database, os.O_RDONLY)
        except OSError:
            return -1
        return descriptor if self._locked(descriptor, 0) else -1

    def _locked(self, descriptor: int, offset: int) -> bool:
        """Whether the lock is ours now; False (and the descriptor closed) where there are no locks."""
        try:
            if sys.platform == "win32":
                os.lseek(descriptor, offset, os.SEEK_SET)
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
                os.lseek(descriptor, 0, os.SEEK_SET)
            else:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno in NO_LOCKS_HERE and error.errno not in TAKEN:
                return False
            raise ConfigError(self._who_has_it()) from None
        return True

    def _who_has_it(self) -> str:
        pid = b""
        if self._beside < 0:  # else the number there is our own, and the other one came by another path
            with contextlib.suppress(OSError), open(self.path, "rb") as file:
                pid = file.read(PID_BYTES).strip()
        holder = f"process {pid.decode()}" if pid.isdigit() else "another process"
        return f"{self._database} is in use by {holder}; stop that one first, or choose another file with --db."
