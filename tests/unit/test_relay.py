"""What a call leaves behind: nothing, at once. Bodies are large, and the collector comes by when it likes."""

from __future__ import annotations

import gc
import json
import select
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from selectors import EVENT_READ
from types import SimpleNamespace
from typing import Any

import pytest
from support import build
from support.build import chunk, completion, error, opening
from support.pictures import base64_of, data_url, png
from support.upstream import Upstream

from ipin_proxy import config
from ipin_proxy.app import App
from ipin_proxy.dispatch import Dispatcher
from ipin_proxy.logs import Log
from ipin_proxy.records import Model, Provider
from ipin_proxy.store import Store
from ipin_proxy.web.head import HeadReader, parse_request
from ipin_proxy.web.request import Request
from ipin_proxy.web.response import Early, Response, Stream
from ipin_proxy.web.task import THREAD, Steps, Wait

KEY = "sk-master-given-0123456789"


class Body(bytearray):
    """A body that can be watched."""


@contextmanager
def app_in(folder: Path) -> Iterator[App]:
    store = Store.open([folder / "ipin-proxy.db"])
    log = Log("info", folder / "log")
    app = App(config.load({}, {"MASTER_API_KEY": KEY}, None, {}), store, log)
    yield app
    app.upstreams.connections.close()
    log.close()
    store.close()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """With nothing set up, so that the demo answers."""
    with app_in(tmp_path) as app:
        yield app


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Only what nobody refers to any more is gone; the collector does not come."""
    gc.disable()
    yield
    gc.enable()


def steps_of(app: App, path: str, body: dict[str, Any]) -> tuple[Steps, weakref.ref[Body]]:
    """The steps of one request, and its body while it is there."""
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\r\n".encode()
    request = Request(parse_request(head), SimpleNamespace(peer="127.0.0.1", heads=HeadReader()))  # type: ignore[arg-type]
    request.body = body_sent = Body(json.dumps(body).encode())
    watched = weakref.ref(body_sent)
    del body_sent
    return Dispatcher(app).handle(request), watched


def ask(
    app: App, path: str, body: dict[str, Any], seen: list[object] | None = None, *, is_early: bool = False
) -> tuple[int, weakref.ref[Body]]:
    """One request to its end, that of a stream included; the status, and the body if it is still there. What it waits for is
    put into `seen`; `is_early`: a stream had been begun before anybody spoke."""
    steps, watched = steps_of(app, path, body)
    try:
        while True:
            wanted = steps.send(None)
            if seen is not None:
                seen.append(wanted)
            if isinstance(wanted, Early):
                wanted.sent = is_early
            if isinstance(wanted, Wait):
                is_reading = wanted.interest == EVENT_READ
                select.select([wanted.file] * is_reading, [wanted.file] * (not is_reading), [], 10)
    except StopIteration as end:
        response: Response = end.value
    if response.stream is not None:
        read_out(response.stream)
    return response.status, watched


def read_out(stream: Stream) -> None:
    """As the loop does it."""
    while (data := stream.source.read_ready()) is not None:
        stream.pipe.feed(data)
        if not stream.source.has_more():
            select.select([stream.source.sock], [], [], 10)
    stream.pipe.finish()
    stream.source.close()
    stream.at_end(None)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/messages/count_tokens", "/v1/responses"])
def test_an_answered_call_leaves_nothing(app: App, uncollected: None, path: str) -> None:
    said = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 5, "input": "hi"}
    status, body = ask(app, path, {"model": "demo", **said})
    assert (status, body()) == (200, None)


@pytest.mark.parametrize("size", [1, 300_000])
@pytest.mark.parametrize(
    ("before", "behind", "expected"),
    [("", "", 200), ("", "\n", 200), ("data:image/jpg;base64,", "", 200), ("file:", "", 400), ("", "!", 400)],
    ids=["sound", "written anew", "written around", "refused", "refused at its end"],
)
def test_a_call_with_an_image_leaves_nothing(
    app: App, uncollected: None, size: int, before: str, behind: str, expected: int
) -> None:
    url = before + (base64_of if before else data_url)(png(more=bytes(size))) + behind
    message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}
    status, body = ask(app, "/v1/chat/completions", {"model": "demo", "messages": [message]})
    assert (status, body()) == (expected, None)


@pytest.mark.parametrize(
    ("path", "model", "expected"),
    [
        ("/v1/chat/completions", "no-such-model", 404),
        ("/v1/embeddings", "demo", 400),
        ("/v1/completions", "demo", 400),
    ],
    ids=["not found", "refused here", "refused by the provider"],
)
def test_a_failed_call_leaves_nothing(app: App, uncollected: None, path: str, model: str, expected: int) -> None:
    status, body = ask(app, path, {"model": model, "messages": [], "input": "x", "prompt": "x"})
    assert (status, body()) == (expected, None)


@pytest.mark.parametrize(
    ("refers", "expected"),
    [
        ({}, False),
        ({"previous_response_id": "resp_1"}, True),
        ({"input": [{"role": "user", "content": "Hi"}]}, False),
        ({"input": [{"role": "user", "content": "Hi", "id": "msg_1"}]}, False),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, True),
        ({"input": [{"type": "item_reference", "id": "msg_1", "role": "user"}]}, True),
        ({"input": [{"id": "msg_1"}]}, True),
    ],
    ids=["nothing", "a response", "no item", "an item of its own", "an item", "an item with a role", "only an id"],
)
def test_what_a_short_call_refers_to_is_read_in_a_thread(app: App, refers: dict[str, Any], expected: bool) -> None:
    """It may be as long as a book."""
    steps, _ = steps_of(app, "/v1/responses", {"model": "demo", "input": "Hi", **refers})
    assert (next(steps) is THREAD) is expected
    steps.close()


@pytest.mark.parametrize(
    ("size", "streams", "expected"), [(40_000, True, True), (40_000, False, False), (9, True, False)]
)
def test_a_long_answer_is_made_a_stream_in_a_thread(
    tmp_path: Path, upstream: Upstream, size: int, streams: bool, expected: bool
) -> None:
    """It may have thousands of choices, each of which is an event."""
    database = build.database(providers=[build.provider(upstream.base_url)], models=[build.model()])
    (tmp_path / "ipin-proxy.db").write_text(json.dumps(database))
    seen: list[object] = []
    with app_in(tmp_path) as app:
        upstream.will_answer(200, build.completion("x" * size))
        assert ask(app, "/v1/chat/completions", build.hello(stream=streams), seen)[0] == 200
    last = max(at for at, each in enumerate(seen) if isinstance(each, Wait))
    assert (THREAD in seen[last:]) is expected


@pytest.fixture
def acme(app: App, upstream: Upstream) -> Upstream:
    """Serves "first", and its fallback "second", by chats alone."""
    url = upstream.base_url
    with app.store.edit() as draft:
        draft.providers["acme"] = Provider(id="acme", name="Acme", base_url=url, type="openai", auth="none")
        draft.models["first"] = Model(id="first", name="1", provider_id="acme", type="chat", fallbacks=("second",))
        draft.models["second"] = Model(id="second", name="2", provider_id="acme", type="chat")
    return upstream


def chat(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5, **more}


def test_a_call_that_went_elsewhere_leaves_nothing(app: App, acme: Upstream, uncollected: None) -> None:
    acme.will_answer(500, error())
    acme.will_answer(200, completion())
    status, body = ask(app, "/v1/chat/completions", chat("first"))
    assert (status, body()) == (200, None)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_a_failure_within_a_stream_that_was_begun_leaves_nothing(
    app: App, acme: Upstream, uncollected: None, path: str
) -> None:
    acme.will_answer(500, error())
    status, body = ask(app, path, chat("second", stream=True), is_early=True)
    assert (status, body()) == (200, None)


def test_an_error_behind_words_leaves_nothing(app: App, acme: Upstream, uncollected: None) -> None:
    acme.will_stream(opening(), chunk("a"), error(), done=False)
    status, body = ask(app, "/v1/messages", chat("second", stream=True))
    assert (status, body()) == (200, None)
