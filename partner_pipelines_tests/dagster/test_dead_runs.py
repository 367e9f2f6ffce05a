"""A run whose process was killed does not stay started; a living one is left alone."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import dagster as dg
import pytest
from dagster._core.utils import make_new_run_id

from partner_pipelines import clock
from partner_pipelines.defs.dead_runs import SENTENCE, mark_dead_runs
from partner_pipelines.defs.home import open_instance
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.runs import dead_runs, living_runs, run_lock
from partner_pipelines_tests.dagster.conftest import DEADLINE_SECONDS, start_sync


@dg.job
def anything() -> None:
    """No step."""


@pytest.fixture
def instance(data: DataDirectory) -> Iterator[dg.DagsterInstance]:
    with open_instance(data) as opened:
        yield opened


def _started(instance: dg.DagsterInstance) -> dg.DagsterRun:
    run = instance.create_run_for_job(anything, run_id=make_new_run_id())
    instance.report_dagster_event(
        dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, "anything", message="begun"), run_id=run.run_id
    )
    return run


def _status(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def test_a_run_that_somebody_runs_is_left_alone(instance: dg.DagsterInstance, data: DataDirectory) -> None:
    run = _started(instance)
    with run_lock(data.runs, run.run_id):
        assert mark_dead_runs(instance, data) == []
    assert _status(instance, run.run_id) is dg.DagsterRunStatus.STARTED


def test_a_run_that_has_just_begun_is_left_alone_by_who_began_before_the_clock_was_put_back(
    instance: dg.DagsterInstance, data: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _started(instance)
    monkeypatch.setattr(clock, "_WALL_AT_START", clock._WALL_AT_START + timedelta(minutes=5))
    assert mark_dead_runs(instance, data) == []
    assert _status(instance, run.run_id) is dg.DagsterRunStatus.STARTED


def test_a_run_that_has_just_begun_or_just_ended_is_left_alone(
    instance: dg.DagsterInstance, data: DataDirectory
) -> None:
    run = _started(instance)
    assert mark_dead_runs(instance, data) == []
    assert _status(instance, run.run_id) is dg.DagsterRunStatus.STARTED


def test_a_run_whose_lock_nobody_holds_is_failed_with_a_sentence(
    instance: dg.DagsterInstance, data: DataDirectory
) -> None:
    run = _started(instance)
    with suppress(KeyboardInterrupt), run_lock(data.runs, run.run_id):
        raise KeyboardInterrupt
    assert mark_dead_runs(instance, data) == [run.run_id]
    assert _status(instance, run.run_id) is dg.DagsterRunStatus.FAILURE
    failure = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    assert [entry.dagster_event.message for entry in failure if entry.dagster_event] == [SENTENCE]
    assert (*living_runs(data.runs), *dead_runs(data.runs)) == ()
    assert mark_dead_runs(instance, data) == []


def test_a_killed_sync_is_failed_by_the_next(environ: dict[str, str], instance: dg.DagsterInstance) -> None:
    killed = start_sync(environ, "group:audit or group:resman")
    assert killed.stdout is not None
    assert killed.stdout.readline().startswith("step ")
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    (run,) = instance.get_runs()
    assert run.status is dg.DagsterRunStatus.STARTED
    _finish(start_sync(environ, "group:audit"))
    assert _status(instance, run.run_id) is dg.DagsterRunStatus.FAILURE
    assert {run.status for run in instance.get_runs()} == {dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS}


# Twenty forks of one process that has loaded Dagster: each begins a run and is killed after another of its events
_KILLED = """
import itertools, os, signal
from partner_pipelines.defs.run_watch import RunWatch
from partner_pipelines.defs.running import run_sync, select_assets
from partner_pipelines.settings import load_settings
from partner_pipelines.state.stop import StopSignal

see, seen = RunWatch.see, itertools.count(1)

def sync():
    return run_sync(load_settings(), selection='key:"resman/units"', stop=StopSignal()).success

def killed_at(event):
    def count(self, found):
        see(self, found)
        if next(seen) == event:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        try:
            RunWatch.see = count
            sync()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

select_assets(None)  # loads the definitions, once for all
print([killed_at(event) for event in range(1, 21)], sync(), sep="\\n")
"""


def test_after_twenty_kills_no_run_is_shown_as_started(environ: dict[str, str], data: DataDirectory) -> None:
    command = [sys.executable, "-c", _KILLED]
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, timeout=600, check=True)
    assert done.stdout.splitlines() == [str([-9] * 20), "True"]
    with open_instance(data) as instance:
        statuses = Counter(run.status for run in instance.get_runs())
    assert statuses == {dg.DagsterRunStatus.FAILURE: 20, dg.DagsterRunStatus.SUCCESS: 1}
    assert (*living_runs(data.runs), *dead_runs(data.runs)) == ()


@pytest.mark.parametrize(
    ("executor", "number"),
    [("in_process", signal.SIGINT), ("in_process", signal.SIGTERM), ("multiprocess", signal.SIGTERM)],
)
def test_a_signal_ends_the_run_and_the_process(
    environ: dict[str, str], instance: dg.DagsterInstance, data: DataDirectory, executor: str, number: signal.Signals
) -> None:
    stopped = start_sync(environ, PARTNER_EXECUTOR=executor)
    assert stopped.stdout is not None
    assert stopped.stdout.readline().startswith("step ")
    stopped.send_signal(number)
    told, _ = stopped.communicate(timeout=DEADLINE_SECONDS)
    assert stopped.returncode == 1
    assert '"stopped": true' in told.splitlines()[-1]
    (run,) = instance.get_runs()
    assert run.status in (dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.FAILURE)
    assert (*living_runs(data.runs), *dead_runs(data.runs)) == ()


def _finish(process: subprocess.Popen[str]) -> str:
    told, _ = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 0
    return told
