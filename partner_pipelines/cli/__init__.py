"""The partner-pipelines command: parse, call, print. Exit status 0 done, 1 the work failed, 2 bad usage or settings."""

import sys
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """The command's entry."""
    try:
        from partner_pipelines.cli.app import run

        status = run()
    except KeyboardInterrupt:  # also within the first tenths of a second, while modules load
        sys.stderr.write("partner-pipelines: interrupted\n")
        status = 1
    sys.exit(status)
