"""`up`: what it serves, who may use its sandbox meanwhile, and how it ends."""

from __future__ import annotations

import json
import signal
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from partner_pipelines_tests.cli.program import DEADLINE_SECONDS, Program, only_line

UNITS = ("sync", "--json", "--select", 'key:"resman/units"')


def test_it_serves_the_ui_lends_its_sandbox_and_ends_with_all_it_started(program: Program) -> None:
    port = _free_port()
    with program.started("up", "--port", str(port)) as up:
        assert up.stdout is not None
        said = [up.stdout.readline() for _ in range(3)]
        assert f"http://127.0.0.1:{port} " in said[1]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=10) as answer:
            assert "dagster_version" in json.load(answer)
        with _no_other_sandbox(program):
            synced = program.run(*UNITS)
        assert synced.returncode == 0, synced.stderr
        second = program.run("up", "--port", str(_free_port()))
        assert second.returncode == 2
        assert "serves" in only_line(second)
        up.send_signal(signal.SIGINT)
        rest, complaints = up.communicate(timeout=DEADLINE_SECONDS)
    assert (up.returncode, rest) == (0, "")
    assert complaints.splitlines() == ["Starting Dagster …", "Ending …", "Ended."]
    assert program.processes() == []
    assert not (program.place / "state" / "sandbox.json").exists()


@contextmanager
def _no_other_sandbox(program: Program) -> Iterator[None]:
    """The one sandbox that runs before is the one that was called."""
    before = sorted(line for line in program.processes() if "partner_pipelines.sandbox" in line)
    assert len(before) == 1
    yield
    assert sorted(line for line in program.processes() if "partner_pipelines.sandbox" in line) == before


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
