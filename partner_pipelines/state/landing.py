"""Answers that are not merged yet: a batch is one synced file. From here on nothing is asked again.

A file's name sorts by the time of its landing and never comes twice. A name that begins with a dot is a file that is
being written, or that its writer did not live to finish.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from partner_pipelines.state.files import make_directory, state_errors, sync_directory, write_synced
from partner_pipelines.state.vault import VaultRow

SUFFIX = ".jsonl"
_UNFINISHED_SECONDS = 24 * 3600.0  # more than a clock is ever stepped by while a batch is written


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
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
        path = directory / name
        unfinished = directory / f".{name}"
        with state_errors("write", path):
            try:
                write_synced(unfinished, b"".join(line + b"\n" for answer in answers for line in answer.lines))
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


def _is_abandoned(unfinished: Path) -> bool:
    # By age, not by process number: numbers come again. A batch takes milliseconds to write.
    try:
        return time.time() - unfinished.stat().st_mtime > _UNFINISHED_SECONDS
    except FileNotFoundError:
        return False
