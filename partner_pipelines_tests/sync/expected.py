"""What the tables must hold, from the partners' rows as plain JSON: no model, no code of the program.

`differences(program, openmoove=…, resman=…)` names every value that is not equal, at most some of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from partner_pipelines_tests.sync.program import Program

Row = dict[str, Any]
Key = tuple[Any, ...]
Table = dict[Key, Row]

# What every table has besides the partner's own fields (interface.md, "Warehouse").
BOOKKEEPING = {
    *("connection", "fetched_at", "request_id", "delivery_id", "content_hash", "deleted_at"),
    *("first_seen_at", "changed_at", "extra", "list_extra", "listed_at", "list_request_id"),
    *("detail_fetched_at", "milestones_fetched_at", "milestones_request_id"),
}
DAYS = {"available_on", "available_date", "move_in_date", "hire_date"}
TIMES = {"created_at", "updated_at", "completed_at", "due_date", "closed_at"}
PERSONAL = {"first_name", "last_name", "email", "phone_number", "phone"}
SHOWN_DIFFERENCES = 8


def openmoove_tables(rows: Iterable[Row]) -> dict[str, Table]:
    """The four tables that OpenMoove's rows make."""
    properties: Table = {}
    sellers: Table = {}
    members: Table = {}
    milestones: Table = {}
    for row in rows:
        own = {name: value for name, value in row.items() if name not in ("seller", "team", "milestones")}
        steps = row.get("milestones", [])
        seller = row.get("seller")
        own["milestones_count"] = len(steps)
        own["completed_milestones"] = len([step for step in steps if step["completed"]])
        own["seller_id"] = seller["id"] if seller else None
        properties[(row["id"],)] = own
        if seller:
            sellers[(seller["id"],)] = seller
        for role, member in (row.get("team") or {}).items():
            members[row["id"], role] = {**member, "property_id": row["id"], "role": role}
        for step in steps:
            milestones[row["id"], step["id"]] = {**step, "property_id": row["id"]}
    return {
        "openmoove.properties": properties,
        "openmoove.sellers": sellers,
        "openmoove.team_members": members,
        "openmoove.milestones": milestones,
    }


def resman_table(rows: Iterable[Row]) -> Table:
    """The table that one kind of ResMan's rows makes."""
    return {(row["id"],): row for row in rows}


KEYS: Mapping[str, tuple[str, ...]] = {
    "openmoove.team_members": ("property_id", "role"),
    "openmoove.milestones": ("property_id", "id"),
}


def sandbox_tables(program: Program, *kinds: str) -> dict[str, Table]:
    """The tables as the sandbox's rows are now: all of them, or OpenMoove's alone and these kinds of ResMan's."""
    tables = openmoove_tables(program.sandbox.rows("openmoove_properties"))
    for kind in kinds or ("units", "leads", "employees", "documents"):
        tables[f"resman.{kind}"] = resman_table(program.sandbox.rows(f"resman_{kind}"))
    return tables


def differences(program: Program, tables: Mapping[str, Table], *, connection: str | None = None) -> list[str]:
    """Where the living rows of the published warehouse are not these, personal values resolved."""
    found: list[str] = []
    whose = "" if connection is None else f" AND connection = '{connection}'"
    with program.published(full=True) as query:
        for name, expected in tables.items():
            found += _compare(name, expected, query(f"FROM {name} WHERE deleted_at IS NULL{whose}"))
    return found[:SHOWN_DIFFERENCES]


def _compare(name: str, expected: Table, rows: list[Row]) -> list[str]:
    key = KEYS.get(name, ("id",))
    by_key = {tuple(row[column] for column in key): row for row in rows}
    found = [] if len(by_key) == len(rows) else [f"{name}: {len(rows) - len(by_key)} rows are doubled"]
    found += [f"{name} {missing} is missing" for missing in expected.keys() - by_key.keys()]
    found += [f"{name} {surplus} is too much" for surplus in by_key.keys() - expected.keys()]
    for row_key in expected.keys() & by_key.keys():
        found += (f"{name} {row_key} {what}" for what in _compare_row(expected[row_key], by_key[row_key]))
    return found


def _compare_row(expected: Row, row: Row) -> Iterable[str]:
    columns = row.keys() - BOOKKEEPING
    unknown = {**json.loads(row.get("list_extra") or "{}"), **json.loads(row.get("extra") or "{}")}
    for name in columns | expected.keys():
        there = row[name] if name in columns else unknown.pop(name, "(no such field)")
        wanted = _as_column(name, expected.get(name)) if name in columns else expected[name]
        if there != wanted or (isinstance(wanted, bool) != isinstance(there, bool)):
            yield f"{name}: {there!r} stands where {wanted!r} should"
    if unknown:
        yield f"has unknown fields that nobody sent: {sorted(unknown)}"


def _as_column(name: str, value: Any) -> Any:
    if value is None:
        return None
    parsers: dict[bool, Callable[[str], Any]] = {
        name in DAYS: date.fromisoformat,
        name in TIMES: datetime.fromisoformat,
    }
    return parsers[True](value) if True in parsers else value


def personal_values(program: Program) -> set[str]:
    """Names, e-mails and phones of all sellers, team members, leads and employees that the sandbox holds."""
    people: list[Row] = []
    for row in program.sandbox.rows("openmoove_properties"):
        people += [person for person in (row.get("seller"), *(row.get("team") or {}).values()) if person]
    people += program.sandbox.rows("resman_leads") + program.sandbox.rows("resman_employees")
    return personal_values_of(people)


def personal_values_of(people: Iterable[Row]) -> set[str]:
    fields = (*PERSONAL, "name")
    return {str(person[name]) for person in people for name in fields if person.get(name)}


def texts_of_published(program: Program) -> dict[str, set[str]]:
    """Every value of every column of every published table as text, by table and column."""
    with program.published() as query:
        columns = query(
            "SELECT schema_name || '.' || table_name AS t, column_name AS c FROM duckdb_columns() WHERE NOT internal"
        )
        return {
            f"{found['t']}.{found['c']}": {
                row["v"]
                for row in query(f'SELECT DISTINCT CAST("{found["c"]}" AS VARCHAR) AS v FROM {found["t"]}')
                if row["v"] is not None
            }
            for found in columns
        }


ADDRESS_PLACES = [
    "history.properties.address",
    "marts.milestone_steps.address",
    "marts.milestones_now.address",
    "marts.sale_contacts.address",
    "marts.transaction_progress.address",
    "openmoove.properties.address",
]
"""Where a property's address, which is public, stands: a search for personal values that finds these does find."""


# What identifies a person inside of a longer text. A name is a word of many a text (a street, a firm): it is looked for
# as a whole value.
INSIDE = re.compile(r"[\w.+-]+@[\w.-]+\w|\+\d{7,15}")


def places_of(values: set[str], texts: Mapping[str, set[str]]) -> list[str]:
    """The columns that hold one of the values, or a text with one of their e-mails or phones in it."""
    return [
        place
        for place, held in texts.items()
        if not values.isdisjoint(held) or not values.isdisjoint(INSIDE.findall("\n".join(held)))
    ]
