"""The store of responses: bounded, and each key's own."""

from __future__ import annotations

from typing import Any

import pytest
from support.clock import Clock

from ipin_proxy.conversations import ENTRY_BYTES, SHARE, STEM_CHARS, Conversations

Json = dict[str, Any]

A, B = "a" * STEM_CHARS, "b" * STEM_CHARS  # what is in the ids of a response and of its items


def said(text: str, id: str = "msg_1i0") -> Json:
    return {"id": id, "type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def response(name: str, previous: str | None = None, text: str = "Yes.") -> Json:
    item = {"id": f"msg_{name.removeprefix('resp_')}01", "type": "message", "role": "assistant", "content": text}
    return {"id": name, "object": "response", "previous_response_id": previous, "output": [item]}


@pytest.fixture
def store(clock: Clock) -> Conversations:
    return Conversations(clock, max_entries=4, max_bytes=40_000, keep_s=100.0)


def test_a_conversation_is_all_its_turns_the_oldest_first(store: Conversations) -> None:
    assert store.keep("key", response("resp_a"), [said("One?")])
    assert store.keep("key", response("resp_b", "resp_a"), [said("Two?")])
    history = store.history("key", "resp_b")
    assert history is not None
    assert [item["id"] for item in history] == ["msg_1i0", "msg_a01", "msg_1i0", "msg_b01"]
    kept = store.get("key", "resp_b")
    assert kept is not None and kept.response["id"] == "resp_b" and kept.input == [said("Two?")]


def test_another_key_does_not_learn_that_a_response_exists(store: Conversations) -> None:
    store.keep("key", response(f"resp_{A}"), [said("One?")])
    assert store.get("other", f"resp_{A}") is None
    assert store.history("other", f"resp_{A}") is None
    assert store.items("other", [f"msg_{A}01"]) == {}
    assert store.delete("other", f"resp_{A}") is False
    assert store.get("key", f"resp_{A}") is not None


def test_what_is_deleted_is_gone_and_cannot_be_continued(store: Conversations) -> None:
    store.keep("key", response("resp_a"), [said("One?")])
    store.keep("key", response("resp_b", "resp_a"), [said("Two?")])
    assert store.delete("key", "resp_a") is True
    assert store.delete("key", "resp_a") is False
    assert store.get("key", "resp_a") is None
    assert store.get("key", "resp_b") is not None
    assert store.history("key", "resp_b") is None


def test_what_is_not_used_for_long_enough_is_forgotten(store: Conversations, clock: Clock) -> None:
    store.keep("key", response("resp_a"), [said("One?")])
    clock.advance(99)
    assert store.get("key", "resp_a") is not None
    clock.advance(100)
    assert store.get("key", "resp_a") is None
    store.keep("key", response("resp_b"), [])
    assert store.entries == 1


def test_a_turn_keeps_those_before_it_alive(store: Conversations, clock: Clock) -> None:
    store.keep("key", response("resp_a"), [said("One?")])
    clock.advance(60)
    store.keep("key", response("resp_b", "resp_a"), [said("Two?")])
    clock.advance(60)
    assert store.history("key", "resp_b") is not None


def test_the_least_recently_used_goes_first_and_never_one_that_a_younger_needs(store: Conversations) -> None:
    store.keep("key", response("resp_a"), [said("One?")])
    store.keep("key", response("resp_x"), [said("Else?")])
    store.keep("key", response("resp_b", "resp_a"), [said("Two?")])
    store.keep("key", response("resp_c", "resp_b"), [said("Three?")])
    store.keep("key", response("resp_d", "resp_c"), [said("Four?")])
    assert store.entries == 4
    assert store.get("key", "resp_x") is None
    assert store.history("key", "resp_d") is not None


def test_the_owner_of_the_most_bytes_makes_room(store: Conversations) -> None:
    store.keep("modest", response("resp_m"), [said("Hi")])
    for number in range(12):
        store.keep("greedy", response(f"resp_{number}"), [said("x" * 6_000)])
    assert store.size_bytes <= 40_000
    assert store.get("modest", "resp_m") is not None
    assert store.get("greedy", "resp_11") is not None


def test_what_would_take_too_much_of_the_room_is_not_kept(store: Conversations) -> None:
    assert store.keep("key", response("resp_a"), [said("x" * (40_000 // SHARE))]) is False
    assert (store.entries, store.size_bytes) == (0, 0)


def test_a_response_that_comes_again_takes_the_place_of_the_old_one(store: Conversations) -> None:
    store.keep("key", response("resp_a"), [said("One?")])
    store.keep("key", response("resp_a", text="No."), [said("One?")])
    kept = store.get("key", "resp_a")
    assert kept is not None and kept.response["output"][0]["content"] == "No."
    assert store.entries == 1


def test_nothing_is_left_when_all_was_deleted(store: Conversations) -> None:
    owners = {"resp_a": "key", "resp_b": "key", "resp_o": "other"}
    for name, owner in owners.items():
        store.keep(owner, response(name), [said("One?")])
    assert store.entries == 3 and store.size_bytes > 3 * ENTRY_BYTES
    for name, owner in owners.items():
        store.delete(owner, name)
    assert (store.entries, store.size_bytes) == (0, 0)


def test_items_are_found_by_their_ids_alone(store: Conversations) -> None:
    store.keep("key", response(f"resp_{B}"), [said("One?", f"msg_{B}i0")])
    store.keep("key", response(f"resp_{A}"), [{**said("Two?"), "id": ["odd"]}])
    found = store.items("key", [f"msg_{B}i0", f"msg_{B}99", "", f"msg_{B}01", f"msg_{A}01", f"msg_{A[1:]}01"])
    assert sorted(found) == [f"msg_{A}01", f"msg_{B}01", f"msg_{B}i0"]
    assert found[f"msg_{B}01"]["role"] == "assistant"
    assert found[f"msg_{B}i0"] == said("One?", f"msg_{B}i0")


def test_of_many_items_of_a_response_that_is_read_once(store: Conversations, monkeypatch: pytest.MonkeyPatch) -> None:
    store.keep("key", response(f"resp_{A}"), [said("One?", f"msg_{A}i{at}") for at in range(20)])
    read: list[str] = []
    get = store.get
    monkeypatch.setattr(store, "get", lambda owner, name: read.append(name) or get(owner, name))
    assert len(store.items("key", [f"msg_{A}i{at}" for at in range(20)])) == 20
    assert read == [f"resp_{A}"]


def test_what_comes_along_with_a_request_is_weighed(store: Conversations) -> None:
    first, second = f"resp_{A}", f"resp_{B}"
    store.keep("key", response(first, text="x" * 1000), [said("y" * 500)])
    store.keep("key", response(second, first), [said("Two?")])
    assert 1500 < store.weigh("key", first, []) < store.weigh("key", second, []) < 3500
    assert 1000 < store.weigh("key", None, [f"msg_{A}01", f"msg_{A}01", "msg_9"]) < 1200
    assert store.weigh("other", second, [f"msg_{A}01"]) == store.weigh("key", "resp_c", []) == 0


def test_a_conversation_that_refers_to_itself_ends(store: Conversations) -> None:
    store.keep("key", response("resp_a", "resp_a"), [said("One?")])
    assert store.history("key", "resp_a") is None


def test_a_store_without_room_keeps_nothing(clock: Clock) -> None:
    store = Conversations(clock, max_entries=0)
    assert store.keep("key", response("resp_a"), []) is False


def test_half_a_character_is_kept_as_it_came(store: Conversations) -> None:
    store.keep("key", response("resp_a", text="\ud83d"), [])
    kept = store.get("key", "resp_a")
    assert kept is not None and kept.response["output"][0]["content"] == "\ud83d"
