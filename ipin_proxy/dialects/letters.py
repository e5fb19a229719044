"""Letters that a stream cuts in two: gateways that count in UTF-16 send an emoji's halves in two pieces, each a text that cannot be
written alone. Clients that try fail at all of the answer."""

from __future__ import annotations

import re

HALF = re.compile(r"[\ud800-\udfff]")
LOST = "\ufffd"  # stands for half a letter that stays alone


class Letters:
    """A text in pieces, none of which ends within a letter: half of one waits for the other, which may be in the next piece."""

    __slots__ = ("_half",)

    def __init__(self) -> None:
        self._half = ""

    def feed(self, text: str) -> str:
        if not self._half and text.isascii():
            return text
        text = self._half + text
        self._half = text[-1] if "\ud800" <= text[-1:] <= "\udbff" else ""
        if self._half:
            text = text[:-1]
        if HALF.search(text):
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text

    def last(self) -> str:
        """What is left at the end: half a letter does not become a whole one any more."""
        rest, self._half = LOST if self._half else "", ""
        return rest
