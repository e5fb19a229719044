"""Settings: one table, read once at the start and again on SIGHUP.

Every field of `Settings` is a line of the table: its name, default, converter, help, whether it is a secret and whether it
may live in the database. `load` looks for each in five places (flag > environment > .env > database > default) and remembers
where it was found. This room knows how to read and to explain settings; it never acts on one (no listening, no logging), never
changes the environment, and never puts the value of a secret into a message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import converters, descriptors, envfile, guestlist
from .converters import Kind
from .errors import BadRequest, ConfigError

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

MAX_SECRET_FILE_BYTES = 64 * 1024  # NAME_FILE=/dev/zero must not eat the memory
MASK = "********"

# ---- the table -----------------------------------------------------------------------------------------------------


def _setting(default: Any, kind: Kind, text: str, *, secret: bool = False, stored: bool = False) -> Any:
    """One line: default (or a function that finds it), kind, help, and whether the database may hold it."""
    metadata = {"kind": kind, "help": text, "secret": secret, "stored": stored}
    if callable(default):
        return field(default_factory=default, repr=not secret, metadata=metadata)
    return field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """Every setting, converted. The environment name of a field is its name in capitals: `port` is PORT."""

    port: int = _setting(3000, converters.whole(0, 65_535), "Port to listen on; 0 takes a free one.")
    host: str = _setting("0.0.0.0", Kind(converters.host, "a host name or an address"), "Address to listen on.")
    master_api_key: str | None = _setting(
        None,
        Kind(converters.key, "1 to 512 visible ASCII characters without blanks"),
        "The key with access to everything; generated and shown once when it is not given.",
        secret=True,
    )
    ui_username: str = _setting(
        "admin", Kind(converters.name, "1 to 128 printable characters"), "Name of the first administrator."
    )
    ui_password: str | None = _setting(
        None,
        Kind(converters.password, "at most 1024 characters in UTF-8"),
        "Password of the first administrator; generated and shown once when it is not given.",
        secret=True,
    )
    db_storage_paths: tuple[Path, ...] = _setting(
        (),
        Kind(converters.paths, "folders, separated by commas"),
        "Folders to try for the database when the one beside server.py cannot be written.",
    )
    secrets_dir: Path = _setting(
        Path("/run/secrets"),
        Kind(converters.path, "a folder"),
        "The only folder from which file: references of providers are read.",
    )
    cors_origins: tuple[str, ...] = _setting(
        ("*",),
        Kind(converters.origins, "*, none, or origins such as https://app.example.com, separated by commas"),
        "Web origins that may call the key-authenticated API from a browser; none turns it off.",
        stored=True,
    )
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = _setting(
        (),
        Kind(converters.networks, "addresses or networks such as 10.0.0.0/8, separated by commas, without host bits"),
        "Reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed.",
        stored=True,
    )
    max_body_mb: int = _setting(
        50,
        converters.whole(1, 4096),
        "Largest request body in MB; a larger one is refused before it is read.",
        stored=True,
    )
    max_audio_mb: int = _setting(
        25, converters.whole(1, 4096), "Largest recording in MB; MAX_BODY_MB must leave room for it.", stored=True
    )
    max_image_mb: int = _setting(
        20,
        converters.whole(1, 4096),
        "Largest image in MB that a chat may hold as data; a larger one is refused.",
        stored=True,
    )
    unpriced: str = _setting(
        "refuse",
        converters.one_of("refuse", "allow"),
        "What becomes of a call under a budget to a model without a price: refuse it, or allow what no budget can pay for.",
        stored=True,
    )
    request_timeout_s: float = _setting(
        120.0,
        converters.seconds(0.1),
        "How long a provider may stay silent; a provider's own limit goes before.",
        stored=True,
    )
    audio_timeout_s: float = _setting(
        300.0, converters.seconds(0.1), "The same for audio, where an answer takes longer to begin.", stored=True
    )
    keepalive_s: float = _setting(
        15.0,
        converters.seconds(0.1),
        "How often a caller hears something while the provider of its stream is silent.",
        stored=True,
    )
    max_connections: int = _setting(
        descriptors.default_connections,
        Kind(
            descriptors.connections,
            "a whole number from 1 to what the descriptor limit (ulimit -n) allows, two for each connection",
        ),
        "Open connections at a time; one more is answered 503. Default: 4096, or what the descriptor limit allows.",
    )
    header_timeout_s: float = _setting(
        15.0, converters.seconds(0.1), "How long the head of a request may take.", stored=True
    )
    body_timeout_s: float = _setting(
        60.0, converters.seconds(0.1), "How long a caller may be silent while its body is read.", stored=True
    )
    idle_timeout_s: float = _setting(
        75.0, converters.seconds(0.1), "How long an unused connection is kept open.", stored=True
    )
    drain_seconds: float = _setting(
        30.0, converters.seconds(0), "How long running calls may finish after SIGTERM.", stored=True
    )
    ledger: bool = _setting(
        True,
        Kind(converters.switch, "on or off"),
        "Keep a row for every call; without them nobody can say what was spent, and budgets begin anew at every start.",
    )
    retention_days: int = _setting(
        90,
        converters.whole(0, 36_500),
        "How long the rows of calls are kept, in days; 0 keeps them for ever. Sums are kept in any case.",
        stored=True,
    )
    log_level: str = _setting(
        "info", converters.one_of("debug", "info", "warning", "error"), "The least that is logged.", stored=True
    )
    log_file: Path | None = _setting(
        None, Kind(converters.path, "a file"), "Log to this file, rotated at 10 MB, five kept; default: standard error."
    )
    log_bodies: bool = _setting(
        False, Kind(converters.switch, "on or off"), "Log bodies too, shortened and without secrets.", stored=True
    )
    webhook_url: str | None = _setting(
        None,
        Kind(converters.url, "an address such as https://hooks.example.com/budgets, without a user name"),
        "Told with a POST when 80 and 100 % of a budget are used; some such addresses are secrets themselves.",
        secret=True,
    )
    webhook_secret: str | None = _setting(
        None,
        Kind(converters.key, "1 to 512 visible ASCII characters without blanks"),
        "Signs what is sent to WEBHOOK_URL (HMAC-SHA256, x-ipin-signature).",
        secret=True,
    )
    google_client_id: tuple[str, ...] = _setting(
        (),
        Kind(guestlist.client_ids, "a client id of Google, or several separated by commas"),
        "Client whose identity tokens are taken at /token; none turns signing in with Google off.",
        stored=True,
    )
    google_jwks_url: str = _setting(
        "https://www.googleapis.com/oauth2/v3/certs",
        Kind(converters.https_url, "an https address"),
        "Where the keys are by which identity tokens are checked.",
    )
    allowed_domains: tuple[str, ...] = _setting(
        (),
        Kind(guestlist.domains, "domains such as example.org, separated by commas (private accounts have none)"),
        "Organisations whose accounts may sign in with Google.",
        stored=True,
    )
    allowed_emails: tuple[str, ...] = _setting(
        (),
        Kind(guestlist.emails, "addresses separated by commas, or * for everybody"),
        "Addresses that may sign in with Google.",
        stored=True,
    )
    default_budgets: tuple[str, ...] = _setting(
        ("*=1",),
        Kind(guestlist.budgets, "rows such as ann@example.org=5, @example.org=2.50, *=unlimited, each address once"),
        "US dollars a month of who signs in with Google for the first time; the closest row counts.",
        stored=True,
    )
    token_days: int = _setting(30, converters.whole(1, 366), "How long a token from /token is good.", stored=True)
    cpu_affinity: tuple[int, ...] = _setting(
        (),
        Kind(converters.cores, "cores of this machine such as 0 or 0,2 or 0-3"),
        "Keep the process on these cores; one core can be quicker than two on a small machine.",
    )


@dataclass(frozen=True, slots=True, repr=False)
class Setting:
    """A line of the table, as people see it. `attribute` is the field of Settings, `name` what the environment calls it."""

    attribute: str
    name: str
    kind: Kind
    help: str
    secret: bool
    stored: bool


SETTINGS: tuple[Setting, ...] = tuple(
    Setting(line.name, line.name.upper(), **line.metadata) for line in fields(Settings)
)
_BY_NAME = {line.name: line for line in SETTINGS}
FILE_VARIABLES = tuple(f"{name}_FILE" for name in _BY_NAME)  # each names a file that holds a setting


@dataclass(frozen=True, slots=True, repr=False)
class Config:
    """What `load` found. `sources`: attribute → flag, environment, envFile, database or default.

    `environ` is the environment with .env below it, for the `env:NAME` references of providers. It holds secrets.
    """

    settings: Settings
    sources: Mapping[str, str]
    environ: Mapping[str, str] = field(repr=False)


# ---- reading -------------------------------------------------------------------------------------------------------


def load(
    flags: Mapping[str, str | None], environ: Mapping[str, str], env_file: Path | None, database: Mapping[str, Any]
) -> Config:
    """Find every setting: flag > environment > .env > database > default. An empty text counts as not given.

    `flags` is keyed by attribute (`port`), keys it does not know are left alone; `database` by environment name (`MAX_BODY_MB`),
    its values being whatever JSON holds. An `env_file` that is given must be readable. Raises ConfigError with one line.
    """
    env_file_values = envfile.read(env_file) if env_file is not None else {}
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for line in SETTINGS:
        text = flags.get(line.attribute)
        source, where = "flag", "the command line"
        if not text:
            source, where = "environment", "the environment"
            text = _from_variables(line.name, environ, where)
        if not text and env_file_values:
            source, where = "envFile", str(env_file)
            text = _from_variables(line.name, env_file_values, where)
        if not text and database.get(line.name) is not None:
            source, where = "database", "the settings in the database"
            text = _from_database(line, database[line.name])
        if not text:
            sources[line.attribute] = "default"
            continue
        try:
            values[line.attribute] = line.kind.convert(text)
        except ValueError:
            raise ConfigError(f"{_shown(line, text)} (from {where}): it must be {line.kind.allowed}.") from None
        sources[line.attribute] = source
    merged = {**env_file_values, **{name: value for name, value in environ.items() if value}}
    return Config(Settings(**values), sources, merged)


def describe(config: Config) -> list[dict[str, Any]]:
    """Every setting for `GET /api/admin/settings`: name, value (JSON; secrets masked), source, help, and `settable`:
    whether `PUT` takes it."""
    found = []
    for line in SETTINGS:
        value = _plain(getattr(config.settings, line.attribute))
        found.append(
            {
                "name": line.name,
                "value": MASK if line.secret and value else value,
                "source": config.sources[line.attribute],
                "help": line.help,
                "settable": line.stored,
            }
        )
    return found


def check_database_setting(name: str, value: Any) -> Any:
    """Check one member of `PUT /api/admin/settings` and return what the database should hold; None means "remove it".

    Raises BadRequest, its `param` being the name, for an unknown setting, one that is not settable here, or a bad value.
    """
    line = _BY_NAME.get(name)
    if line is None:
        known = ", ".join(line.name for line in SETTINGS if line.stored)
        raise BadRequest(
            f"There is no setting {_quoted(name)}. Settings that can be changed here: {known}.", param=name
        )
    if not line.stored:
        raise BadRequest(
            f"{name} cannot be changed here. Set it as a flag, in the environment or in .env, and start again.",
            param=name,
        )
    try:
        text = _text(value)
        found = _plain(line.kind.convert(text)) if text else None
        # "none" says something, an empty list would count as not given.
        return (text.strip() or None) if found == [] else found
    except ValueError:
        raise BadRequest(f"{name} must be {line.kind.allowed}, not {_quoted(value)}.", param=name) from None


def _from_variables(name: str, variables: Mapping[str, str], where: str) -> str | None:
    """NAME, or what the file NAME_FILE names holds (container secrets); raises ConfigError when both are given."""
    text = variables.get(name)
    path = variables.get(f"{name}_FILE")
    if not path:
        return text
    if text:
        raise ConfigError(f"{name} and {name}_FILE are both given in {where}; keep one of them.")
    try:
        content = envfile.contents(path, MAX_SECRET_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise ConfigError(f"{name}_FILE is {_quoted(path)} (from {where}), which cannot be read: {reason}.") from error
    if len(content) > MAX_SECRET_FILE_BYTES:
        raise ConfigError(f"{name}_FILE is {_quoted(path)} (from {where}), which is larger than 64 KB.")
    try:
        return re.sub(r"\r?\n\Z", "", content.decode("utf-8-sig"))  # some editors put a byte order mark in front
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}_FILE is {_quoted(path)} (from {where}), which is not text in UTF-8.") from error


def _from_database(line: Setting, value: Any) -> str:
    if not line.stored:
        raise ConfigError(f"{line.name} cannot be set in the database; use a flag, the environment or .env.")
    try:
        return _text(value)
    except ValueError:
        raise ConfigError(
            f"{_shown(line, value)} (from the settings in the database): it must be {line.kind.allowed}."
        ) from None


def _text(value: Any) -> str:
    """A JSON value as a person would write it in the environment; ValueError when nobody could."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (str, int, float)):
        return str(value)
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ",".join(value)
    raise ValueError


def _plain(value: Any) -> Any:
    """A converted value as JSON."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return str(value)


def _shown(line: Setting, value: Any) -> str:
    return f"{line.name} cannot be used" if line.secret else f"{line.name} is {_quoted(value)}"


def _quoted(value: Any) -> str:
    text = repr(value)  # repr() keeps it one line, whatever is inside
    return text if len(text) <= 80 else text[:77] + "…"
