"""What of a trail is signed: its checkpoints, proved by the key in use, and against the copy where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from partner_pipelines.errors import StateError
from partner_pipelines.state.audit_checkpoint_proof import (
    BadCheckpoint,
    CheckpointProof,
    Line,
    prove,
    read_lines,
)
from partner_pipelines.state.audit_signing import KeySource, VerifyKey
from partner_pipelines.state.files import locked_within

TRAIL, COPY = "checkpoints", "copy"
_WAIT_SECONDS = 5.0


@dataclass(slots=True)
class Signed:
    """`proof` is what the segments are held against. `notes` are nothing bad, and to be told.

    `copied` is how many checkpoints the copy holds, None where no copy was looked at.
    """

    proof: CheckpointProof = field(default_factory=CheckpointProof)
    problems: list[BadCheckpoint] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    copied: int | None = None


def read_signed(directory: Path, keys: KeySource | VerifyKey, copy: Path | None, lock: Path) -> Signed:
    """Proves checkpoints and copy; `keys` is where the key in use is, or the one public key that is trusted.

    `lock` is held by who writes checkpoints.

    Raises:
        StateError, SettingsError: the checkpoints or the key cannot be read. A copy that cannot be read is a note.
        NewerSchemaError: a newer version of this program wrote them.
    """
    signed = _read(directory, keys, copy)
    if not signed.problems:
        return signed
    # A checkpoint or a rotation between two of our reads looks like tampering: look again while nobody writes
    try:
        with locked_within(lock, _WAIT_SECONDS):
            return _read(directory, keys, copy)
    except StateError:  # whoever may only read cannot lock
        return _read(directory, keys, copy)


def _read(directory: Path, keys: KeySource | VerifyKey, copy: Path | None) -> Signed:
    signed = Signed()
    copied = _read_copy(copy, signed)  # before the trail's own, which are written first
    lines = read_lines(directory, TRAIL)
    signed.proof = prove(lines)
    if signed.proof.problem:
        signed.problems.append(signed.proof.problem)
    elif signed.proof.last and isinstance(keys, KeySource) and not keys.file.parent.exists() and not keys.reference:
        signed.notes.append("only the trail is here, without any key: name the public one with --key")
    else:
        signed.problems.extend(_problems_of_key(signed.proof, keys))
    if copied is not None:
        _compare(signed, lines, copied)
    return signed


def _read_copy(copy: Path | None, signed: Signed) -> list[Line] | None:
    if copy is None:
        return None
    try:
        lines = read_lines(copy, COPY)
    except StateError as error:
        signed.notes.append(f"the copy was not looked at: {error}")
        return None
    if not lines:
        signed.notes.append(f"the copy {copy} holds no checkpoints: it was never written, or is not there")
    return lines


def _problems_of_key(proof: CheckpointProof, keys: KeySource | VerifyKey) -> list[BadCheckpoint]:
    key = keys if isinstance(keys, VerifyKey) else _public(keys)
    place, line = (proof.last_line.place, proof.last_line.line) if proof.last_line else (TRAIL, 1)
    what = ""
    if proof.last is None:
        if isinstance(keys, KeySource) and keys.reference is None and keys.file.exists():
            what = f"there are none, and the key that signed them is there ({keys.file.name}): they were removed"
    elif key is None:
        what = "the key that signed it is gone: restore it, or name its public half"
    elif proof.last.kind == "handover":
        what = "a rotation of the key was cut short here: run `partner-pipelines audit rotate-key` again"
    elif proof.last.key != key.fingerprint:
        what = f"it is signed by the key {proof.last.key[:16]}, and the key in use is {key.fingerprint[:16]}"
    return [BadCheckpoint(place, line, what)] if what else []


def _public(keys: KeySource) -> VerifyKey | None:
    key = keys.load()
    return None if key is None else key.public


def _compare(signed: Signed, lines: Sequence[Line], copied: Sequence[Line]) -> None:
    """The copy counts more than the trail: whoever changed the trail had to change it there too."""
    theirs = prove(copied)
    signed.copied = theirs.checkpoints
    ours = signed.proof
    if theirs.problem:
        signed.problems.append(theirs.problem)
    both = min(ours.checkpoints, theirs.checkpoints)
    different = next((at for at in range(both) if lines[at].content != copied[at].content), None)
    if different is not None:
        line = lines[different]
        signed.problems.append(BadCheckpoint(line.place, line.line, "it is signed, and not what the copy holds"))
    elif theirs.checkpoints > ours.checkpoints:
        if ours.problem is None:
            signed.problems.append(_cut(ours, theirs))
    else:
        if not theirs.problem and theirs.checkpoints < ours.checkpoints and copied:
            behind = ours.checkpoints - theirs.checkpoints
            signed.notes.append(f"the copy is {behind:,} checkpoints behind; the next process makes up for it")
        return
    signed.proof = theirs


def _cut(ours: CheckpointProof, theirs: CheckpointProof) -> BadCheckpoint:
    assert theirs.last is not None
    place, line = (ours.last_line.place, ours.last_line.line) if ours.last_line else (TRAIL, 0)
    until = f"ends with {ours.last.number} ({ours.last.at})" if ours.last else "has none"
    what = (
        f"it is missing: the copy goes on to checkpoint {theirs.last.number} ({theirs.last.at}) and the trail {until}: "
        "it was cut, rolled back, or restored from a backup"
    )
    return BadCheckpoint(place, line + 1, what)
