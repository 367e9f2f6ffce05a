"""The program as a user has it, without Dagster: settings, a data directory, a partner on a real socket.

program = Program(sandbox, tmp_path / "data")
synced = program.sync("properties", "units", env=LIST_DUE)
assert synced.tables["resman.units"].inserted == 53
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from partner_pipelines.settings import Settings, load_settings
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.audit import load_calls
from partner_pipelines.sync.house import House, open_house
from partner_pipelines.sync.openmoove import Scope, sync_properties
from partner_pipelines.sync.process_trail import end_trail
from partner_pipelines.sync.resman import sync_kind
from partner_pipelines.warehouse.reading import open_published

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from partner_pipelines.sync.results import SyncOutcome, TableResult
    from partner_pipelines_tests.sandbox_process import SandboxProcess

PROPERTIES = "properties"
SCOPES: Mapping[str, Scope] = {PROPERTIES: "due", "idle": "idle", "told": "told"}
KINDS = ("units", "leads", "employees", "documents")
EVERYTHING = (PROPERTIES, *KINDS, "calls")

LIST_DUE = {"OPENMOOVE_LIST_MAX_AGE": "0"}
AT_ONCE = {"PARTNER_CONCURRENCY": "16"}
DETAILS_DUE = {**LIST_DUE, "OPENMOOVE_ACTIVE_MAX_AGE": "0"}
ALL_DUE = {**DETAILS_DUE, "OPENMOOVE_MILESTONES_MAX_AGE": "0"}

Row = dict[str, Any]


@dataclass
class Synced:
    """What one sync has done, over all that was synced, and what of it the sandbox saw."""

    tables: dict[str, TableResult] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=dict)
    backlog: dict[str, Mapping[str, int]] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    log: list[Row] = field(default_factory=list)

    def add(self, outcome: SyncOutcome) -> None:
        self.tables |= outcome.tables
        self.backlog |= outcome.backlog
        self.remarks |= outcome.remarks
        for connection, count in outcome.requests.items():
            self.requests[connection] = self.requests.get(connection, 0) + count

    @property
    def paths(self) -> list[str]:
        return [entry["path"] for entry in self.log]

    def asked(self, view: str) -> list[int]:
        """The ids of the properties whose `detail` or `milestones` the sandbox was asked for, in order."""
        return [int(path.split("/")[-3]) for path in self.paths if path.endswith(f"/{view}/")]


class Program:
    """One data directory and the variables that point at a sandbox."""

    def __init__(self, sandbox: SandboxProcess, data_dir: Path, **variables: str) -> None:
        self.sandbox = sandbox
        self.data = DataDirectory(data_dir)
        # One request at a time, so that their order is known: on a busy machine the pace takes its slowness for latency
        order = {"PARTNER_CONCURRENCY": "1"}
        self.variables = {**sandbox.env, "PARTNER_DATA_DIR": str(data_dir), **order, **variables}
        self._runs = 0

    def settings(self, env: Mapping[str, str] | None = None) -> Settings:
        return load_settings({**self.variables, **(env or {})})

    def sync(
        self,
        *what: str,
        env: Mapping[str, str] | None = None,
        stop: StopSignal | None = None,
        settings: Settings | None = None,
    ) -> Synced:
        """Sync these, or everything, in this process."""
        self._runs += 1
        seen = self.last_request()
        synced = Synced()
        settings = settings or self.settings(env)
        with open_house(settings, run_id=f"run-{self._runs}", stop=stop or StopSignal()) as house:
            for one in what or EVERYTHING:
                synced.add(sync_one(house, one))
        synced.log = self.sandbox.log(since=seen)
        return synced

    def child(
        self, *what: str, env: Mapping[str, str] | None = None, before: Sequence[str] = ()
    ) -> subprocess.Popen[str]:
        """Sync these, or everything, in a process of its own, which prints the error's class if there is one.

        `before` stands before the command: another program that starts it.
        """
        return subprocess.Popen(
            [*before, sys.executable, "-W", "error", "-m", "partner_pipelines_tests.sync.child", *(what or EVERYTHING)],
            env={**self.variables, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def last_request(self) -> int:
        """The number of the last request that the sandbox has seen."""
        entries = self.sandbox.log()
        return int(entries[-1]["n"]) if entries else 0

    def query(self, sql: str) -> list[Row]:
        """Rows of the published warehouse."""
        with self.published() as query:
            return query(sql)

    @contextmanager
    def published(self, *, full: bool = False) -> Iterator[Callable[[str], list[Row]]]:
        """A function that gives the rows of the published warehouse; `full`: with the personal values."""
        with closing(open_published(self.data, full=full)) as database:

            def query(sql: str) -> list[Row]:
                found = database.execute(sql)
                columns = [column[0] for column in found.description or ()]
                return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]

            yield query

    def column(self, sql: str) -> list[Any]:
        """The one column that a query gives."""
        return [value for row in self.query(sql) for value in row.values()]

    def calls(self, where: str = "true") -> list[Row]:
        """Rows of audit.api_calls, once the trail is loaded; the oldest first."""
        self.sync("calls")
        return self.query(f"FROM audit.api_calls WHERE {where} ORDER BY started_at, attempt")

    def trail(self) -> list[Row]:
        """Every whole record of the audit trail, read without the program; `segment` says where it stands."""
        return read_trail(self.data.segments)

    def close(self) -> None:
        """The process's trail is closed, as at the process's end."""
        end_trail(self.data.segments)


def sync_one(house: House, what: str) -> SyncOutcome:
    """One asset's work, by a word of EVERYTHING."""
    if what in SCOPES:
        return sync_properties(house, SCOPES[what])
    return load_calls(house) if what == "calls" else sync_kind(house, what)


def read_trail(segments: Path) -> list[Row]:
    records = []
    for path in sorted(segments.glob("*.jsonl")):
        lines = path.read_text().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]
        assert len(lines) - len(whole) <= 1, f"{path} has more than a torn tail"
        records += [json.loads(line) | {"segment": path.stem} for line in whole]
    return records


def intents(trail: Sequence[Row]) -> dict[str, Row]:
    """The intents of a trail by request id."""
    return {f"{record['segment']}-{record['n']}": record for record in trail if record["kind"] == "intent"}
