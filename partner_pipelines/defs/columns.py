"""A table's columns as Dagster shows them: name, type, description, and the privacy class as a tag."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import dagster as dg

from partner_pipelines.defs.run_report import asset_key
from partner_pipelines.warehouse.table_statements import stored_columns
from partner_pipelines.warehouse.tables import Table

# The warehouse states a column's class at the end of its description: "The lead's e-mail [personal; a token (email)]".
_CLASS = re.compile(r"\s*\[(?P<privacy>\w+)(?:; a token \((?P<token>\w+)\))?\]$")


def column_schema(table: Table) -> dg.TableSchema:
    """The columns of a partner table."""
    return described_columns(stored_columns(table))


def described_columns(columns: Mapping[str, tuple[str, str]]) -> dg.TableSchema:
    """Columns given as {name: (type, description as the warehouse words it)}."""
    return dg.TableSchema(columns=[_column(name, kind, words) for name, (kind, words) in columns.items()])


def column_lineage(
    origins: Mapping[str, Collection[tuple[str, str]]], tables: Collection[str]
) -> dg.TableColumnLineage:
    """Which columns of which assets a column is made of. `origins`: (table, column) by column; `tables`: the assets."""
    return dg.TableColumnLineage(
        {
            name: [dg.TableColumnDep(asset_key(table), column) for table, column in sorted(found) if table in tables]
            for name, found in origins.items()
        }
    )


def _column(name: str, kind: str, words: str) -> dg.TableColumn:
    stated = _CLASS.search(words)
    tags = {key: value for key, value in stated.groupdict().items() if value} if stated else {}
    return dg.TableColumn(name=name, type=kind, description=_CLASS.sub("", words), tags=tags)
