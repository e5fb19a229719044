"""Processes that run the program, forked from one that has loaded it: to load it anew takes longer than most tests do.

`run` begins such a process, which is like one of `subprocess`: of its own, with the environment, the folder and the pipes that
are given, and ended by whatever ends one. This file is also what the first process runs.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
IS_POSSIBLE = sys.platform == "linux"
MOST_BYTES = 64 * 1024


class Forked:
    """One of them, with what the tests use of `subprocess.Popen`."""

    def __init__(self, pid: int, told: int, out: int, err: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdout = open(out, encoding="utf-8", errors="replace")  # noqa: SIM115 closed in __exit__, or by who reads
        self.stderr = open(err, encoding="utf-8", errors="replace")  # noqa: SIM115
        self._told = told  # where its end is told

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, *error: object) -> None:
        self.wait()
        self.stdout.close()
        self.stderr.close()

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("the program", timeout or 0)
            self.returncode = _number(self._told)
            os.close(self._told)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        with ThreadPoolExecutor(2) as pool:
            out, err = pool.submit(self.stdout.read), pool.submit(self.stderr.read)
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            return out.result(), err.result()

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # its end is known to the system, and about to be told to us
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run(arguments: Sequence[str], cwd: Path, env: Mapping[str, str], folder: Path = ROOT) -> Forked:
    """Begin a process: `server.py`, lying in `folder`, with these arguments. Passwords are hashed cheaply."""
    told, tell = os.pipe()
    out, to_out = os.pipe()
    err, to_err = os.pipe()
    asked = {"arguments": list(arguments), "cwd": str(cwd), "env": dict(env), "folder": str(folder)}
    data = json.dumps(asked).encode()
    assert len(data) < MOST_BYTES
    try:
        assert socket.send_fds(_first(), [data], [tell, to_out, to_err]) == len(data)
    finally:
        for each in (tell, to_out, to_err):
            os.close(each)
    return Forked(_number(told), told, out, err)


def _number(told: int) -> int:
    """The next line."""
    digits = b""
    while (byte := os.read(told, 1)).strip():
        digits += byte
    return int(digits)


@cache
def _first() -> socket.socket:
    """A connection to the process that has loaded the program; it ends with us."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    with theirs:
        command = [sys.executable, "-u", __file__, str(theirs.fileno())]
        process = subprocess.Popen(command, env=kept, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
    atexit.register(process.wait, 10)
    atexit.register(ours.close)  # before that
    return ours


# What the first process does.


def next_asked(connection: socket.socket) -> dict[str, Any]:
    """Returns in a new process for each time that one is asked for, which has a parent of its own to tell how it ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # of those parents nobody wants to know
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # at a terminal all get it; the end of the tests is ours, too
    while True:
        data, files, _, _ = socket.recv_fds(connection, MOST_BYTES, 3)
        if not data:
            os._exit(0)
        if not os.fork():
            break
        for each in files:
            os.close(each)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    tell, out, err = files
    if child := os.fork():
        os.dup2(0, 1)
        os.dup2(0, 2)
        os.closerange(3, tell)
        os.closerange(tell + 1, 64)
        os.write(tell, b"%d\n" % child)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.write(tell, b"%d\n" % code)
        os._exit(0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.closerange(3, 64)
    return dict(json.loads(data))


if __name__ == "__main__":
    import program

    from ipin_proxy import dispatch  # noqa: F401 with all that every start loads

    gc.freeze()  # or each of them would look through all of this when it ends, and so make a copy of it
    asked = next_asked(socket.socket(fileno=int(sys.argv[1])))
    del sys.modules["ipin_proxy.dispatch"]  # what it draws when it is loaded is drawn for each process
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["cwd"])
    sys.exit(program.run(asked["arguments"], Path(asked["folder"])))
