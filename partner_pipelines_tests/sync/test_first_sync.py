"""The first sync brings everything, the second asks for nothing that is not due; the trail tells of every request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from partner_pipelines.state.audit_verify import verify
from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.sync.expected import (
    ADDRESS_PLACES,
    differences,
    personal_values,
    places_of,
    sandbox_tables,
    texts_of_published,
)
from partner_pipelines_tests.sync.program import KINDS, LIST_DUE, Program, Synced

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, Synced]]:
    """A program that has synced everything once."""
    with SandboxProcess.start("--properties", "40") as sandbox:
        program = Program(sandbox, tmp_path_factory.mktemp("fresh") / "data")
        yield program, program.sync()
        program.close()


@pytest.fixture
def first(fresh: tuple[Program, Synced]) -> Synced:
    return fresh[1]


@pytest.fixture
def after_first(fresh: tuple[Program, Synced]) -> Program:
    return fresh[0]


def test_the_first_sync_brings_every_row_with_every_value(after_first: Program) -> None:
    assert differences(after_first, sandbox_tables(after_first)) == []


def test_the_first_sync_says_what_it_brought(after_first: Program, first: Synced) -> None:
    for name, expected in sandbox_tables(after_first).items():
        result = first.tables[name]
        assert (result.rows, result.inserted, result.updated, result.deleted) == (len(expected), len(expected), 0, 0)
        assert (result.skipped, result.failed, result.refused_deletions, result.rejected) == ({}, {}, {}, 0)
    assert first.backlog == {}


def test_it_asks_for_each_page_each_detail_and_each_list_of_milestones_once(first: Synced) -> None:
    ids = list(range(1, 41))
    assert sorted(first.asked("detail")) == ids
    assert sorted(first.asked("milestones")) == ids
    assert first.paths.count("/api/partners/properties/") == 1
    assert first.paths.count("/oauth2/token") == 1
    assert sum(first.requests.values()) == len(first.log)


def test_the_sandbox_log_and_the_audit_agree_request_by_request(after_first: Program) -> None:
    base_url = after_first.sandbox.base_url
    logged = {
        (one["request_id"], one["method"], one["path"] + (f"?{one['query']}" if one["query"] else ""), one["status"])
        for one in after_first.sandbox.log()
    }
    audited = {
        (one["request_id"], one["method"], one["url"].removeprefix(base_url), one["status"])
        for one in after_first.calls()
    }
    assert audited == logged


def test_the_audit_says_of_each_answer_how_many_items_it_held(after_first: Program) -> None:
    """Every list of this sandbox fits on one page, but ResMan's: those of its pages sum up to its rows."""
    rows = after_first.sandbox.rows
    steps = {f"{one['id']}": len(one["milestones"]) for one in rows("openmoove_properties")}
    expected = {("get_property_detail", key): 1 for key in steps}
    expected |= {("get_milestones", key): count for key, count in steps.items()}
    expected |= {("list_properties", ""): len(steps), ("request_token", ""): 1}
    expected |= {(f"list_{kind}", ""): len(rows(f"resman_{kind}")) for kind in KINDS}
    asked = "regexp_extract(url, '/properties/([0-9]+)/', 1)"
    found = after_first.query(
        f"SELECT operation, {asked} AS property, CAST(sum(items) AS BIGINT) AS items FROM audit.api_calls GROUP BY ALL"
    )
    assert {(one["operation"], one["property"]): one["items"] for one in found} == expected


def test_every_row_names_a_call_that_is_in_the_audit(after_first: Program) -> None:
    calls = set(after_first.column("SELECT request_id FROM audit.api_calls WHERE outcome = 'ok'"))
    for name in sandbox_tables(after_first):
        assert set(after_first.column(f"SELECT request_id FROM {name}")) <= calls
    assert set(after_first.column("SELECT list_request_id FROM openmoove.properties")) <= calls
    assert set(after_first.column("SELECT milestones_request_id FROM openmoove.properties")) <= calls


def test_no_personal_value_is_published(after_first: Program) -> None:
    texts = texts_of_published(after_first)
    values = personal_values(after_first)
    # The search finds what is there: an address, whole and as a part of a text
    some_row = after_first.sandbox.rows("openmoove_properties")[0]
    assert sorted(places_of({some_row["address"]}, texts)) == ADDRESS_PLACES
    assert places_of({"+447700900999"}, {"x.y": {"call +447700900999, please"}}) == ["x.y"]
    assert len(values) > 100
    assert places_of(values, texts) == []


def test_no_secret_and_no_personal_value_is_in_the_trail(after_first: Program) -> None:
    trail = "\n".join(path.read_text() for path in after_first.data.segments.glob("*.jsonl"))
    env = after_first.sandbox.env
    for secret in (env["RESMAN_CLIENT_SECRET"], env["OPENMOOVE_API_KEY"], *personal_values(after_first)):
        assert secret not in trail


def test_the_trail_is_proved(after_first: Program) -> None:
    report = verify(after_first.data.segments)
    assert (report.problems, report.torn_tails) == ([], [])
    assert report.records > len(after_first.sandbox.log())


def test_a_second_sync_with_nothing_due_asks_openmoove_nothing(after_first: Program) -> None:
    second = after_first.sync("properties")
    assert second.log == []
    assert all(result.inserted + result.updated + result.deleted == 0 for result in second.tables.values())
    assert all(result.loaded == ("openmoove",) for result in second.tables.values())


def test_a_list_that_is_due_alone_costs_its_pages_alone(after_first: Program) -> None:
    second = after_first.sync("properties", env=LIST_DUE)
    assert second.paths == ["/api/partners/properties/"]


def test_resman_lists_again_each_time_and_finds_nothing_new(after_first: Program) -> None:
    second = after_first.sync("units", "leads", "employees", "documents")
    assert set(second.paths) == {"/api/units", "/api/leads", "/api/employees", "/api/documents"}
    assert all(result.inserted + result.updated + result.deleted == 0 for result in second.tables.values())
    assert differences(after_first, sandbox_tables(after_first)) == []


def test_the_audit_loaded_again_brings_only_what_is_new(after_first: Program) -> None:
    after_first.sync("calls")
    assert after_first.sync("calls").tables["audit.api_calls"].inserted == 0
    after_first.sync("units")
    again = after_first.sync("calls").tables["audit.api_calls"]
    assert again.rows == len(after_first.sandbox.log())


def test_a_changed_row_is_updated_and_nothing_else(sandbox: SandboxProcess, tmp_path: Path) -> None:
    program = Program(sandbox, tmp_path / "data")
    program.sync("units", "leads")
    sandbox.change(resman={"rent_changes": 3, "new_leads": 2})
    second = program.sync("units", "leads")
    units, leads = second.tables["resman.units"], second.tables["resman.leads"]
    assert (units.inserted, units.updated, units.deleted) == (0, 3, 0)
    assert (leads.inserted, leads.updated, leads.deleted) == (2, 0, 0)
    tables = {name: rows for name, rows in sandbox_tables(program).items() if name in second.tables}
    assert differences(program, tables) == []
    program.close()
