"""The transport's budget port: the request ledger of `state/`, and what takes its place where there are no limits."""

from __future__ import annotations

import time

from partner_pipelines.partners.ports import RateWords
from partner_pipelines.state.budget import Ledger, Slot


class SharedLedger:
    """One connection's budget, shared by all processes of the machine."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def take(self, *, deadline_seconds: float, first_class: bool) -> object | float:
        """One try: a slot, or the seconds until the next may be free. Raises StateError."""
        return self._ledger.take(deadline_seconds=deadline_seconds, first_class=first_class)

    def settle(self, slot: object, words: RateWords) -> None:
        """The slot's request has its outcome; what the partner said lowers the budget. Raises StateError."""
        assert isinstance(slot, Slot)
        self._ledger.settle(slot)
        if words != RateWords():
            self._ledger.learn(
                remaining=words.remaining,
                limit=words.limit,
                reset_after_seconds=words.reset_after_seconds,
                retry_after_seconds=words.retry_after_seconds,
            )

    def left(self) -> int | None:
        """How many ordinary requests the longest window would take now. Raises StateError."""
        return self._ledger.left()


class Unmetered:
    """The budget of a connection without limits: nothing leaves before the time that the partner named (Retry-After).

    This process alone remembers it; another one hears it from the partner with its first request.
    """

    def __init__(self) -> None:
        self._until = 0.0

    def take(self, *, deadline_seconds: float, first_class: bool) -> object | float:  # noqa: ARG002 - the port's shape
        """A slot, or the seconds until the partner wants to be asked again."""
        left = self._until - time.monotonic()
        return left if left > 0 else self

    def settle(self, slot: object, words: RateWords) -> None:  # noqa: ARG002 - as above
        """What the partner said counts from now on."""
        if words.retry_after_seconds is not None:
            self._until = max(self._until, time.monotonic() + words.retry_after_seconds)

    def left(self) -> None:
        """There is no limit."""
