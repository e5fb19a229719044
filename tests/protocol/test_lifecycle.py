"""From the first start to the end: what is printed, what ends a start, signals, edits, moving in from the original server.

Each test has a folder with nothing in it but the program, as after a fresh clone, and a process of its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support import build
from support.build import chunk, completion, finish, hello
from support.client import Client, Cut, Reply, multipart, request
from support.proxy import KEY, PASSWORD, ROOT, START_S, Process, Proxy, begin
from support.upstream import Upstream, pause, stall

Json = dict[str, Any]
CHAT = "/v1/chat/completions"
MASTER = "sk-given-master-key-0123456789"
GIVEN = {"MASTER_API_KEY": MASTER, "UI_PASSWORD": PASSWORD}
KEYED = {"MASTER_API_KEY": MASTER}

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and modes are those of Unix")


class Clone:
    """A folder as after `git clone`: server.py and the package. Starts it as a person would, in a bare environment."""

    def __init__(self, folder: Path, program: tuple[str, ...] = ()) -> None:
        folder.mkdir()
        self.program = program
        self.folder = folder
        self.database = folder / "ipin-proxy.db"
        self.env_file = folder / ".env"
        self.started: list[Proxy] = []
        (folder / "server.py").write_bytes((ROOT / "server.py").read_bytes())
        for name in ("ipin_proxy", "static"):
            if (ROOT / name).exists():
                (folder / name).symlink_to(ROOT / name)

    def begin(self, arguments: tuple[str, ...], env: Mapping[str, str]) -> Process:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        given = {**kept, "TMPDIR": str(self.folder), **env}
        return begin(arguments, self.folder, given, program=self.program, folder=self.folder)

    def start(self, *arguments: str, **env: str) -> Proxy:
        """Start it, on a free port unless told otherwise; returns when it listens."""
        places = () if "PORT_FILE" in env else ("--port", "0")
        proxy = Proxy(self.begin(("--host", "127.0.0.1", *places, *arguments), env), self.folder)
        self.started.append(proxy)
        found = proxy.wait_output(lambda text: re.search(r"http://127\.0\.0\.1:(\d+)", text), "an address", START_S)
        proxy.port = int(found.group(1))
        proxy.client = Client(proxy.port)
        assert proxy.is_healthy()
        return proxy

    def run(self, *arguments: str, **env: str) -> tuple[int, str, str]:
        """Run it to its end: exit status, standard output, standard error."""
        with self.begin(arguments, env) as process:
            out, err = process.communicate(timeout=START_S)
        return process.returncode, out, err

    def refuses(self, *arguments: str, **env: str) -> str:
        """It does not start, and says why in one line."""
        code, out, err = self.run("--host", "127.0.0.1", *arguments, **env)
        assert (code, out) == (1, ""), err
        assert err.startswith("iPin Proxy cannot start: ") and err.count("\n") == 1 and err.endswith("\n"), err
        assert "Traceback" not in err
        return err

    def write(self, document: object) -> bytes:
        """Write the database: an object as JSON, bytes as they are."""
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.database.write_bytes(content)
        self.database.chmod(0o600)
        return content

    def document(self) -> Any:
        return json.loads(self.database.read_text())


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Clone]:
    """Whose program hashes passwords cheaply, and may be loaded already."""
    with ended(Clone(tmp_path / "ipin-proxy")) as clone:
        yield clone


@pytest.fixture
def true_clone(tmp_path: Path) -> Iterator[Clone]:
    """Whose program is its server.py, for what is about passwords and the program itself."""
    with ended(Clone(tmp_path / "ipin-proxy", ("server.py",))) as clone:
        yield clone


@contextlib.contextmanager
def ended(clone: Clone) -> Iterator[Clone]:
    yield clone
    for proxy in clone.started:
        proxy.stop()
        assert "Traceback" not in proxy.output


@pytest.fixture
def served(clone: Clone, upstream: Upstream) -> Clone:
    """A clone whose database knows the provider, a model, a key and an administrator."""
    document = build.database(
        providers=[build.provider(upstream.base_url)], models=[build.model()], keys=[build.key(KEY)]
    )
    hashed = hashlib.sha256(PASSWORD.encode()).hexdigest()
    document["users"].append({"id": "u1", "username": "admin", "password": hashed, "role": "admin"})
    clone.write(document)
    return clone


def sign_in(proxy: Proxy, password: str, username: str = "admin") -> Reply:
    return proxy.post("/api/admin/login", {"username": username, "password": password})


def ask(proxy: Proxy, **more: Any) -> Reply:
    return proxy.post(CHAT, hello(**more), KEY)


def told(output: str, label: str) -> str | None:
    """What stands behind a label in the lines printed at the start."""
    found = re.search(rf"^ *{label} +(\S+)", output, re.MULTILINE)
    return found and found.group(1)


# The first start, and the later ones.


def test_the_first_start_tells_what_a_person_needs_and_later_ones_no_secret(true_clone: Clone) -> None:
    proxy = true_clone.start()
    password, master = told(proxy.output, "Password"), told(proxy.output, "Master key")
    assert password and master
    assert told(proxy.output, "Admin page") == proxy.base_url + "/"
    assert told(proxy.output, "API") == proxy.base_url + "/v1"
    assert told(proxy.output, "User") == "admin"
    assert "demo" in proxy.output
    assert sign_in(proxy, password).status == 200
    reply = proxy.post(CHAT, hello("Good morning!", model="demo"), master)
    assert reply.json["choices"][0]["message"]["content"] == "Good morning!"
    assert proxy.stop() == 0
    content = true_clone.database.read_text()
    assert stat.S_IMODE(true_clone.database.stat().st_mode) == 0o600
    assert password not in content and master not in content
    assert proxy.output.count(password) == proxy.output.count(master) == 1

    again = true_clone.start()
    assert told(again.output, "Password") is None and told(again.output, "Master key") is None
    assert password not in again.output and master not in again.output
    assert sign_in(again, password).status == 200
    assert again.get("/v1/models", master).status == 200


def test_letters_that_the_output_does_not_know_are_shown_as_their_escapes(true_clone: Clone) -> None:
    """A terminal with an old encoding must not cost the secrets, which are told once."""
    proxy = true_clone.start(UI_USERNAME="Zoë", PYTHONIOENCODING="ascii")
    found = proxy.wait_output(lambda text: re.search(r"Password +(\S+)", text), "a password")
    assert told(proxy.output, "User") == "Zo\\xeb"
    assert sign_in(proxy, found[1], "Zoë").status == 200


def test_what_is_made_differs_from_clone_to_clone(clone: Clone, tmp_path: Path) -> None:
    second = Clone(tmp_path / "other")
    try:
        proxies = [clone.start(), second.start()]
        for label in ("Password", "Master key"):
            assert told(proxies[0].output, label) != told(proxies[1].output, label)
        ids = [[proxy.get("/health").header("x-request-id") for _ in range(3)] for proxy in proxies]
        assert len({*ids[0], *ids[1]}) == 6
    finally:
        for proxy in second.started:
            proxy.stop()


def test_what_is_given_is_never_printed_or_stored(clone: Clone) -> None:
    proxy = clone.start(**GIVEN, UI_USERNAME="boss")
    assert sign_in(proxy, PASSWORD, "boss").status == 200
    assert proxy.get("/v1/models", MASTER).status == 200
    assert proxy.stop() == 0
    for text in (proxy.output, clone.database.read_text()):
        assert MASTER not in text and PASSWORD not in text
    assert told(proxy.output, "Password") is None and told(proxy.output, "Master key") is None


def test_a_master_key_that_can_be_guessed_is_warned_of(clone: Clone) -> None:
    proxy = clone.start(MASTER_API_KEY="sk-1234", UI_PASSWORD=PASSWORD)
    [line] = proxy.log_lines(lambda line: line["event"] == "master_key_is_short")
    assert line["level"] == "warning" and "sk-1234" not in proxy.output
    assert "master_key_is_short" not in clone.start("--db", "other.db", MASTER_API_KEY=MASTER).output


def test_a_first_start_that_fails_does_not_lose_the_secrets(clone: Clone) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "in use" in clone.refuses("--port", str(taken.getsockname()[1]))
    proxy = clone.start()
    assert told(proxy.output, "Password") and told(proxy.output, "Master key")


def test_secrets_that_cannot_be_shown_are_not_made(clone: Clone) -> None:
    with unheard(clone.folder) as process:
        _, error = process.communicate(timeout=START_S)
    assert process.returncode == 1
    assert error.startswith("iPin Proxy cannot start: standard output cannot be written: broken pipe.")
    assert error.count("\n") == 1
    proxy = clone.start()
    assert sign_in(proxy, str(told(proxy.output, "Password"))).status == 200
    assert proxy.get("/v1/models", told(proxy.output, "Master key")).status == 200
    assert proxy.stop() == 0
    # Later starts have nothing to say that cannot be known otherwise.
    with unheard(clone.folder) as process:
        assert process.stderr is not None and "banner_not_shown" in process.stderr.readline()
        process.terminate()
        process.communicate(timeout=START_S)
    assert process.returncode == 0


def test_asked_to_end_while_it_makes_the_secrets_it_shows_them_first(true_clone: Clone) -> None:
    with true_clone.begin(("--host", "127.0.0.1", "--port", "0"), {}) as process:
        while not true_clone.database.exists() or "scrypt" not in true_clone.database.read_text():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=START_S)
    assert process.returncode == 0, err
    assert told(out, "Password") and told(out, "Master key")


def test_interrupted_before_it_listens_it_ends_without_a_trace(true_clone: Clone) -> None:
    with true_clone.begin(("--host", "127.0.0.1", "--port", "0"), {}) as process:
        while not true_clone.database.exists():  # from then on nothing but our own code is running
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=START_S)
    assert "Traceback" not in err


def unheard(folder: Path) -> subprocess.Popen[str]:
    """server.py of a folder, writing to a pipe whose reader has gone, as that of `| head` does."""
    reader, writer = os.pipe()
    os.close(reader)
    program = [sys.executable, "server.py", "--host", "127.0.0.1", "--port", "0"]
    env = {"PATH": os.environ["PATH"], "TMPDIR": str(folder)}
    try:
        return subprocess.Popen(program, cwd=folder, env=env, stdout=writer, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(writer)


def test_a_setting_can_stand_in_a_file_of_its_own(clone: Clone) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for name, value in (("key", MASTER), ("password", PASSWORD), ("port", str(port))):
        (clone.folder / name).write_text(value + "\n")
    env = {"MASTER_API_KEY_FILE": "key", "UI_PASSWORD_FILE": "password", "PORT_FILE": "port"}
    proxy = clone.start(**{name: str(clone.folder / file) for name, file in env.items()})
    assert proxy.port == port
    assert proxy.get("/v1/models", MASTER).status == 200
    assert sign_in(proxy, PASSWORD).status == 200


def test_a_pipe_that_settings_come_from_is_read_once(clone: Clone) -> None:
    """As a shell makes them for `--env-file <(sops -d secrets.env)`: read again it says nothing, or waits for somebody to write."""
    env_file, password = clone.folder / "env", clone.folder / "password"
    for pipe, text in ((env_file, f"MASTER_API_KEY={MASTER}\n"), (password, PASSWORD)):
        os.mkfifo(pipe)
        threading.Thread(target=pipe.write_text, args=(text,)).start()
    proxy = clone.start("--env-file", str(env_file), UI_PASSWORD_FILE=str(password))
    assert told(proxy.output, "Password") is None and told(proxy.output, "Master key") is None
    proxy.signal(signal.SIGHUP)
    proxy.wait_output(lambda text: '"reloaded"' in text, "a reload")
    assert proxy.get("/v1/models", MASTER).status == 200
    assert sign_in(proxy, PASSWORD).status == 200


def test_the_env_file_is_read_and_never_overrides_the_environment(clone: Clone, upstream: Upstream) -> None:
    clone.write(
        build.database(
            providers=[
                build.provider(upstream.base_url, apiKey="env:FROM_FILE_KEY"),
                build.provider(upstream.base_url, "both", apiKey="env:FROM_BOTH_KEY"),
            ],
            models=[build.model(), build.model("both-model", "both")],
            keys=[build.key(KEY)],
            settings={"MAX_BODY_MB": 3},
        )
    )
    clone.env_file.write_text(
        "MASTER_API_KEY=sk-of-the-env-file-0123456789\nUI_PASSWORD='of the env file'\n"
        "FROM_FILE_KEY=file-1\nFROM_BOTH_KEY=file-2\nPORT=1\n"
    )
    proxy = clone.start(FROM_BOTH_KEY="environment-2", UI_PASSWORD=PASSWORD)
    assert proxy.get("/v1/models", "sk-of-the-env-file-0123456789").status == 200
    assert (sign_in(proxy, PASSWORD).status, sign_in(proxy, "of the env file").status) == (200, 401)
    for model, sent in (("gpt-public", "Bearer file-1"), ("both-model", "Bearer environment-2")):
        upstream.will_answer(200, completion())
        assert ask(proxy, model=model).status == 200
        assert upstream.history[-1].header("authorization") == sent
    assert ask(proxy, pad="x" * 3_500_000).status == 413, "the database's setting holds where nothing else says more"


def test_other_files_can_be_named(clone: Clone) -> None:
    (clone.folder / "elsewhere").mkdir()
    database, env_file = clone.folder / "elsewhere" / "my.db", clone.folder / "my.env"
    env_file.write_text(f"MASTER_API_KEY={MASTER}\n")
    clone.env_file.write_text("MASTER_API_KEY=sk-not-this-one-0123456789\n")
    proxy = clone.start("--db", str(database), "--env-file", str(env_file))
    assert proxy.get("/v1/models", MASTER).status == 200
    assert database.exists() and not clone.database.exists()
    assert str(database) in proxy.output


def test_when_a_key_was_last_used_is_kept_at_the_end(served: Clone, upstream: Upstream) -> None:
    proxy = served.start(**KEYED)
    upstream.will_answer(200, completion())
    assert ask(proxy).status == 200
    assert proxy.stop() == 0
    assert served.document()["apiKeys"][0]["lastUsedAt"] > 0


# What ends a start.


def test_a_port_that_is_taken(clone: Clone) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = clone.refuses("--port", str(port), **GIVEN)
    assert str(port) in message and "--port" in message


def test_an_address_that_is_not_ours(clone: Clone) -> None:
    assert "192.0.2.1" in clone.refuses("--host", "192.0.2.1", "--port", "0", **GIVEN)
    assert "HOST" in clone.refuses("--host", "no.such.host.invalid", "--port", "0", **GIVEN)


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"PORT": "many"}, "PORT"),
        ({"TRUSTED_PROXIES": "everybody"}, "TRUSTED_PROXIES"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL"),
        ({"MASTER_API_KEY": "with a blank"}, "MASTER_API_KEY"),
        ({"MASTER_API_KEY_FILE": "not-there"}, "MASTER_API_KEY_FILE"),
        ({"LOG_FILE": "no/such/folder/log"}, "LOG_FILE"),
        ({"LOG_FILE": "ipin_proxy"}, "LOG_FILE"),
        ({"CPU_AFFINITY": "4095"}, "CPU_AFFINITY"),
    ],
)
def test_a_bad_setting(clone: Clone, env: dict[str, str], named: str) -> None:
    message = clone.refuses(**env)
    assert named in message
    assert "with a blank" not in message
    assert clone.refuses("--check", **env) == message
    assert not clone.database.exists()


def test_check_makes_no_log_file(clone: Clone) -> None:
    assert clone.run("--check", LOG_FILE="ipin.log")[0] == 0
    assert not (clone.folder / "ipin.log").exists()


def test_a_bad_setting_in_the_env_file_or_the_database(clone: Clone) -> None:
    clone.env_file.write_text("PORT=0\nLOG_LEVEL=loud\n")
    assert "LOG_LEVEL" in clone.refuses()
    clone.env_file.write_text("PORT=0\nthis is no setting\n")
    assert "line 2" in clone.refuses()
    clone.env_file.write_text("PORT=0\n")
    before = clone.write({"version": 1, "settings": {"LOG_LEVEL": "loud"}})
    assert "LOG_LEVEL" in clone.refuses(**GIVEN)
    assert clone.database.read_bytes() == before


def test_an_env_file_that_cannot_be_read(clone: Clone) -> None:
    assert "gone.env" in clone.refuses("--port", "0", "--env-file", "gone.env")
    clone.env_file.mkdir()
    assert ".env" in clone.refuses("--port", "0")
    clone.env_file.rmdir()
    clone.env_file.symlink_to("gone.env")
    assert ".env" in clone.refuses("--port", "0")
    clone.env_file.unlink()
    clone.env_file.write_bytes(b"PORT=\xff\xfe")
    assert "UTF-8" in clone.refuses()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"version": 1,\n "providers": [\n', "line 3"),
        (b"not JSON at all", "line 1"),
        (b'{"version": 99}', "version 99"),
        (b'{"version": 1, "models": [{"id": "m"}]}', "models[0].providerId"),
        (b'{"version": 1, "apiKeys": [], "apiKeys": []}', "apiKeys"),
        (b"\x00\xff\xfe", "UTF-8"),
        (b"[" * 200_000, "nested"),
    ],
)
def test_a_broken_database_is_left_as_it_is(clone: Clone, content: bytes, said: str) -> None:
    clone.write(content)
    assert said in clone.refuses("--port", "0")
    assert clone.database.read_bytes() == content


def test_a_ledger_that_nobody_could_look_for(clone: Clone) -> None:
    """The database's name leaves no room for what the ledger's has more; a link to a folder of somebody else's is told of likewise."""
    for flags in ((), ("--check",)):
        assert "file name too long" in clone.refuses("--port", "0", "--db", f"{'a' * 247}.db", *flags, **GIVEN)


