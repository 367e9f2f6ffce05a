"""What can be asked of OpenMoove: request in, rows out, no I/O. Source: openmoove_partner_api.md, "API Endpoints"."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from partner_pipelines.errors import APIResponseError, CallFacts
from partner_pipelines.models.openmoove import ListedProperty, Milestone, PropertyDetail
from partner_pipelines.partners.caller import Answer, Operation
from partner_pipelines.partners.openmoove.plan import WEBHOOK
from partner_pipelines.partners.rows import Page, Rows, parse_json, read_page, validate_rows

MAX_PROPERTY_BYTES = 1024 * 1024  # of an answer about one property; the documented ones have two thousand
PAGE_SIZE = 100  # the documented maximum: a fifth of the requests that the default of 20 costs

_LISTED = TypeAdapter(ListedProperty)
_DETAIL = TypeAdapter(PropertyDetail)
_MILESTONE = TypeAdapter(Milestone)


def build_list(base_url: str, reason: str) -> Operation:
    """The first page of the properties."""
    return build_page(f"{base_url}properties/?page=1&page_size={PAGE_SIZE}", reason)


def build_page(url: str, reason: str, shown_url: str | None = None) -> Operation:
    """A page by its address; `shown_url` is the trail's, where the partner gave the address."""
    return Operation("list_properties", "GET", url, reason=reason, shown_url=shown_url)


def build_check(base_url: str) -> Operation:
    """One row of the list, to see whether address and key are good."""
    return Operation(
        "list_properties", "GET", f"{base_url}properties/?page=1&page_size=1", reason="check", purpose="check"
    )


def build_detail(base_url: str, property_id: int, reason: str) -> Operation:
    """All about one property."""
    url = f"{base_url}properties/{property_id}/detail/"
    return _about_property("get_property_detail", url, reason)


def build_milestones(base_url: str, property_id: int, reason: str) -> Operation:
    """The milestones of one property."""
    url = f"{base_url}properties/{property_id}/milestones/"
    return _about_property("get_milestones", url, reason)


def _about_property(name: str, url: str, reason: str) -> Operation:
    first_class = reason == WEBHOOK
    return Operation(name, "GET", url, reason=reason, max_body_bytes=MAX_PROPERTY_BYTES, first_class=first_class)


def build_current_milestone(base_url: str, property_id: int) -> Operation:
    """The active milestone of one property; a look that checks what we have."""
    url = f"{base_url}properties/{property_id}/milestones/current/"
    return Operation(
        "get_current_milestone", "GET", url, reason="check", purpose="check", max_body_bytes=MAX_PROPERTY_BYTES
    )


def decipher_page(answer: Answer, facts: CallFacts) -> Page[ListedProperty]:
    """A page of the list; OpenMoove documents one shape only."""
    value = parse_json(answer.body, facts)
    if not isinstance(value, dict):
        raise APIResponseError(f"{facts.operation}: the answer is no list in the documented shape", facts)
    return read_page(_LISTED, value, facts, wrapped_as=None)


def decipher_detail(answer: Answer, property_id: int, facts: CallFacts) -> Rows[PropertyDetail]:
    """The detail; an answer about another property is an error, not a row."""
    rows = validate_rows(_DETAIL, [_object(answer, facts)])
    if rows.items and rows.items[0].id != property_id:
        raise APIResponseError(f"{facts.operation}: asked for property {property_id}, got another one", facts)
    return rows


def decipher_milestones(answer: Answer, facts: CallFacts) -> Rows[Milestone]:
    """The milestones: a bare array, as documented."""
    value = parse_json(answer.body, facts)
    if not isinstance(value, list):
        raise APIResponseError(f"{facts.operation}: the answer is no array of milestones", facts)
    return validate_rows(_MILESTONE, value)


def decipher_current_milestone(answer: Answer, facts: CallFacts) -> Rows[Milestone]:
    """The one active milestone."""
    return validate_rows(_MILESTONE, [_object(answer, facts)])


def _object(answer: Answer, facts: CallFacts) -> dict[str, Any]:
    value = parse_json(answer.body, facts)
    if not isinstance(value, dict):
        raise APIResponseError(f"{facts.operation}: the answer is no JSON object", facts)
    return value
