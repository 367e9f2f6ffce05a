from __future__ import annotations

import fcntl
import hashlib
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from partner_pipelines.errors import NewerSchemaError, StateError
from partner_pipelines.state.audit_verify import Problem, TornTail, VerifyReport, verify
from partner_pipelines_tests.state.support_trail import intent, open_trail, outcome

NAME = "20261122T031519Z-1-00000000"
HEADER = {
    "kind": "segment",
    "schema": 1,
    "segment": NAME,
    "boot_id": "b",
    "pid": 1,
    "opened_at": "2026-11-22T03:15:19Z",
}


@pytest.fixture
def segments(tmp_path: Path) -> Path:
    return tmp_path / "segments"


def write_trail(segments: Path, calls: int) -> Path:
    trail = open_trail(segments)
    for _ in range(calls):
        trail.record_outcome(trail.record_intent(intent()), outcome())
    trail.record_event("scope", {"granted": ["units"]})
    trail.close()
    (file,) = segments.iterdir()
    return file


def forge(segments: Path, *records: dict[str, Any]) -> Path:
    """A segment whose chain is right, whatever its records say. By the format's page, not by the code under test."""
    previous = "0" * 64
    lines = []
    for record in records:
        body = json.dumps(record, separators=(",", ":"))[:-1]
        previous = hashlib.sha256(f"{previous}{body}".encode()).hexdigest()
        lines.append(f'{body},"hash":"{previous}"}}\n')
    segments.mkdir()
    file = segments / f"{NAME}.jsonl"
    file.write_text("".join(lines))
    return file


def the_problem(segments: Path) -> Problem:
    (problem,) = verify(segments).problems
    return problem


def test_no_trail_is_no_problem(segments: Path) -> None:
    assert verify(segments) == VerifyReport()


def test_what_the_writer_wrote_is_proved(segments: Path) -> None:
    write_trail(segments, 60)
    assert verify(segments) == VerifyReport(segments=1, records=1 + 2 + 120 + 1 + 1)


def test_a_forged_chain_that_follows_the_format_is_proved(segments: Path) -> None:
    """The known answer: the format as its page says it."""
    reserved, sent, done = ({"kind": "reserved", "first": 1, "last": 2}, {"kind": "intent", "n": 1}, {"n": 1})
    forge(segments, HEADER, reserved, sent, {"kind": "outcome", **done}, {"kind": "closed", "at": "now"})
    assert verify(segments) == VerifyReport(segments=1, records=5)


def test_every_flipped_byte_is_found_in_its_record(segments: Path) -> None:
    file = write_trail(segments, 2)
    whole = file.read_bytes()
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        assert the_problem(segments).line == whole.count(b"\n", 0, place) + 1, place


def test_random_flipped_bytes_of_a_large_segment_are_found_in_their_records(segments: Path) -> None:
    file = write_trail(segments, 500)
    whole = file.read_bytes()
    chance = random.Random(20261122)  # noqa: S311 -- places, not secrets
    for _ in range(200):
        place = chance.randrange(len(whole))
        file.write_bytes(whole[:place] + bytes([chance.choice(_others(whole[place]))]) + whole[place + 1 :])
        assert the_problem(segments).line == whole.count(b"\n", 0, place) + 1, place


def _others(byte: int) -> list[int]:
    return [other for other in range(256) if other != byte]


CHANGES: dict[str, tuple[int, Callable[[list[bytes]], list[bytes]]]] = {
    "deleted": (4, lambda lines: [*lines[:3], *lines[4:]]),
    "header deleted": (1, lambda lines: lines[1:]),
    "inserted": (5, lambda lines: [*lines[:4], b'{"kind":"event","event":"x","at":"y","facts":{}}\n', *lines[4:]]),
    "doubled": (5, lambda lines: [*lines[:4], lines[3], *lines[4:]]),
    "last doubled": (9, lambda lines: [*lines, lines[-1]]),
    "swapped": (4, lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]]),
    "emptied": (1, lambda lines: []),  # noqa: ARG005
    "newline in the middle": (3, lambda lines: [*lines[:2], lines[2][:9], b"\n", lines[2][9:], *lines[3:]]),
    "blank line": (3, lambda lines: [*lines[:2], b"\n", *lines[2:]]),
    "torn after closed": (9, lambda lines: [*lines, b'{"kind":"ev']),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_lines_are_found(segments: Path, change: str) -> None:
    file = write_trail(segments, 2)
    line, apply = CHANGES[change]
    lines = file.read_bytes().splitlines(keepends=True)
    assert len(lines) == 8
    file.write_bytes(b"".join(apply(lines)))
    assert the_problem(segments).line == line