def test_a_folder_in_the_place_of_the_database(clone: Clone) -> None:
    clone.database.mkdir()
    assert "is a folder" in clone.refuses("--port", "0")


def test_a_second_process_on_one_database_is_refused(clone: Clone) -> None:
    proxy = clone.start(**GIVEN)
    assert "in use" in clone.refuses("--port", "0", **GIVEN)
    assert "in use" in clone.refuses("--reset-password")
    assert proxy.is_healthy()
    assert proxy.stop() == 0
    assert clone.start(**GIVEN).is_healthy()


# The other commands.


def test_check_says_whether_it_would_start_and_touches_nothing(clone: Clone) -> None:
    code, out, err = clone.run("--check")
    assert (code, err) == (0, "") and "good" in out
    assert sorted(path.name for path in clone.folder.iterdir()) == sorted(
        ["server.py", *(name for name in ("ipin_proxy", "static") if (ROOT / name).exists())]
    )
    before = clone.write(build.database(providers=[build.provider("http://a.test")], keys=[build.key(KEY)]))
    code, out, err = clone.run("--check")
    assert (code, err) == (0, "") and "1 provider" in out and "1 API key" in out
    assert clone.database.read_bytes() == before
    assert "LOG_LEVEL" in clone.refuses("--check", LOG_LEVEL="loud")
    clone.write(b"{ broken")
    assert "line 1" in clone.refuses("--check")
    clone.write((ROOT / "ipin-proxy.db.example").read_bytes())
    assert clone.run("--check")[0] == 0
    proxy = clone.start(**GIVEN)
    assert clone.run("--check", **GIVEN)[0] == 0, "while it runs, too"
    assert proxy.is_healthy()


