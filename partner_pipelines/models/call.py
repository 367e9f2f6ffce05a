"""The record of one attempt at a call: what is written before the wire (intent) and after it (outcome).

Neither may hold a secret or a person's data: bodies are described by field names, sizes and keyed hashes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Purpose = Literal["work", "probe", "check"]
OutcomeWord = Literal["ok", "client_error", "server_error", "rate_limited", "network_error", "unknown"]


@dataclass(frozen=True, slots=True)
class CallIntent:
    """What is about to be sent.

    `operation_id` joins the attempts of one operation, `attempt` counts them from 1. `url` holds no secret and no
    personal data. `reason` says why the call was planned, `scope` with which right it is made.
    `sent` describes a body: {field name: keyed HMAC of its value}.
    """

    operation_id: str
    connection: str
    partner: str
    operation: str
    reason: str
    purpose: Purpose
    method: str
    url: str
    attempt: int
    started_at: datetime
    run_id: str | None = None
    scope: str | None = None
    sent: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """How it ended. `status` is None where no status line came; `bytes` counts the body as it came over the wire.

    `items` says how many the answer holds: the rows of a list, 1 for any other JSON object; None where it is no JSON of
    these two kinds, and for whatever is no answer. `body_hash` is a keyed hash of the unpacked body, `error` names the
    error's class and a sentence without data.
    """

    finished_at: datetime
    status: int | None
    outcome: OutcomeWord
    latency_ms: float
    bytes: int
    items: int | None = None
    error: str | None = None
    body_hash: str | None = None
    retry_after_seconds: float | None = None
