"""`query`, on what a demo published."""

from __future__ import annotations

import csv
import io
import json
import shutil

import pytest

from partner_pipelines_tests.cli.program import Program, only_line
from partner_pipelines_tests.modes import MODES_HOLD


def test_a_table_has_a_head_and_a_line_for_each_row(reader: Program) -> None:
    finished = reader.run("query", "SELECT range AS n, 'x' AS t, NULL AS nothing FROM range(8, 11) ORDER BY n")
    head, rule, *rows = finished.stdout.splitlines()
    assert head == " n │ t │ nothing"
    assert rule == "───┼───┼────────"
    assert rows == [" 8 │ x │", " 9 │ x │", "10 │ x │"]


def test_csv_and_json_can_be_read_back(reader: Program) -> None:
    sql = "SELECT id, address, created_at, deleted_at FROM openmoove.properties ORDER BY id LIMIT 3"
    rows = json.loads(reader.run("query", sql, "--format", "json").stdout)
    read = list(csv.DictReader(io.StringIO(reader.run("query", sql, "--format", "csv").stdout)))
    assert [str(row["id"]) for row in rows] == [row["id"] for row in read]
    assert [row["address"] for row in rows] == [row["address"] for row in read]
    assert rows[0]["deleted_at"] is None


def test_json_says_null_for_what_is_no_number_and_keeps_equal_names_apart(reader: Program) -> None:
    finished = reader.run("query", "SELECT 'nan'::double AS a, 2 AS a, 3 AS a_1", "--format", "json")
    assert json.loads(finished.stdout, parse_constant=pytest.fail) == [{"a": None, "a_2": 2, "a_1": 3}]


def test_csv_and_json_print_the_same_of_what_has_no_word_in_them(reader: Program) -> None:
    sql = """
        SELECT ['a', 'é'] AS list, {'b': NULL, 'c': ['nan'::double, 1.5], 'd': DATE '2026-01-02'} AS struct,
            '\\x00\\xff'::blob AS bytes, MAP {DATE '2026-01-02': 'x'::blob} AS map, 'inf'::double AS a, 7 AS a
    """
    (row,) = json.loads(reader.run("query", sql, "--format", "json").stdout, parse_constant=pytest.fail)
    struct = {"b": None, "c": [None, 1.5], "d": "2026-01-02"}
    meant = {"list": ["a", "é"], "struct": struct, "bytes": "00ff", "map": {"2026-01-02": "78"}, "a": None, "a_1": 7}
    assert row == meant
    (read,) = csv.DictReader(io.StringIO(reader.run("query", sql, "--format", "csv").stdout))
    texts = {name: read[name] for name in ("bytes", "a", "a_1")}
    assert list(read) == list(meant)
    assert texts == {"bytes": "00ff", "a": "", "a_1": "7"}
    assert {name: json.loads(read[name]) for name in ("list", "struct", "map")} == {
        name: meant[name] for name in ("list", "struct", "map")
    }


@pytest.mark.parametrize("words", [["SHOW TABLES"], [" show tables ; "], ["SHOW TABLES", "--full"]], ids=str)
def test_show_tables_names_what_can_be_read(reader: Program, words: list[str]) -> None:
    head, *lines = reader.run("query", *words, "--format", "csv").stdout.splitlines()
    assert head == "name"
    assert {"resman.units", "openmoove.properties", "audit.api_calls", "history.units", "marts.lead_funnel"} <= set(
        lines
    )
    assert lines == sorted(lines)
    assert not [line for line in lines if line.startswith(("internal.", "vault.", "published."))]


def test_what_a_partner_sends_does_not_command_the_terminal(reader: Program) -> None:
    finished = reader.run("query", "SELECT chr(27) || '[31m' || chr(10) || 'é' AS address")
    assert "\x1b" not in finished.stdout
    assert r"\x1b[31m\né" in finished.stdout


def test_personal_values_are_tokens_unless_full_is_asked_for(reader: Program) -> None:
    sql = "SELECT email FROM resman.leads ORDER BY id LIMIT 1"
    (token,) = json.loads(reader.run("query", sql, "--format", "json").stdout)
    (value,) = json.loads(reader.run("query", sql, "--format", "json", "--full").stdout)
    assert token["email"].startswith("email_")
    assert "@" in value["email"]


def test_who_may_not_read_state_may_query_but_not_in_full(reader: Program, passable: Program) -> None:
    """On a copy of what is published: `state/` is shut to its owner too, should it be he who asks."""
    place = passable.place
    shutil.copytree(reader.place / "warehouse", place / "warehouse", symlinks=True)
    (place / "state" / "vault").mkdir(parents=True)
    (place / "state").chmod(0)
    counted = passable.run("query", "SELECT count(*) FROM resman.leads", "--format", "csv", before=MODES_HOLD)
    refused = passable.run("query", "--full", "SELECT 1", before=MODES_HOLD)
    (place / "state").chmod(0o700)
    assert (counted.returncode, int(counted.stdout.splitlines()[1]) > 0) == (0, True)
    assert refused.returncode == 1
    assert "vault" in only_line(refused)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT * FROM resman.houses", "houses"),
        ("SELECT * FROM resman.unit", 'Did you mean "'),
        ("SELECT rent FROM resman.units", '"market_rent"'),
        ("DROP TABLE resman.units", "DROP is refused"),
        ("SELECT 1; SELECT 2", "one statement at a time"),
        ("", "one statement at a time"),
        ("SELECT * FROM read_csv('/etc/passwd')", "disabled"),
        ("SELECT '\udcff'", "no text"),
    ],
)
def test_wrong_sql_is_one_line(reader: Program, sql: str, said: str) -> None:
    finished = reader.run("query", sql)
    assert finished.returncode == 2
    assert said in only_line(finished)


def test_nothing_published_yet_says_what_to_do_and_makes_nothing(program: Program) -> None:
    finished = program.run("query", "SELECT 1")
    assert finished.returncode == 2
    assert only_line(finished) == f"nothing is published yet in {program.place}: run partner-pipelines sync"
    assert not program.place.exists()


def test_settings_that_a_reader_does_not_need_may_be_wrong(reader: Program) -> None:
    wrong = {
        "RESMAN_SCOPES": "pets",
        "PARTNER_CONNECTIONS": "/nonexistent",
        "RESMAN_CLIENT_SECRET": "file:/nonexistent",
    }
    assert reader.run("query", "SELECT 1", **wrong).returncode == 0


def test_another_environment_than_the_data_directorys_is_refused(reader: Program) -> None:
    finished = reader.run("query", "SELECT 1", PARTNER_ENV="production")
    assert finished.returncode == 2
    assert "belongs to the environment 'sandbox'" in only_line(finished)
