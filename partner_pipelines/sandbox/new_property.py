"""The property that OpenMoove makes of a new client."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from partner_pipelines.sandbox.client_form import PROFESSIONALS

if TYPE_CHECKING:
    from partner_pipelines.sandbox.store import Collection, Row

FIRST_PERSON_ID = 50_000
FIRST_PROFESSIONAL_ID = 1_000_000
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

STANDARD_MILESTONES = (
    "Instruction",
    "Legal Pack Preparation",
    "Property Marketing",
    "Offer Acceptance",
    "Searches Ordered",
    "Enquiries Raised",
    "Exchange of Contracts",
    "Completion",
)
AUCTION_MILESTONES = (
    "Instruction",
    "Legal Pack Preparation",
    "Property Marketing",
    "Auction Marketing Period",
    "Auction Exchange",
    "Completion",
)
DESCRIPTIONS = {
    "Instruction": "Property instruction received",
    "Legal Pack Preparation": "Preparing legal documentation",
    "Property Marketing": "Property on the market",
    "Offer Acceptance": "Offer accepted by the seller",
    "Searches Ordered": "Local authority and other searches ordered",
    "Enquiries Raised": "Buyer's enquiries raised with the seller's conveyancer",
    "Exchange of Contracts": "Contracts exchanged",
    "Completion": "Keys handed over",
    "Auction Marketing Period": "Open for bids",
    "Auction Exchange": "Winning bid accepted and contracts exchanged",
}


def milestone_names(sale_method: str) -> tuple[str, ...]:
    """Return the steps of a sale in their order."""
    return AUCTION_MILESTONES if sale_method == "modern_auction" else STANDARD_MILESTONES


def waiting_milestones(property_id: int, sale_method: str, begun: datetime) -> list[Row]:
    """Return a new sale's milestones, none completed, ten days from one to the next."""
    return [
        {
            "id": property_id * 10 + order,
            "name": name,
            "description": DESCRIPTIONS[name],
            "order": order,
            "completed": False,
            "completed_at": None,
            "due_date": (begun + timedelta(days=10 * order)).strftime(TIME_FORMAT),
            "is_overdue": False,
        }
        for order, name in enumerate(milestone_names(sale_method), 1)
    ]


class People:
    """Who has which id, by e-mail; looked for anew only when others than clients have changed the properties."""

    def __init__(self) -> None:
        self._version = -1
        self._ids: dict[str, int] = {}

    def of(self, properties: Collection) -> dict[str, int]:
        """Return the ids of all sellers and team members."""
        if self._version != properties.version:
            self._ids = {}
            for row in properties.rows.values():
                self._add(row)
            self._version = properties.version
        return self._ids

    def joined(self, row: Row, properties: Collection) -> None:
        """Add the people of the one property that has just been put there."""
        self._add(row)
        self._version = properties.version

    def _add(self, row: Row) -> None:
        for person in (row.get("seller"), *(row.get("team") or {}).values()):
            if isinstance(person, dict) and "email" in person and "id" in person:
                self._ids.setdefault(person["email"], person["id"])


def property_of_client(values: dict[str, Any], property_id: int, people: dict[str, int]) -> tuple[Row, dict[str, Any]]:
    """Return the new property's row, and the answer that tells of it. The same e-mail is the same person."""
    now = datetime.now(UTC)
    mover_id = people.get(values["email"], FIRST_PERSON_ID + property_id)
    team = {
        role: _professional(values[f"{role}_email"], people, FIRST_PROFESSIONAL_ID + property_id * 10 + place)
        for place, role in enumerate(PROFESSIONALS, 1)
        if f"{role}_email" in values
    }
    row: Row = {
        "id": property_id,
        "address": values["property_address"],
        "postcode": values["property_postcode"],
        "uprn": None,
        "title_number": None,
        "sale_method": values["sale_method"],
        "created_at": now.strftime(TIME_FORMAT),
        "seller": {
            "id": mover_id,
            **{name: values[name] for name in ("first_name", "last_name", "email", "phone_number")},
        },
        "team": team,
        "milestones": waiting_milestones(property_id, values["sale_method"], now),
    }
    total = sum(float(product["price"]["amount"]) for product in values["products"])
    return row, {
        "property_id": property_id,
        "mover_id": mover_id,
        "message": "Client and property created successfully",
        **{f"{role}_id": member["id"] for role, member in team.items()},
        "purchases": [{"product": p["slug"], "name": p["name"], "price": p["price"]} for p in values["products"]],
        "total_amount": f"{total:.2f}",
    }


def _professional(email: str, people: dict[str, int], new_id: int) -> Row:
    name = email.partition("@")[0].replace(".", " ").replace("-", " ").title()
    return {"id": people.get(email, new_id), "name": name, "email": email, "firm": email.partition("@")[2]}
