"""Records of a call for the trail's tests, and the children that write them."""

from __future__ import annotations

import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from partner_pipelines.models.call import CallIntent, CallOutcome
from partner_pipelines.state.audit_trail import AuditTrail

MOMENT = datetime(2026, 11, 22, 3, 15, 19, tzinfo=UTC)


def intent(operation: str = "openmoove.detail", **changes: str) -> CallIntent:
    words = {"operation_id": "op-1", "connection": "elm-park", "partner": "openmoove", "reason": "never fetched"}
    words |= {"method": "GET", "url": "https://api.example/api/partners/properties/1/"} | changes
    return CallIntent(**words, operation=operation, purpose="work", attempt=1, started_at=MOMENT, sent={"name": "ab12"})


def outcome(status: int = 200) -> CallOutcome:
    return CallOutcome(
        finished_at=MOMENT, status=status, outcome="ok", latency_ms=12.5, bytes=321, items=8, body_hash="c0ffee"
    )


def open_trail(segments: Path) -> AuditTrail:
    return AuditTrail(segments, version="0.1.0")


def _append_for_ever(segments: Path, calls: int) -> None:
    """Says each id before it would be sent, and each outcome after it is recorded; never closes its segment."""
    trail = open_trail(segments)
    for number in range(calls):
        if number % 40 == 0:
            trail.reserve(40)
        request_id = trail.record_intent(intent())
        os.write(1, f"sent {request_id}\n".encode())
        if number % 7 != 3:
            trail.record_outcome(request_id, outcome())
            os.write(1, f"done {request_id}\n".encode())
        if number % 11 == 0:
            trail.record_event("token", {"granted": ["units"]})


def _append_some(segments: Path, calls: int) -> None:
    trail = open_trail(segments)
    for _ in range(calls):
        trail.record_outcome(trail.record_intent(intent()), outcome())
    trail.close()


def _hold(segments: Path) -> None:
    """One call that waits, one number that was never used, until standard input ends; then killed by its own hand."""
    trail = open_trail(segments)
    trail.reserve(3)
    print(trail.record_intent(intent()), flush=True)  # noqa: T201 -- the parent reads it
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    what, directory, *numbers = sys.argv[1:]
    if what == "for-ever":
        _append_for_ever(Path(directory), int(numbers[0]))
    elif what == "some":
        _append_some(Path(directory), int(numbers[0]))
    else:
        _hold(Path(directory))
