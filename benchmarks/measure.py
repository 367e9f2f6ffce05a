"""Whole commands, timed: seconds, CPU seconds, peak memory; in turn, for a machine's speed drifts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PROGRAM = [sys.executable, "-m", "partner_pipelines"]
BARE_PYTHON = HERE / ".venv" / "bin" / "python"
EMPTY_RUN = [*PROGRAM, "sync", "--select", 'key:"audit/api_calls"']
DEADLINE_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one command. `cpu_seconds`: user and system; `peak_mib`: the process's largest resident set."""

    seconds: float
    cpu_seconds: float
    peak_mib: float


@dataclass(frozen=True, slots=True)
class Way:
    """One way to do the work: a command, and what must not be there when it begins."""

    command: Sequence[str]
    begin_without: Sequence[Path] = ()


def run(way: Way, environ: Mapping[str, str]) -> Run:
    """Ends the program when the command fails or takes longer than `DEADLINE_SECONDS`."""
    for path in way.begin_without:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    began = time.monotonic()
    process = subprocess.Popen(way.command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    name = " ".join(way.command[-3:])
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{name} ended with status {os.waitstatus_to_exitcode(status)}: {said.decode()[-2000:]}")
    if seconds > DEADLINE_SECONDS:
        sys.exit(f"{name} took {seconds:.0f} s")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def interleaved(ways: Mapping[str, Way], environ: Mapping[str, str], repetitions: int) -> dict[str, Run]:
    """The medians of each way's runs."""
    runs: dict[str, list[Run]] = {name: [] for name in ways}
    for number in range(repetitions):
        for name, way in ways.items():
            runs[name].append(run(way, environ))
            sys.stderr.write(f"{number + 1}/{repetitions} {name}: {runs[name][-1].seconds:.1f} s\n")
    return {name: _median(found) for name, found in runs.items()}


def _median(runs: Sequence[Run]) -> Run:
    fields: Sequence[Callable[[Run], float]] = (lambda r: r.seconds, lambda r: r.cpu_seconds, lambda r: r.peak_mib)
    return Run(*(median(map(field, runs)) for field in fields))


@contextmanager
def sandbox(*options: str) -> Iterator[dict[str, str]]:
    """A sandbox with these options; gives the environment that points at it."""
    command = [sys.executable, "-m", "partner_pipelines.sandbox", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield os.environ | json.loads(process.stdout.readline())["env"]
    finally:
        process.terminate()
        process.wait()
