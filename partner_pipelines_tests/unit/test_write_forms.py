"""What may be written: OpenMoove's table of fields row by row, its samples and ResMan's, and what makes two writes one.

Expected words and samples stand in the contract documents; those of ours are marked.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_pipelines.partners.writes.forms import CLIENTS, EMPLOYEES, FORMS, LEADS, MAINTENANCE, PAYMENTS, place_key

# openmoove_partner_api.md, "1. Create Client and Property", as printed there
CLIENT: dict[str, Any] = {
    "first_name": "John",
    "last_name": "Smith",
    "email": "john.smith@example.com",
    "phone_number": "+447700900123",
    "property_address": "123 Example Street, London",
    "property_postcode": "SW1A 1AA",
    "sale_method": "standard",
    "estate_agent_email": "agent@agency.com",
    "conveyancer_email": "lawyer@lawfirm.com",
}
# resman_handshake.md, the bodies of its three samples
LEAD = {"first_name": "Jane", "last_name": "Doe", "contact_method": "email", "source": "eliseai.com"}
EMPLOYEE = {"first_name": "Meet", "last_name": "Elise", "role": "Leasing Agent", "email": "elise@property.com"}
PAYMENT = {"prospect_id": "PROSPECT_001", "amount": 500.00, "fee_type": "application_fee"}

REQUIRED = "This field is required."


@pytest.mark.parametrize(
    ("kind", "sample"), [("clients", CLIENT), ("leads", LEAD), ("employees", EMPLOYEE), ("payments", PAYMENT)]
)
def test_the_documents_samples_are_taken_as_they_are_printed(kind: str, sample: dict[str, Any]) -> None:
    assert FORMS[kind].check(sample, is_update=False) == (sample, {})


@pytest.mark.parametrize(
    ("change", "field", "word"),
    [
        ({"first_name": None}, "first_name", REQUIRED),
        ({"last_name": None}, "last_name", REQUIRED),
        ({"email": None}, "email", REQUIRED),
        ({"phone_number": None}, "phone_number", REQUIRED),
        ({"property_address": None}, "property_address", REQUIRED),
        ({"property_postcode": None}, "property_postcode", REQUIRED),
        ({"first_name": "A\0B"}, "first_name", "Null characters are not allowed."),
        ({"last_name": "half \ud83d"}, "last_name", "Not a valid string."),
        ({"property_address": "1 \udc00 Street"}, "property_address", "Not a valid string."),
        ({"first_name": "x" * 151}, "first_name", "Ensure this field has no more than 150 characters."),
        ({"last_name": "x" * 151}, "last_name", "Ensure this field has no more than 150 characters."),
        ({"property_address": "x" * 256}, "property_address", "Ensure this field has no more than 255 characters."),
        (
            {"property_postcode": "SW1A 1AA 1A"},
            "property_postcode",
            "Ensure this field has no more than 10 characters.",
        ),
        ({"property_postcode": "12345"}, "property_postcode", "Enter a valid UK postcode"),  # ours
        ({"email": "john"}, "email", "Enter a valid email address"),
        ({"email": "john@localhost"}, "email", "Enter a valid email address"),
        ({"phone_number": "12"}, "phone_number", "Invalid phone number format"),
        ({"phone_number": "call me"}, "phone_number", "Invalid phone number format"),
        ({"conveyancer_email": "lawyer"}, "conveyancer_email", "Enter a valid email address"),
        ({"sale_method": "modern_auction"}, "auctioneer_email", "Auctioneer email is required for auction sales"),
        ({"sale_method": "secure_sale"}, "auctioneer_email", "Auctioneer email is required for auction sales"),
        ({"first_nam": "John"}, "first_nam", "No such field; did you mean first_name?"),  # ours
    ],
)
def test_each_row_of_openmooves_table_is_held(change: dict[str, Any], field: str, word: str) -> None:
    _, errors = CLIENTS.check({**CLIENT, **change}, is_update=False)
    assert errors == {field: [word]}


def test_at_least_one_professional_is_needed() -> None:
    alone = {name: value for name, value in CLIENT.items() if not name.endswith(("agent_email", "conveyancer_email"))}
    _, errors = CLIENTS.check(alone, is_update=False)
    assert errors == {"non_field_errors": ["At least one professional email must be provided"]}


def test_all_that_is_wrong_is_told_at_once() -> None:
    _, errors = CLIENTS.check({"first_name": "John", "email": "john", "sale_method": "secure_sale"}, is_update=False)
    assert set(errors) == {
        *("last_name", "email", "phone_number", "property_address", "property_postcode"),
        *("non_field_errors", "auctioneer_email"),
    }


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("07700 900123", "+447700900123"),
        ("+44 (0)7700 900123", "+447700900123"),
        ("+447700900123", "+447700900123"),
        ("+447700900001", "+447700900001"),
        ("020 7946 0018", "+442079460018"),
    ],
)
def test_a_british_phone_is_sent_in_e164(given: str, sent: str) -> None:
    kept, errors = CLIENTS.check({**CLIENT, "phone_number": given}, is_update=False)
    assert (kept["phone_number"], errors) == (sent, {})


@given(st.from_regex(r"\A\+(1[2-9]|44[1-9])[0-9]{9}\Z"))
def test_a_number_that_is_sent_without_being_parsed_is_what_phonenumbers_makes_of_it(number: str) -> None:
    parsed = phonenumbers.parse(number, "GB")
    assert phonenumbers.is_possible_number(parsed)
    assert phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) == number
    kept, _ = LEADS.check({**LEAD, "phone_number": number}, is_update=False)
    assert kept["phone_number"] == number


def test_an_american_phone_is_sent_in_e164() -> None:
    kept, _ = LEADS.check({**LEAD, "phone_number": "(202) 555-0123"}, is_update=False)
    assert kept["phone_number"] == "+12025550123"


@pytest.mark.parametrize(
    ("given", "sent"), [("sw1a1aa", "SW1A 1AA"), ("M1 1AE", "M1 1AE"), (" ec1a  1bb ", "EC1A 1BB")]
)
def test_a_postcode_is_sent_as_it_is_written_in_the_uk(given: str, sent: str) -> None:
    kept, errors = CLIENTS.check({**CLIENT, "property_postcode": given}, is_update=False)
    assert (kept["property_postcode"], errors) == (sent, {})


@pytest.mark.parametrize("amount", ["500.00", "0.01", Decimal("19.99"), 7, "999999999.99"])
def test_an_amount_is_a_decimal_with_at_most_two_places(amount: object) -> None:
    kept, errors = PAYMENTS.check({**PAYMENT, "amount": amount}, is_update=False)
    assert errors == {}
    assert Decimal(repr(kept["amount"])) == Decimal(str(amount)), "the digits that are sent are the digits that came"


@pytest.mark.parametrize("amount", ["0", "-1", "1.005", "NaN", "Infinity", "1e9", "a lot", True, [5]])
def test_what_is_no_amount_is_refused(amount: object) -> None:
    _, errors = PAYMENTS.check({**PAYMENT, "amount": amount}, is_update=False)
    assert list(errors) == ["amount"]


@pytest.mark.parametrize(
    ("form", "values", "field"),
    [
        (PAYMENTS, {**PAYMENT, "fee_type": "bribe"}, "fee_type"),
        (EMPLOYEES, {**EMPLOYEE, "role": "Leesing Agent"}, "role"),
        (LEADS, {**LEAD, "status": "maybe"}, "status"),
        (LEADS, {**LEAD, "move_in_date": "01/02/2026"}, "move_in_date"),
        (LEADS, {**LEAD, "first_name": 7}, "first_name"),
        (MAINTENANCE, {"property_id": "P", "description": "d", "priority": "urgent"}, "priority"),
        (MAINTENANCE, {"property_id": "P", "description": "d", "status": "gone"}, "status"),
    ],
)
def test_resmans_words_are_held(form: Any, values: dict[str, Any], field: str) -> None:
    _, errors = form.check(values, is_update=False)
    assert list(errors) == [field]


def test_a_role_of_the_accounts_own_is_taken() -> None:
    kept, errors = EMPLOYEES.check({**EMPLOYEE, "role": "Head of Gardens"}, is_update=False)
    assert (kept["role"], errors) == ("Head of Gardens", {})


def test_an_update_names_only_what_changes() -> None:
    assert MAINTENANCE.check({"id": "WO_1", "status": "Completed"}, is_update=True) == ({"status": "Completed"}, {})


def test_no_reason_holds_the_value() -> None:
    canary = "canary-7f3a"
    values = dict.fromkeys([*CLIENTS.checks, *LEADS.checks, *PAYMENTS.checks, *EMPLOYEES.checks], canary * 1000)
    for form in FORMS.values():
        _, errors = form.check(values, is_update=False)
        assert errors
        assert canary not in repr(errors)


def test_a_lead_is_known_by_property_and_email_else_phone() -> None:
    assert LEADS.natural({"email": "A@x.org", "property_id": "P"}) == LEADS.natural(
        {"email": "a@X.org", "property_id": "P"}
    )
    assert LEADS.natural({"email": "a@x.org", "property_id": "P"}) != LEADS.natural({"email": "a@x.org"})
    assert LEADS.natural({"phone_number": "+1202"}) == LEADS.natural({"phone": "+1202"})
    assert LEADS.natural({"first_name": "Jane"}) is None


def test_a_client_is_known_by_email_and_place() -> None:
    moved = {**CLIENT, "property_address": "124 Example Street, London"}
    spelt = {**CLIENT, "property_address": "123  EXAMPLE street London", "email": "John.Smith@example.com"}
    assert CLIENTS.natural(CLIENT) == CLIENTS.natural(spelt)
    assert CLIENTS.natural(CLIENT) != CLIENTS.natural(moved)
    assert place_key("SW1A 1AA", "1 A St.") == place_key("sw1a1aa", "1 a st")
