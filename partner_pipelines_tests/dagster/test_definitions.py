"""What the UI shows, compared with a committed snapshot; and what loading it needs: nothing.

Make the snapshot anew, and read the difference: it is what the people who look at the UI will see change.

    python -m partner_pipelines_tests.dagster.snapshot > partner_pipelines_tests/dagster/definitions.json
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from partner_pipelines.defs.home import home_environment
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines_tests.dagster.conftest import DEADLINE_SECONDS, HERE, ROOT

BIN = Path(sys.executable).parent


def _bare(tmp_path: Path, **variables: str) -> dict[str, str]:
    """The environment of somebody who has set nothing."""
    return {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), **variables}


def _run(*command: str, cwd: Path, env: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_ui_shows_what_the_snapshot_says_and_loading_it_needs_and_makes_nothing(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    shown = _run(sys.executable, "-m", "partner_pipelines_tests.dagster.snapshot", cwd=empty, env=_bare(tmp_path))
    assert shown == (HERE / "definitions.json").read_text()
    assert not list(empty.iterdir())


def test_below_up_schedules_and_sensors_run(tmp_path: Path) -> None:
    environ = _bare(tmp_path, PARTNER_PIPELINES_SCHEDULES="running", PARTNER_TIMEZONE="Europe/London")
    shown = _run(sys.executable, "-m", "partner_pipelines_tests.dagster.snapshot", cwd=tmp_path, env=environ)
    assert '"STOPPED"' not in shown
    assert '"Europe/London"' in shown


def test_dg_finds_the_definitions_whole(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path / "data")
    environ = _bare(
        tmp_path, VIRTUAL_ENV=str(BIN.parent), **home_environment(data)
    )  # telemetry off, by its dagster.yaml
    assert "All definitions loaded successfully" in _run("dg", "check", "defs", cwd=ROOT, env=environ)
    listed = _run("dg", "list", "defs", "--json", cwd=ROOT, env=environ)
    assert "openmoove/milestones" in listed
    assert "refresh_units" in listed


def test_imports_go_one_way(tmp_path: Path) -> None:
    _run("lint-imports", "--config", str(ROOT / "setup.cfg"), "--no-cache", cwd=ROOT, env=_bare(tmp_path))
