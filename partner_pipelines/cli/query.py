"""`query`: rows of the published warehouse as a table, CSV or JSON."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any, Literal

from partner_pipelines.cli.sandboxes import data_root
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.warehouse.reading import open_published, run_query

Format = Literal["table", "csv", "json"]
Rows = Sequence[Sequence[Any]]


def run(sql: str, form: Format, *, full: bool) -> None:
    """Prints what `sql` answers. Raises QueryError, UsageError."""
    with closing(open_published(DataDirectory(data_root()), full=full)) as database:
        result = run_query(database, sql)
    _PRINTERS[form](result.columns, result.rows)


def _print_table(columns: Sequence[str], rows: Rows) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, show_edge=False, pad_edge=False)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    terminal = sys.stdout.isatty()
    # Piped into a file or a pager nothing is cut: a line is as wide as its row
    Console(width=None if terminal else 10_000, markup=False, highlight=False, emoji=False).print(table)


def _print_csv(columns: Sequence[str], rows: Rows) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)


def _print_json(columns: Sequence[str], rows: Rows) -> None:
    json.dump([dict(zip(columns, row, strict=True)) for row in rows], sys.stdout, default=str, ensure_ascii=False)
    sys.stdout.write("\n")


_PRINTERS: dict[Format, Callable[[Sequence[str], Rows], None]] = {
    "table": _print_table,
    "csv": _print_csv,
    "json": _print_json,
}
