"""`up`: the sandbox (in the sandbox environment), Dagster's UI and its daemon, until Ctrl-C."""

from __future__ import annotations

import time

import typer

from partner_pipelines.cli.sandboxes import environment_with_sandbox
from partner_pipelines.cli.sync import hand_on
from partner_pipelines.errors import StoppedError
from partner_pipelines.state.stop import StopSignal

_LOOK_SECONDS = 0.5


def run(port: int) -> bool:
    """Serves until a signal comes; True unless something that was served died before."""
    stop = StopSignal()
    with stop.on_signals(), environment_with_sandbox() as environ:
        settings = hand_on(environ)
        settings.require_any_connection()
        from partner_pipelines.defs.serving import serve

        began = time.monotonic()
        try:
            with serve(settings, port=port, stop=stop) as served:
                typer.echo(
                    f"Dagster's UI: {served.url}   (ready after {time.monotonic() - began:.0f} s; Ctrl-C ends it)"
                )
                while served.is_alive():
                    stop.wait(_LOOK_SECONDS)
        except StoppedError:
            typer.echo("ended")
            return True
    typer.echo("a served process has died: see its lines above", err=True)
    return False
