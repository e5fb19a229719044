"""What is made when it is first wanted."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from ipin_proxy.once import Once

PATIENCE_S = 10.0


class Kitchen:
    def __init__(self) -> None:
        self.made = 0
        self.wanted = threading.Semaphore(0)

    @Once
    def soup(self) -> list[int]:
        """A soup."""
        self.made += 1
        for _ in range(8):
            assert self.wanted.acquire(timeout=PATIENCE_S)
        return [self.made]


def test_all_who_come_at_the_same_time_get_the_one_that_is_made() -> None:
    kitchen = Kitchen()

    def eat() -> list[int]:
        kitchen.wanted.release()
        return kitchen.soup

    with ThreadPoolExecutor(8) as pool:
        soups = [each.result(PATIENCE_S) for each in [pool.submit(eat) for _ in range(8)]]
    assert kitchen.made == 1
    assert all(soup is kitchen.soup for soup in soups)


def test_each_has_its_own() -> None:
    one, two = Kitchen(), Kitchen()
    for kitchen in (one, two):
        for _ in range(8):
            kitchen.wanted.release()
    assert one.soup is one.soup is not two.soup


def test_one_that_could_not_be_made_is_made_the_next_time() -> None:
    class Oven:
        tries = 0

        @Once
        def bread(self) -> str:
            self.tries += 1
            if self.tries == 1:
                raise OSError("no flour")
            return "bread"

    oven = Oven()
    for _ in range(3):
        try:
            assert oven.bread == "bread"
        except OSError:
            assert oven.tries == 1
    assert oven.tries == 2
