"""A long answer that is made piece by piece where it may take its time, and goes out as fast as it is read, never whole in memory.

A thread of its own makes the pieces and writes them into a pair of sockets; the loop moves them from the other end to the
caller, as it does with the reply of a provider. Who reads slowly makes the thread wait, who leaves makes it end.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping

from .dialects.passage import Passage
from .errors import Unavailable
from .web.response import Response, Stream

MOST_AT_ONCE = 4
FIRST_PIECE_S = 20.0  # to wait for it, so that a failure to begin is a status
SILENCE_S = 600.0
READ_BYTES = 64 * 1024

_places = threading.BoundedSemaphore(MOST_AT_ONCE)


def answer(pieces: Iterator[bytes], headers: Mapping[str, str]) -> Response:
    """A Response with these pieces as its body. Raises what the making of the first piece raised, and Unavailable when there
    are too many at once. Not for the loop's thread."""
    if not _places.acquire(blocking=False):
        raise Unavailable("Several exports are running. Try again when one of them has ended.", code="overloaded")
    try:
        download = Download(pieces)
        threading.Thread(target=download.run, name="download", daemon=True).start()
    except (OSError, RuntimeError) as error:  # no descriptors, or no threads
        _places.release()
        raise Unavailable("The server has too much to do for an export. Try again.", code="overloaded") from error
    download.wait()
    return Response(200, headers, stream=Stream(download, Passage(), at_end=nothing, silence_s=SILENCE_S))


def nothing(error: Exception | None) -> None:
    """There is nothing to settle."""


class Download:
    """The pieces as the loop reads them (`web.response.Source`). Holds one of the places until the thread has ended."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._inlet: socket.socket
        self.sock, self._inlet = socket.socketpair()
        self.sock.setblocking(False)
        self._has_begun = threading.Event()
        self._error: Exception | None = None

    def wait(self) -> None:
        """Until there is a first piece. Raises what comes instead of it."""
        self._has_begun.wait(FIRST_PIECE_S)
        if self._error is not None:
            self.close()
            raise self._error

    def run(self) -> None:
        """Make the pieces, to their end or until nobody reads on."""
        try:
            for piece in self._pieces:
                self._has_begun.set()
                try:
                    self._inlet.sendall(piece)
                except OSError:  # the other end is closed: nobody reads on
                    break
        except Exception as error:  # noqa: BLE001 it belongs to whoever reads
            self._error = error
        finally:
            with contextlib.suppress(Exception):
                self._pieces.close()  # type: ignore[attr-defined]  # a generator, which has a file open
            self._inlet.close()
            self._has_begun.set()
            _places.release()

    def read_ready(self) -> bytes | None:
        try:
            data = self.sock.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return b""
        if data:
            return data
        if self._error is not None:
            raise self._error
        return None

    def has_more(self) -> bool:
        return False

    def close(self) -> None:
        self.sock.close()
