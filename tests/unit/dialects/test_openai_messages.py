"""What a provider says in its errors, without what it must not say."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from ipin_proxy.call import Deployment
from ipin_proxy.dialects import openai
from ipin_proxy.records import Model, Provider
from ipin_proxy.web.head import Headers

KEY = "acme-secret-key-0123456789"
QUERY = "QSECRET-123456789"


def deployment(**fields: Any) -> Deployment:
    provider = Provider.from_json({"id": "p", "baseUrl": f"http://acme.test/v1?api_key={QUERY}&v=1", **fields})
    return Deployment(Model(id="m", provider_id="p"), provider, "m", KEY, 1.0)


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (f"No route for POST /v1/chat/completions?api_key={QUERY}", "No route for POST /v1/chat/completions?api_key=[key]"),
        (f"http://acme.test/v1?api_key={QUERY}&v=1 is gone", "[provider]/v1?api_key=[key]&v=1 is gone"),
        (f"{KEY} and {QUERY}", "[key] and [key]"),
        (None, ""),
    ],
)  # fmt: skip
def test_no_secret_is_in_a_message(told: Any, shown: str) -> None:
    assert openai.clean_message(told, deployment()) == shown


def test_a_host_whose_name_is_a_word_is_found_where_it_is_one() -> None:
    """Services in a compose file have such names; codes that clients compare have them in theirs."""
    there = deployment(baseUrl="http://model:8000/v1")
    assert openai.word("model_not_found", there) == "model_not_found"
    told = "No submodels at http://model:8000/v1 (host='model', port=8000)."
    assert openai.clean_message(told, there) == "No submodels at [provider]/v1 (host='[provider]', port=8000)."
    assert openai.clean_message("eu_acme.test", deployment()) == "eu_[provider]"


def test_a_secret_that_is_the_beginning_of_another_leaves_no_rest() -> None:
    longer = QUERY + "-and-more"
    assert openai.clean_message(longer, deployment(headers={"x-token": longer})) == "[key]"


@pytest.mark.parametrize("secret", [KEY, QUERY])
@pytest.mark.parametrize("ahead", [KEY, QUERY, ""], ids=["keys", "queries", "text"])
def test_no_part_of_a_secret_is_left_at_a_cut(secret: str, ahead: str) -> None:
    """Wherever it stands, whatever is in front of it, and however much shorter that becomes."""
    reply: Any = SimpleNamespace(status=400, media_type="text/plain", headers=Headers([]))
    for at in range(openai.LOOKED_AT_CHARS - 2 * len(KEY), openai.LOOKED_AT_CHARS + 2):
        filling = (ahead * at)[: at - at % len(ahead)] if ahead else ""
        told = filling.ljust(at, "-") + secret + " " + "x" * 50_000
        for message in (
            openai.clean_message(told, deployment()),
            openai.Upstream().decode_error(reply, told.encode(), deployment()).message,
        ):
            assert len(message) <= openai.MESSAGE_CHARS
            assert secret[:2] not in message


def test_a_message_of_megabytes_is_not_worked_through() -> None:
    told = "acme.test " * 3_000_000
    started_at = time.thread_time()
    assert openai.clean_message(told, deployment()).startswith("[provider] [provider] ")
    assert time.thread_time() - started_at < 0.1
