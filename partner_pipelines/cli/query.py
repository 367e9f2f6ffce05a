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
from partner_pipelines.warehouse.reading import open_published, run_query

Format = Literal["table", "csv", "json"]
Rows = Sequence[Sequence[Any]]

_NUMBER = int | float | Decimal | None
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def run_query_command(sql: str, form: Format, *, full: bool) -> None:
    """Prints what `sql` answers. Raises QueryError, UsageError."""
    with closing(open_published(data_to_read(), full=full)) as database, _ended_by_ctrl_c(database):
        result = run_query(database, sql)
    _PRINTERS[form](result.columns, result.rows)


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
    writer.writerow(columns)
    writer.writerows(rows)


def _print_json(columns: Sequence[str], rows: Rows) -> None:
    names = _unique(columns)
    answer = [dict(zip(names, map(_without_nan, row), strict=True)) for row in rows]
    json.dump(answer, sys.stdout, default=str, ensure_ascii=False)
    sys.stdout.write("\n")


def _unique(columns: Sequence[str]) -> list[str]:
    """The names, numbered where one comes again: a JSON object would keep the last of them alone."""
    names: list[str] = []
    for column in columns:
        free = (f"{column}_{number}" for number in itertools.count(1))
        names.append(column if column not in names else next(name for name in free if name not in (*names, *columns)))
    return names


def _without_nan(value: object) -> object:
    """JSON has no word for what is no number."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


_PRINTERS: dict[Format, Callable[[Sequence[str], Rows], None]] = {
    "table": _print_table,
    "csv": _print_csv,
    "json": _print_json,
}
