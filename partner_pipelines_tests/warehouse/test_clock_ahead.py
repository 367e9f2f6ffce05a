"""After a clock was an hour ahead: what it stamped proves nothing, so fresh answers count at once and nothing waits."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Any

import pytest

from partner_pipelines import clock
from partner_pipelines.state.vault import VaultRow
from partner_pipelines.warehouse.gone import GoneRows, gone_candidates, mark_gone
from partner_pipelines.warehouse.known import known_properties
from partner_pipelines.warehouse.listings import Listing, last_listing_started, record_listing
from partner_pipelines.warehouse.publish import VERSIONS_KEPT, publish
from partner_pipelines_tests.warehouse.support import START, Yard, a_detail, a_lead, a_listed, a_milestone, a_unit

UNITS = "resman.units"
PROPERTIES = "openmoove.properties"
HOUR = 3600.0


_moments: dict[datetime, datetime] = {}


def at(seconds: float) -> float:
    """That long after now, as the yard counts: the clock of these tests is the machine's.

    Now is when a test first asks under a clock, so that two moments are as far apart as it says, however slow it runs.
    """
    moment = _moments.setdefault(clock._WALL_AT_START, clock.now())
    return (moment - START).total_seconds() + seconds


@pytest.fixture(autouse=True)
def _new_moments() -> None:
    _moments.clear()


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch, yard: Yard) -> Yard:
    """A yard whose property 1 was read, merged and listed whole while the clock was an hour ahead."""
    right = clock._WALL_AT_START
    monkeypatch.setattr(clock, "_WALL_AT_START", right + timedelta(seconds=HOUR))
    yard.run_started_at = clock.now()
    yard.merge(
        yard.listed(at(-9), a_listed(1), a_listed(2)),
        yard.detail(at(-8), a_detail(1)),
        yard.milestones(at(-7), 1, a_milestone(11), a_milestone(12)),
        yard.resman(at(-6), "resman.leads", a_lead(1), a_lead(2, budget="a lot")),
    )
    finish(yard, listing(yard, -10, PROPERTIES))
    monkeypatch.setattr(clock, "_WALL_AT_START", right)
    yard.run_started_at = clock.now()
    return yard


def listing(yard: Yard, seconds: float, table: str = UNITS) -> Listing:
    began = yard.origin(at(seconds)).fetched_at
    return Listing(table, yard.connection, began, began + timedelta(seconds=1), 0)


def finish(yard: Yard, found: Listing) -> GoneRows:
    with yard.warehouse.writing() as database:
        gone = mark_gone(database, found) if found.table == UNITS else GoneRows()
        record_listing(database, found)
    return gone


def living(yard: Yard, table: str) -> list[Any]:
    return [row["id"] for row in yard.read(f"SELECT id FROM {table} WHERE deleted_at IS NULL ORDER BY id")]


def test_fresh_answers_of_every_source_count(ahead: Yard) -> None:
    ahead.merge(ahead.listed(at(-5), a_listed(1, address="A", sale_method="auction")))
    assert ahead.one("FROM openmoove.properties WHERE id = 1")["address"] == "A"
    ahead.merge(ahead.detail(at(-4), a_detail(1, address="B", team={})))
    ahead.merge(ahead.milestones(at(-3), 1, a_milestone(12, name="Completion")))
    ahead.merge(ahead.resman(at(-3), "resman.leads", a_lead(1, status="lost")))
    row = ahead.one("FROM openmoove.properties WHERE id = 1")
    assert (row["address"], row["sale_method"], row["detail_fetched_at"] < clock.now()) == ("B", "standard", True)
    assert ahead.read("FROM openmoove.team_members WHERE deleted_at IS NULL") == []
    assert ahead.read("SELECT id, name FROM openmoove.milestones WHERE deleted_at IS NULL") == [
        {"id": 12, "name": "Completion"}
    ]
    assert ahead.one("FROM resman.leads")["status"] == "lost"


def test_changes_of_what_changed_in_the_future_are_counted(ahead: Yard) -> None:
    result = ahead.merge(ahead.resman(at(-3), "resman.leads", a_lead(1, status="lost")))
    assert result.tables["resman.leads"].updated == 1


def test_a_404_and_a_return_count(ahead: Yard) -> None:
    ahead.merge(ahead.gone(at(-5), 1))
    assert living(ahead, PROPERTIES) == [2]
    assert living(ahead, "openmoove.milestones") == []


def test_what_went_in_the_future_comes_back_with_the_first_sight(monkeypatch: pytest.MonkeyPatch, ahead: Yard) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(clock, "_WALL_AT_START", clock._WALL_AT_START + timedelta(seconds=HOUR))
        ahead.merge(ahead.gone(at(0), 1))
    assert living(ahead, PROPERTIES) == [2]
    ahead.merge(ahead.listed(at(-5), a_listed(1)), ahead.milestones(at(-4), 1, a_milestone(11)))
    assert living(ahead, PROPERTIES) == [1, 2]
    assert living(ahead, "openmoove.milestones") == [11]


def test_what_was_landed_in_the_future_does_not_win_over_what_this_run_fetched(yard: Yard) -> None:
    yard.land(yard.resman(at(HOUR), "resman.leads", a_lead(1, status="old")), yard.milestones(at(HOUR), 1))
    yard.land(yard.resman(at(0.001), "resman.leads", a_lead(1, status="fresh")))
    yard.merge(yard.milestones(at(0.001), 1, a_milestone(11)))
    assert yard.one("FROM resman.leads")["status"] == "fresh"
    assert living(yard, "openmoove.milestones") == [11]
    assert yard.one("SELECT max(milestones_fetched_at) AS t FROM openmoove.properties")["t"] < clock.now()


def test_a_list_of_the_future_is_due_and_says_nothing_about_who_is_gone(ahead: Yard) -> None:
    with ahead.warehouse.writing() as database:
        assert last_listing_started(database, PROPERTIES, ahead.connection) is None
    ahead.merge(ahead.listed(at(-4), a_listed(1)))
    finish(ahead, listing(ahead, -5, PROPERTIES))
    with ahead.warehouse.writing() as database:
        started_at = last_listing_started(database, PROPERTIES, ahead.connection)
        assert started_at is not None
        assert started_at < clock.now()
        assert gone_candidates(database, Listing(PROPERTIES, ahead.connection, started_at, started_at, 0)) == [2]


def test_a_part_that_went_in_the_future_is_not_asked_for_again_and_again(
    monkeypatch: pytest.MonkeyPatch, ahead: Yard
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(clock, "_WALL_AT_START", clock._WALL_AT_START + timedelta(seconds=HOUR))
        ahead.merge(ahead.milestones(at(0), 1, a_milestone(11)))
    ahead.merge(ahead.detail(at(-5), a_detail(1)), ahead.milestones(at(-4), 1, a_milestone(11)))
    with ahead.warehouse.writing() as database:
        one, _ = known_properties(database, ahead.connection)
    assert one.milestones_at is not None
    assert one.milestones_at < clock.now()


def test_resmans_rows_go_after_two_listings_of_the_right_clock(monkeypatch: pytest.MonkeyPatch, yard: Yard) -> None:
    def listed(seconds: float, *numbers: int) -> GoneRows:
        yard.merge(yard.resman(at(seconds), UNITS, *(a_unit(number) for number in numbers)))
        return finish(yard, listing(yard, seconds - 1))

    listed(-1000, 1, 2)
    with monkeypatch.context() as patch:
        patch.setattr(clock, "_WALL_AT_START", clock._WALL_AT_START + timedelta(seconds=HOUR))
        listed(-5, 1, 2)
    assert listed(-50, 1) == GoneRows(), "one listing without it since the clock is right"
    assert listed(-30, 1).marked == 1
    assert living(yard, UNITS) == ["UNIT_1"]


def test_a_row_that_was_rejected_in_the_future_keeps_nobody_from_going(
    monkeypatch: pytest.MonkeyPatch, yard: Yard
) -> None:
    yard.merge(yard.resman(at(-900), UNITS, a_unit(1), a_unit(2)))
    with monkeypatch.context() as patch:
        patch.setattr(clock, "_WALL_AT_START", clock._WALL_AT_START + timedelta(seconds=HOUR))
        yard.merge(yard.resman(at(-9), UNITS, {"no": "id"}))
    for seconds in (-40, -20):
        yard.merge(yard.resman(at(seconds + 1), UNITS, a_unit(1)))
        gone = finish(yard, listing(yard, seconds))
    assert (gone.marked, gone.unclear) == (1, 0)
    again = yard.merge(yard.resman(at(-2), UNITS, {"no": "id"}))
    assert again.tables[UNITS].rejected == 1
    assert yard.one("FROM audit.rejected_records")["rejected_at"] < clock.now()


def test_the_vault_takes_fresh_values(yard: Yard) -> None:
    first = VaultRow("oak", "resman.leads", "1", "email", "old@example.com", yard.origin(at(HOUR)).fetched_at)
    other = first._replace(field="phone_number", value="+12025550123")
    yard.vault.put([first, other])
    fresh = yard.origin(at(0)).fetched_at
    yard.vault.put([first._replace(value="new@example.com", as_of=fresh), other._replace(value=None, as_of=fresh)])
    assert [(row.field, row.value) for row in yard.vault.read_all()] == [("email", "new@example.com")]


def test_the_version_that_readers_may_just_be_opening_stays_though_others_look_younger(yard: Yard) -> None:
    published = [publish(yard.warehouse)]
    for number in range(VERSIONS_KEPT + 2):
        yard.merge(yard.resman(at(0), "resman.leads", a_lead(number)))
        published.append(publish(yard.warehouse))
        if number < VERSIONS_KEPT:
            os.utime(published[-1], (clock.now().timestamp() + HOUR,) * 2)
    assert all(version.exists() for version in published[-2:])
