"""What is asked again, and when: ages, counters, and sales that are long done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from partner_pipelines.warehouse.connection import Warehouse
from partner_pipelines_tests.sync.expected import differences, sandbox_tables
from partner_pipelines_tests.sync.program import ALL_DUE, DETAILS_DUE, LIST_DUE, Program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from partner_pipelines_tests.sandbox_process import SandboxProcess


def days_ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")


def with_completed(row: dict[str, Any], completed: Sequence[float | None]) -> dict[str, Any]:
    """The property with one milestone for each number: completed so many days ago, None for not yet."""
    steps = [
        {
            "id": row["id"] * 100 + order,
            "name": f"Step {order}",
            "description": "made for this test",
            "order": order,
            "completed": days is not None,
            "completed_at": None if days is None else days_ago(days),
            "due_date": None,
            "is_overdue": False,
        }
        for order, days in enumerate(completed, 1)
    ]
    return {"id": row["id"], "milestones": steps}


def set_all(sandbox: SandboxProcess, special: dict[int, Sequence[float | None]]) -> None:
    """Every property is an active sale, but for these."""
    rows = sandbox.rows("openmoove_properties")
    sandbox.change(openmoove={"update": [with_completed(row, special.get(row["id"], (5, None))) for row in rows]})


def test_old_details_are_read_again_and_milestones_spared_while_the_counters_stand_still(program: Program) -> None:
    set_all(program.sandbox, {})
    program.sync("properties")
    again = program.sync("properties", env=DETAILS_DUE)
    assert sorted(again.asked("detail")) == list(range(1, 41))
    assert again.asked("milestones") == []
    assert all(result.updated == 0 for result in again.tables.values())


def test_milestones_are_read_where_a_counter_moved_and_nowhere_else(program: Program) -> None:
    set_all(program.sandbox, {})
    program.sync("properties")
    changed = program.sandbox.change(openmoove={"complete_milestones": 3, "new_milestones": 2})
    moved = set(changed["changed"]["openmoove_properties"])
    again = program.sync("properties", env=DETAILS_DUE)
    assert len(moved) in range(3, 6)
    assert set(again.asked("milestones")) == moved
    milestones = again.tables["openmoove.milestones"]
    assert (milestones.inserted, milestones.updated, milestones.deleted) == (2, 3, 0)
    assert differences(program, sandbox_tables(program, "units")) != []  # units were never synced: it would be seen
    openmoove = {name: table for name, table in sandbox_tables(program).items() if name.startswith("openmoove")}
    assert differences(program, openmoove) == []
    reasons = program.column("SELECT DISTINCT reason FROM audit.api_calls WHERE operation = 'get_milestones'")
    assert sorted(reasons) == ["moved", "new"]


def test_milestones_of_their_own_age_are_read_again_though_no_counter_moved(program: Program) -> None:
    set_all(program.sandbox, {})
    program.sync("properties")
    row = program.sandbox.rows("openmoove_properties")[0]
    steps = row["milestones"]
    # One reopened beside one completed: the counters say nothing of it
    swapped = [{**steps[0], "completed": False, "completed_at": None}, {**steps[1], "completed": True}]
    program.sandbox.change(openmoove={"update": [{"id": row["id"], "milestones": swapped}]})
    assert program.sync("properties", env=DETAILS_DUE).asked("milestones") == []
    again = program.sync("properties", env=ALL_DUE)
    assert sorted(again.asked("milestones")) == list(range(1, 41))
    assert again.tables["openmoove.milestones"].updated == 2


def test_sales_that_are_long_done_are_left_alone(program: Program) -> None:
    special: dict[int, Sequence[float | None]] = {
        1: (40, 20),  # done 20 days ago: frozen
        2: (40, 14.1),  # just frozen
        3: (40, 13.9),  # not yet
        4: (40, None),  # not done
        5: (),  # no milestones at all: never frozen
    }
    set_all(program.sandbox, special)
    program.sync("properties")
    again = program.sync("properties", env=ALL_DUE)
    assert set(range(1, 41)) - set(again.asked("detail")) == {1, 2}
    assert set(range(1, 41)) - set(again.asked("milestones")) == {1, 2}


@pytest.mark.parametrize("stamp", ["9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00"])
def test_a_time_that_no_clock_can_show_is_a_rejected_row_and_stops_no_sync(program: Program, stamp: str) -> None:
    set_all(program.sandbox, {})
    program.sync("properties")
    step = {"id": 1, "name": "Instruction", "order": 1, "completed": True, "completed_at": stamp}
    detail = {"id": 1, "address": "1 Mill Lane", "milestones_count": 1, "completed_milestones": 1}
    program.sandbox.fault("body", path="/properties/1/milestones/$", times=None, body=[step])
    program.sandbox.fault("body", path="/properties/1/detail/$", times=None, body=detail)
    for _ in range(2):
        synced = program.sync("properties", env=ALL_DUE)
        assert 1 in synced.asked("milestones")
        assert synced.tables["openmoove.milestones"].rejected == 1
        assert synced.tables["openmoove.milestones"].failed == {}
    told = "SELECT DISTINCT field_errors->0->>'field' AS field FROM audit.rejected_records"
    assert program.column(told) == ["completed_at"]


def test_such_a_time_in_an_older_warehouse_stops_no_sync_and_freezes_no_sale(program: Program) -> None:
    set_all(program.sandbox, {1: (40,), 2: (40,)})
    program.sync("properties")
    with Warehouse(program.data).writing() as database:
        for property_id, stamp in ((1, "9999-12-31 23:59:59-05"), (2, "0001-01-01 00:00:00+05")):
            database.execute(
                f"UPDATE openmoove.milestones SET completed_at = '{stamp}' "
                f"WHERE property_id = {property_id} AND completed"
            )
    again = program.sync("properties", env=ALL_DUE)
    assert {1, 2} <= set(again.asked("detail"))
    assert all(result.failed == {} for result in again.tables.values())


def test_new_properties_are_read_first(program: Program) -> None:
    set_all(program.sandbox, {})
    program.sync("properties")
    created = program.sandbox.change(openmoove={"new_properties": 2})["created"]["openmoove_properties"]
    again = program.sync("properties", env=DETAILS_DUE)
    assert again.asked("detail")[:2] == created
    assert again.asked("milestones") == created
    assert again.tables["openmoove.properties"].inserted == 2
    assert len(again.asked("detail")) == 42


def test_the_oldest_details_are_read_first(program: Program) -> None:
    set_all(program.sandbox, {})
    program.sync("properties")
    for broken in range(1, 21):
        program.sandbox.fault("status", path=f"/properties/{broken}/detail/", status=400, times=None)
    program.sync("properties", env=DETAILS_DUE)  # ten failures in a row end it
    program.sandbox.control("DELETE", "faults")
    program.sandbox.change(openmoove={"new_properties": 1})
    again = program.sync("properties", env=DETAILS_DUE)
    assert again.asked("detail")[0] == 41
    assert again.asked("detail")[1:11] == list(range(1, 11))


def test_a_detail_that_changed_while_the_list_says_the_old_is_what_counts(program: Program) -> None:
    program.sync("properties")
    program.sandbox.change(openmoove={"update": [{"id": 1, "address": "1 New Street", "postcode": None}]})
    program.sync("properties", env=DETAILS_DUE)
    assert program.query("SELECT address, postcode FROM openmoove.properties WHERE id = 1") == [
        {"address": "1 New Street", "postcode": None}
    ]
    # The list's word alone, later than the detail's, counts too
    program.sandbox.change(openmoove={"update": [{"id": 1, "address": "2 New Street"}]})
    listed = program.sync("properties", env=LIST_DUE)
    assert listed.asked("detail") == []
    assert program.column("SELECT address FROM openmoove.properties WHERE id = 1") == ["2 New Street"]
