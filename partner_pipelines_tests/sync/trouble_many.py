"""Many troubles: python -m partner_pipelines_tests.sync.trouble_many [ROUNDS=20] [SEED] [PLACE] prints what they met.

A round is two of each trouble. PLACE is where the data directories stand; on a small disk of its own (a mounted tmpfs)
that disk is filled too.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.sync.troubles import ON_A_SMALL_DISK, SMALL_DISK_BYTES, TROUBLES, Troubling


def main(rounds: int, seed: int, place: str | None) -> None:
    """AssertionError as soon as something does not hold."""
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(dir=place) as directory,
        SandboxProcess.start("--properties", "80", "--latency-ms", "5") as sandbox,
    ):
        found = os.statvfs(directory)
        small = found.f_blocks * found.f_frsize < SMALL_DISK_BYTES
        troubling = Troubling(sandbox, Path(directory), seed)
        for number in range(rounds):
            for name, trouble in (TROUBLES | (ON_A_SMALL_DISK if small else {})).items():
                print(f"{number + 1}: {name}", file=sys.stderr, flush=True)  # noqa: T201 - progress
                troubling.meet_twice(trouble)
    for name, count in troubling.ended.most_common():
        print(f"{name}: {count}")  # noqa: T201 - the result
    print(f"seed {seed}: all held, in {time.monotonic() - began:.0f} s")  # noqa: T201 - the result


if __name__ == "__main__":
    given = sys.argv[1:]
    main(
        int(given[0]) if given else 20,
        int(given[1]) if len(given) > 1 else int(time.time()),
        given[2] if len(given) > 2 else None,
    )
