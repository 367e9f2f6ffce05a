from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from partner_pipelines.models.rate_limit import RateLimit, parse_rate_limits
from partner_pipelines.state.budget import KEPT, URGENT_SECONDS, Slot, sustained_per_hour
from partner_pipelines_tests.state.support_ledger import MARGIN, FakeClock, open_ledger, send, wait_of


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "budget" / "elm-park.ledger"


# The limits' words


def test_limits_are_read() -> None:
    assert parse_rate_limits(" 1000/3600, 100/0.5 ") == (RateLimit(1000, 3600), RateLimit(100, 0.5))
    assert parse_rate_limits("") == parse_rate_limits("  ") == ()
    assert [str(limit) for limit in parse_rate_limits("1000/3600,100/0.5")] == ["1000/3600", "100/0.5"]


NO_COUNTS = ["/60", "0/60", "-1/60", "1.5/60", "a/b", "1000001/60"]
NO_TIMES = ["1000", "1000/", "100/0", "100/-1", "100/nan", "100/inf", "100/2678401", "100:60"]


@pytest.mark.parametrize("text", [*NO_COUNTS, *NO_TIMES, "100/60/60", "100/60,", ","])
def test_nonsense_is_refused_with_a_clear_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not COUNT/SECONDS \(1 to 1000000 requests"):
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


# What is left, and how much an hour gives


def test_what_is_left_is_what_ordinary_requests_may_take_of_the_longest_window(path: Path, clock: FakeClock) -> None:
    ledger = open_ledger(path, clock, "100/3600,30/60")
    assert ledger.left() == 100 - KEPT
    assert send(ledger, 99) == 30
    assert ledger.left() == 100 - KEPT - 30
    slot = ledger.take(deadline_seconds=60.0, first_class=True)
    assert isinstance(slot, float)
    clock.now += 60 + MARGIN
    assert isinstance(ledger.take(deadline_seconds=60.0), Slot)
    assert ledger.left() == 100 - KEPT - 31
    clock.now += 3600 + MARGIN
    assert ledger.left() == 100 - KEPT - 1, "the one in flight counts from its deadline"


def test_nothing_is_left_where_the_partner_says_wait_and_never_less_than_nothing(path: Path, clock: FakeClock) -> None:
    ledger = open_ledger(path, clock, "50/3600")
    assert send(ledger, 50, first_class=True) == 50
    assert ledger.left() == 0
    clock.now += 3600 + MARGIN
    ledger.learn(retry_after_seconds=10)
    assert ledger.left() == 0


@pytest.mark.parametrize(
    ("limits", "rate"),
    [("1000/3600,100/60", 980), ("1000/30,100/0.5", 980 * 120), ("100/60", 80 * 60), ("30/60", 1800), ("", None)],
)
def test_how_many_ordinary_requests_an_hour_gives(limits: str, rate: float | None) -> None:
    assert sustained_per_hour(parse_rate_limits(limits)) == (None if rate is None else pytest.approx(rate))
