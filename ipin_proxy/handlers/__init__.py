"""Handlers: one thin file per family of endpoints, each handler a function of the app and the visit."""

from __future__ import annotations

from collections.abc import Callable, Generator
from importlib import import_module
from typing import TYPE_CHECKING

from ..web.response import Response
from ..web.task import THREAD, Steps

if TYPE_CHECKING:
    from ..app import App, Visit


class Later:
    """The handlers in a file that is loaded when the first of them is called: what a server that serves calls need not have
    in its memory."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, handler: str) -> Callable[[App, Visit], Steps]:
        def call(app: App, visit: Visit) -> Steps:
            yield THREAD
            found = getattr(import_module(f".{self._name}", __package__), handler)(app, visit)
            response: Response = (yield from found) if isinstance(found, Generator) else found
            return response

        call.__name__, call.__module__ = handler, f"{__package__}.{self._name}"
        return call
