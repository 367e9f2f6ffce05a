"""A segment that was purged is gone with a record: its length and its head, in the chain of another segment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from partner_pipelines.errors import AuditUnavailableError
from partner_pipelines.state.audit_purge import PurgedSegment, old_segments, purge_segments
from partner_pipelines.state.audit_verify import verify
from partner_pipelines_tests.state.support_trail import intent, open_trail, outcome


@pytest.fixture
def segments(tmp_path: Path) -> Path:
    return tmp_path / "segments"


def write_segment(segments: Path, calls: int = 3) -> Path:
    before = set(segments.glob("*"))
    trail = open_trail(segments)
    for _ in range(calls):
        trail.record_outcome(trail.record_intent(intent()), outcome())
    trail.close()
    (file,) = set(segments.glob("*")) - before
    return file


def told_of(file: Path) -> PurgedSegment:
    """By the format's page, not by the code under test."""
    lines = file.read_bytes().splitlines(keepends=True)
    return PurgedSegment(file.stem, len(lines), sum(map(len, lines)), json.loads(lines[-1])["hash"])


def purge(segments: Path, *files: Path) -> list[PurgedSegment]:
    told = [told_of(file) for file in files]
    purge_segments(segments, told, version="0.1.0")
    return told


def test_its_length_and_head_stand_in_the_chain_of_another_segment(segments: Path) -> None:
    gone, left = write_segment(segments), write_segment(segments)
    (told,) = purge(segments, gone)
    (record,) = set(segments.iterdir()) - {left}
    events = [json.loads(line) for line in record.read_bytes().splitlines()][1:-1]
    assert [(event["event"], event["facts"]) for event in events] == [("segment_purged", asdict(told))]
    assert not gone.exists()
    report = verify(segments)
    assert report.problems == []
    assert report.purged == {gone.stem: told}
    assert (report.segments, report.records) == (2, 9 + 3)


def test_a_purge_that_was_cut_short_after_its_record_harms_nobody(segments: Path) -> None:
    gone = write_segment(segments)
    content = gone.read_bytes()
    (told,) = purge(segments, gone)
    gone.write_bytes(content)
    report = verify(segments)
    assert (report.problems, report.purged) == ([], {})
    purge(segments, gone)
    report = verify(segments)
    assert (report.problems, report.purged) == ([], {gone.stem: told})


def test_what_stands_in_the_place_of_a_purged_segment_must_be_that_one(segments: Path) -> None:
    gone = write_segment(segments)
    lines = gone.read_bytes().splitlines(keepends=True)
    (told,) = purge(segments, gone)
    gone.write_bytes(b"".join(lines[:-2]))  # its chain holds
    (problem,) = verify(segments).problems
    assert (problem.segment, problem.line) == (gone.stem, len(lines) - 2)
    assert f"says {told.bytes} bytes that end in {told.head}" in problem.what


def test_two_records_that_tell_different_things_are_a_problem(segments: Path) -> None:
    gone = write_segment(segments)
    (told,) = purge(segments, gone)
    purge_segments(segments, [replace(told, records=told.records - 1)], version="0.1.0")
    (problem,) = verify(segments).problems
    assert problem.segment == gone.stem
    assert "different things" in problem.what


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"segment": "s", "records": 0, "bytes": 5, "head": "0" * 64},
        {"segment": "s", "records": 1, "bytes": 5, "head": "no hash"},
    ],
)
def test_a_record_that_says_nothing_is_no_record(segments: Path, facts: dict[str, object]) -> None:
    trail = open_trail(segments)
    trail.record_event("segment_purged", facts)
    trail.close()
    (problem,) = verify(segments).problems
    assert (problem.line, problem.what) == (2, "it is no record of schema 1")


def test_nothing_goes_while_its_record_cannot_be_written(segments: Path) -> None:
    gone = write_segment(segments)
    told = told_of(gone)
    child = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from partner_pipelines.state.audit_purge import PurgedSegment, purge_segments\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))\n"  # room for a header
        f"purge_segments(Path(sys.argv[1]), [{told!r}], version='0.1.0')\n"
    )
    finished = subprocess.run([sys.executable, "-c", child, str(segments)], capture_output=True, text=True, check=False)
    assert AuditUnavailableError.__name__ in finished.stderr
    assert gone.exists()
    assert verify(segments).purged == {}


def test_old_is_what_nothing_was_written_to_since(segments: Path) -> None:
    old, young = write_segment(segments), write_segment(segments)
    now = datetime.now(UTC)
    moment = (now - timedelta(days=90)).timestamp()
    os.utime(old, (moment, moment))
    assert old_segments(segments, now - timedelta(days=89)) == [old]
    assert old_segments(segments, now - timedelta(days=91)) == []
    assert old_segments(segments, now + timedelta(days=1)) == sorted([old, young])
    assert old_segments(segments.with_name("nowhere"), now) == []
