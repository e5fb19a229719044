"""The provider of the benchmark: answers at once, or streams a chunk every 20 ms with the time of its sending in it.

Knows the paths a proxy calls and nothing about proxies. Reads every request body to its end and throws it away.
Never the bottleneck on purpose: one wheel of 1 ms slots drives all streams, and a chunk is one formatted write.
Runs as a process of its own (`python upstream.py PORT`) and leaves when its standard input closes, that is, when
the benchmark ends, however it ends.
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
import sys
import time
from typing import cast

INTERVAL_MS = 20
TICK_S = 0.001
CHAT_REPLY = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "bench",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Three quiet words."},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 24, "completion_tokens": 4, "total_tokens": 28},
    }
)
IMAGE_REPLY = json.dumps({"created": 1700000000, "data": [{"b64_json": "aGVsbG8="}]})

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CHUNKS_WANTED = re.compile(rb'"max_tokens": ?(\d+)')
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"


def _frame(choices: str, usage: str = "") -> bytes:
    text = (
        f'data: {{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench",{usage}'
    )
    return (text + f'"choices":[{choices}]}}\n\n').encode()


def _chunked(frame: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(frame), frame)


# "@<nanoseconds> <number>" is what load.py looks for; fixed widths keep the chunk size a constant.
_WORD = '{"index":0,"delta":{"content":"@%019d %06d "},"finish_reason":null}'
_CHUNK_TEMPLATE = b"%x\r\n%s\r\n" % (len(_frame(_WORD) % (0, 0)), _frame(_WORD))
_LAST = _chunked(_frame('{"index":0,"delta":{},"finish_reason":"stop"}'))
_USAGE = _chunked(_frame("", '"usage":{"prompt_tokens":24,"completion_tokens":9,"total_tokens":33},'))
_DONE = _chunked(b"data: [DONE]\n\n") + b"0\r\n\r\n"


def reply_bytes(body: str) -> bytes:
    """A whole HTTP/1.1 200 reply with `body` as its JSON."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


class Wheel:
    """All running streams, in 20 slots of 1 ms; a stream stays in the slot of the millisecond it began in."""

    def __init__(self) -> None:
        self.slots: list[set[Stream]] = [set() for _ in range(INTERVAL_MS)]
        self.now = 0

    def join(self, stream: Stream) -> None:
        self.slots[self.now].add(stream)

    def leave(self, stream: Stream) -> None:
        for slot in self.slots:
            slot.discard(stream)

    async def turn(self) -> None:
        """Turn for ever. When the machine is too slow the wheel runs late and catches up; it never skips a chunk."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += TICK_S
            await asyncio.sleep(max(0.0, due - loop.time()))
            self.now = (self.now + 1) % INTERVAL_MS
            for stream in tuple(self.slots[self.now]):
                if not stream.send_chunk():
                    self.slots[self.now].discard(stream)


class Stream:
    """One streamed reply: `count` stamped chunks, then finish reason, usage if asked for, and [DONE]."""

    def __init__(self, transport: asyncio.Transport, count: int, wants_usage: bool) -> None:
        self.transport = transport
        self.count = count
        self.sent = 0
        self.ending = _LAST + (_USAGE if wants_usage else b"") + _DONE

    def send_chunk(self, before: bytes = b"") -> bool:
        """Send the next chunk, or the ending; False when there is nothing more to send."""
        if self.transport.is_closing():
            return False
        if self.sent == self.count:
            self.transport.write(before + self.ending)
            return False
        chunk = _CHUNK_TEMPLATE % (time.monotonic_ns(), self.sent)
        self.sent += 1
        self.transport.write(before + chunk if before else chunk)
        return True


class Connection(asyncio.Protocol):
    """One keep-alive connection from a proxy or client."""

    def __init__(self, wheel: Wheel) -> None:
        self.wheel = wheel
        self.head = b""
        self.body_start = b""
        self.left = 0
        self.stream: Stream | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.stream:
            self.wheel.leave(self.stream)

    def data_received(self, data: bytes) -> None:
        if self.left:
            self.left -= len(data)
            if len(self.body_start) < 4096:
                self.body_start += data[:4096]
        else:
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            self.body_start = self.head[end + 4 :]
            self.head = self.head[:end]
            length = _LENGTH.search(self.head)
            self.left = (int(length[1]) if length else 0) - len(self.body_start)
        if self.left <= 0:
            self.left = 0
            self.answer(self.head, self.body_start)
            self.head = self.body_start = b""

    def answer(self, head: bytes, body_start: bytes) -> None:
        if b"\r\ntransfer-encoding:" in head.lower():
            self.transport.write(b"HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self.transport.close()
        elif b'"stream":true' in body_start or b'"stream": true' in body_start:
            wanted = _CHUNKS_WANTED.search(body_start)
            self.stream = Stream(self.transport, int(wanted[1]) if wanted else 1, b'"include_usage"' in body_start)
            self.stream.send_chunk(_HEAD)
            self.wheel.join(self.stream)
        elif b"/images/" in head.split(b"\r\n", 1)[0]:
            self.transport.write(_IMAGE_BYTES)
        else:
            self.transport.write(_CHAT_BYTES)


_CHAT_BYTES = reply_bytes(CHAT_REPLY)
_IMAGE_BYTES = reply_bytes(IMAGE_REPLY)


async def serve(port: int) -> None:
    """Listen on 127.0.0.1:`port` until standard input is closed."""
    loop = asyncio.get_running_loop()
    wheel = Wheel()
    server = await loop.create_server(lambda: Connection(wheel), "127.0.0.1", port, backlog=2048)
    closed = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), closed.set)
    turning = asyncio.ensure_future(wheel.turn())
    gc.disable()
    await closed.wait()
    turning.cancel()
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
