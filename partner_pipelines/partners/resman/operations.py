"""What can be asked of ResMan: request in, rows out, no I/O. Source: resman_handshake.md, "2. API Endpoint Usage".

Only the four documented filters are sent. A server may ignore one, so each row is held against them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

from pydantic import TypeAdapter

from partner_pipelines.errors import CallFacts
from partner_pipelines.models.fields import PartnerRow
from partner_pipelines.models.resman import Document, Employee, Lead, Unit
from partner_pipelines.partners.caller import Answer, Operation
from partner_pipelines.partners.rows import Page, Rows, parse_json, read_page, validate_rows

Row = TypeVar("Row", bound=PartnerRow)


@dataclass(frozen=True, slots=True)
class Kind(Generic[Row]):
    """One collection of ResMan: its name is path, scope and table. `filters` are those the document shows for it."""

    name: str
    adapter: TypeAdapter[Row] = field(repr=False)
    filters: frozenset[str]


UNITS = Kind("units", TypeAdapter(Unit), frozenset({"available", "property_id"}))
LEADS = Kind("leads", TypeAdapter(Lead), frozenset({"property_id"}))
EMPLOYEES = Kind("employees", TypeAdapter(Employee), frozenset({"property_id"}))
DOCUMENTS = Kind("documents", TypeAdapter(Document), frozenset({"prospect_id", "document_type"}))

Filters = Mapping[str, str | bool]


def build_list(base_url: str, kind: Kind[Any], filters: Filters, reason: str = "due") -> Operation:
    """The first page of a list. Raises ValueError for a filter that the document does not show for this kind."""
    unknown = set(filters) - kind.filters
    if unknown:
        raise ValueError(f"{kind.name} has no filter {sorted(unknown)}; documented: {sorted(kind.filters)}")
    query = urlencode({name: _word(value) for name, value in sorted(filters.items())})
    url = f"{base_url.rstrip('/')}/api/{kind.name}" + (f"?{query}" if query else "")
    return build_page(url, kind, reason)


def build_page(url: str, kind: Kind[Any], reason: str = "due") -> Operation:
    """A page by its address."""
    return Operation(f"list_{kind.name}", "GET", url, scope=kind.name, reason=reason)


def build_get(base_url: str, kind: Kind[Any], item_id: str, reason: str = "due") -> Operation:
    """One item by its id."""
    url = f"{base_url.rstrip('/')}/api/{kind.name}/{quote(item_id, safe='')}"
    return Operation(f"get_{kind.name}", "GET", url, scope=kind.name, reason=reason)


def decipher_page(kind: Kind[Row], answer: Answer, filters: Filters, facts: CallFacts) -> Page[Row]:
    """The page's rows, those that do not meet the filters left out."""
    page = read_page(kind.adapter, parse_json(answer.body, facts), facts, wrapped_as=kind.name)
    kept = keep_matching(page.rows.items, filters)
    return Page(Rows(kept, page.rows.rejected), page.next_url, page.count)


def decipher_item(kind: Kind[Row], answer: Answer, facts: CallFacts) -> Rows[Row]:
    """The one item, as a list of one row or of one rejected row."""
    return validate_rows(kind.adapter, [parse_json(answer.body, facts)])


def keep_matching(rows: Sequence[Row], filters: Filters) -> Sequence[Row]:
    """The rows that meet every filter."""
    if not filters:
        return rows
    return [row for row in rows if all(getattr(row, name) == value for name, value in filters.items())]


def _word(value: str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else value
