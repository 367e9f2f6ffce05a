"""The audit trail's reader for the warehouse: each call and each event once, whatever the moments of reading.

The caller keeps a position per segment, in the transaction that loads what was read. Chains are `audit verify`'s work;
here only what cannot be understood counts as damage: it ends the segment, is reported once, and stops nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Self

import orjson

from partner_pipelines.errors import NewerSchemaError
from partner_pipelines.state.audit_segment import SCHEMA, is_living, list_segments
from partner_pipelines.state.audit_trail import INTENT_FIELDS, OUTCOME_FIELDS
from partner_pipelines.state.files import state_errors
from partner_pipelines.state.process import boot_id

PIECE = 5_000
"""How many calls and events a read hands over at most (the last one of a segment adds those that never ended)."""

CALL_COLUMNS = ("request_id", "segment", *INTENT_FIELDS, *OUTCOME_FIELDS)
EVENT_COLUMNS = ("segment", "line", "event", "at", "facts")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SegmentPosition:
    """How far a segment was read. `pending` are the calls without outcome, as rows; `finished`: nothing will follow."""

    offset: int = 0
    line: int = 0
    sent: int = 0
    reserved: int = 0
    boot_id: str = ""
    pending: tuple[Row, ...] = ()
    finished: bool = False

    def to_json(self) -> str:
        """As text, for a table."""
        return orjson.dumps(self).decode()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` made."""
        values = orjson.loads(text)
        return cls(**values | {"pending": tuple(values["pending"])})


@dataclass(frozen=True, slots=True)
class SegmentRead:
    """A piece of a segment. `calls` have CALL_COLUMNS, `events` EVENT_COLUMNS; times are ISO 8601 text in UTC.

    A call that nobody saw end is `unknown`; one that power loss took before its intent reached the disk has only
    `request_id`, `segment` and that word. `damage` is a sentence for the user, given with the last read of a segment.
    """

    segment: str
    calls: list[Row]
    events: list[Row]
    position: SegmentPosition
    damage: str | None = None


def read_segments(
    segments: Path, positions: Mapping[str, SegmentPosition], finished: AbstractSet[str] = frozenset()
) -> Iterator[SegmentRead]:
    """What was written since `positions` (by segment): several reads a segment, in order, each with its own position.

    Those that are `finished` are not looked at.

    Raises:
        StateError: a segment cannot be read.
        NewerSchemaError: a newer version of this program wrote one.
    """
    for path in list_segments(segments, finished):
        position = positions.get(path.stem, SegmentPosition())
        if not position.finished:
            yield from _read_segment(path, position)


def _read_segment(path: Path, position: SegmentPosition) -> Iterator[SegmentRead]:
    reading = _Reading(path, position)
    with state_errors("read", path):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # purged since the directory was listed
            return
    with open(descriptor, "rb") as file, state_errors("read", path):  # noqa: PTH123 -- it is open already
        # Asked first: a writer that ends while we read is dead the next time, when nothing of it is unread.
        living = is_living(descriptor)
        yield from _read_lines(file, reading, living=living)
    if reading.damaged:
        yield reading.hand_over_last(damage=_damage(path, reading.line + 1))
    elif reading.closed or not living:
        yield reading.hand_over_last()
    elif reading.offset != position.offset:
        yield reading.hand_over()


def _read_lines(file: BinaryIO, reading: _Reading, *, living: bool) -> Iterator[SegmentRead]:
    reading.damaged = os.fstat(file.fileno()).st_size < file.seek(reading.offset)
    for line in file:
        if not line.endswith(b"\n"):  # being written, or torn by a crash
            break
        try:
            reading.take(line)
        except (ValueError, KeyError, TypeError, AttributeError):
            # A living writer may have cut back half a record between two of our reads: that is no damage.
            reading.damaged = not living or os.pread(file.fileno(), len(line), reading.offset) == line
            return
        if reading.is_full:
            yield reading.hand_over()
    if reading.line == 0:  # a segment gets its name after its header
        reading.damaged = True