def test_check_refuses_the_ledger_of_a_newer_version_as_a_start_does(clone: Clone) -> None:
    assert clone.start(**GIVEN).stop() == 0
    path = clone.folder / "ipin-proxy-usage.db"
    with contextlib.closing(sqlite3.connect(path)) as ledger:
        ledger.execute("PRAGMA user_version = 99")
    path.chmod(0o600)
    for arguments in (("--check",), ()):
        assert "was written by a newer iPin Proxy" in clone.refuses(*arguments, **GIVEN)


@pytest.mark.parametrize("flags", [(), ("--db", "ipin-proxy.db"), ("--db", "data/other.db")])
@pytest.mark.parametrize("is_there", [True, False])
def test_check_says_what_a_first_start_would_do(clone: Clone, flags: tuple[str, ...], is_there: bool) -> None:
    """Docker users make an empty file, since Docker would make a folder of one that is missing."""
    place = clone.folder / (flags[1] if flags else "ipin-proxy.db")
    place.parent.mkdir(exist_ok=True)
    if is_there:
        place.touch()
    before = sorted(clone.folder.rglob("*.db*"))
    code, out, err = clone.run("--check", *flags)
    assert (code, err) == (0, "") and "a start makes a new one" in out and place.name in out
    assert sorted(clone.folder.rglob("*.db*")) == before
    assert clone.start(*flags, **GIVEN).stop() == 0


