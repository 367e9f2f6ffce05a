"""When the receiver last worked, and when it did not: the times in which a partner may have given up.

A receiver works for a connection when it has a secret for it and can write its inbox. Every worker beats; one that
works is enough. The file stands where deliveries are stored: a disk that takes none takes no heartbeat.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from partner_pipelines.clock import latest_proof, now
from partner_pipelines.errors import StateError
from partner_pipelines.state.files import locked, state_errors, write_atomically

GIVEN_UP_AFTER = timedelta(seconds=1000)
"""The partner's fourth attempt comes 1,000 s after the first in one reading of its document, 1,110 s in the other.

Source: openmoove_partner_api.md, "Retry Policy".
"""

_GAPS_KEPT = 50


@dataclass(frozen=True, slots=True)
class Gap:
    """No receiver worked for the connection. `until` is None as long as none does."""

    connection: str
    since: datetime
    until: datetime | None


class Heartbeat:
    """The heartbeat of one data directory; for any number of processes."""

    def __init__(self, webhooks: Path) -> None:
        self._path = webhooks / "heartbeat.json"

    def beat(self, connections: Iterable[str]) -> None:
        """The receiver works for these now. Raises StateError."""
        at = now()
        with locked(self._path.with_name(".heartbeat.lock")):
            known = self._read()
            for connection in connections:
                entry = known.setdefault(connection, {"last_at": at.isoformat(), "gaps": []})
                last = datetime.fromisoformat(entry["last_at"])
                # What was stamped by a clock that was ahead says nothing of how long nobody listened: it may be long
                if at - last > GIVEN_UP_AFTER or last > latest_proof(at):
                    gap = {"since": min(last, at).isoformat(), "until": at.isoformat()}
                    entry["gaps"] = [*entry["gaps"], gap][-_GAPS_KEPT:]
                entry["last_at"] = at.isoformat()
            write_atomically(self._path, orjson.dumps(known))

    def last(self) -> dict[str, datetime]:
        """When a receiver last worked for each connection. Raises StateError."""
        return {connection: _time(entry["last_at"]) for connection, entry in self._read().items()}

    def gaps(self) -> list[Gap]:
        """The gaps that were long enough to lose deliveries, one that still lasts included. Raises StateError."""
        found: list[Gap] = []
        for connection, entry in self._read().items():
            found += (Gap(connection, _time(gap["since"]), _time(gap["until"])) for gap in entry["gaps"])
            last = _time(entry["last_at"])
            if now() - last > GIVEN_UP_AFTER:
                found.append(Gap(connection, last, None))
        return found

    def _read(self) -> dict[str, Any]:
        with state_errors("read", self._path):
            try:
                content = self._path.read_bytes()
            except FileNotFoundError:
                return {}
        try:
            found = orjson.loads(content)
            for entry in found.values():
                _time(entry["last_at"])
                assert all(_time(gap["since"]) <= _time(gap["until"]) for gap in entry["gaps"])
        except (ValueError, TypeError, KeyError, AttributeError, AssertionError) as error:
            raise StateError(f"{self._path} is no heartbeat of this program: remove it") from error
        assert isinstance(found, dict)
        return found


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
