"""Proof of the audit trail: every segment's chain and numbering, read from the first byte to the last.

A crash leaves an incomplete last line, a torn tail, and nothing else; whatever else is wrong was done to the file.
What a cut at the end of a segment, or a segment that is gone, looks like from here: nothing. Checkpoints tell that.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from partner_pipelines.state.audit_segment import (
    FIRST_HASH,
    MAX_UNSENT,
    SCHEMA,
    SEAL_END,
    SEAL_START,
    chain_hash,
    is_living,
    list_segments,
)
from partner_pipelines.state.files import state_errors

SEAL_LENGTH = len(SEAL_START) + len(FIRST_HASH) + len(SEAL_END)
_SEALED_AND_MORE = re.compile(rb',"hash":"[0-9a-f]{64}"}.', re.DOTALL)


@dataclass(frozen=True, slots=True)
class TornTail:
    """An incomplete last line: a crash in the middle of a write, or a `living` writer in the middle of one."""

    segment: str
    line: int
    living: bool


@dataclass(frozen=True, slots=True)
class Problem:
    """The first line of a segment that is not what its writer wrote. What follows it proves nothing."""

    segment: str
    line: int
    what: str


@dataclass(slots=True)
class VerifyReport:
    """What was looked at, and what was wrong. The trail is proved when `problems` is empty."""

    segments: int = 0
    records: int = 0
    torn_tails: list[TornTail] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def verify(segments: Path) -> VerifyReport:
    """Checks the whole trail.

    Raises:
        StateError: a segment cannot be read.
    """
    report = VerifyReport()
    for path in list_segments(segments):
        with state_errors("read", path), path.open("rb", buffering=1 << 20) as file:
            living = is_living(file.fileno())
            chain = _Chain(path.stem)
            what, torn = chain.read(file)
            if what and living:
                # The writer may have cut back half a record between two of our reads: that reads well the second time.
                file.seek(0)
                chain = _Chain(path.stem)
                what, torn = chain.read(file)
        report.segments += 1
        report.records += chain.records
        if what:
            report.problems.append(Problem(path.stem, chain.records + 1, what))
        elif torn:
            report.torn_tails.append(TornTail(path.stem, chain.records + 1, living))
    return report


class _BrokenRuleError(Exception):
    """What is wrong with a record."""


class _Chain:
    """A segment's hash and numbers, as they must go on."""

    def __init__(self, segment: str) -> None:
        self.records = 0
        self._segment = segment
        self._hash = FIRST_HASH
        self._closed = False
        self._sent = 0
        self._reserved = 0
        self._waiting: set[int] = set()
        self._rules: dict[object, Callable[[dict[str, Any]], None]] = {
            "segment": self._check_header,
            "reserved": self._check_reserved,
            "intent": self._check_intent,
            "outcome": self._check_outcome,
            "event": _check_nothing,
            "closed": self._check_closed,
        }

    def read(self, file: BinaryIO) -> tuple[str | None, bool]:
        """What is wrong with the record after the good ones, None if nothing; and whether the tail is torn."""
        try:
            for line in file:
                if not line.endswith(b"\n"):
                    self._check_tail(line)
                    return None, True
                self._check(line)
                self.records += 1
        except _BrokenRuleError as broken:
            return str(broken), False
        return (None if self.records else "it has no header"), False

    def _check(self, line: bytes) -> None:
        body, seal = line[:-SEAL_LENGTH], line[-SEAL_LENGTH:]
        digest = chain_hash(self._hash, body)
        if seal != SEAL_START + digest + SEAL_END:
            raise _BrokenRuleError("its hash does not follow from it and the line before it")
        self._hash = digest
        self._check_rules(line)

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

    def _check_tail(self, tail: bytes) -> None:
        if self._closed:
            raise _BrokenRuleError("it stands after the segment was closed")
        if _SEALED_AND_MORE.search(tail):
            raise _BrokenRuleError("it goes on after its hash, as no torn record does")

    def _check_header(self, record: dict[str, Any]) -> None:
        if record["segment"] != self._segment:
            raise _BrokenRuleError(f"the header names segment {record['segment']!r}")
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


def _check_nothing(_event: dict[str, Any]) -> None:
    """An event takes no number."""
