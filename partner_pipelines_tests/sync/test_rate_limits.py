"""Waiting that is too long is no failure: what came is kept, the rest is a backlog, and nobody is asked too early."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from partner_pipelines.state.budget import KEPT
from partner_pipelines.warehouse.connection import Warehouse
from partner_pipelines_tests.sandbox_process import SandboxProcess, wait_until
from partner_pipelines_tests.sync.expected import differences, openmoove_tables, sandbox_tables
from partner_pipelines_tests.sync.program import AT_ONCE, LIST_DUE, Program
from partner_pipelines_tests.sync.test_due import set_all
from partner_pipelines_tests.sync.webhooks import UPDATED, apply, body, receive

if TYPE_CHECKING:
    from pathlib import Path

LIST = "/partners/properties/$"
AN_HOUR = {"Retry-After": "3600"}
IMPATIENT = {"PARTNER_MAX_WAIT_SECONDS": "1"}


def wait_for_the_rest(program: Program, *what: str) -> int:
    """Sync until nothing is left; how many requests that took."""
    requests = 0

    def is_done() -> bool:
        nonlocal requests
        synced = program.sync(*what, env=IMPATIENT)
        requests += len(synced.log)
        return synced.backlog == {}

    wait_until(is_done, 20)
    return requests


def test_a_list_that_shall_be_asked_in_an_hour_leaves_a_backlog_and_no_failure(steady: Program) -> None:
    steady.sandbox.fault("status", path=LIST, status=429, headers=AN_HOUR)
    synced = steady.sync("properties")
    assert synced.paths == ["/api/partners/properties/"]
    assert synced.backlog == {"openmoove": {"list": 1}}
    assert all(result.failed == {} for result in synced.tables.values())
    # Within the hour this process asks nothing at all
    again = steady.sync("properties")
    assert (again.log, again.backlog) == ([], {"openmoove": {"list": 1}})


def test_the_run_after_the_wait_goes_on_with_the_list(steady: Program) -> None:
    steady.sandbox.fault("status", path=LIST, status=429, headers={"Retry-After": "2"})
    first = steady.sync("properties", env=IMPATIENT)
    assert first.backlog == {"openmoove": {"list": 1}}
    assert wait_for_the_rest(steady, "properties") == 1 + 2 * 12
    assert differences(steady, openmoove_tables(steady.sandbox.rows("openmoove_properties"))) == []
    answered = [entry for entry in steady.sandbox.log() if entry["path"].endswith("/partners/properties/")][-2:]
    assert [entry["status"] for entry in answered] == [429, 200]
    assert answered[1]["at"] - answered[0]["finished_at"] >= 2


def test_a_long_wait_in_the_middle_keeps_what_came_and_the_next_run_asks_for_the_rest_alone(steady: Program) -> None:
    steady.sandbox.fault("status", path="/detail/$", status=429, headers={"Retry-After": "2"}, skip=5)
    first = steady.sync("properties", env=IMPATIENT)
    assert first.asked("detail") == [1, 2, 3, 4, 5, 6]
    assert first.asked("milestones") == [1, 2, 3, 4, 5]
    assert first.backlog == {"openmoove": {"new": 7}}
    assert all(result.failed == {} for result in first.tables.values())
    known = steady.column("SELECT id FROM openmoove.properties WHERE detail_fetched_at IS NOT NULL ORDER BY id")
    assert known == [1, 2, 3, 4, 5]
    assert wait_for_the_rest(steady, "properties") == 2 * 7
    assert differences(steady, openmoove_tables(steady.sandbox.rows("openmoove_properties"))) == []


def test_many_at_once_stop_at_the_first_long_wait(steady: Program) -> None:
    steady.sandbox.settings(latency_ms=30)  # so that they are sent at once
    steady.sandbox.fault("status", path="/detail/$", status=429, headers=AN_HOUR, times=None, skip=4)
    first = steady.sync("properties", env=AT_ONCE)
    assert first.backlog == {"openmoove": {"new": 8}}
    # Each of those under way at once may hear it, and then nobody asks again
    refused = [entry for entry in first.log if entry["status"] == 429]
    assert 1 <= len(refused) <= 8
    assert steady.sync("properties").log == []


def test_a_resman_list_that_shall_be_asked_in_an_hour_leaves_a_backlog_and_no_failure(steady: Program) -> None:
    steady.sandbox.fault("status", path="/api/units", status=429, headers=AN_HOUR)
    first = steady.sync("units", "leads")
    assert first.paths == ["/oauth2/token", "/api/units"]
    assert first.backlog == {"resman": {"list": 1}}
    assert [result.failed for result in first.tables.values()] == [{}, {}]
    assert [result.skipped for result in first.tables.values()] == [{}, {}]


def test_the_run_after_the_wait_goes_on_with_resman(steady: Program) -> None:
    steady.sandbox.fault("status", path="/api/units", status=429, headers={"Retry-After": "2"})
    assert steady.sync("units", env=IMPATIENT).backlog == {"resman": {"list": 1}}
    assert wait_for_the_rest(steady, "units") == 1
    units = {"resman.units": sandbox_tables(steady, "units")["resman.units"]}
    assert differences(steady, units) == []


def test_a_429_without_a_time_that_does_not_pass_is_a_backlog_too(steady: Program) -> None:
    steady.sandbox.fault("status", path="/detail/$", status=429, times=None)
    first = steady.sync("properties")
    assert [entry["status"] for entry in first.log] == [200, 429, 429, 429, 429]
    assert first.backlog == {"openmoove": {"new": 12}}


def throttled(sandbox: SandboxProcess) -> int:
    return len([entry for entry in sandbox.log() if entry["throttled"]])


def test_a_sync_under_a_budget_waits_its_turn_and_never_draws_a_429(tmp_path: Path) -> None:
    with SandboxProcess.start("--properties", "40", "--rate-limits", "60/2") as sandbox:
        program = Program(sandbox, tmp_path / "data")
        synced = program.sync("properties")
        assert (len(synced.log), synced.backlog, throttled(sandbox)) == (81, {}, 0)
        assert differences(program, openmoove_tables(sandbox.rows("openmoove_properties"))) == []
        program.close()


def test_a_run_that_must_not_wait_takes_what_the_budget_gives_and_the_next_runs_complete_it(tmp_path: Path) -> None:
    with SandboxProcess.start("--properties", "40", "--rate-limits", "60/3") as sandbox:
        program = Program(sandbox, tmp_path / "data", PARTNER_MAX_WAIT_SECONDS="0")
        first = program.sync("properties")
        left = first.backlog["openmoove"]["new"]
        assert 0 < left < 40
        assert "the request budget of openmoove is spent for " in first.remarks["openmoove"]
        assert all(result.failed == {} for result in first.tables.values())
        wait_until(lambda: program.sync("properties").backlog == {}, 60)
        assert throttled(sandbox) == 0
        paths = [entry["path"] for entry in sandbox.log()]
        # A property whose detail came and whose milestones did not is asked for these alone
        assert len(paths) == len(set(paths)) == 81
        assert differences(program, openmoove_tables(sandbox.rows("openmoove_properties"))) == []
        program.close()


def test_a_budget_that_is_spent_lets_the_list_wait_too(tmp_path: Path) -> None:
    with SandboxProcess.start("--properties", "40", "--rate-limits", "60/600") as sandbox:
        program = Program(sandbox, tmp_path / "data")
        program.sync("properties")
        second = program.sync("properties", env=LIST_DUE)
        assert second.log == []
        assert second.backlog["openmoove"].keys() == {"list", "new"}
        assert throttled(sandbox) == 0
        program.close()


def test_what_is_left_stands_in_the_warehouse_until_it_is_done(tmp_path: Path) -> None:
    with SandboxProcess.start("--properties", "40", "--rate-limits", "60/3") as sandbox:
        program = Program(sandbox, tmp_path / "data", PARTNER_MAX_WAIT_SECONDS="0")
        left = program.sync("properties").backlog["openmoove"]["new"]
        (row,) = program.query("FROM marts.openmoove_backlog")
        assert (row["connection"], row["reason"], row["properties"]) == ("openmoove", "new", left)
        assert 2 * left - 1 <= row["requests"] <= 2 * left
        # 40 of 60 places in 3 seconds are for ordinary requests: 48,000 an hour
        assert row["hours"] == pytest.approx(row["requests"] / 48_000)
        # A run that asks for news alone says nothing of the rest
        program.sync("told")
        assert program.query("FROM marts.openmoove_backlog") == [row]
        wait_until(lambda: program.sync("properties").backlog == {}, 60)
        assert program.query("FROM marts.openmoove_backlog") == []
        program.close()


def test_news_is_asked_about_though_ordinary_work_has_spent_the_budget(tmp_path: Path) -> None:
    with SandboxProcess.start("--properties", "40", "--rate-limits", "60/600") as sandbox:
        program = Program(sandbox, tmp_path / "data", PARTNER_MAX_WAIT_SECONDS="0")
        assert len(program.sync("properties").log) == 60 - KEPT
        receive(program, body(UPDATED, 40, datetime.now(UTC), property={"id": 40}))
        apply(program)
        assert program.sync("told").asked("detail") == [40]
        again = program.sync("properties")
        assert again.log == []
        assert throttled(sandbox) == 0
        program.close()


def test_sales_that_are_long_done_are_looked_at_with_half_of_what_is_left(tmp_path: Path) -> None:
    with SandboxProcess.start("--properties", "40", "--rate-limits", "120/600") as sandbox:
        set_all(sandbox, dict.fromkeys(range(1, 31), (40, 20)))
        program = Program(sandbox, tmp_path / "data", PARTNER_MAX_WAIT_SECONDS="0")
        assert program.sync("properties").backlog == {}
        with Warehouse(program.data).writing() as database:
            database.execute(
                "UPDATE openmoove.properties SET detail_fetched_at = now() - INTERVAL 31 DAY, "
                "milestones_fetched_at = now() - INTERVAL 31 DAY WHERE id <= 30"
            )
        assert program.sync("properties").log == []
        # 100 ordinary places, 81 of them taken: of 19 that are left 9 may be spent, 2 for each
        looked_at = program.sync("idle")
        assert looked_at.asked("detail") == looked_at.asked("milestones") == [1, 2, 3, 4]
        assert set(program.column("SELECT DISTINCT reason FROM audit.api_calls")) >= {"list", "new"}
        assert {call["reason"] for call in program.calls("run_id = 'run-3'")} == {"frozen_audit"}
        assert looked_at.backlog == {}
        program.close()


@pytest.mark.parametrize("words", [{"Retry-After": "soon"}, {"Retry-After": "-5"}])
def test_a_time_that_is_nonsense_is_as_good_as_none(steady: Program, words: dict[str, str]) -> None:
    steady.sandbox.fault("status", path="/api/units", status=429, headers=words)
    synced = steady.sync("units")
    assert [entry["status"] for entry in synced.log] == [200, 429, 200]
    assert synced.tables["resman.units"].rows == 16
