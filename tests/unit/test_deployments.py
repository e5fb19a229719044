"""Which model a name means, and in which order it is served: pins, offers, the demo, weights, what failed a moment ago."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from support.clock import Clock

from ipin_proxy import deployments
from ipin_proxy.aliases import find_written
from ipin_proxy.call import CHAT, EMBEDDING, Call, Caller, Deployment, Operation
from ipin_proxy.deployments import COOLDOWN_S, Catalog, Cooldowns, check_model, weighted
from ipin_proxy.errors import BadRequest, Forbidden, ModelNotFound
from ipin_proxy.records import DeploymentRow, Model, Price, Provider, VirtualKey

ACME = Provider(id="acme", base_url="https://acme.test")
OTHER = Provider(id="other", base_url="https://other.test")
OFFER = Provider(id="openai", base_url="https://provider.test/v1", api_key="env:OPENAI_API_KEY")


def model(id_: str, provider: str = "acme", **fields: Any) -> Model:
    return Model(id=id_, provider_id=provider, **fields)


def catalog(
    *models: Model, providers: tuple[Provider, ...] = (ACME, OTHER), offers: tuple[Provider, ...] = ()
) -> Catalog:
    return Catalog(
        {each.id: each for each in providers}, {each.id: each for each in models}, {each.id: each for each in offers}
    )


def call(name: str, pin: str | None = None, *, operation: Operation = CHAT, allowed: tuple[str, ...] = ()) -> Call:
    key = VirtualKey(id="k", key_hash="0" * 64, allowed_models=allowed)
    return Call("id", Caller("k", key=key), operation, name, False, None, 0.0, "openai", pin=pin)  # type: ignore[arg-type]


def found(catalog: Catalog, name: str, pin: str | None = None) -> str | None:
    """The provider and the upstream name behind a caller's name."""
    model = catalog.find(name, pin)
    return f"{model.provider_id}:{model.upstream_model or model.id}" if model is not None else None


def served(catalog: Catalog, name: str, pin: str | None = None) -> list[str]:
    """Provider and model of every place that serves a name, in order."""
    model = catalog.find(name, pin)
    assert model is not None
    return [f"{row.provider_id}:{each.id}" for each, row in catalog.rows(model, pin, Caller("anybody"))]


# Names.


def test_a_name_is_a_model_that_is_enabled() -> None:
    shelf = catalog(model("a"), model("off", enabled=False), model("org/b"))
    assert [found(shelf, name) for name in ("a", "org/b")] == ["acme:a", "acme:org/b"]
    assert [found(shelf, name) for name in ("off", "A", "b", "", "demo")] == [None] * 5


def test_a_model_of_which_no_provider_is_enabled_is_known_but_not_offered() -> None:
    off = Provider(id="off", base_url="https://off.test", enabled=False)
    spare = model("spared", "off", deployments=(DeploymentRow(provider_id="acme"),))
    shelf = catalog(model("a"), model("b", "off"), spare, providers=(ACME, off))
    assert list(shelf.models) == ["a", "spared"]
    assert found(shelf, "b") == "off:b"


def test_behind_a_pin_only_its_own_models_are_found_by_both_names() -> None:
    shelf = catalog(
        model("a", upstream_model="vendor/a"),
        model("b", "other"),
        model("shared", deployments=(DeploymentRow(provider_id="other", upstream_model="theirs"),)),
        model("same", "other", upstream_model="a"),
    )
    assert [found(shelf, name, "acme") for name in ("a", "vendor/a", "shared")] == [
        *("acme:vendor/a", "acme:vendor/a", "acme:shared")
    ]
    assert found(shelf, "vendor/a") is None
    assert found(shelf, "b", "acme") is None
    assert found(shelf, "a", "nobody") is None
    assert found(shelf, "a", "other") == "other:a", "another provider's model of that public name is not meant"
    assert served(shelf, "shared", "other") == served(shelf, "theirs", "other") == ["other:shared"]