def _damage(path: Path, line: int) -> str:
    return (
        f"{path} is damaged at line {line}: the calls before it are loaded, those after it are not; "
        "run `partner-pipelines audit verify`"
    )


class _Reading:
    """A segment between two hand-overs."""

    def __init__(self, path: Path, position: SegmentPosition) -> None:
        self.segment = path.stem
        self.offset = position.offset
        self.line = position.line
        self.closed = False
        self.damaged = False
        self._path = path
        self._sent = position.sent
        self._reserved = position.reserved
        self._boot_id = position.boot_id
        self._pending = {row["request_id"]: row for row in position.pending}
        self._calls: list[Row] = []
        self._events: list[Row] = []
        self._takers = {
            "segment": self._take_header,
            "reserved": self._take_reserved,
            "intent": self._take_intent,
            "outcome": self._take_outcome,
            "event": self._take_event,
            "closed": self._take_closed,
        }

    @property
    def is_full(self) -> bool:
        return len(self._calls) + len(self._events) >= PIECE

    def take(self, line: bytes) -> None:
        """Raises ValueError, KeyError, TypeError or AttributeError, and has taken nothing, when it makes no sense."""
        record = orjson.loads(line)
        kind = record["kind"]
        if self.closed or (kind == "segment") != (self.line == 0):
            raise ValueError(kind)
        self._takers[kind](record)
        self.offset += len(line)
        self.line += 1

    def hand_over(self) -> SegmentRead:
        """What was taken since the last time."""
        position = SegmentPosition(
            self.offset, self.line, self._sent, self._reserved, self._boot_id, tuple(self._pending.values())
        )
        read = SegmentRead(self.segment, self._calls, self._events, position)
        self._calls, self._events = [], []
        return read

    def hand_over_last(self, *, damage: str | None = None) -> SegmentRead:
        """The rest: what still waits will have no outcome that we could know."""
        self._calls += [row | {"outcome": "unknown"} for row in self._pending.values()]
        self._pending.clear()
        if not damage and not self.closed and self._boot_id not in ("", boot_id()):
            # Power was lost, perhaps with intents that had not reached the disk.
            self._calls += [self._row(number) | {"outcome": "unknown"} for number in self._unused()]
        last = self.hand_over()
        return replace(last, position=replace(last.position, finished=True), damage=damage)

    def _unused(self) -> range:
        return range(self._sent + 1, self._reserved + 1)

    def _row(self, number: int) -> Row:
        return {**_BLANK, "request_id": f"{self.segment}-{number}", "segment": self.segment}

    def _take_header(self, record: Row) -> None:
        NewerSchemaError.check(self._path, record["schema"], SCHEMA)
        if (record["schema"], record["segment"]) != (SCHEMA, self.segment):
            raise ValueError(record["segment"])
        self._boot_id = str(record["boot_id"])

    def _take_reserved(self, record: Row) -> None:
        self._reserved = int(record["last"])

    def _take_intent(self, record: Row) -> None:
        number = record["n"]
        if not self._sent < number <= self._reserved:
            raise ValueError(number)
        row = self._row(number)
        for name in INTENT_FIELDS:
            row[name] = record.get(name)
        self._pending[row["request_id"]] = row
        self._sent = number

    def _take_outcome(self, record: Row) -> None:
        # A new row: the old one may still stand in a position that was handed over.
        row = self._pending.pop(f"{self.segment}-{record['n']}").copy()
        for name in OUTCOME_FIELDS:
            row[name] = record.get(name)
        self._calls.append(row)

    def _take_event(self, record: Row) -> None:
        values = (self.segment, self.line + 1, record["event"], record["at"], record["facts"])
        self._events.append(dict(zip(EVENT_COLUMNS, values, strict=True)))

    def _take_closed(self, record: Row) -> None:
        self.closed = bool(record["at"])


_BLANK: Row = dict.fromkeys(CALL_COLUMNS)
