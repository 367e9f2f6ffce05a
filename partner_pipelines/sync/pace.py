"""How many requests are under way at once.

Without latency threads only take turns at one processor (docs/benchmarks.md), with it they are worth tenfold. So the
pace looks now and then at how long single requests take, one after the other, and chooses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

PROBE_ITEMS = 4
PROBE_EVERY_BATCHES = 80
WORTH_THREADS_SECONDS = 0.008  # an item is two requests: over 4 ms each, waiting outweighs computing


class Pace:
    """Maps a function over batches of items, one at a time or `width` at once, as suits the partner's latency."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._wide = False
        self._batches = 0
        self._threads: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)

    def map(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """The results in the items' order. `work` must not raise: it returns its errors."""
        probes = items[:PROBE_ITEMS] if self._batches % PROBE_EVERY_BATCHES == 0 else items[:0]
        self._batches += 1
        results = self._probe(work, probes) if probes else []
        rest = items[len(probes) :]
        return results + (self._map_wide(work, rest) if self._wide else [work(item) for item in rest])

    def _probe(self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        results: list[Result] = []
        took: list[float] = []
        for item in items:
            began = time.perf_counter()
            results.append(work(item))
            took.append(time.perf_counter() - began)
        # The quickest tells the partner's latency; the others may have waited for a busy processor here
        self._wide = self._width > 1 and min(took) > WORTH_THREADS_SECONDS
        return results

    def _map_wide(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._width, thread_name_prefix="fetch")
        return list(self._threads.map(work, items))
