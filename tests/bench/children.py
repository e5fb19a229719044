"""The processes the benchmark starts and ends: upstreams, nginx as the yardstick, and our proxy.

Knows how each is configured and how to tell that it answers. Ends only what it started, by process id, and waits for
it. Everything listens on 127.0.0.1 and writes into the one temporary folder it is given.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from upstream import CHAT_REPLY, IMAGE_REPLY

HERE = Path(__file__).resolve().parent
KEY = "sk-bench-0123456789abcdef"
START_PATIENCE_S = 20.0
END_PATIENCE_S = 10.0

NGINX_COMMON = """
daemon off; master_process off; pid {folder}/{name}.pid; error_log stderr crit; {user}
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
  access_log off; tcp_nodelay on; default_type application/json; server_tokens off;
  keepalive_timeout 120s; keepalive_requests 100000000; client_max_body_size 50m;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
{servers}
}}
"""
NGINX_UPSTREAM = """
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location / {{ return 200 '{chat}'; }}
    location /v1/images/ {{ return 200 '{image}'; }}
  }}
"""
NGINX_PROXY = """
  upstream u{port} {{ server 127.0.0.1:{to}; keepalive 256; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location / {{
      proxy_pass http://u{port}; proxy_http_version 1.1; proxy_set_header Connection ""; {buffering}
    }}
    location = /health {{ return 200 '{{"status":"healthy"}}'; }}
  }}
"""


class BenchError(Exception):
    """A measurement cannot go on; the message is what a person should read."""


class NotStarted(BenchError):
    """A child did not come up, so nothing can be measured; the message holds its last words."""


def nginx_path() -> str | None:
    """Where nginx is, or None. Debian keeps it out of an ordinary user's PATH."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def health_status(port: int) -> int:
    """The status of GET /health, 0 when nobody listens."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        return int(sock.recv(65536)[9:12] or 0)
    return 0


@dataclass(frozen=True, slots=True)
class Cpus:
    """Which CPUs the server under test and everything else may use; both all of them unless --affinity is given."""

    server: frozenset[int]
    others: frozenset[int]

    @classmethod
    def choose(cls, apart: bool) -> Cpus:
        everything = frozenset(os.sched_getaffinity(0))
        if not apart or len(everything) < 2:
            return cls(everything, everything)
        return cls(frozenset({min(everything)}), everything - {min(everything)})


@dataclass(slots=True)
class Children:
    """Starts processes, and ends them all when closed. Raises NotStarted when one does not come up."""

    folder: Path
    cpus: Cpus
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    outputs: dict[int, Path] = field(default_factory=dict)

    def close(self) -> None:
        """End every child, the latest first."""
        for child in reversed(self.running.copy()):
            self.end(child)

    def start(
        self, command: Sequence[str], *, is_server: bool = False, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start one child; what it prints goes to a file in the folder. Its standard input stays open."""
        path = self.folder / f"output-{len(self.outputs)}.txt"
        with path.open("wb") as output:
            os.sched_setaffinity(0, self.cpus.server if is_server else self.cpus.others)
            try:
                child = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=output, stderr=output, env=env, cwd=self.folder
                )
            finally:
                os.sched_setaffinity(0, self.cpus.others)
        self.running.append(child)
        self.outputs[child.pid] = path
        return child

    def end(self, child: subprocess.Popen[bytes]) -> None:
        """End one child: SIGTERM, and SIGKILL if it has not gone in ten seconds."""
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(END_PATIENCE_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        if child.stdin:
            child.stdin.close()
        if child in self.running:
            self.running.remove(child)

    def wait_until_up(self, child: subprocess.Popen[bytes], is_up: Callable[[], bool], name: str) -> None:
        """Ask every millisecond until the child answers. Raises NotStarted with its last words if it does not."""
        deadline = time.monotonic() + START_PATIENCE_S
        while not is_up():
            if child.poll() is not None or time.monotonic() > deadline:
                self.end(child)
                said = self.outputs[child.pid].read_text(errors="replace")[-2000:]
                raise NotStarted(f"{name} did not start (exit {child.returncode}). The last it said:\n{said}")
            time.sleep(0.001)


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True, slots=True)
class Target:
    """Something to send calls to: `quick_port` leads to the upstream that answers at once, `paced_port` to streams."""

    name: str
    quick_port: int
    paced_port: int
    pid: int = 0


