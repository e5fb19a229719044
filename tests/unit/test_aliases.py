"""What an alias stands for: the order of its maps, what a key may use behind it, and what is wrong with one."""

from __future__ import annotations

from typing import Any

import pytest
from support.naming import call, caller, catalog, leads

from ipin_proxy import aliases
from ipin_proxy.call import EMBEDDING
from ipin_proxy.deployments import asked_for
from ipin_proxy.errors import BadRequest, Forbidden, ModelNotFound, NotConfigured, NotFound
from ipin_proxy.records import Alias

# Which model.


def test_an_alias_of_a_model_is_that_model_by_its_name_and_behind_its_prefix_whatever_is_asked_for() -> None:
    shelf = catalog({"id": "cheap", "target": "fast"})
    assert leads(shelf, "cheap") == "cheap>acme:vendor/fast"
    assert leads(shelf, "anything", "cheap") == "cheap>acme:vendor/fast"
    assert leads(shelf, "slow", "cheap") == "cheap>acme:vendor/fast"
    assert leads(shelf, "slow") == ">acme:slow"


def test_a_map_is_asked_by_the_exact_name_first_and_then_by_family() -> None:
    shelf = catalog(
        {
            "id": "a",
            "target": "slow",
            "modelMap": {"haiku": "fast", "claude-haiku-exact": "slow", "opus": "mapped/big", "sonnet": "known"},
        }
    )
    assert leads(shelf, "claude-haiku-4-5-20251001", "a") == "a>acme:vendor/fast"
    assert leads(shelf, "Claude-HAIKU", "a") == "a>acme:vendor/fast"
    assert leads(shelf, "claude-haiku-exact", "a") == "a>acme:slow"
    assert leads(shelf, "claude-sonnet-5", "a") == "a>mapped:claude-opus-old"
    assert leads(shelf, "claude-opus-4-8", "a") == "a>mapped:big", "a provider's own name, which needs no record"
    assert leads(shelf, "gpt", "a") == "a>acme:slow"


@pytest.mark.parametrize("wish", ["acme/fast", "acme/vendor/fast"])
def test_a_map_may_name_the_provider_of_a_model_that_has_a_record(wish: str) -> None:
    for target in ({}, {"target": "slow"}):
        shelf = catalog({"id": "a", "modelMap": {"haiku": wish}, **target})
        assert leads(shelf, "claude-haiku-5", "a") == "a>acme:vendor/fast"
        assert leads(shelf, "claude-haiku-5", "a", allowed=("a",)) == "a>acme:vendor/fast"


def test_behind_an_alias_of_a_provider_its_own_map_and_default_come_after() -> None:
    shelf = catalog({"id": "a", "target": "mapped", "modelMap": {"haiku": "small", "sonnet": "fast"}})
    assert leads(shelf, "claude-haiku-5", "a") == "a>mapped:small"
    assert leads(shelf, "claude-sonnet-5", "a") == "a>acme:vendor/fast", "a model record of another provider"
    assert leads(shelf, "nick", "a") == "a>mapped:vendor/full"
    assert leads(shelf, "claude-opus-5", "a") == "a>mapped:their-big"
    assert leads(shelf, "known", "a") == "a>mapped:claude-opus-old"
    assert leads(shelf, "claude-opus-old", "a") == "a>mapped:claude-opus-old", "which it serves by that name"
    assert leads(shelf, "gpt-9", "a") == "a>mapped:their-usual"
    assert leads(shelf, "a") == "a>mapped:their-usual"


def test_a_provider_s_map_also_holds_behind_its_own_prefix_and_only_there() -> None:
    shelf = catalog()
    assert leads(shelf, "claude-opus-5", "mapped") == ">mapped:their-big"
    assert leads(shelf, "made/claude-opus-5", "mapped") == ">mapped:their-usual", "a maker's name is of no family"
    assert leads(shelf, "claude-sonnet-5", "offered") == ">offered:maker/middle"
    assert leads(shelf, "maker/claude-sonnet-5", "offered") == ">offered:maker/claude-sonnet-5"
    with pytest.raises(ModelNotFound):
        leads(shelf, "claude-opus-5")


def test_an_alias_of_a_provider_that_takes_any_name_passes_names_on_but_not_its_own() -> None:
    shelf = catalog({"id": "a", "target": "offered", "modelMap": {"haiku": "maker/small"}})
    assert leads(shelf, "maker/new", "a") == "a>offered:maker/new"
    assert leads(shelf, "claude-haiku-5", "a") == "a>offered:maker/small"
    with pytest.raises(NotConfigured, match="no default model"):
        leads(shelf, "a")


