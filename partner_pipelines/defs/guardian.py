"""Ends the process groups that `up` has started, with all that they have started, when `up` itself was killed.

The kernel tells children of a parent's death, not theirs: a run's process is a child of the code server. So a process
of its own waits at a pipe whose other end is `up`'s alone and closes with it, whatever became of it.

    python -m partner_pipelines.defs.guardian DIRECTORY    reads a process group a line; removes DIRECTORY at the end
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from partner_pipelines.errors import StateError

# A run that is under way lands what it has and ends as canceled
STOP_SECONDS = 20.0
_POLL_SECONDS = 0.05


@contextmanager
def guardian(place: Path, held: Sequence[int]) -> Iterator[Callable[[int], None]]:
    """A function that takes a process group into its care; a block that ends has ended them itself.

    Args:
        place: A directory that goes when this process is killed.
        held: Descriptors that stay open, with their locks, until the last group has ended.
    """
    command = [sys.executable, "-P", "-m", __name__, str(place)]
    with subprocess.Popen(  # noqa: S603 - our own module
        command, stdin=subprocess.PIPE, pass_fds=held, start_new_session=True
    ) as process:
        assert process.stdin is not None
        pipe = process.stdin.fileno()
        try:
            yield partial(_tell, pipe)
        finally:
            process.kill()  # before the pipe closes: nothing is left to end


def _tell(pipe: int, group: int) -> None:
    try:
        os.write(pipe, f"{group}\n".encode())
    except BrokenPipeError:
        raise StateError("the guardian of what is started was killed: start again") from None


def end_groups(groups: Sequence[int], reap: Callable[[], object] = lambda: None) -> None:
    """Nobody of these process groups is left: asked first, killed after a while. `reap` is called between looks."""
    for group in groups:
        _signal(group, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    left = list(groups)
    while left and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        reap()
        left = [group for group in left if _lives(group)]
    for group in left:
        _signal(group, signal.SIGKILL)


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def main(place: Path) -> None:
    """Waits for the end of the pipe, then ends what came through it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # those are for `up`, and its end is the sign for this one
    groups = [int(line) for line in sys.stdin.buffer if line.endswith(b"\n")]
    end_groups(list(reversed(groups)))
    shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
