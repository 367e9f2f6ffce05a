"""The command line; whatever is wrong with it is one line and exit status 2."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from partner_pipelines.sandbox.limits import Windows, parse_windows


class _OneLineParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"sandbox: {message}\n")


def _whole(text: str, lowest: int, highest: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = lowest - 1
    if not lowest <= number <= highest:
        message = f"takes a whole number from {lowest} to {highest}, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    return number


def _port(text: str) -> int:
    return _whole(text, 0, 65535)


def _properties(text: str) -> int:
    return _whole(text, 0, 1_000_000)


def _latency(text: str) -> int:
    return _whole(text, 0, 600_000)


def _limits(text: str) -> Windows:
    try:
        return parse_windows(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        message = f"takes an http:// or https:// address, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    return text


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options; exits with status 2 and one line when they do not do."""
    parser = _OneLineParser(
        prog="python -m partner_pipelines.sandbox",
        allow_abbrev=False,
        description="Serve ResMan and OpenMoove on loopback.",
    )
    parser.add_argument("--port", type=_port, default=0, help="0: any free one")
    parser.add_argument(
        "--seed-dir", type=Path, help="rows from <collection>.jsonl[.gz]; without it they are generated"
    )
    parser.add_argument("--properties", type=_properties, default=300, metavar="N", help="how many to generate (300)")
    parser.add_argument("--latency-ms", type=_latency, default=0, metavar="N", help="before every answer (0)")
    parser.add_argument(
        "--rate-limits",
        type=_limits,
        default=(),
        metavar="off|on|COUNT/SECONDS,…",
        help="OpenMoove's, sliding windows; on: 1000/3600,100/60 (off)",
    )
    parser.add_argument("--webhook-url", type=_url, help="where OpenMoove delivers its webhooks")
    parser.add_argument("--webhook-secret", help="signs the webhooks")
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help="keeps what changed, for the next start")
    parser.add_argument("--note", type=Path, metavar="FILE", help="says pid, base_url and env while it runs")
    parser.add_argument("--log", type=Path, metavar="FILE", help="each request as a JSON line when it has arrived")
    return parser.parse_args(arguments)
