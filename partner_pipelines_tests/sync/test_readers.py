"""Analysts read `current.duckdb` while a sync writes in a loop: no error, and never half of a batch."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from partner_pipelines.warehouse.connection import Warehouse
from partner_pipelines.warehouse.publish import publish
from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.sync.program import AT_ONCE, DETAILS_DUE, Program

if TYPE_CHECKING:
    from collections.abc import Iterator

READERS = 4
ROUNDS = 4
DEADLINE_SECONDS = 240
# Each round gives all units one rent. And it gives each property a title number, and that to its team's firms: the two
# tables' rows come from one answer, and so they come in one batch. Counts what is not so.
TORN = """
SELECT (SELECT count(DISTINCT market_rent) - 1 FROM resman.units)
    + (SELECT count(*) FROM openmoove.team_members m JOIN openmoove.properties p
       ON m.connection = p.connection AND m.property_id = p.id WHERE m.firm IS DISTINCT FROM p.title_number)
"""
ROUND = "SELECT max(market_rent) FROM resman.units"
# Looks until its standard input ends; says what it met, as JSON
_READER = """
import json, select, sys
from contextlib import closing
import duckdb

link, torn, round = sys.argv[1:]
met, rounds, looks = [], set(), 0
while not select.select([sys.stdin], [], [], 0.1)[0]:
    try:
        with closing(duckdb.connect(link, read_only=True)) as database:
            met += [f"{n} torn" for n, in database.execute(torn).fetchall() if n]
            rounds.update(database.execute(round).fetchone())
    except Exception as error:
        met.append(repr(error))
    looks += 1
print(json.dumps({"met": met, "rounds": sorted(rounds), "looks": looks}))
"""


def change_all(sandbox: SandboxProcess, number: int) -> None:
    """The round's number stands in every unit and in every property, and in its team."""
    properties = [
        {"id": row["id"], "title_number": f"{number}", "team": {"conveyancer": {"name": "Mára", "firm": f"{number}"}}}
        for row in sandbox.rows("openmoove_properties")
    ]
    units = [{"id": row["id"], "market_rent": number} for row in sandbox.rows("resman_units")]
    sandbox.change(openmoove={"update": properties}, resman={"units": {"upsert": units}})


def sync(program: Program) -> None:
    program.sync("properties", "units", env=DETAILS_DUE)


def reading(link: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", _READER, str(link), TORN, ROUND]
    for _ in range(READERS):
        yield subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def damage(warehouse: Warehouse, sql: str) -> None:
    with warehouse.writing() as database:
        database.execute(sql)
        database.execute("UPDATE internal.meta SET value = value::BIGINT + 1 WHERE name = 'changes'")
    publish(warehouse)


def test_four_readers_in_a_loop_meet_no_error_and_no_half_of_a_batch(tmp_path: Path) -> None:
    with SandboxProcess.start("--properties", "6") as sandbox, ExitStack() as readers:
        program = Program(sandbox, tmp_path / "data", **AT_ONCE)
        change_all(sandbox, 1)
        sync(program)
        children = [readers.enter_context(child) for child in reading(program.data.published)]
        for number in range(2, ROUNDS + 1):
            change_all(sandbox, number)
            sync(program)
        told = [json.loads(child.communicate("", timeout=DEADLINE_SECONDS)[0]) for child in children]
        program.close()
    assert [one["met"] for one in told] == [[]] * READERS
    assert min(one["looks"] for one in told) > 0
    assert len({number for one in told for number in one["rounds"]}) > 1, "they read while it was written"


def test_the_readers_would_notice_one_row_of_another_round(tmp_path: Path) -> None:
    with SandboxProcess.start("--properties", "2") as sandbox:
        program = Program(sandbox, tmp_path / "data", **AT_ONCE)
        change_all(sandbox, 1)
        sync(program)
        assert program.column(TORN) == [0]
        warehouse = Warehouse(program.data)
        damage(warehouse, "UPDATE resman.units SET market_rent = 2 WHERE id = (SELECT min(id) FROM resman.units)")
        assert program.column(TORN) == [1]
        damage(warehouse, "UPDATE openmoove.properties SET title_number = '2' WHERE id = 1")
        assert program.column(TORN) == [2]
        program.close()
