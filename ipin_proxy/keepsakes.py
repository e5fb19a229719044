"""What providers want handed back with a call of a tool, and callers have no place for: signatures of thoughts, thoughts that
were not shown, ids that had to be changed. Kept by the call's id, for whoever made the call, in memory only.

Nobody reads another's. What is lost (a restart, too many others) costs a provider's refusal at worst, never a wrong answer.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from typing import Any

Json = dict[str, Any]

MOST = 10_000
MOST_BYTES = 32 * 1024 * 1024
MOST_BYTES_EACH = 1024 * 1024


class Keepsakes:
    """The least recently used go first. Safe to use from several threads."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._kept: OrderedDict[tuple[str, str], tuple[Json, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def keep(self, owner: str, id: str, what: Json) -> None:
        """Add to what is kept for a call."""
        with self._lock:
            before, size = self._kept.pop((owner, id), ({}, 0))
            self._bytes -= size
            both = {**before, **what}
            size = _size_of(both) + len(owner) + len(id)
            if size > MOST_BYTES_EACH:
                return
            self._kept[owner, id] = both, size
            self._bytes += size
            while len(self._kept) > self._most or self._bytes > self._most_bytes:
                _, (_, gone) = self._kept.popitem(last=False)
                self._bytes -= gone

    def of(self, owner: str, id: str) -> Json | None:
        """What was kept for a call of this owner's; None when there is nothing."""
        with self._lock:
            found = self._kept.get((owner, id))
            if found is None:
                return None
            self._kept.move_to_end((owner, id))
            return found[0]


def _size_of(what: Json) -> int:
    try:
        return len(json.dumps(what))
    except (ValueError, RecursionError):
        return MOST_BYTES_EACH + 1
