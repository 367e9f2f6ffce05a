"""The class of every field, stated where the field is: what may be shown, to whom, and in which form it is stored.

A column's class decides where its value goes: `public` and `internal` values stand in the warehouse as they came,
`personal` ones are kept once in the vault and stand everywhere else as tokens, `secret` ones are never stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")

# Compared as they were written, whatever their offset: a naive bound costs nothing, an aware one a validator in Python
PartnerTime = Annotated[datetime, Field(ge=datetime(1, 1, 3), le=datetime(9999, 12, 29))]  # noqa: DTZ001 - see above
"""A partner's time that is a datetime in UTC and in any zone; what DuckDB could give back as text alone is none."""


class Privacy(StrEnum):
    """Who may see a field's values."""

    PUBLIC = "public"
    INTERNAL = "internal"
    PERSONAL = "personal"
    SECRET = "secret"  # noqa: S105 - the class of a field, not a password


class TokenForm(StrEnum):
    """How a personal value becomes a token.

    EMAIL and PHONE: a keyed HMAC of the normalised value, equal where the values are equal.
    NAME: a token per person and field, whatever the value. RAW: a keyed HMAC of the value as it came.
    """

    EMAIL = "email"
    PHONE = "phone"
    NAME = "name"
    RAW = "raw"


class PartnerRow(BaseModel):
    """One item as a partner sends it: the partner's own field names; what we do not know is kept in `model_extra`."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=(), allow_inf_nan=False)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Its keys alone: whoever prints or logs a row shows no person's data."""
        for name, info in type(self).model_fields.items():
            if info.is_required():
                yield name, getattr(self, name)


def is_field_name(name: str) -> bool:
    """Whether it reads like a field's name: anything else that stands in its place may be a person's address."""
    return _FIELD_NAME.fullmatch(name) is not None


def _field(privacy: Privacy, description: str, *, required: bool = False, **more: str | bool) -> Any:
    schema: dict[str, Any] = {"privacy": privacy.value, **more}
    return Field(default=... if required else None, description=description, json_schema_extra=schema)


def key(description: str) -> Any:
    """A field that identifies the item at the partner: always there."""
    return _field(Privacy.INTERNAL, description, required=True)


def public(description: str) -> Any:
    """A field that anybody may see."""
    return _field(Privacy.PUBLIC, description)


def internal(description: str, *, volatile: bool = False) -> Any:
    """A field for those who work here. `volatile`: it moves with the clock alone, so it makes no new version."""
    return _field(Privacy.INTERNAL, description, volatile=volatile)


def personal(form: TokenForm, description: str) -> Any:
    """A person's value: kept in the vault alone, a token of this form elsewhere."""
    return _field(Privacy.PERSONAL, description, token_form=form.value)
