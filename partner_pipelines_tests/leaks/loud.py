"""A command of the program, or of Dagster, with all that can be logged logged to standard error, at DEBUG.

    python -m partner_pipelines_tests.leaks.loud sync --json
    python -m partner_pipelines_tests.leaks.loud dagster asset materialize …

Within the steps it says PLANTED on every channel that there is, and every word that is drawn into a picture. With
LOUD_MISTAKE=TABLE the table's rows meet a mistake in the program: an exception that nobody expects, with the row in its
words, raised while another one is handled.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from typing import Any, NoReturn

from partner_pipelines_tests.leaks.canaries import PLANTED


class _WithEverything(logging.Formatter):
    """The record's text, and whatever else it carries."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{super().format(record)} {vars(record)!r}"


def _speak_up() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_WithEverything("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.DEBUG, handlers=[handler], force=True)
    logging.captureWarnings(True)


def _plant() -> None:
    resman: Any = importlib.import_module("partner_pipelines.sync.resman")
    sync_connection = resman._sync_connection

    def planted(*arguments: Any) -> None:
        logging.getLogger("planted").debug("%s in a log", PLANTED)
        sys.stdout.write(f"{PLANTED} on standard output\n")
        sync_connection(*arguments)

    resman._sync_connection = planted


def _read_pictures() -> None:
    """Their words are pixels in Dagster's storage: here they are said before they are drawn."""
    drawing: Any = importlib.import_module("partner_pipelines.pictures.drawing")
    as_png = drawing.as_png

    def read(figure: Any) -> Any:
        words = [artist.get_text() for artist in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
        sys.stdout.write(f"drawn: {words}\n")
        return as_png(figure)

    drawing.as_png = read


def _make_a_mistake(table: str) -> None:
    resman: Any = importlib.import_module("partner_pipelines.sync.resman")
    land_list = resman.land_list

    def mistaken(tokeniser: Any, origin: Any, table_name: str, rows: Any) -> Any:
        if table_name == table:
            _stumble(f"could not land {[vars(row) for row in rows.items]}")
        return land_list(tokeniser, origin, table_name, rows)

    resman.land_list = mistaken


def _stumble(words: str) -> NoReturn:
    try:
        int(words)
    except ValueError as error:
        raise RuntimeError(words) from error
    raise AssertionError


def main() -> NoReturn:
    _speak_up()
    if sys.argv[1] != "doctor":
        _plant()
        _read_pictures()
    if table := os.environ.get("LOUD_MISTAKE"):
        _make_a_mistake(table)
    if sys.argv[1] == "dagster":
        del sys.argv[0]
        sys.exit(importlib.import_module("dagster._cli").main())
    sys.exit(importlib.import_module("partner_pipelines.cli").main())


if __name__ == "__main__":
    main()
