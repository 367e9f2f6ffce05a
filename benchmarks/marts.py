"""What the marts cost: all of them in full, on one published file and on one with N times its rows.

python benchmarks/marts.py PUBLISHED_FILE TIMES: prints {"seconds", "peak_mib", "rows", "slowest"} as JSON. A process
of its own, so that its peak of memory is the marts' alone. The rows are multiplied inside DuckDB, each copy with ids
and properties of its own.
"""
# ruff: noqa: S608 - what is put into the text are names and numbers of ours

from __future__ import annotations

import json
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from partner_pipelines.warehouse.marts import MARTS

# Copy N of a row is another row: of these columns, what makes it one
_COPIES = {
    "resman.units": {"id": "id || '-' || n", "property_id": "property_id || '-' || n"},
    "resman.leads": {"id": "id || '-' || n", "property_id": "property_id || '-' || n"},
    "openmoove.properties": {"id": "id + n * 10000000"},
    "openmoove.milestones": {"property_id": "property_id + n * 10000000"},
    "openmoove.team_members": {"property_id": "property_id + n * 10000000"},
    "audit.api_calls": {"request_id": "request_id || '-' || n", "operation_id": "operation_id || '-' || n"},
}
_COPIES |= {
    f"history.{name}": _COPIES[table]
    for name, table in {
        "units": "resman.units",
        "leads": "resman.leads",
        "properties": "openmoove.properties",
        "milestones": "openmoove.milestones",
    }.items()
}


def main() -> None:
    published, times = Path(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "measured.duckdb"
        shutil.copyfile(published, path)
        if times > 1:
            _multiply(path, times)
        sys.stdout.write(json.dumps(_measure(path)) + "\n")


def _multiply(path: Path, times: int) -> None:
    with duckdb.connect(path) as database:
        for table, changed in _COPIES.items():
            replaced = ", ".join(f"{value} AS {column}" for column, value in changed.items())
            copies = f"SELECT * EXCLUDE (n) REPLACE ({replaced}) FROM {table}, range(1, {times}) AS copies(n)"
            database.execute(f"INSERT INTO {table} BY NAME {copies}")


def _measure(path: Path) -> dict[str, object]:
    """Every row and column of each mart is made; the sum over a hash keeps DuckDB from leaving columns out."""
    memory_before = _peak()
    seconds, rows = {}, 0
    with duckdb.connect(path, read_only=True) as database:
        for mart in MARTS:
            began = time.perf_counter()
            found = database.execute(f"SELECT count(*), bit_xor(hash(t)) FROM {mart.table} AS t").fetchall()
            seconds[mart.name] = time.perf_counter() - began
            rows += found[0][0]
    slowest = max(seconds, key=seconds.__getitem__)
    return {
        "seconds": sum(seconds.values()),
        "peak_mib": max(_peak(), memory_before),
        "rows": rows,
        "slowest": f"{slowest}, {seconds[slowest]:.2f} s",
    }


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
