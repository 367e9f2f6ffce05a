"""`report`: the weekly report, now."""

from __future__ import annotations

import json

import typer

from partner_pipelines.cli.places import data_to_read, place_settings
from partner_pipelines.report.weekly import write_report


def run_report(*, as_json: bool) -> None:
    """Writes it and says where it is. Raises UsageError, SettingsError, StateError."""
    settings = place_settings("PARTNER_DATA_DIR", "PARTNER_ENV", "PARTNER_TIMEZONE", "PARTNER_PUBLISHED_GROUP")
    report = write_report(data_to_read(), settings.timezone, settings.published_group)
    typer.echo(report.path)
    if as_json:
        as_of = report.as_of.isoformat() if report.as_of else None
        told = {"success": True, "path": str(report.path), "bytes": report.bytes, "as_of": as_of}
        typer.echo(json.dumps(told))
