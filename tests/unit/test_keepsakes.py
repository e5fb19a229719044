"""What is kept with calls of tools: for their owner alone, and within bounds."""

from __future__ import annotations

from ipin_proxy.keepsakes import MOST_BYTES_EACH, Keepsakes


def test_what_is_kept_is_there_for_its_owner_and_nobody_else():
    kept = Keepsakes()
    kept.keep("ann", "call_1", {"reasoning": "Hm."})
    kept.keep("ann", "call_1", {"id": "functions.x:0"})
    assert kept.of("ann", "call_1") == {"reasoning": "Hm.", "id": "functions.x:0"}
    assert kept.of("bob", "call_1") is None
    assert kept.of("ann", "call_2") is None


def test_the_least_recently_used_go_first():
    kept = Keepsakes(most=2)
    kept.keep("ann", "a", {"n": 1})
    kept.keep("ann", "b", {"n": 2})
    assert kept.of("ann", "a") == {"n": 1}
    kept.keep("ann", "c", {"n": 3})
    assert [kept.of("ann", id) is not None for id in "abc"] == [True, False, True]


def test_bytes_are_bounded_too():
    kept = Keepsakes(most_bytes=1000)
    for number in range(100):
        kept.keep("ann", str(number), {"reasoning": "x" * 200})
    assert sum(kept.of("ann", str(number)) is not None for number in range(100)) == 4


def test_what_is_too_large_is_not_kept():
    kept = Keepsakes()
    deep: dict[str, object] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    kept.keep("ann", "a", {"reasoning": "x" * MOST_BYTES_EACH})
    kept.keep("ann", "b", deep)
    assert kept.of("ann", "a") is None and kept.of("ann", "b") is None
