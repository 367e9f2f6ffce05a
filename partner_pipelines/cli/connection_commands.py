"""What looks after connections: `doctor`, `scopes`, `revoke`, `restore`."""

from __future__ import annotations

from typing import Annotated

import typer

from partner_pipelines.cli.words import Json, end

ConnectionName = Annotated[str, typer.Argument(metavar="CONNECTION", help="The connection's name.")]


def doctor(*, as_json: Json = False) -> None:
    """Check everything, one line each, with what to do; exit status 1 on red."""
    from partner_pipelines.cli.doctor import run_doctor

    end(run_doctor(as_json=as_json))


def scopes(*, as_json: Json = False) -> None:
    """Show which scopes ResMan was asked for and which it grants; look for new ones."""
    from partner_pipelines.cli.accounts import run_scopes

    end(run_scopes(as_json=as_json))


def revoke(connection: ConnectionName, *, as_json: Json = False) -> None:
    """Stop every process from calling a connection at once; revoke its token where the partner can."""
    from partner_pipelines.cli.accounts import run_revoke

    run_revoke(connection, as_json=as_json)


def restore(connection: ConnectionName, *, as_json: Json = False) -> None:
    """Undo `revoke`: the connection may be called again."""
    from partner_pipelines.cli.accounts import run_restore

    run_restore(connection, as_json=as_json)
