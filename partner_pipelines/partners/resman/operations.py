"""What can be asked of ResMan: request in, rows out, no I/O. Source: resman_handshake.md, "2. API Endpoint Usage".

Only the four documented filters are sent. A server may ignore one, so each row is held against them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

from pydantic import TypeAdapter

from partner_pipelines.errors import APIResponseError, CallFacts
from partner_pipelines.models.fields import PartnerRow
from partner_pipelines.models.resman import Document, Employee, Lead, Payment, Unit, WorkOrder
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
PAYMENTS = Kind("payments", TypeAdapter(Payment), frozenset({"prospect_id"}))
MAINTENANCE = Kind("maintenance", TypeAdapter(WorkOrder), frozenset({"property_id"}))

Filters = Mapping[str, str | bool]


def build_list(base_url: str, kind: Kind[Any], filters: Filters, reason: str = "due") -> Operation:
    """The first page of a list. Raises ValueError for a filter that the document does not show for this kind."""
    unknown = set(filters) - kind.filters
    if unknown:
        raise ValueError(f"{kind.name} has no filter {sorted(unknown)}; documented: {sorted(kind.filters)}")
    query = urlencode({name: _word(value) for name, value in sorted(filters.items())})
    url = f"{base_url.rstrip('/')}/api/{kind.name}" + (f"?{query}" if query else "")
    return build_page(url, kind, reason)


def build_page(url: str, kind: Kind[Any], reason: str = "due", shown_url: str | None = None) -> Operation:
    """A page by its address; `shown_url` is the trail's, where the partner gave the address."""
    return Operation(f"list_{kind.name}", "GET", url, scope=kind.name, reason=reason, shown_url=shown_url)


def build_check(base_url: str, kind: Kind[Any]) -> Operation:
    """The first page of a list, to see whether it answers."""
    return replace(build_list(base_url, kind, {}, "check"), purpose="check")


def build_get(base_url: str, kind: Kind[Any], item_id: str, reason: str = "due") -> Operation:
    """One item by its id."""
    url = f"{base_url.rstrip('/')}/api/{kind.name}/{quote(item_id, safe='')}"
    return Operation(f"get_{kind.name}", "GET", url, scope=kind.name, reason=reason)


def decipher_page(kind: Kind[Row], answer: Answer, filters: Filters, facts: CallFacts) -> Page[Row]:
    """The page's rows, those that do not meet the filters left out."""
    page = read_page(kind.adapter, parse_json(answer.body, facts), facts, wrapped_as=kind.name)
    return replace(page, rows=keep_matching(page.rows, filters))


def decipher_item(kind: Kind[Row], answer: Answer, item_id: str, facts: CallFacts) -> Rows[Row]:
    """The one item, as a list of one row or of one rejected row; another item is an error, not a row."""
    value = parse_json(answer.body, facts)
    if not isinstance(value, dict) or str(value.get("id")) != item_id:
        raise APIResponseError(f"{facts.operation}: the answer is not the item that was asked for", facts)
    return validate_rows(kind.adapter, [value])


def keep_matching(rows: Rows[Row], filters: Filters) -> Rows[Row]:
    """The rows that meet every filter; of the rejected ones those that do not say otherwise."""
    if not filters:
        return rows
    items = [row for row in rows.items if all(getattr(row, name) == value for name, value in filters.items())]
    rejected = [row for row in rows.rejected if _may_match(row.raw, filters)]
    return Rows(items, rejected)


def _may_match(raw: Any, filters: Filters) -> bool:
    return not isinstance(raw, dict) or all(
        name not in raw or str(raw[name]).lower() == str(value).lower() for name, value in filters.items()
    )


def _word(value: str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else value
