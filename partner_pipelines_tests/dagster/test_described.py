"""Whoever browses the UI finds of everything what it is, where it comes from, how new it should be and who owns it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest
from dagster._core.definitions.freshness import TimeWindowFreshnessPolicy
from dagster._utils.schedules import cron_string_iterator

from partner_pipelines.defs.running import definitions
from partner_pipelines.defs.schedules import REFRESHES, Refresh

GROUPS = {"resman", "openmoove", "webhooks", "audit", "history", "marts"}

# Refreshed when somebody writes to a partner: no writes for a month is no fault
WHEN_SOMETHING_COMES = {"audit/writes"}


# No table: what it says of itself is of a file
FILES = {"reports/weekly"}


def test_every_asset_says_all_of_itself() -> None:
    checked = {key.asset_key for key in definitions().resolve_asset_graph().asset_check_keys}
    specs = definitions().resolve_all_asset_specs()
    for spec in specs:
        name = spec.key.to_user_string()
        grain, source, refresh = (spec.description or "").split("\n\n")
        assert grain.startswith("One file, " if name in FILES else "One row per "), name
        assert source.startswith("Source: "), name
        assert refresh.startswith("Refresh: "), name
        assert list(spec.owners) == ["team:data-engineering"], name
        assert ("html" if name in FILES else "duckdb") in spec.kinds, name
        assert spec.tags["personal_data"] in {"none", "as_tokens"}, name
        assert name in FILES or spec.metadata["dagster/table_name"] == ".".join(spec.key.path)
        assert isinstance(spec.freshness_policy, TimeWindowFreshnessPolicy) or name in WHEN_SOMETHING_COMES, name
        assert spec.key in checked, name
    assert {spec.group_name for spec in specs} == GROUPS


def test_every_check_job_schedule_and_sensor_is_described() -> None:
    graph, repository = definitions().resolve_asset_graph(), definitions().get_repository_def()
    described = [(str(key), graph.get_check_spec(key).description) for key in graph.asset_check_keys]
    described += [(job.name, job.description) for job in repository.get_all_jobs() if not job.name.startswith("__")]
    described += [(schedule.name, schedule.description) for schedule in repository.schedule_defs]
    described += [(sensor.name, sensor.description) for sensor in repository.sensor_defs]
    assert [name for name, description in described if not description] == []


@pytest.mark.parametrize("refresh", REFRESHES, ids=lambda refresh: refresh.job)
def test_what_is_judged_by_a_schedule_is_given_the_longest_time_between_its_ticks(refresh: Refresh) -> None:
    begin = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    ticks = list(islice(cron_string_iterator(begin, refresh.cron, "UTC"), 200))
    assert max(later - earlier for earlier, later in pairwise(ticks)) == refresh.every > timedelta(0)
