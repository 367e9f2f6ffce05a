"""Old segments of the trail go once every record of them is a row of the warehouse, and published."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from partner_pipelines import __version__
from partner_pipelines.errors import StateError
from partner_pipelines.state.audit_checkpoints import Checkpoints
from partner_pipelines.state.audit_purge import PurgedSegment, old_segments, purge_segments
from partner_pipelines.state.audit_verify import SegmentProof, verify_segment
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.files import locked, make_directory
from partner_pipelines.warehouse.connection import Warehouse
from partner_pipelines.warehouse.publish import publish
from partner_pipelines.warehouse.trail import read_whole

PURGE_LOCK = "purge.lock"
"""In `state/`: held by who purges, and by who copies what may be purged."""
_WAIT_SECONDS = 60.0


@dataclass(slots=True)
class TrailPurge:
    """What went, and what is old enough and stays, with the reason."""

    purged: list[PurgedSegment] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)

    @property
    def records(self) -> int:
        """How many records went."""
        return sum(segment.records for segment in self.purged)


def purge_trail(
    data: DataDirectory, checkpoints: Checkpoints, before: datetime, *, dry_run: bool = False
) -> TrailPurge:
    """Segments that nothing was written to since `before` are gone, as a checkpoint says; `dry_run` only names them.

    Raises:
        AuditUnavailableError, StateError, NewerSchemaError: nothing is gone whose record is not written.
    """
    make_directory(data.state)
    purge = TrailPurge()
    with locked(data.state / PURGE_LOCK):
        old = old_segments(data.segments, before)
        if not old:
            return purge
        loaded = _loaded(data)
        for path in old:
            proof = verify_segment(path)
            if proof is not None and not proof.purged:
                _judge(proof, loaded.get(proof.segment), purge)
        if purge.purged and not dry_run:
            announce = partial(announce_purge, checkpoints)
            purge_segments(data.segments, purge.purged, version=__version__, announce=announce)
    return purge


def announce_purge(checkpoints: Checkpoints, purged: Sequence[PurgedSegment]) -> None:
    """A checkpoint says that these segments go. Raises StateError."""
    if not checkpoints.write(purged, wait_seconds=_WAIT_SECONDS):
        raise StateError(f"nothing was purged: another process holds {checkpoints.places.lock}")
    with suppress(StateError):  # the next process makes up for it, and tells
        checkpoints.copy()


def _loaded(data: DataDirectory) -> dict[str, int]:
    warehouse = Warehouse(data)
    publish(warehouse)  # two files hold the calls before the trail does no longer
    with warehouse.session() as session:
        return read_whole(session.database)


def _judge(proof: SegmentProof, loaded: int | None, purge: TrailPurge) -> None:
    if proof.problem is not None:
        purge.kept[proof.segment] = f"line {proof.problem.line} is bad: {proof.problem.what}"
    elif proof.living:
        purge.kept[proof.segment] = "its writer lives"
    elif loaded != proof.bytes:
        purge.kept[proof.segment] = f"the warehouse has read {loaded or 0:,} of its {proof.bytes:,} bytes"
    else:
        purge.purged.append(PurgedSegment(proof.segment, proof.records, proof.bytes, proof.head))
