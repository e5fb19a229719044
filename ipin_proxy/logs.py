"""The log: one JSON object a line, one write a line, to standard error or to a file that rotates.

    log.info("call", request_id="req_1", method="POST", path="/v1/chat/completions", status=200, ms=41.2)
    {"time":"2026-01-31T09:30:00.123Z","level":"info","event":"call","request_id":"req_1","method":"POST",…}

When standard error is a terminal the line is a short one for people. Nothing a stranger sends can start a line of its own or
move the cursor: JSON leaves here as ASCII with every control character escaped. `redact` is the one place that knows what a
secret looks like, and every line passes through it. Logging never raises and never stops a call: a line that cannot be written
(full disk, closed terminal, a pipe whose reader hangs) is counted, and the count is logged when writing works again. It knows
nothing of settings.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import select
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from .errors import ConfigError

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
ROTATE_BYTES = 10_000_000
KEPT_FILES = 5
MAX_TEXT = 1_000  # characters of one string in a line
MAX_TRACE = 8_000
MAX_BODY_TEXT = 16_000
MAX_PARSED_BODY = 1_000_000  # bytes; a larger body is looked at as text, and only its beginning
MAX_DEPTH = 12
PATIENCE_MS = 1_000  # with a reader who is slow; one who was waited for in vain is only looked after
PIECE_BYTES = 4_096  # what is sure to be taken by a pipe that takes anything

REDACTED = "[redacted]"

# ---- what a secret looks like --------------------------------------------------------------------------------------

# Names of members, lower-case, without "-" and "_". Numbers under such a name stay: "first_token": 41 is a time.
_SECRET_NAMES = frozenset(
    {"key", "credential", "credentials", "passwd", "passphrase", "session", "keyhash", "privatekey"}
)
_SECRET_ENDINGS = ("apikey", "password", "passwordhash", "authorization", "secret", "token", "cookie")

_DATA_URL = re.compile(r"(data:[\w.+/-]{0,100}(?:;[\w.+=-]{1,80}){0,5}?;base64,)([A-Za-z0-9+/=_\\-]+)", re.ASCII)
# Compiled at its first use, which takes longer than reading the rest of this module. What begins to match and has read on for
# long must not fail then, as a JWT would that has to have its dots: in a text of such beginnings, each is read to the end.
_IN_TEXT_FLAGS = re.IGNORECASE | re.VERBOSE | re.ASCII
_IN_TEXT = r"""
      (?P<scheme> \bbearer\s+ ) [^\s"',;]+
    | (?P<header> \bauthorization\\?["']?\s*[:=]\s*\\?["']? (?:[a-z]+[ ])? ) [^\s"',;]+
    | (?P<cookie> \b(?:set-)?cookie["']?\s*[:=]\s*["']? ) [^"'\r\n]+
    | (?P<member> (?:[?&]|\b) ["']? [a-z_-]{0,20} (?:api[_-]?key|password|passwd|secret|token|credential) \\?["']? \s*[:=]\s* )
      (?: \\"[^"\\]*(?:\\")? | "(?:[^"\\]|\\.)*["]? | '[^']*'? | [^\s"',;&{}\[\]]+ )
    | (?P<told> \bkey[ ]provided:\s* ) [^\s"',;]+
    | (?P<query> [?&]key= ) [^\s"'&]+
    | (?P<userinfo> ://[^/\s:@"']{0,200}: ) [^/\s@"']+ (?=@)
    | \b (?: sk[-_] | (?:gsk|hf|r8|ghp|github_pat)_ | xai- ) [A-Za-z0-9_-]{6,}
    | \b cpk_ [A-Za-z0-9_-]+ (?:\.[A-Za-z0-9_-]+)*
    | \b AIza [A-Za-z0-9_-]{20,}
    | \b eyJ [A-Za-z0-9_-]{6,} (?: \. [A-Za-z0-9_-]+ )*
    """
# What JSON may write otherwise of what a key is made of: many servers write a slash as "\/", some "+" as "\u002b". A pair of
# backslashes is one, and begins nothing.
_ESCAPE = re.compile(rb"\\(?:\\|/|u00([2-7][0-9A-Fa-f]))")
# A text without any of these has no match for the patterns above; looking for them costs a fiftieth of matching.
_HINTS = (
    *("sk-", "sk_", "cpk_", "xai-", "hf_", "r8_", "ghp_", "github_pat_", "aiza", "eyj", "://", ";base64,"),
    *("bearer", "authorization", "cookie", "api_key", "apikey", "api-key", "passw", "secret", "token", "credential"),
    *("key=", "key provided"),
)


def redact(value: Any, limit: int = MAX_TEXT) -> Any:
    """The same value, fit for a log: secrets masked, data URLs as their size, strings cut to `limit` characters.

    Takes anything; dicts, lists and tuples are copied, what JSON does not know becomes text. Never changes its argument.
    """
    return _redact(value, limit, 0)


def _redact(value: Any, limit: int, depth: int) -> Any:
    if isinstance(value, str):
        return _redact_text(value, limit)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)  # JSON has no NaN and no Infinity
    if depth >= MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {
            _redact_text(str(name), limit): REDACTED
            if _names_a_secret(name) and member and not isinstance(member, (bool, int, float))
            else _redact(member, limit, depth + 1)
            for name, member in value.items()
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_redact(member, limit, depth + 1) for member in value]
    if isinstance(value, (bytes, bytearray)):
        return _redact_text(value.decode("utf-8", "replace"), limit)
    return _redact_text(str(value), limit)


def _names_a_secret(name: Any) -> bool:
    plain = str(name).lower().replace("-", "").replace("_", "")
    return plain in _SECRET_NAMES or plain.endswith(_SECRET_ENDINGS)


def _redact_text(text: str, limit: int) -> str:
    if ";base64," in text:
        text = _DATA_URL.sub(lambda found: f"{found[1]}…({_size(len(found[2]) * 3 // 4)})", text)
    size = len(text)
    if size > 2 * limit:
        text = text[: 2 * limit]  # masks may shorten what is before the cut, so look a little further than we show
    if _suspicious(text):
        text = re.sub(_IN_TEXT, _masked, text, flags=_IN_TEXT_FLAGS)
    return text if len(text) <= limit and size <= 2 * limit else f"{text[:limit]}…({size} characters)"


def _suspicious(text: str) -> bool:
    lower = text.lower()
    # any() with a generator takes twice as long, and this runs for every line.
    for hint in _HINTS:  # noqa: SIM110
        if hint in lower:
            return True
    return False


def _masked(found: re.Match[str]) -> str:
    return f"{found[found.lastgroup]}{REDACTED}" if found.lastgroup else REDACTED


def _size(size_bytes: int) -> str:
    if size_bytes < 1_000:
        return f"{size_bytes} B"
    return f"{size_bytes / 1_000:.0f} kB" if size_bytes < 1_000_000 else f"{size_bytes / 1_000_000:.1f} MB"


# ---- the log -------------------------------------------------------------------------------------------------------


class Log:
    """Lines at `level` and above, to `file` or to the descriptor `fd` (default: standard error). Safe to use from any thread.

    `bodies` switches `body()` on. Raises ConfigError when the file cannot be opened; after that, nothing here raises.
    """

    def __init__(
        self,
        level: str = "info",
        file: Path | None = None,
        *,
        bodies: bool = False,
        fd: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.bodies = bodies
        # Known ones, which may look like none; whoever knows them sets it.
        self.secrets: Callable[[], Iterable[str]] = tuple
        self._threshold = LEVELS[level]
        self._clock = clock
        self._second = (-1, "")
        self._sink = _Sink(_standard_error() if fd is None else fd) if file is None else _File(file)
        self._for_people = file is None and self._sink.is_terminal()

    @property
    def level(self) -> str:
        return next(name for name, rank in LEVELS.items() if rank == self._threshold)

    @level.setter
    def level(self, name: str) -> None:
        self._threshold = LEVELS[name]

    def hears(self, level: str) -> bool:
        """Whether a line at this level is written: for those who would have to gather it first."""
        return self._threshold <= LEVELS[level]

    def debug(self, event: str, /, **fields: Any) -> None:
        if self._threshold <= 10:
            self._write("debug", event, fields)

    def info(self, event: str, /, **fields: Any) -> None:
        if self._threshold <= 20:
            self._write("info", event, fields)

    def warning(self, event: str, /, **fields: Any) -> None:
        if self._threshold <= 30:
            self._write("warning", event, fields)

    def error(self, event: str, /, *, exc_info: BaseException | bool | None = None, **fields: Any) -> None:
        """An error; `exc_info` (an exception, or True for the one being handled) adds its `trace`."""
        if exc_info:
            with contextlib.suppress(Exception):
                fields["trace"] = _trace(sys.exc_info()[1] if exc_info is True else exc_info)
        self._write("error", event, fields)

    def body(self, request_id: str, direction: str, content: bytes, content_type: str | None) -> None:
        """A body, shortened and redacted, as an `info` line, if bodies are asked for; `direction` says between whom."""
        if not self.bodies:
            return
        with contextlib.suppress(Exception):
            size_bytes, content = len(content), _ESCAPE.sub(_unescaped, content)
            for secret in self.secrets():
                content = content.replace(secret.encode(), REDACTED.encode())
            shown = _body_text(content, (content_type or "").partition(";")[0].strip().lower())
            fields = {"request_id": request_id, "direction": direction, "content_type": content_type}
            self._write("info", "body", {**fields, "size_bytes": size_bytes}, body=shown)

    def reopen(self) -> None:
        """Open the file anew, after logrotate has moved it away; if that fails the old one stays in use."""
        self._sink.reopen()

    def close(self) -> None:
        self._sink.close()

    def _write(self, level: str, event: str, fields: dict[str, Any], body: str | None = None) -> None:
        try:
            now = self._clock()
            if self._for_people:
                line = _line_for_people(now, level, event, fields, body)
            else:
                members = _members(fields)
                if body is not None:  # is redacted already, and longer than a field may be
                    members = f'{members[:-1]},"body":{_quote(body)}}}'
                rest = "," + members[1:] if fields else "}"
                line = f'{{"time":"{self._stamp(now)}","level":"{level}","event":{_quote(event)}{rest}\n'
            self._sink.write(line.encode())
        except Exception:  # noqa: BLE001 - a log line is never worth a call
            self._sink.lost += 1

    def _stamp(self, now: float) -> str:
        second = int(now)
        known, text = self._second
        if known != second:  # a new second: the only time the calendar is asked
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = (second, text)
        return f"{text}.{int((now - second) * 1000):03d}Z"


# ---- one line ------------------------------------------------------------------------------------------------------

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=str).encode
_quote = json.encoder.encode_basestring_ascii


_harmless_names: set[tuple[str, ...]] = set()  # of fields; they come from our own code, so there are few


def _members(fields: dict[str, Any]) -> str:
    """The fields as a JSON object in ASCII."""
    if not _is_harmless(fields):
        trace = fields.get("trace")
        fields = redact(fields)
        if isinstance(trace, str):
            fields["trace"] = redact(trace, MAX_TRACE)
    return _encode(fields).replace("\x7f", "\\u007f")  # the one control character JSON lets through


def _is_harmless(fields: dict[str, Any]) -> bool:
    """Whether the line can be written as it is, which is true of nearly all; this is what keeps a line cheap."""
    names = tuple(fields)
    if names not in _harmless_names:
        if len(_harmless_names) > 1_000 or any(_names_a_secret(name) for name in names):
            return False
        _harmless_names.add(names)
    texts = []
    for value in fields.values():
        kind = type(value)
        if kind is str:
            if len(value) > 6:  # no pattern matches less
                texts.append(value)
        elif kind is float:
            if value - value != 0:
                return False
        elif kind is not int and kind is not bool and value is not None:
            return False
    text = "\n".join(texts)
    return len(text) <= MAX_TEXT and not _suspicious(text)


def _line_for_people(now: float, level: str, event: str, fields: dict[str, Any], body: str | None) -> str:
    clean = json.loads(_members(fields))
    trace = clean.pop("trace", None)
    words = [time.strftime("%H:%M:%S", time.localtime(now)), *([level.upper()] if level != "info" else []), event]
    words += [f"{name}={_word(value)}" for name, value in clean.items() if value is not None]
    lines = [" ".join(words)]
    if isinstance(trace, str):
        lines += ["    " + part for part in trace.split("\n") if part]
    if body is not None:
        lines.append("    " + body)
    return "".join(_visible(part) + "\n" for part in lines)


def _word(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if text and re.fullmatch(r"[^\s\"=]+", text) else json.dumps(text, ensure_ascii=False)


def _visible(text: str) -> str:
    """One line of a terminal: what is not printable is shown as its escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def _trace(error: BaseException | None) -> str:
    import traceback

    if error is None:
        return ""
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return text if len(text) <= MAX_TRACE else f"{text[: MAX_TRACE // 4]}\n…\n{text[-MAX_TRACE // 2 :]}"


def _unescaped(found: re.Match[bytes]) -> bytes:
    """The same in JSON, shorter; a quote and a backslash have to stay as they are."""
    if found[1] is None:
        return found[0] if found[0] == b"\\\\" else b"/"
    letter = bytes((int(found[1], 16),))
    return found[0] if letter in b'"\\\x7f' else letter


def _body_text(content: bytes, media_type: str) -> str:
    """What a log may show of a body: JSON and text, redacted; of anything else only that it was there."""
    textual = (
        media_type.startswith("text/") or "json" in media_type or media_type == "application/x-www-form-urlencoded"
    )
    if not textual:
        return f"({media_type or 'no type'}, {_size(len(content))})"
    if "json" in media_type and len(content) <= MAX_PARSED_BODY:
        with contextlib.suppress(ValueError, RecursionError):
            shown = json.dumps(redact(json.loads(content)), ensure_ascii=False, separators=(",", ":"))
            return shown if len(shown) <= MAX_BODY_TEXT else f"{shown[:MAX_BODY_TEXT]}…({_size(len(content))})"
    text: str = redact(content[:MAX_PARSED_BODY].decode("utf-8", "replace"), MAX_BODY_TEXT)
    return text if len(content) <= MAX_PARSED_BODY else f"{text}…({_size(len(content))})"


# ---- where lines go ------------------------------------------------------------------------------------------------


def _standard_error() -> int:
    """Its descriptor, or -1. Python has no sys.stderr when it was closed at the start; descriptor 2 may then be the database."""
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        return -1


def _unhindered(fd: int) -> int:
    """A terminal opened anew, so that one that hangs (a lost SSH session) takes what it can of a line and is not waited for."""
    if fd >= 0 and os.isatty(fd):
        with contextlib.suppress(OSError):
            return os.open(os.ttyname(fd), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    return fd


def _readers_of(fd: int) -> select.poll | None:
    """What says whether there is room in a pipe, a socket or a terminal; None for a file, which has no reader, and where the
    system cannot say."""
    if fd < 0 or not hasattr(select, "poll") or stat.S_ISREG(os.fstat(fd).st_mode):
        return None
    readers = select.poll()
    readers.register(fd, select.POLLOUT)
    return readers


class _Sink:
    """A descriptor. Counts the lines it could not write and says so in front of the next one that it can."""

    def __init__(self, fd: int) -> None:
        self.lost = 0
        self._fd = fd = _unhindered(fd)
        self._readers = _readers_of(fd)
        self._torn = False  # half a line was written; the next must not continue it
        # Reentrant: a signal handler may call reopen() while this very thread is writing.
        self._lock = threading.RLock()

    def is_terminal(self) -> bool:
        return self._fd >= 0 and os.isatty(self._fd)

    def write(self, line: bytes) -> None:
        """Raises OSError; a line is one write, unless the system takes only a part of it or would have to wait for a reader."""
        if self._fd < 0:
            return
        with self._lock:
            if self.lost or self._torn:
                note = b'{"level":"warning","event":"log_lines_lost","count":%d}\n' % self.lost if self.lost else b""
                line = b"\n" * self._torn + note + line
            self._make_room(len(line))
            while line:
                line = line[self._put(line) :]
                self._torn = bool(line)
            self.lost = 0

    def _put(self, line: bytes) -> int:
        """How much of it was written. A write would wait for a reader who does not come back, and with it the loop."""
        if self._readers is None:
            return os.write(self._fd, line)
        if not self._readers.poll(0 if self.lost else PATIENCE_MS):
            raise TimeoutError
        return os.write(self._fd, line[:PIECE_BYTES])

    def reopen(self) -> None:
        """Standard error cannot be opened again; whoever rotates it does so from outside."""

    def close(self) -> None:
        """Standard error is not ours to close."""

    def _make_room(self, size_bytes: int) -> None:
        """A terminal or a pipe always has some."""


def check_file(path: Path) -> None:
    """Raises ConfigError where a start could not log to this file. Nothing is opened or made."""
    reason = 0
    if os.path.isdir(path):
        reason = errno.EISDIR
    elif not os.path.exists(path) and not os.path.isdir(path.parent):
        reason = errno.ENOENT
    elif not os.access(path if os.path.exists(path) else path.parent, os.W_OK):
        reason = errno.EACCES
    if reason:
        raise _unwritable(path, os.strerror(reason))


def _unwritable(path: Path, reason: str | None) -> ConfigError:
    return ConfigError(f"LOG_FILE is {str(path)!r}, which cannot be written: {reason}.")


class _File(_Sink):
    """A file that only we append to, and that moves to `.1` … `.5` when it is full."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            super().__init__(self._open())
        except OSError as error:
            raise _unwritable(path, error.strerror) from error
        # /dev/stdout must never be renamed, nor the file it may lead to, which is for whoever said so.
        is_ours = path.absolute().parts[1:2] not in (("dev",), ("proc",))
        self._rotates = is_ours and stat.S_ISREG(os.fstat(self._fd).st_mode)
        self._room = self._measure()

    def reopen(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            fresh = self._open()
            # The number stays the same, so that a write which this call has interrupted cannot reach another file.
            os.dup2(fresh, self._fd, inheritable=False)
            os.close(fresh)
            self._room = self._measure()

    def close(self) -> None:
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def _make_room(self, size_bytes: int) -> None:
        if self._rotates and self._room < size_bytes:
            try:
                self._rotate()
            except OSError:  # a folder we may not change: stay where we are for another 10 MB
                self._room = ROTATE_BYTES
            else:
                self.reopen()
        self._room -= size_bytes

    def _rotate(self) -> None:
        try:
            if not os.path.samestat(os.stat(self._path), os.fstat(self._fd)):
                return  # somebody has rotated it already
        except FileNotFoundError:
            return
        path = os.path.realpath(self._path)  # of a link, what it leads to
        for number in range(KEPT_FILES - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                os.replace(f"{path}.{number}", f"{path}.{number + 1}")
        os.replace(path, f"{path}.1")

    def _open(self) -> int:
        # A named pipe that nobody reads would be waited for; to other files O_NONBLOCK means nothing.
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o640)

    def _measure(self) -> int:
        return ROTATE_BYTES - os.fstat(self._fd).st_size
