"""`/metrics` over the real server: who may read it, and that what it says is what Prometheus reads."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import build
from support.client import Reply
from support.proxy import KEY, MASTER_KEY, PASSWORD, Proxy
from support.upstream import Upstream

WATCHER = "sk-watcher-0123456789abcdefghij"
FAR_WATCHER = "sk-far-watcher-0123456789abcdef"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    proxy = Proxy.start(
        tmp_path_factory.mktemp("metrics"),
        providers=[build.provider(shared_upstream.base_url)],
        models=[build.model(price={"input": 1, "output": 2})],
        keys=[
            build.key(KEY),
            build.key(WATCHER, "key-2", scopes=["metrics"]),
            build.key(FAR_WATCHER, "key-3", scopes=["metrics"], allowedIps=["192.0.2.0/24"]),
        ],
    )
    yield proxy
    proxy.stop()


def samples(reply: Reply) -> dict[str, float]:
    """Every line of the text, which must be of the format: `name{labels}` → value."""
    assert reply.status == 200, reply.body
    assert reply.header("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    found: dict[str, float] = {}
    for line in reply.body.decode().removesuffix("\n").split("\n"):
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            assert name not in found
            found[name] = float(value)
    return found


def basic(password: str) -> list[tuple[str, str]]:
    return [("authorization", "Basic " + base64.b64encode(f"prometheus:{password}".encode()).decode())]


def test_administrators_and_keys_of_the_scope_may_read(proxy: Proxy) -> None:
    reply = proxy.post("/api/admin/login", {"username": "admin", "password": PASSWORD})
    cookie = (reply.header("set-cookie") or "").partition(";")[0]
    for answer in (
        proxy.get("/metrics", MASTER_KEY),
        proxy.get("/metrics", WATCHER),
        proxy.get("/metrics", reply.json["token"]),
        proxy.get("/metrics", headers=[("cookie", cookie)]),
        proxy.get("/metrics", headers=basic(MASTER_KEY)),
        proxy.get("/metrics", headers=basic(WATCHER)),
        proxy.get("/metrics", headers=[("x-api-key", WATCHER)]),
    ):
        assert samples(answer)["ipin_ledger_trouble"] == 0


def test_nobody_else_may(proxy: Proxy) -> None:
    proxy.admin("POST", "/users", {"id": "u-eve", "username": "eve", "password": PASSWORD})
    person = proxy.post("/api/user/login", {"username": "eve", "password": PASSWORD}).json["token"]
    for key in (KEY, person):  # also a key without scopes, which is good for all calls
        assert (proxy.get("/metrics", key).status, proxy.get("/metrics", key).error["code"]) == (
            403,
            "scope_not_allowed",
        )
    assert proxy.get("/metrics", FAR_WATCHER).error["code"] == "ip_not_allowed"
    for headers in ([], basic("wrong"), basic(""), [("authorization", "Basic ???")], [("authorization", "Basic")]):
        reply = proxy.get("/metrics", headers=headers)
        assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")
    assert proxy.post("/v1/chat/completions", build.hello(), WATCHER).error["code"] == "scope_not_allowed"
    assert proxy.get("/v1/models", headers=basic(MASTER_KEY)).status == 401


def test_gauges_tell_of_the_process(proxy: Proxy) -> None:
    found = samples(proxy.get("/metrics", MASTER_KEY))
    assert found["ipin_connections"] >= 1
    assert found["ipin_calls_in_flight"] == found["ipin_draining"] == 0
    assert found["process_resident_memory_bytes"] > 1_000_000
    assert found["ipin_call_duration_seconds_count"] == found['ipin_call_duration_seconds_bucket{le="+Inf"}']


def test_the_process_began_before_anybody_asked(tmp_path: Path) -> None:
    before = time.time()
    proxy = Proxy.start(tmp_path)
    listens = time.time()
    try:
        assert before <= samples(proxy.get("/metrics", MASTER_KEY))["process_start_time_seconds"] <= listens
    finally:
        proxy.stop()


def test_counters_never_go_back(proxy: Proxy, admin: Callable[..., Reply]) -> None:
    first = samples(proxy.get("/metrics", MASTER_KEY))
    admin("PUT", f"/models/{build.PUBLIC_MODEL}", {"name": "Another name"})
    proxy.post("/v1/chat/completions", build.hello(), "sk-wrong-0123456789abcdef")
    later = samples(proxy.get("/metrics", MASTER_KEY))
    counters = [name for name in first if "_total" in name or "_count" in name or "_bucket" in name]
    assert counters
    assert all(later[name] >= first[name] for name in counters)
