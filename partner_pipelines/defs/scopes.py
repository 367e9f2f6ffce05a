"""The sensor that notices new and withdrawn scopes, and loads the table of a new one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from partner_pipelines.defs import audit, resman
from partner_pipelines.defs.resources import current_settings
from partner_pipelines.defs.run_report import asset_key
from partner_pipelines.defs.schedules import default_sensor_status
from partner_pipelines.errors import APIError, PartnerPipelinesError, SettingsError
from partner_pipelines.state.stop import StopSignal

if TYPE_CHECKING:
    from partner_pipelines.settings import ResManConnection
    from partner_pipelines.state.scopes import ScopeChange
    from partner_pipelines.sync.house import House

# Dagster cuts a sensor's evaluation off after 60 seconds
_QUICKLY = {"operation_deadline_seconds": 15.0, "max_wait_seconds": 5.0}
RUN_KEY = "dagster/run_key"


@dg.sensor(
    name="scopes_sensor",
    asset_selection=dg.AssetSelection.assets(*map(asset_key, (*resman.TABLES, audit.RUNS))),
    minimum_interval_seconds=10,
    default_status=default_sensor_status(),
    description=(
        "Asks ResMan, at most once per connection and RESMAN_SCOPE_PROBE_INTERVAL, which scopes it grants now. "
        "A new one: a row in audit.scope_events, a notification, and a run that loads its table. "
        "Also revokes at the partner the tokens that wait for it."
    ),
)
def scopes_sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """One look at each connection; a connection that cannot be looked at stops no other one."""
    try:
        changes, notes = _look_at_all()
        requests = [_request(change) for change in changes if not _was_run(context.instance, change)]
    except PartnerPipelinesError as error:
        raise dg.Failure(str(error)) from None
    yield from requests
    if not requests:
        yield dg.SkipReason("; ".join(notes) or "No scope is new.")


def _look_at_all() -> tuple[list[ScopeChange], list[str]]:
    from partner_pipelines.sync.house import open_house  # noqa: PLC0415 - httpx and DuckDB load with the work

    settings = current_settings().model_copy(update=_QUICKLY)
    changes: list[ScopeChange] = []
    notes: list[str] = []
    if settings.resman:
        with open_house(settings, run_id=None, stop=StopSignal()) as house:
            for connection in settings.resman:
                changes += _look_at(house, connection, notes)
    return changes, notes


def _look_at(house: House, connection: ResManConnection, notes: list[str]) -> tuple[ScopeChange, ...]:
    from partner_pipelines.sync.scopes import look, tell  # noqa: PLC0415 - as above

    access = house.access(connection)
    try:
        access.reactivate()
        access.revoke_pending()
        look(access, connection.scope_probe_interval.total_seconds())
    except (APIError, SettingsError) as error:
        notes.append(f"{connection.name}: {error}")
    return tell(access)


def _was_run(instance: dg.DagsterInstance, change: ScopeChange) -> bool:
    return instance.get_runs_count(dg.RunsFilter(tags={RUN_KEY: change.id})) > 0


def _request(change: ScopeChange) -> dg.RunRequest:
    keys = [asset_key(f"resman.{change.scope}"), asset_key(audit.RUNS)]
    return dg.RunRequest(run_key=change.id, asset_selection=keys, tags={"scope": change.scope})
