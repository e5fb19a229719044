"""What holds for every entry and every journal, whatever is in it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.book import NOW_MS, Book, entry

from ipin_proxy import entries, exports, journal
from ipin_proxy.call import Attempt
from ipin_proxy.entries import Entry
from ipin_proxy.requestlog import ITEM
from ipin_proxy.selection import RequestFilter

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
counts = st.integers(0, 10**9)
# Whole thousandths: finer times are not kept.
times_ms = st.integers(0, 10**9).map(lambda micros: micros / 1000)
attempts = st.builds(Attempt, texts, st.integers(0, 999), counts, texts)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=5)
    | st.integers(-(10**400), 10**400),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=5,
)

sane = st.builds(
    Entry,
    request_id=texts,
    time_ms=st.integers(1, 10**13),
    **dict.fromkeys(("key_id", "key_name", "user_id", "user_name", "address", "user_agent", "dialect"), texts),
    **dict.fromkeys(("endpoint", "alias", "model", "upstream_model", "provider_id", "served_model"), texts),
    stream=st.booleans(),
    media=texts,
    status=st.integers(0, 999),
    **dict.fromkeys(("latency_ms", "upstream_ms", "overhead_ms"), times_ms),
    first_chunk_ms=st.none() | times_ms,
    **dict.fromkeys(("input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens"), counts),
    **dict.fromkeys(("reasoning_tokens", "audio_input_tokens", "audio_output_tokens"), counts),
    seconds=st.integers(0, 10**9).map(lambda millis: millis / 1000),
    **dict.fromkeys(("images", "pages", "characters", "bytes_in", "bytes_out"), counts),
    **dict.fromkeys(("cost", "upstream_cost"), st.none() | st.integers(0, 10**15)),
    **dict.fromkeys(("cost_basis", "finish_reason", "error_origin", "error_code", "error_message"), texts),
    attempts=st.lists(attempts, max_size=3).map(tuple),
)
wild = st.dictionaries(st.sampled_from(Entry._fields), anything, min_size=1, max_size=6).map(
    lambda changes: entry(1, **changes)
)


@given(sane)
def test_the_journal_gives_back_what_it_was_given(given_entry: Entry) -> None:
    text = entries.written(given_entry)
    assert b"\n" not in text
    whole = {
        name: value and round(value * factor)
        for name, factor in entries.DURATIONS.items()
        for value in [getattr(given_entry, name)]
    }
    assert entries.read(text) == [*given_entry._replace(**whole, attempts=[[*each] for each in given_entry.attempts])]


@given(wild)
@example(Entry("r", 1, latency_ms=10**320))
def test_anything_can_be_written_to_the_journal(given_entry: Entry) -> None:
    text = entries.written(given_entry)
    assert b"\n" not in text
    found = entries.read(text)
    assert found is not None and len(found) == len(Entry._fields)


@given(st.binary(max_size=200))
def test_anything_can_be_read_from_a_journal(content: bytes) -> None:
    entries.read(content)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        path.write_bytes(content)
        assert journal.read((path,), print) == []


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.data_too_large])
@given(st.lists(wild, min_size=1, max_size=6), st.lists(sane, max_size=2))
def test_whatever_is_recorded_every_call_is_there_and_the_sums_are_sane(
    strange: list[Entry], good: list[Entry]
) -> None:
    with TemporaryDirectory() as folder, Book(Path(folder)) as book:
        log = book.with_calls(*strange, *good)
        assert log.trouble is None and log.lost == 0
        page = log.requests(RequestFilter(), page_size=100)
        assert page.total == len(page.items) == len(strange) + len(good)
        json.dumps(page.items, allow_nan=False)
        totals = log.usage(0, 10**14, "day")["totals"]
        assert totals["calls"] == page.total
        assert all(value is None or (math.isfinite(value) and value >= 0) for value in totals.values())
        assert sum(spent.cost for spent in log.spent(0, "key").values()) >= sum(each.cost or 0 for each in good)
        assert len(b"".join(log.export(RequestFilter(), "jsonl")).splitlines()) == page.total
        json.dumps(log.own_usage())


@settings(max_examples=30, deadline=None)
@given(st.lists(sane, min_size=1, max_size=5))
def test_an_entry_comes_back_as_it_was(given_entries: list[Entry]) -> None:
    with TemporaryDirectory() as folder, Book(Path(folder)) as book:
        log = book.with_calls(*given_entries)
        items = [json.loads(line) for line in b"".join(log.export(RequestFilter(), "jsonl")).splitlines()]
    for item, each in zip(items, given_entries, strict=True):
        for name, field in (("requestId", "request_id"), ("model", "model"), ("errorMessage", "error_message")):
            assert item[name] == getattr(each, field).replace("\0", "\ufffd")
        for name, field in (("latencyMs", "latency_ms"), ("firstChunkMs", "first_chunk_ms"), ("seconds", "seconds")):
            assert item[name] == getattr(each, field)
        for name, field in (("inputTokens", "input_tokens"), ("bytesOut", "bytes_out"), ("time", "time_ms")):
            assert item[name] == getattr(each, field)
        assert item["costUsd"] == (None if each.cost is None else each.cost / 10**9)
        assert [attempt["ms"] for attempt in item["attempts"]] == [attempt.ms for attempt in each.attempts]


@given(st.text(max_size=40))
def test_no_text_becomes_a_formula_and_none_is_changed_otherwise(value: str) -> None:
    cell = exports.cell_of("model", value)
    assert cell in (value, f"'{value}")
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


@given(st.integers(0, 10**15))
def test_money_is_exact_in_json_and_in_csv(nano: int) -> None:
    with_point = f"{nano // 10**9}.{nano % 10**9:09d}"
    assert exports.cell_of("costUsd", nano / 10**9) == with_point
    assert round(float(json.dumps(nano / 10**9)) * 10**9) == nano


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=12), st.lists(st.text(max_size=20), max_size=6))
def test_a_search_finds_request_ids_as_text_and_never_as_a_pattern(q: str, request_ids: list[str]) -> None:
    with TemporaryDirectory() as folder, Book(Path(folder)) as book:
        log = book.with_calls(
            *(
                entry(n, request_id=each, time_ms=NOW_MS, model="", served_model="", key_name="", user_name="")
                for n, each in enumerate(request_ids)
            )
        )
        found = log.requests(RequestFilter(q=q)).total
    clean = entries.text(q)
    assert found == sum(not clean or clean.lower() in entries.text(each).lower() for each in request_ids)


def test_an_export_has_the_columns_of_an_item() -> None:
    assert exports.line_of(ITEM).decode() == ",".join(ITEM) + "\r\n"
