"""What is left out is never stored; what is kept for a time goes when it is over; flags can be read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from partner_pipelines.errors import SettingsError
from partner_pipelines.state.vault import Vault
from partner_pipelines.sync.retention import forget_personal
from partner_pipelines_tests.leaks.search import Canary, Search
from partner_pipelines_tests.sync.program import ALL_DUE, Program

if TYPE_CHECKING:
    from partner_pipelines_tests.sandbox_process import SandboxProcess

PHONE = "+12025558477"
UNKNOWN = "Zqunknown Perßon"
LEADS: list[dict[str, Any]] = [
    {"id": "LEAD_P1", "first_name": "Ada", "phone_number": PHONE, "notes": UNKNOWN, "opt_out": True},
    {"id": "LEAD_P2", "first_name": "Eve", "phone_number": PHONE, "notes": UNKNOWN, "budget": "no number"},
]


@pytest.fixture
def program(sandbox: SandboxProcess, data_dir: Any) -> Program:
    sandbox.change(resman={"leads": {"upsert": LEADS}})
    return Program(sandbox, data_dir)


def values(program: Program) -> set[str]:
    return {row.value for row in Vault(program.data.vault).read_all() if row.value is not None}


def test_a_field_that_is_left_out_is_nowhere_not_even_in_a_rejected_row(program: Program) -> None:
    search = Search([Canary("phone", PHONE), Canary("unknown", UNKNOWN)])
    program.sync("leads", env={"RESMAN_LEAVE_OUT": "leads.phone_number, leads.extra"})
    (row,) = program.query(
        "SELECT phone_number, extra, first_name IS NOT NULL AS named FROM resman.leads WHERE id = 'LEAD_P1'"
    )
    assert row == {"phone_number": None, "extra": None, "named": True}
    leaks = [leak for leak in search.tree(program.data.root) if leak.canary == "phone"]
    assert leaks == []


def test_a_field_that_was_stored_goes_with_the_next_sight_once_it_is_left_out(program: Program) -> None:
    program.sync("leads")
    assert PHONE in values(program)
    program.sync("leads", env={"RESMAN_LEAVE_OUT": "leads.phone_number"})
    (row,) = program.query("SELECT phone_number FROM resman.leads WHERE id = 'LEAD_P1'")
    assert row["phone_number"] is None
    assert {row.person_id for row in Vault(program.data.vault).read_all() if row.value == PHONE} == set()


def test_openmooves_fields_can_be_left_out_too(program: Program) -> None:
    left_out = {"OPENMOOVE_LEAVE_OUT": "sellers.phone_number,milestones.description"}
    program.sync("properties", env={**ALL_DUE, **left_out})
    (sellers,) = program.query("SELECT count(phone_number) AS phones, count(email) AS emails FROM openmoove.sellers")
    (steps,) = program.query("SELECT count(description) AS told, count(name) AS named FROM openmoove.milestones")
    assert (sellers["phones"], steps["told"]) == (0, 0)
    assert sellers["emails"] > 0
    assert steps["named"] > 0


@pytest.mark.parametrize(
    ("variable", "value", "hint"),
    [
        ("RESMAN_LEAVE_OUT", "leads.phone_numbr", "did you mean leads.phone_number?"),
        ("RESMAN_LEAVE_OUT", "leads.id", "is no field that can be left out"),
        ("OPENMOOVE_LEAVE_OUT", "leads.phone_number", "is no field that can be left out"),
    ],
)
def test_what_is_no_field_is_refused(program: Program, variable: str, value: str, hint: str) -> None:
    with pytest.raises(SettingsError, match=variable) as raised:
        program.settings({variable: value})
    assert hint in str(raised.value)


def test_a_flag_of_the_partners_can_be_read(program: Program) -> None:
    program.sync("leads")
    (row,) = program.query(
        "SELECT extra->>'opt_out' AS opt_out, extra->>'notes' AS notes FROM resman.leads WHERE id = 'LEAD_P1'"
    )
    assert row["opt_out"] == "true"
    assert row["notes"].startswith("raw_")


def test_personal_values_of_what_is_gone_go_when_their_time_is_over(program: Program) -> None:
    program.sync("leads")
    program.sandbox.change(resman={"leads": {"delete": ["LEAD_P1", "LEAD_P2"]}})
    program.sync("leads")
    program.sync("leads")
    now = datetime.now(UTC)
    assert forget_personal(program.data, now - timedelta(days=1)) == 0
    foreseen = forget_personal(program.data, now + timedelta(seconds=5), dry_run=True)
    kept = {row.person_id for row in Vault(program.data.vault).read_all()}
    assert foreseen > 0
    assert "LEAD_P1" in kept
    assert forget_personal(program.data, now + timedelta(seconds=5)) == foreseen
    left = list(Vault(program.data.vault).read_all())
    assert "LEAD_P1" not in {row.person_id for row in left}
    assert {row.kind for row in left} == {"resman.leads"}, "the rejected row's raw JSON went too"
    assert left
