"""The marts as assets: what the UI shows of them, the picture, and the check with its target."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator

import dagster as dg
import pytest

from partner_pipelines.defs.home import open_instance
from partner_pipelines.defs.running import run_sync
from partner_pipelines.settings import Settings, load_settings
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.warehouse.marts import MARTS

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
    (record,) = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(FRESHNESS, "active_properties_are_fresh"), limit=1
    )
    assert record.event is not None
    assert record.event.dagster_event is not None
    return record.event.dagster_event.asset_check_evaluation_data


def test_a_sync_leaves_them_out_and_their_own_run_counts_draws_and_judges(
    settings: Settings, instance: dg.DagsterInstance, environ: dict[str, str]
) -> None:
    synced = run_sync(settings, stop=StopSignal())
    assert synced.success
    assert not [table for table in synced.tables if table.startswith("marts.")]
    drawn = run_sync(settings, selection="group:marts", stop=StopSignal())
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
    assert fresh(instance).passed

    # The data are some seconds old: younger than none of them is
    strict = load_settings({**environ, "OPENMOOVE_FRESH_WITHIN": "0"})
    assert run_sync(strict, selection="group:marts", stop=StopSignal()).success
    judged = fresh(instance)
    assert (judged.passed, judged.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert judged.metadata["examples"].value == {"openmoove": {"share": 0.0, "target": 0.95}}
