"""A warehouse in a directory, and answers as the partners would send them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from partner_pipelines.models.openmoove import ListedProperty, Milestone, PropertyDetail
from partner_pipelines.models.resman import Document, Employee, Lead, Unit
from partner_pipelines.partners.rows import Rows, validate_rows
from partner_pipelines.state.data_directory import open_data_directory
from partner_pipelines.state.landing import LandedAnswer, Landing
from partner_pipelines.state.tokenise import Tokeniser
from partner_pipelines.state.vault import Vault
from partner_pipelines.warehouse.connection import Warehouse
from partner_pipelines.warehouse.decompose import (
    Origin,
    land_detail,
    land_gone,
    land_list,
    land_milestones,
    land_properties,
)
from partner_pipelines.warehouse.load import merge_landed
from partner_pipelines.warehouse.merging import MergeResult, TableChanges
from partner_pipelines.warehouse.parameters import Value, execute
from partner_pipelines.warehouse.publish import publish
from partner_pipelines.warehouse.reading import QueryResult, open_published, run_query

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
_MODELS: dict[str, TypeAdapter[Any]] = {
    "resman.units": TypeAdapter(Unit),
    "resman.leads": TypeAdapter(Lead),
    "resman.employees": TypeAdapter(Employee),
    "resman.documents": TypeAdapter(Document),
    "listed": TypeAdapter(ListedProperty),
    "detail": TypeAdapter(PropertyDetail),
    "milestone": TypeAdapter(Milestone),
}


def after(seconds: float) -> datetime:
    """A time of the tests' own clock."""
    return START + timedelta(seconds=seconds)


def rows_of(model: str, items: list[Any]) -> Rows[Any]:
    """The items, validated as the clients do."""
    return validate_rows(_MODELS[model], items)


class Yard:
    """One data directory with everything that a sync uses; `at` is in seconds after START."""

    def __init__(self, root: Path, connection: str = "oak") -> None:
        self.data = open_data_directory(root, "sandbox")
        self.connection = connection
        self.warehouse = Warehouse(self.data)
        self.landing = Landing(self.data.landing)
        self.vault = Vault(self.data.vault)
        self.tokeniser = Tokeniser(self.data.key("personal"))
        self.run_started_at = datetime.now(UTC)

    def origin(self, at: float) -> Origin:
        return Origin(self.connection, f"req-{at}", after(at))

    def listed(self, at: float, *items: dict[str, Any]) -> LandedAnswer:
        return land_properties(self.tokeniser, self.origin(at), rows_of("listed", list(items)))

    def detail(self, at: float, item: dict[str, Any]) -> LandedAnswer:
        return land_detail(self.tokeniser, self.origin(at), item["id"], rows_of("detail", [item]))

    def milestones(self, at: float, property_id: int, *items: dict[str, Any]) -> LandedAnswer:
        rows = rows_of("milestone", list(items))
        return land_milestones(self.tokeniser, self.origin(at), property_id, rows)

    def gone(self, at: float, property_id: int) -> LandedAnswer:
        return land_gone(self.tokeniser, self.origin(at), property_id)

    def resman(self, at: float, table: str, *items: dict[str, Any]) -> LandedAnswer:
        return land_list(self.tokeniser, self.origin(at), table, rows_of(table, list(items)))

    def land(self, *answers: LandedAnswer) -> Path:
        self.vault.put([row for answer in answers for row in answer.vault_rows])
        return self.landing.put(self.connection, answers)

    def merge(self, *answers: LandedAnswer) -> MergeResult:
        """Lands the answers as one batch and merges all that waits."""
        if answers:
            self.land(*answers)
        return merge_landed(self.warehouse, self.landing, self.run_started_at, sets_aside=True)

    def read(self, query: str, values: dict[str, Value] | None = None) -> list[dict[str, Any]]:
        """Rows of the working database."""
        with self.warehouse.writing() as database:
            found = execute(database, query, values)
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def one(self, query: str) -> dict[str, Any]:
        (row,) = self.read(query)
        return row

    def published(self, query: str, *, full: bool = False) -> QueryResult:
        """Publishes, and asks what is published."""
        publish(self.warehouse)
        database = open_published(self.data, full=full)
        try:
            return run_query(database, query)
        finally:
            database.close()


def changes(result: MergeResult, table: str) -> tuple[int, int, int]:
    """Inserted, updated, deleted."""
    found = result.tables.get(table, TableChanges())
    return (found.inserted, found.updated, found.deleted)


def a_listed(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "address": f"{number} Mill Lane",
        "postcode": "NE1 1EW",
        "uprn": 12345678901 + number,
        "sale_method": "standard",
        "created_at": "2026-01-15T10:00:00Z",
    } | more


def a_detail(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "address": f"{number} Mill Lane",
        "postcode": "NE1 1EW",
        "uprn": 12345678901 + number,
        "title_number": f"TY{number}",
        "sale_method": "standard",
        "seller": {
            "id": 1000 + number,
            "first_name": "Ada",
            "last_name": "O'Neill",
            "email": f"Seller{number}@example.com",
            "phone_number": "+447700900007",
        },
        "team": {
            "estate_agent": {"id": 7, "name": "Dora Jevons", "email": "dora@example.com", "firm": "Jevons Ltd"},
            "conveyancer": {"id": None, "name": "Mára", "email": "mara@example.com", "firm": None},
        },
        "milestones_count": 2,
        "completed_milestones": 1,
    } | more


def a_milestone(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "name": "Instruction",
        "description": "Instruction for this sale",
        "order": number % 10,
        "completed": True,
        "completed_at": "2026-01-20T10:00:00Z",
        "due_date": "2026-01-21T10:00:00Z",
        "is_overdue": False,
    } | more


def a_lead(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"LEAD_{number}",
        "property_id": "PROP_1",
        "first_name": "Kofi",
        "last_name": "Brannigan",
        "email": f"lead{number}@example.com",
        "phone_number": "+12025550123",
        "source": "social",
        "status": "new",
        "created_at": "2026-01-30T00:00:00Z",
    } | more


def a_unit(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"UNIT_{number}",
        "property_id": "PROP_1",
        "unit_number": str(number),
        "bedrooms": 2,
        "bathrooms": 1.5,
        "market_rent": 1500.25,
        "available": False,
        "available_on": "2026-05-01",
        "amenities": ["pool", 'gym "24h"'],
        "updated_at": "2026-01-30T00:00:00Z",
    } | more
