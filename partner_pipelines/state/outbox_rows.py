"""Between the outbox's rows and its writes."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from partner_pipelines.clock import now
from partner_pipelines.state.outbox_sql import INSERT, LAST, SETTLE
from partner_pipelines.state.outbox_writes import FINAL, Draft, LastWrite, Queued, Settled, State, Write
from partner_pipelines.state.process import ProcessIdentity, boot_id, seconds_since_boot


def put_draft(database: sqlite3.Connection, draft: Draft, revision: int, anew: bool) -> Queued:
    """The draft is a row, unless its key's last write is the same one and not worth another try."""
    last = database.execute(LAST, (draft.kind, draft.connection, draft.key)).fetchone()
    if last is not None and last["payload_hash"] == draft.payload_hash:
        # What the partner has rejected is worth another try: what was wrong there may be mended
        is_done = last["state"] in FINAL
        if not (is_done and (anew or last["state"] == "rejected")):
            return Queued(last["id"], False, last["state"])
    values = (
        draft.kind,
        draft.connection,
        draft.key,
        draft.is_natural,
        draft.target,
        json.dumps(draft.payload),
        draft.payload_hash,
        secrets.token_hex(16),
        draft.source,
        draft.line,
        draft.label,
        sortable(now()),
        revision,
    )
    return Queued(database.execute(INSERT, values).lastrowid or 0, True, "queued")


def last_write(row: sqlite3.Row, draft: Draft) -> LastWrite:
    """What the last write of the draft's key was."""
    return LastWrite(
        row["state"], row["payload_hash"] == draft.payload_hash, _time(row["finished_at"]), row["partner_id"]
    )


def settle_one(
    database: sqlite3.Connection,
    one: Settled,
    revision: int,
    only_from: Collection[State] | None,
    seen: Mapping[int, Write] | None,
) -> bool:
    """Whether the write was settled. `seen`: only in the state and the attempt in which it was read."""
    values = _settlement(one, revision)
    values["only_from"] = None if only_from is None else json.dumps(list(only_from))
    values["seen_state"] = None if seen is None else seen[one.id].state
    values["seen_operations"] = None if seen is None else json.dumps(list(seen[one.id].operation_ids))
    return database.execute(SETTLE, values).rowcount > 0


def _settlement(one: Settled, revision: int) -> dict[str, Any]:
    errors = None if one.field_errors is None else json.dumps({name: list(v) for name, v in one.field_errors.items()})
    return {
        "id": one.id,
        "state": one.state,
        "action": one.action,
        "partner_id": one.partner_id,
        "request_id": one.request_id,
        "looks": one.looks,
        "reason": one.reason,
        "field_errors": errors,
        "due": None if one.rest_seconds is None else seconds_since_boot() + one.rest_seconds,
        "boot": boot_id(),
        "is_final": one.state in FINAL,
        "at": sortable(now()),
        "revision": revision,
    }


def is_dead_holder(row: sqlite3.Row) -> bool:
    """Whether who was sending the write is surely dead."""
    if row["boot"] != boot_id() or row["pid"] is None:
        return True
    return ProcessIdentity(row["pid"], row["started"], row["namespace"]).is_known_dead()


def select_writes(database: sqlite3.Connection, where: str, *values: object) -> list[Write]:
    """The writes that meet a condition, by number where it names no order."""
    order = "" if "ORDER BY" in where else " ORDER BY id"
    return [_write(row) for row in database.execute(f"SELECT * FROM writes WHERE {where}{order}", values)]  # noqa: S608


def _write(row: sqlite3.Row) -> Write:
    values: dict[str, Any] = {name: row[name] for name in _PLAIN}
    times: Iterator[tuple[str, datetime | None]] = ((name, _time(row[name])) for name in _TIMES)
    return Write(
        **values,
        **dict(times),  # type: ignore[arg-type]  # queued_at is never null
        is_natural=bool(row["is_natural"]),
        payload=None if row["payload"] is None else json.loads(row["payload"]),
        operation_ids=tuple(json.loads(row["operation_ids"])),
        request_ids=tuple(json.loads(row["request_ids"])),
        field_errors=None if row["field_errors"] is None else json.loads(row["field_errors"]),
    )


_PLAIN = (
    "id", "kind", "connection", "key", "target", "payload_hash", "idempotency_key", "source", "line", "label", "state",
    "action", "attempts", "looks", "partner_id", "reason", "boot", "revision",
)  # fmt: skip
_TIMES = ("queued_at", "sent_at", "uncertain_at", "finished_at")


def sortable(moment: datetime) -> str:
    """A time that sorts as text."""
    return moment.isoformat(timespec="microseconds")


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def boot_moment() -> tuple[str, float]:
    """This boot, and the seconds since it began: what a rest is measured by."""
    return boot_id(), seconds_since_boot()
