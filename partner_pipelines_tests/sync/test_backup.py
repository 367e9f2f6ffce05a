"""A backup that is made while others work is true to one moment, and restored by a plain copy."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from partner_pipelines.errors import UsageError
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.outbox import Draft, Outbox
from partner_pipelines.state.outbox_file import outbox_transaction
from partner_pipelines.state.vault import Vault
from partner_pipelines.sync.backup import Backup, make_backup
from partner_pipelines_tests.sandbox_process import wait_until
from partner_pipelines_tests.state.support_checkpoints import verified
from partner_pipelines_tests.sync.expected import differences, openmoove_tables
from partner_pipelines_tests.sync.program import Program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from partner_pipelines_tests.sandbox_process import SandboxProcess
    from partner_pipelines_tests.sync.conftest import Sandboxes

TABLES = ("properties", "sellers", "team_members", "milestones")
BACKUP_CHILD = (
    "import resource, signal, sys\n"
    "from pathlib import Path\n"
    "from partner_pipelines.state.data_directory import DataDirectory\n"
    "from partner_pipelines.sync.backup import make_backup\n"
    "if len(sys.argv) > 3:\n"
    "    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    "    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))\n"
    "make_backup(DataDirectory(Path(sys.argv[1])), Path(sys.argv[2]))\n"
)
# Writes to the vault until SQLite has put some of it into the file before the commit, then dies
HOT_CHILD = (
    "import os, signal, sqlite3, sys\n"
    "database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
    "database.execute('PRAGMA cache_size = 5')\n"
    "database.execute('BEGIN IMMEDIATE')\n"
    "database.execute(\"UPDATE person_values SET value = 'never committed' || value\")\n"
    "rows = [('c', 'k', str(n), 'f', 'x' * 500, '2026') for n in range(2000)]\n"
    "database.executemany('INSERT INTO person_values VALUES (?, ?, ?, ?, ?, ?)', rows)\n"
    "os.kill(os.getpid(), signal.SIGKILL)\n"
)


@pytest.fixture
def slow(sandboxes: Sandboxes) -> Iterator[SandboxProcess]:
    """A partner that takes its time, so that there is a middle."""
    sandbox = sandboxes.take("--properties", "30", "--latency-ms", "20")
    yield sandbox
    sandboxes.give_back(sandbox)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def restored(backup: Backup, sandbox: SandboxProcess) -> Program:
    """By the page's own procedure: `cp -a`."""
    target = backup.path.with_name(f"restored-{backup.path.name}")
    subprocess.run(["cp", "-a", str(backup.path), str(target)], check=True)
    return Program(sandbox, target)


def check(program: Program) -> int:
    """Nothing in it points nowhere, and a sync goes on from it; how many requests that took."""
    report = verified(program.data)
    assert (report.problems, report.torn_tails) == ([], [])
    _values_of_all_tokens_are_there(program.data)
    synced = program.sync("properties")
    assert differences(program, openmoove_tables(program.sandbox.rows("openmoove_properties"))) == []
    for table in TABLES:
        lost = program.query(f"FROM openmoove.{table} WHERE request_id NOT IN (SELECT request_id FROM audit.api_calls)")
        assert lost == []
    assert program.query("SELECT request_id FROM audit.api_calls GROUP BY ALL HAVING count(*) > 1") == []
    program.close()
    return len(synced.log)


def _values_of_all_tokens_are_there(data: DataDirectory) -> None:
    """In the database as it was copied, before anything is fetched again."""
    known = {(row.kind, row.person_id, row.field) for row in Vault(data.vault).read_all()}
    with closing(duckdb.connect(data.warehouse / "working.duckdb")) as database:
        sellers = database.execute("SELECT id FROM openmoove.sellers WHERE email IS NOT NULL").fetchall()
    assert {("openmoove.sellers", str(seller), "email") for (seller,) in sellers} <= known


def test_backups_made_while_a_sync_runs_are_true_to_a_moment_each(
    slow: SandboxProcess, data_dir: Path, place: Path
) -> None:
    program = Program(slow, data_dir)
    child = program.child("properties")
    wait_until(lambda: len(slow.log()) > 30, 60)
    slow.settings(latency_ms=1000)
    backups = [make_backup(program.data, place)]
    assert child.poll() is None
    slow.settings(latency_ms=0)
    while child.poll() is None:
        backups.append(make_backup(program.data, place))
    out, complaints = child.communicate()
    assert child.returncode == 0, out + complaints
    backups.append(make_backup(program.data, place))
    asked = [check(restored(backup, slow)) for backup in (backups[0], backups[-1])]
    assert asked[0] < 2 * len(slow.rows("openmoove_properties"))  # what was in the backup is not asked again
    assert asked[1] == 0


def test_what_a_killed_sync_has_left_is_in_the_backup(slow: SandboxProcess, data_dir: Path, place: Path) -> None:
    program = Program(slow, data_dir)
    child = program.child("properties")
    wait_until(lambda: len(slow.log()) > 40, 60)
    child.kill()
    child.communicate()
    everything = 2 * len(slow.rows("openmoove_properties"))
    assert check(restored(make_backup(program.data, place), slow)) < everything


