"""One segment's records against the rules of the trail's format. Source: docs/audit-format.md, schema 1."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from partner_pipelines.errors import NewerSchemaError
from partner_pipelines.state.audit_purge import EVENT as PURGED
from partner_pipelines.state.audit_purge import PurgedSegment
from partner_pipelines.state.audit_segment import (
    FIRST_HASH,
    MAX_UNSENT,
    SCHEMA,
    SEAL_END,
    SEAL_LENGTH,
    SEAL_START,
    chain_hash,
)

_SEALED_AND_MORE = re.compile(rb',"hash":"[0-9a-f]{64}"}.', re.DOTALL)


_NEVER = 1 << 62


@dataclass(frozen=True, slots=True)
class Claim:
    """What a checkpoint says of a segment: so many records of so many bytes, the last one's hash. `where` names it."""

    records: int
    bytes: int
    head: str
    where: str


class _BrokenRuleError(Exception):
    """What is wrong with a record."""


class Chain:
    """A segment's hash and numbers, as they must go on.

    `claims` are what checkpoints say of it. After `read`: `records` are the good ones, `bytes` their length, `head` the
    hash (hex) of the last of them, `purged` what their events say of other segments.
    """

    def __init__(self, path: Path, claims: Sequence[Claim] = ()) -> None:
        self.records = 0
        self.bytes = 0
        self.purged: list[PurgedSegment] = []
        self._path = path
        self._claims = sorted(claims, key=attrgetter("bytes"), reverse=True)
        self._next_claim = self._claims[-1].bytes if self._claims else _NEVER
        self._signed = 0
        self._head = FIRST_HASH
        self._closed = False
        self._sent = 0
        self._reserved = 0
        self._waiting: set[int] = set()
        self._rules: dict[object, Callable[[dict[str, Any]], None]] = {
            "segment": self._check_header,
            "reserved": self._check_reserved,
            "intent": self._check_intent,
            "outcome": self._check_outcome,
            "event": self._check_event,
            "closed": self._check_closed,
        }

    @property
    def head(self) -> str:
        """The hash of the last good record."""
        return self._head.decode()

    def read(self, file: BinaryIO) -> tuple[str | None, bool]:
        """What is wrong with the record after the good ones, None if nothing; and whether the tail is torn.

        Raises NewerSchemaError.
        """
        try:
            for line in file:
                if not line.endswith(b"\n"):
                    self._check_tail(line)
                    self._check_end()
                    return None, True
                self._check(line)
                self.records += 1
                self.bytes += len(line)
            self._check_end()
        except _BrokenRuleError as broken:
            return str(broken), False
        return (None if self.records else "it has no header"), False

    def _check(self, line: bytes) -> None:
        body, seal = line[:-SEAL_LENGTH], line[-SEAL_LENGTH:]
        digest = chain_hash(self._head, body)
        if seal != SEAL_START + digest + SEAL_END:
            raise _BrokenRuleError("its hash does not follow from it and the line before it")
        self._check_rules(line)
        if self.bytes + len(line) >= self._next_claim:
            self._check_claims(self.bytes + len(line), digest)
        self._head = digest

    def _check_rules(self, line: bytes) -> None:
        try:
            record = orjson.loads(line)
            kind = record["kind"]
            if self._closed:
                raise _BrokenRuleError("it stands after the segment was closed")
            if (kind == "segment") != (self.records == 0):
                raise _BrokenRuleError("the header stands first, and nowhere else")
            self._rules[kind](record)
        except (ValueError, KeyError, TypeError) as error:
            raise _BrokenRuleError(f"it is no record of schema {SCHEMA}") from error

    def _check_claims(self, length: int, digest: bytes) -> None:
        here = (length, self.records + 1, digest.decode())
        while self._claims and self._claims[-1].bytes <= length:
            claim = self._claims.pop()
            if (claim.bytes, claim.records, claim.head) != here:
                raise _BrokenRuleError(
                    f"it is not what {claim.where} signed: one of the lines {self._signed + 1} to {self.records + 1} "
                    "was changed, and the chain behind it made anew"
                )
        self._signed = self.records + 1
        self._next_claim = self._claims[-1].bytes if self._claims else _NEVER

    def _check_end(self) -> None:
        if self._claims:
            claim = self._claims[0]
            raise _BrokenRuleError(f"it is missing: {claim.where} signed {claim.records} records; the segment was cut")

    def _check_tail(self, tail: bytes) -> None:
        if self._closed:
            raise _BrokenRuleError("it stands after the segment was closed")
        if _SEALED_AND_MORE.search(tail):
            raise _BrokenRuleError("it goes on after its hash, as no torn record does")

    def _check_header(self, record: dict[str, Any]) -> None:
        if record["segment"] != self._path.stem:
            raise _BrokenRuleError(f"the header names segment {record['segment']!r}")
        NewerSchemaError.check(self._path, record["schema"], SCHEMA)
        if record["schema"] != SCHEMA:
            raise _BrokenRuleError(f"schema {record['schema']}, this version knows {SCHEMA}")

    def _check_reserved(self, record: dict[str, Any]) -> None:
        first, last = record["first"], record["last"]
        if first != self._reserved + 1 or not first <= last <= self._sent + MAX_UNSENT:
            raise _BrokenRuleError(f"it reserves {first} to {last} after {self._reserved}, {self._sent} of them sent")
        self._reserved = last

    def _check_intent(self, record: dict[str, Any]) -> None:
        if record["n"] != self._sent + 1:
            raise _BrokenRuleError(f"request {record['n']} stands where {self._sent + 1} must follow")
        if record["n"] > self._reserved:
            raise _BrokenRuleError(f"request {record['n']} was not reserved")
        self._sent += 1
        self._waiting.add(self._sent)

    def _check_outcome(self, record: dict[str, Any]) -> None:
        if record["n"] not in self._waiting:
            raise _BrokenRuleError(f"request {record['n']} is not waiting for an outcome")
        self._waiting.remove(record["n"])

    def _check_closed(self, record: dict[str, Any]) -> None:
        self._closed = bool(record["at"])

    def _check_event(self, record: dict[str, Any]) -> None:
        """An event takes no number. What a purge says is kept."""
        if record["event"] == PURGED:
            self.purged.append(PurgedSegment.from_facts(record["facts"]))
