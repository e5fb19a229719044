"""Handlers: one thin file per family of endpoints, each handler a function of the app and the visit."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..web.response import Response
from ..web.task import THREAD, Steps

if TYPE_CHECKING:
    from ..app import App, Visit

    Handler = Callable[[App, Visit], Steps]


class Later:
    """The handlers in a file that is loaded when the first of them is called: what a server that serves calls need not have
    in its memory."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, handler: str) -> Handler:
        return later(self._name, handler, lambda found: found)


class Made:
    """Likewise for those functions of a file that make a handler, such as `page("index.html")`: it is made once."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, maker: str) -> Callable[..., Handler]:
        return lambda *given: later(self._name, maker, cache(lambda make: make(*given)))


def later(name: str, function: str, handler_of: Callable[[Any], Any]) -> Handler:
    def call(app: App, visit: Visit) -> Steps:
        yield THREAD
        handler = handler_of(getattr(import_module(f".{name}", __package__), function))
        found = handler(app, visit)
        response: Response = (yield from found) if isinstance(found, Generator) else found
        return response

    call.__name__, call.__module__ = function, f"{__package__}.{name}"
    return call
