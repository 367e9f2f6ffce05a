"""A clock that is stepped between two syncs: nothing fails, nothing is called gone, nothing is held back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from partner_pipelines import clock
from partner_pipelines_tests.sync.expected import differences, openmoove_tables, sandbox_tables
from partner_pipelines_tests.sync.program import ALL_DUE, Program

if TYPE_CHECKING:
    from collections.abc import Callable

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
