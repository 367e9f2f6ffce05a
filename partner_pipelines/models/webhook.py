"""What OpenMoove pushes. Source: openmoove_partner_api.md, "Webhooks"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from partner_pipelines.models.fields import PartnerTime
from partner_pipelines.models.openmoove import OpenMooveId

PROPERTY_EVENTS = ("property.created", "property.updated")
MILESTONE_EVENTS = ("property.milestone.created", "property.milestone.updated")
EVENTS = (*PROPERTY_EVENTS, *MILESTONE_EVENTS)
"""Source: "Supported Events"."""


class WebhookBody(BaseModel):
    """A body. Source: "Webhook Payload"; what more it carries is in `model_extra`. Its repr shows none of it."""

    model_config = ConfigDict(frozen=True, extra="allow")

    event: str
    timestamp: PartnerTime
    data: dict[str, Any]

    def __repr__(self) -> str:
        """The event alone: data may be anybody's."""
        return f"WebhookBody({self.event!r})"


class PropertyKey(BaseModel):
    """An id, where a payload carries one."""

    model_config = ConfigDict(frozen=True)

    id: OpenMooveId


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """One event. `happened_at` is the partner's time, aware; `milestone` the payload's, under the API's names.

    `extra` is what the payload carries beyond that, by its place: "data.property", "milestone.colour".
    """

    event: str
    happened_at: datetime
    property_id: int
    milestone: Mapping[str, Any] | None = field(repr=False)
    extra: Mapping[str, Any] = field(repr=False)
