"""A data directory and a working directory of a test's own, and one finished demo for all that only read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from partner_pipelines_tests.cli.finished_demo import FinishedDemo, finished_demo
from partner_pipelines_tests.cli.program import Program


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """The command, with a data directory that is not there yet."""
    home = tmp_path / "home"
    home.mkdir()
    return Program(home, tmp_path / "data")


@pytest.fixture
def passable() -> Iterator[Program]:
    """The same where everybody may pass through: each session of pytest shuts its own directories."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        home = Path(directory) / "home"
        home.mkdir(0o755)
        yield Program(home, Path(directory) / "data")


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> FinishedDemo:
    return finished_demo(tmp_path_factory)


@pytest.fixture(scope="session")
def reader(demo: FinishedDemo) -> Program:
    """The command, on what the demo left. For tests that read."""
    return demo.program()
