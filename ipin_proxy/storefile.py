"""The database file on disk: read it whole, replace it durably, keep its last versions. Bytes in, bytes out.

Replacing is a temporary file in the same folder, fsync, rename, fsync of the folder, so that a reader or a crash finds
the old version or the new one. Where renaming cannot work (the file is a mount point of its own, or its folder cannot
be written) the file is written in place and is its own journal: the new version is first appended behind a mark that
no JSON text can contain, then copied over the beginning, then cut off. Killed at any byte, the file holds the old
version whole in front of the mark or the new one whole behind it, and needs no second file that might get lost.

This room knows bytes, paths and versions. What a good document is, it asks its owner; it never decides to overwrite.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from .errors import reason

BACKUPS = 5
# RFC 8259 section 7: control characters in strings "MUST be escaped", so this byte stands in no JSON text.
MARK = b"\x1e"
RECORD = re.compile(rb"\x1eipin-proxy journal ([0-9]{1,12}) ([0-9a-f]{64})\n")
# What renaming over a mount point, across devices, or without the right to it answers.
CANNOT_RENAME = {errno.EBUSY, errno.EXDEV, errno.EPERM, errno.EACCES}
CANNOT_CREATE = {errno.EACCES, errno.EPERM, errno.EROFS}
# Answers of file systems where a folder cannot be synchronised because it never has to be, or never could be.
NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF, errno.EACCES, errno.EISDIR}
# Windows would turn line ends around otherwise.
BINARY = getattr(os, "O_BINARY", 0)
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY


class Signature(NamedTuple):
    """What changes when somebody else writes the file."""

    mtime_ns: int
    size: int
    inode: int


class Backup(NamedTuple):
    """A kept version: its file name, when it had been written (ms since 1970), its size."""

    name: str
    saved_at: int
    size_bytes: int


class ChangedMeanwhile(Exception):
    """Somebody else wrote the file between our reading and our writing; nothing was written."""


class StoreFile:
    """One database file. Where it is to be written, `path` is the file itself and no link: that would be replaced. Not
    thread-safe."""

    def __init__(self, path: Path, warn: Callable[[str], None], folder: Path | None = None) -> None:
        self.path = path
        self._folder = folder or self.path.parent  # of its backups
        self.in_place = False
        self._warn = warn
        self._told_of_backups = False

    def beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    def kept(self, suffix: str) -> Path:
        """A backup: beside the file, or in the folder that was given for it."""
        return self.kept_as(f"{self.path.name}{suffix}")

    def kept_as(self, name: str) -> Path:
        return self._folder / name

    def signature(self) -> Signature | None:
        """A stat and nothing more; None when there is no file, or none that can be seen."""
        try:
            return _signature(os.stat(self.path))
        except OSError:
            return None

    def read(self) -> tuple[bytes, Signature]:
        """The whole document and the signature it had. Raises OSError."""
        while True:
            with open(self.path, "rb") as file:
                before = _signature(os.fstat(file.fileno()))
                content = file.read()
                if _signature(os.fstat(file.fileno())) == before:
                    return without_journal(content), before

    def tighten(self) -> None:
        """Take the file from everybody but its owner: it holds keys."""
        try:
            mode = stat.S_IMODE(os.stat(self.path).st_mode)
            if os.name == "posix" and mode & 0o077:
                os.chmod(self.path, 0o600)
                self._warn(f"{self.path} could be read by others (mode {mode:04o}); its mode is 0600 now")
        except OSError as error:
            self._warn(f"{self.path} holds secrets, and its mode cannot be set to 0600: {reason(error)}")

    def write(self, content: bytes, expected: Signature | None, *, keep: bool = True) -> Signature:
        """Make `content` the file, durably, and keep the version before it unless told otherwise.

        Raises ChangedMeanwhile when the file is not the `expected` one any more, and OSError when it cannot be
        written; in both cases the file is what it was.
        """
        if not self.in_place or expected is None:
            written = self._replace(content, expected, keep)
            if written is not None:
                return written
        return self._write_in_place(content, expected, keep)

    def recover(self) -> None:
        """Complete, or take back, a write in place that was cut short. Raises OSError."""
        with open(self.path, "rb") as file:
            content = file.read()
        if MARK not in content:
            return
        document = without_journal(content)
        descriptor = os.open(self.path, os.O_RDWR | BINARY)
        try:
            if document != content[: content.index(MARK)]:
                _write_all(descriptor, document, 0)
                os.fsync(descriptor)
            os.ftruncate(descriptor, len(document))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _replace(self, content: bytes, expected: Signature | None, keep: bool) -> Signature | None:
        """The usual way. None when the file can only be written in place."""
        temporary = self.beside(".tmp")
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)  # of a process that was killed
            descriptor = os.open(temporary, NEW_FILE, 0o600)
        except OSError as error:
            self._turn_in_place(error, CANNOT_CREATE)
            return None
        try:
            try:
                self._like_the_old_one(descriptor)
                _write_all(descriptor, content, 0)
                os.fsync(descriptor)
                written = _signature(os.fstat(descriptor))
            finally:
                os.close(descriptor)
            self._expect(expected)
            if keep and expected is not None:
                self.keep_version()
                self._expect(expected)  # a copy waits for the disk
            os.replace(temporary, self.path)
        except (OSError, ChangedMeanwhile) as error:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            if not isinstance(error, OSError):
                raise
            self._turn_in_place(error, CANNOT_RENAME)
            return None
        self._sync_folder(self.path.parent)
        return written

    def _turn_in_place(self, error: OSError, cured: set[int]) -> None:
        """From now on write in place, if that can help against this error; else raise it."""
        if error.errno not in cured or self.signature() is None:
            raise error
        self.in_place = True
        self._warn(f"{self.path} cannot be replaced ({reason(error)}), so it is written in place, with a journal")

    def _write_in_place(self, content: bytes, expected: Signature | None, keep: bool) -> Signature:
        descriptor = os.open(self.path, os.O_RDWR | BINARY)
        try:
            self._expect(expected)
            self.part_from_backup()
            if keep and expected is not None:
                self.keep_version()
                self._expect(expected)
            self.recover()
            old = _read_all(descriptor)
            # Behind both versions, so that copying the new one to the front does not run into the journal. The gap is
            # blanks, which JSON allows after a document.
            record = b" " * max(len(content) - len(old), 0) + journal(content)
            try:
                _write_all(descriptor, record, len(old))
                os.fsync(descriptor)
                _expect_content(descriptor, old + record, record)
                _write_all(descriptor, content, 0)
                os.fsync(descriptor)
            except OSError:
                _write_all(descriptor, old, 0)
                os.ftruncate(descriptor, len(old))
                raise
            record = (old + record)[len(content) :]
            _expect_content(descriptor, content + record, record)
            os.ftruncate(descriptor, len(content))
            written = _signature(os.fstat(descriptor))
            os.fsync(descriptor)
            return written
        finally:
            os.close(descriptor)

    def _expect(self, expected: Signature | None) -> None:
        if self.signature() != expected:
            raise ChangedMeanwhile

    def _like_the_old_one(self, descriptor: int) -> None:
        """Mode 0600 whatever the umask, and the owner the file had: root may have been asked to change something once."""
        if os.name != "posix":
            return
        _make_private(descriptor)
        with contextlib.suppress(OSError):
            old, new = os.stat(self.path), os.fstat(descriptor)
            if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
                os.fchown(descriptor, old.st_uid, old.st_gid)

    def _sync_folder(self, folder: Path) -> None:
        """Make the renaming survive a power cut. It has happened, so a failure here is told, not raised."""
        if os.name != "posix":
            return
        try:
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            if error.errno not in NO_FOLDER_SYNC:
                self._warn(f"{self.path} was saved, but a power cut now could undo it: {reason(error)}")

    # Versions.

    def keep_version(self, content: bytes | None = None, written_ns: int = 0) -> None:
        """Make the present file `….bak.1`; or `content`, written then, if somebody has written over it already.

        A failure is told, not raised, since it must not stop a change.

        The last five are kept: the first is the version before the last write, the fifth goes when a sixth comes.
        """
        try:
            first = self.kept(".bak.1")
            if first.exists():
                if content is None:
                    kept, present = os.stat(first), os.stat(self.path)
                    if (kept.st_mtime_ns, kept.st_size) == (present.st_mtime_ns, present.st_size):
                        return  # kept already, and then replacing it did not work out
                self._make_room()
            self._copy_version(first, content, written_ns)
            self._told_of_backups = False
        except OSError as error:
            if not self._told_of_backups:  # where it fails once, it fails at every change
                self._told_of_backups = True
                self._warn(f"versions of {self.path} cannot be kept as backups: {reason(error)}")

    def _make_room(self) -> None:
        places = [self.kept(f".bak.{number}") for number in range(1, BACKUPS + 1)]
        free = next((index for index, place in enumerate(places) if not place.exists()), BACKUPS - 1)
        for index in range(free, 0, -1):
            os.replace(places[index - 1], places[index])

    def _copy_version(self, target: Path, content: bytes | None, written_ns: int) -> None:
        """By a link where that works: the file is about to be replaced, so its old bytes stay as they are."""
        temporary = self.kept(".bak.tmp")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        if content is None and not self.in_place:
            try:
                os.link(self.path, temporary)
                os.replace(temporary, target)
                return
            except OSError:
                pass  # no links on this file system, or no space: the copy tells which
        if content is None:
            content, signature = self.read()
            written_ns = signature.mtime_ns
        try:
            write_new(temporary, content)
            os.utime(temporary, ns=(written_ns, written_ns))
            os.replace(temporary, target)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise

    def part_from_backup(self) -> None:
        """After a crash the newest backup may be a link to the file itself, where an edit in place would change both."""
        first = self.kept(".bak.1")
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(first), os.stat(self.path)):
                os.unlink(first)

    def keep_aside(self, content: bytes, suffix: str) -> Path:
        """Keep bytes in a file of their own, 0600, `suffix` before `.bak` and a number if need be. Raises OSError."""
        for number in range(1, 1000):
            target = self.kept(f"{suffix}.bak" if number == 1 else f"{suffix}.{number}.bak")
            try:
                write_new(target, content)
            except FileExistsError:
                with open(target, "rb") as file:
                    if file.read() != content:
                        continue
            self._sync_folder(target.parent)
            return target
        raise FileExistsError(errno.EEXIST, "there are a thousand such files", str(self.kept(suffix)))

    def backups(self) -> list[Backup]:
        """The kept versions, newest first."""
        found = []
        for number in range(1, BACKUPS + 1):
            place = self.kept(f".bak.{number}")
            with contextlib.suppress(OSError):
                about = os.stat(place)
                found.append(Backup(place.name, about.st_mtime_ns // 1_000_000, about.st_size))
        return found


def journal(content: bytes) -> bytes:
    """The record of a version that is about to be written: its length and digest, then itself."""
    from hashlib import sha256  # loads libcrypto, which no other way of writing needs

    return b"\x1eipin-proxy journal %d %s\n" % (len(content), sha256(content).hexdigest().encode()) + content


def without_journal(content: bytes) -> bytes:
    """The document in a file's bytes: the one a complete journal holds, else what stands in front of the mark."""
    begin = content.find(MARK)
    if begin < 0:
        return content
    found = RECORD.match(content, begin)
    if found is not None:
        from hashlib import sha256

        document = content[found.end() : found.end() + int(found[1])]
        if len(document) == int(found[1]) and sha256(document).hexdigest().encode() == found[2]:
            return document
    return content[:begin]


