"""A sync of today's program on a data directory of an earlier commit, made once for all test processes."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from partner_pipelines_tests.cli.program import Program, made_once
from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.sync import program as sync_program
from partner_pipelines_tests.upgrade.earlier import Earlier

# What was read then is not read again: what the landed file brings can be told from today's answers
NOTHING_DUE_BUT_THE_LIST = {
    "OPENMOOVE_LIST_MAX_AGE": "0",
    "OPENMOOVE_ACTIVE_MAX_AGE": "36500d",
    "OPENMOOVE_MILESTONES_MAX_AGE": "36500d",
}


@dataclass(frozen=True)
class Upgraded:
    """`before` as the earlier commit left it, `data` after the sync, and what the sync said. Tests only read."""

    root: Path

    @cached_property
    def before(self) -> Earlier:
        return Earlier(self.root / "before")

    @property
    def data(self) -> Path:
        return self.root / "after" / "data"

    @cached_property
    def report(self) -> dict[str, Any]:
        """What `sync --json` printed, and its exit `status`."""
        report: dict[str, Any] = json.loads((self.root / "report.json").read_text())
        return report

    @property
    def command(self) -> Program:
        """Commands that look at it."""
        return Program(self.root, self.data)

    @property
    def program(self) -> sync_program.Program:
        """Its published warehouse; no partner is there to be asked."""
        nobody = SimpleNamespace(env={})
        return sync_program.Program(cast("SandboxProcess", nobody), self.data)

    def calls(self, where: str) -> set[str]:
        return set(self.program.column(f"SELECT request_id FROM audit.api_calls WHERE {where}"))


def upgraded_once(base: pytest.TempPathFactory) -> Upgraded:
    """Where tests run in several processes, one of them makes it for all."""
    root = base.getbasetemp()
    return Upgraded(made_once((root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "upgraded", _make))


def _make(root: Path) -> None:
    before = Earlier.unpack(root / "before")
    after = Earlier(shutil.copytree(before.root, root / "after", symlinks=True))
    with SandboxProcess.start(seed_dir=before.root / "seed") as sandbox:
        after.move(sandbox.base_url)
        program = Program(root, after.data)
        limits = {name: value for name, value in before.env.items() if name.endswith("_RATE_LIMITS")}
        # The optional scopes are a part of a token's key, of which that commit knew nothing
        program.environ |= sandbox.env | limits | {"RESMAN_OPTIONAL_SCOPES": ""}
        finished = program.run("sync", "--json", **NOTHING_DUE_BUT_THE_LIST)
    assert "Traceback" not in finished.stderr, finished.stderr
    report = json.loads(finished.stdout.splitlines()[-1])
    (root / "report.json").write_text(json.dumps({**report, "status": finished.returncode}))
