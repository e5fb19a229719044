"""What is still to be written to a socket that never blocks, in order."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Sequence

Piece = bytes | bytearray | memoryview

JOINED_BYTES = 16 * 1024  # copying so much costs less than a system call that gathers


class Outbox:
    """`size_bytes` is how much is left."""

    __slots__ = ("_pieces", "_sock", "size_bytes")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._pieces: deque[memoryview] = deque()
        self.size_bytes = 0

    def put(self, pieces: Sequence[Piece]) -> None:
        """Write what the socket takes at once, keep the rest. Raises OSError when the connection is broken."""
        if len(pieces) == 1:
            size = len(pieces[0])
        else:
            size = sum(map(len, pieces))
            if size <= JOINED_BYTES:
                pieces = (b"".join(pieces),)
        sent = 0
        if not self._pieces:
            try:
                sent = self._sock.send(pieces[0]) if len(pieces) == 1 else self._sock.sendmsg(pieces)
            except (BlockingIOError, InterruptedError):
                sent = 0
            if sent == size:
                return
        self.size_bytes += size - sent
        for piece in pieces:
            view = memoryview(piece)
            if sent >= len(view):
                sent -= len(view)
            else:
                self._pieces.append(view[sent:] if sent else view)
                sent = 0

    def flush(self) -> bool:
        """Write what the socket takes now; whether it took anything. Raises OSError when the connection is broken."""
        moved = False
        try:
            while self._pieces:
                view = self._pieces[0]
                sent = self._sock.send(view)
                self.size_bytes -= sent
                moved = True
                if sent < len(view):
                    self._pieces[0] = view[sent:]
                    break
                self._pieces.popleft()
        except (BlockingIOError, InterruptedError):
            pass
        return moved

    def clear(self) -> None:
        self._pieces.clear()
        self.size_bytes = 0
