"""What ResMan sends: the union of the document's samples, ResMan's own words and the rows seen.

Source: resman_handshake.md, section 2 "API Endpoint Usage". Enumerations are open text: a check names unknown words.
Ids are text; a number is taken as its digits, so that an id that changes type stays the same row.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import BeforeValidator

from partner_pipelines.models.fields import PartnerRow, PartnerTime, TokenForm, internal, key, personal, public


def _digits_as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


ResManId = Annotated[str, BeforeValidator(_digits_as_text)]


class Unit(PartnerRow):
    """One apartment. Source: section "Example: Units API"; scope `units`."""

    id: ResManId = key("ResMan's unit id")
    property_id: ResManId | None = internal("The property (community) the unit belongs to")
    property_name: str | None = public("The property's name")
    unit_number: str | None = public("The number on the door")
    unit_type: str | None = public("ResMan's word for the kind of unit")
    floorplan: str | None = public("The floor plan's name, where ResMan sends one")
    bedrooms: int | None = public("Bedrooms; 0 is a studio")
    bathrooms: float | None = public("Bathrooms; a half is a shower room")
    square_feet: float | None = public("Living space in square feet")
    floor: int | None = public("The floor it lies on")
    market_rent: float | None = public("Asking rent in US dollars a month")
    current_rent: float | None = internal("Rent paid now in US dollars a month")
    available: bool | None = public("Free to let")
    available_on: date | None = public("The day it becomes free (ResMan's rows)")
    available_date: date | None = public("The day it becomes free (ResMan's own word)")
    status: str | None = internal("ResMan's status: Available, Leased, Maintenance and others; open text")
    concessions: str | None = public("What is offered to new tenants")
    amenities: list[str] | None = public("What the unit has")
    created_at: PartnerTime | None = internal("When ResMan made the row")
    updated_at: PartnerTime | None = internal("When ResMan last changed it")


class Lead(PartnerRow):
    """One lead (guest card). Source: section "Example: Leads API"; scope `leads`."""

    id: ResManId = key("ResMan's lead id; other documents call it prospect_id")
    property_id: ResManId | None = internal("The property the lead asked about")
    first_name: str | None = personal(TokenForm.NAME, "The lead's first name")
    last_name: str | None = personal(TokenForm.NAME, "The lead's last name")
    email: str | None = personal(TokenForm.EMAIL, "The lead's e-mail")
    phone: str | None = personal(TokenForm.PHONE, "The lead's phone (ResMan's own word)")
    phone_number: str | None = personal(TokenForm.PHONE, "The lead's phone (ResMan's rows)")
    contact_method: str | None = internal("How the lead wants to be reached: email, phone, text; open text")
    source: str | None = internal("Where the lead came from; open text")
    status: str | None = internal("new, contacted, qualified, tour_scheduled, application, leased, lost; open text")
    move_in_date: date | None = internal("When the lead wants to move in")
    budget: float | None = internal("What the lead would pay in US dollars a month")
    created_at: PartnerTime | None = internal("When the lead first made contact")
    updated_at: PartnerTime | None = internal("When ResMan last changed it")


class Employee(PartnerRow):
    """One employee, the AI leasing agent's record among them. Source: "Example: Employees API"; scope `employees`."""

    id: ResManId = key("ResMan's employee id")
    property_id: ResManId | None = internal("The property the employee works at")
    first_name: str | None = personal(TokenForm.NAME, "The employee's first name")
    last_name: str | None = personal(TokenForm.NAME, "The employee's last name")
    email: str | None = personal(TokenForm.EMAIL, "The employee's e-mail")
    phone: str | None = personal(TokenForm.PHONE, "The employee's phone")
    phone_number: str | None = personal(TokenForm.PHONE, "The employee's phone, under the rows' name")
    role: str | None = internal("Leasing Agent, Property Manager and others; open text")
    department: str | None = internal("The department")
    hire_date: date | None = internal("First day of work")
    status: str | None = internal("ResMan's status; open text")
    active: bool | None = internal("Works there now")
    created_at: PartnerTime | None = internal("When ResMan made the row")
    updated_at: PartnerTime | None = internal("When ResMan last changed it")


class Document(PartnerRow):
    """The record of one document, not its content. Source: "Example: Documents API"; scope `documents`."""

    id: ResManId = key("ResMan's document id")
    prospect_id: ResManId | None = internal("The lead it belongs to (resman.leads.id)")
    document_type: str | None = internal("lease_packet, application, supporting (supporting_docs); open text")
    name: str | None = internal("The file's name")
    size_bytes: int | None = internal("The file's size in bytes")
    created_at: PartnerTime | None = internal("When it was filed")
    updated_at: PartnerTime | None = internal("When ResMan last changed it")


class Payment(PartnerRow):
    """One payment or fee. Source: section "Example: Payments API"; scope `payments`."""

    id: ResManId = key("ResMan's payment id")
    property_id: ResManId | None = internal("The property it was paid at, where ResMan sends one")
    prospect_id: ResManId | None = internal("The lead who pays (resman.leads.id)")
    amount: float | None = internal("The amount in US dollars")
    fee_type: str | None = internal("application_fee, admin_fee (admin), pet_fee (pet), deposit; open text")
    status: str | None = internal("ResMan's status, where it sends one; open text")
    created_at: PartnerTime | None = internal("When it was booked")
    updated_at: PartnerTime | None = internal("When ResMan last changed it")


class WorkOrder(PartnerRow):
    """One work order. Source: section "Enabling Additional Scopes", Maintenance; scope `maintenance`."""

    id: ResManId = key("ResMan's work order id")
    property_id: ResManId | None = internal("The property it is for")
    unit_id: ResManId | None = internal("The unit it is for, where ResMan sends one (resman.units.id)")
    category: str | None = internal("The trade; open text")
    description: str | None = internal("What is to be done")
    priority: str | None = internal("Low, Medium, High, in any case; open text")
    status: str | None = internal(
        "Submitted, Not Started, Scheduled, In Progress, On Hold, Completed, Cancelled; in ResMan's rows open, closed"
    )
    created_at: PartnerTime | None = internal("When it was submitted")
    updated_at: PartnerTime | None = internal("When ResMan last changed it")
    closed_at: PartnerTime | None = internal("When it was closed; null while it is open")
