"""Which file is the database, what a new one begins as, and that one process has it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.shelf import NAME, Shelf, mode, put, read_only, settings, unreadable, unwritable

from ipin_proxy.errors import ConfigError, ProxyError
from ipin_proxy.store import Store, find, inspect

ROOT = Path(__file__).resolve().parents[2]
SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz"
PASSWORD_HASH = hashlib.sha256(b"secret").hexdigest()
ORIGINAL: dict[str, Any] = {
    "providers": [{"id": "p", "name": "P", "baseUrl": "https://p.example/v1", "apiKey": SECRET, "type": "openai"}],
    "models": [{"id": "gpt", "name": "GPT", "providerId": "p", "type": "chat", "enabled": True}],
    "apiKeys": [{"id": "k", "key": "sk-virtual-0123456789", "name": "K", "username": "ada", "allowedModels": ["gpt"]}],
    "users": [
        {"id": "u", "username": "Ada", "password": PASSWORD_HASH, "apiKeyId": "k", "createdAt": 1_700_000_000_000}
    ],
    "theme": {"dark": True},
}


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    with Shelf(tmp_path) as shelf:
        yield shelf


# Where it is.


def test_a_database_that_exists_goes_before_a_place_where_one_could_be_made(shelf: Shelf, tmp_path: Path) -> None:
    later = tmp_path / "later" / NAME
    later.parent.mkdir()
    shelf.write({"version": 1, "settings": {"mine": 1}}, later)
    store = shelf.open(shelf.path, later)
    assert store.path == later
    assert store.snapshot().settings == {"mine": 1}
    assert not shelf.path.exists()
    assert find([shelf.path, later]) == later


def test_of_several_databases_the_first_counts(shelf: Shelf, tmp_path: Path) -> None:
    later = tmp_path / "later" / NAME
    later.parent.mkdir()
    shelf.write({"version": 1}, later)
    shelf.write({"version": 1, "settings": {"first": 1}})
    assert shelf.open(shelf.path, later).snapshot().settings == {"first": 1}


def test_the_first_folder_that_can_be_written_gets_the_new_one(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (tmp_path / name / NAME for name in ("app", "missing", "data"))
    first.parent.mkdir()
    third.parent.mkdir()
    unwritable(monkeypatch, first.parent)
    assert shelf.open(first, second, third).path == third
    assert not second.parent.exists()


def test_what_another_start_left_behind_is_in_nobodys_way(shelf: Shelf, tmp_path: Path) -> None:
    """It may have been killed while it tried to write there, and in a container each process has the same number."""
    first, second = (tmp_path / name / NAME for name in ("data", "spare"))
    for folder in (first.parent, second.parent):
        folder.mkdir()
    (first.parent / f".ipin-proxy-{os.getpid()}").touch()
    assert shelf.open(first, second).path == first


def test_a_database_that_can_only_be_read_is_copied_to_where_it_can_be_changed(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, data = tmp_path / "image" / NAME, tmp_path / "data" / NAME
    image.parent.mkdir()
    data.parent.mkdir()
    shelf.write({"version": 1, "settings": {"from": "image"}}, image)
    unwritable(monkeypatch, image.parent)
    store = shelf.open(image, data)
    assert store.path == data
    assert store.snapshot().settings == {"from": "image"}
    assert any("can only be read" in notice for notice in shelf.notices)
    put(store, more=1)
    store.close()
    assert shelf.open(image, data).snapshot().settings == {"from": "image", "more": 1}


def test_so_is_one_that_is_mounted_by_itself_to_be_read(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data" / NAME
    data.parent.mkdir()
    content = shelf.write({"version": 1, "settings": {"from": "secret"}})
    read_only(monkeypatch, shelf.path)
    store = shelf.open(shelf.path, data)
    put(store, more=1)
    assert (store.path, settings(data)) == (data, {"from": "secret", "more": 1})
    assert shelf.path.read_bytes() == content


def test_a_database_that_can_only_be_read_is_served_when_there_is_no_other_place(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = shelf.write(ORIGINAL)
    unwritable(monkeypatch, tmp_path)
    store, again = shelf.open(), shelf.open()
    assert "gpt" in store.snapshot().models
    with pytest.raises(ProxyError) as raised:
        put(store, x=1)
    assert (raised.value.status, raised.value.code) == (500, "store_unwritable")
    assert str(tmp_path) not in raised.value.message
    assert again.snapshot() == store.snapshot()
    assert shelf.path.read_bytes() == content
    assert os.listdir(tmp_path) == [NAME]


def test_a_database_that_cannot_even_be_read_is_one_clear_line_and_nothing_is_made(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, data = tmp_path / "image" / NAME, tmp_path / "data" / NAME
    image.parent.mkdir()
    data.parent.mkdir()
    content = shelf.write({"version": 1, "settings": {"from": "image"}}, image)
    with monkeypatch.context() as patch:
        unwritable(patch, image.parent)
        unreadable(patch, image)
        for paths in ([image], [image, data]):
            with pytest.raises(ConfigError, match=f"{NAME} cannot be read: permission denied"):
                shelf.open(*paths, last_resort=True)
    assert not shelf.notices  # not that it "can only be read", nor where another one would be made
    assert image.read_bytes() == content and not list(data.parent.iterdir())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_device_or_a_pipe_is_never_replaced_by_a_database(shelf: Shelf) -> None:
    os.mkfifo(shelf.path)
    with pytest.raises(ConfigError, match="is a device or a pipe, and must be a file"):
        shelf.open()
    assert shelf.path.is_fifo() and os.listdir(shelf.path.parent) == [NAME]


def test_no_place_at_all_ends_the_start(shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="DB_STORAGE_PATHS"):
        shelf.open(tmp_path / "missing" / NAME)


def test_the_temporary_folder_is_the_last_resort_loud_and_ours_alone(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    home, data = tmp_path / "home" / NAME, tmp_path / "data" / NAME
    with monkeypatch.context() as patch:
        home.parent.mkdir()
        unwritable(patch, home.parent)
        store = shelf.open(home, last_resort=True)
        assert store.path.parent.parent == tmp_path
        assert mode(store.path.parent) == 0o700
        assert any("LOST" in notice for notice in shelf.notices)
        put(store, kept="yes")
        store.close()
        assert shelf.open(home, last_resort=True).snapshot().settings == {"kept": "yes"}
        shelf.close()
        # Given a proper folder at last, what was in the temporary one comes along.
        data.parent.mkdir()
        assert shelf.open(home, data, last_resort=True).snapshot().settings == {"kept": "yes"}
        assert inspect(data).settings == {"kept": "yes"}
    # A folder that others can write to is not believed.
    store.path.parent.chmod(0o777)
    other = shelf.open(home, last_resort=True)
    assert (other.path, dict(other.snapshot().settings)) == (home, {})


def test_a_missing_database_is_seeded_once(shelf: Shelf, tmp_path: Path) -> None:
    seed = tmp_path / "seed"
    shelf.write(ORIGINAL, seed)
    store = shelf.open(seed=seed)
    assert store.snapshot().providers["p"].api_key == SECRET
    assert mode(shelf.path) == 0o600
    with store.edit() as draft:
        draft.models.clear()
    store.close()
    assert not shelf.open(seed=seed).snapshot().models
    shelf.close()
    assert shelf.open(tmp_path / "again.db", seed=tmp_path / "no seed").snapshot().providers == {}


def test_a_broken_seed_ends_the_start(shelf: Shelf, tmp_path: Path) -> None:
    seed = tmp_path / "seed"
    seed.write_text("{")
    with pytest.raises(ConfigError, match="line 1, column 2"):
        shelf.open(seed=seed)
    assert not shelf.path.exists()


# One process.


def test_a_second_process_is_refused_and_told_who_has_it(shelf: Shelf) -> None:
    code = (
        "import sys; from pathlib import Path; from ipin_proxy.store import Store; "
        f"store = Store.open([Path({str(shelf.path)!r})]); print('open', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        with pytest.raises(ConfigError, match=f"in use by process {process.pid};"):
            shelf.open()
        process.kill()
        process.wait()
    put(shelf.open(), after="kill -9")


def test_the_lock_ends_with_close(shelf: Shelf) -> None:
    store = shelf.open()
    with pytest.raises(ConfigError, match="in use"):
        shelf.open()
    store.close()
    store.close()
    again = shelf.open()
    put(again, x=1)
    with pytest.raises(ProxyError):
        put(store, x=2)
    assert settings(shelf.path) == {"x": 1}


def test_who_keeps_a_ledger_in_another_folder_has_that_folder_alone(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    shelf.write({"version": 1})
    unwritable(monkeypatch, tmp_path, files=False)
    store = Store.open([shelf.path], aside=[data])
    with pytest.raises(ConfigError, match="is in use"):
        shelf.open(data / NAME)
    store.close()
    shelf.open(data / NAME)


def test_a_mounted_file_is_locked_where_its_folder_cannot_be_written(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.write({"version": 1})
    unwritable(monkeypatch, tmp_path, files=False)
    store = shelf.open()
    put(store, x=1)
    assert os.listdir(tmp_path) == [NAME]
    assert settings(shelf.path) == {"x": 1}
    with pytest.raises(ConfigError, match="in use by another process"):
        shelf.open()
