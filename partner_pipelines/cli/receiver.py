"""`receiver`: takes webhooks until Ctrl-C."""

from __future__ import annotations

import json
from contextlib import suppress

import typer

from partner_pipelines.cli.sandboxes import running_sandbox
from partner_pipelines.cli.sync import hand_on
from partner_pipelines.errors import StoppedError
from partner_pipelines.receiver.serving import serve
from partner_pipelines.settings import needs_sandbox, read_environment, with_sandbox
from partner_pipelines.state.data_directory import open_data_directory
from partner_pipelines.state.stop import StopSignal


def run_receiver(host: str, port: int, workers: int | None) -> None:
    """Serves until a signal comes. Raises UsageError, SettingsError; StateError when its processes die."""
    environ = read_environment()
    if needs_sandbox(environ):
        # A receiver calls nobody, so it needs no sandbox of its own; the secret of one that runs is the one to know
        environ = with_sandbox(environ, found) if (found := running_sandbox()) else environ
    stop = StopSignal()
    with suppress(StoppedError), stop.on_signals():
        settings = hand_on(environ)
        open_data_directory(settings.data_dir, settings.environment)
        if not settings.webhook_secrets:
            typer.echo("OPENMOOVE_WEBHOOK_SECRETS is not set: every delivery is answered with 503", err=True)
        environ = environ | {"PARTNER_DATA_DIR": str(settings.data_dir)}
        with serve(settings, environ, host=host, port=port, workers=workers, stop=stop) as receiving:
            typer.echo(json.dumps({"ready": True, "url": receiving.url}))
            receiving.wait(stop)
