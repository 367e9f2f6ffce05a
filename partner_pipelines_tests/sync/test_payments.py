"""Payments and work orders: nothing is asked for until their scopes are granted, then they are tables like others."""

from __future__ import annotations

import pytest

from partner_pipelines.partners.resman.operations import PAYMENTS
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.house import open_house
from partner_pipelines.sync.scopes import look
from partner_pipelines_tests.sync.expected import differences, resman_table
from partner_pipelines_tests.sync.program import Program

LAUNCH = ["leads", "units", "employees", "documents"]
KINDS = ("payments", "maintenance")


def grant(program: Program, *scopes: str) -> None:
    granted = {"client_id": program.sandbox.env["RESMAN_CLIENT_ID"], "granted": [*LAUNCH, *scopes]}
    program.sandbox.control("POST", "scopes", granted)


def notice(program: Program) -> None:
    """What the sensor and `scopes` do."""
    with open_house(program.settings(), run_id=None, stop=StopSignal()) as house:
        look(house.access(house.settings.resman[0]), 0)


def tables(program: Program) -> dict[str, dict[tuple[object, ...], dict[str, object]]]:
    return {f"resman.{kind}": resman_table(program.sandbox.rows(f"resman_{kind}")) for kind in KINDS}


def test_without_their_scopes_they_are_skipped_with_the_reason_and_nothing_is_asked_for(steady: Program) -> None:
    synced = steady.sync(*KINDS, "units")
    for kind in KINDS:
        result = synced.tables[f"resman.{kind}"]
        assert f"the scope '{kind}' is not granted" in result.skipped["resman"]
        assert "enable it in the ResMan Partner Portal" in result.skipped["resman"]
        assert result.skipped_whole
    assert synced.tables["resman.units"].rows == 16
    assert synced.paths == ["/oauth2/token", "/api/units"]


def test_both_tables_hold_what_resman_has_once_the_scopes_are_granted(program: Program) -> None:
    grant(program, *KINDS)
    notice(program)
    synced = program.sync(*KINDS)
    assert differences(program, tables(program)) == []
    assert all(synced.tables[f"resman.{kind}"].rows > 0 for kind in KINDS)
    assert synced.paths == ["/api/payments", "/api/maintenance"], "the look has brought the token"
    gone = program.sandbox.rows("resman_payments")[0]["id"]
    changed = {**program.sandbox.rows("resman_maintenance")[0], "status": "Cancelled"}
    program.sandbox.change(resman={"payments": {"delete": [gone]}, "maintenance": {"upsert": [changed]}})
    program.sync(*KINDS)
    again = program.sync(*KINDS)
    assert differences(program, tables(program)) == []
    assert again.tables["resman.payments"].failed == {}
    (row,) = program.query(f"SELECT deleted_at FROM resman.payments WHERE id = '{gone}'")
    assert row["deleted_at"] is not None


def test_a_scope_that_is_withdrawn_in_mid_work_parks_its_table_keeps_its_rows_and_comes_back(program: Program) -> None:
    grant(program, *KINDS)
    notice(program)
    program.sync("payments")
    rows = len(program.sandbox.rows("resman_payments"))
    grant(program, "maintenance")
    denied = program.sync("payments", "maintenance")
    assert "insufficient_scope" in denied.tables["resman.payments"].skipped["resman"]
    assert denied.tables["resman.maintenance"].loaded == ("resman",), "its sibling goes on"
    assert denied.paths.count("/api/payments") == 1, "no second try"
    parked = program.sync("payments")
    assert "/api/payments" not in parked.paths, "and nobody asks the wire again"
    assert parked.tables["resman.payments"].rows == rows
    grant(program, *KINDS)
    notice(program)
    back = program.sync("payments", "calls")
    assert back.tables["resman.payments"].loaded == ("resman",)
    events = program.query("SELECT scope, event, via FROM audit.scope_events ORDER BY found_at")
    assert [(row["scope"], row["event"], row["via"]) for row in events] == [
        ("payments", "granted", "probe"),
        ("maintenance", "granted", "probe"),
        ("payments", "withdrawn", "call"),
        ("payments", "granted", "probe"),
    ]


def test_property_ids_limit_them_as_they_limit_all_others(program: Program) -> None:
    grant(program, *KINDS)
    notice(program)
    program.sync(*KINDS, env={"RESMAN_PROPERTY_IDS": "PROP_001"})
    leads = {row["id"]: row["property_id"] for row in program.sandbox.rows("resman_leads")}
    ours = {
        "resman.payments": [
            r for r in program.sandbox.rows("resman_payments") if leads[r["prospect_id"]] == "PROP_001"
        ],
        "resman.maintenance": [r for r in program.sandbox.rows("resman_maintenance") if r["property_id"] == "PROP_001"],
    }
    assert differences(program, {name: resman_table(rows) for name, rows in ours.items()}) == []


def test_a_scope_that_the_settings_do_not_want_is_never_asked_for(steady: Program) -> None:
    synced = steady.sync("payments", env={"RESMAN_OPTIONAL_SCOPES": ""})
    reason = synced.tables["resman.payments"].skipped["resman"]
    assert reason == "the scope 'payments' is not asked for: add it to RESMAN_SCOPES"
    assert synced.log == []


@pytest.mark.parametrize("item", ["first", "last"])
def test_one_payment_is_got_by_its_id(program: Program, item: str) -> None:
    grant(program, "payments")
    notice(program)
    wanted = program.sandbox.rows("resman_payments")[0 if item == "first" else -1]
    with open_house(program.settings(), run_id="r", stop=StopSignal()) as house:
        rows, answer = house.resman(house.settings.resman[0]).get(PAYMENTS, wanted["id"])
    assert (rows.items[0].amount, rows.items[0].fee_type) == (wanted["amount"], wanted["fee_type"])
    assert answer.status == 200
