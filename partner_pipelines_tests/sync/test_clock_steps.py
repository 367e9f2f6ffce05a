"""A clock that is stepped between two syncs: nothing fails, nothing is called gone, and it comes right again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from partner_pipelines import clock
from partner_pipelines_tests.sync.expected import differences, sandbox_tables
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


def test_a_clock_stepped_back_loses_nothing_and_comes_right_when_it_has_caught_up(
    program: Program, step: Callable[[timedelta], None]
) -> None:
    step(HOUR)
    program.sync("properties", "units")
    change(program)
    step(HOUR * 0)
    for _ in range(2):
        back = program.sync("properties", "units", env=ALL_DUE)
        assert all(result.failed == {} for result in back.tables.values())
        assert back.tables["openmoove.properties"].rows >= 40
        assert back.tables["resman.units"].rows == 53
    step(HOUR * 1.1)
    program.sync("properties", "units", env=ALL_DUE)
    assert differences(program, sandbox_tables(program, "units")) == []