def test_of_two_names_at_a_provider_that_of_its_own_model_goes_first() -> None:
    place = DeploymentRow(provider_id="other", upstream_model="x")
    own = model("b", "other", upstream_model="x")
    for models in ((model("a", deployments=(place,)), own), (own, model("c", deployments=(place,)))):
        assert served(catalog(*models), "x", "other") == ["other:b"]


def test_a_map_leads_to_the_record_that_has_a_place_by_that_name_and_past_none_that_is_disabled() -> None:
    place = DeploymentRow(provider_id="other", upstream_model="x")
    priced = model("a", deployments=(place,), price=Price(input=1))
    assert find_written(catalog(priced), OTHER, "x").model is priced, "and not to one without a price"
    assert find_written(catalog(model("off", deployments=(place,), enabled=False)), OTHER, "x").model is None


def test_messages_name_at_most_what_the_key_may_use() -> None:
    shelf = catalog(*(model(f"m{n}") for n in range(40)))
    with pytest.raises(ModelNotFound) as all_names:
        check_model(shelf, call("none"))
    assert "m0" in all_names.value.message and "m39" not in all_names.value.message
    with pytest.raises(ModelNotFound) as own_names:
        check_model(shelf, call("none", allowed=("m3", "none")))
    assert "m3" in own_names.value.message and "m4" not in own_names.value.message
    with pytest.raises(ModelNotFound) as long_name:
        check_model(shelf, call("x" * 100_000))
    assert len(long_name.value.message) < 1000


def test_what_a_key_may_use_is_asked_of_the_model_that_is_meant() -> None:
    """Behind a pin another model may answer to a name that is on the list."""
    shelf = catalog(model("cheap"), model("dear", "other", upstream_model="cheap"))
    assert check_model(shelf, call("cheap", allowed=("cheap",))).id == "cheap"
    assert check_model(shelf, call("cheap", "other", allowed=("dear",))).id == "dear"
    with pytest.raises(Forbidden):
        check_model(shelf, call("cheap", "other", allowed=("cheap",)))
    for name, pin in (("dear", None), ("none", None), ("none", "other")):
        with pytest.raises(Forbidden):
            check_model(shelf, call(name, pin, allowed=("cheap",)))


@pytest.mark.parametrize(
    ("pattern", "fitting", "others"),
    [
        (
            "openai/*",
            ["openai/gpt", "openai/a/b", "openai/"],
            ["openai", "Openai/gpt", "xopenai/gpt", "azure/openai/gpt"],
        ),
        ("gpt-4*", ["gpt-4", "gpt-4o-mini"], ["gpt-3", "my-gpt-4"]),
        ("*-mini", ["gpt-4o-mini", "-mini"], ["gpt-4o-mini-2", "mini"]),
        ("gpt-*-mini", ["gpt-4o-mini", "gpt--mini"], ["gpt-mini", "gpt-4o-mini-2024"]),
        ("a*b*a", ["aba", "a-b-a", "abba", "aabaa"], ["aa", "ab", "ba", "aca"]),
        ("*a*a*", ["aa", "xaxax"], ["a", "xax"]),
        ("*", ["", "anything/at:all"], []),
        ("**", ["", "x"], []),
        ("a.c*", ["a.c", "a.cd"], ["abc"]),
        ("a[b]*", ["a[b]"], ["ab"]),
    ],
)
def test_a_star_in_a_list_of_models_is_any_text(pattern: str, fitting: list[str], others: list[str]) -> None:
    caller = call("m", allowed=("plain", pattern)).caller
    assert [name for name in ["plain", *fitting] if not caller.may_use(name)] == []
    assert [name for name in others if caller.may_use(name)] == []


def test_a_name_that_has_a_star_itself_is_still_that_name() -> None:
    assert call("m", allowed=("odd*name",)).caller.may_use("odd*name")


def test_a_pattern_takes_no_longer_than_the_name_is_long() -> None:
    """It would be years with a regular expression of as many stars."""
    caller = call("m", allowed=("*a" * 100 + "*b",)).caller
    assert not caller.may_use("a" * 200_000)
    assert caller.may_use("a" * 200_000 + "b")


