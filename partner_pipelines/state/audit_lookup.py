"""One call of the trail by its request id, as it stands there: what was sent, and how it ended."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from partner_pipelines.state.files import state_errors

_REQUEST_ID = re.compile(r"(?P<segment>[0-9A-Za-z]+(?:-[0-9A-Za-z]+)*)-(?P<n>[1-9][0-9]{0,17})")


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """`version` is the program's that called; `intent` and `outcome` stand as the trail has them.

    No outcome: nobody knows how it ended, or it is under way.
    `others`: the other attempts of the same operation in the same segment, by request id.
    """

    request_id: str
    version: str
    intent: dict[str, Any]
    outcome: dict[str, Any] | None = None
    others: dict[str, dict[str, Any]] = field(default_factory=dict)


def find_call(segments: Path, request_id: str) -> RecordedCall | None:
    """The call; None where the id names none, or its segment is not there (any more). Raises StateError."""
    named = _REQUEST_ID.fullmatch(request_id)
    if named is None:
        return None
    path = segments / f"{named['segment']}.jsonl"
    with state_errors("read", path):
        if not path.is_file():
            return None
        records = list(_records(path))
    version = next((record.get("version") for record in records if record.get("kind") == "segment"), None)
    intents = {record["n"]: record for record in records if record.get("kind") == "intent"}
    outcomes = {record["n"]: record for record in records if record.get("kind") == "outcome"}
    intent = intents.get(int(named["n"]))
    if intent is None:
        return None
    others = {
        f"{named['segment']}-{n}": {**one, **outcomes.get(n, {})}
        for n, one in intents.items()
        if one["operation_id"] == intent["operation_id"] and n != intent["n"]
    }
    return RecordedCall(request_id, str(version), intent, outcomes.get(intent["n"]), others)


def _records(path: Path) -> Any:
    """The whole records. A torn tail, or what somebody has changed, is `audit verify`'s business."""
    for line in path.read_bytes().splitlines():
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(record, dict):
            yield record
