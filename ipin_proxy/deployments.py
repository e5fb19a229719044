"""A model's name → the deployments that serve it, in order of preference.

A `Catalog` is what one snapshot of the store offers: providers (stored and offered from the environment), models, aliases,
and the demo as long as there is nothing else. Of callers it asks what their key may use (keys.py decides that); a deployment
that failed a moment ago goes last. What a call names is found, or refused, here too.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping

from . import keys
from .call import NAME_CHARS, Call, Caller, Deployment, Operation
from .errors import BadRequest, ModelNotFound, NotConfigured, NotFound
from .once import Once
from .records import Alias, DeploymentRow, Model, Price, Provider

COOLDOWN_S = 30.0
DEMO_PROVIDER = Provider(id="demo", name="Demo (built in)", type="demo", auth="none")
DEMO_MODEL = Model(
    id="demo",
    name="Demo (built in): repeats what you say",
    provider_id="demo",
    type="chat",
    price=Price(input=0, output=0),  # known to cost nothing, so that a key with a budget may use it
)
NAMES_IN_MESSAGES = 12
NO_ALIASES: Mapping[str, Alias] = {}


class Catalog:
    """What can be asked for. Built anew for every snapshot; reading it costs nothing."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        models: Mapping[str, Model],
        offers: Mapping[str, Provider],
        aliases: Mapping[str, Alias] = NO_ALIASES,
    ) -> None:
        self.providers: dict[str, Provider] = {DEMO_PROVIDER.id: DEMO_PROVIDER, **offers, **providers}
        self.offered = frozenset(offers) - frozenset(providers)
        self.models: dict[str, Model] = {model.id: model for model in models.values() if self._is_served(model)}
        self._known = models
        self._with_models = {model.provider_id for model in models.values()}  # providers that have records of theirs
        # A provider that was given this id is none that repeats what you say for nothing.
        is_demo_there = self.providers[DEMO_PROVIDER.id].type == DEMO_PROVIDER.type
        if is_demo_there and all(model.provider_id == DEMO_PROVIDER.id for model in self.models.values()):
            self.models = {DEMO_MODEL.id: DEMO_MODEL, **self.models}
        self._by_upstream_name: dict[tuple[str, str], list[Model]] = {}
        own = [(model, first_row(model)) for model in self.models.values()]
        elsewhere = [(model, row) for model in self.models.values() for row in model.deployments]
        for model, row in own + elsewhere:  # of those that a provider knows by one name, its own go before
            self._by_upstream_name.setdefault((row.provider_id, name_at(model, row)), []).append(model)
        self.only: dict[tuple[str, str | None, str], list[Deployment]] = {}  # what relay has found out, for next time
        self._rows = {model.id: [first_row(model), *model.deployments] for model in self.models.values()}
        # An alias goes before what the environment merely offers, and behind what is stored.
        self.aliases = {each.id: each for each in aliases.values() if each.enabled and each.id not in providers}
        self._default = next((each for each in self.aliases.values() if each.default), None)

    @Once
    def _recorded(self) -> set[tuple[str, str]]:
        """Whatever a record says something of: a provider, and a model's name there."""
        return {
            (row.provider_id, name_at(model, row))
            for model in self._known.values()
            for row in (first_row(model), *model.deployments)
        }

    def _is_served(self, model: Model) -> bool:
        rows = (model.provider_id, *(row.provider_id for row in model.deployments))
        return model.enabled and any(id_ in self.providers and self.providers[id_].enabled for id_ in rows)

    def check_pin(self, pin: str, caller: Caller) -> None:
        """Raises NotFound for the prefix of a path that is the name of nothing, or of an alias that is none to this caller."""
        alias = self.aliases.get(pin)
        if alias is None and pin in self.providers:
            return
        if alias is not None:
            from . import aliases

            if aliases.is_there(self, alias, caller):
                return
        shown = pin if len(pin) <= NAME_CHARS else f"{pin[:NAME_CHARS]}…"
        raise NotFound(f"There is no provider or alias '{shown}', so there is nothing behind that prefix of the path.")

    def alias_of(self, name: str, pin: str | None) -> Alias | None:
        """The alias a call goes through: the prefix of its path, the name it asks for, or the one for names nobody has."""
        if pin is not None:
            return self.aliases.get(pin)
        if self.find_record(name) is not None:
            return None
        found = self.aliases.get(name)
        return found if found is not None or self._default is None or self.find(name, None) else self._default

    def find(self, name: str, pin: str | None) -> Model | None:
        """The model a caller means by `name`. Pinned to a provider, its own name for a model counts too; a provider
        offered from the environment takes any name until it has models of its own."""
        if pin is None:
            model = self.find_record(name)
            if model is None and "/" in name:
                first, _, rest = name.partition("/")
                return self.passed_on(rest, first)
            return model
        provider = self.providers.get(pin)
        if provider is not None and (provider.model_map or provider.default_model):
            from . import aliases

            return aliases.at_provider(self, provider, name).model
        return self.find_at(name, pin) or self.passed_on(name, pin)

    def find_record(self, name: str) -> Model | None:
        """The model of that name that somebody has set up and not disabled. While none of its providers is enabled it exists all
        the same, and somebody has to see to it."""
        model = self.models.get(name) or self._known.get(name)
        return model if model is not None and model.enabled else None

    def find_at(self, name: str, provider_id: str) -> Model | None:
        """Likewise one that a provider serves, by its own name for it, too."""
        model = self.find_record(name)
        if model is not None and self.serves(model, provider_id):
            return model
        return next(iter(self._by_upstream_name.get((provider_id, name), ())), None)

    def fitting(self, model: Model, call: Call, provider_id: str) -> Model:
        """Of several models that a provider has under the name it was asked for, one that is for such a call, and for its caller."""
        namesakes = self._by_upstream_name.get((provider_id, call.model), [])
        if model.id == call.model or model not in namesakes[:1]:
            return model
        types, may_use = call.operation.model_types, call.caller.may_use
        return next((each for each in namesakes if each.type in types and may_use(each.id)), model)

    def passes_on(self, provider_id: str) -> bool:
        """Whether a provider takes any name: it is offered from the environment, and nobody has set up models of it."""
        return provider_id in self.offered and provider_id not in self._with_models

    def passed_on(self, upstream_name: str, provider_id: str) -> Model | None:
        id_ = f"{provider_id}/{upstream_name}"
        if not self.passes_on(provider_id) or id_ in self._known or not is_name(id_):
            return None
        return without_record(upstream_name, provider_id)

    def unlisted(self, upstream_name: str, provider_id: str) -> Model | None:
        """A model of a provider that only the administrator's maps name. What a record disables stays disabled."""
        id_ = f"{provider_id}/{upstream_name}"
        names = (upstream_name, id_)
        if any((known := self._known.get(name)) is not None and self.serves(known, provider_id) for name in names):
            return None
        return None if (provider_id, upstream_name) in self._recorded else without_record(upstream_name, provider_id)

    def has_record(self, model: Model) -> bool:
        """Whether a model is one of those that are served, and not made for a name that somebody sent."""
        return self.models.get(model.id) is model

    def knows_type(self, model: Model) -> bool:
        """Whether somebody has said what a model is for, be it served at the moment or not."""
        return self.has_record(model) or self._known.get(model.id) is model

    def serves(self, model: Model, pin: str | None) -> bool:
        """Whether a model is served by the provider a path is pinned to; by whichever, where it is not pinned."""
        return pin is None or pin == model.provider_id or any(row.provider_id == pin for row in model.deployments)

    def rows(self, model: Model, pin: str | None, caller: Caller) -> list[tuple[Model, DeploymentRow]]:
        """Every place that serves a model or, after it, one of its fallbacks that the caller may use."""
        found: list[tuple[Model, DeploymentRow]] = []
        for each in (model, *self._fallbacks(model, caller)):
            rows = self._rows.get(each.id) or [first_row(each)]
            choices = weighted(rows) if len(rows) > 1 else rows
            found += [(each, row) for row in choices if pin is None or row.provider_id == pin]
        return found

    def place(self, model: Model, pin: str | None) -> DeploymentRow | None:
        """Where a call would go first, or might, of several places; None where no provider is enabled that it could go to."""
        for row in self._rows.get(model.id) or [first_row(model)]:
            provider = self.providers.get(row.provider_id)
            if pin in (None, row.provider_id) and provider is not None and provider.enabled:
                return row
        return None

    def _fallbacks(self, model: Model, caller: Caller) -> Iterator[Model]:
        for name in model.fallbacks:
            fallback = self.models.get(name)
            if fallback is None or fallback is model or fallback.type != model.type:
                continue
            if caller.may_use(fallback.id):
                yield fallback


