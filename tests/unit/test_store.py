"""The database: what it reads, what it writes, what it refuses, and edits by hand."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.shelf import NAME, Shelf, mode, put, settings, unwritable

from ipin_proxy.errors import BadRequest, ConfigError, Conflict, ProxyError
from ipin_proxy.records import Alias, Model, Provider, User, VirtualKey, key_digest
from ipin_proxy.store import Store, inspect

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


def provider(id_: str = "p", **more: Any) -> Provider:
    return Provider.from_json({"id": id_, "baseUrl": "https://p.example", **more})


# A first start, and the ones after it.


def test_a_new_database_is_empty_readable_by_people_and_by_nobody_else(shelf: Shelf) -> None:
    old = os.umask(0)
    try:
        store = shelf.open()
    finally:
        os.umask(old)
    sections: dict[str, Any] = {
        "providers": [],
        "models": [],
        "apiKeys": [],
        "users": [],
        "aliases": [],
        "settings": {},
    }
    assert shelf.document() == {"version": 1, **sections}
    assert shelf.path.read_text().startswith('{\n  "version": 1,\n')
    assert mode(shelf.path) == 0o600
    assert store.path == shelf.path
    assert shelf.notices == []


def test_a_change_is_on_disk_before_it_is_seen_and_is_there_after_a_restart(shelf: Shelf) -> None:
    store = shelf.open()
    before = store.snapshot()
    with store.edit() as draft:
        draft.providers["p"] = provider(name="Größe 日本")
        draft.models["org/gpt"] = Model.from_json({"id": "org/gpt", "providerId": "p"})
        draft.keys["k"] = VirtualKey.from_json({"id": "k", "key": SECRET})
        draft.users["u"] = User.from_json({"id": "u", "username": "Ada"})
        draft.aliases["a"] = Alias.from_json({"id": "a", "target": "org/gpt"})
        draft.settings["logLevel"] = "debug"
        assert store.snapshot() is before
    after = store.snapshot()
    assert len(before.providers) == 0
    assert after.keys_by_hash[key_digest(SECRET)] is after.keys["k"]
    assert after.users_by_name["ada"] is after.users["u"]
    assert "Größe 日本" in shelf.path.read_text(encoding="utf-8")
    assert SECRET not in shelf.path.read_text(encoding="utf-8")
    store.close()
    assert shelf.open().snapshot() == after


def test_an_exception_discards_the_whole_draft(shelf: Shelf) -> None:
    store = shelf.open()
    before, content = store.snapshot(), shelf.path.read_bytes()
    with pytest.raises(ZeroDivisionError), store.edit() as draft:
        draft.settings["nested"] = {"a": 1}
        draft.providers["p"] = provider()
        raise ZeroDivisionError
    assert store.snapshot() is before
    assert shelf.path.read_bytes() == content
    put(store, works="still")


def test_a_draft_does_not_reach_into_the_snapshot(shelf: Shelf) -> None:
    store = shelf.open()
    put(store, nested={"list": [1]})
    before = store.snapshot()
    with store.edit() as draft:
        draft.settings["nested"]["list"].append(2)
    assert before.settings["nested"] == {"list": [1]}
    assert store.snapshot().settings["nested"] == {"list": [1, 2]}


def test_an_edit_without_a_change_writes_nothing_and_true_is_not_one(shelf: Shelf) -> None:
    store = shelf.open()
    put(store, x=1)
    before = shelf.path.stat()
    with store.edit():
        pass
    assert shelf.path.stat().st_ino == before.st_ino
    put(store, x=True)
    assert shelf.document()["settings"]["x"] is True


def test_an_edit_inside_an_edit_is_a_mistake(shelf: Shelf) -> None:
    store = shelf.open()
    with store.edit() as draft:
        with pytest.raises(RuntimeError), store.edit():
            pass
        draft.settings["outer"] = 1
    assert settings(shelf.path) == {"outer": 1}


def test_writers_take_turns_and_none_is_lost(shelf: Shelf) -> None:
    store = shelf.open()

    def work(name: str) -> None:
        for number in range(10):
            put(store, **{f"{name}{number}": number})

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(settings(shelf.path)) == 40


def test_a_file_others_could_read_is_taken_from_them(shelf: Shelf) -> None:
    shelf.write({"version": 1})
    shelf.path.chmod(0o644)
    shelf.open()
    assert mode(shelf.path) == 0o600
    assert any("0644" in notice for notice in shelf.notices)


def test_a_linked_database_stays_a_link(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    real = tmp_path / "data" / "real.db"
    shelf.write({"version": 1, "settings": {"old": 1}}, real)
    shelf.path.symlink_to("data/real.db")
    store = shelf.open()
    put(store, new=2)
    assert shelf.path.is_symlink()
    assert settings(real) == {"old": 1, "new": 2}
    assert store.path == shelf.path
    with pytest.raises(ConfigError, match="in use"):
        Store.open([real])


def test_the_owner_of_the_file_stays_its_owner(shelf: Shelf) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    shelf.write({"version": 1})
    os.chown(shelf.path, 12345, 12346)
    put(shelf.open(), x=1)
    about = shelf.path.stat()
    assert (about.st_uid, about.st_gid, mode(shelf.path)) == (12345, 12346, 0o600)
    assert shelf.file(".lock").stat().st_uid == 12345


def test_two_records_cannot_claim_the_same(shelf: Shelf) -> None:
    store = shelf.open()
    with store.edit() as draft:
        draft.users["u"] = User.from_json({"id": "u", "username": "Ada"})
        draft.providers["p"] = provider()
    content = shelf.path.read_bytes()
    with pytest.raises(Conflict) as raised, store.edit() as draft:
        draft.users["w"] = User.from_json({"id": "w", "username": "aDA"})
    assert raised.value.param == "username"
    with pytest.raises(Conflict), store.edit() as draft:
        draft.aliases["p"] = Alias.from_json({"id": "p", "target": "x"})
    with pytest.raises(Conflict) as raised, store.edit() as draft:
        for id_ in ("a", "b"):
            draft.keys[id_] = VirtualKey.from_json({"id": id_, "key": SECRET})
    assert SECRET not in raised.value.message
    assert shelf.path.read_bytes() == content


def test_an_old_file_with_a_clash_can_still_be_changed(shelf: Shelf) -> None:
    shelf.write({"version": 1, "users": [{"id": "1", "username": "ada"}, {"id": "2", "username": "Ada"}]})
    store = shelf.open()
    assert any('"Ada"' in notice for notice in shelf.notices)
    assert store.snapshot().users_by_name["ada"].id == "1"
    put(store, x=1)
    assert len(shelf.document()["users"]) == 2


def test_a_value_json_cannot_hold_is_refused(shelf: Shelf) -> None:
    store = shelf.open()
    for value in (float("nan"), object()):
        with pytest.raises(BadRequest):
            put(store, x=value)
    assert settings(shelf.path) == {}


# The original server's file.


def test_the_original_file_loads_and_is_kept(shelf: Shelf) -> None:
    content = shelf.write(ORIGINAL)
    snapshot = shelf.open().snapshot()
    assert snapshot.providers["p"].api_key == SECRET
    assert snapshot.keys_by_hash[key_digest("sk-virtual-0123456789")].id == "k"
    assert snapshot.users["u"].password_hash == f"sha256${PASSWORD_HASH}"
    assert dict(snapshot.extra) == {"theme": {"dark": True}}
    kept = shelf.file(".v0.bak")
    assert kept.read_bytes() == content
    assert mode(kept) == 0o600
    written = shelf.document()
    assert (written["version"], written["theme"]) == (1, {"dark": True})
    for path in shelf.path.parent.iterdir():
        assert path == kept or b"sk-virtual-0123456789" not in path.read_bytes()


def test_a_second_original_file_does_not_replace_the_first(shelf: Shelf) -> None:
    first = shelf.write(ORIGINAL)
    shelf.open().close()
    second = shelf.write({**ORIGINAL, "users": []})
    shelf.open().close()
    shelf.write({**ORIGINAL, "users": []})
    shelf.open().close()
    assert shelf.file(".v0.bak").read_bytes() == first
    assert shelf.file(".v0.2.bak").read_bytes() == second
    assert not shelf.file(".v0.3.bak").exists()


def test_where_the_original_file_cannot_be_kept_beside_it_another_folder_does(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = shelf.write(ORIGINAL)
    data = tmp_path / "data"
    data.mkdir()
    unwritable(monkeypatch, tmp_path, files=False)
    store = shelf.open(aside=[tmp_path / "missing", data])
    put(store, x=1)
    assert (data / "ipin-proxy.db.v0.bak").read_bytes() == original
    assert b"sk-virtual-0123456789" not in shelf.path.read_bytes()
    assert any(str(data) in notice for notice in shelf.notices)
    store.close()


def test_an_original_file_that_can_be_kept_nowhere_is_not_written_over(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = shelf.write(ORIGINAL)
    with monkeypatch.context() as patch:
        unwritable(patch, tmp_path, files=False)
        store = shelf.open()
        assert "gpt" in store.snapshot().models
        with pytest.raises(ProxyError) as raised:
            put(store, x=1)
        assert (raised.value.code, shelf.path.read_bytes()) == ("store_unwritable", original)
    put(store, x=1)  # there is room again
    assert shelf.file(".v0.bak").read_bytes() == original


def test_of_two_models_with_one_id_the_second_is_renamed(shelf: Shelf) -> None:
    rows = [{"id": "gpt", "providerId": id_} for id_ in ("p", "q", "q")]
    shelf.write({"models": rows})
    store = shelf.open()
    models = store.snapshot().models
    assert list(models) == ["gpt", "q/gpt", "q/gpt-2"]
    assert [model.upstream_model for model in models.values()] == [None, "gpt", "gpt"]
    assert sum("two models" in notice for notice in shelf.notices) == 2


def test_a_model_that_cannot_be_renamed_is_no_reason_for_a_file_that_cannot_be_read_again(shelf: Shelf) -> None:
    content = shelf.write({"models": [{"id": "g" * 200, "providerId": id_ * 100} for id_ in ("p", "q")]})
    with pytest.raises(ConfigError, match=r"models\[1\]\.id: .* is the id of models\[0\] already"):
        shelf.open()
    assert shelf.path.read_bytes() == content


def test_very_many_models_with_one_id_are_renamed_in_one_go(shelf: Shelf) -> None:
    """Each looked for a free name from the beginning: with fifty thousand that took minutes, also of an import."""
    taken = {"id": "q/gpt-3", "providerId": "q"}
    shelf.write({"models": [taken, *[{"id": "gpt", "providerId": "q"}] * 20_000]})
    begun = time.thread_time()
    models = shelf.open().snapshot().models
    assert time.thread_time() - begun < 15
    assert list(models)[:5] == ["q/gpt-3", "gpt", "q/gpt", "q/gpt-2", "q/gpt-4"]
    assert list(models)[-1] == "q/gpt-20000"


def test_a_key_written_by_hand_leaves_the_file_at_once(shelf: Shelf) -> None:
    shelf.write({"version": 1, "apiKeys": [{"id": "mine", "key": "sk-by-hand-0123456789"}]})
    store = shelf.open()
    assert key_digest("sk-by-hand-0123456789") in store.snapshot().keys_by_hash
    for path in shelf.path.parent.iterdir():
        assert b"sk-by-hand" not in path.read_bytes()
    assert not shelf.file(".v0.bak").exists()


def test_a_byte_order_mark_is_tolerated(shelf: Shelf) -> None:
    shelf.path.write_bytes(b"\xef\xbb\xbf" + json.dumps({"version": 1, "settings": {"a": 1}}).encode())
    assert shelf.open().snapshot().settings == {"a": 1}


def test_unknown_members_survive_everywhere(shelf: Shelf) -> None:
    shelf.write(
        {"about": ["a note"], "version": 1, "providers": [{**ORIGINAL["providers"][0], "region": "eu"}], "zeta": 9}
    )
    put(shelf.open(), x=1)
    written = shelf.document()
    assert (written["about"], written["zeta"], written["providers"][0]["region"]) == (["a note"], 9, "eu")
    assert list(written)[:2] == ["version", "about"]


def test_half_of_a_surrogate_pair_does_not_break_the_file(shelf: Shelf) -> None:
    shelf.path.write_text('{"version": 1, "note": "\\ud800"}')
    put(shelf.open(), x=1)
    assert shelf.document()["note"] == "\ud800"


# A file that cannot be read is left alone.

BROKEN = {
    b'{"version": 1,\n "providers": [}': "line 2, column 16",
    b'{"version": 1, "models": [': "cut short",
    b'{"version": 1, "note": "caf\xe9"}': "line 1: byte 28 is not UTF-8",
    b"[]": "JSON list",
    b'"text"': "JSON text",
    b"null": "JSON null",
    b'{"version": 2}': "version 2",
    b'{"version": "1"}': 'version is "1"',
    b'{"version": true}': "version is true",
    b'{"providers": {}}': "providers is a JSON object",
    b'{"settings": []}': "settings is a JSON list",
    b'{"users": [], "users": []}': '"users" stands twice',
    b'{"version": 1, "providers": [{"id": "a", "id": "b"}]}': '"id" stands twice',
    b'{"version": 1, "x": NaN}': "NaN",
    b'{"version": 1, "x": [-1e999]}': "-1e999",
    b'{"version": 1, "x": ' + b"9" * 5000 + b"}": "digits",
    b"[" * 100_000: "nested too deeply",
    b'{"version": 1, "providers": [{"id": "a", "baseUrl": "nowhere"}]}': "providers[0].baseUrl",
    b'{"version": 1, "apiKeys": ["text"]}': "apiKeys[0]",
    b'{"version": 1, "models": [{"id": "m", "providerId": "p"}, {"id": "m", "providerId": "q"}]}': "models[1].id",
    b'{"version": 1, "users": [{"id": "u", "username": "a"}, {"id": "u", "username": "b"}]}': "users[0] already",
}


@pytest.mark.parametrize("content", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_file_ends_the_start_and_is_not_touched(shelf: Shelf, content: bytes) -> None:
    shelf.path.write_bytes(content)
    for look in (shelf.open, lambda: inspect(shelf.path)):
        with pytest.raises(ConfigError) as raised:
            look()
        message = str(raised.value)
        assert BROKEN[content] in message
        assert str(shelf.path) in message
        assert "\n" not in message
        assert "There is no good backup" in message
    assert shelf.path.read_bytes() == content


def test_the_message_names_the_newest_good_backup_and_the_command_that_restores_it(shelf: Shelf) -> None:
    store = shelf.open()
    for number in range(4):
        put(store, number=number)
    store.close()
    shelf.path.write_text("{")
    shelf.file(".bak.1").write_text("broken as well")
    with pytest.raises(ConfigError) as raised:
        shelf.open()
    message = str(raised.value)
    assert "newest good backup is ipin-proxy.db.bak.2" in message
    command = message.partition("restore it with: ")[2]
    assert command.startswith("cp -p ")
    subprocess.run(command, shell=True, check=True)
    assert shelf.open().snapshot().settings == {"number": 1}


def test_where_a_new_database_begins_the_newest_backup_outlives_its_changes(shelf: Shelf) -> None:
    """A start makes two changes itself before anybody reads what it says."""
    store = shelf.open()
    for number in range(3):
        put(store, number=number)
    store.close()
    shelf.path.unlink()
    store = shelf.open()
    for number in range(10, 17):
        put(store, number=number)
    assert settings(shelf.file(".last.bak")) == {"number": 1}
    [told] = [notice for notice in shelf.notices if "there is no database" in notice]
    assert "ipin-proxy.db.last.bak" in told
    subprocess.run(told.partition("restore it with: ")[2], shell=True, check=True)
    assert store.check_for_edits() is True
    assert store.snapshot().settings == {"number": 1}


def test_an_emptied_database_is_not_taken_for_a_new_one(shelf: Shelf) -> None:
    store = shelf.open()
    put(store, x=1)
    store.close()
    shelf.path.write_bytes(b"")
    with pytest.raises(ConfigError, match="is empty"):
        shelf.open()
    shelf.path.unlink()
    shelf.open()
    assert any("backups" in notice for notice in shelf.notices)


def test_an_empty_file_made_for_a_mount_becomes_a_database(shelf: Shelf) -> None:
    shelf.path.touch()
    shelf.open()
    assert shelf.document()["version"] == 1


def test_a_folder_in_the_place_of_the_file_is_explained(shelf: Shelf) -> None:
    shelf.path.mkdir()
    with pytest.raises(ConfigError, match="is a folder"):
        shelf.open()
    with pytest.raises(ConfigError, match="is a folder"):
        inspect(shelf.path)


def test_inspect_touches_nothing(shelf: Shelf) -> None:
    content = shelf.write(ORIGINAL)
    shelf.path.chmod(0o640)
    assert list(inspect(shelf.path).models) == ["gpt"]
    assert shelf.path.read_bytes() == content
    assert mode(shelf.path) == 0o640
    assert os.listdir(shelf.path.parent) == [NAME]
    with pytest.raises(ConfigError, match="no such file"):
        inspect(shelf.file(".missing"))


def test_inspect_works_while_the_database_is_open(shelf: Shelf) -> None:
    put(shelf.open(), x=1)
    assert settings(shelf.path) == {"x": 1}


def test_the_example_is_a_good_database_without_secrets() -> None:
    example = ROOT / "ipin-proxy.db.example"
    snapshot = inspect(example)
    assert snapshot.providers
    assert snapshot.models
    assert snapshot.aliases
    for each in snapshot.providers.values():
        assert each.api_key is None or each.api_key.startswith(("env:", "file:"))
    for model in snapshot.models.values():
        assert model.provider_id in snapshot.providers
    assert not snapshot.keys
    assert not snapshot.users


# Edits by hand.


def test_an_edit_by_hand_is_noticed_and_loaded(shelf: Shelf) -> None:
    store = shelf.open()
    assert store.check_for_edits() is False
    shelf.edit_by_hand(mine=1)
    shelf.path.chmod(0o644)
    assert store.check_for_edits() is True
    assert store.snapshot().settings == {"mine": 1}
    assert mode(shelf.path) == 0o600
    assert store.check_for_edits() is False


def test_a_link_to_a_file_that_is_only_read_may_lead_to_another_one(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So Kubernetes edits what it mounts: in a new folder, and the old one is removed."""
    first, second = tmp_path / "..1", tmp_path / "..2"
    for number, folder in enumerate((first, second)):
        folder.mkdir()
        shelf.write({"version": 1, "settings": {"x": number}}, folder / NAME)
    data = tmp_path / "..data"
    data.symlink_to(first)
    shelf.path.symlink_to(data / NAME)
    unwritable(monkeypatch, tmp_path, data, first, second)
    store = shelf.open()
    assert store.snapshot().settings == {"x": 0}
    (tmp_path / "..tmp").symlink_to(second)
    (tmp_path / "..tmp").replace(data)
    (first / NAME).unlink()
    assert store.check_for_edits() is True
    assert store.snapshot().settings == {"x": 1}


