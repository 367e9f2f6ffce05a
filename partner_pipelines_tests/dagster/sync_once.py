"""One `run_sync` as a process: prints each finished step, then the report as JSON. Exit status 0 or 1."""

from __future__ import annotations

import json
import sys

from partner_pipelines.defs.run_watch import FinishedStep
from partner_pipelines.defs.running import run_sync
from partner_pipelines.settings import load_settings
from partner_pipelines.state.stop import StopSignal


def _tell(step: FinishedStep) -> None:
    _say(f"step {step.name} {step.error or 'done'}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    selection = sys.argv[1] if len(sys.argv) > 1 else None
    report = run_sync(load_settings(), selection=selection, stop=StopSignal(), progress=_tell)
    _say(json.dumps({**report.as_json(), "stopped": report.stopped}))
    return 0 if report.success else 1


if __name__ == "__main__":
    sys.exit(main())
