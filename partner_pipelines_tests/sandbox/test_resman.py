"""ResMan's lists, filters, single rows and writes."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from partner_pipelines_tests.sandbox.conftest import token_of
from partner_pipelines_tests.sandbox_process import SandboxProcess

ALL_SCOPES = ["leads", "units", "employees", "documents", "payments", "maintenance"]

# The document's sample bodies, as printed, and one for the kind that has none.
SAMPLES: dict[str, dict[str, Any]] = {
    "leads": {"first_name": "Jane", "last_name": "Doe", "contact_method": "email", "source": "eliseai.com"},
    "employees": {
        "first_name": "Meet",
        "last_name": "Elise",
        "role": "Leasing Agent",
        "email": "elise@property.com",
    },
    "payments": {"prospect_id": "PROSPECT_001", "amount": 500.00, "fee_type": "application_fee"},
    "maintenance": {"property_id": "PROP_001", "description": "Tap drips"},
}


@pytest.fixture
def full(resman: httpx.Client, sandbox: SandboxProcess) -> httpx.Client:
    """A client to which every scope is granted."""
    sandbox.control("POST", "scopes", {"client_id": sandbox.env["RESMAN_CLIENT_ID"], "granted": ALL_SCOPES})
    resman.headers["Authorization"] = f"Bearer {token_of(resman, sandbox)}"
    return resman


@pytest.mark.parametrize("kind", ALL_SCOPES)
def test_following_next_gives_every_row_as_it_is(full: httpx.Client, sandbox: SandboxProcess, kind: str) -> None:
    rows: list[dict[str, Any]] = []
    url = f"{sandbox.base_url}/api/{kind}?page_size=7"
    while url:
        page = full.get(url).json()
        assert set(page) == {"count", "next", "previous", "results"}
        rows += page["results"]
        url = page["next"]
    assert rows
    assert rows == sandbox.rows(f"resman_{kind}")
    assert full.get(f"/api/{kind}/{rows[0]['id']}").json() == rows[0]


def test_a_page_has_100_rows_unless_asked_and_at_most_500(full: httpx.Client, sandbox: SandboxProcess) -> None:
    sandbox.change(resman={"new_leads": 450})
    assert len(full.get("/api/leads").json()["results"]) == 100
    assert len(full.get("/api/leads?page_size=9999").json()["results"]) == 500
    assert full.get("/api/leads?page=77").status_code == 404


def test_available_and_property_filter_together(full: httpx.Client, sandbox: SandboxProcess) -> None:
    """The document's Units sample: available and property_id."""
    wanted = [r for r in sandbox.rows("resman_units") if r["available"] and r["property_id"] == "PROP_001"]
    page = full.get("/api/units", params={"available": True, "property_id": "PROP_001", "page_size": 500}).json()
    assert wanted
    assert page["results"] == wanted
    assert full.get("/api/units?available=false&property_id=PROP_123").json()["count"] == 0


def test_prospect_and_document_type_filter_together(full: httpx.Client, sandbox: SandboxProcess) -> None:
    """The document's Documents sample: prospect_id and document_type."""
    row = sandbox.rows("resman_documents")[0]
    params = {"prospect_id": row["prospect_id"], "document_type": row["document_type"]}
    found = full.get("/api/documents", params=params).json()["results"]
    assert row in found
    assert all(item["document_type"] == row["document_type"] for item in found)
    assert full.get("/api/documents?prospect_id=PROSPECT_001&document_type=lease_packet").json()["results"] == []


def test_other_filters_are_ignored_and_all_are_when_switched(full: httpx.Client, sandbox: SandboxProcess) -> None:
    everything = full.get("/api/units").json()["count"]
    assert full.get("/api/units?updated_since=2030-01-01").json()["count"] == everything
    assert full.get("/api/units?available=true").json()["count"] < everything
    sandbox.settings(ignore_filters=True)
    assert full.get("/api/units?available=true").json()["count"] == everything


def test_a_list_comes_in_three_shapes(full: httpx.Client, sandbox: SandboxProcess) -> None:
    rows = sandbox.rows("resman_units")
    sandbox.settings(list_shape={"units": "array"})
    assert full.get("/api/units?page=3").json() == rows
    sandbox.settings(list_shape={"units": "wrapped"})
    assert full.get("/api/units").json() == {"units": rows}
    sandbox.settings(list_shape={"units": "drf"})
    assert full.get("/api/units").json()["count"] == len(rows)


