"""Provider, Model, VirtualKey, User, Alias: the rows an administrator edits, and what makes one valid.

One column is one line: attribute, type, check, default. The member's name in JSON is the attribute in camelCase, derived
and never written twice; reading, writing and validating are the same walk over the columns. Members nobody here knows
stay in `extra` and are written back, so a field invented next month survives. Records are values: frozen, mappings
behind read-only proxies, whatever sits in `extra` never mutated. Reading is lenient about ids an older file may hold;
`check_new` is the stricter look at what is being created now.

This room knows no store, no network and no clock, and its messages never repeat a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import MISSING, dataclass, field, fields
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, TypeVar

from . import columns as check
from .columns import Invalid
from .errors import BadRequest

Json = dict[str, Any]
R = TypeVar("R", bound="Record")

# Segments of paths that are routes or pages of ours: neither `/{name}/v1/…` nor `/v1/messages/{name}` must hide one.
RESERVED_SEGMENTS = frozenset(
    {".well-known", "admin", "admin.html", "api", "assets", "batches", "chat.html", "count_tokens", "favicon.ico"}
    | {"health", "icons.svg", "index.html", "js", "metrics", "openapi.json", "ready", "robots.txt", "static"}
    | {"style.css", "theme.js", "token", "ui", "usage", "user.html", "v1", "v1beta"}
)
PATH_SAFE = re.compile(r"[A-Za-z0-9._~-]{1,128}")
SENSITIVE_NAME = re.compile(r"pass|secret|token|auth|cookie|credential|signature|key$", re.IGNORECASE)


class Column(NamedTuple):
    """One member of a record: where it lives here, what it is called in JSON, who checks it, when it is written."""

    attribute: str
    member: str
    check: Callable[[Any], Any]
    default: Any
    always: bool
    secret: bool
    ours: bool


def column(
    read: Callable[[Any], Any],
    default: Any = MISSING,
    *,
    always: bool = False,
    secret: bool = False,
    ours: bool = False,
) -> Any:
    """Declare a column. `always`: written even when it equals its default. `secret`: hidden from
    `public_json`. `ours`: set by the server alone, so the admin API ignores it in a body. No default: required."""
    metadata = {"check": read, "default": default, "always": always, "secret": secret, "ours": ours}
    if default is MISSING:
        return field(metadata=metadata)
    return field(default_factory=lambda: default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Record:
    """What all rows share: JSON in, JSON out, and the members we do not know. They are not shown by their contents, which
    may be secrets."""

    noun: ClassVar[str] = "record"
    extra: Mapping[str, Any] = field(default_factory=lambda: check.NOTHING)

    @classmethod
    def from_json(cls: type[R], data: Any) -> R:
        """The record a JSON object describes. Raises BadRequest with the member's name in `param`."""
        try:
            return cls.read(data)
        except Invalid as wrong:
            name = data.get("id") if isinstance(data, dict) else None
            whose = f"{cls.noun} {check.shown(name)}" if isinstance(name, str) and name else cls.noun
            raise BadRequest(f"{whose}: {wrong}", param=wrong.at or None) from None

    @classmethod
    def read(cls: type[R], data: Any) -> R:
        """As from_json, for a record inside a record: raises Invalid, which the outer one completes."""
        if not isinstance(data, dict):
            raise Invalid(f"expected a JSON object, got {check.shown(data)}")
        given = cls.tidy(dict(data))
        values: Json = {}
        for one in columns_of(cls):
            value = given.pop(one.member, None)
            if value is not None:
                values[one.attribute] = _checked(one, value)
            elif one.default is MISSING:
                raise Invalid("is missing; it is required", one.member)
        for name, value in given.items():
            if check.is_deep(value):
                raise Invalid("is nested too deeply", name)
        record = cls(**values, extra=MappingProxyType(given) if given else check.NOTHING)
        record.check_whole()
        return record

    @classmethod
    def tidy(cls, data: Json) -> Json:
        """Members as older files wrote them, brought into today's; `data` is ours to change."""
        return data

    def check_whole(self) -> None:
        """What no column can see alone. Raises Invalid."""

    def to_json(self) -> Json:
        """The form in the file: columns in their order without those at their default, then the unknown members."""
        found: Json = {}
        for one in columns_of(type(self)):
            value = getattr(self, one.attribute)
            if value is not None and (one.always or value != one.default):
                found[one.member] = plain(value)
        if self.extra:
            found.update(deepcopy(dict(self.extra)))
        return found

    def public_json(self) -> Json:
        """The form for an administrator's eyes: every member, defaults included; secrets left out or masked."""
        found = {one.member: plain(getattr(self, one.attribute)) for one in columns_of(type(self)) if not one.secret}
        found.update((name, deepcopy(value)) for name, value in self.extra.items() if not SENSITIVE_NAME.search(name))
        return found

    @classmethod
    def server_members(cls) -> frozenset[str]:
        """The members only the server sets; a request body that names one is to be read without it."""
        return frozenset(one.member for one in columns_of(cls) if one.ours)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Provider(Record):
    """A configured account: base URL, secret, dialect. `api_key` is a value, `env:NAME`, `file:PATH` or None."""

    noun: ClassVar[str] = "provider"
    id: str = column(check.identifier)
    name: str = column(check.label, "", always=True)
    base_url: str = column(check.url, "", always=True)
    api_key: str | None = column(check.credential, None, secret=True)
    type: str = column(check.one_of("openai", "anthropic", "ollama", "chutes", "demo"), "openai", always=True)
    enabled: bool = column(check.flag, True, always=True)
    auth: str = column(check.auth, "bearer")
    headers: Mapping[str, str] = column(check.headers, check.NOTHING, secret=True)
    timeout_seconds: float | None = column(check.seconds, None)
    model_map: Mapping[str, str] = column(check.model_map, check.NOTHING)
    default_model: str | None = column(check.identifier, None)
    ca_file: str | None = column(check.file_path, None)
    verify: bool = column(check.flag, True)
    include_usage: bool | None = column(check.flag, None)
    responses: bool | None = column(check.flag, None)  # whether it speaks the Responses API; None: to be found out
    ocr_path: str | None = column(check.url_path, None)

    @classmethod
    def tidy(cls, data: Json) -> Json:
        return _named_by_id(data)

    def check_whole(self) -> None:
        if not self.base_url and self.type != "demo":
            raise Invalid("is missing; give the provider's address, such as https://api.openai.com/v1", "baseUrl")
        if self.api_key is None or is_reference(self.api_key):
            return
        if self.auth == "basic" and ":" not in self.api_key:
            raise Invalid("must be user:password when auth is basic", "apiKey")
        # base64 carries any character of a basic credential; every other kind stands in a header as it is.
        if self.auth != "basic" and not self.api_key.isascii():
            raise Invalid("has a character that no HTTP header can carry; copy it again from its source", "apiKey")

    def public_json(self) -> Json:
        found = Record.public_json(self)
        found["apiKey"] = self.shown_key()
        found["headers"] = {
            name: mask(value) if SENSITIVE_NAME.search(name) else value for name, value in self.headers.items()
        }
        return found

    def shown_key(self) -> str | None:
        """The key as it may be shown: a reference as it is, a value masked, None when there is none."""
        if self.api_key is None or is_reference(self.api_key):
            return self.api_key
        # Of user:password the mask would show the end of the password, which is often all of it that matters.
        return f"{self.api_key.partition(':')[0]}:..." if self.auth == "basic" else mask(self.api_key)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TokenPrices(Record):
    """US dollars per million tokens, by what kind of tokens they are; what a missing one means, `prices.py` knows."""

    input: float | None = column(check.amount, None)
    output: float | None = column(check.amount, None)
    cached_input: float | None = column(check.amount, None)
    cache_write: float | None = column(check.amount, None)
    cache_write_1h: float | None = column(check.amount, None)
    reasoning: float | None = column(check.amount, None)
    audio_input: float | None = column(check.amount, None)
    audio_output: float | None = column(check.amount, None)
    image_input: float | None = column(check.amount, None)
    image_output: float | None = column(check.amount, None)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PriceTier(TokenPrices):
    """What all tokens of a call cost when more than `above_tokens` go in; one that is missing costs what it costs below."""

    noun: ClassVar[str] = "price tier"
    above_tokens: int = column(check.count)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Price(TokenPrices):
    """What a model costs: its tokens, and US dollars for each second, image, page, character and request."""

    noun: ClassVar[str] = "price"
    per_second: float | None = column(check.amount, None)
    per_image: float | None = column(check.amount, None)
    per_page: float | None = column(check.amount, None)
    per_character: float | None = column(check.amount, None)
    per_request: float | None = column(check.amount, None)
    long_context: tuple[PriceTier, ...] = column(check.tiers_of(PriceTier.read), ())


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DeploymentRow(Record):
    """One more place that serves a model; `upstream_model` None means the model's own upstream name."""

    noun: ClassVar[str] = "deployment"
    provider_id: str = column(check.identifier)
    upstream_model: str | None = column(check.identifier, None)
    weight: float = column(check.amount, 1, always=True)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Model(Record):
    """The public name a client asks for, and where it is served. `upstream_model` None means the id itself."""

    noun: ClassVar[str] = "model"
    id: str = column(check.identifier)
    name: str = column(check.label, "", always=True)
    provider_id: str = column(check.identifier)
    type: str = column(
        check.one_of("chat", "embedding", "transcription", "speech", "reranking", "ocr", "image", "moderation"),
        "chat",
        always=True,
    )
    enabled: bool = column(check.flag, True, always=True)
    supports_image_upload: bool | None = column(check.flag, None)  # None: as its name says (dialects/vision.py)
    supports_video_upload: bool | None = column(check.flag, None)
    upstream_model: str | None = column(check.identifier, None)
    fallbacks: tuple[str, ...] = column(check.list_of(check.identifier), ())
    deployments: tuple[DeploymentRow, ...] = column(check.list_of(DeploymentRow.read), ())
    price: Price | None = column(Price.read, None)
    context_window: int | None = column(check.count, None)

    @classmethod
    def tidy(cls, data: Json) -> Json:
        return _named_by_id(data)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Budget(Record):
    """At most `usd` US dollars in each `window`, in UTC; `rolling` is the last so many `days`, today included. Until
    `raise_until` it is `raise_usd` more."""

    noun: ClassVar[str] = "budget"
    usd: float = column(check.amount)
    window: str = column(check.one_of("day", "week", "month", "total", "rolling"), "month", always=True)
    days: int | None = column(check.days, None)
    name: str = column(check.label, "")
    raise_usd: float | None = column(check.amount, None)
    raise_until: int | None = column(check.deadline, None)

    def check_whole(self) -> None:
        if self.window == "rolling" and self.days is None:
            raise Invalid(f"is missing; a rolling budget needs a number of days, 1 to {check.MAX_DAYS}", "days")
        if self.window != "rolling" and self.days is not None:
            raise Invalid(f"is only for the window rolling, not for {self.window}; leave it out", "days")
        if (self.raise_usd is None) != (self.raise_until is None):
            missing = "raiseUntil" if self.raise_until is None else "raiseUsd"
            raise Invalid("is missing; a raise needs both raiseUsd and raiseUntil", missing)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class VirtualKey(Record):
    """A key we issued, known by its SHA-256. Empty `allowed_models` and `scopes` mean all, a model with a `*` in its name
    every one that fits (`openai/*`); times are ms since 1970.

    The original server wrote the key itself as `key`: reading replaces it by `keyHash` and `keyHint`.
    """

    noun: ClassVar[str] = "API key"
    id: str = column(check.identifier)
    name: str = column(check.label, "", always=True)
    username: str = column(check.label, "", always=True)
    allowed_models: tuple[str, ...] = column(check.list_of(check.identifier), (), always=True)
    enabled: bool = column(check.flag, True, always=True)
    created_at: int | None = column(check.moment, None, ours=True)
    key_hash: str = column(check.digest, secret=True, ours=True)
    key_hint: str = column(check.label, "", secret=True, ours=True)
    scopes: tuple[str, ...] = column(
        check.list_of(check.one_of("chat", "embeddings", "audio", "images", "ocr", "rerank", "models", "metrics")), ()
    )
    expires_at: int | None = column(check.deadline, None)
    allowed_ips: tuple[str, ...] = column(check.list_of(check.network), ())
    rpm: int | None = column(check.count, None)
    tpm: int | None = column(check.count, None)
    max_parallel: int | None = column(check.count, None)
    monthly_requests: int | None = column(check.count, None)
    budgets: tuple[Budget, ...] = column(check.list_of(Budget.read), ())
    last_used_at: int | None = column(check.moment, None, ours=True)

    @classmethod
    def tidy(cls, data: Json) -> Json:
        key = data.pop("key", None)
        if key is not None:
            # No value in the message: it is a credential, and the message reaches a terminal or a log.
            if not isinstance(key, str) or not key.strip() or check.CONTROL.search(key):
                raise Invalid("must be a text without control characters", "key")
            data |= {"keyHash": key_digest(key), "keyHint": mask(key)}
        elif data.get("keyHash") is None:
            raise Invalid("is missing; give the key itself as key, or its SHA-256 in hex as keyHash", "key")
        return data

    def public_json(self) -> Json:
        found = Record.public_json(self)
        # A hint from elsewhere would be taken for the key itself when it comes back.
        found["key"] = self.key_hint if is_mask(self.key_hint) else mask(self.key_hint)
        return found


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class User(Record):
    """A person. `password_hash` is `scrypt$…`, or `sha256$HEX` where the original server's unsalted hash still stands
    (its file says `password`); None means that nobody can sign in with a password. `google_sub` and `google_domain` are of
    the identity they come with, `pass_generation` is what their passes must name (passes.py)."""

    noun: ClassVar[str] = "user"
    id: str = column(check.identifier)
    username: str = column(check.identifier)
    email: str | None = column(check.label, None)
    role: str = column(check.one_of("user", "admin"), "user", always=True)
    password_hash: str | None = column(check.password_hash, None, secret=True, ours=True)
    api_key_id: str | None = column(check.identifier, None)
    enabled: bool = column(check.flag, True, always=True)
    created_at: int | None = column(check.moment, None, ours=True)
    budgets: tuple[Budget, ...] = column(check.list_of(Budget.read), ())
    google_sub: str | None = column(check.identifier, None, ours=True)
    google_domain: str | None = column(check.label, None, ours=True)
    pass_generation: str | None = column(check.label, None, secret=True, ours=True)

    @classmethod
    def tidy(cls, data: Json) -> Json:
        password = data.pop("password", None)
        if password is not None:
            if not isinstance(password, str) or not check.HEX_SHA256.fullmatch(password):
                raise Invalid(
                    "must be a SHA-256 in hex, as the original server wrote it; "
                    "remove it and set a new password on the admin page, or with --reset-password",
                    "password",
                )
            data["passwordHash"] = f"sha256${password.lower()}"
        # The original writes "no key" as a blank.
        return {name: value for name, value in data.items() if value != "" or name not in ("apiKeyId", "email")}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SystemPrompt(Record):
    """What an alias does to a conversation's system prompt."""

    noun: ClassVar[str] = "system prompt"
    template: str = column(check.prose)
    mode: str = column(check.one_of("replace", "prepend", "append"), "prepend", always=True)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Alias(Record):
    """A name of its own for a model or provider, as a model's name and as a base URL (`/{id}/v1`). `model_map` says what is meant
    by the names callers ask for, `default` takes those that no model has (aliases.py)."""

    noun: ClassVar[str] = "alias"
    id: str = column(check.identifier)
    name: str = column(check.label, "", always=True)
    target: str | None = column(check.identifier, None)
    model_map: Mapping[str, str] = column(check.model_map, check.NOTHING)
    system_prompt: SystemPrompt | None = column(SystemPrompt.read, None)
    default: bool = column(check.flag, False)
    enabled: bool = column(check.flag, True, always=True)

    @classmethod
    def tidy(cls, data: Json) -> Json:
        return _named_by_id(data)

    def check_whole(self) -> None:
        if self.target is None and not self.model_map:
            raise Invalid("is missing; give a model id or provider id, or a modelMap", "target")


