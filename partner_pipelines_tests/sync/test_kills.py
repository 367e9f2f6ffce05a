"""SIGKILL at random moments of a sync: nothing half-written, nothing lost, no request without a trail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.sync.killing import Killing

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 4
SEED = 20_261_122


def test_a_dozen_kills_lose_nothing_and_the_next_sync_completes(tmp_path: Path) -> None:
    with SandboxProcess.start("--properties", "40") as sandbox:
        killing = Killing(sandbox, tmp_path, SEED)
        for _ in range(ROUNDS):
            killing.round()
    assert killing.found.kills == 12
    assert killing.found.finished_before < 12  # some of them met a sync at work
