"""What was spent, against adding it up by hand: every sum, split in every way, over any time."""

from __future__ import annotations

import contextlib
import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.book import DAY_MS, NOW_MS, Book, entry, refused

from ipin_proxy import ledgerfile, retention, spending
from ipin_proxy.call import Attempt
from ipin_proxy.entries import Entry, bucket_of, middle_of
from ipin_proxy.errors import BadRequest
from ipin_proxy.ledger import Ledger
from ipin_proxy.spending import BY, Spent

HOUR_MS = 3_600_000
TODAY = NOW_MS // DAY_MS * DAY_MS


def ms(text: str) -> int:
    from datetime import datetime

    return int(datetime.fromisoformat(f"{text}+00:00").timestamp() * 1000)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with Book(tmp_path) as book:
        yield book


def some(rows: int) -> list[Entry]:
    chance = random.Random(3)
    found = []
    for number in range(rows):
        made = refused if chance.random() < 0.2 else entry
        found.append(
            made(
                number,
                time_ms=TODAY - chance.randrange(12 * DAY_MS),
                key_id=f"k{chance.randrange(3)}",
                key_name=f"Key {chance.randrange(2)}",
                user_id=chance.choice(["", "u1", "u2"]),
                model=chance.choice(["gpt", "claude"]),
                alias=chance.choice(["", "cheap"]),
                **(
                    {
                        "served_model": chance.choice(["gpt", "mini"]),
                        "provider_id": chance.choice(["acme", "other"]),
                        "cost": chance.choice([None, chance.randrange(10**12)]),
                        "input_tokens": chance.randrange(1000),
                        "cached_tokens": chance.randrange(10),
                        "reasoning_tokens": chance.randrange(10),
                        "seconds": chance.randrange(1000) / 8,
                        "images": chance.randrange(2),
                    }
                    if made is entry
                    else {}
                ),
            )
        )
    return found


ENTRIES = some(300)


def naive(entries: list[Entry]) -> dict[str, Any]:
    return {
        "calls": len(entries),
        "errors": sum(each.status >= 400 for each in entries),
        "inputTokens": sum(each.input_tokens for each in entries),
        "outputTokens": sum(each.output_tokens for each in entries),
        "cachedTokens": sum(each.cached_tokens for each in entries),
        "reasoningTokens": sum(each.reasoning_tokens for each in entries),
        "seconds": sum(each.seconds for each in entries),
        "images": sum(each.images for each in entries),
        "costUsd": sum(each.cost or 0 for each in entries) / 10**9,
        "unknownCostCalls": sum(each.cost is None and bool(each.attempts) for each in entries),
    }


def bucket_name(each: Entry, by: str) -> str:
    if by in ("day", "hour"):
        from datetime import datetime, timezone

        time = datetime.fromtimestamp(each.time_ms / 1000, timezone.utc)
        return time.strftime("%Y-%m-%d" if by == "day" else "%Y-%m-%dT%H:00:00Z")
    model = each.served_model or (each.model if each.provider_id else "")
    values = {"key": each.key_id, "user": each.user_id, "model": model, "provider": each.provider_id}
    return values.get(by, each.alias)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with Book(tmp_path_factory.mktemp("spending")) as book:
        yield book.with_calls(*ENTRIES)


TIMES = {
    "everything": (0, NOW_MS + DAY_MS),
    "whole days": (TODAY - 5 * DAY_MS, TODAY - 2 * DAY_MS),
    "hours of a day": (TODAY - 5 * DAY_MS + 3 * HOUR_MS, TODAY - 5 * DAY_MS + 20 * HOUR_MS),
    "hours, days, hours": (TODAY - 7 * DAY_MS + 5 * HOUR_MS, TODAY - DAY_MS + 7 * HOUR_MS),
    "over one midnight": (TODAY - 3 * DAY_MS - 2 * HOUR_MS, TODAY - 3 * DAY_MS + HOUR_MS),
    "nothing": (TODAY + DAY_MS, TODAY + DAY_MS),
    "backwards": (TODAY, TODAY - DAY_MS),
}


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("name", TIMES)
def test_totals_and_series_are_what_the_calls_add_up_to(log: Ledger, name: str, by: str) -> None:
    start, end = TIMES[name]
    inside = [each for each in ENTRIES if start <= each.time_ms < end]
    found = log.usage(start, end, by)
    expected = naive(inside)
    assert {told: found["totals"][told] for told in expected} == expected
    groups: dict[str, list[Entry]] = defaultdict(list)
    for each in inside:
        groups[bucket_name(each, by)].append(each)
    assert {row["bucket"] for row in found["series"]} == set(groups)
    for row in found["series"]:
        expected = naive(groups[row["bucket"]])
        assert {told: row[told] for told in expected} == expected
    if by in ("day", "hour"):
        assert [row["bucket"] for row in found["series"]] == sorted(groups)
    else:
        costs = [row["costUsd"] for row in found["series"]]
        assert costs == sorted(costs, reverse=True)


