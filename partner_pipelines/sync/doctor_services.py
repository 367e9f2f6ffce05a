"""`doctor` on what should be running: `up` or a timer, the receiver, the schedules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from partner_pipelines.clock import now
from partner_pipelines.errors import PartnerPipelinesError
from partner_pipelines.settings import Settings
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.files import is_locked
from partner_pipelines.state.heartbeat import GIVEN_UP_AFTER, Heartbeat
from partner_pipelines.sync.doctor_findings import Finding
from partner_pipelines.sync.doctor_table import found, green
from partner_pipelines.warehouse.reading import published

_TIMERS_INTERVAL = timedelta(hours=2)
_BEATS_WITHIN = timedelta(seconds=30)  # it beats every five
_LAST_RUN = "SELECT epoch(finished_at), success FROM audit.runs ORDER BY finished_at DESC LIMIT 1"


def check_up(data: DataDirectory) -> Iterator[Finding]:
    """Whether somebody runs what is due, and whether the last run went well. Raises StateError."""
    last = _last_run(data)
    yield _of_up(data, None if last is None else last.ended)
    if last is not None and not last.success:
        yield found("run_failed", f"the last run, which ended at {last.ended:%Y-%m-%d %H:%M} UTC, failed")


def _of_up(data: DataDirectory, last: datetime | None) -> Finding:
    if is_locked(data.state / "up.lock"):
        return green("up", "`up` is at work: Dagster's daemon runs the schedules")
    if last is not None and now() - last < _TIMERS_INTERVAL:
        return green("up", f"`up` is not at work; a run ended at {last:%Y-%m-%d %H:%M} UTC")
    ended = "no run has ended yet" if last is None else f"the last run ended {last:%Y-%m-%d %H:%M} UTC"
    return found("up_off", f"`up` is not at work; {ended}")


class _LastRun(NamedTuple):
    ended: datetime
    success: bool


def _last_run(data: DataDirectory) -> _LastRun | None:
    try:
        with published(data) as database:
            rows = database.execute(_LAST_RUN).fetchall()
    except PartnerPipelinesError:
        return None  # nothing is published, or it cannot be read: the warehouse's line says which
    return next((_LastRun(datetime.fromtimestamp(seconds, UTC), success) for seconds, success in rows), None)


def check_receiver(settings: Settings, data: DataDirectory) -> Iterator[Finding]:
    """Whether deliveries are taken, by the receiver's own word in its heartbeat. Raises StateError."""
    last = Heartbeat(data.webhooks).last()
    for name in dict.fromkeys([*(connection.name for connection in settings.openmoove), *settings.webhook_secrets]):
        if name in settings.webhook_secrets:
            yield _of_receiver(name, last.get(name), settings)
        else:
            yield found("receiver_unset", "no secret is set (OPENMOOVE_WEBHOOK_SECRETS)", name)


def _of_receiver(connection: str, last: datetime | None, settings: Settings) -> Finding:
    if last is None:
        return found("receiver_silent", "none has worked for it yet", connection)
    silent = now() - last
    says = f"it last worked at {last:%Y-%m-%d %H:%M:%S} UTC"
    if silent <= _BEATS_WITHIN:
        return green("receiver", says, connection)
    is_lost = silent > GIVEN_UP_AFTER and settings.environment != "sandbox"
    return found("receiver_gap" if is_lost else "receiver_silent", says, connection)


def check_schedules(data: DataDirectory, switched_off: Callable[[DataDirectory], Sequence[str]]) -> Iterator[Finding]:
    """Whether all of them are on. Raises StateError."""
    off = switched_off(data) if data.dagster.exists() else ()
    if off:
        yield found("schedule_off", f"switched off: {', '.join(off)}")
    else:
        yield green("schedules", "none is switched off; they run below `up`")
