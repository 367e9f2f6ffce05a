"""How far a long sync is: a line on standard error every few seconds, read off the audit trail."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

_EVERY_SECONDS = 5
_ANSWERED = b'"kind":"outcome"'


@contextmanager
def counted_calls(segments: Path) -> Iterator[None]:
    """Says inside, now and then, how many calls have come back since it began: in this process or a step's own."""
    count = _Count(segments)
    finished = threading.Event()

    def tell() -> None:
        began, told = time.monotonic(), 0
        while not finished.wait(_EVERY_SECONDS):
            calls = count.so_far()
            if calls > told:
                typer.echo(f"{time.monotonic() - began:6.0f} s  … calls so far: {calls:,}", err=True)
            told = calls

    teller = threading.Thread(target=tell, daemon=True, name="progress")
    teller.start()
    try:
        yield
    finally:
        finished.set()
        teller.join()


class _Count:
    """Counts the answers in a trail's segments, each byte read once; what stood there before does not count."""

    def __init__(self, segments: Path) -> None:
        self._segments = segments
        self._read = {segment: segment.stat().st_size for segment in segments.glob("*.jsonl")}
        self._calls = 0

    def so_far(self) -> int:
        for segment in self._segments.glob("*.jsonl"):
            with segment.open("rb") as file:
                file.seek(self._read.get(segment, 0))
                whole = file.read().rpartition(b"\n")[0]
            self._read[segment] = self._read.get(segment, 0) + len(whole)
            self._calls += whole.count(_ANSWERED)
        return self._calls
