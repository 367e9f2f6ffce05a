"""Rows that are not what the contract says: each is rejected alone and kept for who must look at it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from partner_pipelines_tests.sync.expected import differences, openmoove_tables, resman_table, sandbox_tables
from partner_pipelines_tests.sync.program import ALL_DUE, DETAILS_DUE, LIST_DUE, Program

LIST = "/partners/properties/$"


def rejected(program: Program) -> list[tuple[str, str | None, list[str]]]:
    """(table, key, fields at fault) of what was rejected."""
    rows = program.query("FROM audit.rejected_records ORDER BY table_name, record_key")
    return [
        (row["table_name"], row["record_key"], [error["field"] for error in json.loads(row["field_errors"])])
        for row in rows
    ]


def all_but(program: Program, *ids: int) -> dict[str, dict[tuple[Any, ...], dict[str, Any]]]:
    return openmoove_tables(row for row in program.sandbox.rows("openmoove_properties") if row["id"] not in ids)


def test_a_malformed_property_of_the_list_is_rejected_and_the_others_are_loaded(program: Program) -> None:
    program.sandbox.change(openmoove={"update": [{"id": 3, "uprn": "ask Ada O'Neill, ada@example.com"}]})
    synced = program.sync("properties")
    assert differences(program, all_but(program, 3)) == []
    assert rejected(program) == [("openmoove.properties", "3", ["uprn"])]
    assert synced.tables["openmoove.properties"].rejected == 1
    assert synced.tables["openmoove.properties"].failed == {}
    # Its raw JSON counts as personal: a token is published, who may read the vault reads it
    assert "ada@example.com" not in program.column("SELECT raw FROM audit.rejected_records")[0]
    with program.published(full=True) as query:
        (row,) = query("SELECT raw FROM audit.rejected_records")
    assert json.loads(row["raw"])["uprn"] == "ask Ada O'Neill, ada@example.com"
    program.sandbox.change(openmoove={"update": [{"id": 3, "uprn": 12}]})
    program.sync("properties", env=LIST_DUE)
    assert differences(program, all_but(program)) == []


def test_a_property_without_a_usable_id_is_rejected(program: Program) -> None:
    results = [
        {"address": "no id"},
        {"id": None},
        {"id": "x"},
        {"id": 5, "address": "5 Good Street"},
        "no object",
        None,
    ]
    program.sandbox.fault("body", path=LIST, body={"count": 6, "next": None, "previous": None, "results": results})
    synced = program.sync("properties")
    assert synced.tables["openmoove.properties"].rejected == 5
    assert program.column("SELECT id FROM openmoove.properties") == [5]
    assert {key for _, key, _ in rejected(program)} == {None, "x"}


def test_a_malformed_detail_leaves_what_the_list_said_and_is_asked_again(program: Program) -> None:
    program.sandbox.change(openmoove={"update": [{"id": 3, "title_number": ["TN", 1]}]})
    program.sync("properties")
    assert rejected(program) == [("openmoove.properties", "3", ["title_number"])]
    row = program.query("SELECT address, detail_fetched_at FROM openmoove.properties WHERE id = 3")[0]
    assert row["address"] == program.sandbox.rows("openmoove_properties")[2]["address"]
    assert row["detail_fetched_at"] is None
    program.sandbox.change(openmoove={"update": [{"id": 3, "title_number": "TN1"}]})
    assert program.sync("properties").asked("detail") == [3]
    assert differences(program, all_but(program)) == []


def test_a_malformed_milestone_is_rejected_and_its_neighbours_are_loaded_and_none_is_gone(program: Program) -> None:
    program.sync("properties")
    before = program.sandbox.rows("openmoove_properties")[0]
    steps = before["milestones"]
    broken = [{**steps[0], "order": "first"}, *steps[2:]]  # one broken, one absent
    program.sandbox.change(openmoove={"update": [{"id": 1, "milestones": broken}]})
    again = program.sync("properties", env=ALL_DUE)
    assert rejected(program) == [("openmoove.milestones", str(steps[0]["id"]), ["order"])]
    assert again.tables["openmoove.milestones"].rejected == 1
    # An answer with a rejected row does not say what is gone
    assert program.column("SELECT count(*) FROM openmoove.milestones WHERE deleted_at IS NOT NULL") == [0]


NO_DETAILS = {
    1: ("<html>We'll be back</html>", "not JSON"),
    2: ('{"id": 2', "not JSON"),
    3: ('{"id": 3, "uprn": NaN}', "not JSON"),
    4: ("[]", "no JSON object"),
    5: ('{"id": 6}', "got another one"),
    6: ("", "not JSON"),
    7: ('"' + "[" * 5000, "not JSON"),
    8: ('{"id": 8, "id": 9}', ""),
}


def test_details_that_are_none_fail_their_connection_and_the_rest_is_loaded_and_the_next_sync_mends_it(
    steady: Program,
) -> None:
    for number, (body, _) in NO_DETAILS.items():
        steady.sandbox.fault("body", path=f"/properties/{number}/detail/", body=body, content_type="text/html")
    first = steady.sync("properties")
    assert all(result.failed.keys() == {"openmoove"} for result in first.tables.values())
    assert "8 properties could not be read" in first.tables["openmoove.properties"].failed["openmoove"]
    assert first.backlog == {"openmoove": {"new": 8}}
    assert steady.column("SELECT count(*) FROM openmoove.properties WHERE detail_fetched_at IS NOT NULL") == [4]
    second = steady.sync("properties")
    assert sorted(second.asked("detail")) == sorted(second.asked("milestones")) == list(NO_DETAILS)
    assert differences(steady, all_but(steady)) == []


@pytest.mark.parametrize("number", [1, 4, 5])
def test_a_detail_that_is_none_says_why(steady: Program, number: int) -> None:
    body, said = NO_DETAILS[number]
    steady.sandbox.fault("body", path=f"/properties/{number}/detail/", body=body, content_type="text/html")
    failed = steady.sync("properties").tables["openmoove.properties"].failed
    assert failed["openmoove"].startswith("1 property could not be read; the first: get_property_detail")
    assert said in failed["openmoove"]


def test_ten_failures_in_a_row_end_the_asking_for_this_run(program: Program) -> None:
    program.sandbox.fault("status", path="/detail/$", status=400, times=None)
    first = program.sync("properties")
    assert first.asked("milestones") == []
    assert 10 <= len(first.asked("detail")) < 22
    assert first.backlog == {"openmoove": {"new": 40}}


def test_a_malformed_unit_is_rejected_and_is_not_gone(program: Program) -> None:
    program.sync("units")
    unit = program.sandbox.rows("resman_units")[0]
    program.sandbox.change(resman={"units": {"upsert": [{**unit, "bedrooms": "many"}]}})
    for _ in range(3):
        again = program.sync("units").tables["resman.units"]
    assert (again.rejected, again.deleted, again.rows) == (1, 0, 53)
    assert rejected(program) == [("resman.units", unit["id"], ["bedrooms"])]
    assert program.column("SELECT times FROM audit.rejected_records") == [3]
    assert program.column(f"SELECT bedrooms FROM resman.units WHERE id = '{unit['id']}'") == [unit["bedrooms"]]
    program.sandbox.change(resman={"units": {"upsert": [unit]}})


def test_unknown_fields_are_kept_as_they_came(program: Program) -> None:
    more = {"smart_lock": {"model": "Å-1", "codes": [1, 2.5, None, True]}, "note": None, "": "no name"}
    program.sandbox.change(
        resman={"units": {"upsert": [{"id": "UNIT_00001", **more}]}},
        openmoove={
            "update": [
                {
                    "id": 2,
                    "epc": "C",
                    "seller": {**program.sandbox.rows("openmoove_properties")[1]["seller"], "title": "Dr"},
                    "milestones": [
                        {"id": 21, "name": "Instruction", "completed": False, "order": 1, "blocked_by": [7]}
                    ],
                }
            ]
        },
    )
    program.sync("properties", "units")
    assert differences(program, sandbox_tables(program, "units")) == []
    # In the published table stand the names of the fields, and no value
    (extra,) = program.column("SELECT extra FROM resman.units WHERE id = 'UNIT_00001'")
    assert set(json.loads(extra)) == set(more)
    assert "Å" not in extra
    assert "Dr" not in program.column("SELECT extra FROM openmoove.sellers WHERE id = 50002")[0]


def test_an_unknown_field_that_changes_makes_a_changed_row(program: Program) -> None:
    program.sandbox.change(resman={"units": {"upsert": [{"id": "UNIT_00001", "smart_lock": 1}]}})
    program.sync("units")
    program.sandbox.change(resman={"units": {"upsert": [{"id": "UNIT_00002", "smart_lock": 1}]}})
    assert program.sync("units").tables["resman.units"].updated == 1


@pytest.mark.parametrize("shape", ["drf", "array", "wrapped"])
def test_each_of_resmans_three_list_shapes_gives_the_same_rows(steady: Program, shape: str) -> None:
    steady.sandbox.settings(list_shape={"units": shape, "leads": shape})
    steady.sync("units", "leads")
    tables = {f"resman.{kind}": resman_table(steady.sandbox.rows(f"resman_{kind}")) for kind in ("units", "leads")}
    assert differences(steady, tables) == []


def test_any_other_shape_is_an_error_and_never_an_empty_list(steady: Program) -> None:
    steady.sync("units")
    shapes = [
        {"items": []},
        {"results": []},
        {"leads": []},
        {"results": {}, "next": None},
        {},
        None,
        5,
        {"units": None},
    ]
    for body in shapes:
        steady.sandbox.fault("body", path="/api/units", body=json.dumps(body))
        result = steady.sync("units").tables["resman.units"]
        assert "known shape" in result.failed["resman"]
        assert (result.rows, result.deleted) == (16, 0)


def test_words_that_nobody_knows_are_stored_as_they_are(program: Program) -> None:
    words = {"id": "UNIT_00001", "status": "On Notice", "unit_type": "Loft"}
    lead = {"id": "LEAD_00001", "status": "ghosted", "contact_method": "carrier pigeon", "source": "Ünknown"}
    sale = {"id": 1, "sale_method": "raffle", "team": {"wizard": {"id": 9, "name": "Mára", "firm": "M & Co"}}}
    program.sandbox.change(
        resman={"units": {"upsert": [words]}, "leads": {"upsert": [lead]}}, openmoove={"update": [sale]}
    )
    program.sync("properties", "units", "leads")
    assert differences(program, sandbox_tables(program, "units", "leads")) == []
    assert program.column("SELECT role FROM openmoove.team_members WHERE property_id = 1") == ["wizard"]


def test_an_id_that_becomes_a_number_is_the_same_row(program: Program) -> None:
    unit = program.sandbox.rows("resman_units")[0]
    program.sandbox.fault("body", path="/api/units", body=[{**unit, "id": "77"}])
    program.sync("units")
    program.sandbox.fault("body", path="/api/units", body=[{**unit, "id": 77}])
    program.sync("units")
    assert program.column("SELECT id FROM resman.units") == ["77"]


def test_the_same_row_twice_in_a_list_is_one_row(program: Program) -> None:
    unit = program.sandbox.rows("resman_units")[0]
    program.sandbox.fault("body", path="/api/units", body=[unit, {**unit, "floor": 99}, {**unit, "floor": 98}])
    synced = program.sync("units")
    assert program.column("SELECT floor FROM resman.units")[0] in (unit["floor"], 98, 99)
    assert program.column("SELECT count(*) FROM resman.units") == [1]
    assert synced.tables["resman.units"].inserted == 1


def test_a_detail_of_the_partner_without_counters_is_asked_for_by_age(program: Program) -> None:
    detail = {"id": 1, "address": "1 High Street"}
    program.sandbox.fault("body", path="/properties/1/detail/", body=detail, times=None)
    program.sync("properties")
    again = program.sync("properties", env=DETAILS_DUE)
    assert 1 in again.asked("detail")
    assert 1 not in again.asked("milestones")
