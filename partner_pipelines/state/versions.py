"""Which version of this program wrote a file: asked before anything is begun, so that a newer one's stay as they are.

Each format says its number where no later one may move it, and its owner knows the newest (docs/design.md, "Upgrades").
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from partner_pipelines.errors import NewerSchemaError
from partner_pipelines.state import (
    access_token,
    audit_checkpoint,
    audit_segment,
    budget_file,
    claims_file,
    landing,
    outbox_file,
    scopes,
    vault,
)
from partner_pipelines.state.data_directory import DataDirectory, check_stamp_version
from partner_pipelines.state.files import state_errors


@dataclass(frozen=True, slots=True)
class _Format:
    """`read` finds the number in a file's first `length` bytes; ValueError and its kin where there is none."""

    known: int
    read: Callable[[bytes], object]
    length: int

    def check(self, path: Path) -> None:
        """Raises NewerSchemaError; StateError where the file cannot be read. One that has gone meanwhile is none."""
        with state_errors("read", path), suppress(FileNotFoundError):
            with path.open("rb") as file:
                head = file.read(self.length)
            with suppress(ValueError, KeyError, TypeError, RecursionError):  # damaged: its reader says so
                NewerSchemaError.check(path, self.read(head), self.known)


def _after(prefix: bytes) -> Callable[[bytes], int]:
    """The number that follows these bytes at the beginning of a file."""

    def read(head: bytes) -> int:
        before, found, rest = head.partition(prefix)
        if before or not found:
            raise ValueError("no number")
        return int(rest[:20].partition(b",")[0])

    return read


def _at(place: int, order: Literal["big", "little"], magic: bytes) -> Callable[[bytes], int]:
    """The number in the four bytes at this place of a file that begins with these bytes."""

    def read(head: bytes) -> int:
        if not head.startswith(magic):
            raise ValueError("another format")
        return int.from_bytes(head[place : place + 4], order)

    return read


def _in_object(head: bytes) -> object:
    return json.loads(head)["schema"]


DAGSTER_HOME_SCHEMA = 1
_DAGSTER_HOME = _Format(DAGSTER_HOME_SCHEMA, _in_object, 1 << 20)
_TOKEN = _Format(access_token.SCHEMA, _in_object, 1 << 20)
_SCOPES = _Format(scopes.SCHEMA, _in_object, 1 << 20)
_LANDED = _Format(landing.SCHEMA, _after(b'{"schema":'), 64)
_SEGMENT = _Format(audit_segment.SCHEMA, _after(b'{"kind":"segment","schema":'), 64)
_CHECKPOINTS = _Format(audit_checkpoint.SCHEMA, _after(audit_checkpoint.START), 64)
# SQLite's `user_version` (its file format, 1.3) and the ledger's version: reading them opens no database, takes no lock
_IN_SQLITE = _at(60, "big", b"SQLite format 3\0")
_VAULT = _Format(vault.SCHEMA, _IN_SQLITE, 64)
_OUTBOX = _Format(outbox_file.SCHEMA, _IN_SQLITE, 64)
_CLAIMS = _Format(claims_file.SCHEMA, _IN_SQLITE, 64)
_LEDGER = _Format(budget_file.VERSION, _at(8, "little", budget_file.MAGIC), 12)


def refuse_newer_state(data: DataDirectory) -> None:
    """Returns when this version knows the stamps and every file of `state/`. Changes nothing.

    Raises:
        NewerSchemaError: a newer version wrote one of them.
        StateError: one cannot be read.
    """
    check_stamp_version(data.root)
    for path, form in _files(data):
        form.check(path)


def refuse_newer_landed(paths: Iterable[Path]) -> None:
    """Returns when this version knows these landed files. Raises NewerSchemaError, StateError."""
    for path in paths:
        _LANDED.check(path)


def refuse_newer_segments(paths: Iterable[Path]) -> None:
    """Returns when this version knows these segments of the trail. Raises NewerSchemaError, StateError."""
    for path in paths:
        _SEGMENT.check(path)


def _files(data: DataDirectory) -> Iterator[tuple[Path, _Format]]:
    places = (
        (data.vault.parent, data.vault.name, _VAULT),
        (data.outbox, outbox_file.FILE, _OUTBOX),
        (data.tokens, "*.json", _TOKEN),
        (data.checkpoints, "*.jsonl", _CHECKPOINTS),
        (data.revocations / "pending", "*.json", _TOKEN),
        (data.scopes, "*.json", _SCOPES),
        (data.budget, "*.ledger", _LEDGER),
        (data.claims, "*.sqlite", _CLAIMS),
        (data.dagster, "partner_pipelines.json", _DAGSTER_HOME),
        (data.landing, f"*/[!.]*{landing.SUFFIX}", _LANDED),
    )
    for directory, pattern, form in places:
        for path in sorted(directory.glob(pattern)):
            yield path, form
