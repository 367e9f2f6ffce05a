"""Everything that has to be right, looked at once: a line each, green, yellow or red, with what to do.

Each check has a time of its own, and what goes wrong in one stops no other. Every request is budgeted and audited as
all are, with the purpose `check`; where the trail cannot be written, none is made.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from partner_pipelines.errors import AuditUnavailableError, PartnerPipelinesError, StateError, UsageError
from partner_pipelines.settings import Settings, misspelt
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.doctor_data import check_data_directory, check_disk, check_warehouse
from partner_pipelines.sync.doctor_findings import Finding
from partner_pipelines.sync.doctor_notifications import check_notifications
from partner_pipelines.sync.doctor_partners import check_openmoove, check_resman
from partner_pipelines.sync.doctor_services import check_receiver, check_schedules, check_up
from partner_pipelines.sync.doctor_table import found, green
from partner_pipelines.sync.doctor_tls import check_tls
from partner_pipelines.sync.doctor_trail import check_signing_key, check_trail
from partner_pipelines.sync.doctor_webhooks import check_webhooks
from partner_pipelines.sync.house import House, open_house

CHECK_SECONDS = 60.0
CONNECTION_SECONDS = 45.0
_AT_MOST = {
    "operation_deadline_seconds": 10.0,
    "max_wait_seconds": 2.0,
    "connection_deadline_seconds": CONNECTION_SECONDS,
}
_LOOK_SECONDS = 0.1

Check = Callable[[], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Visit:
    """What is examined. `switched_off` names the schedules and sensors that somebody has switched off."""

    settings: Settings
    environ: Mapping[str, str]
    switched_off: Callable[[DataDirectory], Sequence[str]]
    stop: StopSignal
    check_seconds: float = CHECK_SECONDS


def examine(visit: Visit) -> Iterator[Finding]:
    """Every check's findings, one after the other.

    Raises:
        UsageError: the data directory is another environment's or a newer version's: nothing is called.
        StoppedError: somebody asked it to end.
    """
    quickly = {name: min(most, getattr(visit.settings, name)) for name, most in _AT_MOST.items()}
    settings = visit.settings.model_copy(update=quickly)
    data = DataDirectory(settings.data_dir)
    yield from _check_settings(visit)
    with ExitStack() as undo:
        houses: list[House] = []
        is_shut: list[bool] = []

        def enter() -> Iterator[Finding]:
            is_shut.append(_is_shut(data))
            yield from check_data_directory(settings)
            houses.append(undo.enter_context(open_house(settings, run_id=None, stop=visit.stop)))

        yield from _in_time("data directory", visit, enter)
        yield from _in_time("TLS", visit, partial(check_tls, settings))
        yield from _check_connections(visit, settings, houses)
    yield from _in_time("notifications", visit, partial(check_notifications, settings))
    for name, check in _of_the_machine(settings, data, visit).items():
        if any(is_shut):
            yield found("check_left_out", "not looked at: the data directory cannot be read", check=name)
        else:
            yield from _in_time(name, visit, check)


def _is_shut(data: DataDirectory) -> bool:
    """Nothing in the data directory can be looked at, which its own line says: seven more would say it again."""
    try:
        os.scandir(data.root).close()
    except FileNotFoundError:
        return False  # to the checks that is an empty one
    except OSError:
        return True
    return False


def _of_the_machine(settings: Settings, data: DataDirectory, visit: Visit) -> dict[str, Check]:
    return {
        "disk": partial(check_disk, data),
        "warehouse": partial(check_warehouse, data),
        "trail": partial(check_trail, settings, data),
        "signing key": partial(check_signing_key, settings, data),
        "up": partial(check_up, data),
        "receiver": partial(check_receiver, settings, data),
        "webhooks": partial(check_webhooks, data),
        "schedules": partial(check_schedules, data, visit.switched_off),
    }


def _check_settings(visit: Visit) -> Iterator[Finding]:
    settings = visit.settings
    names = ", ".join(connection.name for connection in settings.connections) or "no connection"
    yield green("settings", f"{settings.environment}: {names}")
    for partner, reason in settings.not_configured.items() if settings.connections else ():
        yield found("partner_unset", f"{partner}: {reason}")
    for name, meant in misspelt(visit.environ).items():
        yield found("setting_misspelt", f"{name} is no setting and has no effect: did you mean {meant}?")


def _check_connections(visit: Visit, settings: Settings, houses: Sequence[House]) -> Iterator[Finding]:
    if not houses:
        for connection in settings.connections:
            yield found("credentials_unknown", "not asked: no call can be audited", connection.name)
        return
    (house,) = houses
    for resman in settings.resman:
        yield from _in_time("credentials", visit, partial(check_resman, house, resman), resman.name)
    for openmoove in settings.openmoove:
        yield from _in_time("credentials", visit, partial(check_openmoove, house, openmoove), openmoove.name)


def _in_time(name: str, visit: Visit, check: Check, connection: str | None = None) -> Iterator[Finding]:
    """What the check found, within its time: a disk or a resolver that hangs keeps a thread, and nobody else."""
    said: list[Finding] = []
    ended: list[BaseException] = []

    def work() -> None:
        try:
            said.extend(check())
        except BaseException as error:  # noqa: BLE001 - an edge: it is told, or raised again below
            ended.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    until = time.monotonic() + visit.check_seconds
    while thread.is_alive() and time.monotonic() < until:
        thread.join(_LOOK_SECONDS)
        visit.stop.check()
    is_over = not thread.is_alive()
    yield from said[:]
    if not is_over:
        yield found("check_ended_badly", f"no end within {visit.check_seconds:.0f} s", connection, check=name)
    for error in ended:
        yield _told(error, name, connection)


def _told(error: BaseException, name: str, connection: str | None) -> Finding:
    """An error as a line; of one that nobody expects only its class, for its words may be anybody's."""
    is_of_the_place = name == "data directory"
    if not isinstance(error, Exception) or (is_of_the_place and isinstance(error, UsageError)):
        raise error
    if isinstance(error, AuditUnavailableError) or (is_of_the_place and isinstance(error, StateError)):
        return found("data_unusable", str(error))
    says = str(error) if isinstance(error, PartnerPipelinesError) else type(error).__name__
    return found("check_ended_badly", says, connection, check=name)
