"""`sync`: one Dagster run in this process, and what it did."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import typer

from partner_pipelines.cli.places import refuse_newer_data
from partner_pipelines.cli.progress import counted_calls
from partner_pipelines.cli.sandboxes import environment_with_sandbox
from partner_pipelines.counted import counted
from partner_pipelines.errors import StoppedError
from partner_pipelines.settings import Settings, load_settings, misspelt, read_environment
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.stop import StopSignal

if TYPE_CHECKING:
    from partner_pipelines.defs.run_watch import FinishedStep
    from partner_pipelines.defs.sync_report import SyncReport

_COUNTS = ("rows", "inserted", "updated", "deleted")


def run_sync_command(select: str | None, *, idle: bool, as_json: bool) -> bool:
    """Syncs, prints, and says whether all went well. Raises StoppedError after it has printed."""
    refuse_newer_data()
    stop = StopSignal()
    with stop.on_signals(), environment_with_sandbox(stop) as environ:
        report = sync_once(environ, select, stop, idle=idle)
    print_report(report)
    if as_json:
        typer.echo(json.dumps(report.as_json()))
    refuse_stopped(report)
    return report.success


def sync_once(environ: Mapping[str, str], select: str | None, stop: StopSignal, *, idle: bool = False) -> SyncReport:
    """One run with these variables. Raises SettingsError, UsageError, StateError, StoppedError."""
    settings = hand_on(environ)
    settings.require_any_connection()
    typer.echo(f"Syncing into {settings.data_dir} …", err=True)
    gc.disable()  # while modules load, which make nothing but what stays
    from partner_pipelines.defs.running import run_sync

    _collect_less_often()
    stop.check()
    with counted_calls(DataDirectory(settings.data_dir).segments):
        return run_sync(settings, selection=select, stop=stop, progress=_show_step, idle=idle)


def _collect_less_often() -> None:
    """What is imported stays until the end: the collector need not walk through it again and again (5 % of a run)."""
    gc.enable()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _show_step(step: FinishedStep) -> None:
    """A line on standard error for each step that loads tables, and for each that broke."""
    tables = ", ".join(told.table for told in step.tables if told.materialized)
    if tables or step.error:
        typer.echo(f"{step.seconds:6.1f} s  {step.error or tables}", err=True)


def hand_on(environ: Mapping[str, str]) -> Settings:
    """The settings of these variables, which become this process's own: Dagster's steps and children read them.

    What the user set and these variables leave out is emptied and not removed: `.env` would bring it back.
    """
    settings = load_settings(environ)
    for name, meant in misspelt(environ).items():
        typer.echo(f"partner-pipelines: {name} is no setting and has no effect: did you mean {meant}?", err=True)
    os.environ.update(dict.fromkeys(read_environment().keys() - environ.keys(), ""))
    os.environ.update(environ)
    os.environ["PARTNER_DATA_DIR"] = str(settings.data_dir)
    return settings


def print_report(report: SyncReport) -> None:
    """What landed, what did not, and why."""
    facts = report.as_json()
    _print_counts(facts["tables"])
    for reason, tables in report.skips.items():
        typer.echo(f"skipped: {reason} ({', '.join(tables)})")
    if not report.stopped:
        for error, tables in report.failures.items():
            typer.echo(f"FAILED: {error} ({', '.join(tables)})")
    for connection, count in facts["requests"].items():
        typer.echo(f"{connection}: {counted(count, 'request')}{_left(report.backlog_reasons.get(connection, {}))}")
    for reason, tables in report.refused_deletions.items():
        typer.echo(f"WARNING: {reason} ({', '.join(tables)})")
    for connection, sentence in report.remarks.items():
        typer.echo(f"{connection}: {sentence}")
    verdict = "stopped" if report.stopped else "done" if report.success else "failed"
    typer.echo(f"{verdict} after {report.seconds:.1f} s (run {report.run_id})")


def _left(reasons: Mapping[str, int]) -> str:
    """What is left, by reason, the most first."""
    if not reasons:
        return ""
    by_count = sorted(reasons.items(), key=lambda pair: -pair[1])
    words = ", ".join(f"{count:,} {reason}" for reason, count in by_count)
    return f"; left for the next sync: {sum(reasons.values()):,} ({words})"


def _print_counts(tables: Mapping[str, Mapping[str, int]]) -> None:
    # The audit's own tables grow with every run: they are worth a line when nothing else was asked for
    shown = {table: counts for table, counts in tables.items() if not table.startswith("audit.")} or tables
    width = max((26, *(len(table) + 2 for table in shown)))
    if shown:
        typer.echo(" " * width + "".join(f"{name:>10}" for name in _COUNTS))
    for table, counts in shown.items():
        typer.echo(f"{table:<{width}}" + "".join(f"{counts[name]:>10,}" for name in _COUNTS))


def refuse_stopped(report: SyncReport) -> None:
    """Raises StoppedError when somebody ended the run."""
    if report.stopped:
        raise StoppedError("stopped; what was fetched is kept, and the next sync goes on from there")
