"""What is found out of a refusal of a chat that was written here, and what the next one goes without."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ipin_proxy.call import Deployment
from ipin_proxy.dialects.refusals import is_learned, with_leading_system, without_refused
from ipin_proxy.manners import Manners
from ipin_proxy.records import Model, Provider
from ipin_proxy.upstream import Heard

PROVIDER = Provider(id="acme", base_url="http://a.test")
DEPLOYMENT = Deployment(Model(id="m", provider_id="acme"), PROVIDER, "m", None, 1.0)
OTHER = Deployment(Model(id="o", provider_id="acme"), PROVIDER, "o", None, 1.0)
CHAT = {"model": "m", "max_tokens": 64_000, "user": "ann", "reasoning_effort": "high", "messages": []}


def heard(message: Any, status: int = 400) -> Heard:
    return Heard(status, json.dumps({"error": {"message": message}}).encode())


@pytest.mark.parametrize(
    ("message", "most"),
    [
        ("max_tokens is too large: 64000. This model supports at most 16384 completion tokens, whereas you…", 16_384),
        ("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", 8192),
        ("`max_tokens` must be less than or equal to `32768`, the maximum value for `max_tokens` is less", 32_768),
    ],
)
def test_how_much_a_model_gives(message: str, most: int) -> None:
    manners = Manners()
    assert is_learned(CHAT, heard(message), DEPLOYMENT, manners)
    chat = without_refused(CHAT, DEPLOYMENT, manners)
    assert chat == {**CHAT, "max_tokens": most}
    assert not is_learned(chat, heard(message), DEPLOYMENT, manners)  # it would go round and round
    assert without_refused(CHAT, OTHER, manners) == CHAT
    assert without_refused({"max_completion_tokens": 5}, DEPLOYMENT, manners) == {"max_completion_tokens": 5}


def test_what_a_model_does_not_take() -> None:
    manners = Manners()
    assert is_learned(CHAT, heard("Unrecognized request argument supplied: reasoning_effort"), DEPLOYMENT, manners)
    assert is_learned(CHAT, heard("Extra inputs are not permitted: body.user", 422), DEPLOYMENT, manners)
    chat = without_refused(CHAT, DEPLOYMENT, manners)
    assert chat.keys() == {"model", "max_tokens", "messages"}
    assert without_refused(CHAT, OTHER, manners) == CHAT


def test_another_name_for_how_long_an_answer_may_be() -> None:
    manners = Manners()
    message = (
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    )
    assert is_learned(CHAT, heard(message), DEPLOYMENT, manners)
    chat = without_refused(CHAT, DEPLOYMENT, manners)
    assert (chat.get("max_tokens"), chat["max_completion_tokens"]) == (None, 64_000)


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("reasoning_effort is not supported", 500),
        ("The user is blocked.", 400),
        ("messages are not supported", 400),
        ("reasoning_effort is not supported " + "x" * 1000, 400),
        (None, 400),
        ([5], 400),
    ],
)
def test_of_other_refusals_nothing_is_learned(message: Any, status: int) -> None:
    manners = Manners()
    assert not is_learned(CHAT, heard(message, status), DEPLOYMENT, manners)
    assert without_refused(CHAT, DEPLOYMENT, manners) == CHAT


@pytest.mark.parametrize(
    "words", ["supports at most 3 completion tokens", "user unsupported", "reasoning_effort-unknown"]
)
def test_of_what_a_caller_wrote_nothing_is_learned(words: str) -> None:
    manners = Manners()
    for chat in (
        {**CHAT, "stop": [words]},
        {**CHAT, "tools": [{"function": {"parameters": {"properties": {words: {}}}}}]},
    ):
        assert not is_learned(chat, heard(f"Invalid value: '{words}' is too odd."), DEPLOYMENT, manners)
    assert without_refused(CHAT, DEPLOYMENT, manners) == CHAT
    chat = {**CHAT, "stop": [words, "user"]}
    assert is_learned(chat, heard(f"'{words}' is odd, and 'user' is not supported."), DEPLOYMENT, manners)


def test_what_templates_refuse_of_the_order_of_messages_is_put_right() -> None:
    def said(role: str, content: Any) -> dict[str, Any]:
        return {"role": role, "content": content}

    reminder = "<system-reminder>\n{}\n</system-reminder>"
    talk = [
        *(said("system", "A"), said("system", "B"), said("user", "Hi."), said("user", "There.")),
        *(
            said("assistant", "Hello."),
            said("system", "C"),
            said("user", "Go."),
            said("user", "On."),
            said("tool", "x"),
        ),
        *(said("system", [{"type": "text", "text": "D"}, {"type": "text", "text": "E"}]), said("assistant", "Bye.")),
    ]
    assert with_leading_system(talk) == [
        *talk[:2],
        said("user", "Hi.\n\nThere."),
        talk[4],
        said("user", f"{reminder.format('C')}\n\nGo.\n\nOn."),
        said("tool", "x"),
        said("user", reminder.format("D\n\nE")),
        said("assistant", "Bye."),
    ]
    assert with_leading_system(talk[:3]) == talk[:3]


def test_of_very_many_messages_of_the_users_each_is_put_to_the_others_once() -> None:
    """Written anew with each, they took the square of their number: a minute for forty thousand."""
    talk = [{"role": "user", "content": f"{at:0100}"} for at in range(100_000)]
    assert with_leading_system(talk) == [{"role": "user", "content": "\n\n".join(each["content"] for each in talk)}]


def test_of_a_very_long_one_nothing_is_learned() -> None:
    """It would be looked through for every text of the call."""
    manners = Manners()
    for more, is_short in (("", True), ("x" * 20_000, False)):
        assert (
            is_learned(CHAT, heard(f"max_tokens must be less than or equal to `8192` {more}"), DEPLOYMENT, manners)
            is is_short
        )
        assert manners.most_tokens_of(DEPLOYMENT) == 8192
