"""A sensor that launches runs waits after failures: longer each time, never long, whatever the clock does."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import timedelta

import dagster as dg
import pytest

from partner_pipelines import clock
from partner_pipelines.defs.home import open_instance
from partner_pipelines.defs.pauses import request_for_waiting
from partner_pipelines.state.data_directory import DataDirectory


@dg.op
def fails() -> None:
    raise dg.Failure("as it shall")


@dg.job
def failing() -> None:
    fails()


@pytest.fixture
def instance(data: DataDirectory) -> Iterator[dg.DagsterInstance]:
    with open_instance(data) as opened:
        yield opened


def _seconds(instance: dg.DagsterInstance) -> float:
    """How long the sensor says that it waits; 0 when it launches a run."""
    answer = request_for_waiting(instance, "failing")
    if isinstance(answer, dg.RunRequest):
        return 0.0
    found = re.search(r"in (\d+) s", str(answer.skip_message))
    assert found, answer.skip_message
    return float(found[1])


def _fail(instance: dg.DagsterInstance) -> None:
    failing.execute_in_process(instance=instance, raise_on_error=False)


def test_the_pause_doubles_with_each_failure_and_its_time_is_counted(instance: dg.DagsterInstance) -> None:
    assert _seconds(instance) == 0
    _fail(instance)
    assert 25 <= _seconds(instance) <= 30
    _fail(instance)
    assert 55 <= _seconds(instance) <= 60
    for _ in range(4):
        _fail(instance)
    assert 595 <= _seconds(instance) <= 600, "ten minutes at most"


@pytest.mark.parametrize("days", [-1, 1])
def test_a_process_that_began_with_another_clock_waits_no_longer(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    _fail(instance)
    monkeypatch.setattr(clock, "_WALL_AT_START", clock._WALL_AT_START + timedelta(days=days))
    assert 25 <= _seconds(instance) <= 30


def test_a_failure_that_a_clock_ahead_has_stamped_costs_one_pause(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fail(instance)
    yesterday = time.time() - 86_400
    monkeypatch.setattr(time, "time", lambda: yesterday)
    assert _seconds(instance) <= 30
