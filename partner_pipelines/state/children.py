"""Child processes that end with the process that started them, by the kernel's word: SIGKILL asks nobody."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def ends_with_us(number: signal.Signals = signal.SIGTERM) -> Callable[[], None]:
    """For a child, before it becomes its program: this signal comes when the thread that started it ends."""
    libc, us = ctypes.CDLL(None), os.getpid()

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(number))
        if os.getppid() != us:  # we died in between
            os._exit(1)

    return prepare


def end_child(process: subprocess.Popen[bytes], stop_seconds: float) -> None:
    """The child is asked to end; after so many seconds it is killed."""
    process.terminate()
    try:
        process.wait(timeout=stop_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
