"""A few providers and models, and what aliases make of them: for tests of names."""

from __future__ import annotations

from typing import Any

from ipin_proxy.call import CHAT, Call, Caller, Operation
from ipin_proxy.deployments import Catalog, asked_for
from ipin_proxy.records import Alias, Model, Provider, VirtualKey

ACME = Provider(id="acme", base_url="https://acme.test")
MAPPED = Provider(
    id="mapped",
    base_url="https://mapped.test",
    model_map={"nick": "vendor/full", "opus": "their-big"},
    default_model="their-usual",
)
OFF = Provider(id="off", base_url="https://off.test", enabled=False)
OFFER = Provider(
    id="offered", base_url="https://provider.test/v1", api_key="env:SOME_KEY", model_map={"sonnet": "maker/middle"}
)
MODELS = (
    Model(id="fast", provider_id="acme", upstream_model="vendor/fast"),
    Model(id="slow", provider_id="acme"),
    Model(id="vectors", provider_id="acme", type="embedding"),
    Model(id="switched-off", provider_id="acme", enabled=False, upstream_model="vendor/off"),
    Model(id="known", provider_id="mapped", upstream_model="claude-opus-old"),
)


def catalog(*rows: dict[str, Any], offers: tuple[Provider, ...] = (OFFER,)) -> Catalog:
    found = [Alias.from_json(row) for row in rows]
    return Catalog(
        {each.id: each for each in (ACME, MAPPED, OFF)},
        {each.id: each for each in MODELS},
        {each.id: each for each in offers},
        {each.id: each for each in found},
    )


def caller(*allowed: str) -> Caller:
    return Caller("k", key=VirtualKey(id="k", key_hash="0" * 64, allowed_models=allowed))


def call(name: str, pin: str | None = None, *, allowed: tuple[str, ...] = (), operation: Operation = CHAT) -> Call:
    return Call("id", caller(*allowed), operation, name, False, None, 0.0, "openai", pin=pin)  # type: ignore[arg-type]


def leads(shelf: Catalog, name: str, pin: str | None = None, **more: Any) -> str:
    """`alias>provider:upstream name` of a call."""
    through, model = asked_for(shelf, call(name, pin, **more))
    assert through.model == name, "what was asked for stays what it was"
    return f"{through.alias}>{through.pin or model.provider_id}:{model.upstream_model or model.id}"
