"""Whatever is asked for, behind whatever alias, by whatever key."""

from __future__ import annotations

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given
from hypothesis import strategies as st
from support.naming import call, caller, catalog

from ipin_proxy.deployments import asked_for
from ipin_proxy.errors import BadRequest, Forbidden, ModelNotFound, NotConfigured

NAMES = st.sampled_from(
    ["fast", "slow", "vectors", "a", "b", "acme", "mapped", "offered/x", "claude-haiku-5", "claude-opus-5", "?", ""]
)
TARGETS = st.sampled_from([None, "fast", "switched-off", "acme", "mapped", "offered", "off", "gone"])
MAPS = st.dictionaries(
    st.sampled_from(["haiku", "opus", "?", "fast"]), st.sampled_from(["fast", "slow", "vendor/off", "gone", "acme/new"])
)


@given(
    NAMES,
    st.sampled_from([None, "a", "acme", "mapped"]),
    TARGETS,
    MAPS.filter(bool),
    st.booleans(),
    st.lists(st.sampled_from(["fast", "slow", "a", "offered/*", "acme/new"]), max_size=2),
)
def test_nothing_is_served_that_neither_the_list_nor_an_allowed_alias_names(
    name: str, pin: str | None, target: str | None, model_map: dict[str, str], default: bool, allowed: list[str]
) -> None:
    row = {"id": "a", "modelMap": model_map, "default": default, **({"target": target} if target else {})}
    shelf = catalog(row)
    try:
        through, model = asked_for(shelf, call(name, pin, allowed=tuple(allowed)))
    except (Forbidden, ModelNotFound, NotConfigured, BadRequest):
        return
    written = {*model_map.values(), target, "their-usual", "their-big", "vendor/full", "maker/middle"}
    names = {model.id, model.upstream_model, f"{model.provider_id}/{model.upstream_model}"}
    if allowed and not caller(*allowed).may_use(model.id):
        assert through.alias == "a" in allowed
        assert names & written
    assert model.id != "switched-off"
