"""Twenty of two thousand properties change and webhooks tell: what the next sync asks for."""

from __future__ import annotations

from pathlib import Path

from partner_pipelines_tests.receiver.process import receiver
from partner_pipelines_tests.sandbox_process import SandboxProcess, wait_until
from partner_pipelines_tests.sync.expected import differences, openmoove_tables
from partner_pipelines_tests.sync.program import AT_ONCE, Program
from partner_pipelines_tests.sync.webhooks import apply

PROPERTIES = 2_000
CHANGED = 20
MOST_REQUESTS = 60


def test_of_2000_properties_the_20_that_webhooks_told_are_asked_and_right(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with receiver(data) as taking:
        options = ("--webhook-url", f"{taking.url}/webhooks/openmoove", "--webhook-secret", "whsec-current")
        with SandboxProcess.start("--properties", str(PROPERTIES), *options) as sandbox:
            program = Program(sandbox, data, **AT_ONCE)
            program.sync("properties")
            assert len(sandbox.rows("openmoove_properties")) == PROPERTIES
            changed = sandbox.change(openmoove={"complete_milestones": CHANGED})["changed"]["openmoove_properties"]
            assert len(changed) == CHANGED
            wait_until(lambda: len(taking.waiting()) == CHANGED, 60)
            apply(program)
            again = program.sync("properties")
            assert sorted(again.asked("detail")) == sorted(changed)
            assert len(again.log) <= MOST_REQUESTS
            assert differences(program, openmoove_tables(sandbox.rows("openmoove_properties"))) == []
            assert program.sync("properties").log == []
