"""`backup`: a copy of the data directory, made while others work."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from partner_pipelines.cli.places import existing_data, place_settings
from partner_pipelines.counted import counted
from partner_pipelines.errors import UsageError
from partner_pipelines.settings.values import parse_directory
from partner_pipelines.sync.backup import make_backup


def run_backup(place: Path, keep: int | None, *, as_json: bool) -> None:
    """Makes it and says where it is. Raises UsageError, SettingsError, StateError."""
    data = existing_data(place_settings())
    try:
        parse_directory(str(place.absolute()))
    except ValueError as error:
        raise UsageError(f"cannot back up to {place}: {error}; name a directory") from None
    backup = make_backup(data, place.absolute(), keep=keep)
    typer.echo(f"{backup.path}: {counted(backup.files, 'file')}, {backup.bytes / 1e6:,.1f} MB")
    if as_json:
        typer.echo(
            json.dumps({"success": True, "path": str(backup.path), "files": backup.files, "bytes": backup.bytes})
        )
