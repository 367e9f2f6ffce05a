"""Which schedules and sensors somebody has switched off."""

from __future__ import annotations

from dagster._core.scheduler.instigation import InstigatorStatus  # no public name

from partner_pipelines.defs.home import open_instance
from partner_pipelines.state.data_directory import DataDirectory


def switched_off(data: DataDirectory) -> list[str]:
    """Their names. Raises StateError, NewerSchemaError."""
    with open_instance(data) as instance:
        states = instance.all_instigator_state()
    return sorted(state.instigator_name for state in states if state.status == InstigatorStatus.STOPPED)
