"""No window ever holds more than its count: against a plain model, and with real threads and processes."""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
import time
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from partner_pipelines.models.rate_limit import parse_rate_limits
from partner_pipelines.state.budget import KEPT, Ledger, Slot
from partner_pipelines.state.process import seconds_since_boot
from partner_pipelines_tests.state.processes import wait_until
from partner_pipelines_tests.state.support_ledger import FakeClock, open_ledger, send, wait_of

CHILD = [sys.executable, "-m", "partner_pipelines_tests.state.support_budget"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "budget" / "elm-park.ledger"


# Against a plain model: whatever a partner may have counted, no window holds more than its count


@dataclass(slots=True)
class _Request:
    taken: float
    deadline: float
    settled: float = math.inf

    @property
    def latest_arrival(self) -> float:
        return min(self.settled, self.deadline)


class LedgerAgainstAModel(RuleBasedStateMachine):
    """At a moment t a partner may have counted, in the window before t, every request that can have arrived in it."""

    directory: Path

    @initialize()
    def begin(self) -> None:
        self.clock = FakeClock()
        self.path = self.directory / f"{os.urandom(8).hex()}.ledger"
        self.requests: list[_Request] = []
        self.slots: dict[int, Slot] = {}
        self.open("5/60,3/10")

    @rule(limits=strategies.sampled_from(["5/60,3/10", "3/10", "4/10,9/600", "50/60,7/10", "2/1"]))
    def open(self, limits: str) -> None:
        self.limits = parse_rate_limits(limits)
        self.ledger = open_ledger(self.path, self.clock, limits)

    @rule(seconds=strategies.floats(0, 40))
    def advance(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(deadline=strategies.floats(0.01, 90), first_class=strategies.booleans())
    def take(self, deadline: float, first_class: bool) -> None:
        taken = self.ledger.take(deadline_seconds=deadline, first_class=first_class)
        if isinstance(taken, Slot):
            self.slots[len(self.requests)] = taken
            self.requests.append(_Request(self.clock.now, self.clock.now + deadline))
            self._check_windows()
        else:
            assert taken > 0

    @precondition(lambda self: self.slots)
    @rule(data=strategies.data())
    def settle(self, data: strategies.DataObject) -> None:
        number = data.draw(strategies.sampled_from(sorted(self.slots)))
        self.ledger.settle(self.slots.pop(number))
        self.requests[number].settled = self.clock.now

    @rule(remaining=strategies.integers(0, 60))
    def learn(self, remaining: int) -> None:
        self.ledger.learn(remaining=remaining)

    @rule()
    def come_to_a_place_after_the_wait_it_names(self) -> None:
        for slot in self.slots.values():
            self.ledger.settle(slot)
        for number in self.slots:
            self.requests[number].settled = self.clock.now
        self.slots.clear()
        wait = self.ledger.take(deadline_seconds=1.0)
        if isinstance(wait, float):
            self.clock.now += wait + 1e-6
            wait = self.ledger.take(deadline_seconds=1.0)
        assert isinstance(wait, Slot)
        self.slots[len(self.requests)] = wait
        self.requests.append(_Request(self.clock.now, self.clock.now + 1.0))
        self._check_windows()

    def _check_windows(self) -> None:
        for limit in self.limits:
            begins = self.clock.now - limit.seconds
            assert sum(request.latest_arrival > begins for request in self.requests) <= limit.count


def test_no_window_ever_holds_more_than_its_count(tmp_path: Path) -> None:
    machine = type("Machine", (LedgerAgainstAModel,), {"directory": tmp_path})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=80, stateful_step_count=50, deadline=None, database=None)
    )


# Real threads and processes


def test_threads_and_forked_children_share_the_limit(path: Path) -> None:
    ledger = Ledger(path, parse_rate_limits("40/3600"))
    assert isinstance(ledger.take(deadline_seconds=60.0), Slot)
    child = os.fork()
    if child == 0:  # pragma: no cover -- another process
        os._exit(send(ledger, 19))
    got: list[int] = []
    threads = [Thread(target=lambda: got.append(send(ledger, 40))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(got) + os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 39


def test_4_processes_at_once_never_exceed_and_spend_what_there_is(path: Path) -> None:
    limits = parse_rate_limits("200/0.8,60/0.1")
    text = ",".join(map(str, limits))
    seconds = 4.0
    command = [*CHILD, "spend", str(path), text, str(seconds)]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = [child.communicate()[0].split() for child in children]
    assert {words[0] for words in said} == {"None"}  # eight at an empty directory: nobody took it for damage
    arrivals = sorted(float(moment) for words in said for moment in words[1:])
    for limit in limits:
        fullest = max(bisect_right(arrivals, first + limit.seconds) - index for index, first in enumerate(arrivals))
        assert fullest <= limit.count
    assert len(arrivals) > 0.6 * 180 * seconds / 0.8


def test_4_processes_take_and_settle_some_thousands_of_times(path: Path) -> None:
    children = [subprocess.Popen([*CHILD, "race", str(path), "20000/3600", "2000"]) for _ in range(4)]
    assert [child.wait() for child in children] == [0] * 4
    assert send(Ledger(path, parse_rate_limits("20000/3600")), 20000) == 20000 - 8000 - KEPT


def test_the_places_of_a_killed_process_come_back_before_its_deadline(path: Path) -> None:
    limits = "5/0.2"
    child = subprocess.Popen([*CHILD, "die", str(path), limits, "9"], stdout=subprocess.PIPE, text=True)
    assert child.communicate()[0] == "5\n"
    ledger = Ledger(path, parse_rate_limits(limits))
    assert wait_of(ledger) >= 0.2
    wait_until(lambda: isinstance(ledger.take(deadline_seconds=1.0), Slot))


def test_a_process_killed_at_any_moment_leaves_no_slot_uncounted(path: Path) -> None:
    chance = random.Random(20261122)  # noqa: S311 -- moments, not secrets
    said = path.parent.parent / "said"
    for _ in range(12):
        with said.open("ab") as output:
            before = said.stat().st_size
            child = subprocess.Popen([*CHILD, "churn", str(path), "1000000/3600"], stdout=output)
            wait_until(lambda: said.stat().st_size > before)  # noqa: B023 -- called before the next turn
            end = seconds_since_boot() + chance.uniform(0, 0.05)
            while seconds_since_boot() < end:
                time.sleep(0)
            child.kill()
            child.wait()
    taken = len(said.read_bytes())
    ledger = Ledger(path, parse_rate_limits("1000000/3600"))
    with ledger._locked() as file:
        counted = file.count_since(-math.inf) + len(file.in_flight)
    assert ledger.reset_reason is None
    assert taken <= counted <= taken + 24  # killed between slot and word, or while a place was counted twice
