"""What the command line comes to where no server has to run for it."""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.book import entry, prefill
from support.shelf import Shelf, mode, unwritable

from ipin_proxy import signin, start
from ipin_proxy.entries import written
from ipin_proxy.journal import Journal
from ipin_proxy.ledger import Ledger
from ipin_proxy.ledgerfile import journals, place
from ipin_proxy.spending import Spent
from ipin_proxy.web.server import Limits, Server


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is hashed here opens nothing."""
    monkeypatch.setattr(signin, "SCRYPT_COST", (2, 8, 1))


def user(name: str) -> dict[str, object]:
    return {"id": name, "username": name, "role": "admin", "enabled": True}


@pytest.fixture
def seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in the secrets folder of the host: a database with the administrator "boss". We are in `tmp_path`."""
    seed = tmp_path / "secrets.db"
    Shelf(tmp_path).write({"version": 1, "users": [user("boss")]}, seed)
    monkeypatch.setattr(start, "SEED", seed)
    monkeypatch.chdir(tmp_path)
    return seed


@pytest.mark.parametrize("flags", [(), ("--db", "data.db")])
def test_a_missing_database_begins_as_the_one_in_the_secrets_folder_once(
    flags: tuple[str, ...], seed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start.main(("--reset-password", *flags), tmp_path) == 0
    assert "password of boss" in capsys.readouterr().out
    Shelf(tmp_path).write({"version": 1, "users": [user("somebody else")]}, seed)
    assert start.main(("--reset-password", *flags), tmp_path) == 0
    assert "password of boss" in capsys.readouterr().out


@pytest.mark.parametrize("flags", [(), ("--db", "data.db")])
def test_check_looks_at_the_one_in_the_secrets_folder(
    flags: tuple[str, ...], seed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start.main(("--check", *flags), tmp_path) == 0
    assert f"a copy of {seed}" in capsys.readouterr().out
    seed.write_text("{")
    assert start.main(("--check", *flags), tmp_path) == 1
    assert str(seed) in capsys.readouterr().err


@pytest.mark.parametrize("flags", [(), ("--db", "data.db")])
def test_check_looks_at_what_a_start_left_in_the_temporary_folder(
    flags: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A database that was named is that one or none."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        unwritable(patch, tmp_path)
        assert start.main(("--reset-password",), tmp_path) == 0
    (left,) = temporary.glob("*/ipin-proxy.db")
    capsys.readouterr()
    assert start.main(("--check", *flags), tmp_path) == 0
    assert (str(left) in capsys.readouterr().out) == (not flags)
    left.write_text("{")
    assert start.main(("--check", *flags), tmp_path) == (0 if flags else 1)


def test_a_ledger_comes_along_with_its_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or what was spent, and who did what, would be lost with the temporary folder."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with monkeypatch.context() as patch:
        unwritable(patch, tmp_path)
        assert start.main(("--reset-password",), tmp_path) == 0
    (left,) = temporary.glob("*/ipin-proxy.db")
    prefill(left.parent, [entry(1)])
    Journal(journals(place(left)), "killed").add(1, written(entry(2)))
    assert start.main(("--reset-password",), tmp_path) == 0
    with closing(Ledger(place(tmp_path / "ipin-proxy.db"), retention_days=0)) as ledger:
        assert ledger.spent(0, "key") == {"k1": Spent(2, 240, 2_000)}
    assert mode(ledger.path) == 0o600


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="a signal that Windows does not have")
def test_a_reload_for_which_no_thread_is_left_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a signal's handler raises comes up in the middle of the loop."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    errors: list[BaseException] = []
    service: Any = type("Service", (), {"failed": staticmethod(errors.append)})
    server = Server(("127.0.0.1", 0), service, Limits())
    handlers: dict[int, Any] = {}
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    app: Any = None  # nobody gets as far as that
    start.handle_signals(app, server)
    handlers[signal.SIGHUP](signal.SIGHUP, None)
    server.loop.call(server.loop.stop)
    server.serve_forever()
    assert [type(error) for error in errors] == [RuntimeError]


def test_a_worker_that_computes_gives_way_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call waits for it some times over: five milliseconds, which is what Python gives, are thirty then."""
    given: list[float] = []
    monkeypatch.setattr(threading, "stack_size", lambda size: None)
    monkeypatch.setattr(sys, "setswitchinterval", given.append)
    start.prepare_threads()
    assert given and given[0] <= 0.001
