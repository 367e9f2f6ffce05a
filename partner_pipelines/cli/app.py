"""The commands and their options.

Each command's work stands in a file of its own and is imported when it is called:
`--help`, `query`, `sandbox` and `audit verify` start without Dagster, whose import takes seconds.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from partner_pipelines import __version__
from partner_pipelines.errors import PartnerPipelinesError, UsageError

DONE, FAILED, BAD_USAGE = 0, 1, 2

app = typer.Typer(
    name="partner-pipelines",
    help="Property partners' data (ResMan, OpenMoove) in one DuckDB warehouse, with proof of every call.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
audit_app = typer.Typer(help="The trail of every call.", no_args_is_help=True)
app.add_typer(audit_app, name="audit")
webhooks_app = typer.Typer(help="Webhooks that could not be used.", no_args_is_help=True)
app.add_typer(webhooks_app, name="webhooks")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on the last line of standard output.")]
SeedDir = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Serve the rows of <collection>.jsonl[.gz] here; without it, generated ones."),
]
Properties = Annotated[int, typer.Option(min=0, max=1_000_000, metavar="N", help="How many properties to generate.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"partner-pipelines {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and end.")
    ] = False,
) -> None:
    """Only `--version`: it has done its work when it was parsed."""
    assert not version


@app.command()
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


@app.command()
def demo(*, seed_dir: SeedDir = None, properties: Properties = 300, as_json: Json = False) -> None:
    """Run the whole main job on a sandbox of its own: serve, sync everything, change some data, sync again, show."""
    from partner_pipelines.cli.demo import run_demo

    _end(run_demo(seed_dir, properties, as_json=as_json))


@app.command()
def sync(
    *,
    select: Annotated[
        str | None,
        typer.Option(metavar="SELECTION", help='Dagster\'s selection syntax: key:"resman/units" or group:openmoove.'),
    ] = None,
    idle: Annotated[
        bool,
        typer.Option("--idle", help="Also look at OpenMoove's sales that are long done, with half of the budget left."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring the partners' data into the warehouse: one Dagster run in this process."""
    from partner_pipelines.cli.sync import run_sync_command

    _end(run_sync_command(select, idle=idle, as_json=as_json))


@app.command()
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


@app.command()
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


@app.command()
def scopes(*, as_json: Json = False) -> None:
    """Show which scopes ResMan was asked for and which it grants; look for new ones."""
    from partner_pipelines.cli.accounts import run_scopes

    _end(run_scopes(as_json=as_json))


ConnectionName = Annotated[str, typer.Argument(metavar="CONNECTION", help="The connection's name.")]


@app.command()
def revoke(connection: ConnectionName, *, as_json: Json = False) -> None:
    """Stop every process from calling a connection at once; revoke its token where the partner can."""
    from partner_pipelines.cli.accounts import run_revoke

    run_revoke(connection, as_json=as_json)


@app.command()
def restore(connection: ConnectionName, *, as_json: Json = False) -> None:
    """Undo `revoke`: the connection may be called again."""
    from partner_pipelines.cli.accounts import run_restore

    run_restore(connection, as_json=as_json)


@app.command()
def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One statement that reads.")],
    *,
    form: Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="How to print the rows.")] = "table",
    full: Annotated[bool, typer.Option("--full", help="Show personal values, for those who may read state/.")] = False,
) -> None:
    """Read the published warehouse."""
    from partner_pipelines.cli.query import run_query_command

    run_query_command(sql, form, full=full)


@app.command()
def purge(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: Json = False,
) -> None:
    """Remove what is older than PARTNER_RUNS_KEEP_DAYS and PARTNER_AUDIT_KEEP_DAYS say; `up` does it once a day."""
    from partner_pipelines.cli.purge import run_purge

    run_purge(dry_run=dry_run, as_json=as_json)


