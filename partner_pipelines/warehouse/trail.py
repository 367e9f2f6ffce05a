"""The audit trail's finished calls and its events become rows of the tables of `audit`, each once.

How far each segment is read stands in the same transaction as what was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection

from partner_pipelines.state.audit_reader import SegmentPosition, SegmentRead, read_segments
from partner_pipelines.warehouse.memory_file import json_lines
from partner_pipelines.warehouse.parameters import Value, execute
from partner_pipelines.warehouse.schema import note_change
from partner_pipelines.warehouse.sql_files import sql


def load_trail(connection: DuckDBPyConnection, segments: Path) -> int:
    """Every call that has ended is in audit.api_calls afterwards, every event in internal.trail_events.

    Those about tokens and scopes are in audit.token_events and audit.scope_events too.
    Call it inside a transaction. Returns the number of calls that came. Raises StateError, NewerSchemaError.
    """
    calls = events = 0
    positions = _positions(connection, _UNFINISHED)
    for read in read_segments(segments, positions, finished_segments(connection)):
        _insert(connection, "load_calls", read.calls)
        _insert_events(connection, read, positions.get(read.segment, SegmentPosition()).line)
        positions[read.segment] = read.position
        _keep_position(connection, read)
        calls += len(read.calls)
        events += len(read.events)
    if calls or events:
        note_change(connection)
    return calls


def trail_damage(connection: DuckDBPyConnection) -> list[str]:
    """A sentence for each segment that could not be read to its end."""
    found = connection.execute("SELECT damage FROM internal.segments WHERE damage IS NOT NULL ORDER BY segment")
    return [sentence for (sentence,) in found.fetchall()]


def read_whole(connection: DuckDBPyConnection) -> dict[str, int]:
    """The segments whose every record is loaded, and of which none will follow; with the bytes that were read."""
    damaged = connection.execute("SELECT segment FROM internal.segments WHERE damage IS NOT NULL").fetchall()
    return {
        segment: position.offset
        for segment, position in _positions(connection, _FINISHED).items()
        if (segment,) not in damaged
    }


def finished_segments(connection: DuckDBPyConnection) -> frozenset[str]:
    """The segments of which nothing more will be read."""
    found = connection.execute(_FINISHED).fetchall()
    return frozenset(segment for segment, _ in found)


# The last field of a position, as its JSON has it: thousands of finished ones are not parsed at each opening
_FINISHED = """SELECT segment, position FROM internal.segments WHERE ends_with(position, '"finished":true}')"""
_UNFINISHED = """SELECT segment, position FROM internal.segments WHERE NOT ends_with(position, '"finished":true}')"""


def _positions(connection: DuckDBPyConnection, statement: str) -> dict[str, SegmentPosition]:
    found = connection.execute(statement).fetchall()
    return {segment: SegmentPosition.from_json(text) for segment, text in found}


def _insert(connection: DuckDBPyConnection, statement: str, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        with json_lines(rows) as file:
            execute(connection, sql(statement), {"file": file})


def _insert_events(connection: DuckDBPyConnection, read: SegmentRead, line: int) -> None:
    _insert(connection, "load_events", read.events)
    values: dict[str, Value] = {"segment": read.segment, "line": line}
    for statement in ("load_token_events", "load_scope_events") if read.events else ():
        execute(connection, sql(statement), values)


def _keep_position(connection: DuckDBPyConnection, read: SegmentRead) -> None:
    values: dict[str, Value] = {
        "segment": read.segment,
        "position": read.position.to_json(),
        "damage": read.damage,
    }
    execute(connection, "DELETE FROM internal.segments WHERE segment = $segment", values)
    execute(connection, "INSERT INTO internal.segments VALUES ($segment, $position, $damage)")
