"""What brings, shows and keeps the data: `sync`, `query`, `report`, `purge`, `backup`, `erase`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from partner_pipelines.cli.words import Json, end


def sync(
    *,
    select: Annotated[
        str | None,
        typer.Option(metavar="SELECTION", help='Dagster\'s selection syntax: key:"resman/units" or group:openmoove.'),
    ] = None,
    idle: Annotated[
        bool,
        typer.Option("--idle", help="Also look at OpenMoove's sales that are long done, with half of the budget left."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring the partners' data into the warehouse: one Dagster run in this process."""
    from partner_pipelines.cli.sync import run_sync_command

    end(run_sync_command(select, idle=idle, as_json=as_json))


def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One statement that reads.")],
    *,
    form: Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="How to print the rows.")] = "table",
    full: Annotated[bool, typer.Option("--full", help="Show personal values, for those who may read state/.")] = False,
) -> None:
    """Read the published warehouse."""
    from partner_pipelines.cli.query import run_query_command

    run_query_command(sql, form, full=full)


def report(*, as_json: Json = False) -> None:
    """Write the weekly report, one HTML file, of what is published now; print where it is."""
    from partner_pipelines.cli.report import run_report

    run_report(as_json=as_json)


def purge(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: Json = False,
) -> None:
    """Remove what the settings PARTNER_…_KEEP_DAYS call old (runs, trail, personal values); `up` does it once a day."""
    from partner_pipelines.cli.purge import run_purge

    run_purge(dry_run=dry_run, as_json=as_json)


def backup(
    place: Annotated[Path, typer.Argument(metavar="PLACE", help="A directory outside of the data directory.")],
    *,
    keep: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Remove all but the last N backups in this place.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Copy the data directory, true to one moment, while others work: `cp -a` of the copy restores it."""
    from partner_pipelines.cli.backup import run_backup

    run_backup(place, keep, as_json=as_json)


def erase(
    *,
    email: Annotated[str, typer.Option(metavar="ADDRESS", help="Whose personal values go.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    allow_again: Annotated[
        bool, typer.Option("--allow-again", help="End an erasure: what comes later is stored again.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Erase a person from the vault, the outbox and dead letters; what comes later stores nothing of them."""
    from partner_pipelines.cli.erase import run_allow_again, run_erase

    if allow_again:
        run_allow_again(email, dry_run=dry_run, as_json=as_json)
    else:
        run_erase(email, dry_run=dry_run, as_json=as_json)
