"""Providers offered from well-known environment variables, without a key being stored.

An offer is a provider record whose key is the reference `env:NAME`. It stands until a stored provider takes its id.
"""

from __future__ import annotations

from collections.abc import Mapping

from .presets import PRESETS
from .records import Provider


def offered(environ: Mapping[str, str]) -> dict[str, Provider]:
    """The providers the environment holds a key for, by id."""
    return {
        each.id: Provider(
            id=each.id,
            name=each.name,
            base_url=each.base_url,
            type=each.type,
            api_key=f"env:{each.variable}",
            # Who speaks another language has models of these families of its own, and knows them by every name.
            model_map=each.model_map if each.type == "openai" else {},
        )
        for each in PRESETS
        if each.variable and environ.get(each.variable, "").strip()
    }
