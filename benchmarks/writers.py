"""Four processes write batches to one warehouse while a reader opens the published file in a loop.

Usage: writers.py DIRECTORY. Prints JSON: rows_per_second, slowest_write_seconds, reads, reader_errors. A write is
complete: landed, merged, committed, published. The parts are called as `writers.py DIRECTORY write N` and `… read`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime

import duckdb

from partner_pipelines.models.resman import Unit
from partner_pipelines.partners.rows import Rows
from partner_pipelines.settings import load_settings
from partner_pipelines.state.data_directory import DataDirectory, open_data_directory
from partner_pipelines.state.landing import LandedAnswer, Landing
from partner_pipelines.state.tokenise import Tokeniser
from partner_pipelines.warehouse.connection import Warehouse
from partner_pipelines.warehouse.decompose import Origin, land_list
from partner_pipelines.warehouse.load import merge_landed
from partner_pipelines.warehouse.publish import publish

WRITERS, BATCHES, ROWS = 4, 20, 1_000


def main() -> None:
    data = _data(sys.argv[1])
    publish(Warehouse(data))
    parts = [["write", str(number)] for number in range(WRITERS)] + [["read"]]
    processes = [
        subprocess.Popen([sys.executable, __file__, sys.argv[1], *part], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for part in parts
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()  # it is ready
    began = time.monotonic()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    writes = [json.loads(process.communicate()[0]) for process in processes[:WRITERS]]
    seconds = time.monotonic() - began
    read = json.loads(processes[WRITERS].communicate()[0])
    _check(data)
    slowest = max(write["slowest"] for write in writes)
    rate = WRITERS * BATCHES * ROWS / seconds
    _tell({"rows_per_second": rate, "slowest_write_seconds": slowest, **read})


def _data(directory: str) -> DataDirectory:
    settings = load_settings({"PARTNER_ENV": "sandbox", "PARTNER_DATA_DIR": directory})
    return open_data_directory(settings.data_dir, settings.environment)


def _tell(facts: dict[str, float]) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")


def _wait_for_go() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()


def write(data: DataDirectory, number: int) -> None:
    warehouse, landing = Warehouse(data), Landing(data.landing)
    tokeniser = Tokeniser(data.key("personal"))
    batches = [_batch(tokeniser, number, batch) for batch in range(BATCHES)]
    _wait_for_go()
    slowest = 0.0
    for batch in batches:
        began = time.monotonic()
        landing.put(f"writer-{number}", [batch])
        merge_landed(warehouse, landing, datetime.now(UTC), connection=f"writer-{number}")
        publish(warehouse)
        slowest = max(slowest, time.monotonic() - began)
    _tell({"slowest": slowest})


def _batch(tokeniser: Tokeniser, number: int, batch: int) -> LandedAnswer:
    units = [
        Unit(id=f"U{number}-{batch}-{row}", unit_number=str(row), bedrooms=row % 4, market_rent=1000.0 + row)
        for row in range(ROWS)
    ]
    origin = Origin(f"writer-{number}", None, datetime.now(UTC))
    return land_list(tokeniser, origin, "resman.units", Rows(units, []))


def read(data: DataDirectory) -> None:
    reads, errors = 0, 0
    _wait_for_go()
    rows = 0
    while rows < WRITERS * BATCHES * ROWS:
        try:
            with duckdb.connect(data.published.resolve(), read_only=True) as database:
                (rows,) = database.execute("SELECT count(*) FROM resman.units").fetchone() or (0,)
            errors += rows % ROWS != 0  # half a batch
        except duckdb.Error:
            errors += 1
        reads += 1
    _tell({"reads": reads, "reader_errors": errors})


def _check(data: DataDirectory) -> None:
    with duckdb.connect(data.published.resolve(), read_only=True) as database:
        (rows,) = database.execute("SELECT count(*) FROM resman.units").fetchone() or (0,)
    assert rows == WRITERS * BATCHES * ROWS, rows


if len(sys.argv) == 2:
    main()
elif sys.argv[2] == "write":
    write(_data(sys.argv[1]), int(sys.argv[3]))
else:
    read(_data(sys.argv[1]))
