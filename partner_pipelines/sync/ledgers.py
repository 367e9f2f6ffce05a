"""The request ledger of `state/` as the transport's budget port."""

from __future__ import annotations

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
                reset_after_seconds=words.reset_after_seconds,
                retry_after_seconds=words.retry_after_seconds,
            )
