from __future__ import annotations

import math
import os
import random
import subprocess
import sys
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from partner_pipelines.errors import StateError
from partner_pipelines.models.rate_limit import RateLimit, parse_rate_limits
from partner_pipelines.state.budget import KEPT, URGENT_SECONDS, Ledger, Slot
from partner_pipelines.state.process import boot_id, seconds_since_boot
from partner_pipelines_tests.state.processes import wait_until

CHILD = [sys.executable, "-m", "partner_pipelines_tests.state.support_budget"]
LIMITS = "30/3600,10/60"
MARGIN = 0.1


@dataclass(slots=True)
class FakeClock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "budget" / "elm-park.ledger"


def open_ledger(path: Path, clock: Callable[[], float], limits: str = LIMITS) -> Ledger:
    return Ledger(path, parse_rate_limits(limits), margin_seconds=MARGIN, clock=clock)


def send(ledger: Ledger, count: int, *, first_class: bool = False) -> int:
    """Takes and settles up to `count` slots. Returns how many it got."""
    for sent in range(count):
        slot = ledger.take(deadline_seconds=60.0, first_class=first_class)
        if not isinstance(slot, Slot):
            return sent
        ledger.settle(slot)
    return count


def wait_of(ledger: Ledger, *, first_class: bool = False) -> float:
    wait = ledger.take(deadline_seconds=60.0, first_class=first_class)
    assert isinstance(wait, float)
    return wait


# The limits' words


def test_limits_are_read() -> None:
    assert parse_rate_limits(" 1000/3600, 100/0.5 ") == (RateLimit(1000, 3600), RateLimit(100, 0.5))
    assert parse_rate_limits("") == parse_rate_limits("  ") == ()
    assert [str(limit) for limit in parse_rate_limits("1000/3600,100/0.5")] == ["1000/3600", "100/0.5"]


NO_COUNTS = ["/60", "0/60", "-1/60", "1.5/60", "a/b", "1000001/60"]
NO_TIMES = ["1000", "1000/", "100/0", "100/-1", "100/nan", "100/inf", "100/2678401", "100:60"]


@pytest.mark.parametrize("text", [*NO_COUNTS, *NO_TIMES, "100/60/60", "100/60,", ","])
def test_nonsense_is_refused_with_a_clear_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not COUNT/SECONDS .*: write for example 1000/3600,100/60"):
        parse_rate_limits(text)


# One window after the other


def test_every_window_holds(path: Path, clock: FakeClock) -> None:
    ledger = open_ledger(path, clock)
    assert send(ledger, 99) == 10
    assert wait_of(ledger) == pytest.approx(60 + MARGIN)
    clock.now += 60 + MARGIN
    assert send(ledger, 99) == 10
    clock.now += 60 + MARGIN
    assert send(ledger, 99) == 10
    clock.now += 60 + MARGIN
    assert wait_of(ledger) == pytest.approx(3600 + MARGIN - 3 * (60 + MARGIN))
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_request_in_flight_keeps_its_place_and_counts_from_its_outcome(path: Path, clock: FakeClock) -> None:
    ledger = open_ledger(path, clock, "1/60")
    slot = ledger.take(deadline_seconds=500.0)
    assert isinstance(slot, Slot)
    clock.now += 400
    assert wait_of(ledger) == pytest.approx(60 + MARGIN)
    ledger.settle(slot)
    clock.now += 59
    assert wait_of(ledger) == pytest.approx(1 + MARGIN)
    clock.now += 1 + MARGIN
    assert send(ledger, 1) == 1


def test_a_request_nobody_settled_counts_from_its_deadline(path: Path, clock: FakeClock) -> None:
    ledger = open_ledger(path, clock, "1/60")
    slot = ledger.take(deadline_seconds=30.0)
    assert isinstance(slot, Slot)
    clock.now += 31
    assert wait_of(ledger) == pytest.approx(59 + MARGIN)
    ledger.settle(slot)  # too late to be sure of anything: it counts once more
    clock.now += 59 + MARGIN
    assert wait_of(ledger) == pytest.approx(1)


def test_without_limits_only_the_partners_word_counts(path: Path, clock: FakeClock) -> None:
    ledger = open_ledger(path, clock, "")
    assert send(ledger, 100) == 100
    ledger.learn(retry_after_seconds=5.0)
    assert wait_of(ledger) == pytest.approx(5 + MARGIN)
    ledger.learn(remaining=0, reset_after_seconds=7.0)
    assert wait_of(ledger) == pytest.approx(7 + MARGIN)


def test_more_requests_in_flight_than_the_file_has_room_for_wait(path: Path, clock: FakeClock) -> None:
    ledger = open_ledger(path, clock, "100000/60")
    slots = [ledger.take(deadline_seconds=30.0) for _ in range(600)]
    taken = [slot for slot in slots if isinstance(slot, Slot)]
    assert len(taken) == 512
    assert wait_of(ledger) == pytest.approx(30)
    random.Random(1).shuffle(taken)  # noqa: S311 -- an order, not a secret
    for slot in taken:
        ledger.settle(slot)
    assert send(ledger, 600) == 600


