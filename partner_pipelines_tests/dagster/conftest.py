"""An environment of a test's own: a data directory, a sandbox on loopback, nothing of the developer's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from partner_pipelines.defs.published import query
from partner_pipelines.settings import Settings, load_settings
from partner_pipelines.state.data_directory import DataDirectory, open_data_directory
from partner_pipelines_tests.sandbox_process import SandboxProcess

_OURS = ("PARTNER_", "RESMAN_", "OPENMOOVE_", "DAGSTER_")
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DEADLINE_SECONDS = 240  # of a process that imports Dagster on a machine that has other things to do

# Dagster 1.13 asks pydantic for a class's fields by their old name; ConfigurableResource cannot be used without it
PYDANTIC_IN_DAGSTER = "ignore:The `__fields__` attribute is deprecated:pydantic.warnings.PydanticDeprecatedSince20"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Warnings are errors, but for what Dagster itself cannot help."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(PYDANTIC_IN_DAGSTER))


@pytest.fixture(scope="session")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess.start("--properties", "12") as process:
        yield process


@pytest.fixture
def environ(tmp_path: Path, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What a process needs to find this test's sandbox and data directory; this process has it too."""
    for name in [name for name in os.environ if name.startswith(_OURS)]:
        monkeypatch.delenv(name)
    variables = {
        **sandbox.env,
        "PARTNER_DATA_DIR": str(tmp_path / "data"),
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "DO_NOT_TRACK": "1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)  # no `.env` of the developer's
    return dict(os.environ)


@pytest.fixture
def settings(environ: dict[str, str]) -> Settings:
    return load_settings(environ)


@pytest.fixture
def data(settings: Settings) -> DataDirectory:
    return open_data_directory(settings.data_dir, settings.environment)


def start_sync(environ: Mapping[str, str], *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """`run_sync` in a process of its own; its last line is the report as JSON."""
    command = [sys.executable, "-m", "partner_pipelines_tests.dagster.sync_once", *arguments]
    return subprocess.Popen(command, env={**environ, **variables}, stdout=subprocess.PIPE, text=True)


def published(data: DataDirectory, sql: str) -> list[tuple[Any, ...]]:
    """What the published file answers."""
    return query(data, sql)
