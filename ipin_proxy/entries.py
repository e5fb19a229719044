"""What is remembered of a call: the Entry, the line of the journal it becomes, and which of its values count.

Nothing here trusts a number or a text: what is negative, not finite, huge or of the wrong kind counts as nothing, so that no
entry can keep others out or spoil a sum. Prompts and answers have no place in an Entry.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import log2
from typing import Any, NamedTuple

from .call import Attempt
from .columns import MAX_NAME_CHARS
from .logs import redact

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MOST_TIME = 10**13  # ms: the year 2286
MOST_COUNT = 10**12  # of tokens, images, bytes: more is garbage
MOST_COST = 10**15  # nano-dollars: a million dollars for one call
MOST_MICROS = 10**12  # 11 days
MOST_STATUS = 999
MOST_NUMBER = 10**30  # a larger one is no float in the end, and nothing that can be meant
MOST_NAME = MAX_NAME_CHARS  # so that an id is never cut: by it a start knows what was spent
MOST_AGENT = 300
MOST_MESSAGE = 1_000
MOST_ATTEMPTS = 50
MOST_WRITTEN = 16_000  # bytes of an entry
STEPS = 8  # of a histogram of latencies, for every doubling: half of one is 4 %


class Entry(NamedTuple):
    """One settled call. `time_ms` is when it arrived; "" stands for what there is none of, None for what is not known.
    `model` is the name that was asked for, `served_model` the record that answered, or was the last to be asked. Money is
    in nano-dollars, and `cost_basis` says how the cost is known: reported, priced, estimated or unknown. An error's origin
    is client, proxy or upstream."""

    request_id: str
    time_ms: int
    key_id: str = ""
    key_name: str = ""
    user_id: str = ""
    user_name: str = ""
    address: str = ""
    user_agent: str = ""
    dialect: str = ""
    endpoint: str = ""
    alias: str = ""
    model: str = ""
    upstream_model: str = ""
    provider_id: str = ""
    served_model: str = ""
    stream: bool = False
    media: str = ""
    status: int = 200
    latency_ms: float = 0.0
    upstream_ms: float = 0.0
    overhead_ms: float = 0.0
    first_chunk_ms: float | None = None
    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    seconds: float = 0.0
    images: int = 0
    pages: int = 0
    characters: int = 0
    cost: int | None = None
    upstream_cost: int | None = None
    cost_basis: str = "unknown"
    finish_reason: str = ""
    error_origin: str = ""
    error_code: str = ""
    error_message: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    attempts: tuple[Attempt, ...] = ()


# What is summed up for one thing alone; their numbers are in the database.
SPLITS = ("all", "key_id", "user_id", "model", "provider_id", "alias", "hour")
# What is summed up, and how; the names are those of the columns of `hours` and `days`.
SUMS = {
    "calls": "count(*)",
    "asked": "sum(tries > 0)",
    "errors": "sum(failed)",
    "unknown": "sum(tries > 0 AND cost IS NULL)",
    **{
        name: f"sum({name})"
        for name in (
            *("input", "cached", "cache_write", "output", "reasoning", "audio_in", "audio_out", "seconds", "images"),
            *("pages", "characters"),
        )
    },
    "cost": "sum(coalesce(cost, 0))",
}

# -- as the journal writes them ----------------------------------------------------------------------------------------

DURATIONS = {
    "latency_ms": 1_000,
    "upstream_ms": 1_000,
    "overhead_ms": 1_000,
    "first_chunk_ms": 1_000,
    "seconds": 1_000_000,
}
LATENCY, SECONDS = map(Entry._fields.index, ("latency_ms", "seconds"))
USUAL = [Entry._field_defaults.get(name) for name in Entry._fields]

_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
# What `encode` makes itself anew each time, which takes as long as its work. Not every Python has it.
_make = getattr(json.encoder, "c_make_encoder", None)
_quoted = json.encoder.encode_basestring_ascii
_pieces = _make(None, _encoder.default, _quoted, None, ":", ",", False, False, False) if _make is not None else None


def encode(value: Any) -> str:
    """Compact JSON that any reader of JSON can read. Raises TypeError, ValueError, RecursionError."""
    return "".join(_pieces(value, 0)) if _pieces is not None else _encoder.encode(value)


def written(entry: Entry) -> bytes:
    """An entry as a line of JSON: its fields in their order, durations as whole microseconds, which are written in a third
    of the time. Never raises, whatever is in it, and of texts without end it takes the beginning."""
    try:
        first_chunk = entry.first_chunk_ms
        values = (
            *entry[:LATENCY],
            round(entry.latency_ms * 1000),
            round(entry.upstream_ms * 1000),
            round(entry.overhead_ms * 1000),
            None if first_chunk is None else round(first_chunk * 1000),
            *entry[LATENCY + 4 : SECONDS],
            round(entry.seconds * 1_000_000),
            *entry[SECONDS + 1 :],
        )
        text = encode(values).encode()
        if len(text) <= MOST_WRITTEN:
            return text
    except Exception:  # noqa: BLE001 a call must not fail because of what is remembered of it
        pass
    return encode([*_mended(entry)]).encode()


def masked(entry: Entry) -> Entry:
    """An entry of a call that failed, without what looks like a secret: providers repeat what they were sent, and people paste
    keys where a model's name belongs. Never raises."""
    try:
        message, model, agent = redact([entry.error_message, entry.model, entry.user_agent], MOST_MESSAGE)
        if model != entry.model:  # a provider that takes any name was asked for that one
            upstream, served = redact([entry.upstream_model, entry.served_model], MOST_MESSAGE)
            entry = entry._replace(upstream_model=upstream, served_model=served)
        return entry._replace(error_message=message, model=model, user_agent=agent)
    except Exception:  # noqa: BLE001 as in `written`
        return entry._replace(error_message="", model="", user_agent="")


