"""A connection has a deadline in each step: who is slow, or has no end, holds nobody for longer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from partner_pipelines_tests.hostile.answers import endless
from partner_pipelines_tests.hostile.proxy import HostileProxy
from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.sync.program import Program

DUE = {"OPENMOOVE_ACTIVE_MAX_AGE": "0"}


@pytest.fixture
def program(tmp_path: Path) -> Iterator[tuple[Program, HostileProxy]]:
    with SandboxProcess.start("--properties", "40") as sandbox, HostileProxy(sandbox.base_url) as proxy:
        program = Program(sandbox, tmp_path / "data", **proxy.env(sandbox.env))
        yield program, proxy
        program.close()


def test_what_a_slow_partner_did_not_give_in_time_is_the_next_syncs_and_no_failure(
    program: tuple[Program, HostileProxy],
) -> None:
    opened, _ = program
    opened.sync("properties")
    opened.sandbox.fault("delay", path="/detail/$", seconds=0.5, times=None)
    slow = opened.sync("properties", env={**DUE, "PARTNER_CONNECTION_DEADLINE_SECONDS": "3"})
    assert slow.tables["openmoove.properties"].failed == {}
    left = sum(slow.backlog["openmoove"].values())
    opened.sandbox.control("DELETE", "faults")
    again = opened.sync("properties", env=DUE)
    assert again.backlog == {}
    assert 0 < left == len(again.asked("detail")) - len(slow.asked("detail"))


def test_a_list_without_end_fails_when_the_time_is_over_and_the_other_partner_is_loaded(
    program: tuple[Program, HostileProxy],
) -> None:
    opened, proxy = program
    page = endless(None)
    proxy.spoil("/api/units", lambda request: [0.1, *page(request)])
    result = opened.sync("units", env={"PARTNER_CONNECTION_DEADLINE_SECONDS": "1"}).tables["resman.units"]
    assert "PARTNER_CONNECTION_DEADLINE_SECONDS" in result.failed["resman"]
    assert "have no end" in result.failed["resman"]
    assert len(proxy.requests) < 500
    assert result.deleted == 0
    assert opened.sync("properties").tables["openmoove.properties"].rows == 40
