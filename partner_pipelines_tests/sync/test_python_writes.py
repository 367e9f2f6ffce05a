"""Writes from a script or a notebook: `partner_pipelines.push` and `create_or_update_client`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import partner_pipelines
from partner_pipelines.errors import UsageError

if TYPE_CHECKING:
    from partner_pipelines_tests.sync.program import Program

CLIENT = {
    "first_name": "Ada",
    "last_name": "Python",
    "email": "ada.python@example.com",
    "phone_number": "07700 900123",
    "property_address": "7 Script Road, London",
    "property_postcode": "SW1A1AA",
    "conveyancer_email": "test-conveyancer@example.com",
}


@pytest.fixture
def program(program: Program, monkeypatch: pytest.MonkeyPatch) -> Program:
    """The program's variables are this process's environment."""
    for name in [name for name in os.environ if name.startswith(("PARTNER_", "RESMAN_", "OPENMOOVE_"))]:
        monkeypatch.delenv(name)
    for name, value in program.variables.items():
        monkeypatch.setenv(name, value)
    return program


def _clients(program: Program) -> list[tuple[str, str]]:
    rows = program.sandbox.rows("openmoove_properties")
    return [
        (row["seller"]["phone_number"], row["postcode"]) for row in rows if row["address"] == CLIENT["property_address"]
    ]


def test_a_client_from_python_is_made_once_and_what_does_not_do_is_told_whole(program: Program) -> None:
    for state in ("created", "unchanged"):
        assert partner_pipelines.create_or_update_client(CLIENT).count(state) == 1
    assert _clients(program) == [("+447700900123", "SW1A 1AA")]
    changed = partner_pipelines.create_or_update_client(CLIENT | {"first_name": "Eve"})
    assert changed.count("rejected") == 1
    assert [write.reason for write in changed.writes] == [
        "the partner has no update: it is there with other values (first_name)"
    ]
    wrong = {**CLIENT, "email": "none", "sale_method": "modern_auction", "conveyancer_email": ""}
    with pytest.raises(UsageError) as refused:
        partner_pipelines.create_or_update_client(wrong)
    assert str(refused.value) == (
        "auctioneer_email: Auctioneer email is required for auction sales; email: Enter a valid email address; "
        "non_field_errors: At least one professional email must be provided"
    )
    assert len(_clients(program)) == 1


def test_rows_from_python_are_pushed_and_bad_ones_told_by_their_place(program: Program) -> None:
    lead = {"first_name": "Ada", "last_name": "Python", "email": "lead.python@example.com", "budget": 1250.5}
    pushed = partner_pipelines.push("leads", [lead, {"first_name": "Eve"}, lead])
    assert (pushed.count("created"), pushed.count("unchanged")) == (1, 1)
    assert pushed.rejected == {2: {"last_name": ["This field is required."]}}
    (row,) = [row for row in program.sandbox.rows("resman_leads") if row["email"] == "lead.python@example.com"]
    assert [write.partner_id for write in pushed.writes] == [row["id"]]
    with pytest.raises(UsageError, match="'units' cannot be written"):
        partner_pipelines.push("units", [])
