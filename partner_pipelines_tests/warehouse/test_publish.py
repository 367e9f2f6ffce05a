"""What readers get: immutable versions, a link that moves in one step, nothing of the writer."""

from __future__ import annotations

import os
import stat
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import duckdb
import pytest

from partner_pipelines.errors import StateError, UsageError, WarehouseError
from partner_pipelines.warehouse import publish as publishing
from partner_pipelines.warehouse.publish import VERSIONS_KEPT, publish
from partner_pipelines.warehouse.reading import open_published, run_query
from partner_pipelines_tests.warehouse.support import Yard, a_lead


def lead(yard: Yard, number: int) -> None:
    yard.merge(yard.resman(number, "resman.leads", a_lead(number)))


def count(yard: Yard) -> int:
    with closing(open_published(yard.data)) as database:
        found: int = run_query(database, "SELECT count(*) FROM resman.leads").rows[0][0]
        return found


def test_a_published_version_is_read_only_and_behind_a_relative_link(yard: Yard) -> None:
    lead(yard, 1)
    version = publish(yard.warehouse)
    link = yard.data.published
    assert link.is_symlink()
    assert link.readlink() == Path(version.name)
    assert stat.S_IMODE(version.stat().st_mode) == 0o444
    assert stat.S_IMODE(version.parent.stat().st_mode) == 0o755
    assert stat.S_IMODE(yard.warehouse.path.stat().st_mode) == 0o600
    assert count(yard) == 1
    assert not yard.warehouse.path.with_suffix(".duckdb.wal").exists()


def test_nothing_new_is_not_published_again(yard: Yard) -> None:
    lead(yard, 1)
    first = publish(yard.warehouse)
    inode = first.stat().st_ino
    assert publish(yard.warehouse) == first
    assert first.stat().st_ino == inode
    lead(yard, 2)
    assert publish(yard.warehouse) != first


def test_what_a_dead_process_committed_is_published_by_the_next(yard: Yard) -> None:
    publish(yard.warehouse)
    lead(yard, 1)
    publish(Yard(yard.data.root).warehouse)
    assert count(yard) == 1


def test_the_last_versions_stay(yard: Yard) -> None:
    for number in range(VERSIONS_KEPT + 3):
        lead(yard, number)
        publish(yard.warehouse)
    published = yard.data.published.parent
    assert len(list(published.glob("warehouse-*.duckdb"))) == VERSIONS_KEPT
    assert sorted(path.name for path in published.iterdir() if path.name.startswith(".")) == []
    assert count(yard) == VERSIONS_KEPT + 3


def test_a_reader_keeps_its_version_while_others_are_published(yard: Yard) -> None:
    lead(yard, 1)
    publish(yard.warehouse)
    with closing(open_published(yard.data)) as database:
        for number in range(2, VERSIONS_KEPT + 4):
            lead(yard, number)
            publish(yard.warehouse)
        assert run_query(database, "SELECT count(*) FROM resman.leads").rows == [(1,)]
    assert count(yard) == VERSIONS_KEPT + 3


def test_a_restored_older_database_is_published_and_not_pruned_away(yard: Yard) -> None:
    old = yard.warehouse.path.read_bytes()
    for number in range(VERSIONS_KEPT + 1):
        lead(yard, number)
        publish(yard.warehouse)
    yard.warehouse.path.write_bytes(old)
    publish(yard.warehouse)
    assert count(yard) == 0


def test_a_working_database_that_somebody_removed_is_made_of_the_last_copy(yard: Yard) -> None:
    lead(yard, 1)
    publish(yard.warehouse)
    lead(yard, 2)
    publish(yard.warehouse)
    before = yard.read("FROM resman.leads ORDER BY id")
    yard.warehouse.path.unlink()
    lead(Yard(yard.data.root), 3)
    after = yard.read("FROM resman.leads ORDER BY id")
    assert after[:2] == before
    assert len(after) == 3
    assert yard.warehouse.path.stat().st_mode & 0o777 == 0o600


def test_a_copy_that_fails_leaves_the_version_before(yard: Yard) -> None:
    lead(yard, 1)
    publish(yard.warehouse)
    lead(yard, 2)
    no_space = OSError(28, "No space left on device")
    with (
        patch.object(publishing, "_copy_bytes", side_effect=no_space),
        pytest.raises(StateError, match=r"cannot publish .*: No space left on device"),
    ):
        publish(yard.warehouse)
    assert count(yard) == 1
    assert [path for path in yard.data.published.parent.iterdir() if path.name.startswith(".")] == []
    publish(yard.warehouse)
    assert count(yard) == 2


