"""Where the rooms are joined: one House holds what a sync works with, and makes the clients over one wire."""

from __future__ import annotations

import atexit
import hashlib
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path

import httpx

from partner_pipelines import __version__
from partner_pipelines.clock import now
from partner_pipelines.errors import AuditUnavailableError, AuthenticationError, CallFacts, StatusFacts
from partner_pipelines.models.call import CallIntent, CallOutcome
from partner_pipelines.models.rate_limit import RateLimit
from partner_pipelines.partners.caller import Caller, CallerSettings, NoCredentials
from partner_pipelines.partners.openmoove.client import OpenMooveClient
from partner_pipelines.partners.openmoove.credentials import ApiKeyCredentials
from partner_pipelines.partners.ports import BearerToken, Credentials, RequestBudget, Stop
from partner_pipelines.partners.resman.client import ResManClient
from partner_pipelines.partners.resman.credentials import BearerCredentials
from partner_pipelines.partners.resman.tokens import TokenRequester
from partner_pipelines.partners.retry import RetryRules
from partner_pipelines.partners.transport import Audited, Budgeted, WireLimits, build_wire
from partner_pipelines.settings import Connection, OpenMooveConnection, ResManConnection, Settings
from partner_pipelines.state.audit_trail import AuditTrail
from partner_pipelines.state.budget import Ledger
from partner_pipelines.state.data_directory import DataDirectory, open_data_directory
from partner_pipelines.state.files import make_directory
from partner_pipelines.state.landing import Landing
from partner_pipelines.state.tokenise import Tokeniser
from partner_pipelines.state.tokens import AccessToken, RejectedTokenError, TokenKey, TokenStore, receive_token
from partner_pipelines.state.vault import Vault
from partner_pipelines.sync.ledgers import SharedLedger, Unmetered
from partner_pipelines.warehouse.connection import Warehouse

_MEBIBYTE = 1024 * 1024


class CountingRecorder:
    """The trail, and how many attempts each connection made through it."""

    def __init__(self, trail: AuditTrail) -> None:
        self.trail = trail
        self._lock = threading.Lock()
        self._attempts: Counter[str] = Counter()

    def record_intent(self, intent: CallIntent) -> str:
        """Into the trail; raises AuditUnavailableError."""
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


class SharedToken:
    """The access token of a connection, from the store that all processes share."""

    def __init__(self, store: TokenStore, key: TokenKey, requester: TokenRequester) -> None:
        self._store = store
        self._key = key
        self._requester = requester

    def current(self, rejected: str | None) -> BearerToken:
        """A good token; the rejected one again when the partner has no other. Raises APIError and its kin."""
        try:
            token = self._store.token_for(self._key, self._fetch, rejected=rejected)
        except RejectedTokenError:
            if rejected is None:
                raise _refused_token(self._key.connection) from None
            return BearerToken(rejected, frozenset())
        return BearerToken(token.value, token.scope)

    def _fetch(self) -> AccessToken:
        grant = self._requester.request()
        return receive_token(grant.access_token, grant.scope, grant.lifetime_seconds)


