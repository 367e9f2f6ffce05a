"""From a body to rows: those that validate, and those that do not with their reasons. One bad row stops no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from partner_pipelines.errors import APIResponseError, CallFacts
from partner_pipelines.partners.bodies import Body

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that is not what the contract says. `raw` may hold personal data: it goes to the vault, never to a log."""

    raw: Any = field(repr=False)
    errors: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Rows(Generic[Row]):
    """What an answer holds."""

    items: Sequence[Row]
    rejected: Sequence[RejectedRow] = ()


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """One page of a list. `count` is None where the partner names none."""

    rows: Rows[Row]
    next_url: str | None = None
    count: int | None = None

    @property
    def keys(self) -> list[object]:
        """What tells its rows apart: the id of a row, the raw value of a rejected one."""
        items: Sequence[Any] = self.rows.items
        return [item.id for item in items] + [("rejected", repr(row.raw)) for row in self.rows.rejected]


def parse_json(body: Body, facts: CallFacts) -> Any:
    """The body's JSON value. Raises APIResponseError for what is none."""
    try:
        return body.take_json()
    except ValueError as error:
        # jiter's sentence names line and column, never the content
        raise APIResponseError(f"{facts.operation}: the body is not JSON ({error})", facts) from None


def validate_rows(adapter: TypeAdapter[Row], values: Sequence[Any]) -> Rows[Row]:
    """The rows of a list, validated one by one; the good ones keep their order."""
    items: list[Row] = []
    rejected: list[RejectedRow] = []
    validate = adapter.validator.validate_python
    for value in values:
        try:
            items.append(validate(value))
        except ValidationError as error:
            rejected.append(RejectedRow(value, describe(error)))
    return Rows(items, rejected)


def describe(error: ValidationError) -> tuple[tuple[str, str], ...]:
    """(field, reason) per fault, without the values."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return tuple((".".join(str(part) for part in fault["loc"]) or "(row)", fault["type"]) for fault in faults)


def read_page(adapter: TypeAdapter[Row], value: Any, facts: CallFacts, wrapped_as: str | None) -> Page[Row]:
    """A page in one of the three shapes that are known; any other is an error, never zero rows.

    Source: openmoove_partner_api.md "Pagination" (`count, next, previous, results`); facts of ResMan's lists: a bare
    array, or one wrapped list (`{"units": […]}`, named by `wrapped_as`).
    """
    if isinstance(value, list):
        return Page(validate_rows(adapter, value))
    if isinstance(value, dict):
        if isinstance(value.get("results"), list) and "next" in value:
            return Page(
                validate_rows(adapter, value["results"]), _next(value["next"], facts), _count(value.get("count"))
            )
        # Alone: beside a total or a link to more the list would not be the whole one
        if wrapped_as is not None and len(value) == 1 and isinstance(value.get(wrapped_as), list):
            return Page(validate_rows(adapter, value[wrapped_as]))
    raise APIResponseError(f"{facts.operation}: the answer is no list in a known shape", facts)


def _next(value: object, facts: CallFacts) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    raise APIResponseError(f"{facts.operation}: `next` is neither an address nor null", facts)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
