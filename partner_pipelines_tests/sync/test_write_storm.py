"""The storm of `write_storm.py`, small: every fault there is, the pushing process killed, no double and no loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.sync.write_storm import Storm, run_storm

if TYPE_CHECKING:
    from pathlib import Path


def test_after_faults_and_kills_each_write_has_had_one_effect(tmp_path: Path) -> None:
    with SandboxProcess.silent("--properties", "10") as sandbox:
        run_storm(Storm(sandbox, tmp_path, seed=8, late_seconds=1), leads=18, clients=8, payments=6, kills=3)