def test_check_finds_what_a_first_start_would_end_with(clone: Clone) -> None:
    assert "no/folder" in clone.refuses("--check", "--db", "no/folder/there.db")
    assert "no/folder" in clone.refuses("--db", "no/folder/there.db")
    (clone.folder / "ipin-proxy.db.bak.1").write_text(json.dumps(build.database()))
    clone.write(b"")
    for arguments in (("--check",), ()):
        assert "though it was not always" in clone.refuses(*arguments)


def test_a_password_can_be_set_anew(clone: Clone) -> None:
    assert clone.start(**GIVEN).stop() == 0
    code, out, err = clone.run("--reset-password", **GIVEN)
    assert (code, err) == (0, "")
    password = out.strip().rpartition(" ")[2]
    assert "admin" in out and len(password) >= 20
    proxy = clone.start(**GIVEN)
    assert sign_in(proxy, password).status == 200
    assert sign_in(proxy, PASSWORD).status == 401
    assert password not in proxy.output + clone.database.read_text()


def test_version_and_help(true_clone: Clone) -> None:
    from ipin_proxy import __version__

    code, out, err = true_clone.run("--version")
    assert (code, out.strip(), err) == (0, f"iPin Proxy {__version__}", "")
    code, out, err = true_clone.run("--help")
    assert (code, err) == (0, "")
    for flag in ("--port", "--host", "--db", "--env-file", "--check", "--reset-password", "--version"):
        assert flag in out
    assert not true_clone.database.exists()


