"""The first administrator and the master key: when they are made, changed, and left alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ipin_proxy import config, firststart, signin
from ipin_proxy.errors import ConfigError
from ipin_proxy.records import User, key_digest
from ipin_proxy.store import Store

KEY = "sk-master-given-0123456789"
PASSWORD = "correct horse battery staple"
OTHER = "another good password"


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is hashed here opens nothing, so it need not cost what a password's hash has to."""
    monkeypatch.setattr(signin, "SCRYPT_COST", (2, 8, 1))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open([tmp_path / "ipin-proxy.db"])
    yield store
    store.close()


def settings(**environ: str) -> config.Config:
    return config.load({}, environ, None, {})


def opens(store: Store, name: str, password: str) -> bool:
    user = store.snapshot().users_by_name.get(name.casefold())
    return user is not None and user.enabled and signin.verify_password(user.password_hash, password)


def administrators(store: Store) -> list[str]:
    return [user.username for user in store.snapshot().users.values() if user.role == "admin"]


def change(store: Store, name: str, **fields: object) -> None:
    """As the page changes a user."""
    with store.edit() as draft:
        user = next(each for each in draft.users.values() if each.username == name)
        draft.users[user.id] = replace(user, **fields)  # type: ignore[arg-type]


def test_with_nothing_given_everything_is_made_and_told_once(store: Store) -> None:
    made = firststart.prepare(store, settings())
    assert made.username == "admin"
    assert made.password is not None and len(made.password) >= 20
    assert opens(store, "admin", made.password)
    assert made.master_key is not None
    assert store.snapshot().settings["masterKeyHash"] == key_digest(made.master_key)
    text = store.path.read_text()
    assert made.password not in text and made.master_key not in text
    assert firststart.prepare(store, settings()) == firststart.Secrets()


def test_what_is_made_differs_every_time(tmp_path: Path) -> None:
    made = []
    for name in ("a.db", "b.db"):
        store = Store.open([tmp_path / name])
        made.append(firststart.prepare(store, settings()))
        store.close()
    assert made[0].password != made[1].password
    assert made[0].master_key != made[1].master_key


def test_what_is_given_is_used_and_not_told(store: Store) -> None:
    given = settings(UI_USERNAME="Root", UI_PASSWORD=PASSWORD, MASTER_API_KEY=KEY)
    made = firststart.prepare(store, given)
    assert made == firststart.Secrets(username="Root")
    assert opens(store, "root", PASSWORD)
    assert "masterKeyHash" not in store.snapshot().settings
    text = store.path.read_text()
    assert PASSWORD not in text and KEY not in text


def test_an_administrator_who_is_there_is_left_alone(store: Store) -> None:
    firststart.prepare(store, settings(UI_PASSWORD=PASSWORD))
    before = dict(store.snapshot().users)
    assert firststart.prepare(store, settings(UI_PASSWORD=PASSWORD)).username is None
    assert firststart.prepare(store, settings(UI_USERNAME="somebody")).username is None
    assert dict(store.snapshot().users) == before


def test_an_ordinary_user_of_the_name_becomes_the_administrator_with_a_new_password(store: Store) -> None:
    with store.edit() as draft:
        draft.users["7"] = User(id="7", username="Admin", password_hash=signin.hash_password(PASSWORD))
    made = firststart.prepare(store, settings())
    assert made.username == "Admin"
    assert made.password is not None and opens(store, "admin", made.password)
    assert not opens(store, "admin", PASSWORD)
    assert list(store.snapshot().users) == ["7"]


def test_when_every_administrator_is_disabled_there_is_a_way_back(store: Store) -> None:
    firststart.prepare(store, settings(UI_PASSWORD=PASSWORD))
    change(store, "admin", enabled=False)
    made = firststart.prepare(store, settings())
    assert made.password is not None and opens(store, "admin", made.password)


# UI_PASSWORD on later starts.


