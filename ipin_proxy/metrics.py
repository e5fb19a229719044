"""What a monitoring system reads at `/metrics`: counters of calls, in memory, as Prometheus' text format 0.0.4 has them.

`count` is told of every settled call and costs about a microsecond; counters never go back, and begin at nothing with the
process. Labels are ids of records; a model that has none, at a provider that takes any name, is called what the caller wrote.
They are of so many pairs at most that no list can grow without end.
Who may read it, and what is known of the rest of the house (gauges), is the handler's affair.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from .call import NANO
from .entries import MOST_COST, MOST_COUNT, Entry

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MOST_PAIRS = 200  # of provider and model; what comes later is counted together
OTHER = ("other", "other")
MOST_MS = 10.0**9  # of one call: more is garbage
LATENCIES_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
LATENCIES_MS = [1000 * bound for bound in LATENCIES_S]

Labels = Mapping[str, str]


class Gauge(NamedTuple):
    """A number that somebody else knows; `kind` is counter where it never goes back."""

    name: str
    help: str
    value: float
    kind: str = "gauge"
    labels: Labels = {}


class Sums:
    """What is counted of the calls to one model of one provider. Money is nano-dollars."""

    __slots__ = ("cached", "calls", "cost", "errors", "input", "output", "reasoning", "unknown")

    def __init__(self) -> None:
        self.calls = self.cost = self.unknown = 0
        self.input = self.cached = self.output = self.reasoning = 0
        self.errors: dict[str, int] = {}  # by whose they were


class Histogram:
    """How often a time was at most so many seconds; the last place is for what took longer."""

    __slots__ = ("counts", "total_ms")

    def __init__(self) -> None:
        self.counts = [0] * (len(LATENCIES_S) + 1)
        self.total_ms = 0.0

    def add(self, ms: float) -> None:
        if 0 <= ms <= MOST_MS:  # which is not true of what is no number, either
            self.counts[bisect_left(LATENCIES_MS, ms)] += 1
            self.total_ms += ms
        else:
            self.counts[0] += 1


def sane(value: int, most: int = MOST_COUNT) -> int:
    return value if 0 < value <= most else 0


ORIGINS = frozenset({"client", "proxy", "upstream"})
FAILED = 400


class Metrics:
    """The counters of one process."""

    def __init__(self) -> None:
        self.began_at = time.time()
        self._lock = threading.Lock()
        self._pairs: dict[tuple[str, str], Sums] = {}
        self._latency = Histogram()
        self._first_chunk = Histogram()

    def count(self, entry: Entry) -> None:
        """One settled call more, whoever ended it. Any thread may say so; what makes no sense counts as nothing."""
        first_chunk, cost = entry.first_chunk_ms, entry.cost
        with self._lock:
            sums = self._pairs.get((entry.provider_id, entry.served_model)) or self._sums(entry)
            sums.calls += 1
            if entry.error_origin or entry.status >= FAILED:
                origin = entry.error_origin if entry.error_origin in ORIGINS else "proxy"
                sums.errors[origin] = sums.errors.get(origin, 0) + 1
            if tokens := entry.input_tokens:
                sums.input += sane(tokens)
            if tokens := entry.output_tokens:
                sums.output += sane(tokens)
            if tokens := entry.cached_tokens:
                sums.cached += sane(tokens)
            if tokens := entry.reasoning_tokens:
                sums.reasoning += sane(tokens)
            if cost is None:
                sums.unknown += bool(entry.attempts)
            elif cost:
                sums.cost += sane(cost, MOST_COST)
            self._latency.add(entry.latency_ms)
            if first_chunk is not None:
                self._first_chunk.add(first_chunk)

    def _sums(self, entry: Entry) -> Sums:
        pair = (entry.provider_id, entry.served_model)
        if len(self._pairs) >= MOST_PAIRS:
            pair = OTHER
        return self._pairs.setdefault(pair, Sums())

    def text(self, gauges: Iterable[Gauge] = ()) -> str:
        """All of it, and these gauges, as the text that is scraped."""
        with self._lock:
            pairs = sorted(self._pairs.items())
            told = [({"provider": provider, "model": model}, sums) for (provider, model), sums in pairs]
            lines = [
                *family(
                    "ipin_calls_total", "AI calls that have ended.", [(labels, sums.calls) for labels, sums in told]
                ),
                *family(
                    "ipin_call_errors_total",
                    "AI calls that failed, by whose fault it was: client, proxy or upstream.",
                    [
                        ({**labels, "origin": origin}, calls)
                        for labels, sums in told
                        for origin, calls in sorted(sums.errors.items())
                    ],
                ),
                *family(
                    "ipin_tokens_total",
                    "Tokens of AI calls. Cached ones are part of the input, reasoning is part of the output.",
                    [
                        ({**labels, "kind": kind}, getattr(sums, kind))
                        for labels, sums in told
                        for kind in ("input", "cached", "output", "reasoning")
                    ],
                ),
                *family(
                    "ipin_cost_usd_total",
                    "What AI calls have cost in US dollars, as far as it is known.",
                    [(labels, dollars(sums.cost)) for labels, sums in told],
                ),
                *family(
                    "ipin_calls_of_unknown_cost_total",
                    "AI calls for which nobody knows what they cost.",
                    [(labels, sums.unknown) for labels, sums in told],
                ),
                *histogram("ipin_call_duration_seconds", "How long AI calls took.", self._latency),
                *histogram(
                    "ipin_first_chunk_seconds", "How long it took until streams began to answer.", self._first_chunk
                ),
            ]
        for gauge in gauges:
            lines += family(gauge.name, gauge.help, [(gauge.labels, gauge.value)], gauge.kind)
        return "\n".join([*lines, ""])


# -- the format -------------------------------------------------------------------------------------------------------


def family(
    name: str, about: str, samples: Sequence[tuple[Labels, float | str]], kind: str = "counter"
) -> Iterable[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        yield f"{name}{labelled(labels)} {number(value)}"


def histogram(name: str, about: str, found: Histogram) -> Iterable[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} histogram"
    so_far = 0
    for bound, count in zip((*map(str, LATENCIES_S), "+Inf"), found.counts, strict=True):
        so_far += count
        yield f"{name}_bucket{labelled({'le': bound})} {so_far}"
    yield f"{name}_sum {number(found.total_ms / 1000)}"
    yield f"{name}_count {so_far}"


def labelled(labels: Labels) -> str:
    inner = ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items())
    return f"{{{inner}}}" if inner else ""


def escaped(value: str) -> str:
    """A label's value: any text, with these three escaped."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def number(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) else f"{value:.6f}".rstrip("0").rstrip(".")


def dollars(nano: int) -> str:
    """All nine places, so that sums of what is tiny do not stand still."""
    return f"{nano // NANO}.{nano % NANO:09d}"
