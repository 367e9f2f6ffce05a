"""ResMan's rows, made up: each number has one row, whichever others are made."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mimesis.locales import Locale

from partner_pipelines.sandbox.generated_openmoove import TODAY, chance_of, email_of, pools
from partner_pipelines.sandbox.new_property import TIME_FORMAT

if TYPE_CHECKING:
    import random
    from datetime import datetime

    from partner_pipelines.sandbox.store import Row

UNITS_A_PROPERTY = 33
PROPERTY_NAMES = (
    "Harbor Point",
    "Elm Park",
    "The Wexford",
    "Cedar Court",
    "Lakeview Commons",
    "Mill Street Lofts",
    "Juniper Flats",
    "Stonegate",
    "Riverbend",
    "The Alder",
    "Foxglove Terrace",
    "Union Yards",
)
LEAD_SOURCES = (
    "organic search",
    "paid search",
    "social",
    "referral",
    "email",
    "direct traffic",
    "walk-in",
    "eliseai.com",
)
LEAD_STATUSES = ("new", "contacted", "qualified", "tour_scheduled", "application", "leased", "lost")
ROLES = (("Property Manager", "Management"), ("Leasing Agent", "Leasing"), ("Maintenance", "Maintenance"))
FEES = (("application_fee", 50), ("admin_fee", 150), ("pet_fee", 300), ("deposit", 500))
REPAIRS = (
    ("Plumbing", "Tap drips in the kitchen"),
    ("Electrical", "Light in the hall does not come on"),
    ("HVAC", "Heating does not warm up"),
    ("Appliance", "Dishwasher does not drain"),
    ("Glazing", "Window pane cracked"),
    ("Locks", "Front door lock sticks"),
)


def property_count(properties: int) -> int:
    """Return among how many properties the units lie."""
    return max(1, properties * 4 // 3 // UNITS_A_PROPERTY)


def unit_row(number: int, properties: int) -> Row:
    """Return the unit with this number."""
    chance = chance_of("unit", number)
    place = (number - 1) % property_count(properties)
    bedrooms = chance.choices((0, 1, 2, 3), (15, 40, 35, 10))[0]
    available = chance.random() < 0.22
    rent = float(850 + bedrooms * 320 + chance.randint(0, 40) * 10)
    floor = chance.randint(1, 9)
    return {
        "id": f"UNIT_{number:05}",
        "property_id": f"PROP_{place + 1:03}",
        "property_name": PROPERTY_NAMES[place % len(PROPERTY_NAMES)],
        "unit_number": f"{floor}{number % 100:02}",
        "unit_type": "Studio" if bedrooms == 0 else f"{bedrooms}BR",
        "bedrooms": bedrooms,
        "bathrooms": chance.choice((1.0, 1.0, 1.5, 2.0)),
        "floor": floor,
        "square_feet": 420 + bedrooms * 260 + chance.randint(0, 150),
        "market_rent": rent,
        "current_rent": None if available else rent - chance.randint(0, 9) * 10,
        "concessions": None,
        "amenities": sorted(chance.sample(("balcony", "dishwasher", "gym", "in-unit laundry", "parking"), 2)),
        "status": "Available" if available else "Leased",
        "available": available,
        "available_on": (TODAY + timedelta(days=chance.randint(0, 60))).strftime("%Y-%m-%d") if available else None,
        "updated_at": _earlier(chance, 90).strftime(TIME_FORMAT),
    }


def lead_row(number: int, properties: int) -> Row:
    """Return the lead with this number."""
    chance = chance_of("lead", number)
    first, last = _name(chance)
    created = _earlier(chance, 240)
    updated = min(created + timedelta(hours=chance.randint(1, 900)), TODAY)
    return {
        "id": f"LEAD_{number:05}",
        "property_id": f"PROP_{chance.randint(1, property_count(properties)):03}",
        "first_name": first,
        "last_name": last,
        "email": email_of(first, last, f"l{number}"),
        "phone_number": f"+1202555{number % 10_000:04}",
        "contact_method": chance.choice(("email", "phone", "text")),
        "source": chance.choice(LEAD_SOURCES),
        "status": chance.choice(LEAD_STATUSES),
        "move_in_date": (TODAY + timedelta(days=chance.randint(5, 120))).strftime("%Y-%m-%d"),
        "budget": float(chance.randint(9, 28) * 100),
        "created_at": created.strftime(TIME_FORMAT),
        "updated_at": updated.strftime(TIME_FORMAT),
    }


def employee_row(number: int, properties: int) -> Row:
    """Return the employee with this number."""
    chance = chance_of("employee", number)
    first, last = _name(chance)
    role, department = ROLES[(number - 1) % len(ROLES)]
    return {
        "id": f"EMP_{number:03}",
        "first_name": first,
        "last_name": last,
        "role": role,
        "department": department,
        "email": email_of(first, last, f"e{number}"),
        "property_id": f"PROP_{(number - 1) % property_count(properties) + 1:03}",
        "hire_date": _earlier(chance, 2000).strftime("%Y-%m-%d"),
        "active": chance.random() < 0.9,
    }


def document_row(number: int, leads: int) -> Row:
    """Return the document with this number: its metadata, as there are no files."""
    chance = chance_of("document", number)
    return {
        "id": f"DOC_{number:05}",
        "prospect_id": _prospect(chance, leads),
        "document_type": chance.choice(("lease_packet", "application", "supporting_docs")),
        "name": f"document-{number}.pdf",
        "size_bytes": chance.randint(20_000, 900_000),
        "created_at": _earlier(chance, 200).strftime(TIME_FORMAT),
    }


def payment_row(number: int, leads: int) -> Row:
    """Return the payment with this number."""
    chance = chance_of("payment", number)
    fee_type, amount = chance.choice(FEES)
    return {
        "id": f"PAY_{number:05}",
        "prospect_id": _prospect(chance, leads),
        "amount": amount + chance.randint(0, 99) / 100,
        "fee_type": fee_type,
        "created_at": _earlier(chance, 200).strftime(TIME_FORMAT),
    }


def work_order_row(number: int, properties: int) -> Row:
    """Return the work order with this number."""
    chance = chance_of("work order", number)
    category, description = chance.choice(REPAIRS)
    created = _earlier(chance, 300)
    status = chance.choice(("Submitted", "Scheduled", "In Progress", "On Hold", "Completed", "Completed"))
    closed = min(created + timedelta(hours=chance.randint(3, 400)), TODAY) if status == "Completed" else None
    return {
        "id": f"WO_{number:05}",
        "property_id": f"PROP_{chance.randint(1, property_count(properties)):03}",
        "category": category,
        "description": description,
        "priority": chance.choice(("Low", "Medium", "High")),
        "status": status,
        "created_at": created.strftime(TIME_FORMAT),
        "closed_at": closed.strftime(TIME_FORMAT) if closed else None,
    }


def _name(chance: random.Random) -> tuple[str, str]:
    names = pools(Locale.EN)
    return chance.choice(names.first_names), chance.choice(names.last_names)


def _prospect(chance: random.Random, leads: int) -> str:
    return f"LEAD_{chance.randint(1, max(1, leads)):05}"


def _earlier(chance: random.Random, days: int) -> datetime:
    return TODAY - timedelta(minutes=chance.randint(1, days * 1440))
