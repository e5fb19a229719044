"""Settings: where they are looked for, what they may be, and how a person is told."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from ipin_proxy.config import SETTINGS, Config, Settings, check_database_setting, describe, load
from ipin_proxy.errors import BadRequest, ConfigError


def config(
    environ: Mapping[str, str] | None = None,
    *,
    flags: Mapping[str, str | None] | None = None,
    env_file: Path | None = None,
    database: Mapping[str, Any] | None = None,
) -> Config:
    return load(flags or {}, environ or {}, env_file, database or {})


def complaint(name: str, text: str) -> str:
    with pytest.raises(ConfigError) as raised:
        config({name: text})
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_nothing_given_is_a_complete_configuration() -> None:
    found = config()
    assert found.settings == Settings()
    assert set(found.sources.values()) == {"default"}
    assert (found.settings.port, found.settings.host, found.settings.ui_username) == (3000, "0.0.0.0", "admin")
    assert found.settings.master_api_key is None and found.settings.ui_password is None
    assert 1 <= found.settings.max_connections <= 4096


def test_the_nearest_source_wins(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("MAX_BODY_MB=3\n")
    sources: list[tuple[str, dict[str, Any]]] = [
        ("flag", {"flags": {"max_body_mb": "1"}}),
        ("environment", {"environ": {"MAX_BODY_MB": "2"}}),
        ("envFile", {"env_file": env_file}),
        ("database", {"database": {"MAX_BODY_MB": 4}}),
    ]
    for number in range(len(sources)):
        given: dict[str, Any] = {}
        for _, where in sources[number:]:
            given |= where
        found = config(given.pop("environ", None), **given)
        assert (found.settings.max_body_mb, found.sources["max_body_mb"]) == (number + 1, sources[number][0])


def test_empty_counts_as_not_given_everywhere(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("LOG_LEVEL=\nLOG_LEVEL_FILE=\n")
    found = config(
        {"LOG_LEVEL": "", "LOG_LEVEL_FILE": ""}, flags={"log_level": ""}, env_file=env_file, database={"LOG_LEVEL": ""}
    )
    assert (found.settings.log_level, found.sources["log_level"]) == ("info", "default")


def test_an_empty_variable_does_not_hide_the_env_file(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("PORT=8080\nACME_API_KEY=abc\n")
    found = config({"PORT": "", "ACME_API_KEY": ""}, env_file=env_file)
    assert found.settings.port == 8080
    assert found.environ["ACME_API_KEY"] == "abc"


def test_the_environment_is_read_and_never_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    env_file = tmp_path / ".env"
    env_file.write_text("ACME_API_KEY=from-file\nOTHER_API_KEY=only-here\n")
    monkeypatch.setenv("ACME_API_KEY", "from-environment")
    before = dict(os.environ)
    found = config(os.environ, env_file=env_file)
    assert found.environ["ACME_API_KEY"] == "from-environment"
    assert found.environ["OTHER_API_KEY"] == "only-here"
    assert dict(os.environ) == before


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_setting_can_be_in_a_file_of_its_own(tmp_path: Path, ending: str) -> None:
    secret = tmp_path / "password"
    secret.write_bytes(b" two  words " + ending.encode())
    assert config({"UI_PASSWORD_FILE": str(secret)}).settings.ui_password == " two  words "
    env_file = tmp_path / ".env"
    env_file.write_text(f"UI_PASSWORD_FILE={secret}\n")
    found = config(env_file=env_file)
    assert (found.settings.ui_password, found.sources["ui_password"]) == (" two  words ", "envFile")


def test_a_byte_order_mark_is_no_part_of_a_password(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("correct horse\n", encoding="utf-8-sig")
    assert config({"UI_PASSWORD_FILE": str(secret)}).settings.ui_password == "correct horse"


def test_a_name_that_ends_in_file_has_a_file_too(tmp_path: Path) -> None:
    name = tmp_path / "name"
    name.write_text("/var/log/ipin.log\n")
    assert config({"LOG_FILE_FILE": str(name)}).settings.log_file == Path("/var/log/ipin.log")


def test_a_value_and_a_file_at_once_is_an_error_within_one_source(tmp_path: Path) -> None:
    secret = tmp_path / "port"
    secret.write_text("8080")
    with pytest.raises(ConfigError, match="PORT and PORT_FILE are both given in the environment"):
        config({"PORT": "1", "PORT_FILE": str(secret)})
    env_file = tmp_path / ".env"
    env_file.write_text(f"PORT_FILE={secret}")
    assert config({"PORT": "1"}, env_file=env_file).settings.port == 1


def test_a_secret_file_that_cannot_be_used_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("binary").write_bytes(b"\xff\xfe")
    Path("large").write_bytes(b"x" * 70_000)
    for path, reason in (("absent", "No such file"), (".", "directory"), ("binary", "UTF-8"), ("large", "64 KB")):
        with pytest.raises(ConfigError, match=re.escape(f"'{path}'")) as raised:
            config({"MASTER_API_KEY_FILE": path})
        assert reason in str(raised.value)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("PORT", "0", 0),
        ("PORT", " 65535 ", 65535),
        ("HOST", "[::1]", "::1"),
        ("MASTER_API_KEY", " sk-abc\t", "sk-abc"),
        ("UI_PASSWORD", " leading blank counts", " leading blank counts"),
        ("DB_STORAGE_PATHS", "/data, ,/var/lib/x,", (Path("/data"), Path("/var/lib/x"))),
        ("CORS_ORIGINS", "https://App.example.com/, http://localhost:5173", ("https://app.example.com", "http://localhost:5173")),
        ("CORS_ORIGINS", "https://a.example, *", ("*",)),
        ("CORS_ORIGINS", "none", ()),
        ("TRUSTED_PROXIES", "10.0.0.0/8,::1", (ip_network("10.0.0.0/8"), ip_network("::1/128"))),
        ("REQUEST_TIMEOUT_S", "0.5", 0.5),
        ("DRAIN_SECONDS", "0", 0.0),
        ("LOG_LEVEL", "DEBUG", "debug"),
        ("LOG_BODIES", "Yes", True),
        ("LOG_BODIES", "0", False),
        ("CPU_AFFINITY", "0-0,0", (0,)),
        ("GOOGLE_CLIENT_ID", "1-a.apps.googleusercontent.com", ("1-a.apps.googleusercontent.com",)),
        ("GOOGLE_JWKS_URL", " https://keys.example/certs?v=3 ", "https://keys.example/certs?v=3"),
        ("ALLOWED_DOMAINS", "Example.org, example.com", ("example.org", "example.com")),
        ("ALLOWED_EMAILS", "Ann@Example.org, *", ("ann@example.org", "*")),
        ("DEFAULT_BUDGETS", "ann@example.org=5, @example.org = 2.50, *=unlimited", ("ann@example.org=5", "@example.org=2.50", "*=unlimited")),
        ("TOKEN_DAYS", "366", 366),
    ],
)  # fmt: skip
def test_texts_become_values(name: str, text: str, value: object) -> None:
    assert getattr(config({name: text}).settings, name.lower()) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "+1"),
        ("PORT", "3_000"),
        ("PORT", "٣٠٠٠"),
        ("PORT", "3000.0"),
        ("HOST", "a b"),
        ("HOST", "example.com/path"),
        ("CORS_ORIGINS", "example.com"),
        ("CORS_ORIGINS", "https://example.com/path"),
        ("CORS_ORIGINS", ","),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "proxy.local"),
        ("MAX_BODY_MB", "0"),
        ("REQUEST_TIMEOUT_S", "0"),
        ("REQUEST_TIMEOUT_S", "inf"),
        ("REQUEST_TIMEOUT_S", "1e3"),
        ("MAX_CONNECTIONS", "999999999"),
        ("LOG_LEVEL", "loud"),
        ("LOG_BODIES", "maybe"),
        ("CPU_AFFINITY", "99999"),
        ("CPU_AFFINITY", "1-0"),
        ("GOOGLE_CLIENT_ID", "a b"),
        ("GOOGLE_JWKS_URL", "http://www.googleapis.com/oauth2/v3/certs"),
        ("GOOGLE_JWKS_URL", "https://"),
        ("GOOGLE_JWKS_URL", "https://user:password@keys.example/"),
        ("GOOGLE_JWKS_URL", "file:///etc/passwd"),
        ("ALLOWED_DOMAINS", "gmail.com"),
        ("ALLOWED_EMAILS", "@example.org"),
        ("DEFAULT_BUDGETS", "*=1,*=2"),
        ("TOKEN_DAYS", "0"),
        ("TOKEN_DAYS", "367"),
    ],
)
def test_a_bad_value_names_the_setting_the_value_and_what_is_allowed(name: str, text: str) -> None:
    message = complaint(name, text)
    assert message.startswith(f"{name} is {text!r} (from the environment): it must be ")
    assert next(line.kind.allowed for line in SETTINGS if line.name == name) in message


def test_a_bad_secret_is_not_repeated() -> None:
    message = complaint("MASTER_API_KEY", "sk-with a blank")
    assert "MASTER_API_KEY" in message and "sk-with" not in message
    assert "x" * 100 not in complaint("UI_PASSWORD", "x" * 5000)


def test_a_password_in_another_encoding_is_refused() -> None:
    """Of a terminal that does not speak UTF-8: nobody could sign in with what it was taken for."""
    assert "UTF-8" in complaint("UI_PASSWORD", "Zo\udceb")


def test_a_complaint_is_one_short_line_whatever_the_value() -> None:
    assert len(complaint("PORT", "1\n2" + "\x1b[2J" + "3" * 5000)) < 250


def test_a_complaint_says_where_the_value_came_from(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("LOG_LEVEL=loud\n")
    with pytest.raises(ConfigError, match="command line"):
        config(flags={"log_level": "loud"})
    with pytest.raises(ConfigError, match=re.escape(str(env_file))):
        config(env_file=env_file)
    with pytest.raises(ConfigError, match="database"):
        config(database={"LOG_LEVEL": "loud"})


def test_only_the_value_that_counts_is_judged() -> None:
    assert config({"LOG_LEVEL": "error"}, database={"LOG_LEVEL": "loud"}).settings.log_level == "error"


def test_an_env_file_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        config(env_file=tmp_path / ".env")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("MAX_BODY_MB", 20, 20),
        ("MAX_BODY_MB", 20.0, 20),
        ("MAX_BODY_MB", "20", 20),
        ("LOG_BODIES", True, True),
        ("CORS_ORIGINS", ["https://a.example"], ("https://a.example",)),
        ("CORS_ORIGINS", None, ("*",)),
    ],
)
def test_the_database_holds_json(name: str, value: object, expected: object) -> None:
    assert getattr(config(database={name: value}).settings, name.lower()) == expected


def test_other_settings_in_the_database_are_not_ours_to_judge() -> None:
    assert config(database={"masterKeyHash": "abc", "fromTheFuture": {"a": 1}}).settings == Settings()


@pytest.mark.parametrize("name", ["PORT", "MASTER_API_KEY", "UI_PASSWORD", "LOG_FILE", "SECRETS_DIR"])
def test_what_decides_about_the_machine_is_not_taken_from_the_database(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} cannot be set in the database"):
        config(database={name: "1"})
    with pytest.raises(BadRequest) as raised:
        check_database_setting(name, "1")
    assert (raised.value.param, raised.value.status) == (name, 400)


def test_a_setting_from_the_admin_page_is_checked_and_made_tidy() -> None:
    assert check_database_setting("MAX_BODY_MB", "20") == 20
    assert check_database_setting("TRUSTED_PROXIES", ["10.0.0.0/8", "::1"]) == ["10.0.0.0/8", "::1/128"]
    assert check_database_setting("LOG_BODIES", "on") is True
    assert check_database_setting("LOG_LEVEL", None) is None
    assert check_database_setting("LOG_LEVEL", "") is None
    for name, value in (
        ("MAX_BODY_MB", 0),
        ("LOG_LEVEL", {"a": 1}),
        ("CORS_ORIGINS", [1]),
        ("max_body_mb", 1),
        ("X", 1),
    ):
        with pytest.raises(BadRequest) as raised:
            check_database_setting(name, value)
        assert raised.value.param == name


def test_every_value_from_the_admin_page_can_be_read_back() -> None:
    for line in describe(config()):
        if line["settable"]:
            stored = check_database_setting(line["name"], line["value"])
            assert getattr(config(database={line["name"]: stored}).settings, line["name"].lower()) is not None


def test_no_origin_at_all_can_be_read_back_too() -> None:
    stored = check_database_setting("CORS_ORIGINS", "none")
    found = config(database={"CORS_ORIGINS": stored})
    assert (found.settings.cors_origins, found.sources["cors_origins"]) == ((), "database")


def test_the_description_is_json_and_masks_secrets() -> None:
    described = {
        line["name"]: line for line in describe(config({"UI_PASSWORD": "hunter2", "TRUSTED_PROXIES": "10.0.0.0/8"}))
    }
    assert json.loads(json.dumps(described)) == described
    assert described["UI_PASSWORD"]["value"] == "********" and described["UI_PASSWORD"]["source"] == "environment"
    assert described["MASTER_API_KEY"]["value"] is None
    assert described["TRUSTED_PROXIES"]["value"] == ["10.0.0.0/8"]
    assert all(line["help"].endswith(".") for line in described.values())


def test_secrets_do_not_show_when_a_configuration_is_printed() -> None:
    shown = repr(config({"UI_PASSWORD": "hunter2", "MASTER_API_KEY": "sk-root", "ACME_API_KEY": "sk-acme"}))
    assert not re.search("hunter2|sk-root|sk-acme", shown)


def test_the_example_shows_every_setting_with_its_default() -> None:
    """`.env.example` is what people copy: every line of the table, commented out, and nothing that does not exist."""
    from ipin_proxy import envfile

    text = (Path(__file__).parents[2] / ".env.example").read_text()
    assert envfile.parse(text) == {}
    shown = envfile.parse("\n".join(re.findall(r"^# ?([A-Z_]+=.*)$", text, re.MULTILINE)))
    assert {line.name for line in SETTINGS} <= set(shown)
    settings = {line.name: shown[line.name] for line in SETTINGS if shown[line.name] and line.name != "MAX_CONNECTIONS"}
    assert config(settings).settings == Settings()
