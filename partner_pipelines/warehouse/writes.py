"""Writes in the warehouse: the table audit.writes, the rows that name their write, and items that are there already."""
# ruff: noqa: S608 - what is put into the text are names of ours, and values as literals

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from duckdb import DuckDBPyConnection

from partner_pipelines.warehouse.memory_file import json_lines
from partner_pipelines.warehouse.parameters import execute
from partner_pipelines.warehouse.quoting import literal, quoted
from partner_pipelines.warehouse.schema import note_change
from partner_pipelines.warehouse.sql_files import sql
from partner_pipelines.warehouse.tables import WRITTEN

WRITES = "audit.writes"


@dataclass(frozen=True, slots=True)
class Wanted:
    """An item to be looked for. `target`: by the partner's id; else by what it is: tokens, a place.

    `place`: of the caller's own, to know it again.
    """

    place: int
    connection: str
    target: str | None = None
    email: str | None = None
    phone: str | None = None
    property_id: str | None = None
    postcode: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """An item that is there: the partner's id and its row, tokens where personal values stand.

    Of clients: the property's id; `row` is the property's, beside it the seller's and the team's e-mails by role.
    """

    partner_id: str
    row: Mapping[str, Any] = field(repr=False)
    seller: Mapping[str, Any] = field(default_factory=dict, repr=False)
    team: Mapping[str, str] = field(default_factory=dict, repr=False)


def load_writes(database: DuckDBPyConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """These rows of the outbox are in audit.writes. Call it inside a transaction."""
    if not rows:
        return
    with json_lines(rows) as file:
        execute(database, sql("load_writes"), {"file": file})
    note_change(database)


def loaded_revision(database: DuckDBPyConnection) -> int:
    """The last change of the outbox that audit.writes shows."""
    found = database.execute(f"SELECT coalesce(max(revision), 0) FROM {WRITES}").fetchone()
    return int(found[0]) if found else 0


def mark_written(database: DuckDBPyConnection) -> None:
    """Rows that a write made or changed name it. Call it inside a transaction."""
    if database.execute(f"SELECT 1 FROM {WRITES} LIMIT 1").fetchone() is None:
        return
    for kind, table in WRITTEN.items():
        changed = database.execute(sql("mark_written").format(table=quoted(table), kind=kind)).fetchone()
        if changed is not None and changed[0]:
            note_change(database)


def find_items(database: DuckDBPyConnection, kind: str, wanted: Sequence[Wanted]) -> dict[int, Item]:
    """The living items, by the place of who looks for them; of several the oldest. `database`: a published file."""
    if not wanted:
        return {}
    values = [{name: getattr(one, name) for name in Wanted.__slots__} for one in wanted]
    text = _CLIENTS if kind == "clients" else _ITEMS
    found = database.execute(
        text.replace("{table}", quoted(WRITTEN[kind]))
        .replace("{same}", _SAME.get(kind, "false"))
        .replace("{wanted}", literal(json.dumps(values)))  # last: a value may hold what would be replaced
    ).fetchall()
    return {place: Item(str(partner_id), *map(json.loads, parts)) for place, partner_id, *parts in found}


_WANTED = """
WITH wanted AS (
    SELECT unnest(from_json({wanted}, '[{
        "place": "BIGINT", "connection": "VARCHAR", "target": "VARCHAR", "email": "VARCHAR", "phone": "VARCHAR",
        "property_id": "VARCHAR", "postcode": "VARCHAR", "address": "VARCHAR"
    }]'), recursive := true)
)
"""
_SAME = {
    "leads": """
        t.property_id IS NOT DISTINCT FROM w.property_id
        AND CASE WHEN w.email IS NOT NULL THEN t.email = w.email
            ELSE w.phone IS NOT NULL AND coalesce(t.phone_number, t.phone) = w.phone END
    """,
    "employees": "t.email = w.email",
}
_ITEMS = f"""{_WANTED}
SELECT w.place, t.id, to_json(t)
FROM wanted AS w
JOIN {{table}} AS t ON t.connection = w.connection AND t.deleted_at IS NULL
AND CASE WHEN w.target IS NOT NULL THEN t.id = w.target ELSE {{same}} END
QUALIFY row_number() OVER (PARTITION BY w.place ORDER BY t.created_at, t.id) = 1
"""
_CLIENTS = f"""{_WANTED}
SELECT w.place, t.id, to_json(t), to_json(s), (
    SELECT coalesce(json_group_object(m.role, m.email), '{{}}') FROM openmoove.team_members AS m
    WHERE m.connection = t.connection AND m.property_id = t.id AND m.deleted_at IS NULL AND m.email IS NOT NULL
)
FROM wanted AS w
JOIN openmoove.sellers AS s ON s.connection = w.connection AND s.email = w.email
JOIN {{table}} AS t ON t.connection = w.connection AND t.seller_id = s.id AND t.deleted_at IS NULL
AND lower(replace(t.postcode, ' ', '')) = w.postcode
AND trim(regexp_replace(lower(t.address), '[\\s,.;]+', ' ', 'g')) = w.address
QUALIFY row_number() OVER (PARTITION BY w.place ORDER BY t.created_at, t.id) = 1
"""
