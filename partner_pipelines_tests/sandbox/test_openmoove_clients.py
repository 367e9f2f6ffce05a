"""POST clients/: the document's sample and its validation tables, row by row."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from partner_pipelines_tests.sandbox_process import SandboxProcess

# As the document prints it under "Create Client and Property".
SAMPLE: dict[str, Any] = {
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
REQUIRED = ["first_name", "last_name", "email", "phone_number", "property_address", "property_postcode"]
NO_PROFESSIONAL = "At least one professional email must be provided"


def without(*names: str, **changed: Any) -> dict[str, Any]:
    return {name: value for name, value in SAMPLE.items() if name not in names} | changed


def test_the_documents_sample_is_answered_as_documented(openmoove: httpx.Client) -> None:
    answered = openmoove.post("clients/", json=SAMPLE)
    body = answered.json()
    assert answered.status_code == 201
    assert {"property_id", "mover_id", "message", "estate_agent_id", "conveyancer_id"} <= set(body)
    assert body["message"] == "Client and property created successfully"
    assert (body["purchases"], body["total_amount"]) == ([], "0.00")


def test_the_new_property_is_in_list_detail_and_milestones(openmoove: httpx.Client) -> None:
    made = openmoove.post("clients/", json=SAMPLE).json()
    detail = openmoove.get(f"properties/{made['property_id']}/detail/").json()
    last_page = openmoove.get("properties/", params={"page": "last", "page_size": 100}).json()
    milestones = openmoove.get(f"properties/{made['property_id']}/milestones/").json()
    assert last_page["results"][-1]["id"] == detail["id"] == made["property_id"]
    assert detail["seller"] == {
        "id": made["mover_id"],
        **{name: SAMPLE[name] for name in ("first_name", "last_name", "email", "phone_number")},
    }
    assert detail["team"]["conveyancer"]["id"] == made["conveyancer_id"]
    assert milestones[0]["name"] == "Instruction"
    assert not any(milestone["completed"] for milestone in milestones)


def test_the_same_email_is_the_same_mover_with_another_property(openmoove: httpx.Client) -> None:
    first, second = (openmoove.post("clients/", json=SAMPLE).json() for _ in range(2))
    assert first["mover_id"] == second["mover_id"]
    assert first["estate_agent_id"] == second["estate_agent_id"]
    assert first["property_id"] != second["property_id"]


def test_a_national_number_is_turned_into_e164(openmoove: httpx.Client) -> None:
    made = openmoove.post("clients/", json=without(phone_number="07700900123")).json()
    detail = openmoove.get(f"properties/{made['property_id']}/detail/").json()
    assert detail["seller"]["phone_number"] == "+447700900123"


def test_products_are_bought_with_it(openmoove: httpx.Client) -> None:
    made = openmoove.post("clients/", json=without(products=["property-pack", "id-check"])).json()
    assert [purchase["product"] for purchase in made["purchases"]] == ["property-pack", "id-check"]
    assert made["total_amount"] == "161.50"
    assert openmoove.post("clients/", json=without(products=["yacht"])).json() == {
        "products": ["Object with slug=yacht does not exist."]
    }


@pytest.mark.parametrize("method", ["modern_auction", "secure_sale"])
def test_an_auction_requires_its_auctioneer(openmoove: httpx.Client, method: str) -> None:
    refused = openmoove.post("clients/", json=without(sale_method=method))
    taken = openmoove.post("clients/", json=without(sale_method=method, auctioneer_email="a@auctions.example.com"))
    assert (refused.status_code, set(refused.json())) == (400, {"auctioneer_email"})
    assert taken.status_code == 201
    assert "auctioneer_id" in taken.json()


@pytest.mark.parametrize("role", ["estate_agent", "conveyancer", "mortgage_broker", "auctioneer"])
def test_any_one_professional_is_enough(openmoove: httpx.Client, role: str) -> None:
    values = without("estate_agent_email", "conveyancer_email") | {f"{role}_email": "one@example.com"}
    made = openmoove.post("clients/", json=values)
    assert made.status_code == 201
    assert [name for name in made.json() if name.startswith(role)] == [f"{role}_id"]


REFUSED: list[tuple[dict[str, Any], dict[str, list[str]]]] = [
    *((without(name), {name: ["This field is required."]}) for name in REQUIRED),
    *((without(**{name: None}), {name: ["This field may not be null."]}) for name in REQUIRED),
    *((without(**{name: " "}), {name: ["This field may not be blank."]}) for name in REQUIRED),
    (without(first_name="x" * 151), {"first_name": ["Ensure this field has no more than 150 characters."]}),
    (without(last_name="x" * 151), {"last_name": ["Ensure this field has no more than 150 characters."]}),
    (without(property_address="x" * 256), {"property_address": ["Ensure this field has no more than 255 characters."]}),
    (without(property_postcode="x" * 11), {"property_postcode": ["Ensure this field has no more than 10 characters."]}),
    (without(first_name=7), {"first_name": ["Not a valid string."]}),
    (without(email="john@"), {"email": ["Enter a valid email address"]}),
    (without(conveyancer_email="nobody"), {"conveyancer_email": ["Enter a valid email address"]}),
    (without(phone_number="12345"), {"phone_number": ["Invalid phone number format"]}),
    (without(phone_number="+0123456789"), {"phone_number": ["Invalid phone number format"]}),
    (without(sale_method="raffle"), {"sale_method": ['"raffle" is not a valid choice.']}),
    (without("estate_agent_email", "conveyancer_email"), {"non_field_errors": [NO_PROFESSIONAL]}),
    (
        without("first_name", "property_address"),
        {"first_name": ["This field is required."], "property_address": ["This field is required."]},
    ),
]


@pytest.mark.parametrize(("values", "errors"), REFUSED)
def test_what_does_not_do_is_400_with_the_documents_words(
    openmoove: httpx.Client, values: dict[str, Any], errors: dict[str, list[str]]
) -> None:
    answered = openmoove.post("clients/", json=values)
    assert (answered.status_code, answered.json()) == (400, errors)


def test_the_longest_values_that_do_are_accepted(openmoove: httpx.Client) -> None:
    longest = {"first_name": 150, "last_name": 150, "property_address": 255, "property_postcode": 10}
    values = without(**{name: "x" * length for name, length in longest.items()})
    assert openmoove.post("clients/", json=values).status_code == 201


def test_field_errors_come_wrapped_when_it_is_switched(openmoove: httpx.Client, sandbox: SandboxProcess) -> None:
    sandbox.settings(field_errors_wrapped=True)
    body = openmoove.post("clients/", json=without(phone_number="1")).json()
    assert set(body) == {"detail", "field_errors"}
    assert body["field_errors"] == {"phone_number": ["Invalid phone number format"]}


@pytest.mark.parametrize("body", [b"{", b"", b"[1]", b'"x"'])
def test_a_body_that_is_no_object_is_400(openmoove: httpx.Client, body: bytes) -> None:
    answered = openmoove.post("clients/", content=body, headers={"Content-Type": "application/json"})
    assert answered.status_code == 400


def test_a_form_is_415(openmoove: httpx.Client) -> None:
    assert openmoove.post("clients/", data=SAMPLE).status_code == 415


def test_a_refused_client_leaves_nothing_behind(openmoove: httpx.Client) -> None:
    before = openmoove.get("properties/").json()["count"]
    openmoove.post("clients/", json=without("email"))
    assert openmoove.get("properties/").json()["count"] == before
