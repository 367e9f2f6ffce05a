"""Several syncs of one data directory at the same time: all finish, no row is doubled, no call is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from partner_pipelines.state.audit_verify import verify
from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.sync.expected import differences, sandbox_tables
from partner_pipelines_tests.sync.program import AT_ONCE, EVERYTHING, Program
from partner_pipelines_tests.sync.rounds import half_written, landed

if TYPE_CHECKING:
    from pathlib import Path

DEADLINE_SECONDS = 120


def run_together(program: Program, *works: tuple[str, ...]) -> None:
    """Each work in a process of its own, begun at the same time; all of them end well."""
    children = [program.child(*what) for what in works]
    for child in children:
        out, complaints = child.communicate(timeout=DEADLINE_SECONDS)
        assert (out, complaints, child.returncode) == ("ready\ndone\n", "", 0)


def check_all_is_there_once(program: Program) -> None:
    assert differences(program, sandbox_tables(program)) == []
    assert half_written(program) == []
    assert landed(program) == []
    program.sync("calls")
    audited = program.column("SELECT request_id FROM audit.api_calls")
    assert sorted(audited) == sorted(entry["request_id"] for entry in program.sandbox.log())
    assert verify(program.data.segments).problems == []


def test_three_syncs_at_once_on_an_empty_data_directory_all_finish(program: Program) -> None:
    run_together(program, EVERYTHING, EVERYTHING, EVERYTHING)
    check_all_is_there_once(program)
    paths = [entry["path"] for entry in program.sandbox.log()]
    assert paths.count("/oauth2/token") == 1
    again = program.sync()
    assert all(result.inserted + result.updated + result.deleted == 0 for result in again.tables.values())


def test_syncs_of_different_tables_at_once_leave_each_other_alone(program: Program) -> None:
    run_together(program, ("properties", "calls"), ("units", "leads"), ("employees", "documents"))
    check_all_is_there_once(program)


def test_two_syncs_share_one_budget_and_draw_no_429(tmp_path: Path) -> None:
    with SandboxProcess.start("--properties", "20", "--rate-limits", "30/1") as sandbox:
        program = Program(sandbox, tmp_path / "data", **AT_ONCE)
        run_together(program, ("properties",), ("properties",))
        assert [entry for entry in sandbox.log() if entry["throttled"]] == []
        program.sync("units", "leads", "employees", "documents")
        check_all_is_there_once(program)
        program.close()
