"""The ledger's schema: a list of functions, one a version; the number of a version is how many of them have run.

A migration is written once and never changed, so it names tables and columns itself and knows nothing of today's code. Each
runs in a transaction of its own with the new number in it: a process that is killed leaves the version before, whole.
`tests/unit/test_ledger_migrations.py` opens a file of every version there was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

# What calls are summed up as, in hours and in days. `asked`: a provider was; `unknown`: of these, nobody knows the cost.
TOTALS_1 = (
    "calls INTEGER NOT NULL, asked INTEGER NOT NULL, errors INTEGER NOT NULL, unknown INTEGER NOT NULL,"
    " input INTEGER NOT NULL, cached INTEGER NOT NULL, cache_write INTEGER NOT NULL, output INTEGER NOT NULL,"
    " reasoning INTEGER NOT NULL, audio_in INTEGER NOT NULL, audio_out INTEGER NOT NULL, seconds INTEGER NOT NULL,"
    " images INTEGER NOT NULL, pages INTEGER NOT NULL, characters INTEGER NOT NULL, cost INTEGER NOT NULL"
)


def begin(db: sqlite3.Connection) -> None:
    """Version 1.

    `calls` has what is of one call alone. What many calls have in common is written once: whose they were and where they
    went (`ways`), how they ended (`outcomes`), and both together (`facets`), with the number of rows there are of each. So
    rows are small, and any filter is a set of facets.

    Totals are kept by `lanes` (who called which model where) in `hours` and `days`, and by one thing alone in `splits`: for
    `by` is 0 all of a day, 1 a key's, 2 a user's, 3 a model's, 4 a provider's, 5 an alias's, and 6 all of an hour. They
    outlive the rows. `latencies` is a histogram of each hour (`hours` is 1) and each day (24).
    Times are milliseconds since 1970, durations microseconds, money nano-dollars, `start` and the like hours and days since
    1970, in UTC. `ranks` is the rows in the order of each column they can be sorted by, `idtexts`
    their request ids in a few long texts.
    """
    for statement in (
        "CREATE TABLE calls (id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, facet INTEGER NOT NULL,"
        " request_id TEXT NOT NULL, address TEXT NOT NULL, user_agent TEXT NOT NULL, latency INTEGER NOT NULL,"
        " upstream INTEGER NOT NULL, overhead INTEGER NOT NULL, first_chunk INTEGER, input INTEGER NOT NULL,"
        " cached INTEGER NOT NULL, cache_write INTEGER NOT NULL, output INTEGER NOT NULL, reasoning INTEGER NOT NULL,"
        " audio_in INTEGER NOT NULL, audio_out INTEGER NOT NULL, total INTEGER NOT NULL, seconds INTEGER NOT NULL,"
        " images INTEGER NOT NULL, pages INTEGER NOT NULL, characters INTEGER NOT NULL, cost INTEGER,"
        " upstream_cost INTEGER, error_message TEXT NOT NULL, bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL,"
        " tries INTEGER NOT NULL, attempts TEXT NOT NULL)",
        "CREATE INDEX calls_time ON calls (time, facet)",
        "CREATE INDEX calls_facet ON calls (facet, time)",
        "CREATE INDEX calls_request ON calls (request_id, time, facet)",
        "CREATE INDEX calls_error ON calls (error_message, time, facet) WHERE error_message <> ''",
        "CREATE TABLE lanes (id INTEGER PRIMARY KEY, key_id TEXT NOT NULL, user_id TEXT NOT NULL, model TEXT NOT NULL,"
        " provider_id TEXT NOT NULL, alias TEXT NOT NULL, UNIQUE (key_id, user_id, model, provider_id, alias))",
        "CREATE TABLE ways (id INTEGER PRIMARY KEY, key_id TEXT NOT NULL, key_name TEXT NOT NULL, user_id TEXT NOT NULL,"
        " user_name TEXT NOT NULL, dialect TEXT NOT NULL, endpoint TEXT NOT NULL, alias TEXT NOT NULL,"
        " model TEXT NOT NULL, upstream_model TEXT NOT NULL, provider_id TEXT NOT NULL, served_model TEXT NOT NULL,"
        " lane INTEGER NOT NULL, UNIQUE (key_id, model, served_model, provider_id, user_id, alias, upstream_model,"
        " endpoint, dialect, key_name, user_name))",
        "CREATE TABLE outcomes (id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, media TEXT NOT NULL,"
        " status INTEGER NOT NULL, cost_basis TEXT NOT NULL, finish_reason TEXT NOT NULL, error_origin TEXT NOT NULL,"
        " error_code TEXT NOT NULL, failed INTEGER NOT NULL,"
        " UNIQUE (status, error_code, error_origin, finish_reason, stream, cost_basis, media))",
        "CREATE TABLE facets (id INTEGER PRIMARY KEY, way INTEGER NOT NULL, outcome INTEGER NOT NULL,"
        " rows INTEGER NOT NULL DEFAULT 0)",
        "CREATE INDEX facets_way ON facets (way, outcome, rows)",
        f"CREATE TABLE hours (start INTEGER, lane INTEGER, {TOTALS_1}, PRIMARY KEY (start, lane)) WITHOUT ROWID",
        f"CREATE TABLE days (start INTEGER, lane INTEGER, {TOTALS_1}, PRIMARY KEY (start, lane)) WITHOUT ROWID",
        f"CREATE TABLE splits (by INTEGER, start INTEGER, id TEXT, {TOTALS_1}, PRIMARY KEY (by, start, id))"
        " WITHOUT ROWID",
        "CREATE TABLE latencies (hours INTEGER, start INTEGER, bucket INTEGER, calls INTEGER NOT NULL,"
        " PRIMARY KEY (hours, start, bucket))"
        " WITHOUT ROWID",
        "CREATE TABLE ranks (col INTEGER, value, time INTEGER, facet INTEGER, id INTEGER,"
        " PRIMARY KEY (col, value, time, facet, id)) WITHOUT ROWID",
        "CREATE TABLE idtexts (first INTEGER PRIMARY KEY, text BLOB NOT NULL)",
        "CREATE TABLE names (kind TEXT, id TEXT, name TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID",
        "CREATE TABLE marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE audit (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, actor TEXT NOT NULL, address TEXT NOT NULL,"
        " action TEXT NOT NULL, resource TEXT NOT NULL, resource_id TEXT NOT NULL, before TEXT, after TEXT)",
        "CREATE INDEX audit_time ON audit (time)",
    ):
        db.execute(statement)


def add_tallies(db: sqlite3.Connection) -> None:
    """Version 2: `tallies` has how many rows of each facet there are in every stretch of an order, of `ranks` or of an index
    (`col` is -1 for that of the time, -2 for that of the request id). `facets` is the numbers of facets and then, for
    each, of rows, in 32 bits, the least byte first. They are made later, of the rows there are. `letters` of `idtexts` are
    the bytes there are in its `text`."""
    db.execute(
        "CREATE TABLE tallies (col INTEGER, value, time INTEGER, facet INTEGER, id INTEGER, rows INTEGER NOT NULL,"
        " facets BLOB NOT NULL, PRIMARY KEY (col, value, time, facet, id)) WITHOUT ROWID"
    )
    db.execute("ALTER TABLE idtexts RENAME TO before")
    # Before the text: what comes behind a long value is read through it.
    db.execute("CREATE TABLE idtexts (first INTEGER PRIMARY KEY, letters BLOB NOT NULL, text BLOB NOT NULL)")
    for first, text in db.execute("SELECT first, text FROM before"):
        db.execute("INSERT INTO idtexts VALUES (?, ?, ?)", (first, bytes(sorted(set(text))), text))
    db.execute("DROP TABLE before")


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (begin, add_tallies)
