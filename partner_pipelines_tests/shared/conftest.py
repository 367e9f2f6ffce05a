"""One whole sync of the real rows beside the clone, through the command, for all tests of this folder."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from duckdb import DuckDBPyConnection

from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.warehouse.reading import open_published
from partner_pipelines_tests.sandbox_process import SandboxProcess

SEED = Path(__file__).resolve().parents[3] / "shared" / "data"
COMMAND_DEADLINE_SECONDS = 500


@dataclass(frozen=True)
class Synced:
    """A finished sync: its report, its data directory, and what the sandbox saw."""

    report: dict[str, Any]
    data: DataDirectory
    log: list[dict[str, Any]]


def rows_of(collection: str) -> list[dict[str, Any]]:
    """The rows of a file, as they stand there."""
    with gzip.open(SEED / f"{collection}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def run_command(*words: str, environ: dict[str, str]) -> dict[str, Any]:
    """The command's JSON; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "partner_pipelines", *words, "--json"],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=COMMAND_DEADLINE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


@pytest.fixture(scope="session")
def seed() -> Path:
    assert SEED.is_dir(), f"these tests need the rows in {SEED}; `make test` leaves them out"
    return SEED


@pytest.fixture(scope="session")
def synced(seed: Path, tmp_path_factory: pytest.TempPathFactory) -> Synced:
    root = tmp_path_factory.mktemp("data")
    with SandboxProcess.start(seed_dir=seed) as sandbox:
        # The first token dies in between, so that the log has a 401 and a renewal; one answer is a 503, one a 429
        sandbox.fault("expire_token", partner="resman", path="/api/units", skip=3)
        sandbox.fault("status", partner="openmoove", path="/detail/$", skip=100, status=503)
        sandbox.fault(
            "status", partner="openmoove", path="/milestones/$", skip=200, status=429, headers={"Retry-After": "1"}
        )
        report = run_command("sync", environ=sandbox.env | {"PARTNER_DATA_DIR": str(root)})
        return Synced(report, DataDirectory(root), sandbox.log())


@pytest.fixture
def published(synced: Synced) -> Iterator[DuckDBPyConnection]:
    with closing(open_published(synced.data)) as database:
        yield database


@pytest.fixture(scope="session")
def full(synced: Synced) -> Iterator[DuckDBPyConnection]:
    with closing(open_published(synced.data, full=True)) as database:
        yield database
