"""What DuckDB makes beside the working database is private, whatever the process's mask says."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from partner_pipelines_tests.warehouse.support import Yard


@pytest.fixture
def no_mask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("no_mask")
def test_the_log_and_what_is_spilled_are_private_while_it_is_open(tmp_path: Path) -> None:
    yard = Yard(tmp_path / "data")
    with yard.warehouse.session() as session:
        with session.transaction() as database:
            database.execute("CREATE TABLE internal.filler AS SELECT range AS number FROM range(10)")
        session.database.execute("SET memory_limit = '24MB'")
        spilling = session.database.cursor()
        spilling.execute("SELECT range, md5(range::VARCHAR) AS word FROM range(400000) ORDER BY word")
        modes = {
            path.relative_to(yard.data.warehouse).as_posix(): oct(stat.S_IMODE(path.stat().st_mode))
            for path in yard.data.warehouse.rglob("*")
        }
        spilling.close()
    spilled = {name: modes.pop(name) for name in list(modes) if name.startswith("tmp/")}
    assert set(spilled.values()) == {"0o600"}, modes
    assert modes == {"working.duckdb": "0o600", "working.duckdb.wal": "0o600", "writer.lock": "0o600", "tmp": "0o700"}
    assert os.umask(0) == 0, "the mask is as it was"
