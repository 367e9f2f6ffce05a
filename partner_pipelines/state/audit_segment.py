"""One segment of the audit trail as bytes: its name, lock, chain and end. Source: docs/audit-format.md, schema 1."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Self

import orjson

from partner_pipelines.state.files import PRIVATE_FILE, state_errors, sync_directory
from partner_pipelines.state.process import boot_id

SCHEMA = 1
SUFFIX = ".jsonl"
MAX_UNSENT = 50
"""How many numbers may be reserved and unsent: the most that power loss can leave in doubt."""

FIRST_HASH = b"0" * 64
SEAL_START = b',"hash":"'
SEAL_END = b'"}\n'
SEAL_LENGTH = len(SEAL_START) + len(FIRST_HASH) + len(SEAL_END)
_TURN = 50  # records

_UTC = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC


def chain_hash(previous: bytes, body: bytes) -> bytes:
    """The hash (hex) of a line: over the previous line's hash and the line's bytes up to its own `,"hash":`."""
    return hashlib.sha256(previous + body).hexdigest().encode()


def is_living(descriptor: int) -> bool:
    """Whether a writer holds the open segment. Ask before reading to the end: what it wrote until now is then there."""
    try:
        # Shared, so that two readers who ask at once do not take each other for the writer.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def follow_chain(file: BinaryIO, head: bytes) -> tuple[int, int, bytes]:
    """How far the chain goes on from here, where the last hash was `head`: records, their bytes, the last one's hash.

    It ends before a line that is not whole, or whose hash does not follow. Other threads get their turn in between.
    """
    records = length = 0
    for line in file:
        digest = chain_hash(head, line[:-SEAL_LENGTH])
        if line[-SEAL_LENGTH:] != SEAL_START + digest + SEAL_END:
            break
        head = digest
        records += 1
        length += len(line)
        if records % _TURN == 0:
            time.sleep(0)
    return records, length, head


def list_segments(directory: Path, without: AbstractSet[str] = frozenset()) -> list[Path]:
    """The segments by age, but for those of these names; none when nothing was ever called.

    Raises:
        StateError: the directory cannot be read.
    """
    with state_errors("read", directory):
        try:
            names = os.listdir(directory)  # noqa: PTH208 -- of thousands of finished ones no path is made
        except FileNotFoundError:
            return []
    wanted = (name for name in names if name.endswith(SUFFIX) and name[: -len(SUFFIX)] not in without)
    return [directory / name for name in sorted(wanted)]


class Segment:
    """A segment that is being written. Not thread-safe; every method may raise OSError.

    `is_whole` is False once the file's end is not known or nobody sees it: nothing may be written to it any more.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.name = path.stem
        self.is_whole = True
        self._path = os.fspath(path)
        self._descriptor = descriptor
        self._identity = _identity(os.fstat(descriptor))
        self._size = 0
        self._hash = FIRST_HASH

    @classmethod
    def create(cls, directory: Path, version: str) -> Self:
        """A new segment, locked, its header and its name on the disk."""
        opened_at = datetime.now(UTC)
        name = f"{opened_at:%Y%m%dT%H%M%SZ}-{os.getpid()}-{secrets.token_hex(4)}"
        # Under a name that no reader looks at until it is locked and has its header: a reader that came earlier would
        # take it for the segment of a dead writer.
        unborn = directory / f".{name}"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        segment = cls(directory / f"{name}{SUFFIX}", os.open(unborn, flags, PRIVATE_FILE))
        try:
            fcntl.flock(segment._descriptor, fcntl.LOCK_EX)
            segment.append(_header(name, opened_at, version))
            os.fsync(segment._descriptor)
            unborn.rename(segment.path)
            sync_directory(directory)
        except BaseException:
            segment.release()
            unborn.unlink(missing_ok=True)
            raise
        return segment

    def append_visibly(self, record: Mapping[str, object], *, synced: bool = False) -> None:
        """The record is in the file that everybody sees; with `synced` it is on the disk too."""
        self.append(record)
        if synced:
            self._sync()
        self._check_visible()

    def append(self, record: Mapping[str, object]) -> None:
        """The record is in the file. For what cannot be prevented any more, as an outcome: looking costs more."""
        body = _to_json(record)[:-1]
        digest = chain_hash(self._hash, body)
        line = body + SEAL_START + digest + SEAL_END
        try:
            _write_at_once(self._descriptor, line)
        except OSError:
            self._cut_back()
            raise
        self._size += len(line)
        self._hash = digest

    def release(self) -> None:
        """Closed and unlocked."""
        os.close(self._descriptor)

    def _sync(self) -> None:
        self.is_whole = False  # after a failed sync the kernel may have dropped what it could not write
        os.fdatasync(self._descriptor)
        self.is_whole = True

    def _cut_back(self) -> None:
        self.is_whole = False
        os.ftruncate(self._descriptor, self._size)
        self.is_whole = True

    def _check_visible(self) -> None:
        # After the write, not before: then the record was visible at a moment at which it was written.
        self.is_whole = False
        try:
            visible = _identity(os.stat(self._path)) == self._identity  # noqa: PTH116 -- half the time of Path.stat
        except (FileNotFoundError, NotADirectoryError):
            visible = False
        if not visible:
            raise FileNotFoundError(errno.ENOENT, f"somebody removed {self.path.name} while it was written")
        self.is_whole = True


def _write_at_once(descriptor: int, line: bytes) -> None:
    written = os.write(descriptor, line)
    if written != len(line):
        raise OSError(errno.ENOSPC, f"only {written} of {len(line)} bytes were taken")


def _identity(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino


def _header(name: str, opened_at: datetime, version: str) -> dict[str, object]:
    return {
        "kind": "segment",
        "schema": SCHEMA,
        "segment": name,
        "boot_id": boot_id(),
        "pid": os.getpid(),
        "opened_at": opened_at,
        "version": version,
    }


def _to_json(record: Mapping[str, object]) -> bytes:
    try:
        return orjson.dumps(record, option=_UTC)
    except TypeError:
        # Text from a partner can hold what UTF-8 cannot (half a surrogate pair): that must not stop the record.
        return orjson.dumps(_sayable(record), option=_UTC)


def _sayable(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(_sayable(str(name))): _sayable(part) for name, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_sayable(part) for part in value]
    if value is None or isinstance(value, (bool, float, datetime)):
        return value
    if isinstance(value, int) and value.bit_length() < 64:
        return value
    return str(value).encode("utf-8", "backslashreplace").decode()
