"""The database as a document to take away and to bring back.

`document` writes it, without secrets unless asked for. `take` reads one against what is stored: a section that the document
lacks stays, a section it has takes the place of the stored one, and in it a masked or missing secret stays what it is for
a record with the same id, never for another host. `changes` says what is different between two states. Values in, values
out: who may, and when it is saved, is the handlers' affair.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from . import columns, config, passes, queries
from .errors import BadRequest
from .firststart import APPLIED
from .kinds import SHOWN_ALONE, check_origin, check_reference, is_left_alone
from .records import SENSITIVE_NAME, Json, Provider, Record, User, VirtualKey, is_mask, keep_secrets
from .snapshot import SECTIONS, Broken, Section, Snapshot, as_json, understood

MASTER_HASH = "masterKeyHash"
# Settings only the server makes; all but the hint are secrets, and the last one stays here whatever is asked for.
OURS = frozenset({MASTER_HASH, "masterKeyHint", APPLIED, passes.SECRET})
LASTING = frozenset({MASTER_HASH, "masterKeyHint", passes.SECRET})  # of those, what going back does not change
KINDS = {"providers": "provider", "models": "model", "apiKeys": "apiKey", "users": "user", "aliases": "alias"}
# What is a secret in the file goes by the name it has in a form.
SHOWN_AS = {"keyHash": "key", "keyHint": "key", "passwordHash": "password"}
# All that the original server writes; none of its users is an administrator.
ORIGINAL = frozenset({"providers", "models", "apiKeys", "users"})
# Members whose names are headers' and models', and say nothing of a secret; a header's has its mask already.
FREE_NAMES = ("headers", "modelMap")
NO_SECRETS = ("aboveTokens", "TOKEN_DAYS")  # but called like some
PLACE = re.compile(r"([A-Za-z]+)(?:\[\d+\][^:\s]*)?(?=:? )")


class Taken(NamedTuple):
    """What the database will be, and what a person should know before."""

    snapshot: Snapshot
    notices: list[str]


# -- out --------------------------------------------------------------------------------------------------------------


def document(snapshot: Snapshot, *, secrets: bool) -> Json:
    """The document as it is in the file; without `secrets`, masks stand where they were, or nothing."""
    found = as_json(snapshot)
    found["settings"].pop(passes.SECRET, None)
    if secrets:
        return found
    found["settings"] = {name: value for name, value in snapshot.settings.items() if name not in OURS}
    sections = {
        section.member: [without_secrets(record) for record in getattr(snapshot, section.attribute).values()]
        for section in SECTIONS
    }
    return {**without_hidden(found), **sections}


def without_secrets(record: Record) -> Json:
    """A record as an administrator sees it, with the members alone that are not at their default, and nothing hidden
    inside of them."""
    stored = record.to_json()
    shown = {name: value for name, value in record.public_json().items() if name in stored or name == "key"}
    if isinstance(record, Provider):
        shown["baseUrl"] = queries.masked(record.base_url)
    return {name: value if name in FREE_NAMES else without_hidden(value) for name, value in shown.items()}


def without_hidden(value: Any) -> Any:
    """The same without the members that are called like secrets, however deep they are."""
    if isinstance(value, dict):
        return {name: without_hidden(inner) for name, inner in value.items() if not is_hidden(name)}
    return [without_hidden(inner) for inner in value] if isinstance(value, list) else value


def is_hidden(name: str) -> bool:
    return name not in NO_SECRETS and SENSITIVE_NAME.search(name) is not None


# -- in ---------------------------------------------------------------------------------------------------------------


def take(data: Any, before: Snapshot, offered: Container[str] = ()) -> Taken:
    """What the database becomes with this document; `offered` are providers that are there without being stored. Raises
    BadRequest with the place in `param`."""
    notices: list[str] = []
    if not isinstance(data, dict):
        raise BadRequest("The document must be a JSON object with providers, models, apiKeys …")
    filled = {**before.extra, **with_hidden(data, dict(before.extra))}
    for section in SECTIONS:
        rows = users_in(data, before, notices) if section.kind is User else data.get(section.member)
        filled[section.member] = filled_section(section, rows, before, notices)
    filled["settings"] = settings_of(data.get("settings"), before)
    try:
        found = understood(filled)
    except Broken as error:
        raise BadRequest(f"The document cannot be taken: {error}.", param=place_of(error)) from error
    check_origins(data.get("providers") or [], before, found.snapshot)
    after = with_known_records(found.snapshot, before)
    for model in after.models.values():
        is_missing = model.provider_id not in after.providers and model.provider_id not in offered
        if is_missing and (model.id not in before.models or model.provider_id in before.providers):
            notices.append(f"The model '{model.id}' names the provider '{model.provider_id}', which is not there.")
    return Taken(after, [*found.notices, *notices])


def users_in(data: Json, before: Snapshot, notices: list[str]) -> Any:
    """The rows of the users of a document. The original server's have no role, so it knows no administrators: to its users
    those are added who are here, and who is both stays one."""
    rows: Any = data.get("users")
    is_original = data.get("version") is None and data.keys() >= ORIGINAL and isinstance(rows, list)
    if not is_original or any(isinstance(row, dict) and "role" in row for row in rows):
        return rows
    left = {user.id: user for user in before.users.values() if user.role == "admin"}
    names = {user.username.casefold(): id_ for id_, user in left.items()}
    found = []
    for row in rows:
        same = (row.get("id"), names.get(str(row.get("username")).casefold())) if isinstance(row, dict) else ()
        stays = next((left.pop(id_) for id_ in list(left) if id_ in same), None)
        if stays is not None:
            notices.append(f"The user '{stays.username}' is an administrator here and stays as they are.")
        found.append(row if stays is None else stays.to_json())
    return [*found, *(user.to_json() for user in left.values())]


def check_origins(rows: list[Json], before: Snapshot, after: Snapshot) -> None:
    """No stored secret goes to another host because of a document, either."""
    for place, row in enumerate(rows):
        stored = before.providers.get(row["id"])
        if stored is not None:
            try:
                check_origin(stored, after.providers[stored.id], row)
            except BadRequest as error:
                where = f"providers[{place}].{error.param}"
                raise BadRequest(f"Provider '{stored.id}': {error.message}", param=where) from error


def check_references(before: Snapshot, after: Snapshot, secrets_dir: Path) -> None:
    """No key is a file outside of SECRETS_DIR because of a document, either."""
    for place, provider in enumerate(after.providers.values()):
        try:
            check_reference(before.providers.get(provider.id), provider, secrets_dir)
        except BadRequest as error:
            where = f"providers[{place}].{error.param}"
            raise BadRequest(f"Provider '{provider.id}': {error.message}", param=where) from error


def filled_section(section: Section, rows: Any, before: Snapshot, notices: list[str]) -> Any:
    """The rows with the secrets they left out. What is not a list of objects is left for the reader to complain about."""
    stored: Mapping[str, Any] = getattr(before, section.attribute)
    if rows is None:
        return [record.to_json() for record in stored.values()]
    if not isinstance(rows, list):
        return rows
    found = []
    for row in rows:
        if not isinstance(row, dict):
            found.append(row)
            continue
        row = {name: value for name, value in row.items() if name not in SHOWN_ALONE.get(section.kind, ())}
        known = stored.get(str(row.get("id")))
        row = with_hidden(row, hideable(known) if known is not None else {})
        if section.kind is Provider:
            found.append(filled_provider(row, known, notices))
        elif section.kind is User:
            found.append(filled_user(row, known, notices))
        elif section.kind is VirtualKey:
            found += filled_key(row, known, notices)
        else:
            found.append(row)
    return found


def hideable(record: Record) -> Json:
    """The members that may have something hidden inside, and those we do not know; the others' secrets have readers of
    their own."""
    stored = record.to_json().items()
    return {
        name: value
        for name, value in stored
        if name in record.extra or not (name in FREE_NAMES or SENSITIVE_NAME.search(name))
    }


def with_hidden(value: Any, stored: Any) -> Any:
    """The same with what `without_hidden` takes out of the stored value, where it is missing or masked."""
    if isinstance(value, dict) and isinstance(stored, dict):
        hidden = {name: inner for name, inner in stored.items() if SENSITIVE_NAME.search(name)}
        given = {name: inner for name, inner in value.items() if name not in hidden or not is_mask(inner)}
        return {**hidden, **{name: with_hidden(inner, stored.get(name)) for name, inner in given.items()}}
    if isinstance(value, list) and isinstance(stored, list) and len(value) == len(stored):
        return [with_hidden(inner, known) for inner, known in zip(value, stored, strict=True)]
    return value


def filled_provider(row: Json, stored: Provider | None, notices: list[str]) -> Json:
    if stored is not None:
        found = keep_secrets(stored, row)
        if "apiKey" not in found and stored.api_key is not None:
            found["apiKey"] = stored.api_key
    else:
        found = dict(row)
        if is_mask(row.get("apiKey")):
            del found["apiKey"]
            notices.append(f"The provider '{row.get('id')}' comes without its API key; enter it afterwards.")
    if isinstance(url := found.get("baseUrl"), str):
        found["baseUrl"], is_lost = queries.filled(url, stored.base_url if stored is not None else "")
        if is_lost:
            notices.append(
                f"The provider '{row.get('id')}' comes without the secret in its base URL; enter it afterwards."
            )
    headers = found.get("headers")
    if isinstance(headers, dict):
        known = {name.lower() for name in stored.headers} if stored is not None else set()
        masked = [
            name
            for name, value in headers.items()
            if SENSITIVE_NAME.search(name) and is_mask(value) and name.lower() not in known
        ]
        found["headers"] = {name: value for name, value in headers.items() if name not in masked}
        notices += [f"The provider '{row.get('id')}' comes without its header '{name}'." for name in masked]
    return found


def filled_user(row: Json, stored: User | None, notices: list[str]) -> Json:
    if is_left_alone(row.get("password")):
        row.pop("password", None)
        if row.get("passwordHash") is None:
            row["passwordHash"] = stored.password_hash if stored is not None else None
            if stored is None:
                notices.append(f"The user '{row.get('username')}' comes without a password; set one afterwards.")
    # Whether passes are good is never a document's word: an older one would make revoked ones good again.
    row["passGeneration"] = stored.pass_generation if stored is not None else None
    return row


def filled_key(row: Json, stored: VirtualKey | None, notices: list[str]) -> list[Json]:
    """The row, or nothing: a key that nobody knows is none."""
    key = row.get("key")
    if key is None or is_mask(key) or (isinstance(key, str) and not key.strip()):
        row.pop("key", None)
        if row.get("keyHash") is None:
            if stored is None:
                notices.append(
                    f"The API key '{row.get('name') or row.get('id')}' is left out: its secret is not in the document."
                )
                return []
            row |= {"keyHash": stored.key_hash, "keyHint": stored.key_hint}
    return [row]


def settings_of(given: Any, before: Snapshot) -> Any:
    """The settings of a document; the server's own stay where it has none. Raises BadRequest."""
    if given is None:
        return dict(before.settings)
    if not isinstance(given, dict):
        return given
    given = {name: with_hidden(value, before.settings.get(name)) for name, value in given.items()}
    ours = {line.name for line in config.SETTINGS}
    given.pop(passes.SECRET, None)
    kept = {name: value for name, value in before.settings.items() if name in OURS or is_hidden(name)}
    found = {**{name: value for name, value in before.settings.items() if name in given or name in kept}, **given}
    for name in ours & given.keys():
        try:
            value = config.check_database_setting(name, given[name])
        except BadRequest as error:
            raise BadRequest(error.message, param=f"settings.{name}") from error
        if value is None:
            del found[name]
        else:
            found[name] = value
    digest = found.get(MASTER_HASH)
    if digest is not None and not (isinstance(digest, str) and columns.HEX_SHA256.fullmatch(digest)):
        raise BadRequest(f"{MASTER_HASH} must be a SHA-256 in hex.", param=f"settings.{MASTER_HASH}")
    return found


