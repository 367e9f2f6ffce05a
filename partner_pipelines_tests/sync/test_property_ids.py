"""RESMAN_PROPERTY_IDS limits what is read, and what is stored where ResMan has no such filter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.sync.expected import differences, resman_table
from partner_pipelines_tests.sync.program import KINDS, Program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OURS = ("PROP_001", "PROP_003")
LIMITED = {"RESMAN_PROPERTY_IDS": "PROP_001,PROP_003"}


@pytest.fixture(scope="module")
def lasting() -> Iterator[SandboxProcess]:
    """One with units of four properties."""
    with SandboxProcess.start("--properties", "100") as sandbox:
        yield sandbox


@pytest.fixture
def program(steady: Program) -> Program:
    return steady


def of_ours(program: Program, kind: str) -> list[dict[str, Any]]:
    """The sandbox's rows at our properties; a document's property is its lead's."""
    leads = {lead["id"]: lead["property_id"] for lead in program.sandbox.rows("resman_leads")}
    rows = program.sandbox.rows(f"resman_{kind}")
    places = [leads.get(row["prospect_id"]) if kind == "documents" else row["property_id"] for row in rows]
    return [row for row, place in zip(rows, places, strict=True) if place in OURS]


def tables_of_ours(program: Program) -> dict[str, dict[tuple[Any, ...], dict[str, Any]]]:
    return {f"resman.{kind}": resman_table(of_ours(program, kind)) for kind in KINDS}


def test_only_the_rows_of_these_properties_are_asked_for_and_stored(program: Program) -> None:
    synced = program.sync(*KINDS, env=LIMITED)
    assert differences(program, tables_of_ours(program)) == []
    for kind in KINDS:
        assert 0 < synced.tables[f"resman.{kind}"].rows < len(program.sandbox.rows(f"resman_{kind}"))
        # Leads come with the documents, which need them first: they are counted where they belong all the same
        assert synced.tables[f"resman.{kind}"].inserted == synced.tables[f"resman.{kind}"].rows
    queries = {entry["query"] for entry in synced.log if entry["path"] == "/api/units"}
    assert queries == {"property_id=PROP_001", "property_id=PROP_003"}


def test_a_first_run_that_comes_to_the_documents_first_stores_those_of_our_leads(program: Program) -> None:
    synced = program.sync("documents", env=LIMITED)
    assert len(of_ours(program, "documents")) > 5
    documents = {"resman.documents": tables_of_ours(program)["resman.documents"]}
    assert differences(program, documents) == []
    assert synced.tables["resman.documents"].rows == len(of_ours(program, "documents"))
    # The leads that it needed to know are rows of their table, and are not asked for a second time
    assert differences(program, {"resman.leads": tables_of_ours(program)["resman.leads"]}) == []
    assert "/api/leads" not in program.sync("documents", env=LIMITED).paths


def test_a_server_that_ignores_filters_changes_nothing_of_that(program: Program) -> None:
    program.sandbox.settings(ignore_filters=True)
    program.sync("documents", *KINDS, env=LIMITED)
    assert differences(program, tables_of_ours(program)) == []


def test_rows_of_other_properties_are_no_candidates_for_deletion(program: Program) -> None:
    kinds = ("units", "leads", "documents")
    program.sync(*kinds)
    for _ in range(2):
        limited = program.sync(*kinds, env=LIMITED)
    assert all(result.deleted == 0 and not result.refused_deletions for result in limited.tables.values())
    whole = {f"resman.{kind}": resman_table(program.sandbox.rows(f"resman_{kind}")) for kind in kinds}
    assert differences(program, whole) == []


def test_the_document_of_a_lead_that_the_partner_does_not_show_is_not_stored(program: Program) -> None:
    stray = {"id": "DOC_90000", "prospect_id": "LEAD_90000", "document_type": "application"}
    program.sandbox.change(resman={"documents": {"upsert": [stray]}})
    program.sync("documents", env=LIMITED)
    assert program.column("SELECT count(*) FROM resman.documents WHERE id = 'DOC_90000'") == [0]
    program.sync("documents")
    assert program.column("SELECT count(*) FROM resman.documents WHERE id = 'DOC_90000'") == [1]
    program.sandbox.change(resman={"documents": {"delete": ["DOC_90000"]}})


def test_rows_gone_within_our_properties_are_marked(tmp_path: Path) -> None:
    with SandboxProcess.start("--properties", "100") as sandbox:
        program = Program(sandbox, tmp_path / "data", **LIMITED)
        program.sync("leads", "documents")
        lead, document = of_ours(program, "leads")[0], of_ours(program, "documents")[0]
        others = next(row for row in sandbox.rows("resman_leads") if row["property_id"] not in OURS)
        gone = {"leads": {"delete": [lead["id"], others["id"]]}, "documents": {"delete": [document["id"]]}}
        sandbox.change(resman=gone)
        program.sync("leads", "documents")
        second = program.sync("leads", "documents")
        assert second.tables["resman.leads"].deleted == 1
        assert second.tables["resman.documents"].deleted == 1
        for table, row in (("leads", lead), ("documents", document)):
            assert program.column(f"SELECT id FROM resman.{table} WHERE deleted_at IS NOT NULL") == [row["id"]]
        program.close()
