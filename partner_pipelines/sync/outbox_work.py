"""Whether the outbox has work: asked every few seconds by a sensor, so it loads neither httpx nor DuckDB."""

from __future__ import annotations

from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.drops import begun_drops
from partner_pipelines.state.outbox import OPEN, Outbox
from partner_pipelines.state.outbox_files import strange_places, waiting_files


def something_to_send(data: DataDirectory) -> bool:
    """Whether a file waits, or a write that may be sent or asked about now. Raises StateError."""
    return _drop_waits(data) or Outbox(data.outbox).has_work()


def anything_open(data: DataDirectory) -> bool:
    """Whether a file waits, or any write that has not ended. Raises StateError."""
    if _drop_waits(data) or strange_places(data.outbox):
        return True
    return any(state in OPEN for _, _, state in Outbox(data.outbox).counts())


def _drop_waits(data: DataDirectory) -> bool:
    """A file that nobody has taken, or that somebody took who may have been killed since."""
    return next(waiting_files(data.outbox), None) is not None or bool(begun_drops(data.outbox))
