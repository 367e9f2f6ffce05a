"""What the OpenMoove side answers to GET."""

from __future__ import annotations

import httpx
import pytest

from partner_pipelines_tests.sandbox_process import SandboxProcess

LIST_FIELDS = {"id", "address", "postcode", "uprn", "sale_method", "created_at"}
DETAIL_FIELDS = (LIST_FIELDS - {"created_at"}) | {
    "title_number",
    "seller",
    "team",
    "milestones_count",
    "completed_milestones",
}
MILESTONE_FIELDS = {"id", "name", "description", "order", "completed", "completed_at", "due_date", "is_overdue"}


def test_a_list_page_has_the_documented_envelope_and_fields(openmoove: httpx.Client) -> None:
    page = openmoove.get("properties/").json()
    assert set(page) == {"count", "next", "previous", "results"}
    assert (page["count"], len(page["results"]), page["previous"]) == (60, 20, None)
    assert page["next"] == f"{openmoove.base_url}properties/?page=2"
    assert all(set(row) == LIST_FIELDS for row in page["results"])


def test_following_next_gives_every_property_once(openmoove: httpx.Client, sandbox: SandboxProcess) -> None:
    seen, url = [], f"{openmoove.base_url}properties/?page_size=7"
    while url:
        page = openmoove.get(url).json()
        seen += [row["id"] for row in page["results"]]
        url = page["next"]
    assert seen == [row["id"] for row in sandbox.rows("openmoove_properties")]


def test_next_and_previous_are_absolute_and_keep_page_size(openmoove: httpx.Client) -> None:
    page = openmoove.get("properties/", params={"page_size": 25, "page": 2}).json()
    assert page["next"] == f"{openmoove.base_url}properties/?page=3&page_size=25"
    assert page["previous"] == f"{openmoove.base_url}properties/?page_size=25"


def test_page_size_ends_at_100(openmoove: httpx.Client, sandbox: SandboxProcess) -> None:
    sandbox.change(openmoove={"new_properties": 60})
    assert len(openmoove.get("properties/", params={"page_size": 5000}).json()["results"]) == 100
    sandbox.change(openmoove={"delete_properties": 60})


@pytest.mark.parametrize("page", ["99", "0", "-1", "x"])
def test_a_page_that_is_not_there_is_404(openmoove: httpx.Client, page: str) -> None:
    answered = openmoove.get("properties/", params={"page": page})
    assert (answered.status_code, answered.json()) == (404, {"detail": "Invalid page."})


def test_detail_and_milestones_have_the_documented_fields(openmoove: httpx.Client) -> None:
    detail = openmoove.get("properties/1/detail/").json()
    milestones = openmoove.get("properties/1/milestones/").json()
    assert set(detail) == DETAIL_FIELDS
    assert set(detail["seller"]) == {"id", "first_name", "last_name", "email", "phone_number"}
    assert all(set(member) == {"id", "name", "email", "firm"} for member in detail["team"].values())
    assert all(set(milestone) == MILESTONE_FIELDS for milestone in milestones)
    assert detail["milestones_count"] == len(milestones)
    assert detail["completed_milestones"] == sum(milestone["completed"] for milestone in milestones)


def test_the_current_milestone_is_the_first_that_waits(openmoove: httpx.Client, sandbox: SandboxProcess) -> None:
    rows = sandbox.rows("openmoove_properties")
    row = next(row for row in rows if 0 < row["completed_milestones"] < row["milestones_count"])
    current = openmoove.get(f"properties/{row['id']}/milestones/current/").json()
    assert current["id"] == row["milestones"][row["completed_milestones"]]["id"]
    assert set(current) - MILESTONE_FIELDS == {"days_until_due", "assigned_to", "priority"}


def test_a_sale_without_milestones_has_no_current_one(openmoove: httpx.Client) -> None:
    assert openmoove.get("properties/33/milestones/").json() == []
    answered = openmoove.get("properties/33/milestones/current/")
    assert (answered.status_code, set(answered.json())) == (404, {"detail"})


@pytest.mark.parametrize("view", ["detail", "milestones", "milestones/current", "chat", "chat/summary"])
def test_an_unknown_property_is_404_with_the_vendors_words(openmoove: httpx.Client, view: str) -> None:
    answered = openmoove.get(f"properties/987654/{view}/")
    assert answered.status_code == 404
    assert answered.json() == {"detail": "Property not found or you don't have access"}


def test_both_addresses_serve_the_same_and_link_to_themselves(openmoove: httpx.Client, sandbox: SandboxProcess) -> None:
    versioned = f"{sandbox.base_url}/api/v1/partners/"
    assert openmoove.get(f"{versioned}properties/2/detail/").json() == openmoove.get("properties/2/detail/").json()
    assert openmoove.get(f"{versioned}properties/").json()["next"] == f"{versioned}properties/?page=2"


def test_products_and_the_mock_chat_are_there(openmoove: httpx.Client) -> None:
    product = openmoove.get("products/").json()["results"][0]
    assert set(product) == {"name", "slug", "description", "price"}
    assert set(product["price"]) == {"amount", "currency"}
    assert "not yet implemented" in openmoove.get("properties/1/chat/").json()["message"]
    assert openmoove.get("properties/1/chat/summary/").json()["summaries"] == []


@pytest.mark.parametrize("key", [None, "om_wrong", ""])
def test_without_a_known_key_it_is_401(sandbox: SandboxProcess, key: str | None) -> None:
    headers = {} if key is None else {"X-API-KEY": key}
    answered = httpx.get(sandbox.env["OPENMOOVE_BASE_URL"] + "properties/", headers=headers)
    assert (answered.status_code, answered.json()) == (401, {"detail": "Invalid API key provided"})


def test_a_missing_slash_is_301_for_get_and_404_for_post(openmoove: httpx.Client) -> None:
    answered = openmoove.get("properties/1/detail?a=b")
    assert (answered.status_code, answered.headers["location"]) == (301, "/api/partners/properties/1/detail/?a=b")
    assert openmoove.post("clients", json={}).status_code == 404


@pytest.mark.parametrize("path", ["nothing/", "properties/x/detail/", "properties/1/", "products/1/detail/"])
def test_a_path_without_a_route_is_djangos_html_404(openmoove: httpx.Client, path: str) -> None:
    answered = openmoove.get(path)
    assert answered.status_code == 404
    assert answered.headers["content-type"].startswith("text/html")


def test_a_wrong_method_is_405(openmoove: httpx.Client) -> None:
    assert openmoove.delete("properties/").status_code == 405
    assert openmoove.get("clients/").status_code == 405


def test_a_second_key_sees_the_same_and_a_revoked_one_nothing(sandbox: SandboxProcess) -> None:
    sandbox.control("POST", "keys", {"api_key": "om_second"})
    url, headers = sandbox.env["OPENMOOVE_BASE_URL"] + "properties/", {"X-API-KEY": "om_second"}
    assert httpx.get(url, headers=headers).json()["count"] == 60
    sandbox.control("DELETE", "keys/om_second")
    assert httpx.get(url, headers=headers).status_code == 401
