"""Many kills: python -m partner_pipelines_tests.sync.kill_many [KILLS=200] [SEED] prints what they met."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.sync.killing import Killing


def main(kills: int, seed: int) -> None:
    """Rounds of three kills until there were enough; AssertionError as soon as something does not hold."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory, SandboxProcess.start("--properties", "80") as sandbox:
        killing = Killing(sandbox, Path(directory), seed)
        while killing.found.kills < kills:
            killing.round()
            print(f"{killing.found.kills} kills", file=sys.stderr, flush=True)  # noqa: T201 - progress
    found = asdict(killing.found) | {"again": sorted(killing.found.again), "seed": seed}
    for name, value in found.items():
        print(f"{name}: {value}")  # noqa: T201 - the result
    print(f"all held, in {time.monotonic() - began:.0f} s")  # noqa: T201 - the result


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    main(*given, *[200, int(time.time())][len(given) :])
