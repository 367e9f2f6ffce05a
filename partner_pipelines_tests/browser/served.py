"""`partner-pipelines up` as a user starts it, with rows in it: what Chromium looks at."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from partner_pipelines_tests.cli.program import DEADLINE_SECONDS, Program, wait_until
from partner_pipelines_tests.ports import free_port

# A quota that one sync does not fit into: then there is a budget to draw, and something left to fetch
SANDBOX = ["--properties", "40", "--rate-limits", "75/3600", "--latency-ms", "2"]
SYNCS = (["sync"], ["sync", "--select", "group:marts or group:history"])
_SCHEDULES = """{schedulesOrError(repositorySelector:{repositoryName:"__repository__",
    repositoryLocationName:"partner_pipelines"}){... on Schedules{results{scheduleState{id status}}}}}"""
_RUNNING = "{runsOrError(filter:{statuses:[QUEUED,NOT_STARTED,STARTING,STARTED]}){... on Runs{results{id}}}}"
_LOCATION = "{workspaceOrError{... on Workspace{locationEntries{locationOrLoadError{__typename}}}}}"


@contextmanager
def served(root: Path) -> Iterator[str]:
    """The UI's address, after one sync and one look at marts and history. Everything has ended afterwards."""
    home = root / "home"
    home.mkdir()
    program = Program(home, root / "data")
    kept = program.place / "state" / "sandbox"
    kept.mkdir(parents=True, mode=0o700)
    (kept / "options.json").write_text(json.dumps(SANDBOX))
    ports = [str(free_port()) for _ in range(2)]
    with program.started("up", "--port", ports[0], "--receiver-port", ports[1]) as up:
        # `up` has its sandbox long before Dagster has come up: the rows are there when the UI is
        noted = program.place / "state" / "sandbox.json"
        wait_until(lambda: noted.exists() or up.poll() is not None, "the sandbox runs", DEADLINE_SECONDS)
        for words in SYNCS:
            finished = program.run(*words)
            assert finished.returncode == 0, finished.stderr
        assert up.stdout is not None
        said = [up.stdout.readline() for _ in range(4)]
        url = f"http://127.0.0.1:{ports[0]}"
        assert url in said[1], said
        wait_until(lambda: _is_loaded(url), "the UI knows the definitions", DEADLINE_SECONDS)
        ask(url, "mutation{setNuxSeen}")  # else a greeting lies over every page
        _stop_schedules(url)
        yield url
        up.send_signal(signal.SIGINT)
        up.communicate(timeout=DEADLINE_SECONDS)
        assert up.returncode == 0
    assert program.living() == {}


def ask(url: str, query: str) -> Any:
    """What the UI's GraphQL answers."""
    answer = httpx.post(f"{url}/graphql", json={"query": query}, timeout=30, trust_env=False)
    return answer.raise_for_status().json()["data"]


def _stop_schedules(url: str) -> None:
    """`up` has started all of them; from here on no run begins of which a page would show one half."""
    states = [schedule["scheduleState"] for schedule in ask(url, _SCHEDULES)["schedulesOrError"]["results"]]
    assert {state["status"] for state in states} == {"RUNNING"}
    for state in states:
        stop = f'mutation{{stopRunningSchedule(id:"{state["id"]}"){{... on ScheduleStateResult{{__typename}}}}}}'
        assert ask(url, stop)["stopRunningSchedule"] == {"__typename": "ScheduleStateResult"}
    wait_until(lambda: ask(url, _RUNNING)["runsOrError"]["results"] == [], "runs have ended", DEADLINE_SECONDS)


def _is_loaded(url: str) -> bool:
    entries = ask(url, _LOCATION)["workspaceOrError"]["locationEntries"]
    return [(entry["locationOrLoadError"] or {}).get("__typename") for entry in entries] == ["RepositoryLocation"]
