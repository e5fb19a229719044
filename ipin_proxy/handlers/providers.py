"""A provider's own word, before it is saved and after: whether it answers and takes its key, and what it serves."""

from __future__ import annotations

from typing import Any

from .. import probe
from ..app import App, Visit
from ..bodies import json_object, private_json
from ..kinds import PROVIDERS, changed_provider, check_reference, new_provider
from ..presets import PRESETS
from ..records import Provider
from ..web.response import Response
from ..web.task import Steps

UNNAMED = "new"


def presets(app: App, visit: Visit) -> Response:
    """`GET /api/admin/presets`: where to start from, in the order to show them."""
    return private_json({"presets": [preset.to_json() for preset in PRESETS]})


def test(app: App, visit: Visit) -> Steps:
    """`POST …/providers/{id}/test`: `{ok, status, latencyMs, message}`, whatever the provider does."""
    finding = yield from probe.check(app, named_provider(app, visit))
    return private_json(finding.to_json())


def list_models(app: App, visit: Visit) -> Steps:
    """`GET …/providers/{id}/models`: `{"models": [{id, name}]}` as the provider lists them, with `contextWindow` and `price`
    where it tells them, else the `listPrice` there is to offer."""
    provider = named_provider(app, visit)
    models = yield from probe.list_models(app, provider)
    return private_json({"models": with_offers(provider, models)})


def test_unsaved(app: App, visit: Visit) -> Steps:
    """`POST …/providers/test`: the same for a provider as it stands in the form, saved or not."""
    finding = yield from probe.check(app, unsaved_provider(app, visit))
    return private_json(finding.to_json())


def list_models_unsaved(app: App, visit: Visit) -> Steps:
    """`POST …/providers/models`: likewise."""
    provider = unsaved_provider(app, visit)
    models = yield from probe.list_models(app, provider)
    return private_json({"models": with_offers(provider, models)})


def with_offers(provider: Provider, models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if provider.type == probe.BUILT_IN:
        return models
    from ..pricelist import read  # seldom needed

    table = read()
    for row in models:
        if "price" not in row and (offer := table.find(provider, row["id"])) is not None:
            row["listPrice"] = {"date": offer.date, "provider": offer.vendor, "price": offer.price}
    return models


def named_provider(app: App, visit: Visit) -> Provider:
    provider = app.catalog().providers.get(visit.params["id"])
    if provider is None:
        raise PROVIDERS.nothing_called(visit.params["id"])
    return provider


def unsaved_provider(app: App, visit: Visit) -> Provider:
    """The provider of a form. With the id of one there is, it is that one with these changes, under the rules of PUT: a
    blank or masked key is the stored one, and goes to no other origin. Raises BadRequest."""
    given = PROVIDERS.known(json_object(visit.request))
    before = None
    if given.get("id") in (None, ""):
        given["id"] = UNNAMED
    else:
        before = app.catalog().providers.get(str(given["id"]))
    after = Provider.from_json(new_provider(given)) if before is None else changed_provider(before, given)
    check_reference(before, after, app.config.settings.secrets_dir)
    return after
