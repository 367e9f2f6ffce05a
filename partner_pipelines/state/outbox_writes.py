"""A write as the outbox has it: what is to be queued, what is there, what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

State = Literal["queued", "sending", "created", "updated", "unchanged", "rejected", "unknown"]
Action = Literal["create", "update"]
FINAL: tuple[State, ...] = ("created", "updated", "unchanged", "rejected")
OPEN: tuple[State, ...] = ("queued", "sending", "unknown")
Item = tuple[str, str, str]
"""A partner's item: connection, kind of write, the partner's id."""
LEASE_SECONDS = 3600.0
"""So long a claimed write is its holder's; then it is uncertain, unless the holder is known to be dead before."""


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
    partner_id: str | None = None
