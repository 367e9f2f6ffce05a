"""Files of writes: CSV with a line of names, or JSON lines; `.gz` too. One bad line stops no other."""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from partner_pipelines.errors import UsageError
from partner_pipelines.state.drops import BAD_LINES
from partner_pipelines.state.files import PRIVATE_FILE, short_name, state_errors
from partner_pipelines.sync.write_drafts import CONNECTION, BadLine, Drafting, Line

SUFFIXES = (".csv", ".jsonl", ".csv.gz", ".jsonl.gz")
LONGEST_LINE = 1024 * 1024
WHOLE_LINE = "(line)"
_REST = "(more cells than names)"


def check_name(path: Path) -> None:
    """Raises UsageError for a file whose name says of no form that can be read."""
    if not path.name.lower().endswith(SUFFIXES):
        raise UsageError(f"{path}: the name must end with {', '.join(SUFFIXES)}")


def check_file(path: Path, drafting: Drafting) -> None:
    """The file can be read to its end: of one that cannot be, nothing is sent. Raises UsageError."""
    names_connection, line = not drafting.needs_connection, None
    if _is_csv(path):
        _check_columns(path, drafting)
    for line in read_lines(path):
        names_connection = names_connection or (isinstance(line, Line) and CONNECTION in line.values)
    if line is None:
        raise UsageError(f"{path} has no lines{' below the names' if _is_csv(path) else ''}")
    if not names_connection:
        raise UsageError(
            f"{path}: no line names a connection; there are {', '.join(drafting.connections)}: --connection"
        )


def _is_csv(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith(".csv")


def _check_columns(path: Path, drafting: Drafting) -> None:
    """A column that is no field is one mistake, not one a line. It is told by its place: its name may be a person's."""
    known = {*drafting.form.checks, *drafting.form.meta}
    with _reading(path), _opened(path) as file:
        names = _names(path, csv.DictReader(file, strict=True))
    for place, name in enumerate(names, 1):
        if name not in known:
            near = difflib.get_close_matches(name.casefold().replace(" ", "_"), known, 1)
            hint = f": did you mean {near[0]}?" if near else f"; there are {', '.join(sorted(known))}"
            raise UsageError(f"{path}: column {place} is no field of {drafting.form.kind}{hint}")


def read_lines(path: Path) -> Iterator[Line | BadLine]:
    """The file's lines, numbered as an editor does. Raises UsageError for a file that is none or cannot be read."""
    check_name(path)
    with _reading(path), _opened(path) as file:
        yield from (_read_csv if _is_csv(path) else _read_json)(path, file)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """What cannot be read is told as such. Raises UsageError."""
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{path} cannot be read: {reason}") from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path} is not UTF-8: save it as such, not as Windows-1252 or Excel's Unicode text"
        ) from error
    except csv.Error as error:
        raise UsageError(f"{path} is no CSV: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    if path.name.lower().endswith(".gz"):
        with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as packed:
            assert isinstance(packed, io.TextIOWrapper)
            yield packed
    else:
        with path.open(encoding="utf-8-sig", newline="") as plain:
            yield plain


def _names(path: Path, rows: csv.DictReader[str]) -> list[str]:
    """The columns, as the first line names them. Raises UsageError."""
    names = [name.strip() for name in rows.fieldnames or ()]
    if not any(names):
        raise UsageError(f"{path} is empty: its first line names the columns")
    if len(names) == 1 and (apart := next((mark for mark in ";\t|" if mark in names[0]), None)):
        raise UsageError(f"{path}: its columns stand apart by {apart!r}: save it with commas")
    double = next((place for place, name in enumerate(names) if name in names[:place]), None)
    if double is not None:  # not by its name: a file without a line of names begins with a person
        raise UsageError(f"{path}: columns {names.index(names[double]) + 1} and {double + 1} have the same name")
    return names


def _read_csv(path: Path, file: TextIO) -> Iterator[Line | BadLine]:
    rows = csv.DictReader(file, restkey=_REST, strict=True)
    rows.fieldnames = _names(path, rows)
    for row in rows:
        if row.pop(_REST, None) is not None:
            yield BadLine(rows.line_num, {WHOLE_LINE: ["More cells than the first line has names"]})
        elif None in row.values():
            yield BadLine(rows.line_num, {WHOLE_LINE: ["Fewer cells than the first line has names"]})
        else:
            yield Line(rows.line_num, row, path.name)


def _read_json(path: Path, file: TextIO) -> Iterator[Line | BadLine]:
    number = 0
    while text := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(text) > LONGEST_LINE:
            raise UsageError(f"{path}: line {number} is longer than {LONGEST_LINE:,} characters")
        if text.strip():
            yield _json_line(path, number, text)


def _json_line(path: Path, number: int, text: str) -> Line | BadLine:
    try:
        values: Any = json.loads(text, parse_float=Decimal, parse_constant=_no_number)
        if "\\u" in text:  # half a character can be escaped, and written nowhere
            json.dumps(values, ensure_ascii=False, default=str).encode()
    except (ValueError, ArithmeticError, RecursionError):  # a number can be beyond Decimal, too
        return BadLine(number, {WHOLE_LINE: ["Not JSON"]})
    if not isinstance(values, dict):
        return BadLine(number, {WHOLE_LINE: ["Not a JSON object"]})
    return Line(number, values, path.name)


def _no_number(_: str) -> object:
    raise ValueError("no number of JSON")


class BadLines:
    """The file next to the lines' own that names each bad line: line, field, reason. Made with the first of them."""

    def __init__(self, beside: Path) -> None:
        self.path = beside.with_name(f"{short_name(beside.name, len(BAD_LINES))}{BAD_LINES}")
        self.count = 0
        self._file: TextIO | None = None
        self._rows: Any = None
        with state_errors("remove", self.path):
            self.path.unlink(missing_ok=True)

    def add(self, bad: BadLine) -> None:
        """One more. Raises StateError."""
        with state_errors("write", self.path):
            if self._file is None:
                descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, PRIVATE_FILE)
                self._file = open(descriptor, "w", encoding="utf-8", newline="")  # noqa: PTH123, SIM115 - until close
                self._rows = csv.writer(self._file, lineterminator="\n")
                self._rows.writerow(("line", "field", "reason"))
            for name, reasons in sorted(bad.errors.items()):
                self._rows.writerows((bad.number, name, reason) for reason in reasons)
        self.count += 1

    def close(self) -> None:
        """What was added is in the file. Raises StateError."""
        with state_errors("write", self.path):
            if self._file is not None:
                self._file.close()
