"""Looks for what must be nowhere: in text, files, SQLite and DuckDB, however it is written.

search = Search([Canary("a lead's e-mail", "zq7.lead@canary.example"), …])
assert search.tree(data_dir, {"state/vault/*": {"a lead's e-mail"}}) == []

Strings in a DuckDB file are compressed, so every column of every table is read as text; a database is searched as bytes
too, for what is left of deleted rows. What is packed (gzip, zlib) is unpacked first, and so are the texts of pictures.
"""

from __future__ import annotations

import base64
import html
import json
import re
import sqlite3
import zlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import duckdb
import numpy as np
import numpy.typing as npt

GZIP_OR_ZLIB = 47
_BEGINNING = 6
_BLOCK = 2**20
_SQLITE_MAGIC = b"SQLite format 3\x00"
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_PICTURE = re.compile(rb"data:image/png;base64,([A-Za-z0-9+/]+=*)")
_NO_DIGITS = re.compile(r"[^0-9]")
_DIGITS_OF_A_PHONE = 9
_DUCKDB_MAGIC = (8, b"DUCK")


Allowed = Mapping[str, Collection[str]]
"""By pattern of a path below the tree, the names of the canaries that may stand there."""


@dataclass(frozen=True)
class Canary:
    """A value that occurs nowhere else in the world, long enough for chance not to find it too."""

    name: str
    value: str


@dataclass(frozen=True, order=True)
class Leak:
    """Where which canary stands, and how it is written there."""

    place: str
    canary: str
    form: str

    @property
    def file(self) -> str:
        """The path below the tree that was searched."""
        return self.place.partition(" ")[0]


_Meaning = tuple[str, str]  # the canary's name, the form


class _Needles:
    """Many words, looked for at once: two tables say where six bytes in a row may be the beginning of one."""

    def __init__(self, meanings: Mapping[bytes, _Meaning]) -> None:
        self._by_beginning: defaultdict[bytes, list[tuple[bytes, _Meaning]]] = defaultdict(list)
        self._tables = [np.zeros(2**24, dtype=bool) for _ in range(2)]
        for needle, meaning in meanings.items():
            assert len(needle) >= _BEGINNING, f"{meaning} is too short: chance would find it"
            self._by_beginning[needle[:_BEGINNING]].append((needle, meaning))
            for table, number in zip(self._tables, _threes(needle[:_BEGINNING])[::3], strict=True):
                table[number] = True

    def found_in(self, content: bytes) -> Iterator[_Meaning]:
        """What the words that are there mean."""
        for start in range(0, len(content), _BLOCK):
            threes = _threes(content[start : start + _BLOCK + _BEGINNING - 1])
            if len(threes) > 3:
                first, second = self._tables
                for place in np.flatnonzero(first[threes[:-3]] & second[threes[3:]]) + start:
                    yield from self._at(content, int(place))

    def _at(self, content: bytes, place: int) -> Iterator[_Meaning]:
        for needle, meaning in self._by_beginning.get(content[place : place + _BEGINNING], ()):
            if content.startswith(needle, place):
                yield meaning


def _threes(content: bytes) -> npt.NDArray[np.uint32]:
    """Each three bytes in a row as a number."""
    numbers = np.frombuffer(content, dtype=np.uint8).astype(np.uint32)
    return ((numbers[:-2] << 16) | (numbers[1:-1] << 8) | numbers[2:]).astype(np.uint32)


