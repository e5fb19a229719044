"""What was measured, and what it is held against: one table of metrics, and the page printed from it.

A metric's samples are kept per target (`direct`, `nginx`, `ours`) and folded into one number at the end, by the median
unless the metric says otherwise. Measures nothing itself.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

RATE_LEVELS = (1, 16, 64)
STREAM_LEVELS = (1, 100, 500, 1000)
TRANSLATED_LEVELS = (1, 100)
VISION_MB = 20
UPLOAD_MB = 25
AT_ONCE = 20
COLUMNS = ("direct", "nginx", "ours", "to direct", "to nginx", "target", "")


@dataclass(frozen=True, slots=True)
class Limit:
    """What our number must keep to: `bound` times nginx's, or `bound` itself; at least it, or at most."""

    bound: float
    times_nginx: bool = False
    at_least: bool = False

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}{' × nginx' if self.times_nginx else ''}"

    def is_kept(self, ours: float, nginx: float) -> bool | None:
        """None when there is nothing to compare with."""
        against = self.bound * nginx if self.times_nginx else self.bound
        if math.isnan(against) or math.isnan(ours):
            return None
        return ours >= against if self.at_least else ours <= against


@dataclass(frozen=True, slots=True)
class Metric:
    """One row: its label, the unit of its numbers, what it must keep to, how samples become one number."""

    label: str
    unit: str
    limit: Limit | None = None
    fold: Callable[[Sequence[float]], float] = statistics.median


def _stream_metrics(count: int) -> dict[str, Metric]:
    most = count == STREAM_LEVELS[-1]
    streams = "1 stream" if count == 1 else f"{count} streams"
    metrics = {
        f"first_p50_{count}": Metric(f"first chunk p50, {streams}", "ms"),
        f"first_p99_{count}": Metric(f"first chunk p99, {streams}", "ms"),
        f"delay_p50_{count}": Metric(f"chunk delay p50, {streams}", "ms"),
        f"delay_p99_{count}": Metric(f"chunk delay p99, {streams}", "ms", Limit(3, times_nginx=True) if most else None),
        f"broken_{count}": Metric(f"broken, {streams}", "", Limit(0), max),
        f"delivered_{count}": Metric(f"delivered, {streams}", "%", Limit(100, at_least=True), min),
        f"pace_{count}": Metric(f"pace the upstream could keep, {streams}", "%"),
    }
    if count >= 500:
        metrics[f"memory_{count}"] = Metric(f"memory each, {streams}", "KB", Limit(25))
    return metrics


def _translated_metrics() -> dict[str, Metric]:
    found = {}
    for count in TRANSLATED_LEVELS:
        streams = "1 stream" if count == 1 else f"{count} streams"
        for what, how in (("streams", "as it came"), ("translated", "translated")):
            found[f"chunk_cpu_{what}_{count}"] = Metric(f"CPU a chunk, {how}, {streams}", "µs")
            found[f"chunk_delay_{what}_{count}"] = Metric(f"chunk delay p50, {how}, {streams}", "ms")
    return found | {"broken_translated": Metric("broken, translated or not", "", Limit(0), max)}


