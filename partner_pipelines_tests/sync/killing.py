"""Syncs killed at random moments; what must hold after each kill, and after the sync that completes the work."""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from partner_pipelines.state.audit_verify import verify
from partner_pipelines_tests.sync.expected import differences, sandbox_tables
from partner_pipelines_tests.sync.program import ALL_DUE, AT_ONCE, DETAILS_DUE, Program, intents

if TYPE_CHECKING:
    from pathlib import Path

    from partner_pipelines_tests.sandbox_process import SandboxProcess

AT_MOST_AGAIN = 50
"""So many requests may one kill make us ask again."""

DEADLINE_SECONDS = 120
WORK = ("properties", "units", "calls")


@dataclass
class Found:
    """What the kills met. `again`: how many answers each kill of a first sync made us ask for a second time."""

    kills: int = 0
    finished_before: int = 0
    unknown: int = 0
    torn_tails: int = 0
    merged_later: int = 0
    again: list[int] = field(default_factory=list)


class Killing:
    """Rounds of three kills: twice a first sync, then one that reads everything again after some of it has changed."""

    def __init__(self, sandbox: SandboxProcess, root: Path, seed: int) -> None:
        self.found = Found()
        self._sandbox = sandbox
        self._root = root
        self._chance = random.Random(seed)  # noqa: S311  # repeatable on purpose
        self._rounds = 0
        self._longest = self._uninterrupted()

    def round(self) -> None:
        """Three kills on a new data directory. AssertionError for what does not hold."""
        program = self._program()
        since = program.last_request()
        for _ in range(2):
            answered = self._answered(since)
            self._kill(program, since, {})
            self._count_again(answered, since)
        answered = self._answered(since)
        self._complete(program, since, {})
        self._count_again(answered, since)
        self._sandbox.change(
            # No new milestones: one of a sale that is long done would be seen within a month only
            openmoove={"complete_milestones": 5, "new_properties": 1},
            resman={"rent_changes": 5, "new_leads": 2},
        )
        self._kill(program, since, ALL_DUE)
        self._complete(program, since, DETAILS_DUE)
        program.close()

    def _program(self) -> Program:
        self._rounds += 1
        return Program(self._sandbox, self._root / f"round-{self._rounds}", **AT_ONCE)

    def _uninterrupted(self) -> float:
        """How long a first sync takes when nobody kills it."""
        child = self._program().child(*WORK)
        began = _wait_until_ready(child)
        _, complaints = child.communicate(timeout=DEADLINE_SECONDS)
        assert (child.returncode, complaints) == (0, "")
        return time.monotonic() - began

    def _kill(self, program: Program, since: int, env: dict[str, str]) -> None:
        child = program.child(*WORK, env=env)
        _wait_until_ready(child)
        self.found.kills += 1
        try:
            child.wait(self._chance.uniform(0, self._longest))
            self.found.finished_before += 1
        except subprocess.TimeoutExpired:
            child.kill()
        _, complaints = child.communicate(timeout=DEADLINE_SECONDS)
        assert complaints == ""
        logged = {entry["request_id"] for entry in self._sandbox.log(since)}
        assert logged <= intents(program.trail()).keys(), "a request left without an intent"
        assert verify(program.data.segments).problems == [], "a kill looks like tampering"
        if program.data.published.exists():
            assert half_written(program) == []

    def _complete(self, program: Program, since: int, env: dict[str, str]) -> None:
        """The next sync completes: every row and every call is there, once."""
        self.found.merged_later += len(landed(program))
        synced = program.sync(*WORK, env=env)
        assert all(result.failed == {} for result in synced.tables.values())
        found = differences(program, sandbox_tables(program, "units"))
        assert found == [], found
        assert half_written(program) == []
        assert landed(program) == []
        self._check_audit(program, since)

    def _check_audit(self, program: Program, since: int) -> None:
        """Each request has its row, and each intent without an outcome is `unknown`."""
        rows = {row["request_id"]: row["outcome"] for row in program.query("FROM audit.api_calls")}
        assert {entry["request_id"] for entry in self._sandbox.log(since)} <= rows.keys()
        trail = program.trail()
        ended = {f"{record['segment']}-{record['n']}" for record in trail if record["kind"] == "outcome"}
        unknown = intents(trail).keys() - ended
        assert {request_id for request_id, outcome in rows.items() if outcome == "unknown"} == unknown
        self.found.unknown += len(unknown)
        self.found.torn_tails += len(verify(program.data.segments).torn_tails)

    def _answered(self, since: int) -> Counter[str]:
        """How often each detail and each list of milestones was answered."""
        return Counter(
            entry["path"]
            for entry in self._sandbox.log(since)
            if entry["status"] == 200 and entry["path"].endswith(("/detail/", "/milestones/"))
        )

    def _count_again(self, before: Counter[str], since: int) -> None:
        again = self._answered(since) - before
        repeated = sum(count for path, count in again.items() if path in before)
        assert repeated <= AT_MOST_AGAIN, f"one kill made us ask {repeated} times again"
        self.found.again.append(repeated)


def landed(program: Program) -> list[Path]:
    # A name that begins with a dot is a file that a killed process did not finish: it goes after a day
    return list(program.data.landing.glob("*/[!.]*.jsonl"))


def _wait_until_ready(child: subprocess.Popen[str]) -> float:
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return time.monotonic()


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
