"""A checkpoint every 60 s while a process works, and one at its end. No call waits for it or fails with it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress

from partner_pipelines.errors import AuditUnavailableError, SettingsError, StateError
from partner_pipelines.state.audit_checkpoints import Checkpoints

INTERVAL_SECONDS = 60.0
_LAST_WAIT_SECONDS = 5.0

FAILED = "checkpoint_failed"
COPY_FAILED = "checkpoint_copy_failed"

Journal = Callable[[str, Mapping[str, object]], None]


class CheckpointThread:
    """Writes checkpoints beside a process's work. What goes wrong is an event of the trail, once until it is over."""

    def __init__(
        self, checkpoints: Checkpoints, journal: Journal, *, interval_seconds: float = INTERVAL_SECONDS
    ) -> None:
        self._checkpoints = checkpoints
        self._journal = journal
        self._interval_seconds = interval_seconds
        self._told: dict[str, str] = {}
        self._end = threading.Event()
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)

    def start(self) -> None:
        """The first one is written after the interval."""
        self._thread.start()

    def close(self, close_trail: Callable[[], None]) -> None:
        """The trail is closed, and all of it signed, or the trail says why not. In a forked child only the first."""
        if self._process == os.getpid():
            self._end.set()
            if self._thread.ident is not None:
                self._thread.join(_LAST_WAIT_SECONDS)
            self._look(0)  # what goes wrong can still be told
        # Without its last record the segment is that of a process that did not end cleanly: true, and its readers know
        with suppress(AuditUnavailableError):
            close_trail()
        if self._process == os.getpid():
            with suppress(StateError, SettingsError):
                self._checkpoints.write(wait_seconds=_LAST_WAIT_SECONDS)
                self._checkpoints.copy(wait_seconds=_LAST_WAIT_SECONDS)

    def _run(self) -> None:
        while not self._end.wait(self._interval_seconds):
            self._look(0)

    def _look(self, wait_seconds: float) -> None:
        self._try(FAILED, lambda: self._checkpoints.write(wait_seconds=wait_seconds))
        self._try(COPY_FAILED, lambda: self._checkpoints.copy(wait_seconds=wait_seconds))

    def _try(self, event: str, work: Callable[[], object]) -> None:
        try:
            work()
        except (StateError, SettingsError) as error:
            self._tell(event, str(error))
        else:
            self._told.pop(event, None)

    def _tell(self, event: str, reason: str) -> None:
        if self._told.get(event) != reason:
            self._told[event] = reason
            with suppress(AuditUnavailableError):
                self._journal(event, {"reason": reason})
