"""Writes to the partners, durable and for many processes: each one a row that ends in exactly one state.

queued → sending → created | updated | unchanged | rejected, or unknown: it may have had its effect, or have it late.
One key is worked at by one process at a time, in the order in which its writes came. The payload is personal: the file
is for the program alone, and `forget_payloads` takes it out of what is long done.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from partner_pipelines.clock import now
from partner_pipelines.state.addresses import addresses_in, normal_email
from partner_pipelines.state.outbox_file import next_revision, outbox_exists, outbox_transaction
from partner_pipelines.state.process import ProcessIdentity, boot_id, current_process, seconds_since_boot

State = Literal["queued", "sending", "created", "updated", "unchanged", "rejected", "unknown"]
Action = Literal["create", "update"]
FINAL: tuple[State, ...] = ("created", "updated", "unchanged", "rejected")
OPEN: tuple[State, ...] = ("queued", "sending", "unknown")


@dataclass(frozen=True, slots=True)
class Draft:
    """A write to be queued. `key` and `payload_hash` are keyed hashes. `target`: the partner's id, where it is named.

    `is_natural`: the partner can be asked whether it is there; `source` says how it came, `line` where in the file.
    `label` is what a person knows it by: the file's name, the sender's own reference.
    """

    kind: str
    connection: str
    key: str
    payload: Mapping[str, Any] = field(repr=False)
    payload_hash: str
    is_natural: bool
    source: str
    target: str | None = None
    line: int | None = None
    label: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Write:
    """One row of the outbox."""

    id: int
    kind: str
    connection: str
    key: str
    is_natural: bool
    target: str | None
    payload: Mapping[str, Any] | None = field(repr=False)
    payload_hash: str
    idempotency_key: str
    source: str
    line: int | None
    label: str | None = field(repr=False)
    state: State
    action: Action | None
    attempts: int
    looks: int
    partner_id: str | None
    operation_ids: tuple[str, ...]
    request_ids: tuple[str, ...]
    reason: str | None
    field_errors: Mapping[str, Sequence[str]] | None = field(repr=False)
    queued_at: datetime
    sent_at: datetime | None
    uncertain_at: datetime | None
    finished_at: datetime | None
    boot: str | None
    revision: int

    @property
    def operation_id(self) -> str:
        """The operation of its last attempt."""
        return self.operation_ids[-1]


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a write. `rest_seconds`: it is not to be touched before, by a clock that nobody can step."""

    id: int
    state: State
    action: Action | None = None
    partner_id: str | None = None
    request_id: str | None = None
    reason: str | None = None
    field_errors: Mapping[str, Sequence[str]] | None = field(default=None, repr=False)
    rest_seconds: float | None = None
    looks: int | None = None


@dataclass(frozen=True, slots=True)
class Queued:
    """What queueing a draft came to. `is_new`: False where the same write was there, in this state."""

    id: int
    is_new: bool
    state: State


class LastWrite(NamedTuple):
    """The last write of a draft's key. `is_same`: it has the same payload."""

    state: State
    is_same: bool
    finished_at: datetime | None


