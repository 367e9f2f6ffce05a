"""A ledger under a clock that a test holds in its hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from partner_pipelines.models.rate_limit import parse_rate_limits
from partner_pipelines.state.budget import Ledger, Slot

LIMITS = "30/3600,10/60"
MARGIN = 0.1


@dataclass(slots=True)
class FakeClock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


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
