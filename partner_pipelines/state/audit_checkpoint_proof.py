"""Proof of the checkpoints: every signature, number and hash from the first one on, and the copy beside them.

What is trusted is the key in use. An older key counts for what it signed before it handed over to the next one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from partner_pipelines.errors import NewerSchemaError
from partner_pipelines.state.audit_chain import Claim
from partner_pipelines.state.audit_checkpoint import (
    FIRST_PREVIOUS,
    SCHEMA,
    Checkpoint,
    is_signed_by,
    line_hash,
)
from partner_pipelines.state.audit_checkpoint_files import list_files, split_lines
from partner_pipelines.state.audit_signing import VerifyKey
from partner_pipelines.state.files import state_errors

_SIGNED_AND_MORE = re.compile(rb',"signature":"[A-Za-z0-9+/=]{88}"}.', re.DOTALL)

_NO_CHECKPOINT = (ValueError, KeyError, TypeError, AttributeError)
_OTHER = f"it is no checkpoint of schema {SCHEMA}"


@dataclass(frozen=True, slots=True)
class BadCheckpoint:
    """The first line of the checkpoints that is not what was signed. What follows it proves nothing."""

    place: str
    line: int
    what: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file of checkpoints, with where it stands; `torn` when it is incomplete."""

    path: Path
    place: str
    line: int
    content: bytes
    torn: bool


@dataclass(slots=True)
class CheckpointProof:
    """What the good checkpoints say, and the first bad one.

    `claims` are by segment, all that was ever signed of it. `standing` are the latest ones of segments that must be
    there, `purged` those of segments that were announced to go.
    """

    checkpoints: int = 0
    last: Checkpoint | None = None
    last_line: Line | None = None
    claims: dict[str, dict[Claim, None]] = field(default_factory=dict)
    standing: dict[str, Claim] = field(default_factory=dict)
    purged: dict[str, Claim] = field(default_factory=dict)
    torn: Line | None = None
    problem: BadCheckpoint | None = None


def read_lines(directory: Path, label: str) -> list[Line]:
    """Every line of a directory of checkpoints, in order. Raises StateError."""
    lines: list[Line] = []
    for path in list_files(directory):
        with state_errors("read", path):
            content = path.read_bytes()
        place = f"{label}/{path.stem}"
        for number, line in enumerate(split_lines(content) or [b""], 1):
            lines.append(Line(path, place, number, line, torn=not line.endswith(b"\n")))
    return lines


def prove(lines: Sequence[Line]) -> CheckpointProof:
    """The lines from the first to the first bad one. Raises NewerSchemaError."""
    return _Walk().over(lines)


class _BrokenRuleError(Exception):
    """What is wrong with a line."""


class _Walk:
    """The chain, as it must go on."""

    def __init__(self) -> None:
        self.proof = CheckpointProof()
        self._key: VerifyKey | None = None
        self._replaces: str | None = None
        self._previous = FIRST_PREVIOUS

    def over(self, lines: Sequence[Line]) -> CheckpointProof:
        for line in lines:
            try:
                if line.torn:
                    self._check_tail(line, is_last=line is lines[-1])
                    self.proof.torn = line
                    break
                self._take(line)
            except _BrokenRuleError as broken:
                self.proof.problem = BadCheckpoint(line.place, line.line, str(broken))
                break
        return self.proof

    def _take(self, line: Line) -> None:
        checkpoint = self._proved(line)
        last = self.proof.last
        if (checkpoint.number, checkpoint.previous) != (last.number + 1 if last else 1, self._previous):
            raise _BrokenRuleError("it does not follow the checkpoint before it")
        self._check_keys(checkpoint)
        self._keep(checkpoint)
        self._previous = line_hash(line.content)
        self.proof.checkpoints += 1
        self.proof.last = checkpoint
        self.proof.last_line = line

    def _proved(self, line: Line) -> Checkpoint:
        try:
            key = self._key or VerifyKey.from_text(orjson.loads(line.content)["public_key"])
        except _NO_CHECKPOINT as error:
            raise _BrokenRuleError(_OTHER) from error
        if not is_signed_by(line.content, key):
            raise _BrokenRuleError("its signature is not one of the key that had to sign it")
        try:
            NewerSchemaError.check(line.path, orjson.loads(line.content)["schema"], SCHEMA)
            checkpoint = Checkpoint.from_line(line.content)
        except _NO_CHECKPOINT as error:
            raise _BrokenRuleError(_OTHER) from error
        if checkpoint.key != key.fingerprint:
            raise _BrokenRuleError("it names another key than the one that signed it")
        self._key = key
        return checkpoint

    def _check_keys(self, checkpoint: Checkpoint) -> None:
        if checkpoint.replaces != self._replaces or (self._replaces and checkpoint.kind != "checkpoint"):
            raise _BrokenRuleError("a new key must begin with a checkpoint that names the one that it replaces")
        self._replaces = None
        if checkpoint.kind == "handover":
            if checkpoint.public_key is None or self.proof.last is None:
                raise _BrokenRuleError("it hands over to no key")
            self._replaces = checkpoint.key
            self._key = checkpoint.public_key

    def _keep(self, checkpoint: Checkpoint) -> None:
        where = f"checkpoint {checkpoint.number} ({checkpoint.at})"
        for name, mark in checkpoint.segments.items():
            claim = self.proof.standing.get(name)
            if claim is None or (claim.records, claim.bytes, claim.head) != (mark.records, mark.bytes, mark.head):
                claim = Claim(mark.records, mark.bytes, mark.head, where)
            self.proof.standing[name] = claim
            self.proof.claims.setdefault(name, {})[claim] = None
            self.proof.purged.pop(name, None)
        for name, mark in checkpoint.purged.items():
            self.proof.standing.pop(name, None)
            self.proof.purged[name] = Claim(mark.records, mark.bytes, mark.head, where)

    def _check_tail(self, line: Line, *, is_last: bool) -> None:
        if not is_last:
            raise _BrokenRuleError("it is incomplete, and others follow it")
        if _SIGNED_AND_MORE.search(line.content):
            raise _BrokenRuleError("it goes on after its signature, as no torn one does")
        if line.line == 1:
            raise _BrokenRuleError("the file begins with half a checkpoint; a file gets its name with a whole one")
