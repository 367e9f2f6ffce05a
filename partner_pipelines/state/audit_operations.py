"""What the trail knows of operations: which attempts were begun, and how each ended."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from partner_pipelines.state.audit_segment import list_segments
from partner_pipelines.state.files import state_errors

_NAMED = re.compile(rb'"operation_id":"([^"]+)"')
_PIECE = 1 << 20
_OVERLAP = 64
"""Bytes: more than an operation's name takes in a record, so that none is missed between two pieces."""


@dataclass(frozen=True, slots=True)
class Attempted:
    """The last attempt of an operation that has an intent. `outcome` is None where nobody saw it end."""

    request_id: str
    outcome: str | None = None
    status: int | None = None


def last_attempts(segments: Path, operation_ids: Collection[str]) -> dict[str, Attempted]:
    """The last attempt of each of these operations; of one that was never sent, none. Raises StateError.

    Every segment is searched: times, and the order of names, are the wall clock's, and prove nothing of what is older.
    """
    search = _Search(frozenset(operation_id.encode() for operation_id in operation_ids))
    with state_errors("read", segments):
        for path in list_segments(segments) if operation_ids and segments.is_dir() else ():
            if search.names_any(path):  # ten times as fast as to take its lines apart
                search.look_through(path)
    return search.found


class _Search:
    """For these operations, what the segments say that were looked through so far."""

    def __init__(self, wanted: frozenset[bytes]) -> None:
        self.found: dict[str, Attempted] = {}
        self._wanted = wanted
        self._numbers: dict[str, int] = {}

    def names_any(self, path: Path) -> bool:
        """Whether the segment may hold an attempt of any of them."""
        tail = b""
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                if any(named[1] in self._wanted for named in _NAMED.finditer(tail + piece)):
                    return True
                tail = piece[-_OVERLAP:]
        return False

    def look_through(self, path: Path) -> None:
        begun: dict[int, str] = {}
        with path.open("rb") as file:
            for line in file:
                if (named := _NAMED.search(line)) is not None and named[1] in self._wanted:
                    self._take_intent(path, line, begun)
                elif begun and b'"outcome"' in line:
                    self._take_outcome(path, line, begun)

    def _take_intent(self, path: Path, line: bytes, begun: dict[int, str]) -> None:
        record = _record(line)
        operation_id, number = str(record.get("operation_id")), record.get("attempt", 1)
        # A segment may be given up between two attempts: the later one stands wherever it stands
        if record.get("kind") == "intent" and number >= self._numbers.get(operation_id, 0):
            begun[record["n"]] = operation_id
            self._numbers[operation_id] = number
            self.found[operation_id] = Attempted(f"{path.stem}-{record['n']}")

    def _take_outcome(self, path: Path, line: bytes, begun: dict[int, str]) -> None:
        record = _record(line)
        operation_id = begun.get(record.get("n", 0)) if record.get("kind") == "outcome" else None
        request_id = f"{path.stem}-{record.get('n')}"
        if operation_id is not None and self.found[operation_id].request_id == request_id:
            self.found[operation_id] = Attempted(request_id, record["outcome"], record["status"])


def _record(line: bytes) -> dict[str, Any]:
    """The record. A torn line, or one that somebody has changed, is `audit verify`'s business."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return record if isinstance(record, dict) else {}
