"""What OpenMoove's POST clients/ accepts (document: "Create Client and Property", "Common Validation Errors")."""

from __future__ import annotations

import re
from typing import Any

FieldErrors = dict[str, list[str]]
Values = dict[str, Any]

# Field and longest value; None where the document names no limit.
REQUIRED: dict[str, int | None] = {
    "first_name": 150,
    "last_name": 150,
    "email": None,
    "phone_number": None,
    "property_address": 255,
    "property_postcode": 10,
}
PROFESSIONALS = ("estate_agent", "conveyancer", "mortgage_broker", "auctioneer")
PROFESSIONAL_EMAILS = tuple(f"{role}_email" for role in PROFESSIONALS)
SALE_METHODS = ("standard", "modern_auction", "secure_sale")
AUCTIONS = ("modern_auction", "secure_sale")

PRODUCTS = [
    {
        "name": "Property Pack",
        "slug": "property-pack",
        "description": "Title, searches and forms in one pack",
        "price": {"amount": "149.00", "currency": "GBP"},
    },
    {
        "name": "ID Check",
        "slug": "id-check",
        "description": "Identity and source of funds, per person",
        "price": {"amount": "12.50", "currency": "GBP"},
    },
    {
        "name": "Auction Legal Pack",
        "slug": "auction-legal-pack",
        "description": "What bidders need to see",
        "price": {"amount": "299.00", "currency": "GBP"},
    },
]
_SLUGS = {product["slug"]: product for product in PRODUCTS}

# Both expressions stand in the document under "Data Validation".
_EMAIL = re.compile(r"^[^\s@]+@[^\s@]+\.[^\s@]+$")
_E164 = re.compile(r"^\+[1-9]\d{1,14}$")
_NATIONAL = re.compile(r"^0\d{9,10}$")

NOT_AN_EMAIL = "Enter a valid email address"
NOT_A_PHONE = "Invalid phone number format"


def check_client(values: Values) -> tuple[Values, FieldErrors]:
    """Return the values as they are kept (phone in E.164), and what is wrong, field by field."""
    kept: Values = {}
    errors: FieldErrors = {}
    for name, limit in REQUIRED.items():
        _check_text(name, values, limit, kept, errors)
    for name in PROFESSIONAL_EMAILS:
        if values.get(name) not in (None, ""):
            _check_text(name, values, None, kept, errors)
    for name in ("email", *PROFESSIONAL_EMAILS):
        if name in kept and not _EMAIL.match(kept[name]):
            errors[name] = [NOT_AN_EMAIL]
    if "phone_number" in kept:
        _check_phone(kept, errors)
    _check_sale_method(values, kept, errors)
    _check_products(values, kept, errors)
    # As in Django REST Framework, what concerns several fields is looked at once each field does.
    return kept, errors or _errors_across_fields(kept)


def _check_text(name: str, values: Values, limit: int | None, kept: Values, errors: FieldErrors) -> None:
    value = values.get(name)
    if name not in values:
        errors[name] = ["This field is required."]
    elif value is None:
        errors[name] = ["This field may not be null."]
    elif not isinstance(value, str):
        errors[name] = ["Not a valid string."]
    elif not value.strip():
        errors[name] = ["This field may not be blank."]
    elif limit is not None and len(value.strip()) > limit:
        errors[name] = [f"Ensure this field has no more than {limit} characters."]
    else:
        kept[name] = value.strip()


def _check_phone(kept: Values, errors: FieldErrors) -> None:
    number = re.sub(r"[ ()-]", "", kept["phone_number"])
    if _NATIONAL.match(number):
        number = "+44" + number[1:]
    if _E164.match(number):
        kept["phone_number"] = number
    else:
        errors["phone_number"] = [NOT_A_PHONE]


def _check_sale_method(values: Values, kept: Values, errors: FieldErrors) -> None:
    method = values.get("sale_method", "standard")
    if method is None:
        errors["sale_method"] = ["This field may not be null."]
    elif method in SALE_METHODS:
        kept["sale_method"] = method
    else:
        errors["sale_method"] = [f'"{method}" is not a valid choice.']


def _check_products(values: Values, kept: Values, errors: FieldErrors) -> None:
    slugs = values.get("products") or []
    if not isinstance(slugs, list):
        errors["products"] = [f'Expected a list of items but got type "{type(slugs).__name__}".']
        return
    unknown = [slug for slug in slugs if not isinstance(slug, str) or slug not in _SLUGS]
    if unknown:
        errors["products"] = [f"Object with slug={unknown[0]} does not exist."]
    kept["products"] = [_SLUGS[slug] for slug in slugs if slug not in unknown]


def _errors_across_fields(kept: Values) -> FieldErrors:
    if not any(name in kept for name in PROFESSIONAL_EMAILS):
        return {"non_field_errors": ["At least one professional email must be provided"]}
    if kept["sale_method"] in AUCTIONS and "auctioneer_email" not in kept:
        return {"auctioneer_email": ["Auctioneer email is required for auction sales"]}
    return {}
