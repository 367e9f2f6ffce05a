"""Runs a command and says how much memory it took at most: `python -I measured.py RESULT COMMAND…`.

A process of its own, and a small one: the kernel counts to a child what its parent held when it was forked.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Measured:
    """One command that has ended. `peak_bytes`: of its largest process."""

    status: int
    output: str
    complaints: str
    peak_bytes: int


def run_measured(command: Sequence[str], place: Path, env: Mapping[str, str], deadline_seconds: float) -> Measured:
    """The command, run to its end in the directory `place`; subprocess.TimeoutExpired when it takes too long."""
    result = place / "measured.json"
    with subprocess.Popen(
        [sys.executable, "-I", __file__, str(result), *command],
        cwd=place,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, complaints = process.communicate(timeout=deadline_seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            raise
    return Measured(process.returncode, output, complaints, json.loads(result.read_text()))


if __name__ == "__main__":
    status = subprocess.call(sys.argv[2:])
    Path(sys.argv[1]).write_text(json.dumps(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024))
    sys.exit(status)
