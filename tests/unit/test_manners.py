"""What was found out about a provider holds for that provider at that address, and never grows without end."""

from __future__ import annotations

from ipin_proxy.call import Deployment
from ipin_proxy.manners import MOST_NAMES, Manners
from ipin_proxy.records import Model, Provider


def provider(url: str = "http://acme.test/v1", id: str = "acme") -> Provider:
    return Provider.from_json({"id": id, "baseUrl": url})


def deployment(upstream_model: str, provider_: Provider | None = None) -> Deployment:
    provider_ = provider_ or provider()
    return Deployment(Model(id="m", provider_id=provider_.id), provider_, upstream_model, None, 1.0)


def test_refused_members_add_up() -> None:
    manners = Manners()
    assert manners.refused_by(provider()) == set()
    manners.refuses(provider(), {"language"})
    manners.refuses(provider(), {"prompt"})
    assert manners.refused_by(provider()) == {"language", "prompt"}


def test_another_provider_or_address_is_asked_anew() -> None:
    manners = Manners()
    manners.refuses(provider(), {"language"})
    manners.is_called(deployment("a"), "b")
    for other in (provider(id="other"), provider("http://acme.test/v2")):
        assert manners.refused_by(other) == set()
        assert manners.name_at(deployment("a", other)) == "a"
    assert manners.name_at(deployment("a")) == "b"
    assert manners.name_at(deployment("c")) == "c"


def test_names_that_callers_make_up_do_not_fill_the_memory() -> None:
    manners = Manners()
    for number in range(3 * MOST_NAMES):
        manners.is_called(deployment(f"made-up-{number}"), "real")
    assert len(manners._names) <= MOST_NAMES
    assert manners.name_at(deployment(f"made-up-{3 * MOST_NAMES - 1}")) == "real"


def test_what_is_refused_of_made_up_models_does_not_grow_without_end() -> None:
    manners = Manners()
    for number in range(3 * MOST_NAMES):
        manners.refuses(provider(), {f"user of {number}"})
    assert len(manners.refused_by(provider())) <= MOST_NAMES
    assert f"user of {3 * MOST_NAMES - 1}" in manners.refused_by(provider())


def test_how_long_answers_may_be_is_known_of_each_model() -> None:
    manners = Manners()
    assert manners.most_tokens_of(deployment("a")) is None
    manners.gives(deployment("a"), 8192)
    assert (manners.most_tokens_of(deployment("a")), manners.most_tokens_of(deployment("b"))) == (8192, None)
    for number in range(MOST_NAMES):
        manners.gives(deployment(str(number)), 1)
    assert manners.most_tokens_of(deployment("a")) is None