def test_a_renamed_segment_is_found(segments: Path) -> None:
    file = write_trail(segments, 2)
    file.rename(file.with_name("20200101T000000Z-1-00000000.jsonl"))
    assert "header names" in the_problem(segments).what


RESERVED = {"kind": "reserved", "first": 1, "last": 2}
SENT = {"kind": "intent", "n": 1}
DONE = {"kind": "outcome", "n": 1}


@pytest.mark.parametrize(
    ("records", "what"),
    [
        ([SENT], "request 1 was not reserved"),
        ([RESERVED, SENT, SENT], "request 1 stands where 2 must follow"),
        ([RESERVED, {**SENT, "n": 2}], "request 2 stands where 1 must follow"),
        ([RESERVED, DONE], "request 1 is not waiting"),
        ([RESERVED, SENT, DONE, DONE], "request 1 is not waiting"),
        ([RESERVED, RESERVED], "it reserves 1 to 2 after 2"),
        ([RESERVED, {**RESERVED, "first": 3, "last": 51}], "it reserves 3 to 51 after 2"),
        ([{"kind": "closed", "at": "now"}, RESERVED], "after the segment was closed"),
        ([HEADER], "the header stands first"),
        ([{"kind": "surprise"}], "no record of schema 1"),
        ([{"kind": "intent"}], "no record of schema 1"),
        ([{"kind": ["intent"]}], "no record of schema 1"),
        ([{"kind": "outcome", "n": "1"}], "not waiting"),
        ([{"kind": "outcome", "n": []}], "no record of schema 1"),
    ],
)
def test_a_rehashed_record_against_the_rules_is_found(segments: Path, records: list[dict[str, Any]], what: str) -> None:
    forge(segments, HEADER, *records)
    problem = the_problem(segments)
    assert problem.line == 1 + len(records)
    assert what in problem.what


def test_a_header_of_a_schema_that_never_was_is_named(segments: Path) -> None:
    forge(segments, {**HEADER, "schema": 0})
    assert the_problem(segments).what == "schema 0, this version knows 1"


def test_a_newer_segment_is_refused_and_not_taken_for_tampering(segments: Path) -> None:
    forge(segments, {**HEADER, "schema": 2})
    with pytest.raises(NewerSchemaError, match=r"\.jsonl was written by a newer version .*schema 2, this one knows 1"):
        verify(segments)


def test_an_incomplete_last_line_is_a_torn_tail_at_whatever_byte(segments: Path) -> None:
    file = write_trail(segments, 2)
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    start = len(whole) - len(lines[-1]) - len(lines[-2])
    for length in range(start + 1, start + len(lines[-2])):
        file.write_bytes(whole[:length])
        assert verify(segments) == VerifyReport(1, 6, [TornTail(file.stem, 7, living=False)])


def test_a_living_writers_tail_is_said_to_be_one(segments: Path) -> None:
    file = write_trail(segments, 2)
    with file.open("r+b") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        writer.truncate(file.stat().st_size - 9)
        assert verify(segments).torn_tails == [TornTail(file.stem, 8, living=True)]


def test_each_damaged_segment_is_named_and_the_others_are_proved(segments: Path) -> None:
    trails = [open_trail(segments) for _ in range(3)]
    for trail in trails:
        trail.record_intent(intent())
        trail.close()
    first, _, third = sorted(segments.iterdir())
    for file in (first, third):
        file.write_bytes(file.read_bytes().replace(b"elm-park", b"elm-hill"))
    report = verify(segments)
    assert [(problem.segment, problem.line) for problem in report.problems] == [(first.stem, 3), (third.stem, 3)]
    assert report.records == 2 + 4 + 2


def test_4_processes_that_append_leave_chains_that_verify(segments: Path) -> None:
    command = [sys.executable, "-m", "partner_pipelines_tests.state.support_trail", "some", str(segments), "2000"]
    children = [subprocess.Popen(command) for _ in range(4)]
    while any(child.poll() is None for child in children):
        assert not verify(segments).problems
    report = verify(segments)
    assert report == VerifyReport(segments=4, records=4 * (1 + 40 + 4000 + 1))


def test_an_unreadable_segment_is_one_clear_line(segments: Path) -> None:
    segments.mkdir()
    (segments / "a.jsonl").mkdir()
    with pytest.raises(StateError, match=r"cannot read .*a\.jsonl: Is a directory"):
        verify(segments)
