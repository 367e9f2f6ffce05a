"""When an attempt comes again: never earlier than the partner asked, measured where it arrives; never without a look
for a stop; never when the deadline is nearer than that."""

from __future__ import annotations

import threading
import time
from email.utils import formatdate
from itertools import pairwise

import pytest

from partner_pipelines.errors import (
    APITimeoutError,
    AuditUnavailableError,
    BudgetExhaustedError,
    RateLimitError,
    ServerError,
    StoppedError,
)
from partner_pipelines.models.call import CallIntent
from partner_pipelines.partners.ports import RateWords
from partner_pipelines.partners.resman.operations import UNITS
from partner_pipelines.partners.retry import RetryRules
from partner_pipelines_tests.wire.bench import QUICK, Bench, ListRecorder, SandboxBench
from partner_pipelines_tests.wire.raw_server import RawServer, answer

ROUNDING = 0.005  # two clocks are read: the sandbox's when a request arrives, ours when its answer has come


def gaps(bench: SandboxBench) -> list[float]:
    """The seconds between the arrivals of the attempts."""
    times = [entry["at"] for entry in bench.log]
    return [later - earlier for earlier, later in pairwise(times)]


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_in_seconds_is_waited_for(bench: SandboxBench, status: int) -> None:
    bench.sandbox.fault("status", status=status, path="/detail/$", headers={"Retry-After": "1"})
    bench.good_openmoove().get_detail(bench.property_id(), "new")
    assert bench.logged_statuses == [status, 200]
    assert gaps(bench)[0] >= 1 - ROUNDING
    assert next(iter(bench.trail.outcomes.values())).retry_after_seconds == 1


@pytest.mark.parametrize("offset", [0, -86_400, 86_400], ids=["right", "a-day-slow", "a-day-fast"])
def test_retry_after_as_a_date_is_waited_for_whatever_the_partners_clock_says(
    bench: SandboxBench, offset: float
) -> None:
    bench.sandbox.settings(date_offset_seconds=offset)
    headers = {"Retry-After": formatdate(time.time() + offset + 2, usegmt=True)}
    bench.sandbox.fault("status", status=429, path="/detail/$", headers=headers)
    bench.good_openmoove().get_detail(bench.property_id(), "new")
    assert bench.logged_statuses == [429, 200]
    assert gaps(bench)[0] >= 1 - ROUNDING
    assert bench.stop.waits[0] <= 3


def test_without_retry_after_the_reset_is_waited_for(bench: SandboxBench) -> None:
    headers = {"X-RateLimit-Reset": str(int(time.time()) + 2), "X-RateLimit-Remaining": "0"}
    bench.sandbox.fault("status", status=429, path="/detail/$", headers=headers)
    bench.good_openmoove().get_detail(bench.property_id(), "new")
    assert gaps(bench)[0] >= 1 - ROUNDING


@pytest.mark.parametrize("text", ["soon", "-5", "NaN", ""])
def test_a_retry_after_that_says_nothing_is_none(bench: SandboxBench, text: str) -> None:
    bench.sandbox.fault("status", status=429, path="/detail/$", headers={"Retry-After": text})
    bench.good_openmoove().get_detail(bench.property_id(), "new")
    assert bench.logged_statuses == [429, 200]
    assert bench.stop.waits[0] <= QUICK.base_seconds


def test_a_retry_after_beyond_the_deadline_is_an_error_at_once(bench: SandboxBench) -> None:
    bench.sandbox.fault("status", status=429, path="/detail/$", headers={"Retry-After": "30"}, times=None)
    began = time.monotonic()
    with pytest.raises(RateLimitError) as caught:
        bench.good_openmoove(deadline_seconds=20).get_detail(bench.property_id(), "new")
    assert time.monotonic() - began < 5
    assert caught.value.retry_after_seconds == 30
    assert bench.logged_statuses == [429]
    assert bench.stop.waits == []


@pytest.mark.parametrize("asked", ["61", str(60 * 24 * 3600)])
def test_a_wait_of_over_a_minute_is_left_to_the_next_run(bench: SandboxBench, asked: str) -> None:
    bench.sandbox.fault("status", status=429, path="/detail/$", headers={"Retry-After": asked}, times=None)
    with pytest.raises(RateLimitError) as caught:
        bench.good_openmoove(deadline_seconds=10**9).get_detail(bench.property_id(), "new")
    assert caught.value.retry_after_seconds is not None
    assert caught.value.retry_after_seconds > 60
    assert bench.logged_statuses == [429]


