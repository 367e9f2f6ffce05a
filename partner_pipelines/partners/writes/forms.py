"""What can be written to the partners: the fields of each kind, what they must be, and what makes two writes the same.

Sources: resman_handshake.md, "2. API Endpoint Usage", "3. API Scope Expansion"; openmoove_partner_api.md, "1. Create
Client and Property". All of a line's errors are told at once.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from partner_pipelines.partners.writes import checks
from partner_pipelines.partners.writes.checks import Check, RefusedValueError

Values = Mapping[str, Any]
Errors = dict[str, list[str]]
KindName = Literal["leads", "employees", "payments", "maintenance", "clients"]

NO_PROFESSIONAL = "At least one professional email must be provided"
NO_AUCTIONEER = "Auctioneer email is required for auction sales"
ACROSS = "non_field_errors"
PROFESSIONAL_EMAILS = ("estate_agent_email", "conveyancer_email", "mortgage_broker_email", "auctioneer_email")
SALE_METHODS = ("standard", "modern_auction", "secure_sale")
AUCTIONS = frozenset({"modern_auction", "secure_sale"})
FEE_TYPES = ("application_fee", "admin_fee", "admin", "pet_fee", "pet", "deposit")
WORK_ORDER_STATUSES = (
    "Submitted", "Not Started", "Scheduled", "In Progress", "On Hold", "Completed", "Cancelled", "open", "closed",
)  # fmt: skip
PRIORITIES = ("Low", "Medium", "High")
LEAD_STATUSES = ("new", "contacted", "qualified", "tour_scheduled", "application", "leased", "lost")
ROLES = ("Leasing Agent", "Property Manager", "Assistant Manager", "Regional Manager", "Maintenance")

_LONGEST, _LONGEST_TEXT = 255, 5_000
_PUNCTUATION = re.compile(r"[\s,.;]+")


@dataclass(frozen=True, slots=True)
class Form:
    """One kind of write.

    `required`: of a new item. `checks`: every field that may be sent. `natural`: what tells its items apart by what
    they are, for lines that name no id and no reference; None where a line holds nothing of the kind.
    `is_findable`: the partner's lists show the natural key, so that an uncertain write can be looked for there.
    `has_update`: the partner takes changes. `has_reference`: a line may name the sender's own reference.
    """

    kind: KindName
    partner: Literal["resman", "openmoove"]
    required: tuple[str, ...]
    checks: Mapping[str, Check] = field(repr=False)
    natural: Callable[[Values], tuple[str, ...] | None] = field(repr=False)
    across: Callable[[Values], Errors] | None = field(default=None, repr=False)
    is_findable: bool = True
    has_update: bool = True
    has_reference: bool = False

    @property
    def meta(self) -> frozenset[str]:
        """What a line may say about itself, and is not sent."""
        words = {"connection"}
        if self.has_update and self.partner == "resman":
            words.add("id")
        if self.has_reference:
            words.add("reference")
        return frozenset(words)

    def check(self, values: Values, *, is_update: bool) -> tuple[dict[str, Any], Errors]:
        """What is sent, and everything that is wrong, field by field. Null and the empty text count as left out."""
        kept: dict[str, Any] = {}
        errors: Errors = {}
        meta = self.meta
        for name, value in values.items():
            if name in meta or value is None or value == "":
                continue
            try:
                kept[name] = self.checks.get(name, self._refuse)(value)
            except RefusedValueError as error:
                errors[name] = [str(error) if name in self.checks else self._unknown(name)]
        if not is_update:
            missing = [name for name in self.required if name not in kept and name not in errors]
            errors |= {name: [checks.BLANK if values.get(name) == "" else checks.REQUIRED] for name in missing}
        if self.across is not None:
            errors = self.across({**dict.fromkeys(errors, ""), **kept}) | errors
        return kept, errors

    @staticmethod
    def _refuse(_: object) -> object:
        raise RefusedValueError

    def _unknown(self, name: str) -> str:
        near = difflib.get_close_matches(name, self.checks, 1)
        return f"No such field{f'; did you mean {near[0]}?' if near else ''}"


def _person(values: Values) -> str | None:
    """What tells a person: the e-mail, else the phone."""
    address = values.get("email")
    if address:
        return f"email:{address.casefold()}"
    called = values.get("phone_number") or values.get("phone")
    return f"phone:{called}" if called else None


def _lead_key(values: Values) -> tuple[str, ...] | None:
    person = _person(values)
    return None if person is None else (str(values.get("property_id") or ""), person)


def _employee_key(values: Values) -> tuple[str, ...] | None:
    address = values.get("email")
    return (address.casefold(),) if address else None


def _client_key(values: Values) -> tuple[str, ...] | None:
    place = place_key(values["property_postcode"], values["property_address"])
    return (values["email"].casefold(), *place)


def place_key(postcode: str, address: str) -> tuple[str, str]:
    """Postcode and address, equal for spellings that differ in case, blanks and punctuation only."""
    return "".join(postcode.split()).casefold(), _PUNCTUATION.sub(" ", address).strip().casefold()


def _no_key(_: Values) -> None:
    return None


def _client_errors(values: Values) -> Errors:
    errors: Errors = {}
    if not any(name in values for name in PROFESSIONAL_EMAILS):
        errors[ACROSS] = [NO_PROFESSIONAL]
    if values.get("sale_method") in AUCTIONS and "auctioneer_email" not in values:
        errors["auctioneer_email"] = [NO_AUCTIONEER]
    return errors


_word = checks.text(_LONGEST)
_person_checks: dict[str, Check] = {
    "first_name": _word,
    "last_name": _word,
    "email": checks.email,
    "phone": checks.phone("US"),
    "phone_number": checks.phone("US"),
    "property_id": _word,
}

LEADS = Form(
    "leads",
    "resman",
    ("first_name", "last_name"),
    {
        **_person_checks,
        "contact_method": _word,
        "source": _word,
        "status": checks.choice(LEAD_STATUSES, as_written=True),
        "move_in_date": checks.day,
        "budget": checks.number,
        "notes": checks.text(_LONGEST_TEXT),
    },
    _lead_key,
)
EMPLOYEES = Form(
    "employees",
    "resman",
    ("first_name", "last_name", "role", "email"),
    {
        **_person_checks,
        "role": checks.open_choice(ROLES),
        "department": _word,
        "hire_date": checks.day,
        "status": _word,
        "active": checks.switch,
    },
    _employee_key,
)
PAYMENTS = Form(
    "payments",
    "resman",
    ("prospect_id", "amount", "fee_type"),
    {"prospect_id": _word, "property_id": _word, "amount": checks.amount, "fee_type": checks.choice(FEE_TYPES)},
    _no_key,
    is_findable=False,
    has_update=False,
    has_reference=True,
)
MAINTENANCE = Form(
    "maintenance",
    "resman",
    ("property_id", "description"),
    {
        "property_id": _word,
        "unit_id": _word,
        "category": _word,
        "description": checks.text(_LONGEST_TEXT),
        "priority": checks.choice(PRIORITIES, as_written=True),
        "status": checks.choice(WORK_ORDER_STATUSES, as_written=True),
    },
    _no_key,
    is_findable=False,
    has_reference=True,
)
CLIENTS = Form(
    "clients",
    "openmoove",
    ("first_name", "last_name", "email", "phone_number", "property_address", "property_postcode"),
    {
        "first_name": checks.text(150),
        "last_name": checks.text(150),
        "email": checks.email,
        "phone_number": checks.phone("GB"),
        "property_address": checks.text(255),
        "property_postcode": checks.postcode,
        "sale_method": checks.choice(SALE_METHODS),
        **dict.fromkeys(PROFESSIONAL_EMAILS, checks.email),
        "products": checks.slugs,
    },
    _client_key,
    across=_client_errors,
    has_update=False,
)
FORMS: Mapping[str, Form] = {form.kind: form for form in (LEADS, EMPLOYEES, PAYMENTS, MAINTENANCE, CLIENTS)}