def test_patterns_hold_wherever_a_list_of_models_is_asked() -> None:
    shelf = catalog(
        model("org/one", fallbacks=("org/two", "other/three")),
        model("org/two"),
        model("other/three"),
        offers=(OFFER,),
    )
    assert check_model(shelf, call("org/one", allowed=("org/*",))).id == "org/one"
    caller = call("org/one", allowed=("org/*",)).caller
    assert [each.id for each, _ in shelf.rows(shelf.models["org/one"], None, caller)] == ["org/one", "org/two"]
    with pytest.raises(ModelNotFound) as unknown:
        check_model(shelf, call("org/four", allowed=("org/*",)))
    assert "org/two" in unknown.value.message and "other/three" not in unknown.value.message
    for name in ("other/three", "other/nothing"):
        with pytest.raises(Forbidden):
            check_model(shelf, call(name, allowed=("org/*",)))
    assert check_model(shelf, call("gpt-9", "openai", allowed=("openai/*",))).id == "openai/gpt-9"
    with pytest.raises(Forbidden):
        check_model(shelf, call("gpt-9", "openai", allowed=("openai/gpt-8*",)))


def test_the_type_of_a_model_must_fit_the_call() -> None:
    shelf = catalog(model("a"), model("e", type="embedding"))
    assert check_model(shelf, call("e", operation=EMBEDDING)).id == "e"
    with pytest.raises(BadRequest) as refused:
        check_model(shelf, call("e"))
    assert (refused.value.code, refused.value.param) == ("invalid_model_type", "model")


# Offers of the environment.


def test_an_offered_provider_takes_any_name() -> None:
    shelf = catalog(offers=(OFFER,))
    by_name, by_pin = shelf.find("openai/gpt-x", None), shelf.find("gpt-x", "openai")
    assert by_name is not None
    assert (by_name.id, by_name.upstream_model, by_name.provider_id) == ("openai/gpt-x", "gpt-x", "openai")
    assert by_pin == by_name, "one model has one id, however it is addressed: keys are held to it"
    assert found(shelf, "openai/vendor/x") == "openai:vendor/x"
    assert [found(shelf, name) for name in ("gpt-x", "acme/gpt-x", "openai")] == [None] * 3
    assert check_model(shelf, call("e", "openai", operation=EMBEDDING)).upstream_model == "e", "of whatever type it is"


@pytest.mark.parametrize("name", ["gpt\r\nset-cookie: a=b", "gpt\n", "gpt\0", "x" * 1000, "\ud800"])
def test_a_text_that_can_be_no_name_is_none(name: str) -> None:
    shelf = catalog(offers=(OFFER,))
    assert shelf.find(f"openai/{name}", None) is None
    assert shelf.find(name, "openai") is None


def test_an_offered_provider_with_a_model_of_its_own_takes_no_other() -> None:
    for enabled in (True, False):
        shelf = catalog(model("a"), model("mine", "openai", enabled=enabled), offers=(OFFER,))
        assert found(shelf, "openai/x") is None
        assert found(shelf, "x", "openai") is None


def test_a_stored_provider_goes_before_the_offered_one_and_takes_only_its_models() -> None:
    shelf = catalog(model("a", "openai"), providers=(OFFER,), offers=(OFFER,))
    assert (shelf.offered, found(shelf, "a"), found(shelf, "openai/x")) == (frozenset(), "openai:a", None)


def test_a_disabled_model_is_not_there_although_its_name_begins_like_an_offered_provider() -> None:
    assert found(catalog(model("openai/x", enabled=False), offers=(OFFER,)), "openai/x") is None


# The demo.


def test_the_demo_is_there_as_long_as_nothing_else_is_served() -> None:
    assert list(catalog(providers=()).models) == ["demo"]
    assert list(catalog(model("off", enabled=False)).models) == ["demo"]
    assert list(catalog(model("a"), providers=()).models) == ["demo"], "its provider is not there"
    assert list(catalog(model("a")).models) == ["a"]


