"""The one way to the wire: `Budgeted(Audited(wire))`, httpx transports, so that no call can go round them.

`httpx.Client` is left out: that saves a third of a call's time (docs/benchmarks.md) and leaves nothing that could
follow a redirect or read a proxy from the environment.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import httpx

from partner_pipelines.clock import now
from partner_pipelines.errors import (
    APIConnectionError,
    APIError,
    APIResponseError,
    APITimeoutError,
    BodyTooLargeError,
    BudgetExhaustedError,
    CallFacts,
)
from partner_pipelines.models.call import CallIntent, CallOutcome, OutcomeWord, Purpose
from partner_pipelines.partners.bodies import (
    ERROR_BYTES,
    Body,
    BodyTooLarge,
    UnreadableEncoding,
    read_bounded,
    unpack_bounded,
)
from partner_pipelines.partners.no_answer import BROKEN, TOO_LATE, why_no_answer
from partner_pipelines.partners.ports import BodyHash, CallRecorder, RateWords, RequestBudget, Stop
from partner_pipelines.partners.rate_words import read_rate_words
from partner_pipelines.partners.wire import SENT, build_wire

__all__ = ["Attempt", "Audited", "Budgeted", "Unlimited", "WireLimits", "build_wire"]

ATTEMPT = "partner_attempt"
RECEIVED = "partner_received"


@dataclass(frozen=True, slots=True)
class Attempt:
    """All that is known of one attempt before the wire; travels in the request's extensions.

    `deadline` is a time of `time.monotonic()`. `url` is what the trail may hold: no secret, no personal data.
    """

    operation_id: str
    connection: str
    partner: str
    operation: str
    reason: str
    purpose: Purpose
    url: str
    number: int
    deadline: float
    run_id: str | None = None
    scope: str | None = None
    sent: dict[str, str] | None = None
    max_body_bytes: int = sys.maxsize
    first_class: bool = False

    def facts(self, request_id: str | None = None) -> CallFacts:
        """Where an error of this attempt happened."""
        return CallFacts(self.partner, self.connection, self.operation, request_id)

    def intent(self, method: str) -> CallIntent:
        """What the trail is told before the wire."""
        return CallIntent(
            operation_id=self.operation_id,
            connection=self.connection,
            partner=self.partner,
            operation=self.operation,
            reason=self.reason,
            purpose=self.purpose,
            method=method,
            url=self.url,
            attempt=self.number,
            started_at=now(),
            run_id=self.run_id,
            scope=self.scope,
            sent=self.sent,
        )


@dataclass(frozen=True, slots=True)
class Received:
    """What is known of one attempt after the wire; travels in the response's extensions.

    `body` is unpacked. The response's own `content` was never read: httpx would unpack it without a bound.
    """

    body: Body = field(repr=False)
    request_id: str
    started_at: datetime
    rate_words: RateWords


def received(response: httpx.Response) -> Received:
    """What `Audited` says of an answer."""
    found: Received = response.extensions[RECEIVED]
    return found


@dataclass(frozen=True, slots=True)
class WireLimits:
    """Timeouts in seconds, the body's bound in bytes."""

    connect_seconds: float = 10.0
    read_seconds: float = 30.0
    write_seconds: float = 30.0
    pool_seconds: float = 30.0
    max_body_bytes: int = 32 * 1024 * 1024

    def timeouts(self, left: float) -> dict[str, float]:
        """The timeouts for the wire, none of them longer than what is left of the deadline."""
        return {
            "connect": min(self.connect_seconds, left),
            "read": min(self.read_seconds, left),
            "write": min(self.write_seconds, left),
            "pool": min(self.pool_seconds, left),
        }


class Audited(httpx.BaseTransport):
    """Writes the intent before the wire and the outcome after it, reads the body whole, within its bounds.

    An attempt whose intent cannot be written is not made. What comes back is a response that carries a Received.
    """

    def __init__(
        self, wire: httpx.BaseTransport, recorder: CallRecorder, body_hash: BodyHash, limits: WireLimits
    ) -> None:
        self._wire = wire
        self._recorder = recorder
        self._body_hash = body_hash
        self._limits = limits

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Raises AuditUnavailableError before the wire; APIConnectionError or APIResponseError after it."""
        attempt: Attempt = request.extensions[ATTEMPT]
        left = attempt.deadline - time.monotonic()
        if left <= 0:
            raise APITimeoutError(
                f"{attempt.operation}: no time was left for attempt {attempt.number}", attempt.facts()
            )
        intent = attempt.intent(request.method)
        request_id = self._recorder.record_intent(intent)
        request.headers["X-Request-ID"] = request_id
        request.extensions["timeout"] = self._limits.timeouts(left)
        request.extensions["deadline"] = attempt.deadline
        exchange = _Exchange(self._wire, self._limits, attempt, request_id)
        began = time.perf_counter()
        try:
            response, content = exchange.run(request)
        except APIError as error:
            self._record_failure(request_id, exchange, began, error)
            raise
        words = read_rate_words(response.headers)
        body = Body(content)
        self._recorder.record_outcome(request_id, self._outcome(exchange, began, body, words))
        response.extensions[RECEIVED] = Received(body, request_id, intent.started_at, words)
        return response

    def close(self) -> None:
        """Closes the wire's connections."""
        self._wire.close()

    def _record_failure(self, request_id: str, exchange: _Exchange, began: float, error: APIError) -> None:
        outcome: OutcomeWord = "network_error" if isinstance(error, APIConnectionError) else "server_error"
        self._recorder.record_outcome(
            request_id,
            CallOutcome(
                finished_at=now(),
                status=exchange.status,
                outcome=outcome,
                latency_ms=_milliseconds_since(began),
                bytes=exchange.wire_bytes,
                error=f"{type(error).__name__}: {error.message}",
            ),
        )

    def _outcome(self, exchange: _Exchange, began: float, body: Body, words: RateWords) -> CallOutcome:
        outcome = word_of(exchange.status)
        return CallOutcome(
            finished_at=now(),
            status=exchange.status,
            outcome=outcome,
            latency_ms=_milliseconds_since(began),
            bytes=exchange.wire_bytes,
            items=body.count_items() if outcome == "ok" else None,
            error=exchange.lost_body,
            body_hash=self._body_hash(body.content) if body.content else None,
            retry_after_seconds=words.retry_after_seconds if exchange.status in {429, 503} else None,
        )


