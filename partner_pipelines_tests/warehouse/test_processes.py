"""Several processes at once, and processes that are killed: nothing lost, nothing doubled, nothing half-applied."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import pytest

from partner_pipelines.warehouse.publish import publish
from partner_pipelines.warehouse.reading import open_published, run_query
from partner_pipelines_tests.warehouse import children
from partner_pipelines_tests.warehouse.children import ROWS, tagged
from partner_pipelines_tests.warehouse.support import Yard, a_unit

DEADLINE = 240.0
KILLS = 12

_CONTEXT = multiprocessing.get_context("spawn")


@contextmanager
def running(work: Callable[..., None], *arguments: Any) -> Iterator[tuple[SpawnProcess, Connection]]:
    ours, theirs = _CONTEXT.Pipe()
    process = _CONTEXT.Process(target=work, args=(*arguments, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield process, ours
    finally:
        process.kill()
        process.join(DEADLINE)
        process.close()
        ours.close()


def heard(said: Connection) -> Any:
    assert said.poll(DEADLINE), "not in time"
    return said.recv()


def whole_files(rows: list[tuple[str, int]]) -> set[str]:
    assert all(count == ROWS for _, count in rows), rows
    return {tag for tag, _ in rows}


def test_sigkill_at_any_moment_loses_and_doubles_nothing(yard: Yard) -> None:
    chance = random.Random(20261122)  # noqa: S311 - moments, no secrets
    leads = "SELECT source, count(*) FROM resman.leads GROUP BY ALL"
    tag = 0
    interrupted = 0
    for _ in range(KILLS):
        for _ in range(3):
            tag += 1
            tagged(yard, tag)
        with running(children.merge_until_killed, yard.data.root) as (process, ready):
            assert heard(ready) == "ready"
            ready.poll(chance.uniform(0, 0.8))  # nothing more is said: a moment by chance
            process.kill()
            process.join(DEADLINE)
        waiting = {path.name for path in yard.landing.waiting()}
        interrupted += bool(waiting)
        with yard.warehouse.session() as session:
            merged = whole_files(session.database.execute(leads).fetchall())
            steps = session.database.execute("SELECT DISTINCT name FROM openmoove.milestones").fetchall()
            title = session.database.execute("SELECT title_number FROM openmoove.properties").fetchall()
        assert steps == title, "tables of one batch stand at one file"
        assert len(merged) >= tag - len(waiting)
        if yard.data.published.exists():
            with closing(open_published(yard.data)) as database:
                assert whole_files(run_query(database, leads).rows) <= merged
    assert interrupted, "at least one kill came while something waited"
    yard.merge()
    assert yard.landing.waiting() == []
    with yard.warehouse.session() as session:
        assert len(whole_files(session.database.execute(leads).fetchall())) == tag
        assert session.database.execute("SELECT count(*) FROM openmoove.milestones").fetchall() == [(ROWS,)]
    assert yard.published(leads).rows


def test_two_writers_and_four_readers_at_once(yard: Yard) -> None:
    root = yard.data.root
    batches = 4
    yard.published("SELECT 1")
    with ExitStack() as readers:
        said = [readers.enter_context(running(children.read_for_ever, root, number % 2 == 0)) for number in range(4)]
        with (
            running(children.write_batches, root, "oak", batches) as (_, oak),
            running(children.write_batches, root, "elm", batches) as (_, elm),
        ):
            assert (heard(oak), heard(elm)) == (None, None)
        for _, reader in said:
            reader.send("enough")
            looks = heard(reader)
            assert isinstance(looks, int), looks
            assert looks > 0
    rows = yard.published("SELECT connection, status, count(*) FROM resman.leads GROUP BY ALL ORDER BY ALL").rows
    assert rows == [("elm", str(batches), ROWS), ("oak", str(batches), ROWS)]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE resman.leads SET status = '2' WHERE id = 'LEAD_7'",
        "UPDATE resman.leads SET status = '2'",
        "DELETE FROM openmoove.milestones WHERE id = 7",
        "DELETE FROM openmoove.milestones",
    ],
)
def test_the_readers_would_notice_half_a_batch(yard: Yard, damage: str) -> None:
    ours, theirs = _CONTEXT.Pipe()
    children.write_batches(yard.data.root, "oak", 1, theirs)
    assert heard(ours) is None
    with closing(open_published(yard.data)) as database:
        assert children.half_applied(database) == []
    yard.read(damage)
    yard.merge(yard.resman(9, "resman.units", a_unit(1)))
    publish(yard.warehouse)
    with closing(open_published(yard.data)) as database:
        assert children.half_applied(database) != []


def test_two_processes_that_merge_the_same_files_merge_each_once(yard: Yard) -> None:
    for tag in range(1, 9):
        tagged(yard, tag)
    with (
        running(children.merge_until_killed, yard.data.root) as (_, first),
        running(children.merge_until_killed, yard.data.root) as (_, second),
    ):
        assert heard(first) == heard(second) == "ready"
        while yard.landing.waiting():
            first.poll(0.05)
    rows = yard.published("SELECT source, count(*) FROM resman.leads GROUP BY ALL").rows
    assert len(whole_files(rows)) == 8


def test_a_full_disk_is_one_sentence_and_mends(yard: Yard, tmp_path: Path) -> None:
    del tmp_path
    for tag in range(1, 6):
        tagged(yard, tag)
    with running(children.merge_on_a_full_disk, yard.data.root) as (_, said):
        answers = heard(said)
    assert not [answer for answer in answers if answer.startswith("escaped")], answers
    assert answers[0] != "done"
    yard.merge()
    rows = yard.published("SELECT source, count(*) FROM resman.leads GROUP BY ALL").rows
    assert len(whole_files(rows)) == 5
    assert yard.landing.waiting() == []
