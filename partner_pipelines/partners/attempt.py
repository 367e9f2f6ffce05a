"""One attempt of an operation: what is known of it before the wire, and after it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import datetime

import httpx

from partner_pipelines.clock import now
from partner_pipelines.errors import CallFacts
from partner_pipelines.models.call import CallIntent, Purpose
from partner_pipelines.partners.bodies import Body
from partner_pipelines.partners.ports import RateWords

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