@pytest.mark.parametrize("by", BY)
def test_usage_can_be_that_of_one_key_one_user_one_model(log: Ledger, by: str) -> None:
    start, end = TIMES["hours, days, hours"]
    for only in ({"key": "k1"}, {"user": "u2"}, {"key": "k0", "model": "gpt"}, {"provider": "acme", "alias": "cheap"}):
        inside = [
            each
            for each in ENTRIES
            if start <= each.time_ms < end and all(bucket_name(each, name) == value for name, value in only.items())
        ]
        found = log.usage(start, end, by, **only)
        expected = naive(inside)
        assert {told: found["totals"][told] for told in expected} == expected
        assert sum(row["calls"] for row in found["series"]) == len(inside)


def test_a_time_is_taken_as_its_hour(book: Book) -> None:
    log = book.with_calls(entry(1, time_ms=TODAY + HOUR_MS), entry(2, time_ms=TODAY + 2 * HOUR_MS))
    found = log.usage(TODAY + HOUR_MS + 1, TODAY + HOUR_MS + 2, "hour")
    assert (found["from"], found["to"], found["totals"]["calls"]) == (TODAY + HOUR_MS, TODAY + 2 * HOUR_MS, 1)


def test_sums_are_the_same_when_hours_are_gone(log: Ledger, book: Book) -> None:
    late = [each._replace(time_ms=each.time_ms - 150 * DAY_MS) for each in ENTRIES]
    book.with_calls(*late).close()
    db = ledgerfile.open_writer(book.path, print)
    retention.fold(db, NOW_MS)
    db.close()
    old = book.open()
    for by in BY:
        before, after = log.usage(0, NOW_MS, by), old.usage(0, NOW_MS, by)
        assert {**after["totals"]} == {**before["totals"]}
        if by != "hour":
            assert len(after["series"]) == len(before["series"])


def test_keys_and_users_have_the_name_they_were_last_called(book: Book) -> None:
    log = book.with_calls(entry(1, key_name="Old"), entry(2, key_name="New"), entry(3, key_id="k2", key_name=""))
    names = {row["bucket"]: row["name"] for row in log.usage(0, NOW_MS + DAY_MS, "key")["series"]}
    assert names == {"k1": "New", "k2": "k2"}


def test_calls_without_a_key_are_not_all_the_master_keys(book: Book) -> None:
    log = book.with_calls(entry(1, key_id="", key_name="master key"), entry(2, key_id="", key_name="", user_id="u1"))
    (row,) = log.usage(0, NOW_MS + DAY_MS, "key")["series"]
    assert (row["bucket"], row["name"], row["calls"]) == ("", "", 2)


def test_a_key_that_gets_its_old_name_back_is_called_that(book: Book) -> None:
    log = book.with_calls(entry(1, key_name="Old"), entry(2, key_name="New"))
    for number, name in enumerate(("Old", "New", "Old"), 3):
        log.record(entry(number, key_name=name))
        assert [row["name"] for row in log.usage(0, NOW_MS + DAY_MS, "key")["series"]] == [name]


