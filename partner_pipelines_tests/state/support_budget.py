"""Children that share a request ledger."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

from partner_pipelines.models.rate_limit import parse_rate_limits
from partner_pipelines.state.budget import Ledger, Slot
from partner_pipelines.state.process import seconds_since_boot


def _spend(path: Path, limits: str, seconds: float) -> None:
    """Sends as fast as the ledger lets it. Prints when each request arrived, as the partner would stamp it."""
    ledger = Ledger(path, parse_rate_limits(limits), margin_seconds=0.01)
    chance = random.Random(os.getpid())  # noqa: S311 -- latencies, not secrets
    arrivals = []
    end = seconds_since_boot() + seconds
    while seconds_since_boot() < end:
        slot = ledger.take(deadline_seconds=60.0)
        if not isinstance(slot, Slot):
            time.sleep(min(slot, 0.005))
            continue
        time.sleep(chance.uniform(0, 0.002))  # the way there
        arrivals.append(seconds_since_boot())
        time.sleep(chance.uniform(0, 0.002))  # and back
        ledger.settle(slot)
    print(ledger.reset_reason, *arrivals)  # noqa: T201 -- the parent reads it


def _die_in_flight(path: Path, limits: str, requests: int) -> None:
    ledger = Ledger(path, parse_rate_limits(limits))
    taken = [ledger.take(deadline_seconds=3600.0) for _ in range(requests)]
    print(sum(isinstance(slot, Slot) for slot in taken), flush=True)  # noqa: T201 -- the parent reads it
    os.kill(os.getpid(), signal.SIGKILL)


def _race(path: Path, limits: str, turns: int) -> None:
    ledger = Ledger(path, parse_rate_limits(limits))
    for _ in range(turns):
        slot = ledger.take(deadline_seconds=60.0)
        assert isinstance(slot, Slot)
        ledger.settle(slot)


def _churn(path: Path, limits: str) -> None:
    """Takes and settles until it is killed; says each slot."""
    ledger = Ledger(path, parse_rate_limits(limits))
    while isinstance(slot := ledger.take(deadline_seconds=3600.0), Slot):
        os.write(1, b"t")
        ledger.settle(slot)


if __name__ == "__main__":
    what, file, text, *number = sys.argv[1:]
    if what == "spend":
        _spend(Path(file), text, float(number[0]))
    elif what == "race":
        _race(Path(file), text, int(number[0]))
    elif what == "die":
        _die_in_flight(Path(file), text, int(number[0]))
    else:
        _churn(Path(file), text)