def test_our_own_writes_are_no_edits_by_hand(shelf: Shelf) -> None:
    store = shelf.open()
    put(store, x=1)
    assert store.check_for_edits() is False
    assert store.reload() is True
    os.utime(shelf.path)
    assert store.check_for_edits() is False
    assert shelf.notices == []
    assert len(store.backups()) == 1


def test_a_broken_edit_is_reported_once_and_ignored(shelf: Shelf) -> None:
    store = shelf.open()
    put(store, x=1)
    shelf.path.write_text('{"version": 1,')
    assert store.check_for_edits() is False
    assert shelf.notices == []  # an editor may be writing it still
    for _ in range(3):
        assert store.check_for_edits() is False
    assert len(shelf.notices) == 1
    assert "line 1" in shelf.notices[0]
    assert store.snapshot().settings == {"x": 1}
    assert store.reload() is False
    with pytest.raises(Conflict) as raised:
        put(store, y=2)
    assert raised.value.code == "store_broken"
    assert str(shelf.path.parent) not in raised.value.message
    assert shelf.path.read_text() == '{"version": 1,'


def test_a_number_that_could_not_be_written_again_makes_an_edit_a_broken_one(shelf: Shelf) -> None:
    store = shelf.open()
    shelf.path.write_text('{"version": 1, "settings": {"x": 1e999}}')
    assert store.check_for_edits() is False
    assert store.check_for_edits() is False
    with pytest.raises(Conflict):
        put(store, y=2)
    shelf.write({"version": 1, "settings": {"x": 1e99}})
    assert store.check_for_edits() is True


