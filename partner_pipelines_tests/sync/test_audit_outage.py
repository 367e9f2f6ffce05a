"""No trail, no call: while it cannot be written no request leaves, the error says so; once mended, all goes on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from partner_pipelines.state.audit_verify import verify
from partner_pipelines_tests.modes import MODES_HOLD
from partner_pipelines_tests.sync.program import Program

Say = Callable[[str], str]


@contextmanager
def calling(program: Program, before: Sequence[str] = ()) -> Iterator[Say]:
    """A process that does what it is told, line by line."""
    process = subprocess.Popen(
        [*before, sys.executable, "-m", "partner_pipelines_tests.sync.calling"],
        env=program.variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        sent, heard = process.stdin, process.stdout

        def say(word: str) -> str:
            sent.write(f"{word}\n")
            sent.flush()
            return heard.readline().strip()

        assert heard.readline() == "ready\n"
        yield say
        sent.close()
        assert process.wait(60) == 0


def asked(program: Program, since: int) -> int:
    return len(program.sandbox.log(since=since))


def refuses(say: Say, program: Program, *reasons: str) -> None:
    """As many calls that are not made, each with a sentence that says why and what to do."""
    seen = program.last_request()
    for words in reasons:
        said = say("call")
        assert said.startswith("AuditUnavailableError: cannot write the audit trail in "), said
        assert words in said
        assert said.endswith(
            "no call is made without it: mend that (room, permissions, the directory itself), then run again"
        )
    assert asked(program, seen) == 0


def goes_on(say: Say, program: Program) -> None:
    seen = program.last_request()
    assert say("call") == "answered"
    assert asked(program, seen) == 1


@pytest.mark.parametrize("there", ["deleted", "moved away"])
def test_a_directory_that_is_removed_while_it_is_used(steady: Program, there: str) -> None:
    segments = steady.data.segments
    with calling(steady) as say:
        goes_on(say, steady)
        away = segments.rename(segments.with_name("away"))
        if there == "deleted":
            shutil.rmtree(away)
        refuses(say, steady, "while it was written", "No such file or directory")
        if there == "deleted":
            segments.mkdir(0o700)
        else:
            away.rename(segments)
        goes_on(say, steady)
    assert verify(segments).problems == []


def test_a_disk_that_is_full_while_it_is_used(steady: Program) -> None:
    with calling(steady) as say:
        goes_on(say, steady)
        say("full")
        refuses(say, steady, "File too large", "File too large")
        say("room")
        goes_on(say, steady)
    report = verify(steady.data.segments)
    assert (report.problems, report.segments) == ([], 1)


def test_a_directory_that_is_read_only(steady: Program) -> None:
    segments = steady.data.segments
    segments.mkdir(0o700, parents=True)
    with calling(steady, MODES_HOLD) as say:
        segments.chmod(0o500)
        refuses(say, steady, "Permission denied", "Permission denied")
        segments.chmod(0o700)
        goes_on(say, steady)
    assert verify(segments).problems == []
