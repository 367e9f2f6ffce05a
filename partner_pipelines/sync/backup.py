"""A backup is a data directory of its own, true to one moment, made while others work.

What points to something is copied before what it points to, so that nothing in the copy points nowhere:

    1  under the warehouse's lock, so that nothing is merged meanwhile: webhooks that wait, landed answers, the database
    2  the published file, the outbox, and everything that has no place of its own here
    3  the vault: the values of every token in 1 are in it
    4  checkpoints with the key that signed the last of them, then the trail: every call that 1 names is in it, every
       byte of it that the database has read, and everything that the checkpoints list

What is made anew, or means nothing elsewhere, is left out: access tokens, request ledgers, locks, the runs that run.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from partner_pipelines.errors import StateError, UsageError
from partner_pipelines.state.audit_segment import SUFFIX
from partner_pipelines.state.data_directory import STAMP, DataDirectory
from partner_pipelines.state.files import locked, make_directory, state_errors
from partner_pipelines.state.outbox_file import FILE, copy_outbox, outbox_exists
from partner_pipelines.state.private_sqlite import copy_database
from partner_pipelines.state.vault import Vault
from partner_pipelines.sync.process_trail import CHECKPOINT_LOCK
from partner_pipelines.sync.purge import PURGE_LOCK
from partner_pipelines.warehouse.connection import Warehouse

_LEFT_OUT = {
    *("state/tokens", "state/budget", "state/claims", "state/merging", "state/runs", "state/sandbox.json"),
    *("dagster/logs", "dagster/matplotlib", "webhooks/receiver.log", "reports", "demo", "warehouse"),
}
_KEYS = ("audit-signing.pem", "audit-signing.next.pem")
_LATER = {"state/vault", "audit", f"outbox/{FILE}", f"outbox/{FILE}-journal", *(f"state/keys/{name}" for name in _KEYS)}
_FIRST = ("webhooks/inbox", "webhooks/claimed", "state/landing")
_LOCKS = re.compile(r"(.*\.)?lock")
_NAME = re.compile(r"\d{8}T\d{12}Z")
_BUSY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Backup:
    """A finished backup."""

    path: Path
    files: int
    bytes: int


def make_backup(data: DataDirectory, place: Path, *, keep: int | None = None) -> Backup:
    """A copy of the data directory stands in `place`, in a directory named by the time; with `keep`, older ones go.

    Raises:
        UsageError: `place` lies in the data directory.
        StateError: something cannot be read or written; nothing half-made is left.
    """
    if place.resolve().is_relative_to(data.root.resolve()):
        raise UsageError(f"{place} lies in the data directory itself: name another place")
    make_directory(place)
    make_directory(data.state)
    with locked(place / ".lock"), locked(data.state / PURGE_LOCK):
        _clean(place)
        path = place / f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
        with _unfinished(path) as unfinished:
            copy = _Copy(data, unfinished)
            copy.make()
        if keep is not None:
            _remove_older(place, keep)
    return Backup(path, copy.files, copy.bytes)


@contextmanager
def _unfinished(path: Path) -> Iterator[Path]:
    """A directory that gets its name when everything in it is on the disk."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    with state_errors("make the backup", path):
        unfinished.mkdir(0o700)
        try:
            yield unfinished
            os.sync()
            unfinished.rename(path)
            os.sync()
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise


def _clean(place: Path) -> None:
    """What a killed backup left, or was removing."""
    with state_errors("clean", place):
        for left in (*place.glob(".*.unfinished"), *place.glob(".*.removed")):
            shutil.rmtree(left)


def _remove_older(place: Path, keep: int) -> None:
    with state_errors("remove older backups in", place):
        found = sorted(path for path in place.iterdir() if _NAME.fullmatch(path.name) and (path / STAMP).exists())
        for old in found[: max(0, len(found) - keep)]:
            removed = old.rename(old.with_name(f".{old.name}.removed"))
            shutil.rmtree(removed)