def test_an_edit_with_a_setting_nobody_can_use_is_ignored_whole(shelf: Shelf) -> None:
    store = shelf.open()
    document = json.loads(shelf.path.read_text())
    shelf.write({**document, "users": [{"id": "u", "username": "u"}], "settings": {"LOG_LEVEL": "loud"}})
    assert store.reload() is False
    assert "LOG_LEVEL is 'loud'" in shelf.notices[0]
    assert not store.snapshot().users
    shelf.write({**document, "users": [{"id": "u", "username": "u"}], "settings": {"LOG_LEVEL": "debug"}})
    assert store.check_for_edits() is True
    assert list(store.snapshot().users) == ["u"]


def test_a_setting_that_could_not_be_used_all_along_keeps_no_edit_out(shelf: Shelf) -> None:
    shelf.write({"version": 1, "settings": {"LOG_LEVEL": "loud"}})  # what the environment says may go before it
    store = shelf.open()
    shelf.edit_by_hand(LOG_LEVEL="loud", mine=1)
    assert store.check_for_edits() is True


def test_after_a_broken_edit_the_version_in_force_is_the_newest_backup(shelf: Shelf) -> None:
    store = shelf.open()
    put(store, x=1)
    shelf.path.write_text("oops")
    store.reload()
    store.close()
    with pytest.raises(ConfigError, match=r"newest good backup is ipin-proxy\.db\.bak\.1"):
        shelf.open()
    assert settings(shelf.file(".bak.1")) == {"x": 1}