def _make_private(descriptor: int) -> None:
    """Mode 0600 whatever the umask, where there are modes: FAT knows none, and refuses them."""
    if os.name == "posix":
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, 0o600)


def write_new(path: Path, content: bytes) -> None:
    """A new file of mode 0600 with this content, on disk when this returns. Raises OSError, also when it exists."""
    descriptor = os.open(path, NEW_FILE, 0o600)
    try:
        _make_private(descriptor)
        _write_all(descriptor, content, 0)
        os.fsync(descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise
    finally:
        os.close(descriptor)


def _signature(about: os.stat_result) -> Signature:
    return Signature(about.st_mtime_ns, about.st_size, about.st_ino)


def _read_all(descriptor: int) -> bytes:
    os.lseek(descriptor, 0, os.SEEK_SET)
    parts = []
    while part := os.read(descriptor, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def _expect_content(descriptor: int, content: bytes, record: bytes) -> None:
    """Raises ChangedMeanwhile when somebody wrote the file while the disk was waited for; a record of ours behind it goes."""
    found = _read_all(descriptor)
    if found != content:
        if found.endswith(record):
            os.ftruncate(descriptor, len(found) - len(record))
        raise ChangedMeanwhile


def _write_all(descriptor: int, content: bytes, offset: int) -> None:
    os.lseek(descriptor, offset, os.SEEK_SET)
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
