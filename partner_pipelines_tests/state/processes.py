"""Real processes for the tests of `state/`: started, watched with a deadline, ended."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

DEADLINE_SECONDS = 20.0


@contextmanager
def running(code: str, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A Python process of this code; killed at the end, or when it takes far too long."""
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        alarm = threading.Timer(DEADLINE_SECONDS * 3, process.kill)
        alarm.start()
        try:
            yield process
        finally:
            alarm.cancel()
            process.kill()


def read_line(process: subprocess.Popen[str]) -> str:
    """The next line that the process prints, empty when it ended; it prints `ready` as soon as it is."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str], line: str = "go") -> None:
    """The process reads this line."""
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL, and the kernel has cleaned up behind the process."""
    process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(DEADLINE_SECONDS)


def wait_until(is_so: Callable[[], bool], *, seconds: float = DEADLINE_SECONDS) -> None:
    """Returns as soon as it is so; fails when it is not in time."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.005)