@app.command()
def backup(
    place: Annotated[Path, typer.Argument(metavar="PLACE", help="A directory outside of the data directory.")],
    *,
    keep: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Remove all but the last N backups in this place.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Copy the data directory, true to one moment, while others work: `cp -a` of the copy restores it."""
    from partner_pipelines.cli.backup import run_backup

    run_backup(place, keep, as_json=as_json)


@audit_app.command()
def verify(
    *,
    copy: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The second place of checkpoints, instead of PARTNER_AUDIT_COPY.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Trust this public key (PEM), not the key in use.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check the whole trail; name the first bad record; exit status 1 if there is any."""
    from partner_pipelines.cli.audit import run_verify

    _end(run_verify(copy, key, as_json=as_json))


@audit_app.command("key")
def print_key(*, as_json: Json = False) -> None:
    """Print the public half of the key that signs checkpoints, in PEM."""
    from partner_pipelines.cli.audit import run_key

    run_key(as_json=as_json)


@audit_app.command("rotate-key")
def rotate_key(
    *,
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The next private key (PEM); without it, one is made in state/.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Hand the signing of checkpoints over to another key."""
    from partner_pipelines.cli.audit import run_rotate_key

    run_rotate_key(to, as_json=as_json)


@audit_app.command()
def show(
    request_id: Annotated[str, typer.Argument(metavar="REQUEST_ID", help="As audit.api_calls has it.")],
    *,
    as_json: Json = False,
) -> None:
    """Print one call as a support bundle: endpoint, status, times, attempts; no secret, no personal data."""
    from partner_pipelines.cli.audit_show import run_show

    run_show(request_id, as_json=as_json)


DeadLetterIds = Annotated[list[str] | None, typer.Argument(metavar="[ID…]", help="Dead letters, by id.")]
Everything = Annotated[bool, typer.Option("--all", help="All dead letters.")]


@webhooks_app.command("list")
def list_dead_letters(*, as_json: Json = False) -> None:
    """Name every dead letter and why it is one."""
    from partner_pipelines.cli.webhooks import run_list

    run_list(as_json=as_json)


@webhooks_app.command()
def replay(ids: DeadLetterIds = None, *, everything: Everything = False) -> None:
    """Move dead letters back into the inbox, for the next sync to try again."""
    from partner_pipelines.cli.webhooks import run_replay

    run_replay(ids or [], everything=everything)


@webhooks_app.command()
def drop(ids: DeadLetterIds = None, *, everything: Everything = False) -> None:
    """Remove dead letters for good; what came stays on record."""
    from partner_pipelines.cli.webhooks import run_drop

    run_drop(ids or [], everything=everything)


def run() -> int:
    """Runs the command line; its exit status. Whatever a user can cause is one line on standard error."""
    _mend_streams()
    try:
        status = _run()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output has gone (`… | head`): nothing to say, and nowhere to say it
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return FAILED
    return status


def _run() -> int:
    try:
        status: object = app(standalone_mode=False)
    except typer.TyperException as error:
        return _refuse(_sentence(error), error.exit_code)
    except UsageError as error:
        return _refuse(str(error), BAD_USAGE)
    except PartnerPipelinesError as error:
        return _refuse(str(error), FAILED)
    except BrokenPipeError:
        raise
    except OSError as error:
        return _refuse(f"{error.filename or 'the output'}: {error.strerror or error}", FAILED)
    if status == _INTERRUPTED:
        return _refuse("interrupted", FAILED)
    return status if isinstance(status, int) else DONE


_INTERRUPTED = 130  # typer's status for a KeyboardInterrupt


def _sentence(error: typer.TyperException) -> str:
    message = error.format_message().replace("\n", " ").rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{message}; see {context.command_path} --help" if message and context else message


def _refuse(sentence: str, status: int) -> int:
    if sentence:  # none after the help of a command that was called without its words
        typer.echo(f"partner-pipelines: {sentence}", err=True)
    return status


def _mend_streams() -> None:
    """Output that is closed (`>&-`) is thrown away; a character that the terminal does not know is escaped."""
    if sys.stdout is None:
        sys.stdout = open(os.open(os.devnull, os.O_WRONLY), "w", closefd=False)  # noqa: SIM115 - open till the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _end(success: bool) -> None:
    raise typer.Exit(DONE if success else FAILED)
