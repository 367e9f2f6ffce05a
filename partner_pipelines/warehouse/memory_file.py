"""Rows from Python to DuckDB in bulk: JSON lines in a file that never touches a disk, for read_json."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from partner_pipelines.state.files import state_errors


@contextmanager
def json_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A path for read_json inside; the memory is given back afterwards."""
    with memory_file(orjson.dumps(row) for row in rows) as path:
        yield path


@contextmanager
def memory_file(lines: Iterable[bytes]) -> Iterator[str]:
    """As `json_lines`, for lines that are JSON already.

    Raises:
        StateError: not even such a file may grow (ulimit -f), or no more files may be opened.
    """
    with state_errors("keep", Path("rows in memory")):
        descriptor = os.memfd_create("rows", os.MFD_CLOEXEC)
    try:
        with state_errors("keep", Path("rows in memory")), open(descriptor, "wb", closefd=False) as file:
            file.writelines(line + b"\n" for line in lines)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
