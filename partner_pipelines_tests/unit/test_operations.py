"""Addresses, scopes, filters as resman_handshake.md section 2 and openmoove_partner_api.md "API Endpoints" say."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from partner_pipelines.clock import now
from partner_pipelines.errors import APIResponseError, CallFacts
from partner_pipelines.models.resman import Unit
from partner_pipelines.partners.bodies import Body
from partner_pipelines.partners.caller import Answer
from partner_pipelines.partners.openmoove import operations as openmoove
from partner_pipelines.partners.resman import operations as resman
from partner_pipelines.partners.resman.operations import DOCUMENTS, EMPLOYEES, LEADS, UNITS, Kind
from partner_pipelines.partners.rows import RejectedRow, Rows

FACTS = CallFacts("resman", "elm-park", "operation", "r-1")
RESMAN = "https://api.resman.com"
OPENMOOVE = "https://api.openmoove.com/api/partners/"


def answer(body: Any) -> Answer:
    return Answer(200, httpx.Headers(), Body(json.dumps(body).encode()), "r-1", now())


@pytest.mark.parametrize("kind", [UNITS, LEADS, EMPLOYEES, DOCUMENTS], ids=lambda kind: kind.name)
def test_each_kind_is_listed_and_got_below_its_path_with_its_scope(kind: Kind[Any]) -> None:
    listed, got = resman.build_list(RESMAN, kind, {}), resman.build_get(RESMAN + "/", kind, "X1")
    assert (listed.method, listed.url, listed.scope) == ("GET", f"https://api.resman.com/api/{kind.name}", kind.name)
    assert (got.method, got.url, got.scope) == ("GET", f"https://api.resman.com/api/{kind.name}/X1", kind.name)


def test_the_documents_own_query_is_built() -> None:
    operation = resman.build_list(RESMAN, UNITS, {"available": True, "property_id": "PROP_123"})
    assert operation.url == "https://api.resman.com/api/units?available=true&property_id=PROP_123"
    operation = resman.build_list(RESMAN, DOCUMENTS, {"prospect_id": "PROSPECT_001", "document_type": "lease_packet"})
    assert operation.url.endswith("/api/documents?document_type=lease_packet&prospect_id=PROSPECT_001")


def test_a_filter_that_the_document_does_not_show_is_refused_before_the_wire() -> None:
    for kind, name in ((UNITS, "prospect_id"), (DOCUMENTS, "available"), (UNITS, "page_size")):
        with pytest.raises(ValueError, match=name):
            resman.build_list(RESMAN, kind, {name: "x"})


@pytest.mark.parametrize(
    ("item_id", "path"),
    [("../oauth2/token", "..%2Foauth2%2Ftoken"), ("a?b#c", "a%3Fb%23c"), ("é 1", "%C3%A9%201"), ("a%2e", "a%252e")],
)
def test_an_id_cannot_leave_its_place_in_the_path(item_id: str, path: str) -> None:
    assert resman.build_get(RESMAN, UNITS, item_id).url == f"https://api.resman.com/api/units/{path}"


def test_a_filter_value_cannot_leave_its_place_in_the_query() -> None:
    url = resman.build_list(RESMAN, UNITS, {"property_id": "P&page_size=1#x"}).url
    assert url.endswith("?property_id=P%26page_size%3D1%23x")


def test_rows_that_a_server_sends_against_the_filters_are_left_out() -> None:
    rows = [
        {"id": "U1", "available": True, "property_id": "P1"},
        {"id": "U2", "available": False, "property_id": "P1"},
        {"id": "U3", "property_id": "P1"},
        {"id": "U4", "available": True, "property_id": "P2"},
        {"id": "U5", "available": "true", "property_id": "P1"},
    ]
    page = resman.decipher_page(UNITS, answer(rows), {"available": True, "property_id": "P1"}, FACTS)
    assert [row.id for row in page.rows.items] == ["U1", "U5"]


def test_a_filter_by_a_number_meets_an_id_that_is_sent_as_a_number() -> None:
    page = resman.decipher_page(LEADS, answer([{"id": 1, "property_id": 12}]), {"property_id": "12"}, FACTS)
    assert [row.id for row in page.rows.items] == ["1"]


def test_a_rejected_row_of_another_property_is_not_kept_either() -> None:
    rejected = [RejectedRow(raw, ()) for raw in ({"property_id": "P2"}, {"property_id": "P1"}, {"id": None}, "text")]
    rows: Rows[Unit] = Rows([], rejected)
    kept = resman.keep_matching(rows, {"property_id": "P1"})
    assert [row.raw for row in kept.rejected] == [{"property_id": "P1"}, {"id": None}, "text"]


def test_filtering_keeps_next_and_count() -> None:
    body = {"count": 3, "next": "?page=2", "previous": None, "results": [{"id": "U1", "property_id": "P2"}]}
    page = resman.decipher_page(UNITS, answer(body), {"property_id": "P1"}, FACTS)
    assert (page.rows.items, page.next_url, page.count) == ([], "?page=2", 3)


@pytest.mark.parametrize("sent_id", ["12", 12])
def test_an_item_is_taken_whether_its_id_is_text_or_a_number(sent_id: object) -> None:
    rows = resman.decipher_item(UNITS, answer({"id": sent_id, "bedrooms": 2}), "12", FACTS)
    assert [(row.id, row.bedrooms) for row in rows.items] == [("12", 2)]


@pytest.mark.parametrize("body", [{"id": "13"}, {}, [], None, {"detail": "ok"}], ids=json.dumps)
def test_another_item_than_the_one_asked_for_is_an_error_not_a_row(body: Any) -> None:
    with pytest.raises(APIResponseError, match="not the item"):
        resman.decipher_item(UNITS, answer(body), "12", FACTS)


def test_an_item_that_does_not_validate_is_a_rejected_row() -> None:
    rows = resman.decipher_item(UNITS, answer({"id": "12", "bedrooms": "two"}), "12", FACTS)
    assert not rows.items
    assert len(rows.rejected) == 1


def test_openmooves_addresses_are_those_of_the_document() -> None:
    assert openmoove.build_list(OPENMOOVE, "list").url == f"{OPENMOOVE}properties/?page=1&page_size=100"
    assert openmoove.build_detail(OPENMOOVE, 123, "new").url == f"{OPENMOOVE}properties/123/detail/"
    assert openmoove.build_milestones(OPENMOOVE, 123, "new").url == f"{OPENMOOVE}properties/123/milestones/"
    current = openmoove.build_current_milestone(OPENMOOVE, 123)
    assert (current.url, current.purpose) == (f"{OPENMOOVE}properties/123/milestones/current/", "check")


LISTED = {
    "count": 25,
    "next": "https://api.openmoove.com/api/partners/properties/?page=2",
    "previous": None,
    "results": [
        {
            "id": 123,
            "address": "123 Example Street, London",
            "postcode": "SW1A 1AA",
            "uprn": 12345678901,
            "sale_method": "standard",
            "created_at": "2024-01-15T10:00:00Z",
        }
    ],
}


def test_the_documents_own_list_is_read() -> None:
    page = openmoove.decipher_page(answer(LISTED), FACTS)
    assert (page.count, page.next_url) == (25, "https://api.openmoove.com/api/partners/properties/?page=2")
    row = page.rows.items[0]
    assert (row.id, row.uprn, row.postcode, str(row.created_at)) == (
        123,
        12345678901,
        "SW1A 1AA",
        "2024-01-15 10:00:00+00:00",
    )


@pytest.mark.parametrize("body", [[], LISTED["results"], {"properties": []}, {"results": []}, None], ids=str)
def test_openmooves_list_in_another_shape_is_an_error(body: Any) -> None:
    with pytest.raises(APIResponseError):
        openmoove.decipher_page(answer(body), FACTS)


DETAIL = {
    "id": 123,
    "address": "123 Example Street, London",
    "title_number": "LN12345",
    "seller": {"id": 456, "first_name": "John", "phone_number": "+447700900123"},
    "team": {
        "estate_agent": {"id": 789, "name": "Sarah Johnson", "firm": "Premier Agents Ltd"},
        "conveyancer": None,
    },
    "milestones_count": 8,
    "completed_milestones": 3,
}


def test_the_documents_own_detail_is_read() -> None:
    row = openmoove.decipher_detail(answer(DETAIL), 123, FACTS).items[0]
    assert row.seller is not None
    assert row.team is not None
    assert row.team["estate_agent"] is not None
    assert (row.seller.id, row.team["estate_agent"].firm, row.team["conveyancer"]) == (456, "Premier Agents Ltd", None)
    assert (row.milestones_count, row.completed_milestones) == (8, 3)


def test_a_detail_whose_id_changes_its_type_is_the_same_property() -> None:
    assert openmoove.decipher_detail(answer(DETAIL | {"id": "123"}), 123, FACTS).items[0].id == 123


def test_the_detail_of_another_property_is_an_error_not_a_row() -> None:
    with pytest.raises(APIResponseError, match="asked for property 124"):
        openmoove.decipher_detail(answer(DETAIL), 124, FACTS)


@pytest.mark.parametrize("body", [[DETAIL], None, "text", 12], ids=["array", "null", "text", "number"])
def test_a_detail_that_is_no_object_is_an_error(body: Any) -> None:
    with pytest.raises(APIResponseError, match="no JSON object"):
        openmoove.decipher_detail(answer(body), 123, FACTS)
    with pytest.raises(APIResponseError, match="no JSON object"):
        openmoove.decipher_current_milestone(answer(body), FACTS)


@pytest.mark.parametrize("body", [{}, {"results": [], "next": None}, {"milestones": []}, None], ids=json.dumps)
def test_milestones_in_another_shape_are_an_error_never_zero_milestones(body: Any) -> None:
    with pytest.raises(APIResponseError, match="no array"):
        openmoove.decipher_milestones(answer(body), FACTS)


def test_the_documents_own_milestones_are_read() -> None:
    rows = openmoove.decipher_milestones(
        answer(
            [
                {"id": 1, "name": "Instruction", "order": 1, "completed": True, "completed_at": "2024-01-15T10:00:00Z"},
                {"id": 2, "name": "Legal Pack Preparation", "order": 2, "completed": False, "completed_at": None},
            ]
        ),
        FACTS,
    )
    assert [(row.id, row.name, row.completed) for row in rows.items] == [
        (1, "Instruction", True),
        (2, "Legal Pack Preparation", False),
    ]
    assert rows.items[1].completed_at is None