@pytest.mark.parametrize("flags", [("--no-such-flag",), ("--line\nend",), ("--db",), ("--check=1",), ("a-file",)])
def test_a_bad_flag(clone: Clone, flags: tuple[str, ...]) -> None:
    named = flags[0].partition("=")[0].partition("\n")[0]
    message = clone.refuses(*flags)
    assert named in message and "--help" in message
    assert not clone.database.exists()


# The end.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end_it_lets_what_runs_finish(served: Clone, upstream: Upstream, number: signal.Signals) -> None:
    proxy = served.start(**KEYED)
    upstream.will_stream(chunk("Hel"), pause, chunk("lo"), finish())
    upstream.will_answer(200, b'{"choices":[{}', pause, b"]}", headers={"content-type": "application/json"})
    idle = proxy.open()
    idle.send(request("GET", "/health")).reply().read()
    stream = ask(proxy, stream=True)
    assert next(stream.texts()) == "Hel"
    whole = proxy.raw(request("POST", CHAT, hello(), KEY))
    upstream.wait_paused(2)
    proxy.signal(number)
    assert idle.ended(), "who has nothing running is let go at once"
    with pytest.raises(OSError):
        Client(proxy.port).get("/health")
    upstream.resume(2)
    assert "".join(stream.texts()) == "lo"
    assert stream.body.endswith(b"data: [DONE]\n\n")
    reply = whole.reply()
    assert (reply.status, reply.json, reply.header("connection")) == (200, {"choices": [{}]}, "close")
    assert proxy.wait_exit() == 0
    assert served.start(**KEYED).is_healthy()


def test_while_it_ends_it_is_not_ready(served: Clone, upstream: Upstream) -> None:
    proxy = served.start(**KEYED)
    assert proxy.get("/ready").json == {"status": "ready", "ledger": "ok"}
    upstream.will_stream(chunk("Hel"), pause, finish())
    wire = proxy.raw(request("POST", CHAT, hello(stream=True), KEY))
    stream = wire.reply()
    assert next(stream.texts()) == "Hel"
    idle = proxy.open()
    idle.send(request("GET", "/health")).reply().read()
    proxy.signal(signal.SIGTERM)
    assert idle.ended()
    wire.send(request("GET", "/ready"))
    upstream.resume()
    stream.read()
    reply = wire.reply()
    assert (reply.status, reply.error["code"]) == (503, "draining")
    assert proxy.wait_exit() == 0


def test_what_does_not_finish_in_time_is_told_so(served: Clone, upstream: Upstream) -> None:
    proxy = served.start(**KEYED, DRAIN_SECONDS="0.3")
    upstream.will_stream(chunk("Hel"), stall)
    upstream.will_say(stall)
    stream = ask(proxy, stream=True)
    assert next(stream.texts()) == "Hel"
    whole = proxy.raw(request("POST", CHAT, hello(), KEY))
    upstream.wait_paused(2)
    proxy.signal(signal.SIGTERM)
    events = list(stream.events())
    assert [event.json["error"]["code"] for event in events] == ["draining"]
    reply = whole.reply()
    assert (reply.status, reply.error["code"], reply.header("retry-after")) == (503, "draining", "5")
    assert proxy.wait_exit() == 0
    upstream.wait_ended()
    assert proxy.output.count('"event":"call"') == 2, "every call is accounted for"


def test_asked_twice_it_ends_at_once(served: Clone, upstream: Upstream) -> None:
    proxy = served.start(**KEYED)
    upstream.will_stream(chunk("Hel"), stall)
    stream = ask(proxy, stream=True)
    assert next(stream.texts()) == "Hel"
    idle = proxy.open()
    idle.send(request("GET", "/health")).reply().read()
    proxy.signal(signal.SIGTERM)
    assert idle.ended()
    proxy.signal(signal.SIGTERM)
    assert proxy.wait_exit() != 0
    with pytest.raises(Cut):
        stream.read()