METRICS: dict[str, Metric] = {
    "start_best": Metric("start to first 200, best of 5", "ms", Limit(150), min),
    "start_median": Metric("start to first 200, median of 5", "ms", Limit(150)),
    "first_start": Metric("the very first start, median of 5", "ms"),
    "latency_p50": Metric("latency p50, 1 client", "µs"),
    "latency_p99": Metric("latency p99, 1 client", "µs"),
    "added_p50": Metric("added latency p50, 1 client", "µs", Limit(2, times_nginx=True)),
    "added_p99": Metric("added latency p99, 1 client", "µs"),
    "rate_1": Metric("requests/s, 1 client", "/s"),
    "rate_16": Metric("requests/s, 16 clients", "/s", Limit(0.15, times_nginx=True, at_least=True)),
    "rate_64": Metric("requests/s, 64 clients", "/s", Limit(0.12, times_nginx=True, at_least=True)),
    "rate_16_logged": Metric("requests/s, 16 clients, log info to a file", "/s"),
    "rate_16_again": Metric("requests/s, 16 clients, with a ledger", "/s"),
    "rate_16_unrecorded": Metric("requests/s, 16 clients, without", "/s"),
    "recorded_share": Metric("the former of the latter", "%", Limit(85, at_least=True)),
    "failed": Metric("failed calls", "", Limit(0), max),
    **{name: metric for count in STREAM_LEVELS for name, metric in _stream_metrics(count).items()},
    **_translated_metrics(),
    "idle_rss": Metric("idle memory, RSS", "MB", Limit(25)),
    "idle_pss": Metric("idle memory, PSS", "MB"),
    "idle_anon": Metric("idle memory, anonymous", "MB"),
    "first_rss": Metric("idle memory after the very first start, RSS", "MB", Limit(25)),
    "warm_rss": Metric("memory after the first calls, RSS", "MB"),
    "connections": Metric("1000 idle connections, more memory", "MB", Limit(10)),
    "vision_memory": Metric(f"{VISION_MB} MB vision body, extra peak memory", "MB", Limit(2 * VISION_MB)),
    "vision_memory_at_once": Metric(
        f"{AT_ONCE} of them at once, extra peak memory", "MB", Limit(2 * VISION_MB * AT_ONCE)
    ),
    "vision_time": Metric(f"{VISION_MB} MB vision body, time", "ms", Limit(3, times_nginx=True)),
    "upload_memory": Metric(f"{UPLOAD_MB} MB upload, extra peak memory", "MB", Limit(5)),
    "upload_memory_at_once": Metric(f"{AT_ONCE} of them at once, extra peak memory", "MB", Limit(125)),
    "upload_time": Metric(f"{UPLOAD_MB} MB upload, time", "ms"),
}


@dataclass(slots=True)
class Results:
    """Every sample taken, by metric and target, and what went wrong on the way."""

    samples: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)

    def add(self, metric: str, target: str, value: float) -> None:
        """Remember one sample. `metric` is a name in METRICS, `target` is direct, nginx or ours."""
        self.samples.setdefault(metric, {}).setdefault(target, []).append(value)

    def value(self, metric: str, target: str) -> float:
        """The folded number, NaN when nothing was measured."""
        taken = self.samples.get(metric, {}).get(target)
        return METRICS[metric].fold(taken) if taken else math.nan

    def rows(self) -> list[dict[str, str | float | bool | None]]:
        """One dict for each metric that was measured, in the order of METRICS; numbers that are absent are None."""
        rows: list[dict[str, str | float | bool | None]] = []
        for name, metric in METRICS.items():
            if name not in self.samples:
                continue
            direct, nginx, ours = (self.value(name, target) for target in ("direct", "nginx", "ours"))
            rows.append(
                {
                    "metric": name,
                    "label": metric.label,
                    "unit": metric.unit,
                    "direct": _known(direct),
                    "nginx": _known(nginx),
                    "ours": _known(ours),
                    "to_direct": _known(_ratio(ours, direct)),
                    "to_nginx": _known(_ratio(ours, nginx)),
                    "target": str(metric.limit) if metric.limit else "",
                    "ok": metric.limit.is_kept(ours, nginx) if metric.limit else None,
                }
            )
        return rows


def _ratio(value: float, to: float) -> float:
    return value / to if to else math.nan


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def table(results: Results) -> str:
    """The page: a line per metric, then every trouble met."""
    lines: list[tuple[str, ...]] = [("metric", *COLUMNS)]
    for row in results.rows():
        numbers = [_shown(row[name], str(row["unit"])) for name in ("direct", "nginx", "ours")]
        ratios = [_shown(row[name], "×") for name in ("to_direct", "to_nginx")]
        verdict = {True: "ok", False: "NOT", None: "no yardstick" if row["target"] else ""}[row["ok"]]  # type: ignore[index]
        lines.append((str(row["label"]), *numbers, *ratios, str(row["target"]), verdict))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = [
        "  ".join(
            cell.ljust(width) if i in (0, 6, 7) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([text[0], "-" * len(text[0]), *text[1:], *(f"! {trouble}" for trouble in results.troubles)])


def _shown(value: object, unit: str) -> str:
    if not isinstance(value, float | int):
        return ""
    if unit == "×":
        return "> 999 ×" if value > 999 else f"{value:.3f} ×" if value < 1 else f"{value:.1f} ×"
    digits = 0 if not unit or abs(value) >= 1000 or float(value).is_integer() else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()
