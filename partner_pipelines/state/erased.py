"""Who was erased: keyed hashes of their addresses in the vault's own file, so that nothing of them comes back.

Source: resman_handshake.md, "Privacy Considerations".
"""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from partner_pipelines.errors import StateError
from partner_pipelines.state.addresses import addresses_in, normal_email
from partner_pipelines.state.vault_row import VaultRow

_HEX_DIGITS = 32
_DELETE = "DELETE FROM person_values WHERE connection = ? AND kind = ? AND person_id = ?"
_FORGET_PERSON = "DELETE FROM erased_persons WHERE connection = ? AND kind = ? AND person_id = ?"

Person = tuple[str, str, str]
"""Connection, table, key: whose values the vault keeps."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """What an erasure took away. `subject` is a keyed hash of the address, `persons` whose rows held it."""

    subject: str
    persons: frozenset[Person]
    values: int
    first_time: bool


class Erased:
    """The erased, in an open vault."""

    def __init__(self, database: sqlite3.Connection, key: bytes) -> None:
        self._database = database
        self._key = key
        self._any = database.execute("SELECT 1 FROM erased LIMIT 1").fetchone() is not None

    def knows(self, address: str) -> bool:
        """Whether the person with this address was erased."""
        if not self._any:
            return False
        found = self._database.execute("SELECT 1 FROM erased WHERE address = ?", (subject_of(address, self._key),))
        return found.fetchone() is not None

    def without(self, rows: Sequence[VaultRow]) -> Sequence[VaultRow]:
        """The rows, those of erased persons without their values: what the vault still has of them goes."""
        if not self._any:
            return rows
        return [row for _, group in groupby(rows, _person) for row in self._allowed(list(group))]

    def _allowed(self, rows: list[VaultRow]) -> Iterator[VaultRow]:
        person = _person(rows[0])
        addresses = {address for row in rows if row.value is not None for address in addresses_in(row.value)}
        is_erased = any(map(self.knows, addresses)) if addresses else self.knows_person(person)
        if is_erased:
            self._remember(person)
        elif addresses:
            self._forget(person)
        return (row._replace(value=None) if is_erased else row for row in rows)

    def knows_person(self, person: Person) -> bool:
        """Whether the row was an erased person's when its address last came: without one it still is."""
        found = self._database.execute(
            "SELECT 1 FROM erased_persons WHERE connection = ? AND kind = ? AND person_id = ?", person
        )
        return found.fetchone() is not None

    def _remember(self, person: Person) -> None:
        self._database.execute("INSERT OR IGNORE INTO erased_persons VALUES (?, ?, ?)", person)

    def _forget(self, person: Person) -> None:
        """Who has an address that was not erased, or may come again, is somebody of whom all is kept."""
        if self.knows_person(person):
            self._database.execute(_FORGET_PERSON, person)

    def allow(self, address: str) -> None:
        """What comes from now on of the person with this address is kept again."""
        self._database.execute("DELETE FROM erased WHERE address = ?", (subject_of(address, self._key),))

    def erase(self, address: str, moment: str) -> Erasure:
        """Every value of every row that holds the address is gone, and the address is remembered as a hash."""
        subject = subject_of(address, self._key)
        first = self._database.execute("INSERT OR IGNORE INTO erased VALUES (?, ?)", (subject, moment)).rowcount > 0
        persons = frozenset(self._holders(normal_email(address)))
        values = 0
        for person in persons:
            values += self._database.execute(_DELETE, person).rowcount
            self._remember(person)
        return Erasure(subject, persons, values, first)

    def _holders(self, address: str) -> Iterator[Person]:
        # The whole vault is read: an address may stand in any case, and within the JSON of what nobody knew
        found = self._database.execute("SELECT connection, kind, person_id, value FROM person_values")
        for connection, kind, person_id, value in found:
            if address in addresses_in(value):
                yield connection, kind, person_id


def subject_of(address: str, key: bytes) -> str:
    """A keyed hash of the address. Raises StateError without the key."""
    if not key:
        raise StateError("the vault was opened without its key: it cannot tell who was erased")
    message = f"erased\0{normal_email(address)}".encode("utf-8", "surrogatepass")
    return hmac.digest(key, message, "sha256").hex()[:_HEX_DIGITS]


def _person(row: VaultRow) -> Person:
    return row.connection, row.kind, row.person_id
