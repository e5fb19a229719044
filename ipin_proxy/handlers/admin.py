"""Providers, models, keys, users and aliases for administrators: one CRUD, written once for all kinds (kinds.py).

A change is looked at and stored under the store's lock, whole or not at all, and is a line in the log. Secrets leave here
once, in the answer to the request that made them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import audit, keys, passes
from ..app import App, Visit
from ..bodies import json_object, private_json
from ..errors import BadRequest, Conflict, ProxyError
from ..kinds import KEYS, USERS, Collection, Json, now_ms, record_id, rotated
from ..records import User, check_new, merge
from ..web.response import Response

if TYPE_CHECKING:
    from ..store import Draft

Handler = Callable[[App, Visit], Response]
ACTIONS = ("enable", "disable", "delete")


def list_all(c: Collection) -> Handler:
    """`{"providers": […]}`, in the order of the database; what the environment offers comes last."""

    def handler(app: App, visit: Visit) -> Response:
        stored = c.rows(app.store.snapshot())
        return private_json({c.plural: [c.shown(app, each) for each in (*stored.values(), *c.offers(app).values())]})

    return handler


def create(c: Collection) -> Handler:
    """201 and the record. A key is in it in full, this once. `{"models": […]}` makes several, all of them or none, and
    answers in the same shape; the first wrong one is told as `param`: `models[3].id`."""

    def handler(app: App, visit: Visit) -> Response:
        body = json_object(visit.request)
        several = body.get(c.plural)
        rows = several if isinstance(several, list) else [body]
        if not rows:
            raise BadRequest(f"The list '{c.plural}' is empty; there is nothing to add.", param=c.plural)
        made = []
        for place, row in enumerate(rows):
            with at(c.plural, place, rows is several):
                made.append(new_record(c, row))
        with app.store.edit() as draft:
            for place, (_, record) in enumerate(made):
                with at(c.plural, place, rows is several):
                    add(app, c, draft, record)
            keys.note_use(app, draft)
        audit.note_all(
            app,
            visit,
            [
                audit.Touched("create", c.plural, record_id(record), None, audit.state(app, c, record))
                for _, record in made
            ],
        )
        answers = [{**c.shown(app, record), **{name: given[name] for name in c.told_once}} for given, record in made]
        return private_json({c.plural: answers} if rows is several else answers[0], 201)

    return handler


def new_record(c: Collection, row: Any) -> tuple[Json, Any]:
    """What was given, with what was made for it, and the record. Raises BadRequest."""
    if not isinstance(row, dict):
        raise BadRequest(f"Expected {c.one}, which is a JSON object.")
    given = c.for_new(c.known(row))
    record = c.kind.from_json({**given, "createdAt": now_ms()})
    check_new(record)
    return given, record


def add(app: App, c: Collection, draft: Draft, record: Any) -> None:
    rows, id_ = c.rows(draft), record_id(record)
    if id_ in rows:
        raise Conflict(f"The id '{id_}' is taken by another {c.noun}. Choose another one.", param="id")
    c.check(app, draft, record, None)
    rows[id_] = record


@contextlib.contextmanager
def at(list_: str, place: int, is_list: bool = True) -> Iterator[None]:
    """An error inside is one of that item of a list; its `param` says so."""
    try:
        yield
    except ProxyError as error:
        if is_list:
            error.param = f"{list_}[{place}]{'.' if error.param else ''}{error.param or ''}"
        raise


def retrieve(c: Collection) -> Handler:
    def handler(app: App, visit: Visit) -> Response:
        id_ = visit.params["id"]
        record = c.rows(app.store.snapshot()).get(id_) or c.offers(app).get(id_)
        if record is None:
            raise c.nothing_called(id_)
        return private_json(c.shown(app, record))

    return handler


def update(c: Collection) -> Handler:
    """Changes the members given and answers the record; an offered provider is stored with this."""

    def handler(app: App, visit: Visit) -> Response:
        id_ = visit.params["id"]
        given = c.for_change(c.known(json_object(visit.request)))
        with app.store.edit() as draft:
            rows = c.rows(draft)
            before = rows.get(id_) or c.offers(app).get(id_)
            if before is None:
                raise c.nothing_called(id_)
            check_same_id(c, rows, id_, given)
            was = audit.state(app, c, before, before)
            after = c.changed(before, given)
            c.check(app, draft, after, before)
            if id_ not in rows:
                after = merge(after, {"createdAt": now_ms()})
            rows[id_] = after
            c.followed(draft, before, after)
            also = [*audit.carried(app, app.store.snapshot(), draft, c, [id_])]
            keys.note_use(app, draft)
        if isinstance(after, User) and not passes.is_same_entry(before, after):
            app.sessions.close_all_of(id_)
        changed = audit.Touched("update", c.plural, id_, was, audit.state(app, c, after, before))
        audit.note_all(app, visit, [changed, *also])
        return private_json(c.shown(app, after))

    return handler


def check_same_id(c: Collection, rows: Mapping[str, Any], id_: str, given: Json) -> None:
    """The id stands in other records, in logs and in what clients have configured: it is not changed afterwards."""
    wanted = given.get("id", id_)
    if wanted == id_:
        return
    if isinstance(wanted, str) and wanted in rows:
        raise Conflict(f"The id '{wanted}' is taken by another {c.noun}, and an id cannot be changed.", param="id")
    raise BadRequest(f"The id of {c.one} cannot be changed. Make a new {c.noun} and delete this one.", param="id")


def delete(c: Collection) -> Handler:
    """`{"success": true}`, and with a provider `deletedModels`."""

    def handler(app: App, visit: Visit) -> Response:
        id_ = visit.params["id"]
        with app.store.edit() as draft:
            record = c.rows(draft).pop(id_, None)
            if record is None and id_ in c.offers(app):
                variable = c.offers(app)[id_].api_key.removeprefix("env:")
                raise Conflict(
                    f"The {c.noun} '{id_}' is offered because the environment has {variable}. "
                    "Remove that variable, or disable the provider here."
                )
            if record is None:
                raise c.nothing_called(id_)
            also = c.removed(app, draft, [record])
            gone = audit.Touched("delete", c.plural, id_, audit.state(app, c, record, record))
            changes = [gone, *audit.carried(app, app.store.snapshot(), draft, c, [id_])]
            keys.note_use(app, draft)
        if isinstance(record, User):
            app.sessions.close_all_of(id_)
        audit.note_all(app, visit, changes)
        return private_json({"success": True, **also})

    return handler


def revoke(app: App, visit: Visit) -> Response:
    """`POST …/users/{id}/revoke`: every pass and session of a user ends; they may sign in again."""
    id_ = visit.params["id"]
    with app.store.edit() as draft:
        if id_ not in draft.users:
            raise USERS.nothing_called(id_)
        draft.users[id_] = passes.revoked(draft.users[id_])
        keys.note_use(app, draft)
    app.sessions.close_all_of(id_)
    audit.note(app, visit, "revoke", USERS.plural, id_)
    return private_json({"success": True})


def bulk(c: Collection) -> Handler:
    """`{ids, action: enable | disable | delete}`, all of them or none: `{"models": [the changed ones]}`, or
    `{"deleted": [ids]}`. For kinds whose records stand for themselves."""

    def handler(app: App, visit: Visit) -> Response:
        ids, action = what_to_do(json_object(visit.request))
        changes: list[audit.Touched] = []
        gone = []
        with app.store.edit() as draft:
            rows = c.rows(draft)
            for place, id_ in enumerate(ids):
                record = rows.get(id_)
                if record is None:
                    with at("ids", place):
                        raise c.nothing_called(id_)
                was, now = audit.state(app, c, record, record), None
                if action == "delete":
                    gone.append(rows.pop(id_))
                else:
                    rows[id_] = after = replace(record, enabled=action == "enable")
                    c.check(app, draft, after, record)
                    now = audit.state(app, c, after, after)
                changes.append(audit.Touched(action, c.plural, id_, was, now))
            if gone:
                c.removed(app, draft, gone)
            changed = [rows[id_] for id_ in ids if id_ in rows]
            changes += audit.carried(app, app.store.snapshot(), draft, c, ids)
            keys.note_use(app, draft)
        audit.note_all(app, visit, changes)
        if action == "delete":
            return private_json({"deleted": ids})
        return private_json({c.plural: [c.shown(app, record) for record in changed]})

    return handler


def what_to_do(given: Json) -> tuple[list[str], str]:
    """The ids, each once, and the action. Raises BadRequest."""
    ids, action = given.get("ids"), given.get("action")
    if not isinstance(ids, list) or not ids or not all(isinstance(id_, str) for id_ in ids):
        raise BadRequest("'ids' must be a list of at least one id.", param="ids")
    if action not in ACTIONS:
        raise BadRequest(f"'action' must be one of {', '.join(ACTIONS)}.", param="action")
    return list(dict.fromkeys(ids)), action


def rotate_key(app: App, visit: Visit) -> Response:
    """`POST …/apikeys/{id}/rotate`: the record with a new key in full, this once; the old one is dead."""
    id_ = visit.params["id"]
    with app.store.edit() as draft:
        before = draft.keys.get(id_)
        if before is None:
            raise KEYS.nothing_called(id_)
        after, secret = rotated(draft, before)
        keys.note_use(app, draft)
    audit.note(app, visit, "rotate", KEYS.plural, id_, audit.state(app, KEYS, before), audit.state(app, KEYS, after))
    return private_json({**KEYS.shown(app, after), "key": secret})
