"""Reading what is published. A reader meets no lock and no writer, and cannot write.

Where somebody wrote to the published file, or has it open to, a reader who may publishes a new one first.

`full` puts the vault's values in the place of tokens, in memory only, for those who may read `state/`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection, StatementType

from partner_pipelines.errors import QueryError, StateError, UsageError, WarehouseError
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.files import state_errors
from partner_pipelines.warehouse.connection import Warehouse
from partner_pipelines.warehouse.duckdb_errors import warehouse_errors, with_hint
from partner_pipelines.warehouse.full_views import create_full_views
from partner_pipelines.warehouse.publish import publish
from partner_pipelines.warehouse.published_file import is_untouched, is_usable

_TRIES = 5
# Nothing spills to a disk: with `full` it would be personal data.
_CONFIG: dict[str, Any] = {
    "temp_directory": "",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The answer to a query: column names, and the rows as Python values."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def open_published(data: DataDirectory, *, full: bool = False) -> DuckDBPyConnection:
    """The published warehouse, read-only; close it when done. It stays as it is, whatever is published meanwhile.

    Args:
        data: The data directory.
        full: Personal values in the place of tokens.

    Raises:
        UsageError: nothing is published yet.
        StateError: the file or, with `full`, the vault cannot be read.
    """
    _let_go(data.root)  # this process shares one database a file, and the kept one's configuration is locked
    for _ in range(_TRIES):
        version = _version(data.published)
        with state_errors("read", version):
            try:
                with warehouse_errors(version):
                    if is_untouched(version):
                        return _lock_down(_open_full(data, version) if full else _open(version))
            except StateError:
                if is_usable(version):
                    raise
            if version.exists():
                _publish_anew(data, version)
            # else five newer versions came between the two steps: the link names another one now
    raise WarehouseError(f"{data.published} changes faster than it can be opened: try again")


def _publish_anew(data: DataDirectory, version: Path) -> None:
    warehouse = Warehouse(data)
    try:
        if warehouse.path.exists():
            publish(warehouse)
            return
        reason = "there is nothing to publish anew"
    except StateError as error:
        reason = str(error)
    sentence = f"{version} is open to write somewhere, or was written to: partner-pipelines sync publishes a new one"
    raise WarehouseError(f"{sentence} ({reason})")


@contextmanager
def published(data: DataDirectory) -> Iterator[DuckDBPyConnection]:
    """The published warehouse for a short look; others of this process wait. Raises as `open_published`.

    It stays open for the next look, until a newer version is published: a run looks some thirty times, and an opening
    costs more than most of the questions. Only the program's own questions may come this way, an analyst's may not.
    """
    with _looking:
        version = _version(data.published)
        if data.root not in _kept or _kept[data.root][0] != version:
            _kept[data.root] = (version, open_published(data))
        with warehouse_errors(version):
            yield _kept[data.root][1]


def _let_go(root: Path) -> None:
    with _looking:
        kept = _kept.pop(root, None)
        if kept is not None:
            kept[1].close()


_kept: dict[Path, tuple[Path, DuckDBPyConnection]] = {}
_looking = threading.RLock()


def run_query(database: DuckDBPyConnection, query: str) -> QueryResult:
    """The rows that `query` asks for. Raises QueryError: wrong SQL, or SQL that does more than read."""
    try:
        _check_reads_only(query)
        found = database.execute(query)
        columns = tuple(column[0] for column in found.description or ())
        return QueryResult(columns, found.fetchall())
    except duckdb.Error as error:
        raise QueryError(with_hint(error)) from error


def table_names(database: DuckDBPyConnection) -> list[str]:
    """What can be read here: tables and views, each with its schema, in order of their names."""
    found = database.execute(
        "SELECT table_schema || '.' || table_name FROM information_schema.tables "
        "WHERE table_catalog = current_database() AND table_schema NOT IN ('internal', 'vault') ORDER BY ALL"
    ).fetchall()
    return [name for (name,) in found]


def _version(link: Path) -> Path:
    try:
        return link.resolve(strict=True)
    except OSError as error:
        if link.is_symlink():
            reason = error.strerror or str(error)
            raise WarehouseError(f"{link} points to nothing ({reason}): run partner-pipelines sync") from error
        place = link.parents[2]  # it shows a PARTNER_DATA_DIR that is another one than was meant
        raise UsageError(f"nothing is published yet in {place}: run partner-pipelines sync") from None


def _open(version: Path) -> DuckDBPyConnection:
    return duckdb.connect(version, read_only=True, config=_CONFIG)


def _open_full(data: DataDirectory, version: Path) -> DuckDBPyConnection:
    database = duckdb.connect(config=_CONFIG)
    try:
        create_full_views(database, version, data.vault)
    except BaseException:
        database.close()
        raise
    return database


def _lock_down(database: DuckDBPyConnection) -> DuckDBPyConnection:
    database.execute("SET TimeZone = 'UTC'")
    database.execute("SET enable_external_access = FALSE")
    database.execute("SET lock_configuration = TRUE")
    return database


def _check_reads_only(query: str) -> None:
    if not query.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in query):
        raise QueryError("the SQL holds bytes that are no text in this locale: write it in UTF-8, with a UTF-8 locale")
    found = [statement.type for statement in duckdb.extract_statements(query)]
    if query.lstrip().lower().startswith("pivot") and found[-1:] == [StatementType.SELECT]:
        return  # DuckDB reads it as two statements
    if len(found) != 1:
        raise QueryError(f"one statement at a time: this has {len(found)}")
    if found[0] not in (StatementType.SELECT, StatementType.EXPLAIN):
        raise QueryError(f"{found[0].name} is refused: the published warehouse can only be read")
