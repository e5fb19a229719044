"""The rows an administrator edits: what is taken, what is refused and how it is said, what is shown."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

import pytest

from ipin_proxy.errors import BadRequest
from ipin_proxy.records import (
    Alias,
    Json,
    Model,
    Price,
    Provider,
    Record,
    User,
    VirtualKey,
    check_new,
    is_mask,
    keep_secrets,
    key_digest,
    mask,
    merge,
)

SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz"


def provider(**more: Any) -> Provider:
    return Provider.from_json({"id": "openai", "baseUrl": "https://api.openai.com/v1", **more})


def model(**more: Any) -> Model:
    return Model.from_json({"id": "gpt", "providerId": "openai", **more})


def key(**more: Any) -> VirtualKey:
    return VirtualKey.from_json({"id": "key-1", "key": SECRET, **more})


def user(**more: Any) -> User:
    return User.from_json({"id": "user-1", "username": "ada", **more})


def alias(**more: Any) -> Alias:
    return Alias.from_json({"id": "cheap", "target": "gpt", **more})


def refused(make: Callable[..., Record], param: str, **more: Any) -> str:
    """The message of the refusal, which must name the member and not show a secret."""
    with pytest.raises(BadRequest) as raised:
        make(**more)
    assert raised.value.param == param
    assert raised.value.code == "invalid_value"
    assert raised.value.status == 400
    assert param in raised.value.message
    assert SECRET not in raised.value.message
    assert "\n" not in raised.value.message
    return raised.value.message


# What the original server wrote.


def test_a_provider_of_the_original_server_is_read_and_written_as_it_was() -> None:
    row = {
        "id": "provider-1699999999999",
        "name": "My OpenAI",
        "baseUrl": "https://api.openai.com/v1",
        "apiKey": SECRET,
        "type": "openai",
        "enabled": False,
    }
    found = Provider.from_json(row)
    assert (found.base_url, found.api_key, found.type, found.enabled) == (row["baseUrl"], SECRET, "openai", False)
    assert found.to_json() == row


def test_a_model_of_the_original_server_is_read_and_written_as_it_was() -> None:
    row = {
        "id": "deepseek-ai/DeepSeek-V3:free",
        "name": "DeepSeek",
        "providerId": "p",
        "type": "chat",
        "enabled": True,
        "supportsImageUpload": True,
        "supportsVideoUpload": False,
    }
    assert Model.from_json(row).to_json() == row


def test_a_key_in_clear_becomes_its_digest() -> None:
    found = key(username="ada", allowedModels=["gpt"], createdAt=1_700_000_000_000)
    assert found.key_hash == hashlib.sha256(SECRET.encode()).hexdigest() == key_digest(SECRET)
    assert found.to_json() == {
        "id": "key-1",
        "name": "",
        "username": "ada",
        "allowedModels": ["gpt"],
        "enabled": True,
        "createdAt": 1_700_000_000_000,
        "keyHash": key_digest(SECRET),
        "keyHint": "sk-pr...wxyz",
    }


def test_the_original_password_is_kept_as_the_hash_it_was() -> None:
    legacy = hashlib.sha256(b"secret").hexdigest()
    found = user(password=legacy.upper())
    assert found.password_hash == f"sha256${legacy}"
    assert found.to_json()["passwordHash"] == f"sha256${legacy}"
    assert "password" not in found.to_json()
    assert User.from_json(found.to_json()) == found


def test_a_password_in_clear_is_refused_without_being_repeated() -> None:
    message = refused(user, "password", password="hunter2")
    assert "hunter2" not in message
    assert "--reset-password" in message


@pytest.mark.parametrize(
    "empty", [{"apiKeyId": ""}, {"apiKeyId": None}, {"email": ""}, {"role": None}, {"enabled": None}]
)
def test_what_the_original_left_empty_counts_as_absent(empty: Json) -> None:
    assert user(**empty) == user()


def test_missing_members_have_their_defaults() -> None:
    found = provider()
    assert (found.name, found.type, found.enabled, found.auth, found.verify) == (
        "openai",
        "openai",
        True,
        "bearer",
        True,
    )
    assert (found.api_key, found.timeout_seconds, found.include_usage) == (None, None, None)
    assert dict(found.headers) == dict(found.model_map) == {}
    assert (model().type, model().name, model().enabled, model().upstream_model) == ("chat", "gpt", True, None)
    assert (user().role, user().enabled, user().password_hash) == ("user", True, None)
    assert (key().enabled, key().allowed_models, key().expires_at) == (True, (), None)


def test_a_null_counts_as_absent_and_is_not_written() -> None:
    row = {"id": "openai", "baseUrl": "https://x.example", "type": None, "timeoutSeconds": None, "headers": None}
    found = Provider.from_json(row)
    assert found.type == "openai"
    assert "timeoutSeconds" not in found.to_json()
    assert None not in found.to_json().values()


def test_unknown_members_survive_in_their_order_at_every_depth() -> None:
    found = model(zeta=[1, {"a": None}], alpha="x", price={"input": 1, "currency": "USD"})
    assert dict(found.extra) == {"zeta": [1, {"a": None}], "alpha": "x"}
    written = found.to_json()
    assert list(written)[-2:] == ["zeta", "alpha"]
    assert written["price"] == {"input": 1, "currency": "USD"}
    written["zeta"].append("changed outside")
    assert found.to_json()["zeta"] == [1, {"a": None}]


# What is refused, and how.


@pytest.mark.parametrize("data", [None, [], "text", 7])
def test_a_record_is_an_object(data: Any) -> None:
    with pytest.raises(BadRequest, match="expected a JSON object"):
        Provider.from_json(data)


@pytest.mark.parametrize(
    ("kind", "row", "param"),
    [
        (Provider, {"baseUrl": "https://x.example"}, "id"),
        (Provider, {"id": "a"}, "baseUrl"),
        (Provider, {"id": "a", "baseUrl": " "}, "baseUrl"),
        (Model, {"id": "a"}, "providerId"),
        (VirtualKey, {"id": "a"}, "key"),
        (User, {"id": "a"}, "username"),
        (Alias, {"id": "a"}, "target"),
    ],
)
def test_a_missing_member_is_named(kind: type[Record], row: Json, param: str) -> None:
    with pytest.raises(BadRequest, match=f"{param} is missing") as raised:
        kind.from_json(row)
    assert raised.value.param == param


def test_the_message_names_the_record_the_value_and_the_remedy() -> None:
    message = refused(provider, "type", type="openia")
    assert message == 'provider "openai": type must be one of openai, anthropic, ollama, chutes, demo, got "openia"'


@pytest.mark.parametrize("value", ["yes", 1, 0, "true", []])
def test_only_true_and_false_are_flags(value: Any) -> None:
    refused(provider, "enabled", enabled=value)


@pytest.mark.parametrize("value", ["", "  ", "a\nb", "a\x00", "a\x85b", " a", "a ", "x" * 257, 5, "\ud800"])
def test_ids_that_no_record_can_have(value: Any) -> None:
    refused(model, "id", id=value)


@pytest.mark.parametrize("value", ["a", "org/model:free", "modèle 7B (q4) @ 50 %", "日本語", "x" * 256])
def test_ids_of_models_are_nearly_free(value: str) -> None:
    assert model(id=value).id == value


@pytest.mark.parametrize(
    "value",
    [
        "http://localhost:11434",
        "https://api.openai.com/v1/",
        "https://x.example/openai?api-version=2024-10-21&a=%20b",
        "http://[::1]:8080/v1",
        "http://[fe80::1%eth0]:8080/v1",
        "HTTP://192.168.1.5",
        "https://münchen.example/v1",
        "http://my_host:1/v1",
    ],
)
def test_base_urls_that_work(value: str) -> None:
    assert provider(baseUrl=value).base_url == value


@pytest.mark.parametrize(
    "value",
    [
        "api.openai.com/v1",
        "ftp://x.example",
        "https://",
        "https:///v1",
        "https://user:pass@x.example",
        "https://x.example@evil.example/",
        "https://x.example/v1#part",
        "https://x.example#@evil.example",
        "https://x.example:0/",
        "https://x.example:65536/",
        "https://x.example:port/",
        "https://x.example:８０８０/v1",
        "http://[::1%a b]:80/",
        "http://[::1%a\r\nX-Y: z]/",
        "http://[::1%é]/",
        "http://[::1%]/",
        "https://[::1/v1",
        "https://[nonsense]/v1",
        "https://x.example/a b",
        "https://x.example/v1\r\nHost: evil.example",
        "https://x.example\\@evil.example",
        "https://x.example/é",
        "https://./",
        7,
    ],
)
def test_base_urls_that_do_not(value: Any) -> None:
    refused(provider, "baseUrl", baseUrl=value)


def test_the_demo_needs_no_address() -> None:
    assert Provider.from_json({"id": "demo", "type": "demo"}).base_url == ""


@pytest.mark.parametrize(
    ("value", "kept"), [("Basic", "basic"), ("none", "none"), ("header:api-key", "header:api-key")]
)
def test_kinds_of_auth(value: str, kept: str) -> None:
    assert provider(auth=value).auth == kept


@pytest.mark.parametrize("value", ["digest", "header:", "header:a b", "header:Host", "header:Content-Length", "", 3])
def test_kinds_of_auth_that_are_none(value: Any) -> None:
    refused(provider, "auth", auth=value)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"content-length": "0"},
        {"Transfer-Encoding": "chunked"},
        {"CONNECTION": "close"},
        {"bad name": "x"},
        {"": "x"},
        {"x-a": "1\r\nx-b: 2"},
        {"x-a": "nul\x00"},
        {"x-a": "日本"},
        {"x-a": 1},
        {"x-a": "1", "X-A": "2"},
        ["x-a"],
    ],
)
def test_headers_that_would_break_a_request(headers: Any) -> None:
    refused(provider, "headers", headers=headers)


def test_the_value_of_a_refused_header_is_not_repeated() -> None:
    assert "hidden" not in refused(provider, "headers", headers={"x-api-key": "hidden\n"})


@pytest.mark.parametrize("value", [0, -1, "60", True, float("nan"), float("inf"), 86_401])
def test_time_limits_are_positive_numbers(value: Any) -> None:
    refused(provider, "timeoutSeconds", timeoutSeconds=value)


@pytest.mark.parametrize("value", [True, -1, "1", float("nan"), float("inf"), None])
def test_prices_are_finite_numbers(value: Any) -> None:
    if value is None:
        assert model(price={"input": None, "output": 2.5}).price == Price(output=2.5)
    else:
        refused(model, "price.input", price={"input": value})


def test_a_price_has_tiers_for_long_prompts_each_above_another_number() -> None:
    tiers = [{"aboveTokens": 200_000, "input": 2.5, "cacheWrite1h": 6}, {"aboveTokens": 400_000}]
    price = model(price={"input": 1.25, "longContext": tiers}).price
    assert price is not None and [tier.above_tokens for tier in price.long_context] == [200_000, 400_000]
    assert (price.long_context[0].input, price.long_context[0].cache_write_1h) == (2.5, 6)
    assert price.to_json()["longContext"][1] == {"aboveTokens": 400_000}
    refused(model, "price.longContext[1].aboveTokens", price={"longContext": [tiers[0], {"input": 1}]})
    refused(model, "price.longContext[0].input", price={"longContext": [{"aboveTokens": 1, "input": -1}]})
    refused(model, "price.longContext", price={"longContext": [tiers[0], {"aboveTokens": 200_000.0}]})
    refused(model, "price.longContext", price={"longContext": {"aboveTokens": 1}})


def test_members_of_lists_are_named_with_their_place() -> None:
    refused(key, "budgets[1].usd", budgets=[{"usd": 1, "window": "day"}, {"usd": "much"}])
    refused(model, "deployments[0].providerId", deployments=[{"upstreamModel": "x"}])
    refused(model, "fallbacks[2]", fallbacks=["a", "b", ""])
    refused(key, "allowedModels", allowedModels="gpt")
    refused(alias, "systemPrompt.mode", systemPrompt={"template": "Be brief.", "mode": "insert"})
    refused(provider, "modelMap", modelMap={"opus": ""})


def test_a_budget_may_roll_and_be_raised_for_a_while() -> None:
    given = {"usd": 5, "window": "rolling", "days": 30, "name": "pilot", "raiseUsd": 2.5, "raiseUntil": "2030-01-31"}
    (budget,) = key(budgets=[given]).budgets
    assert (budget.window, budget.days, budget.name, budget.raise_usd) == ("rolling", 30, "pilot", 2.5)
    assert budget.raise_until == 1_896_048_000_000
    assert budget.to_json() == {**given, "raiseUntil": 1_896_048_000_000}
    assert key(budgets=[{"usd": 1}]).budgets[0].to_json() == {"usd": 1, "window": "month"}


@pytest.mark.parametrize(
    ("wrong", "member"),
    [
        ({"window": "rolling"}, "days"),
        ({"window": "rolling", "days": 0}, "days"),
        ({"window": "rolling", "days": 1.5}, "days"),
        ({"window": "rolling", "days": 367}, "days"),
        ({"window": "week", "days": 7}, "days"),
        ({"days": 7}, "days"),
        ({"window": "year"}, "window"),
        ({"raiseUsd": 5}, "raiseUntil"),
        ({"raiseUntil": "2030-01-31"}, "raiseUsd"),
        ({"raiseUsd": -1, "raiseUntil": "2030-01-31"}, "raiseUsd"),
        ({"raiseUsd": 1e308, "raiseUntil": "2030-01-31"}, "raiseUsd"),
        ({"raiseUsd": 5, "raiseUntil": "soon"}, "raiseUntil"),
        ({"raiseUsd": 5, "raiseUntil": 1_900_000_000}, "raiseUntil"),
    ],
)
def test_budgets_that_are_none(wrong: Json, member: str) -> None:
    refused(key, f"budgets[0].{member}", budgets=[{"usd": 1, **wrong}])
    refused(user, f"budgets[0].{member}", budgets=[{"usd": 1, **wrong}])


def test_lists_are_kept_as_tuples() -> None:
    found = key(budgets=[{"usd": 5, "window": "Day"}], scopes=["Chat"], allowedModels=["a"])
    assert (found.budgets[0].usd, found.budgets[0].window, found.scopes) == (5, "day", ("chat",))
    with pytest.raises((AttributeError, TypeError)):
        found.name = "changed"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("::1", "::1/128"),
        ("::/0", "::/0"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("::ffff:10.1.2.3/104", "10.0.0.0/8"),
    ],
)
def test_networks(value: str, kept: str) -> None:
    assert key(allowedIps=[value]).allowed_ips == (kept,)


@pytest.mark.parametrize("value", ["10.0.0.0/33", "localhost", "", 10, None])
def test_networks_that_are_none(value: Any) -> None:
    refused(key, "allowedIps[0]", allowedIps=[value])


@pytest.mark.parametrize("member", ["rpm", "tpm", "maxParallel", "monthlyRequests"])
def test_limits_are_whole_numbers_from_one(member: str) -> None:
    assert getattr(key(**{member: 60.0}), re.sub("([A-Z])", r"_\1", member).lower()) == 60
    for value in (0, -1, 1.5, True, "60"):
        refused(key, member, **{member: value})


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (1_900_000_000_000, 1_900_000_000_000),
        ("2030-03-17T17:46:40Z", 1_900_000_000_000),
        ("2030-03-17T19:46:40.5+02:00", 1_900_000_000_500),
        ("2030-03-17 12:16:40-0530", 1_900_000_000_000),
        ("2030-03-17T17:46:40.123456789Z", 1_900_000_000_123),
        ("2030-03-17", 1_899_936_000_000),
        ("2030-03-17T17:46", 1_899_999_960_000),
        ("9999-12-31T23:59:59-01:00", 253_402_304_399_000),
    ],
)
def test_expiry_in_milliseconds_or_iso_8601(value: Any, kept: int) -> None:
    assert key(expiresAt=value).expires_at == kept
    assert key(expiresAt=value).to_json()["expiresAt"] == kept


@pytest.mark.parametrize(
    "value",
    [
        1_900_000_000,
        0,
        -5,
        True,
        "soon",
        "",
        "2030-02-30",
        "2030-13-01T00:00:00Z",
        "2030-01-01T25:00",
        1e300,
        "1969-01-01",
        "0001-01-01T00:00:00+01:00",
    ],
)
def test_expiries_that_are_none(value: Any) -> None:
    refused(key, "expiresAt", expiresAt=value)


def test_a_key_of_basic_auth_is_a_user_and_a_password() -> None:
    assert provider(auth="basic", apiKey="ada:pässwort").api_key == "ada:pässwort"
    refused(provider, "apiKey", auth="basic", apiKey="only-a-password")


def test_keys_that_no_header_can_carry() -> None:
    refused(provider, "apiKey", apiKey=SECRET + "\u2026")
    refused(provider, "apiKey", apiKey=SECRET + "\n" + SECRET)
    assert provider(apiKey=f"  {SECRET}\n").api_key == SECRET
    assert provider(apiKey=" ").api_key is None


def test_paths() -> None:
    assert provider(ocrPath="/ocr?x=1", caFile="/etc/ssl/own.pem").ocr_path == "/ocr?x=1"
    for value in ("ocr", "//evil.example/ocr", "/a b", "/a#b", "/a\r\nb"):
        refused(provider, "ocrPath", ocrPath=value)


# New ids, changes, what is shown.


@pytest.mark.parametrize(
    "value",
    ["v1", "API", "admin.html", "..", ".", "a/b", "a b", "ümlaut", "x" * 129, "a%2f", "count_tokens", "batches"],
)
def test_an_odd_provider_id_loads_but_is_not_created(value: str) -> None:
    found = provider(id=value)
    with pytest.raises(BadRequest) as raised:
        check_new(found)
    assert raised.value.param == "id"
    with pytest.raises(BadRequest):
        check_new(alias(id=value))


def test_ids_that_may_be_created() -> None:
    for value in ("openai", "claude-cheap", "a.b_c~d", "x" * 128):
        check_new(provider(id=value))
        check_new(alias(id=value))
    check_new(model(id="org/model"))


def test_merging_changes_what_is_given_and_checks_it() -> None:
    before = provider(apiKey=SECRET, timeoutSeconds=5, note="keep me")
    after = merge(before, {"name": "New", "timeoutSeconds": None, "headers": {"x-a": "1"}})
    assert (after.name, after.timeout_seconds, after.api_key) == ("New", None, SECRET)
    assert dict(after.extra) == {"note": "keep me"}
    assert before.name == "openai"
    with pytest.raises(BadRequest) as raised:
        merge(before, {"baseUrl": "nowhere"})
    assert raised.value.param == "baseUrl"


def test_merging_a_new_key_replaces_the_digest() -> None:
    assert merge(key(), {"key": "sk-another-0123456789"}).key_hash == key_digest("sk-another-0123456789")


def test_secrets_do_not_appear_in_public_or_in_repr() -> None:
    found = provider(apiKey=SECRET, headers={"x-api-key": SECRET, "x-title": "iPin"}, accessToken=SECRET)
    for text in (repr(found), repr(found.public_json())):
        assert SECRET not in text
    assert found.public_json()["apiKey"] == "sk-pr...wxyz"
    assert found.public_json()["headers"] == {"x-api-key": "sk-pr...wxyz", "x-title": "iPin"}
    stored = key()
    assert stored.public_json()["key"] == "sk-pr...wxyz"
    assert stored.key_hash not in repr(stored) + repr(stored.public_json())
    person = user(passwordHash="scrypt$abc")
    assert "scrypt$" not in repr(person) + repr(person.public_json())


def test_references_are_shown_and_the_password_of_basic_auth_is_not() -> None:
    assert provider(apiKey="env:OPENAI_API_KEY").public_json()["apiKey"] == "env:OPENAI_API_KEY"
    assert provider(auth="basic", apiKey=f"ada:{SECRET}").public_json()["apiKey"] == "ada:..."
    assert provider().public_json()["apiKey"] is None


def test_the_public_form_has_every_member() -> None:
    shown = key().public_json()
    assert (shown["allowedIps"], shown["rpm"], shown["budgets"], shown["expiresAt"]) == ([], None, [], None)
    assert Model.from_json(model().public_json()) == model()


def test_members_only_the_server_sets() -> None:
    assert VirtualKey.server_members() == {"createdAt", "keyHash", "keyHint", "lastUsedAt"}
    assert User.server_members() == {"createdAt", "passwordHash", "googleSub", "googleDomain", "passGeneration"}


def test_a_mask_shows_less_of_a_short_secret() -> None:
    assert (mask(SECRET), mask("sk-0123456789ab"), mask("short")) == ("sk-pr...wxyz", "sk...ab", "...")
    assert mask("schlüssel-schlüssel-schlüssel").isascii()
    for text in (mask(SECRET), mask("sk-0123456789ab"), "...", "••••", "sk-ab…wxyz", "********"):
        assert is_mask(text)
    assert not is_mask(SECRET)
    assert not is_mask("")


def test_blank_and_masked_secrets_keep_the_stored_ones() -> None:
    stored = provider(apiKey=SECRET, headers={"X-Api-Key": SECRET})
    for value in ("", " ", None, "sk-pr...wxyz"):
        assert merge(stored, keep_secrets(stored, {"apiKey": value, "name": "n"})).api_key == SECRET
    changed = keep_secrets(stored, {"apiKey": "new-key", "headers": {"x-api-key": "sk-pr...wxyz", "x-b": "1"}})
    assert changed == {"apiKey": "new-key", "headers": {"x-api-key": SECRET, "x-b": "1"}}


# References to secrets.


@pytest.mark.parametrize("value", ["env:OPENAI_API_KEY", "env:chutes_token", "file:openai", "file:/run/secrets/openai"])
def test_references_that_may_stand_in_a_record(value: str) -> None:
    assert provider(apiKey=value).api_key == value


@pytest.mark.parametrize(
    "value",
    [
        "env:",
        "env:HOME",
        "env:MASTER_API_KEY",
        "env:master_api_key",
        "env:A KEY",
        "env:UI_PASSWORD",
        "file:",
        "file:../etc/x",
    ],
)
def test_references_that_may_not(value: str) -> None:
    refused(provider, "apiKey", apiKey=value)


def test_an_unknown_member_may_be_nested_but_not_without_end() -> None:
    nested: Any = "leaf"
    for _ in range(40):
        nested = {"in": [nested]}
    with pytest.raises(BadRequest) as refused:
        Model.from_json({"id": "m", "providerId": "p", "extra": nested})
    assert refused.value.param == "extra"
    shallow = {"in": [{"in": ["leaf"]}]}
    assert Model.from_json({"id": "m", "providerId": "p", "extra": shallow}).public_json()["extra"] == shallow
