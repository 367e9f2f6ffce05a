"""A sandbox and a program for it: of one test's own, or of a file's tests that leave the rows as they are."""

from __future__ import annotations

import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from partner_pipelines.state.data_directory import open_data_directory
from partner_pipelines.warehouse.connection import Warehouse
from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.sync.program import Program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Sandboxes:
    """Sandboxes that start and stop while tests run: each is started one test ahead."""

    def __init__(self) -> None:
        self._workers = ThreadPoolExecutor(2)
        self._spare: dict[tuple[str, ...], Future[SandboxProcess]] = {}

    def take(self, *options: str) -> SandboxProcess:
        """One that nobody has used."""
        taken = self._spare.pop(options, None) or self._start(options)
        self._spare[options] = self._start(options)
        return taken.result()

    def give_back(self, sandbox: SandboxProcess) -> None:
        """It had nothing to complain about, and ends."""
        assert sandbox.complaints() == ""
        self._workers.submit(sandbox.stop)

    def close(self) -> None:
        for spare in self._spare.values():
            spare.result().stop()
        self._workers.shutdown()

    def _start(self, options: tuple[str, ...]) -> Future[SandboxProcess]:
        return self._workers.submit(SandboxProcess.start, *options)


@pytest.fixture(scope="session")
def sandboxes() -> Iterator[Sandboxes]:
    sandboxes = Sandboxes()
    yield sandboxes
    sandboxes.close()


@pytest.fixture
def sandbox(sandboxes: Sandboxes) -> Iterator[SandboxProcess]:
    """One whose rows may be changed."""
    sandbox = sandboxes.take("--properties", "40")
    yield sandbox
    sandboxes.give_back(sandbox)


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory whose tables are made and empty: to make them takes longer than most tests."""
    directory = tmp_path_factory.mktemp("begun") / "data"
    with Warehouse(open_data_directory(directory, "sandbox")).session():
        return directory


@pytest.fixture
def data_dir(begun: Path, tmp_path: Path) -> Path:
    """A data directory of the test's own."""
    return shutil.copytree(begun, tmp_path / "data")


@pytest.fixture
def program(sandbox: SandboxProcess, data_dir: Path) -> Iterator[Program]:
    program = Program(sandbox, data_dir)
    yield program
    program.close()


@pytest.fixture(scope="module")
def lasting() -> Iterator[SandboxProcess]:
    """One for all tests of a file: they leave its rows as they are."""
    with SandboxProcess.silent("--properties", "12") as sandbox:
        yield sandbox


@pytest.fixture
def steady(lasting: SandboxProcess, data_dir: Path) -> Iterator[Program]:
    """A program with a data directory of its own; faults, settings, scopes and tokens are as before after the test."""
    with lasting.lent() as sandbox:
        program = Program(sandbox, data_dir)
        yield program
        program.close()