def test_a_corrected_edit_is_loaded(shelf: Shelf) -> None:
    store = shelf.open()
    shelf.path.write_text("{")
    store.check_for_edits()
    store.check_for_edits()
    shelf.write({"version": 1, "settings": {"corrected": 1}})
    assert store.check_for_edits() is True
    put(store, more=2)
    assert settings(shelf.path) == {"corrected": 1, "more": 2}


def test_a_change_goes_on_top_of_an_edit_nobody_has_noticed_yet(shelf: Shelf) -> None:
    store = shelf.open()
    put(store, x=1)
    shelf.edit_by_hand(mine=1)
    put(store, y=2)
    assert settings(shelf.path) == {"x": 1, "mine": 1, "y": 2}
    assert dict(store.snapshot().settings) == settings(shelf.path)
    assert store.check_for_edits() is True, "whoever looks for edits has to hear of it all the same"
    assert store.check_for_edits() is False


def test_an_edit_during_a_change_is_not_buried(shelf: Shelf) -> None:
    store = shelf.open()
    with pytest.raises(Conflict) as raised, store.edit() as draft:
        draft.settings["x"] = 1
        shelf.edit_by_hand(mine=1)
    assert raised.value.code == "store_changed"
    assert settings(shelf.path) == {"mine": 1}
    put(store, x=1)
    assert settings(shelf.path) == {"mine": 1, "x": 1}


