"""An attribute that is made when it is first wanted, and then kept.

Of several threads that want it at the same time one makes it and the others wait. `functools.cached_property` does not see to
that since Python 3.12 (its documentation says so): each would make its own, and what is put into all but the last is lost.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """Decorates a method without arguments, whose place it takes."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        self.__doc__ = make.__doc__
        self._make = make
        self._making = threading.RLock()

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> T:
        with self._making:
            kept = instance.__dict__  # which is looked into first from then on
            if self._name not in kept:
                kept[self._name] = self._make(instance)
            found: T = kept[self._name]
            return found
