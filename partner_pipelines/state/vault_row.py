"""What the vault holds, row by row."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class VaultRow(NamedTuple):
    """One value of one person. `kind` is the table's name; `value` None means that the partner has none any more.

    `as_of` is when the partner was asked: of two values the later one stays.
    """

    connection: str
    kind: str
    person_id: str
    field: str
    value: str | None
    as_of: datetime

    def __repr__(self) -> str:
        """Everything but the value."""
        return f"VaultRow({self.connection!r}, {self.kind!r}, {self.person_id!r}, {self.field!r}, …)"
