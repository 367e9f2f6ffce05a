"""The commands, joined; and how a mistake becomes one line.

Each command's work stands in a file of its own and is imported when it is called:
`--help`, `query`, `sandbox` and `audit verify` start without Dagster, whose import takes seconds.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from partner_pipelines import __version__
from partner_pipelines.cli.audit_commands import audit_app
from partner_pipelines.cli.connection_commands import doctor, restore, revoke, scopes
from partner_pipelines.cli.data_commands import backup, erase, purge, query, report, sync
from partner_pipelines.cli.serving_commands import demo, receiver, sandbox, up
from partner_pipelines.cli.webhook_commands import webhooks_app
from partner_pipelines.cli.words import BAD_USAGE, DONE, FAILED
from partner_pipelines.cli.write_commands import outbox_app, push
from partner_pipelines.errors import PartnerPipelinesError, UsageError

app = typer.Typer(
    name="partner-pipelines",
    help="Property partners' data (ResMan, OpenMoove) in one DuckDB warehouse, with proof of every call.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS: tuple[Callable[..., None], ...] = (
    *(sandbox, demo, sync, up, receiver),
    *(push, doctor, scopes, revoke, restore),
    *(query, report, purge, backup, erase),
)
for _command in _COMMANDS:
    app.command()(_command)
app.add_typer(audit_app, name="audit")
app.add_typer(webhooks_app, name="webhooks")
app.add_typer(outbox_app, name="outbox")


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


def run() -> int:
    """Runs the command line; its exit status. Whatever a user can cause is one line on standard error.

    Raises KeyboardInterrupt: Ctrl-C, where the command itself does not take it.
    """
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
        raise KeyboardInterrupt
    return status if isinstance(status, int) else DONE


_INTERRUPTED = 130  # typer's status for a KeyboardInterrupt


_NUMBERS = {
    "int_parsing": "{given!r} is no whole number",
    "greater_than_equal": "{given} is less than {ge}",
    "less_than_equal": "{given} is more than {le}",
}
"""What typer has pydantic say of numbers, in a user's words."""


def _sentence(error: typer.TyperException) -> str:
    # Typer's own word for a choice that is none says nothing to a user
    message = _reworded(error).replace("\n", " ").replace("Value error, ", "").rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{message}; see {context.command_path} --help" if message and context else message


def _reworded(error: typer.TyperException) -> str:
    from pydantic import ValidationError

    message = error.format_message()
    if not isinstance(error.__cause__, ValidationError):
        return message
    problem = error.__cause__.errors(include_url=False)[0]
    words = _NUMBERS.get(problem["type"])
    if words is None:
        return message
    return message.replace(problem["msg"], words.format(given=problem["input"], **problem.get("ctx", {})))


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
