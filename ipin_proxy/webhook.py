"""Tells an address of the administrator's (WEBHOOK_URL) when 80 and 100 % of a budget are used.

`tell` puts a message into a short queue and returns; a thread that lives as long as there is something to send posts it,
tries a few times, and gives up with a line in the log. The body is JSON, signed with WEBHOOK_SECRET when there is one. Where
it goes is the administrator's affair, but it goes nowhere else: redirects are not followed, and no log says the address,
which may be a secret.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from . import __version__
from .connections import Connections, Origin, reason_of
from .errors import ProxyError
from .limits import Alert
from .logs import Log
from .standings import as_usd, in_each, money
from .web.head import MAX_REPLY_HEAD, HeadError, find_reply_end, parse_reply
from .web.task import run

MOST_WAITING = 100
ATTEMPT_S = 10.0  # to connect, send and hear the status
PAUSES_S = (1.0, 5.0, 25.0)  # before the second try and the following
RECV_BYTES = 4096
PASSING = (408, 425, 429)

# The address and the secret; without an address nothing is sent, without a secret nothing is signed.
Target = Callable[[], tuple[str | None, str | None]]


class Webhook:
    """Sends alerts in the order they come. `wait` waits for so many seconds and says whether to stop: tests do not wait."""

    def __init__(
        self,
        log: Log,
        target: Target,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
        attempt_s: float = ATTEMPT_S,
    ) -> None:
        self._log = log
        self._target = target
        self._clock = clock
        self._attempt_s = attempt_s
        self._stopped = threading.Event()
        self._wait = wait or self._stopped.wait
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._thread: threading.Thread | None = None
        self._lost = 0

    def tell(self, alert: Alert) -> None:
        """Have an alert sent. Never waits, never raises; with too many waiting it is counted, and left out."""
        if not self._target()[0] or self._stopped.is_set():
            return
        with self._lock:
            if len(self._waiting) >= MOST_WAITING:
                self._lost += 1
                return
            self._waiting.append(json.dumps(message(alert), ensure_ascii=False).encode())
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="webhook", daemon=True)
                try:
                    thread.start()
                    self._thread = thread
                except RuntimeError:  # no more threads: it is counted with those that are lost
                    self._lost += 1
                    self._waiting.pop()

    def close(self, within_s: float) -> None:
        """Let what waits be sent, but for no longer than that."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(within_s)
        self._stopped.set()

    def _work(self) -> None:
        while True:
            with self._lock:
                lost, self._lost = self._lost, 0
                if not self._waiting:
                    self._thread = None
                    return
                body = self._waiting.popleft()
            if lost:
                self._log.warning(
                    "webhook_lost",
                    message=f"{lost} alerts were not sent: too many were waiting, or no thread was to be had.",
                )
            try:
                self._deliver(body)
            except Exception as error:  # noqa: BLE001 - the thread has others to send
                self._log.error("webhook_failed", exc_info=error)

    def _deliver(self, body: bytes) -> None:
        delivery = secrets.token_hex(8)
        reason = ""
        for pause in (0.0, *PAUSES_S):
            if pause and self._wait(pause):
                break
            url, secret = self._target()
            if not url:
                return
            try:
                status = self._post(url, head_of(url, secret, delivery, body) + body)
            except (ProxyError, OSError, HeadError) as error:
                reason = "it took too long" if isinstance(error, TimeoutError) else said(error)
                continue
            if 200 <= status < 300:
                self._log.info("webhook_sent", delivery=delivery)
                return
            reason = f"it answered {status}" + (", and redirects are not followed" if 300 <= status < 400 else "")
            if status < 500 and status not in PASSING:
                break
        self._log.warning("webhook_failed", delivery=delivery, message=f"The alert was not taken: {reason}.")

    def _post(self, url: str, request: bytes) -> int:
        """The status of the answer. Raises ProxyError, OSError, HeadError."""
        deadline = self._clock() + self._attempt_s
        with run(Connections({}, self._clock).connect(origin_of(url), deadline), self._clock) as sock:
            sock.settimeout(max(0.001, deadline - self._clock()))
            sock.sendall(request)
            return self._status(sock, deadline)

    def _status(self, sock: socket.socket, deadline: float) -> int:
        """The status, behind those that are provisional; what follows it is nobody's concern."""
        heard = b""
        while True:
            while (end := find_reply_end(heard, 0)) < 0:
                left_s = deadline - self._clock()
                if left_s <= 0:
                    raise TimeoutError
                if len(heard) > MAX_REPLY_HEAD:
                    raise HeadError("its headers are too long")
                sock.settimeout(left_s)
                data = sock.recv(RECV_BYTES)
                if not data:
                    raise ConnectionResetError
                heard += data
            status = parse_reply(heard[:end]).status
            if status >= 200:
                return status
            heard = heard[end:]


def said(error: Exception) -> str:
    return reason_of(error) if isinstance(error, OSError) else str(error)


def message(alert: Alert) -> dict[str, Any]:
    """What is sent. `text` is a sentence, which is all that many chat services want to have."""
    budget = alert.budget
    whose = f"The API key '{alert.name}'" if alert.of == "key" else f"The user '{alert.name}'"
    label = f" '{budget.name}'" if budget.name else ""
    much = f"{money(alert.limit)} {in_each(budget.window, budget.days)}"
    text = f"{whose} has used {alert.percent} % of the budget{label} of {much}: {money(alert.spent)} spent."
    return {
        "event": "budget.exceeded" if alert.percent >= 100 else "budget.warning",
        "text": text,
        "of": alert.of,
        "id": alert.id,
        "name": alert.name,
        "budget": budget.to_json(),
        "limitUsd": as_usd(alert.limit),
        "spentUsd": as_usd(alert.spent),
        "percent": alert.percent,
        "windowStart": iso(alert.begins),
        "windowEnd": iso(alert.ends),
        "time": iso(alert.time),
    }


def head_of(url: str, secret: str | None, delivery: str, body: bytes) -> bytes:
    """The request without its body. Retries bear the same delivery, so that a receiver can tell them from another alert."""
    parts = urlsplit(url)
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode("ascii")
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {host}",
        f"User-Agent: ipin-proxy/{__version__}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        f"X-IPin-Delivery: {delivery}",
    ]
    if secret:
        lines.append(f"X-IPin-Signature: sha256={hmac.digest(secret.encode(), body, 'sha256').hex()}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def origin_of(url: str) -> Origin:
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return Origin(scheme, parts.hostname or "", parts.port or (443 if scheme == "https" else 80))


def iso(time_s: float | None) -> str | None:
    return None if time_s is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_s))
