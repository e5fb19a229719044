"""Providers, models, keys, users and aliases: the kinds of record an administrator edits, and the rules of each.

A `Collection` says what is particular to one kind: how a new record and a changed one are made of what was given, what
the other records have to say about it, what goes with it when it is deleted. Who may ask, in which words, and when it is
saved is the handlers' affair. A stored secret is never sent to another host than it was entered for.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from . import firststart, keys, passes, queries, signin
from .call import IMAGE_PART, VIDEO_PART
from .deployments import DEMO_PROVIDER
from .dialects import vision
from .errors import BadRequest, Conflict, NotFound
from .records import SENSITIVE_NAME, Alias, Model, Provider, Record, User, VirtualKey, is_mask, keep_secrets, merge
from .references import file_under

if TYPE_CHECKING:
    from pathlib import Path

    from .app import App
    from .store import Draft

Json = dict[str, Any]

# What is added to records where they are shown; nobody sends it but by sending back an answer.
SHOWN_ALONE = {
    Provider: frozenset({"source"}),
    Model: frozenset({"takesImages", "takesVideo"}),
    Alias: frozenset({"trouble"}),
}
# What a client may choose as a key: it travels in a header, where blanks and anything outside ASCII get lost.
KEY = re.compile(r"[!-~]{16,512}")


class Collection(NamedTuple):
    """One kind of record: what it is called, where it lives, and what is particular about it.

    `ignored` are members that only the server sets. `for_new` and `for_change` turn a body into members of the record;
    `changed` makes the new record of the old one and those; `check` refuses what does not fit the other records (the old
    record is None for a new one); `removed` clears what referred to deleted ones and says what went with them, `followed`
    changes what goes by the name of a changed one. `told_once` are secrets that the answer to their making holds in full.
    """

    noun: str
    plural: str
    kind: type[Record]
    rows: Callable[[Any], Any]
    ignored: frozenset[str]
    shown: Callable[[App, Any], Json]
    for_new: Callable[[Json], Json]
    for_change: Callable[[Json], Json]
    changed: Callable[[Any, Json], Any]
    check: Callable[[App, Draft, Any, Any], None]
    removed: Callable[[App, Draft, Sequence[Any]], Json]
    offers: Callable[[App], Mapping[str, Any]] = lambda app: {}
    followed: Callable[[Draft, Any, Any], None] = lambda draft, before, after: None
    told_once: tuple[str, ...] = ()

    def known(self, given: Json) -> Json:
        """What was given, without what only the server sets."""
        return {name: value for name, value in given.items() if name not in self.ignored}

    @property
    def one(self) -> str:
        """The noun with its article."""
        return f"{'an' if self.noun[0] in 'aA' else 'a'} {self.noun}"

    def nothing_called(self, id_: str) -> NotFound:
        return NotFound(f"There is no {self.noun} '{id_}'.")


# -- providers --------------------------------------------------------------------------------------------------------


def offers(app: App) -> Mapping[str, Provider]:
    catalog = app.catalog()
    return {id_: each for id_, each in catalog.providers.items() if id_ in catalog.offered}


def shown_provider(app: App, provider: Provider) -> Json:
    catalog = app.catalog()
    is_offer = provider.id in catalog.offered and catalog.providers[provider.id] == provider
    shown = {"baseUrl": queries.masked(provider.base_url), "source": "environment" if is_offer else "database"}
    return {**provider.public_json(), **shown}


def new_provider(given: Json) -> Json:
    if is_mask(given.get("apiKey")):
        raise BadRequest("'apiKey' is only the mask of a key. Enter the key itself.", param="apiKey")
    check_headers(given, {})
    return with_base_url(given, "")


def check_headers(given: Json, stored: Mapping[str, str]) -> None:
    """Raises BadRequest for a header that has only the mask of a secret, where none is stored under its name."""
    headers, known = given.get("headers"), {name.lower() for name in stored}
    for name, value in headers.items() if isinstance(headers, dict) else ():
        if SENSITIVE_NAME.search(name) and is_mask(value) and name.lower() not in known:
            raise BadRequest(f"'headers' has only the mask of '{name:.100}'. Enter it in full.", param="headers")


def with_base_url(given: Json, stored: str) -> Json:
    """The same with the stored secrets in the query of the base URL where it has only their masks. Raises BadRequest where
    there are none, or where they would go to another server."""
    url = given.get("baseUrl")
    if not isinstance(url, str):
        return given
    whole, is_lost = queries.filled(url, stored)
    if is_lost:
        raise BadRequest("'baseUrl' has only the mask of a secret in its query. Enter it in full.", param="baseUrl")
    return {**given, "baseUrl": whole}


def changed_provider(before: Provider, given: Json) -> Provider:
    given = with_base_url(given, before.base_url)
    check_headers(given, before.headers)
    after = merge(before, keep_secrets(before, given))
    check_origin(before, after, given)
    return after


def check_origin(before: Provider, after: Provider, given: Json) -> None:
    """Raises BadRequest when a stored secret would go to another origin than the one it was entered for: whoever has
    a session may use the keys, but not read them. A reference is a secret just the same."""
    if origin_of(before.base_url) == origin_of(after.base_url):
        return
    if before.api_key is not None and "apiKey" not in keep_secrets(before, given):
        raise BadRequest("'baseUrl' moves to another server; enter the API key for it as well.", param="apiKey")
    entered = given.get("headers") or {}  # an object, or the record could not have been made of it
    in_clear = {name.lower() for name, value in entered.items() if not is_mask(value)}
    for name in after.headers:
        if SENSITIVE_NAME.search(name) and name.lower() not in in_clear:
            raise BadRequest(
                f"'baseUrl' moves to another server; enter the header '{name}' for it as well.", param="headers"
            )


def origin_of(base_url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(base_url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def check_reference(before: Provider | None, after: Provider, secrets_dir: Path) -> None:
    """Raises BadRequest for a new reference to a file that would never be read. One that is stored may stay, so that
    the rest can be mended after SECRETS_DIR has moved."""
    kind, _, path = (after.api_key or "").partition(":")
    if kind != "file" or (before is not None and before.api_key == after.api_key):
        return
    if file_under(secrets_dir, path) is None:
        raise BadRequest(
            "'apiKey' must name a file under SECRETS_DIR, which no link leads out of. Put the key there, or set "
            "SECRETS_DIR to the folder it is in and start again.",
            param="apiKey",
        )


def check_provider(app: App, draft: Draft, provider: Provider, before: Provider | None) -> None:
    check_reference(before, provider, app.config.settings.secrets_dir)
    if provider.id in draft.aliases:
        raise Conflict(f"There is an alias '{provider.id}' already. Choose another id.", param="id")


def removed_providers(app: App, draft: Draft, providers: Sequence[Provider]) -> Json:
    """Their models go with them; models that others serve too only lose the place."""
    ids = {provider.id for provider in providers}
    gone = [model.id for model in draft.models.values() if model.provider_id in ids]
    for id_ in gone:
        del draft.models[id_]
    for model in list(draft.models.values()):
        left = tuple(row for row in model.deployments if row.provider_id not in ids)
        if left != model.deployments:
            draft.models[model.id] = replace(model, deployments=left)
    return {"deletedModels": gone}


# -- models -----------------------------------------------------------------------------------------------------------


def shown_model(app: App, model: Model) -> Json:
    """With what it is known to take, where its record leaves that to its name."""
    takes = {"takesImages": vision.takes(model, IMAGE_PART), "takesVideo": vision.takes(model, VIDEO_PART)}
    return {**model.public_json(), **{name: told is True for name, told in takes.items()}}


def check_model(app: App, draft: Draft, model: Model, before: Model | None) -> None:
    """Every provider it names must be there; one it has named all along may be missing, so that the rest can be mended."""
    if before is None and model.id in draft.aliases:
        raise Conflict(f"There is an alias '{model.id}' already. Choose another id.", param="id")
    known = {*draft.providers, *offers(app), DEMO_PROVIDER.id}
    if before is not None:
        known |= {before.provider_id, *(row.provider_id for row in before.deployments)}
    named = [("providerId", model.provider_id)]
    named += [(f"deployments[{place}].providerId", row.provider_id) for place, row in enumerate(model.deployments)]
    for param, id_ in named:
        if id_ not in known:
            raise BadRequest(f"There is no provider '{id_}'. Add it first, or name another one.", param=param)


# -- keys -------------------------------------------------------------------------------------------------------------


def shown_key(app: App, key: VirtualKey) -> Json:
    used = max(key.last_used_at or 0, app.last_used.get(key.id, 0))
    return {**key.public_json(), "lastUsedAt": used or None}


def new_key(given: Json) -> Json:
    key = given.get("key")
    return {**with_id(given, "key"), "key": keys.new_key() if key in (None, "") else checked_key(key)}


def changed_key_members(given: Json) -> Json:
    """A key that is blank or masked stays what it is; any other takes its place."""
    key = given.get("key")
    if key in (None, "") or is_mask(key):
        return {name: value for name, value in given.items() if name != "key"}
    return {**given, "key": checked_key(key)}


def checked_key(key: Any) -> str:
    if not isinstance(key, str) or not KEY.fullmatch(key) or is_mask(key):
        raise BadRequest(
            "'key' must be 16 to 512 visible ASCII characters without blanks, and not a mask. "
            "Leave it out to have one made.",
            param="key",
        )
    return key


def check_key(app: App, draft: Draft, key: VirtualKey, before: VirtualKey | None) -> None:
    known = app.store.snapshot().keys_by_hash.get(key.key_hash)  # of two new ones in one request the draft itself tells
    if key.key_hash == app.master_digest or (known is not None and known.id != key.id):
        raise Conflict("This key is in use already. Choose another one.", param="key")


def rotated(draft: Draft, key: VirtualKey) -> tuple[VirtualKey, str]:
    """A key with a new secret in the place of the old one, which is good for nothing from now on: (record, secret)."""
    secret = keys.new_key()
    draft.keys[key.id] = after = merge(key, {"key": secret})
    return after, secret


def removed_keys(app: App, draft: Draft, gone: Sequence[VirtualKey]) -> Json:
    ids = {key.id for key in gone}
    for user in list(draft.users.values()):
        if user.api_key_id in ids:
            draft.users[user.id] = replace(user, api_key_id=None)
    for id_ in ids:
        app.last_used.pop(id_, None)
    return {}


# -- users ------------------------------------------------------------------------------------------------------------


def new_user(given: Json) -> Json:
    return with_password(with_id(given, "user"), given.get("password"))


def changed_user_members(given: Json) -> Json:
    """A password that is blank, or as a page hides it, stays what it is."""
    password = given.get("password")
    if is_left_alone(password):
        return {name: value for name, value in given.items() if name != "password"}
    return with_password(given, password)


def is_left_alone(password: Any) -> bool:
    return password is None or (isinstance(password, str) and not password.strip("*•"))


def with_password(given: Json, password: Any) -> Json:
    others = {name: value for name, value in given.items() if name != "password"}
    return {**others, "passwordHash": signin.hash_password(signin.check_password(password, "password"))}


def changed_user(before: User, given: Json) -> User:
    return passes.after_change(before, merge(before, given))


def check_user(app: App, draft: Draft, user: User, before: User | None) -> None:
    name = user.username.casefold()
    if any(each.username.casefold() == name and each.id != user.id for each in draft.users.values()):
        raise Conflict(f"There is a user '{user.username}' already. Choose another name.", param="username")
    is_new_link = before is None or before.api_key_id != user.api_key_id
    if is_new_link and user.api_key_id is not None and user.api_key_id not in draft.keys:
        raise BadRequest(f"There is no API key with the id '{user.api_key_id}'.", param="apiKeyId")
    check_administrators(draft.users, {**draft.users, user.id: user})


def renamed_user(draft: Draft, before: User, after: User) -> None:
    """The keys that name them go on doing so: under a new name nobody gets rid of what limits the old one."""
    if after.username == before.username:
        return
    name = before.username.casefold()
    for key in list(draft.keys.values()):
        if key.username.casefold() == name:
            draft.keys[key.id] = replace(key, username=after.username)


def removed_users(app: App, draft: Draft, users: Sequence[User]) -> Json:
    check_administrators({**draft.users, **{user.id: user for user in users}}, draft.users)
    return {}


def check_administrators(before: Mapping[str, User], after: Mapping[str, User]) -> None:
    """Raises Conflict when nobody would be left who could undo it."""
    if firststart.has_administrator(before) and not firststart.has_administrator(after):
        raise Conflict(
            "This is the last enabled administrator. Make another user an administrator first.",
            code="last_administrator",
        )


# -- aliases ----------------------------------------------------------------------------------------------------------


def shown_alias(app: App, alias: Alias) -> Json:
    """With what an administrator has to see to before it can be used, if anything."""
    from . import aliases

    return {**alias.public_json(), "trouble": aliases.trouble(app.catalog(), alias)}


def check_alias(app: App, draft: Draft, alias: Alias, before: Alias | None) -> None:
    """Its id is a name of its own, and there is one default. Its target may be missing: it is told, and comes with time."""
    for noun, rows in (("provider", {**offers(app), **draft.providers}), ("model", draft.models)):
        if before is None and alias.id in rows:
            raise Conflict(f"There is a {noun} '{alias.id}' already. Choose another id.", param="id")
    others = (each for each in draft.aliases.values() if each.default and each.enabled and each.id != alias.id)
    if alias.default and alias.enabled and (other := next(others, None)) is not None:
        raise Conflict(
            f"The alias '{other.id}' takes the names that no model has. Only one can; change that one first.",
            param="default",
        )


# -- shared -----------------------------------------------------------------------------------------------------------


def with_id(given: Json, prefix: str) -> Json:
    return given if given.get("id") not in (None, "") else {**given, "id": f"{prefix}-{secrets.token_hex(8)}"}


def record_id(record: Any) -> str:
    return str(record.id)


def now_ms() -> int:
    return int(time.time() * 1000)


def unchanged(given: Json) -> Json:
    return given


def nothing_removed(app: App, draft: Draft, records: Sequence[Any]) -> Json:
    return {}


PROVIDERS = Collection(
    noun="provider",
    plural="providers",
    kind=Provider,
    rows=lambda tables: tables.providers,
    ignored=Provider.server_members() | SHOWN_ALONE[Provider] | {"createdAt"},
    shown=shown_provider,
    for_new=new_provider,
    for_change=unchanged,
    changed=changed_provider,
    check=check_provider,
    removed=removed_providers,
    offers=offers,
)
MODELS = Collection(
    noun="model",
    plural="models",
    kind=Model,
    rows=lambda tables: tables.models,
    ignored=Model.server_members() | SHOWN_ALONE[Model] | {"createdAt"},
    shown=shown_model,
    for_new=unchanged,
    for_change=unchanged,
    changed=merge,
    check=check_model,
    removed=nothing_removed,
)
KEYS = Collection(
    noun="API key",
    plural="apiKeys",
    kind=VirtualKey,
    rows=lambda tables: tables.keys,
    ignored=VirtualKey.server_members(),
    shown=shown_key,
    for_new=new_key,
    for_change=changed_key_members,
    changed=merge,
    check=check_key,
    removed=removed_keys,
    told_once=("key",),
)
USERS = Collection(
    noun="user",
    plural="users",
    kind=User,
    rows=lambda tables: tables.users,
    ignored=User.server_members(),
    shown=lambda app, user: user.public_json(),
    for_new=new_user,
    for_change=changed_user_members,
    changed=changed_user,
    check=check_user,
    removed=removed_users,
    followed=renamed_user,
)
ALIASES = Collection(
    noun="alias",
    plural="aliases",
    kind=Alias,
    rows=lambda tables: tables.aliases,
    ignored=Alias.server_members() | SHOWN_ALONE[Alias] | {"createdAt"},
    shown=shown_alias,
    for_new=unchanged,
    for_change=unchanged,
    changed=merge,
    check=check_alias,
    removed=nothing_removed,
)
