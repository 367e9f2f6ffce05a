"""`up`: the sandbox (in the sandbox environment), Dagster's UI and its daemon, until Ctrl-C."""

from __future__ import annotations

import time
from contextlib import suppress

import typer

from partner_pipelines.cli.sandboxes import environment_with_sandbox
from partner_pipelines.cli.sync import hand_on
from partner_pipelines.errors import StoppedError
from partner_pipelines.state.stop import StopSignal


def run(port: int) -> None:
    """Serves until a signal comes. Raises UsageError, SettingsError; StateError when something that is served dies."""
    stop = StopSignal()
    with stop.on_signals(), environment_with_sandbox() as environ:
        began = time.monotonic()
        settings = hand_on(environ)
        settings.require_any_connection()
        from partner_pipelines.defs.serving import serve

        typer.echo("Starting Dagster …", err=True)
        with suppress(StoppedError), serve(settings, environ, port=port, stop=stop) as served:
            typer.echo(f"Dagster's UI: {served.url}   (ready after {time.monotonic() - began:.0f} s; Ctrl-C ends it)")
            served.wait(stop)
    typer.echo("Ended.", err=True)
