"""A sandbox and a program for it: of one test's own, or of a file's tests that leave the rows as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.sync.program import Program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def sandbox() -> Iterator[SandboxProcess]:
    """One whose rows may be changed."""
    with SandboxProcess.start("--properties", "40") as sandbox:
        yield sandbox
        assert sandbox.complaints() == ""


@pytest.fixture
def program(sandbox: SandboxProcess, tmp_path: Path) -> Iterator[Program]:
    program = Program(sandbox, tmp_path / "data")
    yield program
    program.close()


@pytest.fixture(scope="module")
def lasting() -> Iterator[SandboxProcess]:
    """One for all tests of a file: they leave its rows as they are."""
    with SandboxProcess.start("--properties", "12") as sandbox:
        yield sandbox
        assert sandbox.complaints() == ""


@pytest.fixture
def steady(lasting: SandboxProcess, tmp_path: Path) -> Iterator[Program]:
    """A program with a data directory of its own; faults, settings, scopes and tokens are as before after the test."""
    settings = lasting.control("GET", "settings")
    program = Program(lasting, tmp_path / "data")
    yield program
    program.close()
    lasting.control("DELETE", "faults")
    lasting.settings(**settings)
    client = {"client_id": lasting.env["RESMAN_CLIENT_ID"], "client_secret": lasting.env["RESMAN_CLIENT_SECRET"]}
    lasting.control("POST", "clients", client)
    lasting.control("POST", "keys", {"api_key": lasting.env["OPENMOOVE_API_KEY"]})
