"""One write, sent once: created, updated, unchanged, rejected, queued again, or unknown."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from partner_pipelines.errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    BadRequestError,
    NotFoundError,
    ServerError,
)
from partner_pipelines.partners.openmoove.client import OpenMooveClient
from partner_pipelines.partners.resman.client import ResManClient
from partner_pipelines.partners.writes.forms import FORMS
from partner_pipelines.partners.writes.operations import Sending
from partner_pipelines.settings import Connection, OpenMooveConnection, ResManConnection
from partner_pipelines.state.addresses import normal_email
from partner_pipelines.state.outbox import Action, Draft, Item, Outbox, Settled, State, Write
from partner_pipelines.state.tokenise import raw_json
from partner_pipelines.sync.house import House
from partner_pipelines.sync.write_drafts import addresses_of, person_of
from partner_pipelines.sync.write_known import PLACE, Known, known_items, unseen

HELD_SECONDS = 300.0
"""So long the sensor leaves a write alone that cannot be sent now (no scope, no answer); a command tries at once."""
NO_UPDATE = "the partner has no update: it is there with other values"
FOR_A_PERSON = "it may have had its effect; nobody can ask the partner for it: `outbox settle` or `outbox resend`"
ASKED_AGAIN = "it may have had its effect: the partner is asked whether it is there"


class HoldError(Exception):
    """Nothing more of this connection (or kind) may be sent now; `settled` is what became of this write."""

    def __init__(self, error: APIError, settled: Settled) -> None:
        super().__init__(str(error))
        self.error = error
        self.settled = settled


def client_for(house: House, connection: Connection) -> ResManClient | OpenMooveClient:
    """The connection's client."""
    if isinstance(connection, ResManConnection):
        return house.resman(connection)
    assert isinstance(connection, OpenMooveConnection)
    return house.openmoove(connection)


class Sender:
    """Sends the writes of one claim. What is known of them is looked up once, for all."""

    def __init__(self, house: House, connection: Connection, outbox: Outbox, claimed: Sequence[Write]) -> None:
        self._house = house
        self._key = house.data.key("content")
        self._client = client_for(house, connection)
        self._known = _known(house, claimed)
        self._before = with_other_keys(outbox, claimed, outbox.done_before(claimed), self._known)

    def send(self, write: Write) -> Settled:
        """What became of it.

        Raises:
            HoldError: nothing more can be sent now; the write is queued again.
            AuditUnavailableError, StoppedError: whether it was sent, the trail tells.
        """
        form, before = FORMS[write.kind], self._before.get(write.id)
        known = newer(self._known.get(write.id), before, write)
        if write.payload is None or self._is_erased(write):
            return Settled(write.id, "rejected", reason="the person was erased before it was sent")
        there = known.partner_id if known else before.partner_id if before else None
        if known is not None and not known.differs:
            return Settled(write.id, "unchanged", partner_id=there)
        differs = known.differs if known else differing(before, write) if before else ()
        if before is not None and not differs:
            return Settled(write.id, "unchanged", partner_id=there)
        if differs and not form.has_update:
            return Settled(write.id, "rejected", partner_id=there, reason=f"{NO_UPDATE} ({', '.join(differs)})")
        return self._put(write, write.target or there)

    def _is_erased(self, write: Write) -> bool:
        """Also by somebody who came after the write was claimed: what is in memory here no erasure reaches."""
        vault, person = self._house.vault, person_of(write)
        if person is not None:
            return bool(vault.erased_persons_among([person]))
        return bool(vault.erased_among(addresses_of(write.payload or {})))

    def _put(self, write: Write, target: str | None) -> Settled:
        action: Action = "create" if target is None else "update"
        sending = Sending(
            form=FORMS[write.kind],
            payload=write.payload or {},
            sent=self._described(write),
            operation_id=write.operation_id,
            idempotency_key=write.idempotency_key,
            target=target,
        )
        try:
            partner_id, request_id = self._client.write(sending)
        except APIError as error:
            return self._failed(write, target, error)
        done: State = "created" if action == "create" else "updated"
        return Settled(write.id, done, action, partner_id if target is None else target, request_id)

    def _failed(self, write: Write, target: str | None, error: APIError) -> Settled:
        action: Action = "create" if target is None else "update"
        request_id = error.facts.request_id
        if isinstance(error, BadRequestError | NotFoundError) and not (
            isinstance(error, NotFoundError) and target is None
        ):
            words = None if self._is_erased(write) else error.field_errors  # they may quote
            return Settled(write.id, "rejected", action, target, request_id, error.message, words)
        if request_id is None or _had_no_effect(error):
            rest = max(HELD_SECONDS, getattr(error, "retry_after_seconds", None) or 0.0)
            held = Settled(write.id, "queued", None, None, request_id, error.message, rest_seconds=rest)
            raise HoldError(error, held)
        if action == "create" and not write.is_natural:
            return Settled(write.id, "unknown", action, None, request_id, f"{error.message}; {FOR_A_PERSON}")
        rest = self._house.settings.settle_seconds
        reason = f"{error.message}; {ASKED_AGAIN}"
        return Settled(write.id, "unknown", action, target, request_id, reason, rest_seconds=rest, looks=0)

    def _described(self, write: Write) -> dict[str, str]:
        """For the trail: a keyed hash of each field."""
        return {
            name: hashlib.blake2b(raw_json(value).encode(), key=self._key, digest_size=16).hexdigest()
            for name, value in (write.payload or {}).items()
        }


