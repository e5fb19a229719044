"""Export, import, backups: the whole database, taken away and brought back by administrators.

Nothing changes before everything is known to be good, there is always somebody left who may change it back, and whoever
does it stays signed in if they are still an administrator afterwards.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

from .. import audit, firststart, interchange
from ..app import App, Visit
from ..bodies import PRIVATE, asks_for, json_object, private_json
from ..deployments import DEMO_PROVIDER
from ..errors import BadRequest, Conflict
from ..interchange import Taken
from ..records import User
from ..snapshot import Broken, Snapshot, read_json, written
from ..store import Backup, Draft
from ..web.response import JSON_HEADERS, Response


def export_document(app: App, visit: Visit) -> Response:
    """`GET /api/admin/export?secrets=1`: the document as a file to save; without secrets unless asked."""
    secrets = asks_for(visit.request, "secrets")
    found = interchange.document(app.store.snapshot(), secrets=secrets)
    audit.note(app, visit, "export", "database", "with secrets" if secrets else "without secrets")
    name = f"ipin-proxy-{time.strftime('%Y-%m-%d', time.gmtime())}.json"
    headers = {**JSON_HEADERS, **PRIVATE, "content-disposition": f'attachment; filename="{name}"'}
    return Response(200, headers, written(found))


def import_document(app: App, visit: Visit) -> Response:
    """`POST /api/admin/import?dryRun=1`: `{added, changed, removed, notices, dryRun}`."""
    try:
        data = read_json(visit.request.body)
    except Broken as error:
        raise BadRequest(f"The document cannot be read: {error}.", code="invalid_json") from error
    if asks_for(visit.request, "dryRun"):
        before = app.store.snapshot()
        found = acceptable(take(app, data, before))
        draft = Draft.of(before)
        draft.become(found.snapshot)
        draft.frozen(before)  # refuses what the import would be refused for
        return report(app, visit, before, found, dry=True)
    with app.store.edit() as draft:
        before = app.store.snapshot()  # with what was edited by hand a moment ago
        found = acceptable(take(app, data, before))
        draft.become(found.snapshot)
    note(app, visit, "import", "", before, found.snapshot)
    answer = report(app, visit, before, found, dry=False)
    put_in_force(app, visit)
    return answer


def take(app: App, data: Any, before: Snapshot) -> Taken:
    found = interchange.take(data, before, {*app.catalog().offered, DEMO_PROVIDER.id})
    interchange.check_references(before, found.snapshot, app.config.settings.secrets_dir)
    return found


def list_backups(app: App, visit: Visit) -> Response:
    """`{"backups": [{name, time, sizeBytes, readable, and how many records of which kind}]}`, newest first."""
    known = app.known_backups
    found = [
        {**(known.get((each.saved_at, each.size_bytes)) or describe(app, each)), "name": each.name}
        for each in app.store.backups()
    ]
    app.known_backups = {(row["time"], row["sizeBytes"]): row for row in found if row["readable"]}
    return private_json({"backups": found})


def describe(app: App, backup: Backup) -> dict[str, Any]:
    """Reads it whole, for which changes wait: seconds, where there are tens of thousands of records."""
    snapshot: Snapshot | None = None
    with contextlib.suppress(Conflict):
        backup, snapshot = app.store.backup(backup.name)  # by now it may be another one that has the name
    counts = audit.counts(snapshot) if snapshot is not None else dict.fromkeys(kind.plural for kind in audit.KINDS)
    about = {"name": backup.name, "time": backup.saved_at, "sizeBytes": backup.size_bytes}
    return {**about, "readable": snapshot is not None, **counts}


def restore(app: App, visit: Visit) -> Response:
    """`POST /api/admin/backups/{name}/restore?dryRun=1`: answers as an import. The body may say which version is meant,
    `{"time": ms}`, since names move on with every change."""
    name = visit.params["name"]
    wanted = json_object(visit.request).get("time") if visit.request.body else None
    seen: list[Snapshot] = []

    def check(backup: Backup, kept: Snapshot) -> Snapshot:
        if wanted is not None and wanted != backup.saved_at:
            raise Conflict("There were changes meanwhile; look at the list of backups again.", code="backup_changed")
        before = app.store.snapshot()
        after = acceptable(Taken(interchange.revived(kept, before), [])).snapshot
        seen[:] = [before, after]
        return after

    dry = asks_for(visit.request, "dryRun")
    if dry:
        check(*app.store.backup(name))
    else:
        app.store.restore(name, check)
        note(app, visit, "restore", name, *seen)
    before, after = seen
    answer = report(app, visit, before, Taken(after, []), dry=dry)
    if not dry:
        put_in_force(app, visit)
    return answer


def note(app: App, visit: Visit, action: str, name: str, before: Snapshot, after: Snapshot) -> None:
    """A whole database has taken the place of another: what has become of each record and each setting, as if that had been
    done alone; and how many records there were and are, and how many are different."""
    different = {what: len(rows) for what, rows in interchange.changes(before, after).items()}
    whole = audit.Touched(action, "database", name, audit.counts(before), {**audit.counts(after), **different})
    each = [*audit.carried(app, before, after), *audit.settings_changed(before.settings, after.settings)]
    audit.note_all(app, visit, [*each, whole])


def acceptable(found: Taken) -> Taken:
    """Raises Conflict when nobody could sign in afterwards who may undo it."""
    if not firststart.has_administrator(found.snapshot.users):
        raise Conflict(
            "It has no enabled administrator with a password, so nobody could sign in to change anything. "
            "Nothing was changed.",
            code="last_administrator",
        )
    return found


def report(app: App, visit: Visit, before: Snapshot, found: Taken, *, dry: bool) -> Response:
    notices = list(found.notices)
    if visit.caller.user is not None and heir_of(visit.caller.user, found.snapshot) is None:
        notices.append("Your own account is not an administrator in it: you will be signed out.")
    return private_json({**interchange.changes(before, found.snapshot), "notices": notices, "dryRun": dry})


def put_in_force(app: App, visit: Visit) -> None:
    """Settings, master key, the session of whoever did it, whatever has become of their password, and the end of others'."""
    user, session = visit.caller.user, visit.caller.session
    if user is not None and session is not None:
        heir = heir_of(user, app.store.snapshot())
        if heir is not None:
            app.sessions.hand_over(session, user, heir)
    app.sessions.close_lost(app.store.snapshot().users)
    app.take_settings()


def heir_of(user: User, after: Snapshot) -> User | None:
    """The same person in another state of the database: by name, else by id, if still an administrator."""
    same = after.users_by_name.get(user.username.casefold()) or after.users.get(user.id)
    return same if same is not None and same.enabled and same.role == "admin" else None
