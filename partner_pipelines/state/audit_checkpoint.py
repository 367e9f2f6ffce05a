"""One checkpoint as bytes: what it says of the segments, its chain, its signature. Source: docs/audit-format.md.

A checkpoint lists the segments that are new or longer than in the one before it; the first of each file lists all.
Signed are the line's bytes before `,"signature":`; `previous` is SHA-256 over the whole line before, its newline too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Self

import orjson

from partner_pipelines.state.audit_signing import SIGNATURE_LENGTH, SigningKey, VerifyKey

SCHEMA = 1
START = b'{"kind":"checkpoint","schema":'
FIRST_PREVIOUS = "0" * 64
SIGNATURE_START = b',"signature":"'
SIGNATURE_END = b'"}\n'
SEAL_LENGTH = len(SIGNATURE_START) + SIGNATURE_LENGTH + len(SIGNATURE_END)

_HASH = re.compile(r"[0-9a-f]{64}")
_KINDS = ("checkpoint", "handover")


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a segment is signed: whole records, their bytes, the hash (hex) of the last one."""

    records: int
    bytes: int
    head: str

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Raises ValueError, KeyError, TypeError."""
        mark = cls(facts["records"], facts["bytes"], facts["head"])
        if not (type(mark.records) is type(mark.bytes) is int and 0 < mark.records < mark.bytes):
            raise ValueError(mark)
        if not _HASH.fullmatch(mark.head):
            raise ValueError(mark)
        return mark


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A line of `audit/checkpoints/`.

    `key` is the fingerprint of the key that signed it. A `handover` is signed by the old key and names the new one in
    `public_key`; the checkpoint after it `replaces` the old one's fingerprint. The first of all carries its own key.
    """

    kind: str
    number: int
    at: str
    key: str
    previous: str
    complete: bool = False
    segments: Mapping[str, Mark] = field(default_factory=dict)
    purged: Mapping[str, Mark] = field(default_factory=dict)
    public_key: VerifyKey | None = None
    replaces: str | None = None

    def to_line(self, key: SigningKey) -> bytes:
        """Signed, as it stands in the file."""
        facts: dict[str, object] = {
            "kind": self.kind,
            "schema": SCHEMA,
            "number": self.number,
            "at": self.at,
            "key": self.key,
            "previous": self.previous,
        }
        if self.kind == "checkpoint":
            facts |= {"complete": self.complete, "segments": _facts(self.segments), "purged": _facts(self.purged)}
        if self.public_key is not None:
            facts["public_key"] = self.public_key.text
        if self.replaces is not None:
            facts["replaces"] = self.replaces
        signed = orjson.dumps(facts)[:-1]
        return signed + SIGNATURE_START + key.sign(signed) + SIGNATURE_END

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """What `to_line` made, its signature unproved. Raises ValueError, KeyError, TypeError for anything else."""
        facts = orjson.loads(line)
        if facts["kind"] not in _KINDS or facts["schema"] != SCHEMA:
            raise ValueError(facts["kind"])
        public_key = facts.get("public_key")
        return cls(
            kind=facts["kind"],
            number=facts["number"],
            at=facts["at"],
            key=facts["key"],
            previous=facts["previous"],
            complete=facts.get("complete") is True,
            segments=_marks(facts.get("segments", {})),
            purged=_marks(facts.get("purged", {})),
            public_key=None if public_key is None else VerifyKey.from_text(public_key),
            replaces=facts.get("replaces"),
        )


def line_hash(line: bytes) -> str:
    """What the next checkpoint calls `previous`."""
    return hashlib.sha256(line).hexdigest()


def is_signed_by(line: bytes, key: VerifyKey) -> bool:
    """Whether this line is one that the key signed."""
    signed, seal = line[:-SEAL_LENGTH], line[-SEAL_LENGTH:]
    if not (seal.startswith(SIGNATURE_START) and seal.endswith(SIGNATURE_END)):
        return False
    return key.proves(seal[len(SIGNATURE_START) : -len(SIGNATURE_END)], signed)


def moment(at: datetime) -> str:
    """A time as checkpoints write it."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _facts(marks: Mapping[str, Mark]) -> dict[str, object]:
    return {name: asdict(mark) for name, mark in marks.items()}


def _marks(found: Mapping[str, Any]) -> dict[str, Mark]:
    return {name: Mark.from_facts(facts) for name, facts in found.items()}
