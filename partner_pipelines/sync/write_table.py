"""audit.writes shows what the outbox holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from partner_pipelines.models.fields import is_field_name
from partner_pipelines.partners.writes.forms import FORMS
from partner_pipelines.state.outbox import Outbox, Write
from partner_pipelines.sync.house import House
from partner_pipelines.warehouse.publish import publish
from partner_pipelines.warehouse.writes import load_writes, loaded_revision, mark_written

_PIECE = 5_000
"""So many writes are shown in one transaction, and what else changed together with the last of them."""


def load_outbox(house: House) -> int:
    """Every write is in the working database as it is in the outbox; how many were loaded. Raises StateError."""
    outbox, loaded = Outbox(house.data.outbox), 0
    with house.warehouse.session() as session:
        revision = loaded_revision(session.database)
        while changed := outbox.changed_since(revision, _PIECE):
            with session.transaction() as database:
                load_writes(database, [_row(write) for write in changed])
            loaded += len(changed)
            revision = changed[-1].revision
    return loaded


def _row(write: Write) -> Mapping[str, Any]:
    # Sentences of ours name fields and statuses; what the partner said of them stays in the outbox: it may quote
    return {
        "outbox_id": write.id,
        "connection": write.connection,
        "partner": FORMS[write.kind].partner,
        "kind": write.kind,
        "state": write.state,
        "action": write.action,
        "partner_id": write.partner_id,
        "reason": write.reason,
        "fields": sorted(filter(is_field_name, write.field_errors or ())) or None,
        "source": write.source,
        "line": write.line,
        "attempts": write.attempts,
        "looks": write.looks,
        "queued_at": write.queued_at,
        "sent_at": write.sent_at,
        "uncertain_at": write.uncertain_at,
        "finished_at": write.finished_at,
        "operation_ids": list(write.operation_ids),
        "request_ids": list(write.request_ids),
        "write_key": write.key,
        "payload_hash": write.payload_hash,
        "revision": write.revision,
    }


def show_writes(house: House) -> int:
    """What became of the outbox's writes is in the published warehouse; how many had changed. Raises StateError."""
    changed = load_outbox(house)
    with house.warehouse.writing() as database:
        mark_written(database)
    publish(house.warehouse)
    return changed
