"""The demo that the tests of the commands made, and a copy of it to sync into."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from partner_pipelines_tests.cli.finished_demo import FinishedDemo, finished_demo
from partner_pipelines_tests.cli.program import Program


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> FinishedDemo:
    return finished_demo(tmp_path_factory)


@pytest.fixture
def copy(demo: FinishedDemo, tmp_path: Path) -> Program:
    """A data directory that a test may change."""
    shutil.copytree(demo.data, tmp_path / "demo", symlinks=True)
    return Program(tmp_path, tmp_path / "demo")
