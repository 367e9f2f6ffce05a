"""What the trail knows of operations: which attempts were begun, and how each ended."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from partner_pipelines.state.files import state_errors

_CLOCK_DOUBT_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Attempted:
    """The last attempt of an operation that has an intent. `outcome` is None where nobody saw it end."""

    request_id: str
    outcome: str | None = None
    status: int | None = None


def last_attempts(segments: Path, operation_ids: Collection[str], since: float) -> dict[str, Attempted]:
    """The last attempt of each of these operations; of one that was never sent, none. Raises StateError.

    `since`: a time of the wall clock before their first intents; segments that ended before it are not read.
    """
    wanted = {operation_id.encode(): operation_id for operation_id in operation_ids}
    found: dict[str, Attempted] = {}
    with state_errors("read", segments):
        paths = (
            [path for path in segments.glob("*.jsonl") if path.stat().st_mtime >= since - _CLOCK_DOUBT_SECONDS]
            if wanted and segments.is_dir()
            else []
        )
        for path in paths:
            _look_through(path, wanted, found)
    return found


def _look_through(path: Path, wanted: dict[bytes, str], found: dict[str, Attempted]) -> None:
    begun: dict[int, str] = {}
    with path.open("rb") as file:
        for line in file:
            if b'"intent"' in line and any(operation in line for operation in wanted):
                _take_intent(path, line, wanted, begun, found)
            elif begun and b'"outcome"' in line:
                _take_outcome(path, line, begun, found)


def _take_intent(
    path: Path, line: bytes, wanted: dict[bytes, str], begun: dict[int, str], found: dict[str, Attempted]
) -> None:
    record = _record(line)
    operation_id = str(record.get("operation_id")) if record.get("kind") == "intent" else ""
    if operation_id in wanted.values():
        begun[record["n"]] = operation_id
        found[operation_id] = Attempted(f"{path.stem}-{record['n']}")


def _take_outcome(path: Path, line: bytes, begun: dict[int, str], found: dict[str, Attempted]) -> None:
    record = _record(line)
    operation_id = begun.get(record.get("n", 0)) if record.get("kind") == "outcome" else None
    if operation_id is not None and found[operation_id].request_id == f"{path.stem}-{record['n']}":
        found[operation_id] = Attempted(f"{path.stem}-{record['n']}", record["outcome"], record["status"])


def _record(line: bytes) -> dict[str, Any]:
    """The record. A torn line, or one that somebody has changed, is `audit verify`'s business."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return record if isinstance(record, dict) else {}