def merge(record: R, changes: Json) -> R:
    """A validated copy with the given camelCase members changed; null puts a member back to its default."""
    return type(record).from_json({**record.to_json(), **changes})


def keep_secrets(provider: Provider, changes: Json) -> Json:
    """The changes without secrets that are blank or merely the mask we showed, so that the stored ones stay."""
    kept = dict(changes)
    key = kept.get("apiKey")
    if "apiKey" in kept and (key is None or is_mask(key) or (isinstance(key, str) and not key.strip())):
        del kept["apiKey"]
    if isinstance(kept.get("headers"), dict):
        stored = {name.lower(): value for name, value in provider.headers.items() if SENSITIVE_NAME.search(name)}
        kept["headers"] = {
            name: stored.get(name.lower(), value) if is_mask(value) else value
            for name, value in kept["headers"].items()
        }
    return kept


def check_new(record: Record) -> None:
    """The stricter rules for an id that is being created now. Raises BadRequest with `param` "id".

    A provider or alias is also a base URL (`/{id}/v1`), so its id is one path segment that needs no escaping (the
    unreserved characters of RFC 3986) and is not the first segment of a route of ours.
    """
    if not isinstance(record, (Provider, Alias)):
        return
    if not PATH_SAFE.fullmatch(record.id) or not record.id.strip("."):
        raise BadRequest(
            f"id {check.shown(record.id)} cannot be part of a URL; use 1 to 128 of the characters A-Z a-z 0-9 . _ ~ -",
            param="id",
        )
    if record.id.lower() in RESERVED_SEGMENTS:
        raise BadRequest(f"id {check.shown(record.id)} is a path of the proxy itself; choose another one", param="id")


