"""The search finds what is planted: each kind of value, in each kind of store, in each form."""

from __future__ import annotations

import base64
import gzip
import json
import pickle
import sqlite3
import zlib
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, quote_plus, urlencode

import duckdb
import pytest

from partner_pipelines_tests.leaks.search import Canary, Leak, Search

Plant = Callable[[Path, Sequence[str]], None]

KINDS = {
    "client secret": 'zq1+S/e=c et:é"%',
    "access token": "zq2-3.A~b_c",
    "API key": "om_zq3 key+1é",
    "webhook secret": "whsec_zq4/+==",
    "e-mail": "zq5.O'Doe+x@canary.example",
    "phone": "+15550104711",
    "name": "Zqarína O'Döe",
}
SEARCH = Search(Canary(name, value) for name, value in KINDS.items())
AROUND = [("", ""), ("a", "b"), ("ab", "c"), ("abc", "def")]


def found_in(content: str | bytes) -> set[str]:
    return {leak.canary for leak in SEARCH.text(content)}


FORMS: dict[str, Callable[[str], str | bytes]] = {
    "raw": lambda value: f"before {value} after",
    "upper case": lambda value: f"before {value.upper()} after",
    "lower case": lambda value: f"before {value.lower()} after",
    "title case": lambda value: f"before {value.title()} after",
    "UTF-16": lambda value: f"before {value} after".encode("utf-16"),
    "Latin-1": lambda value: f"before {value} after".encode("latin-1"),
    "hex": lambda value: f"before {value} after".encode().hex(),
    "HEX": lambda value: f"before {value} after".encode().hex().upper(),
    "URL": lambda value: quote(f"before {value} after"),
    "url in lower case": lambda value: quote(f"before {value} after", safe="").lower(),
    "form": lambda value: urlencode({"before": f"before {value} after"}),
    "JSON": lambda value: json.dumps({"before": f"before {value} after"}),
    "JSON in UTF-8": lambda value: json.dumps({"before": f"before {value} after"}, ensure_ascii=False),
    "JSON in JSON": lambda value: json.dumps({"before": json.dumps([json.dumps(f"before {value} after")])}),
    "repr": lambda value: repr([f"before {value} after"]),
    "repr of bytes": lambda value: repr([f"before {value} after".encode()]),
    "pickle": lambda value: pickle.dumps({"before": value}),
    "Basic": lambda value: base64.b64encode(f"client:{quote_plus(value)}".encode()),
    "JSON in base64": lambda value: base64.b64encode(json.dumps({"before": value}).encode()),
}


