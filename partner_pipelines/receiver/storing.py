"""Deliveries that come while others are on their way to the disk go there together: many are synced as fast as one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from partner_pipelines.state.inbox import Delivery

MOST_TOGETHER = 64
"""Of 256 KiB at most each, twice in memory; and a descriptor each."""


class Storing:
    """Stores deliveries with `put_together`; call it from one event loop."""

    def __init__(self, put_together: Callable[[Sequence[Delivery]], None]) -> None:
        self._put_together = put_together
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._waiting: list[tuple[Delivery, asyncio.Future[None]]] = []
        self._storing: asyncio.Task[None] | None = None

    async def store(self, delivery: Delivery) -> None:
        """The delivery is stored afterwards. Raises StateError: it may be or not, and nobody may be told that it is."""
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((delivery, stored))
        if self._storing is None:
            self._storing = asyncio.create_task(self._store_what_waits())
        await stored

    def close(self) -> None:
        """What is on its way has been stored afterwards."""
        self._thread.shutdown()

    async def _store_what_waits(self) -> None:
        loop = asyncio.get_running_loop()
        while taken := self._waiting[:MOST_TOGETHER]:
            del self._waiting[: len(taken)]
            errors = await loop.run_in_executor(self._thread, self._store, [delivery for delivery, _ in taken])
            for (_, stored), error in zip(taken, errors, strict=True):
                _settle(stored, error)
        self._storing = None

    def _store(self, deliveries: Sequence[Delivery]) -> list[Exception | None]:
        """What became of each. One for which there is no room must not cost the others theirs."""
        error = self._error(deliveries)
        if error is None or len(deliveries) == 1:
            return [error] * len(deliveries)
        return [self._error([delivery]) for delivery in deliveries]

    def _error(self, deliveries: Sequence[Delivery]) -> Exception | None:
        try:
            self._put_together(deliveries)
        except Exception as error:  # noqa: BLE001 - it is raised where the delivery waits, which must not wait for ever
            return error
        return None


def _settle(stored: asyncio.Future[None], error: Exception | None) -> None:
    if stored.done():  # the request was given up
        return
    if error is None:
        stored.set_result(None)
    else:
        stored.set_exception(error)
