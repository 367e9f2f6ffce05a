"""Dagster's files, opened by our class: the same for Dagster's own, seen at once by who watches them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance
from dagster._core.storage.event_log import SqliteEventLogStorage

from partner_pipelines.defs.home import home_environment, open_instance
from partner_pipelines.defs.storage import EventLogStorage
from partner_pipelines.state.data_directory import DataDirectory


@dg.asset
def some_rows() -> None:
    """An asset with an event of each kind that is kept in two files."""


@dg.asset_check(asset=some_rows)
def some_check() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    return DataDirectory(tmp_path)


@pytest.fixture
def ours(data: DataDirectory) -> Iterator[DagsterInstance]:
    with open_instance(data) as instance:
        yield instance


@pytest.fixture
def plain(data: DataDirectory, ours: DagsterInstance) -> Iterator[DagsterInstance]:  # noqa: ARG001 - makes the home
    """The same home as Dagster opens it without a word about storage."""
    config = data.dagster / "dagster.yaml"
    with DagsterInstance.from_config(str(_without_storage(config))) as instance:
        yield instance


def _without_storage(config: Path) -> Path:
    """The home, its `dagster.yaml` as one that was made before there was our class."""
    lines = config.read_text().splitlines()
    begin = lines.index("storage:")
    end = next(number for number in range(begin + 1, len(lines)) if not lines[number].startswith(" "))
    config.write_text("\n".join(lines[:begin] + lines[end:]))
    return config.parent


def _materialize(instance: DagsterInstance) -> str:
    return dg.materialize([some_rows, some_check], instance=instance).run_id


def _kinds(instance: DagsterInstance, run_id: str) -> list[str]:
    events = (entry.dagster_event for entry in instance.all_logs(run_id))
    return [event.event_type_value for event in events if event is not None]


def test_dagsters_own_storage_reads_what_ours_wrote_and_the_other_way_while_both_are_open(
    ours: DagsterInstance, plain: DagsterInstance
) -> None:
    assert isinstance(ours.event_log_storage, EventLogStorage)
    assert type(plain.event_log_storage) is SqliteEventLogStorage
    key = some_rows.key
    runs = [_materialize(ours), _materialize(plain), _materialize(ours)]
    for run_id in runs:
        kinds = _kinds(plain, run_id)
        assert kinds == _kinds(ours, run_id)
        assert {"ASSET_MATERIALIZATION", "ASSET_CHECK_EVALUATION", "PIPELINE_SUCCESS"} <= set(kinds)
    for instance in (ours, plain):
        found = instance.fetch_materializations(key, limit=10).records
        assert [record.run_id for record in found] == runs[::-1]
        latest = instance.get_latest_materialization_event(key)
        assert latest is not None
        assert latest.run_id == runs[-1]


def test_who_watches_a_run_learns_of_each_event_while_the_file_stays_open(
    ours: DagsterInstance, plain: DagsterInstance
) -> None:
    """As the UI does for a run of another process."""
    run = ours.create_run_for_job(dg.define_asset_job("job", [some_rows]).resolve(asset_graph=_graph()))
    seen: list[str] = []
    all_there = threading.Event()

    def note(entry: dg.EventLogEntry, _cursor: str) -> None:
        event = entry.dagster_event
        if event is not None and event.event_type_value == "ENGINE_EVENT":
            seen.append(event.message or "")
        if len(seen) == 3:
            all_there.set()

    ours.report_engine_event("first", run)  # makes the file
    plain.watch_event_logs(run.run_id, None, note)
    try:
        for word in ("second", "third"):
            time.sleep(0.1)
            ours.report_engine_event(word, run)
        assert all_there.wait(30), seen
    finally:
        plain.end_watch_event_logs(run.run_id, note)
    assert seen == ["first", "second", "third"]


def _graph() -> dg.AssetGraph:
    return dg.Definitions(assets=[some_rows]).resolve_asset_graph()


def test_an_older_home_gets_it_and_a_storage_that_someone_chose_stays(data: DataDirectory, tmp_path: Path) -> None:
    with open_instance(data):
        pass
    _without_storage(data.dagster / "dagster.yaml")
    with open_instance(data) as instance:
        assert isinstance(instance.event_log_storage, EventLogStorage)
    elsewhere = tmp_path / "elsewhere"
    with (data.dagster / "dagster.yaml").open("a") as config:
        config.write(f"\nstorage:\n  sqlite:\n    base_dir: {elsewhere}\n")
    with open_instance(data) as instance:
        assert type(instance.event_log_storage) is SqliteEventLogStorage
        _materialize(instance)
    assert (elsewhere / "history" / "runs.db").exists()


def test_dagsters_own_commands_open_it_by_the_environment(data: DataDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in home_environment(data).items():
        monkeypatch.setenv(name, value)
    with open_instance(data) as first, DagsterInstance.get() as second:
        assert isinstance(second.event_log_storage, EventLogStorage)
        assert _kinds(second, _materialize(first))[-1] == "PIPELINE_SUCCESS"


def test_files_of_runs_are_closed_when_many_are_open(ours: DagsterInstance) -> None:
    runs = [_materialize(ours) for _ in range(20)]
    storage = ours.event_log_storage
    assert isinstance(storage, EventLogStorage)
    assert len(storage._engines) <= 16
    assert all(_kinds(ours, run_id)[-1] == "PIPELINE_SUCCESS" for run_id in runs)
