"""From a body to rows: those that validate, and those that do not with their reasons. One bad row stops no other."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from partner_pipelines.errors import APIResponseError, BodyTooLargeError, CallFacts
from partner_pipelines.models.fields import is_field_name
from partner_pipelines.partners.bodies import Body, TooManyValues

Row = TypeVar("Row")

LONGEST_KEY = 64
MOST_FIELDS = 1_000


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
        """What tells its rows apart: the id of a row, the raw value of a rejected one; each of few bytes."""
        items: Sequence[Any] = self.rows.items
        ids = [item.id for item in items]
        short = [_digest(key) if isinstance(key, str) and len(key) > LONGEST_KEY else key for key in ids]
        return short + [("rejected", _digest(repr(row.raw))) for row in self.rows.rejected]


def parse_json(body: Body, facts: CallFacts) -> Any:
    """The body's JSON value; nothing of the body is kept. Raises APIResponseError for what is none."""
    try:
        return body.take_json()
    except TooManyValues:
        sentence = "the body holds more rows or values than a partner's answer of its length"
        raise BodyTooLargeError(f"{facts.operation}: {sentence}", facts) from None
    except ValueError as error:
        # jiter's sentence names line and column, never the content
        raise APIResponseError(f"{facts.operation}: the body is not JSON ({error})", facts) from None


def validate_rows(adapter: TypeAdapter[Row], values: Sequence[Any]) -> Rows[Row]:
    """The rows of a list, validated one by one; the good ones keep their order."""
    items: list[Row] = []
    rejected: list[RejectedRow] = []
    validate = adapter.validator.validate_python
    for value in values:
        if isinstance(value, dict) and len(value) > MOST_FIELDS:
            rejected.append(RejectedRow(value, (("(row)", "too_many_fields"),)))
            continue
        try:
            items.append(validate(value))
        except ValidationError as error:
            rejected.append(RejectedRow(value, describe(error)))
    return Rows(items, rejected)


def describe(error: ValidationError) -> tuple[tuple[str, str], ...]:
    """(field, reason) per fault, without the values, nor what stands where a name should and may be a person's."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return tuple((".".join(map(_shown, fault["loc"])) or "(row)", fault["type"]) for fault in faults)


def _shown(part: int | str) -> str:
    return str(part) if isinstance(part, int) or is_field_name(part) else "(no name)"


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


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
