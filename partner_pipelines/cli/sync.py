"""`sync`: one Dagster run in this process, and what it did."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import typer

from partner_pipelines.cli.sandboxes import environment_with_sandbox
from partner_pipelines.settings import Settings, load_settings
from partner_pipelines.state.stop import StopSignal

if TYPE_CHECKING:
    from partner_pipelines.defs.run_watch import FinishedStep
    from partner_pipelines.defs.sync_report import SyncReport


def run(select: str | None, *, as_json: bool) -> bool:
    """Syncs, prints, and says whether all went well."""
    with environment_with_sandbox() as environ:
        report = run_in(environ, select)
    print_report(report)
    if as_json:
        typer.echo(json.dumps(report.as_json()))
    return report.success


def run_in(environ: Mapping[str, str], select: str | None) -> SyncReport:
    """One run with these variables. Raises SettingsError, UsageError, StateError, StoppedError."""
    settings = hand_on(environ)
    settings.require_any_connection()
    from partner_pipelines.defs.running import run_sync

    stop = StopSignal()
    with stop.on_signals():
        return run_sync(settings, selection=select, stop=stop, progress=_show_step)


def _show_step(step: FinishedStep) -> None:
    """A line on standard error for each step that loads tables, and for each that broke."""
    if step.tables or step.error:
        what = step.error or ", ".join(told.table for told in step.tables)
        typer.echo(f"{step.seconds:6.1f} s  {what}", err=True)


def hand_on(environ: Mapping[str, str]) -> Settings:
    """The settings of these variables, which become this process's own: Dagster's steps and children read them."""
    settings = load_settings(environ)
    os.environ.update(environ)
    os.environ["PARTNER_DATA_DIR"] = str(settings.data_dir)
    return settings


def print_report(report: SyncReport) -> None:
    """What landed, what did not, and why."""
    facts = report.as_json()
    for table, counts in facts["tables"].items():
        typer.echo(
            f"{table:<26}{counts['rows']:>9,} rows  {counts['inserted']:>8,} inserted  {counts['updated']:>8,} updated"
            f"  {counts['deleted']:>8,} deleted"
        )
    for table, reason in facts["skipped"].items():
        typer.echo(f"{table:<26}  skipped: {reason}")
    for table, error in facts["failed"].items():
        typer.echo(f"{table:<26}  FAILED: {error}")
    for connection, count in facts["requests"].items():
        left = facts["backlog"].get(connection, 0)
        typer.echo(f"{connection}: {count:,} requests" + (f", {left:,} left for the next run" if left else ""))
    verdict = "done" if facts["success"] else "failed"
    typer.echo(f"{verdict} in {facts['seconds']:.1f} s (run {facts['run_id']})")
