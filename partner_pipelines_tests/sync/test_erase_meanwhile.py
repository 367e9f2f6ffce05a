"""A person who is erased while somebody pushes them: nothing is sent after the erasure, and nothing is kept."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from partner_pipelines.state.drops import taking
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.house import open_house
from partner_pipelines.sync.write_drafts import Drafting, Line
from partner_pipelines.sync.write_queue import queue_lines
from partner_pipelines.sync.write_table import show_writes
from partner_pipelines.sync.writes import work_off
from partner_pipelines_tests.leaks.search import Canary, Leak, Search
from partner_pipelines_tests.sandbox_process import wait_until
from partner_pipelines_tests.sync.program import Program
from partner_pipelines_tests.sync.test_write_drops import drop
from partner_pipelines_tests.sync.writing import lead, outbox, push

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEADLINE_SECONDS = 120
LOCK = "outbox.sqlite.lock"


@pytest.fixture
def program(steady: Program) -> Program:
    """The rows are of all tests: each has names of its own."""
    return steady


class Openings:
    """Lets something happen just before this process opens the outbox for the `nth` time."""

    def __init__(self) -> None:
        self.left = 0
        self._happens: Callable[[], None] = lambda: None
        sys.addaudithook(self._hear)

    @contextmanager
    def at(self, nth: int, happens: Callable[[], None]) -> Iterator[None]:
        self.left, self._happens = nth, happens
        yield
        self.left = min(self.left, 0)

    def _hear(self, event: str, values: tuple[Any, ...]) -> None:
        if event == "open" and self.left > 0 and str(values[0]).endswith(LOCK):
            self.left -= 1
            if self.left == 0:
                self._happens()


@pytest.fixture(scope="module")
def openings() -> Openings:
    """One for the process: an audit hook stays."""
    return Openings()


def erase(program: Program, address: str) -> None:
    command = [sys.executable, "-m", "partner_pipelines", "erase", "--email", address]
    done = subprocess.run(
        command, env=program.variables, timeout=DEADLINE_SECONDS, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def sent(program: Program, address: str) -> int:
    return sum(row["email"] == address for row in program.sandbox.rows("resman_leads"))


def leaks(program: Program, *values: str) -> list[Leak]:
    program.query("SELECT 1")  # what this process has open for its own looks is closed: the search opens it otherwise
    return Search([Canary(value, value) for value in values]).tree(program.data.root)


def test_an_erasure_at_any_moment_of_a_push_ends_what_is_sent_and_kept(program: Program, openings: Openings) -> None:
    push(program, "leads", lead("Before"))  # token and tables are there
    nth, ended, counts = 0, False, []
    while not ended:
        nth += 1
        row = lead(f"Zqmeanwhile{nth}", notes="zq-meanwhile-note")
        before: list[int] = []

        def happens(address: str = row["email"], before: list[int] = before) -> None:
            erase(program, address)
            before.append(sent(program, address))

        with open_house(program.settings(), run_id=None, stop=StopSignal()) as house:
            drafting = Drafting(house.settings, "leads", house.data.key("personal"), "test")
            with openings.at(nth, happens):
                queue_lines(house, drafting, [Line(1, row, "rows")], lambda bad: pytest.fail(str(bad)))
                work_off(house)
            show_writes(house)
        ended = not before
        if not ended:
            assert sent(program, row["email"]) == before[0], f"sent after the erasure, at opening {nth}"
            assert leaks(program, row["email"], row["last_name"]) == [], f"kept after the erasure, at opening {nth}"
            counts.append(before[0])
    assert set(counts) == {0, 1}, "it came before the sending and after it"
    states = [write.state for write in outbox(program).find(list(range(2, nth + 1)))]
    assert states == ["rejected" if sent == 0 else "created" for sent in counts]


def test_an_erasure_waits_for_a_file_that_is_being_taken_and_clears_it_where_it_is_then(program: Program) -> None:
    """Changed where it was read, a file that moves meanwhile would be there twice, once with the person."""
    waiting = drop(program, "leads.csv", "first_name,last_name,email\nGone,Dropped,zq.dropped@example.com\n")
    command = [sys.executable, "-m", "partner_pipelines", "erase", "--email", "zq.dropped@example.com"]
    with taking(program.data.outbox):
        erasing = subprocess.Popen(command, env=program.variables, stdout=subprocess.DEVNULL)
        wait_until(lambda: _waits_for_a_lock(erasing.pid), DEADLINE_SECONDS)
        taken = program.data.outbox / "taken" / "leads" / "1" / waiting.name
        taken.parent.mkdir(parents=True)
        waiting.rename(taken)
    assert erasing.wait(DEADLINE_SECONDS) == 0
    assert leaks(program, "zq.dropped@example.com") == []
    assert taken.read_text() == "first_name,last_name,email\n"
    assert not waiting.exists()


def _waits_for_a_lock(pid: int) -> bool:
    """proc_locks(5): who is blocked stands below the lock, behind an arrow."""
    lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    return any(line.split()[1:3] == ["->", "FLOCK"] and line.split()[5] == str(pid) for line in lines)
