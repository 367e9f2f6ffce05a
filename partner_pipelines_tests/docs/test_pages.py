"""The pages say what is: their commands run, what they name is there."""

from __future__ import annotations

import json
import re
import signal
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from partner_pipelines.cli.app import app
from partner_pipelines.settings import describe_settings, load_settings
from partner_pipelines_tests.cli.finished_demo import FinishedDemo
from partner_pipelines_tests.cli.program import Program
from partner_pipelines_tests.docs.doctor_page import doctor_page
from partner_pipelines_tests.docs.pages import (
    PAGES,
    PROGRAM,
    ROOT,
    blocks,
    code_spans,
    commands,
    links,
    variables,
    words_of,
)
from partner_pipelines_tests.docs.recovery_page import recovery_page
from partner_pipelines_tests.docs.settings_page import settings_page

README = ROOT / "README.md"
QUERIES = [command for command in commands(README) if command.startswith(f"{PROGRAM} query")]
PICTURES = sorted((ROOT / "docs" / "images").iterdir())
# Options of other programs that a page names
OF_OTHERS = {"--no-sandbox", "--read-only"}


def test_there_are_five_queries_and_more() -> None:
    assert len(QUERIES) >= 6


@pytest.mark.parametrize("command", QUERIES, ids=lambda command: command[len(PROGRAM) : 70].strip())
def test_every_query_of_the_readme_gives_rows(demo: FinishedDemo, command: str) -> None:
    finished = demo.program().run(*words_of(command)[1:], "--format", "json")
    assert finished.returncode == 0, finished.stderr
    rows = json.loads(finished.stdout)
    assert rows
    if "--full" in command:
        assert all("@" in row["email"] for row in rows)


def test_every_other_command_of_the_readme_runs(copy: Program) -> None:
    met = set()
    for command in commands(README):
        words = words_of(command)
        if words[0] != PROGRAM or words[1] == "query":
            continue
        met.add(words[1])
        if words[1] == "sandbox":
            _starts(copy, words)
        elif words[1:] != ["sync"]:  # without more words it is the line after `export PARTNER_ENV=production`
            finished = copy.run(*words[1:])
            assert finished.returncode == 0, finished.stderr
    assert met == {"sync", "sandbox", "audit", "webhooks", "push", "outbox", "report"}


def _starts(program: Program, words: list[str]) -> None:
    port = words.index("--port") + 1
    with program.started(*words[1:port], "0", *words[port + 1 :]) as sandbox:
        assert sandbox.stdout is not None
        assert json.loads(sandbox.stdout.readline())["ready"] is True
        sandbox.send_signal(signal.SIGTERM)
        assert sandbox.wait(10) == 0


def test_every_shell_line_is_one_that_is_known_here() -> None:
    for page in PAGES:
        for command in commands(page):
            assert words_of(command)[:1] == [] or words_of(command)[0] in {PROGRAM, "make", "git", "export"}, command


def test_every_make_target_that_is_named_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        spans = [span for span in code_spans(page) if span.startswith("make ")]
        lines = [command for command in commands(page) if command.startswith("make ")]
        for named in (*spans, *lines):
            assert named.split()[1] in targets, f"{page.name}: {named}"


def test_every_option_that_is_named_is_one_of_the_programs() -> None:
    known = set(_options(typer.main.get_command(app))) | OF_OTHERS
    for page in PAGES:
        for text in (*code_spans(page), *commands(page)):
            named = set(re.findall(r"(?:^|\s)(--[a-z][a-z-]*)", text))
            assert named <= known, f"{page.name}: {text}"


def test_every_command_that_is_named_is_one_of_the_programs() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for page in PAGES:
        for text in (*code_spans(page), *commands(page)):
            for name in re.findall(r"partner-pipelines ([a-z]+)", text):
                assert name in group.commands, f"{page.name}: {text}"


def _options(command: object) -> Iterator[str]:
    for parameter in getattr(command, "params", []):
        yield from parameter.opts
    yield "--help"
    for below in getattr(command, "commands", {}).values():
        yield from _options(below)


def test_every_variable_that_is_named_is_a_setting() -> None:
    known = {line.variable for line in describe_settings()}
    for page in PAGES:
        assert variables(page) <= known, page.name


def test_the_exports_of_the_readme_configure_both_partners(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    environ = {"ELM_PARK_ID": "an-id"}
    for command in commands(README):
        words = words_of(command)
        if words[:1] == ["export"]:
            environ |= dict(word.split("=", 1) for word in words[1:])
    environ = {name: re.sub(r"^file:.*", f"file:{secret}", value) for name, value in environ.items()}
    settings = load_settings(environ)
    assert settings.environment == "production"
    assert [connection.name for connection in settings.connections] == ["resman", "openmoove"]


def test_the_toml_of_the_readme_makes_its_connections(tmp_path: Path) -> None:
    (toml,) = blocks(README, "toml")
    secret, file = tmp_path / "secret", tmp_path / "connections.toml"
    secret.write_text("s3cret")
    file.write_text(re.sub(r'"file:[^"]*"', f'"file:{secret}"', toml))
    settings = load_settings({"PARTNER_ENV": "production", "PARTNER_CONNECTIONS": str(file), "ELM_PARK_ID": "an-id"})
    assert [(connection.name, connection.partner) for connection in settings.connections] == [
        ("elm-park", "resman"),
        ("sales", "openmoove"),
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        assert link.startswith("https://") or (page.parent / link.partition("#")[0]).exists(), link


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_is_shown_by_a_page_and_has_a_size_that_it_can_show(picture: Path) -> None:
    shown = {(page.parent / link).resolve() for page in PAGES for link in links(page)}
    assert picture in shown
    data = picture.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", data[16:24])
    assert width == 360 if picture.name == "report-phone.png" else 800 <= width <= 1440
    assert 800 <= height <= 3200  # a group's graph is shown whole
    assert len(data) < 250_000


def test_the_settings_page_is_made_of_the_settings() -> None:
    page = ROOT / "docs" / "settings.md"
    assert page.read_text() == settings_page(), "run .venv/bin/python -m partner_pipelines_tests.docs.settings_page"


def test_the_recovery_page_is_made_of_the_table_that_the_program_goes_by() -> None:
    found = (ROOT / "docs" / "recovery.md").read_text()
    assert found == recovery_page(), "run .venv/bin/python -m partner_pipelines_tests.docs.recovery_page"


def test_the_last_lines_that_the_readme_shows_are_those_of_a_demo(demo: FinishedDemo) -> None:
    (shown,) = blocks(README, "text")
    labels = re.findall(r"^(openmoove\.\w+|[A-Z][\w' ]+:)", shown, re.MULTILINE)
    assert len(labels) == 5
    for label in labels:
        assert re.search(rf"^{re.escape(label)} ", demo.output, re.MULTILINE), label


def test_the_doctors_page_is_made_of_the_table_that_the_program_goes_by() -> None:
    found = (ROOT / "docs" / "doctor.md").read_text()
    assert found == doctor_page(), "run .venv/bin/python -m partner_pipelines_tests.docs.doctor_page"