def test_a_provider_that_is_called_demo_does_not_answer_as_the_demo() -> None:
    real = Provider(id="demo", base_url="https://real.test")
    assert list(catalog(providers=(real,)).models) == []
    assert list(catalog(model("a", "demo"), providers=(real,)).models) == ["a"]


def test_a_model_that_uses_the_demo_does_not_drive_it_away() -> None:
    assert set(catalog(model("mine", "demo")).models) == {"demo", "mine"}


# Order.


def rows(**weights: float) -> list[DeploymentRow]:
    return [DeploymentRow(provider_id=id_, weight=weight) for id_, weight in weights.items()]


@pytest.mark.parametrize("scale", [1, 1e-6, 1e12])
def test_a_weight_says_how_often_a_deployment_comes_first(monkeypatch: pytest.MonkeyPatch, scale: float) -> None:
    monkeypatch.setattr(deployments, "random", random.Random(7))
    firsts = Counter(weighted(rows(b=scale, a=3 * scale, c=0))[0].provider_id for _ in range(4000))
    assert set(firsts) == {"a", "b"}
    assert 2.8 < firsts["a"] / firsts["b"] < 3.2


def test_a_weight_of_nothing_comes_last_and_is_never_left_out() -> None:
    for _ in range(50):
        order = [row.provider_id for row in weighted(rows(never=0, a=1, b=1e-9, c=1e9))]
        assert (order[-1], sorted(order)) == ("never", ["a", "b", "c", "never"])


def test_own_deployments_go_before_fallbacks_of_the_same_type() -> None:
    last = DeploymentRow(provider_id="other", weight=0)
    shelf = catalog(
        model("a", deployments=(last,), fallbacks=("gone", "e", "a", "b", "off")),
        model("b", "other", fallbacks=("c",)),
        model("c"),
        model("e", type="embedding"),
        model("off", enabled=False),
    )
    assert served(shelf, "a") == ["acme:a", "other:a", "other:b"]
    assert served(shelf, "a", "other") == ["other:a", "other:b"]
    assert served(shelf, "a", "acme") == ["acme:a"]


# What failed a moment ago.


def deployment(name: str) -> Deployment:
    return Deployment(model(name), OFFER, name, None, 1.0)


def test_a_deployment_that_failed_goes_last_until_it_answers_or_time_passes(clock: Clock) -> None:
    cooldowns, a, b, c = Cooldowns(clock), *map(deployment, "abc")
    assert cooldowns.last([a, b, c]) == [a, b, c]
    cooldowns.failed(a)
    assert cooldowns.last([a, b, c]) == [b, c, a]
    cooldowns.failed(b)
    assert cooldowns.last([a, b, c]) == [c, a, b], "none is ever refused"
    assert cooldowns.last([a]) == [a]
    cooldowns.answered(a)
    assert cooldowns.last([a, b, c]) == [a, c, b]
    clock.advance(COOLDOWN_S)
    assert cooldowns.last([a, b, c]) == [a, b, c]


def test_names_that_callers_made_up_are_forgotten(clock: Clock) -> None:
    cooldowns = Cooldowns(clock)
    for number in range(100):
        cooldowns.failed(deployment(f"made-up-{number}"))
        clock.advance(COOLDOWN_S / 10)
    assert len(cooldowns._until) <= 10


class Moment(float):
    """A time that says how often it was compared."""

    compared = 0

    def __add__(self, other: float) -> Moment:
        return Moment(float.__add__(self, other))

    def __le__(self, other: float) -> bool:
        Moment.compared += 1
        return float.__le__(self, other)


def test_a_failure_does_not_go_through_all_that_failed_before(clock: Clock) -> None:
    """When a provider of thousands of models is down, each call to it fails, and is answered by the loop."""
    cooldowns = Cooldowns(lambda: Moment(clock()))
    for number in range(1000):
        cooldowns.failed(deployment(f"model-{number}"))
    assert Moment.compared <= 1000
    clock.advance(COOLDOWN_S)
    cooldowns.failed(deployment("model-1"))
    assert len(cooldowns._until) == 1 and Moment.compared <= 2002
