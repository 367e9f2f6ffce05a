"""How work learns that it shall end: a signal sets a flag, and every wait looks at it twice a second."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from partner_pipelines.errors import StoppedError

_LONGEST_STEP_SECONDS = 0.5


class StopSignal:
    """Set once, by a signal or by `request`; seen by every thread.

    A plain flag and not `threading.Event`: a signal handler that meets its own thread inside of the event's lock would
    wait for ever.
    """

    def __init__(self) -> None:
        self._reason: str | None = None

    @property
    def is_requested(self) -> bool:
        """Whether the work shall end."""
        return self._reason is not None

    def request(self, reason: str) -> None:
        """Asks the work to end; the first reason stays."""
        self._reason = self._reason or reason

    def check(self) -> None:
        """Raises StoppedError when the work shall end."""
        if self._reason is not None:
            raise StoppedError(f"stopped: {self._reason}")

    def wait(self, seconds: float) -> None:
        """Returns after that time. Raises StoppedError within 0.5 s of a stop."""
        until = time.monotonic() + seconds
        self.check()
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _LONGEST_STEP_SECONDS))
            self.check()

    @contextmanager
    def on_signals(self, *numbers: signal.Signals) -> Iterator[None]:
        """Inside, the first SIGINT or SIGTERM (or `numbers`) requests a stop; the second acts as it would have before.

        For the main thread alone: elsewhere Python refuses to set handlers (ValueError).
        """
        before = {number: signal.getsignal(number) for number in numbers or (signal.SIGINT, signal.SIGTERM)}

        def restore() -> None:
            for number, handler in before.items():
                signal.signal(number, handler)

        def stop(number: int, _frame: FrameType | None) -> None:
            self.request(f"{signal.Signals(number).name} came")
            restore()

        for number in before:
            signal.signal(number, stop)
        try:
            yield
        finally:
            restore()
