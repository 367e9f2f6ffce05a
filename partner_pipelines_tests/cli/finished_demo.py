"""One demo for all tests that read: made once, for the tests of commands and of the documentation alike."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from partner_pipelines_tests.cli.program import Program, made_once

# What a user may have set for real work; a demo that looked at any of it would fail.
FOREIGN = {
    "PARTNER_ENV": "production",
    "PARTNER_CONNECTIONS": "/nonexistent/connections.toml",
    "RESMAN_BASE_URL": "https://resman.invalid",
    "RESMAN_CLIENT_SECRET": "file:/nonexistent/secret",
    "OPENMOOVE_RATE_LIMITS": "1/3600",
}
DOTENV = "RESMAN_SCOPES=no-such-scope\nRESMAN_TOKEN_URL=http://resman.invalid\nPARTNER_TIMEZONE=Mars/Olympus\n"


@dataclass(frozen=True)
class FinishedDemo:
    """A demo that has run. `data` is its data directory, which tests only read."""

    parent: Path

    @property
    def data(self) -> Path:
        return self.parent / "data" / "demo"

    @property
    def output(self) -> str:
        return (self.parent / "output").read_text()

    def program(self) -> Program:
        """Commands that look at it."""
        home = self.parent / "reader"
        home.mkdir(exist_ok=True)
        return Program(home, self.data)


def finished_demo(base: pytest.TempPathFactory) -> FinishedDemo:
    """Where tests run in several processes, one of them makes it for all."""
    root = base.getbasetemp()
    return FinishedDemo(made_once((root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "demo", _make))


def _make(parent: Path) -> None:
    """A second demo: the first one's directory is there, and what the user had set for real work."""
    old = parent / "data" / "demo"
    old.mkdir(parents=True)
    (old / "environment.json").write_text('{"environment": "sandbox", "schema": 1, "demo": true}')
    (old / "left-over").touch()
    (parent / ".env").write_text(DOTENV)
    finished = Program(parent, parent / "data").run("demo", "--properties", "40", "--json", **FOREIGN)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert not (old / "left-over").exists()
    (parent / "output").write_text(finished.stdout)
    _only_the_sandbox_was_called(finished)


def _only_the_sandbox_was_called(finished: subprocess.CompletedProcess[str]) -> None:
    assert "resman.invalid" not in finished.stdout + finished.stderr
    assert "Traceback" not in finished.stderr
