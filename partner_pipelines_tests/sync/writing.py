"""Writes as a user makes them, without a command: lines in, what became of them out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from partner_pipelines.state.outbox import Outbox, State, Write
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.house import open_house
from partner_pipelines.sync.write_drafts import BadLine, Drafting, Line
from partner_pipelines.sync.write_queue import queue_lines
from partner_pipelines.sync.write_table import show_writes
from partner_pipelines.sync.writes import WritesReport, work_off

if TYPE_CHECKING:
    from partner_pipelines_tests.sync.program import Program

PROFESSIONAL = {"conveyancer_email": "test-conveyancer@example.com"}


@dataclass
class Written:
    """What one push has done."""

    writes: list[Write]
    unchanged: int
    rejected: list[BadLine]
    report: WritesReport
    log: list[dict[str, Any]] = field(default_factory=list)

    @property
    def states(self) -> Counter[State]:
        return Counter(write.state for write in self.writes)

    @property
    def sent(self) -> list[tuple[str, str]]:
        """Method and path of what the sandbox saw, tokens left out."""
        return [(entry["method"], entry["path"]) for entry in self.log if "/oauth2/" not in entry["path"]]


def push(program: Program, kind: str, *rows: dict[str, Any], **variables: str) -> Written:
    """Queues and sends these rows."""
    since = program.last_request()
    settings = program.settings(variables)
    rejected: list[BadLine] = []
    with open_house(settings, run_id=None, stop=StopSignal()) as house:
        drafting = Drafting(settings, kind, house.data.key("personal"), "python")
        lines = [Line(place, values, "rows") for place, values in enumerate(rows, 1)]
        queued = queue_lines(house, drafting, lines, rejected.append)
        report = work_off(house)
        show_writes(house)
    writes = outbox(program).find(list(queued.ids))
    return Written(writes, queued.unchanged, rejected, report, program.sandbox.log(since))


def work(program: Program, **variables: str) -> Written:
    """Works the outbox off once more."""
    return push(program, "leads", **variables)


def outbox(program: Program) -> Outbox:
    return Outbox(program.data.outbox)


def lead(name: str, **values: Any) -> dict[str, Any]:
    return {
        "first_name": "Ada",
        "last_name": name,
        "email": f"{name.lower()}@example.com",
        "property_id": "PROP_001",
        **values,
    }


def client(name: str, **values: Any) -> dict[str, Any]:
    return {
        "first_name": "Ada",
        "last_name": name,
        "email": f"{name.lower()}@example.com",
        "phone_number": "07700 900123",
        "property_address": f"1 {name} Street, London",
        "property_postcode": "SW1A 1AA",
        **PROFESSIONAL,
        **values,
    }
