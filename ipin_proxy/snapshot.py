"""The database as a value: a Snapshot in memory, a Draft of the next one, a JSON document in bytes.

`parse` reads what we wrote, what a person edited and what the original Node server left; it takes a document whole or
says where it is broken. `render` writes one that people can read and edit. Members we do not know are carried along, at
the top as in every record. No files, no locks: bytes in, values out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from math import isfinite
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn

from .columns import MAX_NAME_CHARS, is_deep
from .errors import BadRequest, Conflict
from .records import Alias, Json, Model, Provider, Record, User, VirtualKey

VERSION = 1


class Section(NamedTuple):
    """One list of records: its member in the file, its attribute in a Snapshot, its kind."""

    member: str
    attribute: str
    kind: type[Record]


SECTIONS = (
    Section("providers", "providers", Provider),
    Section("models", "models", Model),
    Section("apiKeys", "keys", VirtualKey),
    Section("users", "users", User),
    Section("aliases", "aliases", Alias),
)


class Broken(ValueError):
    """A document that cannot be taken as it is; the message says where and why."""


@dataclass(frozen=True, slots=True, repr=False)
class Snapshot:
    """Everything the database says at one moment. Mappings go by id in the order of the file, and never change.

    `settings` and `extra` (unknown members at the top) hold plain JSON that nobody mutates. `keys_by_hash` goes by
    SHA-256 in hex, `users_by_name` by the user name casefolded, `owners` (the user whose key it is) by the key's id.
    """

    providers: Mapping[str, Provider]
    models: Mapping[str, Model]
    keys: Mapping[str, VirtualKey]
    users: Mapping[str, User]
    aliases: Mapping[str, Alias]
    settings: Mapping[str, Any]
    extra: Mapping[str, Any]
    keys_by_hash: Mapping[str, VirtualKey]
    users_by_name: Mapping[str, User]
    owners: Mapping[str, User]

    @classmethod
    def of(
        cls,
        *,
        providers: Mapping[str, Provider] = MappingProxyType({}),
        models: Mapping[str, Model] = MappingProxyType({}),
        keys: Mapping[str, VirtualKey] = MappingProxyType({}),
        users: Mapping[str, User] = MappingProxyType({}),
        aliases: Mapping[str, Alias] = MappingProxyType({}),
        settings: Mapping[str, Any] = MappingProxyType({}),
        extra: Mapping[str, Any] = MappingProxyType({}),
    ) -> Snapshot:
        """A snapshot of these records, with its indices. Of two records with one secret or name the first is found."""
        by_name = {user.username.casefold(): user for user in reversed(list(users.values()))}
        return cls(
            providers=MappingProxyType(dict(providers)),
            models=MappingProxyType(dict(models)),
            keys=MappingProxyType(dict(keys)),
            users=MappingProxyType(dict(users)),
            aliases=MappingProxyType(dict(aliases)),
            settings=MappingProxyType(dict(settings)),
            extra=MappingProxyType(dict(extra)),
            keys_by_hash=MappingProxyType({key.key_hash: key for key in reversed(list(keys.values()))}),
            users_by_name=MappingProxyType(by_name),
            owners=MappingProxyType(_owners(keys, users, by_name)),
        )


@dataclass(slots=True, repr=False, eq=False)
class Draft:
    """A snapshot being changed: the same mappings as plain dicts by id. Put records in, take them out, replace them."""

    providers: dict[str, Provider]
    models: dict[str, Model]
    keys: dict[str, VirtualKey]
    users: dict[str, User]
    aliases: dict[str, Alias]
    settings: dict[str, Any]
    extra: dict[str, Any]

    @classmethod
    def of(cls, snapshot: Snapshot) -> Draft:
        return cls(
            providers=dict(snapshot.providers),
            models=dict(snapshot.models),
            keys=dict(snapshot.keys),
            users=dict(snapshot.users),
            aliases=dict(snapshot.aliases),
            settings=deepcopy(dict(snapshot.settings)),
            extra=deepcopy(dict(snapshot.extra)),
        )

    def become(self, snapshot: Snapshot) -> None:
        """Take everything from another snapshot."""
        other = Draft.of(snapshot)
        for one in fields(self):
            setattr(self, one.name, getattr(other, one.name))

    def differs_from(self, before: Snapshot) -> bool:
        """Whether there is anything to save. What is plain JSON is compared as written: to Python, true equals 1."""
        for section in SECTIONS:
            mine, theirs = getattr(self, section.attribute), getattr(before, section.attribute)
            if len(mine) != len(theirs) or any(
                one is not other for one, other in zip(mine.values(), theirs.values(), strict=True)
            ):
                return True
        return repr((self.settings, self.extra)) != repr((dict(before.settings), dict(before.extra)))

    def frozen(self, before: Snapshot) -> Snapshot:
        """The snapshot this draft describes. Raises Conflict for two records that claim one thing and did not before."""
        for section in SECTIONS:
            records: dict[str, Record] = getattr(self, section.attribute)
            for id_, record in records.items():
                if type(record) is not section.kind or getattr(record, "id", None) != id_:
                    raise TypeError(f"{section.attribute}[{id_!r}] must be a {section.kind.__name__} with that id")
        after = Snapshot.of(
            providers=self.providers,
            models=self.models,
            keys=self.keys,
            users=self.users,
            aliases=self.aliases,
            settings=self.settings,
            extra=self.extra,
        )
        known = {claim for claim, _ in clashes(before)}
        for claim, message in clashes(after):
            if claim not in known:
                raise Conflict(f"{message[0].upper()}{message[1:]}; choose another one.", param=claim[0])
        return after


@dataclass(frozen=True, slots=True, repr=False)
class Document:
    """What a file held. `is_original`: it has no version, so the original Node server wrote it. `has_keys`: it held
    keys in clear, which the snapshot only has as digests. `notices`: what was put right while reading."""

    snapshot: Snapshot
    is_original: bool
    has_keys: bool
    notices: tuple[str, ...]


def parse(content: bytes) -> Document:
    """The document in these bytes. Raises Broken."""
    return understood(read_json(content))


def understood(data: Any) -> Document:
    """What JSON that has been read says as a document; `data` is ours to change. Raises Broken."""
    if not isinstance(data, dict):
        raise Broken(
            f"the document is a JSON {_json_type(data)}; it must be an object with providers, models, apiKeys …"
        )
    version = data.pop("version", None)
    _check_version(version)
    sections: dict[str, dict[str, Any]] = {}
    notices: list[str] = []
    has_keys = False
    for section in SECTIONS:
        rows = data.pop(section.member, None)
        if rows is None:
            rows = []
        if not isinstance(rows, list):
            raise Broken(f"{section.member} is a JSON {_json_type(rows)}; it must be a list")
        has_keys = has_keys or any(
            isinstance(row, dict) and row.get("key") for row in rows if section.kind is VirtualKey
        )
        sections[section.attribute] = _records(section, rows, version is None, notices)
    settings = data.pop("settings", None)
    if settings is not None and not isinstance(settings, dict):
        raise Broken(f"settings is a JSON {_json_type(settings)}; it must be an object of names and values")
    for name, value in {**data, "settings": settings}.items():
        if is_deep(value):
            raise Broken(f"{name} is nested too deeply")
    snapshot = Snapshot.of(**sections, settings=settings or {}, extra=data)
    notices += [message for _, message in clashes(snapshot)]
    return Document(snapshot, version is None, has_keys, tuple(notices))


def render(snapshot: Snapshot) -> bytes:
    """The document as it is saved. Raises ValueError for a value that JSON has no form for (NaN in a setting)."""
    return written(as_json(snapshot))


class Printer:
    """Renders one version after the other, and writes only what is new: the texts of the records it has written last are kept.
    To write tens of thousands of them anew takes seconds, and it is one that is changed. Not thread-safe."""

    def __init__(self) -> None:
        self._texts: dict[int, tuple[Record, str]] = {}  # by identity, which is theirs as long as they are here

    def render(self, snapshot: Snapshot) -> bytes:
        """As the function does."""
        texts: dict[int, tuple[Record, str]] = {}
        try:
            members = [_member(name, value) for name, value in {"version": VERSION, **snapshot.extra}.items()]
            for section in SECTIONS:
                found = []
                for record in getattr(snapshot, section.attribute).values():
                    text = self._texts.get(id(record)) or (record, _indented(record.to_json(), 4))
                    texts[id(record)] = text
                    found.append(text[1])
                rows = ",\n    ".join(found)
                members.append(f'  "{section.member}": ' + (f"[\n    {rows}\n  ]" if rows else "[]"))
            members.append(_member("settings", dict(snapshot.settings)))
            content = ("{\n" + ",\n".join(members) + "\n}\n").encode()
        except (ValueError, TypeError, RecursionError):
            return render(snapshot)  # which says why, or how it can be written all the same
        self._texts = texts
        return content


def _member(name: str, value: Any) -> str:
    return f"  {json.dumps(name, ensure_ascii=False)}: {_indented(value, 2)}"


def _indented(value: Any, columns: int) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return text.replace("\n", "\n" + " " * columns)  # in a text they are escaped


def as_json(snapshot: Snapshot) -> Json:
    """The document as a dict: the unknown members first, where a note to the reader belongs."""
    document: Json = {"version": VERSION, **snapshot.extra}
    for section in SECTIONS:
        document[section.member] = [record.to_json() for record in getattr(snapshot, section.attribute).values()]
    document["settings"] = dict(snapshot.settings)
    return document


def written(document: Json) -> bytes:
    """A document as people read it: UTF-8, indented. Raises ValueError for what JSON has no form for."""
    try:
        return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair, somewhere in a member we do not know: UTF-8 has no form for it, an escape has.
        return (json.dumps(document, indent=2, allow_nan=False) + "\n").encode()
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from error


def clashes(snapshot: Snapshot) -> list[tuple[tuple[str, str], str]]:
    """What two records claim at once: (what, value), and the sentence about it. An older file may have some; a change
    must not bring a new one. References to records that are not there are no clash: a provider can come from the
    environment, and a name that leads nowhere is answered as such."""
    found: list[tuple[tuple[str, str], str]] = []
    for user in snapshot.users.values():
        name = user.username.casefold()
        if (first := snapshot.users_by_name[name]) is not user:
            found.append(
                (("username", name), f'the user name "{user.username}" is taken by the user with the id "{first.id}"')
            )
    for key in snapshot.keys.values():
        if (known := snapshot.keys_by_hash[key.key_hash]) is not key:
            found.append((("key", key.key_hash), f'the API keys "{known.id}" and "{key.id}" are the same key'))
    for id_ in snapshot.aliases.keys() & snapshot.providers.keys():
        found.append(
            (("id", id_), f'the id "{id_}" belongs to a provider and an alias, and both would be the path /{id_}')
        )
    return found


def _records(section: Section, rows: list[Any], is_original: bool, notices: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    places: dict[str, int] = {}
    tried: dict[str, int] = {}
    for place, row in enumerate(rows):
        try:
            record: Any = section.kind.from_json(row)
        except BadRequest as error:
            where = f"{section.member}[{place}]" + (f".{error.param}" if error.param else "")
            raise Broken(f"{where}: {error.message}") from None
        if record.id in found and is_original and isinstance(record, Model):
            record = _renamed(record, found, tried)
            notices.append(
                f'two models have the id "{record.upstream_model}"; the second is called "{record.id}" now '
                "and goes by its old name upstream"
            )
        if record.id in found:
            raise Broken(
                f'{section.member}[{place}].id: "{record.id}" is the id of {section.member}[{places[record.id]}] already; '
                "give one of the two another id"
            )
        found[record.id] = record
        places[record.id] = place
    return found


def _renamed(model: Model, taken: Mapping[str, Any], tried: dict[str, int]) -> Model:
    """The model under a free id; `tried` is how many there are of a name already. One that has no room for it stays as it is."""
    wish = id_ = f"{model.provider_id}/{model.id}"
    number = tried.get(wish, 1)
    while id_ in taken:
        number += 1
        id_ = f"{wish}-{number}"
    tried[wish] = number
    renamed = replace(model, id=id_, upstream_model=model.upstream_model or model.id)
    return renamed if len(id_) <= MAX_NAME_CHARS else model


def _owners(keys: Mapping[str, VirtualKey], users: Mapping[str, User], by_name: Mapping[str, User]) -> dict[str, User]:
    """Whose key is whose: the user's it is linked to. Of several (a shared key) one who is enabled, and of these the one its
    `username` names, else the first; a key nobody is linked to belongs to the user its `username` names, if there is one."""
    ranked = sorted(users.values(), key=lambda user: not user.enabled)
    found = {user.api_key_id: user for user in reversed(ranked) if user.api_key_id in keys}
    owners = {id_: user for id_, user in found.items() if id_ is not None}
    for key in keys.values():
        named = by_name.get(key.username.casefold()) if key.username else None
        if named is None:
            continue
        linked = owners.get(key.id)
        if linked is None or (named.api_key_id == key.id and named.enabled >= linked.enabled):
            owners[key.id] = named
    return owners


def _check_version(version: Any) -> None:
    if version is None or (version == VERSION and isinstance(version, int) and not isinstance(version, bool)):
        return
    if isinstance(version, int) and not isinstance(version, bool) and version > VERSION:
        raise Broken(
            f"it has version {version}, and this iPin Proxy knows version {VERSION}; "
            "a newer one wrote it: use that, or go back to a backup from before"
        )
    raise Broken(f"version is {json.dumps(version)[:40]}; it must be {VERSION}")


def read_json(content: bytes | bytearray) -> Any:
    """JSON as we take it: UTF-8, no member twice, no NaN. Raises Broken, which says where."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Broken(f"line {line}: byte {error.start + 1} is not UTF-8; save the file in the encoding UTF-8") from None
    try:
        return json.loads(text, object_pairs_hook=_members, parse_constant=_constant, parse_float=_fraction)
    except json.JSONDecodeError as error:
        if not text.strip():
            raise Broken("the file is empty") from None
        cut_short = " (the file ends here: it may have been cut short)" if error.pos >= len(text.rstrip()) else ""
        raise Broken(f"line {error.lineno}, column {error.colno}: {error.msg}{cut_short}") from None
    except RecursionError:
        raise Broken("its objects and lists are nested too deeply") from None
    except Broken:
        raise
    except ValueError:  # an integer of thousands of digits, which Python refuses to convert
        raise Broken("it holds a number with too many digits") from None


def _members(pairs: list[tuple[str, Any]]) -> Json:
    """An object; of two members with one name Python would silently drop the first, and with it half of a database."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        whose = next((f" of the one with the id {json.dumps(value)[:80]}" for name, value in pairs if name == "id"), "")
        raise Broken(f"the member {json.dumps(twice)[:80]} stands twice in one object{whose}; remove one of them")
    return found


def _fraction(text: str) -> float:
    """A number with a point or an exponent; `1e999` would be infinite, and could not be written again."""
    if not isfinite(found := float(text)):
        raise Broken(f"it holds the number {text[:40]}, which is too large")
    return found


def _constant(name: str) -> NoReturn:
    raise Broken(f"it holds {name}, which is no JSON number")


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    kinds = ((str, "text"), (list, "list"), (dict, "object"), ((int, float), "number"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "null")