# First-class requests


def test_twenty_places_of_the_longest_window_are_kept_for_first_class_requests(path: Path, clock: FakeClock) -> None:
    ledger = open_ledger(path, clock, "100/3600,90/60")
    assert send(ledger, 100) == 100 - KEPT
    assert wait_of(ledger) == pytest.approx(3600 + MARGIN)
    assert send(ledger, 100, first_class=True) == 10  # the short window keeps none
    clock.now += 60 + MARGIN
    assert send(ledger, 100) == 0
    assert send(ledger, 100, first_class=True) == 10


def test_a_small_window_keeps_nothing(path: Path, clock: FakeClock) -> None:
    assert send(open_ledger(path, clock, "40/3600"), 100) == 40


def test_ordinary_requests_stand_back_for_a_waiting_first_class_one(path: Path, clock: FakeClock) -> None:
    ledger = open_ledger(path, clock, "2/60")
    assert send(ledger, 2) == 2
    clock.now += 60 + MARGIN - 0.5
    assert wait_of(ledger, first_class=True) == pytest.approx(0.5)
    clock.now += 0.5
    assert wait_of(ledger) == pytest.approx(URGENT_SECONDS - 0.5)
    assert send(ledger, 1, first_class=True) == 1
    clock.now += URGENT_SECONDS
    assert send(ledger, 1) == 1


# The partner's word


def test_after_a_429_nothing_leaves_before_the_time_it_names(path: Path, clock: FakeClock) -> None:
    ledger = open_ledger(path, clock)
    ledger.learn(retry_after_seconds=100.0)
    ledger.learn(retry_after_seconds=1.0)
    assert wait_of(ledger) == wait_of(ledger, first_class=True) == pytest.approx(100 + MARGIN)
    assert wait_of(open_ledger(path, clock)) == pytest.approx(100 + MARGIN)
    clock.now += 100 + MARGIN + URGENT_SECONDS
    assert send(ledger, 1) == 1


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -math.inf, -5.0, 0.0])
def test_nonsense_changes_nothing(path: Path, clock: FakeClock, seconds: float) -> None:
    ledger = open_ledger(path, clock)
    ledger.learn(remaining=-7, retry_after_seconds=seconds)
    ledger.learn(remaining=10**8, reset_after_seconds=seconds)
    assert send(ledger, 99) == 10


def test_a_time_beyond_belief_does_not_stop_the_connection_for_ever(path: Path, clock: FakeClock) -> None:
    ledger = open_ledger(path, clock)
    ledger.learn(retry_after_seconds=1e300)
    assert 0 < wait_of(open_ledger(path, clock)) < 32 * 24 * 3600


def test_requests_of_others_are_counted(path: Path, clock: FakeClock) -> None:
    ledger = open_ledger(path, clock, "30/3600")
    assert send(ledger, 5) == 5
    ledger.learn(remaining=25)
    ledger.learn(remaining=29)  # an older answer, or a partner that forgets: never more than our own count
    ledger.learn(remaining=4)
    ledger.learn(remaining=4)
    assert send(ledger, 99) == 4


def test_none_remaining_waits_for_the_time_the_partner_names(path: Path, clock: FakeClock) -> None:
    ledger = open_ledger(path, clock, "30/3600")
    ledger.learn(remaining=0, reset_after_seconds=4000.0)
    assert wait_of(ledger) == pytest.approx(4000 + MARGIN)


def test_the_partners_limit_says_which_window_it_speaks_of(path: Path, clock: FakeClock) -> None:
    ledger = open_ledger(path, clock)
    ledger.learn(remaining=7, limit=10)
    assert send(ledger, 99) == 7
    clock.now += 60 + MARGIN
    assert send(ledger, 99) == 10


def test_what_left_our_window_while_the_answer_travelled_is_not_taken_for_somebody_elses(
    path: Path, clock: FakeClock
) -> None:
    ledger = open_ledger(path, clock, "10/60")
    assert send(ledger, 10) == 10
    clock.now += 60 + MARGIN
    ledger.learn(remaining=0)  # counted by the partner just before
    assert send(ledger, 99) == 10


# A file that cannot be believed


def _other_boot(content: bytes) -> bytes:
    return content.replace(boot_id().encode(), b"0" * 36)


def _older(content: bytes) -> bytes:
    return content[:8] + b"\0" + content[9:]


