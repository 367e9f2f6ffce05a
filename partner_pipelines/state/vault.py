"""Personal values, kept once: a row per connection, kind, person and field, as the partner sent them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from partner_pipelines.clock import latest_proof, now
from partner_pipelines.state.erased import Erased, Erasure, Person, subject_of
from partner_pipelines.state.private_sqlite import PrivateSQLite
from partner_pipelines.state.vault_row import VaultRow

__all__ = ["Vault", "VaultRow"]

_CREATE = """
CREATE TABLE person_values (
    connection TEXT NOT NULL,
    kind       TEXT NOT NULL,
    person_id  TEXT NOT NULL,
    field      TEXT NOT NULL,
    value      TEXT NOT NULL,
    as_of      TEXT NOT NULL,
    PRIMARY KEY (connection, kind, person_id, field)
) WITHOUT ROWID
"""
_CREATE_ERASED = """
CREATE TABLE erased (
    address   TEXT PRIMARY KEY,
    erased_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE erased_persons (
    connection TEXT NOT NULL,
    kind       TEXT NOT NULL,
    person_id  TEXT NOT NULL,
    PRIMARY KEY (connection, kind, person_id)
) WITHOUT ROWID
"""
_STEPS = (_CREATE, _CREATE_ERASED)
SCHEMA = len(_STEPS)
# What is equal is not written, so that a sync without news costs no sync of the disk; what is older never wins, unless
# what is there was stamped by a clock that was ahead. The price: of an equal sight nothing is known, so an answer that
# was asked for before it and comes after it wins until the row's next sight. To close that, each sight would have to
# be written: a request is under way for minutes, so a time that is moved once an hour would be as wrong.
_PUT = """
INSERT INTO person_values VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET value = excluded.value, as_of = excluded.as_of
WHERE value <> excluded.value AND (as_of <= excluded.as_of OR as_of > ?)
"""
_FORGET = """
DELETE FROM person_values
WHERE connection = ? AND kind = ? AND person_id = ? AND field = ? AND (as_of <= ? OR as_of > ?)
"""


_FORGET_PERSON = "DELETE FROM person_values WHERE connection = ? AND kind = ? AND person_id = ?"
_FORGET_KINDS = "DELETE FROM person_values WHERE kind IN (SELECT value FROM json_each(?)) AND as_of < ?"
_PERSONS = """
SELECT person_id, field, value FROM person_values
WHERE connection = ? AND kind = ? AND person_id IN (SELECT value FROM json_each(?))
"""


class Vault:
    """The vault of one data directory; for any number of processes and threads."""

    def __init__(self, path: Path, key: bytes = b"") -> None:
        self._file = PrivateSQLite(path, "vault", _STEPS)
        self._key = key

    def put(self, rows: Sequence[VaultRow]) -> None:
        """The values survive power loss afterwards. Writes what differs only. Raises StateError.

        Of a person who was erased nothing is kept, whoever fetched it and when: the rows of one answer come together.
        """
        if not rows:
            return
        with self._file.opened() as database:
            kept, gone = _parameters(Erased(database, self._key).without(rows))
            if not kept and not gone:
                return
            database.execute("BEGIN IMMEDIATE")
            database.executemany(_PUT, kept)
            database.executemany(_FORGET, gone)
            database.execute("COMMIT")

    def read_all(self, connection: str | None = None) -> Iterator[VaultRow]:
        """Every value, of one connection or of all. Raises StateError, also when the vault may not be read."""
        if not self._file.exists():
            return
        with self._file.opened() as database:
            yield from (_row(found) for found in database.execute(*_selection(connection)))

    def persons(self, connection: str, kind: str, person_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        """These persons' values by field, by person. Raises StateError."""
        if not person_ids or not self._file.exists():
            return {}
        found: dict[str, dict[str, str]] = {}
        with self._file.opened() as database:
            for person_id, name, value in database.execute(_PERSONS, (connection, kind, json.dumps(list(person_ids)))):
                found.setdefault(person_id, {})[name] = value
        return found

    def forget(
        self, persons: Iterable[tuple[str, str, str]], kinds: Sequence[str], before: datetime, *, dry_run: bool = False
    ) -> int:
        """Nothing is kept of these persons (connection, kind, id), nor of these kinds from before this time.

        How many values went, or with `dry_run` would have gone. Raises StateError.
        """
        if not self._file.exists():
            return 0
        with self._file.opened() as database:
            database.execute("BEGIN IMMEDIATE")
            gone = max(0, database.executemany(_FORGET_PERSON, persons).rowcount)
            gone += database.execute(_FORGET_KINDS, (json.dumps(list(kinds)), _text(before))).rowcount
            database.execute("ROLLBACK" if dry_run else "COMMIT")
            return gone

    def erase(self, address: str, *, dry_run: bool = False) -> Erasure:
        """Nothing of the person with this e-mail address can be recovered from the file afterwards, nor comes back.

        Every value of a row that holds the address goes with it; with `dry_run` nothing does. Raises StateError.
        """
        with self._file.opened() as database:
            database.execute("BEGIN IMMEDIATE")
            erasure = Erased(database, self._key).erase(address, _text(now()))
            database.execute("ROLLBACK" if dry_run else "COMMIT")
            if not dry_run:
                database.execute("VACUUM")
        return erasure

    def allow(self, address: str) -> None:
        """What comes from now on of the person with this address is kept again. Raises StateError."""
        with self._file.opened() as database:
            Erased(database, self._key).allow(address)

    def subject(self, address: str) -> str:
        """A keyed hash of the address, under which an erasure is known. Raises StateError."""
        return subject_of(address, self._key)

    def erased_among(self, addresses: Collection[str]) -> frozenset[str]:
        """Those of the addresses whose persons were erased. Raises StateError."""
        if not addresses or not self._file.exists():
            return frozenset()
        with self._file.opened() as database:
            erased = Erased(database, self._key)
            return frozenset(address for address in addresses if erased.knows(address))

    def erased_persons_among(self, persons: Collection[Person]) -> frozenset[Person]:
        """Those of the persons who were erased, by connection, table and key. Raises StateError."""
        if not persons or not self._file.exists():
            return frozenset()
        with self._file.opened() as database:
            erased = Erased(database, self._key)
            return frozenset(person for person in persons if erased.knows_person(person))

    def copy_to(self, path: Path) -> None:
        """A copy of the vault stands in this new file, mode 0600. Raises StateError."""
        self._file.copy_to(path)


def _parameters(rows: Sequence[VaultRow]) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    kept: list[tuple[str, ...]] = []
    gone: list[tuple[str, ...]] = []
    latest = _text(latest_proof(now()))
    for connection, kind, person_id, name, value, as_of in rows:
        if value is None:
            gone.append((connection, kind, person_id, name, _text(as_of), latest))
        else:
            kept.append((connection, kind, person_id, name, value, _text(as_of), latest))
    return kept, gone


@lru_cache(maxsize=1_000)
def _text(as_of: datetime) -> str:
    """A time that sorts as text."""
    return as_of.astimezone(UTC).isoformat(timespec="microseconds")


def _selection(connection: str | None) -> tuple[str, tuple[str, ...]]:
    every = "SELECT connection, kind, person_id, field, value, as_of FROM person_values"
    return (every, ()) if connection is None else (f"{every} WHERE connection = ?", (connection,))


def _row(found: tuple[str, str, str, str, str, str]) -> VaultRow:
    connection, kind, person_id, name, value, as_of = found
    return VaultRow(connection, kind, person_id, name, value, datetime.fromisoformat(as_of))
