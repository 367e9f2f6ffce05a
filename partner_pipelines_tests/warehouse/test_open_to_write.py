"""Somebody who opens the published file to write, as root may: the next publish and the next reader are right."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from partner_pipelines.errors import WarehouseError
from partner_pipelines.warehouse.publish import VERSIONS_KEPT, publish
from partner_pipelines.warehouse.reading import open_published, run_query
from partner_pipelines_tests.state.processes import kill, read_line, running
from partner_pipelines_tests.warehouse.support import Yard, a_lead

ROWS = 3
COUNT = "SELECT count(*) FROM resman.leads"
# Opens the file to write, does what the second argument says, and lives until it is told to end
_INTRUDER = """
import duckdb, os, sys
database = duckdb.connect(sys.argv[1])
for statement in sys.argv[2].split(";"):
    database.execute(statement)
if "closed" in sys.argv:
    database.close()
print("ready", flush=True)
sys.stdin.readline()
"""
DEEDS = {
    "looks and goes": ("FROM resman.leads", "closed"),
    "stays": ("FROM resman.leads", "open"),
    "deletes rows and goes": ("DELETE FROM resman.leads", "closed"),
    "drops a table and goes": ("DROP TABLE resman.leads", "closed"),
    "deletes rows and stays": ("DELETE FROM resman.leads", "open"),
    "deletes rows and is killed": ("DELETE FROM resman.leads", "killed"),
    "is within a transaction": ("BEGIN; DELETE FROM resman.leads", "open"),
}


@pytest.fixture
def published(yard: Yard) -> Path:
    """The link. Only root may open to write what is read-only; who is not root gives himself the right first."""
    yard.merge(yard.resman(1, "resman.leads", *(a_lead(number) for number in range(ROWS))))
    version = publish(yard.warehouse)
    if os.geteuid() != 0:
        version.chmod(0o644)
    return yard.data.published


def plainly(link: Path) -> list[tuple[int]]:
    """What an analyst's own DuckDB reads."""
    with closing(duckdb.connect(link, read_only=True)) as database:
        return database.execute(COUNT).fetchall()


def by_our_door(yard: Yard) -> list[tuple[int]]:
    with closing(open_published(yard.data)) as database:
        return run_query(database, COUNT).rows


@pytest.mark.parametrize("deed", DEEDS)
def test_the_next_publish_makes_it_right_though_nothing_changed(yard: Yard, published: Path, deed: str) -> None:
    sql, ending = DEEDS[deed]
    with running(_INTRUDER, published, sql, ending) as intruder:
        assert read_line(intruder) == "ready"
        if ending == "killed":
            kill(intruder)
        version = publish(yard.warehouse)
        assert plainly(published) == [(ROWS,)]
        assert publish(yard.warehouse) == version, "made right once, it is not copied again"
    assert plainly(published) == [(ROWS,)], "also after the intruder has gone"


@pytest.mark.parametrize("deed", DEEDS)
def test_the_next_reader_by_our_door_reads_what_was_published(yard: Yard, published: Path, deed: str) -> None:
    sql, ending = DEEDS[deed]
    with running(_INTRUDER, published, sql, ending) as intruder:
        assert read_line(intruder) == "ready"
        if ending == "killed":
            kill(intruder)
        assert by_our_door(yard) == [(ROWS,)]
        assert plainly(published) == [(ROWS,)], "and whoever comes after"


def test_the_intruders_do_harm_where_nobody_looks(published: Path) -> None:
    """What the two tests above would meet, were nothing done about it."""
    with running(_INTRUDER, published, "DELETE FROM resman.leads", "open") as intruder:
        assert read_line(intruder) == "ready"
        with pytest.raises(duckdb.IOException, match="Could not set lock"):
            plainly(published)
        kill(intruder)
        assert plainly(published) == [(0,)]


def test_where_nothing_can_be_published_anew_a_reader_is_told(yard: Yard, published: Path) -> None:
    yard.warehouse.path.rename(yard.warehouse.path.with_name("elsewhere"))
    with running(_INTRUDER, published, "DELETE FROM resman.leads", "closed") as intruder:
        assert read_line(intruder) == "ready"
        with pytest.raises(WarehouseError, match=r"was written to: partner-pipelines sync publishes a new one"):
            open_published(yard.data)
    assert not yard.warehouse.path.exists(), "least of all an empty one is published"


def test_what_was_written_to_goes_with_the_old_versions_and_its_log_too(yard: Yard, published: Path) -> None:
    with running(_INTRUDER, published, "DELETE FROM resman.leads", "open") as intruder:
        assert read_line(intruder) == "ready"
        kill(intruder)
    assert list(published.parent.glob("*.wal"))
    for number in range(VERSIONS_KEPT + 1):
        yard.merge(yard.resman(2 + number, "resman.leads", a_lead(100 + number)))
        publish(yard.warehouse)
    assert list(published.parent.glob("*.wal")) == []
    assert len(list(published.parent.iterdir())) == VERSIONS_KEPT + 1
