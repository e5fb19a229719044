"""The clients of the benchmark: one that asks one call after the other, many at once, and many streams at once.

Knows HTTP only as far as these replies need it, so that what is measured is the server and not the client.
Runs as a process of its own (`python load.py latency|rate|streams --port N ...`), prints one JSON line at the end and
nothing else, except that `streams` prints `open` when every stream has had its first chunk or has failed.
"""

from __future__ import annotations

import argparse
import bisect
import gc
import itertools
import json
import re
import selectors
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

CHAT_PATH = "/v1/chat/completions"
MESSAGES_PATH = "/v1/messages"
OPENINGS_PER_S = 500
INTERVAL_S = 0.020
PATIENCE_S = 10.0

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_STAMP = re.compile(rb'"(?:content|text)": ?"@(\d{19}) (\d{6}) "')
LAST_WORDS = (b"data: [DONE]\n\n", b'"message_stop"}\n\n')

WRK_SCRIPT = """
wrk.method, wrk.body = "POST", [[%s]]
wrk.headers["Content-Type"], wrk.headers["Authorization"] = "application/json", "Bearer %s"
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('{"per_s": %%f, "failed": %%d}\\n', summary.requests / summary.duration * 1e6,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


def chat_body(model: str, chunks: int = 0) -> bytes:
    """A small chat request, as a person's first question would be; `chunks` > 0 asks for that many streamed ones."""
    body = {
        "model": model,
        "messages": [
            {"role": "system", "content": "You answer briefly and kindly."},
            {"role": "user", "content": "Say three quiet words about the sea, and nothing else."},
        ],
        "temperature": 0.7,
    }
    if chunks:
        body |= {"stream": True, "max_tokens": chunks}
    return json.dumps(body).encode()


def messages_body(model: str, chunks: int) -> bytes:
    """The same question as a client of Anthropic's API puts it; its stream has to be translated, there and back."""
    asked: dict[str, object] = json.loads(chat_body(model, chunks))
    system, *messages = asked["messages"]  # type: ignore[misc]
    return json.dumps(asked | {"system": system["content"], "messages": messages}).encode()


