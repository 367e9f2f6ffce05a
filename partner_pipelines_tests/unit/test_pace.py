"""The pace: everything is done once, never more open than may be, many at once where waiting is worth it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partner_pipelines.sync import pace as pace_module
from partner_pipelines.sync.pace import MOST_AT_ONCE, MOST_OPEN, WORTH_THREADS_SECONDS, Pace


class Partner:
    """Counts who is asked at once, and how many answers are not landed."""

    def __init__(self, seconds: Callable[[int], float]) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self.at_once = self.most_at_once = 0
        self.asked: list[int] = []

    def ask(self, item: int) -> int:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self.asked.append(item)
        if seconds := self._seconds(item):
            time.sleep(seconds)
        with self._lock:
            self.at_once -= 1
        return item


def run(partner: Partner, count: int, width: int) -> tuple[list[int], int]:
    """What came, and how many items were open at most: asked for, and not known to be landed."""
    left = deque(range(count))
    got: list[int] = []
    landed = most_open = 0

    def take(most: int) -> Sequence[int]:
        nonlocal most_open
        taken = [left.popleft() for _ in range(min(most, len(left)))]
        most_open = max(most_open, count - len(left) - landed)
        return taken

    with Pace(width, partner.ask) as pace:
        for group in pace.run(take):
            landed = len(got)  # the one before has landed when this one is handed on
            got += group
    return got, most_open


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 150), st.integers(1, 40), st.sampled_from([0.0, 2 * WORTH_THREADS_SECONDS]), st.integers(1, 60))
def test_each_item_is_done_once_and_never_too_many_are_open(
    count: int, width: int, seconds: float, probe_every: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pace_module, "PROBE_EVERY_ITEMS", probe_every)
        partner = Partner(lambda item: seconds * (item % 3 + 1) / 3 if item > 4 else seconds)
        got, most_open = run(partner, count, width)
    assert sorted(got) == sorted(partner.asked) == list(range(count))
    assert most_open <= MOST_OPEN
    assert partner.most_at_once <= min(width, MOST_AT_ONCE)


def test_a_partner_with_latency_is_asked_many_at_once() -> None:
    partner = Partner(lambda _: 3 * WORTH_THREADS_SECONDS)
    run(partner, 100, 64)
    assert partner.most_at_once == MOST_AT_ONCE


def test_a_partner_without_latency_is_asked_one_after_the_other_and_in_order() -> None:
    partner = Partner(lambda _: 0.0)
    got, _ = run(partner, 100, 64)
    assert partner.most_at_once == 1
    assert got == partner.asked == list(range(100))


def test_one_slow_answer_holds_nobody_up() -> None:
    """The others go on while it is waited for, as far as results may be open."""
    release = threading.Event()
    partner = Partner(lambda _: 2 * WORTH_THREADS_SECONDS)

    def ask(item: int) -> int:
        if item == 10:
            assert release.wait(20)
        elif item == 70:
            release.set()
        return partner.ask(item)

    left = deque(range(100))
    with Pace(16, ask) as pace:
        got = [
            one
            for group in pace.run(lambda most: [left.popleft() for _ in range(min(most, len(left)))])
            for one in group
        ]
    assert sorted(got) == list(range(100))
    assert got.index(10) > got.index(40)