def revived(earlier: Snapshot, now: Snapshot) -> Snapshot:
    """An earlier state as it comes back. The master key and the secret of passes stay what they are, and what was revoked since
    then stays revoked."""
    settings = {name: value for name, value in earlier.settings.items() if name not in LASTING}
    settings |= {name: value for name, value in now.settings.items() if name in LASTING}
    users = {id_: passes.without_revived(user, now.users.get(id_)) for id_, user in earlier.users.items()}
    sections = {section.attribute: getattr(earlier, section.attribute) for section in SECTIONS}
    return Snapshot.of(**{**sections, "users": users}, settings=settings, extra=earlier.extra)


def with_known_records(after: Snapshot, before: Snapshot) -> Snapshot:
    """The same with the stored records where nothing of them has changed; when a key was last used only moves on."""
    sections: dict[str, dict[str, Any]] = {}
    for section in SECTIONS:
        stored = getattr(before, section.attribute)
        sections[section.attribute] = found = {}
        for id_, record in getattr(after, section.attribute).items():
            known = stored.get(id_)
            if isinstance(record, VirtualKey) and known is not None:
                record = replace(record, last_used_at=max(record.last_used_at or 0, known.last_used_at or 0) or None)
            if isinstance(record, User) and known is not None:
                record = passes.after_change(known, record)
            found[id_] = known if known is not None and known.to_json() == record.to_json() else record
    return Snapshot.of(**sections, settings=after.settings, extra=after.extra)


