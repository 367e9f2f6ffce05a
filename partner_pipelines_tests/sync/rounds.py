"""Syncs that are cut off at random moments, and what must hold then and after the sync that completes the work."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from partner_pipelines.state.audit_verify import verify
from partner_pipelines_tests.sync.expected import differences, sandbox_tables
from partner_pipelines_tests.sync.program import AT_ONCE, Program, intents

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from partner_pipelines_tests.sandbox_process import SandboxProcess

DEADLINE_SECONDS = 120
WORK = ("properties", "units", "calls")


class Rounds:
    """A round is a new data directory. `chance` draws the moments; `longest`: how many seconds a whole sync takes."""

    def __init__(self, sandbox: SandboxProcess, root: Path, seed: int) -> None:
        self.sandbox = sandbox
        self.chance = random.Random(seed)  # noqa: S311  # repeatable on purpose
        self._root = root
        self._rounds = 0
        self.longest = self._uninterrupted()

    def new_program(self) -> Program:
        self._rounds += 1
        return Program(self.sandbox, self._root / f"round-{self._rounds}", **AT_ONCE)

    def change(self) -> None:
        self.sandbox.change(
            # No new milestones: one of a sale that is long done would be seen within a month only
            openmoove={"complete_milestones": 5, "new_properties": 1},
            resman={"rent_changes": 5, "new_leads": 2},
        )

    def check_cut_off(self, program: Program, since: int) -> None:
        """No request without an intent, no trail that looks tampered with, nothing half-written that can be read."""
        logged = {entry["request_id"] for entry in self.sandbox.log(since)}
        assert logged <= intents(program.trail()).keys(), "a request left without an intent"
        assert verify(program.data.segments).problems == [], "it looks like tampering"
        if program.data.published.exists():
            assert half_written(program) == []

    def complete(self, program: Program, since: int, env: dict[str, str]) -> None:
        """The next sync completes: every row and every call is there, once."""
        synced = program.sync(*WORK, env=env)
        assert all(result.failed == {} for result in synced.tables.values())
        found = differences(program, sandbox_tables(program, "units"))
        assert found == [], found
        assert half_written(program) == []
        assert landed(program) == []
        self._check_audit(program, since)

    def _uninterrupted(self) -> float:
        child = self.new_program().child(*WORK)
        wait_until_ready(child)
        began = time.monotonic()
        _, complaints = child.communicate(timeout=DEADLINE_SECONDS)
        assert (child.returncode, complaints) == (0, "")
        return time.monotonic() - began

    def _check_audit(self, program: Program, since: int) -> None:
        """Each request has its row, and each intent without an outcome is `unknown`."""
        rows = {row["request_id"]: row["outcome"] for row in program.query("FROM audit.api_calls")}
        assert {entry["request_id"] for entry in self.sandbox.log(since)} <= rows.keys()
        assert {request_id for request_id, outcome in rows.items() if outcome == "unknown"} == without_outcome(program)


def wait_until_ready(child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None
    first_line = child.stdout.readline()
    assert first_line == "ready\n", child.communicate()


def without_outcome(program: Program) -> set[str]:
    """The ids of requests of which the trail has an intent only."""
    trail = program.trail()
    ended = {f"{record['segment']}-{record['n']}" for record in trail if record["kind"] == "outcome"}
    return intents(trail).keys() - ended


def landed(program: Program) -> list[Path]:
    # A name that begins with a dot is a file that a killed process did not finish: it goes after a day
    return list(program.data.landing.glob("*/[!.]*.jsonl"))


def half_written(program: Program) -> list[str]:
    """What no committed batch may leave: doubled keys, milestones and members without their property."""
    alone = (
        "SELECT 'alone' FROM {table} t ANTI JOIN openmoove.properties p ON t.connection = p.connection "
        "AND t.property_id = p.id"
    )
    doubled = "SELECT '{table} doubled' FROM {table} GROUP BY connection, {key} HAVING count(*) > 1"
    found: list[str] = []
    with program.published() as query:
        for table, key in (("milestones", "property_id, id"), ("team_members", "property_id, role")):
            found += (str(row) for row in query(alone.format(table=f"openmoove.{table}")))
            found += (str(row) for row in query(doubled.format(table=f"openmoove.{table}", key=key)))
        for table in ("openmoove.properties", "openmoove.sellers", "resman.units", "resman.leads", "resman.documents"):
            found += (str(row) for row in query(doubled.format(table=table, key="id")))
        found += (str(row) for row in query(doubled.format(table="audit.api_calls", key="request_id")))
    return found
