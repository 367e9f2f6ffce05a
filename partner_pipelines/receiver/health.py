"""Whether deliveries can be taken: looked at every few seconds, written down as the receiver's heartbeat."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from partner_pipelines.errors import PartnerPipelinesError
from partner_pipelines.state.files import write_synced
from partner_pipelines.state.heartbeat import Heartbeat
from partner_pipelines.state.inbox import Inbox


class Health:
    """What the last look found. `fault` is None when deliveries can be taken, else a sentence."""

    def __init__(
        self, inbox: Inbox, heartbeat: Heartbeat, secrets: Callable[[], Mapping[str, tuple[str, ...]]]
    ) -> None:
        self.fault: str | None = "starting"
        self._inbox = inbox
        self._heartbeat = heartbeat
        self._secrets = secrets
        self._was_missing = False

    def look_again(self) -> None:
        """A delivery could not be stored: said at once, not at the next look."""
        self.fault = "deliveries cannot be stored"

    def look(self) -> None:
        """Tries to write where deliveries are written; beats when that works. Never raises."""
        try:
            connections = self._secrets()
            self._mend()
            self._probe()
            self._heartbeat.beat(connections)
            self.fault = None if connections else "no secret is configured"
        except PartnerPipelinesError as error:
            self.fault = str(error)
        except OSError as error:
            self.fault = f"the inbox cannot be written: {error.strerror}"

    def _mend(self) -> None:
        """An inbox that was removed is made anew at the second look: by then, nobody is about to put it back."""
        missing = not self._inbox.directory.exists()
        if missing and self._was_missing:
            self._inbox.make()
        self._was_missing = missing

    def _probe(self) -> None:
        probe = self._inbox.directory / f".probe-{os.getpid()}"
        probe.unlink(missing_ok=True)
        write_synced(probe, b"?")
        probe.unlink()