def test_a_vault_whose_writer_was_killed_is_copied_as_it_was_before(steady: Program, place: Path) -> None:
    steady.sync("properties")
    before = set(Vault(steady.data.vault).read_all())
    subprocess.run([sys.executable, "-c", HOT_CHILD, str(steady.data.vault)], check=False)
    assert steady.data.vault.with_name("vault.sqlite-journal").stat().st_size > 0
    backup = make_backup(steady.data, place)
    copied = DataDirectory(backup.path).vault
    assert [path.name for path in copied.parent.iterdir()] == ["vault.sqlite"]
    assert set(Vault(copied).read_all()) == before


def test_what_is_secret_for_an_hour_or_means_nothing_elsewhere_is_left_out(steady: Program, place: Path) -> None:
    steady.sync()
    (steady.data.root / "demo").mkdir()
    (steady.data.root / "demo" / "environment.json").touch()
    backup = make_backup(steady.data, place)
    files = {path.relative_to(backup.path).as_posix() for path in backup.path.rglob("*") if not path.is_dir()}
    assert not {name for name in files if name.startswith(("state/tokens", "state/budget", "demo", "state/runs"))}
    assert not {name for name in files if name.endswith("lock")}
    assert {"environment.json", "state/keys/personal.key", "warehouse/published/current.duckdb"} <= files
    # nobody may read more of the copy than of what was copied
    for name in files:
        assert (backup.path / name).stat().st_mode == (steady.data.root / name).stat().st_mode, name
    assert place.stat().st_mode & 0o777 == 0o700


def test_only_the_last_backups_are_kept_and_nothing_else_is_touched(steady: Program, place: Path) -> None:
    mine = place / "20261122T000000000000Z" / "mine"
    mine.parent.mkdir(parents=True)
    mine.touch()
    made = [make_backup(steady.data, place, keep=2).path for _ in range(4)]
    assert {path.name for path in place.glob("[!.]*")} == {mine.parent.name, made[2].name, made[3].name}


def test_a_place_in_the_data_directory_is_refused(steady: Program) -> None:
    with pytest.raises(UsageError, match="lies in the data directory"):
        make_backup(steady.data, steady.data.root / "backups")
    assert not (steady.data.root / "backups").exists()


def test_a_full_disk_is_one_sentence_and_leaves_nothing(steady: Program, place: Path) -> None:
    command = [sys.executable, "-c", BACKUP_CHILD, str(steady.data.root), str(place)]
    finished = subprocess.run([*command, "100000"], capture_output=True, text=True, check=False)
    assert "StateError: cannot make the backup" in finished.stderr
    assert "File too large" in finished.stderr
    assert [path.name for path in place.iterdir()] == [".lock"]


def test_a_killed_backup_leaves_nothing_that_looks_like_one(steady: Program, place: Path) -> None:
    command = [sys.executable, "-c", BACKUP_CHILD, str(steady.data.root), str(place)]
    with (steady.data.warehouse / "writer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        child = subprocess.Popen(command)
        wait_until(lambda: list(place.glob(".*.unfinished")), 60)
        child.kill()
        child.wait()
    assert list(place.glob("[!.]*")) == []
    backup = make_backup(steady.data, place)
    assert [path.name for path in sorted(place.iterdir())] == [".lock", backup.path.name]


def test_nothing_is_purged_while_a_backup_is_made(steady: Program, place: Path) -> None:
    command = [sys.executable, "-c", BACKUP_CHILD, str(steady.data.root), str(place)]
    steady.data.state.mkdir()
    with (steady.data.state / "purge.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        child = subprocess.Popen(command)
        wait_until(lambda: _waits_for(Path(lock.name), child.pid), 60)
        assert child.poll() is None
    assert child.wait(60) == 0
    assert len(list(place.glob("[!.]*"))) == 1


def _waits_for(file: Path, pid: int) -> bool:
    """The kernel's own list of who waits for which lock: proc(5)."""
    inode = file.stat().st_ino
    lines = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and f" {pid} " in line and line.split()[6].endswith(f":{inode}") for line in lines)


def test_the_outbox_is_copied_as_it_is_between_two_writes_and_files_that_wait_too(steady: Program, place: Path) -> None:
    waiting = Outbox(steady.data.outbox)
    waiting.put([Draft("leads", "resman", key, {"first_name": "Ada"}, "hash", True, "test") for key in ("a", "b")])
    drop = steady.data.outbox / "leads" / "people.csv"
    drop.parent.mkdir(0o700)
    drop.write_text("first_name,last_name\nAda,Waits\n")
    drop.chmod(0o600)
    with outbox_transaction(steady.data.outbox) as database:
        database.execute("UPDATE writes SET state = 'created'")
        child = subprocess.Popen([sys.executable, "-c", BACKUP_CHILD, str(steady.data.root), str(place)])
        # It waits for the outbox with the database copied; a plain copy would have gone on
        wait_until(lambda: list(place.glob(".*/warehouse/working.duckdb")) != [], 60)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.5)
    assert child.wait(60) == 0
    (copy,) = place.glob("[!.]*")
    assert {path.name for path in (copy / "outbox").iterdir()} == {"outbox.sqlite", "leads"}
    assert Outbox(copy / "outbox").counts() == {("resman", "leads", "created"): 2}
    assert (copy / "outbox" / "outbox.sqlite").stat().st_mode & 0o777 == 0o600
    assert (copy / "outbox" / "leads" / "people.csv").read_text() == drop.read_text()
