"""A stop is seen by every wait within half a second, and a second signal ends the process as it always would have."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from partner_pipelines.errors import StoppedError
from partner_pipelines.state.stop import StopSignal
from partner_pipelines_tests.state.processes import read_line, running


def test_without_a_stop_a_wait_takes_its_time() -> None:
    stop = StopSignal()
    began = time.monotonic()
    stop.wait(0.05)
    assert time.monotonic() - began >= 0.05
    stop.check()
    stop.wait(0)
    stop.wait(-1)
    assert not stop.is_requested


def test_a_stop_ends_every_threads_wait_within_half_a_second_and_the_next_one_at_once() -> None:
    stop = StopSignal()
    waiting = threading.Barrier(5)

    def wait() -> float:
        waiting.wait(10)
        with pytest.raises(StoppedError, match="stopped: revoked"):
            stop.wait(60)
        return time.monotonic()

    with ThreadPoolExecutor(4) as pool:
        waits = [pool.submit(wait) for _ in range(4)]
        waiting.wait(10)
        requested = time.monotonic()
        stop.request("revoked")
        stop.request("later")
        assert all(one.result(10) - requested < 0.9 for one in waits)
    with pytest.raises(StoppedError, match="revoked"):
        stop.wait(0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_requests_a_stop_and_handlers_are_put_back(number: signal.Signals) -> None:
    stop = StopSignal()
    before = signal.getsignal(number)
    with stop.on_signals():
        os.kill(os.getpid(), number)
        with pytest.raises(StoppedError, match=f"{number.name} came"):
            stop.wait(5)
        assert signal.getsignal(number) == before, "the second one acts as it would have"
    assert signal.getsignal(number) == before


STUBBORN = """
import time
from partner_pipelines.state.stop import StopSignal
stop = StopSignal()
with stop.on_signals():
    print("ready", flush=True)
    while not stop.is_requested:
        time.sleep(0.01)
    print("stops", flush=True)
    time.sleep(3600)
"""


def test_a_second_sigterm_ends_a_process_that_does_not_end_by_itself() -> None:
    with running(STUBBORN) as process:
        assert read_line(process) == "ready"
        process.send_signal(signal.SIGTERM)
        assert read_line(process) == "stops"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == -signal.SIGTERM
