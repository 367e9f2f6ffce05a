"""Rows from files: `<collection>.jsonl[.gz]`, each line the JSON that the API returns for one item."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING, Any

import orjson

from partner_pipelines.sandbox.store import PARTNER_COLLECTIONS, PROPERTIES, Key, Row, Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


SUFFIXES = (".jsonl", ".jsonl.gz")


class BadSeedError(Exception):
    """A seed file that cannot be served; the message names the file and the line."""


def load_seed(store: Store, directory: Path) -> None:
    """Fill the store from a directory; a collection without a file stays empty, but not all of them.

    Raises:
        BadSeedError: the directory or a file cannot be read, or a line is not a row.
    """
    if not directory.is_dir():
        raise BadSeedError(f"{directory}: no such directory")
    if not any((directory / f"{name}{suffix}").exists() for name in PARTNER_COLLECTIONS for suffix in SUFFIXES):
        names = ", ".join(PARTNER_COLLECTIONS)
        raise BadSeedError(f"{directory}: no file to serve; it takes NAME.jsonl or NAME.jsonl.gz, NAME one of {names}")
    for name in PARTNER_COLLECTIONS:
        found = [path for suffix in SUFFIXES if (path := directory / f"{name}{suffix}").exists()]
        if len(found) > 1:
            raise BadSeedError(f"{found[0]}: stands beside {found[1].name}; keep one of them")
        if found:
            store.load(name, _read_rows(name, found[0]))


def _read_rows(name: str, path: Path) -> Iterator[Row]:
    first_seen: dict[Key, int] = {}
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                row = _read_row(name, line, f"{path}:{number}")
                earlier = first_seen.setdefault(row["id"], number)
                if earlier != number:
                    raise BadSeedError(f"{path}:{number}: id {row['id']!r} stands on line {earlier} already")
                yield row
    except (OSError, EOFError, zlib.error) as error:
        raise BadSeedError(f"{path}:{number + 1}: cannot be read ({error})") from error


def _read_row(name: str, line: bytes, where: str) -> Row:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadSeedError(f"{where}: not JSON ({error})") from error
    wrong = _wrong_with(name, row)
    if wrong:
        raise BadSeedError(f"{where}: {wrong}")
    return row  # type: ignore[no-any-return]  # _wrong_with has seen that it is an object


def _wrong_with(name: str, row: Any) -> str | None:
    if not isinstance(row, dict):
        return "not a JSON object"
    if name != PROPERTIES:
        return None if isinstance(row.get("id"), str) and row["id"] else "no id, or not a string"
    if not isinstance(row.get("id"), int) or isinstance(row["id"], bool):
        return "no id, or not a whole number"
    milestones = row.get("milestones", [])
    if not isinstance(milestones, list) or not all(isinstance(item, dict) and "id" in item for item in milestones):
        return "milestones is not a list of objects with an id"
    return None
