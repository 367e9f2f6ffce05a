"""A look at what OpenMoove calls the current milestone, beside what the warehouse says: a check, on a few properties.

Source: openmoove_partner_api.md, "5. Get Current Milestone". Ours is the first one that is not completed.
"""

from __future__ import annotations

from dataclasses import dataclass

from partner_pipelines.errors import APIError
from partner_pipelines.sync.house import House
from partner_pipelines.warehouse.reading import published
from partner_pipelines.warehouse.sql_files import sql


@dataclass(frozen=True, slots=True)
class Compared:
    """A property's current milestone here and there, by id; None: no milestone is left to do."""

    connection: str
    property_id: int
    ours: int | None
    theirs: int | None

    @property
    def agrees(self) -> bool:
        """Both name the same milestone."""
        return self.ours == self.theirs


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was looked at, and why a connection could not be asked."""

    compared: tuple[Compared, ...]
    unasked: dict[str, str]


def compare_current_milestones(house: House) -> Comparison:
    """Asks OpenMoove about five properties of each connection, drawn by chance. Raises StateError, StoppedError."""
    with published(house.data) as database:
        sampled = database.execute(sql("sample_current_milestones")).fetchall()
    compared: list[Compared] = []
    unasked: dict[str, str] = {}
    for connection in house.settings.openmoove:
        client = house.openmoove(connection)
        try:
            for name, property_id, ours in sampled:
                if name == connection.name:
                    current = client.get_current_milestone(property_id)
                    compared.append(Compared(name, property_id, ours, current.id if current else None))
        except APIError as error:
            unasked[connection.name] = error.message
    return Comparison(tuple(compared), unasked)
