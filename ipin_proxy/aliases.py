"""What an alias stands for: the name a caller asks for → a model, by the maps an administrator wrote.

In this order: an exact name in the alias's map; a family (haiku, sonnet, opus) that is part of the asked name; then, where the
alias stands for a model, that model; where it stands for a provider, what that provider makes of the name: an exact name in its
own map, a model it serves, a family, its default model, and at last the name itself, if it takes any.

What an administrator wrote down needs no model record. A key may use it if its list has the alias, or the model that is found;
a name that is the caller's own is asked of the model alone, so an alias widens no list. Where a key may use nothing behind an
alias, there is no alias. Pure functions of a catalog, loaded where there is an alias or a map.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from . import keys
from .call import Call, Caller
from .errors import ModelNotFound, NotConfigured
from .records import Alias, Model, Provider

if TYPE_CHECKING:
    from .deployments import Catalog

FAMILIES = ("haiku", "sonnet", "opus")


class Lead(NamedTuple):
    """Where a name leads behind an alias: a model, and the provider it is pinned to. `is_written`: an administrator wrote that
    it does. Without a model, `trouble` is what an administrator has to see to; when that is empty, there is no such model."""

    model: Model | None
    pin: str | None = None
    is_written: bool = False
    trouble: str = ""


def mapped(model_map: Mapping[str, str], name: str) -> str | None:
    """What a map says of a name: exactly, or by the family that is part of it."""
    exact = model_map.get(name)
    return exact if exact is not None else family_of(model_map, name)


def family_of(model_map: Mapping[str, str], name: str) -> str | None:
    folded = name.casefold()
    return next((model_map[family] for family in FAMILIES if family in model_map and family in folded), None)


def lead(catalog: Catalog, alias: Alias, name: str | None) -> Lead:
    """What a name means behind an alias; None for the alias itself, where it is asked for as a model."""
    asked = alias.id if name is None else name
    target = target_of(catalog, alias)
    provider = target if isinstance(target, Provider) else None
    if alias.target is not None and target is None:
        return Lead(None, trouble=f"leads to '{alias.target}', which is no model or provider that is there and enabled")
    wish = mapped(alias.model_map, asked)
    if wish is not None:
        found = find_written(catalog, provider, wish)
        if found.model is None:
            return found._replace(trouble=f"leads to the model '{wish}', which is not there or disabled")
        return found
    if isinstance(target, Model):
        return Lead(target, None, is_written=True)
    if provider is None:
        return Lead(catalog.find(name, None)) if name is not None else Lead(None, trouble=nothing_named("no model"))
    found = at_provider(catalog, provider, asked, passes=name is not None)
    if found.model is None and name is None:
        return Lead(None, trouble=nothing_named(f"the provider '{provider.id}', which has no default model"))
    return found


def nothing_named(what: str) -> str:
    return f"stands for {what}, so it is a base URL and not the name of a model"


def target_of(catalog: Catalog, alias: Alias) -> Model | Provider | None:
    """The model or the provider that an alias stands for; None where it has no target, or that is gone or disabled."""
    if alias.target is None:
        return None
    model = catalog.find_record(alias.target)
    if model is not None:
        return model
    provider = catalog.providers.get(alias.target)
    return provider if provider is not None and provider.enabled else None


def find_written(catalog: Catalog, provider: Provider | None, wish: str) -> Lead:
    """A model as an administrator names it: at the provider if one is meant, else wherever it is."""
    if provider is None:
        first, _, rest = wish.partition("/")
        model = catalog.find(wish, None)
        if model is None and rest and first in catalog.providers:
            return Lead(catalog.find_at(rest, first) or catalog.unlisted(rest, first), first, is_written=True)
        return Lead(model, None, is_written=True)
    model = catalog.find_at(wish, provider.id)
    if model is None and (elsewhere := catalog.find_record(wish)) is not None:
        return Lead(elsewhere, None, is_written=True)
    return Lead(model or catalog.unlisted(wish, provider.id), provider.id, is_written=True)


def at_provider(catalog: Catalog, provider: Provider, name: str, *, passes: bool = True) -> Lead:
    """What a provider makes of a name. One with its maker before it (`maker/model`) is meant as it is, and of no family."""
    wish = provider.model_map.get(name)
    if wish is None:
        model = catalog.find_at(name, provider.id)
        if model is not None:
            return Lead(model, provider.id)
        wish = family_of(provider.model_map, name) if "/" not in name else None
        wish = wish or provider.default_model
    if wish is not None:
        model = catalog.find_at(wish, provider.id) or catalog.unlisted(wish, provider.id)
        if model is not None:
            return Lead(model, provider.id, is_written=True)
    return Lead(catalog.passed_on(name, provider.id) if passes else None, provider.id)


# -- who may ----------------------------------------------------------------------------------------------------------


def check(catalog: Catalog, call: Call, alias: Alias) -> tuple[Call, Model]:
    """A call through an alias, and its model. Raises Forbidden, NotConfigured, ModelNotFound."""
    caller, is_own = call.caller, call.pin is None and call.model == alias.id
    found = lead(catalog, alias, None if is_own else call.model)
    if found.model is not None and found.pin is not None and not found.is_written:
        found = found._replace(model=catalog.fitting(found.model, call, found.pin))
    if found.trouble and caller.may_use(alias.id):
        raise NotConfigured(f"The alias '{alias.id}' {found.trouble}. An administrator can set it right.")
    if found.model is None or not may_use(caller, alias, found):
        keys.check_model(caller, found.model.id if found.model is not None else call.model, call.shown_model)
        names = ", ".join(list(models_behind(catalog, alias, caller))[:12])
        raise ModelNotFound(
            f"The model '{call.shown_model}' does not exist behind the alias '{alias.id}'. "
            + (f"Known models there: {names}." if names else "No model is set up there."),
            param="model",
        )
    added = len(alias.system_prompt.template) if alias.system_prompt is not None else 0
    return call._replace(alias=alias.id, pin=found.pin, added_chars=added), found.model


def may_use(caller: Caller, alias: Alias, found: Lead) -> bool:
    if found.model is None:
        return False
    return caller.may_use(found.model.id) or (found.is_written and caller.may_use(alias.id))


def is_there(catalog: Catalog, alias: Alias, caller: Caller) -> bool:
    """Whether a caller may use anything behind an alias. Else nobody tells them that there is one."""
    allowed = caller.key.allowed_models if caller.key is not None else ()
    if not allowed or caller.may_use(alias.id) or models_behind(catalog, alias, caller):
        return True
    target = target_of(catalog, alias)
    passes = isinstance(target, Provider) and catalog.passes_on(target.id)
    return passes and any(name.startswith(f"{alias.target}/") for name in allowed)


def models_behind(catalog: Catalog, alias: Alias, caller: Caller) -> dict[str, Model]:
    """What a caller may ask for behind an alias's prefix, by name, as far as anybody knows beforehand."""
    found: dict[str, Model] = {}
    for name in names_behind(catalog, alias):
        led = lead(catalog, alias, name)
        if led.model is not None and may_use(caller, alias, led):
            found[name] = led.model
    return found