def read(text: bytes) -> list[Any] | None:
    """The fields of what `written` wrote, durations as it wrote them; also in an older version, with fewer fields. None when
    it is nothing of ours."""
    try:
        values = json.loads(text)
    except ValueError:
        return None
    if not isinstance(values, list) or len(values) < 2:
        return None
    if len(values) != len(USUAL):
        values = [*values, *USUAL[len(values) :]][: len(USUAL)]
    return values


def _mended(entry: Entry) -> Iterator[Any]:
    """What can be kept of an entry with values of the wrong kind."""
    for name, value in zip(entry._fields, entry, strict=True):
        if name in DURATIONS:
            yield micros(value, DURATIONS[name]) if value is not None else None
        elif name == "attempts":
            yield attempts_of(value)
        elif value is None or (isinstance(value, (bool, int, float)) and -MOST_NUMBER < value < MOST_NUMBER):
            yield value
        else:
            try:
                yield text(value, MOST_MESSAGE)
            except Exception:  # noqa: BLE001 not even that
                yield ""


# -- the histogram of latencies -----------------------------------------------------------------------------------------


def bucket_of(micros: int) -> int:
    """Where a latency belongs in the histogram; `middle_of` is the way back."""
    return int(log2(micros) * STEPS) if micros > 1 else 0


def middle_of(bucket: int) -> float:
    """Milliseconds."""
    return float(2 ** ((bucket + 0.5) / STEPS)) / 1000


# -- values that can be trusted ---------------------------------------------------------------------------------------


def attempts_of(values: Any) -> list[list[Any]]:
    """A provider, a status, milliseconds and an error of each."""
    found = []
    for each in values if isinstance(values, (list, tuple)) else ():
        if isinstance(each, (list, tuple)) and len(each) >= 3:
            provider, status, ms, error = (*each, "")[:4]
            found.append([text(provider), whole(status, MOST_STATUS), whole(ms), text(error)])
    return found[:MOST_ATTEMPTS]


def whole(value: Any, most: int = MOST_COUNT) -> int:
    """A sane count; else 0."""
    if type(value) is int:
        return value if 0 <= value <= most else 0
    return int(value) if isinstance(value, (int, float)) and 0 <= value <= most else 0


def micros(value: Any, factor: int = 1_000) -> int:
    """A sane duration in microseconds; else 0."""
    if not isinstance(value, (int, float)) or not 0 <= value <= MOST_MICROS:
        return 0
    return min(round(value * factor), MOST_MICROS)


def money(value: Any) -> int | None:
    """Nano-dollars; None when it is no price, since what is unknown is not 0."""
    sane = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= MOST_COST
    return int(value) if sane else None


def text(value: Any, most: int = MOST_NAME) -> str:
    """A text the database can hold and search: of Unicode's characters, and not without end."""
    found: str = value if type(value) is str else "" if value is None else str(value)
    if len(found) > most:
        found = found[: most - 1] + "…"
    if found.isascii() and "\0" not in found:
        return found
    return found.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
