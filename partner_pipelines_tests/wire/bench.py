"""What the wire tests work with: clients over the real transport, and what trail and sandbox say of their calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from partner_pipelines.errors import APIError, AuthenticationError, CallFacts, StoppedError
from partner_pipelines.models.call import CallIntent, CallOutcome
from partner_pipelines.partners.caller import Answer, Caller, CallerSettings, NoCredentials, Operation
from partner_pipelines.partners.exchange import WireLimits
from partner_pipelines.partners.openmoove.client import OpenMooveClient
from partner_pipelines.partners.openmoove.credentials import ApiKeyCredentials
from partner_pipelines.partners.ports import BearerToken, CallRecorder, Credentials, RequestBudget
from partner_pipelines.partners.resman.client import ResManClient
from partner_pipelines.partners.resman.credentials import BearerCredentials
from partner_pipelines.partners.resman.tokens import TokenRequester
from partner_pipelines.partners.retry import RetryRules
from partner_pipelines.partners.transport import Audited, Budgeted, Unlimited
from partner_pipelines.partners.wire import build_wire
from partner_pipelines_tests.sandbox_process import SandboxProcess

LAUNCH_SCOPES = ("leads", "units", "employees", "documents")
QUICK = RetryRules(base_seconds=0.01, cap_seconds=0.05)


OPEN_WIRES: list[httpx.BaseTransport] = []
"""Closed when the tests are over (conftest.py)."""


def open_wire(ca_bundle: Path | None = None) -> httpx.BaseTransport:
    OPEN_WIRES.append(build_wire(ca_bundle))
    return OPEN_WIRES[-1]


@cache
def shared_wire() -> httpx.BaseTransport:
    """One for most tests: reading the system's certificates takes longer than many of them."""
    return open_wire()


class ListRecorder:
    """A trail in memory. An intent gets its id before the wire, an outcome only after an intent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.intents: dict[str, CallIntent] = {}
        self.outcomes: dict[str, CallOutcome] = {}

    def record_intent(self, intent: CallIntent) -> str:
        with self._lock:
            request_id = f"20261101T000000Z-1-cafe-{len(self.intents) + 1}"
            self.intents[request_id] = intent
        return request_id

    def record_outcome(self, request_id: str, outcome: CallOutcome) -> None:
        with self._lock:
            assert request_id in self.intents
            assert request_id not in self.outcomes
            self.outcomes[request_id] = outcome

    @property
    def words(self) -> list[str]:
        """The outcomes' words, in the order of the intents; an attempt without one is a KeyError."""
        return [self.outcomes[request_id].outcome for request_id in self.intents]

    @property
    def statuses(self) -> list[int | None]:
        return [self.outcomes[request_id].status for request_id in self.intents]

    @property
    def attempts(self) -> list[tuple[str, int]]:
        return [(intent.operation, intent.attempt) for intent in self.intents.values()]

    @property
    def last(self) -> CallOutcome:
        return self.outcomes[list(self.intents)[-1]]