def _start_nginx(children: Children, name: str, servers: str, port: int) -> subprocess.Popen[bytes]:
    config = children.folder / f"{name}.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(NGINX_COMMON.format(folder=children.folder, name=name, servers=servers, user=user))
    command = [nginx_path() or "nginx", "-p", str(children.folder), "-c", str(config), "-e", "stderr"]
    child = children.start(command, is_server=name == "yardstick")
    children.wait_until_up(child, lambda: _listens(port), f"nginx ({name})")
    return child


def start_upstreams(children: Children) -> Target:
    """The two upstreams, as the target `direct`: nginx answers plain calls when it is installed, ours answers streams."""
    paced = free_port()
    child = children.start([sys.executable, str(HERE / "upstream.py"), str(paced)])
    children.wait_until_up(child, lambda: _listens(paced), "the upstream")
    if not nginx_path():
        return Target("direct", paced, paced)
    quick = free_port()
    _start_nginx(children, "upstream", NGINX_UPSTREAM.format(port=quick, chat=CHAT_REPLY, image=IMAGE_REPLY), quick)
    return Target("direct", quick, paced)


@dataclass(frozen=True, slots=True)
class Yardstick:
    """nginx as a proxy before the same upstreams: one worker, keep-alive to the upstream, streams unbuffered."""

    children: Children
    direct: Target
    name: ClassVar[str] = "nginx"

    @contextlib.contextmanager
    def fresh(self) -> Iterator[Target]:
        """A freshly started one, ended afterwards."""
        quick, paced = free_port(), free_port()
        servers = NGINX_PROXY.format(port=quick, to=self.direct.quick_port, buffering="")
        servers += NGINX_PROXY.format(port=paced, to=self.direct.paced_port, buffering="proxy_buffering off;")
        child = _start_nginx(self.children, "yardstick", servers, quick)
        try:
            yield Target(self.name, quick, paced, child.pid)
        finally:
            self.children.end(child)


@dataclass(slots=True)
class Proxy:
    """Our proxy, to be started as often as a measurement needs a fresh one."""

    children: Children
    python: str
    server: Path
    direct: Target
    folders: int = 0
    seed: Path | None = None
    name: ClassVar[str] = "ours"

    def new_database(self) -> Path:
        """A database nobody has started from, in a folder of its own: two keyless providers, a model of each kind."""
        ports = {"quick": self.direct.quick_port, "paced": self.direct.paced_port}
        providers = [
            {"id": name, "name": name, "baseUrl": f"http://127.0.0.1:{port}/v1", "apiKey": "", "auth": "none"}
            | {"type": "openai", "enabled": True}
            for name, port in ports.items()
        ]
        models = [
            {"id": f"bench-{kind}-{name}", "name": kind, "providerId": name, "type": kind, "enabled": True}
            | {"supportsImageUpload": True, "supportsVideoUpload": False}
            for name in ports
            for kind in ("chat", "image")
        ]
        return self._database(json.dumps({"version": 1, "providers": providers, "models": models}))

    def used_database(self) -> Path:
        """A copy of that database as a first start leaves it, with an administrator: how a server usually starts."""
        if self.seed is None:
            self.seed = self.new_database()
            child, _, _ = self.launch(self.seed)
            self.children.end(child)
        return self._database(self.seed.read_text())

    def _database(self, text: str) -> Path:
        self.folders += 1
        folder = self.children.folder / f"proxy-{self.folders}"
        folder.mkdir()
        path = folder / "ipin-proxy.db"
        path.write_text(text)
        path.chmod(0o600)
        return path

    def launch(self, database: Path, **settings: str) -> tuple[subprocess.Popen[bytes], int, float]:
        """Start it and wait for the first 200 of /health; returns the process, its port, and the seconds it took."""
        port = free_port()
        command = [self.python, str(self.server), "--port", str(port), "--host", "127.0.0.1"]
        command += ["--db", str(database), "--env-file", "/dev/null"]
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        env = kept | {"MASTER_API_KEY": KEY, "UI_PASSWORD": "only-for-the-benchmark", "LOG_LEVEL": "warning"}
        start = time.perf_counter()
        child = self.children.start(command, is_server=True, env=env | settings)
        self.children.wait_until_up(child, lambda: health_status(port) == 200, "the proxy")
        return child, port, time.perf_counter() - start

    @contextlib.contextmanager
    def fresh(self, **settings: str) -> Iterator[Target]:
        """A freshly started proxy, ended afterwards."""
        child, port, _ = self.launch(self.used_database(), **settings)
        try:
            yield Target(self.name, port, port, child.pid)
        finally:
            self.children.end(child)
