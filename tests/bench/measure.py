"""The measurements, one function for each part of the benchmark; they fill Results and return nothing.

Each takes the parties in turn, ours, nginx, direct, round after round, so that a noisy moment of the machine falls on
all of them. Knows how to ask and what to read in /proc; starts processes only through Children.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import load
from children import HERE, KEY, BenchError, Children, Proxy, Target, Yardstick
from report import AT_ONCE, TRANSLATED_LEVELS, UPLOAD_MB, VISION_MB, Results

STARTS = 5
BODY_REPEATS = 3
REST_S, REST_PATIENCE_S = 0.6, 8.0  # longer than calls gather before they are written
SETTLE_S = 0.6  # what a start leaves to a thread of its own is done by then
IDLE_CONNECTIONS = 1000
BOUNDARY = "bench-7d1f0c2e"
CHAT, STREAM, IMAGE = "bench-chat-quick", "bench-chat-paced", "bench-image-paced"


@dataclass(frozen=True, slots=True)
class Bench:
    """What every measurement needs: the parties, how long, how often, and where the numbers go."""

    children: Children
    direct: Target
    proxy: Proxy
    yardstick: Yardstick | None
    use_wrk: bool
    rounds: int
    seconds: float
    rate_levels: tuple[int, ...]
    stream_levels: tuple[int, ...]
    results: Results

    @property
    def contestants(self) -> list[Proxy | Yardstick]:
        return [self.proxy, self.yardstick] if self.yardstick else [self.proxy]


# /proc


def memory_kb(pid: int) -> dict[str, int]:
    """Rss, Pss and Pss_Anon (and the rest of smaps_rollup) of a process, in KB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name: int(rest.split()[0]) for name, rest in (line.split(":", 1) for line in lines)}


@contextlib.contextmanager
def extra_peak_mb(pid: int) -> Iterator[list[float]]:
    """Yields a list that holds, after the block, how much the peak RSS in it lay above the RSS before it, in MB."""
    found: list[float] = []
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # resets VmHWM to the present RSS, see proc(5)
    before = _high_water_kb(pid)
    yield found
    found.append((_high_water_kb(pid) - before) / 1024)


def _high_water_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:", 1)[1].split()[0])


# Calls made from here


def post(port: int, body: bytes, path: str = load.CHAT_PATH, kind: str = "application/json") -> float:
    """One call over a connection of its own; returns its seconds. Raises BenchError for any answer but 200."""
    request = load.request_bytes(port, KEY, body, path, kind)
    try:
        with load.connect(port) as sock:
            start = time.perf_counter()
            reply = load.exchange(sock, request)
            took = time.perf_counter() - start
    except OSError as error:
        raise BenchError(f"POST {path} with {len(body):,} bytes failed: {error}") from error
    if not reply.startswith(b"HTTP/1.1 200"):
        raise BenchError(f"POST {path} with {len(body):,} bytes was answered {reply[:600]!r}")
    return took


def warm_up(target: Target) -> None:
    """A plain call and a short stream, so that whatever is loaded at first use is loaded."""
    for _ in range(3):
        post(target.quick_port, load.chat_body(CHAT))
        post(target.paced_port, load.chat_body(STREAM, chunks=2))


@contextlib.contextmanager
def settled(contestant: Proxy | Yardstick) -> Iterator[Target]:
    """A fresh one that has loaded what it loads and finished what it began, so that its memory holds still."""
    with contestant.fresh() as target:
        warm_up(target)
        time.sleep(SETTLE_S)
        yield target


def run_load(bench: Bench, what: str, port: int, model: str, clients: int, seconds: float) -> dict[str, float]:
    """One run of load.py in a process of its own."""
    with _load_process(what, port, model, clients, seconds) as client:
        return _last_words(client)


