"""docs/partners.md: its commands run as they stand there, and the checks that it names are the doctor's."""

from __future__ import annotations

import json
import re
import shlex

from partner_pipelines.receiver.routes import ROUTES
from partner_pipelines.sync.doctor_table import CHECKS, FAULTS
from partner_pipelines_tests.cli.program import Program
from partner_pipelines_tests.docs.pages import PROGRAM, ROOT, commands, words_of

PAGE = ROOT / "docs" / "partners.md"


def test_every_command_of_it_runs(copy: Program) -> None:
    """The id of the call to show is the one that the command before it names."""
    request_id, met = "", []
    for command in commands(PAGE):
        program, *words = words_of(command)
        assert program == PROGRAM
        words = [request_id if word == "REQUEST_ID" else word for word in words]
        more = ["--format", "json"] if words[0] == "query" else []
        finished = copy.run(*words, *more)
        assert finished.returncode == 0, f"{shlex.join(words)}: {finished.stdout}{finished.stderr}"
        met.append(words[0])
        if words[0] == "query":
            (row, *_) = json.loads(finished.stdout)
            request_id = row.get("request_id", request_id)
    assert met == ["doctor", "scopes", "query", "revoke", "restore", "query", "audit"]


def test_the_checks_that_it_names_are_the_doctors_and_may_be_as_bad() -> None:
    named = re.findall(r"\*([\w ]+)\* (yellow|red)", PAGE.read_text())
    assert len(named) > 8
    possible = {(fault.check, fault.state) for fault in FAULTS.values()}
    assert set(named) <= possible
    assert {fault.check for fault in FAULTS.values()} - {"any of them"} <= set(CHECKS)


def test_the_address_that_openmoove_is_given_is_the_receivers() -> None:
    assert set(re.findall(r"https://YOUR-HOST(/[\w/]+)", PAGE.read_text())) == set(ROUTES)
