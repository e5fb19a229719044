"""What was answered and may be continued: responses by their id, for `previous_response_id` and for who asks for one again.

Memory only, and bounded three ways: entries, bytes and time. Each entry belongs to the key it was made with, and nobody else
learns that it exists. An entry holds its own turn and the name of the one before it, so a long conversation is kept once;
who uses an entry uses all those before it, so that the oldest to go is never one that a younger one needs. When there is
no room, the owner with the most bytes gives up theirs first. Entries are kept as bytes: what is counted is what is used.
Any thread may come in. Making and reading an entry takes time in proportion to its size: not for the loop.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

Json = dict[str, Any]
Clock = Callable[[], float]

MAX_ENTRIES = 10_000
MAX_BYTES = 64 * 1024 * 1024
KEEP_S = 24 * 3600.0
MOST_TURNS = 2_000  # of one conversation; more would not fit into any model
ENTRY_BYTES = 512  # what an entry takes beside its texts
LOOKS = 64  # at what is too old, in the time that entries are kept
STEM_CHARS = 32  # of a response's id, behind its prefix; the ids of its items begin with it, behind theirs
SHARE = 4  # no entry may be larger than this part of all


class Kept(NamedTuple):
    """A response with the items it was made from, its own turn only."""

    response: Json
    input: list[Json]


@dataclass(slots=True)
class Entry:
    response: bytes
    input: bytes
    previous: str | None
    used_at: float

    @property
    def size_bytes(self) -> int:
        return len(self.response) + len(self.input) + ENTRY_BYTES


@dataclass(slots=True)
class Shelf:
    """The entries of one owner, the least recently used first."""

    entries: OrderedDict[str, Entry]
    size_bytes: int = 0


class Conversations:
    """The store. `clock` gives seconds that only go forward."""

    def __init__(
        self,
        clock: Clock,
        *,
        max_entries: int = MAX_ENTRIES,
        max_bytes: int = MAX_BYTES,
        keep_s: float = KEEP_S,
    ) -> None:
        self._clock = clock
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._keep_s = keep_s
        self._lock = threading.Lock()
        self._shelves: dict[str, Shelf] = {}
        self._next_look = 0.0
        self.entries = 0
        self.size_bytes = 0

    def keep(self, owner: str, response: Json, items: Sequence[Json] | bytes) -> bool:
        """Remember a response and the items it was made from, which may be encoded already. False when it is too large to be
        kept. What it continues is read from its `previous_response_id`."""
        previous = response.get("previous_response_id")
        entry = Entry(
            encoded(response),
            items if isinstance(items, bytes) else encoded(items),
            previous if isinstance(previous, str) else None,
            self._clock(),
        )
        if entry.size_bytes > self._max_bytes // SHARE or self._max_entries < 1:
            return False
        with self._lock:
            self._forget_old(entry.used_at)
            name = str(response["id"])
            self._remove(owner, name)
            shelf = self._shelves.setdefault(owner, Shelf(OrderedDict()))
            shelf.entries[name] = entry
            shelf.size_bytes += entry.size_bytes
            self.size_bytes += entry.size_bytes
            self.entries += 1
            self._use(owner, name)
            while self.entries > self._max_entries or self.size_bytes > self._max_bytes:
                self._make_room()
            return name in shelf.entries

    def get(self, owner: str, name: str) -> Kept | None:
        """One response, or None: not there, too old, or somebody else's."""
        with self._lock:
            chain = self._use(owner, name)
        return Kept(json.loads(chain[0].response), json.loads(chain[0].input)) if chain else None

    def has(self, owner: str, name: str) -> bool:
        """Whether there is one, without looking into it."""
        with self._lock:
            return bool(self._use(owner, name))

    def history(self, owner: str, name: str) -> list[Json] | None:
        """All items of the conversation up to and with this response, the oldest first; None when it is not known whole."""
        with self._lock:
            chain = self._use(owner, name)
        if not chain or chain[-1].previous is not None:
            return None
        items: list[Json] = []
        for entry in reversed(chain):
            items += json.loads(entry.input)
            items += json.loads(entry.response)["output"]
        return items

    def items(self, owner: str, names: Iterable[str]) -> dict[str, Json]:
        """Items that responses of the owner put out, or were made from, by their ids, which have that of the response in them.
        Each response is read once, however many of its items are wanted."""
        wanted: dict[str, list[str]] = {}
        for each in names:
            wanted.setdefault(response_of(each), []).append(each)
        found: dict[str, Json] = {}
        for name, theirs in wanted.items():
            kept = self.get(owner, name)
            known = {str(item.get("id")): item for item in [*kept.input, *kept.response["output"]]} if kept else {}
            found |= {each: known[each] for each in theirs if each in known}
        return found

    def weigh(self, owner: str, name: str | None, items: Iterable[str]) -> int:
        """About how many bytes come along with a request that continues a response and refers to items."""
        with self._lock:
            chain = self._use(owner, name) if name is not None else []
        return sum(entry.size_bytes for entry in chain) + sum(map(len, map(encoded, self.items(owner, items).values())))

    def delete(self, owner: str, name: str) -> bool:
        """Forget a response; what continues it cannot be continued any more. False when there is none."""
        with self._lock:
            self._forget_old(self._clock())
            return self._remove(owner, name)

    # -- with the lock held

    def _use(self, owner: str, name: str) -> list[Entry]:
        """An entry and those before it, all of them used now; those before it last, so that they go later."""
        now = self._clock()
        self._forget_old(now)
        shelf = self._shelves.get(owner)
        chain: list[Entry] = []
        at: str | None = name
        while shelf is not None and at is not None and len(chain) < MOST_TURNS:
            entry = shelf.entries.get(at)
            if entry is None or now - entry.used_at >= self._keep_s:
                break
            shelf.entries.move_to_end(at)
            entry.used_at = now
            chain.append(entry)
            at = entry.previous
        return chain

    def _forget_old(self, now: float) -> None:
        """Give back what is too old. Nobody is given it anyway, so that looking now and then is enough."""
        if now < self._next_look:
            return
        self._next_look = now + self._keep_s / LOOKS
        for owner, shelf in list(self._shelves.items()):
            while shelf.entries:
                name, entry = next(iter(shelf.entries.items()))
                if now - entry.used_at < self._keep_s:
                    break
                self._remove(owner, name)

    def _make_room(self) -> None:
        owner = max(self._shelves, key=lambda each: self._shelves[each].size_bytes)
        self._remove(owner, next(iter(self._shelves[owner].entries)))

    def _remove(self, owner: str, name: str) -> bool:
        shelf = self._shelves.get(owner)
        entry = shelf.entries.pop(name, None) if shelf is not None else None
        if shelf is None or entry is None:
            return False
        shelf.size_bytes -= entry.size_bytes
        self.size_bytes -= entry.size_bytes
        self.entries -= 1
        if not shelf.entries:
            del self._shelves[owner]
        return True


def encoded(value: Any) -> bytes:
    """JSON as small as it goes. Half a surrogate pair stays what it is."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def response_of(item_id: str) -> str:
    """The response that an item belongs to, if it is one of this house."""
    return f"resp_{item_id.rpartition('_')[2][:STEM_CHARS]}"


def referred_to(items: Any) -> list[str]:
    """The ids of the items in a request that stand for those of earlier responses."""
    found = filter(is_item_reference, items) if type(items) is list else ()
    return [each["id"] for each in found if type(each.get("id")) is str]


def is_item_reference(item: Any) -> bool:
    """Whether an item of a request stands for one of an earlier response, which has its id."""
    if type(item) is not dict:
        return False
    kind = item.get("type")
    return kind == "item_reference" or (kind is None and "role" not in item and "id" in item)
