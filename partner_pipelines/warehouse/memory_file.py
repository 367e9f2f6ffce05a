"""Rows from Python to DuckDB in bulk: JSON lines in a file that never touches a disk, for read_json."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import orjson


@contextmanager
def json_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A path for read_json inside; the memory is given back afterwards."""
    with memory_file(orjson.dumps(row) for row in rows) as path:
        yield path


@contextmanager
def memory_file(lines: Iterable[bytes]) -> Iterator[str]:
    """As `json_lines`, for lines that are JSON already."""
    descriptor = os.memfd_create("rows", os.MFD_CLOEXEC)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - it has no name of its own
        file.writelines(line + b"\n" for line in lines)
        file.flush()
        yield f"/proc/self/fd/{descriptor}"
