"""A clock that is stepped between two syncs: nothing fails, nothing is called gone, nothing is held back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from partner_pipelines import clock
from partner_pipelines.state.heartbeat import Heartbeat
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.drift import sample_drift
from partner_pipelines.sync.house import open_house
from partner_pipelines_tests.sync import webhooks
from partner_pipelines_tests.sync.expected import differences, openmoove_tables, sandbox_tables
from partner_pipelines_tests.sync.program import ALL_DUE, Program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOUR = timedelta(hours=1)


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Sets the program's clock off from the machine's by this much."""
    right = clock._WALL_AT_START
    return lambda by: monkeypatch.setattr(clock, "_WALL_AT_START", right + by)


def change(program: Program) -> None:
    program.sandbox.change(
        openmoove={"complete_milestones": 3, "new_properties": 1, "delete_properties": [7]},
        resman={"rent_changes": 3},
    )


def test_a_clock_stepped_forward_makes_things_due_and_nothing_else(
    program: Program, step: Callable[[timedelta], None]
) -> None:
    program.sync("properties", "units")
    change(program)
    step(HOUR * 7)
    later = program.sync("properties", "units")
    assert all(result.failed == {} for result in later.tables.values())
    assert differences(program, sandbox_tables(program, "units")) == []


def test_a_clock_stepped_back_loses_nothing_and_what_is_fresh_counts_at_once(
    program: Program, step: Callable[[timedelta], None]
) -> None:
    step(HOUR)
    program.sync("properties", "units")
    change(program)
    step(HOUR * 0)
    back = program.sync("properties", "units", env=ALL_DUE)
    assert all(result.failed == {} == result.refused_deletions for result in back.tables.values())
    assert (back.tables["openmoove.properties"].deleted, back.tables["resman.units"].updated) == (1, 3)
    assert differences(program, sandbox_tables(program, "units")) == []


def test_a_clock_that_was_ahead_once_freezes_nothing_and_costs_one_reading(
    program: Program, step: Callable[[timedelta], None]
) -> None:
    step(HOUR)
    program.sync("properties")
    step(HOUR * 0)
    change(program)
    corrected = program.sync("properties")
    assert len(corrected.asked("detail")) >= 40, "what a clock that was ahead has stamped is no proof of freshness"
    assert differences(program, openmoove_tables(program.sandbox.rows("openmoove_properties"))) == []
    assert program.sync("properties").log == []


def test_a_unit_that_goes_after_the_clock_was_ahead_is_gone_with_the_second_list(
    program: Program, step: Callable[[timedelta], None]
) -> None:
    step(HOUR)
    program.sync("units")
    step(HOUR * 0)
    gone = program.sandbox.rows("resman_units")[0]["id"]
    program.sandbox.change(resman={"units": {"delete": [gone]}})
    assert [program.sync("units").tables["resman.units"].deleted for _ in range(2)] == [0, 1]
    assert program.column("SELECT id FROM resman.units WHERE deleted_at IS NOT NULL") == [gone]


def test_a_receiver_whose_clock_was_ahead_for_a_moment_costs_one_look_at_each_active_property(
    program: Program, step: Callable[[timedelta], None]
) -> None:
    program.sync("properties")
    program.data.webhooks.mkdir(exist_ok=True)
    for ahead in (0, 24, 0):
        step(HOUR * ahead)
        Heartbeat(program.data.webhooks).beat(["openmoove"])
    asked = []
    for _ in range(3):
        webhooks.apply(program)
        asked.append(len(program.sync("properties").asked("detail")))
    assert asked[0] > 0
    assert asked[1:] == [0, 0]


def test_what_became_due_by_a_clock_that_was_ahead_is_asked_once(
    program: Program, step: Callable[[timedelta], None]
) -> None:
    program.sync("properties")
    number = program.sandbox.rows("openmoove_properties")[0]["id"]
    step(HOUR * 24)
    webhooks.receive(program, webhooks.body(webhooks.UPDATED, number, clock.now()), at=clock.now())
    webhooks.apply(program)
    step(HOUR * 0)
    asked = []
    for _ in range(3):
        webhooks.apply(program)
        asked.append(program.sync("properties").asked("detail"))
    assert asked == [[number], [], []]


def test_nobody_listened_after_a_clock_that_was_ahead_and_that_is_a_gap(
    tmp_path: Path, step: Callable[[timedelta], None]
) -> None:
    beats = Heartbeat(tmp_path)
    step(HOUR * 2)
    beats.beat(["openmoove"])
    step(HOUR * 1.5)  # ninety minutes after a time that only seemed two hours later
    beats.beat(["openmoove"])
    beats.beat(["openmoove"])
    (gap,) = beats.gaps()
    assert gap.until is not None
    assert gap.since <= gap.until <= clock.now()


def test_a_sample_of_a_clock_that_was_ahead_keeps_no_later_one_away(
    program: Program, step: Callable[[timedelta], None]
) -> None:
    program.sync("properties")
    compared = []
    for hours in (24 * 7, 48):
        step(HOUR * hours)
        with open_house(program.settings(), run_id="drift", stop=StopSignal()) as house:
            compared.append(sum(sample_drift(house).compared.values()) > 0)
    assert compared == [True, True]
