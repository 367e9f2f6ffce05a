"""A file of 100,000 lines, 1 % bad, checked, pushed, killed once and resumed: python -m …cli.push_many [LINES].

Prints what it took; AssertionError for what does not hold. Minutes: most of it is the sandbox's own work.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from partner_pipelines.state.outbox import Outbox
from partner_pipelines_tests.cli.pushing import write_csv
from partner_pipelines_tests.sandbox_process import SandboxProcess, wait_until

BAD_EVERY = 100
DEADLINE_SECONDS = 3600


def main(lines: int) -> None:
    """The whole of it, on a sandbox and a data directory of its own."""
    with tempfile.TemporaryDirectory() as directory, SandboxProcess.start("--properties", "12") as sandbox:
        root = Path(directory)
        env = {**os.environ, **sandbox.env, "PARTNER_DATA_DIR": str(root / "data")}
        peaks = [_check(env, _write(root, count), count) for count in (lines // 10, lines)]
        assert peaks[1] <= 1.2 * peaks[0], peaks
        _push(env, root, sandbox, lines)


def _write(root: Path, lines: int) -> Path:
    people = [
        {
            "first_name": "Ada",
            "last_name": f"Many{number}",
            "email": f"many{number}@example.com" if number % BAD_EVERY else "bad",
            "phone_number": f"+1303555{number % 10_000:04d}",
            "source": "many",
        }
        for number in range(lines)
    ]
    return write_csv(root / f"leads{lines}.csv", people)


def _check(env: dict[str, str], file: Path, lines: int) -> int:
    """The peak of a dry run's memory in kB, as the kernel counts it."""
    began = time.monotonic()
    process = subprocess.Popen(
        _command(file, "--dry-run"), env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    out, told = process.communicate(timeout=DEADLINE_SECONDS)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # of the largest child: they come in order of size
    assert len(out.splitlines()) == lines // BAD_EVERY + 1, out[-500:]
    assert len(told.splitlines()) == lines // 10_000, told
    _say(f"{lines:,} lines checked in {time.monotonic() - began:.1f} s, {peak / 1024:.0f} MiB")
    return peak


def _push(env: dict[str, str], root: Path, sandbox: SandboxProcess, lines: int) -> None:
    file, outbox = root / f"leads{lines}.csv", Outbox(root / "data" / "outbox")
    began = time.monotonic()
    first = subprocess.Popen(_command(file), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: outbox.counts().get(("resman", "leads", "queued"), 0) > lines // 2, DEADLINE_SECONDS)
    first.kill()
    first.wait()
    _say(f"killed after {time.monotonic() - began:.1f} s: {outbox.counts()}")
    began = time.monotonic()
    again = subprocess.run(
        _command(file, "--settle", "--json"), env=env, stdout=subprocess.PIPE, text=True, check=False
    )
    told = json.loads(again.stdout.splitlines()[-1])
    _say(f"resumed, done in {time.monotonic() - began:.1f} s: {told}")
    good = lines - lines // BAD_EVERY
    assert (told["created"] + told["unchanged"], told["rejected"]) == (good, lines // BAD_EVERY)
    made = [row["last_name"] for row in sandbox.rows("resman_leads") if row["source"] == "many"]
    assert len(made) == len(set(made)) == good
    named = file.with_name(f"{file.name}.rejected.csv").read_text().splitlines()
    assert len(named) == lines // BAD_EVERY + 1


def _command(file: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "partner_pipelines", "push", "leads", str(file), *options]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
