"""The time of day that no one can step while a process runs.

Order matters more than the exact second: a listing must never seem to have begun after the rows it showed. So the wall
clock is read once, and a clock that cannot be set counts from there.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

_WALL_AT_START = datetime.now(UTC)
_MONOTONIC_AT_START = time.monotonic()


def now() -> datetime:
    """Aware UTC; never goes back within a process."""
    return _WALL_AT_START + timedelta(seconds=time.monotonic() - _MONOTONIC_AT_START)
