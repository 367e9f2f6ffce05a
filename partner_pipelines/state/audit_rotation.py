"""Another key for checkpoints: the old one signs a hand-over to it, the new one signs the checkpoint behind that.

Both signatures are needed. Without the old one's anybody's key could follow; without the new one's, whoever has an old
key could end a chain of his own with a hand-over to the key in use, and have the program go on with it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from partner_pipelines.clock import now
from partner_pipelines.errors import StateError, UsageError
from partner_pipelines.state.audit_checkpoint import Checkpoint, is_signed_by, line_hash, moment
from partner_pipelines.state.audit_checkpoint_files import Last, append, read_last
from partner_pipelines.state.audit_checkpoints import CheckpointPlaces, Checkpoints, changed_segments
from partner_pipelines.state.audit_signing import SigningKey

_WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Rotation:
    """Fingerprints: of the key that was in use, and of the one that is from now on."""

    old: str
    new: str


def rotate_key(places: CheckpointPlaces, new: SigningKey | None) -> Rotation:
    """The checkpoints go on with another key. A rotation that was cut short is finished by the next call.

    Args:
        places: with the old key as the one in use.
        new: the next key, for whoever keeps it himself; None makes one, in the place of the old one in `state/`.

    Raises:
        UsageError: nothing is signed yet; the key in use is not made by this program and `new` is None.
        StateError: the last checkpoint is not the old key's; something cannot be read or written.
    """
    checkpoints = Checkpoints(places)
    with checkpoints.held(_WAIT_SECONDS) as held:
        if not held:
            raise StateError(f"another process holds {places.lock}: try again")
        old, last = places.keys.load(), read_last(places.directory)
        if old is None or last is None:
            raise UsageError("nothing is signed yet: the first checkpoint is made by the next run")
        checkpoints.settle_first_key()
        own = new is None
        new = new or _next_key(places)
        if not _is_begun_by(last, new):
            append(places.directory, last, _lines(places, last, old, new))
        if own:
            places.keys.put_in_place()
    with suppress(StateError):  # the next process makes up for it, and tells
        checkpoints.copy(wait_seconds=_WAIT_SECONDS)
    return Rotation(old.fingerprint, new.fingerprint)


def _next_key(places: CheckpointPlaces) -> SigningKey:
    if places.keys.reference is not None:
        raise UsageError(
            f"{places.keys.reference.setting} gives the key: make the next one "
            "(`openssl genpkey -algorithm ed25519`), name its file with --to, then set it"
        )
    return places.keys.make_next()


def _is_begun_by(last: Last, new: SigningKey) -> bool:
    return last.checkpoint.key == new.fingerprint and is_signed_by(last.line, new.public)


def _lines(places: CheckpointPlaces, last: Last, old: SigningKey, new: SigningKey) -> list[bytes]:
    if last.checkpoint.key != old.fingerprint or not is_signed_by(last.line, old.public):
        raise StateError(
            f"the last checkpoint in {places.directory} is not one of the key in use ({old.fingerprint[:16]}): "
            "only the key that signed it can hand over to another one"
        )
    lines, at = [], moment(now())
    number, previous = last.checkpoint.number + 1, line_hash(last.line)
    if last.checkpoint.kind == "checkpoint":
        handover = Checkpoint("handover", number, at, old.fingerprint, previous, public_key=new.public)
        lines.append(handover.to_line(old))
        number, previous = number + 1, line_hash(lines[0])
    elif last.checkpoint.public_key != new.public:
        raise StateError("a rotation to another key was cut short: finish that one first")
    changed = changed_segments(places.segments, last.marks)
    begun = Checkpoint("checkpoint", number, at, new.fingerprint, previous, segments=changed, replaces=old.fingerprint)
    return [*lines, begun.to_line(new)]
