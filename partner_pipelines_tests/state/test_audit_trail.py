from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from partner_pipelines.errors import AuditUnavailableError
from partner_pipelines.state.audit_trail import AuditTrail
from partner_pipelines.state.audit_verify import verify
from partner_pipelines_tests.state.support_trail import intent, open_trail, outcome

SUPPORT = "partner_pipelines_tests.state"


@pytest.fixture
def segments(tmp_path: Path) -> Path:
    return tmp_path / "audit" / "segments"


@pytest.fixture
def trail(segments: Path) -> Iterator[AuditTrail]:
    with closing(open_trail(segments)) as opened:
        yield opened


def records(segments: Path) -> list[list[dict[str, Any]]]:
    return [[json.loads(line) for line in file.read_text().splitlines()] for file in sorted(segments.glob("*.jsonl"))]


def kinds(segment: list[dict[str, Any]]) -> list[str]:
    return [record["kind"] for record in segment]


def test_nothing_is_made_before_the_first_record(trail: AuditTrail, segments: Path) -> None:
    trail.close()
    assert not segments.exists()


def test_a_call_is_a_reservation_an_intent_and_an_outcome(trail: AuditTrail, segments: Path) -> None:
    request_id = trail.record_intent(intent())
    trail.record_outcome(request_id, outcome())
    trail.record_event("scope", {"granted": ["units"]})
    trail.close()
    trail.close()
    (file,) = segments.iterdir()
    assert request_id == f"{file.stem}-1"
    assert file.stat().st_mode & 0o777 == 0o600
    (segment,) = records(segments)
    assert kinds(segment) == ["segment", "reserved", "intent", "outcome", "event", "closed"]
    assert segment[0]["segment"] == file.stem
    assert (segment[1]["first"], segment[1]["last"]) == (1, 50)
    assert segment[2]["started_at"] == "2026-11-22T03:15:19Z"
    assert segment[3]["latency_ms"] == 12.5
    assert segment[4]["facts"] == {"granted": ["units"]}


def test_the_chain_is_what_sha256sum_says(trail: AuditTrail, segments: Path) -> None:
    trail.record_outcome(trail.record_intent(intent()), outcome())
    trail.close()
    (file,) = segments.iterdir()
    previous = b"0" * 64
    for line in file.read_bytes().splitlines():
        body, _, end = line.rpartition(b',"hash":"')
        summed = subprocess.run(["sha256sum"], input=previous + body, capture_output=True, check=True)
        assert end == summed.stdout[:64] + b'"}'
        previous = summed.stdout[:64]


def test_reserve_tops_up_and_never_leaves_more_than_50_unsent(trail: AuditTrail, segments: Path) -> None:
    trail.reserve(10)
    trail.reserve(10)
    trail.reserve(5)
    for _ in range(4):
        trail.record_intent(intent())
    trail.reserve(6)
    trail.reserve(1000)
    ranges = [(record["first"], record["last"]) for record in records(segments)[0] if record["kind"] == "reserved"]
    assert ranges == [(1, 10), (11, 54)]


def test_an_empty_pool_is_filled_before_the_intent(trail: AuditTrail, segments: Path) -> None:
    for _ in range(51):
        trail.record_intent(intent())
    assert kinds(records(segments)[0]) == ["segment", "reserved", *["intent"] * 50, "reserved", "intent"]


def test_a_living_segment_is_locked_and_a_closed_one_is_not(trail: AuditTrail, segments: Path) -> None:
    trail.reserve()
    (file,) = segments.iterdir()
    with file.open("rb") as other:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
        trail.close()
        fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)


def test_threads_share_one_segment(trail: AuditTrail, segments: Path) -> None:
    def work() -> None:
        for _ in range(100):
            trail.record_outcome(trail.record_intent(intent()), outcome())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (segment,) = records(segments)
    assert [record["n"] for record in segment if record["kind"] == "intent"] == list(range(1, 801))
    assert sorted(record["n"] for record in segment if record["kind"] == "outcome") == list(range(1, 801))


