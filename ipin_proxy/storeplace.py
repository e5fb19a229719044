"""Where the database is: which of several paths, and what a new one begins as.

The rule a person expects: a database that exists is never passed over for an empty one. So a path whose file holds
something goes before a path where one could be made, and where the file can only be read, or only the temporary folder
was left the last time, the new place begins as a copy. This room looks and probes; it writes nothing that stays.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from .errors import ConfigError, reason


def choose(
    paths: list[Path], seed: Path | None, last_resort: bool, tell: Callable[[str], None]
) -> tuple[Path, Path | None]:
    """The file to use, and the file it is to begin as a copy of if there is nothing in it yet.

    In this order: the first path with a database that can be written; the first path where one can be made; with
    `last_resort`, the temporary folder; a database that can only be read. Raises ConfigError when there is none.
    """
    found = find(paths)
    if found is not None and can_write(found):
        if found != paths[0]:
            tell(f"the database is {found}")
        return found, None
    if found is not None:
        _must_be_readable(found)  # before anything is said or made: nobody is to begin without what is in it
    temporary = _temporary(paths[0]) if last_resort else None
    left = left_behind(paths) if last_resort else None
    source = left or found or (seed if seed is not None and _is_filled(seed) else None)
    place = next((path for path in paths if _can_create(path)), None)
    if place is not None:
        if found is not None:
            tell(f"{found} can only be read, so {place} is used from now on")
        return place, source
    if temporary is not None and _made_ours(temporary.parent) and _can_create(temporary):
        tell(
            f"none of {', '.join(str(path.parent) for path in paths)} can be written, so the database is {temporary}, "
            "WHICH IS LOST WHEN THAT FOLDER IS EMPTIED; give DB_STORAGE_PATHS a folder that can be written"
            + (f" ({found} can only be read)" if found is not None else "")
        )
        return temporary, None if left is not None else source
    if found is not None:
        tell(f"{found} can only be read, so every change will be refused")
        return found, None
    folders = ", ".join(dict.fromkeys(str(path.parent) for path in paths))
    raise ConfigError(
        f"no database can be made in {folders}: the folder is missing or cannot be written. "
        "Create it, or name another one with DB_STORAGE_PATHS or --db."
    )


def find(paths: Sequence[Path]) -> Path | None:
    """The path whose database is read, without leaving a trace; None when a new one is to be made."""
    filled = [path for path in paths if _is_filled(path)]
    return next((path for path in filled if can_write(path)), filled[0] if filled else None)


def left_behind(paths: Sequence[Path]) -> Path | None:
    """The database of an earlier start that had only the temporary folder; where there is no other, a start goes on with it."""
    temporary = _temporary(paths[0])
    return temporary if _is_ours(temporary.parent) and _is_filled(temporary) else None


def can_write(path: Path) -> bool:
    """Whether an existing file can be written, or be replaced. One on a file system that can only be read is mounted by itself
    where its folder takes files, and stays."""
    real = os.path.realpath(path)
    try:
        os.close(os.open(real, os.O_RDWR))
    except OSError as error:
        return error.errno != errno.EROFS and os.path.exists(real) and takes_files(os.path.dirname(real))
    return True


def takes_files(folder: str) -> bool:
    """Whether a file can be made in this folder. By trying: permissions alone do not know of read-only mounts, quotas or policies."""
    # Not by the process's number: in containers that is always the same, also of one that was killed, or shares the folder.
    probe = os.path.join(folder, f".ipin-proxy-{os.urandom(6).hex()}")
    try:
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        os.unlink(probe)
    except OSError:
        return False
    return True


def folder_for(database: Path, others: Sequence[Path]) -> Path:
    """Where what goes with a database is made: beside it, or, where it is mounted by itself, in the first of the `others` that
    takes files."""
    beside = database.parent
    if not others:
        return beside
    return next((each for each in (beside, *others) if takes_files(str(each))), beside)


def is_folder(path: Path) -> str:
    """What to tell somebody whose database is a folder."""
    return (
        f"{path} is a folder, and must be a file; Docker makes a folder when the file to mount is missing. "
        f"Remove it and make an empty file with: touch {quoted(path)}"
    )


def quoted(path: Path) -> str:
    """A path as the shell takes it."""
    if os.name == "nt":
        return f'"{path}"'
    from shlex import quote

    return quote(str(path))


def _is_filled(path: Path) -> bool:
    """Whether there is a database with something in it. One that cannot be seen is not taken for a missing one."""
    try:
        about = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {reason(error)}.") from error
    if stat.S_ISDIR(about.st_mode):
        raise ConfigError(is_folder(path))
    if not stat.S_ISREG(about.st_mode):  # saving would put a file in the place of /dev/null, for everybody
        raise ConfigError(f"{path} is a device or a pipe, and must be a file; choose another one with --db.")
    return about.st_size > 0


def _must_be_readable(path: Path) -> None:
    """By trying, as below: who may write nothing there may not even read."""
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {reason(error)}. Give it to the user who runs iPin Proxy, or move it away."
        ) from error


def _can_create(path: Path) -> bool:
    """Whether a file can be made at `path`, or the empty one there can be written."""
    real = os.path.realpath(path)
    return can_write(path) if os.path.exists(real) else takes_files(os.path.dirname(real))


def _temporary(first: Path) -> Path:
    """The database of this installation in the system's temporary folder, in a folder of its own."""
    import tempfile  # loads random and shutil, and is the exception
    from hashlib import sha256

    user = os.getuid() if hasattr(os, "getuid") else "user"
    home = sha256(os.fsencode(os.path.realpath(first.parent))).hexdigest()[:8]
    return Path(tempfile.gettempdir()) / f"ipin-proxy-{user}-{home}" / first.name


def _made_ours(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        os.mkdir(folder, 0o700)
    return _is_ours(folder)


def _is_ours(folder: Path) -> bool:
    """Whether a folder is ours alone. In the temporary folder anybody may have made it before us, to read what we write
    or to have us believe in an administrator of theirs."""
    try:
        about = os.lstat(folder)
    except OSError:
        return False
    if not os.path.isdir(folder) or os.path.islink(folder):
        return False
    return os.name != "posix" or (about.st_uid == os.getuid() and not about.st_mode & 0o077)
