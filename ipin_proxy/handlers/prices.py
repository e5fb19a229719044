"""Prices to take over, by administrators: what a well-known model's list price is, and a whole price file, looked at first.

This is seldom asked for, so what it takes is imported when it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import audit, keys
from ..app import App, Visit
from ..bodies import MAX_VALUES, asks_for, private_json
from ..columns import Invalid
from ..errors import BadRequest
from ..kinds import PROVIDERS
from ..records import Model, Price, Provider
from ..web.response import Response

if TYPE_CHECKING:
    from ..dialects.pricefile import Rows

Json = dict[str, Any]
MOST_DIGITS = 40  # a longer number is no price, and would take Python a while to read


class Found(NamedTuple):
    """What a price file says of the models here: the price each has and would have, how many it does not have, and rows that
    cannot be taken."""

    prices: dict[str, tuple[Price | None, Price]]
    unmatched: int
    refused: list[Json]

    def to_json(self, *, dry: bool) -> Json:
        matched = [
            {"model": id_, "before": before.to_json() if before is not None else None, "after": after.to_json()}
            for id_, (before, after) in self.prices.items()
        ]
        return {"matched": matched, "unmatched": self.unmatched, "refused": self.refused, "dryRun": dry}


def show(app: App, visit: Visit) -> Response:
    """`GET /api/admin/prices?provider=&model=`: the list price of a model under its name at a provider, or null."""
    from ..pricelist import find

    query = visit.request.query
    name, model = query.get("provider", ""), query.get("model", "").strip()
    if not model:
        raise BadRequest("The query must name the model, as its provider calls it: ?provider=…&model=…", param="model")
    provider = app.catalog().providers.get(name)
    if name and provider is None:
        raise PROVIDERS.nothing_called(name)
    offer = find(provider, model)
    return private_json(offer.to_json() if offer is not None else None)


def import_file(app: App, visit: Visit) -> Response:
    """`POST /api/admin/prices/import?dryRun=1`, with a price file as the body: `{matched: [{model, before, after}],
    unmatched, refused: [{model, message}], dryRun}`. The price of a model is replaced as a whole."""
    from ..dialects.pricefile import rows_of

    try:
        rows = rows_of(parsed(visit.request.body))
    except Invalid as error:
        raise BadRequest(f"The file {error}.", code="invalid_json") from error
    offered = {id_: provider for id_, provider in app.catalog().providers.items() if id_ in app.catalog().offered}
    if asks_for(visit.request, "dryRun"):
        now = app.store.snapshot()
        return private_json(compared(rows, now.models, {**offered, **now.providers}).to_json(dry=True))
    with app.store.edit() as draft:
        found = compared(rows, draft.models, {**offered, **draft.providers})
        for id_, (before, after) in found.prices.items():
            if before != after:
                draft.models[id_] = replace(draft.models[id_], price=after)
        keys.note_use(app, draft)
    told = found.to_json(dry=False)
    changed = [row for row in told["matched"] if row["before"] != row["after"]]
    audit.note_all(
        app,
        visit,
        [
            audit.Touched("update", "models", row["model"], {"price": row["before"]}, {"price": row["after"]})
            for row in changed
        ],
    )
    return private_json(told)


def parsed(body: bytes | bytearray) -> Any:
    """The JSON of a file. Raises BadRequest."""
    if sum(map(body.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise BadRequest(f"The file holds more than {MAX_VALUES:,} values.", code="invalid_json")
    try:
        return json.loads(str(body, "utf-8-sig"), parse_int=whole)
    except RecursionError as error:
        raise BadRequest("The file is nested too deeply.", code="invalid_json") from error
    except ValueError as error:
        raise BadRequest(f"The file is not JSON: {error}.", code="invalid_json") from error


def whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= MOST_DIGITS else float("nan")


def compared(rows: Rows, models: Mapping[str, Model], providers: Mapping[str, Provider]) -> Found:
    """What a price file says of these models. What one row has wrong is said of that row."""
    from ..dialects.pricefile import price_in
    from ..pricelist import read, row_for

    found = Found({}, 0, [])
    table = read()
    for id_, model in models.items():
        provider = providers.get(model.provider_id)
        aliases = table.aliases_of(provider) if provider is not None else (model.provider_id,)
        row = row_for(rows, aliases, model.upstream_model or id_)
        try:
            price = price_in(row) if row is not None else None
        except Invalid as error:
            found.refused.append({"model": id_, "message": f"{id_}: {error}."})
            continue
        if price is not None:
            found.prices[id_] = (model.price, Price.from_json(price))
    return found._replace(unmatched=len(models) - len(found.prices) - len(found.refused))
