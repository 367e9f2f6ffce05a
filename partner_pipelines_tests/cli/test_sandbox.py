"""`sandbox`, and the sandbox that other commands find or start by themselves."""

from __future__ import annotations

import hmac
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from partner_pipelines_tests.cli.program import DEADLINE_SECONDS, Program, only_line, wait_until
from partner_pipelines_tests.modes import MODES_HOLD

UNITS = ("sync", "--json", "--select", 'key:"resman/units"')


def test_the_first_line_has_the_variables_and_the_note_is_there_while_it_runs(program: Program) -> None:
    note = program.place / "state" / "sandbox.json"
    with program.started("sandbox", "--properties", "3", "--rate-limits", "9/1") as sandbox:
        assert sandbox.stdout is not None
        first = json.loads(sandbox.stdout.readline())
        assert set(first) == {"ready", "base_url", "env"}
        assert first["env"]["OPENMOOVE_RATE_LIMITS"] == "9/1"
        assert json.loads(note.read_text())["base_url"] == first["base_url"]
        assert note.stat().st_mode & 0o777 == 0o600
        sandbox.send_signal(signal.SIGTERM)
        assert sandbox.wait(10) == 0
    assert not note.exists()


def test_of_two_sandboxes_the_first_stays_noted_and_commands_use_it_when_the_second_has_ended(program: Program) -> None:
    note = program.place / "state" / "sandbox.json"
    with program.started("sandbox", "--properties", "1") as first:
        served = _ready(first)
        noted = note.read_text()
        with program.started("sandbox", "--properties", "1") as second:
            assert _ready(second)["base_url"] != served["base_url"]
            assert note.read_text() == noted
            second.send_signal(signal.SIGINT)
            _, complaints = second.communicate(timeout=10)
        assert second.returncode == 0
        (line,) = complaints.splitlines()
        assert "another sandbox serves already" in line
        assert "`env` point to this one" in line
        assert note.read_text() == noted
        assert program.run(*UNITS).returncode == 0
        assert "/api/units" in httpx.get(f"{served['base_url']}/_sandbox/stats", trust_env=False).text
        first.kill()
        first.wait(10)
    with program.started("sandbox", "--properties", "1") as third:
        assert json.loads(note.read_text() if _ready(third) else "")["pid"] == third.pid


def _ready(sandbox: subprocess.Popen[str]) -> dict[str, Any]:
    assert sandbox.stdout is not None
    first: dict[str, Any] = json.loads(sandbox.stdout.readline())
    return first


def test_a_script_pushes_to_the_sandbox_that_runs_and_says_to_start_one_where_none_does(program: Program) -> None:
    def pushed() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", SCRIPT]
        return subprocess.run(
            command, env=program.environ, cwd=program.home, capture_output=True, text=True, check=False
        )

    alone = pushed()
    assert alone.returncode == 1
    last = alone.stderr.splitlines()[-1]
    assert f"no sandbox runs on {program.place}: start `partner-pipelines sandbox` or `partner-pipelines up`" in last
    with program.started("sandbox", "--properties", "1") as sandbox:
        base_url = _ready(sandbox)["base_url"]
        beside = pushed()
        assert (beside.returncode, beside.stdout) == (0, "1\n"), beside.stderr
        assert "ada@script.example" in httpx.get(f"{base_url}/_sandbox/rows/resman_leads", trust_env=False).text


def test_a_receiver_takes_what_the_user_signs_beside_what_the_sandbox_signs(program: Program) -> None:
    body = b'{"event": "none that we know"}'
    with (
        program.started("sandbox", "--properties", "1") as sandbox,
        _serving(program, _ready(sandbox), OPENMOOVE_WEBHOOK_SECRETS="mine") as (url, sandboxs),
    ):
        answers = {}
        for secret in ("mine", sandboxs, "nobody's"):
            signature = hmac.new(secret.encode(), body, "sha256").hexdigest()
            headers = {"X-OpenMoove-Signature": f"sha256={signature}"}
            answers[secret] = httpx.post(
                f"{url}/webhooks/openmoove", content=body, headers=headers, trust_env=False
            ).status_code
    assert answers == {"mine": 202, sandboxs: 202, "nobody's": 401}


