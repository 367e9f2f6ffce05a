"""Writing checkpoints: what every segment held at a moment, signed. One process at a time, under a lock.

Nothing that is signed already is looked at again: what somebody changed there cannot get into a later checkpoint.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from partner_pipelines.clock import now
from partner_pipelines.errors import StateError
from partner_pipelines.state.audit_checkpoint import (
    FIRST_PREVIOUS,
    Checkpoint,
    Mark,
    is_signed_by,
    line_hash,
    moment,
)
from partner_pipelines.state.audit_checkpoint_files import MAX_LINES, Last, append, read_last
from partner_pipelines.state.audit_copy import CheckpointCopy
from partner_pipelines.state.audit_purge import PurgedSegment
from partner_pipelines.state.audit_segment import FIRST_HASH, SUFFIX, follow_chain, list_segments
from partner_pipelines.state.audit_signing import KeySource, SigningKey
from partner_pipelines.state.files import locked_within, make_directory, state_errors

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_TURN = 100  # segments
_EMPTY = Mark(0, 0, FIRST_HASH.decode())


@dataclass(frozen=True, slots=True)
class CheckpointPlaces:
    """Where the trail, its checkpoints, their lock and their key are; `copy` is the second place, if there is one."""

    segments: Path
    directory: Path
    lock: Path
    keys: KeySource
    copy: Path | None = None


class Checkpoints:
    """The checkpoints of one trail, as one process writes them. Not thread-safe."""

    def __init__(self, places: CheckpointPlaces) -> None:
        self.places = places
        self._known: Last | None = None
        self._copy = CheckpointCopy(places.directory, places.copy) if places.copy else None

    def write(self, purged: Sequence[PurgedSegment] = (), *, wait_seconds: float = 0) -> bool:
        """What the segments hold now is signed, on the disk; nothing is written when nothing has changed since.

        Args:
            purged: segments that go next, their records in the trail already.
            wait_seconds: for another process that is at it; False when that still is.

        Raises:
            StateError: a segment, the key or the checkpoints cannot be read, or the new one cannot be written.
        """
        with self.held(wait_seconds) as held:
            if held:
                self._write({gone.segment: Mark(gone.records, gone.bytes, gone.head) for gone in purged})
            return held

    def copy(self, *, wait_seconds: float = 0) -> bool:
        """Every checkpoint is in the second place too, if there is one. Raises StateError; as `write`.

        Under a lock of its own: a second place that hangs, as a network's may, keeps nobody from signing.
        """
        if self._copy is None:
            return True
        make_directory(self.places.lock.parent)
        with locked_within(self.places.lock.with_name("checkpoint-copy.lock"), wait_seconds) as held:
            if held:
                self._copy.make_up()
            return held

    def held(self, wait_seconds: float) -> AbstractContextManager[bool]:
        """Whether nobody else writes checkpoints inside. Raises StateError."""
        make_directory(self.places.lock.parent)
        return locked_within(self.places.lock, wait_seconds)

    def last(self, key: SigningKey) -> Last | None:
        """The last checkpoint, which this key signed. Call it inside `held`. Raises StateError."""
        last = read_last(self.places.directory, self._known)
        if last is None and self._known is not None:
            raise StateError(f"the checkpoints in {self.places.directory} are gone")
        if last is not None and last is not self._known and not is_signed_by(last.line, key.public):
            raise StateError(
                f"the last checkpoint in {self.places.directory} is not one of the key in use "
                f"({key.fingerprint[:16]}): use the one that signed it, or run `partner-pipelines audit rotate-key`"
            )
        if last is not None and last.checkpoint.kind != "checkpoint":
            raise StateError("a rotation of the key was cut short: run `partner-pipelines audit rotate-key` again")
        self._known = last
        return last

    def _write(self, purged: Mapping[str, Mark]) -> None:
        key = self._key()
        if key is None:
            return
        last = self.last(key)
        if last is not None and last.checkpoint.key != key.fingerprint:
            self._known = None  # the key is another one since: look again, with all checks
            last = self.last(key)
        if last is not None:
            self.settle_first_key()
        marks = last.marks if last else {}
        changed = changed_segments(self.places.segments, marks)
        if not changed and not purged:
            return
        complete = last is None or last.lines >= MAX_LINES
        checkpoint = Checkpoint(
            kind="checkpoint",
            number=last.checkpoint.number + 1 if last else 1,
            at=moment(now()),
            key=key.fingerprint,
            previous=line_hash(last.line) if last else FIRST_PREVIOUS,
            complete=complete,
            segments={**marks, **changed} if complete else changed,
            purged=purged,
            public_key=None if last else key.public,
        )
        self._known = append(self.places.directory, last, [checkpoint.to_line(key)])
        self.settle_first_key()

    def settle_first_key(self) -> None:
        """A key that lies in its place says that there are checkpoints: it comes there after the first of them."""
        keys = self.places.keys
        with state_errors("read", keys.file):
            if keys.reference is None and not keys.file.exists():
                keys.put_in_place()

    def _key(self) -> SigningKey | None:
        """None where there is nothing to sign yet."""
        key = self.places.keys.load()
        if key is not None:
            return key
        if read_last(self.places.directory) is not None:
            raise StateError(
                f"{self.places.keys.file} is gone, and the checkpoints in {self.places.directory} are signed with it: "
                "restore it from a backup"
            )
        return self.places.keys.make_next() if list_segments(self.places.segments) else None


def changed_segments(segments: Path, marks: Mapping[str, Mark]) -> dict[str, Mark]:
    """What each segment holds that has grown beyond its mark, on the disk. Raises StateError."""
    changed = {}
    for name in _grown(segments, marks):
        mark = marks.get(name, _EMPTY)
        now_there = _follow(segments / f"{name}{SUFFIX}", mark)
        if now_there != mark:
            changed[name] = now_there
    return changed


def _grown(segments: Path, marks: Mapping[str, Mark]) -> list[str]:
    """Every segment is asked for its size, each time: so by the cheapest way, with turns for other threads."""
    grown = []
    with state_errors("read", segments):
        try:
            entries = os.scandir(segments)
        except FileNotFoundError:
            return []
        with entries:
            for count, entry in enumerate(entries):
                if count % _TURN == 0:
                    time.sleep(0)
                name = entry.name.removesuffix(SUFFIX)
                if name != entry.name and _NAME.fullmatch(name) and _size(entry) > marks.get(name, _EMPTY).bytes:
                    grown.append(name)
    return sorted(grown)


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except FileNotFoundError:  # purged since the directory was listed
        return 0


def _follow(path: Path, mark: Mark) -> Mark:
    with state_errors("read", path):
        try:
            with path.open("rb") as file:
                file.seek(mark.bytes)
                records, length, head = follow_chain(file, mark.head.encode())
                if records:
                    # Signed is what power loss cannot take any more
                    os.fdatasync(file.fileno())
        except FileNotFoundError:  # as above
            return mark
    return Mark(mark.records + records, mark.bytes + length, head.decode())