class _Copy:
    """One copy while it is made. Methods raise OSError, StateError."""

    def __init__(self, data: DataDirectory, target: Path) -> None:
        self.files = 0
        self.bytes = 0
        self._data = data
        self._target = target

    def make(self) -> None:
        warehouse = Warehouse(self._data)
        with warehouse.locked():
            for name in _FIRST:
                self._copy_tree(self._data.root / name)
            for path in sorted(self._data.warehouse.glob(f"{warehouse.path.name}*")):  # its log, if a kill left one
                self._copy_file(path)
        self._copy_published()
        self._copy_outbox()
        self._copy_tree(self._data.root)
        self._copy_vault()
        self._copy_trail()
        self._target.chmod(self._data.root.stat().st_mode & 0o777)

    def _copy_published(self) -> None:
        link = self._data.published
        if link.is_symlink():
            self._copy_file(link.parent / link.readlink())
            (self._make(link.parent) / link.name).symlink_to(link.readlink())

    def _copy_outbox(self) -> None:
        """After the database, which names the last change of the outbox that it shows."""
        if outbox_exists(self._data.outbox):
            target = self._make(self._data.outbox) / FILE
            copy_outbox(self._data.outbox, target)
            self._count(target)

    def _copy_vault(self) -> None:
        vault = self._data.vault
        if vault.exists():
            target = self._make(vault.parent) / vault.name
            Vault(vault).copy_to(target)
            self._count(target)

    def _copy_trail(self) -> None:
        with locked(self._data.state / CHECKPOINT_LOCK):
            for name in _KEYS:
                self._copy_file(self._data.signing_key.with_name(name))
            self._copy_lines(self._data.checkpoints)
        self._copy_lines(self._data.segments)

    def _copy_lines(self, directory: Path) -> None:
        for path in sorted(directory.glob(f"[!.]*{SUFFIX}")):
            self._copy_file(path)
            _cut_to_lines(self._make(path.parent) / path.name)

    def _copy_tree(self, directory: Path) -> None:
        """Files that are copied already stay as they are; what goes meanwhile is left out."""
        try:
            entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
            self._make(directory)
        except FileNotFoundError:
            return
        for entry in entries:
            path = Path(entry.path)
            name = path.relative_to(self._data.root).as_posix()
            if name in _LEFT_OUT | _LATER or entry.name.startswith(".") or _LOCKS.fullmatch(entry.name):
                continue
            if entry.is_dir():
                self._copy_tree(path)
            elif entry.is_file():
                self._copy_file(path)

    def _copy_file(self, path: Path) -> None:
        target = self._target / path.relative_to(self._data.root)
        if target.exists() or path.name.endswith((".db-wal", ".db-shm", ".db-journal")):
            return
        try:
            self._make(path.parent)
            if path.suffix == ".db":
                _copy_sqlite(path, target)
            else:
                shutil.copyfile(path, target)
                shutil.copystat(path, target)
        except FileNotFoundError:
            target.unlink(missing_ok=True)
            return
        self._count(target)

    def _make(self, directory: Path) -> Path:
        """The copy of a directory and those above it, with the modes that they have."""
        target = self._target / directory.relative_to(self._data.root)
        if not target.exists():
            self._make(directory.parent)
            target.mkdir(directory.stat().st_mode & 0o777)
        return target

    def _count(self, target: Path) -> None:
        self.files += 1
        self.bytes += target.stat().st_size


def _copy_sqlite(path: Path, target: Path) -> None:
    """Dagster writes its databases all the time, in WAL mode: a plain copy of one could be half of a write."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=_BUSY_SECONDS)) as database:
            copy_database(database, target)
    except sqlite3.Error as error:
        if not path.exists():
            raise FileNotFoundError(path) from error
        raise StateError(f"cannot copy {path}: {error}") from error
    shutil.copymode(path, target)


def _cut_to_lines(target: Path) -> None:
    """The last record may have been half-written when it was copied."""
    with target.open("r+b") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 65_536)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                if start + found + 1 < size:
                    file.truncate(start + found + 1)
                return
            end = start
