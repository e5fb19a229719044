r"""The `.env` file: KEY=VALUE lines, read into a dict.

    # a comment, and an empty line, are skipped
    export PORT=8080          `export` is allowed, and a comment after a blank
    UI_PASSWORD="two words\n" \n \r \t \" \' \\ \$ are escapes in double quotes
    LOG_FILE='C:\temp\a.log'  \' and \\ are the only ones in single quotes

It knows nothing of settings, expands no variables, runs nothing and never changes the environment. Of two lines with the same
key the last wins. Messages name a broken line by its number alone, since it may hold a secret.

`contents` reads this file, and the others that settings stand in.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from .errors import ConfigError

_ASSIGNMENT = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=(.*)", re.DOTALL)
_QUOTED = {'"': re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL), "'": re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL)}
_ESCAPES = {
    '"': {"n": "\n", "r": "\r", "t": "\t", '"': '"', "'": "'", "\\": "\\", "$": "$"},
    "'": {"'": "'", "\\": "\\"},
}

_piped: dict[str, bytes] = {}


def read(path: Path) -> dict[str, str]:
    """The variables of the file; raises ConfigError, one line, when it cannot be read or understood."""
    try:
        return parse(contents(path).decode("utf-8-sig"))  # some editors put a byte order mark in front
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not text in UTF-8.") from error
    except ValueError as error:
        raise ConfigError(f"{path}, {error}") from error


def contents(path: str | os.PathLike[str], most: int = -1) -> bytes:
    """What a file says, up to so many bytes. Settings are read again and again, and a pipe (`--env-file <(sops -d secrets.env)`)
    says it once: that is kept as long as the process lives. Raises OSError, and ValueError for what is no path."""
    name = os.fspath(path)
    if name not in _piped:
        with open(path, "rb") as file:
            content = file.read(most)
            if not stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
                return content
        _piped[name] = content
    return _piped[name]


def parse(text: str) -> dict[str, str]:
    """The variables of the text; ValueError("line 3: …") for the first broken line."""
    found: dict[str, str] = {}
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip(" \t\r")
        if not line or line.startswith("#"):
            continue
        assignment = _ASSIGNMENT.fullmatch(line)
        if not assignment:
            raise ValueError(f"line {number}: this is not KEY=VALUE.")
        name, value = assignment.groups()
        if "\0" in value:
            raise ValueError(f"line {number}: the value of {name} holds a NUL character.")
        found[name] = _value(name, value, number)
    return found


def _value(name: str, raw: str, number: int) -> str:
    text = raw.lstrip(" \t")
    quote = text[:1]
    if quote not in _QUOTED:
        # A "#" without a blank before it belongs to the value.
        return re.split(r"[ \t]+#", raw, maxsplit=1)[0].strip(" \t")
    quoted = _QUOTED[quote].match(text)
    if not quoted:
        raise ValueError(f"line {number}: the quote before the value of {name} is never closed.")
    rest = text[quoted.end() :].strip(" \t")
    if rest and not rest.startswith("#"):
        raise ValueError(f"line {number}: there is text after the closing quote of {name}.")
    # Any other backslash stays as it is, so that a Windows path survives.
    escapes = _ESCAPES[quote]
    return re.sub(r"\\(.)", lambda escape: escapes.get(escape[1], escape[0]), quoted[1], flags=re.DOTALL)
