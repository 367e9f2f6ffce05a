"""Counts with their nouns."""

from __future__ import annotations

import pytest

from partner_pipelines.counted import counted


@pytest.mark.parametrize(("count", "said"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (12345, "12,345 rows")])
def test_a_count_has_its_noun_in_the_right_number(count: int, said: str) -> None:
    assert counted(count, "row") == said


def test_a_noun_that_takes_more_than_an_s() -> None:
    assert counted(1, "property", "properties") == "1 property"
    assert counted(3, "property", "properties") == "3 properties"