@pytest.mark.parametrize("value", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("form", FORMS)
def test_a_planted_value_is_found_in_each_form(form: str, value: str) -> None:
    name = next(name for name in KINDS if KINDS[name] == value)
    assert found_in(FORMS[form](value)) == {name}


@pytest.mark.parametrize("value", KINDS.values(), ids=KINDS)
def test_base64_is_found_wherever_the_value_begins(value: str) -> None:
    for before, after in AROUND:
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            assert found_in(b"x" + encode(f"{before}{value}{after}".encode()) + b"x")


def test_what_is_not_there_is_not_found() -> None:
    nearly = " ".join(value[::-1] for value in KINDS.values())
    assert found_in(nearly + base64.b64encode(nearly.encode()).decode() + nearly.encode().hex()) == set()


def plant_in_text(path: Path, values: Sequence[str]) -> None:
    path.write_text("".join(f'{{"level": "debug", "row": {json.dumps(value)}}}\n' for value in values))


def plant_in_a_packed_file(path: Path, values: Sequence[str]) -> None:
    path.write_bytes(gzip.compress(f"before {values}".encode()))


def plant_in_names(path: Path, values: Sequence[str]) -> None:
    for value in values:
        path.with_name(quote(value, safe="")).write_text("")


def plant_in_sqlite(column: str, plant: Callable[[str], object] = str) -> Plant:
    def make(path: Path, values: Sequence[str]) -> None:
        with closing(sqlite3.connect(path)) as database:
            database.execute(f'CREATE TABLE "event logs" (id INTEGER, body {column})')
            rows = [*(f"row {number}" * 50 for number in range(300)), *map(plant, values)]
            database.executemany('INSERT INTO "event logs" VALUES (0, ?)', [[row] for row in rows])
            database.commit()

    return make


def plant_in_deleted_rows(path: Path, values: Sequence[str]) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA secure_delete = OFF")
        database.execute("CREATE TABLE t (body TEXT)")
        database.executemany("INSERT INTO t VALUES (?)", [[value * 20] for value in values])
        database.execute("DELETE FROM t")
        database.commit()


def plant_in_duckdb(kind: str, expression: str) -> Plant:
    """Among many like it, so that DuckDB compresses them."""

    def make(path: Path, values: Sequence[str]) -> None:
        with closing(duckdb.connect(path)) as database:
            database.execute("CREATE SCHEMA audit")
            database.execute(f'CREATE TABLE audit."odd name" (id INTEGER, body {kind})')
            given = [[*(f"person {number:05}@canary.example" for number in range(5000)), *values]]
            database.execute(f'INSERT INTO audit."odd name" SELECT 1, {expression} FROM (SELECT unnest(?) AS v)', given)
            database.execute("CHECKPOINT")

    return make


def plant_in_the_catalogue(path: Path, values: Sequence[str]) -> None:
    with closing(duckdb.connect(path)) as database:
        for number, value in enumerate(values):
            database.execute(f"CREATE TABLE t{number} (id INTEGER)")
            database.execute(f"COMMENT ON COLUMN t{number}.id IS '{value.replace(chr(39), chr(39) * 2)}'")


STORES: dict[str, Plant] = {
    "a log": plant_in_text,
    "a packed file": plant_in_a_packed_file,
    "names of files": plant_in_names,
    "SQLite, text": plant_in_sqlite("TEXT"),
    "SQLite, text in a column of numbers": plant_in_sqlite("INTEGER"),
    "SQLite, JSON": plant_in_sqlite("TEXT", lambda value: json.dumps({"message": json.dumps([value])})),
    "SQLite, bytes": plant_in_sqlite("BLOB", str.encode),
    "SQLite, packed bytes": plant_in_sqlite("BLOB", lambda value: zlib.compress(value.encode())),
    "SQLite, deleted rows": plant_in_deleted_rows,
    "DuckDB, text": plant_in_duckdb("VARCHAR", "v"),
    "DuckDB, JSON": plant_in_duckdb("JSON", "to_json({'extra': {'name': v}})"),
    "DuckDB, a list of records": plant_in_duckdb("STRUCT(a VARCHAR)[]", "[{'a': v}]"),
    "DuckDB, bytes": plant_in_duckdb("BLOB", "encode(v)"),
    "DuckDB, comments": plant_in_the_catalogue,
}


@pytest.mark.parametrize("store", STORES)
def test_planted_values_are_found_in_each_store(store: str, tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    STORES[store](tmp_path / "deep" / "er" / "planted", list(KINDS.values()))
    leaks = SEARCH.tree(tmp_path)
    assert {leak.canary for leak in leaks} == set(KINDS)
    assert all(leak.place.startswith("deep/er/") for leak in leaks)


def test_compressed_strings_of_duckdb_are_found_by_their_column_where_the_bytes_show_nothing(tmp_path: Path) -> None:
    value = KINDS["e-mail"]
    plant_in_duckdb("VARCHAR", "v")(tmp_path / "warehouse.duckdb", [value])
    assert SEARCH.text((tmp_path / "warehouse.duckdb").read_bytes()) == []
    assert SEARCH.tree(tmp_path) == [Leak("warehouse.duckdb audit.odd name.body", "e-mail", "as it is")]


def test_what_may_stand_in_a_place_may_stand_there_alone(tmp_path: Path) -> None:
    (tmp_path / "state" / "vault").mkdir(parents=True)
    plant_in_sqlite("TEXT")(tmp_path / "state" / "vault" / "vault.sqlite", [KINDS["name"]])
    allowed = {"state/vault/*": {"name", "phone"}}
    assert SEARCH.tree(tmp_path, allowed) == []
    assert SEARCH.tree(tmp_path, {"state/tokens/*": {"name"}}) != []
    plant_in_text(tmp_path / "state" / "vault" / "log", [KINDS["API key"]])
    assert {leak.canary for leak in SEARCH.tree(tmp_path, allowed)} == {"API key"}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("value", KINDS.values(), ids=KINDS)
def test_what_a_picture_says_beside_its_pixels_is_found(value: str, packed: bool, tmp_path: Path) -> None:
    """As Dagster's storage has pictures: base64 in JSON in a cell."""
    said = b"\0".join([b"Comment", b"\0" + zlib.compress(value.encode())] if packed else [b"Comment", value.encode()])
    chunk = len(said).to_bytes(4, "big") + (b"zTXt" if packed else b"tEXt") + said
    picture = b"\x89PNG\r\n\x1a\n" + chunk + zlib.crc32(chunk[4:]).to_bytes(4, "big")
    event = json.dumps({"md": f"![picture](data:image/png;base64,{base64.b64encode(picture).decode()})"})
    with closing(sqlite3.connect(tmp_path / "index.db")) as database:
        database.execute("CREATE TABLE event_logs (event TEXT)")
        database.execute("INSERT INTO event_logs VALUES (?)", [event])
        database.commit()
    name = next(name for name in KINDS if KINDS[name] == value)
    assert {leak.canary for leak in SEARCH.tree(tmp_path)} == {name}
