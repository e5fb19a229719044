"""App: every part of the house, wired once. Visit: who came, asking what, in which dialect."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import billing
from .call import Bill, Call, Caller, Operation
from .config import Config
from .deployments import Catalog, Cooldowns
from .dialects import demo
from .dialects.openai import secrets_of
from .entries import Entry, masked
from .errors import ConfigError, Conflict
from .ledger import Ledger
from .ledgerfile import place
from .limits import Limits
from .logs import Log
from .memory import Memory
from .metrics import Metrics
from .offers import offered
from .once import Once
from .passes import Passes
from .prices import ESTIMATED, Cost
from .records import Provider, key_digest
from .references import resolve_secret
from .signin import Attempts, Sessions
from .store import Snapshot, Store
from .upstream import Upstreams
from .web.request import Request
from .web.router import Route
from .webhook import Webhook

if TYPE_CHECKING:
    from .jwks import Jwks
    from .web.server import Server

# Who may take a route.
PUBLIC, KEY, USER, ADMIN = "public", "key", "user", "admin"


NOBODY = Caller("nobody")


@dataclass(slots=True, repr=False, eq=False)
class Visit:
    """One request on its way through the house."""

    id: str
    request: Request
    dialect: str
    address: str
    params: dict[str, str] = field(default_factory=dict)
    pin: str | None = None
    route: Route | None = None
    allowed: tuple[str, ...] = ()  # the methods of a path that has no route for this one
    caller: Caller = NOBODY
    arrived_at: float = field(default_factory=time.monotonic)
    has_bill: bool = False

    def call(self, operation: Operation, model: str, wants_stream: bool, **body: Any) -> Call:
        """This request as an AI call; `body` are those members of a Call that say what was sent. What becomes of it is
        in its bill."""
        self.has_bill = True
        return Call(
            self.id,
            self.caller,
            operation,
            model,
            wants_stream,
            self.request,
            self.arrived_at,
            self.dialect,
            pin=self.pin,
            address=self.address,
            endpoint=self.route.pattern if self.route is not None else "",
            **body,
        )


class App:
    """The parts. Made once at the start; settings and secrets may change with a reload, the parts stay."""

    def __init__(self, config: Config, store: Store, log: Log) -> None:
        self.config = config
        self.store = store
        self.log = log
        self.upstreams = Upstreams({"demo": demo.serve}, time.monotonic)
        self.cooldowns = Cooldowns()
        ledger = place(store.path, config.settings.db_storage_paths)
        self.ledger = Ledger(ledger, retention_days=config.settings.retention_days, warn=log.warning)
        self.webhook = Webhook(log, lambda: (self.config.settings.webhook_url, self.config.settings.webhook_secret))
        self.limits = Limits(time.time, time.monotonic)
        self.metrics = Metrics()
        self.limits.alert = self.webhook.tell
        self.sessions = Sessions()
        self.passes = Passes()
        self.strangers = Attempts()  # who come with identity tokens: those have nothing to do with passwords
        self.last_used: dict[str, int] = {}  # key id → ms; kept in memory, written with the next change and at the end
        self.known_backups: dict[tuple[int, int], dict[str, Any]] = {}  # by time and size; what is kept does not change
        self.memory = Memory(log)
        self.master_digest = ""
        self.server: Server | None = None
        # Finds them anew and puts them in force: the start knows how.
        self.read_settings: Callable[[], None] = lambda: None
        self._catalog: tuple[Snapshot, Config, Catalog] | None = None
        self.set_master()
        log.secrets = self.provider_secrets

    @Once
    def jwks(self) -> Jwks:
        """The keys of who signs identity tokens; loaded where somebody brings one."""
        from .jwks import Jwks

        return Jwks(self.upstreams, self.log.warning)

    def set_master(self) -> None:
        """The master key's digest: of the key that was given, or of the one generated at the first start."""
        given = self.config.settings.master_api_key
        stored = self.store.snapshot().settings.get("masterKeyHash")
        self.master_digest = key_digest(given) if given else str(stored or "")

    def secret_of(self, provider: Provider) -> str | None:
        """A provider's key, or what it refers to, read now; None when there is none to be had."""
        if provider.api_key is None:
            return None
        return resolve_secret(provider.api_key, self.config.environ, self.config.settings.secrets_dir)

    def provider_secrets(self) -> list[str]:
        """What the providers know us by, as far as it is long enough to be looked for in a text."""
        providers = self.catalog().providers.values()
        return [text for provider in providers for text in secrets_of(provider, self.secret_of(provider))]

    def take_settings(self) -> None:
        """Put in force what the database says of settings now. Raises Conflict: it is stored, but settings elsewhere are
        broken since the start."""
        try:
            self.read_settings()
        except ConfigError as error:
            self.log.error("reload_failed", message=str(error))
            raise Conflict(
                "It is stored, but not in force: a setting in the environment or in .env cannot be used. "
                "The log says which; correct it, then send SIGHUP or start again.",
                code="settings_not_read",
            ) from error

    def catalog(self) -> Catalog:
        """What can be asked for now; made anew only when the store or the configuration has changed."""
        snapshot, config, known = self.store.snapshot(), self.config, self._catalog
        if known is None or known[0] is not snapshot or known[1] is not config:
            catalog = Catalog(snapshot.providers, snapshot.models, offered(config.environ), snapshot.aliases)
            self._catalog = known = (snapshot, config, catalog)
        return known[2]

    @property
    def is_draining(self) -> bool:
        return self.server is not None and self.server.draining

    def settle(self, bill: Bill) -> None:
        """What becomes of a bill that is closed: limits are put right, and it is in the ledger before its last byte is out."""
        usage, cost = billing.closed(bill)
        if bill.reservation is not None:
            if bill.attempts:
                self.limits.settle(bill.reservation, usage.total_tokens, cost.nano)
                if cost.nano is None and bill.reservation.charged:  # or a start would take it back
                    cost = Cost(bill.reservation.charged, ESTIMATED)
            else:
                self.limits.release(bill.reservation)
        bill.cost = cost.nano
        self.keep(billing.entry_of(bill, usage, cost))
        bill.error = None  # its traceback holds the call and its body, and the bill is held by both

    def keep(self, entry: Entry) -> None:
        """Remember a call, or a request that never became one."""
        if entry.error_message:
            entry = masked(entry)
        if self.config.settings.ledger:
            self.ledger.record(entry)
        self.metrics.count(entry)
        if self.log.hears("info"):
            self.log.info("call", **billing.log_line(entry))
