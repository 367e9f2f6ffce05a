"""Syncs killed at random moments; what must hold after each kill, and after the sync that completes the work."""

from __future__ import annotations

import subprocess
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from partner_pipelines.state.audit_verify import verify
from partner_pipelines_tests.sync.program import ALL_DUE, DETAILS_DUE, Program
from partner_pipelines_tests.sync.rounds import (
    DEADLINE_SECONDS,
    WORK,
    Rounds,
    landed,
    wait_until_ready,
    without_outcome,
)

if TYPE_CHECKING:
    from pathlib import Path

    from partner_pipelines_tests.sandbox_process import SandboxProcess

AT_MOST_AGAIN = 50
"""So many requests may one kill make us ask again."""


@dataclass
class Found:
    """What the kills met. `again`: how many answers each kill of a first sync made us ask for a second time."""

    kills: int = 0
    finished_before: int = 0
    unknown: int = 0
    torn_tails: int = 0
    merged_later: int = 0
    again: list[int] = field(default_factory=list)


class Killing(Rounds):
    """Rounds of three kills: twice a first sync, then one that reads everything again after some of it has changed."""

    def __init__(self, sandbox: SandboxProcess, root: Path, seed: int) -> None:
        super().__init__(sandbox, root, seed)
        self.found = Found()

    def round(self) -> None:
        """Three kills on a new data directory. AssertionError for what does not hold."""
        program = self.new_program()
        since = program.last_request()
        for _ in range(2):
            answered = self._answered(since)
            self._kill(program, since, {})
            self._count_again(answered, since)
        answered = self._answered(since)
        self._complete(program, since, {})
        self._count_again(answered, since)
        self.change()
        self._kill(program, since, ALL_DUE)
        self._complete(program, since, DETAILS_DUE)
        program.close()

    def _kill(self, program: Program, since: int, env: dict[str, str]) -> None:
        child = program.child(*WORK, env=env)
        wait_until_ready(child)
        self.found.kills += 1
        try:
            child.wait(self.chance.uniform(0, self.longest))
            self.found.finished_before += 1
        except subprocess.TimeoutExpired:
            child.kill()
        _, complaints = child.communicate(timeout=DEADLINE_SECONDS)
        assert complaints == ""
        self.check_cut_off(program, since)

    def _complete(self, program: Program, since: int, env: dict[str, str]) -> None:
        self.found.merged_later += len(landed(program))
        self.complete(program, since, env)
        self.found.unknown += len(without_outcome(program))
        self.found.torn_tails += len(verify(program.data.segments).torn_tails)

    def _answered(self, since: int) -> Counter[str]:
        """How often each detail and each list of milestones was answered."""
        return Counter(
            entry["path"]
            for entry in self.sandbox.log(since)
            if entry["status"] == 200 and entry["path"].endswith(("/detail/", "/milestones/"))
        )

    def _count_again(self, before: Counter[str], since: int) -> None:
        again = self._answered(since) - before
        repeated = sum(count for path, count in again.items() if path in before)
        assert repeated <= AT_MOST_AGAIN, f"one kill made us ask {repeated} times again"
        self.found.again.append(repeated)
