"""The twenty answers of docs/queries.md on the real rows are those that pandas gives of the files."""

from __future__ import annotations

import math
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from partner_pipelines_tests.docs.query_page import queries
from partner_pipelines_tests.shared.answers import ANSWERS, Frames, frames

if TYPE_CHECKING:
    from partner_pipelines_tests.shared.conftest import Whole


@pytest.fixture(scope="module")
def found(whole: Whole) -> Frames:
    return frames(whole.files, pd.Timestamp.now(tz="UTC"))


def plain(value: Any) -> Any:
    """Numbers of any kind as floats, to nine digits; moments as they are."""
    if isinstance(value, (datetime, date, str)):
        return pd.Timestamp(value).tz_convert("UTC").isoformat() if isinstance(value, datetime) else str(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return float(f"{Decimal(str(value)):.9g}")


@pytest.mark.parametrize("number", sorted(ANSWERS))
def test_the_answer_is_that_of_the_files(whole: Whole, found: Frames, number: int) -> None:
    given = [[plain(value) for value in row.values()] for row in whole.program.query(queries()[number])]
    wanted = [[plain(value) for value in row] for row in ANSWERS[number](found).itertuples(index=False)]
    assert len(given) == len(wanted)
    assert [pair for pair in zip(given, wanted, strict=True) if pair[0] != pair[1]][:3] == []
    assert given or number == 7, "an empty answer shows nothing"