@contextlib.contextmanager
def _load_process(what: str, port: int, model: str, clients: int, seconds: float) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(HERE / "load.py"), what, "--port", str(port), "--key", KEY, "--model", model]
    command += ["--clients", str(clients), "--seconds", str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
        try:
            yield client
        finally:
            if client.poll() is None:
                client.kill()


def _last_words(client: subprocess.Popen[str]) -> dict[str, float]:
    said, _ = client.communicate(timeout=120)
    if client.returncode:
        raise BenchError(f"the client failed with exit {client.returncode}; its message is above")
    words: dict[str, float] = json.loads(said.strip().splitlines()[-1])
    return words


def cpu_us(pid: int) -> float:
    """What a process has used of the processor so far, in microseconds; a tick is 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1e6 / os.sysconf("SC_CLK_TCK")


def rest(targets: Iterable[Target]) -> None:
    """Wait until nobody does any more of what the load before has left to be done, such as writing: it would be counted as
    somebody else's. Not for ever."""
    pids = [target.pid for target in targets if target.pid]
    until = time.monotonic() + REST_PATIENCE_S
    before, now = -1.0, sum(map(cpu_us, pids))
    while now != before and time.monotonic() < until:
        time.sleep(REST_S)
        before, now = now, sum(map(cpu_us, pids))


# Start-up


def measure_start(bench: Bench) -> None:
    """From spawn to the first 200 of /health: with a database in use, and with one that still lacks its administrator
    (a password is hashed then). One start before them all fills the bytecode cache."""
    bench.proxy.used_database()
    for _ in range(STARTS):
        for database, metrics in (
            (bench.proxy.used_database(), ("start_best", "start_median")),
            (bench.proxy.new_database(), ("first_start",)),
        ):
            child, _, seconds = bench.proxy.launch(database)
            bench.children.end(child)
            for metric in metrics:
                bench.results.add(metric, "ours", seconds * 1000)


# Latency and rates


def measure_rates(bench: Bench) -> None:
    """Latency at one client, requests per second at 1, 16 and 64, and at 16 with a log line per call, or without a ledger."""
    log = bench.children.folder / "calls.log"
    with contextlib.ExitStack() as stack:
        targets = [stack.enter_context(each.fresh()) for each in bench.contestants] + [bench.direct]
        logged = stack.enter_context(bench.proxy.fresh(LOG_LEVEL="info", LOG_FILE=str(log)))
        unrecorded = stack.enter_context(bench.proxy.fresh(LEDGER="off"))
        everybody = (*targets, logged, unrecorded)
        for target in everybody:
            warm_up(target)
        for _ in range(bench.rounds):
            _one_round_of_latency(bench, targets)
            for clients in bench.rate_levels:
                for target in targets:
                    rest(everybody)
                    _add_rate(bench, f"rate_{clients}", target, clients)
            found: list[float] = []
            for metric, target in (
                ("rate_16_logged", logged),
                ("rate_16_again", targets[0]),
                ("rate_16_unrecorded", unrecorded),
            ):
                rest(everybody)
                found.append(_add_rate(bench, metric, target, 16))
            _, recorded, without = found
            bench.results.add("recorded_share", targets[0].name, 100 * recorded / without)


def _one_round_of_latency(bench: Bench, targets: list[Target]) -> None:
    found: dict[str, dict[str, float]] = {}
    for target in targets:
        found[target.name] = run_load(bench, "latency", target.quick_port, CHAT, 1, bench.seconds)
        bench.results.add("failed", target.name, found[target.name]["failed"])
    for part in ("p50", "p99"):
        for name, result in found.items():
            bench.results.add(f"latency_{part}", name, result[part])
            if name != "direct":
                bench.results.add(f"added_{part}", name, result[part] - found["direct"][part])


def _add_rate(bench: Bench, metric: str, target: Target, clients: int) -> float:
    if bench.use_wrk:
        result = load.measure_rate_with_wrk(
            target.quick_port, KEY, load.chat_body(CHAT), clients, bench.seconds, bench.children.folder
        )
    else:
        result = run_load(bench, "rate", target.quick_port, CHAT, clients, bench.seconds)
    bench.results.add(metric, target.name, result["per_s"])
    bench.results.add("failed", target.name, result["failed"])
    return float(result["per_s"])


# Streams


def measure_streams(bench: Bench) -> None:
    """First-chunk and chunk delays, losses, and memory for each stream, every run against a fresh process."""
    for _ in range(bench.rounds):
        for count in bench.stream_levels:
            for contestant in bench.contestants:
                with settled(contestant) as target:
                    _one_stream_run(bench, target, count)
            _one_stream_run(bench, bench.direct, count)


def _one_stream_run(bench: Bench, target: Target, count: int) -> None:
    before = memory_kb(target.pid)["Rss"] if target.pid else 0
    most = 0
    with _load_process("streams", target.paced_port, STREAM, count, bench.seconds) as client:
        assert client.stdout
        client.stdout.readline()  # `open`: all streams run from here on
        until = time.monotonic() + bench.seconds * 0.8
        while target.pid and time.monotonic() < until:
            most = max(most, memory_kb(target.pid)["Rss"])
            time.sleep(0.2)
        result = _last_words(client)
    for name, value in result.items():
        bench.results.add(f"{name}_{count}", target.name, value)
    if target.pid and count >= 500:
        bench.results.add(f"memory_{count}", target.name, (most - before) / count)


def measure_translated(bench: Bench) -> None:
    """What a chunk costs the proxy in CPU time, and how long it takes, as it came and translated to another dialect."""
    for _ in range(bench.rounds):
        for count in TRANSLATED_LEVELS:
            for what in ("streams", "translated"):
                with settled(bench.proxy) as target:
                    before = cpu_us(target.pid)
                    result = run_load(bench, what, target.paced_port, STREAM, count, bench.seconds)
                    used = cpu_us(target.pid) - before
                bench.results.add(f"chunk_cpu_{what}_{count}", target.name, used / max(1, result["chunks"]))
                bench.results.add(f"chunk_delay_{what}_{count}", target.name, result["delay_p50"])
                bench.results.add("broken_translated", target.name, result["broken"])


# Memory


def measure_memory(bench: Bench) -> None:
    """Idle memory, idle connections, and the peaks of two large bodies, alone and many at once, each in a fresh process."""
    child, _, _ = bench.proxy.launch(bench.proxy.new_database())
    time.sleep(SETTLE_S)
    bench.results.add("first_rss", bench.proxy.name, memory_kb(child.pid)["Rss"] / 1024)
    bench.children.end(child)
    vision, upload = vision_body(VISION_MB), upload_body(UPLOAD_MB)
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    for contestant in bench.contestants:
        with contestant.fresh() as target:
            _measure_idle(bench, target)
        for name, call in (("vision", (vision,)), ("upload", (upload, "/v1/images/edits", kind))):
            with settled(contestant) as target:
                with extra_peak_mb(target.pid) as peak:
                    post(target.paced_port, *call)
                bench.results.add(f"{name}_memory", target.name, peak[0])
            with settled(contestant) as target, ThreadPoolExecutor(AT_ONCE) as callers:
                with extra_peak_mb(target.pid) as peak:
                    for each in [callers.submit(post, target.paced_port, *call) for _ in range(AT_ONCE)]:
                        each.result()
                bench.results.add(f"{name}_memory_at_once", target.name, peak[0])
    with contextlib.ExitStack() as stack:
        targets = [stack.enter_context(each.fresh()) for each in bench.contestants] + [bench.direct]
        for _ in range(BODY_REPEATS * bench.rounds):
            for target in targets:
                bench.results.add("vision_time", target.name, post(target.paced_port, vision) * 1000)
                took = post(target.paced_port, upload, "/v1/images/edits", kind)
                bench.results.add("upload_time", target.name, took * 1000)


def _measure_idle(bench: Bench, target: Target) -> None:
    time.sleep(SETTLE_S)
    idle = memory_kb(target.pid)
    for metric, name in (("idle_rss", "Rss"), ("idle_pss", "Pss"), ("idle_anon", "Pss_Anon")):
        bench.results.add(metric, target.name, idle[name] / 1024)
    warm_up(target)
    before = memory_kb(target.pid)["Rss"]
    bench.results.add("warm_rss", target.name, before / 1024)
    request = f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{target.quick_port}\r\n\r\n".encode()
    held: list[socket.socket] = []
    try:
        for _ in range(IDLE_CONNECTIONS):
            held.append(load.connect(target.quick_port))
            load.exchange(held[-1], request)
        after = memory_kb(target.pid)["Rss"]
    finally:
        for sock in held:
            sock.close()
    bench.results.add("connections", target.name, (after - before) / 1024)


# Large bodies


def png(size_bytes: int) -> bytes:
    """A valid PNG of about `size_bytes`: noise, stored without compression, the same every time."""
    side = int((size_bytes / 3) ** 0.5)
    noise = random.Random(1)
    rows = b"".join(b"\0" + noise.randbytes(side * 3) for _ in range(side))

    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(rows, 0)) + part(b"IEND", b"")


def vision_body(size_mb: int) -> bytes:
    """A chat request of `size_mb` in all, nearly all of it one picture in base64."""
    picture = base64.b64encode(png(size_mb * 1024 * 1024 * 3 // 4)).decode()
    question = [
        {"type": "text", "text": "What is in this picture?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}},
    ]
    return json.dumps({"model": STREAM, "messages": [{"role": "user", "content": question}]}).encode()


def upload_body(size_mb: int) -> bytes:
    """A multipart form as the official SDK sends it for images/edits, with a picture of `size_mb`."""
    fields = "".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (("model", IMAGE), ("prompt", "Make the sea calmer."))
    )
    fields += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="sea.png"\r\n'
    fields += "Content-Type: image/png\r\n\r\n"
    return fields.encode() + png(size_mb * 1024 * 1024) + f"\r\n--{BOUNDARY}--\r\n".encode()
