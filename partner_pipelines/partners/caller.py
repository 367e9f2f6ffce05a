"""From an operation to its answer: attempts, each budgeted and audited on its own, until retry.py gives up."""

from __future__ import annotations

import math
import re
import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

import httpx

from partner_pipelines import __version__
from partner_pipelines.errors import APIError, AuthenticationError, CallFacts, ConnectionDeadlineError
from partner_pipelines.models.call import Purpose
from partner_pipelines.partners.attempt import ATTEMPT, Attempt, received
from partner_pipelines.partners.bodies import Body
from partner_pipelines.partners.ports import Credentials, Stop
from partner_pipelines.partners.retry import RetryRules, decide
from partner_pipelines.partners.statuses import error_for
from partner_pipelines.partners.wire import TARGET

USER_AGENT = f"partner-pipelines/{__version__}"
_ALWAYS_SENT = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "Content-Type": "application/json",
    "User-Agent": USER_AGENT,
}
_READS = {"GET", "HEAD"}
_PLAIN_URL = re.compile(r"(https?://[^/?#]+/)((?!\.)(?:[A-Za-z0-9_~?=&-]|/(?!\.)|(?<!/)\.)*)")
"""A path and a query of which httpx.URL would change nothing: it has no escape, no dot segment."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What is to be asked of a partner, without I/O.

    `url`, or `shown_url` in its place, goes to the trail: no secret, no personal data. `scope` is the right it needs.
    `sent` describes `body` for the trail. `repeatable`: sending it twice has one effect (token requests).
    `max_body_bytes`: of the answer, where less is enough than the settings allow. `operation_id`: what the trail calls
    it, where that was decided before (a write, which must be found again there).
    """

    name: str
    method: str
    url: str
    scope: str | None = None
    reason: str = "due"
    shown_url: str | None = None
    purpose: Purpose = "work"
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    sent: dict[str, str] | None = None
    repeatable: bool = False
    max_body_bytes: int = sys.maxsize
    first_class: bool = False
    operation_id: str | None = None

    @property
    def is_read(self) -> bool:
        """Sending it again changes nothing at the partner."""
        return self.repeatable or self.method in _READS


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer, whole. `started_at` is the begin of the attempt that gave it: the row's as-of."""

    status: int
    headers: httpx.Headers = field(repr=False)
    body: Body = field(repr=False)
    request_id: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class CallerSettings:
    """What holds for all calls of one connection in one step. After `ends_at` (`time.monotonic()`) none is begun."""

    partner: str
    connection: str
    run_id: str | None = None
    deadline_seconds: float = 120.0
    rules: RetryRules = field(default_factory=RetryRules)
    ends_at: float = math.inf


class NoCredentials:
    """Of operations that carry their own proof: the token request."""

    def headers(self, scope: str | None, facts: CallFacts) -> Mapping[str, str]:  # noqa: ARG002 - the port's shape
        """Nothing to add."""
        return {}

    def renew(self, rejected: Mapping[str, str], error: AuthenticationError) -> bool:  # noqa: ARG002 - as above
        """Nothing to renew: a refused client stays refused."""
        return False


class Caller:
    """Performs operations over one transport."""

    def __init__(
        self, transport: httpx.BaseTransport, settings: CallerSettings, credentials: Credentials, stop: Stop
    ) -> None:
        self._transport = transport
        self._settings = settings
        self._credentials = credentials
        self._stop = stop

    def perform(self, operation: Operation) -> Answer:
        """The answer, after as many attempts as it takes. Raises APIError, AuditUnavailableError, StoppedError."""
        settings = self._settings
        facts = self.facts(operation.name)
        if time.monotonic() >= settings.ends_at:
            raise ConnectionDeadlineError(
                f"{facts.operation} at {facts.connection}: not asked, for the connection has had its time in this step "
                "(PARTNER_CONNECTION_DEADLINE_SECONDS): its answers are slow or have no end",
                facts,
            )
        operation_id = operation.operation_id or secrets.token_hex(8)
        deadline = time.monotonic() + settings.deadline_seconds
        renewed = False
        number = 1
        while True:
            self._stop.wait(0)
            headers = self._credentials.headers(operation.scope, facts)
            try:
                return self._attempt(operation, headers, self._describe(operation, operation_id, number, deadline))
            except APIError as error:
                left = deadline - time.monotonic()
                again = decide(error, number, settings.rules, is_read=operation.is_read, left_seconds=left)
                if again is None:
                    raise
                if isinstance(error, AuthenticationError):
                    if renewed or not self._credentials.renew(headers, error):
                        raise
                    renewed = True
                self._stop.wait(again.wait_seconds)
            number += 1

    def facts(self, operation: str, request_id: str | None = None) -> CallFacts:
        """Where an error of this operation happened."""
        return CallFacts(self._settings.partner, self._settings.connection, operation, request_id)

    def _describe(self, operation: Operation, operation_id: str, number: int, deadline: float) -> Attempt:
        settings = self._settings
        return Attempt(
            operation_id=operation_id,
            connection=settings.connection,
            partner=settings.partner,
            operation=operation.name,
            reason=operation.reason if number == 1 else "retry",
            purpose=operation.purpose,
            url=operation.url if operation.shown_url is None else operation.shown_url,
            number=number,
            deadline=deadline,
            run_id=settings.run_id,
            scope=operation.scope,
            sent=operation.sent,
            max_body_bytes=operation.max_body_bytes,
            first_class=operation.first_class,
        )

    def _attempt(self, operation: Operation, headers: Mapping[str, str], attempt: Attempt) -> Answer:
        url, target = _split(operation.url)
        request = httpx.Request(
            operation.method,
            url,
            # Latin-1, as RFC 9110 5.5 has it: httpx's own choice cannot carry an é in an API key
            headers=httpx.Headers({**_ALWAYS_SENT, **operation.headers, **headers}, encoding="latin-1"),
            content=operation.body,
            extensions={ATTEMPT: attempt} | target,
        )
        response = self._transport.handle_request(request)
        answer = received(response)
        error = error_for(response, attempt.facts(answer.request_id), operation.scope)
        if error is not None:
            raise error
        return Answer(response.status_code, response.headers, answer.body, answer.request_id, answer.started_at)


def _split(url: str) -> tuple[httpx.URL, dict[str, bytes]]:
    """The URL for the request, and what of it stands in an extension: to parse a plain one takes a tenth of a call."""
    plain = _PLAIN_URL.fullmatch(url)
    if plain is None:
        return httpx.URL(url), {}
    return _origin(plain[1]), {TARGET: b"/" + plain[2].encode("ascii")}


@lru_cache(maxsize=64)
def _origin(url: str) -> httpx.URL:
    return httpx.URL(url)
