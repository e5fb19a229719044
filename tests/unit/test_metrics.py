"""Counters of calls: they add up, never go back, have labels without end of nobody's making, and are text Prometheus reads."""

from __future__ import annotations

import math
import re
import threading
from typing import Any

import pytest
from support.book import entry, refused

from ipin_proxy.metrics import MOST_PAIRS, Gauge, Metrics

LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
LINE = re.compile(rf"(?P<name>[a-z_]+(?:\{{{LABEL}(?:,{LABEL})*\}})?) (?P<value>-?[0-9.]+)")


def samples(metrics: Metrics, *gauges: Gauge) -> dict[str, str]:
    text = metrics.text(gauges)
    assert text.endswith("\n")
    found: dict[str, str] = {}
    for line in text.removesuffix("\n").split("\n"):
        if line.startswith("#"):
            assert re.fullmatch(r"# (HELP [a-z_]+ \S.*|TYPE [a-z_]+ (counter|gauge|histogram))", line)
            continue
        match = LINE.fullmatch(line)
        assert match, line
        assert match["name"] not in found
        found[match["name"]] = match["value"]
    return found


def counted(*entries: Any) -> dict[str, str]:
    metrics = Metrics()
    for each in entries:
        metrics.count(each)
    return samples(metrics)


def test_calls_tokens_and_money_add_up() -> None:
    found = counted(
        entry(1, cost=1, cached_tokens=40, reasoning_tokens=5),
        entry(2, cost=2_000_000_000),
        entry(3, provider_id="other", served_model="gpt", cost=None),
    )
    of = 'provider="acme",model="gpt"'
    assert found[f"ipin_calls_total{{{of}}}"] == "2"
    assert found[f"ipin_cost_usd_total{{{of}}}"] == "2.000000001"
    kinds = {kind: found[f'ipin_tokens_total{{{of},kind="{kind}"}}'] for kind in ("input", "cached", "output")}
    assert kinds == {"input": "200", "cached": "40", "output": "40"}
    assert found[f'ipin_tokens_total{{{of},kind="reasoning"}}'] == "5"
    assert found['ipin_calls_of_unknown_cost_total{provider="other",model="gpt"}'] == "1"


def test_errors_are_told_by_whose_they_were() -> None:
    found = counted(entry(1, status=502, error_origin="upstream"), entry(2, status=400, error_origin="x"), refused(3))
    assert found['ipin_call_errors_total{provider="acme",model="gpt",origin="upstream"}'] == "1"
    assert found['ipin_call_errors_total{provider="acme",model="gpt",origin="proxy"}'] == "1"
    assert found['ipin_call_errors_total{provider="",model="",origin="proxy"}'] == "1"


def test_a_histogram_counts_what_is_at_most_as_long() -> None:
    found = counted(*(entry(1, latency_ms=ms) for ms in (0, 50, 50.1, 999, 400_000)), entry(2, first_chunk_ms=80.0))
    bucket = "ipin_call_duration_seconds_bucket"
    assert [found[f'{bucket}{{le="{le}"}}'] for le in ("0.05", "0.1", "0.25", "1.0", "300.0", "+Inf")] == [
        *("2", "3", "4", "5", "5", "6"),
    ]
    assert found["ipin_call_duration_seconds_count"] == "6"
    assert float(found["ipin_call_duration_seconds_sum"]) == pytest.approx(401.2196)
    assert found["ipin_first_chunk_seconds_count"] == "1"


@pytest.mark.parametrize("garbage", [-5, math.nan, math.inf, -math.inf, 10**30])
def test_what_makes_no_sense_takes_nothing_back(garbage: float) -> None:
    metrics = Metrics()
    metrics.count(entry(1))
    before = samples(metrics)
    metrics.count(
        entry(
            2,
            **dict.fromkeys(("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost"), garbage),
            latency_ms=garbage,
            first_chunk_ms=garbage,
        )
    )
    after = samples(metrics)
    assert all(float(after[name]) >= float(value) for name, value in before.items())
    assert after['ipin_tokens_total{provider="acme",model="gpt",kind="input"}'] == "100"
    assert after["ipin_call_duration_seconds_sum"] == before["ipin_call_duration_seconds_sum"]


def test_labels_are_bounded() -> None:
    found = counted(*(entry(n, served_model=f"m{n}") for n in range(MOST_PAIRS + 50)), entry(1, served_model="m0"))
    calls = {name: value for name, value in found.items() if name.startswith("ipin_calls_total")}
    assert len(calls) == MOST_PAIRS + 1
    assert calls['ipin_calls_total{provider="other",model="other"}'] == "50"
    assert calls['ipin_calls_total{provider="acme",model="m0"}'] == "2"


def test_labels_are_escaped() -> None:
    metrics = Metrics()
    metrics.count(entry(1, served_model='a"b\\c\nd', provider_id="Grüße"))
    assert 'ipin_calls_total{provider="Grüße",model="a\\"b\\\\c\\nd"} 1' in metrics.text().split("\n")
    assert samples(metrics)


def test_gauges_come_with_their_kind() -> None:
    gauges = (Gauge("up", "Whether.", 1.5), Gauge("lost_total", "So many.", 3, "counter", {"a": "b"}))
    text = Metrics().text(gauges)
    assert text.endswith(
        "# HELP up Whether.\n# TYPE up gauge\nup 1.5\n"
        '# HELP lost_total So many.\n# TYPE lost_total counter\nlost_total{a="b"} 3\n'
    )


def test_threads_lose_no_call() -> None:
    metrics = Metrics()

    def count() -> None:
        for _ in range(2_000):
            metrics.count(entry(1))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert samples(metrics)["ipin_call_duration_seconds_count"] == "8000"
