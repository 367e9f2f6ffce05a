"""What somebody has switched off in Dagster's UI is known by its name."""

from __future__ import annotations

from pathlib import Path

from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
    SensorInstigatorData,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from partner_pipelines.defs.home import open_instance
from partner_pipelines.defs.switches import switched_off
from partner_pipelines.state.data_directory import open_data_directory

_SWITCHES = {
    "leads_every_15_minutes": (InstigatorType.SCHEDULE, InstigatorStatus.STOPPED),
    "units_three_times_a_day": (InstigatorType.SCHEDULE, InstigatorStatus.RUNNING),
    "dead_runs_are_failed": (InstigatorType.SENSOR, InstigatorStatus.STOPPED),
    "api_calls_hourly": (InstigatorType.SCHEDULE, InstigatorStatus.DECLARED_IN_CODE),
}


def test_what_is_switched_off_is_named_schedules_and_sensors_alike(tmp_path: Path) -> None:
    data = open_data_directory(tmp_path / "data", "sandbox")
    target = LoadableTargetOrigin(module_name="partner_pipelines.definitions")
    repository = RemoteRepositoryOrigin(
        ManagedGrpcPythonEnvCodeLocationOrigin(target, location_name="partner_pipelines"), "__repository__"
    )
    with open_instance(data) as instance:
        assert switched_off(data) == []
        for name, (kind, status) in _SWITCHES.items():
            state = ScheduleInstigatorData("0 * * * *") if kind == InstigatorType.SCHEDULE else SensorInstigatorData()
            origin = RemoteInstigatorOrigin(repository, name)
            instance.add_instigator_state(InstigatorState(origin, kind, status, state))
    assert switched_off(data) == ["dead_runs_are_failed", "leads_every_15_minutes"]