class House:
    """What a sync works with. Make one with `open_house`."""

    def __init__(self, settings: Settings, data: DataDirectory, *, run_id: str | None, stop: Stop) -> None:
        self.settings = settings
        self.data = data
        self.run_id = run_id
        self.stop = stop
        self.started_at: datetime = now()
        self.recorder = CountingRecorder(process_trail(data.segments))
        self.vault = Vault(data.vault)
        self.landing = Landing(data.landing)
        self.warehouse = Warehouse(data)
        self.tokeniser = Tokeniser(data.key("personal"))

    def resman(self, connection: ResManConnection) -> ResManClient:
        """A client for one ResMan account."""
        caller = self._caller(connection, self._bearer(connection), connection.retry_on_failure)
        return ResManClient(connection.base_url, connection.name, caller)

    def openmoove(self, connection: OpenMooveConnection) -> OpenMooveClient:
        """A client for one OpenMoove account."""
        caller = self._caller(connection, ApiKeyCredentials(connection.api_key.reveal))
        return OpenMooveClient(connection.base_url, connection.name, caller)

    def close(self) -> None:
        """Closes the wire."""
        if "_wire" in self.__dict__:
            self._wire.close()

    @cached_property
    def _wire(self) -> httpx.BaseTransport:
        return build_wire(self.settings.ca_bundle, connections=self.settings.concurrency * 2)

    def _bearer(self, connection: ResManConnection) -> Credentials:
        client_id = connection.client_id.reveal()
        key = TokenKey(connection.name, client_id, frozenset(connection.scopes), connection.token_url)
        requester = TokenRequester(
            self._caller(connection, NoCredentials()),
            connection.token_url,
            client_id,
            connection.client_secret.reveal,
            connection.scopes,
            connection.token_auth,
        )
        source = SharedToken(TokenStore(self.data.tokens), key, requester)
        return BearerCredentials(source, auto_refresh=connection.auto_refresh)

    def _caller(self, connection: Connection, credentials: Credentials, retry_on_failure: bool = True) -> Caller:
        settings = self.settings
        transport = Audited(
            self._wire,
            self.recorder,
            partial(_keyed_hash, self.data.key("content")),
            WireLimits(max_body_bytes=settings.max_body_mb * _MEBIBYTE),
        )
        budget = self._budget(connection.name, connection.base_url, connection.rate_limits)
        return Caller(
            Budgeted(transport, budget, self.stop, settings.max_wait_seconds),
            CallerSettings(
                partner=connection.partner,
                connection=connection.name,
                run_id=self.run_id,
                deadline_seconds=settings.operation_deadline_seconds,
                rules=RetryRules(max_wait_seconds=settings.max_wait_seconds, on_failure=retry_on_failure),
            ),
            credentials,
            self.stop,
        )

    def _budget(self, connection: str, base_url: str, limits: tuple[RateLimit, ...]) -> RequestBudget:
        if not limits:
            return _unmetered.setdefault((self.data.root, connection, base_url), Unmetered())
        name = f"{connection}-{hashlib.sha256(base_url.encode()).hexdigest()[:16]}.ledger"
        make_directory(self.data.budget)
        margin = self.settings.budget_margin_ms / 1000
        return SharedLedger(Ledger(self.data.budget / name, limits, margin_seconds=margin))


def _refused_token(connection: str) -> AuthenticationError:
    facts = CallFacts("resman", connection, "request_token")
    sentence = "ResMan hands out a token again that it has refused: run again in a minute, then ask ResMan's support"
    return AuthenticationError(f"{facts.operation} at {connection}: {sentence}", facts, StatusFacts(status=None))


def _keyed_hash(key: bytes, body: bytes) -> str:
    return hashlib.blake2b(body, key=key, digest_size=16).hexdigest()


@contextmanager
def open_house(settings: Settings, *, run_id: str | None, stop: Stop) -> Iterator[House]:
    """A House over the settings' data directory. Raises StateError, EnvironmentStampError, NewerSchemaError."""
    house = House(settings, open_data_directory(settings.data_dir, settings.environment), run_id=run_id, stop=stop)
    try:
        yield house
    finally:
        house.close()


_unmetered: dict[tuple[Path, str, str], Unmetered] = {}  # a house lives for a step of a run, their word for longer
_trails: dict[Path, AuditTrail] = {}
_trails_lock = threading.Lock()


def process_trail(segments: Path) -> AuditTrail:
    """The trail of this process: one segment, whatever number of houses it opens, closed when the process ends."""
    with _trails_lock:
        if segments not in _trails:
            trail = AuditTrail(segments, version=__version__)
            atexit.register(_close, trail)
            _trails[segments] = trail
        return _trails[segments]


def _close(trail: AuditTrail) -> None:
    # Without its last record the segment is that of a process that did not end cleanly: true, and known to its readers
    with suppress(AuditUnavailableError):
        trail.close()
