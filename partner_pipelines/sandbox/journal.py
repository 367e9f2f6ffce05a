"""The request log: what arrived, when, from whom, and how it was answered."""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from pathlib import Path

    from partner_pipelines.sandbox.wire import Request

# Beyond this the oldest entries are forgotten, so that a sandbox left running for days stays small.
KEPT = 500_000

Entry = dict[str, Any]


class Journal:
    """Every partner request since the start, kept in memory, and on disk if a file is named."""

    def __init__(self, file: Path | None = None) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._count = 0
        self._stats: Counter[tuple[str, str, str]] = Counter()
        self._descriptor = -1
        if file is not None:
            self._descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def arrived(self, request: Request, partner: str | None, hint: str | None) -> Entry:
        """Note a request before anything is done about it."""
        self._count += 1
        entry: Entry = {
            "n": self._count,
            "at": request.arrived_at,
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "request_id": request.header(b"x-request-id") or None,
            "partner": partner,
            "connection_hint": hint,
            "status": None,
            "idempotency_key": request.header(b"idempotency-key") or None,
            "user_agent": request.header(b"user-agent") or None,
            "throttled": False,
            "fault": None,
            "finished_at": None,
        }
        self._entries.append(entry)
        if self._descriptor >= 0:
            os.write(self._descriptor, orjson.dumps(entry) + b"\n")
        return entry

    def finished(self, entry: Entry, template: str, status: int | None) -> None:
        """Note how a request ended; a status of None is a connection dropped without an answer."""
        entry["status"] = status
        entry["finished_at"] = time.time()
        self._stats[entry["partner"] or "none", template, "dropped" if status is None else str(status)] += 1

    def since(self, number: int) -> list[Entry]:
        """Return the entries after this number, oldest first."""
        first = self._entries[0]["n"] if self._entries else 0
        skipped = max(0, number - first + 1)
        return [self._entries[i] for i in range(skipped, len(self._entries))] if skipped else list(self._entries)

    def clear(self) -> None:
        """Forget entries and counts; the numbers go on, so that `since` never sees one twice."""
        self._entries.clear()
        self._stats.clear()

    def stats(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return how many requests ended how: partner, path template, status."""
        table: dict[str, dict[str, dict[str, int]]] = {}
        for (partner, template, status), count in sorted(self._stats.items()):
            table.setdefault(partner, {}).setdefault(template, {})[status] = count
        return table
