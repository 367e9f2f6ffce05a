"""Answers that are not merged yet: a batch is one synced file. From here on nothing is asked again.

A file's name sorts by the time of its landing, never comes twice, and ends in a checksum of the content: who reads the
file knows whether it is what was written. A name that begins with a dot is a file that is being written, or that its
writer did not live to finish. Each line begins with the number of its format; those of this program's first version
have none and are of schema 1.
"""

from __future__ import annotations

import errno
import os
import secrets
import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from partner_pipelines.clock import now
from partner_pipelines.state.files import make_directory, state_errors, sync_directory, write_synced
from partner_pipelines.state.vault import VaultRow

SCHEMA = 1
SUFFIX = ".jsonl"
DAMAGED = "damaged"
_UNFINISHED_SECONDS = 24 * 3600.0  # more than a clock is ever stepped by while a batch is written
_PARTS = 4  # of a name: TIME-PROCESS-RANDOM-CHECKSUM


@dataclass(frozen=True, slots=True)
class LandedAnswer:
    """One answer, tokenised: its lines for the landing, and the values that the vault must hold before they land."""

    lines: tuple[bytes, ...]
    vault_rows: tuple[VaultRow, ...] = field(repr=False)


class Landing:
    """The landing of one data directory; for any number of processes and threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, connection: str, answers: Sequence[LandedAnswer]) -> Path:
        """The answers survive power loss afterwards, all of them or none. Raises StateError."""
        directory = make_directory(self._directory / connection)
        content = b"".join(line + b"\n" for answer in answers for line in answer.lines)
        unique = f"{now():%Y%m%dT%H%M%S%fZ}-{os.getpid()}-{secrets.token_hex(4)}"
        name = f"{unique}-{_checksum(content)}{SUFFIX}"
        path = directory / name
        unfinished = directory / f".{name}"
        with state_errors("write", path):
            try:
                write_synced(unfinished, content)
                unfinished.rename(path)
            except BaseException:
                unfinished.unlink(missing_ok=True)
                raise
            sync_directory(directory)
        return path

    def waiting(self, connection: str | None = None) -> list[Path]:
        """What is landed, the oldest first. Raises StateError."""
        with state_errors("read", self._directory):
            found = self._directory.glob(f"*/[!.]*{SUFFIX}")
            return sorted(
                (path for path in found if connection in (None, path.parent.name)), key=lambda path: path.name
            )

    def is_whole(self, path: Path) -> bool:
        """The file is what was written. Raises StateError."""
        with state_errors("read", path):
            try:
                content = path.read_bytes()
            except OSError as error:
                if error.errno == errno.EIO:  # the disk has lost it
                    return False
                raise
        parts = path.stem.split("-")
        return _checksum(content) == parts[-1] if len(parts) == _PARTS else _is_json_lines(content)

    def set_aside(self, path: Path) -> Path:
        """The file waits no longer; returns where it is kept, for who wants to look at it. Raises StateError."""
        aside = make_directory(path.parent / DAMAGED) / path.name
        with state_errors("set aside", path):
            path.rename(aside)
            sync_directory(aside.parent)
            sync_directory(path.parent)
        return aside

    def remove(self, paths: Iterable[Path]) -> None:
        """The files are gone afterwards; those that were gone before do not matter. Raises StateError."""
        directories: set[Path] = set()
        with state_errors("remove merged files in", self._directory):
            for path in paths:
                path.unlink(missing_ok=True)
                directories.add(path.parent)
            for directory in directories:
                sync_directory(directory)

    def clean(self) -> None:
        """Removes what dead writers did not finish. Raises StateError."""
        with state_errors("clean", self._directory):
            for unfinished in self._directory.glob(f"*/.*{SUFFIX}"):
                if _is_abandoned(unfinished):
                    unfinished.unlink(missing_ok=True)


def _checksum(content: bytes) -> str:
    return f"{zlib.crc32(content):08x}"


def _is_json_lines(content: bytes) -> bool:
    """All that can be said of a file without a checksum, as the first version of this program landed them."""
    try:
        return all(isinstance(orjson.loads(line), dict) for line in content.splitlines())
    except orjson.JSONDecodeError:
        return False


def _is_abandoned(unfinished: Path) -> bool:
    # By age, not by process number: numbers come again. A batch takes milliseconds to write.
    try:
        return time.time() - unfinished.stat().st_mtime > _UNFINISHED_SECONDS
    except FileNotFoundError:
        return False
