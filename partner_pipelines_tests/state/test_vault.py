from __future__ import annotations

import multiprocessing
import sqlite3
import stat
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from partner_pipelines.errors import NewerSchemaError, StateError
from partner_pipelines.state.vault import Vault, VaultRow

AT = datetime(2026, 1, 2, tzinfo=UTC)
AWKWARD = ["", "O'Neill; DROP TABLE person_values;--", '{"a": "b"}', "Łucja 😀", "a\x00b", "\u202eabc", " x "]


def row(value: str | None, person: str = "1", name: str = "email", at: datetime = AT) -> VaultRow:
    return VaultRow("elm", "resman.leads", person, name, value, at)


def values(vault: Vault) -> dict[tuple[str, str], str | None]:
    return {(found.person_id, found.field): found.value for found in vault.read_all()}


def counter(path: Path) -> bytes:
    """SQLite's own count of the file's changes (file format, 1.3: bytes 24 to 27)."""
    return path.read_bytes()[24:28]


def test_values_come_back_exactly_as_they_went_in(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "vault.sqlite")
    rows = [row(value, str(number)) for number, value in enumerate(AWKWARD)]
    vault.put(rows)
    assert sorted(vault.read_all()) == sorted(rows)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.text(max_size=5), st.integers(0, 5)), max_size=12))
def test_the_latest_value_stays_whatever_the_order(tmp_path: Path, puts: list[tuple[str, str | None, int]]) -> None:
    path = tmp_path / "vault.sqlite"
    path.unlink(missing_ok=True)
    vault, kept = Vault(path), dict[str, tuple[str, int]]()
    for person, value, late in puts:
        vault.put([row(value, person, at=AT + timedelta(seconds=late))])
        before = kept.get(person)
        if before is not None and (late < before[1] or value == before[0]):
            continue
        kept.pop(person, None)
        if value is not None:
            kept[person] = (value, late)
    assert values(vault) == {(person, "email"): value for person, (value, _) in kept.items()}


def test_unchanged_values_cost_no_write(tmp_path: Path) -> None:
    path = tmp_path / "vault.sqlite"
    vault = Vault(path)
    rows = [row(f"value {number}", str(number)) for number in range(2_000)]
    vault.put([*rows, row(None, "nobody")])
    before = counter(path), path.stat().st_mtime_ns

    vault.put([found._replace(as_of=AT + timedelta(days=1)) for found in [*rows, row(None, "nobody")]])
    assert (counter(path), path.stat().st_mtime_ns) == before
    vault.put([row("another", "7", at=AT + timedelta(days=2))])
    assert counter(path) != before[0]


def test_a_value_that_the_partner_no_longer_has_goes(tmp_path: Path) -> None:
    path = tmp_path / "vault.sqlite"
    vault = Vault(path)
    vault.put([row("canary@example.com"), row("other@example.com", "2")])
    vault.put([row(None, at=AT - timedelta(seconds=1))])
    assert len(values(vault)) == 2
    vault.put([row(None)])
    assert values(vault) == {("2", "email"): "other@example.com"}
    assert b"canary" not in path.read_bytes(), "secure_delete overwrites what is deleted"


def test_the_file_is_for_its_owner_alone_and_its_journal_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "vault" / "vault.sqlite"
    Vault(path).put([row("x")])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert sorted(found.name for found in path.parent.iterdir()) == ["vault.sqlite", "vault.sqlite.lock"]
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def put_many(path: Path, process: int) -> None:
    vault = Vault(path)
    for batch in range(20):
        vault.put([row(f"{process}-{batch}-{number}", f"{process}-{batch}-{number}") for number in range(20)])


def test_many_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "vault.sqlite"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=put_many, args=(path, number)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    found = values(Vault(path))
    assert len(found) == 4 * 20 * 20
    assert all(value == person for (person, _), value in found.items())


def test_only_one_connection_is_read_when_asked(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "vault.sqlite")
    vault.put([row("x"), row("y")._replace(connection="oak")])
    assert [found.value for found in vault.read_all("oak")] == ["y"]


def test_no_vault_yet_has_no_values_and_is_not_made(tmp_path: Path) -> None:
    assert list(Vault(tmp_path / "vault.sqlite").read_all()) == []
    assert list(tmp_path.iterdir()) == []


def test_errors_are_ours_and_say_no_value(tmp_path: Path) -> None:
    path = tmp_path / "vault.sqlite"
    path.write_bytes(b"this is no database, " * 100)
    with pytest.raises(StateError, match=r"the vault .*vault\.sqlite cannot be used") as caught:
        Vault(path).put([row("canary@example.com")])
    assert "canary" not in str(caught.value)
    assert "canary" not in repr(row("canary@example.com"))


def test_a_newer_vault_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vault.sqlite"
    Vault(path).put([row("x")])
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(NewerSchemaError, match="schema 99"):
        Vault(path).put([row("y")])