def test_the_default_takes_what_no_model_has_and_nothing_else() -> None:
    shelf = catalog(
        {"id": "a", "target": "fast", "default": True, "modelMap": {"opus": "slow"}}, {"id": "b", "target": "slow"}
    )
    assert leads(shelf, "claude-sonnet-5") == "a>acme:vendor/fast"
    assert leads(shelf, "claude-opus-5") == "a>acme:slow"
    assert leads(shelf, "slow") == ">acme:slow"
    assert leads(shelf, "b") == "b>acme:slow"
    assert leads(shelf, "offered/maker/new") == ">offered:maker/new"
    with pytest.raises(ModelNotFound):
        leads(shelf, "nothing", "acme")
    with pytest.raises(ModelNotFound):
        leads(shelf, "embed-9", operation=EMBEDDING)
    with pytest.raises(BadRequest, match="is of type chat"):
        leads(shelf, "b", operation=EMBEDDING)


def test_what_its_prompt_adds_is_known_of_the_call() -> None:
    shelf = catalog(
        {"id": "a", "target": "fast", "systemPrompt": {"template": "x" * 100}}, {"id": "b", "target": "fast"}
    )
    assert [asked_for(shelf, call(name))[0].added_chars for name in ("a", "b", "fast")] == [100, 0, 0]


def test_a_disabled_alias_is_none() -> None:
    shelf = catalog({"id": "a", "target": "fast", "enabled": False, "default": True})
    with pytest.raises(ModelNotFound):
        leads(shelf, "a")
    with pytest.raises(NotFound):
        shelf.check_pin("a", caller())


def test_stored_records_go_before_an_alias_of_the_same_id_and_it_before_an_offer() -> None:
    shelf = catalog(
        {"id": "slow", "target": "fast"}, {"id": "acme", "target": "known"}, {"id": "offered", "target": "fast"}
    )
    assert leads(shelf, "slow") == ">acme:slow"
    assert leads(shelf, "slow", "acme") == ">acme:slow"
    assert leads(shelf, "x", "offered") == "offered>acme:vendor/fast"
    assert [aliases.trouble(shelf, Alias(id=name, target="fast")) for name in ("slow", "acme", "offered")] == [
        "There is a model 'slow', which goes before it.",
        "There is a provider 'acme', which goes before it.",
        "",
    ]


@pytest.mark.parametrize(
    ("row", "name", "says"),
    [
        ({"target": "gone"}, "x", "'gone', which is no model or provider"),
        ({"target": "off"}, "x", "'off', which is no model or provider"),
        ({"target": "switched-off"}, "x", "'switched-off', which is no model or provider"),
        ({"target": "fast", "modelMap": {"haiku": "gone"}}, "claude-haiku", "the model 'gone', which is not there"),
        ({"target": "acme", "modelMap": {"haiku": "vendor/off"}}, "claude-haiku", "'vendor/off', which is not there"),
        ({"target": "acme"}, "a", "the provider 'acme', which has no default model"),
        ({"modelMap": {"haiku": "fast"}}, "a", "no model, so it is a base URL"),
    ],
)
def test_what_an_administrator_has_to_see_to_is_told_as_such(row: dict[str, Any], name: str, says: str) -> None:
    shelf = catalog({"id": "a", **row})
    with pytest.raises(NotConfigured, match=says) as raised:
        leads(shelf, name, None if name == "a" else "a")
    assert (raised.value.status, raised.value.code) == (503, "provider_not_configured")
    told = aliases.trouble(shelf, shelf.aliases["a"])
    assert bool(told) == (name != "a"), "that it is no model's name is no trouble"


def test_a_name_that_leads_nowhere_is_the_caller_s() -> None:
    shelf = catalog(
        {"id": "a", "target": "acme", "modelMap": {"haiku": "fast", "exact": "slow"}},
        {"id": "b", "modelMap": {"x": "fast"}},
    )
    with pytest.raises(
        ModelNotFound, match=r"behind the alias 'a'\. Known models there: haiku, exact, fast, slow, vectors\."
    ):
        leads(shelf, "gpt-9", "a")
    assert leads(shelf, "slow", "b") == "b>acme:slow", "without a target, names are what they are elsewhere"
    with pytest.raises(ModelNotFound):
        leads(shelf, "gpt-9", "b")


