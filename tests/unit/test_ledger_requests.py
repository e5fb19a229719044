"""The request log against the simplest thing that could be right: all entries in a list, filtered and sorted."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.book import DAY_MS, NOW_MS, Book, entry, opened, refused

from ipin_proxy import idtexts, ledger, ledgerfile, ranks, requestlog, retention, selection, tallies, upkeep
from ipin_proxy.call import Attempt
from ipin_proxy.entries import Entry
from ipin_proxy.errors import BadRequest
from ipin_proxy.ledger import Ledger
from ipin_proxy.requestlog import ITEM, SORTS
from ipin_proxy.selection import RequestFilter

ROWS = 160
PAGE = 45


def some(rows: int) -> list[Entry]:
    """Entries of every kind, with many that are alike, in no order."""
    chance = random.Random(7)
    found = []
    for number in range(rows):
        failed = chance.random() < 0.3
        model = chance.choice(["gpt", "Claude", "embed", "gpt-4o"])
        found.append(
            entry(
                number,
                request_id=f"{chance.choice(['req', 'Mine', 'ö'])}_{chance.randrange(rows):04}",
                time_ms=NOW_MS - 3 * DAY_MS + chance.randrange(40) * DAY_MS // 10,
                key_id=f"k{chance.randrange(4)}",
                key_name=chance.choice(["Class 7b", "Ärger"]),
                user_id=chance.choice(["", "u1", "u2"]),
                address=f"192.0.2.{chance.randrange(3)}",
                user_agent=chance.choice(["curl", "OpenAI/Python", "x" * 60]),
                alias=chance.choice(["", "cheap"]),
                model=model,
                served_model=chance.choice([model, "gpt"]),
                upstream_model=f"up-{model}",
                provider_id=chance.choice(["acme", "other"]),
                stream=chance.random() < 0.5,
                media=chance.choice(["", "image"]),
                status=chance.choice([400, 429, 502, 200]) if failed else 200,
                error_origin=chance.choice(["client", "upstream"]) if failed else "",
                error_code=chance.choice(["rate_limit_exceeded", "invalid_json"]) if failed else "",
                error_message=f"It broke {chance.randrange(5)} times: 100%" if failed else "",
                latency_ms=chance.choice([10.0, 20.5, 1000.25]),
                upstream_ms=chance.randrange(1000) / 8,
                overhead_ms=chance.randrange(8) / 4,
                first_chunk_ms=chance.choice([None, 1.5, 2.5]),
                input_tokens=chance.randrange(10),
                cached_tokens=chance.choice([0, 0, 0, 5]),
                cache_write_tokens=chance.choice([0, 0, 7]),
                output_tokens=chance.randrange(1000),
                reasoning_tokens=chance.choice([0, 3]),
                seconds=chance.choice([0.0, 1.5]),
                images=chance.choice([0, 0, 2]),
                cost=chance.choice([None, 0, 5, chance.randrange(10**9)]),
                cost_basis=chance.choice(["priced", "unknown"]),
                finish_reason=chance.choice(["stop", "length", ""]),
                bytes_in=chance.randrange(3000),
                bytes_out=chance.randrange(5),
                attempts=(Attempt("acme", 200, 5, ""),) * chance.randrange(4),
            )
        )
    return found


ENTRIES = some(ROWS)
PLANS: dict[str, dict[str, float]] = {
    "walking": {"GATHER_US": 1e9, "LOOK_UP_US": 1e9, "TALLY_US": 1e9},
    "gathering": {"WALK_US": 1e9, "TALLY_US": 1e9},
    "by tallies": {"TALLY_US": 0.0, "ADD_US": 0.0, "GROUP_US": 0.0},
    "by facets": {"TALLY_US": 0.0, "SEEK_US": 0.0, "COUNT_US": 0.0},
    "marking many": {"MOST_SOUGHT": 0, "MANY_LINES": 0, "LOOK_AT_US": 1e9},
    "marking all": {"MANY_LINES": 0, "LOOK_AT_US": 1e9},
    "looking at few": {"LOOK_AT_US": 0.0},
    "walking some way": {"WALK_US": 0.1, "GATHER_US": 1e3, "LOOK_UP_US": 1e3, "SEEK_US": 0.0, "TALLY_US": 0.05},
}


LAZY_ROWS = (1, 40, 10**6)


@pytest.fixture(scope="module")
def db(log: Ledger) -> Iterator[sqlite3.Connection]:
    """A reader of the log. It is the same for all tests: to open its file takes longer than a small page."""
    with reader(log) as db:
        yield db


def reader(log: Ledger) -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(ledgerfile.open_reader(log.path))


@pytest.fixture(scope="module", params=LAZY_ROWS, ids=lambda lazy: f"{lazy} rows out of order")
def lazy(request: pytest.FixtureRequest) -> int:
    """Of the newest rows of the log so many are not in the orders that are made later."""
    return int(request.param)


@pytest.fixture(scope="module")
def log(lazy: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """The entries above."""
    with pytest.MonkeyPatch.context() as patched, Book(tmp_path_factory.mktemp("log")) as book:
        for room in (ranks, idtexts):
            patched.setattr(room, "CHUNK_ROWS", 30)
        patched.setattr(ranks, "LAZY_ROWS", lazy)
        patched.setattr(tallies, "MOST_ROWS", 14)
        patched.setattr(upkeep, "RUSH", 10**9)
        patched.setattr(upkeep, "STEP_S", 0.0)
        log = book.with_calls(*ENTRIES)
        while not is_in_order(book.path, lazy):
            log._do(None, 30)
        yield log


def is_in_order(path: Path, lazy: int, rows: int = ROWS) -> bool:
    marks = [idtexts.MARK, *(f"ranked:{name}" for name in ranks.KEYS), *(f"tallied:{name}" for name in ranks.ORDERS)]
    with opened(path) as db:
        upto = [db.execute("SELECT value FROM marks WHERE name = ?", (mark,)).fetchone() for mark in marks]
    return all(rows - (row[0] if row else 0) < lazy for row in upto)


def is_failed(each: Entry) -> bool:
    return each.status >= 400 or bool(each.error_code or each.error_origin)


def contains(each: Entry, q: str) -> bool:
    texts = (each.model, each.served_model, each.key_name, each.user_name, each.error_code, each.request_id)
    return any(q.casefold() in text.casefold() for text in texts) or q.lower() in each.error_message.lower()


FILTERS: dict[str, tuple[RequestFilter, Callable[[Entry], bool]]] = {
    "everything": (RequestFilter(), lambda each: True),
    "a model": (RequestFilter(model="gpt"), lambda each: "gpt" in (each.model, each.served_model)),
    "a provider": (RequestFilter(provider="acme"), lambda each: each.provider_id == "acme"),
    "a key": (RequestFilter(key="k2"), lambda each: each.key_id == "k2"),
    "a key by its name": (RequestFilter(key="Ärger"), lambda each: each.key_name == "Ärger"),
    "a user": (RequestFilter(user="u1"), lambda each: each.user_id == "u1"),
    "an alias": (RequestFilter(alias="cheap"), lambda each: each.alias == "cheap"),
    "an origin": (RequestFilter(origin="client"), lambda each: each.error_origin == "client"),
    "a status": (RequestFilter(status="429"), lambda each: each.status == 429),
    "4xx": (RequestFilter(status="4xx"), lambda each: each.status in (400, 429)),
    "5xx": (RequestFilter(status="5xx"), lambda each: each.status == 502),
    "ok": (RequestFilter(status="ok"), lambda each: not is_failed(each)),
    "errors": (RequestFilter(status="error"), is_failed),
    "nothing": (RequestFilter(model="nobody's"), lambda each: False),
    "several": (
        RequestFilter(model="gpt", provider="acme", key="k1", status="ok"),
        lambda each: (
            "gpt" in (each.model, each.served_model)
            and (each.provider_id, each.key_id) == ("acme", "k1")
            and not is_failed(each)
        ),
    ),
    "since": (RequestFilter(from_ms=NOW_MS), lambda each: each.time_ms >= NOW_MS),
    "until": (RequestFilter(to_ms=NOW_MS - DAY_MS), lambda each: each.time_ms < NOW_MS - DAY_MS),
    "an hour": (
        RequestFilter(from_ms=NOW_MS - 1, to_ms=NOW_MS + 3_600_000),
        lambda each: NOW_MS - 1 <= each.time_ms < NOW_MS + 3_600_000,
    ),
    "two days of a model": (
        RequestFilter(model="gpt", from_ms=NOW_MS - DAY_MS, to_ms=NOW_MS + DAY_MS),
        lambda each: "gpt" in (each.model, each.served_model) and abs(each.time_ms - NOW_MS + 0.5) <= DAY_MS,
    ),
    "no time at all": (RequestFilter(from_ms=NOW_MS, to_ms=NOW_MS), lambda each: False),
    "time that runs backwards": (RequestFilter(from_ms=NOW_MS, to_ms=NOW_MS - DAY_MS), lambda each: False),
    "q: a model": (RequestFilter(q="claude"), lambda each: contains(each, "claude")),
    "q: an id": (RequestFilter(q="mine_00"), lambda each: contains(each, "mine_00")),
    "q: an id that is not ASCII": (RequestFilter(q="Ö_01"), lambda each: contains(each, "ö_01")),
    "q: a name": (RequestFilter(q="äRGER"), lambda each: contains(each, "ärger")),
    "q: an error": (RequestFilter(q="broke 3 times: 100%"), lambda each: contains(each, "broke 3 times: 100%")),
    "q: no pattern": (RequestFilter(q="b_o*e %"), lambda each: False),
    "q: everything": (RequestFilter(q="_"), lambda each: True),
    "q: what is in an id": (RequestFilter(q="E_"), lambda each: contains(each, "e_")),
    "q: what is in an id of a model": (
        RequestFilter(q="r", model="embed"),
        lambda each: contains(each, "r") and "embed" in (each.model, each.served_model),
    ),
    "q: everything of a model": (
        RequestFilter(q="_", model="gpt"),
        lambda each: "gpt" in (each.model, each.served_model),
    ),
    "q: an id of nothing": (RequestFilter(q="_", model="nobody's"), lambda each: False),
    "q: an id in some time of errors": (
        RequestFilter(q="req_", status="error", from_ms=NOW_MS - DAY_MS),
        lambda each: contains(each, "req_") and is_failed(each) and each.time_ms >= NOW_MS - DAY_MS,
    ),
}


def in_order(found: list[dict[str, Any]], sort: str, descends: bool) -> bool:
    """Whether each is where its value says; those that are alike may stand in any order, as long as it is one."""
    keys = [sort_key(item, sort) for item in found]
    return keys == sorted(keys, reverse=descends)


def sort_key(item: dict[str, Any], sort: str) -> Any:
    value = item[sort]
    if sort == "attempts":
        return len(value)
    if value is None:
        return -1
    if isinstance(value, str):
        is_of_a_row = sort in ("requestId", "address", "userAgent", "errorMessage")
        return value[: None if sort == "requestId" else ranks.PREFIX] if is_of_a_row else value.casefold()
    return value


def all_pages(db: sqlite3.Connection, filters: RequestFilter, sort: str, order: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    number, total = 1, -1
    while total < 0 or len(found) < total:
        page = page_of(db, filters, sort, order, number)
        assert total in (-1, page.total)
        total = page.total
        assert len(page.items) == min(PAGE, total - len(found))
        found += page.items
        number += 1
    assert page_of(db, filters, sort, order, number).items == []
    return found


def page_of(db: sqlite3.Connection, filters: RequestFilter, sort: str, order: str, number: int) -> requestlog.Page:
    """As the ledger asks for one, but for the opening of its file."""
    try:
        return requestlog.page(db, filters, sort, order, number, PAGE)
    finally:
        db.rollback()


def identity(each: Entry | dict[str, Any]) -> str:
    if isinstance(each, dict):
        return repr([each[name] for name in ("requestId", "time", "keyId", "inputTokens", "outputTokens", "bytesIn")])
    return repr([each.request_id, each.time_ms, each.key_id, each.input_tokens, each.output_tokens, each.bytes_in])


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_finds_what_it_says_on_whatever_way(
    db: sqlite3.Connection, lazy: int, name: str, plan: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The three sorts take turns: a filter on a way meets each of them in one of the three logs, and in each log every way
    and every filter meets all of them."""
    for constant, value in PLANS[plan].items():
        room = next(each for each in (requestlog, selection, idtexts) if hasattr(each, constant))
        monkeypatch.setattr(room, constant, value)
    filters, belongs = FILTERS[name]
    expected = sorted(identity(each) for each in ENTRIES if belongs(each))
    turn = LAZY_ROWS.index(lazy) + list(PLANS).index(plan) + list(FILTERS).index(name)
    sort = ("time", "costUsd", "model")[turn % 3]
    for order in ("asc", "desc"):
        found = all_pages(db, filters, sort, order)
        assert sorted(map(identity, found)) == expected, f"by {sort} {order}"
        assert in_order(found, sort, order == "desc"), f"by {sort} {order}"


