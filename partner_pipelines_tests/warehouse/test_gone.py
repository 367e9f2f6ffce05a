"""ResMan's rows go after two complete listings without them; OpenMoove's are only named."""

from __future__ import annotations

from typing import Any

from partner_pipelines.warehouse.gone import GoneRows, gone_candidates, mark_gone, too_many_gone
from partner_pipelines.warehouse.known import known_properties, lead_ids, living_rows
from partner_pipelines.warehouse.listings import Listing, last_listing_started, record_listing
from partner_pipelines_tests.warehouse.support import Yard, a_detail, a_lead, a_listed, a_milestone, a_unit, after

UNITS = "resman.units"


def listing(yard: Yard, at: float, table: str = UNITS, **filters: list[str]) -> Listing:
    return Listing(table, yard.connection, after(at), after(at + 5), 0, filters, "run-1")


def finish(yard: Yard, found: Listing) -> GoneRows:
    with yard.warehouse.writing() as database:
        gone = mark_gone(database, found)
        record_listing(database, found)
    return gone


def listed(yard: Yard, at: float, *numbers: int, **filters: list[str]) -> GoneRows:
    """A whole listing of units that shows these numbers."""
    yard.merge(yard.resman(at + 1, UNITS, *(a_unit(number, property_id=f"PROP_{number % 2}") for number in numbers)))
    return finish(yard, listing(yard, at, UNITS, **filters))


def gone_units(yard: Yard) -> set[str]:
    return {row["id"] for row in yard.read("SELECT id FROM resman.units WHERE deleted_at IS NOT NULL")}


def test_a_row_is_gone_after_two_listings_in_a_row_without_it(yard: Yard) -> None:
    assert listed(yard, 0, 1, 2, 3) == GoneRows()
    assert listed(yard, 100, 1, 2).marked == 0, "one listing without it may be a page that shifted"
    assert listed(yard, 200, 1, 2) == GoneRows(marked=1, candidates=1, total=3)
    assert gone_units(yard) == {"UNIT_3"}
    listed(yard, 300, 1, 2, 3)
    assert gone_units(yard) == set()


def test_a_row_that_comes_between_is_not_gone(yard: Yard) -> None:
    listed(yard, 0, 1, 2)
    listed(yard, 100, 1)
    listed(yard, 200, 1, 2)
    assert listed(yard, 300, 1).marked == 0


def test_another_filter_is_another_listing(yard: Yard) -> None:
    listed(yard, 0, 1, 2, 3, 4)
    listed(yard, 100, 1, property_id=["PROP_1"])
    assert listed(yard, 200, 1).marked == 0, "the first without a filter that misses rows"
    assert listed(yard, 300, 1, property_id=["PROP_1"]) == GoneRows(marked=1, candidates=1, total=2)
    assert gone_units(yard) == {"UNIT_3"}


def test_too_many_at_once_are_not_believed(yard: Yard) -> None:
    listed(yard, 0, *range(100))
    listed(yard, 100, *range(11, 100))
    found = listed(yard, 200, *range(11, 100))
    assert found == GoneRows(marked=0, candidates=11, total=100)
    assert found.refusal == "11 of 100 rows are absent at once, too many to believe: none is marked"
    assert gone_units(yard) == set()
    assert listed(yard, 300, *range(10, 100)).marked == 10, "ten may go at any time"


def test_the_bound_is_five_percent_and_ten_rows() -> None:
    assert not too_many_gone(10, 10)
    assert too_many_gone(11, 219)
    assert not too_many_gone(11, 220)


def test_a_row_that_came_and_did_not_validate_is_not_absent(yard: Yard) -> None:
    listed(yard, 0, 1, 2)
    for at in (100, 200):
        yard.merge(yard.resman(at + 1, UNITS, a_unit(2, floor="second")))
        assert listed(yard, at, 1).marked == 0
    assert listed(yard, 300, 1).marked == 0
    assert listed(yard, 400, 1).marked == 1


def test_a_rejected_row_without_an_id_may_be_any_of_them(yard: Yard) -> None:
    listed(yard, 0, 1, 2)
    listed(yard, 100, 1)
    yard.merge(yard.resman(201, UNITS, {"unit_number": "2"}))
    found = listed(yard, 200, 1)
    assert found.marked == 0
    assert found.refusal == "1 rows are absent and 1 came without a readable id: none is marked"


def test_documents_are_limited_by_their_leads_property(yard: Yard) -> None:
    documents: list[dict[str, Any]] = [{"id": f"DOC_{number}", "prospect_id": f"LEAD_{number}"} for number in (1, 2)]
    leads = (a_lead(1, property_id="PROP_1"), a_lead(2, property_id="PROP_2"))
    yard.merge(yard.resman(1, "resman.leads", *leads), yard.resman(1, "resman.documents", *documents))
    for at in (0, 100, 200):
        found = finish(yard, listing(yard, at, "resman.documents", property_id=["PROP_1"]))
    assert found.marked == 1
    assert yard.one("FROM resman.documents WHERE deleted_at IS NOT NULL")["id"] == "DOC_1"
    with yard.warehouse.writing() as database:
        assert lead_ids(database, yard.connection, ["PROP_1"]) == {"LEAD_1"}


def test_the_last_listing_is_found_by_its_filter(yard: Yard) -> None:
    listed(yard, 0, 1)
    listed(yard, 100, 1, property_id=["PROP_1", "PROP_0"])
    with yard.warehouse.writing() as database:
        assert last_listing_started(database, UNITS, yard.connection) == after(0)
        same = listing(yard, 1, property_id=["PROP_0", "PROP_1"]).filter_text
        assert last_listing_started(database, UNITS, yard.connection, same) == after(100)
        assert last_listing_started(database, UNITS, "elm") is None


def test_openmooves_candidates_are_those_not_seen_since_the_listing_began(yard: Yard) -> None:
    yard.merge(yard.listed(1, *(a_listed(number) for number in range(1, 7))), yard.detail(2, a_detail(5)))
    yard.merge(yard.gone(50, 6), yard.listed(101, a_listed(1)), yard.detail(102, a_detail(2)))
    yard.merge(yard.milestones(103, 3, a_milestone(31)), yard.listed(104, a_listed(4, uprn="canary")))
    with yard.warehouse.writing() as database:
        assert gone_candidates(database, listing(yard, 100, "openmoove.properties")) == [5]
    assert yard.read("FROM openmoove.properties WHERE deleted_at IS NOT NULL")[0]["id"] == 6, "absence marks nothing"


def test_what_is_known_is_what_a_plan_needs(yard: Yard) -> None:
    done = a_milestone(11, completed_at="2026-02-02T00:00:00Z")
    open_one = a_milestone(12, completed=False, completed_at=None)
    yard.merge(yard.listed(1, a_listed(1), a_listed(2), a_listed(3)), yard.detail(2, a_detail(1)))
    yard.merge(yard.milestones(3, 1, done, open_one), yard.gone(4, 3))
    with yard.warehouse.writing() as database:
        one, two = known_properties(database, yard.connection)
        assert (one.property_id, one.detail_at, one.milestones_at, one.counters) == (1, after(2), after(3), (2, 1))
        assert one.last_completed_at is not None
        assert one.last_completed_at.isoformat() == "2026-02-02T00:00:00+00:00"
        assert (two.property_id, two.detail_at, two.milestones_at) == (2, None, None)
        assert living_rows(database)["openmoove.properties"] == 2
