"""The rows of both partners, and the change file that keeps what became of them."""

from __future__ import annotations

import fcntl
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

Row = dict[str, Any]
Key = int | str

RESMAN_KINDS = ("units", "leads", "employees", "documents", "payments", "maintenance")
PROPERTIES = "openmoove_properties"
PARTNER_COLLECTIONS = (*(f"resman_{kind}" for kind in RESMAN_KINDS), PROPERTIES)
# Credentials are rows too, so that a granted scope or a revoked client outlives a restart like everything else.
CLIENTS, KEYS = "sandbox_clients", "sandbox_keys"
COLLECTIONS = (*PARTNER_COLLECTIONS, CLIENTS, KEYS)

CHANGE_FILE = "changes.jsonl"


class BadChangeFileError(Exception):
    """The change file cannot be used: it is damaged, or another sandbox holds it."""


@dataclass
class Collection:
    """Rows by key in the order in which they came, with their JSON made once."""

    rows: dict[Key, Row] = field(default_factory=dict)
    version: int = 0
    highest: int = 0
    _json: dict[str, dict[Key, bytes]] = field(default_factory=dict)

    def put(self, row: Row) -> None:
        """Insert or replace a row by its id."""
        key = row["id"]
        self.rows[key] = row
        self._changed(key)

    def remove(self, key: Key) -> None:
        """Forget a row; an unknown key is no error."""
        self.rows.pop(key, None)
        self._changed(key)

    def json(self, view: str, key: Key, build: Callable[[Row], Any]) -> bytes:
        """Return one row's JSON in one view, built when it is first asked for after a change."""
        made = self._json.get(view)
        if made is None:
            made = self._json[view] = {}
        text = made.get(key)
        if text is None:
            text = made[key] = orjson.dumps(build(self.rows[key]))
        return text

    def _changed(self, key: Key) -> None:
        self.version += 1
        # The highest number ever seen, deleted rows included: a number is never given twice.
        digits = re.search(r"(\d+)$", str(key))
        self.highest = max(self.highest, int(digits[1]) if digits else 0)
        for made in self._json.values():
            made.pop(key, None)


class Store:
    """All collections. Every change is in the change file, if there is one, before it is visible."""

    def __init__(self) -> None:
        self._collections = {name: Collection() for name in COLLECTIONS}
        self._descriptor = -1

    def __getitem__(self, name: str) -> Collection:
        return self._collections[name]

    def load(self, name: str, rows: Iterable[Row]) -> None:
        """Take rows as they stand at the start; they are not changes."""
        collection = self._collections[name]
        for row in rows:
            collection.put(row)

    def upsert(self, name: str, row: Row) -> None:
        """Insert or replace a row, durable against SIGKILL on return."""
        self._keep({"collection": name, "upsert": row})
        self._collections[name].put(row)

    def delete(self, name: str, key: Key) -> None:
        """Remove a row, durable against SIGKILL on return."""
        self._keep({"collection": name, "delete": key})
        self._collections[name].remove(key)

    def open_changes(self, directory: Path) -> None:
        """Replay the changes kept in a directory and keep later ones there.

        Raises:
            BadChangeFileError: another sandbox holds the file, or a line of it cannot be read.
            OSError: the directory cannot be made or written.
        """
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = directory / CHANGE_FILE
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadChangeFileError(
                f"{path}: another sandbox keeps its changes here; give --state-dir another directory"
            ) from None
        whole = self._replay(path)
        # A line without its end was cut off by SIGKILL in the middle of a write: nobody was told of it.
        os.truncate(descriptor, whole)
        self._descriptor = descriptor

    def _replay(self, path: Path) -> int:
        whole = 0
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    break
                try:
                    self._apply(orjson.loads(line))
                except (ValueError, KeyError, TypeError) as error:
                    raise BadChangeFileError(f"{path}:{number}: not a change ({error})") from error
                whole += len(line)
        return whole

    def _apply(self, change: dict[str, Any]) -> None:
        collection = self._collections[change["collection"]]
        if "upsert" in change:
            collection.put(change["upsert"])
        else:
            collection.remove(change["delete"])

    def _keep(self, change: dict[str, Any]) -> None:
        if self._descriptor >= 0:
            os.write(self._descriptor, orjson.dumps(change) + b"\n")
