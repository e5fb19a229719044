"""What providers were found to refuse, or to want otherwise, so that the next call does not pay for the discovery again.

Memory only: a restart asks anew, and so does a provider whose base URL changes. It is filled by what a dialect tries after
a refusal, and says nothing about whether a provider works (`deployments.py`).
"""

from __future__ import annotations

from collections.abc import Set

from .call import Deployment
from .records import Provider

MOST_NAMES = 1000  # callers make up names of models; a real one is found again with one question

NOTHING: frozenset[str] = frozenset()


class Manners:
    """Members that a provider does not take, the names by which it takes a model, and how long that one's answers may be."""

    def __init__(self) -> None:
        self._refused: dict[tuple[str, str], frozenset[str]] = {}
        self._names: dict[tuple[str, str, str], str] = {}
        self._most: dict[tuple[str, str, str], int] = {}

    def refused_by(self, provider: Provider) -> frozenset[str]:
        """The members that calls to this provider go without."""
        return self._refused.get((provider.id, provider.base_url), NOTHING) if self._refused else NOTHING

    def refuses(self, provider: Provider, members: Set[str]) -> None:
        known = self.refused_by(provider)
        self._refused[provider.id, provider.base_url] = (known if len(known) < MOST_NAMES else NOTHING) | members

    def takes(self, provider: Provider, members: Set[str]) -> None:
        """These are not what a call was refused for."""
        self._refused[provider.id, provider.base_url] = self.refused_by(provider) - members

    def name_at(self, deployment: Deployment) -> str:
        """What the model is called there."""
        return self._names.get(_place_of(deployment), deployment.upstream_model)

    def is_called(self, deployment: Deployment, name: str) -> None:
        if len(self._names) >= MOST_NAMES:
            self._names.clear()
        self._names[_place_of(deployment)] = name

    def most_tokens_of(self, deployment: Deployment) -> int | None:
        """How many tokens an answer may be asked for there; None when nobody has said."""
        return self._most.get(_place_of(deployment)) if self._most else None

    def gives(self, deployment: Deployment, tokens: int) -> None:
        if len(self._most) >= MOST_NAMES:
            self._most.clear()
        self._most[_place_of(deployment)] = tokens


def _place_of(deployment: Deployment) -> tuple[str, str, str]:
    return deployment.provider.id, deployment.provider.base_url, deployment.upstream_model
