"""From a webhook's body to an event: no I/O. Source: openmoove_partner_api.md, "Webhook Payload"."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from partner_pipelines.models.openmoove import Milestone
from partner_pipelines.models.webhook import EVENTS, MILESTONE_EVENTS, PropertyKey, WebhookBody, WebhookEvent
from partner_pipelines.partners.rows import Rows, validate_rows

_MILESTONE = TypeAdapter(Milestone)
_MILESTONE_FIELDS = frozenset(Milestone.model_fields)
_IDS = range(1, 2**63)


class WebhookError(ValueError):
    """The body is no event that is known. `reason` is a word for a table; it says nothing of the content."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def decipher_webhook(body: bytes) -> WebhookEvent:
    """The event that a body tells. Raises WebhookError: not_json, not_an_event, unknown_event, no_property."""
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError:
        raise WebhookError("not_json") from None
    try:
        told = WebhookBody.model_validate(value)
    except ValidationError:
        raise WebhookError("not_an_event") from None
    if told.event not in EVENTS:
        raise WebhookError("unknown_event")
    milestone = _milestone(told) if told.event in MILESTONE_EVENTS else None
    return WebhookEvent(told.event, _utc(told.timestamp), _property_id(told.data), milestone, _extra(told, milestone))


def decipher_told_milestone(event: WebhookEvent) -> Rows[Milestone]:
    """The payload's milestone, validated: one row, or one rejected; none for an event of a property."""
    if event.milestone is None:
        return Rows(())
    known = {name: value for name, value in event.milestone.items() if name in _MILESTONE_FIELDS}
    return validate_rows(_MILESTONE, [known])


def _utc(stamp: datetime) -> datetime:
    return (stamp if stamp.tzinfo is not None else stamp.replace(tzinfo=UTC)).astimezone(UTC)


def _property_id(data: Mapping[str, Any]) -> int:
    """`data.property_id`, else `data.property.id`, else `data.id`."""
    inner = data.get("property")
    candidates = (data.get("property_id"), inner.get("id") if isinstance(inner, dict) else None, data.get("id"))
    for candidate in candidates:
        if candidate is None:
            continue
        try:
            found = PropertyKey.model_validate({"id": candidate}).id
        except ValidationError:
            break
        if found in _IDS:
            return found
        break
    raise WebhookError("no_property")


def _milestone(told: WebhookBody) -> dict[str, Any]:
    """Under the API's names: a webhook's `completed_date` is its `completed_at`."""
    found = told.data.get("milestone")
    if not isinstance(found, dict):
        return {}
    milestone = dict(found)
    if "completed_date" in milestone:
        milestone["completed_at"] = milestone.pop("completed_date")
    return milestone


def _extra(told: WebhookBody, milestone: Mapping[str, Any] | None) -> dict[str, Any]:
    extra = dict(told.model_extra or {})
    used = {"property_id"} if milestone is None else {"property_id", "milestone"}
    extra |= {f"data.{name}": value for name, value in told.data.items() if name not in used}
    unknown = {} if milestone is None else {name: milestone[name] for name in milestone.keys() - _MILESTONE_FIELDS}
    return extra | {f"milestone.{name}": value for name, value in unknown.items()}
