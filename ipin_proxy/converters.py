"""How the text of a setting becomes a value: one converter for each kind of value there is, and the words that say what it takes.

A converter gets a text that is not empty and raises ValueError for what it cannot take; whoever asked says the rest.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from . import columns

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

DAY_S = 24 * 60 * 60


class Kind(NamedTuple):
    """`convert` turns a non-empty text into a value or raises ValueError; `allowed` ends the sentence "it must be …"."""

    convert: Callable[[str], Any]
    allowed: str


def whole(low: int, high: int) -> Kind:
    def convert(text: str) -> int:
        # int() would take "1_0", "+1" and the digits of other scripts.
        if not re.fullmatch(r"[0-9]{1,12}", text.strip(), re.ASCII):
            raise ValueError
        value = int(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return Kind(convert, f"a whole number from {low} to {high}")


def seconds(low: float, high: float = DAY_S) -> Kind:
    def convert(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", text.strip(), re.ASCII):
            raise ValueError
        value = float(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return Kind(convert, f"a number of seconds from {low:g} to {high:g}")


def one_of(*words: str) -> Kind:
    def convert(text: str) -> str:
        word = text.strip().lower()
        if word not in words:
            raise ValueError
        return word

    return Kind(convert, "one of " + ", ".join(words))


def switch(text: str) -> bool:
    word = text.strip().lower()
    if word in ("1", "on", "true", "yes"):
        return True
    if word in ("0", "off", "false", "no"):
        return False
    raise ValueError


def host(text: str) -> str:
    host = text.strip()
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not re.fullmatch(r"[0-9A-Za-z._:%-]{1,255}", host):
        raise ValueError
    return host


def key(text: str) -> str:
    # It travels in a header, where blanks around it vanish and anything outside visible ASCII is ambiguous.
    key = text.strip()
    if not re.fullmatch(r"[!-~]{1,512}", key):
        raise ValueError
    return key


def name(text: str) -> str:
    name = text.strip()
    if not name or len(name) > 128 or not name.isprintable():
        raise ValueError
    return name


def url(text: str) -> str:
    if not (url := columns.url(text)):
        raise ValueError
    return url


def password(text: str) -> str:
    if len(text) > 1024:  # hashing is slow on purpose; a longer text only serves to make it slower
        raise ValueError
    text.encode()  # ValueError for bytes in another encoding: what they were meant as, nobody could sign in with
    return text


def split(text: str) -> list[str]:
    return [part for part in (piece.strip() for piece in text.split(",")) if part]


def path(text: str) -> Path:
    if "\0" in text or not text.strip():
        raise ValueError
    try:
        return Path(text.strip()).expanduser()  # no shell has done it for a value from .env
    except RuntimeError as error:  # ~somebody who does not exist
        raise ValueError from error


def paths(text: str) -> tuple[Path, ...]:
    return tuple(path(part) for part in split(text))


def origins(text: str) -> tuple[str, ...]:
    if text.strip().lower() == "none":
        return ()
    origins = [part.lower().rstrip("/") for part in split(text)]
    if "*" in origins:
        return ("*",)
    if not origins or not all(re.fullmatch(r"[a-z][a-z0-9+.-]*://[^\s/?#@\"',;]+", origin) for origin in origins):
        raise ValueError
    return tuple(dict.fromkeys(origins))


def https_url(text: str) -> str:
    found = columns.url(text)
    if not found.lower().startswith("https://"):
        raise ValueError
    return found


def networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    from ipaddress import ip_network

    return tuple(ip_network(part) for part in split(text))


def cores(text: str) -> tuple[int, ...]:
    cores: set[int] = set()
    for part in split(text):
        found = re.fullmatch(r"([0-9]{1,4})(?:-([0-9]{1,4}))?", part, re.ASCII)
        if not found:
            raise ValueError
        first = int(found[1])
        last = int(found[2] or first)
        if first > last or last >= (os.cpu_count() or 1):
            raise ValueError
        cores.update(range(first, last + 1))
    return tuple(sorted(cores))