def test_a_caller_who_stops_reading_does_not_keep_it_from_ending(served: Clone, upstream: Upstream) -> None:
    proxy = served.start(**KEYED, DRAIN_SECONDS="0.2")
    upstream.will_stream(*[chunk("x" * 10_000)] * 1000)
    wire = proxy.raw(request("POST", CHAT, hello(stream=True), KEY))
    upstream.wait_requests()
    wire.until(b"\r\n\r\n")
    proxy.signal(signal.SIGTERM)
    assert proxy.wait_exit() == 0


def test_killed_in_mid_stream_it_serves_again(served: Clone, upstream: Upstream) -> None:
    proxy = served.start(**KEYED)
    upstream.will_stream(chunk("Hel"), stall)
    stream = ask(proxy, stream=True)
    assert next(stream.texts()) == "Hel"
    assert proxy.add_key("sk-made-just-before-0123456789")["id"]
    proxy.signal(signal.SIGKILL)
    with pytest.raises(Cut):
        stream.read()
    upstream.wait_closed()
    assert proxy.wait_exit() == -signal.SIGKILL
    again = served.start(**KEYED)
    upstream.will_answer(200, completion())
    assert again.post(CHAT, hello(), "sk-made-just-before-0123456789").status == 200


# Changes while it runs.


def test_sighup_reads_settings_and_database_anew(served: Clone, upstream: Upstream) -> None:
    served.env_file.write_text(f"MASTER_API_KEY={MASTER}\nACME_KEY=one\n")
    proxy = served.start()
    document = served.document()
    document["providers"][0]["apiKey"] = "env:ACME_KEY"
    document["models"].append(build.model("gpt-added"))
    served.write(document)
    served.env_file.write_text("MASTER_API_KEY=sk-another-master-0123456789\nACME_KEY=two\nMAX_BODY_MB=1\n")
    proxy.signal(signal.SIGHUP)
    proxy.log_lines(lambda line: line.get("event") == "reloaded")
    assert proxy.get("/v1/models", MASTER).status == 401
    assert proxy.get("/v1/models", "sk-another-master-0123456789").status == 200
    upstream.will_answer(200, completion())
    assert ask(proxy, model="gpt-added").status == 200
    assert upstream.history[0].header("authorization") == "Bearer two"
    assert ask(proxy, pad="x" * 1_500_000).status == 413


def test_a_reload_says_what_counts_from_the_next_start_and_shows_what_is_in_force(served: Clone) -> None:
    served.env_file.write_text(f"MASTER_API_KEY={MASTER}\n")
    proxy = served.start()
    served.env_file.write_text(f"MASTER_API_KEY={MASTER}\nLOG_FILE={served.folder / 'later.log'}\nMAX_BODY_MB=7\n")
    proxy.signal(signal.SIGHUP)
    line = proxy.log_lines(lambda line: line.get("event") == "settings_wait")[0]
    assert line["message"].startswith("LOG_FILE: ")
    proxy.log_lines(lambda line: line.get("event") == "reloaded")
    shown = {line["name"]: line for line in proxy.get("/api/admin/settings", MASTER).json["settings"]}
    assert (shown["LOG_FILE"]["value"], shown["LOG_FILE"]["source"]) == (None, "default")
    assert (shown["MAX_BODY_MB"]["value"], shown["MAX_BODY_MB"]["source"]) == (7, "envFile")


def test_what_is_broken_at_a_reload_is_reported_and_the_old_stays(served: Clone, upstream: Upstream) -> None:
    served.env_file.write_text(f"MASTER_API_KEY={MASTER}\n")
    proxy = served.start()
    served.env_file.write_text("MASTER_API_KEY=sk-another-master-0123456789\nLOG_LEVEL=loud\n")
    served.database.write_text("{ broken")
    proxy.signal(signal.SIGHUP)
    line = proxy.log_lines(lambda line: line.get("event") == "reload_failed")[0]
    assert "LOG_LEVEL" in line["message"]
    assert any(
        "cannot be used" in line["message"] for line in proxy.log_lines(lambda line: line["event"] == "database")
    )
    assert proxy.get("/v1/models", MASTER).status == 200
    upstream.will_answer(200, completion())
    assert ask(proxy).status == 200
    assert served.database.read_text() == "{ broken"


def test_a_reload_that_found_a_broken_database_is_not_called_one(served: Clone) -> None:
    proxy = served.start(**KEYED)
    document = served.document()
    served.database.write_text("{ broken")
    proxy.signal(signal.SIGHUP)
    proxy.log_lines(lambda line: "cannot be used" in line.get("message", ""))
    served.write({**document, "about": "mended"})
    proxy.signal(signal.SIGHUP)
    proxy.log_lines(lambda line: line.get("event") == "reloaded")
    lines = proxy.log_lines()
    first = next(place for place, line in enumerate(lines) if line["event"] == "reloaded")
    assert any("is loaded" in line.get("message", "") for line in lines[:first])


def test_running_streams_survive_a_reload(served: Clone, upstream: Upstream) -> None:
    proxy = served.start(**KEYED)
    upstream.will_stream(chunk("Hel"), pause, chunk("lo"), finish())
    stream = ask(proxy, stream=True)
    assert next(stream.texts()) == "Hel"
    proxy.signal(signal.SIGHUP)
    proxy.log_lines(lambda line: line.get("event") == "reloaded")
    upstream.resume()
    assert "".join(stream.texts()) == "lo"


