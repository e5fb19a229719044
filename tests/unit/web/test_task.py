"""Work in steps: who runs which part, what waiting means, and what becomes of work whose caller has left."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ipin_proxy.web.loop import Loop
from ipin_proxy.web.response import CallerGone, Response
from ipin_proxy.web.task import CONNECTOR, THREAD, TURN, Steps, Task, Wait

PATIENCE_S = 10.0
FAR = time.monotonic() + 1_000


class Workers:
    """A pool that is told when to work."""

    def __init__(self) -> None:
        self.work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def submit(self, work: Callable[[], None]) -> None:
        self.work.put(work)


class Stage:
    """Stands in for a connection and its server: a real loop, and workers that are told when to work."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self.loop = Loop(self._tick, self.errors.append, 0.02)
        self.work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.outcome: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.task: Task | None = None
        self.server = self
        self.pool = self
        self.connectors = Workers()
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.thread = threading.Thread(target=self.loop.run, daemon=True)
        self.thread.start()

    def begin(self, steps: Steps) -> None:
        self.task = Task(self, steps)  # type: ignore[arg-type]
        self.loop.call(self.task.advance)

    def leave(self) -> None:
        assert self.task is not None
        self.loop.call(self.task.cancel, CallerGone("the caller hung up"))

    def work_once(self) -> None:
        """Do the next piece of work in a thread that is not the loop's."""
        self._do_next(self.work)

    def connect_once(self) -> None:
        """Do the next piece of work of those who connect."""
        self._do_next(self.connectors.work)

    def ended(self) -> Any:
        return self.outcome.get(timeout=PATIENCE_S)

    def close(self) -> None:
        self.loop.call(self.loop.stop)
        self.thread.join(PATIENCE_S)
        self.loop.close()
        self.ours.close()
        self.theirs.close()

    def _do_next(self, queued: queue.SimpleQueue[Callable[[], None]]) -> None:
        worker = threading.Thread(target=self._safely, args=(queued.get(timeout=PATIENCE_S),))
        worker.start()
        worker.join(PATIENCE_S)

    def _safely(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - as the pool does
            self.errors.append(error)

    def _tick(self, now: float) -> None:
        if self.task is not None:
            self.task.check_time(now)

    # What a task asks of its connection and the pool.

    def submit(self, work: Callable[[], None]) -> None:
        self.work.put(work)

    def respond(self, response: Response) -> None:
        self.outcome.put(response)

    def abort(self) -> None:
        self.outcome.put("aborted")


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


def test_steps_run_on_the_loop_until_they_ask_for_a_thread(stage: Stage) -> None:
    ran: list[threading.Thread] = []

    def steps() -> Steps:
        ran.append(threading.current_thread())
        yield THREAD
        ran.append(threading.current_thread())
        yield THREAD
        ran.append(threading.current_thread())
        yield Wait(stage.ours, FAR)
        ran.append(threading.current_thread())
        return Response(204)

    stage.begin(steps())
    stage.work_once()
    stage.theirs.sendall(b"x")
    assert stage.ended().status == 204
    assert ran[0] is ran[3] is stage.thread
    assert ran[1] is ran[2] is not stage.thread
    assert stage.work.empty()


def test_what_may_take_long_is_left_to_those_who_connect(stage: Stage) -> None:
    """A worker that looks names up itself would be missing to everybody else, for as long as a name server is slow."""
    ran: list[threading.Thread] = []

    def steps() -> Steps:
        yield THREAD
        ran.append(threading.current_thread())
        yield CONNECTOR
        ran.append(threading.current_thread())
        yield THREAD
        ran.append(threading.current_thread())
        return Response(204)

    stage.begin(steps())
    stage.work_once()
    assert len(ran) == 1
    stage.connect_once()
    assert stage.ended().status == 204
    assert ran[0] is not ran[1] is ran[2]


def test_waiting_ends_when_the_peer_speaks_or_the_time_has_come(stage: Stage) -> None:
    def steps(until: float) -> Steps:
        yield Wait(stage.ours, until)
        try:
            heard = stage.ours.recv(10)
        except BlockingIOError:
            heard = b"nothing"
        return Response(200, None, heard)

    stage.begin(steps(FAR))
    stage.theirs.sendall(b"hello")
    assert stage.ended().body == b"hello"
    stage.begin(steps(time.monotonic() + 0.01))
    assert stage.ended().body == b"nothing"


def test_one_may_wait_again_and_again(stage: Stage) -> None:
    def steps() -> Steps:
        heard = b""
        while len(heard) < 300:
            yield Wait(stage.ours, FAR)
            heard += stage.ours.recv(1)
        return Response(200, None, heard)

    stage.begin(steps())
    stage.theirs.sendall(b"abc" * 100)
    assert stage.ended().body == b"abc" * 100


def test_a_caller_who_leaves_is_told_where_the_steps_wait(stage: Stage) -> None:
    cleaned = threading.Event()

    def steps() -> Steps:
        try:
            yield Wait(stage.ours, FAR)
        except CallerGone:
            return Response(499)
        finally:
            cleaned.set()
        return Response(200)

    stage.begin(steps())
    stage.leave()
    assert stage.ended().status == 499
    assert cleaned.is_set()
    stage.leave()
    stage.theirs.sendall(b"too late")
    assert stage.errors == []


def test_a_caller_who_leaves_while_a_thread_works_is_told_at_the_next_wait(stage: Stage) -> None:
    reached: list[str] = []

    def steps() -> Steps:
        yield THREAD
        reached.append("worked")
        try:
            yield Wait(stage.ours, FAR)
        except CallerGone:
            reached.append("told")
        return Response(499)

    stage.begin(steps())
    work = stage.work.get(timeout=PATIENCE_S)
    stage.leave()
    stage.submit(work)
    stage.work_once()
    assert stage.ended().status == 499
    assert reached == ["worked", "told"]


def test_who_no_longer_waits_is_told_nothing(stage: Stage) -> None:
    """The work was done before it could have noticed: the answer is made, and whoever sends it finds nobody there."""

    def steps() -> Steps:
        yield THREAD
        return Response(200)

    stage.begin(steps())
    work = stage.work.get(timeout=PATIENCE_S)
    stage.leave()
    stage.submit(work)
    stage.work_once()
    assert stage.ended().status == 200


@pytest.mark.parametrize("where", ["at once", "in a thread", "after waiting", "when told"])
def test_a_failure_of_the_steps_breaks_the_connection_and_is_reported(stage: Stage, where: str) -> None:
    def steps() -> Steps:
        if where == "in a thread":
            yield THREAD
        elif where in ("after waiting", "when told"):
            try:
                yield Wait(stage.ours, FAR)
            except CallerGone as gone:
                raise RuntimeError("not foreseen") from gone
        raise RuntimeError("not foreseen")

    stage.begin(steps())
    if where == "in a thread":
        stage.work_once()
    elif where == "after waiting":
        stage.theirs.sendall(b"x")
    elif where == "when told":
        stage.leave()
    assert stage.ended() == "aborted"
    done = threading.Event()
    stage.loop.call(done.set)
    assert done.wait(PATIENCE_S)
    assert [str(error) for error in stage.errors] == ["not foreseen"]


def test_others_have_their_turn_in_between(stage: Stage) -> None:
    happened: list[str] = []

    def steps() -> Steps:
        for _ in range(3):
            happened.append("mine")
            stage.loop.call(happened.append, "theirs")
            yield TURN
        return Response(204)

    stage.begin(steps())
    assert stage.ended().status == 204
    assert happened == ["mine", "theirs"] * 3


def test_who_leaves_while_others_have_their_turn_is_told_so(stage: Stage) -> None:
    def steps() -> Steps:
        stage.leave()
        try:
            while True:
                yield TURN
        except CallerGone:
            return Response(499)

    stage.begin(steps())
    assert stage.ended().status == 499