def test_a_file_that_was_removed_comes_back_with_the_next_change(shelf: Shelf) -> None:
    store = shelf.open()
    put(store, x=1)
    shelf.path.unlink()
    assert store.check_for_edits() is False
    assert store.check_for_edits() is False
    assert sum("is gone" in notice for notice in shelf.notices) == 1
    put(store, y=2)
    assert settings(shelf.path) == {"x": 1, "y": 2}


@pytest.mark.parametrize("look", [Store.check_for_edits, Store.reload])
def test_what_a_file_held_that_was_removed_is_the_newest_backup(shelf: Shelf, look: Callable[[Store], bool]) -> None:
    """Or the process alone has it, and a kill loses it."""
    store = shelf.open()
    put(store, x=1)
    put(store, x=2)
    shelf.path.unlink()
    look(store)
    assert settings(shelf.file(".bak.1")) == {"x": 2}
    assert [notice for notice in shelf.notices if "is gone" not in notice] == []


def test_checking_for_edits_never_waits_for_a_writer(shelf: Shelf) -> None:
    store = shelf.open()
    answers: list[bool] = []
    with store.edit() as draft:
        shelf.edit_by_hand(mine=1)
        thread = threading.Thread(target=lambda: answers.append(store.check_for_edits()))
        thread.start()
        thread.join(10)
        assert answers == [False]
        draft.settings.clear()


