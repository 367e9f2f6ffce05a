"""Purging a segment: its length and its head go into the trail, as an event of another segment; then the file goes.

A checkpoint that lists every segment's length and head can so be checked against what is gone, too. A segment that
holds such records is kept for ever: it is all that is left of the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from partner_pipelines.state.audit_segment import SUFFIX, list_segments
from partner_pipelines.state.audit_trail import AuditTrail
from partner_pipelines.state.files import state_errors, sync_directory

EVENT = "segment_purged"

_HEAD = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class PurgedSegment:
    """One segment that is gone: its whole records, their bytes, and the hash (hex) of the last one."""

    segment: str
    records: int
    bytes: int
    head: str

    def facts(self) -> dict[str, object]:
        """As the facts of an event."""
        return asdict(self)

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """What `facts` made. Raises ValueError, KeyError, TypeError for anything else."""
        purged = cls(str(facts["segment"]), int(facts["records"]), int(facts["bytes"]), str(facts["head"]))
        if not (purged.records > 0 and purged.bytes > 0 and _HEAD.fullmatch(purged.head)):
            raise ValueError(purged)
        return purged


def old_segments(directory: Path, before: datetime) -> list[Path]:
    """The segments that nothing was written to since `before`. Raises StateError."""
    with state_errors("read", directory):
        return [path for path in list_segments(directory) if path.stat().st_mtime < before.timestamp()]


Announce = Callable[["Sequence[PurgedSegment]"], None]


def announce_nothing(_purged: Sequence[PurgedSegment]) -> None:
    """For a trail without checkpoints."""


def purge_segments(
    directory: Path, purged: Sequence[PurgedSegment], *, version: str, announce: Announce = announce_nothing
) -> None:
    """The segments are gone, and the trail says so. Whoever calls has made sure that nobody needs them any more.

    `announce` gets a checkpoint to say it too: a record in the trail alone is one that whoever can write can add.

    Raises:
        AuditUnavailableError: the records cannot be written; no segment is gone.
        Whatever `announce` raises: no segment is gone either.
        StateError: a segment cannot be removed; the records of all of them stand, which harms nobody.
    """
    trail = AuditTrail(directory, version=version)
    try:
        for segment in purged:
            trail.record_event(EVENT, segment.facts())
    finally:
        trail.close()  # on the disk before the first segment goes
    announce(purged)
    with state_errors("remove purged segments in", directory):
        for segment in purged:
            (directory / f"{segment.segment}{SUFFIX}").unlink(missing_ok=True)
        sync_directory(directory)
