"""What the trail knows of an operation, whatever the clock said, and however many segments it takes."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from partner_pipelines.models.call import OutcomeWord
from partner_pipelines.state.audit_operations import Attempted, last_attempts
from partner_pipelines_tests.state.support_trail import intent, open_trail, outcome

if TYPE_CHECKING:
    from pathlib import Path

OPERATION = "0123456789abcdef"
ENDS: tuple[OutcomeWord, OutcomeWord] = ("rate_limited", "server_error")


def test_an_operation_that_was_never_begun_has_no_attempt(tmp_path: Path) -> None:
    assert last_attempts(tmp_path / "none", [OPERATION]) == {}
    with_others(tmp_path)
    assert last_attempts(tmp_path, [OPERATION]) == {}
    assert last_attempts(tmp_path, []) == {}


def with_others(segments: Path) -> None:
    """A segment of other operations, longer than what is read at once."""
    trail = open_trail(segments)
    for number in range(3000):
        trail.record_intent(intent(operation_id=f"{number:016x}"))
    trail.close()


def test_it_is_found_in_a_segment_of_any_age(tmp_path: Path) -> None:
    with_others(tmp_path)
    trail = open_trail(tmp_path)
    begun = trail.record_intent(intent(operation_id=OPERATION))
    trail.close()
    for path in tmp_path.glob("*.jsonl"):
        os.utime(path, (0, 0))
    assert last_attempts(tmp_path, [OPERATION, "another"]) == {OPERATION: Attempted(begun)}


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_the_last_attempt_is_the_one_with_the_highest_number_whatever_the_segments_are_called(
    tmp_path: Path, names: str
) -> None:
    """The first segment was given up between two attempts; the other one's name is of a clock that was put back."""
    for name, number, word, status in zip(names, (1, 2), ENDS, (429, 500), strict=True):
        trail = open_trail(tmp_path / name)
        begun = trail.record_intent(replace(intent(operation_id=OPERATION), attempt=number))
        trail.record_outcome(begun, replace(outcome(status), outcome=word))
        trail.close()
        (path,) = (tmp_path / name).glob("*.jsonl")
        path.rename(tmp_path / f"{name}.jsonl")
    assert last_attempts(tmp_path, [OPERATION]) == {OPERATION: Attempted(f"{names[1]}-1", "server_error", 500)}
