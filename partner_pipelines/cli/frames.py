"""`partner_pipelines.read`: a published table as a pandas frame, for notebooks and scripts."""

from __future__ import annotations

import warnings
from contextlib import closing
from difflib import get_close_matches
from typing import TYPE_CHECKING

from duckdb import DuckDBPyConnection

from partner_pipelines.cli.places import data_to_read
from partner_pipelines.errors import QueryError
from partner_pipelines.warehouse.quoting import quoted
from partner_pipelines.warehouse.reading import open_published, table_names

if TYPE_CHECKING:
    import pandas as pd


def read(table: str, full: bool = False) -> pd.DataFrame:
    """A published table or mart as a pandas frame: `partner_pipelines.read("marts.lead_funnel")`.

    The data directory is the one of PARTNER_DATA_DIR. Moments are in UTC.

    Args:
        table: Schema and name.
        full: Personal values in the place of tokens, for those who may read `state/`.

    Returns:
        A row for each row of the table, its columns under their names.

    Raises:
        QueryError: there is no such table; the sentence names the nearest.
        UsageError: nothing is published yet.
        StateError: the file or, with `full`, the vault cannot be read.
    """
    with closing(open_published(data_to_read(), full=full)) as database:
        _check_is_there(database, table)
        with warnings.catch_warnings():
            # DuckDB's way of making the frame, not the caller's: pandas 3.1 says that its words will change
            warnings.simplefilter("ignore", DeprecationWarning)
            return database.execute(f"FROM {quoted(table)}").df()


def _check_is_there(database: DuckDBPyConnection, table: str) -> None:
    names = table_names(database)
    if table in names:
        return
    near = get_close_matches(table, names, 1, 0) if names else []
    hint = f"do you mean {near[0]}?" if near else "nothing is published"
    raise QueryError(f"there is no table {table[:100]!r}: {hint}")
