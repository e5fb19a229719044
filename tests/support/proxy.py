"""The proxy under test: started on a free port with a database of its own, ended with the test that asked for it.

The interface says nothing of how it is started. Today it is a process of its own, as of `python server.py`, in a folder that
is thrown away, with an environment that holds only what is given here; where that is possible it is forked (see `forked.py`).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import build, forked
from .build import Json
from .client import Client, Reply, Wire
from .script import Headers

ROOT = Path(__file__).resolve().parents[2]
MASTER_KEY = "sk-master-0123456789abcdef"
PASSWORD = "correct horse battery staple"
KEY = "sk-tests-0123456789abcdefghij"
CHEAP = ROOT / "tests" / "support" / "program.py"
Process = subprocess.Popen[str] | forked.Forked
START_S = 60.0  # on a machine that has much else to do
STOP_S = 10.0


class Proxy:
    """A running proxy. Requests go through `get`, `post`, `form`, `request` and `raw`; records through `add_…`."""

    def __init__(self, process: Process, folder: Path) -> None:
        self.folder = folder
        self.master_key = MASTER_KEY
        self.password = PASSWORD
        self._process = process
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(stream,), daemon=True)
            for stream in (process.stdout, process.stderr)
        ]
        for reader in self._readers:
            reader.start()
        self._token = ""
        self.port = 0
        self.client = Client(0)

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        providers: list[Json] | None = None,
        models: list[Json] | None = None,
        keys: list[Json] | None = None,
        settings: Json | None = None,
        env: Mapping[str, str] | None = None,
        arguments: tuple[str, ...] = (),
        program: tuple[str, ...] = (),
    ) -> Proxy:
        """Write the database into `folder`, start on a free port, return when it listens. `KEY` is a key unless others are given."""
        given = keys if keys is not None else [build.key(KEY)]
        database = build.database(providers=providers, models=models, keys=given, settings=settings)
        file = folder / "ipin-proxy.db"
        file.write_text(json.dumps(database))
        flags = ("--host", "127.0.0.1", "--port", "0", *arguments, "--db", str(file), "--env-file", os.devnull)
        proxy = cls(begin(flags, folder, _environment(env or {}), program=program), folder)
        found = proxy.wait_output(lambda text: re.search(r"http://127\.0\.0\.1:(\d+)", text), "an address", START_S)
        proxy.port = int(found.group(1))
        proxy.client = Client(proxy.port)
        return proxy

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # Asking.

    def get(self, path: str, key: str | None = None, headers: Headers = ()) -> Reply:
        return self.client.get(path, key, headers)

    def post(self, path: str, body: object = None, key: str | None = None, headers: Headers = ()) -> Reply:
        return self.client.post(path, body, key, headers)

    def form(self, path: str, fields: list[tuple[str, object]], key: str | None = None) -> Reply:
        return self.client.form(path, fields, key)

    def request(
        self, method: str, path: str, body: object = None, key: str | None = None, headers: Headers = ()
    ) -> Reply:
        return self.client.request(method, path, body, key, headers)

    def raw(self, data: bytes) -> Wire:
        """A new connection with these bytes sent on it."""
        return self.client.raw(data)

    def open(self) -> Wire:
        return self.client.open()

    def is_healthy(self) -> bool:
        """Does it still run, and answer a fresh connection?"""
        if self._process.poll() is not None:
            return False
        client = Client(self.port, timeout_s=5)
        try:
            return client.get("/health").status == 200
        except OSError:
            return False
        finally:
            client.close()

    # Records, through the admin API.

    def admin(self, method: str, path: str, body: object = None) -> Reply:
        """A request to /api/admin as the administrator; signs in the first time."""
        if not self._token:
            reply = self.post("/api/admin/login", {"username": "admin", "password": PASSWORD})
            assert reply.status == 200, reply.body
            self._token = str(reply.json["token"])
        return self.request(method, "/api/admin" + path, body, self._token)

    def add_provider(self, base_url: str, id: str = "acme", **fields: Any) -> Json:
        return self._add("/providers", build.provider(base_url, id, **fields))

    def add_model(self, id: str = build.PUBLIC_MODEL, provider: str = "acme", **fields: Any) -> Json:
        return self._add("/models", build.model(id, provider, **fields))

    def add_key(self, key: str, id: str = "key-2", **fields: Any) -> Json:
        return self._add("/apikeys", build.key(key, id, **fields))

    def _add(self, path: str, record: Json) -> Json:
        reply = self.admin("POST", path, record)
        assert reply.status == 201, reply.body
        return dict(reply.json)

    # What it says.

    @property
    def output(self) -> str:
        """Everything it has printed so far, both streams."""
        with self._changed:
            return "\n".join(self._lines)

    def log_lines(self, wanted: Callable[[Json], bool] | None = None, timeout_s: float = 10.0) -> list[Json]:
        """The JSON lines of its log; with `wanted`, waits until at least one such line is there and returns those."""

        def found(text: str) -> list[Json]:
            lines = [json.loads(line) for line in text.split("\n") if line.startswith("{")]
            return [line for line in lines if wanted is None or wanted(line)]

        return found(self.output) if wanted is None else self.wait_output(found, "a log line", timeout_s)

    def wait_output(self, find: Callable[[str], Any], what: str, timeout_s: float = 10.0) -> Any:
        """Wait until `find(everything printed)` is true; returns what it found."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not (found := find("\n".join(self._lines))):
                ended = self._process.poll() is not None and not any(reader.is_alive() for reader in self._readers)
                if ended or not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    text = "\n".join(self._lines)
                    raise AssertionError(f"the proxy {'ended' if ended else 'ran'} without {what}:\n{text[-4000:]}")
        return found

    # The end.

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait_exit(self, timeout_s: float = STOP_S) -> int:
        """Wait for the end of the process; returns its exit code."""
        return self._process.wait(timeout_s)

    def stop(self) -> int:
        """Ask it to end, and see that it does. Returns the exit code."""
        self.client.close()
        if self._process.poll() is None:
            self._process.terminate()
        try:
            code = self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            for reader in self._readers:
                reader.join(STOP_S)
            for stream in (self._process.stdout, self._process.stderr):
                if stream:
                    stream.close()
        return code

    def _read(self, stream: Any) -> None:
        for line in stream:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()


def begin(
    arguments: tuple[str, ...], cwd: Path, env: Mapping[str, str], *, program: tuple[str, ...] = (), folder: Path = ROOT
) -> Process:
    """Begin a process: of a program of its own, else of a server.py in `folder` that hashes passwords cheaply."""
    if not program and forked.IS_POSSIBLE:
        return forked.run(arguments, cwd, env, folder)
    return subprocess.Popen(
        [sys.executable, *(program or (str(CHEAP), str(folder))), *arguments],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    )


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    ours = {"MASTER_API_KEY": MASTER_KEY, "UI_USERNAME": "admin", "UI_PASSWORD": PASSWORD, "DRAIN_SECONDS": "1"}
    return {**kept, "PYTHONUNBUFFERED": "1", **ours, **given}