def test_a_change_writes_anew_what_has_changed_alone(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of tens of thousands of records it is one, and the others take seconds to write, in which every call is slower."""
    store = shelf.open()
    with store.edit() as draft:
        draft.providers.update((f"p{n}", provider(f"p{n}")) for n in range(100))
    written: list[str] = []
    plain = Provider.to_json

    def to_json(record: Provider) -> dict[str, Any]:
        written.append(record.id)
        return plain(record)

    monkeypatch.setattr(Provider, "to_json", to_json)
    with store.edit() as draft:
        draft.providers["p7"] = provider("p7", name="Seven")
        del draft.providers["p8"]
    assert written == ["p7"]
    found = {row["id"]: row["name"] for row in shelf.document()["providers"]}
    assert found == {f"p{n}": "Seven" if n == 7 else f"p{n}" for n in range(100) if n != 8}


def test_after_an_edit_by_hand_nothing_is_left_of_what_was_there_before(shelf: Shelf) -> None:
    """Of a large database it is a hundred megabytes."""
    store = shelf.open()
    with store.edit() as draft:
        draft.providers.update((f"p{n}", provider(f"p{n}", name="as it was")) for n in range(20))
    document = shelf.document()
    for row in document["providers"]:
        row["name"] = "as it is"
    shelf.write(document)
    assert store.check_for_edits()
    del draft
    gc.collect()
    names = {each.name for each in gc.get_objects() if type(each) is Provider}
    assert names & {"as it was", "as it is"} == {"as it is"}
