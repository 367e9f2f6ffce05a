"""The one way to the wire: `Budgeted(Audited(wire))`, httpx transports, so that no call can go round them.

`httpx.Client` is left out: that saves a third of a call's time (docs/benchmarks.md) and leaves nothing that could
follow a redirect or read a proxy from the environment.
"""

from __future__ import annotations

import time

import httpx

from partner_pipelines.clock import now
from partner_pipelines.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    BudgetExhaustedError,
)
from partner_pipelines.models.call import CallOutcome, OutcomeWord
from partner_pipelines.partners.attempt import ATTEMPT, RECEIVED, Attempt, Received, received
from partner_pipelines.partners.bodies import Body
from partner_pipelines.partners.exchange import Exchange, WireLimits
from partner_pipelines.partners.ports import BodyHash, CallRecorder, RateWords, RequestBudget, Stop
from partner_pipelines.partners.rate_words import read_rate_words


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
        exchange = Exchange(self._wire, self._limits, attempt, request_id)
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

    def _record_failure(self, request_id: str, exchange: Exchange, began: float, error: APIError) -> None:
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

    def _outcome(self, exchange: Exchange, began: float, body: Body, words: RateWords) -> CallOutcome:
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
