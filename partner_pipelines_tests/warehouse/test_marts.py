"""The marts: they say of each row what the code they are about says, and are described."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from partner_pipelines.partners.openmoove.plan import Known, Work, is_frozen
from partner_pipelines.warehouse.backlog import Left, backlog_of, is_recorded, record_backlog
from partner_pipelines.warehouse.marts import MARTS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from partner_pipelines_tests.warehouse.support import Yard

COUNTS = st.none() | st.integers(min_value=0, max_value=3)
# Not within minutes of the border: the view's moment is a little later than ours
DAYS = st.none() | st.floats(min_value=-40, max_value=40, allow_nan=False).filter(lambda days: abs(days - 14) > 0.01)


def put_property(
    database: DuckDBPyConnection, number: int, *, detail: datetime | None = None, counts: tuple[object, object] = (0, 0)
) -> None:
    at = "NULL" if detail is None else f"TIMESTAMPTZ '{detail.isoformat()}'"
    of, done = ("NULL" if count is None else count for count in counts)
    database.execute(
        "INSERT INTO openmoove.properties BY NAME SELECT 'oak' AS connection, "
        f"{number} AS id, {at} AS detail_fetched_at, {at} AS milestones_fetched_at, "
        f"{of} AS milestones_count, {done} AS completed_milestones, now() AS first_seen_at, now() AS changed_at, "
        "'' AS content_hash"
    )


def put_milestone(database: DuckDBPyConnection, number: int, completed_at: datetime) -> None:
    database.execute(
        f"INSERT INTO openmoove.milestones BY NAME SELECT 'oak' AS connection, {number} AS property_id, 1 AS id, "
        f"true AS completed, TIMESTAMPTZ '{completed_at.isoformat()}' AS completed_at, now() AS fetched_at, "
        "now() AS first_seen_at, now() AS changed_at, '' AS content_hash"
    )


def rows(database: DuckDBPyConnection, text: str) -> list[dict[str, object]]:
    found = database.execute(text)
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def test_every_mart_and_every_column_is_described_and_its_file_says_its_grain(yard: Yard) -> None:
    with yard.warehouse.session() as session:
        for mart in MARTS:
            assert mart.grain.startswith("One row per "), mart.name
            (view,) = session.database.execute(
                f"SELECT comment FROM duckdb_views() WHERE schema_name || '.' || view_name = '{mart.table}'"
            ).fetchall()
            assert view[0].lower().startswith("one row per "), mart.name
            columns = session.database.execute(
                "SELECT column_name, comment FROM duckdb_columns() WHERE NOT internal "
                f"AND schema_name || '.' || table_name = '{mart.table}'"
            ).fetchall()
            assert columns
            assert [name for name, comment in columns if not comment] == [], mart.name


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
@given(known=st.lists(st.tuples(COUNTS, COUNTS, DAYS), min_size=1, max_size=30))
def test_the_view_calls_frozen_what_the_plan_calls_frozen(
    yard: Yard, known: list[tuple[int | None, int | None, float | None]]
) -> None:
    moment = datetime.now(UTC)
    expected = {}
    with yard.warehouse.writing() as database:
        database.execute("DELETE FROM openmoove.properties")
        database.execute("DELETE FROM openmoove.milestones")
        for number, (of, done, days) in enumerate(known):
            completed_at = None if days is None else moment - timedelta(days=days)
            put_property(database, number, detail=moment, counts=(of, done))
            if completed_at is not None:
                put_milestone(database, number, completed_at)
            expected[number] = is_frozen(Known(number, moment, moment, of, done, completed_at), moment)
        found = database.execute("SELECT property_id, frozen FROM marts.openmoove_property_freshness").fetchall()
    assert dict(found) == expected


def test_the_shares_are_of_active_properties_and_one_never_read_is_not_fresh(yard: Yard) -> None:
    moment = datetime.now(UTC)
    with yard.warehouse.writing() as database:
        for number, hours in enumerate([0.5, 2, 10, 100, 1000], start=1):
            put_property(database, number, detail=moment - timedelta(hours=hours))
        put_property(database, 6)
        put_property(database, 7, detail=moment, counts=(1, 1))
        put_milestone(database, 7, moment - timedelta(days=20))
        (row,) = rows(database, "FROM marts.openmoove_freshness")
    expected = {
        "properties": 7, "frozen": 1, "active": 6, "never_read": 1, "oldest_property_id": 5,
        "fresher_than_1h": 1 / 6, "fresher_than_6h": 2 / 6, "fresher_than_24h": 3 / 6, "fresher_than_7d": 4 / 6,
        "backlog_properties": 0, "backlog_requests": 0, "hours_until_clear": 0,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == {
        name: pytest.approx(value) if isinstance(value, float) else value for name, value in expected.items()
    }


def test_a_backlog_says_how_many_requests_and_hours_it_is(yard: Yard) -> None:
    works = [Work(1, "new", "new"), Work(2, "new", "new"), Work(3, "age", None), Work(4, None, "webhook")]
    left = backlog_of(works, pages=20)
    assert left == [Left("age", 1, 1), Left("new", 2, 4), Left("webhook", 1, 1), Left("list", None, 20)]
    with yard.warehouse.writing() as database:
        put_property(database, 1)
        record_backlog(database, "oak", left, 100.0)
        found = rows(database, "FROM marts.openmoove_backlog ORDER BY requests, reason")
        assert [(row["reason"], row["properties"], row["requests"], row["hours"]) for row in found] == [
            ("age", 1, 1, 0.01), ("webhook", 1, 1, 0.01), ("new", 2, 4, 0.04), ("list", None, 20, 0.2),
        ]  # fmt: skip
        (row,) = rows(database, "FROM marts.openmoove_freshness")
        assert (row["backlog_properties"], row["backlog_requests"]) == (4, 26)
        assert row["hours_until_clear"] == pytest.approx(0.26)
        assert is_recorded(database, "oak", left, 100.0)
        assert not is_recorded(database, "oak", left, 200.0)
        assert not is_recorded(database, "elm", left, 100.0)


def test_without_a_limit_nobody_says_how_long_a_backlog_takes(yard: Yard) -> None:
    with yard.warehouse.writing() as database:
        put_property(database, 1)
        record_backlog(database, "oak", [Left("new", 1, 2)], None)
        (row,) = rows(database, "FROM marts.openmoove_freshness")
        assert (row["backlog_requests"], row["hours_until_clear"]) == (2, None)
        record_backlog(database, "oak", [], None)
        (row,) = rows(database, "FROM marts.openmoove_freshness")
        assert (row["backlog_requests"], row["hours_until_clear"], row["backlog_as_of"]) == (0, 0, None)
        assert is_recorded(database, "oak", [], None)