def test_a_429_whose_body_breaks_off_still_says_when_to_come_back() -> None:
    """The body is a courtesy: without it the status and its Retry-After count."""
    broken = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 500\r\n\r\n{"
    with RawServer(lambda number: [broken if number == 1 else answer(b"{}")]) as server:
        bench = Bench(server.origin)
        began = time.monotonic()
        bench.ask()
        assert time.monotonic() - began >= 1
    assert bench.trail.words == ["rate_limited", "ok"]
    first = next(iter(bench.trail.outcomes.values()))
    assert first.retry_after_seconds == 1
    assert first.error == (
        f"APIConnectionError: ask: no whole answer from {bench.origin} (the server hung up before the answer's end)"
    )


def test_the_limits_of_a_real_server_are_kept_to(bench: SandboxBench) -> None:
    bench.sandbox.settings(rate_limits="3/1")
    client = bench.good_openmoove()
    for _ in range(7):
        client.get_detail(bench.property_id(), "new")
    refused = [entry for entry in bench.log if entry["throttled"]]
    assert len(refused) <= 2  # a second's wait each: whoever came back too early would be refused again
    assert bench.agrees()


def stop_soon(bench: Bench) -> threading.Thread:
    def stop() -> None:
        deadline = time.monotonic() + 10
        while not bench.stop.waits and time.monotonic() < deadline:
            time.sleep(0.01)
        bench.stop.asked.set()

    thread = threading.Thread(target=stop)
    thread.start()
    return thread


def test_a_stop_ends_the_wait_for_a_retry(bench: SandboxBench) -> None:
    bench.sandbox.fault("status", status=429, path="/detail/$", headers={"Retry-After": "15"}, times=None)
    thread = stop_soon(bench)
    began = time.monotonic()
    with pytest.raises(StoppedError):
        bench.good_openmoove().get_detail(bench.property_id(), "new")
    assert time.monotonic() - began < 10
    thread.join()
    assert bench.logged_statuses == [429]


def test_after_a_stop_nothing_is_sent(bench: SandboxBench) -> None:
    bench.stop.asked.set()
    with pytest.raises(StoppedError):
        bench.good_openmoove().get_detail(bench.property_id(), "new")
    assert bench.log == []
    assert bench.trail.intents == {}


class Slots:
    """A budget that has no slot for so many tries, and remembers what becomes of those it gave."""

    def __init__(self, *busy_seconds: float) -> None:
        self._busy = list(busy_seconds)
        self.taken = 0
        self.settled: list[RateWords] = []

    def take(self, *, deadline_seconds: float, first_class: bool) -> object | float:
        assert deadline_seconds > 0
        assert not first_class
        if self._busy:
            return self._busy.pop(0)
        self.taken += 1
        return self.taken

    def settle(self, slot: object, words: RateWords) -> None:
        assert slot == self.taken
        self.settled.append(words)


def test_each_attempt_takes_a_slot_and_settles_it_with_the_partners_words(bench: SandboxBench) -> None:
    slots = bench.budget = Slots(0.02)
    bench.sandbox.settings(rate_limits="1000/3600")
    bench.sandbox.fault("status", status=503, path="/detail/$")
    bench.sandbox.fault("drop_before_effect", path="/detail/$")
    bench.good_openmoove().get_detail(bench.property_id(), "new")
    assert slots.taken == 3
    assert len(slots.settled) == 3
    assert slots.settled[1] == RateWords()
    assert slots.settled[2].remaining is not None
    assert bench.stop.waits[0] == 0.02


def test_token_requests_take_slots_too(bench: SandboxBench) -> None:
    slots = bench.budget = Slots()
    bench.good_resman().get(UNITS, bench.sandbox.rows("resman_units")[0]["id"])
    assert slots.taken == 2
    assert [entry["path"].split("/")[1] for entry in bench.log] == ["oauth2", "api"]


def test_a_budget_that_is_spent_for_longer_than_may_be_waited_is_an_error_before_the_wire(
    bench: SandboxBench,
) -> None:
    bench.budget = Slots(61.0)
    with pytest.raises(BudgetExhaustedError, match="spent for 61 s") as caught:
        bench.good_openmoove(deadline_seconds=1000).get_detail(1, "new")
    assert caught.value.retry_after_seconds == 61
    assert bench.log == []
    assert bench.trail.intents == {}


def test_a_budget_that_is_spent_until_after_the_deadline_is_an_error_before_the_wire(bench: SandboxBench) -> None:
    bench.budget = Slots(5.0)
    with pytest.raises(BudgetExhaustedError):
        bench.good_openmoove(deadline_seconds=2).get_detail(1, "new")
    assert bench.log == []


def test_waits_for_the_budget_add_up(bench: SandboxBench) -> None:
    bench.budget = Slots(*[0.02] * 100)
    bench.max_wait_seconds = 0.1
    with pytest.raises(BudgetExhaustedError):
        bench.good_openmoove().get_detail(1, "new")
    assert sum(bench.stop.waits) <= 0.1


def test_a_stop_ends_the_wait_for_the_budget_and_takes_no_slot(bench: SandboxBench) -> None:
    slots = bench.budget = Slots(15.0, 15.0)
    thread = stop_soon(bench)
    with pytest.raises(StoppedError):
        bench.good_openmoove().get_detail(1, "new")
    thread.join()
    assert slots.taken == 0
    assert max(bench.stop.waits) <= 0.5


class FullDisk(ListRecorder):
    def record_intent(self, intent: CallIntent) -> str:
        raise AuditUnavailableError(f"cannot write the audit trail: {intent.operation}")


def test_a_call_whose_intent_cannot_be_written_is_not_made_and_gives_its_slot_back(bench: SandboxBench) -> None:
    slots = bench.budget = Slots()
    bench.recorder = FullDisk()
    with pytest.raises(AuditUnavailableError):
        bench.good_openmoove().get_detail(1, "new")
    assert bench.log == []
    assert len(slots.settled) == slots.taken == 1


def test_the_deadline_holds_over_all_attempts(bench: SandboxBench) -> None:
    bench.sandbox.fault("status", status=503, path="/detail/$", times=None)
    rules = RetryRules(max_attempts=1000, base_seconds=0.2, cap_seconds=0.2)
    began = time.monotonic()
    # On a slow machine the last attempt may be under way when the deadline comes
    with pytest.raises((ServerError, APITimeoutError)):
        bench.good_openmoove(deadline_seconds=1, rules=rules).get_detail(1, "new")
    assert time.monotonic() - began < 4
    assert 2 <= len(bench.log) < 1000
