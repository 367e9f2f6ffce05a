"""Values that validate must merge: one that DuckDB could not read would hold up everything behind it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from partner_pipelines.report.tables import longest_overdue
from partner_pipelines.warehouse.merging import TableChanges
from partner_pipelines_tests.warehouse.support import Yard, a_detail, a_lead, a_listed, a_milestone, a_unit

OFFSETS: st.SearchStrategy[Any] = st.none() | st.integers(-1439, 1439).map(
    lambda minutes: timezone(timedelta(minutes=minutes))
)
TIMES = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=OFFSETS).map(  # noqa: DTZ001
    lambda moment: moment.isoformat()
)
FAR = st.sampled_from(
    [
        "9999-12-31T23:59:59-05:00",  # what has no datetime in UTC, or just has one
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00",
        "9999-12-30T00:00:00+23:59",
        "0001-01-02T23:59:59-23:59",
        253402300799999,
    ]
)
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
KNOWN: set[str] = {*a_unit(1), *a_lead(1), "phone", "budget", "move_in_date", "first_name", "concessions", "floor"}
UNKNOWN: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    TEXT.filter(lambda name: name not in KNOWN), JSON, max_size=3
)
UNITS = st.fixed_dictionaries(
    {},
    optional={
        "unit_number": TEXT,
        "bedrooms": st.integers() | st.sampled_from(["2", 2.0, None]),
        "bathrooms": st.floats() | st.sampled_from(["nan", "inf", "1e400", None]),
        "market_rent": st.floats(allow_nan=False),
        "available": st.booleans() | st.sampled_from(["yes", 0, None]),
        "available_on": st.dates().map(str) | st.integers(-(10**10), 10**10),
        "updated_at": TIMES | FAR | st.integers(-(10**11), 10**12) | st.floats(0, 1e12),
        "amenities": st.lists(TEXT, max_size=3) | st.none(),
    },
)


@settings(max_examples=8, deadline=None)
@given(
    st.lists(UNITS, min_size=1, max_size=12),
    st.lists(UNKNOWN, min_size=1, max_size=6),
    st.lists(TIMES, max_size=8),
    st.lists(FAR, max_size=3),
)
def test_whatever_validates_is_merged_and_comes_back(
    make_yard: Callable[[Path], Yard],
    units: list[dict[str, Any]],
    unknown: list[dict[str, Any]],
    times: list[str],
    far: list[Any],
) -> None:
    with TemporaryDirectory() as directory:
        yard = make_yard(Path(directory) / "data")
        steps = [a_milestone(number, completed_at=moment) for number, moment in enumerate([*times, *far])]
        result = yard.merge(
            yard.resman(10, "resman.units", *(unit | {"id": f"U{number}"} for number, unit in enumerate(units))),
            yard.resman(11, "resman.leads", *(a_lead(number, **more) for number, more in enumerate(unknown))),
            yard.milestones(12, 1, *steps),
        )
        counted = result.tables["resman.units"]
        assert counted.inserted + counted.rejected == len(units)
        assert result.tables["resman.leads"].inserted == len(unknown)
        assert result.tables.get("openmoove.milestones", TableChanges()).rejected == len(far)
        found = yard.published("SELECT id, extra FROM resman.leads ORDER BY id", full=True).rows
        shown = {lead: json.loads(extra) if extra is not None else {} for lead, extra in found}
        assert shown == {f"LEAD_{number}": more for number, more in enumerate(unknown)}
        if steps:
            known = yard.read("SELECT epoch_us(completed_at) AS t, completed_at FROM openmoove.milestones ORDER BY id")
            assert [row["t"] for row in known] == [microseconds(moment) for moment in times]
            assert all(isinstance(row["completed_at"], datetime) for row in known), "a plan counts with it"


def test_a_due_date_without_a_datetime_that_an_older_version_has_merged_stops_no_report(yard: Yard) -> None:
    step = a_milestone(1, completed=False, completed_at=None)
    yard.merge(yard.listed(10, a_listed(1)), yard.detail(11, a_detail(1)), yard.milestones(12, 1, step))
    yard.read("UPDATE openmoove.milestones SET due_date = '0001-01-01 00:00:00+05'")
    table = longest_overdue(lambda query: list(yard.published(query).rows), ZoneInfo("Europe/London"))
    ((address, name, due, *_),) = table.rows
    assert (address, name) == ("1 Mill Lane", "Instruction")
    assert "12-31" in due


def microseconds(moment: str) -> int:
    parsed = datetime.fromisoformat(moment)
    aware = parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
