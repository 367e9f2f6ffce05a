"""What is not there any more: marked when it is certain, never removed, and brought back when it comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from partner_pipelines_tests.sync.expected import differences, openmoove_tables, sandbox_tables
from partner_pipelines_tests.sync.program import ALL_DUE, DETAILS_DUE, LIST_DUE, Program

if TYPE_CHECKING:
    from partner_pipelines_tests.sandbox_process import SandboxProcess

LISTED = ("id", "address", "postcode", "uprn", "sale_method", "created_at")


def hide_from_list(sandbox: SandboxProcess, *hidden: int, times: int | None = None) -> None:
    """The list answers without these properties; whatever else is asked of them is answered."""
    rows = [row for row in sandbox.rows("openmoove_properties") if row["id"] not in hidden]
    results = [{name: row[name] for name in LISTED} for row in rows]
    body = {"count": len(results), "next": None, "previous": None, "results": results}
    sandbox.fault("body", path="/partners/properties/$", body=body, times=times)


def gone(program: Program, table: str, key: str = "id") -> list[Any]:
    return program.column(f"SELECT {key} FROM {table} WHERE deleted_at IS NOT NULL ORDER BY ALL")


def test_a_property_that_the_list_leaves_out_is_there_as_long_as_its_detail_is(program: Program) -> None:
    program.sync("properties")
    hide_from_list(program.sandbox, 7)
    again = program.sync("properties", env=LIST_DUE)
    assert again.paths == ["/api/partners/properties/", "/api/partners/properties/7/detail/"]
    assert gone(program, "openmoove.properties") == []
    (reason,) = program.column("SELECT reason FROM audit.api_calls WHERE url LIKE '%/7/detail/' AND reason <> 'new'")
    assert reason == "missing_from_list"


def test_a_property_whose_detail_answers_404_is_marked_with_all_that_was_its_own(program: Program) -> None:
    program.sync("properties")
    program.sandbox.change(openmoove={"delete_properties": [7]})
    again = program.sync("properties", env=LIST_DUE)
    assert again.paths == ["/api/partners/properties/", "/api/partners/properties/7/detail/"]
    assert gone(program, "openmoove.properties") == [7]
    assert gone(program, "openmoove.sellers") == [50007]
    assert set(gone(program, "openmoove.milestones", "property_id")) == {7}
    assert set(gone(program, "openmoove.team_members", "property_id")) == {7}
    assert differences(program, openmoove_tables(program.sandbox.rows("openmoove_properties"))) == []
    assert again.tables["openmoove.properties"].deleted == 1
    assert again.tables["openmoove.sellers"].deleted == 1
    assert not again.tables["openmoove.properties"].failed
    # Rows are never removed, and what is known to be gone is not asked for again
    assert program.column("SELECT count(*) FROM openmoove.properties") == [40]
    assert program.sync("properties", env=ALL_DUE).asked("detail").count(7) == 0


def test_a_property_that_comes_back_is_back_with_all_that_was_its_own(program: Program) -> None:
    program.sync("properties")
    hide_from_list(program.sandbox, 7, times=1)
    program.sandbox.fault("status", path="/properties/7/", status=404)
    program.sync("properties", env=LIST_DUE)
    assert gone(program, "openmoove.properties") == [7]
    back = program.sync("properties", env=LIST_DUE)
    assert back.paths[1:] == ["/api/partners/properties/7/detail/", "/api/partners/properties/7/milestones/"]
    assert gone(program, "openmoove.properties") == []
    assert differences(program, openmoove_tables(program.sandbox.rows("openmoove_properties"))) == []
    assert back.tables["openmoove.properties"].rows == 40


def test_milestones_that_answer_404_prove_nothing_while_the_detail_is_there(program: Program) -> None:
    program.sync("properties")
    program.sandbox.fault("status", path="/properties/7/milestones/", status=404)
    again = program.sync("properties", env={"OPENMOOVE_MILESTONES_MAX_AGE": "0"})
    assert gone(program, "openmoove.properties") == []
    assert gone(program, "openmoove.milestones") == []
    assert "404" in again.tables["openmoove.milestones"].failed["openmoove"]
    assert again.backlog == {"openmoove": {"age": 1}}


def test_a_property_that_goes_between_its_detail_and_its_milestones_is_gone_without_a_failure(
    program: Program,
) -> None:
    program.sandbox.fault("status", path="/properties/7/milestones/", status=404)
    program.sandbox.fault("status", path="/properties/7/detail/", status=404, skip=1)
    first = program.sync("properties")
    assert gone(program, "openmoove.properties") == [7]
    assert first.tables["openmoove.properties"].failed == {}
    assert first.tables["openmoove.properties"].rows == 39


def test_milestones_and_roles_absent_from_a_complete_answer_are_marked_and_come_back(program: Program) -> None:
    program.sync("properties")
    before = next(row for row in program.sandbox.rows("openmoove_properties") if len(row["milestones"]) > 2)
    (property_id, steps, team) = before["id"], before["milestones"], before["team"]
    role = min(team)
    fewer = {
        "id": property_id,
        "milestones": steps[1:],
        "team": {name: team[name] for name in team if name != role},
    }
    program.sandbox.change(openmoove={"update": [fewer]})
    again = program.sync("properties", env=ALL_DUE)
    assert gone(program, "openmoove.milestones") == [steps[0]["id"]]
    assert gone(program, "openmoove.team_members", "role") == [role]
    assert again.tables["openmoove.milestones"].deleted == 1
    assert again.tables["openmoove.team_members"].deleted == 1
    program.sandbox.change(openmoove={"update": [{"id": property_id, "milestones": steps, "team": team}]})
    program.sync("properties", env=ALL_DUE)
    assert differences(program, openmoove_tables(program.sandbox.rows("openmoove_properties"))) == []
    assert gone(program, "openmoove.milestones") == []


def test_an_empty_list_of_milestones_is_an_answer_and_an_answer_without_team_is_none(program: Program) -> None:
    program.sync("properties")
    row = program.sandbox.rows("openmoove_properties")[1]
    program.sandbox.change(openmoove={"update": [{"id": 2, "milestones": [], "team": None}]})
    program.sync("properties", env=ALL_DUE)
    living = "deleted_at IS NULL AND property_id = 2"
    assert program.column(f"SELECT count(*) FROM openmoove.milestones WHERE {living}") == [0]
    assert program.column(f"SELECT count(*) FROM openmoove.team_members WHERE {living}") == [len(row["team"])]


def test_a_seller_is_gone_when_no_property_names_him_and_back_when_one_does(program: Program) -> None:
    program.sync("properties")
    rows = program.sandbox.rows("openmoove_properties")
    first, second = rows[0]["seller"], rows[1]["seller"]
    program.sandbox.change(openmoove={"update": [{"id": 1, "seller": second}]})
    again = program.sync("properties", env=DETAILS_DUE)
    assert gone(program, "openmoove.sellers") == [first["id"]]
    assert again.tables["openmoove.sellers"].deleted == 1
    program.sandbox.change(openmoove={"update": [{"id": 1, "seller": first}]})
    program.sync("properties", env=DETAILS_DUE)
    assert gone(program, "openmoove.sellers") == []
    program.sandbox.change(openmoove={"update": [{"id": 1, "seller": None}]})
    program.sync("properties", env=DETAILS_DUE)
    assert gone(program, "openmoove.sellers") == [first["id"]]


def test_resman_rows_are_gone_after_two_complete_lists_without_them(program: Program) -> None:
    program.sync("units", "leads")
    unit = program.sandbox.rows("resman_units")[3]
    program.sandbox.change(resman={"units": {"delete": [unit["id"]]}})
    first = program.sync("units", "leads")
    assert gone(program, "resman.units") == []
    assert first.tables["resman.units"].deleted == 0
    second = program.sync("units", "leads")
    assert gone(program, "resman.units") == [unit["id"]]
    assert second.tables["resman.units"].deleted == 1
    assert second.tables["resman.leads"].deleted == 0
    assert second.tables["resman.units"].rows == 52
    program.sandbox.change(resman={"units": {"upsert": [unit]}})
    program.sync("units")
    assert gone(program, "resman.units") == []
    assert differences(program, {"resman.units": sandbox_tables(program, "units")["resman.units"]}) == []


def test_a_list_that_broke_off_does_not_count(program: Program) -> None:
    program.sync("units")
    unit = program.sandbox.rows("resman_units")[3]
    program.sandbox.change(resman={"units": {"delete": [unit["id"]]}})
    program.sync("units")
    program.sandbox.fault("body", path="/api/units", body="<html>", content_type="text/html")
    assert program.sync("units").tables["resman.units"].failed
    assert gone(program, "resman.units") == []
    program.sync("units")
    assert gone(program, "resman.units") == [unit["id"]]


@pytest.mark.parametrize(("count", "believed"), [(10, True), (11, False)])
def test_more_than_ten_and_more_than_five_percent_of_units_are_not_believed_to_be_gone(
    program: Program, count: int, believed: bool
) -> None:
    program.sync("units")
    program.sandbox.change(resman={"delete_units": count})
    program.sync("units")
    second = program.sync("units").tables["resman.units"]
    assert len(gone(program, "resman.units")) == second.deleted == (count if believed else 0)
    assert second.failed == {}
    if believed:
        assert second.refused_deletions == {}
    else:
        assert "11 of 53" in second.refused_deletions["resman"]


@pytest.mark.parametrize(("count", "believed"), [(10, True), (11, False)])
def test_more_than_ten_and_more_than_five_percent_of_properties_are_not_believed_to_be_gone(
    program: Program, count: int, believed: bool
) -> None:
    program.sync("properties")
    program.sandbox.change(openmoove={"delete_properties": count})
    again = program.sync("properties", env=LIST_DUE)
    result = again.tables["openmoove.properties"]
    assert len(gone(program, "openmoove.properties")) == result.deleted == (count if believed else 0)
    assert len(again.asked("detail")) == (count if believed else 0)
    assert ("11 of 40" in result.refused_deletions.get("openmoove", "")) is not believed


def test_too_many_details_that_answer_404_at_once_are_not_believed_either(program: Program) -> None:
    program.sync("properties")
    program.sandbox.fault("status", path=r"/properties/\d+/", status=404, times=None)
    again = program.sync("properties", env={"OPENMOOVE_ACTIVE_MAX_AGE": "0"})
    assert gone(program, "openmoove.properties") == []
    assert again.tables["openmoove.properties"].refused_deletions.keys() == {"openmoove"}
    program.sandbox.control("DELETE", "faults")
    program.sync("properties", env=ALL_DUE)
    assert differences(program, openmoove_tables(program.sandbox.rows("openmoove_properties"))) == []