class Search:
    """The canaries in all their forms."""

    def __init__(self, canaries: Iterable[Canary]) -> None:
        exact: dict[bytes, _Meaning] = {}
        folded: dict[bytes, _Meaning] = {}
        for canary in canaries:
            for form, written, is_exact in _forms(canary.value):
                needles, needle = (exact, written) if is_exact else (folded, written.lower())
                needles.setdefault(needle, (canary.name, form))
        self._exact = _Needles(exact)
        self._folded = _Needles(folded)

    def text(self, text: str | bytes, place: str = "") -> list[Leak]:
        """The canaries in a text, each in one of its forms. Upper and lower case do not count, but in base64."""
        content = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        content += _texts_of_pictures(content)
        found = {**dict(self._exact.found_in(content)), **dict(self._folded.found_in(content.lower()))}
        return sorted(Leak(place, name, form) for name, form in found.items())

    def tree(self, root: Path, allowed: Allowed | None = None) -> list[Leak]:
        """The canaries in the files below `root` and in their names, but for those that may stand where they do."""
        leaks: list[Leak] = []
        for path in sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink()):
            place = str(path.relative_to(root))
            leaks += [*self.text(place, f"{place} (its name)"), *self.file(path, place)]
        return unexpected(leaks, allowed or {})

    def file(self, path: Path, place: str) -> list[Leak]:
        """The canaries in one file, whatever kind of file it is."""
        content = path.read_bytes()
        leaks = self.text(content, place)
        start, magic = _DUCKDB_MAGIC
        if content.startswith(_SQLITE_MAGIC):
            leaks += self._cells(sqlite_cells(path), place)
        elif content[start:].startswith(magic):
            leaks += self._cells(duckdb_cells(path), place)
        else:
            leaks += self.text(_unpacked(content), place)
        return leaks

    def _cells(self, columns: Iterable[tuple[str, list[Any]]], place: str) -> list[Leak]:
        return [leak for column, values in columns for leak in self.text(_joined(values), f"{place} {column}")]


def unexpected(leaks: Iterable[Leak], allowed: Allowed) -> list[Leak]:
    """The leaks that may not stand where they do."""
    return [leak for leak in leaks if leak.canary not in _allowed_at(leak.file, allowed)]


def _allowed_at(file: str, allowed: Allowed) -> set[str]:
    return {name for pattern, names in allowed.items() if Path(file).match(pattern) for name in names}


