"""A process whose wall clock is wrong, and is stepped while it runs: what a real step does to all that reads it.

`install((3600, 0))` sets the clock an hour ahead; SIGUSR1 steps it to what it should be. Only CPython's readings are
stepped: SQLite and DuckDB are never asked for the time, and the kernel stamps files by its own clock.
"""

from __future__ import annotations

import signal
import sys
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from partner_pipelines import clock

STEP = signal.SIGUSR1


class _Wall:
    """The wall clock of this process: the machine's and an offset in seconds."""

    def __init__(self, offset: float) -> None:
        self.offset = offset
        self._time = time.time

    def seconds(self) -> float:
        return self._time() + self.offset

    def nanoseconds(self) -> int:
        return int(self.seconds() * 1e9)


def install(offsets: tuple[float, float]) -> None:
    """The clock is off by the first number of seconds from now on, and by the second after SIGUSR1."""
    wall = _Wall(offsets[0])
    time.time = wall.seconds
    time.time_ns = wall.nanoseconds
    _set_off_modules(wall)
    signal.signal(STEP, lambda *_: setattr(wall, "offset", offsets[1]))


def _set_off_modules(wall: _Wall) -> None:
    class EveryDatetime(type):
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, datetime)

    class SteppedDatetime(datetime, metaclass=EveryDatetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.fromtimestamp(wall.seconds(), tz)

    clock._WALL_AT_START += timedelta(seconds=wall.offset)
    for name, module in list(sys.modules.items()):
        if name.startswith("partner_pipelines.") and "datetime.now(" in Path(module.__file__ or "").read_text():
            vars(module)["datetime"] = SteppedDatetime
