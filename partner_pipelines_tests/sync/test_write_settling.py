"""Uncertain writes are settled once, however many look at them, and whoever was killed, stopped or forgotten before."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from partner_pipelines.state.outbox import Settled, Write
from partner_pipelines.state.outbox_file import FILE
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.house import open_house
from partner_pipelines.sync.scopes import look
from partner_pipelines.sync.write_drafts import Drafting, Line
from partner_pipelines.sync.write_queue import queue_lines
from partner_pipelines.sync.write_settling import settle_by_trail
from partner_pipelines.sync.writes import work_off
from partner_pipelines_tests.sandbox_process import SandboxProcess, wait_until
from partner_pipelines_tests.sync.program import Program
from partner_pipelines_tests.sync.writing import lead, outbox, push, work

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT_ONCE = {"PARTNER_SETTLE_SECONDS": "0"}
LEADS = r"/api/leads$"
DEADLINE_SECONDS = 60
OVERDUE = "UPDATE writes SET due = 0 WHERE state = 'sending'"
LONG_SECONDS = 20.0
"""So long an answer takes that a process is to be stopped or killed before."""


@pytest.fixture(scope="module")
def shared() -> Iterator[SandboxProcess]:
    with SandboxProcess.silent("--properties", "3") as sandbox:
        yield sandbox


@pytest.fixture
def program(shared: SandboxProcess, data_dir: Path) -> Iterator[Program]:
    with shared.lent() as sandbox:
        yield Program(sandbox, data_dir)


def there(program: Program, name: str, collection: str = "resman_leads") -> list[str]:
    """The ids of the partner's rows with this last name."""
    return [row["id"] for row in program.sandbox.rows(collection) if row.get("last_name") == name]


def one(program: Program) -> Write:
    """The only write."""
    (write,) = outbox(program).find([1])
    return write


