"""The pool: as many threads as there is work, whatever a thread is about to do."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable
from functools import partial

import pytest

from ipin_proxy.web.server import Pool

Work = Callable[[], None]


class Hooked(queue.SimpleQueue[Work]):
    """A queue that calls `hook` when a worker has taken something and not yet begun with it."""

    hook: Work | None = None
    idle: Work | None = None  # called when a worker is about to wait

    def get(self, block: bool = True, timeout: float | None = None) -> Work:
        if self.idle is not None:
            self.idle()
        work = super().get(block, timeout)
        hook, self.hook = self.hook, None
        if hook is not None:
            hook()
        return work


def test_work_never_waits_for_a_worker_that_is_about_to_be_busy() -> None:
    errors: list[BaseException] = []
    pool = Pool(4, errors.append)
    pool._queue = work = Hooked()
    second, first = threading.Event(), threading.Event()
    work.hook = lambda: pool.submit(second.set)
    pool.submit(lambda: first.set() if second.wait(5) else None)
    assert first.wait(10), "the second piece of work waited for the end of the first"
    assert errors == []


def test_a_worker_outlives_work_that_fails() -> None:
    errors: queue.SimpleQueue[BaseException] = queue.SimpleQueue()
    pool = Pool(1, errors.put)
    done = threading.Event()
    pool.submit(partial(int, "no number"))  # type: ignore[arg-type]
    pool.submit(done.set)
    assert done.wait(10)
    assert isinstance(errors.get(timeout=10), ValueError)


def test_work_is_done_when_threads_can_be_had_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's limit is reached for a moment: more often than there may be threads."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    errors: list[BaseException] = []
    pool = Pool(2, errors.append)
    done = threading.Semaphore(0)
    with monkeypatch.context() as exhausted:
        exhausted.setattr(threading.Thread, "start", refuse)
        for _ in range(3):
            pool.submit(done.release)
    assert len(errors) == 3
    pool.submit(done.release)
    for _ in range(4):
        assert done.acquire(timeout=10)


def test_a_worker_that_has_nothing_to_do_keeps_nothing() -> None:
    """Work holds its call, with all that was sent for it."""
    errors: list[BaseException] = []
    pool = Pool(1, errors.append)
    pool._queue = work = Hooked()
    waiting, done = threading.Event(), threading.Event()

    class Call:
        def work(self) -> None:
            work.idle = waiting.set
            done.set()

    call = Call()
    watched = weakref.ref(call)
    pool.submit(call.work)
    del call
    assert done.wait(10)
    assert waiting.wait(10), "it waits for more"
    assert watched() is None
    assert errors == []
