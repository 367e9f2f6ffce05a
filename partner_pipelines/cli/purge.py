"""`purge`: what is older than the settings keep it goes, as the daily job does it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from partner_pipelines.cli.places import existing_data, place_settings
from partner_pipelines.counted import counted

if TYPE_CHECKING:
    from partner_pipelines.defs.purge import Purge

_SETTINGS = (
    *(
        "PARTNER_DATA_DIR",
        "PARTNER_ENV",
        "PARTNER_RUNS_KEEP_DAYS",
        "PARTNER_AUDIT_KEEP_DAYS",
        "PARTNER_PERSONAL_KEEP_DAYS",
    ),
    *("PARTNER_AUDIT_KEY", "PARTNER_AUDIT_COPY"),
)


def run_purge(*, dry_run: bool, as_json: bool) -> None:
    """Purges and says what went. Raises UsageError, SettingsError, StateError."""
    settings = place_settings(*_SETTINGS)
    data = existing_data(settings)
    from partner_pipelines.defs.home import open_instance
    from partner_pipelines.defs.purge import purge_old

    with open_instance(data) as instance:
        purge = purge_old(instance, settings, data, dry_run=dry_run)
    verb = "would go" if dry_run else "are gone"
    trail = purge.trail
    runs, audit = _words(settings.runs_keep_days), _words(settings.audit_keep_days)
    typer.echo(f"Runs kept {runs}: {len(purge.runs):,} {verb}")
    went = f"{counted(len(trail.purged), 'segment')} of {counted(trail.records, 'record')}"
    typer.echo(f"Trail kept {audit}: {went} {verb}")
    personal = _words(settings.personal_keep_days)
    typer.echo(f"Personal values of what is gone kept {personal}: {purge.personal:,} {verb}")
    for segment, reason in trail.kept.items():
        typer.echo(f"{segment} stays: {reason}")
    if as_json:
        typer.echo(json.dumps(_facts(purge, dry_run=dry_run)))


def _words(keep_days: int | None) -> str:
    return "for ever" if keep_days is None else counted(keep_days, "day")


def _facts(purge: Purge, *, dry_run: bool) -> dict[str, object]:
    return {
        "success": True,
        "dry_run": dry_run,
        "runs": len(purge.runs),
        "segments": len(purge.trail.purged),
        "records": purge.trail.records,
        "personal_values": purge.personal,
        "kept": purge.trail.kept,
    }
