"""Alerts to an address of the administrator's: what is sent, how it is signed, and what happens when nobody takes it."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.accounting import USD, House, at, budget, caller, key
from support.upstream import Upstream, answer, bytewise, hang_up, reset, say, stall

from ipin_proxy.limits import Alert
from ipin_proxy.logs import Log
from ipin_proxy.webhook import MOST_WAITING, PAUSES_S, Webhook

SECRET = "a-secret-of-the-receiver"


def alert(percent: int = 80, **more: Any) -> Alert:
    fields = {
        "of": "key",
        "id": "k",
        "name": "Class 7b",
        "budget": budget(10, "month"),
        "limit": 10 * USD,
        "spent": 8_020_000_001,
        "percent": percent,
        "begins": at("2026-11-01T00:00:00"),
        "ends": at("2026-12-01T00:00:00"),
        "time": at("2026-11-27T12:00:00") + 0.75,
    }
    return Alert(**{**fields, **more})


class Post:
    """A webhook whose pauses take no time, and the log it writes."""

    def __init__(self, folder: Path, url: str | None, secret: str | None = None, **more: Any) -> None:
        self.file = folder / "log"
        self.log = Log("info", self.file)
        self.url = url
        self.pauses: list[float] = []
        self.hook = Webhook(self.log, lambda: (self.url, secret), wait=self.wait, **more)

    def wait(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        return False

    def send(self, *alerts: Alert) -> list[dict[str, Any]]:
        """Have them sent, and wait until that is done or given up: what the log says."""
        for each in alerts:
            self.hook.tell(each)
        self.hook.close(20)
        self.log.close()
        return [json.loads(line) for line in self.file.read_text().splitlines()]


@pytest.fixture
def receiver() -> Iterator[Upstream]:
    with closing(Upstream()) as found:
        yield found
        assert found.complaints == []


@pytest.fixture
def post(tmp_path: Path, receiver: Upstream) -> Callable[..., Post]:
    def make(path: str = "/hook?to=team", secret: str | None = None, **more: Any) -> Post:
        return Post(tmp_path, receiver.origin + path, secret, **more)

    return make


def test_an_alert_is_posted_as_json(post: Callable[..., Post], receiver: Upstream) -> None:
    receiver.will_answer(204)
    (line,) = post().send(alert())
    (seen,) = receiver.history
    assert (seen.method, seen.path) == ("POST", "/hook?to=team")
    assert seen.header("content-type") == "application/json"
    assert seen.header("host") == f"127.0.0.1:{receiver.port}"
    assert seen.header("x-ipin-signature") is None
    assert (line["event"], line["delivery"]) == ("webhook_sent", seen.header("x-ipin-delivery"))
    assert seen.json == {
        "event": "budget.warning",
        "text": "The API key 'Class 7b' has used 80 % of the budget of 10.00 USD a month: 8.020000001 USD spent.",
        "of": "key",
        "id": "k",
        "name": "Class 7b",
        "budget": {"usd": 10, "window": "month"},
        "limitUsd": 10.0,
        "spentUsd": 8.020000001,
        "percent": 80,
        "windowStart": "2026-11-01T00:00:00Z",
        "windowEnd": "2026-12-01T00:00:00Z",
        "time": "2026-11-27T12:00:00Z",
    }


def test_a_total_has_no_window_and_a_full_budget_another_name(post: Callable[..., Post], receiver: Upstream) -> None:
    receiver.will_answer(200)
    total = budget(10, "total", name="the pilot", raiseUsd=2, raiseUntil="2026-12-31")
    post().send(alert(100, of="user", name="Zoë", budget=total, begins=None, ends=None))
    told = receiver.history[0].json
    assert told["event"] == "budget.exceeded"
    assert told["text"].startswith("The user 'Zoë' has used 100 % of the budget 'the pilot' of 10.00 USD in total:")
    assert (told["windowStart"], told["windowEnd"], told["budget"]["raiseUsd"]) == (None, None, 2)


def test_the_body_is_signed_with_the_secret(post: Callable[..., Post], receiver: Upstream) -> None:
    receiver.will_answer(200)
    post(secret=SECRET).send(alert())
    (seen,) = receiver.history
    expected = hmac.new(SECRET.encode(), seen.body, hashlib.sha256).hexdigest()
    assert seen.header("x-ipin-signature") == f"sha256={expected}"
    assert SECRET.encode() not in seen.body


def test_alerts_go_out_in_their_order(post: Callable[..., Post], receiver: Upstream) -> None:
    receiver.default(lambda seen: answer(200))
    post().send(*(alert(80, id=f"k{number}") for number in range(20)))
    assert [seen.json["id"] for seen in receiver.history] == [f"k{number}" for number in range(20)]


@pytest.mark.parametrize(
    "script",
    [
        answer(500),
        answer(503, "later"),
        answer(429),
        answer(408),
        say(hang_up),
        say(b"HTTP/1.1 200", hang_up),
        say(reset),
    ],
)
def test_what_may_pass_is_tried_again(post: Callable[..., Post], receiver: Upstream, script: Any) -> None:
    receiver.will(script, script, answer(200))
    made = post()
    (line,) = made.send(alert())
    assert line["event"] == "webhook_sent"
    assert made.pauses == list(PAUSES_S[:2])
    deliveries = {seen.header("x-ipin-delivery") for seen in receiver.history}
    assert len(receiver.history) == 3 and len(deliveries) == 1, "a receiver can tell that it is the same"
    assert len({seen.body for seen in receiver.history}) == 1


def test_after_a_few_tries_it_is_given_up_and_said(post: Callable[..., Post], receiver: Upstream) -> None:
    receiver.default(lambda seen: answer(502))
    made = post("/secret-path")
    (line,) = made.send(alert())
    assert (line["level"], line["event"]) == ("warning", "webhook_failed")
    assert line["message"] == "The alert was not taken: it answered 502."
    assert len(receiver.history) == 1 + len(PAUSES_S) and made.pauses == list(PAUSES_S)
    assert "secret-path" not in made.file.read_text() and "127.0.0.1" not in made.file.read_text()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(post: Callable[..., Post], receiver: Upstream, status: int) -> None:
    receiver.will_answer(status, headers={"location": f"{receiver.origin}/elsewhere"})
    (line,) = post().send(alert())
    assert line["message"] == f"The alert was not taken: it answered {status}, and redirects are not followed."
    assert [seen.path for seen in receiver.history] == ["/hook?to=team"]


@pytest.mark.parametrize("status", [400, 401, 404, 410])
def test_what_the_receiver_does_not_want_is_not_sent_again(
    post: Callable[..., Post], receiver: Upstream, status: int
) -> None:
    receiver.will_answer(status, "no")
    (line,) = post().send(alert())
    assert line["message"] == f"The alert was not taken: it answered {status}."
    assert len(receiver.history) == 1


def test_provisional_answers_and_single_bytes_are_read(post: Callable[..., Post], receiver: Upstream) -> None:
    receiver.will(
        say(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            bytewise,
        )
    )
    (line,) = post().send(alert())
    assert line["event"] == "webhook_sent"


@pytest.mark.parametrize(
    ("head", "reason"),
    [(b"nonsense\r\n\r\n", "status line"), (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000, "too long")],
)
def test_nonsense_is_no_answer(post: Callable[..., Post], receiver: Upstream, head: bytes, reason: str) -> None:
    receiver.default(lambda seen: say(head))
    (line,) = post().send(alert())
    assert line["event"] == "webhook_failed" and reason in line["message"]


def test_a_receiver_that_says_nothing_is_not_waited_for(post: Callable[..., Post], receiver: Upstream) -> None:
    receiver.will(say(stall), say(b"HTTP/1.1 200 OK\r\nx: ", stall), answer(200))
    (line,) = post(attempt_s=0.2).send(alert())
    assert line["event"] == "webhook_sent"


def test_nobody_there(tmp_path: Path) -> None:
    gone = Upstream()
    gone.close()
    (line,) = Post(tmp_path, f"{gone.origin}/x").send(alert())
    assert line["message"] == "The alert was not taken: the connection was refused."


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(tmp_path: Path) -> None:
    with closing(Upstream(tls=True)) as receiver:
        (line,) = Post(tmp_path, f"{receiver.origin}/x").send(alert())
        assert "certificate is not trusted" in line["message"]
        assert receiver.history == []


def test_without_an_address_nothing_is_sent(tmp_path: Path) -> None:
    assert Post(tmp_path, None).send(alert()) == []


def test_with_too_many_waiting_the_rest_is_counted_and_said(post: Callable[..., Post], receiver: Upstream) -> None:
    """Whoever tells never waits: the first one is stuck until the test lets it go on."""
    from support.upstream import pause

    receiver.will(say(pause, b"HTTP/1.1 200 OK\r\n\r\n"))
    receiver.default(lambda seen: answer(200))
    made = post()
    made.hook.tell(alert(id="first"))
    receiver.wait_paused()
    for number in range(MOST_WAITING + 7):
        made.hook.tell(alert(id=str(number)))
    receiver.resume()
    lines = made.send()
    assert len(receiver.history) == MOST_WAITING + 1
    (lost,) = [line["message"] for line in lines if line["event"] == "webhook_lost"]
    assert lost == "7 alerts were not sent: too many were waiting, or no thread was to be had."


def test_the_end_of_the_server_does_not_wait_for_a_receiver(tmp_path: Path, receiver: Upstream) -> None:
    receiver.will(say(stall))
    hook = Webhook(Log("error", tmp_path / "log"), lambda: (receiver.origin, None))
    hook.tell(alert())
    receiver.wait_paused()
    hook.close(0.01)
    hook.tell(alert())
    assert len(receiver.history) == 1


def test_limits_tell_the_webhook(post: Callable[..., Post], receiver: Upstream) -> None:
    receiver.default(lambda seen: answer(200))
    made, house = post(), House()
    house.limits.alert = made.hook.tell
    house.call(caller(key(budgets=(budget(1, "rolling", days=7),))), USD)
    made.send()
    assert [(seen.json["percent"], seen.json["windowStart"]) for seen in receiver.history] == [
        (80, "2026-11-21T00:00:00Z"),
        (100, "2026-11-21T00:00:00Z"),
    ]
