"""One sandbox for all wire tests of a process; what a test sets is taken back after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.wire.bench import OPEN_WIRES, SandboxBench


@pytest.fixture(scope="session")
def running() -> Iterator[SandboxProcess]:
    with SandboxProcess.silent("--properties", "250") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: SandboxProcess) -> Iterator[SandboxProcess]:
    with running.lent() as sandbox:
        yield sandbox


@pytest.fixture
def bench(sandbox: SandboxProcess) -> SandboxBench:
    return SandboxBench.at(sandbox)


@pytest.fixture(autouse=True, scope="session")
def wires_are_closed() -> Iterator[None]:
    yield
    while OPEN_WIRES:
        OPEN_WIRES.pop().close()