def test_a_search_among_few_rows_does_not_look_at_all_of_them(book: Book) -> None:
    calls = [entry(number, key_id="rare" if number % 300 == 0 else "often") for number in range(1, 3001)]
    book.with_calls(*calls).close()
    steps = {name: steps_of(book, RequestFilter(q="REQ_00", key=name)) for name in ("rare", "often", "nobody's")}
    assert 20 * steps["nobody's"] < 10 * steps["rare"] < steps["often"]


def test_a_text_that_is_in_every_id_leaves_nothing_to_be_looked_at(book: Book) -> None:
    calls = [entry(number, model=f"m{number % 7}") for number in range(300)]
    book.with_calls(*calls, entry(300, request_id="x", model="m0")).close()
    with opened(book.path) as db:
        found = selection.select(db, RequestFilter(q="eq_"))
        assert (found.total, len(found.facets or ()), found.partly) == (300, 7, {1}), "but for the one with another id"


def steps_of(book: Book, filters: RequestFilter) -> int:
    """How much SQLite works for a page."""
    counted: list[None] = []
    with opened(book.path) as db:
        db.set_progress_handler(lambda: counted.append(None), 10)
        requestlog.page(db, filters, "time", "desc", 1, 5)
    return len(counted)


@pytest.mark.parametrize("sort", SORTS)
def test_every_column_sorts_both_ways_and_one_is_the_other_turned_around(db: sqlite3.Connection, sort: str) -> None:
    for filters in (RequestFilter(), RequestFilter(provider="acme")):
        rising = all_pages(db, filters, sort, "asc")
        assert in_order(rising, sort, False)
        assert len({identity(item) for item in rising}) == len(rising)
        assert all_pages(db, filters, sort, "desc") == rising[::-1]


