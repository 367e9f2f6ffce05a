"""What the processes of these tests do."""

from __future__ import annotations

import itertools
import resource
import signal
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

from partner_pipelines.errors import StateError
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.warehouse import load
from partner_pipelines.warehouse.publish import publish
from partner_pipelines.warehouse.reading import open_published
from partner_pipelines_tests.warehouse.support import Yard, a_detail, a_lead, a_milestone

ROWS = 40


def tagged(yard: Yard, tag: int) -> Path:
    """Lands a file whose rows all carry the tag: leads of its own, and milestones that each file gives anew."""
    leads = (a_lead(tag * 1000 + number, source=f"file {tag}") for number in range(ROWS))
    steps = (a_milestone(number, name=f"file {tag}") for number in range(ROWS))
    return yard.land(
        yard.resman(tag, "resman.leads", *leads),
        yard.milestones(tag, 1, *steps),
        yard.detail(tag, a_detail(1, title_number=f"file {tag}")),
    )


def merge_until_killed(root: Path, ready: Connection) -> None:
    """A transaction for each file, published at the end; then again, whether something came or not."""
    load._BYTES_AT_ONCE = 1
    yard = Yard(root)
    ready.send("ready")
    while True:
        yard.merge()
        publish(yard.warehouse)


def merge_own_until_killed(root: Path, connection: str, first: int, said: Connection) -> None:
    """Lands, merges and publishes batches of the connection, one after the other, and says which are done."""
    yard = Yard(root, connection)
    for tag in itertools.count(first):
        name = f"{connection} {tag}"
        leads = (a_lead(tag * 1000 + number, source=name) for number in range(ROWS))
        yard.land(yard.resman(tag, "resman.leads", *leads))
        load.merge_landed(yard.warehouse, yard.landing, yard.run_started_at, connection=connection)
        publish(yard.warehouse)
        said.send(name)


def write_batches(root: Path, connection: str, batches: int, said: Connection) -> None:
    """Each batch gives all rows of the connection one status."""
    yard = Yard(root, connection)
    try:
        for batch in range(1, batches + 1):
            yard.land(
                yard.resman(batch, "resman.leads", *(a_lead(number, status=f"{batch}") for number in range(ROWS))),
                yard.milestones(batch, 1, *(a_milestone(number, name=f"{batch}") for number in range(ROWS))),
            )
            yard.merge()
            publish(yard.warehouse)
        said.send(None)
    except BaseException as error:
        said.send(repr(error))
        raise


def half_applied(database: DuckDBPyConnection) -> list[tuple[str, int, int]]:
    """The connections whose last batch is not there as a whole: `write_batches` gives one word to all of two tables."""
    return database.execute(
        "SELECT connection, count(*) AS found, count(DISTINCT word) AS words FROM ("
        "SELECT connection, status AS word FROM resman.leads "
        "UNION ALL SELECT connection, name FROM openmoove.milestones) "
        "GROUP BY connection HAVING found != $1 OR words != 1",
        [2 * ROWS],
    ).fetchall()


def read_for_ever(root: Path, plainly: bool, said: Connection) -> None:
    """Sends a word for each look that is not whole or fails, and the number of looks when it is asked to end.

    `plainly`: as an analyst's own DuckDB opens the link, not by our door.
    """
    data = DataDirectory(root)
    looks = 0
    while not said.poll(0.05):
        try:
            opened = duckdb.connect(data.published, read_only=True) if plainly else open_published(data)
            with closing(opened) as database:
                found = half_applied(database)
        except Exception as error:  # noqa: BLE001 - none may come
            said.send(repr(error))
        else:
            if found:
                said.send(f"a half-applied batch: {found}")
        looks += 1
    said.send(looks)


def merge_on_a_full_disk(root: Path, said: Connection) -> None:
    """Every write beyond the limit fails, as on a full disk (EFBIG instead of ENOSPC)."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yard = Yard(root)
    answers: list[Any] = []
    for room in (8_192, 100_000, 600_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        try:
            yard.merge()
            publish(yard.warehouse)
            answers.append("done")
        except StateError as error:
            answers.append(str(error))
        except BaseException as error:  # noqa: BLE001 - what it was is the test's question
            answers.append(f"escaped: {error!r}")
    said.send(answers)
