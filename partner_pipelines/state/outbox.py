"""Writes to the partners, durable and for many processes: each one a row that ends in exactly one state.

queued → sending → created | updated | unchanged | rejected, or unknown: it may have had its effect, or have it late.
One key is worked at by one process at a time, in the order in which its writes came. The payload is personal: the file
is for the program alone, and `forget_payloads` takes it out of what is long done.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

from partner_pipelines.clock import now
from partner_pipelines.state.addresses import addresses_in, normal_email
from partner_pipelines.state.outbox_file import next_revision, outbox_exists, outbox_transaction
from partner_pipelines.state.outbox_rows import (
    boot_moment,
    is_dead_holder,
    last_write,
    put_draft,
    select_writes,
    settle_one,
    sortable,
)
from partner_pipelines.state.outbox_sql import (
    BEFORE,
    CHANGED,
    CLAIM,
    DUE,
    ERASE,
    FORGET,
    HOLD,
    KEPT,
    LAST,
    LAST_OF_ITEM,
    LONG_DONE,
    OVERDUE,
    RESTED,
    SENDING,
)
from partner_pipelines.state.outbox_writes import (
    FINAL,
    LEASE_SECONDS,
    OPEN,
    Action,
    Draft,
    Item,
    LastWrite,
    Queued,
    Settled,
    State,
    Write,
)
from partner_pipelines.state.process import current_process

__all__ = [
    "FINAL",
    "LEASE_SECONDS",
    "OPEN",
    "Action",
    "Draft",
    "Item",
    "LastWrite",
    "Outbox",
    "Queued",
    "Settled",
    "State",
    "Write",
]

FORGOTTEN_AT_ONCE = 5_000
"""How many writes get one revision: who shows a revision reads it whole."""


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
            return [put_draft(database, draft, revision, place in anew) for place, draft in enumerate(drafts)]

    def look_up(self, drafts: Sequence[Draft]) -> list[LastWrite | None]:
        """For each draft the last write of its key."""
        if not drafts or not outbox_exists(self._directory):
            return [None] * len(drafts)
        with outbox_transaction(self._directory) as database:
            lasts = [database.execute(LAST, (one.kind, one.connection, one.key)).fetchone() for one in drafts]
        found = zip(drafts, lasts, strict=True)
        return [last and last_write(last, draft) for draft, last in found]

    def claim(self, connection: str, kinds: Collection[str], most: int) -> list[Write]:
        """Up to so many queued writes, oldest first, one a key, for this process alone to send.

        Whoever asks may send at once: that a write rests after it was held back is for those who look again and again.
        """
        if not outbox_exists(self._directory):
            return []
        with outbox_transaction(self._directory) as database:
            rows = database.execute(CLAIM, (connection, json.dumps(sorted(kinds)), most)).fetchall()
            if not rows:
                return []
            revision = next_revision(database)
            process, (boot, moment) = current_process(), boot_moment()
            holder = (process.pid, process.started, process.namespace, boot, moment + LEASE_SECONDS)
            for row in rows:
                operations = json.dumps([*json.loads(row["operation_ids"]), secrets.token_hex(8)])
                database.execute(SENDING, (operations, *holder, revision, row["id"]))
            return select_writes(
                database, "id IN (SELECT value FROM json_each(?))", json.dumps([row["id"] for row in rows])
            )

    def settle(
        self,
        settled: Collection[Settled],
        only_from: Collection[State] | None = None,
        seen: Collection[Write] | None = None,
    ) -> list[Settled]:
        """What became of writes; those that were settled.

        `only_from`: no write that is in another state by now. `seen`: the writes as they were read; none that somebody
        else has settled or claimed since, for what was found out about them is overtaken then.
        """
        if not settled:
            return []
        as_seen = None if seen is None else {write.id: write for write in seen}
        with outbox_transaction(self._directory) as database:
            revision = next_revision(database)
            return [one for one in settled if settle_one(database, one, revision, only_from, as_seen)]

    def abandoned(self) -> list[Write]:
        """Writes that were being sent by processes that are dead; they are this process's now.

        After a reboot others may find them too, for the boot of the claim stays: it says what the trail may have lost.
        """
        if not outbox_exists(self._directory):
            return []
        with outbox_transaction(self._directory) as database:
            found = database.execute("SELECT id, pid, started, namespace, boot FROM writes WHERE state = 'sending'")
            dead = [row["id"] for row in found.fetchall() if is_dead_holder(row)]
            process = current_process()
            for outbox_id in dead:
                values = (process.pid, process.started, process.namespace, outbox_id)
                database.execute("UPDATE writes SET pid = ?, started = ?, namespace = ? WHERE id = ?", values)
            return select_writes(database, "id IN (SELECT value FROM json_each(?))", json.dumps(dead)) if dead else []

    def overdue(self) -> list[Write]:
        """Writes whose lease is over: whether their holders live, and where, nobody knows."""
        if not outbox_exists(self._directory):
            return []
        with outbox_transaction(self._directory) as database:
            return select_writes(database, OVERDUE, *boot_moment())

    def in_state(self, state: State, connection: str | None = None) -> list[Write]:
        """Every write in this state, oldest first."""
        if not outbox_exists(self._directory):
            return []
        with outbox_transaction(self._directory) as database:
            return select_writes(database, "state = ? AND connection = coalesce(?, connection)", state, connection)

    def find(self, ids: Sequence[int]) -> list[Write]:
        """These writes, as far as they are there."""
        with outbox_transaction(self._directory) as database:
            return select_writes(database, "id IN (SELECT value FROM json_each(?))", json.dumps(list(ids)))

    def done_before(self, writes: Sequence[Write]) -> dict[int, Write]:
        """By write: the last earlier one of the same key that the partner took."""
        with outbox_transaction(self._directory) as database:
            found = {
                write.id: select_writes(database, BEFORE, write.kind, write.connection, write.key, write.id)
                for write in writes
            }
        return {outbox_id: earlier[0] for outbox_id, earlier in found.items() if earlier}

    def last_done(self, items: Collection[Item]) -> dict[Item, Write]:
        """By item: the last write that the partner took, whatever key it has."""
        if not items or not outbox_exists(self._directory):
            return {}
        with outbox_transaction(self._directory) as database:
            found = {item: select_writes(database, LAST_OF_ITEM, *item) for item in items}
        return {item: last[0] for item, last in found.items() if last}

    def due_unknown(self, connection: str) -> list[Write]:
        """Writes whose end is not known and that have rested."""
        if not outbox_exists(self._directory):
            return []
        with outbox_transaction(self._directory) as database:
            return select_writes(database, DUE, connection, *boot_moment())

    def changed_since(self, revision: int, most: int) -> list[Write]:
        """Writes that changed after this revision, in its order: so many, and the rest of the last one's revision."""
        if not outbox_exists(self._directory):
            return []
        with outbox_transaction(self._directory) as database:
            return select_writes(database, CHANGED, revision, most - 1)

    def has_work(self) -> bool:
        """A write may be sent now, may be asked about now, or was left by a process that is dead or not heard of."""
        if not outbox_exists(self._directory):
            return False
        with outbox_transaction(self._directory) as database:
            rested = database.execute(f"SELECT 1 FROM writes AS mine WHERE {RESTED} LIMIT 1", boot_moment()).fetchone()  # noqa: S608
            sent = database.execute("SELECT pid, started, namespace, boot FROM writes WHERE state = 'sending'")
            return rested is not None or any(is_dead_holder(row) for row in sent.fetchall())

    def hold(self, connection: str, kinds: Collection[str] | None, seconds: float) -> None:
        """What waits of these kinds rests so long; without kinds, what is uncertain too: nobody can ask about it.

        For who looks again and again: whoever claims it sends it all the same.
        """
        if not outbox_exists(self._directory):
            return
        chosen = None if kinds is None else json.dumps(sorted(kinds))
        boot, moment = boot_moment()
        with outbox_transaction(self._directory) as database:
            database.execute(HOLD, (moment + seconds, boot, connection, chosen, chosen, chosen, boot, moment))

    def counts(self) -> dict[tuple[str, str, State], int]:
        """How many writes there are, by connection, kind and state."""
        if not outbox_exists(self._directory):
            return {}
        with outbox_transaction(self._directory) as database:
            found = database.execute("SELECT connection, kind, state, count(*) FROM writes GROUP BY 1, 2, 3 ORDER BY 1")
            return {(row[0], row[1], row[2]): int(row[3]) for row in found}

    def erase(self, address: str, items: Collection[Item] = (), *, dry_run: bool = False) -> int:
        """No payload and no word of a partner's holds this e-mail address; how many writes lost theirs.

        Nor do those of writes of these items, which are the same person's. What waited is rejected: it is not sent.
        What was uncertain stays so, for a person. With `dry_run`: how many would lose theirs.
        """
        if not outbox_exists(self._directory):
            return 0
        with outbox_transaction(self._directory) as database:
            database.execute("PRAGMA secure_delete = ON")
            found = database.execute(KEPT).fetchall()
            wanted = normal_email(address)
            ids = [row["id"] for row in found if _names(row, wanted, items)]
            if ids and not dry_run:
                database.execute(ERASE, (next_revision(database), sortable(now()), json.dumps(ids)))
            return len(ids)

    def forget_payloads(self, before: datetime) -> int:
        """What was done before this time keeps no person's data: its payload and the partner's words; how many."""
        if not outbox_exists(self._directory):
            return 0
        with outbox_transaction(self._directory) as database:
            done = [row["id"] for row in database.execute(LONG_DONE, (sortable(before),))]
            for start in range(0, len(done), FORGOTTEN_AT_ONCE):
                piece = done[start : start + FORGOTTEN_AT_ONCE]
                database.execute(FORGET, (next_revision(database), json.dumps(piece)))
            return len(done)


def _names(row: sqlite3.Row, address: str, items: Collection[Item]) -> bool:
    """The write holds the address, or is one of these items'."""
    if address in addresses_in(f"{row['payload']} {row['field_errors']}"):
        return True
    return any((row["connection"], row["kind"], row[name]) in items for name in ("target", "partner_id"))
