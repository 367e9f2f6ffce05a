"""What the clients need from elsewhere. `state/` provides it; one composition function in `sync/` joins the two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from partner_pipelines.errors import AuthenticationError, CallFacts
from partner_pipelines.models.call import CallIntent, CallOutcome


class CallRecorder(Protocol):
    """The audit trail, as the transport sees it."""

    def record_intent(self, intent: CallIntent) -> str:
        """The intent outlives SIGKILL afterwards; returns the request id. Raises AuditUnavailableError."""
        ...

    def record_outcome(self, request_id: str, outcome: CallOutcome) -> None:
        """The outcome outlives SIGKILL afterwards. Raises AuditUnavailableError."""
        ...


@dataclass(frozen=True, slots=True)
class RateWords:
    """What the partner's answer says about its limits; None where it says nothing usable."""

    remaining: int | None = None
    reset_after_seconds: float | None = None
    retry_after_seconds: float | None = None
    limit: int | None = None


class RequestBudget(Protocol):
    """The request ledger of one connection, shared by all processes of the machine."""

    def take(self, *, deadline_seconds: float, first_class: bool) -> object | float:
        """One try: a slot, or the seconds until the next may be free."""
        ...

    def settle(self, slot: object, words: RateWords) -> None:
        """The outcome of the request that holds the slot is known; the partner's words lower the budget."""
        ...


class Stop(Protocol):
    """How work learns that it shall end."""

    def wait(self, seconds: float) -> None:
        """Returns after that time. Raises StoppedError within 0.5 s of a stop."""
        ...


class Credentials(Protocol):
    """What a client proves itself with."""

    def headers(self, scope: str | None, facts: CallFacts) -> Mapping[str, str]:
        """The headers of a request that needs `scope`. Raises PermissionDeniedError when it is not granted."""
        ...

    def renew(self, rejected: Mapping[str, str], error: AuthenticationError) -> bool:
        """After a 401 (`error`) for these headers: True when the next `headers` will differ.

        Raises AuthenticationError where more can be said about it than `error` does.
        """
        ...


@dataclass(frozen=True, slots=True)
class BearerToken:
    """An access token and what it opens."""

    value: str = field(repr=False)
    scope: frozenset[str]


class TokenSource(Protocol):
    """The access token of one connection, shared by all processes of the machine."""

    def current(self, rejected: str | None, scope: str | None = None) -> BearerToken:
        """A token that is good, as far as is known here, and not `rejected`; with `scope` if that is granted.

        Raises APIError and its kin.
        """
        ...


class DeniedScopes(Protocol):
    """Who wants to know that the partner denied a scope which its token had."""

    def denied(self, scope: str) -> None:
        """A 403 `insufficient_scope` came for this scope."""
        ...


class BodyHash(Protocol):
    """A keyed hash of an answer's body, so that the trail can prove what came without holding it."""

    def __call__(self, body: bytes, /) -> str:
        """The hash in hex."""
        ...
