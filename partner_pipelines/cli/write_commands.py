"""`push` and `outbox`: their options. What they do stands in files of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from partner_pipelines.cli.words import Json, end

outbox_app = typer.Typer(help="Writes to the partners that wait or are uncertain.", no_args_is_help=True)

OutboxIds = Annotated[list[int] | None, typer.Argument(metavar="[ID…]", help="Writes, by their number.")]


def push(
    kind: Annotated[
        Literal["leads", "employees", "payments", "maintenance", "clients"],
        typer.Argument(metavar="KIND", help="leads, employees, payments, maintenance or clients."),
    ],
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A CSV with names in its first line, or JSON lines; .gz too.")
    ] = None,
    *,
    connection: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where a line names none and there are several.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check, and say what would become of it.")] = False,
    settle: Annotated[
        bool, typer.Option("--settle", help="Stay until the partner was asked about every uncertain write.")
    ] = False,
    example: Annotated[
        bool, typer.Option("--example", help="Print a file that the sandbox and staging take; nothing is sent.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Queue writes from a file and send them, each with one effect; bad lines are named in FILE.rejected.csv."""
    from partner_pipelines.cli.push import print_example, run_push

    if example:
        print_example(kind)
        return
    success = run_push(kind, file, connection, dry_run=dry_run, settle=settle, as_json=as_json)
    end(success)


@outbox_app.command("list")
def list_writes(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Those that are done, too.")] = False,
    as_json: Json = False,
) -> None:
    """Name every write that waits, is uncertain or was rejected, and why."""
    from partner_pipelines.cli.outbox import run_list

    run_list(everything=everything, as_json=as_json)


@outbox_app.command()
def settle(
    ids: OutboxIds = None,
    *,
    created: Annotated[bool, typer.Option("--created", help="These had their effect: you have seen it.")] = False,
    partner_id: Annotated[
        str | None, typer.Option(metavar="ID", help="With --created and one write: the partner's id of it.")
    ] = None,
    dropped: Annotated[bool, typer.Option("--dropped", help="These had no effect and shall not be sent.")] = False,
    file: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --dropped: all that still waits of the file of this name.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask the partners about uncertain writes that have rested; or say what became of some of them."""
    from partner_pipelines.cli.outbox import run_drop_file, run_settle

    if file is not None:
        success = run_drop_file(file, ids or [], created=created, dropped=dropped, as_json=as_json)
    else:
        success = run_settle(ids or [], created=created, partner_id=partner_id, dropped=dropped, as_json=as_json)
    end(success)


@outbox_app.command()
def resend(ids: OutboxIds = None, *, as_json: Json = False) -> None:
    """Send uncertain or rejected writes again: you know that they had no effect."""
    from partner_pipelines.cli.outbox import run_resend

    end(run_resend(ids or [], as_json=as_json))