class Outbox:
    """The outbox below one directory. Every method raises StateError, NewerSchemaError."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, drafts: Sequence[Draft], anew: Collection[int] = ()) -> list[Queued]:
        """All of them survive power loss. One whose key's last write has the same payload is that write.

        `anew`: places of drafts that are queued though they were there and done (the partner's row is another by now).
        """
        with outbox_transaction(self._directory) as database:
            revision = next_revision(database)
            return [_put(database, draft, revision, place in anew) for place, draft in enumerate(drafts)]

    def look_up(self, drafts: Sequence[Draft]) -> list[LastWrite | None]:
        """For each draft the last write of its key."""
        if not drafts or not outbox_exists(self._directory):
            return [None] * len(drafts)
        with outbox_transaction(self._directory) as database:
            lasts = [database.execute(_LAST, (one.kind, one.connection, one.key)).fetchone() for one in drafts]
        found = zip(drafts, lasts, strict=True)
        return [last and _last_write(last, draft) for draft, last in found]

    def claim(self, connection: str, kinds: Collection[str], most: int) -> list[Write]:
        """Up to so many queued writes, oldest first, one a key, for this process alone to send.

        Whoever asks may send at once: that a write rests after it was held back is for those who look again and again.
        """
        if not outbox_exists(self._directory):
            return []
        with outbox_transaction(self._directory) as database:
            rows = database.execute(_CLAIM, (connection, json.dumps(sorted(kinds)), most)).fetchall()
            if not rows:
                return []
            revision = next_revision(database)
            process = current_process()
            for row in rows:
                operations = json.dumps([*json.loads(row["operation_ids"]), secrets.token_hex(8)])
                values = (operations, process.pid, process.started, process.namespace, boot_id(), revision, row["id"])
                database.execute(_SENDING, values)
            return _select(database, "id IN (SELECT value FROM json_each(?))", json.dumps([row["id"] for row in rows]))

    def settle(self, settled: Collection[Settled], only_from: Collection[State] | None = None) -> None:
        """What became of claimed or unknown writes; with `only_from`, of those still in one of these states."""
        if not settled:
            return
        with outbox_transaction(self._directory) as database:
            revision = next_revision(database)
            for one in settled:
                database.execute(_SETTLE, _settlement(one, revision, only_from))

    def abandoned(self) -> list[Write]:
        """Writes that were being sent by processes that are dead; they are this process's now."""
        if not outbox_exists(self._directory):
            return []
        with outbox_transaction(self._directory) as database:
            found = database.execute("SELECT id, pid, started, namespace, boot FROM writes WHERE state = 'sending'")
            dead = [row["id"] for row in found.fetchall() if _is_dead(row)]
            process = current_process()
            for outbox_id in dead:
                values = (process.pid, process.started, process.namespace, outbox_id)
                database.execute("UPDATE writes SET pid = ?, started = ?, namespace = ? WHERE id = ?", values)
            return _select(database, "id IN (SELECT value FROM json_each(?))", json.dumps(dead)) if dead else []

    def in_state(self, state: State, connection: str | None = None) -> list[Write]:
        """Every write in this state, oldest first."""
        if not outbox_exists(self._directory):
            return []
        with outbox_transaction(self._directory) as database:
            return _select(database, "state = ? AND connection = coalesce(?, connection)", state, connection)

    def find(self, ids: Sequence[int]) -> list[Write]:
        """These writes, as far as they are there."""
        with outbox_transaction(self._directory) as database:
            return _select(database, "id IN (SELECT value FROM json_each(?))", json.dumps(list(ids)))

    def done_before(self, writes: Sequence[Write]) -> dict[int, Write]:
        """By write: the last earlier one of the same key that the partner took."""
        with outbox_transaction(self._directory) as database:
            found = {
                write.id: _select(database, _BEFORE, write.kind, write.connection, write.key, write.id)
                for write in writes
            }
        return {outbox_id: earlier[0] for outbox_id, earlier in found.items() if earlier}

    def due_unknown(self, connection: str) -> list[Write]:
        """Writes whose end is not known and that have rested."""
        if not outbox_exists(self._directory):
            return []
        with outbox_transaction(self._directory) as database:
            return _select(database, _DUE, connection, *_moment())

    def changed_since(self, revision: int, most: int) -> list[Write]:
        """Writes that were queued or changed after this revision, in its order."""
        if not outbox_exists(self._directory):
            return []
        with outbox_transaction(self._directory) as database:
            return _select(database, "revision > ? ORDER BY revision, id LIMIT ?", revision, most)

    def has_work(self) -> bool:
        """A write may be sent now, may be asked about now, or was left by a process that is dead."""
        if not outbox_exists(self._directory):
            return False
        with outbox_transaction(self._directory) as database:
            rested = database.execute(f"SELECT 1 FROM writes AS mine WHERE {_RESTED} LIMIT 1", _moment()).fetchone()  # noqa: S608
            sent = database.execute("SELECT pid, started, namespace, boot FROM writes WHERE state = 'sending'")
            return rested is not None or any(_is_dead(row) for row in sent.fetchall())

    def hold(self, connection: str, kinds: Collection[str] | None, seconds: float) -> None:
        """What waits of these kinds rests so long; without kinds, what is uncertain too: nobody can ask about it.

        For who looks again and again: whoever claims it sends it all the same.
        """
        if not outbox_exists(self._directory):
            return
        chosen = None if kinds is None else json.dumps(sorted(kinds))
        boot, moment = _moment()
        with outbox_transaction(self._directory) as database:
            database.execute(_HOLD, (moment + seconds, boot, connection, chosen, chosen, chosen, boot, moment))

    def counts(self) -> dict[tuple[str, str, State], int]:
        """How many writes there are, by connection, kind and state."""
        if not outbox_exists(self._directory):
            return {}
        with outbox_transaction(self._directory) as database:
            found = database.execute("SELECT connection, kind, state, count(*) FROM writes GROUP BY 1, 2, 3 ORDER BY 1")
            return {(row[0], row[1], row[2]): int(row[3]) for row in found}

    def erase(self, address: str) -> int:
        """No payload and no word of a partner's holds this e-mail address; how many writes lost theirs.

        What waited is rejected: it is not sent. What was uncertain stays so, for a person.
        """
        if not outbox_exists(self._directory):
            return 0
        with outbox_transaction(self._directory) as database:
            database.execute("PRAGMA secure_delete = ON")
            found = database.execute(_KEPT).fetchall()
            wanted = normal_email(address)
            ids = [row["id"] for row in found if wanted in addresses_in(f"{row['payload']} {row['field_errors']}")]
            if ids:
                database.execute(_ERASE, (next_revision(database), _text(now()), json.dumps(ids)))
            return len(ids)

    def forget_payloads(self, before: datetime) -> int:
        """What was done before this time keeps no person's data: its payload and the partner's words; how many."""
        if not outbox_exists(self._directory):
            return 0
        with outbox_transaction(self._directory) as database:
            return database.execute(_FORGET, (next_revision(database), _text(before))).rowcount


_CLAIM = """
SELECT id, operation_ids FROM writes AS mine
WHERE state = 'queued' AND connection = ? AND kind IN (SELECT value FROM json_each(?))
AND NOT EXISTS (
    SELECT 1 FROM writes AS earlier
    WHERE earlier.kind = mine.kind AND earlier.connection = mine.connection AND earlier.key = mine.key
    AND earlier.id < mine.id AND earlier.state IN ('queued', 'sending', 'unknown')
)
ORDER BY id LIMIT ?
"""
_SENDING = """
UPDATE writes SET state = 'sending', operation_ids = ?, pid = ?, started = ?, namespace = ?, boot = ?, revision = ?
WHERE id = ?
"""
_SETTLE = """
UPDATE writes SET
    state = :state, action = coalesce(:action, action), partner_id = coalesce(:partner_id, partner_id),
    request_ids = iif(:request_id IS NULL, request_ids, json_insert(request_ids, '$[#]', :request_id)),
    attempts = attempts + (:request_id IS NOT NULL), looks = coalesce(:looks, looks),
    reason = :reason, field_errors = :field_errors, due = :due, boot = :boot,
    sent_at = iif(:request_id IS NULL, sent_at, :at),
    uncertain_at = iif(:state = 'unknown', coalesce(uncertain_at, :at), uncertain_at),
    finished_at = iif(:is_final, :at, NULL),
    pid = NULL, started = NULL, namespace = NULL, revision = :revision
WHERE id = :id AND (:only_from IS NULL OR state IN (SELECT value FROM json_each(:only_from)))
"""
_BEFORE = """
kind = ? AND connection = ? AND key = ? AND id < ? AND state IN ('created', 'updated', 'unchanged')
ORDER BY id DESC LIMIT 1
"""
_DUE = "state = 'unknown' AND connection = ? AND due IS NOT NULL AND (boot <> ? OR due <= ?)"
_RESTED = """
(state = 'queued' AND due IS NULL AND NOT EXISTS (
    SELECT 1 FROM writes AS earlier
    WHERE earlier.kind = mine.kind AND earlier.connection = mine.connection AND earlier.key = mine.key
    AND earlier.id < mine.id AND earlier.state IN ('queued', 'sending', 'unknown')
))
OR (state IN ('queued', 'unknown') AND due IS NOT NULL AND (boot <> ? OR due <= ?))
"""
_HOLD = """
UPDATE writes SET due = ?, boot = ?
WHERE connection = ? AND (? IS NULL OR kind IN (SELECT value FROM json_each(?)))
AND (state = 'queued' OR (? IS NULL AND state = 'unknown' AND due IS NOT NULL))
AND (due IS NULL OR boot <> ? OR due <= ?)
"""
_FORGET = """
UPDATE writes SET payload = NULL, field_errors = NULL, label = NULL, revision = ?
WHERE state IN ('created', 'updated', 'unchanged', 'rejected') AND finished_at < ? AND payload IS NOT NULL
"""
_KEPT = "SELECT id, payload, field_errors FROM writes WHERE payload IS NOT NULL OR field_errors IS NOT NULL"
_ERASE = """
UPDATE writes SET
    payload = NULL, field_errors = NULL, label = NULL, revision = ?1, due = NULL,
    reason = iif(state = 'queued', 'the person was erased before it was sent', reason),
    finished_at = iif(state = 'queued', ?2, finished_at),
    state = iif(state = 'queued', 'rejected', state)
WHERE id IN (SELECT value FROM json_each(?3))
"""
_INSERT = """
INSERT INTO writes (
    kind, connection, key, is_natural, target, payload, payload_hash, idempotency_key, source, line, label, state,
    queued_at, revision
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?)
"""
_LAST = """
SELECT id, state, payload_hash, finished_at FROM writes
WHERE kind = ? AND connection = ? AND key = ? ORDER BY id DESC LIMIT 1
"""


def _put(database: sqlite3.Connection, draft: Draft, revision: int, anew: bool) -> Queued:
    last = database.execute(_LAST, (draft.kind, draft.connection, draft.key)).fetchone()
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
        _text(now()),
        revision,
    )
    return Queued(database.execute(_INSERT, values).lastrowid or 0, True, "queued")


def _last_write(row: sqlite3.Row, draft: Draft) -> LastWrite:
    return LastWrite(row["state"], row["payload_hash"] == draft.payload_hash, _time(row["finished_at"]))


def _settlement(one: Settled, revision: int, only_from: Collection[State] | None) -> dict[str, Any]:
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
        "at": _text(now()),
        "revision": revision,
        "only_from": None if only_from is None else json.dumps(list(only_from)),
    }


def _is_dead(row: sqlite3.Row) -> bool:
    if row["boot"] != boot_id() or row["pid"] is None:
        return True
    return ProcessIdentity(row["pid"], row["started"], row["namespace"]).is_known_dead()


def _select(database: sqlite3.Connection, where: str, *values: object) -> list[Write]:
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


def _text(moment: datetime) -> str:
    """A time that sorts as text."""
    return moment.isoformat(timespec="microseconds")


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _moment() -> tuple[str, float]:
    return boot_id(), seconds_since_boot()
