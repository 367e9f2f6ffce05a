"""From answers to the warehouse, beside the fetching: tokenise, vault, land; and merge some hundred properties at once.

Two threads do it, so that the disk's waits overlap with the network's. One lands a batch while the next is fetched:
these two are all that SIGKILL can cost. The other merges what is landed. When the disk is slower than the partner,
fetching waits, and memory stays bounded.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

from partner_pipelines.errors import APIError
from partner_pipelines.state.landing import LandedAnswer, Landing
from partner_pipelines.state.vault import Vault

PAGES_A_BATCH = 20
ROWS_A_BATCH = 4_000
"""Of larger pages fewer are held: while one batch is landed the next is fetched, both are in memory."""

Batch = Callable[[], Sequence[LandedAnswer]]
Then = Callable[[], None]
Page = TypeVar("Page")


def _nothing() -> None:
    """Nobody waits for this batch."""


class Lander:
    """Takes batches of answers of one connection. A batch is a function that gives them, run in the lander's thread."""

    def __init__(
        self, connection: str, vault: Vault, landing: Landing, merge: Callable[[], None], merge_after: int
    ) -> None:
        self._connection = connection
        self._vault = vault
        self._landing = landing
        self._merge = merge
        self._merge_after = merge_after
        self._unmerged = 0
        self._batches: queue.Queue[tuple[Batch, Then] | None] = queue.Queue()
        self._merges: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._failure: BaseException | None = None
        self._threads = (
            threading.Thread(target=self._land_all, name=f"land-{connection}", daemon=True),
            threading.Thread(target=self._merge_now_and_then, name=f"merge-{connection}", daemon=True),
        )

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What was put is landed and merged. An error of that is raised, unless more than a partner's is on its way."""
        self._batches.put(None)
        self._merges.put(False)
        for thread in self._threads:
            thread.join()
        if self._failure is None:
            self._guarded(self._merge)
        if self._failure is not None and (error is None or isinstance(error, APIError)):
            raise self._failure

    def put(self, batch: Batch, then: Then = _nothing) -> None:
        """The batch will be landed, `then` called; the one before it is. Raises what an earlier one met."""
        self._batches.join()
        self._batches.put((batch, then))
        if self._failure is not None:
            raise self._failure

    def put_pages(
        self,
        pages: Iterable[Page],
        land: Callable[[Sequence[Page]], Sequence[LandedAnswer]],
        count: Callable[[Page], int],
    ) -> int:
        """The pages will be landed, some at a time, those that came before an error too; returns the sum of `count`.

        Raises what `pages` raises, and what an earlier landing met.
        """
        rows = held = 0
        batch: list[Page] = []
        try:
            for page in pages:
                rows, held = rows + count(page), held + count(page)
                batch.append(page)
                if len(batch) == PAGES_A_BATCH or held >= ROWS_A_BATCH:
                    full, batch, held = batch, [], 0
                    self.put(partial(land, full))
        finally:
            self.put(partial(land, batch))
        return rows

    def _land_all(self) -> None:
        while (put := self._batches.get()) is not None:
            self._guarded(partial(self._land, *put))
            self._batches.task_done()

    def _land(self, batch: Batch, then: Then) -> None:
        answers = batch()
        if answers:
            self._keep(answers)
        then()

    def _keep(self, answers: Sequence[LandedAnswer]) -> None:
        self._vault.put([row for answer in answers for row in answer.vault_rows])
        self._landing.put(self._connection, answers)
        self._unmerged += len(answers)
        if self._unmerged >= self._merge_after:
            self._unmerged = 0
            self._merges.put(True)

    def _merge_now_and_then(self) -> None:
        while self._merges.get():
            if self._failure is None:
                self._guarded(self._merge)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as failure:  # noqa: BLE001 - carried over to the thread that fetches
            self._failure = self._failure or failure
