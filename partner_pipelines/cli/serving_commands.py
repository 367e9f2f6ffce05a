"""What serves, until Ctrl-C or to its end: `sandbox`, `demo`, `up`, `receiver`."""

from __future__ import annotations

from typing import Annotated

import typer

from partner_pipelines.cli.words import Json, Properties, SeedDir, end


def sandbox(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free port.")] = 0,
    seed_dir: SeedDir = None,
    properties: Properties = 300,
    latency_ms: Annotated[int, typer.Option(min=0, max=600_000, metavar="N", help="Before every answer.")] = 0,
    rate_limits: Annotated[
        str, typer.Option(metavar="off|on|COUNT/SECONDS,…", help="OpenMoove's limits; on is 1000/3600,100/60.")
    ] = "off",
    webhook_url: Annotated[str | None, typer.Option(metavar="URL", help="Where webhooks are delivered.")] = None,
    webhook_secret: Annotated[str | None, typer.Option(metavar="S", help="What signs them.")] = None,
) -> None:
    """Serve both partners on loopback until Ctrl-C.

    The first line is JSON: `ready`, `base_url` and `env`, the variables that point every other command here.
    """
    from partner_pipelines.cli.sandboxes import serve_here

    serve_here(
        {
            "--port": port,
            "--seed-dir": seed_dir,
            "--properties": properties,
            "--latency-ms": latency_ms,
            "--rate-limits": rate_limits,
            "--webhook-url": webhook_url,
            "--webhook-secret": webhook_secret,
        }
    )


def demo(*, seed_dir: SeedDir = None, properties: Properties = 300, as_json: Json = False) -> None:
    """Run the whole main job on a sandbox of its own: serve, sync everything, change some data, sync again, show."""
    from partner_pipelines.cli.demo import run_demo

    end(run_demo(seed_dir, properties, as_json=as_json))


def up(
    *,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of Dagster's UI, on 127.0.0.1.")] = 3000,
    receiver_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Of the webhook receiver: 8090, on a sandbox any free one if that is taken."
        ),
    ] = None,
) -> None:
    """Serve the sandbox (in the sandbox environment), the receiver, Dagster's UI and its daemon until Ctrl-C."""
    from partner_pipelines.cli.up import run_up

    run_up(port, receiver_port)


def receiver(
    *,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where it listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free port.")] = 8090,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="How many processes; without it one a core, at most 4.")
    ] = None,
) -> None:
    """Take OpenMoove's webhooks until Ctrl-C: POST /webhooks/openmoove; GET /healthz says whether it can.

    The first line is JSON: `ready` and `url`.
    """
    from partner_pipelines.cli.receiver import run_receiver

    run_receiver(host, port, workers)
