"""UI and daemon come up over one code server, and leave nobody behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from partner_pipelines.defs.serving import HOST, Child, serve
from partner_pipelines.errors import StateError, StoppedError, UsageError
from partner_pipelines.settings import Settings
from partner_pipelines.state.stop import StopSignal
from partner_pipelines_tests.ports import free_port
from partner_pipelines_tests.sandbox_process import wait_until

_WORKSPACE = "{workspaceOrError{... on Workspace{locationEntries{name locationOrLoadError{__typename}}}}}"
_SCHEDULES = (
    '{schedulesOrError(repositorySelector:{repositoryName:"__repository__",'
    'repositoryLocationName:"partner_pipelines"}){... on Schedules{results{scheduleState{status}}}}}'
)
_LAUNCH = (
    'mutation{launchRun(executionParams:{mode:"default",runConfigData:{},selector:{jobName:"purge",'
    'repositoryName:"__repository__",repositoryLocationName:"partner_pipelines"}})'
    "{... on LaunchRunSuccess{run{runId}}}}"
)


def _ask(url: str, query: str) -> Any:
    body = json.dumps({"query": query}).encode()
    request = urllib.request.Request(f"{url}/graphql", body, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)["data"]


def _group(pid: int) -> list[int]:
    """The living processes of a process group."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == pid and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def _location(url: str) -> bool:
    entries = _ask(url, _WORKSPACE)["workspaceOrError"]["locationEntries"]
    found = [(entry["name"], (entry["locationOrLoadError"] or {}).get("__typename")) for entry in entries]
    return found == [("partner_pipelines", "RepositoryLocation")]


def test_the_ui_shows_the_definitions_schedules_run_and_nobody_is_left(
    settings: Settings, environ: dict[str, str]
) -> None:
    with serve(settings, environ, port=free_port(), stop=StopSignal()) as served:
        wait_until(lambda: _location(served.url), 60)
        results = _ask(served.url, _SCHEDULES)["schedulesOrError"]["results"]
        assert {result["scheduleState"]["status"] for result in results} == {"RUNNING"}
        assert _run_of_purge(served.url) == "SUCCESS"
        assert _chatter(served.children) == []
        groups = [child.process.pid for child in served.children]
        assert all(_group(pid) for pid in groups)
        os.kill(groups[1], signal.SIGKILL)
        with pytest.raises(StateError, match="Dagster's webserver ended"):
            served.wait(StopSignal())
    assert [_group(pid) for pid in groups] == [[], [], []]


def _run_of_purge(url: str) -> str:
    """How it ends when somebody launches it in the UI."""
    launched = _ask(url, _LAUNCH)["launchRun"]["run"]["runId"]
    query = f'{{runOrError(runId:"{launched}"){{... on Run{{status}}}}}}'

    def ended() -> str | None:
        status: str = _ask(url, query)["runOrError"]["status"]
        return status if status in {"SUCCESS", "FAILURE", "CANCELED"} else None

    status: str = wait_until(ended, 240)
    return status


def _chatter(children: list[Child]) -> list[str]:
    """Lines of the logs that say that all is well: they would grow for as long as `up` runs."""
    lines = [line for child in children for line in child.log.read_text().splitlines()]
    return [line for line in lines if re.search(r"\b(?:INFO|DEBUG)\b", line)]


def test_a_taken_port_is_a_usage_error(settings: Settings, environ: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(UsageError, match=f"port {port} cannot be used"),
            serve(settings, environ, port=port, stop=StopSignal()),
        ):
            pass


def test_a_stop_while_it_comes_up_ends_it(settings: Settings, environ: dict[str, str]) -> None:
    stop = StopSignal()
    stop.request("the test says so")
    with pytest.raises(StoppedError), serve(settings, environ, port=free_port(), stop=stop):
        pass


def test_a_child_that_does_not_come_up_is_named_with_its_last_words(
    settings: Settings, environ: dict[str, str]
) -> None:
    broken = {**environ, "PARTNER_TIMEZONE": "Mars/Olympus"}
    with (
        pytest.raises(StateError, match="Dagster's code-server ended"),
        serve(settings, broken, port=free_port(), stop=StopSignal()),
    ):
        pass
