"""`erase --email ADDRESS`: a person is erased, and a proof without the address is left."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from partner_pipelines.cli.places import existing_data, place_settings, refuse_newer_data
from partner_pipelines.counted import counted
from partner_pipelines.settings import load_settings, read_environment
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.erase import erase_person
from partner_pipelines.sync.house import open_house


def run_erase(address: str, *, as_json: bool) -> None:
    """Erases and prints what went. Raises UsageError, StateError."""
    refuse_newer_data()
    existing_data(place_settings())
    stop = StopSignal()
    with stop.on_signals(), open_house(load_settings(read_environment()), run_id=None, stop=stop) as house:
        report, files = erase_person(house, address)
    again = "" if report.first_time else " (erased before: what came since, if anything)"
    typer.echo(
        f"erased{again}: {counted(report.values, 'personal value')} of {counted(report.persons, 'row')}, "
        f"{counted(report.writes, 'write')}, "
        f"{counted(report.dead_letters, 'dead letter')}, {counted(report.files, 'file')}"
    )
    for cleared in files:
        went = "removed: it could not be read" if cleared.lines is None else f"lost {counted(cleared.lines, 'line')}"
        typer.echo(f"{cleared.path}: {went}")
    if report.first_time and not any((report.values, report.writes, report.dead_letters, report.files)):
        typer.echo("nothing was known of this address; from now on nothing of it is stored (docs/privacy.md)")
    typer.echo(f"the record of it names {report.subject}, a keyed hash: see the trail's event `erasure`")
    typer.echo("Backups that were made before may hold the person still: remove them when their time has come.")
    if as_json:
        typer.echo(json.dumps({"success": True, **asdict(report)}))
