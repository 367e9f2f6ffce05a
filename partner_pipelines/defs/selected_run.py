"""A run of some assets and some of their checks. Dagster's `create_run_for_job` takes assets alone, with all checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.definitions.job_base import IJob
from dagster._core.execution.api import create_execution_plan  # no public name, nor the next one
from dagster._core.snap import snapshot_from_execution_plan


def create_selected_run(
    instance: dg.DagsterInstance,
    job: IJob,
    run_id: str,
    assets: frozenset[dg.AssetKey],
    checks: frozenset[dg.AssetCheckKey],
    run_config: Mapping[str, Any],
    tags: Mapping[str, str],
) -> dg.DagsterRun:
    """The run is recorded, not yet started, as `create_run_for_job` would record it."""
    chosen = job.get_subset(asset_selection=assets, asset_check_selection=checks).get_definition()
    plan = create_execution_plan(chosen, run_config, instance_ref=instance.get_ref(), tags=tags)
    return instance.create_run(
        job_name=chosen.name,
        run_id=run_id,
        run_config=run_config,
        status=dg.DagsterRunStatus.NOT_STARTED,
        tags=tags,
        root_run_id=None,
        parent_run_id=None,
        step_keys_to_execute=plan.step_keys_to_execute,
        execution_plan_snapshot=snapshot_from_execution_plan(plan, chosen.get_job_snapshot_id()),
        job_snapshot=chosen.get_job_snapshot(),
        parent_job_snapshot=chosen.get_parent_job_snapshot(),
        asset_selection=assets,
        asset_check_selection=checks,
        resolved_op_selection=None,
        op_selection=None,
        remote_job_origin=None,
        job_code_origin=None,
        asset_graph=chosen.asset_layer.asset_graph,
    )
