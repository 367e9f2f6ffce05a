"""`query`: rows of the published warehouse as a table, CSV or JSON."""

from __future__ import annotations

import csv
import itertools
import json
import math
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from decimal import Decimal
from types import FrameType
from typing import Any, Literal

from duckdb import DuckDBPyConnection

from partner_pipelines.cli.places import data_to_read
from partner_pipelines.warehouse.reading import QueryResult, open_published, run_query, table_names

Format = Literal["table", "csv", "json"]
Rows = Sequence[Sequence[Any]]

_NUMBER = int | float | Decimal | None
_SHOW_TABLES = re.compile(r"\s*show\s+tables\s*;?\s*", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def run_query_command(sql: str, form: Format, *, full: bool) -> None:
    """Prints what `sql` answers. Raises QueryError, UsageError."""
    with closing(open_published(data_to_read(), full=full)) as database, _ended_by_ctrl_c(database):
        result = _tables(database) if _SHOW_TABLES.fullmatch(sql) else run_query(database, sql)
    _PRINTERS[form](result.columns, result.rows)


def _tables(database: DuckDBPyConnection) -> QueryResult:
    """DuckDB's own answer names what is in the schema `main`, where nothing of ours is."""
    return QueryResult(("name",), [(name,) for name in table_names(database)])


@contextmanager
def _ended_by_ctrl_c(database: DuckDBPyConnection) -> Iterator[None]:
    """DuckDB's threads have to be told: else it waits for them, for hours, before it hands Ctrl-C on."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored, below nohup for one
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        database.interrupt()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except RuntimeError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # wrapped by DuckDB
            raise KeyboardInterrupt from None
        raise
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _print_table(columns: Sequence[str], rows: Rows) -> None:
    """By hand: a table of rich's takes a minute for what this prints in a second, and folds wide rows."""
    cells = [[_cell(value) for value in line] for line in (columns, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numbers = [all(isinstance(row[place], _NUMBER) for row in rows) for place in range(len(columns))]

    def line(words: Sequence[str]) -> str:
        padded = (
            word.rjust(width) if number else word.ljust(width)
            for word, width, number in zip(words, widths, numbers, strict=True)
        )
        return " │ ".join(padded).rstrip() + "\n"

    head, *body = cells
    sys.stdout.write(line(head) + "─┼─".join("─" * width for width in widths) + "\n")
    sys.stdout.writelines(map(line, body))


def _cell(value: object) -> str:
    """The value's text. What a partner sends must not command the terminal of who reads it."""
    return "" if value is None else _CONTROL.sub(lambda found: repr(found[0])[1:-1], str(value))


def _print_csv(columns: Sequence[str], rows: Rows) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(_unique(columns))
    writer.writerows([_field(_plain(value)) for value in row] for row in rows)


def _field(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def _print_json(columns: Sequence[str], rows: Rows) -> None:
    names = _unique(columns)
    answer = [dict(zip(names, map(_plain, row), strict=True)) for row in rows]
    json.dump(answer, sys.stdout, ensure_ascii=False)
    sys.stdout.write("\n")


def _unique(columns: Sequence[str]) -> list[str]:
    """The names, numbered where one comes again: a JSON object would keep the last of them alone."""
    names: list[str] = []
    for column in columns:
        free = (f"{column}_{number}" for number in itertools.count(1))
        names.append(column if column not in names else next(name for name in free if name not in (*names, *columns)))
    return names


def _plain(value: object) -> object:
    """The value as JSON has it: bytes are hex, what is no finite number is null, what JSON has no word for is text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    return value if value is None or isinstance(value, str | int) else str(value)


_PRINTERS: dict[Format, Callable[[Sequence[str], Rows], None]] = {
    "table": _print_table,
    "csv": _print_csv,
    "json": _print_json,
}