@pytest.mark.parametrize("wrong", [{"by": "prompt"}, {"by": "day", "hour": "3"}, {"by": "day", "prompt": "x"}])
def test_other_splits_are_refused(log: Ledger, wrong: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        log.usage(0, 1, **wrong)


# For limits.


@pytest.mark.parametrize("by", ["key", "user"])
@pytest.mark.parametrize("days", [0, 1, 2.5, 8, 400])
def test_spent_counts_calls_somebody_was_asked_for(log: Ledger, by: str, days: float) -> None:
    since = int(TODAY - days * DAY_MS)
    expected: dict[str, Spent] = {}
    for each in ENTRIES:
        if each.time_ms >= since:
            id_ = each.key_id if by == "key" else each.user_id
            before = expected.get(id_, Spent())
            tokens = each.input_tokens + each.output_tokens
            expected[id_] = Spent(
                before.calls + bool(each.attempts), before.tokens + tokens, before.cost + (each.cost or 0)
            )
    assert log.spent(since, by) == expected
    for id_ in (*expected, "nobody"):
        assert log.sums([since, 0], by, id_) == [expected.get(id_, Spent()), log.spent(0, by).get(id_, Spent())]
    assert log.sums([since]) == [Spent(*map(sum, zip(*expected.values(), strict=True)))]


@pytest.mark.parametrize("by", ["key", "user"])
@pytest.mark.parametrize("days", [0, 1, 8, 40])
def test_what_is_spent_before_a_day_and_from_it_on_is_all(log: Ledger, by: str, days: int) -> None:
    at = TODAY - days * DAY_MS
    before, after, all_of_it = log.spent(0, by, at), log.spent(at, by), log.spent(0, by)
    assert log.spent(at, by, at) == {}
    for id_, found in all_of_it.items():
        halves = before.get(id_, Spent()), after.get(id_, Spent())
        assert Spent(*map(sum, zip(*halves, strict=True))) == found


def test_an_empty_ledger_has_sums_and_makes_no_file_for_them(book: Book) -> None:
    assert book.open().sums([0, NOW_MS], "key", "k1") == [Spent(), Spent()]
    assert not book.path.exists()


def test_recent_are_the_calls_of_the_last_moment_that_went_somewhere(book: Book) -> None:
    calls = [entry(1, time_ms=NOW_MS - 60_001), entry(2, time_ms=NOW_MS - 60_000), refused(3), entry(4, key_id="")]
    log = book.with_calls(*calls)
    assert log.recent(NOW_MS - 60_000) == [(NOW_MS - 60_000, "k1", 120), (NOW_MS + 4, "", 120)]


def test_months_turn_with_utc(book: Book) -> None:
    moments = ["2025-12-31T23:59:59.999", "2026-01-01T00:00:00", "2026-01-31T23:59:59", "2026-02-01T00:00:00"]
    log = book.with_calls(
        *(entry(number, time_ms=ms(moment), cost=10**number) for number, moment in enumerate(moments)),
        refused(9, time_ms=ms("2026-02-03T00:00:00")),
        entry(10, time_ms=ms("2026-02-28T00:00:00"), user_id="", user_name="", cost=None),
    )
    assert [(each.id, each.month, each.calls, each.cost) for each in log.own_usage()] == [
        ("u1", "2026-02", 1, 1_000),
        ("", "2026-02", 1, 0),
        ("u1", "2026-01", 2, 110),
        ("u1", "2025-12", 1, 1),
    ]
    assert {each.name for each in log.own_usage("user", "u1")} == {"ann"}
    assert sum(each.calls for each in log.own_usage("key", "k1")) == 5
    assert log.own_usage("user", "nobody") == []


def test_what_one_has_spent_is_found_without_a_look_at_all_others(book: Book) -> None:
    """Everybody may ask for their own, and a university has ten thousands of them."""

    def steps(users: range) -> int:
        calls = (
            entry(5 * user + day, time_ms=TODAY - day * DAY_MS, user_id=f"u{user}", key_id=f"k{user}")
            for user in users
            for day in range(5)
        )
        book.with_calls(*calls).close()
        taken = [0]
        with contextlib.closing(ledgerfile.open_reader(book.path)) as db:
            db.set_progress_handler(lambda: taken.__setitem__(0, taken[0] + 1), 10)
            assert spending.sum_of(db, 0, "key", "k1").calls == 5
            assert sum(each.calls for each in spending.months(db, "user", "u1")) == 5
        return taken[0]

    few = steps(range(30))
    assert steps(range(30, 600)) < 2 * few


def test_a_month_stays_right_when_its_rows_go(book: Book) -> None:
    book.with_calls(*(entry(number) for number in range(50))).close()
    db = ledgerfile.open_writer(book.path, print)
    while retention.sweep(db, NOW_MS + 25):
        pass
    db.close()
    log = book.with_calls(entry(99))
    assert log.own_usage()[0][2:] == ("2026-11", 51, 51_000)
    assert log.spent(TODAY, "key")["k1"] == Spent(51, 51 * 120, 51_000)


# How long calls take.


def test_percentiles_are_within_a_few_percent(book: Book) -> None:
    log = book.with_calls(
        *(entry(number, latency_ms=float(number), time_ms=TODAY + number) for number in range(1, 1001)),
        refused(2_000, latency_ms=10**6, time_ms=TODAY),
        entry(2_001, latency_ms=5.0, time_ms=TODAY - DAY_MS),
    )
    totals = log.usage(TODAY, TODAY + DAY_MS, "model")["totals"]
    assert totals["latencyP50Ms"] == pytest.approx(500, rel=0.06)
    assert totals["latencyP95Ms"] == pytest.approx(950, rel=0.06)
    before, today = log.usage(TODAY - DAY_MS, TODAY + DAY_MS, "day")["series"]
    assert before["latencyP50Ms"] == before["latencyP95Ms"] == pytest.approx(5, rel=0.06)
    assert today["latencyP95Ms"] == pytest.approx(950, rel=0.06)
    assert log.usage(0, 1, "day")["totals"]["latencyP50Ms"] is None


@pytest.mark.parametrize("micros", [0, 1, 2, 999, 1_000, 123_456, 10**6, 86_400 * 10**6, 10**12])
def test_a_latency_is_found_again_in_its_bucket(micros: int) -> None:
    assert middle_of(bucket_of(micros)) * 1000 == pytest.approx(max(1, micros), rel=0.05)


def test_only_calls_that_went_well_are_timed(book: Book) -> None:
    failed = entry(1, status=502, error_origin="upstream", latency_ms=9.0, attempts=(Attempt("acme", 502, 9, ""),))
    totals = book.with_calls(failed).usage(0, NOW_MS + DAY_MS, "day")["totals"]
    assert (totals["errors"], totals["latencyP50Ms"]) == (1, None)
