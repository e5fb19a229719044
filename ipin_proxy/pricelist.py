"""List prices of well-known models, to be offered; and which row of a list of prices a model of ours is.

The table is `pricelist.json` beside this module: its date, its sources, the providers by their hosts, a row for each model.
It is read when somebody asks and not kept, and nothing is taken from it that an administrator has not been shown. A provider
with rows of its own gets offers from those alone; any other, such as one that passes calls on, what the maker of the model
asks for it, under the maker's name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from .records import Provider

Json = dict[str, Any]

FILE = Path(__file__).with_name("pricelist.json")
# Marks before and behind a model's own name: whose it is, where it lies, of which day it is.
FOREIGN = ("hf:", "models/")
DATE = re.compile(r"[-@]20\d\d-?[01]\d-?[0-3]\d$")


class Vendor(NamedTuple):
    """A provider in the table. `makes`: the models are its own; `prefixes` are what others put before their names, `aliases`
    what it is called in price files."""

    id: str
    name: str
    hosts: tuple[str, ...]
    makes: bool = False
    prefixes: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


class Offer(NamedTuple):
    """A list price: whose, of which of their models, from when. `sees`: the model takes images."""

    date: str
    source: str
    vendor: str
    model: str
    price: Json
    context_window: int | None
    sees: bool

    def to_json(self) -> Json:
        return {
            "date": self.date,
            "source": self.source,
            "provider": self.vendor,
            "model": self.model,
            "price": self.price,
            "contextWindow": self.context_window,
            "supportsImageUpload": self.sees,
        }


class PriceList:
    """The table, read. `date` is the day its figures were collected."""

    def __init__(self, data: Json) -> None:
        self.date: str = data["date"]
        self.source: str = data["source"]
        self.vendors = {id_: _vendor(id_, row) for id_, row in data["providers"].items()}
        self._rows: dict[str, dict[str, Json]] = {id_: {} for id_ in self.vendors}
        for row in data["models"]:
            self._rows[row["provider"]][_plain(row["id"])] = row

    def find(self, provider: Provider | None, model: str) -> Offer | None:
        """The offer for a model under the name it has at this provider."""
        vendor = self.vendor_of(provider)
        rows = self._rows[vendor.id] if vendor is not None else {}
        if vendor is not None and rows:
            return self._first(vendor, names_of(model, vendor.prefixes))
        prefix = _bare(model).partition("/")[0].lower()
        makers = [each for each in self.vendors.values() if each.makes]
        named = [each for each in makers if prefix in each.prefixes] if "/" in model else makers
        found = [offer for each in named if (offer := self._first(each, names_of(model, each.prefixes))) is not None]
        return found[0] if len(found) == 1 else None

    def vendor_of(self, provider: Provider | None) -> Vendor | None:
        """Who a provider is, by the host of its base URL; only what begins with a dot stands for a whole domain."""
        host = (urlsplit(provider.base_url).hostname or "").rstrip(".").lower() if provider is not None else ""
        for vendor in self.vendors.values():
            if any(host == each or (each.startswith(".") and host.endswith(each)) for each in vendor.hosts):
                return vendor
        return None

    def aliases_of(self, provider: Provider) -> tuple[str, ...]:
        """What a provider is called in price files of others: what the table says, else its own id."""
        vendor = self.vendor_of(provider)
        return vendor.aliases if vendor is not None else (provider.id,)

    def _first(self, vendor: Vendor, names: Iterable[str]) -> Offer | None:
        rows = self._rows[vendor.id]
        row = next((rows[plain] for name in names if (plain := _plain(name)) in rows), None)
        if row is None:
            return None
        size, sees = row.get("contextWindow"), row.get("vision", False)
        return Offer(self.date, self.source, vendor.name, row["id"], row["price"], size, sees)


def read() -> PriceList:
    """The table, anew."""
    return PriceList(json.loads(FILE.read_text(encoding="utf-8")))


def find(provider: Provider | None, model: str) -> Offer | None:
    """The list price to offer for a model, or None."""
    return read().find(provider, model)


def names_of(model: str, prefixes: Iterable[str] = ()) -> Iterator[str]:
    """What a model may be called in a list, the nearest first: as it is called here, without marks, without whose it is,
    and each without the day it is of."""
    bare = _bare(model)
    names = [model, bare]
    owner, slash, rest = bare.partition("/")
    if slash and owner.lower() in prefixes:
        names.append(rest)
    yield from dict.fromkeys([*names, *(DATE.sub("", name) for name in names)])


def row_for(rows: Mapping[str, Mapping[str, Json]], aliases: Iterable[str], model: str) -> Json | None:
    """The row of a model in a price file, by provider and name; `aliases` are what its provider is called there."""
    names = list(names_of(model))
    of_the_provider = [rows[alias] for alias in aliases if alias in rows]
    return next((each[name] for name in names for each in of_the_provider if name in each), None)


def _bare(model: str) -> str:
    for mark in FOREIGN:
        model = model.removeprefix(mark)
    return model


def _plain(name: str) -> str:
    """A name as it is compared: some write 4.5 for what others call 4-5."""
    return name.lower().replace(".", "-")


def _vendor(id_: str, row: Json) -> Vendor:
    lists = (tuple(row.get(name, ())) for name in ("hosts", "prefixes", "aliases"))
    hosts, prefixes, aliases = lists
    return Vendor(id_, row["name"], hosts, row.get("makes", False), prefixes, aliases)
