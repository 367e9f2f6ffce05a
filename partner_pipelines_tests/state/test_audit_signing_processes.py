"""Checkpoints as processes make them: beside the work, at the end, and after one that was killed."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from partner_pipelines.state.audit_checkpoint_thread import CheckpointThread
from partner_pipelines.state.audit_verify import verify
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines_tests.state.processes import wait_until
from partner_pipelines_tests.state.support_checkpoints import checkpoint, checkpoints_of, found, verified, write_segment
from partner_pipelines_tests.state.support_trail import intent, open_trail, outcome

TRAIL = [sys.executable, "-m", "partner_pipelines_tests.state.support_trail"]
SIGNED = [sys.executable, "-m", "partner_pipelines_tests.state.support_signed"]


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    return DataDirectory(tmp_path / "data")


def checkpoints_in(data: DataDirectory) -> int:
    report = verified(data)
    assert report.signed is not None
    return report.signed.proof.checkpoints


def _signed_at_least(data: DataDirectory, number: int) -> bool:
    return checkpoints_in(data) >= number


def events_in(data: DataDirectory, event: str) -> list[dict[str, str]]:
    records = [json.loads(line) for path in data.segments.iterdir() for line in path.read_text().splitlines()]
    return [record["facts"] for record in records if record.get("event") == event]


def test_it_signs_beside_the_work_and_at_the_end(data: DataDirectory) -> None:
    trail = open_trail(data.segments)
    signer = CheckpointThread(checkpoints_of(data), trail.record_event, interval_seconds=0.01)
    signer.start()
    for number in range(3):
        trail.record_outcome(trail.record_intent(intent()), outcome())
        wait_until(partial(_signed_at_least, data, number + 1))
    signer.close(trail.close)
    report = verified(data)
    assert (report.problems, report.unsigned, report.records) == ([], 0, 9)


def test_a_thread_that_was_never_started_signs_at_the_end(data: DataDirectory) -> None:
    trail = open_trail(data.segments)
    trail.record_event("scope", {})
    CheckpointThread(checkpoints_of(data), trail.record_event).close(trail.close)
    assert (found(data), verified(data).unsigned) == ([], 0)


def test_a_failing_copy_is_an_event_once_and_again_after_it_was_well(data: DataDirectory, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    trail = open_trail(data.segments)
    trail.record_event("scope", {})
    signer = CheckpointThread(checkpoints_of(data, copy), trail.record_event)
    (copy / "000000001.jsonl").mkdir(parents=True)
    for _ in range(3):
        signer._look(0)
    (told,) = events_in(data, "checkpoint_copy_failed")
    assert str(copy) in told["reason"]
    (copy / "000000001.jsonl").rmdir()
    signer._look(0)
    assert (copy / "000000001.jsonl").read_bytes() == (data.checkpoints / "000000001.jsonl").read_bytes()
    signer.close(trail.close)
    assert len(events_in(data, "checkpoint_copy_failed")) == 1
    assert found(data, copy) == []


def test_checkpoints_that_cannot_be_written_fail_nothing_and_are_an_event(data: DataDirectory) -> None:
    write_segment(data)
    checkpoint(data)
    data.signing_key.write_text("no key")
    trail = open_trail(data.segments)
    trail.record_event("scope", {})
    CheckpointThread(checkpoints_of(data), trail.record_event).close(trail.close)
    (told,) = events_in(data, "checkpoint_failed")
    assert "is no Ed25519 private key in PEM" in told["reason"]


def test_a_process_that_was_killed_leaves_a_torn_tail_at_most_and_the_next_checkpoint_takes_it_up(
    data: DataDirectory,
) -> None:
    child = subprocess.Popen([*TRAIL, "for-ever", str(data.segments), "1000000"], stdout=subprocess.PIPE)
    assert child.stdout is not None
    for _ in range(200):
        child.stdout.readline()
    checkpoint(data)
    (segment,) = data.segments.glob("*.jsonl")
    signed = segment.stat().st_size
    # It may have run ahead until its pipe was full: only what is read lets it go on
    while segment.stat().st_size < signed + 10_000:
        assert child.stdout.readline(), "it has ended"
    child.kill()
    child.communicate()
    report = verified(data)
    assert report.problems == []
    assert len(report.torn_tails) <= 1
    assert report.unsigned > 0
    checkpoint(data)
    report = verified(data)
    assert (report.problems, report.unsigned) == ([], 0)


def test_a_writer_of_checkpoints_that_is_killed_at_any_moment_leaves_a_chain_that_goes_on(data: DataDirectory) -> None:
    for _ in range(8):
        child = subprocess.Popen([*SIGNED, str(data.root), "1000000"], stdout=subprocess.PIPE)
        assert child.stdout is not None
        for _ in range(3):
            child.stdout.readline()
        child.kill()
        child.communicate()
        assert found(data) == []
    checkpoint(data)
    report = verified(data)
    assert (report.problems, report.unsigned, report.segments) == ([], 0, 8)


def test_4_processes_by_10_000_appends_are_all_there_signed_and_verify(data: DataDirectory) -> None:
    """5,000 intents and 5,000 outcomes each, checkpoints of all four meanwhile."""
    children = [subprocess.Popen([*SIGNED, str(data.root), "5000"], stdout=subprocess.DEVNULL) for _ in range(4)]
    while any(child.poll() is None for child in children):
        assert not verified(data).problems
    assert [child.returncode for child in children] == [0] * 4
    report = verified(data)
    assert (report.problems, report.torn_tails, report.unsigned) == ([], [], 0)
    assert (report.segments, report.records) == (4, 4 * (1 + 100 + 10_000 + 1))
    assert verify(data.segments).problems == []


FULL_DISK = (
    "import resource, signal, sys\n"
    "from pathlib import Path\n"
    "from partner_pipelines.state.data_directory import DataDirectory\n"
    "from partner_pipelines_tests.state.support_checkpoints import checkpoint\n"
    "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))\n"
    "checkpoint(DataDirectory(Path(sys.argv[1])))\n"
)


def test_a_full_disk_leaves_half_a_checkpoint_that_the_next_one_takes_the_place_of(data: DataDirectory) -> None:
    for _ in range(2):
        write_segment(data)
        checkpoint(data)
    write_segment(data)
    file = data.checkpoints / "000000001.jsonl"
    whole = file.read_bytes()
    command = [sys.executable, "-c", FULL_DISK, str(data.root), str(len(whole) + 100)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "StateError: cannot write" in finished.stderr
    assert file.stat().st_size == len(whole) + 100
    report = verified(data)
    assert report.problems == []
    assert report.signed is not None
    assert report.signed.proof.torn is not None
    checkpoint(data)
    assert (found(data), verified(data).unsigned) == ([], 0)
    assert file.read_bytes().startswith(whole)
