"""`webhooks`: what came and could not be used."""

from __future__ import annotations

from typing import Annotated

import typer

from partner_pipelines.cli.words import Json

webhooks_app = typer.Typer(help="Webhooks that could not be used.", no_args_is_help=True)

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
