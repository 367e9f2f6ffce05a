"""Values that would mean something to a machine on their way: each is sent as it is, or its line alone is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.sync.program import Program
from partner_pipelines_tests.sync.writing import client, push

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVERY_SCOPE = ["leads", "units", "employees", "documents", "payments"]
SCOPES = {"RESMAN_SCOPES": " ".join(EVERY_SCOPE)}


@pytest.fixture(scope="module")
def shared() -> Iterator[SandboxProcess]:
    with SandboxProcess.silent("--properties", "6") as sandbox:
        yield sandbox


@pytest.fixture
def program(shared: SandboxProcess, data_dir: Path) -> Iterator[Program]:
    """A data directory of the test's own; the rows are of all tests, each has names of its own."""
    with shared.lent() as sandbox:
        sandbox.control("POST", "scopes", {"client_id": sandbox.env["RESMAN_CLIENT_ID"], "granted": EVERY_SCOPE})
        program = Program(sandbox, data_dir)
        yield program
        program.close()


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
