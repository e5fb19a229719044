"""Measure the ledger: `python tests/bench/ledger.py`. Prints what recording a call costs its caller, and how long every kind of
page of the request log takes with a million rows.

The rows are made by recording them, over 90 days, by 200 keys and 37 models, one in fifteen an error; that takes minutes, so
`--folder` keeps them for the next time. Each question is asked several times, and the shortest shown, since machines have other things to do. The exit status is 1
when a page takes longer than `--limit-ms`.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from ipin_proxy.call import Attempt  # noqa: E402
from ipin_proxy.ledger import Entry, Ledger  # noqa: E402
from ipin_proxy.requestlog import SORTS  # noqa: E402
from ipin_proxy.selection import RequestFilter  # noqa: E402

DAY_MS = 86_400_000
DAYS = 90
END_MS = 1_795_000_000_000
FAILURES = (
    (429, "upstream", "rate_limit_exceeded", "Rate limit reached for requests; try again in {} seconds."),
    (400, "client", "context_length_exceeded", "This model's maximum context length is 128000 tokens, not {}."),
    (502, "upstream", "upstream_unreachable", "Provider 'acme' cannot be reached (attempt {})."),
)


def entries(rows: int) -> Iterator[Entry]:
    chance = random.Random(1)
    keys = [(f"key_{n:04}", f"Class {n // 4}{'abcd'[n % 4]}", f"user_{n % 90}", f"Person {n % 90}") for n in range(200)]
    models = [(f"model-{n}", f"vendor/model-{n}-2026", f"provider-{n % 5}") for n in range(37)]
    often = [1 / (n + 1) for n in range(len(models))]
    agents = ("OpenAI/Python 2.3.0", "OpenAI/JS 6.1.0", "Zed/1.9", "curl/8.5.0", "Mozilla/5.0 (X11; Linux x86_64)")
    for number in range(rows):
        key_id, key_name, user_id, user_name = keys[min(int(chance.expovariate(0.02)), 199)]
        [(model, upstream, provider)] = chance.choices(models, often)
        status, origin, code, message = FAILURES[number % 3] if chance.random() < 0.07 else (200, "", "", "")
        taken, asked = int(chance.lognormvariate(6, 1.5)), status != 400
        given = int(chance.lognormvariate(5, 1.2)) if status == 200 else 0
        took = chance.lognormvariate(7, 1)
        yield Entry(
            f"req_5f0c1d2e{number:08x}",
            END_MS - DAYS * DAY_MS + number * DAYS * DAY_MS // rows + chance.randrange(5000),
            *(key_id, key_name, user_id, user_name),
            f"10.{number % 7}.{chance.randrange(3)}.{chance.randrange(20)}",
            agents[int(key_id[-1]) % len(agents)],
            *("openai", "/v1/chat/completions", "", model, upstream, provider, model),
            stream=number % 2 == 1,
            status=status,
            latency_ms=took,
            upstream_ms=took - chance.random(),
            overhead_ms=chance.random() * 3,
            first_chunk_ms=took / 3 if number % 2 else None,
            input_tokens=taken,
            cached_tokens=taken // 2 if number % 4 == 0 else 0,
            output_tokens=given,
            reasoning_tokens=given // 2 if number % 7 == 0 else 0,
            cost=taken * 150 + given * 600 if number % 50 else None,
            cost_basis="priced" if number % 50 else "unknown",
            finish_reason="stop" if status == 200 else "",
            error_origin=origin,
            error_code=code,
            error_message=message.format(number % 60),
            bytes_in=taken * 4 + 500,
            bytes_out=given * 5 + 300,
            attempts=(Attempt(provider, status, int(took), code),) if asked else (),
        )


def fill(ledger: Ledger, rows: int) -> None:
    """Record them all, and say what that costs whoever records: while nothing else happens, and all the time."""
    quiet: list[float] = []
    costs: list[float] = []
    begun = time.perf_counter()
    for number, entry in enumerate(entries(rows), 1):
        before = time.perf_counter()
        ledger.record(entry)
        taken = time.perf_counter() - before
        costs.append(taken)
        if number % 5_000 < 500:  # the thread that writes lets calls gather for longer than these take
            quiet.append(taken)
        if number % 5_000 == 0:
            ledger.flush(60)
            if number % 100_000 == 0:
                print(f"  {number:,} rows after {time.perf_counter() - begun:.0f} s", file=sys.stderr)
    for name, taken_s in (("alone", quiet), ("while rows are written", costs)):
        taken_s.sort()
        us = [taken_s[int(len(taken_s) * part)] * 1e6 for part in (0.5, 0.95, 0.999)]
        print(f"record, {name}: {us[0]:.1f} µs (95 %: {us[1]:.1f}, 99.9 %: {us[2]:.1f})")
    print(f"written: {(time.perf_counter() - begun) / rows * 1e6:.0f} µs a row, all threads, making them included")


def settle(ledger: Ledger) -> None:
    """Wait until the thread has put the rows in order."""
    size = -1
    while size != (size := _size(ledger.path)):
        time.sleep(2)
    print(f"size: {size / 1e6:.0f} MB")


def _size(path: Path) -> int:
    return sum(each.stat().st_size for each in path.parent.glob(path.name + "*"))


def questions(ledger: Ledger, total: int) -> Iterator[tuple[str, Callable[[], object]]]:
    pages = max(1, total // 50)

    def ask(number: int = 1, sort: str = "time", order: str = "desc", **filters: object) -> Callable[[], object]:
        return lambda: ledger.requests(RequestFilter(**filters), sort, order, number, 50)  # type: ignore[arg-type]

    for sort in SORTS:
        for name, number in (("first", 1), ("middle", pages // 2), ("last", pages)):
            yield f"by {sort}, {name} page", ask(number, sort)
    narrow: dict[str, dict[str, object]] = {
        "a model": {"model": "model-0"},
        "a rare model": {"model": "model-36"},
        "a key": {"key": "key_0003"},
        "a provider": {"provider": "provider-0"},
        "errors": {"status": "error"},
        "ok": {"status": "ok"},
        "429": {"status": "429"},
        "5xx of a user": {"status": "5xx", "user": "user_1"},
        "a week": {"from_ms": END_MS - 40 * DAY_MS - 1_234_567, "to_ms": END_MS - 33 * DAY_MS},
        "a month of a model": {"from_ms": END_MS - 40 * DAY_MS - 1_234_567, "model": "model-0"},
    }
    for name, filters in narrow.items():
        found = ledger.requests(RequestFilter(**filters)).total  # type: ignore[arg-type]
        for sort in ("time", "costUsd", "bytesOut", "status", "requestId"):
            for where, number in (("first", 1), ("middle", max(1, found // 100)), ("last", max(1, found // 50))):
                yield f"{name} ({found:,}), by {sort}, {where} page", ask(number, sort, **filters)
    for q in ("req_5f0c1d2e000abcde", "abcde", "model-3", "Class 1", "try again in 37", "cannot be reached", "nothing"):
        found = ledger.requests(RequestFilter(q=q)).total
        for sort in ("time", "costUsd"):
            yield f"search {q!r} ({found:,}), by {sort}", ask(1, sort, q=q)
        yield f"search {q!r} of a model", ask(1, "time", q=q, model="model-1")
    yield "one request", lambda: ledger.request(f"req_5f0c1d2e{total // 2:08x}")
    for by in ("day", "hour", "key", "model", "provider"):
        for days in (1, 7, 30, 90):
            yield (
                f"usage by {by}, {days} days",
                (lambda by=by, days=days: ledger.usage(END_MS - days * DAY_MS, END_MS, by)),
            )
    yield "spent by key since 30 days", lambda: ledger.spent(END_MS - 30 * DAY_MS, "key")
    yield "own usage of all", lambda: ledger.own_usage()


def measure(ledger: Ledger, rounds: int, limit_ms: float, every: bool) -> bool:
    """Prints what was measured; whether all of it was quick enough."""
    total = ledger.requests(RequestFilter()).total
    print(f"{total:,} rows")
    times: dict[str, float] = {}
    for name, question in questions(ledger, total):
        taken = []
        for _ in range(rounds):
            before = time.perf_counter()
            question()
            taken.append((time.perf_counter() - before) * 1000)
        times[name] = min(taken)
        if every or times[name] > limit_ms:
            print(f"{times[name]:8.1f} ms  {name}{'' if times[name] <= limit_ms else '   TOO SLOW'}")
    ordered = sorted(times.values())
    print(
        f"{len(ordered)} questions: median {statistics.median(ordered):.0f} ms, 95 % {ordered[int(len(ordered) * 0.95)]:.0f} ms,"
        f" slowest {ordered[-1]:.0f} ms"
    )
    return ordered[-1] <= limit_ms


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where the rows are kept, or were")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit-ms", type=float, default=100)
    parser.add_argument("--all", action="store_true", help="print every question, not only those that took too long")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        path = (args.folder or Path(temporary)) / "bench-usage.db"
        is_new = not path.exists()
        ledger = Ledger(path, retention_days=0, warn=lambda event, message: print(message, file=sys.stderr))
        try:
            if is_new:
                fill(ledger, args.rows)
                settle(ledger)
            is_quick = measure(ledger, args.rounds, args.limit_ms, args.all)
        finally:
            ledger.close()
    return 0 if is_quick else 1


if __name__ == "__main__":
    sys.exit(main())
