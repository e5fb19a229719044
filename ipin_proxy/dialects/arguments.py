"""The arguments of a call of a tool, read as models write them: line ends stand in their texts as they are, and a number may be
one that JSON has no digits for, which could not be written again."""

from __future__ import annotations

import json
import math
from typing import NoReturn


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(digits)
    return number


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


# Raises ValueError, RecursionError.
decode = json.JSONDecoder(strict=False, parse_float=_finite, parse_constant=_refuse).decode
