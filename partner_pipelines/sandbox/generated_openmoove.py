"""Properties for sale, made up: each number has one row, whichever others are made."""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mimesis import Address, Person
from mimesis.locales import Locale

from partner_pipelines.sandbox.new_property import DESCRIPTIONS, TIME_FORMAT, milestone_names

if TYPE_CHECKING:
    from partner_pipelines.sandbox.store import Row

SEED = 20_261_101
# "Today" of the generated rows: what is overdue must not depend on when the sandbox starts.
TODAY = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)
POOL_SIZE = 400
FIRMS = 40
NO_MILESTONES_EVERY = 33

TOWNS = (
    ("London", "SW", 20),
    ("London", "SE", 28),
    ("London", "N", 22),
    ("Bristol", "BS", 16),
    ("Leeds", "LS", 29),
    ("Manchester", "M", 35),
    ("Sheffield", "S", 36),
    ("Norwich", "NR", 16),
    ("Exeter", "EX", 24),
    ("York", "YO", 31),
    ("Brighton", "BN", 3),
    ("Nottingham", "NG", 17),
    ("Liverpool", "L", 38),
    ("Cardiff", "CF", 24),
    ("Bath", "BA", 3),
    ("Newcastle upon Tyne", "NE", 20),
    ("Birmingham", "B", 48),
    ("Reading", "RG", 31),
    ("Oxford", "OX", 4),
    ("Cambridge", "CB", 5),
)
# No postcode ends in these letters.
_UNIT_LETTERS = "ABDEFGHJLNPQRSTUWXYZ"
_ROLES = {
    "estate_agent": ("Estates Ltd", 1000),
    "conveyancer": ("& Partners LLP", 2000),
    "auctioneer": ("Auctions Ltd", 3000),
    "mortgage_broker": ("Mortgages Ltd", 4000),
}


@dataclass(frozen=True)
class Pools:
    """Names to choose from."""

    first_names: list[str]
    last_names: list[str]
    streets: list[str]


@functools.cache
def pools(locale: Locale) -> Pools:
    """Return the names of a locale, the same at every start."""
    person, address = Person(locale, seed=SEED), Address(locale, seed=SEED)
    return Pools(
        [person.first_name() for _ in range(POOL_SIZE)],
        [person.last_name() for _ in range(POOL_SIZE)],
        [f"{address.street_name()} {address.street_suffix()}" for _ in range(POOL_SIZE)],
    )


def chance_of(kind: str, number: int) -> random.Random:
    """Return a source of chance that belongs to one row."""
    return random.Random(f"{SEED}/{kind}/{number}")  # noqa: S311  # repeatable on purpose


def email_of(first: str, last: str, mark: str) -> str:
    """Return an address that nobody has; the mark makes it unique."""
    words = ["".join(filter(_is_letter, name.lower())) for name in (first, last)]
    return f"{'.'.join(words)}.{mark}@example.com"


def _is_letter(character: str) -> bool:
    return character.isascii() and character.isalpha()


def property_row(number: int) -> Row:
    """Return the property with this number, with its seller, its team and its milestones."""
    chance = chance_of("property", number)
    names = pools(Locale.EN_GB)
    town, area, districts = chance.choice(TOWNS)
    method = chance.choices(("standard", "modern_auction", "secure_sale"), (70, 18, 12))[0]
    begun = TODAY - timedelta(days=chance.randint(5, 300), minutes=chance.randint(0, 1439))
    return {
        "id": number,
        "address": f"{chance.randint(1, 240)} {chance.choice(names.streets)}, {town}",
        "postcode": f"{area}{chance.randint(1, districts)} {chance.randint(1, 9)}"
        f"{chance.choice(_UNIT_LETTERS)}{chance.choice(_UNIT_LETTERS)}",
        "uprn": chance.randint(10_000_000_000, 200_004_999_999) if chance.random() < 0.9 else None,
        "title_number": f"{area[:2]}{chance.randint(10_000, 999_999)}" if chance.random() < 0.8 else None,
        "sale_method": method,
        "created_at": begun.strftime(TIME_FORMAT),
        "seller": _seller(number, chance, names),
        "team": _team(method, chance),
        "milestones": [] if number % NO_MILESTONES_EVERY == 0 else _milestones(number, method, begun, chance),
    }


def _seller(number: int, chance: random.Random, names: Pools) -> Row:
    first, last = chance.choice(names.first_names), chance.choice(names.last_names)
    return {
        "id": 50_000 + number,
        "first_name": first,
        "last_name": last,
        "email": email_of(first, last, f"s{number}"),
        "phone_number": f"+447700900{number % 1000:03}",
    }


def _team(method: str, chance: random.Random) -> dict[str, Any]:
    roles = ["estate_agent", "conveyancer"]
    if method != "standard":
        roles.append("auctioneer")
    if chance.random() < 0.3:
        roles.append("mortgage_broker")
    return {role: _professional(role, chance.randint(1, FIRMS)) for role in roles}


@functools.cache
def _professional(role: str, number: int) -> Row:
    chance = chance_of(role, number)
    names = pools(Locale.EN_GB)
    first, last = chance.choice(names.first_names), chance.choice(names.last_names)
    ending, first_id = _ROLES[role]
    return {
        "id": first_id + number,
        "name": f"{first} {last}",
        "email": email_of(first, last, f"{role[0]}{number}"),
        "firm": f"{last} {ending}",
    }


def _milestones(number: int, method: str, begun: datetime, chance: random.Random) -> list[Row]:
    """Return the steps of a sale that has got somewhere: some at the start, some done, most between."""
    names = milestone_names(method)
    done = chance.randint(0, len(names))
    milestones = []
    due = completed = begun
    for order, name in enumerate(names, 1):
        due += timedelta(days=chance.randint(7, 30))
        completed = min(due + timedelta(days=chance.randint(-6, 12)), TODAY)
        is_done = order <= done
        milestones.append(
            {
                "id": number * 10 + order,
                "name": name,
                "description": DESCRIPTIONS[name],
                "order": order,
                "completed": is_done,
                "completed_at": completed.strftime(TIME_FORMAT) if is_done else None,
                "due_date": due.strftime(TIME_FORMAT),
                "is_overdue": not is_done and due < TODAY,
            }
        )
    return milestones