@contextmanager
def _serving(program: Program, ready: dict[str, Any], **variables: str) -> Iterator[tuple[str, str]]:
    """A receiver beside a sandbox: its address, and the sandbox's secret."""
    with program.started("receiver", "--port", "0", "--workers", "1", **variables) as receiver:
        yield _ready(receiver)["url"], ready["env"]["OPENMOOVE_WEBHOOK_SECRETS"]
        receiver.send_signal(signal.SIGINT)
        assert receiver.wait(30) == 0


SCRIPT = """
import partner_pipelines
lead = {"first_name": "Ada", "last_name": "Script", "email": "ada@script.example", "property_id": "PROP_001"}
print(partner_pipelines.push("leads", [lead]).count("created"))
"""


def test_a_sandbox_that_cannot_be_noted_says_so_and_serves(program: Program) -> None:
    stamp = program.place / "environment.json"
    program.place.mkdir()
    stamp.write_text('{"environment": "production", "schema": 1}')
    with program.started("sandbox", "--properties", "3") as sandbox:
        assert sandbox.stdout is not None
        assert json.loads(sandbox.stdout.readline())["ready"] is True
        sandbox.send_signal(signal.SIGINT)
        _, complaints = sandbox.communicate(timeout=10)
    assert sandbox.returncode == 0
    assert complaints.startswith("The sandbox is not noted for other commands: ")
    assert [file.name for file in program.place.iterdir()] == ["environment.json"]


def test_a_seed_that_cannot_be_served_is_named_by_file_and_line(program: Program) -> None:
    seed = program.home / "seed"
    seed.mkdir()
    (seed / "resman_units.jsonl").write_text('{"id": "UNIT_1"}\n{"id": "UNIT_2"\n')
    for words in (["sandbox"], ["demo"]):
        finished = program.run(*words, "--seed-dir", "seed")
        assert finished.returncode == 2
        assert "resman_units.jsonl:2: not JSON" in finished.stderr
        assert len(finished.stderr.splitlines()) == 1
    assert program.run("sandbox", "--seed-dir", "nowhere").returncode == 2


def test_killed_commands_leave_no_sandbox_and_those_that_wait_for_it_take_turns(program: Program) -> None:
    (program.place / "state").mkdir(parents=True, mode=0o700)
    stale = {"pid": os.getpid(), "base_url": "http://127.0.0.1:9", "env": {"RESMAN_BASE_URL": "http://127.0.0.1:9"}}
    (program.place / "state" / "sandbox.json").write_text(json.dumps(stale))
    with program.started("sync") as killed:
        wait_until(lambda: bool(program.processes()), "its sandbox runs")
        killed.kill()
    with program.started(*UNITS) as one, program.started(*UNITS) as other:
        both = (one, other)
        outputs = [process.communicate(timeout=DEADLINE_SECONDS) for process in both]
    reports = [json.loads(output.splitlines()[-1]) for output, _ in outputs]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert {report["tables"]["resman.units"]["rows"] for report in reports} == {400}
    assert sorted(report["tables"]["resman.units"]["inserted"] for report in reports) == [0, 400]
    keys = {"success", "run_id", "tables", "skipped", "failed", "requests", "backlog", "seconds"}
    assert [set(report) for report in reports] == [keys, keys]
    assert set(reports[0]["tables"]["resman.units"]) == {"rows", "inserted", "updated", "deleted"}
    waited = ["waiting for its end" in complaints for _, complaints in outputs]
    assert any(waited)
    assert program.processes() == []


def test_a_data_directory_that_may_not_be_written_is_one_line(passable: Program) -> None:
    passable.place.mkdir(mode=0o555)
    for words in (["sync"], ["up"], ["demo"]):
        finished = passable.run(*words, before=MODES_HOLD)
        assert finished.returncode == 1
        assert "Permission denied" in only_line(finished)
    assert list(passable.place.iterdir()) == []
