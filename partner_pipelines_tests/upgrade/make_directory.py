"""Makes the data directory that the upgrade tests open, with the code of an earlier commit.

    git worktree add /tmp/earlier COMMIT
    cd /tmp/earlier && PYTHONPATH=/tmp/earlier python …/partner_pipelines_tests/upgrade/make_directory.py OUT.tar.xz

It holds a whole sync of both partners; then rows change, and a second sync is killed: some of its answers are landed
and not merged, the last request has an intent and no outcome, and another process has read its trail up to there.
Beside the data lie the rows that the partners had in the end (`seed/`) and how the sandbox was reached (`made.json`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from partner_pipelines_tests.sandbox_process import SandboxProcess, wait_until

PROPERTIES = 20
LIMITS = {"OPENMOOVE_RATE_LIMITS": "1000/1", "RESMAN_RATE_LIMITS": "1000/1", "PARTNER_CONCURRENCY": "1"}
ALL_DUE = {"OPENMOOVE_LIST_MAX_AGE": "0", "OPENMOOVE_ACTIVE_MAX_AGE": "0", "OPENMOOVE_MILESTONES_MAX_AGE": "0"}
COLLECTIONS = ("openmoove_properties", *(f"resman_{kind}" for kind in ("units", "leads", "employees", "documents")))
COMMAND = [sys.executable, "-m", "partner_pipelines", "sync"]


def main() -> None:
    target = Path(sys.argv[1]).absolute()
    with tempfile.TemporaryDirectory() as folder, SandboxProcess.start("--properties", str(PROPERTIES)) as sandbox:
        root = Path(folder)
        data = root / "data"
        environ = os.environ | sandbox.env | LIMITS | {"PARTNER_DATA_DIR": str(data)}
        subprocess.run(COMMAND, env=environ, check=True)
        sandbox.change(openmoove={"complete_milestones": 5}, resman={"rent_changes": 3})
        _be_killed(sandbox, data, environ)
        _write_seed(sandbox, root / "seed")
        (root / "made.json").write_text(json.dumps({"commit": _commit(), "env": sandbox.env | LIMITS}, indent=1) + "\n")
        _strip(data)
        _pack(root, target)


def _be_killed(sandbox: SandboxProcess, data: Path, environ: dict[str, str]) -> None:
    """A batch of details is landed, and the next one hangs at a request when the process is killed."""
    sandbox.fault("delay", path=r"/detail/$", skip=PROPERTIES - 4, seconds=300)
    process = subprocess.Popen([*COMMAND, "--select", 'key:"openmoove/*"'], env=environ | ALL_DUE)
    landing = data / "state" / "landing"
    wait_until(lambda: b'"openmoove.detail"' in b"".join(f.read_bytes() for f in landing.glob("*/*.jsonl")), 60)
    wait_until(lambda: sandbox.log()[-1]["finished_at"] is None, 60)
    subprocess.run([*COMMAND, "--select", 'key:"audit/api_calls"'], env=environ, check=True)
    process.kill()
    process.wait()


def _write_seed(sandbox: SandboxProcess, seed: Path) -> None:
    seed.mkdir()
    for name in COLLECTIONS:
        lines = "".join(json.dumps(row) + "\n" for row in sandbox.rows(name))
        (seed / f"{name}.jsonl").write_text(lines)


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    return found.stdout.strip()


def _strip(data: Path) -> None:
    """What no upgrade reads: copies that were published before, locks, Dagster's events of whole runs."""
    published = data / "warehouse" / "published"
    current = (published / "current.duckdb").resolve().name
    for path in published.glob("warehouse-*.duckdb"):
        if path.name != current:
            path.unlink()
    shutil.rmtree(data / "state" / "sandbox", ignore_errors=True)


def _pack(root: Path, target: Path) -> None:
    with tarfile.open(target, "w:xz") as archive:
        for path in sorted(root.iterdir()):
            archive.add(path, path.name)


if __name__ == "__main__":
    main()
