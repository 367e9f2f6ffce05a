"""Payments and work orders on the real rows, once ResMan grants their scopes: every value is that of the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.house import open_house
from partner_pipelines.sync.scopes import look
from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.shared.conftest import read_rows
from partner_pipelines_tests.sync.expected import differences, resman_table
from partner_pipelines_tests.sync.program import Program

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ("payments", "maintenance")
GRANTED = ["leads", "units", "employees", "documents", *KINDS]


def test_every_value_of_payments_and_work_orders_is_that_of_the_files(seed_dir: Path, tmp_path: Path) -> None:
    files = {kind: read_rows(seed_dir / f"resman_{kind}.jsonl.gz") for kind in KINDS}
    with SandboxProcess.start(seed_dir=seed_dir) as sandbox:
        client = {"client_id": sandbox.env["RESMAN_CLIENT_ID"], "granted": GRANTED}
        sandbox.control("POST", "scopes", client)
        program = Program(sandbox, tmp_path / "data")
        with open_house(program.settings(), run_id=None, stop=StopSignal()) as house:
            look(house.access(house.settings.resman[0]), 0)
        synced = program.sync(*KINDS)
        assert {kind: synced.tables[f"resman.{kind}"].rows for kind in KINDS} == {"payments": 1_500, "maintenance": 931}
        assert differences(program, {f"resman.{kind}": resman_table(rows) for kind, rows in files.items()}) == []
        program.close()
