"""`up`: the sandbox (in the sandbox environment), Dagster's UI and its daemon, until Ctrl-C."""

from __future__ import annotations

import time
from contextlib import suppress

import typer

from partner_pipelines.cli.places import refuse_newer_data, sole
from partner_pipelines.cli.sandboxes import environment_with_sandbox
from partner_pipelines.cli.sync import hand_on
from partner_pipelines.errors import StoppedError
from partner_pipelines.state.data_directory import open_data_directory
from partner_pipelines.state.stop import StopSignal


def run_up(port: int) -> None:
    """Serves until a signal comes. Raises UsageError, SettingsError; StateError when something that is served dies."""
    refuse_newer_data()
    stop = StopSignal()
    with suppress(StoppedError), stop.on_signals(), environment_with_sandbox(stop, noted=True) as environ:
        began = time.monotonic()
        settings = hand_on(environ)
        settings.require_any_connection()
        data = open_data_directory(settings.data_dir, settings.environment)
        # Two daemons on one DAGSTER_HOME would both run the schedules
        with sole(data.state / "up.lock", f"another up serves {data.root} already") as lock:
            typer.echo("Starting Dagster …", err=True)
            from partner_pipelines.defs.serving import serve

            with serve(settings, environ, port=port, stop=stop, held=[lock]) as served:
                typer.echo(f"Data directory: {data.root}")
                typer.echo(f"Dagster's UI:   {served.url}   (ready after {time.monotonic() - began:.0f} s)")
                typer.echo("Schedules and sensors run. Ctrl-C ends all of it.")
                served.wait(stop)
                typer.echo("Ending …", err=True)
    typer.echo("Ended.", err=True)
