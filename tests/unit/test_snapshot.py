"""A snapshot's indices: whose key is whose."""

from __future__ import annotations

from ipin_proxy.records import User, VirtualKey
from ipin_proxy.snapshot import Snapshot


def owners(keys: dict[str, str], users: dict[str, str | None]) -> dict[str, str]:
    """Keys with the user name they bear, users with the key they are linked to: key → user name."""
    found = Snapshot.of(
        keys={id_: VirtualKey(id=id_, key_hash=id_, username=name) for id_, name in keys.items()},
        users={name: User(id=name, username=name, api_key_id=key) for name, key in users.items()},
    )
    return {id_: user.username for id_, user in found.owners.items()}


def test_a_key_is_the_users_it_is_linked_to() -> None:
    assert owners({"k": "", "other": ""}, {"ann": "k", "ben": None}) == {"k": "ann"}
    assert owners({"k": "somebody"}, {"ann": "k"}) == {"k": "ann"}


def test_a_key_nobody_is_linked_to_is_the_users_it_names() -> None:
    assert owners({"one": "Ann", "two": "ANN", "three": "nobody"}, {"ann": None}) == {"one": "ann", "two": "ann"}


def test_a_link_goes_before_a_name() -> None:
    assert owners({"k": "ben"}, {"ann": "k", "ben": None}) == {"k": "ann"}


def test_of_several_who_share_a_key_it_is_the_one_it_names_or_the_first() -> None:
    assert owners({"k": "ben"}, {"ann": "k", "ben": "k"}) == {"k": "ben"}
    assert owners({"k": ""}, {"ann": "k", "ben": "k"}) == {"k": "ann"}


def test_a_link_to_a_key_that_is_gone_leads_nowhere() -> None:
    assert owners({}, {"ann": "gone", "ben": None}) == {}
