"""Columns of the warehouse, derived from the models' fields: name, type, privacy class and description stand there."""

from __future__ import annotations

import types
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from partner_pipelines.models.fields import PartnerRow, Privacy, TokenForm

_TYPES: dict[Any, str] = {
    str: "VARCHAR",
    int: "BIGINT",
    float: "DOUBLE",
    bool: "BOOLEAN",
    datetime: "TIMESTAMPTZ",
    date: "DATE",
    list[str]: "VARCHAR[]",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `form` is set for personal values: the column then holds tokens."""

    name: str
    type: str
    privacy: Privacy
    description: str
    form: TokenForm | None = None
    volatile: bool = False

    @property
    def stored_type(self) -> str:
        """The DuckDB type of what is stored: a token is text, whatever the value was."""
        return "VARCHAR" if self.form is not None else self.type


def columns_of(model: type[PartnerRow]) -> tuple[Column, ...]:
    """A column for each field that carries a privacy class; nested objects are rows of tables of their own."""
    found = (_column(name, info) for name, info in model.model_fields.items())
    return tuple(column for column in found if column is not None and column.privacy is not Privacy.SECRET)


def _column(name: str, info: FieldInfo) -> Column | None:
    stated = info.json_schema_extra
    if not isinstance(stated, dict) or "privacy" not in stated:
        return None
    form = stated.get("token_form")
    return Column(
        name,
        _TYPES[_bare(info.annotation)],
        Privacy(str(stated["privacy"])),
        info.description or "",
        TokenForm(str(form)) if form is not None else None,
        bool(stated.get("volatile", False)),
    )


def _bare(annotation: Any) -> Any:
    """The type without None and validators."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _bare(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        (only,) = (part for part in get_args(annotation) if part is not type(None))
        return _bare(only)
    return annotation
