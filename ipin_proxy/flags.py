"""The command line: its flags as one table, read by `getopt`.

`argparse` would cost every start some ten milliseconds, and the idle server half a megabyte.
"""

from __future__ import annotations

import getopt
from collections.abc import Sequence
from typing import NamedTuple

from .errors import ConfigError


class Flags(NamedTuple):
    """What was asked for; None and False where nothing was."""

    port: str | None = None
    host: str | None = None
    db: str | None = None
    env_file: str | None = None
    check: bool = False
    reset_password: bool = False
    version: bool = False
    help: bool = False


# Name, what it takes ("" for nothing), what it does.
TABLE = (
    ("port", "PORT", "port to listen on (PORT, 3000)"),
    ("host", "HOST", "address to listen on (HOST, 0.0.0.0)"),
    ("db", "FILE", "the database file (ipin-proxy.db beside server.py)"),
    ("env-file", "FILE", "settings file (.env beside server.py)"),
    ("check", "", "check settings and database, then exit"),
    ("reset-password", "", "print a new password for the first administrator, then exit"),
    ("version", "", "show the version, then exit"),
    ("help", "", "show this, then exit (or -h)"),
)


def read_flags(arguments: Sequence[str]) -> Flags:
    """Raises ConfigError for what is no flag of ours."""
    try:
        found, rest = getopt.gnu_getopt(
            list(arguments), "h", [f"{name}=" if takes else name for name, takes, _ in TABLE]
        )
    except getopt.GetoptError as error:
        raise refused(error.msg) from error
    if rest:
        raise refused(f"unrecognized argument {rest[0]}")
    taking = {f"--{name}" for name, takes, _ in TABLE if takes}
    values = {name.lstrip("-").replace("-", "_"): value if name in taking else True for name, value in found}
    if values.pop("h", False):
        values["help"] = True
    return Flags(**values)  # type: ignore[arg-type]  # each flag brings what its row says


def refused(message: str) -> ConfigError:
    line = "".join(each if each.isprintable() else " " for each in message)
    return ConfigError(f"{line}. See python3 server.py --help.")


def help_text() -> str:
    rows = [(f"--{name} {takes}".rstrip(), what) for name, takes, what in TABLE]
    width = max(len(left) for left, _ in rows)
    lines = [f"  {left:<{width}}  {what}" for left, what in rows]
    return "\n".join(
        [
            "usage: python3 server.py [flags]",
            "",
            "Every AI provider behind one OpenAI-compatible API.",
            "",
            *lines,
            "",
            "Every setting can also be given in the environment, in .env, or as NAME_FILE=/path; see README.md.",
        ]
    )
