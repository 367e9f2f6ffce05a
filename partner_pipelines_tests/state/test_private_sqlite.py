"""The private SQLite files: what is committed stays committed when the power goes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from partner_pipelines.state.private_sqlite import PrivateSQLite

STEPS = ("CREATE TABLE things (name TEXT)",)
EXTRA = 3
"""What `PRAGMA synchronous` answers: https://sqlite.org/pragma.html#pragma_synchronous."""
COMMIT = """
import sys
from pathlib import Path
from partner_pipelines.state.private_sqlite import PrivateSQLite
with PrivateSQLite(Path(sys.argv[1]), "thing", ("CREATE TABLE things (name TEXT)",)).opened() as database:
    database.execute("BEGIN IMMEDIATE")
    database.execute("INSERT INTO things VALUES ('one')")
    database.execute("COMMIT")
    print("committed", flush=True)
"""


def test_a_commit_syncs_what_sqlite_syncs_at_most(tmp_path: Path) -> None:
    with PrivateSQLite(tmp_path / "things.sqlite", "thing", STEPS).opened() as database:
        assert database.execute("PRAGMA synchronous").fetchone() == (EXTRA,)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_that_the_journal_is_gone_is_on_the_disk_before_a_commit_returns(tmp_path: Path) -> None:
    """A journal that comes back after power loss takes the committed transaction back."""
    file, trace = tmp_path / "thing" / "things.sqlite", tmp_path / "trace"
    with PrivateSQLite(file, "thing", STEPS).opened():
        pass
    command = ["strace", "-y", "-e", "trace=fsync,fdatasync,unlink,unlinkat,write", "-o", str(trace)]
    done = subprocess.run(
        [*command, sys.executable, "-c", COMMIT, str(file)], capture_output=True, text=True, check=False
    )
    if "ptrace" in done.stderr.lower():
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr
    calls = trace.read_text().splitlines()
    gone = max(place for place, call in enumerate(calls) if call.startswith("unlink") and "-journal" in call)
    said = next(place for place, call in enumerate(calls) if '"committed' in call)
    synced = re.compile(rf"f(data)?sync\(\d+<{re.escape(str(file.parent))}>\) += 0")
    assert any(synced.match(call) for call in calls[gone:said]), "\n".join(calls[gone - 5 : said + 1])
