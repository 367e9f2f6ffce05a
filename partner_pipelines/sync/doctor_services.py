"""`doctor` on what should be running: `up` or a timer, the receiver, the schedules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

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
_LAST_RUN = "SELECT epoch(max(finished_at)) FROM audit.runs"


def check_up(data: DataDirectory) -> Iterator[Finding]:
    """Whether somebody runs what is due. Raises StateError."""
    if is_locked(data.state / "up.lock"):
        yield green("up", "`up` is at work: Dagster's daemon runs the schedules")
        return
    last = _last_run(data)
    if last is not None and now() - last < _TIMERS_INTERVAL:
        yield green("up", f"`up` is not at work; a run ended at {last:%Y-%m-%d %H:%M} UTC")
    else:
        ended = "no run has ended yet" if last is None else f"the last run ended {last:%Y-%m-%d %H:%M} UTC"
        yield found("up_off", f"`up` is not at work; {ended}")


def _last_run(data: DataDirectory) -> datetime | None:
    try:
        with published(data) as database:
            ((seconds,),) = database.execute(_LAST_RUN).fetchall()
    except PartnerPipelinesError:
        return None  # nothing is published, or it cannot be read: the warehouse's line says which
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


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