class _Exchange:
    """One request and its whole answer; knows how far it came when it failed."""

    def __init__(self, wire: httpx.BaseTransport, limits: WireLimits, attempt: Attempt, request_id: str) -> None:
        self._wire = wire
        self._max_bytes = min(limits.max_body_bytes, attempt.max_body_bytes)
        self._name = attempt.operation
        self._facts = attempt.facts(request_id)
        self._url: httpx.URL
        self._extensions: dict[str, object]
        self._parts: list[bytes] = []
        self.status: int | None = None
        self.lost_body: str | None = None

    @property
    def wire_bytes(self) -> int:
        """How many bytes of the body came, packed as they were."""
        return sum(map(len, self._parts))

    @property
    def _was_sent(self) -> bool:
        return SENT in self._extensions

    def run(self, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        self._url = request.url
        self._extensions = request.extensions
        with self._named_errors():
            response = self._wire.handle_request(request)
            self.status = response.status_code
            if self.status < 400:
                return response, self._body(response)
        self._max_bytes = min(self._max_bytes, ERROR_BYTES)
        try:
            with self._named_errors():
                return response, self._body(response)
        except APIError as error:
            # The status says what to do next (429: when to come back); its body is a courtesy.
            self.lost_body = f"{type(error).__name__}: {error.message}"
            return response, b""

    def _body(self, response: httpx.Response) -> bytes:
        bound = self._max_bytes
        stream = response.stream
        assert isinstance(stream, httpx.SyncByteStream)
        try:
            read_bounded(stream, self._parts, max_bytes=bound)
        finally:
            stream.close()
        return unpack_bounded(b"".join(self._parts), response.headers.get("content-encoding"), max_bytes=bound)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """No library's error leaves under its own name, nor with its own words: they may quote bytes of the answer."""
        name = self._name
        try:
            yield
        except TOO_LATE as error:
            raise APITimeoutError(self._why(error), self._facts, was_sent=self._was_sent) from None
        except BROKEN as error:
            raise APIConnectionError(self._why(error), self._facts, was_sent=self._was_sent) from None
        except BodyTooLarge:
            sentence = f"the body is larger than {self._max_bytes:,} bytes"
            raise BodyTooLargeError(f"{name}: {sentence}", self._facts) from None
        except UnreadableEncoding:
            raise APIResponseError(f"{name}: the body's encoding cannot be unpacked", self._facts) from None

    def _why(self, error: Exception) -> str:
        return why_no_answer(error, self._url, self._facts.partner, self._name)


class Budgeted(httpx.BaseTransport):
    """Takes a slot of the request budget before each attempt and settles it when the attempt's outcome is known."""

    def __init__(self, inner: httpx.BaseTransport, budget: RequestBudget, stop: Stop, max_wait_seconds: float) -> None:
        self._inner = inner
        self._budget = budget
        self._stop = stop
        self._max_wait_seconds = max_wait_seconds

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Raises BudgetExhaustedError when the next slot is further away than may be waited."""
        attempt: Attempt = request.extensions[ATTEMPT]
        slot = self._wait_for_slot(attempt)
        words = RateWords()
        try:
            response = self._inner.handle_request(request)
            words = received(response).rate_words
            return response
        finally:
            self._budget.settle(slot, words)

    def close(self) -> None:
        """Closes the wire's connections."""
        self._inner.close()

    def _wait_for_slot(self, attempt: Attempt) -> object:
        waited = 0.0
        while True:
            left = attempt.deadline - time.monotonic()
            slot = self._budget.take(deadline_seconds=max(left, 1.0), first_class=attempt.first_class)
            if not isinstance(slot, float):
                return slot
            if waited + slot > self._max_wait_seconds or slot > left:
                raise BudgetExhaustedError(
                    f"{attempt.operation}: the request budget of {attempt.connection} is spent for {slot:.0f} s",
                    attempt.facts(),
                    retry_after_seconds=slot,
                )
            pause = min(slot, 0.5)
            self._stop.wait(pause)
            waited += pause


class Unlimited:
    """The budget of a connection without limits."""

    def take(self, *, deadline_seconds: float, first_class: bool) -> object:  # noqa: ARG002 - the port's shape
        """There is always a slot."""
        return self

    def settle(self, slot: object, words: RateWords) -> None:
        """Nothing to remember."""


def is_answer(status: int) -> bool:
    """Whether the body is what was asked for, all of it: a redirect, a part (206) or a switch of protocols is not."""
    return 200 <= status < 300 and status != httpx.codes.PARTIAL_CONTENT


def word_of(status: int | None) -> OutcomeWord:
    """The trail's word for an HTTP status; what is neither an answer nor a refusal is the server's error."""
    if status is None:
        return "network_error"
    if is_answer(status):
        return "ok"
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return "rate_limited"
    return "client_error" if 400 <= status < 500 else "server_error"


def _milliseconds_since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 3)
