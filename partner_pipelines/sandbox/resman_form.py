"""What ResMan's POST and PATCH accept, and the row that comes of it."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from partner_pipelines.sandbox.store import Row

FieldErrors = dict[str, list[str]]

# Units and documents are read only (document: "Required API Scopes", "Optional Future Scopes").
REQUIRED: dict[str, tuple[str, ...]] = {
    "leads": ("first_name", "last_name"),
    "employees": ("first_name", "last_name", "role", "email"),
    "payments": ("prospect_id", "amount", "fee_type"),
    "maintenance": ("property_id", "description"),
}
ID_FORMS = {
    "leads": ("LEAD_", 5),
    "employees": ("EMP_", 3),
    "payments": ("PAY_", 5),
    "maintenance": ("WO_", 5),
    "units": ("UNIT_", 5),
    "documents": ("DOC_", 5),
}
_DEFAULTS: dict[str, Row] = {
    "leads": {
        "property_id": None,
        "email": None,
        "phone_number": None,
        "contact_method": None,
        "source": None,
        "status": "new",
    },
    "employees": {"property_id": None, "active": True},
    "payments": {},
    "maintenance": {"category": None, "priority": "medium", "status": "open", "closed_at": None},
}
_GIVEN_BY_THE_SERVER = ("id", "created_at", "updated_at")
_EMAIL = re.compile(r"^[^\s@]+@[^\s@]+\.[^\s@]+$")
_TEXT_LIMIT = 255
_LONG_TEXT_LIMIT = 5000


def _text_error(value: Any, limit: int = _TEXT_LIMIT) -> str | None:
    if not isinstance(value, str):
        return "Not a valid string."
    return f"Ensure this field has no more than {limit} characters." if len(value) > limit else None


def _long_text_error(value: Any) -> str | None:
    return _text_error(value, _LONG_TEXT_LIMIT)


def _email_error(value: Any) -> str | None:
    return _text_error(value) or (None if _EMAIL.match(value) else "Enter a valid email address.")


def _amount_error(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return "A valid number is required."
    return None if value > 0 else "Ensure this value is greater than 0."


def _switch_error(value: Any) -> str | None:
    return None if isinstance(value, bool) else "Must be a valid boolean."


_CHECKS: dict[str, Callable[[Any], str | None]] = {
    **dict.fromkeys(
        (
            "first_name",
            "last_name",
            "role",
            "property_id",
            "prospect_id",
            "fee_type",
            "source",
            "status",
            "contact_method",
            "phone",
            "phone_number",
            "department",
            "category",
            "priority",
        ),
        _text_error,
    ),
    "description": _long_text_error,
    "notes": _long_text_error,
    "email": _email_error,
    "amount": _amount_error,
    "active": _switch_error,
}


def field_errors(kind: str, values: Row, *, creating: bool) -> FieldErrors:
    """Return what is wrong with the values, field by field; empty when they do."""
    errors: FieldErrors = {}
    for name in REQUIRED[kind]:
        if creating and name not in values:
            errors[name] = ["This field is required."]
        elif name in values and values[name] is None:
            errors[name] = ["This field may not be null."]
        elif name in values and values[name] == "":
            errors[name] = ["This field may not be blank."]
    for name, value in values.items():
        check = _CHECKS.get(name)
        if check and name not in errors and value not in (None, "") and (error := check(value)):
            errors[name] = [error]
    return errors


def created_row(kind: str, values: Row, number: int) -> Row:
    """Return the row that a POST makes: the server gives id and times."""
    now = timestamp()
    prefix, width = ID_FORMS[kind]
    given = {"id": f"{prefix}{number:0{width}}", "created_at": now, "updated_at": now}
    return {**given, **_DEFAULTS[kind], **_accepted(values)}


def updated_row(row: Row, values: Row) -> Row:
    """Return the row that a PATCH leaves."""
    return {**row, **_accepted(values), "updated_at": timestamp()}


def timestamp() -> str:
    """Return now as the API writes times."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _accepted(values: Row) -> Row:
    return {name: value for name, value in values.items() if name not in _GIVEN_BY_THE_SERVER}