def sqlite_cells(path: Path) -> Iterator[tuple[str, list[Any]]]:
    """(table.column, values) of a SQLite file, and the statements that made it."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        # Whatever a column is declared as, any value may stand in it, and text that is no UTF-8
        database.text_factory = bytes
        yield from _by_column("sqlite_master", database.execute("SELECT * FROM sqlite_master"))
        names = [name.decode() for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            yield from _by_column(name, database.execute(f'SELECT * FROM "{name}"'))


def duckdb_cells(path: Path) -> Iterator[tuple[str, list[Any]]]:
    """(table.column, values as text) of a DuckDB file, and what its catalogue says: comments, views, macros."""
    with closing(duckdb.connect(path, read_only=True)) as database:
        for catalogue in ("schemas", "tables", "columns", "views", "functions", "types"):
            rows = database.execute(f"SELECT COLUMNS(*)::VARCHAR FROM duckdb_{catalogue}() WHERE NOT internal")
            yield from _by_column(catalogue, rows)
        tables = database.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
        for schema, table in tables:
            name = f'"{schema}"."{table}"'
            # A BLOB as text would be escapes: it comes as the bytes that it is
            yield from _by_column(
                f"{schema}.{table}", database.execute(f"SELECT {_as_text(database, name)} FROM {name}")
            )


def _as_text(database: duckdb.DuckDBPyConnection, table: str) -> str:
    described = database.execute(f"DESCRIBE {table}").fetchall()
    return ", ".join(
        f'"{column}"' if kind == "BLOB" else f'"{column}"::VARCHAR AS "{column}"' for column, kind, *_ in described
    )


def _by_column(name: str, found: Any) -> Iterator[tuple[str, list[Any]]]:
    columns = [column[0] for column in found.description]
    values: dict[str, list[Any]] = defaultdict(list)
    for row in found.fetchall():
        for column, value in zip(columns, row, strict=True):
            values[column].append(value)
    for column in columns:
        yield f"{name}.{column}", values[column]


def _joined(values: Iterable[Any]) -> bytes:
    parts = [value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass") for value in values]
    return b"\n".join([*parts, *filter(None, map(_unpacked, parts))])


def _unpacked(content: bytes) -> bytes:
    """What gzip or zlib have packed, as far as it goes; nothing for anything else."""
    try:
        return zlib.decompressobj(GZIP_OR_ZLIB).decompress(content)
    except zlib.error:
        return b""


def _texts_of_pictures(content: bytes) -> bytes:
    """What PNG pictures that stand in a text, as Dagster's pages show them, say beside their pixels."""
    whole = (found[: len(found) // 4 * 4] for found in _PICTURE.findall(content))  # a page of a database may cut it
    pictures = map(base64.b64decode, whole)
    return b"\n".join(text for picture in pictures for text in _texts_of_png(picture))


def _texts_of_png(picture: bytes) -> Iterator[bytes]:
    """The data of every chunk but the pixels', packed or not (PNG 5.3: length, type, data, checksum)."""
    place = len(_PNG_MAGIC)
    while place + 12 <= len(picture):
        length = int.from_bytes(picture[place : place + 4], "big")
        kind, data = picture[place + 4 : place + 8], picture[place + 8 : place + 8 + length]
        if kind != b"IDAT":
            yield data
            yield from filter(None, (_unpacked(data[at + 1 :]) for at in range(len(data)) if data[at] == 0))
        place += 12 + length


def _forms(value: str) -> Iterator[tuple[str, bytes, bool]]:
    """(name, bytes, whether upper and lower case count) of each way in which the value may stand somewhere."""
    for spelled in {value, value.upper(), value.lower(), value.casefold(), value.title()}:
        for name, write in _WRITINGS.items():
            written = write(spelled)
            yield name, written, False
            yield f"{name}, in hex", written.hex().encode(), False
            for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
                for alignment in range(3):
                    yield f"{name}, in base64", _within_base64(alphabet, written, alignment), True
        digits = _NO_DIGITS.sub("", spelled)
        if len(digits) >= _DIGITS_OF_A_PHONE:
            yield "its digits", digits.encode(), False
        for encoding in ("latin-1", "utf-16-le", "utf-16-be"):
            yield f"as {encoding}", spelled.encode(encoding, "replace"), False


def _json_escaped(value: str, depth: int = 1, *, ascii_only: bool = True) -> str:
    for _ in range(depth):
        value = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
    return value


_WRITINGS: Mapping[str, Callable[[str], bytes]] = {
    "as it is": str.encode,
    "URL-encoded": lambda value: quote(value, safe="").encode(),
    "URL-encoded but for slashes": lambda value: quote(value).encode(),
    "form-encoded": lambda value: quote_plus(value).encode(),
    "in JSON": lambda value: _json_escaped(value).encode(),
    "in JSON as UTF-8": lambda value: _json_escaped(value, ascii_only=False).encode(),
    "in JSON in JSON": lambda value: _json_escaped(value, 2).encode(),
    "in JSON in JSON in JSON": lambda value: _json_escaped(value, 3).encode(),
    "in HTML": lambda value: html.escape(value).encode(),
    "in SQL": lambda value: value.replace("'", "''").encode(),
    "as DuckDB shows records": lambda value: value.replace("\\", "\\\\").replace("'", "\\'").encode(),
    "as Python shows bytes": lambda value: repr(value.encode())[2:-1].encode(),
    "as Python shows text": lambda value: ascii(value)[1:-1].encode(),
}


def _within_base64(encode: Callable[[bytes], bytes], value: bytes, alignment: int) -> bytes:
    """What is always there of the value in the base64 of a longer text, `alignment` bytes after a group of three."""
    encoded = encode(b"\0" * alignment + value).rstrip(b"=")
    shared_at_start = (0, 2, 3)[alignment]
    shared_at_end = 0 if (alignment + len(value)) % 3 == 0 else 1
    return encoded[shared_at_start : len(encoded) - shared_at_end]
