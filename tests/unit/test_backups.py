"""The list of kept versions: each is read once, however often the list is looked at."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ipin_proxy import config, store
from ipin_proxy.app import App
from ipin_proxy.dispatch import Dispatcher
from ipin_proxy.logs import Log
from ipin_proxy.records import Provider
from ipin_proxy.web.head import HeadReader, parse_request
from ipin_proxy.web.request import Request

KEY = "sk-master-given-0123456789"


def listed(app: App) -> list[dict[str, Any]]:
    head = parse_request(f"GET /api/admin/backups HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\r\n".encode())
    steps = Dispatcher(app).handle(Request(head, SimpleNamespace(peer="127.0.0.1", heads=HeadReader())))  # type: ignore[arg-type]
    next(steps)  # to the worker that does it
    with pytest.raises(StopIteration) as answered:
        next(steps)
    found: list[dict[str, Any]] = json.loads(answered.value.value.body)["backups"]
    return found


def test_a_change_while_they_are_read_mixes_none_of_them_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With each change they move on by a name, and what was found out is kept."""
    parse = store.parse

    with contextlib.closing(store.Store.open([tmp_path / "ipin-proxy.db"])) as opened:
        app = App(config.load({}, {"MASTER_API_KEY": KEY}, None, {}), opened, Log("error", tmp_path / "log"))

        def add(id_: str) -> None:
            with opened.edit() as draft:
                draft.providers[id_] = Provider(id=id_, base_url="https://p.example")

        def changing(content: bytes) -> Any:
            monkeypatch.setattr(store, "parse", parse)
            add("meanwhile")
            return parse(content)

        for number in range(3):
            add(f"p{number}")
        monkeypatch.setattr(store, "parse", changing)
        listed(app)
        assert [row["providers"] for row in listed(app)] == [3, 2, 1, 0]
        app.log.close()


def test_a_kept_version_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading them takes half a minute where there are tens of thousands of records, and other changes wait for it."""
    read: list[bytes] = []
    parse = store.parse

    def counting(content: bytes) -> Any:
        read.append(content)
        return parse(content)

    with contextlib.closing(store.Store.open([tmp_path / "ipin-proxy.db"])) as opened:
        app = App(config.load({}, {"MASTER_API_KEY": KEY}, None, {}), opened, Log("error", tmp_path / "log"))
        for number in range(3):
            with opened.edit() as draft:
                draft.providers[f"p{number}"] = Provider(id=f"p{number}", base_url="https://p.example")
        monkeypatch.setattr(store, "parse", counting)
        assert [row["providers"] for row in listed(app)] == [2, 1, 0]
        assert len(read) == 3
        with opened.edit() as draft:
            del draft.providers["p0"]
        assert [(row["name"][-1], row["providers"]) for row in listed(app)] == [("1", 3), ("2", 2), ("3", 1), ("4", 0)]
        assert len(read) == 4
        app.log.close()
