"""The marts as assets: what the UI shows of them, the picture, and the check with its target."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator

import dagster as dg
import pytest

from partner_pipelines.defs.home import open_instance
from partner_pipelines.defs.running import definitions, run_sync
from partner_pipelines.settings import Settings, load_settings
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.warehouse.marts import MARTS
from partner_pipelines_tests.alert_receiver import AlertReceiver
from partner_pipelines_tests.dagster.conftest import published
from partner_pipelines_tests.sandbox_process import SandboxProcess

REPORT = dg.AssetKey(["reports", "weekly"])
# Without their scopes, and without a write; and what is no table
_WITHOUT_ROWS = {
    REPORT,
    *map(dg.AssetKey, (["resman", "payments"], ["resman", "maintenance"], ["audit", "writes"])),
}
_BARE = """
    SELECT schema_name || '.' || table_name, '' FROM duckdb_tables() WHERE comment IS NULL AND NOT internal
    UNION ALL
    SELECT schema_name || '.' || view_name, '' FROM duckdb_views() WHERE comment IS NULL AND NOT internal
    UNION ALL
    SELECT schema_name || '.' || table_name, column_name FROM duckdb_columns() WHERE comment IS NULL AND NOT internal
"""
PICTURES = (
    *("api_health", "rent_history", "unit_availability", "lead_funnel", "transaction_progress"),
    *("milestone_durations", "overdue_milestones"),
)
FRESHNESS = dg.AssetKey(["marts", "openmoove_freshness"])


@pytest.fixture
def instance(data: DataDirectory) -> Iterator[dg.DagsterInstance]:
    with open_instance(data) as opened:
        yield opened


def materialized(instance: dg.DagsterInstance, key: dg.AssetKey) -> dict[str, dg.MetadataValue]:
    event = instance.get_latest_materialization_event(key)
    assert event is not None
    assert event.asset_materialization is not None
    return dict(event.asset_materialization.metadata)


def fresh(instance: dg.DagsterInstance) -> dg.AssetCheckEvaluation:
    return judged(instance, FRESHNESS, "active_properties_are_fresh")


def judged(instance: dg.DagsterInstance, key: dg.AssetKey, check: str) -> dg.AssetCheckEvaluation:
    (record,) = instance.event_log_storage.get_asset_check_execution_history(dg.AssetCheckKey(key, check), limit=1)
    assert record.event is not None
    assert record.event.dagster_event is not None
    return record.event.dagster_event.asset_check_evaluation_data


def assert_shown_whole(instance: dg.DagsterInstance) -> None:
    """Every asset that has rows says how many, what its columns are, and, a mart, which columns they are made of."""
    for spec in definitions().resolve_all_asset_specs():
        if spec.key in _WITHOUT_ROWS:
            continue
        name, told = spec.key.to_user_string(), materialized(instance, spec.key)
        assert isinstance(told["dagster/row_count"].value, int), name
        schema = {**spec.metadata, **{key: value.value for key, value in told.items()}}["dagster/column_schema"]
        assert isinstance(schema, dg.TableSchema)
        for column in schema.columns:
            assert column.description, (name, column.name)
            assert column.tags["privacy"] in {"public", "internal", "personal"}, (name, column.name)
        if spec.group_name == "marts":
            lineage = told["dagster/column_lineage"].value
            assert isinstance(lineage, dg.TableColumnLineage)
            assert lineage.deps_by_column.keys() == {column.name for column in schema.columns}, name
    assert _origins(instance, "api_health", "latency_ms_p95") == [("audit/api_calls", "latency_ms")]
    assert _origins(instance, "openmoove_property_freshness", "property_id") == [("openmoove/properties", "id")]


def assert_reported(instance: dg.DagsterInstance, data: DataDirectory) -> None:
    told = materialized(instance, REPORT)
    assert told["path"].value == str(data.weekly_report)
    assert told["bytes"].value == data.weekly_report.stat().st_size
    assert judged(instance, REPORT, "report_is_of_this_week").passed


def _origins(instance: dg.DagsterInstance, mart: str, column: str) -> list[tuple[str, str]]:
    lineage = materialized(instance, dg.AssetKey(["marts", mart]))["dagster/column_lineage"].value
    assert isinstance(lineage, dg.TableColumnLineage)
    return [(one.asset_key.to_user_string(), one.column_name) for one in lineage.deps_by_column[column]]


def test_a_sync_leaves_them_out_and_their_own_run_counts_draws_and_judges(
    settings: Settings, instance: dg.DagsterInstance, environ: dict[str, str], data: DataDirectory
) -> None:
    synced = run_sync(settings, stop=StopSignal())
    assert synced.success
    assert not [table for table in synced.tables if table.startswith("marts.")]
    drawn = run_sync(settings, selection="group:marts or group:history", stop=StopSignal())
    assert drawn.success, drawn
    assert {mart.table for mart in MARTS} <= drawn.tables.keys()
    assert drawn.tables["marts.openmoove_property_freshness"]["rows"] == 12
    told = materialized(instance, FRESHNESS)
    picture = told["picture"].value
    assert isinstance(picture, str)
    assert picture.startswith("![picture](data:image/png;base64,")
    width, height = struct.unpack(">II", base64.b64decode(picture.partition("base64,")[2].rstrip(")"))[16:24])
    assert (width, height) == (810, 324)
    schema = told["dagster/column_schema"].value
    assert isinstance(schema, dg.TableSchema)
    assert {column.name for column in schema.columns} >= {"fresher_than_24h", "hours_until_clear"}
    assert all(column.description for column in schema.columns)
    assert [name for name in PICTURES if "picture" not in materialized(instance, dg.AssetKey(["marts", name]))] == []
    assert_reported(instance, data)
    assert fresh(instance).passed
    assert_shown_whole(instance)
    assert published(data, _BARE) == [], "every table, view and column has a comment that any client shows"

    # The data are some seconds old: younger than none of them is
    strict = load_settings({**environ, "OPENMOOVE_FRESH_WITHIN": "0"})
    selection = 'key:"marts/openmoove_freshness"'
    assert run_sync(strict, selection=selection, stop=StopSignal()).success
    told_off = fresh(instance)
    assert (told_off.passed, told_off.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert told_off.metadata["examples"].value == {"openmoove": {"share": 0.0, "target": 0.95}}


def test_an_error_rate_beyond_the_threshold_is_told_once_and_its_end_once(
    environ: dict[str, str], instance: dg.DagsterInstance, sandbox: SandboxProcess
) -> None:
    with AlertReceiver() as receiver:
        settings = load_settings(
            {**environ, "PARTNER_ALERTS_SYSTEM": receiver.address, "PARTNER_ALERT_MIN_CALLS": "1"}
            | {"OPENMOOVE_API_KEY": "", "PARTNER_ALERT_ERRORS_ABOVE": "0.7"}
        )
        for _ in range(2):
            sandbox.fault("status", path="/api/employees", times=4, status=503)
            assert not run_sync(settings, selection='key:"resman/employees"', stop=StopSignal()).success
        assert run_sync(settings, selection="group:marts", stop=StopSignal()).success
        found = judged(instance, dg.AssetKey(["marts", "api_health"]), "calls_succeed")
        assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.ERROR)
        assert receiver.titles == ["resman: 80.0 % of 5 calls failed in the last 1 h"]
        assert run_sync(settings, selection="group:resman", stop=StopSignal()).success
        assert receiver.titles[1:] == ["over: resman: 80.0 % of 5 calls failed in the last 1 h"]
