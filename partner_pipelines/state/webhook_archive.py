"""Applied webhooks, tokenised: a compressed file a batch, one a day once the day is over, for as long as is set."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from partner_pipelines.clock import now
from partner_pipelines.state.files import make_directory, state_errors, sync_directory, write_atomically
from partner_pipelines.state.tokenise import raw_json

SUFFIX = ".jsonl.gz"
_DAY = "%Y-%m-%d"


class WebhookArchive:
    """The archive of one data directory: `DAY/BATCH.jsonl.gz`, later `DAY.jsonl.gz`."""

    def __init__(self, webhooks: Path) -> None:
        self._directory = webhooks / "archive"

    def put(self, batch: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """The rows survive power loss afterwards; the same batch again is the same file. Raises StateError."""
        day = make_directory(self._directory / f"{batch[:4]}-{batch[4:6]}-{batch[6:8]}")
        lines = "".join(f"{raw_json(row)}\n" for row in rows).encode()
        write_atomically(day / f"{batch}{SUFFIX}", gzip.compress(lines, mtime=0))

    def tidy(self, keep_days: int) -> None:
        """Days that are over are one file each; what is older than that many days is gone. Raises StateError."""
        if not self._directory.is_dir():
            return
        today = now().astimezone(UTC)
        with state_errors("tidy", self._directory):
            for day in sorted(path for path in self._directory.iterdir() if path.is_dir()):
                if day.name < today.strftime(_DAY):
                    self._compact(day)
            oldest = (today - timedelta(days=keep_days)).strftime(_DAY)
            for file in self._directory.glob(f"*{SUFFIX}"):
                if file.name.removesuffix(SUFFIX) < oldest:
                    file.unlink()
            sync_directory(self._directory)

    def days(self) -> list[str]:
        """The days that are in the archive."""
        found = self._directory.iterdir() if self._directory.is_dir() else ()
        return sorted({datetime.strptime(path.name[:10], _DAY).strftime(_DAY) for path in found})  # noqa: DTZ007

    def _compact(self, day: Path) -> None:
        """One file after the other: what gzip makes of each is still gzip then (RFC 1952 2.2)."""
        whole = self._directory / f"{day.name}{SUFFIX}"
        parts = sorted(day.glob(f"*{SUFFIX}"))
        written = whole.read_bytes() if whole.exists() else b""
        # A process that died here may have written some of them
        missing = [content for part in parts if (content := part.read_bytes()) not in written]
        if missing:
            write_atomically(whole, written + b"".join(missing))
        for part in parts:
            part.unlink()
        for left in day.iterdir():
            left.unlink()
        day.rmdir()
