"""`make bench`: a first sync beside a bare loop that makes the same requests, and an empty Dagster run.

Whole commands, in turn, so that a machine whose speed drifts slows them alike; the medians and their ratio are printed
and written to docs/benchmarks.md. Everything talks to a sandbox on loopback.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "docs" / "benchmarks.md"
PROGRAM = [sys.executable, "-m", "partner_pipelines"]
DEADLINE_SECONDS = 600

Run = tuple[float, float]  # seconds, peak MiB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--properties", type=int, default=2000)
    parser.add_argument("--seed-dir", type=Path)
    parser.add_argument("--latency-ms", type=int, default=0)
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lines = _measure(options, Path(folder))
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    REPORT.write_text(text)


def _measure(options: argparse.Namespace, folder: Path) -> list[str]:
    rows = ["--seed-dir", str(options.seed_dir)] if options.seed_dir else ["--properties", str(options.properties)]
    command = [sys.executable, "-m", "partner_pipelines.sandbox", *rows, "--latency-ms", str(options.latency_ms)]
    sandbox = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert sandbox.stdout is not None
        ready = json.loads(sandbox.stdout.readline())
        environ = os.environ | ready["env"] | {"PARTNER_DATA_DIR": str(folder / "data")}
        ways: dict[str, Callable[[], Run]] = {
            "bare httpx loop": lambda: _run(
                [sys.executable, str(ROOT / "benchmarks" / "bare.py"), str(folder / "bare.duckdb")],
                environ,
                [folder / "bare.duckdb"],
            ),
            "partner-pipelines sync": lambda: _run([*PROGRAM, "sync"], environ, [folder / "data"]),
            "empty Dagster run": lambda: _run([*PROGRAM, "sync", "--select", 'key:"audit/api_calls"'], environ, []),
        }
        runs: dict[str, list[Run]] = {name: [] for name in ways}
        for _ in range(options.repetitions):
            for name, way in ways.items():
                runs[name].append(way())
    finally:
        sandbox.terminate()
        sandbox.wait()
    return _report(runs, options)


def _run(command: Sequence[str], environ: dict[str, str], begin_without: Sequence[Path]) -> Run:
    for path in begin_without:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    began = time.monotonic()
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{' '.join(command)} ended with status {os.waitstatus_to_exitcode(status)}")
    if seconds > DEADLINE_SECONDS:
        sys.exit(f"{' '.join(command)} took {seconds:.0f} s")
    return seconds, _mebibytes(usage)


def _mebibytes(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / 1024


def _report(runs: dict[str, list[Run]], options: argparse.Namespace) -> list[str]:
    seconds = {name: median(run[0] for run in found) for name, found in runs.items()}
    bare, ours, empty = (seconds[name] for name in runs)
    what = (
        f"the rows of {options.seed_dir.name}" if options.seed_dir else f"{options.properties:,} generated properties"
    )
    how = (
        "Made anew by `make bench`; whole commands against a sandbox on the same machine, medians of "
        f"{options.repetitions} interleaved repetitions: {what}, {options.latency_ms} ms latency, "
        f"{os.cpu_count()} cores, Python {platform.python_version()}."
    )
    verdict = (
        f"A first sync takes {ours / bare:.2f} times the bare loop; beyond one empty Dagster run it takes "
        f"{(ours - empty) / bare:.2f} times the bare loop. The aim is at most 1.2 times (issue 3)."
    )
    rows = [f"| {name} | {seconds[name]:.1f} | {median(run[1] for run in found):.0f} |" for name, found in runs.items()]
    return ["# Benchmarks", "", how, "", "| | seconds | peak MiB |", "|---|---|---|", *rows, "", verdict]


main()