class Naps:
    """A Stop that sleeps, remembers for how long, and can be told to stop from another thread."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.asked = threading.Event()

    def wait(self, seconds: float) -> None:
        if seconds:
            self.waits.append(seconds)
        if self.asked.wait(seconds):
            raise StoppedError("stopped")


class MemoryTokens:
    """A token of this process, renewed exactly when the one in hand was rejected."""

    def __init__(self, requester: TokenRequester) -> None:
        self._lock = threading.Lock()
        self._requester = requester
        self.token: BearerToken | None = None

    def current(self, rejected: str | None, scope: str | None = None) -> BearerToken:  # noqa: ARG002 - the port's shape
        with self._lock:
            if self.token is None or self.token.value == rejected:
                grant = self._requester.request()
                self.token = BearerToken(grant.access_token, grant.scope)
            return self.token


class FixedToken:
    """A partner that hands out the same token for ever."""

    def __init__(self, value: str = "fixed", scope: frozenset[str] = frozenset(LAUNCH_SCOPES)) -> None:
        self.token = BearerToken(value, scope)
        self.asked: list[str | None] = []

    def current(self, rejected: str | None, scope: str | None = None) -> BearerToken:  # noqa: ARG002 - the port's shape
        self.asked.append(rejected)
        return self.token


class RefusingCredentials:
    """For callers that must not get as far as the wire."""

    def headers(self, scope: str | None, facts: CallFacts) -> Mapping[str, str]:
        raise AssertionError(f"{facts.operation} {scope} came to the wire")

    def renew(self, rejected: Mapping[str, str], error: AuthenticationError) -> bool:
        raise AssertionError(f"{rejected} {error}")


@dataclass
class Bench:
    """One wire, one trail, and callers over both. `origin` is the partner's, without a slash at its end."""

    origin: str
    recorder: CallRecorder = field(default_factory=ListRecorder)
    limits: WireLimits = field(default_factory=WireLimits)
    budget: RequestBudget = field(default_factory=Unlimited)
    stop: Naps = field(default_factory=Naps)
    wire: httpx.BaseTransport = field(default_factory=shared_wire)
    max_wait_seconds: float = 60

    @property
    def trail(self) -> ListRecorder:
        assert isinstance(self.recorder, ListRecorder)
        return self.recorder

    def caller(self, credentials: Credentials, partner: str = "openmoove", **settings: Any) -> Caller:
        audited = Audited(self.wire, self.recorder, lambda body: f"{len(body)}", self.limits)
        transport = Budgeted(audited, self.budget, self.stop, self.max_wait_seconds)
        return Caller(
            transport,
            CallerSettings(partner, "elm-park", **{"rules": QUICK, "deadline_seconds": 20, **settings}),
            credentials,
            self.stop,
        )

    def ask(self, path: str = "/", method: str = "GET", body: bytes | None = None, **settings: Any) -> Answer:
        """One operation without credentials."""
        operation = Operation("ask", method, self.origin + path, body=body)
        return self.caller(NoCredentials(), **settings).perform(operation)

    def refusal(self, path: str = "/", method: str = "GET", **settings: Any) -> APIError:
        """The error that one operation without credentials ends with."""
        try:
            answer = self.ask(path, method, **settings)
        except APIError as error:
            return error
        raise AssertionError(f"no error but {answer}")

    def openmoove(self, reveal: Callable[[], str], **settings: Any) -> OpenMooveClient:
        caller = self.caller(ApiKeyCredentials(reveal), **settings)
        return OpenMooveClient(f"{self.origin}/api/partners/", "elm-park", caller)

    def requester(
        self,
        client_id: str,
        secret: str,
        scopes: tuple[str, ...] = LAUNCH_SCOPES,
        how: Any = "client_secret_post",
        path: str = "/oauth2/token",
        **settings: Any,
    ) -> TokenRequester:
        caller = self.caller(NoCredentials(), "resman", **settings)
        return TokenRequester(caller, self.origin + path, client_id, lambda: secret, scopes, how)

    def resman(self, credentials: Credentials, **settings: Any) -> ResManClient:
        return ResManClient(self.origin, "elm-park", self.caller(credentials, "resman", **settings))


@dataclass
class SandboxBench(Bench):
    """A bench at the sandbox, with its good credentials; looks only at what is asked from now on."""

    sandbox: SandboxProcess = field(kw_only=True)

    def __post_init__(self) -> None:
        log = self.sandbox.log()
        self._since = log[-1]["n"] if log else 0

    @classmethod
    def at(cls, sandbox: SandboxProcess, **parts: Any) -> SandboxBench:
        return cls(sandbox.base_url, sandbox=sandbox, **parts)

    @property
    def log(self) -> list[dict[str, Any]]:
        return self.sandbox.log(self._since)

    @property
    def logged_statuses(self) -> list[int | None]:
        return [entry["status"] for entry in self.log]

    @property
    def key(self) -> str:
        return self.sandbox.env["OPENMOOVE_API_KEY"]

    def good_openmoove(self, **settings: Any) -> OpenMooveClient:
        return self.openmoove(lambda: self.key, **settings)

    def good_requester(self, scopes: tuple[str, ...] = LAUNCH_SCOPES, **named: Any) -> TokenRequester:
        env = self.sandbox.env
        return self.requester(env["RESMAN_CLIENT_ID"], env["RESMAN_CLIENT_SECRET"], scopes, **named)

    def good_tokens(self, scopes: tuple[str, ...] = LAUNCH_SCOPES) -> MemoryTokens:
        return MemoryTokens(self.good_requester(scopes))

    def good_resman(self, **settings: Any) -> ResManClient:
        return self.resman(BearerCredentials(self.good_tokens()), **settings)

    def property_id(self) -> int:
        found: int = self.sandbox.rows("openmoove_properties")[0]["id"]
        return found

    def agrees(self) -> bool:
        """Whether log and trail name the same requests, in order, with the same statuses where both saw one."""
        deadline = time.monotonic() + 5
        while any(entry["finished_at"] is None for entry in self.log) and time.monotonic() < deadline:
            time.sleep(0.01)
        logged = [(entry["request_id"], entry["status"]) for entry in self.log]
        told = [(request_id, self.trail.outcomes[request_id].status) for request_id in self.trail.intents]
        return len(logged) == len(told) and all(
            theirs[0] == ours[0] and (theirs[1] == ours[1] or None in (theirs[1], ours[1]))
            for theirs, ours in zip(logged, told, strict=True)
        )