def test_a_file_system_that_cannot_copy_by_itself_gets_the_same_bytes(yard: Yard) -> None:
    lead(yard, 1)
    with patch.object(os, "copy_file_range", side_effect=OSError(38, "not implemented")):
        version = publish(yard.warehouse)
    assert version.read_bytes() == yard.warehouse.path.read_bytes()


def test_what_a_killed_publisher_left_goes(yard: Yard) -> None:
    lead(yard, 1)
    publish(yard.warehouse)
    left = yard.data.published.with_name(".warehouse-9.duckdb.0badcafe")
    left.write_bytes(b"half")
    lead(yard, 2)
    publish(yard.warehouse)
    assert not left.exists()


def test_nothing_published_yet_is_said_in_one_line(yard: Yard) -> None:
    with pytest.raises(UsageError, match=r"^nothing is published yet in /.*: run partner-pipelines sync$"):
        open_published(yard.data)


def test_a_link_to_nothing_is_an_error_of_its_own(yard: Yard) -> None:
    lead(yard, 1)
    publish(yard.warehouse).unlink()
    with pytest.raises(WarehouseError, match="points to nothing"):
        open_published(yard.data)


def test_somebody_who_opens_the_working_database_is_named(yard: Yard) -> None:
    lead(yard, 1)
    holder = (
        f"import duckdb, sys; c = duckdb.connect({str(yard.warehouse.path)!r}); print('ready', flush=True); input()"
    )
    from partner_pipelines_tests.state.processes import read_line, running  # noqa: PLC0415 - for this test alone

    with running(holder) as process:
        assert read_line(process) == "ready"
        with pytest.raises(StateError, match="another program has it open"):
            lead(yard, 2)
    lead(yard, 2)
    assert len(yard.read("FROM resman.leads")) == 2


def test_a_file_that_is_no_database_is_one_sentence_with_the_way_out(yard: Yard) -> None:
    lead(yard, 1)
    publish(yard.warehouse)
    yard.warehouse.path.write_bytes(b"not a database" * 1000)
    with pytest.raises(StateError, match=r"cannot use .*/working\.duckdb: it is damaged: move it away; the next sync"):
        lead(Yard(yard.data.root), 2)
    yard.warehouse.path.rename(yard.warehouse.path.with_name("damaged"))
    lead(Yard(yard.data.root), 2)
    assert [row["id"] for row in yard.read("FROM resman.leads ORDER BY id")] == ["LEAD_1", "LEAD_2"]


def test_an_error_of_duckdb_never_escapes_under_its_own_name(yard: Yard) -> None:
    with pytest.raises(WarehouseError) as caught:
        yard.read("SELECT * FROM nowhere")
    assert isinstance(caught.value.__cause__, duckdb.Error)
    assert "\n" not in str(caught.value)


def test_what_somebody_else_published_since_is_not_published_again(yard: Yard) -> None:
    other = Yard(yard.data.root)
    publish(yard.warehouse)
    lead(yard, 1)
    lead(other, 2)
    theirs = publish(other.warehouse)
    with patch.object(publishing, "_copy", side_effect=AssertionError):
        assert publish(yard.warehouse) == theirs
    assert count(yard) == 2


def test_what_was_published_before_does_not_stand_for_what_came_after(yard: Yard) -> None:
    """A restored database counts its changes anew: a copy from before with a higher number shows none of them."""
    publish(yard.warehouse)
    with closing(duckdb.connect(yard.warehouse.path)) as database:
        database.execute("UPDATE internal.meta SET value = '900' WHERE name = 'changes'")
    ahead = publish(Yard(yard.data.root).warehouse)
    assert ahead.name.startswith("warehouse-900-")
    with closing(duckdb.connect(yard.warehouse.path)) as database:
        database.execute("UPDATE internal.meta SET value = '7' WHERE name = 'changes'")
    lead(yard, 1)
    assert publish(yard.warehouse).name.startswith("warehouse-8-")
    assert count(yard) == 1


def test_a_session_begins_with_nothing_of_the_one_before(yard: Yard) -> None:
    lead(yard, 1)
    with yard.warehouse.writing() as database:
        assert database.execute("SELECT getvariable('given')").fetchall() == [(None,)]
        assert database.execute("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall() == []
        assert database.execute("SELECT current_database(), current_setting('TimeZone')").fetchall() == [
            ("working", "UTC")
        ]


def test_after_an_error_the_next_session_works_and_another_process_may_open_the_file(yard: Yard) -> None:
    lead(yard, 1)
    with pytest.raises(WarehouseError, match="no_such_table"), yard.warehouse.writing() as database:
        database.execute("SELECT * FROM no_such_table")
    with closing(duckdb.connect(yard.warehouse.path)) as database:
        assert database.execute("SELECT count(*) FROM resman.leads").fetchall() == [(1,)]
    lead(yard, 2)
    publish(yard.warehouse)
    assert count(yard) == 2
