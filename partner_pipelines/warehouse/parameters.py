"""Values for SQL, without DuckDB's own parameters: those import pandas (0.4 s, 44 MB) in every process that binds one.

The values are JSON in a file that lives in memory; a session variable holds them as a struct. `$name` in the text
stands for its field. No value is ever part of a statement.
"""
# ruff: noqa: S608 - what is put into the text are names from the code, types, and the number of a file

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

import orjson
from duckdb import DuckDBPyConnection

from partner_pipelines.clock import latest_proof, now
from partner_pipelines.warehouse.memory_file import json_lines

Value = str | int | float | datetime | list[str] | None

_TYPES: dict[type, str] = {
    str: "VARCHAR",
    int: "BIGINT",
    float: "DOUBLE",
    datetime: "TIMESTAMPTZ",
    list: "VARCHAR[]",
    type(None): "VARCHAR",
}
_PARAMETER = re.compile(r"\$([a-z][a-z_0-9]*)")


def bind(database: DuckDBPyConnection, values: Mapping[str, Value]) -> None:
    """`$name` has these values in what `execute` runs from now on; those bound before are forgotten."""
    columns = ", ".join(f"\"{name}\": '{_TYPES[type(value)]}'" for name, value in values.items())
    size = len(orjson.dumps(values)) + 1024
    with json_lines([values]) as file:
        database.execute(
            f"SET VARIABLE given = (SELECT given FROM read_json('{file}', format = 'newline_delimited', "
            f"columns = {{{columns}}}, maximum_object_size = {size}) AS given)"
        )


def moments() -> dict[str, Value]:
    """`$now`, and `$latest`: what is stamped later proves nothing (sql/proven.sql)."""
    moment = now()
    return {"now": moment, "latest": latest_proof(moment)}


def execute(database: DuckDBPyConnection, text: str, values: Mapping[str, Value] | None = None) -> DuckDBPyConnection:
    """Runs a statement; binds `values` first, if there are any."""
    if values is not None:
        bind(database, values)
    return database.execute(_with_variables(text))


@lru_cache(maxsize=1_000)
def _with_variables(text: str) -> str:
    return _PARAMETER.sub(lambda found: f"getvariable('given').\"{found[1]}\"", text)
