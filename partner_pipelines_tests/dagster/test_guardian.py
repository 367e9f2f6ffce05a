"""What is left of a process that was killed: nobody of its process groups, and its lock is free only then."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from partner_pipelines.defs import guardian
from partner_pipelines_tests.state.processes import wait_until

# A group of two processes in the guardian's care; then a line to read, or the end of the block
_WORK = """
import os, subprocess, sys
from pathlib import Path
from partner_pipelines.defs.guardian import end_groups, guardian

place, lock = Path(sys.argv[1]), os.open(sys.argv[2], os.O_RDWR)
import fcntl
fcntl.flock(lock, fcntl.LOCK_EX)
with guardian(place, [lock]) as watch:
    group = subprocess.Popen(["sh", "-c", sys.argv[3]], start_new_session=True)
    watch(group.pid)
    print(group.pid, flush=True)
    sys.stdin.readline()
    end_groups([group.pid], reap=group.poll)
print("ended", flush=True)
"""
QUIET = "sleep 1000 & sleep 1000"
SLOW = "trap '' TERM; sleep 1; sleep 1"


@contextmanager
def _working(place: Path, lock: Path, group: str) -> Iterator[subprocess.Popen[str]]:
    place.mkdir()
    lock.touch()
    command = [sys.executable, "-c", _WORK, str(place), str(lock), group]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _is_free(lock: Path) -> bool:
    with lock.open() as file, suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _lives(group: int) -> bool:
    with suppress(ProcessLookupError):
        os.killpg(group, 0)
        return True
    return False


@pytest.mark.parametrize("group", [QUIET, SLOW])
def test_sigkill_ends_children_and_grandchildren_and_frees_the_lock_after_them(tmp_path: Path, group: str) -> None:
    place, lock = tmp_path / "place", tmp_path / "lock"
    with _working(place, lock, group) as process:
        assert process.stdout is not None
        number = int(process.stdout.readline())
        assert not _is_free(lock)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        wait_until(lambda: _is_free(lock) or not _lives(number), seconds=60)
        assert not _lives(number)
        wait_until(lambda: _is_free(lock), seconds=60)
        assert not place.exists()


def test_a_group_that_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guardian, "STOP_SECONDS", 0.1)
    with subprocess.Popen(
        ["sh", "-c", "trap '' TERM; echo deaf; sleep 1000"], stdout=subprocess.PIPE, start_new_session=True
    ) as deaf:
        assert deaf.stdout is not None
        assert deaf.stdout.readline() == b"deaf\n"
        guardian.end_groups([deaf.pid], reap=deaf.poll)
        assert deaf.wait(60) == -signal.SIGKILL


def test_a_block_that_ends_leaves_the_directory_to_its_owner(tmp_path: Path) -> None:
    place, lock = tmp_path / "place", tmp_path / "lock"
    with _working(place, lock, QUIET) as process:
        assert process.stdout is not None
        number = int(process.stdout.readline())
        out, _ = process.communicate("end\n", timeout=60)
    assert (out, process.returncode) == ("ended\n", 0)
    assert not _lives(number)
    assert _is_free(lock)
    assert place.is_dir()
