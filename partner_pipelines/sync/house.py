"""Where the rooms are joined: one House holds what a sync works with, and makes the clients over one wire."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path

import httpx

from partner_pipelines.clock import now
from partner_pipelines.errors import CallFacts
from partner_pipelines.models.call import CallIntent, CallOutcome
from partner_pipelines.models.rate_limit import RateLimit
from partner_pipelines.notify import Notifier, addresses_of
from partner_pipelines.partners.caller import Caller, CallerSettings, NoCredentials
from partner_pipelines.partners.exchange import WireLimits
from partner_pipelines.partners.openmoove.client import OpenMooveClient
from partner_pipelines.partners.openmoove.credentials import ApiKeyCredentials
from partner_pipelines.partners.ports import Credentials, Stop
from partner_pipelines.partners.resman.client import ResManClient
from partner_pipelines.partners.resman.credentials import BearerCredentials
from partner_pipelines.partners.resman.oauth import REVOKE
from partner_pipelines.partners.resman.tokens import TokenRequester
from partner_pipelines.partners.retry import RetryRules
from partner_pipelines.partners.transport import Audited, Budgeted
from partner_pipelines.partners.wire import build_wire
from partner_pipelines.settings import Connection, OpenMooveConnection, ResManConnection, Settings
from partner_pipelines.state.audit_trail import AuditTrail
from partner_pipelines.state.budget import Ledger
from partner_pipelines.state.data_directory import DataDirectory, open_data_directory
from partner_pipelines.state.files import make_directory
from partner_pipelines.state.landing import Landing
from partner_pipelines.state.revocations import Revocations
from partner_pipelines.state.scopes import ScopeBook
from partner_pipelines.state.tokenise import Tokeniser
from partner_pipelines.state.tokens import TokenKey, TokenStore
from partner_pipelines.state.vault import Vault
from partner_pipelines.sync.access import ResManAccess
from partner_pipelines.sync.ledgers import SharedLedger, Unmetered
from partner_pipelines.sync.partner_clock import Clocked, PartnerClock
from partner_pipelines.sync.process_trail import process_trail
from partner_pipelines.sync.shared_token import SharedToken
from partner_pipelines.warehouse.connection import Warehouse
from partner_pipelines.warehouse.group import open_to_group

_MEBIBYTE = 1024 * 1024
_LOOK_SECONDS = 0.5


class CountingRecorder:
    """The trail, and how many attempts each connection made through it. A revoked connection has no intents."""

    def __init__(self, trail: AuditTrail, revocations: Revocations) -> None:
        self.trail = trail
        self._revocations = revocations
        self._lock = threading.Lock()
        self._attempts: Counter[str] = Counter()

    def record_intent(self, intent: CallIntent) -> str:
        """Into the trail; raises AuditUnavailableError, ConnectionRevokedError."""
        if intent.operation != REVOKE:
            self._revocations.check(intent.connection, CallFacts(intent.partner, intent.connection, intent.operation))
        request_id = self.trail.record_intent(intent)
        with self._lock:
            self._attempts[intent.connection] += 1
        return request_id

    def record_outcome(self, request_id: str, outcome: CallOutcome) -> None:
        """Into the trail; raises AuditUnavailableError."""
        self.trail.record_outcome(request_id, outcome)

    def attempts(self, connection: str) -> int:
        """How many attempts this connection has made so far."""
        with self._lock:
            return self._attempts[connection]


class WatchfulStop:
    """A stop that also ends a wait when the connection is revoked meanwhile."""

    def __init__(self, stop: Stop, check: Callable[[], None]) -> None:
        self._stop = stop
        self._check = check

    def wait(self, seconds: float) -> None:
        """Returns after that time. Raises StoppedError, ConnectionRevokedError within 0.5 s of either."""
        until = time.monotonic() + seconds
        self._stop.wait(0)
        while (left := until - time.monotonic()) > 0:
            self._check()
            self._stop.wait(min(left, _LOOK_SECONDS))


class House:
    """What a sync works with. Make one with `open_house`."""

    def __init__(self, settings: Settings, data: DataDirectory, *, run_id: str | None, stop: Stop) -> None:
        self.settings = settings
        self.data = data
        self.run_id = run_id
        self.stop = stop
        self.started_at: datetime = now()
        self.revocations = Revocations(data.revocations)
        self.recorder = CountingRecorder(process_trail(settings, data), self.revocations)
        self.notifier = Notifier(data.incidents, addresses_of(settings), self.journal)
        self.vault = Vault(data.vault, data.key("personal"))
        self.landing = Landing(data.landing)
        self.warehouse = Warehouse(data)
        self.tokeniser = Tokeniser(data.key("personal"), left_out_of(settings))
        self.clocks: dict[str, PartnerClock] = {}
        self._ends_at: dict[str, float] = {}

    def resman(self, connection: ResManConnection) -> ResManClient:
        """A client for one ResMan account."""
        access = self.access(connection)
        access.reactivate()
        token = SharedToken(access, connection.scope_probe_interval.total_seconds())
        credentials = BearerCredentials(token, auto_refresh=connection.auto_refresh)
        caller = self.caller(connection, credentials, connection.retry_on_failure)
        return ResManClient(connection.base_url, connection.name, caller, token)

    def openmoove(self, connection: OpenMooveConnection) -> OpenMooveClient:
        """A client for one OpenMoove account."""
        caller = self.caller(connection, ApiKeyCredentials(connection.api_key.reveal))
        return OpenMooveClient(connection.base_url, connection.name, caller)

    def close(self) -> None:
        """Closes the wire."""
        if "_wire" in self.__dict__:
            self._wire.close()

    @cached_property
    def _wire(self) -> httpx.BaseTransport:
        return build_wire(self.settings.ca_bundle, connections=self.settings.concurrency * 2)

    def access(self, connection: ResManConnection) -> ResManAccess:
        """The tokens and scopes of one ResMan account."""
        client_id = connection.client_id.reveal()
        required, optional = connection.scopes, connection.optional_scopes
        requester = TokenRequester(
            self.caller(connection, NoCredentials()),
            connection.token_url,
            client_id,
            connection.client_secret.reveal,
            required,
            connection.token_auth,
            self.caller(connection, NoCredentials(), retry_on_failure=False),
        )
        client = (client_id, connection.token_url)
        return ResManAccess(
            connection,
            TokenKey(connection.name, client_id, frozenset((*required, *optional)), connection.token_url),
            TokenStore(self.data.tokens),
            requester,
            ScopeBook(self.data.scopes, connection.name, client, required, optional),
            self.revocations,
            self.notifier,
            self.journal,
            self.data.key("content"),
        )

    def places_left(self, connection: Connection) -> int | None:
        """How many requests the connection's budget has left now; None where there is no limit. Raises StateError."""
        return self._budget(connection.name, connection.base_url, connection.rate_limits).left()

    def journal(self, event: str, facts: Mapping[str, object]) -> None:
        """An event of the trail, with the run that it belongs to. Raises AuditUnavailableError."""
        self.recorder.trail.record_event(event, {**facts, "run_id": self.run_id})

    def caller(self, connection: Connection, credentials: Credentials, retry_on_failure: bool = True) -> Caller:
        """Performs operations of one connection, budgeted and audited."""
        settings = self.settings
        transport = Audited(
            self._wire,
            self.recorder,
            partial(_keyed_hash, self.data.key("content")),
            WireLimits(max_body_bytes=settings.max_body_mb * _MEBIBYTE),
        )
        clock = self.clocks.setdefault(connection.name, PartnerClock())
        facts = CallFacts(connection.partner, connection.name, "wait")
        stop = WatchfulStop(self.stop, partial(self.revocations.check, connection.name, facts))
        budget = self._budget(connection.name, connection.base_url, connection.rate_limits)
        return Caller(
            Budgeted(Clocked(transport, clock), budget, stop, settings.max_wait_seconds),
            CallerSettings(
                partner=connection.partner,
                connection=connection.name,
                run_id=self.run_id,
                deadline_seconds=settings.operation_deadline_seconds,
                rules=RetryRules(max_wait_seconds=settings.max_wait_seconds, on_failure=retry_on_failure),
                ends_at=self._ends_at.setdefault(
                    connection.name, time.monotonic() + settings.connection_deadline_seconds
                ),
            ),
            credentials,
            stop,
        )

    def _budget(self, connection: str, base_url: str, limits: tuple[RateLimit, ...]) -> SharedLedger | Unmetered:
        if not limits:
            return _unmetered.setdefault((self.data.root, connection, base_url), Unmetered())
        name = f"{connection}-{hashlib.sha256(base_url.encode()).hexdigest()[:16]}.ledger"
        make_directory(self.data.budget)
        margin = self.settings.budget_margin_ms / 1000
        return SharedLedger(Ledger(self.data.budget / name, limits, margin_seconds=margin))


def left_out_of(settings: Settings) -> dict[tuple[str, str], set[str]]:
    """By connection and table, the fields that are never stored."""
    left_out: dict[tuple[str, str], set[str]] = {}
    for connection in settings.connections:
        for word in connection.leave_out:
            table, _, name = word.partition(".")
            left_out.setdefault((connection.name, f"{connection.partner}.{table}"), set()).add(name)
    return left_out


def _keyed_hash(key: bytes, body: bytes) -> str:
    return hashlib.blake2b(body, key=key, digest_size=16).hexdigest()


@contextmanager
def open_house(settings: Settings, *, run_id: str | None, stop: Stop) -> Iterator[House]:
    """A House over the settings' data directory. Raises StateError, EnvironmentStampError, NewerSchemaError."""
    data = open_data_directory(settings.data_dir, settings.environment)
    if settings.published_group is not None:
        open_to_group(data, settings.published_group)
    house = House(settings, data, run_id=run_id, stop=stop)
    try:
        yield house
    finally:
        house.close()


_unmetered: dict[tuple[Path, str, str], Unmetered] = {}  # a house lives for a step of a run, their word for longer
