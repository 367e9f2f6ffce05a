"""`up`: what it serves, who may use its sandbox meanwhile, how it ends, and what is left when it is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from partner_pipelines_tests.cli.program import DEADLINE_SECONDS, Program, only_line, wait_until
from partner_pipelines_tests.ports import free_port

UNITS = ("sync", "--json", "--select", 'key:"resman/units"')
WITHIN_SECONDS = 60  # of a kill; on a quiet machine it takes two
# Slow enough for a run to be under way when it is looked for
SLOW = ["--properties", "40", "--latency-ms", "300"]

_SELECTOR = (
    '{repositoryLocationName:"partner_pipelines",repositoryName:"__repository__",jobName:"__ASSET_JOB",'
    'assetSelection:[{path:["openmoove","properties"]},{path:["openmoove","sellers"]},'
    '{path:["openmoove","team_members"]},{path:["openmoove","milestones"]}],assetCheckSelection:[]}'
)
_LAUNCH = (
    "mutation{launchPipelineExecution(executionParams:{selector:" + _SELECTOR + ",runConfigData:{}})"
    "{__typename ... on LaunchRunSuccess{run{runId}}}}"
)
_RUNS = "{runsOrError{... on Runs{results{runId status}}}}"


def test_killed_it_leaves_nobody_and_the_next_one_serves_lends_its_sandbox_and_ends(program: Program) -> None:
    """Both in one test: each start of Dagster takes seven seconds."""
    program.set_traps()
    _start_own_sandboxes_with(program, SLOW)
    with program.started("up", "--port", str(port := free_port())) as killed:
        _read_until_ready(killed, port)
        run_id = _launch(port)
        wait_until(lambda: _run_processes(program) != [], "the run has a process of its own", DEADLINE_SECONDS)
        assert len(program.living()) > 5
        killed.kill()
        wait_until(lambda: program.living() == {}, "everything that it started has ended", WITHIN_SECONDS)
    _start_own_sandboxes_with(program, ["--properties", "5"])
    with program.started("up", "--port", str(port)) as up:
        _read_until_ready(up, port)
        assert {run["runId"]: run["status"] for run in _runs(port)}[run_id] in ("CANCELED", "FAILURE")
        _a_sandbox_comes_and_goes(program)
        with _no_other_sandbox(program):
            synced = program.run(*UNITS)
            examined = program.run("doctor", "--json")
        assert synced.returncode == 0, synced.stderr
        _all_is_served(examined)
        second = program.run("up", "--port", str(free_port()))
        assert second.returncode == 2
        assert "serves" in only_line(second)
        up.send_signal(signal.SIGINT)
        rest, complaints = up.communicate(timeout=DEADLINE_SECONDS)
    assert (up.returncode, rest) == (0, "")
    assert complaints.splitlines() == ["Starting Dagster …", "Ending …", "Ended."]
    assert program.living() == {}
    assert program.caught() == "", "nobody imports from the working directory"
    assert not (program.place / "state" / "sandbox.json").exists()


def _a_sandbox_comes_and_goes(program: Program) -> None:
    note = program.place / "state" / "sandbox.json"
    noted = note.read_bytes()
    with program.started("sandbox", "--properties", "1") as beside:
        assert beside.stdout is not None
        assert json.loads(beside.stdout.readline())["base_url"] != json.loads(noted)["base_url"]
        beside.send_signal(signal.SIGINT)
        assert beside.wait(10) == 0
    assert note.read_bytes() == noted


def _all_is_served(examined: subprocess.CompletedProcess[str]) -> None:
    """As doctor sees it."""
    assert examined.returncode == 0, examined.stdout + examined.stderr
    checks = {check["name"]: check for check in json.loads(examined.stdout.splitlines()[-1])["checks"]}
    assert "`up` is at work" in checks["up"]["says"]
    for name in ("up", "openmoove: receiver", "schedules"):
        assert checks[name]["state"] == "green", checks[name]


def _start_own_sandboxes_with(program: Program, options: list[str]) -> None:
    """Sandboxes that commands start here for themselves have these options, as those after a demo have the demo's."""
    kept = program.place / "state" / "sandbox"
    for directory in (program.place, kept.parent, kept):  # as the program makes them
        directory.mkdir(0o755 if directory == program.place else 0o700, exist_ok=True)
    (kept / "options.json").write_text(json.dumps(options))


def _read_until_ready(up: subprocess.Popen[str], port: int) -> None:
    assert up.stdout is not None
    said = [up.stdout.readline() for _ in range(4)]
    assert f"http://127.0.0.1:{port} " in said[1], said
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=30) as answer:
        assert "dagster_version" in json.load(answer)


def _launch(port: int) -> str:
    """The id of a run that is launched as the UI launches it, as soon as the UI knows the assets."""
    launched: list[str] = []

    def _try() -> bool:
        answer = _ask(port, _LAUNCH)["launchPipelineExecution"]
        launched.extend([answer["run"]["runId"]] if answer["__typename"] == "LaunchRunSuccess" else [])
        return bool(launched)

    wait_until(_try, "the UI launches a run", DEADLINE_SECONDS)
    return launched[0]


def _run_processes(program: Program) -> list[str]:
    return [line for line in program.living().values() if "multiprocessing.spawn" in line]


def _runs(port: int) -> list[dict[str, str]]:
    runs: list[dict[str, str]] = _ask(port, _RUNS)["runsOrError"]["results"]
    return runs


def _ask(port: int, query: str) -> Any:
    body = json.dumps({"query": query}).encode()
    url, headers = f"http://127.0.0.1:{port}/graphql", {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
        return json.load(answer)["data"]


@contextmanager
def _no_other_sandbox(program: Program) -> Iterator[None]:
    """The one sandbox that runs before is the one that was called."""
    before = sorted(line for line in program.processes() if "partner_pipelines.sandbox" in line)
    assert len(before) == 1
    yield
    assert sorted(line for line in program.processes() if "partner_pipelines.sandbox" in line) == before
