"""`erase --email ADDRESS`: a person is erased, and a proof without the address is left."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

import typer

from partner_pipelines.cli.places import existing_data, place_settings, refuse_newer_data
from partner_pipelines.counted import counted
from partner_pipelines.errors import UsageError
from partner_pipelines.settings import load_settings, read_environment
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.erase import ErasureReport, allow_again, erase_person
from partner_pipelines.sync.erase_files import Cleared
from partner_pipelines.sync.house import House, open_house


@contextmanager
def _house() -> Iterator[House]:
    refuse_newer_data()
    existing_data(place_settings())
    stop = StopSignal()
    with stop.on_signals(), open_house(load_settings(read_environment()), run_id=None, stop=stop) as house:
        yield house


def run_erase(address: str, *, dry_run: bool, as_json: bool) -> None:
    """Erases (or looks what that would mean) and prints what went. Raises UsageError, StateError."""
    with _house() as house:
        report, files = erase_person(house, address, dry_run=dry_run)
    _print_report(report, files, dry_run=dry_run)
    if as_json:
        typer.echo(json.dumps({"success": True, "dry_run": dry_run, **asdict(report)}))


def _print_report(report: ErasureReport, files: Sequence[Cleared], *, dry_run: bool) -> None:
    again = "" if report.first_time else " (erased before: what came since, if anything)"
    typer.echo(
        f"{'would erase' if dry_run else 'erased'}{again}: "
        f"{counted(report.values, 'personal value')} of {counted(report.persons, 'row')}, "
        f"{counted(report.writes, 'write')}, "
        f"{counted(report.dead_letters, 'dead letter')}, {counted(report.files, 'file')}"
    )
    for cleared in files:
        typer.echo(f"{cleared.path}: {_went(cleared, dry_run=dry_run)}")
    is_unknown = not any((report.values, report.writes, report.dead_letters, report.files))
    if dry_run:
        typer.echo("nothing is known of this address" if is_unknown else "nothing was changed")
        return
    if report.first_time and is_unknown:
        typer.echo("nothing was known of this address; from now on nothing of it is stored (docs/privacy.md)")
    typer.echo(f"the record of it names {report.subject}, a keyed hash: see the trail's event `erasure`")
    typer.echo("Backups that were made before may hold the person still: remove them when their time has come.")


def _went(cleared: Cleared, *, dry_run: bool) -> str:
    if cleared.lines is None:
        return "would be removed: it cannot be read" if dry_run else "removed: it could not be read"
    return f"{'would lose' if dry_run else 'lost'} {counted(cleared.lines, 'line')}"


def run_allow_again(address: str, *, dry_run: bool, as_json: bool) -> None:
    """Ends an erasure and says so. Raises UsageError, StateError."""
    if dry_run:
        raise UsageError("--dry-run is about what goes; --allow-again takes nothing away")
    with _house() as house:
        subject = allow_again(house, address)
    if subject is None:
        typer.echo("this address was not erased: nothing to end")
    else:
        typer.echo(f"the erasure of {subject} has ended: what the partners send from now on is stored again")
        typer.echo("What was erased stays gone until a partner is asked again (`sync`, as each row becomes due).")
    if as_json:
        typer.echo(json.dumps({"success": True, "subject": subject}))
