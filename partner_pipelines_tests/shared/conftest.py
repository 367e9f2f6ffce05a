"""One full sync of the rows in ../shared/data, for all tests here."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.sync.program import Program, Synced

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SEED = ROOT.parent / "shared" / "data"

Row = dict[str, Any]


@dataclass(frozen=True)
class Whole:
    """The program after its first sync of everything."""

    program: Program
    first: Synced
    files: dict[str, list[Row]]


def read_rows(path: Path) -> list[Row]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def seed_dir() -> Path:
    """Where the files are; one clear line when they are not."""
    if not (SEED / "openmoove_properties.jsonl.gz").exists():
        pytest.exit(f"the tests in shared/ need {SEED} beside the clone; `make test` does not", returncode=1)
    return SEED


@pytest.fixture(scope="session")
def files(seed_dir: Path) -> dict[str, list[Row]]:
    """The rows of each file, by collection."""
    names = ("openmoove_properties", *(f"resman_{kind}" for kind in ("units", "leads", "employees", "documents")))
    return {name: read_rows(seed_dir / f"{name}.jsonl.gz") for name in names}


@pytest.fixture(scope="session")
def whole(seed_dir: Path, files: dict[str, list[Row]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with SandboxProcess.start(seed_dir=seed_dir) as sandbox:
        # A few requests go wrong, so that retries are among the calls that must agree
        sandbox.fault("status", status=503, path="/detail/$", times=3, skip=100)
        sandbox.fault("drop_before_effect", path="/milestones/$", times=2, skip=200)
        sandbox.fault("expire_token", path="/api/leads$", skip=3)
        program = Program(sandbox, tmp_path_factory.mktemp("shared") / "data")
        yield Whole(program, program.sync(), files)
        program.close()
