"""What OpenMoove sends. Source: openmoove_partner_api.md, section "API Endpoints".

List and detail of a property are two partial sources of one row: neither sets the other's columns to null.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from partner_pipelines.models.fields import PartnerRow, PartnerTime, TokenForm, internal, key, personal, public


def _no_truth(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("true is no id, least of all 1")  # noqa: TRY004 - pydantic takes no TypeError
    return value


OpenMooveId = Annotated[int, BeforeValidator(_no_truth)]


class ListedProperty(PartnerRow):
    """One line of the list. Source: "2. List Properties"."""

    id: OpenMooveId = key("OpenMoove's property id")
    address: str | None = public("The property's address")
    postcode: str | None = public("The property's postcode")
    uprn: int | None = public("Unique Property Reference Number (Ordnance Survey)")
    sale_method: str | None = internal("standard, modern_auction, secure_sale; open text")
    created_at: PartnerTime | None = internal("When the property was put on OpenMoove")


class Seller(PartnerRow):
    """Who sells. Source: "3. Get Property Details"."""

    id: OpenMooveId = key("OpenMoove's id of the seller")
    first_name: str | None = personal(TokenForm.NAME, "The seller's first name")
    last_name: str | None = personal(TokenForm.NAME, "The seller's last name")
    email: str | None = personal(TokenForm.EMAIL, "The seller's e-mail")
    phone_number: str | None = personal(TokenForm.PHONE, "The seller's phone")


class TeamMember(PartnerRow):
    """Who works on the sale, by role. Source: "3. Get Property Details"."""

    id: OpenMooveId | None = internal("OpenMoove's id of the professional")
    name: str | None = personal(TokenForm.NAME, "The professional's name")
    email: str | None = personal(TokenForm.EMAIL, "The professional's e-mail")
    phone_number: str | None = personal(TokenForm.PHONE, "The professional's phone")
    firm: str | None = public("The professional's firm")


class PropertyDetail(PartnerRow):
    """All about one property. Source: "3. Get Property Details"."""

    id: OpenMooveId = key("OpenMoove's property id")
    address: str | None = public("The property's address")
    postcode: str | None = public("The property's postcode")
    uprn: int | None = public("Unique Property Reference Number (Ordnance Survey)")
    title_number: str | None = public("HM Land Registry's title number")
    sale_method: str | None = internal("standard, modern_auction, secure_sale; open text")
    seller: Seller | None = None
    team: dict[str, TeamMember | None] | None = None
    milestones_count: int | None = internal("How many milestones the sale has")
    completed_milestones: int | None = internal("How many of them are completed")


class Milestone(PartnerRow):
    """One step of a sale. Source: "4. Get Property Milestones"; the current one has three fields more (section 5)."""

    id: OpenMooveId = key("OpenMoove's milestone id")
    name: str | None = internal("The step's name; open text")
    description: str | None = internal("The step in words")
    order: int | None = internal("Its place in the sale, from 1")
    completed: bool | None = internal("Done")
    completed_at: PartnerTime | None = internal("When it was done (a webhook calls it completed_date)")
    due_date: PartnerTime | None = internal("When it should be done")
    is_overdue: bool | None = internal("OpenMoove's word at the time of the call; it ages", volatile=True)
    days_until_due: int | None = internal("OpenMoove's word at the time of the call; it ages", volatile=True)
    assigned_to: str | None = personal(TokenForm.RAW, "Who has to do it")
    priority: str | None = internal("OpenMoove's priority; open text")