def place_of(error: Broken) -> str | None:
    """`providers[2].baseUrl: …` and `models is …` name their place; other complaints are about the whole."""
    found = PLACE.match(str(error))
    return found[0] if found and found[1] in (*KINDS, "settings") else None


# -- the difference ---------------------------------------------------------------------------------------------------


def changes(before: Snapshot, after: Snapshot) -> dict[str, list[Json]]:
    """`{added, changed, removed}`: `{kind, id}` each, and `fields` (the members, never their values) for the changed."""
    found: dict[str, list[Json]] = {"added": [], "changed": [], "removed": []}
    for section in SECTIONS:
        compare(
            KINDS[section.member],
            {id_: record.to_json() for id_, record in getattr(before, section.attribute).items()},
            {id_: record.to_json() for id_, record in getattr(after, section.attribute).items()},
            found,
        )
    compare("setting", as_values(before.settings), as_values(after.settings), found)
    compare("other", as_values(before.extra), as_values(after.extra), found)
    return found


def compare(kind: str, before: Mapping[str, Json], after: Mapping[str, Json], found: dict[str, list[Json]]) -> None:
    for id_, now in after.items():
        if id_ not in before:
            found["added"].append({"kind": kind, "id": id_})
            continue
        was = before[id_]
        fields = [name for name in {**was, **now} if was.get(name) != now.get(name)]
        if fields:
            names = list(dict.fromkeys(SHOWN_AS.get(name, name) for name in fields))
            found["changed"].append({"kind": kind, "id": id_, "fields": names})
    found["removed"] += [{"kind": kind, "id": id_} for id_ in before if id_ not in after]


def as_values(plain: Mapping[str, Any]) -> dict[str, Json]:
    return {name: {"value": value} for name, value in plain.items()}
