"""Shapes in a Messages body: a value is asked for by the type it must have, and told with its place when it has another.

Messages name the place, because the error shape of these routes has no member for it.
"""

from __future__ import annotations

import math
from typing import Any

from ..errors import BadRequest

Json = dict[str, Any]

MOST_TOKENS = 10**9
SHOWN_CHARS = 60


def wrong(place: str, wanted: str) -> BadRequest:
    return BadRequest(f"'{place}' must be {wanted}.", param=place)


def shown(value: str) -> str:
    """A caller's word, short enough for a message."""
    return value if len(value) <= SHOWN_CHARS else f"{value[:SHOWN_CHARS]}…"


def object_at(value: Any, place: str) -> Json:
    if type(value) is not dict:
        raise wrong(place, "an object")
    return value


def list_at(value: Any, place: str) -> list[Any]:
    if type(value) is not list:
        raise wrong(place, "a list")
    return value


def text_at(value: Any, place: str) -> str:
    if type(value) is not str:
        raise wrong(place, "a text")
    return value


def name_at(value: Any, place: str) -> str:
    if type(value) is not str or not value:
        raise wrong(place, "a text that is not empty")
    return value


def count_at(value: Any, place: str) -> int:
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or not 1 <= value <= MOST_TOKENS:
        raise wrong(place, f"a whole number from 1 to {MOST_TOKENS}")
    return value


def number_at(value: Any, place: str, most: float) -> float:
    """A number from 0 to `most`, as it was written."""
    if type(value) not in (int, float) or not 0 <= value <= most or not math.isfinite(value):
        raise wrong(place, f"a number from 0 to {most:g}")
    return value  # type: ignore[no-any-return]
