"""The audit trail's finished calls become rows of audit.api_calls."""

from __future__ import annotations

from pathlib import Path

from duckdb import DuckDBPyConnection


def load_trail(connection: DuckDBPyConnection, segments: Path) -> int:
    """Placeholder until audit_reader is there."""
    del connection, segments
    return 0
