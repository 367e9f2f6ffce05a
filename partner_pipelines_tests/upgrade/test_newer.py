"""A file that a newer version of the program wrote is refused with one line, and nothing at all is changed."""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from partner_pipelines_tests.cli.program import Program, only_line
from partner_pipelines_tests.upgrade.earlier import Earlier


def _stamp(data: Path) -> Path:
    return _replace(data / "environment.json", b'"schema": 1', b'"schema": 2')


def _segment(data: Path) -> Path:
    (path,) = (path for path in (data / "audit" / "segments").glob("*.jsonl") if b'"closed"' not in path.read_bytes())
    return _replace(path, b'"schema":1', b'"schema":2')


def _checkpoint(data: Path) -> Path:
    path = data / "audit" / "checkpoints" / "000000001.jsonl"
    path.parent.mkdir()
    path.write_text('{"kind":"checkpoint","schema":2,"number":1}\n')
    return path


def _token(data: Path) -> Path:
    return _replace(_only(data / "state" / "tokens", "*.json"), b'"schema": 1', b'"schema": 2')


def _ledger(data: Path) -> Path:
    return _replace(_only(data / "state" / "budget", "openmoove-*.ledger"), b"PPLEDGER\x01", b"PPLEDGER\x02")


def _landed(data: Path) -> Path:
    """Lines that say no number are of schema 1: the fixture's commit landed such."""
    return _replace(_only(data / "state" / "landing", "*/*.jsonl"), b'{"source"', b'{"schema":2,"source"')


def _vault(data: Path) -> Path:
    path = data / "state" / "vault" / "vault.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 3")
    return path


def _outbox(data: Path) -> Path:
    path = data / "outbox" / "outbox.sqlite"
    path.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 3")
    return path


def _scopes(data: Path) -> Path:
    path = data / "state" / "scopes" / "resman-0.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"schema": 2}))
    return path


def _warehouse(data: Path) -> Path:
    path = data / "warehouse" / "working.duckdb"
    with closing(duckdb.connect(path)) as database:
        database.execute("UPDATE internal.meta SET value = '99' WHERE name = 'schema'")
    return path


def _warehouse_of_a_newer_duckdb(data: Path) -> Path:
    """DuckDB's main header: its checksum, `DUCK`, the storage version."""
    path = data / "warehouse" / "working.duckdb"
    content = bytearray(path.read_bytes())
    content[12:20] = struct.pack("<Q", 999)
    checksum = 5381
    for (word,) in struct.iter_unpack("<Q", content[8:4096]):
        checksum ^= word * 0xBF58476D1CE4E5B9 % 2**64
    content[:8] = struct.pack("<Q", checksum)
    path.write_bytes(content)
    return path


def _dagster(data: Path) -> Path:
    return _replace(data / "dagster" / "partner_pipelines.json", b'"schema": 1', b'"schema": 2')


def _replace(path: Path, old: bytes, new: bytes) -> Path:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    return path


def _only(directory: Path, pattern: str) -> Path:
    (path,) = directory.glob(pattern)
    return path


NEWER = [
    *(_stamp, _segment, _checkpoint, _token, _ledger, _landed, _vault, _scopes, _outbox),
    *(_warehouse, _warehouse_of_a_newer_duckdb, _dagster),
]


@pytest.mark.parametrize("make_newer", NEWER, ids=lambda make: make.__name__)
def test_a_sync_refuses_it_and_changes_nothing(tmp_path: Path, make_newer: Callable[[Path], Path]) -> None:
    earlier = Earlier.unpack(tmp_path)
    path = make_newer(earlier.data)
    before = earlier.contents()
    finished = Program(tmp_path, earlier.data).run("sync")
    assert finished.returncode == 2, finished.stderr
    line = only_line(finished)
    assert line.startswith(f"{path} was written by a newer version of partner-pipelines (")
    assert line.endswith("): upgrade this program, or use another PARTNER_DATA_DIR")
    assert earlier.contents() == before


@pytest.mark.parametrize("words", [["up"], ["query", "SELECT 1"], ["audit", "verify"], ["receiver"]], ids=" ".join)
def test_every_command_refuses_a_newer_data_directory(tmp_path: Path, words: list[str]) -> None:
    earlier = Earlier.unpack(tmp_path)
    path = _stamp(earlier.data)
    finished = Program(tmp_path, earlier.data).run(*words)
    assert finished.returncode == 2, finished.stderr
    assert only_line(finished).startswith(f"{path} was written by a newer version")
