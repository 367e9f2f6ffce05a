"""`partner-pipelines demo --seed-dir ../shared/data`, as the reader of the README runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines_tests.sync.program import Program

DEADLINE_SECONDS = 170
COMMAND = Path(sys.executable).with_name("partner-pipelines")


@pytest.fixture(scope="module")
def demo(seed_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the demo says as JSON."""
    home = tmp_path_factory.mktemp("demo")
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PARTNER_", "RESMAN_", "OPENMO"))}
    run = subprocess.run(
        [COMMAND, "demo", "--seed-dir", seed_dir, "--json"],
        env={**own, "PARTNER_DATA_DIR": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    facts: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return facts


def counts(report: dict[str, Any], what: str) -> dict[str, int]:
    return {table: found[what] for table, found in report["tables"].items()}


FIRST = {
    "openmoove.properties": 6_310,
    "openmoove.milestones": 50_480,
    "resman.units": 5_000,
    "resman.leads": 4_000,
    "resman.employees": 54,
    "resman.documents": 2_000,
}


def test_the_first_sync_brings_all_rows(demo: dict[str, Any]) -> None:
    rows = counts(demo["first"], "rows")
    assert demo["first"]["success"]
    assert {table: rows[table] for table in FIRST} == FIRST
    inserted = counts(demo["first"], "inserted")
    assert {table: inserted[table] for table in FIRST} == FIRST
    assert demo["first"]["backlog"] == demo["first"]["failed"] == {}
    # What the sandbox has not granted
    assert set(demo["first"]["skipped"]) == {"resman.payments", "resman.maintenance"}


def test_the_second_sync_brings_what_was_changed_and_nothing_else(demo: dict[str, Any]) -> None:
    """It completes 8 milestones, brings 2 properties and 5 leads, changes 10 rents, takes a property and a unit."""
    second = demo["second"]
    assert second["success"]
    inserted, updated, deleted = (counts(second, what) for what in ("inserted", "updated", "deleted"))
    assert (inserted["openmoove.properties"], deleted["openmoove.properties"]) == (2, 1)
    # Milestones are told by webhooks, which are applied before the sync that counts
    assert updated["openmoove.properties"] >= 8
    assert (inserted["resman.leads"], updated["resman.leads"]) == (5, 0)
    assert updated["resman.units"] == 10
    # A unit is gone after two complete lists without it, not after one
    assert deleted["resman.units"] == 0
    rows = counts(second, "rows")
    assert (rows["openmoove.properties"], rows["resman.leads"], rows["resman.units"]) == (6_311, 4_005, 5_000)


def test_the_warehouse_that_it_names_holds_these_rows(demo: dict[str, Any]) -> None:
    program = Program.__new__(Program)
    program.data = DataDirectory(Path(demo["data_dir"]))
    (found,) = program.query(
        "SELECT (SELECT count(*) FROM openmoove.properties WHERE deleted_at IS NULL) AS properties, "
        "(SELECT count(*) FROM audit.api_calls) AS calls"
    )
    requests = sum(sum(demo[report]["requests"].values()) for report in ("first", "second"))
    assert found == {"properties": 6_311, "calls": requests}
