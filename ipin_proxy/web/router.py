"""Which handler answers a path. Routes come as one table; the first match wins, exact paths before patterns.

A pattern is a path with `{name}` for one segment and `{name...}` for the rest of the path, slashes included
(model ids hold slashes: "org/model"). A path that matches without the method asked for hides nothing behind it: with
POST /models/bulk and PUT /models/{id} a model may be called "bulk".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple


class Route(NamedTuple):
    """One row: `access` says who may come in, `dialect` the wire format errors are written in."""

    method: str
    pattern: str
    access: str
    dialect: str
    handler: Callable[..., Any]


class Match(NamedTuple):
    """A route and what its pattern captured; without a route, `allowed` names the methods the path does take."""

    route: Route | None
    params: dict[str, str]
    allowed: tuple[str, ...] = ()


NO_MATCH = Match(None, {})


class Router:
    """Looks paths up in a table of routes. GET answers HEAD as well (RFC 9110 §9.3.2)."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[str, dict[str, Route]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Route]]] = []
        by_pattern: dict[str, dict[str, Route]] = {}
        for route in routes:
            methods = by_pattern.setdefault(route.pattern, {})
            methods[route.method] = route
            if route.method == "GET":
                methods.setdefault("HEAD", route)
        for pattern, methods in by_pattern.items():
            if "{" in pattern:
                self._patterns.append((compile_pattern(pattern), methods))
            else:
                self._exact[pattern] = methods

    def match(self, method: str, path: str) -> Match:
        methods = self._exact.get(path)
        if methods is not None and method in methods:
            return Match(methods[method], {})
        allowed = {*methods, "OPTIONS"} if methods is not None else set()
        for pattern, candidates in self._patterns:
            found = pattern.fullmatch(path)
            if found is None:
                continue
            if method in candidates:
                return Match(candidates[method], found.groupdict())
            allowed |= {*candidates, "OPTIONS"}
        return Match(None, {}, tuple(sorted(allowed))) if allowed else NO_MATCH


def compile_pattern(pattern: str) -> re.Pattern[str]:
    pieces = re.split(r"\{(\w+)(\.\.\.)?\}", pattern)
    expression = re.escape(pieces[0])
    for name, greedy, literal in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
        expression += f"(?P<{name}>{'.+' if greedy else '[^/]+'})" + re.escape(literal)
    return re.compile(expression, re.DOTALL)
