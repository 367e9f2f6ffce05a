"""From a file of the inbox to what it says and who says it: nothing is applied here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from partner_pipelines.clock import now
from partner_pipelines.models.openmoove import Milestone
from partner_pipelines.models.webhook import WebhookEvent
from partner_pipelines.partners.openmoove.signature import SIGNATURE_HEADER, signers
from partner_pipelines.partners.openmoove.webhooks import WebhookError, decipher_told_milestone, decipher_webhook
from partner_pipelines.partners.rows import Rows
from partner_pipelines.state.inbox import Batch, Drop, Inbox
from partner_pipelines.state.tokenise import apart, raw_json
from partner_pipelines.state.vault import VaultRow
from partner_pipelines.state.webhook_envelope import Envelope
from partner_pipelines.sync.house import House
from partner_pipelines.sync.webhook_secrets import accepted_secrets
from partner_pipelines.warehouse.webhooks import DELIVERIES

_NAMES_KEPT = 500
_PARTS = ("data", "milestone")
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Letter:
    """One delivery. `event` is None where `reason` says why it cannot be used; `extra` holds tokens."""

    drop: Drop
    delivery_id: str
    connection: str | None
    received_at: datetime
    verified: bool
    body_hash: str | None
    event: WebhookEvent | None
    milestone: Rows[Milestone]
    extra: Mapping[str, str]
    vault_rows: tuple[VaultRow, ...] = field(repr=False)
    reason: str | None = None

    @property
    def milestone_id(self) -> int | None:
        """The milestone that it is about, where it names one that can be one."""
        found = self.milestone.items[0].id if self.milestone.items else None
        return found if found is not None and found in _INT64 else None


class Reader:
    """Reads batches. A secret is only asked for by drops that the receiver has not vouched for."""

    def __init__(self, house: House, inbox: Inbox) -> None:
        self._house = house
        self._inbox = inbox
        self._key = house.data.key("content")

    def read(self, batch: Batch) -> Iterator[Letter]:
        """Every file's letter. Raises StateError, SettingsError."""
        for drop in batch.drops():
            if drop.fault != "gone":
                yield self._letter(batch, drop)

    def _letter(self, batch: Batch, drop: Drop) -> Letter:
        envelope = drop.envelope
        delivery_id = self._hash(batch.id, drop.name)  # the same when the batch is taken up again
        if envelope is None:
            return Letter(drop, delivery_id, None, now(), False, None, None, Rows(()), {}, (), drop.fault)
        digest = hashlib.sha256(envelope.body).hexdigest()
        vouched = self._inbox.is_vouched(envelope)
        connection, verified, reason = (envelope.connection, True, None) if vouched else self._sender(envelope)
        # What another tool says about the time proves nothing: for its drops it is now
        received_at = min(envelope.received_at, now()) if vouched else now()
        event: WebhookEvent | None = None
        if reason is None:
            try:
                event = decipher_webhook(envelope.body)
            except WebhookError as error:
                reason = error.reason
        milestone: Rows[Milestone] = decipher_told_milestone(event) if event is not None else Rows(())
        extra, vault_rows = self._tokenised(event, connection or "", delivery_id, received_at)
        return Letter(
            drop, delivery_id, connection, received_at, verified, self._hash(digest), event, milestone, extra,
            vault_rows, reason,
        )  # fmt: skip

    def _sender(self, envelope: Envelope) -> tuple[str | None, bool, str | None]:
        """Of another tool's drop: connection, whether that is proved, and why the delivery cannot be used."""
        signature = envelope.headers.get(SIGNATURE_HEADER.lower())
        if signature is None:
            return self._unsigned(envelope)
        found = signers([signature.encode("utf-8", "replace")], envelope.body, self._secrets)
        if len(found) == 1:
            return next(iter(found)), True, None
        return None, False, "wrong_signature"

    def _unsigned(self, envelope: Envelope) -> tuple[str | None, bool, str | None]:
        names = {*self._house.settings.webhook_secrets, *(one.name for one in self._house.settings.openmoove)}
        if not self._house.settings.webhooks_allow_unsigned:
            return None, False, "unsigned"
        if envelope.connection in names:
            return envelope.connection, False, None
        return (next(iter(names)), False, None) if len(names) == 1 else (None, False, "no_connection")

    @cached_property
    def _secrets(self) -> dict[str, tuple[str, ...]]:
        return accepted_secrets(self._house.settings)

    def _tokenised(
        self, event: WebhookEvent | None, connection: str, delivery_id: str, as_of: datetime
    ) -> tuple[dict[str, str], tuple[VaultRow, ...]]:
        tokens: dict[str, str] = {}
        kept: list[VaultRow] = []
        tokeniser = self._house.tokeniser
        for within, name, value in _bounded(event.extra if event is not None else {}):
            shown, place, held = tokeniser.placed("extra", name, value, within)
            raw = raw_json(held)
            kept.append(VaultRow(connection, DELIVERIES, delivery_id, place, raw, as_of))
            tokens[shown] = tokeniser.raw_token(raw)
        return tokens, tuple(kept)

    def _hash(self, *parts: str) -> str:
        text = "\0".join(parts).encode("utf-8", "surrogateescape")
        return hashlib.blake2b(text, key=self._key, digest_size=16).hexdigest()


def _bounded(extra: Mapping[str, Any]) -> Iterable[tuple[str, str, Any]]:
    """Each field: the part of the body that it stands in, its name, its value; of a hostile number the last as one."""
    places = sorted(extra)
    yield from ((*_part_and_name(place), extra[place]) for place in places[:_NAMES_KEPT])
    if len(places) > _NAMES_KEPT:
        yield "(more)", "", {apart(*_part_and_name(place)): extra[place] for place in places[_NAMES_KEPT:]}


def _part_and_name(place: str) -> tuple[str, str]:
    part, dot, name = place.partition(".")
    return (part + dot, name) if dot and part in _PARTS else ("", place)


def archived(letter: Letter, state: str) -> dict[str, Any]:
    """What the archive keeps of a delivery: no personal value."""
    event = letter.event
    assert event is not None
    milestone: dict[str, Any] | None = None
    if letter.milestone_id is not None:
        milestone = letter.milestone.items[0].model_dump(mode="json", exclude=_PERSONAL, exclude_unset=True)
    return {
        "delivery_id": letter.delivery_id,
        "connection": letter.connection,
        "state": state,
        "event": event.event,
        "timestamp": event.happened_at.isoformat(),
        "received_at": letter.received_at.isoformat(),
        "property_id": event.property_id,
        "milestone": milestone,
        "extra": dict(letter.extra),
    }


_PERSONAL = {
    name
    for name, info in Milestone.model_fields.items()
    if isinstance(info.json_schema_extra, dict) and "token_form" in info.json_schema_extra
}
