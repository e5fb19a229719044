"""The log: one line a call, no secrets, nothing a stranger can forge, and never an exception."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ipin_proxy import logs
from ipin_proxy.errors import ConfigError
from ipin_proxy.logs import Log, redact

NOON = 1_767_268_800.25  # 2026-01-01T12:00:00.250Z


class Paper:
    """A log that writes into a file, and what it says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)

    def log(self, level: str = "info", *, bodies: bool = False) -> Log:
        return Log(level, fd=self.fd, bodies=bodies, clock=lambda: NOON)

    def text(self) -> str:
        return self.path.read_bytes().decode("ascii")

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines()]


@pytest.fixture
def paper(tmp_path: Path) -> Iterator[Paper]:
    paper = Paper(tmp_path / "paper")
    yield paper
    os.close(paper.fd)


def test_a_line_is_one_json_object(paper: Paper) -> None:
    paper.log().info("call", request_id="r1", status=200, ms=1.5, stream=True, model="gpt-ü", cost=None)
    assert paper.text().count("\n") == 1
    assert list(paper.lines()[0].items()) == [
        ("time", "2026-01-01T12:00:00.250Z"),
        ("level", "info"),
        ("event", "call"),
        ("request_id", "r1"),
        ("status", 200),
        ("ms", 1.5),
        ("stream", True),
        ("model", "gpt-ü"),
        ("cost", None),
    ]


def test_an_event_needs_no_fields(paper: Paper) -> None:
    paper.log().info("ready")
    assert paper.lines() == [{"time": "2026-01-01T12:00:00.250Z", "level": "info", "event": "ready"}]


def test_the_level_decides_what_is_written(paper: Paper) -> None:
    log = paper.log("warning")
    for say in (log.debug, log.info, log.warning, log.error):
        say("event")
    assert [line["level"] for line in paper.lines()] == ["warning", "error"]
    log.level = "debug"
    log.debug("event")
    assert log.level == "debug"
    assert paper.lines()[-1]["level"] == "debug"


