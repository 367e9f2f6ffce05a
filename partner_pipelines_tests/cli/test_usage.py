"""What a user can get wrong before anything is called: one clear line, exit status 2, nothing made."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from partner_pipelines import __version__
from partner_pipelines_tests.cli.program import PROGRAM, Program, only_line, wait_until

# words, what the line says
WRONG_WORDS = [
    (["bogus"], "No such command 'bogus'"),
    (["sync", "--bogus"], "No such option: --bogus"),
    (["query"], "Missing argument 'SQL'"),
    (["query", "SELECT 1", "--format", "xml"], "'xml' is not one of 'table', 'csv', 'json'"),
    (["sandbox", "--port", "99999"], "'--port'"),
    (["sandbox", "--latency-ms", "-1"], "'--latency-ms'"),
    (["demo", "--properties", "many"], "'--properties'"),
    (["up", "--port", "0"], "'--port'"),
    (["push", "/nowhere.csv"], "Invalid value for 'KIND': '/nowhere.csv' is not one of 'leads', 'employees', "),
    (["audit", "bogus"], "No such command 'bogus'"),
]

# words, variables, what the line says
WRONG_SETTINGS: list[tuple[list[str], dict[str, str], str]] = [
    (["sync"], {"PARTNER_ENV": "test"}, "PARTNER_ENV is 'test': it takes sandbox, staging or production"),
    (["sync"], {"PARTNER_ENV": "production"}, "RESMAN_CLIENT_ID and RESMAN_CLIENT_SECRET are not set"),
    (["sync"], {"RESMAN_SCOPES": "leads pets"}, "RESMAN_SCOPES is 'leads pets': 'pets' is no scope"),
    (["sync"], {"OPENMOOVE_API_KEY": "k", "OPENMOOVE_BASE_URL": "http://example.com"}, "OPENMOOVE_BASE_URL"),
    (["up"], {"PARTNER_ENV": "production"}, "no partner is configured"),
    (["sync"], {"PARTNER_CONNECTIONS": "/nonexistent.toml"}, "/nonexistent.toml cannot be read"),
    (["query", "SELECT 1"], {"PARTNER_ENV": "test"}, "PARTNER_ENV"),
]


@pytest.mark.parametrize(("words", "said"), WRONG_WORDS, ids=lambda value: " ".join(value) if value else "")
def test_a_wrong_word_is_one_line_that_says_where_the_help_is(program: Program, words: list[str], said: str) -> None:
    finished = program.run(*words)
    assert finished.returncode == 2
    assert finished.stdout == ""
    line = only_line(finished)
    assert said in line
    assert line.endswith("--help")


@pytest.mark.parametrize(("words", "variables", "said"), WRONG_SETTINGS, ids=str)
def test_a_wrong_setting_is_one_line_that_names_it(
    program: Program, words: list[str], variables: dict[str, str], said: str
) -> None:
    finished = program.run(*words, **variables)
    assert finished.returncode == 2
    assert said in only_line(finished)
    assert not (program.place / "audit").exists()


@pytest.mark.parametrize(
    "words", [["sync"], ["demo"], ["up"], ["query", "SELECT 1"], ["audit", "verify"]], ids=" ".join
)
def test_a_data_directory_that_is_a_file_is_a_wrong_setting(program: Program, words: list[str]) -> None:
    program.place.write_text("mine")
    finished = program.run(*words)
    assert finished.returncode == 2
    assert only_line(finished).startswith("PARTNER_DATA_DIR is '")
    assert "it is a file; it takes a directory" in only_line(finished)
    assert program.place.read_text() == "mine"
    below = program.run(*words, PARTNER_DATA_DIR=str(program.place / "data" / "here"))
    assert below.returncode == 2
    assert f"{program.place} is a file; it takes a directory" in only_line(below)


@pytest.mark.parametrize(
    "words",
    [["--help"], ["-h"], ["sync", "--help"], ["sandbox", "--help"], ["query", "--help"], ["audit", "verify", "--help"]],
    ids=" ".join,
)
def test_help_is_there_and_waits_for_no_heavy_import(program: Program, words: list[str]) -> None:
    imported = _imported_by(program, *words)
    assert imported.returncode == 0
    assert "Usage: " in imported.stdout
    assert not {"dagster", "duckdb", "pandas"} & _modules(imported.stderr)


def test_query_and_verify_do_not_import_dagster(reader: Program) -> None:
    for words in (["query", "SELECT 1"], ["audit", "verify"]):
        imported = _imported_by(reader, *words)
        assert imported.returncode == 0, imported.stderr
        assert not {"dagster", "pandas"} & _modules(imported.stderr)


def test_the_version_is_printed(program: Program) -> None:
    assert program.run("--version").stdout == f"partner-pipelines {__version__}\n"


def test_without_words_the_help_comes_with_status_2(program: Program) -> None:
    finished = program.run()
    assert finished.returncode == 2
    assert "Usage: " in finished.stdout
    assert finished.stderr == ""


@pytest.mark.parametrize(
    "line", ["query 'FROM range(300000)'", "query --format csv 'FROM range(300000)'", "--help"], ids=str
)
def test_a_reader_that_goes_away_hears_no_complaint(reader: Program, line: str) -> None:
    finished = _shell(reader, f"{PROGRAM} {line} | head -n 1")
    assert (finished.returncode, finished.stderr) == (0, "")


@pytest.mark.parametrize("form", ["table", "csv"])
def test_output_that_is_closed_is_thrown_away_and_a_full_one_is_named(reader: Program, form: str) -> None:
    closed = _shell(reader, f"{PROGRAM} query --format {form} 'SELECT 1' >&-")
    assert (closed.returncode, closed.stderr) == (0, "")
    full = _shell(reader, f"{PROGRAM} query --format {form} 'SELECT 1' >/dev/full")
    assert full.returncode == 1
    assert "No space left on device" in only_line(full)


# where the interpreter is when Ctrl-C comes: file, function
EARLY = [("cli/words.py", "<module>"), ("typer/main.py", "get_command"), ("cli/app.py", "_mend_streams")]


@pytest.mark.parametrize(("file", "function"), EARLY, ids=str)
def test_ctrl_c_is_one_line_from_the_first_moment(program: Program, file: str, function: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, file, function],
        env=program.environ,
        cwd=program.home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.returncode, finished.stdout) == (1, "")
    assert finished.stderr == "partner-pipelines: interrupted\n"


INTERRUPTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
file, function = sys.argv[1:]
sys.argv = ["partner-pipelines", "--version"]
def look(frame, event, _):
    if event == "call" and frame.f_code.co_name == function and frame.f_code.co_filename.endswith(file):
        sys.setprofile(None)
        signal.raise_signal(signal.SIGINT)
from partner_pipelines.cli import main
sys.setprofile(look)
main()
"""


def test_ctrl_c_in_a_long_query_is_one_line(reader: Program) -> None:
    with reader.started("query", "SELECT count(*) FROM range(1000000000) a, range(1000) b") as process:
        wait_until(lambda: _cpu_seconds(process.pid) > 3, "DuckDB is at work, not Python's imports", 120)
        process.send_signal(signal.SIGINT)
        output, complaints = process.communicate(timeout=60)
    assert (process.returncode, output, complaints) == (1, "", "partner-pipelines: interrupted\n")


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _imported_by(program: Program, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "partner_pipelines", *words],
        env=program.environ,
        cwd=program.home,
        capture_output=True,
        text=True,
        check=False,
    )


def _modules(importtime: str) -> set[str]:
    return {line.rpartition("|")[2].strip() for line in importtime.splitlines() if line.startswith("import time:")}


def _shell(program: Program, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", line], env=program.environ, cwd=program.home, capture_output=True, text=True, check=False
    )
