"""How many requests are under way at once.

Without latency threads only take turns at one processor (docs/benchmarks.md), with it they are worth tenfold. So the
pace looks now and then at how long single requests take, one after the other, and chooses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Generic, Self, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

PROBE_ITEMS = 4
PROBE_EVERY_ITEMS = 1_000
WORTH_THREADS_SECONDS = 0.008  # an item is two requests: over 4 ms each, waiting outweighs computing
MOST_OPEN = 24
"""Of so many items the results are not landed at any time: those under way, and two groups of results."""
GROUP_ALONE = MOST_OPEN // 2
"""One item after the other: while a group is landed the next is fetched."""
GROUP = MOST_OPEN // 6
"""Many at once: small groups, so that there is room for many."""
MOST_AT_ONCE = MOST_OPEN - 2 * GROUP


class Pace(Generic[Item, Result]):
    """Runs `work` over items, one at a time or up to `width` at once, as suits the partner's latency.

    `work` must not raise: it returns its errors. It must not wait for other items.
    """

    def __init__(self, width: int, work: Callable[[Item], Result]) -> None:
        self._work = work
        self._width = min(width, MOST_AT_ONCE)
        self._wide = False
        self._until_probe = 0
        self._threads: ThreadPoolExecutor | None = None
        self._under_way: set[Future[Result]] = set()
        self._landing = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)

    def run(self, take: Callable[[int], Sequence[Item]]) -> Iterator[list[Result]]:
        """The results in groups, as they come. `take` gives up to so many items, none when there are no more.

        Whoever gets a group has landed the one before when it asks for the next: then at most MOST_OPEN are open.
        """
        while group := self._next(take):
            self._until_probe -= len(group)
            self._landing = len(group)
            yield group

    def _next(self, take: Callable[[int], Sequence[Item]]) -> list[Result]:
        if self._until_probe <= 0 and not self._under_way:
            self._until_probe = PROBE_EVERY_ITEMS
            return self._probe(take(PROBE_ITEMS))
        if self._until_probe <= 0:
            return self._finish(len(self._under_way))
        if self._wide:
            return self._many(take)
        return [self._work(item) for item in take(min(GROUP_ALONE, self._room([])))]

    def _room(self, results: Sequence[Result]) -> int:
        """How many more may be open."""
        return max(0, MOST_OPEN - self._landing - len(self._under_way) - len(results))

    def _probe(self, items: Sequence[Item]) -> list[Result]:
        results: list[Result] = []
        took: list[float] = []
        for item in items:
            began = time.perf_counter()
            results.append(self._work(item))
            took.append(time.perf_counter() - began)
        # The quickest tells the partner's latency; the others may have waited for a busy processor here
        self._wide = self._width > 1 and min(took, default=0.0) > WORTH_THREADS_SECONDS
        return results

    def _many(self, take: Callable[[int], Sequence[Item]]) -> list[Result]:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._width, thread_name_prefix="fetch")
        results: list[Result] = []
        while len(results) < GROUP:
            free = min(self._width - len(self._under_way), self._room(results))
            self._under_way |= {self._threads.submit(self._work, item) for item in (take(free) if free else ())}
            if not self._under_way:
                break
            results += self._finish(1)
        return results

    def _finish(self, least: int) -> list[Result]:
        """The results of those that are done; waits until that are so many."""
        done: set[Future[Result]] = set()
        while len(done) < least:
            found, self._under_way = wait(self._under_way, return_when=FIRST_COMPLETED)
            done |= found
        return [future.result() for future in done]
