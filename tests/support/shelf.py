"""A database in a folder of its own, and a disk that misbehaves as told. For the tests of the store."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ipin_proxy.store import Store, inspect

NAME = "ipin-proxy.db"


class Killed(BaseException):
    """Stands for kill -9: nothing after it runs but what the system itself does."""


class Shelf:
    """Opens stores on `path`, looks into their files, and closes at the end what a test left open. `notices` is what they
    had to tell a person."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self.notices: list[str] = []
        self._open: list[Store] = []

    def __enter__(self) -> Shelf:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def open(self, *paths: Path, **options: Any) -> Store:
        store = Store.open(list(paths) or [self.path], warn=self._note, **options)
        self._open.append(store)
        return store

    def _note(self, event: str, message: str) -> None:
        self.notices.append(message)

    def close(self) -> None:
        for store in self._open:
            store.close()

    def document(self) -> Any:
        return json.loads(self.path.read_bytes())

    def file(self, suffix: str) -> Path:
        return self.path.with_name(NAME + suffix)

    def write(self, document: object, path: Path | None = None) -> bytes:
        content = json.dumps(document).encode()
        (path or self.path).write_bytes(content)
        (path or self.path).chmod(0o600)
        return content

    def edit_by_hand(self, **values: Any) -> None:
        document = self.document()
        document["settings"].update(values)
        self.path.write_text(json.dumps(document, indent=4))


def put(store: Store, **settings: Any) -> None:
    with store.edit() as draft:
        draft.settings.update(settings)


def settings(path: Path) -> dict[str, Any]:
    return dict(inspect(path).settings)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def raising(number: int) -> Callable[..., Any]:
    def fail(*args: object, **more: object) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


def unwritable(monkeypatch: pytest.MonkeyPatch, *folders: Path, files: bool = True) -> None:
    """As root nothing is read-only, so opening for writing below these folders fails as it would."""
    real = os.open

    def guarded(path: Any, flags: int, *args: Any, **more: Any) -> int:
        place = Path(os.fspath(path))
        wants = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if wants and place.parent in folders and (files or flags & os.O_CREAT):
            raise PermissionError(errno.EROFS, "Read-only file system", str(path))
        return real(path, flags, *args, **more)

    monkeypatch.setattr(os, "open", guarded)


def unreadable(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """As root every file can be read, so opening this one fails as it would."""
    real = os.open

    def guarded(opened: Any, flags: int, *args: Any, **more: Any) -> int:
        if Path(os.fspath(opened)) == path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(opened, flags, *args, **more)

    monkeypatch.setattr(os, "open", guarded)


def read_only(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """A file that is mounted by itself, to be read: its folder takes files, and it cannot be replaced."""
    real = os.open

    def guarded(opened: Any, flags: int, *args: Any, **more: Any) -> int:
        if Path(os.fspath(opened)) == path and flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return real(opened, flags, *args, **more)

    monkeypatch.setattr(os, "open", guarded)
    mounted(monkeypatch, path)


def mounted(monkeypatch: pytest.MonkeyPatch, path: Path, number: int = errno.EBUSY) -> None:
    replace = os.replace

    def refuse(source: Any, target: Any) -> None:
        if Path(target) == path:
            raise OSError(number, os.strerror(number))
        replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)


def dying(monkeypatch: pytest.MonkeyPatch, path: Path, limit: int) -> None:
    """Kill the process (so to speak) once this many bytes went into the file; the cut write happens in part."""
    write, left = os.write, limit

    def dribble(descriptor: int, data: Any) -> int:
        nonlocal left
        if not os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return write(descriptor, data)
        if left <= 0:
            raise Killed
        written = write(descriptor, bytes(data)[:left])
        left -= written
        return written

    monkeypatch.setattr(os, "write", dribble)