def names_behind(catalog: Catalog, alias: Alias) -> Iterator[str]:
    """The names in its maps (a family is one, too), and those of its models."""
    yield from alias.model_map
    target = target_of(catalog, alias)
    if isinstance(target, Model):
        yield target.id
    elif target is not None:
        yield from target.model_map
        yield from (model.id for model in catalog.models.values() if catalog.serves(model, target.id))


def models_named(catalog: Catalog, caller: Caller) -> dict[str, tuple[Model, str | None]]:
    """The aliases a caller may use as the name of a model, each with the model behind it and where that is."""
    found: dict[str, tuple[Model, str | None]] = {}
    for alias in catalog.aliases.values():
        led = lead(catalog, alias, None)
        if led.model is not None and alias.id not in catalog.models and may_use(caller, alias, led):
            found[alias.id] = led.model, led.pin
    return found


def trouble(catalog: Catalog, alias: Alias) -> str:
    """What is in the way of using an alias, for an administrator; "" when nothing is."""
    if alias.id in catalog.models:
        return f"There is a model '{alias.id}', which goes before it."
    if alias.enabled and alias.id not in catalog.aliases:
        return f"There is a provider '{alias.id}', which goes before it."
    own = () if isinstance(target_of(catalog, alias), Provider) else (alias.id,)
    for name in (*alias.model_map, *own):
        led = lead(catalog, alias, name)
        if led.trouble:
            return f"It {led.trouble}."
        if led.model is not None and catalog.place(led.model, led.pin) is None:
            return f"It {unserved(led.model)}."
    return ""


def unserved(model: Model) -> str:
    return f"leads to the model '{model.id}', and no provider that serves it is enabled"
