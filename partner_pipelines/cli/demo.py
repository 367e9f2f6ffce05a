"""`demo`: the whole main job on a sandbox of its own, in a data directory of its own, begun empty."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from partner_pipelines.cli.places import place_settings, sole
from partner_pipelines.cli.receivers import own_receiver, told_to, wait_until_told
from partner_pipelines.cli.sandboxes import demo_sandbox, has_own_sandbox
from partner_pipelines.cli.sync import print_report, refuse_stopped, sync_once
from partner_pipelines.errors import UsageError
from partner_pipelines.settings import read_environment, with_sandbox
from partner_pipelines.state.audit_verify import verify
from partner_pipelines.state.data_directory import DataDirectory, is_demo, stamp_demo
from partner_pipelines.state.files import make_directory, state_errors
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.warehouse.reading import open_published, run_query

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from partner_pipelines.defs.sync_report import SyncReport

CHANGES = {
    "openmoove": {"complete_milestones": 8, "new_properties": 2, "delete_properties": 1},
    "resman": {"rent_changes": 10, "new_leads": 5, "delete_units": 1},
}
_EXAMPLE = "SELECT address, postcode, completed_milestones, milestones_count FROM openmoove.properties LIMIT 5"
# What a user set for real work has no place in the demo: all it needs comes from its own sandbox.
_FOREIGN = ("RESMAN_", "OPENMOOVE_", "PARTNER_")
_AGES = {"OPENMOOVE_LIST_MAX_AGE": "0", "OPENMOOVE_ACTIVE_MAX_AGE": "0"}


def run_demo(seed_dir: Path | None, properties: int, *, as_json: bool) -> bool:
    """Serves, syncs, changes, syncs again, prints what landed; True when both syncs succeeded."""
    data = _place()
    make_directory(data.root.parent, 0o755)
    stop = StopSignal()
    with (
        stop.on_signals(),
        sole(data.root.with_name("demo.lock"), f"another demo runs in {data.root}: wait for its end"),
    ):
        options = ["--properties", str(properties), *(["--seed-dir", str(seed_dir.absolute())] if seed_dir else [])]
        with _begun_empty(data, options) as sandbox:
            environ = _environment(sandbox, data.root)
            typer.echo("1. A sandbox serves both partners. Syncing everything:")
            first = _sync(environ, stop)
            typer.echo(f"\n2. The partners' data changes ({_change(sandbox, environ, data)}).")
            typer.echo("   A row of ResMan's counts as gone when two listings in a row lack it. Syncing again:")
            second = _sync(environ | _AGES, stop)
    typer.echo("\n3. What there is now:")
    _show(data)
    if as_json:
        typer.echo(json.dumps(_facts(first, second, data.root)))
    return first.success and second.success


def _place() -> DataDirectory:
    """`PARTNER_DATA_DIR/demo`; PARTNER_DATA_DIR itself where that is a demo already, as it is for who looks at one."""
    place = place_settings("PARTNER_DATA_DIR").data_dir
    return DataDirectory(place if is_demo(place) else place / "demo")


@contextmanager
def _begun_empty(data: DataDirectory, options: Sequence[str]) -> Iterator[dict[str, str]]:
    """A sandbox in an empty data directory. The old demo goes when the sandbox serves: a bad seed costs nobody his."""
    with ExitStack() as undo:
        aside = data.root.with_name(f".{data.root.name}.before")
        _set_aside(data, aside)
        undo.callback(_put_back, data.root, aside)
        stamp_demo(data.root)
        with demo_sandbox(data, options) as sandbox:
            undo.pop_all()
            with state_errors("remove the old demo in", aside):
                if aside.exists():
                    shutil.rmtree(aside)
            yield sandbox


def _set_aside(data: DataDirectory, aside: Path) -> None:
    root = data.root
    with state_errors("read", root):
        old = root.exists() and any(root.iterdir())
    if not old:
        return
    if not is_demo(root):
        raise UsageError(f"{root} is not a demo's data directory: move it, or set another PARTNER_DATA_DIR")
    if has_own_sandbox(data):
        raise UsageError(f"a command still works in {root}: end it first")
    with state_errors("set aside the old demo in", root):
        shutil.rmtree(aside, ignore_errors=True)  # what a killed demo left
        root.rename(aside)


def _put_back(root: Path, aside: Path) -> None:
    with state_errors("put back", root):
        if root.exists():
            shutil.rmtree(root)
        if aside.exists():
            aside.rename(root)


def _environment(sandbox: Mapping[str, str], root: Path) -> dict[str, str]:
    own = {name: value for name, value in read_environment().items() if not name.startswith(_FOREIGN)}
    return with_sandbox(own, sandbox) | {"PARTNER_DATA_DIR": str(root)}


def _sync(environ: Mapping[str, str], stop: StopSignal) -> SyncReport:
    report = sync_once(environ, None, stop)
    print_report(report)
    refuse_stopped(report)
    return report


def _change(sandbox: Mapping[str, str], environ: Mapping[str, str], data: DataDirectory) -> str:
    """The rows change behind the API's back, and OpenMoove's webhooks are received; says how many."""
    url = sandbox["RESMAN_BASE_URL"]
    with own_receiver(environ, data.webhooks / "receiver.log", port=0) as receiver, told_to(url, receiver.url):
        return f"{_change_rows(sandbox)}; webhooks: {wait_until_told(url)} received"


def _change_rows(sandbox: Mapping[str, str]) -> str:
    request = urllib.request.Request(  # noqa: S310 - our own sandbox on loopback
        f"{sandbox['RESMAN_BASE_URL']}/_sandbox/change",
        data=json.dumps(CHANGES).encode(),
        headers={"Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        made: dict[str, dict[str, list[object]]] = json.load(answer)
    words: dict[str, list[str]] = {}
    for verb in ("created", "updated", "deleted"):
        for collection, keys in made[verb].items():
            words.setdefault(collection, []).append(f"{len(keys)} {verb}")
    return "; ".join(f"{collection}: {', '.join(counts)}" for collection, counts in words.items())


def _show(data: DataDirectory) -> None:
    report = verify(data.segments)
    with closing(open_published(data)) as database:
        counts = _row_counts(database)
    for table, rows in counts.items():
        typer.echo(f"{table:<26}{rows:>10,} rows")
    holds = "the trail's chains hold" if not report.problems else "THE TRAIL IS DAMAGED"
    typer.echo(f"{counts['audit.api_calls']:,} calls were made and audited; {holds} ({report.records:,} records)")
    typer.echo(f"\nThe warehouse:  {data.published}")
    typer.echo(f"Query it:       {_command(data, 'query', _EXAMPLE)}")
    typer.echo(f"Dagster's UI:   {_command(data, 'up')}   (then http://127.0.0.1:3000)")


def _command(data: DataDirectory, *words: str) -> str:
    """A command line that works here as it is printed."""
    program = "partner-pipelines"
    if shutil.which(program) is None:
        program = str(Path(sys.executable).with_name(program))
    return f"PARTNER_DATA_DIR={shlex.quote(_short(data.root))} {shlex.join([_short(Path(program)), *words])}"


def _short(path: Path) -> str:
    """The path from the working directory when it lies below it."""
    return str(path.relative_to(Path.cwd())) if path.is_absolute() and path.is_relative_to(Path.cwd()) else str(path)


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