def test_an_edit_by_hand_is_noticed(served: Clone, upstream: Upstream) -> None:
    proxy = served.start(**KEYED)
    assert ask(proxy, model="gpt-added").status == 404
    document = served.document()
    document["models"].append(build.model("gpt-added"))
    document["apiKeys"].append(build.key("sk-written-by-hand-0123456789", "by-hand"))
    served.write(document)
    proxy.log_lines(lambda line: "edited by hand and is loaded" in str(line.get("message")))
    upstream.will_answer(200, completion())
    assert proxy.post(CHAT, hello(model="gpt-added"), "sk-written-by-hand-0123456789").status == 200
    assert "sk-written-by-hand" not in served.database.read_text(), "a key does not stay in the file"
    served.database.write_text(served.database.read_text()[:-20])
    proxy.log_lines(lambda line: "cannot be used" in str(line.get("message")))
    upstream.will_answer(200, completion())
    assert ask(proxy, model="gpt-added").status == 200
    assert proxy.admin("POST", "/models", build.model("another")).status == 409, "nothing is written over the edit"


# Moving in from the original server.


def test_the_original_servers_file_loads_as_it_is(clone: Clone, upstream: Upstream) -> None:
    password = "of the original server"
    original = {
        "providers": [
            {
                "id": "acme",
                "name": "Acme",
                "baseUrl": upstream.base_url,
                "apiKey": "acme-secret-key-0123456789",
                "type": "openai",
                "enabled": True,
            }
        ],
        "models": [
            {
                "id": "gpt-public",
                "name": "GPT",
                "providerId": "acme",
                "type": "chat",
                "enabled": True,
                "supportsImageUpload": True,
                "supportsVideoUpload": False,
            }
        ],
        "apiKeys": [
            {
                "id": "key_1",
                "key": "sk-of-the-original-0123456789",
                "name": "Class 7b",
                "username": "teacher",
                "allowedModels": [],
                "enabled": True,
                "createdAt": 1_700_000_000_000,
            }
        ],
        "users": [
            {
                "id": "user_1",
                "username": "teacher",
                "password": hashlib.sha256(password.encode()).hexdigest(),
                "apiKeyId": "key_1",
                "enabled": True,
                "createdAt": 1_700_000_000_000,
            }
        ],
        "somethingNew": {"kept": True},
    }
    before = clone.write(original)
    proxy = clone.start(**GIVEN)
    upstream.will_answer(200, completion())
    assert proxy.post(CHAT, hello(), "sk-of-the-original-0123456789").status == 200
    assert upstream.history[0].json["model"] == "gpt-public"
    assert proxy.post("/api/user/login", {"username": "teacher", "password": password}).status == 200
    assert sign_in(proxy, PASSWORD).status == 200
    assert proxy.stop() == 0

    kept = clone.folder / "ipin-proxy.db.v0.bak"
    assert (kept.read_bytes(), stat.S_IMODE(kept.stat().st_mode)) == (before, 0o600)
    document = clone.document()
    assert document["version"] == 1 and document["somethingNew"] == {"kept": True}
    assert document["apiKeys"][0]["keyHash"] == hashlib.sha256(b"sk-of-the-original-0123456789").hexdigest()
    teacher = next(user for user in document["users"] if user["username"] == "teacher")
    assert teacher["passwordHash"].startswith("scrypt$")
    content = clone.database.read_text()
    assert "sk-of-the-original" not in content
    assert hashlib.sha256(password.encode()).hexdigest() not in content

    again = clone.start(**GIVEN)
    assert again.post("/api/user/login", {"username": "teacher", "password": password}).status == 200
    assert again.get("/v1/models", "sk-of-the-original-0123456789").status == 200


# A full disk.


@pytest.fixture
def fill_the_disk() -> Callable[[Proxy, bool], None]:
    """From now on (or no longer) no file of this process may grow: what a full disk looks like from inside."""
    resource = pytest.importorskip("resource")
    if not hasattr(resource, "prlimit"):
        pytest.skip("this system cannot limit another process")

    def fill(proxy: Proxy, full: bool) -> None:
        pid = proxy._process.pid
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1 if full else most, most))

    return fill


def test_a_full_disk_costs_what_is_to_be_written_and_nothing_else(
    served: Clone, upstream: Upstream, fill_the_disk: Callable[[Proxy, bool], None]
) -> None:
    log = served.folder / "log"
    proxy = served.start(**KEYED, LOG_FILE=str(log))
    proxy.add_model("image-public", type="image")
    before, lines = served.database.read_bytes(), len(log.read_text().splitlines())
    upload = multipart(
        [("model", "image-public"), ("prompt", "x"), ("image", ("a.png", b"1" * 2_000_000, "image/png"))]
    )

    fill_the_disk(proxy, True)
    reply = proxy.admin("POST", "/models", build.model("another"))
    assert reply.status >= 500
    assert reply.error["code"] == "store_unwritable"
    for _ in range(3):
        upstream.will_answer(200, completion())
        assert ask(proxy).status == 200
    assert ask(proxy, model="another").status == 404
    reply = proxy.post("/v1/images/edits", upload[1], KEY, {"content-type": upload[0]})
    assert (reply.status, reply.error["code"], reply.header("retry-after")) == (507, "storage_full", "5")
    assert "temporary folder" in reply.error["message"]
    assert len(log.read_text().splitlines()) == lines
    assert served.database.read_bytes() == before

    fill_the_disk(proxy, False)
    assert proxy.admin("POST", "/models", build.model("another")).status == 201
    upstream.will_answer(200, completion())
    upstream.will_answer(200, build.images(build.PNG))
    assert ask(proxy, model="another").status == 200
    assert proxy.post("/v1/images/edits", upload[1], KEY, {"content-type": upload[0]}).status == 200
    assert "log_lines_lost" in log.read_text()
    assert [model["id"] for model in served.document()["models"]] == ["gpt-public", "image-public", "another"]


