"""`demo`: the whole main job on a sandbox of its own, in a data directory of its own, begun empty."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from partner_pipelines.cli.sandboxes import data_root, own_sandbox
from partner_pipelines.cli.sync import print_report, run_in
from partner_pipelines.errors import UsageError
from partner_pipelines.settings import read_environment, with_sandbox
from partner_pipelines.state.audit_verify import verify
from partner_pipelines.state.data_directory import DataDirectory, is_demo, stamp_demo
from partner_pipelines.state.files import state_errors
from partner_pipelines.warehouse.reading import open_published, run_query

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from partner_pipelines.defs.sync_report import SyncReport

CHANGES = {
    "openmoove": {"complete_milestones": 8, "new_properties": 2, "delete_properties": 1},
    "resman": {"rent_changes": 10, "new_leads": 5, "delete_units": 1},
}
# What a user set for real work has no place in the demo; everything below comes from its own sandbox.
_AGES = {"OPENMOOVE_LIST_MAX_AGE": "0", "OPENMOOVE_ACTIVE_MAX_AGE": "0"}


def run_demo(seed_dir: Path | None, properties: int, *, as_json: bool) -> bool:
    """Serves, syncs, changes, syncs again, prints what landed; True when both syncs succeeded."""
    root = data_root() / "demo"
    _begin_empty(root)
    options = ["--properties", str(properties), *(["--seed-dir", str(seed_dir.absolute())] if seed_dir else [])]
    with own_sandbox(options) as sandbox:
        environ = _environment(sandbox, root)
        typer.echo("1. The sandbox serves both partners. Syncing everything:")
        first = run_in(environ, None)
        print_report(first)
        typer.echo("\n2. Some data changes at the partners. Syncing again:")
        _change(sandbox)
        second = run_in(environ | _AGES, None)
        print_report(second)
    typer.echo("\n3. What there is now:")
    _show(DataDirectory(root))
    if as_json:
        typer.echo(json.dumps(_facts(first, second, root)))
    return first.success and second.success


def _begin_empty(root: Path) -> None:
    if root.exists() and any(root.iterdir()):
        if not is_demo(root):
            raise UsageError(f"{root} is not a demo's data directory: move it, or set another PARTNER_DATA_DIR")
        with state_errors("remove the old demo in", root):
            shutil.rmtree(root)
    stamp_demo(root)


def _environment(sandbox: Mapping[str, str], root: Path) -> dict[str, str]:
    own = {name: value for name, value in read_environment().items() if not name.startswith(_FOREIGN)}
    return with_sandbox(own, sandbox) | {"PARTNER_ENV": "sandbox", "PARTNER_DATA_DIR": str(root)}


_FOREIGN = ("RESMAN_", "OPENMOOVE_", "PARTNER_CONNECTIONS", "PARTNER_ENV", "PARTNER_DATA_DIR")


def _change(sandbox: Mapping[str, str]) -> None:
    request = urllib.request.Request(  # noqa: S310 - our own sandbox on loopback
        f"{sandbox['RESMAN_BASE_URL']}/_sandbox/change",
        data=json.dumps(CHANGES).encode(),
        headers={"Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        answer.read()


def _show(data: DataDirectory) -> None:
    report = verify(data.segments)
    with closing(open_published(data)) as database:
        counts = _row_counts(database)
    for table, rows in counts.items():
        typer.echo(f"{table:<26}{rows:>9,} rows")
    holds = "the trail's chains hold" if not report.problems else "THE TRAIL IS DAMAGED"
    typer.echo(f"{counts['audit.api_calls']:,} calls were made and audited; {holds} ({report.records:,} records)")
    typer.echo(f"\nThe warehouse:  {data.published}")
    typer.echo(
        f"Query it:       PARTNER_DATA_DIR={data.root} partner-pipelines query 'FROM openmoove.properties LIMIT 5'"
    )
    typer.echo(f"Dagster's UI:   PARTNER_DATA_DIR={data.root} partner-pipelines up   (then http://127.0.0.1:3000)")


def _row_counts(database: DuckDBPyConnection) -> dict[str, int]:
    found = run_query(
        database,
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() "
        "WHERE schema_name IN ('resman', 'openmoove', 'audit') ORDER BY ALL",
    )
    counts: dict[str, int] = {}
    for (table,) in found.rows:
        gone = " WHERE deleted_at IS NULL" if not table.startswith("audit.") else ""
        (counts[table],) = run_query(database, f"SELECT count(*) FROM {table}{gone}").rows[0]  # noqa: S608 - the catalogue's own names
    return counts


def _facts(first: SyncReport, second: SyncReport, root: Path) -> dict[str, object]:
    return {
        "success": first.success and second.success,
        "first": first.as_json(),
        "second": second.as_json(),
        "data_dir": str(root),
    }
