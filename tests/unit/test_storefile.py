"""The file on disk: its last versions, a disk that refuses, a file that cannot be replaced, and kill -9."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.shelf import NAME, Killed, Shelf, dying, mode, mounted, put, raising, settings, unwritable

from ipin_proxy import storefile
from ipin_proxy.errors import ConfigError, Conflict, NotFound, ProxyError
from ipin_proxy.store import Store, inspect
from ipin_proxy.storefile import StoreFile

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    with Shelf(tmp_path) as shelf:
        yield shelf


# Backups.


def test_the_last_versions_are_kept_newest_first(shelf: Shelf) -> None:
    store = shelf.open()
    for number in range(5):
        put(store, number=number)
    names = [backup.name for backup in store.backups()]
    assert names == [f"{NAME}.bak.{number}" for number in range(1, 6)]
    for place, expected in enumerate([{"number": 3}, {"number": 2}, {"number": 1}, {"number": 0}, {}], start=1):
        assert settings(shelf.file(f".bak.{place}")) == expected
        assert mode(shelf.file(f".bak.{place}")) == 0o600
    assert store.backups()[0].size_bytes == shelf.file(".bak.1").stat().st_size


def test_the_sixth_version_pushes_the_oldest_out_however_fast_they_come(shelf: Shelf) -> None:
    store = shelf.open()
    for number in range(20):
        put(store, number=number)
    kept = [settings(shelf.file(f".bak.{place}"))["number"] for place in range(1, 6)]
    assert kept == [18, 17, 16, 15, 14]
    assert not shelf.file(".bak.6").exists()


def test_an_edit_by_hand_in_place_leaves_the_backups_as_they_are(shelf: Shelf) -> None:
    store = shelf.open()
    put(store, x=1)
    before = shelf.file(".bak.1").read_bytes()
    with open(shelf.path, "r+b") as file:
        file.write(b"#")
    assert shelf.file(".bak.1").read_bytes() == before


def test_a_file_system_without_links_has_backups_too(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", raising(errno.EPERM))
    store = shelf.open()
    put(store, x=1)
    put(store, x=2)
    assert settings(shelf.file(".bak.1")) == {"x": 1}
    assert mode(shelf.file(".bak.1")) == 0o600


def test_an_edit_while_a_backup_is_copied_is_not_buried(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", raising(errno.EPERM))
    store = shelf.open()
    put(store, x=1)
    waits = ["for the new version", "for the backup"]
    real = os.fsync

    def wait_and_edit(descriptor: int) -> None:
        if waits.pop(0) == "for the backup":
            shelf.edit_by_hand(mine=1)
        real(descriptor)

    with monkeypatch.context() as patch, pytest.raises(Conflict):
        patch.setattr(os, "fsync", wait_and_edit)
        put(store, x=2)
    assert store.check_for_edits() is True
    assert store.snapshot().settings == settings(shelf.path) == {"x": 1, "mine": 1}


def test_going_back_to_a_backup(shelf: Shelf) -> None:
    store = shelf.open()
    put(store, x=1)
    put(store, x=2)
    store.restore(f"{NAME}.bak.1")
    assert dict(store.snapshot().settings) == settings(shelf.path) == {"x": 1}
    assert settings(shelf.file(".bak.1")) == {"x": 2}
    for name in ("nothing", f"../{NAME}", f"{NAME}.lock", "/etc/passwd"):
        with pytest.raises(NotFound):
            store.restore(name)
    shelf.file(".bak.1").write_text("{")
    with pytest.raises(Conflict):
        store.restore(f"{NAME}.bak.1")
    assert settings(shelf.path) == {"x": 1}


def test_going_back_from_a_broken_edit_keeps_the_broken_file(shelf: Shelf) -> None:
    store = shelf.open()
    put(store, x=1)
    shelf.path.write_text("{ my work")
    store.reload()
    store.restore(f"{NAME}.bak.1")
    assert settings(shelf.path) == {"x": 1}
    assert shelf.file(".broken.bak").read_text() == "{ my work"
    put(store, y=1)
    assert all("my work" not in shelf.file(f".bak.{place}").read_text() for place in (1, 2))


# The disk says no.

STEPS = ["open", "write", "fsync", "replace"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_full_disk_leaves_everything_as_it_was(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    store = shelf.open()
    put(store, x=1)
    before, content = store.snapshot(), shelf.path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, step, raising(number))
        with pytest.raises(ProxyError) as raised:
            put(store, x=2)
    assert (raised.value.status, raised.value.code) == (500, "store_unwritable")
    assert os.strerror(number).lower() in raised.value.message
    assert str(shelf.path.parent) not in raised.value.message
    assert any(str(shelf.path) in notice for notice in shelf.notices)
    assert store.snapshot() is before
    assert shelf.path.read_bytes() == content
    assert not shelf.file(".tmp").exists()
    put(store, x=3)
    assert settings(shelf.path) == {"x": 3}


def test_a_backup_that_cannot_be_made_does_not_stop_a_change(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    store = shelf.open()
    monkeypatch.setattr(os, "link", raising(errno.ENOSPC))
    monkeypatch.setattr(storefile, "write_new", raising(errno.ENOSPC))
    put(store, x=1)
    put(store, x=2)
    assert settings(shelf.path) == {"x": 2}
    assert sum("backup" in notice for notice in shelf.notices) == 1


def test_a_folder_that_cannot_be_synchronised_is_told(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    store = shelf.open()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    put(store, x=1)
    assert settings(shelf.path) == {"x": 1}
    assert any("power cut" in notice for notice in shelf.notices)


def test_a_file_is_synchronised_before_it_is_renamed_and_the_folder_after(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = shelf.open()
    events: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synchronise(descriptor: int) -> None:
        events.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def rename(source: Any, target: Any) -> None:
        if Path(target) == shelf.path:
            events.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synchronise)
    monkeypatch.setattr(os, "replace", rename)
    put(store, x=1)
    assert events == ["file", "rename", "folder"]


def test_what_a_killed_process_left_behind_is_no_hindrance(shelf: Shelf) -> None:
    store = shelf.open()
    put(store, x=1)
    store.close()
    shelf.file(".tmp").write_text("half")
    shelf.file(".bak.tmp").write_text("half")
    shelf.file(".bak.1").unlink()
    os.link(shelf.path, shelf.file(".bak.1"))
    store = shelf.open()
    put(store, x=2)
    assert settings(shelf.path) == {"x": 2}
    assert settings(shelf.file(".bak.1")) == {"x": 1}


# A file that cannot be replaced, because it is mounted by itself.


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EXDEV, errno.EPERM])
def test_a_mounted_file_is_written_in_place(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    mounted(monkeypatch, shelf.path, number)
    shelf.write({"version": 1})
    inode = shelf.path.stat().st_ino
    store = shelf.open()
    for number in range(3):
        put(store, number=number, text="x" * (2000 - 900 * number))
        assert settings(shelf.path) == dict(store.snapshot().settings)
        assert store.check_for_edits() is False
    assert shelf.path.stat().st_ino == inode
    assert settings(shelf.file(".bak.1"))["number"] == 1
    assert settings(shelf.file(".bak.2"))["number"] == 0
    assert sum("in place" in notice for notice in shelf.notices) == 1
    assert not shelf.file(".tmp").exists()
    store.close()
    assert shelf.open().snapshot().settings["number"] == 2


def test_where_modes_cannot_be_set_a_database_is_made_and_kept(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """On FAT, say, of a memory card."""
    for change in ("fchmod", "chmod", "fchown"):
        monkeypatch.setattr(os, change, raising(errno.EPERM))
    store = shelf.open()
    for number in range(3):
        put(store, number=number)
    assert settings(shelf.path) == {"number": 2} and settings(shelf.file(".bak.1")) == {"number": 1}
    store.close()
    assert shelf.open().snapshot().settings["number"] == 2


def test_versions_of_a_file_that_is_mounted_alone_are_kept_in_another_folder(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    shelf.write({"version": 1})
    unwritable(monkeypatch, tmp_path, files=False)
    mounted(monkeypatch, shelf.path)
    store = Store.open([shelf.path], aside=[data])
    for number in range(7):
        put(store, number=number)
    kept = store.backups()
    assert [settings(data / each.name) for each in kept] == [{"number": number} for number in (5, 4, 3, 2, 1)]
    store.restore(kept[1].name)
    assert settings(shelf.path) == {"number": 4} and settings(data / kept[0].name) == {"number": 6}
    store.close()
    shelf.path.write_text("{")
    for look in (lambda: Store.open([shelf.path], aside=[data]), lambda: inspect(shelf.path, [data])):
        with pytest.raises(ConfigError, match=rf"restore it with: cp -p {data}/ipin-proxy\.db\.bak\.1 {shelf.path}"):
            look()


@pytest.mark.parametrize("sizes", [(10, 60), (60, 10), (30, 30)], ids=["grows", "shrinks", "stays"])
def test_a_write_in_place_killed_at_any_byte_is_whole_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, int]
) -> None:
    old, new = (json.dumps({"text": letter * size}).encode() for letter, size in zip("ab", sizes, strict=True))
    path, limit, seen = tmp_path / NAME, 0, set()
    while b"finished" not in seen:
        path.write_bytes(old)
        file = StoreFile(path, print)
        file.in_place = True
        with monkeypatch.context() as patch:
            dying(patch, path, limit)
            try:
                file.write(new, file.signature())
                seen.add(b"finished")
            except Killed:
                pass
        found, _ = file.read()
        assert found.rstrip() in (old, new)
        file.recover()
        assert path.read_bytes() == found
        seen.add(found.rstrip())
        limit += 1
    assert seen == {old, new, b"finished"}
    assert limit > 2 * len(new)


def test_a_store_opens_whole_after_a_write_in_place_was_killed(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted(monkeypatch, shelf.path)
    texts = set()
    for limit in range(0, 800, 40):
        shelf.write({"version": 1, "settings": {"text": "old"}})
        with monkeypatch.context() as patch:
            store = shelf.open()
            dying(patch, shelf.path, limit)
            with contextlib.suppress(Killed):
                put(store, text="new")
            store.close()
        found = settings(shelf.path)
        store = shelf.open()
        assert store.snapshot().settings == found == shelf.document()["settings"]
        store.close()
        texts.add(found["text"])
    assert texts == {"old", "new"}


@pytest.mark.parametrize("step", ["truncate", "recover"])
def test_killed_before_the_journal_is_cut_off_the_new_version_stands(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    shelf.write({"version": 1, "settings": {"x": 1, "long": "y" * 500}})
    mounted(monkeypatch, shelf.path)

    real = os.ftruncate

    def die(descriptor: int, length: int) -> None:
        if os.path.samestat(os.fstat(descriptor), os.stat(shelf.path)):
            raise Killed
        real(descriptor, length)

    with monkeypatch.context() as patch:
        store = shelf.open()
        patch.setattr(os, "ftruncate", die)
        with pytest.raises(Killed), store.edit() as draft:
            draft.settings = {"x": 2}
        store.close()
    if step == "recover":
        with monkeypatch.context() as patch:
            patch.setattr(os, "ftruncate", die)
            with pytest.raises(Killed):
                shelf.open()
    assert shelf.open().snapshot().settings == {"x": 2}
    assert shelf.document()["settings"] == {"x": 2}


@pytest.mark.parametrize("how", ["w", "r+"])
@pytest.mark.parametrize("long", [1, 3_000], ids=["short", "long"])
@pytest.mark.parametrize("wait", ["for the backup", "for the journal", "for the new version", "for its end"])
def test_an_edit_while_a_write_in_place_waits_for_the_disk_is_not_buried(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, wait: str, long: int, how: str
) -> None:
    shelf.write({"version": 1})
    mounted(monkeypatch, shelf.path)
    store = shelf.open()
    put(store, x="1" * 1_000)
    edited = json.dumps({"version": 1, "settings": {"mine": "y" * long}})
    waits = ["for the backup", "for the journal", "for the new version", "for its end"]
    real = os.fsync

    def wait_and_edit(descriptor: int) -> None:
        if waits.pop(0) == wait:
            with open(shelf.path, how) as file:
                file.write(edited)
                file.truncate()
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", wait_and_edit)
        try:
            put(store, x="2" * 1_000)
        except Conflict as error:
            assert error.code == "store_changed"
        else:
            assert wait == "for its end", "what is told as done was done before"
    assert shelf.path.read_text() == edited
    assert store.check_for_edits() is True
    assert store.snapshot().settings == {"mine": "y" * long}


@pytest.mark.parametrize("fails_at", range(6))
def test_a_full_disk_during_a_write_in_place_leaves_the_old_version(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    shelf.write({"version": 1, "settings": {"x": 1}})
    mounted(monkeypatch, shelf.path)
    store = shelf.open()
    put(store, x=2)
    content, count = shelf.path.read_bytes(), 0
    real_write, real_fsync = os.write, os.fsync

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def checked(descriptor: int, *args: Any) -> Any:
            nonlocal count
            if not os.path.samestat(os.fstat(descriptor), os.stat(shelf.path)):
                return call(descriptor, *args)
            count += 1
            if count == fails_at + 1:
                raise OSError(errno.ENOSPC, "No space left on device")
            return call(descriptor, *args)

        return checked

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", counted(real_write))
        patch.setattr(os, "fsync", counted(real_fsync))
        if fails_at < 4:
            with pytest.raises(ProxyError) as raised:
                put(store, x=3, more="z" * 300)
            assert raised.value.code == "store_unwritable"
            assert shelf.path.read_bytes() == content
            assert store.snapshot().settings == {"x": 2}
    put(store, x=4)
    assert settings(shelf.path) == {"x": 4}


def test_without_any_backup_folder_a_mounted_file_is_still_written_safely(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.write({"version": 1, "settings": {"x": 1}})
    with monkeypatch.context() as patch:
        unwritable(patch, tmp_path, files=False)
        store = shelf.open()
        dying(patch, shelf.path, 350)
        with pytest.raises(Killed):
            put(store, x=2)
        store.close()
    assert b"\x1e" in shelf.path.read_bytes()
    assert shelf.open().snapshot().settings in ({"x": 1}, {"x": 2})


# kill -9

CHILD = """
import sys
from pathlib import Path
from ipin_proxy.store import Store
import os
if sys.argv[2] == "in-place":
    real = os.replace
    def replace(source, target):
        if str(target) == sys.argv[1]:
            raise OSError(16, "Device or resource busy")
        real(source, target)
    os.replace = replace
store = Store.open([Path(sys.argv[1])])
number = store.snapshot().settings.get("number", 0)
while True:
    number += 1
    with store.edit() as draft:
        draft.settings["number"] = number
        draft.settings["padding"] = "x" * (number * 7919 % 3000)
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("way", ["replace", "in-place"])
def test_kill_9_loses_no_acknowledged_write_and_breaks_no_file(shelf: Shelf, way: str) -> None:
    last = 0
    shelf.path.touch()
    for round_ in range(6):
        command = [sys.executable, "-c", CHILD, str(shelf.path), way]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(3 + round_ * 5):
                last = int(process.stdout.readline())
            process.kill()
            # Whatever was acknowledged before the kill reached us has to be there as well.
            last = max(
                [last, *(int(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n"))]
            )
        found = settings(shelf.path)
        assert last <= found["number"] <= last + 1
        assert len(found["padding"]) == found["number"] * 7919 % 3000
    assert shelf.open().snapshot().settings["number"] >= last
