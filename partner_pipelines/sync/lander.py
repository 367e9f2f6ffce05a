"""From answers to the warehouse, beside the fetching: tokenise, vault, land, and merge some hundred properties at once.

One thread does it, so that the disk's waits overlap with the network's. Its queue is short: when the disk is slower
than the partner, fetching waits, and memory stays bounded.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Self

from partner_pipelines.state.landing import LandedAnswer, Landing
from partner_pipelines.state.vault import Vault

WAITING_BATCHES = 2

Batch = Callable[[], Sequence[LandedAnswer]]


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
        self._queue: queue.Queue[Batch | None] = queue.Queue(WAITING_BATCHES)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name=f"land-{connection}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What was put is landed and merged; an error of the landing is raised unless another is on its way."""
        self._queue.put(None)
        self._thread.join()
        if self._failure is not None and error is None:
            raise self._failure

    def put(self, batch: Batch) -> None:
        """The batch will be landed. Raises what an earlier one met."""
        if self._failure is not None:
            raise self._failure
        self._queue.put(batch)

    def _work(self) -> None:
        while (batch := self._queue.get()) is not None:
            if self._failure is None:
                self._guarded(partial(self._land, batch))
        if self._failure is None:
            self._guarded(self._merge)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as failure:  # noqa: BLE001 - carried over to the thread that fetches
            self._failure = failure

    def _land(self, batch: Batch) -> None:
        answers = batch()
        if not answers:
            return
        self._vault.put([row for answer in answers for row in answer.vault_rows])
        self._landing.put(self._connection, answers)
        self._unmerged += len(answers)
        if self._unmerged >= self._merge_after:
            self._unmerged = 0
            self._merge()
