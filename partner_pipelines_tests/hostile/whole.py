"""A whole `partner-pipelines sync` as a process: what it said, how it ended, how much memory it took."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from partner_pipelines.state.data_directory import open_data_directory
from partner_pipelines.warehouse.reading import open_published
from partner_pipelines_tests.hostile.measured import Measured, run_measured

PROGRAM = str(Path(sys.executable).with_name("partner-pipelines"))
OURS = ("PARTNER_", "RESMAN_", "OPENMOOVE_", "DAGSTER_")
DEADLINE_SECONDS = 600
"""Of a process on a machine that has other things to do; a quiet one needs ten."""


@dataclass(frozen=True)
class Synced:
    """One sync. `report` is what `--json` says on the last line; `said` are the lines before it."""

    measured: Measured
    data_dir: Path

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.measured.output.splitlines()[-1])
        return found

    @property
    def said(self) -> list[str]:
        return self.measured.output.splitlines()[:-1]

    def failure(self, table: str, connection: str) -> str:
        """The sentence of one connection, as `failed` has it."""
        sentences = dict(part.split(": ", 1) for part in self.report["failed"][table].split("; ") if ": " in part)
        return str(sentences[connection])

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """What the published warehouse answers."""
        with open_published(open_data_directory(self.data_dir, "sandbox")) as database:
            return database.execute(sql).fetchall()


def sync(place: Path, variables: Mapping[str, str], *words: str) -> Synced:
    """A sync in the data directory `place`/data; `variables` are all that the program is told."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    env = {**kept, "HOME": str(place), "DO_NOT_TRACK": "1", "PARTNER_DATA_DIR": str(place / "data"), **variables}
    return Synced(run_measured([PROGRAM, "sync", "--json", *words], place, env, DEADLINE_SECONDS), place / "data")
