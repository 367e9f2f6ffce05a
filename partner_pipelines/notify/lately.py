"""What went out in the last minutes: how many messages an audience got, and which addresses did not answer.

Times are of the wall clock, because processes share them. One that lies ahead was made by a clock that was set back
since: it counts for nothing, so that it can silence nobody.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from partner_pipelines.notify.incidents import read_object
from partner_pipelines.state.files import write_atomically

Clock = Callable[[], datetime]


class Lately:
    """Marks with their times, by name. Who changes it holds the incidents' lock. Every method raises StateError."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock

    def count(self, name: str, seconds: float) -> int:
        """How often `name` was marked within the last seconds."""
        now = self._clock().timestamp()
        return sum(1 for moment in self._marks().get(name, ()) if 0 <= now - moment < seconds)

    def mark(self, name: str, *, most: int = 1) -> None:
        """`name` is marked now; its latest `most` marks are kept."""
        marks = self._marks()
        marks[name] = [*marks.get(name, ()), self._clock().timestamp()][-most:]
        write_atomically(self._path, json.dumps(marks).encode())

    def _marks(self) -> dict[str, list[float]]:
        return {
            name: [float(moment) for moment in moments if isinstance(moment, int | float)]
            for name, moments in read_object(self._path).items()
            if isinstance(moments, list)
        }