def test_a_new_ui_password_is_applied_once(store: Store) -> None:
    firststart.prepare(store, settings(UI_PASSWORD=PASSWORD))
    assert firststart.apply_password(store, settings(UI_PASSWORD=PASSWORD)) is None
    assert firststart.apply_password(store, settings(UI_PASSWORD=OTHER)) == "admin"
    assert opens(store, "admin", OTHER) and not opens(store, "admin", PASSWORD)
    assert firststart.apply_password(store, settings(UI_PASSWORD=OTHER)) is None


def test_a_ui_password_given_for_the_first_time_is_applied(store: Store) -> None:
    firststart.prepare(store, settings())
    assert firststart.apply_password(store, settings(UI_PASSWORD=PASSWORD)) == "admin"
    assert opens(store, "admin", PASSWORD)


def test_an_unchanged_ui_password_never_overrides_the_page(store: Store) -> None:
    given = settings(UI_PASSWORD=PASSWORD)
    firststart.prepare(store, given)
    change(store, "admin", password_hash=signin.hash_password(OTHER))
    assert firststart.apply_password(store, given) is None
    assert opens(store, "admin", OTHER)


def test_an_unchanged_ui_password_does_not_bring_a_deleted_administrator_back(store: Store) -> None:
    given = settings(UI_PASSWORD=PASSWORD)
    firststart.prepare(store, given)
    with store.edit() as draft:
        draft.users.clear()
        draft.users["1"] = User(id="1", username="ann", role="admin", password_hash=signin.hash_password(OTHER))
    assert firststart.prepare(store, given).username is None
    assert firststart.apply_password(store, given) is None
    assert administrators(store) == ["ann"]


def test_another_ui_username_becomes_an_administrator(store: Store) -> None:
    firststart.prepare(store, settings(UI_PASSWORD=PASSWORD))
    assert firststart.apply_password(store, settings(UI_USERNAME="root", UI_PASSWORD=PASSWORD)) == "root"
    assert opens(store, "root", PASSWORD)
    assert administrators(store) == ["admin", "root"]


def test_without_a_ui_password_nothing_is_applied(store: Store) -> None:
    firststart.prepare(store, settings(UI_PASSWORD=PASSWORD))
    assert firststart.apply_password(store, settings()) is None
    assert opens(store, "admin", PASSWORD)


# --reset-password.


def test_a_reset_makes_a_new_password_and_ends_being_disabled(store: Store) -> None:
    firststart.prepare(store, settings(UI_PASSWORD=PASSWORD))
    change(store, "admin", enabled=False)
    name, password = firststart.reset_first_administrator(store, settings())
    assert name == "admin"
    assert opens(store, "admin", password) and not opens(store, "admin", PASSWORD)


def test_a_reset_password_is_not_undone_by_the_next_start(store: Store) -> None:
    given = settings(UI_PASSWORD=OTHER)
    firststart.prepare(store, settings())
    _, password = firststart.reset_first_administrator(store, given)
    firststart.prepare(store, given)
    assert firststart.apply_password(store, given) is None
    assert opens(store, "admin", password)


def test_a_reset_takes_the_first_administrator_when_ui_username_is_none(store: Store) -> None:
    with store.edit() as draft:
        draft.users["1"] = User(id="1", username="ann", role="admin")
        draft.users["2"] = User(id="2", username="admin")
    name, password = firststart.reset_first_administrator(store, settings())
    assert name == "ann" and opens(store, "ann", password)
    assert administrators(store) == ["ann"]


def test_a_reset_makes_an_administrator_where_there_is_none(store: Store) -> None:
    name, password = firststart.reset_first_administrator(store, settings(UI_USERNAME="root"))
    assert name == "root" and opens(store, "root", password)


def test_a_database_that_can_only_be_read_is_served_without(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_lock", None)  # as when neither file nor folder can be written
    assert firststart.prepare(store, settings()) == firststart.Secrets()
    with pytest.raises(ConfigError, match="can only be read"):
        firststart.reset_first_administrator(store, settings())
