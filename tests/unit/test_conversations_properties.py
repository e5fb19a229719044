"""Whatever is kept, used, deleted and forgotten: the bounds hold, and what is kept can be continued."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st
from support.clock import Clock

from ipin_proxy.conversations import Conversations

OWNERS = ("a", "b")
MOST, ROOM, KEEP_S = 6, 24_000, 100.0
steps = st.lists(
    st.one_of(
        st.tuples(st.just("keep"), st.sampled_from(OWNERS), st.integers(0, 30), st.integers(0, 5_000)),
        st.tuples(st.just("use"), st.sampled_from(OWNERS), st.integers(0, 30), st.just(0)),
        st.tuples(st.just("delete"), st.sampled_from(OWNERS), st.integers(0, 30), st.just(0)),
        st.tuples(st.just("wait"), st.just(""), st.integers(1, 90), st.just(0)),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(steps)
def test_the_bounds_hold_and_nothing_that_is_kept_has_lost_its_beginning(told: list[Any]) -> None:
    clock = Clock()
    store = Conversations(clock, max_entries=MOST, max_bytes=ROOM, keep_s=KEEP_S)
    made: list[tuple[str, str, int]] = []  # owner, name, how many turns it is
    deleted: set[str] = set()
    ancestors: dict[str, list[str]] = {}
    for number, (what, owner, pick, size) in enumerate(told):
        mine = [each for each in made if each[0] == owner]
        if what == "keep":
            # Continue one that can be, or begin anew.
            previous = mine[pick][1] if pick < len(mine) and store.history(owner, mine[pick][1]) is not None else None
            name = f"resp_{number}"
            ancestors[name] = [*ancestors[previous], previous] if previous else []
            output = [{"id": f"msg_{number}", "text": "x" * size}]
            if store.keep(owner, {"id": name, "previous_response_id": previous, "output": output}, []):
                made.append((owner, name, len(ancestors[name]) + 1))
        elif what == "wait":
            clock.advance(pick)
        elif pick < len(mine):
            name = mine[pick][1]
            if what == "delete" and store.delete(owner, name):
                deleted.add(name)
            elif what == "use":
                store.history(owner, name)
        assert store.entries <= MOST and store.size_bytes <= ROOM
    for owner, name, turns in made:
        other = OWNERS[owner == "a"]
        assert store.get(other, name) is None
        if store.get(owner, name) is None:
            continue
        history = store.history(owner, name)
        assert (history is None) == bool(deleted & set(ancestors[name]))
        assert history is None or len(history) == turns
    for owner, name, _ in made:
        store.delete(owner, name)
    clock.advance(KEEP_S)
    store.keep("c", {"id": "resp_end", "output": []}, [])
    assert store.entries == 1
