"""Options that several commands take, and how a command ends."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DONE, FAILED, BAD_USAGE = 0, 1, 2

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on the last line of standard output.")]
SeedDir = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Serve the rows of <collection>.jsonl[.gz] here; without it, generated ones."),
]
Properties = Annotated[int, typer.Option(min=0, max=1_000_000, metavar="N", help="How many properties to generate.")]


def end(success: bool) -> None:
    """The command ends with the status of success or failure."""
    raise typer.Exit(DONE if success else FAILED)