def without_record(upstream_name: str, provider_id: str) -> Model:
    """A model nobody has set up. Its type is not known, so none is held against it: every operation may try."""
    id_ = f"{provider_id}/{upstream_name}"
    return Model(id=id_, name=id_, provider_id=provider_id, type="chat", upstream_model=upstream_name)


def is_name(text: str) -> bool:
    """Whether a text a caller wrote can be a model's name: a line of no great length. It comes back in a header."""
    return len(text) <= NAME_CHARS and text.isprintable()


def first_row(model: Model) -> DeploymentRow:
    """A model's own provider as one of its deployments."""
    return DeploymentRow(provider_id=model.provider_id, upstream_model=model.upstream_model)


def name_at(model: Model, row: DeploymentRow) -> str:
    """What a model is called where one of its deployments is."""
    return row.upstream_model or model.upstream_model or model.id


def weighted(rows: list[DeploymentRow]) -> list[DeploymentRow]:
    """A random order in which a row comes first as often as its weight says (Efraimidis and Spirakis, 2006). In logarithms, since
    of powers by small weights nothing would be left to compare."""
    return sorted(rows, key=lambda row: random.expovariate(row.weight) if row.weight > 0 else math.inf)


class Cooldowns:
    """Which deployments failed a moment ago. They are tried last, never refused."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until: OrderedDict[tuple[str, str], float] = OrderedDict()  # the first to be over is the first

    def failed(self, deployment: Deployment) -> None:
        now, which = self._clock(), (deployment.provider.id, deployment.upstream_model)
        with self._lock:
            self._until[which] = now + COOLDOWN_S
            self._until.move_to_end(which)
            while next(iter(self._until.values())) <= now:  # callers make up names: what is over is forgotten
                self._until.popitem(last=False)

    def answered(self, deployment: Deployment) -> None:
        if self._until:
            with self._lock:
                self._until.pop((deployment.provider.id, deployment.upstream_model), None)

    def last(self, deployments: list[Deployment]) -> list[Deployment]:
        if not self._until or len(deployments) == 1:
            return deployments
        now = self._clock()
        return sorted(deployments, key=lambda each: self._until.get((each.provider.id, each.upstream_model), 0.0) > now)


def asked_for(catalog: Catalog, call: Call) -> tuple[Call, Model]:
    """The call with the alias it goes through, if any, and its model. Raises as `check_model`, and NotConfigured."""
    alias = catalog.alias_of(call.model, call.pin) if catalog.aliases else None
    if alias is None:
        return call, check_model(catalog, call)
    from . import aliases

    through, model = aliases.check(catalog, call, alias)
    check_further(call)
    if catalog.knows_type(model) and model.type not in call.operation.model_types:
        if call.pin is None and call.model != alias.id:  # it came to the default by chance
            return call, check_model(catalog, call)
        raise wrong_type(call, model)
    return through, model


def check_model(catalog: Catalog, call: Call) -> Model:
    """The model of a call that goes through no alias, after the checks a caller can do something about. Raises Forbidden,
    ModelNotFound, BadRequest.

    What a key may use is asked of the model that is found: pinned to a provider, another one may answer to its name.
    """
    model = catalog.find(call.model, call.pin)
    if model is not None and call.pin is not None:
        model = catalog.fitting(model, call, call.pin)
    keys.check_model(call.caller, model.id if model is not None else call.model, call.shown_model)
    check_further(call)
    if model is None:
        where = f" at provider '{call.pin}'" if call.pin else ""
        raise ModelNotFound(
            f"The model '{call.shown_model}' does not exist{where}. {names_for(catalog, call)}", param="model"
        )
    if model.type not in call.operation.model_types and catalog.knows_type(model):
        raise wrong_type(call, model)
    return model


def wrong_type(call: Call, model: Model) -> BadRequest:
    return BadRequest(
        f"The model '{call.shown_model}' is of type {model.type}; {wanted(call.operation)}",
        code="invalid_model_type",
        param="model",
    )


def check_further(call: Call) -> None:
    for name in further_models(call):
        keys.check_model(call.caller, name, name)


def further_models(call: Call) -> Iterator[str]:
    """Models a body names beside its own, which some providers (routers themselves) take when that one fails."""
    values = call.members.values if call.members is not None else {}
    for member in ("models", "fallbacks"):
        if member not in values:
            continue
        named = values[member]
        for each in named if isinstance(named, list) else ():
            name = each.get("model") if isinstance(each, dict) else each
            if isinstance(name, str):
                yield name


def names_for(catalog: Catalog, call: Call) -> str:
    """At most the models this caller may use where it asks, so that a message tells nobody more than /v1/models would."""
    names = [
        model.id
        for model in catalog.models.values()
        if call.caller.may_use(model.id) and catalog.serves(model, call.pin)
    ]
    if catalog.aliases and call.pin is None:
        from . import aliases

        names += aliases.models_named(catalog, call.caller)
    if not names:
        return "No model is set up there." if call.pin else "No model is set up."
    shown = ", ".join(names[:NAMES_IN_MESSAGES])
    return f"Known models{' there' if call.pin else ''}: {shown}{', …' if len(names) > NAMES_IN_MESSAGES else ''}."


def wanted(operation: Operation) -> str:
    return f"/v1{operation.path} takes models of type {' or '.join(sorted(operation.model_types))}."


def no_deployment(model: Model) -> NotConfigured:
    return NotConfigured(
        f"No provider that serves '{model.id}' is enabled and has its key. An administrator can set it up."
    )
