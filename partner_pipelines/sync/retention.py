"""Personal values go when their time has come: of rows that are gone, were rejected, or came beside a webhook."""
# ruff: noqa: S608 - what is put into the text are the table specs' own names, quoted

from __future__ import annotations

from datetime import datetime

from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.vault import Vault
from partner_pipelines.warehouse.connection import Warehouse
from partner_pipelines.warehouse.decompose import REJECTED
from partner_pipelines.warehouse.parameters import execute
from partner_pipelines.warehouse.quoting import quoted
from partner_pipelines.warehouse.table_statements import person_expression
from partner_pipelines.warehouse.tables import TABLES
from partner_pipelines.warehouse.webhooks import DELIVERIES


def forget_personal(data: DataDirectory, before: datetime, *, dry_run: bool = False) -> int:
    """The vault holds nothing of what was gone, or had come so, before this time; how many values went.

    Tables keep their tokens, which fit nobody any more. With `dry_run` nothing goes. Raises StateError.
    """
    gone: list[tuple[str, str, str]] = []
    with Warehouse(data).session() as session:
        for table in TABLES.values():
            if table.forms or table.extras:
                person = person_expression(table, "t")
                text = f"SELECT connection, {person} FROM {quoted(table.name)} AS t WHERE deleted_at < $before"
                found = execute(session.database, text, {"before": before}).fetchall()
                gone += [(connection, table.name, person_id) for connection, person_id in found]
    return Vault(data.vault).forget(gone, (REJECTED, DELIVERIES), before, dry_run=dry_run)
