"""The private SQLite files: what is committed stays committed when the power goes."""

from __future__ import annotations

from pathlib import Path

from partner_pipelines.state.private_sqlite import PrivateSQLite

STEPS = ("CREATE TABLE things (name TEXT)",)
EXTRA = 3
"""What `PRAGMA synchronous` answers: https://sqlite.org/pragma.html#pragma_synchronous."""


def test_a_commit_syncs_what_sqlite_syncs_at_most(tmp_path: Path) -> None:
    """The directory too, once the journal is gone: one that comes back after power loss takes the transaction back."""
    with PrivateSQLite(tmp_path / "things.sqlite", "thing", STEPS).opened() as database:
        assert database.execute("PRAGMA synchronous").fetchone() == (EXTRA,)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)