def test_a_forked_child_opens_a_segment_of_its_own_and_leaves_the_parents_lock_alone(
    trail: AuditTrail, segments: Path
) -> None:
    parents = trail.record_intent(intent())
    child = os.fork()
    if child == 0:  # pragma: no cover -- another process
        trail.record_intent(intent())
        trail.close()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    trail.record_outcome(parents, outcome())
    assert sorted(kinds(segment)[-1] for segment in records(segments)) == ["closed", "outcome"]


def test_an_outcome_is_written_once(trail: AuditTrail) -> None:
    request_id = trail.record_intent(intent())
    trail.record_outcome(request_id, outcome())
    with pytest.raises(ValueError, match="not waiting"):
        trail.record_outcome(request_id, outcome())


def test_text_that_utf8_cannot_hold_does_not_stop_the_record(trail: AuditTrail, segments: Path) -> None:
    trail.record_intent(intent(url="https://api.example/\ud800"))
    trail.record_event("scope", {"granted": ["\udfff"], "huge": 10**30})
    assert records(segments)[0][2]["url"] == "https://api.example/\\ud800"


def test_an_interrupt_at_any_moment_breaks_no_chain(segments: Path) -> None:
    """A segment whose end is in doubt is given up; what was said to be recorded is there, once."""
    command = [sys.executable, "-m", f"{SUPPORT}.support_interrupts", str(segments), "60"]
    recorded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    report = verify(segments)
    assert not report.problems
    assert report.segments > 1
    intents = [f"{part[0]['segment']}-{r['n']}" for part in records(segments) for r in part if r["kind"] == "intent"]
    assert len(intents) == len(set(intents))
    assert set(recorded) <= set(intents)


@pytest.mark.parametrize("what", ["segment", "directory", "moved"])
def test_a_trail_that_was_removed_stops_the_calls_until_it_is_mended(
    trail: AuditTrail, segments: Path, what: str
) -> None:
    waiting = trail.record_intent(intent())
    moved = segments.with_name("moved")
    if what == "segment":
        next(segments.iterdir()).unlink()
    elif what == "directory":
        shutil.rmtree(segments)
    else:
        segments.rename(moved)
    for _ in range(1 if what == "segment" else 3):
        with pytest.raises(AuditUnavailableError, match=r"cannot write the audit trail in .*segments: .*; no call"):
            trail.record_intent(intent())
    segments.mkdir(exist_ok=True)
    assert trail.record_intent(intent()).endswith("-1")
    with pytest.raises(AuditUnavailableError, match="unknown there"):
        trail.record_outcome(waiting, outcome())


@pytest.mark.parametrize("room", [700, 1000, 1555, 4096, 5000])
def test_a_full_disk_stops_the_calls_and_the_same_segment_goes_on_when_there_is_room(segments: Path, room: int) -> None:
    command = [sys.executable, "-m", f"{SUPPORT}.support_full_disk", str(segments), str(room)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "cannot write the audit trail" in done.stdout
    (segment,) = records(segments)
    sent = int(done.stdout.split()[-1])
    assert kinds(segment).count("intent") == kinds(segment).count("outcome") == sent
    assert kinds(segment)[-1] == "closed"


@pytest.fixture
def public_directory() -> Iterator[Path]:
    """Another user reaches it, which pytest's own directories do not allow."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


def test_a_read_only_directory_stops_the_calls(public_directory: Path) -> None:
    """As another user: root may write everywhere."""
    lines = [
        "import os, sys",
        "from pathlib import Path",
        "from partner_pipelines_tests.state.support_trail import intent, open_trail",
        "os.getuid() or os.setuid(65534)",
        "open_trail(Path(sys.argv[1])).record_intent(intent())",
    ]
    directory = public_directory / "audit"
    directory.mkdir(mode=0o555)
    command = [sys.executable, "-c", "\n".join(lines), str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "AuditUnavailableError: cannot write the audit trail in" in done.stderr
    assert "Permission denied" in done.stderr
    assert not list(directory.iterdir())


def test_4_processes_append_to_4_segments(segments: Path) -> None:
    command = [sys.executable, "-m", f"{SUPPORT}.support_trail", "some", str(segments), "3000"]
    children = [subprocess.Popen(command) for _ in range(4)]
    assert [child.wait() for child in children] == [0] * 4
    written = records(segments)
    assert [kinds(segment).count("outcome") for segment in written] == [3000] * 4
