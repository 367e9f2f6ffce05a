"""`doctor` on webhooks that have come: those that wait, those that cannot be used, and what is none."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from partner_pipelines.clock import now
from partner_pipelines.counted import counted
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.dead_letters import DeadLetters
from partner_pipelines.state.inbox import InboxSight, look_into_inbox
from partner_pipelines.sync.doctor_findings import Finding
from partner_pipelines.sync.doctor_table import found, green

_WAITS_NO_LONGER_THAN = timedelta(minutes=10)  # `up` applies within seconds, a timer's `sync` may come that often


def check_webhooks(data: DataDirectory) -> Iterator[Finding]:
    """The inbox and the dead letters. Raises StateError."""
    sight = look_into_inbox(data.webhooks)
    letters = len(DeadLetters(data.webhooks).all())
    yield _of_waiting(sight)
    if sight.strange:
        more = f" and {len(sight.strange) - 1} more" if len(sight.strange) > 1 else ""
        yield found("inbox_strange", f"{sight.strange[0]}{more}: no file, nobody reads it")
    if letters:
        yield found("letters_dead", f"{counted(letters, 'delivery', 'deliveries')} could not be used")


def _of_waiting(sight: InboxSight) -> Finding:
    if sight.oldest is None:
        return green("webhooks", "no delivery waits")
    oldest = datetime.fromtimestamp(sight.oldest, UTC)
    waits = "waits" if sight.waiting == 1 else "wait"
    says = f"{counted(sight.waiting, 'delivery', 'deliveries')} {waits}, since {oldest:%Y-%m-%d %H:%M:%S} UTC"
    return found("inbox_waits", says) if now() - oldest > _WAITS_NO_LONGER_THAN else green("webhooks", says)
