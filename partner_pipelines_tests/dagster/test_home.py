"""DAGSTER_HOME is made whole, once, by whoever comes first."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from partner_pipelines.defs.home import STAMP, home_environment, open_instance
from partner_pipelines.errors import NewerSchemaError, StateError
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines_tests.dagster.conftest import DEADLINE_SECONDS

# Eight forks of one process that has imported Dagster: they all begin at once, when the pipe is closed
_EIGHT = """
import os, sys
from pathlib import Path
from partner_pipelines.defs.home import open_instance
from partner_pipelines.state.data_directory import DataDirectory

def work(gate):
    os.close(gate[1])
    os.read(gate[0], 1)
    with open_instance(DataDirectory(Path(sys.argv[1]))) as instance:
        assert instance.get_runs_count() == 0

gate = os.pipe()
children = []
for _ in range(8):
    child = os.fork()
    if child == 0:
        try:
            work(gate)
        except BaseException as error:
            print(error, flush=True)
            os._exit(1)
        os._exit(0)
    children.append(child)
os.close(gate[1])
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""


@pytest.fixture
def home(tmp_path: Path) -> DataDirectory:
    return DataDirectory(tmp_path)


def _heads(database: Path) -> list[tuple[str]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("SELECT version_num FROM alembic_version").fetchall()


def test_eight_processes_that_meet_an_empty_data_directory_at_once_all_succeed(home: DataDirectory) -> None:
    command = [sys.executable, "-c", _EIGHT, str(home.root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)
    assert done.stdout == f"{[0] * 8}\n", done.stderr
    databases = list(home.dagster.rglob("*.db"))
    assert sorted(path.name for path in databases) == ["index.db", "runs.db", "schedules.db"]
    assert [len(_heads(path)) for path in databases] == [1, 1, 1]


def test_nothing_unfinished_is_left_and_the_home_is_private(home: DataDirectory) -> None:
    with open_instance(home) as instance:
        assert not instance.telemetry_enabled
    assert sorted(path.name for path in home.root.iterdir()) == ["dagster", "state"]
    assert home.dagster.stat().st_mode & 0o777 == 0o700


def test_what_a_killed_process_left_is_made_anew(home: DataDirectory) -> None:
    left = home.root / ".dagster.unfinished" / "history"
    left.mkdir(parents=True)
    (left / "runs.db").write_bytes(b"half a database")
    with open_instance(home) as instance:
        assert instance.get_runs_count() == 0


def test_a_directory_of_another_program_is_refused(home: DataDirectory) -> None:
    home.dagster.mkdir()
    (home.dagster / "dagster.yaml").touch()
    with pytest.raises(StateError, match="was not made by this program"):
        open_instance(home)


def test_a_home_of_a_newer_dagster_is_refused(home: DataDirectory) -> None:
    home.dagster.mkdir()
    (home.dagster / STAMP).write_text(json.dumps({"schema": 1, "dagster": "99.0.0"}))
    with pytest.raises(NewerSchemaError, match=r"dagster 99\.0\.0"):
        open_instance(home)


def test_a_home_of_a_newer_schema_is_refused(home: DataDirectory) -> None:
    home.dagster.mkdir()
    (home.dagster / STAMP).write_text(json.dumps({"schema": 2, "dagster": "1.0"}))
    with pytest.raises(NewerSchemaError, match="schema 2"):
        open_instance(home)


def test_a_broken_stamp_is_named(home: DataDirectory) -> None:
    home.dagster.mkdir()
    (home.dagster / STAMP).write_text("{")
    with pytest.raises(StateError, match="is not a stamp"):
        open_instance(home)


def test_a_home_of_an_older_dagster_is_brought_up_to_date(home: DataDirectory) -> None:
    open_instance(home).dispose()
    stamp = home.dagster / STAMP
    now = stamp.read_text()
    stamp.write_text(json.dumps({"schema": 1, "dagster": "1.13.0"}))
    open_instance(home).dispose()
    assert stamp.read_text() == now


def test_a_configuration_that_somebody_broke_is_one_line_that_names_the_file(home: DataDirectory) -> None:
    open_instance(home).dispose()
    (home.dagster / "dagster.yaml").write_text("telemetry: 7\n")
    with pytest.raises(StateError, match=r"dagster\.yaml cannot be used") as caught:
        open_instance(home)
    assert "\n" not in str(caught.value)


def test_children_find_the_home_and_send_no_telemetry(home: DataDirectory) -> None:
    variables = home_environment(home)
    assert variables["DAGSTER_HOME"] == str(home.dagster)
    assert variables["DAGSTER_RUN_STATUS_SENSOR_PROCESS_LIMIT"] == "100"
    assert "enabled: false" in (home.dagster / "dagster.yaml").read_text().partition("telemetry:")[2][:20]