def request_bytes(port: int, key: str, body: bytes, path: str = CHAT_PATH, kind: str = "application/json") -> bytes:
    """A whole POST request with its body."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: {kind}\r\nAccept: */*\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def connect(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def exchange(sock: socket.socket, request: bytes) -> bytes:
    """Send one request, read one reply that says its length; returns the reply. Raises OSError if none comes."""
    sock.sendall(request)
    reply = b""
    while not _is_whole(reply):
        data = sock.recv(65536)
        if not data:
            raise ConnectionError(f"the server hung up after {len(reply)} bytes of its reply")
        reply += data
    return reply


def _is_whole(reply: bytes) -> bool:
    end = reply.find(b"\r\n\r\n")
    if end < 0:
        return False
    length = _LENGTH.search(reply, 0, end)
    return reply.endswith(b"0\r\n\r\n") if length is None else len(reply) >= end + 4 + int(length[1])


def percentile(values: list[float], part: float) -> float:
    """The value below which `part` (0 to 1) of the sorted `values` lie."""
    return values[min(len(values) - 1, int(len(values) * part))] if values else float("nan")


# One client, one call after the other.


def measure_latency(port: int, request: bytes, seconds: float) -> dict[str, float]:
    """p50 and p99 of a whole call, in µs, over one keep-alive connection; the first tenth warms up."""
    sock = connect(port)
    start = time.perf_counter()
    times: list[float] = []
    failed = 0
    while (now := time.perf_counter()) - start < seconds * 1.1:
        reply = exchange(sock, request)
        if now - start > seconds * 0.1:
            times.append((time.perf_counter() - now) * 1e6)
            failed += not reply.startswith(b"HTTP/1.1 200")
    sock.close()
    times.sort()
    return {"p50": percentile(times, 0.5), "p99": percentile(times, 0.99), "calls": len(times), "failed": failed}


# Many clients, as fast as they are answered: wrk, or plain Python that gets in its own way sooner.


def measure_rate_with_wrk(
    port: int, key: str, body: bytes, clients: int, seconds: float, folder: Path
) -> dict[str, float]:
    """Calls per second at `clients` keep-alive connections, by wrk."""
    script = folder / "post.lua"
    script.write_text(WRK_SCRIPT % (body.decode(), key))
    wrk = shutil.which("wrk") or "wrk"
    command = [wrk, "-t1", f"-c{clients}", f"-d{max(1, round(seconds))}s", "--timeout", "5s", "-s", str(script)]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}{CHAT_PATH}"],
        capture_output=True,
        text=True,
        timeout=seconds + 30,
        check=True,
    )
    result: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def measure_rate(port: int, request: bytes, clients: int, seconds: float) -> dict[str, float]:
    """The same in plain Python: one selector, `clients` connections, one request in flight on each."""
    selector = selectors.DefaultSelector()
    for _ in range(clients):
        sock = connect(port)
        selector.register(sock, selectors.EVENT_READ, [b""])
        sock.sendall(request)
    start = time.perf_counter()
    calls = failed = 0
    while (now := time.perf_counter()) - start < seconds and selector.get_map():
        for ready, _ in selector.select(timeout=seconds):
            held: list[bytes] = ready.data
            data = _socket_of(ready).recv(65536)
            held[0] += data
            if not data:
                failed += 1
                selector.unregister(ready.fileobj)
            elif _is_whole(held[0]):
                calls += 1
                failed += not held[0].startswith(b"HTTP/1.1 200")
                held[0] = b""
                _socket_of(ready).sendall(request)
    return {"per_s": calls / (now - start), "failed": failed}


def _socket_of(key: selectors.SelectorKey) -> socket.socket:
    assert isinstance(key.fileobj, socket.socket)
    return key.fileobj


# Many streams.


@dataclass(slots=True)
class Stream:
    """One streamed call; `pieces` is what arrived and when (monotonic ns), read only after the run."""

    sock: socket.socket
    request: bytes
    chunks: int
    began_ns: int
    pieces: list[tuple[int, bytes]] = field(default_factory=list)


class StreamClient:
    """Opens `count` streams, 500 a second, reads them all until they end; later ones are shorter, so all end together."""

    def __init__(self, port: int, count: int, seconds: float, request_for: Callable[[int], bytes]) -> None:
        self.port = port
        self.count = count
        self.length_s = count / OPENINGS_PER_S + seconds
        self.request_for = request_for
        self.selector = selectors.DefaultSelector()
        self.streams: list[Stream] = []
        self.unopened = count

    def run(self) -> None:
        start = time.monotonic()
        give_up = start + self.length_s + PATIENCE_S
        said = False
        while True:
            now = time.monotonic()
            while len(self.streams) < min(self.count, (now - start) * OPENINGS_PER_S + 1):
                self._open(self.length_s - len(self.streams) / OPENINGS_PER_S)
            opening = len(self.streams) < self.count
            for ready, _ in self.selector.select(timeout=0.002 if opening else 0.5):
                self._serve(ready.data)
            if not said and not self.unopened:
                said = True
                print("open", flush=True)
            if not opening and (not self.selector.get_map() or now > give_up):
                return

    def _open(self, length_s: float) -> None:
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        chunks = max(1, int(length_s / INTERVAL_S))
        stream = Stream(sock, self.request_for(chunks), chunks, time.monotonic_ns())
        self.streams.append(stream)
        sock.connect_ex(("127.0.0.1", self.port))
        self.selector.register(sock, selectors.EVENT_WRITE, stream)

    def _serve(self, stream: Stream) -> None:
        try:
            if stream.request:
                stream.sock.sendall(stream.request)
                stream.request = b""
                self.selector.modify(stream.sock, selectors.EVENT_READ, stream)
                return
            data = stream.sock.recv(65536)
        except OSError:
            data = b""
        if data:
            self.unopened -= not stream.pieces
            stream.pieces.append((time.monotonic_ns(), data))
        if not data or data.endswith(b"0\r\n\r\n"):
            self.unopened -= not stream.pieces
            self.selector.unregister(stream.sock)
            stream.sock.close()


@dataclass(frozen=True, slots=True)
class Chunk:
    """One stamped chunk: when the upstream sent it and when we had all of it (monotonic ns)."""

    number: int
    sent_ns: int
    came_ns: int


@dataclass(frozen=True, slots=True)
class Received:
    """What one stream got: its stamped chunks in order, and whether its last words and the last HTTP chunk came."""

    stream: Stream
    chunks: list[Chunk]
    is_whole: bool


def examine(stream: Stream) -> Received:
    """Find the stamped chunks in what arrived. Undoes the chunked coding, whose borders may fall anywhere."""
    raw = b"".join(data for _, data in stream.pieces)
    piece_ends = list(itertools.accumulate(len(data) for _, data in stream.pieces))
    ends: list[int] = []
    shifts: list[int] = []
    is_last = False
    at = raw.find(b"\r\n\r\n") + 4
    parts: list[bytes] = []
    total = 0
    while not is_last and (line_end := raw.find(b"\r\n", at)) > at >= 4:
        size = int(raw[at:line_end].split(b";")[0], 16)
        is_last = size == 0
        at = line_end + 2
        shifts.append(at - total)
        parts.append(raw[at : at + size])
        total += size
        ends.append(total)
        at += size + 2
    text = b"".join(parts)
    chunks: list[Chunk] = []
    for stamp in _STAMP.finditer(text):
        end = text.find(b"\n\n", stamp.end()) + 2
        if end >= 2:
            raw_end = end + shifts[bisect.bisect_left(ends, end)]
            chunks.append(
                Chunk(int(stamp[2]), int(stamp[1]), stream.pieces[bisect.bisect_left(piece_ends, raw_end)][0])
            )
    return Received(stream, chunks, is_last and text.endswith(LAST_WORDS))


def measure_streams(client: StreamClient) -> dict[str, float]:
    """Run the streams; delays in ms, taken while all of them were open, the first chunk's from before connecting."""
    gc.disable()
    client.run()
    received = [examine(stream) for stream in client.streams]
    heard = [r for r in received if r.chunks]
    all_open_ns = max((r.chunks[0].came_ns for r in heard), default=0)
    first_end_ns = min((r.chunks[-1].sent_ns for r in heard), default=0)
    first = sorted((r.chunks[0].came_ns - r.stream.began_ns) / 1e6 for r in heard)
    steady = [c for r in heard for c in r.chunks if all_open_ns <= c.sent_ns <= first_end_ns and c.number]
    delays = sorted((c.came_ns - c.sent_ns) / 1e6 for c in steady)
    in_order = sum(sum(c.number == i for i, c in enumerate(r.chunks)) for r in received)
    nominal = client.count * max(first_end_ns - all_open_ns, 1) / 1e9 / INTERVAL_S
    return {
        "first_p50": percentile(first, 0.5),
        "first_p99": percentile(first, 0.99),
        "delay_p50": percentile(delays, 0.5),
        "delay_p99": percentile(delays, 0.99),
        "broken": sum(not (r.is_whole and len(r.chunks) == r.stream.chunks) for r in received),
        "delivered": 100 * in_order / sum(r.stream.chunks for r in received),
        "pace": 100 * len(delays) / nominal,
        "chunks": sum(len(r.chunks) for r in received),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["latency", "rate", "streams", "translated"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", default="")
    parser.add_argument("--model", required=True)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.0)
    args = parser.parse_args()

    def request_for(chunks: int = 0) -> bytes:
        return request_bytes(args.port, args.key, chat_body(args.model, chunks))

    if args.what == "latency":
        result = measure_latency(args.port, request_for(), args.seconds)
    elif args.what == "rate":
        result = measure_rate(args.port, request_for(), args.clients, args.seconds)
    elif args.what == "translated":

        def in_messages(chunks: int) -> bytes:
            return request_bytes(args.port, args.key, messages_body(args.model, chunks), MESSAGES_PATH)

        result = measure_streams(StreamClient(args.port, args.clients, args.seconds, in_messages))
    else:
        result = measure_streams(StreamClient(args.port, args.clients, args.seconds, request_for))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