DAMAGE: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "emptied": ("cut short", lambda content: content[:0]),
    "header cut": ("cut short", lambda content: content[:50]),
    "ring cut": ("cut short", lambda content: content[:-8]),
    "longer": ("added", lambda content: content + b"x"),
    "foreign": ("not a ledger", lambda content: b"x" * len(content)),
    "zeros": ("not a ledger", lambda content: bytes(len(content))),
    "older": ("version 0", _older),
    "other boot": ("booted", _other_boot),
    "nonsense sizes": ("not a ledger", lambda content: content[:12] + bytes(20) + content[32:]),
    "not numbers": ("not come yet", lambda content: content[:-8192] + b"\xff" * 8192),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_file_that_cannot_be_believed_counts_as_spent(path: Path, clock: FakeClock, what: str) -> None:
    ledger = open_ledger(path, clock)
    assert send(ledger, 3) == 3
    assert ledger.reset_reason is None
    reason, damage = DAMAGE[what]
    path.write_bytes(damage(path.read_bytes()))
    clock.now += 10
    for opened in (ledger, open_ledger(path, clock)):
        assert wait_of(opened) == pytest.approx(3600 + MARGIN)
    assert reason in str(ledger.reset_reason)
    clock.now += 3600 + MARGIN
    assert send(ledger, 99) == 10


def test_times_of_a_clock_that_was_ahead_count_as_spent(path: Path, clock: FakeClock) -> None:
    assert send(open_ledger(path, clock), 3) == 3
    clock.now -= 3600
    ledger = open_ledger(path, clock)
    assert wait_of(ledger) == pytest.approx(3600 + MARGIN)
    assert "not come yet" in str(ledger.reset_reason)


def test_a_file_removed_while_it_is_used_counts_as_spent(path: Path, clock: FakeClock) -> None:
    ledger = open_ledger(path, clock)
    slot = ledger.take(deadline_seconds=60.0)
    assert isinstance(slot, Slot)
    path.unlink()
    ledger.settle(slot)
    assert wait_of(ledger) == pytest.approx(3600 + MARGIN)
    assert "removed" in str(ledger.reset_reason)


def test_a_slot_of_an_earlier_file_settles_nobody_elses(path: Path, clock: FakeClock) -> None:
    ledger = open_ledger(path, clock, "1/60")
    earlier = ledger.take(deadline_seconds=60.0)
    assert isinstance(earlier, Slot)
    path.unlink()
    other = open_ledger(path, clock, "1/60")
    assert isinstance(other.take(deadline_seconds=60.0), Slot)
    ledger.settle(earlier)
    clock.now += 59
    assert wait_of(other) == pytest.approx(60 + MARGIN)


def test_a_ledger_that_cannot_be_written_is_one_clear_line(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "budget").write_text("a file")
    with pytest.raises(StateError, match=r"cannot use the request ledger .*ledger: Not a directory"):
        open_ledger(tmp_path / "budget" / "x.ledger", clock).take(deadline_seconds=1.0)


# Other limits


def test_what_was_sent_counts_under_other_limits(path: Path, clock: FakeClock) -> None:
    assert send(open_ledger(path, clock, "30/60"), 99) == 30
    clock.now += 100
    assert send(open_ledger(path, clock, "35/3600"), 99) == 5
    assert send(open_ledger(path, clock, "30/60"), 99) == 25


def test_a_deadline_found_over_late_does_not_hide_what_was_settled_after_it(path: Path, clock: FakeClock) -> None:
    ledger = open_ledger(path, clock, "2/60")
    assert isinstance(ledger.take(deadline_seconds=5.0), Slot)
    settled = ledger.take(deadline_seconds=100.0)
    assert isinstance(settled, Slot)
    clock.now += 10
    ledger.settle(settled)
    assert wait_of(ledger) > 0
    clock.now += 56
    assert wait_of(open_ledger(path, clock, "1/60")) == pytest.approx(4 + MARGIN)


def test_a_ledger_that_remembers_less_than_the_new_window_doubts(path: Path, clock: FakeClock) -> None:
    """1,024 times are remembered; who sent 1,030 may have sent any number before them."""
    assert send(open_ledger(path, clock, "1000/1"), 6) == 6
    clock.now += 2
    for _ in range(2):
        assert send(open_ledger(path, clock, "1000/1"), 512, first_class=True) == 512
        clock.now += 2
    ledger = open_ledger(path, clock, "3000/3600")
    assert wait_of(ledger) > 3000
    assert ledger.reset_reason is None


def test_a_larger_file_keeps_what_is_in_flight(path: Path, clock: FakeClock) -> None:
    small = open_ledger(path, clock, "1000/60")
    slots = [small.take(deadline_seconds=60.0) for _ in range(7)]
    large = open_ledger(path, clock, "2000/60")
    assert send(large, 3000, first_class=True) == 2000 - 7
    for slot in slots:
        assert isinstance(slot, Slot)
        large.settle(slot)
    clock.now += 60 + MARGIN
    assert send(large, 3000, first_class=True) == 2000


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
