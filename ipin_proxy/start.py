"""From a command line to a running server: flags, settings, the parts wired together, signals, and the few lines a person
reads. Whatever keeps the server from starting is one clear line on standard error and exit 1.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from . import __version__, config, firststart, keys, ledgerfile
from .app import App
from .config import Config, Settings
from .errors import ConfigError, ProxyError, reason
from .flags import Flags, help_text, read_flags
from .limits import longest_rolling
from .logs import Log, check_file
from .store import Store, find, inspect, left_behind, plan

if TYPE_CHECKING:
    from .web.server import Limits, Server

DATABASE = "ipin-proxy.db"
# Where hosts such as Render put secret files: a database that is missing begins as a copy of it.
SEED = Path("/etc/secrets") / DATABASE
HOUSEKEEPING_S = 1.0
WEBHOOK_S = 2.0  # for what still has to be told
MINUTE_MS = 60_000
# Deeply nested JSON needs more than 2 MB in CPython 3.13; what is not touched costs nothing.
THREAD_STACK_BYTES = 8 * 1024 * 1024
# How long a worker that computes keeps the interpreter from the loop, each time that wants it back, which is some times a call.
# With Python's own 5 ms a call took 30 ms longer all the while that a large database was saved, or a long list made.
SWITCH_S = 0.0005
# Calls leave nothing behind that only the collector finds, and what a hundred of them have at once made it look every time.
COLLECTIONS = 10_000, 10, 10
SHORT_KEY_CHARS = 16  # as callers' own keys have at least; wrong keys are not slowed down
EVERYWHERE = ("0.0.0.0", "::", "")
# What is opened or taken at the start, and stays as it is until the next one.
AT_THE_START = ("port", "host", "db_storage_paths", "log_file", "cpu_affinity")

reading_settings = threading.Lock()


def main(arguments: Sequence[str], folder: Path) -> int:
    """Run the command; the exit status. `folder` is where server.py lies."""
    try:
        asked = read_flags(arguments)
        if asked.help or asked.version:
            say(help_text() if asked.help else f"iPin Proxy {__version__}")
            return 0
        if asked.check:
            return check(asked, folder)
        if asked.reset_password:
            return reset_password(asked, folder)
        return serve(asked, folder)
    except ConfigError as error:
        print(f"iPin Proxy cannot start: {error}", file=sys.stderr)
        return 1


def read_config(flags: Flags, folder: Path, database: dict[str, Any]) -> Config:
    beside = folder / ".env"
    is_there = os.path.lexists(beside)  # a link that leads nowhere, or where we may not look, is to be told of
    env_file = Path(flags.env_file) if flags.env_file else beside if is_there else None
    return config.load({"port": flags.port, "host": flags.host}, os.environ, env_file, database)


def places(flags: Flags, folder: Path, found: Config) -> list[Path]:
    """Where the database may be, best first."""
    if flags.db:
        return [Path(flags.db)]
    return [each / DATABASE for each in (folder, *found.settings.db_storage_paths)]


def open_store(flags: Flags, folder: Path, found: Config, log: Log) -> Store:
    paths = places(flags, folder, found)
    aside = found.settings.db_storage_paths
    store = Store.open(paths, seed=SEED, last_resort=not flags.db, aside=aside, warn=log.warning)
    if store.begun_as is not None:
        before, ledger = ledgerfile.place(store.begun_as), ledgerfile.place(store.path, aside)
        ledgerfile.bring_along(before, ledger, lambda message: log.warning("ledger", message=message))
    return store


def check(flags: Flags, folder: Path) -> int:
    """`--check`: would it start? Nothing is written."""
    found = read_config(flags, folder, {})
    if found.settings.log_file is not None:
        check_file(found.settings.log_file)
    paths = places(flags, folder, found)
    path = find(paths) or (None if flags.db else left_behind(paths))
    if path is None:
        place, source = plan(paths, SEED, last_resort=not flags.db)
        makes = f"a copy of {source}" if source is not None else "a new one"
        say(f"The settings are good. There is no database yet; a start makes {makes} in {place}.")
        return 0
    snapshot = inspect(path, found.settings.db_storage_paths)
    read_config(flags, folder, dict(snapshot.settings))
    ledgerfile.check(ledgerfile.place(path, found.settings.db_storage_paths))
    say(f"The settings and {path} are good: {counted(snapshot)}.")
    return 0


def reset_password(flags: Flags, folder: Path) -> int:
    found = read_config(flags, folder, {})
    log = Log("warning")
    store = open_store(flags, folder, found, log)
    try:
        name, password = firststart.reset_first_administrator(store, found)
    finally:
        store.close()
    say(f"New password of {name}: {password}")
    return 0


def serve(flags: Flags, folder: Path) -> int:
    """Start, serve until a signal ends it, and leave everything in order."""
    first = read_config(flags, folder, {})
    log = Log(first.settings.log_level, first.settings.log_file, bodies=first.settings.log_bodies)
    store = open_store(flags, folder, first, log)
    app: App | None = None
    try:
        found = read_config(flags, folder, dict(store.snapshot().settings))
        set_log(log, found)
        stay_on_cores(found.settings.cpu_affinity)
        prepare_threads()
        app = App(found, store, log)
        app.read_settings = partial(read_settings, app, flags, folder)
        server = listen(app)
        app.server = server
        handle_signals(app, server)  # before anybody can know that we are there, and before what follows
        secrets = firststart.prepare(store, found)  # only now: what is made once must also be told
        app.set_master()
        introduce(app, server.port, secrets)
        warn_of_risks(app)
        stopped = threading.Event()
        is_first = secrets.username is not None
        threading.Thread(target=keep_house, args=(app, stopped, is_first), name="housekeeping", daemon=True).start()
        recall_spending(app)
        gc.freeze()  # what lives as long as the process need not be looked at in every collection
        gc.enable()  # see server.py
        gc.set_threshold(*COLLECTIONS)
        server.serve_forever()
        stopped.set()
        app.upstreams.connections.close()
        keep_last_used(app)
        app.webhook.close(WEBHOOK_S)
        log.info("stopped")
    finally:
        if app is not None:
            app.ledger.close()
        store.close()
        log.close()
    return 0


def recall_spending(app: App) -> None:
    """Give the limits what the ledger knows. Raises ConfigError where that cannot be read: budgets would begin anew."""
    snapshot, ledger = app.store.snapshot(), app.ledger
    days = longest_rolling([*snapshot.keys.values(), *snapshot.users.values()])
    try:
        app.limits.restore(ledger.spent, ledger.recent(int(time.time() * 1000) - MINUTE_MS), days=days)
    except ProxyError as error:
        raise ConfigError(
            f"what was spent cannot be read from {ledger.path} ({error.message}) Correct it, or move that file away to begin "
            "a new ledger, and with it all budgets."
        ) from error


def stay_on_cores(cores: tuple[int, ...]) -> None:
    if not cores or not hasattr(os, "sched_setaffinity"):
        return
    try:
        os.sched_setaffinity(0, cores)
    except OSError as error:
        raise ConfigError(f"CPU_AFFINITY cannot be set here: {reason(error)}.") from error


def prepare_threads() -> None:
    threading.stack_size(THREAD_STACK_BYTES)
    sys.setswitchinterval(SWITCH_S)


def listen(app: App) -> Server:
    """Bind and listen. Raises ConfigError when the address is taken or not ours."""
    from .dispatch import Dispatcher
    from .web.server import Server

    settings = app.config.settings
    try:
        return Server((settings.host, settings.port), Dispatcher(app), limits_of(settings))
    except OSError as error:
        raise ConfigError(
            f"{settings.host}:{settings.port} cannot be listened on: {reason(error)}. "
            "Choose another port with --port or PORT, or another address with --host or HOST."
        ) from error


def limits_of(settings: Settings) -> Limits:
    from .web.server import Limits

    return Limits(
        connections=settings.max_connections,
        body_bytes=settings.max_body_mb * 1024 * 1024,
        header_s=settings.header_timeout_s,
        body_s=settings.body_timeout_s,
        idle_s=settings.idle_timeout_s,
    )


def handle_signals(app: App, server: Server) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        if server.draining:
            os._exit(1)  # asked twice: at once
        server.shut_down(app.config.settings.drain_seconds)

    def hang_up(number: int, frame: FrameType | None) -> None:
        # Begun by the loop: what a handler raises, such as that there is no thread left, would come up wherever the loop is.
        server.loop.call(threading.Thread(target=reload, args=(app,), name="reload", daemon=True).start)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, hang_up)


def reload(app: App) -> None:
    """SIGHUP: read the database file and the settings again. What is broken is reported, and the old stays in force."""
    app.log.reopen()
    is_good = app.store.reload()
    if try_settings(app) and is_good:
        app.log.info("reloaded")


def try_settings(app: App) -> bool:
    """What the file and the environment say now, put in force, and sessions ended that it has ended; whether it is good."""
    app.sessions.close_lost(app.store.snapshot().users)
    try:
        app.read_settings()
    except ConfigError as error:
        app.log.error("reload_failed", message=str(error))
        return False
    apply_password(app)
    return True


def read_settings(app: App, flags: Flags, folder: Path) -> None:
    """Find the settings anew and put them in force. Raises ConfigError, and the old ones stay."""
    with reading_settings:
        app.config = as_started(app, read_config(flags, folder, dict(app.store.snapshot().settings)))
        set_log(app.log, app.config)
        app.set_master()
        app.ledger.retention_days = app.config.settings.retention_days
        if app.server is not None:
            app.server.limits = limits_of(app.config.settings)


def as_started(app: App, found: Config) -> Config:
    """What was found, but for what cannot change while it runs: that is said, and shown as it is."""
    running = app.config
    later = [name for name in AT_THE_START if getattr(running.settings, name) != getattr(found.settings, name)]
    if not later:
        return found
    names = ", ".join(name.upper() for name in later)
    app.log.warning("settings_wait", message=f"{names}: what is said there now counts from the next start.")
    settings = replace(found.settings, **{name: getattr(running.settings, name) for name in later})
    sources = {**found.sources, **{name: running.sources[name] for name in later}}
    return replace(found, settings=settings, sources=sources)


def set_log(log: Log, found: Config) -> None:
    log.level = found.settings.log_level
    log.bodies = found.settings.log_bodies


def apply_password(app: App) -> None:
    try:
        firststart.apply_password(app.store, app.config)
    except ProxyError as error:
        app.log.error("password_not_applied", message=error.message)


def keep_house(app: App, stopped: threading.Event, is_first_start: bool) -> None:
    """What needs no caller: a changed UI_PASSWORD at the start; about once a second, edits of the database file and
    connections to providers that have been idle for too long."""
    if not is_first_start:  # which has just hashed it
        apply_password(app)
    while not stopped.wait(HOUSEKEEPING_S):
        app.upstreams.connections.drop_stale()
        if app.limits.lacks_days:
            recall_days(app)
        if app.store.check_for_edits() and try_settings(app):
            app.log.info("reloaded")


def recall_days(app: App) -> None:
    """A budget of more days than were known has been set up."""
    try:
        app.limits.recall(app.ledger.spent)
    except ProxyError as error:  # it is tried again
        app.log.error("ledger", message=error.message)


def keep_last_used(app: App) -> None:
    """When keys were last used is in memory alone until something else is written, or until the end."""
    try:
        with app.store.edit() as draft:
            keys.note_use(app, draft)
    except ProxyError as error:
        app.log.warning("last_used_not_saved", message=error.message)


def introduce(app: App, port: int, secrets: firststart.Secrets) -> None:
    """Print the banner. Where it cannot be printed the server goes without, unless a secret would have been told by it."""
    try:
        say(banner(app, port, secrets))
    except ConfigError as error:
        if not secrets.password and not secrets.master_key:
            app.log.warning("banner_not_shown", message=str(error))
            return
        firststart.take_back(app.store, secrets)
        raise ConfigError(
            f"{error} The password and the master key are made once and shown there, so none were made; let it be written, "
            "or give UI_PASSWORD and MASTER_API_KEY."
        ) from error


def say(text: str) -> None:
    """To standard output, which may be closed, full, or a pipe nobody reads: then it raises ConfigError."""
    try:
        if sys.stdout is None:
            raise OSError("it is closed")
        try:
            print(text, flush=True)
        except UnicodeEncodeError:  # of a path or a name, letters that are not to be had there
            print(text.encode("ascii", "backslashreplace").decode(), flush=True)
    except OSError as error:
        if sys.stdout is not None:  # what is left in it would be tried again at the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ConfigError(f"standard output cannot be written: {reason(error)}.") from error


def warn_of_risks(app: App) -> None:
    for provider in app.store.snapshot().providers.values():
        if not provider.verify:
            app.log.warning("tls_not_verified", provider=provider.id, message="Its certificate is not checked.")
    settings = app.config.settings
    if len(settings.master_api_key or "") in range(1, SHORT_KEY_CHARS):
        app.log.warning(
            "master_key_is_short",
            message=f"MASTER_API_KEY has fewer than {SHORT_KEY_CHARS} characters: who guesses it may use everything.",
        )
    if settings.google_client_id and not (settings.allowed_domains or settings.allowed_emails):
        app.log.warning(
            "nobody_may_sign_in", message="GOOGLE_CLIENT_ID is set, but neither ALLOWED_DOMAINS nor ALLOWED_EMAILS."
        )


def counted(snapshot: Any) -> str:
    rows = (
        (snapshot.providers, "provider"),
        (snapshot.models, "model"),
        (snapshot.keys, "API key"),
        (snapshot.users, "user"),
    )
    return ", ".join(f"{len(row)} {noun}{'' if len(row) == 1 else 's'}" for row, noun in rows)


def banner(app: App, port: int, secrets: firststart.Secrets) -> str:
    """What a person needs: once, and secrets only when they were just made."""
    settings = app.config.settings
    host = "127.0.0.1" if settings.host in EVERYWHERE else settings.host
    base = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    catalog = app.catalog()
    lines = [
        f"iPin Proxy {__version__}",
        f"  Admin page   {base}/"
        + ("" if host == settings.host else f"   (listening on {settings.host or 'all addresses'})"),
        f"  API          {base}/v1",
        f"  Database     {app.store.path}",
    ]
    if "demo" in catalog.models:
        lines.append("  Serving      the built-in demo model; add a provider on the admin page")
    else:
        lines.append(f"  Serving      {counted(app.store.snapshot())}")
    if catalog.offered:
        lines.append(f"  Offered      {', '.join(sorted(catalog.offered))} (keys from the environment)")
    if secrets.username:
        lines.append(f"  User         {secrets.username}")
    if secrets.password:
        lines.append(f"  Password     {secrets.password}   (shown once; keep it)")
    if secrets.master_key:
        lines.append(f"  Master key   {secrets.master_key}   (shown once; keep it)")
    return "\n".join(lines)
