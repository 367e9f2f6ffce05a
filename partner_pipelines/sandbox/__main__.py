"""`python -m partner_pipelines.sandbox`: parse, load, serve, end."""

from __future__ import annotations

import sys
from errno import ENOTDIR
from typing import TYPE_CHECKING

from partner_pipelines.sandbox.generated import generate_rows
from partner_pipelines.sandbox.journal import Journal
from partner_pipelines.sandbox.options import parse_options
from partner_pipelines.sandbox.seed import BadSeedError, load_seed
from partner_pipelines.sandbox.server import bind, serve
from partner_pipelines.sandbox.settings import Settings
from partner_pipelines.sandbox.state import WEBHOOK_SECRET, SandboxState, load_credentials
from partner_pipelines.sandbox.store import BadChangeFileError, Store

if TYPE_CHECKING:
    import argparse


def main(arguments: list[str] | None = None) -> int:
    """Run the sandbox until it is told to end; return the exit status."""
    options = parse_options(arguments)
    try:
        state = _prepare(options)
        bound = bind(options.port)
    except (BadSeedError, BadChangeFileError) as error:
        return _refuse(str(error))
    except OSError as error:
        if error.filename is None:
            return _refuse(f"port {options.port} cannot be used ({error.strerror}): choose another one")
        return _refuse(f"{error.filename}: {error.strerror}")
    serve(state, bound, options.note)
    return 0


def _prepare(options: argparse.Namespace) -> SandboxState:
    if options.note is not None and not options.note.parent.is_dir():
        raise NotADirectoryError(ENOTDIR, "no such directory", str(options.note.parent))
    store = Store()
    load_credentials(store)
    if options.seed_dir is not None:
        load_seed(store, options.seed_dir)
    else:
        for name, rows in generate_rows(options.properties).items():
            store.load(name, rows)
    if options.state_dir is not None:
        store.open_changes(options.state_dir)
    settings = Settings(
        latency_ms=options.latency_ms,
        rate_limits=options.rate_limits,
        webhook_url=options.webhook_url,
        webhook_secret=options.webhook_secret or WEBHOOK_SECRET,
    )
    return SandboxState(store, settings, Journal(options.log))


def _refuse(message: str) -> int:
    sys.stderr.write(f"sandbox: {message}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
