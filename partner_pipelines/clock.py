"""The time of day that no one can step while a process runs.

Order matters more than the exact second: a listing must never seem to have begun after the rows it showed. So the wall
clock is read once, and a clock that cannot be set counts from there, while the machine sleeps too.

Between two processes the wall clock may have been stepped. A stamp that is later than `latest_proof` was made by a
clock that was ahead: it proves nothing, neither that news is old nor that something is fresh (docs/design.md).
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

CLOCK_DOUBT = timedelta(minutes=5)
"""So far ahead of us may a stamp be that another process made: their clocks were read at different times."""


def _seconds_since_boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


_WALL_AT_START = datetime.now(UTC)
_BOOT_AT_START = _seconds_since_boot()


def now() -> datetime:
    """Aware UTC; never goes back within a process."""
    return _WALL_AT_START + timedelta(seconds=_seconds_since_boot() - _BOOT_AT_START)


def latest_proof(moment: datetime) -> datetime:
    """The latest stamp that still proves something at `moment`."""
    return moment + CLOCK_DOUBT
