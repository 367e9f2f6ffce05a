"""The files of checkpoints: JSON lines that are only ever appended to, each file begun by a complete checkpoint.

A file's name is the number of its first checkpoint, so that what has to be read to go on does not grow with the trail.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from partner_pipelines.errors import StateError
from partner_pipelines.state.audit_checkpoint import Checkpoint, Mark, line_hash
from partner_pipelines.state.files import create_atomically, make_directory, state_errors

SUFFIX = ".jsonl"
MAX_LINES = 1_000
_NAME_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Last:
    """The last checkpoint, and what all of them say together: `marks` by segment, without those that were purged."""

    checkpoint: Checkpoint
    line: bytes
    marks: Mapping[str, Mark]
    path: Path
    lines: int
    size: int


def list_files(directory: Path) -> list[Path]:
    """The files in the order of their checkpoints; none when nothing was signed yet. Raises StateError."""
    with state_errors("read", directory):
        try:
            return sorted(path for path in directory.iterdir() if path.suffix == SUFFIX)
        except FileNotFoundError:
            return []


def split_lines(content: bytes) -> list[bytes]:
    """The lines with their ends; the last one may have none. Unlike `splitlines`, at newlines alone."""
    return list(io.BytesIO(content))


def read_last(directory: Path, known: Last | None = None) -> Last | None:
    """The last checkpoint; None when there is none. `known` is what was read or written here before.

    Its signature is not proved, the hashes that lead to it are.

    Raises:
        StateError: the last file cannot be read or is damaged.
    """
    files = list_files(directory)
    if not files:
        return None
    path = files[-1]
    if known is not None and known.path == path and _size(path) == known.size:
        return known
    with state_errors("read", path):
        content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    lines = split_lines(whole)
    try:
        return _fold(lines, path, len(whole))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StateError(
            f"{path} is damaged, and no checkpoint can follow it: run `partner-pipelines audit verify`"
        ) from error


def append(directory: Path, last: Last | None, lines: Sequence[bytes]) -> Last:
    """The lines follow `last`, on the disk. Returns the new last one. Raises StateError."""
    checkpoint = Checkpoint.from_line(lines[-1])
    if last is None or (last.lines >= MAX_LINES and checkpoint.complete):
        make_directory(directory)
        path = directory / f"{checkpoint.number:0{_NAME_DIGITS}}{SUFFIX}"
        if not create_atomically(path, b"".join(lines)):
            raise StateError(f"{path} was there already: run `partner-pipelines audit verify`")
        before, count = 0, 0
    else:
        path, before, count = last.path, last.size, last.lines
        _append(path, before, b"".join(lines))
    marks = _after(dict(last.marks) if last else {}, checkpoint)
    return Last(checkpoint, lines[-1], marks, path, count + len(lines), before + sum(map(len, lines)))


def append_synced(path: Path, whole: int, content: bytes) -> None:
    """The file's first `whole` bytes, and `content` behind them, are on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        if os.fstat(descriptor).st_size > whole:  # half a line, by a crash in the middle of a write
            os.ftruncate(descriptor, whole)
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _append(path: Path, whole: int, content: bytes) -> None:
    with state_errors("write", path):
        append_synced(path, whole, content)


def _fold(lines: Sequence[bytes], path: Path, size: int) -> Last:
    marks: dict[str, Mark] = {}
    before: Checkpoint | None = None
    previous = ""
    for line in lines:
        checkpoint = Checkpoint.from_line(line)
        follows = before is None or (checkpoint.previous, checkpoint.number) == (previous, before.number + 1)
        if not follows or (before is None and not checkpoint.complete):
            raise ValueError(checkpoint.number)
        marks = _after(marks, checkpoint)
        before, previous = checkpoint, line_hash(line)
    if before is None:
        raise ValueError("no checkpoint")
    return Last(before, lines[-1], marks, path, len(lines), size)


def _after(marks: dict[str, Mark], checkpoint: Checkpoint) -> dict[str, Mark]:
    marks |= checkpoint.segments
    for name in checkpoint.purged:
        marks.pop(name, None)
    return marks


def _size(path: Path) -> int:
    with state_errors("read", path):
        return path.stat().st_size