def key_digest(key: str) -> str:
    """SHA-256 of a key in hex: what the file keeps and what a presented key is looked up by."""
    import hashlib  # loads libcrypto, which a start without plaintext keys does not need

    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def mask(secret: str) -> str:
    """`sk-ab...wxyz`: enough to recognise a secret, in ASCII, and less of it the shorter it is."""
    shown = "".join(letter if " " < letter < "\x7f" else "?" for letter in secret)
    if len(shown) >= 24:
        return f"{shown[:5]}...{shown[-4:]}"
    return f"{shown[:2]}...{shown[-2:]}" if len(shown) >= 12 else "..."


def is_mask(value: Any) -> bool:
    """Whether this is the mask of a secret (ours, or a page's bullets) and not a secret."""
    return isinstance(value, str) and ("..." in value or "…" in value or (bool(value) and not value.strip("*•")))


def is_reference(api_key: str) -> bool:
    """Whether a key says where the secret is (`env:NAME`, `file:PATH`) instead of being it."""
    return api_key.startswith(("env:", "file:"))


def _checked(one: Column, value: Any) -> Any:
    try:
        return one.check(value)
    except Invalid as wrong:
        raise wrong.under(one.member) from None


def _named_by_id(data: Json) -> Json:
    if data.get("name") in (None, "") and isinstance(data.get("id"), str):
        data["name"] = data["id"]
    return data


def plain(value: Any) -> Any:
    """A column's value as JSON holds it."""
    if isinstance(value, Record):
        return value.to_json()
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value


def columns_of(kind: type[Record]) -> tuple[Column, ...]:
    """The columns of a record, in the order they are written; worked out once for each kind."""
    known = _COLUMNS.get(kind)
    if known is None:
        known = _COLUMNS[kind] = tuple(_columns(kind))
    return known


_COLUMNS: dict[type[Record], tuple[Column, ...]] = {}


def _columns(kind: type[Record]) -> Iterator[Column]:
    for one in fields(kind):
        if one.metadata:
            first, *others = one.name.split("_")
            yield Column(one.name, first + "".join(word.capitalize() for word in others), **one.metadata)