@contextmanager
def command(program: Program, *words: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A command that is under way; killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-m", "partner_pipelines", *words],
        env={**program.variables, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def met_a_fault(program: Program, since: int) -> bool:
    """Whether a request after this one has met a fault."""
    return any(entry["fault"] is not None for entry in program.sandbox.log(since))


def kill_while_sending(program: Program, row: dict[str, Any]) -> None:
    """A push of this lead is killed after it had its effect, before the answer came."""
    program.sandbox.fault("drop_after_effect", method="POST", path=LEADS, seconds=LONG_SECONDS)
    file = program.data.root.parent / "killed.jsonl"
    file.write_text(json.dumps(row) + "\n", encoding="utf-8")
    with command(program, "push", "leads", str(file), **AT_ONCE) as pushing:
        wait_until(lambda: there(program, row["last_name"]), DEADLINE_SECONDS)
        pushing.kill()
        pushing.wait(DEADLINE_SECONDS)


def change(program: Program, sql: str, *values: object) -> None:
    """The outbox's file as it would be if something else had happened."""
    with sqlite3.connect(program.data.outbox / FILE) as database:
        database.execute(sql, values)


def test_of_two_that_look_for_a_write_the_slower_one_does_not_queue_it_again(program: Program) -> None:
    program.sandbox.fault("drop_before_effect", method="POST", path=LEADS)
    push(program, "leads", lead("Double"), **AT_ONCE)
    work(program, **AT_ONCE)
    assert (one(program).state, one(program).looks) == ("unknown", 1)
    since = program.last_request()
    program.sandbox.fault("drip", method="GET", path=LEADS, seconds=LONG_SECONDS / 4)
    with command(program, "outbox", "settle", **AT_ONCE) as slow:
        wait_until(lambda: met_a_fault(program, since), DEADLINE_SECONDS)
        slow.send_signal(signal.SIGSTOP)
        work(program, **AT_ONCE)
        assert (one(program).state, len(there(program, "Double"))) == ("created", 1)
        slow.send_signal(signal.SIGCONT)
        said, _ = slow.communicate(timeout=DEADLINE_SECONDS)
    assert slow.returncode == 0, said
    assert (one(program).state, len(one(program).operation_ids)) == ("created", 2)
    assert len(there(program, "Double")) == 1


def test_after_a_reboot_two_that_find_the_same_abandoned_write_send_it_once(program: Program) -> None:
    nobody = {"first_name": "Ada", "last_name": "Rebooted", "property_id": "PROP_001"}  # the partner cannot be asked
    program.sandbox.fault("status", method="POST", path=LEADS, status=429, headers={"retry-after": "30"})
    file = program.data.root.parent / "one.jsonl"
    file.write_text(json.dumps(nobody) + "\n", encoding="utf-8")
    with command(program, "push", "leads", str(file)) as pushing:
        wait_until(lambda: any(record.get("status") == 429 for record in program.trail()), DEADLINE_SECONDS)
        pushing.kill()
        pushing.wait(DEADLINE_SECONDS)
    change(program, "UPDATE writes SET boot = 'the boot before'")
    settings, box = program.settings(), outbox(program)
    with (
        open_house(settings, run_id=None, stop=StopSignal()) as first,
        open_house(settings, run_id=None, stop=StopSignal()) as second,
    ):
        found_by_first, found_by_second = box.abandoned(), box.abandoned()
        settle_by_trail(first, box, found_by_first)
        work_off(first)
        assert one(program).state == "created"
        settle_by_trail(second, box, found_by_second)
        work_off(second)
    assert one(program).state == "created"
    assert len(there(program, "Rebooted")) == 1


def test_a_clock_that_was_ahead_when_the_write_was_queued_hides_nothing_that_left(program: Program) -> None:
    kill_while_sending(program, {"first_name": "Ada", "last_name": "Ahead", "property_id": "PROP_001"})
    later = datetime.now(UTC) + timedelta(hours=2)
    change(program, "UPDATE writes SET queued_at = ?", later.isoformat(timespec="microseconds"))
    work(program, **AT_ONCE)
    assert one(program).state == "unknown", "it is a person's: the partner cannot be asked about it"
    assert len(there(program, "Ahead")) == 1


def test_a_right_that_is_missing_to_look_for_one_kind_holds_that_kind_alone(program: Program) -> None:
    employee = {"first_name": "Ada", "last_name": "Unseen", "role": "Agent", "email": "unseen@example.com"}
    program.sandbox.fault("drop_before_effect", method="POST", path="/employees$")
    push(program, "employees", employee, **AT_ONCE)
    refusal = {"www-authenticate": 'Bearer error="insufficient_scope", scope="employees"'}
    program.sandbox.fault("status", method="GET", path="/api/employees", times=None, status=403, headers=refusal)
    sent = push(program, "leads", lead("Goeson"), **AT_ONCE)
    assert sent.states == {"created": 1}
    assert list(sent.report.held) == ["resman: employees"]
    assert (one(program).state, one(program).looks, sent.report.failed) == ("unknown", 0, {})
    assert not outbox(program).has_work(), "a sensor that looks leaves it alone for a while"
    change(program, "UPDATE writes SET due = 0")
    again = work(program, **AT_ONCE)
    assert list(again.report.held) == ["resman: employees"], "the scope is known to be missing by now"
    program.sandbox.control("DELETE", "faults")
    with open_house(program.settings(), run_id=None, stop=StopSignal()) as house:
        look(house.access(house.settings.resman[0]), 0)
    for _ in range(2):
        change(program, "UPDATE writes SET due = 0 WHERE due IS NOT NULL")
        work(program, **AT_ONCE)
    assert one(program).state == "created"
    assert len(there(program, "Unseen", "resman_employees")) == 1


def test_a_write_whose_holder_was_killed_in_another_container_is_looked_for_after_its_lease(program: Program) -> None:
    kill_while_sending(program, lead("Container"))
    change(program, "UPDATE writes SET namespace = namespace + 1")
    held = work(program, **AT_ONCE)
    assert (one(program).state, held.sent) == ("sending", []), "from here nobody can say that it is dead"
    assert not outbox(program).has_work()
    change(program, OVERDUE)
    assert outbox(program).has_work()
    work(program, **AT_ONCE)
    assert (one(program).state, len(there(program, "Container"))) == ("created", 1)


def claimed_and_forgotten(program: Program, row: dict[str, Any]) -> Write:
    """A lead that this process has claimed and not settled, as when the disk was full just then; its lease is over."""
    settings = program.settings()
    with open_house(settings, run_id=None, stop=StopSignal()) as house:
        drafting = Drafting(settings, "leads", house.data.key("personal"), "python")
        queue_lines(house, drafting, [Line(1, row, "rows")], lambda _: None)
    (claimed,) = outbox(program).claim("resman", ["leads"], 20)
    work(program, **AT_ONCE)
    assert one(program).state == "sending", "whoever lives may still send it"
    change(program, OVERDUE)
    return claimed


def test_what_the_partner_cannot_be_asked_about_is_a_persons_after_its_lease(program: Program) -> None:
    claimed_and_forgotten(program, {"first_name": "Ada", "last_name": "Unheard"})
    work(program, **AT_ONCE)
    assert one(program).state == "unknown"
    assert "`outbox settle`" in (one(program).reason or "")
    assert not outbox(program).has_work()
    assert there(program, "Unheard") == []


def test_a_holder_that_lives_and_comes_back_after_its_lease_changes_nothing(program: Program) -> None:
    late = claimed_and_forgotten(program, lead("Late"))
    work(program, **AT_ONCE)
    assert (one(program).state, one(program).looks) == ("unknown", 1)
    work(program, **AT_ONCE)
    assert (one(program).state, len(there(program, "Late"))) == ("created", 1)
    assert outbox(program).settle([Settled(late.id, "queued")], seen=[late]) == []


def test_what_a_slow_claim_does_not_begin_in_half_of_its_lease_is_claimed_anew(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("partner_pipelines.sync.writes.LEASE_SECONDS", 1.0)
    program.sandbox.fault("delay", method="POST", path=LEADS, seconds=1)
    done = push(program, "leads", lead("Slowfirst"), lead("Nexttime"))
    assert done.states == {"created": 2}
    assert [len(write.operation_ids) for write in done.writes] == [1, 2]
    assert [len(write.request_ids) for write in done.writes] == [1, 1]
