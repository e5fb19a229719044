"""The database as a document: what a mask stands for when it comes back, and what is called a difference."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ipin_proxy.errors import BadRequest
from ipin_proxy.interchange import changes, document, take
from ipin_proxy.snapshot import Snapshot, understood

Json = dict[str, Any]
KEY_HASH = "ab" * 32


def snapshot(**sections: Any) -> Snapshot:
    return understood({"version": 1, **sections}).snapshot


STORED: Json = {
    "providers": [
        {
            "id": "p",
            "baseUrl": "https://p.example/v1?api_key=query-0123456789&api-version=2024-10-21",
            "apiKey": "sk-secret-0123456789-wxyz",
            "headers": {"X-Token": "token-0123456789", "X-Note": "a...b"},
            "accountToken": "unknown-secret",
            "region": "north",
            "options": {"apiToken": "unknown-secret", "zone": "z1", "list": [{"password": "unknown-secret"}, {}]},
        }
    ],
    "models": [{"id": "m", "providerId": "p"}, {"id": "lost", "providerId": "gone"}],
    "apiKeys": [{"id": "k", "keyHash": KEY_HASH, "keyHint": "sk-ab...wxyz", "lastUsedAt": 5000}],
    "users": [{"id": "u", "username": "ada", "role": "admin", "passwordHash": "sha256$" + "cd" * 32}],
    "aliases": [{"id": "a", "target": "m"}],
    "settings": {"masterKeyHash": KEY_HASH, "webhookSecret": "unknown-secret", "LOG_LEVEL": "debug"},
    "adminToken": "unknown-secret",
    "hook": {"secret": "unknown-secret", "event": "saved"},
    "note": "to the reader",
}


@pytest.fixture
def before() -> Snapshot:
    return snapshot(**json.loads(json.dumps(STORED)))


def test_no_secret_is_in_a_document_without_secrets_known_member_or_not(before: Snapshot) -> None:
    text = json.dumps(document(before, secrets=False))
    for hidden in ("0123456789", "unknown-secret", KEY_HASH, "cd" * 32):
        assert hidden not in text
    for shown in ("to the reader", "north", "a...b", "sk-ab...wxyz", "debug", "z1", "saved", "2024-10-21"):
        assert shown in text
    assert document(before, secrets=True)["adminToken"] == "unknown-secret"


def test_all_that_was_hidden_is_there_again(before: Snapshot) -> None:
    found = take(document(before, secrets=False), before)
    assert found.notices == []
    assert changes(before, found.snapshot) == {"added": [], "changed": [], "removed": []}
    assert found.snapshot.providers["p"] is before.providers["p"]
    assert dict(found.snapshot.settings) == dict(before.settings)
    assert dict(found.snapshot.extra) == dict(before.extra)


def test_a_price_by_the_length_of_a_call_can_be_taken_elsewhere() -> None:
    price = {"input": 1, "longContext": [{"input": 2, "aboveTokens": 200_000}, {"input": 3, "aboveTokens": 400_000}]}
    there = snapshot(models=[{"id": "m", "providerId": "p", "price": price}])
    given = document(there, secrets=False)
    assert given["models"][0]["price"] == price
    assert take(given, snapshot()).snapshot.models["m"] == there.models["m"]
    price["longContext"] = list(reversed(price["longContext"]))
    given["models"][0]["price"] = price
    assert take(given, there).snapshot.models["m"].to_json()["price"] == price


def test_how_long_a_token_is_good_is_a_setting_like_others() -> None:
    there = snapshot(settings={"TOKEN_DAYS": 5, "UNPRICED": "allow"})
    given = document(there, secrets=False)
    assert given["settings"] == {"TOKEN_DAYS": 5, "UNPRICED": "allow"}
    assert take(given, snapshot()).snapshot.settings["TOKEN_DAYS"] == 5
    del given["settings"]["TOKEN_DAYS"]
    assert "TOKEN_DAYS" not in take(given, there).snapshot.settings


def test_what_was_hidden_inside_is_kept_where_something_else_changes(before: Snapshot) -> None:
    given = document(before, secrets=False)
    provider = given["providers"][0]
    provider["options"] = {"apiToken": "...", "zone": "z2", "list": provider["options"]["list"]}
    provider["baseUrl"] = provider["baseUrl"].replace("/v1", "/v2")
    given["hook"]["event"] = "deleted"
    after = take(given, before).snapshot
    stored = STORED["providers"][0]
    assert after.providers["p"].extra["options"] == {**stored["options"], "zone": "z2"}
    assert after.providers["p"].base_url == stored["baseUrl"].replace("/v1", "/v2")
    assert after.extra["hook"] == {"secret": "unknown-secret", "event": "deleted"}


def test_a_secret_in_a_base_url_goes_to_no_other_server(before: Snapshot) -> None:
    row = document(before, secrets=False)["providers"][0]
    row |= {"baseUrl": row["baseUrl"].replace("p.example", "q.example"), "apiKey": "sk-new-0123456789", "headers": {}}
    found = take({"providers": [row]}, before)
    assert found.snapshot.providers["p"].base_url == "https://q.example/v1?api-version=2024-10-21"
    assert any("base URL" in notice for notice in found.notices)


def test_a_document_is_not_changed_by_being_taken(before: Snapshot) -> None:
    given = document(before, secrets=False)
    copy = json.loads(json.dumps(given))
    take(given, before)
    assert given == copy


@pytest.mark.parametrize(("given", "kept"), [(None, 5000), (4000, 5000), (6000, 6000)])
def test_the_last_use_of_a_key_only_moves_on(before: Snapshot, given: int | None, kept: int) -> None:
    rows = [{"id": "k", "lastUsedAt": given}]
    assert take({"version": 1, "apiKeys": rows}, before).snapshot.keys["k"].last_used_at == kept


@pytest.mark.parametrize("hint", ["", "prod", "the key of the build server"])
def test_a_hint_that_is_no_mask_does_not_become_the_key(hint: str) -> None:
    there = snapshot(apiKeys=[{"id": "k", "keyHash": KEY_HASH, "keyHint": hint}])
    given = document(there, secrets=False)
    assert take(given, there).snapshot.keys["k"].key_hash == KEY_HASH
    assert take(given, snapshot()).snapshot.keys == {}


def test_a_masked_header_that_is_not_stored_is_left_out_and_said(before: Snapshot) -> None:
    rows = [{"id": "q", "baseUrl": "https://q.example", "headers": {"X-Token": "to...89", "X-Note": "c...d"}}]
    found = take({"version": 1, "providers": rows, "models": []}, before)
    assert dict(found.snapshot.providers["q"].headers) == {"X-Note": "c...d"}
    assert found.notices == ["The provider 'q' comes without its header 'X-Token'."]


def test_a_model_that_loses_its_provider_is_said_once_and_only_if_it_is_news(before: Snapshot) -> None:
    found = take({"version": 1, "providers": []}, before)
    assert [notice for notice in found.notices if "'lost'" in notice] == []
    assert len([notice for notice in found.notices if "'m'" in notice]) == 1
    assert take({"version": 1, "providers": []}, before, offered={"p"}).notices == []


def test_two_that_claim_the_same_are_said(before: Snapshot) -> None:
    rows = [*document(before, secrets=True)["users"], {"id": "u2", "username": "ADA", "passwordHash": None}]
    notices = take({"version": 1, "users": rows}, before).notices
    assert any("user name" in notice and "ADA" in notice for notice in notices)


def test_differences_name_members_and_never_values(before: Snapshot) -> None:
    given = document(before, secrets=True)
    given["providers"][0]["apiKey"] = "sk-another-0123456789-abcd"
    given["apiKeys"][0] |= {"keyHash": "ef" * 32, "keyHint": "sk-cd...abcd"}
    given["users"][0]["passwordHash"] = "sha256$" + "01" * 32
    given["aliases"] = []
    given["note"] = "another"
    found = changes(before, take(given, before).snapshot)
    assert found == {
        "added": [],
        "changed": [
            {"kind": "provider", "id": "p", "fields": ["apiKey"]},
            {"kind": "apiKey", "id": "k", "fields": ["key"]},
            {"kind": "user", "id": "u", "fields": ["password"]},
            {"kind": "other", "id": "note", "fields": ["value"]},
        ],
        "removed": [{"kind": "alias", "id": "a"}],
    }


@pytest.mark.parametrize("data", [None, [], "text", 5])
def test_what_is_no_object_is_no_document(before: Snapshot, data: object) -> None:
    with pytest.raises(BadRequest):
        take(data, before)