def test_pages_are_the_same_while_their_orders_are_made_and_rows_go(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.with_calls(*ENTRIES).close()
    for room, constant, value in ((ranks, "CHUNK_ROWS", 37), (tallies, "MOST_ROWS", 14), (requestlog, "TALLY_US", 0.0)):
        monkeypatch.setattr(room, constant, value)
    asked = [
        (FILTERS[name][0], sort)
        for name in ("everything", "errors", "two days of a model")
        for sort in ("time", "requestId", "costUsd", "userAgent", "status")
    ]
    with contextlib.closing(ledgerfile.open_writer(book.path, print)) as db:
        for gone in (0, 40, 40):
            retention.sweep(db, sorted(each.time_ms for each in ENTRIES)[gone])
            told = [all_pages(db, filters, sort, "desc") for filters, sort in asked]
            steps = 0
            while ranks.fill(db, 5):
                steps += 1
                if steps % 7 == 0:
                    assert [all_pages(db, filters, sort, "desc") for filters, sort in asked] == told
            assert [all_pages(db, filters, sort, "desc") for filters, sort in asked] == told
            assert steps or gone


def test_pages_are_exact_when_most_rows_come_before_the_first_ones(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new client's name, say, that sorts before all others."""
    calls = [entry(number, user_agent="curl" if number >= 20 else "python") for number in range(30)]
    book.with_calls(*calls).close()
    for room, constant, value in ((ranks, "CHUNK_ROWS", 10), (tallies, "MOST_ROWS", 14), (requestlog, "TALLY_US", 0.0)):
        monkeypatch.setattr(room, constant, value)
    with contextlib.closing(ledgerfile.open_writer(book.path, print)) as db:
        while ranks.fill(db, 1):
            pass
        for offset in range(0, 30, 5):
            found = requestlog.page(db, RequestFilter(), "userAgent", "asc", offset // 5 + 1, 5).items
            db.rollback()
            assert list(map(identity, found)) == list(map(identity, (calls[20:] + calls[:20])[offset:][:5]))


def test_the_contracts_columns_can_all_be_sorted_by() -> None:
    contract = """requestId time keyId keyName userId address userAgent dialect endpoint alias model upstreamModel providerId
        stream status latencyMs upstreamMs overheadMs firstChunkMs inputTokens cachedTokens cacheWriteTokens outputTokens
        reasoningTokens totalTokens seconds images costUsd costBasis finishReason errorOrigin errorCode errorMessage bytesIn
        bytesOut attempts""".split()  # noqa: SIM905 as the contract has it
    assert set(contract) <= set(SORTS) <= set(ITEM)


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"sort": "prompt"}, "sort"),
        ({"sort": "time; DROP TABLE calls"}, "sort"),
        ({"order": "up"}, "order"),
        ({"filters": RequestFilter(status="6")}, "status"),
        ({"filters": RequestFilter(status="2xx or 1=1")}, "status"),
    ],
)
def test_what_there_is_not_is_refused_with_its_name(log: Ledger, wrong: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        log.requests(**{"filters": RequestFilter(), **wrong})
    assert refusal.value.param == param


def test_quotes_in_filters_are_only_quotes(log: Ledger) -> None:
    for evil in ("'", "' OR 1=1 --", '"', "\\", "%", "\0", "\ud800", "[", "*", "x" * 10**6):
        for name in ("q", "model", "provider", "key", "user", "alias", "origin"):
            total = log.requests(RequestFilter(**{name: evil})).total  # type: ignore[arg-type]
            assert total == (sum("%" in each.error_message for each in ENTRIES) if (name, evil) == ("q", "%") else 0)


def test_a_page_is_never_larger_than_the_largest(log: Ledger) -> None:
    assert len(log.requests(RequestFilter(), page_size=10**9).items) == ROWS
    assert len(log.requests(RequestFilter(), page_size=0).items) == 1
    assert log.requests(RequestFilter(), page=-3, page_size=5) == log.requests(RequestFilter(), page=1, page_size=5)


# Files to take away.


@pytest.mark.parametrize("name", FILTERS)
def test_an_export_has_every_row_of_its_filter_in_the_order_they_were_written(log: Ledger, name: str) -> None:
    filters, belongs = FILTERS[name]
    lines = b"".join(log.export(filters, "jsonl")).splitlines()
    assert [identity(json.loads(line)) for line in lines] == [identity(each) for each in ENTRIES if belongs(each)]


def test_an_export_comes_in_pieces(log: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requestlog, "CHUNK_ROWS", 50)
    pieces = list(log.export(RequestFilter(), "csv"))
    assert len(pieces) == 1 + -(-ROWS // 50)
    assert len(list(log.export(RequestFilter(model="nobody's"), "csv"))) == 1


def test_csv_is_what_the_rfc_says_and_reads_back(book: Book) -> None:
    given = entry(1, user_agent='say "hi", then\r\ngo', error_message="ü", cost=1, first_chunk_ms=None, stream=True)
    content = b"".join(book.with_calls(given).export(RequestFilter(), "csv"))
    assert content.endswith(b"\r\n")
    header, row = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
    assert header == list(ITEM)
    cells = dict(zip(header, row, strict=True))
    assert cells["userAgent"] == 'say "hi", then\r\ngo'
    assert (cells["costUsd"], cells["upstreamCostUsd"], cells["firstChunkMs"]) == ("0.000000001", "", "")
    assert (cells["stream"], cells["latencyMs"], cells["errorMessage"]) == ("true", "120.5", "ü")
    assert json.loads(cells["attempts"]) == [{"provider": "acme", "status": 200, "ms": 118, "error": ""}]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_no_cell_is_a_formula(book: Book, start: str) -> None:
    text = f"{start}HYPERLINK(1)"
    given = entry(1, request_id=text, key_name=text, user_agent=text, model=text, error_message=text, error_code=text)
    content = b"".join(book.with_calls(given).export(RequestFilter(), "csv"))
    _, row = csv.reader(io.StringIO(content.decode(), newline=""))
    assert row.count(f"'{text}") == 6
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)


def test_other_formats_are_refused_before_anything_is_sent(book: Book) -> None:
    log = book.with_calls(entry(1))
    for refuse in (lambda: log.export(RequestFilter(), "xlsx"), lambda: log.export(RequestFilter(status="?"), "csv")):
        with pytest.raises(BadRequest):
            refuse()


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with Book(tmp_path) as book:
        yield book


def test_rows_are_put_in_order_when_no_more_of_them_come(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would keep the calls waiting that make them."""
    for room in (ranks, idtexts):
        monkeypatch.setattr(room, "CHUNK_ROWS", 10)
    monkeypatch.setattr(ranks, "LAZY_ROWS", 10)
    monkeypatch.setattr(upkeep, "STEP_S", 0.0)
    monkeypatch.setattr(upkeep, "RUSH", -1)  # as if many came all the time
    log = book.with_calls(*(entry(number) for number in range(50)))
    for _ in range(100):
        log._do(None, 30)
    assert not is_in_order(book.path, 50, 50)
    monkeypatch.setattr(upkeep, "RUSH", 10**9)
    while not is_in_order(book.path, 10, 50):
        log._do(None, 30)


def test_rows_that_go_leave_every_list(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the orders and texts that were made of them."""
    for room in (ranks, idtexts):
        monkeypatch.setattr(room, "CHUNK_ROWS", 10)
    monkeypatch.setattr(ranks, "LAZY_ROWS", 10)
    monkeypatch.setattr(tallies, "MOST_ROWS", 6)
    monkeypatch.setattr(upkeep, "RUSH", 10**9)
    for room in (ledger, upkeep):
        monkeypatch.setattr(room, "STEP_S", 0.0)
    old = [entry(number, time_ms=NOW_MS - 95 * DAY_MS, error_message="old") for number in range(40)]
    new = [refused(number) for number in range(40, 80)]
    log = book.with_calls(*old, *new, retention_days=0)
    while not is_in_order(book.path, 10, 80):
        log._do(None, 30)
    log.close()
    log = book.open(retention_days=90)
    while log.requests(RequestFilter()).total > 40:
        log._do(None, 30)
    with reader(log) as db:
        for sort in SORTS:
            assert len(all_pages(db, RequestFilter(), sort, "asc")) == 40
    assert log.requests(RequestFilter(q="req_00000")).total == 0
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(idtexts, "MANY_LINES", 0)
        assert log.requests(RequestFilter(q="req_0000")).total == 40
    assert log.requests(RequestFilter(q="req_00004")).total == 10
    log.close()
    with opened(book.path) as db:
        assert db.execute("SELECT min(id) FROM ranks").fetchone()[0] > 40
        tallied = dict(db.execute("SELECT col, sum(rows) FROM tallies GROUP BY 1"))
        assert tallied == {order.number: 40 for order in ranks.ORDERS.values()}
        assert db.execute("SELECT min(first) FROM idtexts").fetchone()[0] >= 30


def test_a_call_of_a_clock_that_was_ahead_does_not_keep_the_ids_of_others(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in (ranks, idtexts):
        monkeypatch.setattr(room, "CHUNK_ROWS", 10)
    monkeypatch.setattr(ranks, "LAZY_ROWS", 10)
    monkeypatch.setattr(upkeep, "RUSH", 10**9)
    monkeypatch.setattr(upkeep, "STEP_S", 0.0)
    ahead = entry(0, time_ms=NOW_MS + 1000 * DAY_MS)
    log = book.with_calls(ahead, *(entry(number, time_ms=NOW_MS - 95 * DAY_MS) for number in range(1, 40)))
    while not is_in_order(book.path, 10, 40):
        log._do(None, 30)
    log.close()
    log = book.open(retention_days=90)
    while log.requests(RequestFilter()).total > 1:
        log._do(None, 30)
    assert log.requests(RequestFilter(q="req_000000")).total == 1
    log.close()
    with opened(book.path) as db:
        assert db.execute("SELECT first FROM idtexts").fetchall() == [(0,)]