# The log.

PLANTED = {
    "key": KEY,
    "master": MASTER,
    "password": PASSWORD,
    "provider": "acme-secret-key-0123456789",
    "wrong key": "sk-a-wrong-key-that-somebody-sent",
    "cookie": "session=a-secret-cookie-of-somebody",
    "in a body": "a-secret-password-in-a-body",
    "of another": "sk-proj-somebody-elses-key-0123",
}


@pytest.mark.parametrize("to_file", [False, True])
def test_bodies_are_logged_when_asked_for_and_secrets_never(served: Clone, upstream: Upstream, to_file: bool) -> None:
    log = served.folder / "log"
    proxy = served.start(**KEYED, LOG_BODIES="on", LOG_LEVEL="debug", **({"LOG_FILE": str(log)} if to_file else {}))
    shown: list[bytes] = []

    def look(reply: Reply) -> Reply:
        shown.append(reply.head + reply.body)
        return reply

    body = hello("say-this-back", password=PLANTED["in a body"], metadata={"api_key": PLANTED["of another"]})
    told = completion(f"said-this-back with {PLANTED['of another']}")
    upstream.will_answer(200, told)
    upstream.will_stream(chunk("streamed-this-back"), finish())
    upstream.will_answer(400, build.error(f"Bad key {PLANTED['provider']}"))
    upstream.will_answer(401, build.error(f"Incorrect API key provided: {PLANTED['provider']}"))
    headers = {"cookie": PLANTED["cookie"], "x-api-key": PLANTED["wrong key"]}
    proxy.post(CHAT, body, KEY, headers).read()  # the prompt and its answer are the caller's own
    for more in ({"stream": True}, {}, {}):
        look(ask(proxy, **more))
    look(proxy.post(CHAT, hello(), PLANTED["wrong key"], headers))
    look(proxy.post(CHAT + f"?api_key={KEY}", hello(), MASTER))
    assert look(sign_in(proxy, PASSWORD)).status == 200
    look(sign_in(proxy, PLANTED["in a body"]))
    for path in ("/providers", "/apikeys", "/users", "/providers/acme"):
        assert look(proxy.admin("GET", path)).status == 200
    assert proxy.stop() == 0

    logged = log.read_text() if to_file else proxy.output
    for wanted in ("say-this-back", "said-this-back", "streamed-this-back"):
        assert wanted in logged
    for name, secret in PLANTED.items():
        assert secret not in logged and secret not in proxy.output, name
        assert [each for each in shown if secret.encode() in each] == [], name
    if to_file:
        assert '"event":"call"' not in proxy.output
        assert stat.S_IMODE(log.stat().st_mode) & 0o007 == 0


def test_all_that_a_provider_knows_us_by_is_masked_in_bodies_however_it_is_written(
    served: Clone, upstream: Upstream
) -> None:
    document = served.document()
    provider = document["providers"][0]
    provider["headers"] = {"x-acme-key": "of-a-header/s3cret"}
    provider["baseUrl"] += "?subscription=of-the-query+s3cret"
    served.write(document)
    proxy = served.start(**KEYED, LOG_BODIES="on")
    told = json.dumps(completion("known by of-a-header/s3cret and of-the-query+s3cret"))
    for written in (told, told.replace("/", r"\/").replace("+", r"\u002B")):
        upstream.will_answer(200, written.encode())
        about = {"request_id": ask(proxy).header("x-request-id"), "direction": "reply"}
        lines = proxy.log_lines(lambda line, about=about: about.items() <= line.items())  # type: ignore[misc]
        assert "known by [redacted] and [redacted]" in lines[0]["body"]
    assert "s3cret" not in proxy.output


def test_bodies_are_not_logged_unless_asked_for(served: Clone, upstream: Upstream) -> None:
    proxy = served.start(**KEYED)
    upstream.will_answer(200, completion("the-answer-of-the-model"))
    ask(proxy, user="the-words-of-the-caller").read()
    proxy.log_lines(lambda line: line.get("event") == "call")
    assert "the-words-of-the-caller" not in proxy.output and "the-answer-of-the-model" not in proxy.output


def test_every_line_of_the_log_is_json(served: Clone, upstream: Upstream) -> None:
    proxy = served.start(**KEYED, LOG_BODIES="on")
    upstream.will_answer(500, build.error("a\nb\x1b[31mred\u2028c"))
    ask(proxy, model="gpt-public", user='x\n{"event":"forged"}').read()
    ask(proxy, model='no\n{"event":"forged"}').read()
    proxy.get("/%0a%7B%22event%22:%22forged%22%7D").read()
    assert proxy.stop() == 0
    lines = [line for line in proxy.output.split("\n") if line.startswith("{")]
    assert len(lines) >= 4
    for line in lines:
        assert json.loads(line)["event"] != "forged"
        assert line.isascii() and line.isprintable()