def newer(known: Known | None, before: Write | None, write: Draft | Write) -> Known | None:
    """What the warehouse knows, unless it was seen before the last write of the same item that had an effect.

    What no answer shows differs too, unless that write carried it.
    """
    written_at = before.finished_at if before is not None else None
    if known is None or (written_at is not None and (known.seen_at is None or known.seen_at <= written_at)):
        return None
    return replace(known, differs=(*known.differs, *unseen(write, before)))


def with_other_keys(
    outbox: Outbox, writes: Sequence[Draft | Write], before: Mapping[int, Write], known: Mapping[int, Known]
) -> dict[int, Write]:
    """What `before` has, by place or number, or what the partner took later of the same item under another key."""
    last = last_of_items(outbox, writes, {number: write.partner_id for number, write in before.items()}, known)
    later = {number: write for number, write in last.items() if number not in before or before[number].id < write.id}
    return {**before, **later}


def last_of_items(
    outbox: Outbox, writes: Sequence[Draft | Write], partner_ids: Mapping[int, str | None], known: Mapping[int, Known]
) -> dict[int, Write]:
    """By place or number: the last write of the same item that the partner took, whatever key it has.

    A lead is one item, by its address in one file and by the partner's id in another. `partner_ids`: what is known of
    writes that name none and are not in the warehouse.
    """
    items: dict[int, Item] = {}
    for number, write in _numbered(writes):
        seen = known[number].partner_id if number in known else partner_ids.get(number)
        partner_id = seen if write.target is None else write.target
        if partner_id is not None and FORMS[write.kind].has_update:
            items[number] = write.connection, write.kind, partner_id
    last = outbox.last_done(frozenset(items.values()))
    return {number: last[item] for number, item in items.items() if item in last}


def _numbered(writes: Sequence[Draft | Write]) -> Iterator[tuple[int, Draft | Write]]:
    return ((write.id if isinstance(write, Write) else place, write) for place, write in enumerate(writes))


def differing(before: Write, write: Draft | Write) -> tuple[str, ...]:
    """The fields in which a write differs from one of the same item; how the key is spelt makes no difference."""
    if before.payload_hash == write.payload_hash:
        return ()
    if before.payload is None:
        return ("erased since",)
    earlier, values = before.payload, write.payload or {}
    return tuple(name for name, value in values.items() if name not in PLACE and not _same(name, earlier, value))


def _same(name: str, earlier: Mapping[str, Any], value: Any) -> bool:
    there = earlier.get(name)
    if name == "email" and there is not None:  # of the key where no id is
        return normal_email(there) == normal_email(value)
    return bool(there == value)


def _had_no_effect(error: APIError) -> bool:
    """The partner has surely not taken it: it said so, or nothing left."""
    if isinstance(error, APIStatusError):
        return not isinstance(error, ServerError)
    return isinstance(error, APIConnectionError) and not error.was_sent


def _known(house: House, claimed: Sequence[Write]) -> dict[int, Known]:
    found: dict[int, Known] = {}
    for kind in {write.kind for write in claimed}:
        writes = [write for write in claimed if write.kind == kind]
        found |= {writes[place].id: known for place, known in known_items(house, writes).items()}
    return found