def test_a_line_is_one_write(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    log, write, sizes = paper.log(bodies=True), os.write, []

    def counted(fd: int, data: bytes) -> int:
        sizes.append(len(data))
        return write(fd, data)

    monkeypatch.setattr(os, "write", counted)
    log.body("r1", "request", b'{"text":"' + b"x" * 100_000 + b'"}', "application/json")
    assert len(sizes) == 1


@pytest.mark.parametrize(
    "text",
    ["a\nb", "a\r\nb", "\x1b[2J", "\x00", "\x7f", "\x9b31m", "\u2028", "\u202e", "\ud800", '"}\n{"level":"error'],
)
@pytest.mark.parametrize("size", [1, 300], ids=["short", "long"])
def test_a_stranger_cannot_write_a_line_or_move_the_cursor(paper: Paper, text: str, size: int) -> None:
    paper.log().info("call", path=text * size, nested={"name": [text]})
    paper.log().info("call", path=text)
    written = paper.text()
    assert written.count("\n") == 2 and written.replace("\n", "").isprintable()
    assert [line["event"] for line in paper.lines()] == ["call", "call"]
    assert paper.lines()[1]["path"] == text


# ---- secrets -------------------------------------------------------------------------------------------------------


SECRETS = [
    ("Authorization: Bearer abc.def", "abc.def"),
    ("authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    ("bearer  tok-1/2+3==", "tok-1/2+3"),
    ("tried sk-proj-abc_DEF123456 twice", "abc_DEF123456"),
    ("sk_live_abcdefgh", "live_abcdefgh"),
    ("cpk_1234abcd.5678efgh.ijklMNOP", "ijklMNOP"),
    ("gsk_abcdefghijkl", "abcdefghijkl"),
    ("xai-abcdefghijkl", "abcdefghijkl"),
    ("AIzaSyA1234567890abcdefghijk", "SyA1234567890abcdefghijk"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.c2lnbmF0dXJl", "c2lnbmF0dXJl"),
    ("cut short: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOi", "zdWIiOi"),
    ("Incorrect API key provided: q9w8e7r6.", "q9w8e7r6"),
    ("x-api-key: q9w8e7r6", "q9w8e7r6"),
    ('{"api_key": "q9w8\\"e7r6", "n": 1}', "e7r6"),
    ('{"password": "cut in the midd', "midd"),
    (r'"{\"apiKey\": \"q9w8e7r6\", \"n\": 1}"', "q9w8e7r6"),
    ("UI_PASSWORD=q9w8e7r6", "q9w8e7r6"),
    ("client_secret=q9w8e7r6&n=1", "q9w8e7r6"),
    ("Cookie: a=1; ipin=q9w8e7r6", "q9w8e7r6"),
    ("set-cookie: ipin=q9w8e7r6; HttpOnly", "q9w8e7r6"),
    ("https://ann:q9w8e7r6@example.com/v1", "q9w8e7r6"),
    ("/v1beta/models?key=q9w8e7r6", "q9w8e7r6"),
    ("/token?credential=q9w8e7r6", "q9w8e7r6"),
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_a_secret_in_a_text_is_masked_wherever_it_stands(paper: Paper, text: str, secret: str) -> None:
    assert secret not in redact(text) and "[redacted]" in redact(text)
    assert secret not in redact(f"x{{{text}")
    paper.log().info("note", message=text)
    paper.log().info("note", nested={"list": [text]})
    paper.log().info("note", long="x " * 450 + text)
    try:
        raise ValueError(text)
    except ValueError as error:
        paper.log().error("failed", exc_info=error)
    assert secret not in paper.text()


@pytest.mark.parametrize(
    "name",
    [
        *("api_key", "apiKey", "x-api-key", "Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "password"),
        *("newPassword", "key", "token", "access_token", "client_secret", "keyHash", "credential", "MASTER_API_KEY"),
    ],
)
def test_a_member_with_a_secret_name_is_masked(paper: Paper, name: str) -> None:
    assert redact({name: "q9w8", "other": {name: ["q9w8"]}}) == {name: "[redacted]", "other": {name: "[redacted]"}}
    paper.log().info("note", **{name: "q9w8"})
    assert paper.lines()[0][name] == "[redacted]"


@pytest.mark.parametrize(
    "text",
    [
        "POST /v1/chat/completions",
        "sk-ab...wxyz",
        "a task-force on disk-usage",
        "12 tokens",
        "https://api.example.com/v1",
        "gpt-4o",
    ],
)
def test_what_is_not_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_numbers_that_are_called_tokens_stay() -> None:
    usage = {"input_tokens": 3, "max_token": 4, "first_token": 0.5, "token": None, "password": ""}
    assert redact(usage) == usage


def test_redaction_leaves_its_argument_alone() -> None:
    given = {"headers": {"authorization": "Bearer x"}, "list": ["sk-abcdefgh"]}
    copy = json.loads(json.dumps(given))
    redact(given)
    assert given == copy


def test_a_data_url_is_shown_as_its_size() -> None:
    assert redact("data:image/png;base64," + "A" * 164_000) == "data:image/png;base64,…(123 kB)"
    text = 'see {"url":"data:audio/wav;rate=8000;base64,' + "A" * 4_000_000 + '"} there'
    assert redact(text) == 'see {"url":"data:audio/wav;rate=8000;base64,…(3.0 MB)"} there'


def test_long_texts_are_cut() -> None:
    shown = redact("word " * 1000)
    assert shown == "word " * 200 + "…(5000 characters)"


def test_redacting_takes_as_long_as_the_text_is_not_as_its_square() -> None:
    for beginning in ("eyJ-", "sk-", "token-", "data:a", "://a", "bearer "):
        text = beginning * 100_000
        assert redact(text + ";base64,", len(text))  # a square would take this an hour


def test_a_secret_on_the_edge_of_the_cut_does_not_show() -> None:
    for before in range(900, 1010):
        assert "q9w8" not in redact("x" * before + " Bearer q9w8e7r6 " + "x" * 5000)


def test_a_line_takes_whatever_it_is_given(paper: Paper) -> None:
    class Rude:
        def __str__(self) -> str:
            raise RuntimeError("no")

    circle: list[Any] = []
    circle.append(circle)
    log = paper.log()
    log.info(
        "odd",
        nan=float("nan"),
        infinity=float("inf"),
        raw=b"\xff\x00",
        path=Path("/x"),
        names={1: {2}},
        circle=circle,
    )
    assert (
        paper.lines()[0]["nan"] == "nan"
        and paper.lines()[0]["path"] == "/x"
        and paper.lines()[0]["names"] == {"1": [2]}
    )
    log.info("rude", value=Rude())
    log.info("after")
    assert [line["event"] for line in paper.lines()] == ["odd", "log_lines_lost", "after"]


# ---- errors and bodies ---------------------------------------------------------------------------------------------


def test_an_error_brings_its_trace(paper: Paper) -> None:
    log = paper.log()
    try:
        raise KeyError("missing")
    except KeyError as error:
        log.error("failed", exc_info=error, request_id="r1")
        log.error("failed", exc_info=True)
    log.error("no exception", exc_info=True)
    first, second, third = paper.lines()
    assert first["trace"].startswith("Traceback") and first["trace"].endswith("KeyError: 'missing'\n")
    assert first["request_id"] == "r1" and "KeyError" in second["trace"] and not third["trace"]


def test_of_a_long_trace_both_ends_are_kept(paper: Paper) -> None:
    paper.log().error("failed", exc_info=ValueError("start" + "x" * 50_000 + "end"))
    trace = paper.lines()[0]["trace"]
    assert trace.startswith("ValueError: start") and trace.endswith("end\n") and len(trace) < 10_000


def test_bodies_are_logged_only_when_asked_for(paper: Paper) -> None:
    paper.log().body("r1", "request", b"{}", "application/json")
    assert paper.text() == ""


@pytest.mark.parametrize(
    ("content", "content_type", "shown"),
    [
        (b'{"model": "m", "api_key": "k"}', "application/json; charset=utf-8", '{"model":"m","api_key":"[redacted]"}'),
        (b'{"broken": "sk-abcdefgh', "application/json", '{"broken": "[redacted]'),
        (b'data: {"a":1}\n\ndata: [DONE]\n\n', "text/event-stream", 'data: {"a":1}\n\ndata: [DONE]\n\n'),
        (b"user=ann&password=q9w8", "application/x-www-form-urlencoded", "user=ann&password=[redacted]"),
        (b"\x00" * 1500, "audio/mpeg", "(audio/mpeg, 2 kB)"),
        (b"--x\r\nsecret", "multipart/form-data; boundary=x", "(multipart/form-data, 11 B)"),
        (b"abc", None, "(no type, 3 B)"),
    ],
)
def test_a_body_is_shown_as_far_as_it_is_text(
    paper: Paper, content: bytes, content_type: str | None, shown: str
) -> None:
    paper.log(bodies=True).body("r1", "request", content, content_type)
    line = paper.lines()[0]
    assert (line["event"], line["request_id"], line["direction"]) == ("body", "r1", "request")
    assert (line["size_bytes"], line["content_type"], line["body"]) == (len(content), content_type, shown)


def test_a_large_body_makes_a_small_line(paper: Paper) -> None:
    image = b'{"url":"data:image/png;base64,' + b"A" * 400_000 + b'"}'
    words = b'{"text":"' + b"word " * 400_000 + b'","password":"q9w8"}'
    for content in (image, words):
        paper.log(bodies=True).body("r1", "request", content, "application/json")
    first, second = paper.lines()
    assert first["body"] == '{"url":"data:image/png;base64,…(300 kB)"}'
    assert len(second["body"]) < 17_000 and second["body"].endswith("(2.0 MB)")


# ---- where lines go ------------------------------------------------------------------------------------------------


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "ROTATE_BYTES", 1_000)


def numbers(path: Path) -> list[int]:
    return [json.loads(line)["n"] for line in path.read_text().splitlines()]


def test_a_file_rotates_and_five_are_kept(tmp_path: Path, small_files: None) -> None:
    path = tmp_path / "ipin.log"
    with closing(Log(file=path)) as log:
        for number in range(200):
            log.info("line", n=number)
    names = sorted(entry.name for entry in tmp_path.iterdir())
    assert names == ["ipin.log", *(f"ipin.log.{number}" for number in range(1, 6))]
    assert all(entry.stat().st_size <= 1_000 for entry in tmp_path.iterdir())
    kept = [number for name in [*reversed(names[1:]), names[0]] for number in numbers(tmp_path / name)]
    assert kept == list(range(kept[0], 200))
    assert path.stat().st_mode & 0o007 == 0


def test_a_restart_continues_the_file(tmp_path: Path, small_files: None) -> None:
    path = tmp_path / "ipin.log"
    for number in range(30):
        with closing(Log(file=path)) as log:
            log.info("line", n=number)
    assert (tmp_path / "ipin.log.1").exists() and path.stat().st_size <= 1_000


def test_reopen_follows_logrotate(tmp_path: Path) -> None:
    path, moved = tmp_path / "ipin.log", tmp_path / "moved.log"
    with closing(Log(file=path)) as log:
        log.info("line", n=1)
        path.rename(moved)
        log.info("line", n=2)
        log.reopen()
        log.info("line", n=3)
    assert (numbers(moved), numbers(path)) == ([1, 2], [3])


def test_a_reopen_that_fails_keeps_the_old_file(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    with closing(Log(file=folder / "ipin.log")) as log:
        moved = folder.rename(tmp_path / "moved")
        log.reopen()
        log.info("line", n=1)
    assert numbers(moved / "ipin.log") == [1]


def test_a_folder_that_cannot_be_changed_does_not_stop_the_log(
    tmp_path: Path, small_files: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(os, "replace", refuse)
    path = tmp_path / "ipin.log"
    with closing(Log(file=path)) as log:
        for number in range(50):
            log.info("line", n=number)
    assert numbers(path) == list(range(50))


def test_what_is_not_a_file_is_never_renamed(tmp_path: Path, small_files: None) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with closing(Log(file=pipe)) as log:
            for number in range(50):
                log.info("line", n=number)
        assert [entry.name for entry in tmp_path.iterdir()] == ["pipe"]
    finally:
        os.close(reader)


def test_of_a_link_what_it_leads_to_is_rotated(tmp_path: Path, small_files: None) -> None:
    link, volume = tmp_path / "ipin.log", tmp_path / "volume"
    volume.mkdir()
    link.symlink_to(volume / "log")
    with closing(Log(file=link)) as log:
        for number in range(100):
            log.info("line", n=number)
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_symlink()] == ["ipin.log"]
    assert sorted(entry.name for entry in volume.iterdir()) == ["log", *(f"log.{number}" for number in range(1, 6))]
    assert numbers(link)[-1] == 99


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="where descriptors have names")
def test_a_descriptor_that_leads_to_a_file_is_never_renamed_nor_the_file(tmp_path: Path, small_files: None) -> None:
    """`python3 server.py > out` with LOG_FILE=/dev/stdout, which is such a link."""
    out = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    with closing(Log(file=Path(f"/proc/self/fd/{out}"))) as log:
        for number in range(50):
            log.info("line", n=number)
    os.close(out)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
    assert numbers(tmp_path / "out") == list(range(50))


def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="cannot be written"):
        Log(file=path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with closing(Log(file=path)) as log:
        log.info("first")
        assert b"first" in os.read(reader, 65_536)
        os.close(reader)
        log.reopen()
        log.info("lost")
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        log.info("last")
        assert [json.loads(line)["event"] for line in os.read(reader, 65_536).splitlines()] == [
            "log_lines_lost",
            "last",
        ]
        os.close(reader)


def test_a_log_file_that_cannot_be_opened_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"LOG_FILE is .*none.* cannot be written: No such file"):
        Log(file=tmp_path / "none" / "ipin.log")


def test_a_full_disk_costs_lines_and_nothing_else(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    log, write = paper.log(), os.write
    full = [lambda fd, data: write(fd, data[:20]), _no_space, _no_space]  # half a line, then nothing

    def failing(fd: int, data: bytes) -> int:
        return full.pop(0)(fd, data) if full else write(fd, data)

    monkeypatch.setattr(os, "write", failing)
    log.info("first")
    log.info("second")
    log.info("third")
    torn, *whole = paper.text().splitlines()
    assert torn == '{"time":"2026-01-01T'
    assert [json.loads(line)["event"] for line in whole] == ["log_lines_lost", "third"]
    assert json.loads(whole[0])["count"] == 2


def _no_space(fd: int, data: bytes) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_slow_reader_gets_whole_lines(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:7]))
    log = paper.log()
    log.info("first")
    log.info("second")
    assert [line["event"] for line in paper.lines()] == ["first", "second"]


@pytest.mark.parametrize("kind", ["pipe", "socket", "terminal", "held terminal"])
def test_a_reader_who_has_stopped_reading_costs_lines_and_nothing_else(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe into a program that hangs, a journal or a terminal that does, one that is held with Ctrl-S."""
    monkeypatch.setattr(logs, "PATIENCE_MS", 1)
    theirs, ours = {"pipe": os.pipe, "socket": two_ends}.get(kind, os.openpty)()
    log = Log(fd=ours)
    if kind == "held terminal":
        termios.tcflow(ours, termios.TCOOFF)
    said = 3_000  # more than any of them holds
    for number in range(said):
        log.info("line", number=number, text="x" * 800)
    if kind == "held terminal":
        termios.tcflow(ours, termios.TCOON)
    os.set_blocking(theirs, False)
    seen, tries = b"", 0
    while b"read again" not in seen:
        seen += read_out(theirs)
        tries += 1
        log.info("read again")
    lines = seen.decode().splitlines()
    # A terminal may take more at any time, so that there are several notes; what is torn behind one is in the next one, too.
    notes = [note for note, after in pairwise(lines) if "lines_lost" in note and is_whole(after)]
    lost = sum(json.loads(note)["count"] for note in notes)
    assert 0 <= lost - (said - sum("x" * 800 in line for line in lines)) <= tries  # of one the end may be missing
    os.close(theirs)
    os.close(ours)


def is_whole(line: str) -> bool:
    return "x" * 800 in line or "read again" in line


def two_ends() -> tuple[int, int]:
    theirs, ours = socket.socketpair()
    return theirs.detach(), ours.detach()


def read_out(fd: int) -> bytes:
    """What is there to be read, and no more."""
    found = b""
    with contextlib.suppress(BlockingIOError):
        while piece := os.read(fd, 65_536):
            found += piece
    return found


@pytest.mark.parametrize("stderr", [None, "closed"])
def test_without_standard_error_nothing_happens(stderr: object, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    monkeypatch.setattr(os, "write", lambda fd, data: written.append(fd) or len(data))
    monkeypatch.setattr("sys.stderr", stderr)
    log = Log()
    log.error("unheard")
    log.reopen()
    log.close()
    assert written == []


def test_a_closed_descriptor_is_no_reason_to_fail(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "gone", os.O_WRONLY | os.O_CREAT)
    log = Log(fd=fd)
    os.close(fd)
    log.info("unheard")


def test_lines_of_many_threads_do_not_mix(tmp_path: Path, small_files: None) -> None:
    path = tmp_path / "ipin.log"
    with closing(Log(file=path)) as log:

        def work(number: int) -> None:
            for _ in range(50):
                log.info("line", n=number, text=str(number) * 20)

        run_all([lambda number=number: work(number) for number in range(8)] + [log.reopen] * 8)  # type: ignore[misc]
    for file in tmp_path.iterdir():
        for line in file.read_text().splitlines():
            entry = json.loads(line)
            assert entry["text"] == str(entry["n"]) * 20


def run_all(jobs: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.fixture
def terminal() -> Iterator[tuple[Log, Callable[[], str]]]:
    """A log on a terminal, and what the person before it sees."""
    ours, theirs = os.openpty()

    def seen() -> str:
        return os.read(ours, 65_536).decode().replace("\r\n", "\n")

    yield Log(fd=theirs, bodies=True, clock=lambda: NOON), seen
    os.close(theirs)
    os.close(ours)


def test_people_at_a_terminal_read_a_short_line(terminal: tuple[Log, Callable[[], str]]) -> None:
    log, seen = terminal
    log.info("call", method="POST", status=200, model="gpt ü", cost=None, api_key="q9w8", path="a\x1b[2J\nb")
    line = seen()
    assert line[8:] == ' call method=POST status=200 model="gpt ü" api_key=[redacted] path="a\\u001b[2J\\nb"\n'
    log.warning("slow")
    assert seen()[8:] == " WARNING slow\n"
    log.error("failed", exc_info=ValueError("\x1b[2J\rok"))
    assert seen()[8:] == " ERROR failed\n    ValueError: \\x1b[2J\\rok\n"
    log.body("r1", "request", b'{"a":\n1}', "application/json")
    assert seen().endswith('size_bytes=8\n    {"a":1}\n')
