"""What holds for every database and every record, whatever is in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st

from ipin_proxy.errors import BadRequest
from ipin_proxy.records import Alias, Model, Provider, Record, User, VirtualKey, columns_of, merge
from ipin_proxy.snapshot import Broken, Printer, parse, render
from ipin_proxy.store import Store, inspect
from ipin_proxy.storefile import journal, without_journal

KINDS: tuple[type[Record], ...] = (Provider, Model, VirtualKey, User, Alias)
SECTIONS = dict(zip(("providers", "models", "apiKeys", "users", "aliases"), KINDS, strict=True))

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
lines = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
amounts = st.floats(0, 1e9, allow_nan=False) | st.integers(0, 10**9)
counts = st.integers(1, 10**9)
moments = st.integers(1_000_000_000_000, 4_000_000_000_000)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
secrets = st.text("abcdefghijklmnop0123456789-_", min_size=1, max_size=40)
name_maps = st.dictionaries(lines, lines, max_size=3)
budgets = st.lists(
    st.fixed_dictionaries({"usd": amounts}, optional={"window": st.sampled_from(["day", "week", "month", "total"])})
    | st.fixed_dictionaries(
        {"usd": amounts, "window": st.just("rolling"), "days": st.integers(1, 366)}, optional={"name": lines}
    )
    | st.fixed_dictionaries({"usd": amounts, "raiseUsd": amounts, "raiseUntil": moments}),
    max_size=3,
)
token_prices = dict.fromkeys(("input", "output", "cachedInput", "cacheWrite1h", "audioInput"), amounts)
tiers = st.lists(
    st.fixed_dictionaries({"aboveTokens": st.integers(1, 10**7)}, optional=token_prices),
    max_size=2,
    unique_by=lambda tier: tier["aboveTokens"],
)
prices = st.fixed_dictionaries({}, optional={**token_prices, "perImage": amounts, "longContext": tiers})

# A value for every member that is worth one; "id" and the members without a default come always.
MEMBERS: dict[type[Record], dict[str, st.SearchStrategy[Any]]] = {
    Provider: {
        "baseUrl": st.sampled_from(["https://x.example/v1?a=b", "http://[::1]:1/", "http://localhost"]),
        "name": lines,
        "apiKey": secrets | st.just("env:SOME_KEY"),
        "type": st.sampled_from(["openai", "anthropic", "chutes"]),
        "auth": st.sampled_from(["bearer", "none", "header:x-key"]),
        "headers": st.dictionaries(st.sampled_from(["x-a", "x-b"]), secrets, max_size=2),
        "timeoutSeconds": st.integers(1, 86_400) | st.floats(0.1, 100),
        "modelMap": name_maps,
        "verify": st.booleans(),
        "includeUsage": st.booleans(),
    },
    Model: {
        "providerId": lines,
        "type": st.sampled_from(["chat", "embedding", "image"]),
        "enabled": st.booleans(),
        "upstreamModel": lines,
        "fallbacks": st.lists(lines, max_size=3),
        "deployments": st.lists(st.fixed_dictionaries({"providerId": lines}, optional={"weight": amounts}), max_size=2),
        "price": prices,
        "contextWindow": counts,
    },
    VirtualKey: {
        "keyHash": digests,
        "allowedModels": st.lists(lines, max_size=3),
        "scopes": st.lists(st.sampled_from(["chat", "audio"]), max_size=2),
        "expiresAt": moments,
        "allowedIps": st.lists(st.sampled_from(["10.0.0.0/8", "::1", "192.0.2.1"]), max_size=2),
        "rpm": counts,
        "budgets": budgets,
        "createdAt": moments,
    },
    User: {"username": lines, "email": lines, "role": st.sampled_from(["admin", "user"]), "budgets": budgets},
    Alias: {
        "target": lines,
        "modelMap": name_maps,
        "systemPrompt": st.fixed_dictionaries({"template": texts.filter(lambda text: "\0" not in text)}),
        "default": st.booleans(),
    },
}
REQUIRED = {"baseUrl", "providerId", "keyHash", "username", "target"}


def known(kind: type[Record]) -> set[str]:
    return {one.member for one in columns_of(kind)} | {"key", "password"}


def rows(kind: type[Record]) -> st.SearchStrategy[dict[str, Any]]:
    members = MEMBERS[kind]
    shape: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
        {"id": lines, **{name: value for name, value in members.items() if name in REQUIRED}},
        optional={name: value for name, value in members.items() if name not in REQUIRED},
    )
    unknown = st.dictionaries(texts.filter(lambda name: name not in known(kind)), json_values, max_size=2)
    return st.builds(lambda row, more: {**more, **row}, shape, unknown)


def unique(kind: type[Record]) -> st.SearchStrategy[Any]:
    return st.lists(rows(kind), max_size=3, unique_by=lambda row: str(row["id"]))


documents: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"version": st.just(1)},
    optional={
        **{name: unique(kind) for name, kind in SECTIONS.items()},
        "settings": st.dictionaries(texts, json_values, max_size=3),
        "note": json_values,
    },
)


@given(documents)
def test_a_document_survives_the_round_trip(document: dict[str, Any]) -> None:
    once = parse(json.dumps(document).encode()).snapshot
    content = render(once)
    printer = Printer()
    assert printer.render(once) == printer.render(once) == content
    again = parse(content).snapshot
    assert again == once
    assert render(again) == content
    written = json.loads(content)
    assert written.get("note") == document.get("note")
    assert written["settings"] == document.get("settings", {})
    for name, kind in SECTIONS.items():
        for row, kept in zip(document.get(name, []), written[name], strict=True):
            for member, value in row.items():
                if member not in known(kind):
                    assert kept[member] == value


@given(st.sampled_from(KINDS).flatmap(lambda kind: st.tuples(st.just(kind), rows(kind))))
def test_a_record_is_what_it_writes(given_row: tuple[type[Record], dict[str, Any]]) -> None:
    kind, row = given_row
    record = kind.from_json(row)
    assert kind.from_json(record.to_json()) == record
    assert merge(record, {}) == record
    json.dumps(record.public_json())


@given(st.sampled_from(KINDS), st.data())
def test_a_record_takes_a_value_or_names_the_member(kind: type[Record], data: st.DataObject) -> None:
    row = data.draw(rows(kind))
    member = data.draw(st.sampled_from([one.member for one in columns_of(kind)]))
    row[member] = data.draw(json_values | st.just(float("nan")) | st.just("\ud800"))
    try:
        record = kind.from_json(row)
    except BadRequest as error:
        assert error.param
        assert error.code == "invalid_value"
        assert "\n" not in error.message
    else:
        assert kind.from_json(json.loads(json.dumps(record.to_json()))) == record


@given(st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_document_or_broken(content: bytes) -> None:
    try:
        render(parse(content).snapshot)
    except Broken as error:
        assert str(error)


@given(documents, st.data())
def test_a_document_cut_short_is_broken(document: dict[str, Any], data: st.DataObject) -> None:
    content = render(parse(json.dumps(document).encode()).snapshot).rstrip()
    cut = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(Broken):
        parse(content[:cut])


@given(documents, documents, st.data())
def test_a_journal_is_believed_whole_or_not_at_all(old: Any, new: Any, data: st.DataObject) -> None:
    before, after = (json.dumps(document, ensure_ascii=False).encode() for document in (old, new))
    record = journal(after)
    cut = data.draw(st.integers(0, len(record)))
    found = without_journal(before + record[:cut])
    assert found == (after if cut == len(record) else before)
    place = data.draw(st.integers(0, len(record) - 1))
    damaged = record[:place] + bytes([record[place] ^ 1]) + record[place + 1 :]
    assert without_journal(before + damaged) != after or before == after


changes = st.lists(
    st.tuples(st.sampled_from(["set", "remove", "fail", "edit by hand", "reopen"]), lines, json_values),
    min_size=1,
    max_size=12,
)


@settings(deadline=None, max_examples=30)
@given(changes)
def test_any_sequence_of_changes_is_what_a_dictionary_would_hold(steps: list[tuple[str, str, Any]]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ipin-proxy.db"
        store = Store.open([path])
        expected: dict[str, Any] = {}
        try:
            for kind, name, value in steps:
                if kind == "set":
                    with store.edit() as draft:
                        draft.settings[name] = expected[name] = value
                elif kind == "remove":
                    with store.edit() as draft:
                        draft.settings.pop(name, None)
                    expected.pop(name, None)
                elif kind == "fail":
                    with pytest.raises(KeyError), store.edit() as draft:
                        draft.settings[name] = value
                        raise KeyError(name)
                elif kind == "edit by hand":
                    document = json.loads(path.read_bytes())
                    document["settings"][name] = expected[name] = value
                    path.write_text(json.dumps(document))
                    store.reload()
                else:
                    store.close()
                    store = Store.open([path])
                assert same(store.snapshot().settings, expected)
                assert same(inspect(path).settings, expected)
        finally:
            store.close()


def same(found: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Equal as JSON: to Python, true would equal 1."""
    return json.dumps(dict(found), sort_keys=True) == json.dumps(dict(expected), sort_keys=True)
