"""Many records at once take as long as there are many, and not as long as there are pairs of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import FrameType, SimpleNamespace

import pytest

from ipin_proxy import config
from ipin_proxy.app import App
from ipin_proxy.dispatch import Dispatcher
from ipin_proxy.logs import Log
from ipin_proxy.records import key_digest
from ipin_proxy.store import Store
from ipin_proxy.web.head import HeadReader, parse_request
from ipin_proxy.web.request import Request

KEY = "sk-master-given-0123456789"
FEW, MANY = 100, 800


def steps_taken(folder: Path, path: str, body: dict[str, object], many: int) -> int:
    """How often a function is called, or goes on, while this is asked of a database with so many keys, and users of them."""
    rows = range(many)
    document = {
        "version": 1,
        "apiKeys": [{"id": f"key-{n}", "name": f"Key {n}", "keyHash": key_digest(f"sk-{n}")} for n in rows],
        "users": [{"id": f"user-{n}", "username": f"person{n}", "apiKeyId": f"key-{n}"} for n in rows],
    }
    folder.mkdir()
    (folder / "ipin-proxy.db").write_text(json.dumps(document))
    store, log = Store.open([folder / "ipin-proxy.db"]), Log("error", folder / "log")
    app = App(config.load({}, {"MASTER_API_KEY": KEY}, None, {}), store, log)
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\r\n".encode()
    request = Request(parse_request(head), SimpleNamespace(peer="127.0.0.1", heads=HeadReader()))  # type: ignore[arg-type]
    request.body = bytearray(json.dumps(body).encode())
    steps = Dispatcher(app).handle(request)
    counted = [0]

    def count(frame: FrameType, event: str, argument: object) -> None:
        counted[0] += event == "call"

    next(steps)  # to the worker that does it
    sys.setprofile(count)
    try:
        with pytest.raises(StopIteration) as answered:
            next(steps)
    finally:
        sys.setprofile(None)
    assert answered.value.value.status in (200, 201), answered.value.value.body
    app.ledger.close()
    store.close()
    log.close()
    return counted[0]


def test_switching_keys_compares_none_with_all_there_are(tmp_path: Path) -> None:
    few, many = (
        steps_taken(
            tmp_path / str(n),
            "/api/admin/apikeys/bulk",
            {"ids": [f"key-{each}" for each in range(n)], "action": "disable"},
            n,
        )
        for n in (FEW, MANY)
    )
    assert many < few * MANY / FEW * 2


def test_new_keys_are_not_each_compared_with_all_there_are(tmp_path: Path) -> None:
    few, many = (
        steps_taken(
            tmp_path / str(n), "/api/admin/apikeys", {"apiKeys": [{"name": f"new {each}"} for each in range(n)]}, n
        )
        for n in (FEW, MANY)
    )
    assert many < few * MANY / FEW * 2
