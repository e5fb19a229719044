"""The rows of the request log as a file to take away: CSV as RFC 4180 has it, or a JSON object a line; piece by piece."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .call import NANO
from .errors import BadRequest
from .requestlog import ITEM

Rows = Iterable[list[dict[str, Any]]]
# A spreadsheet takes what begins with one of these for a formula, and runs it; some also their full-width forms.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
MONEY = {"costUsd", "upstreamCostUsd"}


def pieces_of(format_: str) -> Callable[[Rows], Iterator[bytes]]:
    """Raises BadRequest for a format there is not."""
    if format_ == "csv":
        return as_csv
    if format_ == "jsonl":
        return as_jsonl
    raise BadRequest(f"'format' must be csv or jsonl, not {format_!r:.40}.", param="format")


def as_jsonl(chunks: Rows) -> Iterator[bytes]:
    for items in chunks:
        yield "".join(f"{json.dumps(item, separators=(',', ':'))}\n" for item in items).encode()


def as_csv(chunks: Rows) -> Iterator[bytes]:
    yield line_of(ITEM)
    for items in chunks:
        yield b"".join(line_of(cell_of(name, item[name]) for name in ITEM) for item in items)


def line_of(cells: Iterable[str]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue().encode()


def cell_of(name: str, value: Any) -> str:
    """Text for people and spreadsheets. Numbers are ours and never a formula; a text may be anything."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if name in MONEY:
        return dollars(value)
    if isinstance(value, (int, float)):
        return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return f"'{text}" if text.startswith(FORMULA) else text


def dollars(usd: float) -> str:
    """All nine places, since 1e-09 is a text to some spreadsheets."""
    nano = round(usd * NANO)
    return f"{nano // NANO}.{nano % NANO:09d}"
