"""What the job `push_writes` does: its configuration names files and numbers, for Dagster keeps it for ever."""

from __future__ import annotations

from collections.abc import Sequence

from partner_pipelines.errors import UsageError
from partner_pipelines.state.files import make_directory
from partner_pipelines.state.outbox import Outbox, Settled
from partner_pipelines.sync.house import House
from partner_pipelines.sync.write_drops import take_file
from partner_pipelines.sync.write_queue import states_of
from partner_pipelines.sync.write_table import show_writes
from partner_pipelines.sync.writes import work_off

PLACE = "files"
"""Below `outbox/`: the only place whose files the job reads."""


def push_named(house: House, kind: str, file: str, outbox_ids: Sequence[int]) -> dict[str, int]:
    """The file's lines, or these writes, are sent; how many are in which state. Raises UsageError, StateError."""
    if bool(file) == bool(outbox_ids):
        raise UsageError("name a file and its kind, or outbox_ids")
    outbox = Outbox(house.data.outbox)
    rejected, unchanged = 0, 0
    if file:
        place = make_directory(house.data.outbox / PLACE)
        if file not in {path.name for path in place.iterdir() if path.is_file()}:
            raise UsageError(f"there is no such file in {place}")
        report = take_file(house, kind, place / file, "job")
        ids, rejected, unchanged = list(report.ids), report.rejected, report.unchanged
    else:
        writes = [write for write in outbox.find(outbox_ids) if write.state in ("unknown", "rejected")]
        ids = [write.id for write in writes if write.payload]
        if len(ids) != len(set(outbox_ids)):
            raise UsageError("of these writes some are not there, done, on their way, or erased: `outbox list`")
        outbox.settle([Settled(outbox_id, "queued") for outbox_id in ids], seen=writes)
    work_off(house)
    show_writes(house)
    states = dict(states_of(outbox, ids))
    return {
        "lines_rejected": rejected,
        "lines_unchanged": unchanged,
        **{str(name): count for name, count in states.items()},
    }
