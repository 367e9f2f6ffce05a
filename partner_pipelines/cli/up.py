"""`up`: the sandbox (in the sandbox environment), the webhook receiver, Dagster's UI and daemon, until Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress

import typer

from partner_pipelines.cli.places import refuse_newer_data, sole
from partner_pipelines.cli.receivers import OwnReceiver, own_receiver, port_for, told_to
from partner_pipelines.cli.sandboxes import environment_with_sandbox
from partner_pipelines.cli.sync import hand_on
from partner_pipelines.errors import StoppedError
from partner_pipelines.settings import Settings, needs_sandbox, read_environment
from partner_pipelines.state.data_directory import DataDirectory, open_data_directory
from partner_pipelines.state.stop import StopSignal


def run_up(port: int, receiver_port: int | None) -> None:
    """Serves until a signal comes. Raises UsageError, SettingsError; StateError when something that is served dies."""
    refuse_newer_data()
    stop = StopSignal()
    on_sandbox = needs_sandbox(read_environment())
    with suppress(StoppedError), stop.on_signals(), environment_with_sandbox(stop, noted=True) as environ:
        began = time.monotonic()
        settings = hand_on(environ)
        settings.require_any_connection()
        data = open_data_directory(settings.data_dir, settings.environment)
        # Two daemons on one DAGSTER_HOME would both run the schedules
        with sole(data.state / "up.lock", f"another up serves {data.root} already") as lock:
            typer.echo("Starting Dagster …", err=True)
            from partner_pipelines.defs.serving import Child, serve

            with (
                _receiver(settings, environ, receiver_port, on_sandbox=on_sandbox) as receiver,
                serve(settings, environ, port=port, stop=stop, held=[lock]) as served,
            ):
                if receiver is not None:
                    served.children.append(Child("receiver", receiver.process, receiver.log, owner="the"))
                typer.echo(f"Data directory: {data.root}")
                typer.echo(f"Dagster's UI:   {served.url}   (ready after {time.monotonic() - began:.0f} s)")
                where = (
                    f"{receiver.url}/webhooks/openmoove" if receiver else "none: OPENMOOVE_WEBHOOK_SECRETS is not set"
                )
                typer.echo(f"Webhooks:       {where}")
                typer.echo("Schedules and sensors run. Ctrl-C ends all of it.")
                served.wait(stop)
                typer.echo("Ending …", err=True)
    typer.echo("Ended.", err=True)


@contextmanager
def _receiver(
    settings: Settings, environ: Mapping[str, str], port: int | None, *, on_sandbox: bool
) -> Iterator[OwnReceiver | None]:
    """A receiver when there is a secret to know deliveries by; a sandbox is told of it."""
    if not settings.webhook_secrets:
        yield None
        return
    log = DataDirectory(settings.data_dir).webhooks / "receiver.log"
    variables = {**environ, "PARTNER_DATA_DIR": str(settings.data_dir)}
    with ExitStack() as undo:
        receiver = undo.enter_context(own_receiver(variables, log, port=port_for(port, settings.environment)))
        if on_sandbox:
            undo.enter_context(told_to(environ["RESMAN_BASE_URL"], receiver.url))
        yield receiver
