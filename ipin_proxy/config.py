"""Settings: one table, read once at the start and again on SIGHUP.

Every field of `Settings` is a line of the table: its name, default, converter, help, whether it is a secret and whether it
may live in the database. `load` looks for each in five places (flag > environment > .env > database > default) and remembers
where it was found. This room knows how to read and to explain settings; it never acts on one (no listening, no logging), never
changes the environment, and never puts the value of a secret into a message.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from . import columns, descriptors, envfile, guestlist
from .errors import BadRequest, ConfigError

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

DAY_S = 24 * 60 * 60
MAX_SECRET_FILE_BYTES = 64 * 1024  # NAME_FILE=/dev/zero must not eat the memory
MASK = "********"

# ---- how a text becomes a value ------------------------------------------------------------------------------------


class Kind(NamedTuple):
    """`convert` turns a non-empty text into a value or raises ValueError; `allowed` ends the sentence "it must be …"."""

    convert: Callable[[str], Any]
    allowed: str


def _whole(low: int, high: int) -> Kind:
    def convert(text: str) -> int:
        # int() would take "1_0", "+1" and the digits of other scripts.
        if not re.fullmatch(r"[0-9]{1,12}", text.strip(), re.ASCII):
            raise ValueError
        value = int(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return Kind(convert, f"a whole number from {low} to {high}")


def _seconds(low: float, high: float = DAY_S) -> Kind:
    def convert(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", text.strip(), re.ASCII):
            raise ValueError
        value = float(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return Kind(convert, f"a number of seconds from {low:g} to {high:g}")


def _one_of(*words: str) -> Kind:
    def convert(text: str) -> str:
        word = text.strip().lower()
        if word not in words:
            raise ValueError
        return word

    return Kind(convert, "one of " + ", ".join(words))


def _switch(text: str) -> bool:
    word = text.strip().lower()
    if word in ("1", "on", "true", "yes"):
        return True
    if word in ("0", "off", "false", "no"):
        return False
    raise ValueError


def _host(text: str) -> str:
    host = text.strip()
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not re.fullmatch(r"[0-9A-Za-z._:%-]{1,255}", host):
        raise ValueError
    return host


def _key(text: str) -> str:
    # It travels in a header, where blanks around it vanish and anything outside visible ASCII is ambiguous.
    key = text.strip()
    if not re.fullmatch(r"[!-~]{1,512}", key):
        raise ValueError
    return key


def _name(text: str) -> str:
    name = text.strip()
    if not name or len(name) > 128 or not name.isprintable():
        raise ValueError
    return name


def _url(text: str) -> str:
    if not (url := columns.url(text)):
        raise ValueError
    return url


def _password(text: str) -> str:
    if len(text) > 1024:  # hashing is slow on purpose; a longer text only serves to make it slower
        raise ValueError
    return text


def _split(text: str) -> list[str]:
    return [part for part in (piece.strip() for piece in text.split(",")) if part]


def _path(text: str) -> Path:
    if "\0" in text or not text.strip():
        raise ValueError
    try:
        return Path(text.strip()).expanduser()  # no shell has done it for a value from .env
    except RuntimeError as error:  # ~somebody who does not exist
        raise ValueError from error


def _paths(text: str) -> tuple[Path, ...]:
    return tuple(_path(part) for part in _split(text))


def _origins(text: str) -> tuple[str, ...]:
    if text.strip().lower() == "none":
        return ()
    origins = [part.lower().rstrip("/") for part in _split(text)]
    if "*" in origins:
        return ("*",)
    if not origins or not all(re.fullmatch(r"[a-z][a-z0-9+.-]*://[^\s/?#@\"',;]+", origin) for origin in origins):
        raise ValueError
    return tuple(dict.fromkeys(origins))


def _https_url(text: str) -> str:
    found = columns.url(text)
    if not found.lower().startswith("https://"):
        raise ValueError
    return found


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    from ipaddress import ip_network

    return tuple(ip_network(part) for part in _split(text))


def _cores(text: str) -> tuple[int, ...]:
    cores: set[int] = set()
    for part in _split(text):
        found = re.fullmatch(r"([0-9]{1,4})(?:-([0-9]{1,4}))?", part, re.ASCII)
        if not found:
            raise ValueError
        first = int(found[1])
        last = int(found[2] or first)
        if first > last or last >= (os.cpu_count() or 1):
            raise ValueError
        cores.update(range(first, last + 1))
    return tuple(sorted(cores))


# ---- the table -----------------------------------------------------------------------------------------------------


def _setting(default: Any, kind: Kind, text: str, *, secret: bool = False, stored: bool = False) -> Any:
    """One line: default (or a function that finds it), kind, help, and whether the database may hold it."""
    metadata = {"kind": kind, "help": text, "secret": secret, "stored": stored}
    if callable(default):
        return field(default_factory=default, repr=not secret, metadata=metadata)
    return field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, converted. The environment name of a field is its name in capitals: `port` is PORT."""

    port: int = _setting(3000, _whole(0, 65_535), "Port to listen on; 0 takes a free one.")
    host: str = _setting("0.0.0.0", Kind(_host, "a host name or an address"), "Address to listen on.")
    master_api_key: str | None = _setting(
        None,
        Kind(_key, "1 to 512 visible ASCII characters without blanks"),
        "The key with access to everything; generated and shown once when it is not given.",
        secret=True,
    )
    ui_username: str = _setting(
        "admin", Kind(_name, "1 to 128 printable characters"), "Name of the first administrator."
    )
    ui_password: str | None = _setting(
        None,
        Kind(_password, "at most 1024 characters"),
        "Password of the first administrator; generated and shown once when it is not given.",
        secret=True,
    )
    db_storage_paths: tuple[Path, ...] = _setting(
        (),
        Kind(_paths, "folders, separated by commas"),
        "Folders to try for the database when the one beside server.py cannot be written.",
    )
    secrets_dir: Path = _setting(
        Path("/run/secrets"),
        Kind(_path, "a folder"),
        "The only folder from which file: references of providers are read.",
    )
    cors_origins: tuple[str, ...] = _setting(
        ("*",),
        Kind(_origins, "*, none, or origins such as https://app.example.com, separated by commas"),
        "Web origins that may call the key-authenticated API from a browser; none turns it off.",
        stored=True,
    )
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = _setting(
        (),
        Kind(_networks, "addresses or networks such as 10.0.0.0/8, separated by commas, without host bits"),
        "Reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed.",
        stored=True,
    )
    max_body_mb: int = _setting(
        50, _whole(1, 4096), "Largest request body in MB; a larger one is refused before it is read.", stored=True
    )
    max_audio_mb: int = _setting(
        25, _whole(1, 4096), "Largest recording in MB; MAX_BODY_MB must leave room for it.", stored=True
    )
    max_image_mb: int = _setting(
        20, _whole(1, 4096), "Largest image in MB that a chat may hold as data; a larger one is refused.", stored=True
    )
    unpriced: str = _setting(
        "refuse",
        _one_of("refuse", "allow"),
        "What becomes of a call under a budget to a model without a price: refuse it, or allow what no budget can pay for.",
        stored=True,
    )
    request_timeout_s: float = _setting(
        120.0, _seconds(0.1), "How long a provider may stay silent; a provider's own limit goes before.", stored=True
    )
    audio_timeout_s: float = _setting(
        300.0, _seconds(0.1), "The same for audio, where an answer takes longer to begin.", stored=True
    )
    keepalive_s: float = _setting(
        15.0,
        _seconds(0.1),
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
    header_timeout_s: float = _setting(15.0, _seconds(0.1), "How long the head of a request may take.", stored=True)
    body_timeout_s: float = _setting(
        60.0, _seconds(0.1), "How long a caller may be silent while its body is read.", stored=True
    )
    idle_timeout_s: float = _setting(75.0, _seconds(0.1), "How long an unused connection is kept open.", stored=True)
    drain_seconds: float = _setting(30.0, _seconds(0), "How long running calls may finish after SIGTERM.", stored=True)
    log_level: str = _setting(
        "info", _one_of("debug", "info", "warning", "error"), "The least that is logged.", stored=True
    )
    log_file: Path | None = _setting(
        None, Kind(_path, "a file"), "Log to this file, rotated at 10 MB, five kept; default: standard error."
    )
    log_bodies: bool = _setting(
        False, Kind(_switch, "on or off"), "Log bodies too, shortened and without secrets.", stored=True
    )
    webhook_url: str | None = _setting(
        None,
        Kind(_url, "an address such as https://hooks.example.com/budgets, without a user name"),
        "Told with a POST when 80 and 100 % of a budget are used; some such addresses are secrets themselves.",
        secret=True,
    )
    webhook_secret: str | None = _setting(
        None,
        Kind(_key, "1 to 512 visible ASCII characters without blanks"),
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
        Kind(_https_url, "an https address"),
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
    token_days: int = _setting(30, _whole(1, 366), "How long a token from /token is good.", stored=True)
    cpu_affinity: tuple[int, ...] = _setting(
        (),
        Kind(_cores, "cores of this machine such as 0 or 0,2 or 0-3"),
        "Keep the process on these cores; one core can be quicker than two on a small machine.",
    )


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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
        return _plain(line.kind.convert(text)) if text else None
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
        with open(path, "rb") as file:
            content = file.read(MAX_SECRET_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise ConfigError(f"{name}_FILE is {_quoted(path)} (from {where}), which cannot be read: {reason}.") from error
    if len(content) > MAX_SECRET_FILE_BYTES:
        raise ConfigError(f"{name}_FILE is {_quoted(path)} (from {where}), which is larger than 64 KB.")
    try:
        return re.sub(r"\r?\n\Z", "", content.decode("utf-8"))
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