@pytest.mark.parametrize("kind", SAMPLES)
def test_the_documents_sample_is_created_and_updated(full: httpx.Client, sandbox: SandboxProcess, kind: str) -> None:
    made = full.post(f"/api/{kind}", json=SAMPLES[kind])
    row = made.json()
    assert made.status_code == 201
    assert SAMPLES[kind].items() <= row.items()
    assert {"id", "created_at", "updated_at"} <= set(row)
    changed = full.patch(f"/api/{kind}/{row['id']}", json={"notes": "called back", "id": "mine"}).json()
    assert changed == {**row, "notes": "called back", "updated_at": changed["updated_at"]}
    assert sandbox.rows(f"resman_{kind}")[-1] == changed


@pytest.mark.parametrize(
    ("kind", "changed", "errors"),
    [
        ("leads", {"first_name": None}, {"first_name": ["This field may not be null."]}),
        ("leads", {"last_name": ""}, {"last_name": ["This field may not be blank."]}),
        ("leads", {"email": "jane@"}, {"email": ["Enter a valid email address."]}),
        ("leads", {"source": 7}, {"source": ["Not a valid string."]}),
        ("leads", {"source": "x" * 256}, {"source": ["Ensure this field has no more than 255 characters."]}),
        ("employees", {"email": "elise"}, {"email": ["Enter a valid email address."]}),
        ("employees", {"active": "yes"}, {"active": ["Must be a valid boolean."]}),
        ("payments", {"amount": "500"}, {"amount": ["A valid number is required."]}),
        ("payments", {"amount": 0}, {"amount": ["Ensure this value is greater than 0."]}),
    ],
)
def test_a_value_that_does_not_do_is_400_for_post_and_patch(
    full: httpx.Client, kind: str, changed: dict[str, Any], errors: dict[str, list[str]]
) -> None:
    posted = full.post(f"/api/{kind}", json=SAMPLES[kind] | changed)
    row_id = full.post(f"/api/{kind}", json=SAMPLES[kind]).json()["id"]
    patched = full.patch(f"/api/{kind}/{row_id}", json=changed)
    assert (posted.status_code, posted.json()) == (400, errors)
    assert (patched.status_code, patched.json()) == (400, errors)


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_required_field_may_be_left_out_of_patch_only(full: httpx.Client, kind: str) -> None:
    assert {error for errors in full.post(f"/api/{kind}", json={}).json().values() for error in errors} == {
        "This field is required."
    }
    row_id = full.post(f"/api/{kind}", json=SAMPLES[kind]).json()["id"]
    assert full.patch(f"/api/{kind}/{row_id}", json={}).status_code == 200


@pytest.mark.parametrize("kind", ["units", "documents"])
def test_read_only_kinds_take_no_writes(full: httpx.Client, sandbox: SandboxProcess, kind: str) -> None:
    row_id = sandbox.rows(f"resman_{kind}")[0]["id"]
    assert full.post(f"/api/{kind}", json={}).status_code == 405
    assert full.patch(f"/api/{kind}/{row_id}", json={}).status_code == 405


def test_bodies_that_are_no_objects_are_refused(full: httpx.Client) -> None:
    headers = {"Content-Type": "application/json"}
    assert full.post("/api/leads", content=b"{", headers=headers).status_code == 400
    assert full.post("/api/leads", content=b"[]", headers=headers).status_code == 400
    assert full.post("/api/leads", data={"first_name": "Jane"}).status_code == 415


@pytest.mark.parametrize("path", ["/api/nothing", "/api/v2/leads", "/api/leads/", "/api/leads/LEAD_99999", "/nothing"])
def test_an_unknown_path_or_row_is_404(full: httpx.Client, path: str) -> None:
    assert full.get(path).status_code == 404


def test_a_client_sees_the_rows_of_its_properties_only(anyone: httpx.Client, sandbox: SandboxProcess) -> None:
    client = {"client_id": "elm-park", "client_secret": "s"}
    sandbox.control("POST", "clients", client | {"granted": ALL_SCOPES, "property_ids": ["PROP_002"]})
    token = anyone.post("/oauth2/token", data={"grant_type": "client_credentials", **client}).json()["access_token"]
    anyone.headers["Authorization"] = f"Bearer {token}"
    leads = {row["id"]: row["property_id"] for row in sandbox.rows("resman_leads")}
    units = anyone.get("/api/units?page_size=500").json()["results"]
    payments = anyone.get("/api/payments?page_size=500").json()["results"]
    assert units
    assert {row["property_id"] for row in units} == {"PROP_002"}
    assert payments
    assert {leads.get(row["prospect_id"], "PROP_002") for row in payments} == {"PROP_002"}
    hidden = next(row["id"] for row in sandbox.rows("resman_units") if row["property_id"] != "PROP_002")
    assert anyone.get(f"/api/units/{hidden}").status_code == 404
    refused = anyone.post("/api/leads", json=SAMPLES["leads"] | {"property_id": "PROP_001"})
    assert (refused.status_code, set(refused.json())) == (400, {"property_id"})