# Who may.


def test_a_key_may_use_an_alias_by_its_name_or_by_the_model_behind_it() -> None:
    shelf = catalog({"id": "a", "target": "fast"})
    for allowed in (("a",), ("fast",), ("f*",), ()):
        assert leads(shelf, "a", allowed=allowed) == leads(shelf, "x", "a", allowed=allowed) == "a>acme:vendor/fast"
    for name, pin in (("a", None), ("x", "a"), ("a", "a")):
        with pytest.raises(Forbidden) as raised:
            leads(shelf, name, pin, allowed=("slow",))
        assert raised.value.code == "model_not_allowed"


def test_an_alias_widens_no_list_by_names_that_are_the_caller_s_own() -> None:
    shelf = catalog({"id": "a", "target": "acme", "modelMap": {"haiku": "fast"}}, {"id": "p", "target": "offered"})
    assert leads(shelf, "claude-haiku", "a", allowed=("a",)) == "a>acme:vendor/fast"
    for name in ("slow", "nothing"):
        with pytest.raises(Forbidden):
            leads(shelf, name, "a", allowed=("a",))
    assert leads(shelf, "slow", "a", allowed=("slow",)) == "a>acme:slow"
    with pytest.raises(Forbidden):
        leads(shelf, "maker/dear", "p", allowed=("p",))
    assert leads(shelf, "maker/dear", "p", allowed=("offered/*",)) == "p>offered:maker/dear"


def test_a_key_behind_a_wall_does_not_learn_which_aliases_there_are() -> None:
    shelf = catalog(
        {"id": "a", "target": "fast", "default": True},
        {"id": "broken", "target": "gone"},
        {"id": "p", "target": "offered"},
    )
    told = []
    for name in ("a", "broken", "nothing"):
        with pytest.raises(Forbidden) as refused:
            leads(shelf, name, allowed=("slow",))
        told.append(refused.value.message.replace(f"'{name}'", "…"))
        with pytest.raises(NotFound) as raised:
            shelf.check_pin(name, caller("slow"))
        told.append(raised.value.message.replace(f"'{name}'", "…"))
    assert len(set(told)) == 2
    for allowed in (("fast",), ("a",), ()):
        shelf.check_pin("a", caller(*allowed))
    shelf.check_pin("p", caller("offered/*"))
    with pytest.raises(NotFound):
        shelf.check_pin("p", caller("fast"))


@pytest.mark.parametrize("wish", ["switched-off", "vendor/off"])
@pytest.mark.parametrize("target", [{}, {"target": "acme"}, {"target": "slow"}])
def test_what_a_record_disables_stays_disabled_behind_an_alias(wish: str, target: dict[str, str]) -> None:
    shelf = catalog({"id": "a", "modelMap": {"opus": wish}, **target})
    with pytest.raises(NotConfigured, match=f"leads to the model '{wish}', which is not there or disabled"):
        leads(shelf, "claude-opus-5", "a")


def test_an_alias_that_may_be_used_as_a_model_is_named_among_them() -> None:
    shelf = catalog({"id": "b", "target": "fast"})
    for allowed, names in (((), "fast, slow, vectors, known, b"), (("b", "nothing"), "b")):
        with pytest.raises(ModelNotFound, match=rf"Known models: {names}\."):
            leads(shelf, "nothing", allowed=allowed)


def test_what_is_listed_is_what_may_be_used() -> None:
    shelf = catalog(
        {"id": "a", "target": "acme", "modelMap": {"haiku": "fast", "exact": "slow"}},
        {"id": "b", "target": "fast"},
        {"id": "broken", "target": "gone"},
    )
    assert list(aliases.models_named(shelf, caller())) == ["b"]
    assert list(aliases.models_named(shelf, caller("slow"))) == []
    assert list(aliases.models_behind(shelf, shelf.aliases["a"], caller())) == [
        "haiku",
        "exact",
        "fast",
        "slow",
        "vectors",
    ]
    assert list(aliases.models_behind(shelf, shelf.aliases["a"], caller("slow"))) == ["exact", "slow"]
    assert list(aliases.models_behind(shelf, shelf.aliases["a"], caller("a"))) == ["haiku", "exact"]
    assert list(aliases.models_behind(shelf, shelf.aliases["broken"], caller())) == []
