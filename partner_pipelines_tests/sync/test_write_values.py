"""Values that would mean something to a machine on their way: each is sent as it is, or its line alone is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from partner_pipelines.state.outbox import Draft
from partner_pipelines.sync.write_drafts import BadLine, Drafting, Line
from partner_pipelines.sync.write_files import read_lines
from partner_pipelines_tests.sync.program import Program
from partner_pipelines_tests.sync.writing import client, push

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

EVERY_SCOPE = ["leads", "units", "employees", "documents", "payments"]
SCOPES = {"RESMAN_SCOPES": " ".join(EVERY_SCOPE)}


@pytest.fixture
def program(steady: Program) -> Program:
    """The rows are of all tests: each has names of its own."""
    client_id = steady.sandbox.env["RESMAN_CLIENT_ID"]
    steady.sandbox.control("POST", "scopes", {"client_id": client_id, "granted": EVERY_SCOPE})
    return steady


@pytest.mark.parametrize("word", ["{table}", "{same}", "{wanted}", "{", "$1", "'; --"])
def test_an_address_with_marks_of_a_statement_is_looked_for_as_it_is(program: Program, word: str) -> None:
    program.sync("properties")
    street = f"1 {word} Street, London"
    braces = client("Braces", property_address=street)
    pushed = [
        push(program, "clients", row)
        for row in (braces, client(f"Plain{ord(word[-1])}{len(word)}"), {**braces, "last_name": "Other"})
    ]
    assert [done.states for done in pushed[:2]] == [{"created": 1}, {"created": 1}]
    assert [write.state for write in pushed[2].writes] == ["rejected"]
    assert len([row for row in program.sandbox.rows("openmoove_properties") if row["address"] == street]) == 1


PAYMENT = {"prospect_id": "LEAD_00001", "amount": 10, "fee_type": "deposit"}


def lines(tmp_path: Path, *values: str) -> list[Line | BadLine]:
    """Payments, each with one of these texts as its reference."""
    file = tmp_path / "payments.jsonl"
    file.write_text("".join(f'{json.dumps(PAYMENT)[:-1]}, "reference": {value}}}\n' for value in values))
    return list(read_lines(file))


def drafts(program: Program, kind: str, of: Iterable[Line | BadLine]) -> list[Draft | BadLine]:
    drafting = Drafting(program.settings(SCOPES), kind, b"k" * 32, "test")
    return [line if isinstance(line, BadLine) else drafting.draft(line) for line in of]


def test_a_reference_is_the_same_however_a_whole_number_is_written(program: Program, tmp_path: Path) -> None:
    written = drafts(program, "payments", lines(tmp_path, '"1001"', "1001", "1001.0", "1.001e3", '" 1001 "'))
    assert len({draft.key for draft in written if isinstance(draft, Draft)}) == 1
    assert [draft.label for draft in written if isinstance(draft, Draft)] == ["payments.jsonl, 1001"] * 5
    (python,) = drafts(program, "payments", [Line(1, {**PAYMENT, "reference": 1001.0})])
    assert isinstance(python, Draft)
    assert {python.key} == {draft.key for draft in written if isinstance(draft, Draft)}


def test_a_payment_in_two_files_is_paid_once_though_its_reference_became_a_decimal(program: Program) -> None:
    def paid() -> int:
        return sum(row["amount"] == 77.07 for row in program.sandbox.rows("resman_payments"))

    payment = {**PAYMENT, "amount": "77.07"}
    first = push(program, "payments", {**payment, "reference": "2002"}, **SCOPES)
    again = push(program, "payments", {**payment, "amount": 77.07, "reference": 2002.0}, **SCOPES)
    assert (first.states, again.unchanged, paid()) == ({"created": 1}, 1, 1)


@pytest.mark.parametrize(
    "value", ["[1001]", "{}", "true", "1001.5", "1e99", "1e999999", "1234567890123456.0", "-0.5", "[]", "false"]
)
def test_a_reference_that_is_no_text_and_no_whole_number_is_a_bad_line(
    program: Program, tmp_path: Path, value: str
) -> None:
    bad = BadLine(1, {"reference": ["Write it as text or as a whole number"]})
    assert drafts(program, "payments", lines(tmp_path, value)) == [bad]


def test_an_absent_reference_is_none_and_an_id_and_a_connection_obey_the_same_rule(
    program: Program, tmp_path: Path
) -> None:
    absent = drafts(program, "payments", lines(tmp_path, "null", '""', '" "'))
    assert [draft.label for draft in absent if isinstance(draft, Draft)] == ["payments.jsonl"] * 3
    named = {"first_name": "Ada"}
    (six, words, nothing, where) = drafts(
        program,
        "leads",
        [
            Line(1, {**named, "id": 6.0}),
            Line(2, {**named, "id": ["LEAD_1"]}),
            Line(3, {**named, "id": float("nan")}),
            Line(4, {**named, "id": "LEAD_1", "connection": ["resman"]}),
        ],
    )
    assert isinstance(six, Draft)
    assert six.target == "6"
    assert (words, nothing) == tuple(
        BadLine(line, {"id": ["Write it as text or as a whole number"]}) for line in (2, 3)
    )
    assert where == BadLine(4, {"connection": ["Write it as text or as a whole number"]})
