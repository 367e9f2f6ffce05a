"""Prints what the UI shows as JSON; `test_definitions.py` says how it is used."""

from __future__ import annotations

import json
import sys
from typing import Any

import dagster as dg
from dagster._core.definitions.freshness import TimeWindowFreshnessPolicy  # no public name

from partner_pipelines.definitions import defs


def _asset(spec: dg.AssetSpec) -> dict[str, Any]:
    schema = spec.metadata.get("dagster/column_schema")
    return {
        "group": spec.group_name,
        "kinds": sorted(spec.kinds),
        "owners": list(spec.owners),
        "description": spec.description,
        "deps": sorted(dep.asset_key.to_user_string() for dep in spec.deps),
        "freshness": _freshness(spec.freshness_policy),
        "tags": dict(sorted(spec.tags.items())),
        "table": spec.metadata.get("dagster/table_name"),
        "columns": len(schema.columns) if schema else 0,
        "personal": [column.name for column in schema.columns if _is_personal(column)] if schema else [],
    }


def _freshness(policy: object) -> dict[str, float]:
    """In hours; nothing where none is owed."""
    if policy is None:
        return {}
    assert isinstance(policy, TimeWindowFreshnessPolicy)
    warned = policy.warn_window
    assert warned is not None
    return {
        "warned after": warned.to_timedelta().total_seconds() / 3600,
        "failed after": policy.fail_window.to_timedelta().total_seconds() / 3600,
    }


def _is_personal(column: dg.TableColumn) -> bool:
    return column.tags.get("privacy") == "personal"


def _schedule(schedule: dg.ScheduleDefinition) -> dict[str, Any]:
    return {
        "job": schedule.job_name,
        "description": schedule.description,
        "cron": schedule.cron_schedule,
        "timezone": schedule.execution_timezone,
        "status": schedule.default_status.name,
    }


def _job(job: dg.JobDefinition) -> dict[str, Any]:
    return {
        "description": job.description,
        "assets": sorted(key.to_user_string() for key in job.asset_layer.executable_asset_keys),
    }


def snapshot() -> dict[str, Any]:
    """Everything that a change of the definitions may change by accident."""
    graph = defs.resolve_asset_graph()
    repository = defs.get_repository_def()
    specs = defs.resolve_all_asset_specs()
    return {
        "assets": {spec.key.to_user_string(): _asset(spec) for spec in specs},
        "checks": {
            f"{key.asset_key.to_user_string()}: {key.name}": graph.get_check_spec(key).description
            for key in graph.asset_check_keys
        },
        "jobs": {job.name: _job(job) for job in repository.get_all_jobs()},
        "schedules": {schedule.name: _schedule(schedule) for schedule in repository.schedule_defs},
        "sensors": {
            sensor.name: {"status": sensor.default_status.name, "description": sensor.description}
            for sensor in repository.sensor_defs
        },
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(snapshot(), indent=1, sort_keys=True, ensure_ascii=False) + "\n")
