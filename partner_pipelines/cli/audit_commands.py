"""`audit`: the trail of every call."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from partner_pipelines.cli.words import Json, end

audit_app = typer.Typer(help="The trail of every call.", no_args_is_help=True)


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

    end(run_verify(copy, key, as_json=as_json))


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
