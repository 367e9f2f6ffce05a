"""DuckDB's errors as ours: one sentence that says what to do, and DuckDB's own words as the cause."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from partner_pipelines.errors import NewerSchemaError, PartnerPipelinesError, StateError, WarehouseError

_REASONS: tuple[tuple[str, str], ...] = (
    ("Could not set lock on file", "another program has it open: close it (only this program may open it)"),
    ("No space left on device", "the disk is full: make room"),
    ("Disk quota exceeded", "the disk quota is used up: make room"),
    ("File too large", "a file may not grow any further: raise the limit (ulimit -f)"),
    ("Too many open files", "too many files are open: raise the limit (ulimit -n)"),
    ("Input/output error", "the disk fails: look at it"),
    ("Read-only file system", "the disk is read-only"),
    ("Permission denied", "this user may not write it"),
    ("not a valid DuckDB database file", "it is damaged: move it away; the next sync makes it of the published one"),
)

_NEWER = re.compile(r"database file with version number (\d+), but we can only read versions? .*?(\d+)\D*?\.")

_HINTS = ("Did you mean ", "Candidate bindings: ")


@contextmanager
def warehouse_errors(path: Path) -> Iterator[None]:
    """Turns a duckdb.Error inside into a StateError, WarehouseError or NewerSchemaError that names the file."""
    try:
        yield
    except duckdb.Error as error:
        raise _as_ours(error, path) from error


def _as_ours(error: duckdb.Error, path: Path) -> PartnerPipelinesError:
    text = str(error)
    newer = _NEWER.search(text)
    if newer:
        return NewerSchemaError(path, newer[1], newer[2], of="DuckDB's storage version")
    for sign, reason in _REASONS:
        if sign in text:
            return StateError(f"cannot use {path}: {reason}")
    if isinstance(error, duckdb.OutOfMemoryException):
        return WarehouseError(f"{path}: DuckDB ran out of its memory limit; the tables are as they were")
    return WarehouseError(f"{path}: {first_line(error)}; the tables are as they were")


def with_hint(error: BaseException) -> str:
    """An error's first line, and what DuckDB thinks was meant: the names of tables and columns, no value."""
    hint = next((line for line in str(error).splitlines()[1:] if line.startswith(_HINTS)), "")
    return f"{first_line(error)} {hint}".rstrip()


def first_line(error: BaseException) -> str:
    """An error's first line: the others show the SQL."""
    return str(error).partition("\n")[0].strip()
