"""Reading the ledger over the real server: sums, the request log, its export, one's own usage, the older tracking page."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import build
from support.book import DAY_MS, Book, entry, refused
from support.client import Reply
from support.proxy import KEY, MASTER_KEY, PASSWORD, Proxy
from support.upstream import Upstream

from ipin_proxy.call import Attempt

Json = dict[str, Any]
Admin = Callable[..., Reply]
OTHER_KEY = "sk-other-0123456789abcdefghij"
SPENT_KEY = "sk-spent-0123456789abcdefghij"
NOON_MS = int(time.time() * 1000) // DAY_MS * DAY_MS - 5 * DAY_MS + DAY_MS // 2  # five days ago
MONTH = time.strftime("%Y-%m", time.gmtime(NOON_MS / 1000))
ANN = {"key_id": "key-1", "key_name": "key-1", "user_id": "u-ann", "user_name": "ann"}
BOB = {"key_id": "key-2", "key_name": "key-2", "user_id": "", "user_name": ""}
NOW = {"key_id": "key-3", "key_name": "key-3", "user_id": "", "user_name": ""}
ENTRIES = [
    *(entry(n, time_ms=NOON_MS + n, cost=1_000_000 * n, **ANN) for n in (1, 2, 3)),
    entry(
        *(4,),
        time_ms=NOON_MS + DAY_MS,
        model="claude",
        served_model="claude",
        provider_id="other",
        alias="cheap",
        status=502,
        cost=None,
        cost_basis="unknown",
        error_origin="upstream",
        error_code="upstream_unreachable",
        error_message='=cmd|"calc"!A1',
        attempts=(Attempt("other", 0, 12, "refused"),),
        **BOB,
    ),
    refused(5, time_ms=NOON_MS + DAY_MS + 1, **BOB),
]


def fill(folder: Path, *more: Any) -> None:
    """The ledger of a proxy that is started in this folder afterwards."""
    with Book(folder) as book:
        book.with_calls(*ENTRIES, *more, wall=time.time)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    """A proxy with a past: three calls of ann's key, one that failed and one that was refused of another's, one of now."""
    folder = tmp_path_factory.mktemp("reports")
    fill(folder, entry(6, time_ms=int(time.time() * 1000), cost=2_000_000_000, **NOW))
    proxy = Proxy.start(
        folder,
        providers=[build.provider(shared_upstream.base_url)],
        models=[build.model(price={"input": 1, "output": 1})],
        keys=[
            build.key(KEY),
            build.key(OTHER_KEY, "key-2", username="bob", allowedIps=["127.0.0.0/8"]),
            build.key(SPENT_KEY, "key-3", scopes=["chat"], rpm=7, budgets=[{"usd": 1, "window": "total"}]),
        ],
    )
    person = {"username": "ann", "password": PASSWORD, "email": "ann@example.org", "apiKeyId": "key-1"}
    assert proxy.admin("POST", "/users", {"id": "u-ann", **person}).status == 201
    yield proxy
    proxy.stop()


def ids(reply: Reply) -> list[str]:
    assert reply.status == 200, reply.body
    return [item["requestId"] for item in reply.json["items"]]


def bad(reply: Reply, param: str) -> str:
    assert (reply.status, reply.error["param"]) == (400, param), reply.body
    return str(reply.error["message"])


def days(first: int, end: int) -> str:
    return f"from={NOON_MS + first * DAY_MS}&to={NOON_MS + end * DAY_MS}"


# Sums.


def test_usage_of_thirty_days_is_told_by_day(admin: Admin) -> None:
    found = admin("GET", "/usage").json
    assert (found["totals"]["calls"], found["totals"]["errors"], found["totals"]["costUsd"]) == (6, 2, 2.006)
    assert [row["calls"] for row in found["series"]] == [3, 2, 1]
    assert found["series"][0]["bucket"] == time.strftime("%Y-%m-%d", time.gmtime(NOON_MS / 1000))
    assert 29 * DAY_MS < found["to"] - found["from"] <= 30 * DAY_MS
    assert found["trouble"] is None


def test_usage_is_told_by_anything_and_narrowed(admin: Admin) -> None:
    by_model = admin("GET", f"/usage?by=model&{days(0, 2)}").json["series"]
    assert {row["bucket"]: row["calls"] for row in by_model} == {"gpt": 3, "claude": 1, "": 1}
    of_key = admin("GET", f"/usage?by=key&key=key-1&{days(0, 2)}").json["series"]
    assert [(row["bucket"], row["name"], row["costUsd"]) for row in of_key] == [("key-1", "key-1", 0.006)]
    assert admin("GET", "/usage?provider=other&by=alias").json["series"][0]["bucket"] == "cheap"


def test_times_are_given_in_many_ways(admin: Admin) -> None:
    date = time.strftime("%Y-%m-%d", time.gmtime(NOON_MS / 1000))
    for query in (
        f"from={date}&to={date}",
        f"from={date}T00:00:00Z&to={date}T23:59:59.999Z",
        f"from={date}T02:00+02:00&to={date}T23:00-00:30",
        f"from={date}T02:00%2B02:00&to={NOON_MS + 1000}",
    ):
        assert admin("GET", f"/usage?{query}").json["totals"]["calls"] == 3, query


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("from=yesterday", "from"),
        ("to=2026-13-01", "to"),
        ("from=1790000000", "from"),  # in seconds
        ("from=-1", "from"),
        ("from=2026-11-03&to=2026-11-01", "from"),
        ("by=colour", "by"),
        (f"to={'9' * 40}", "to"),
    ],
)
def test_a_wrong_question_about_usage_is_named(admin: Admin, query: str, param: str) -> None:
    bad(admin("GET", f"/usage?{query}"), param)


# The request log.


def test_the_log_is_paged_sorted_and_filtered(admin: Admin) -> None:
    assert ids(admin("GET", "/requests")) == [f"req_{n:06}" for n in (6, 5, 4, 3, 2, 1)]
    page = admin("GET", "/requests?sort=costUsd&order=asc&pageSize=2&page=3")
    assert (page.json["total"], page.json["page"], page.json["pageSize"]) == (6, 3, 2)
    assert ids(page) == ["req_000003", "req_000006"]
    for query, found in (
        ("status=error", ["5", "4"]),
        ("status=5xx", ["4"]),
        ("origin=proxy", ["5"]),
        ("alias=cheap", ["4"]),
        ("user=ann&model=gpt&provider=acme", ["3", "2", "1"]),
        ("key=key-2&q=calc", ["4"]),
        (f"{days(1, 2)}", ["5", "4"]),
    ):
        assert [id_.lstrip("req_0") for id_ in ids(admin("GET", f"/requests?{query}"))] == found, query


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("page=0", "page"),
        ("page=x", "page"),
        ("page=99999999999999999999", "page"),
        ("pageSize=1001", "pageSize"),
        ("pageSize=-1", "pageSize"),
        ("sort=colour", "sort"),
        ("order=up", "order"),
        ("status=fine", "status"),
        ("format=xlsx", "format"),
        ("format=csv&status=fine", "status"),
        ("from=x", "from"),
    ],
)
def test_a_wrong_question_to_the_log_is_named(admin: Admin, query: str, param: str) -> None:
    bad(admin("GET", f"/requests?{query}"), param)


def test_one_call_is_told_in_full(admin: Admin) -> None:
    found = admin("GET", "/requests/req_000004").json
    assert found["attempts"] == [{"provider": "other", "status": 0, "ms": 12, "error": "refused"}]
    assert (found["costUsd"], found["costBasis"], found["errorOrigin"]) == (None, "unknown", "upstream")
    gone = admin("GET", "/requests/req_nobody")
    assert (gone.status, gone.error["code"]) == (404, "not_found")


def test_the_log_leaves_as_a_file(admin: Admin) -> None:
    reply = admin("GET", "/requests?format=jsonl&status=ok")
    assert reply.header("content-type") == "application/x-ndjson"
    assert [json.loads(line)["requestId"] for line in reply.body.splitlines()] == [f"req_{n:06}" for n in (1, 2, 3, 6)]
    reply = admin("GET", "/requests?format=csv")
    disposition = reply.header("content-disposition") or ""
    assert disposition.startswith('attachment; filename="ipin-proxy-requests-') and disposition.endswith('.csv"')
    rows = list(csv.DictReader(io.StringIO(reply.body.decode())))
    assert [row["requestId"] for row in rows] == [f"req_{n:06}" for n in range(1, 7)]
    assert rows[3]["errorMessage"].startswith("'=")  # no formula
    assert rows[5]["costUsd"] == "2.000000000"
    assert admin("GET", "/requests?format=csv&model=none").body.count(b"\n") == 1
    assert admin("GET", "/requests?format=jsonl&model=none").body == b""


def test_asking_for_the_head_of_a_file_makes_none(proxy: Proxy, admin: Admin) -> None:
    for _ in range(10):
        reply = admin("HEAD", "/requests?format=csv")
        assert (reply.status, reply.body) == (200, b"")
        assert "attachment" in (reply.header("content-disposition") or "")


def test_who_leaves_ends_the_export(start_proxy: Callable[..., Proxy], tmp_path: Path) -> None:
    folder = tmp_path / "proxy-0"
    folder.mkdir()
    with Book(folder) as book:
        book.with_calls(*(entry(n, time_ms=NOON_MS, error_message="x" * 900) for n in range(6_000)))
    proxy = Proxy.start(folder)
    try:
        token = proxy.post("/api/admin/login", {"username": "admin", "password": PASSWORD}).json["token"]
        head = f"GET /api/admin/requests?format=jsonl HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n"
        for _ in range(9):  # more than there may be at once, one after the other
            wire = proxy.raw(head.encode())
            reply = wire.reply()
            while reply.status == 503:  # the one before has not noticed yet
                wire.close()
                wire = proxy.raw(head.encode())
                reply = wire.reply()
            assert reply.status == 200
            next(reply.pieces())
            wire.reset()
        whole = proxy.admin("GET", "/requests?format=jsonl")
        while whole.status == 503:
            whole = proxy.admin("GET", "/requests?format=jsonl")
        assert whole.body.count(b"\n") == 6_000
    finally:
        assert proxy.stop() == 0


# One's own.


def test_a_key_sees_what_it_has_spent_and_how_its_limits_stand(proxy: Proxy) -> None:
    found = proxy.get("/v1/usage", KEY).json
    assert (found["object"], found["key"]["id"], found["user"]) == (
        *("usage", "key-1"),
        {"id": "u-ann", "username": "ann"},
    )
    assert found["spent"]["total"] == {"requests": 3, "tokens": 360, "costUsd": 0.006}
    assert found["spent"]["today"] == {"requests": 0, "tokens": 0, "costUsd": 0}
    assert found["limits"] == []
    assert found["resets"]["today"] > time.time() * 1000 - DAY_MS
    assert found["resets"]["today"] % DAY_MS == found["resets"]["month"] % DAY_MS == 0
    other = proxy.get("/v1/usage", OTHER_KEY).json
    assert (other["user"], other["spent"]["total"]) == (None, {"requests": 1, "tokens": 120, "costUsd": 0})


def test_a_key_whose_budget_is_used_up_sees_that(proxy: Proxy) -> None:
    limits = {each["kind"]: each for each in proxy.get("/v1/usage", SPENT_KEY).json["limits"]}
    assert (limits["budget"]["limitUsd"], limits["budget"]["usedUsd"], limits["budget"]["remainingUsd"]) == (1, 2, 0)
    assert limits["budget"]["resetsAt"] is None
    assert (limits["requests"]["limit"], limits["requests"]["of"]) == (7, "key")


def test_the_master_key_sees_everything(proxy: Proxy) -> None:
    found = proxy.get("/v1/usage", MASTER_KEY).json
    assert (found["key"], found["user"], found["spent"]["total"]["costUsd"]) == (None, None, 2.006)


@pytest.mark.parametrize("path", ["/v1/usage", "/usage", "/metrics"])
def test_nobody_reads_usage_without_a_key(proxy: Proxy, path: str) -> None:
    for key in (None, "sk-wrong-0123456789abcdef"):
        reply = proxy.get(path, key)
        assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")


def test_usage_by_month_is_ones_own(proxy: Proxy) -> None:
    own = {"email": "ann@example.org", "month": MONTH, "monthlyCost": 0.006, "monthlyRequests": 3}
    assert proxy.get("/usage", KEY).json == {"data": [own], "total": 1}
    assert [row["email"] for row in proxy.get("/usage", OTHER_KEY).json["data"]] == ["bob"]
    assert proxy.get("/usage?email=somebody", KEY).json == {"data": [], "total": 0}


def test_usage_by_month_is_the_same_for_oneself_and_for_administrators(
    start_proxy: Callable[..., Proxy], upstream: Upstream
) -> None:
    keys = [build.key(KEY, username="ann"), build.key(OTHER_KEY, "key-2", username="")]
    proxy = start_proxy(keys=keys, models=[build.model(price={"perRequest": 1})])

    def call(key: str) -> None:
        upstream.will_answer(200, build.completion())
        assert proxy.post("/v1/chat/completions", build.hello(), key).status == 200

    call(OTHER_KEY)  # which is nobody's yet
    person = {"id": "u-ann", "username": "ann", "password": PASSWORD, "apiKeyId": "key-2"}
    assert proxy.admin("POST", "/users", person).status == 201
    call(OTHER_KEY)
    call(KEY)
    [own] = proxy.get("/usage?email=ann", MASTER_KEY).json["data"]
    assert (own["monthlyCost"], own["monthlyRequests"]) == (2, 2)
    for key in (KEY, OTHER_KEY):
        assert proxy.get("/usage", key).json == {"data": [own], "total": 1}


def test_administrators_see_the_usage_of_everybody(proxy: Proxy) -> None:
    def rows(query: str = "") -> list[Json]:
        return list(proxy.get(f"/usage?{query}", MASTER_KEY).json["data"])

    costs = [row["monthlyCost"] for row in rows("sort=-monthlyCost")]
    assert costs == sorted(costs, reverse=True) and sum(costs) == pytest.approx(2.006)
    assert rows("sort=monthlyCost&limit=1")[0]["monthlyCost"] == costs[-1]
    assert rows("sort=-monthlyCost&skip=1&limit=1")[0]["monthlyCost"] == costs[1]
    assert [row["email"] for row in rows("email=ANN@example.org")] == ["ann@example.org"]
    assert {row["month"] for row in rows(f"month={MONTH}")} == {MONTH}
    for query, param in (("sort=size", "sort"), ("month=May", "month"), ("skip=-1", "skip"), ("limit=0", "limit")):
        bad(proxy.get(f"/usage?{query}", MASTER_KEY), param)


def test_people_see_their_own_usage(proxy: Proxy) -> None:
    token = proxy.post("/api/user/login", {"username": "ann", "password": PASSWORD}).json["token"]
    found = proxy.get("/api/user/usage", token).json
    assert (found["totals"]["calls"], found["totals"]["costUsd"]) == (3, 0.006)
    assert [row["calls"] for row in found["series"]] == [3]
    assert found["months"] == [{"month": MONTH, "calls": 3, "costUsd": 0.006}]
    assert found["spent"]["total"]["requests"] == 3
    by_model = proxy.get("/api/user/usage?by=model", token).json["series"]
    assert [row["bucket"] for row in by_model] == ["gpt"]
    bad(proxy.get("/api/user/usage?by=user", token), "by")
    me = proxy.get("/api/user/me", token).json
    assert me["usage"]["spent"] == found["spent"]
    for path in ("/api/admin/usage", "/api/admin/requests", "/api/admin/audit", "/ui/tracking_data"):
        assert proxy.get(path, token).status == 403


# The older page.


def test_the_older_tracking_page_leads_to_the_log(proxy: Proxy) -> None:
    reply = proxy.get("/ui/tracking")
    assert (reply.status, reply.header("location")) == (302, "../admin.html#/requests")


def test_the_older_tracking_data_is_the_log_in_other_words(proxy: Proxy) -> None:
    reply = proxy.get("/ui/tracking_data?page=2&page_size=4&sort_by=cost_usd&sort_order=asc", MASTER_KEY).json
    assert {name: reply[name] for name in reply if name != "items"} == {
        "total_items": 6,
        "page": 2,
        "page_size": 4,
        "total_pages": 2,
    }
    assert [row["request_id"] for row in reply["items"]] == ["req_000003", "req_000006"]
    assert {"key_id", "latency_ms", "input_tokens", "cost_usd"} <= set(reply["items"][0])
    bad(proxy.get("/ui/tracking_data?sort_by=costUsd", MASTER_KEY), "sort_by")
    bad(proxy.get("/ui/tracking_data?page_size=0", MASTER_KEY), "page_size")
    assert proxy.get("/ui/tracking_data", KEY).status == 401


def test_administrators_see_how_the_limits_of_all_keys_and_users_stand(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy(
        keys=[build.key(KEY, budgets=[{"usd": 5, "window": "month"}], rpm=10), build.key(OTHER_KEY, "free")]
    )
    found = proxy.admin("GET", "/limits").json
    assert [(each["kind"], each["of"], each["window"]) for each in found["keys"]["key-1"]] == [
        ("requests", "key", "minute"),
        ("budget", "key", "month"),
    ]
    assert (found["keys"].keys(), found["users"]) == ({"key-1"}, {})
    assert proxy.get("/api/admin/limits", KEY).status in (401, 403)
