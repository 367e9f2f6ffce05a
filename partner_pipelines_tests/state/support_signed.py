"""A child that writes the trail with checkpoints beside it, far more often than in life: DIRECTORY CALLS."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from partner_pipelines.state.audit_checkpoint_thread import CheckpointThread
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines_tests.state.support_checkpoints import checkpoints_of
from partner_pipelines_tests.state.support_trail import intent, open_trail, outcome


def main(root: Path, calls: int) -> None:
    data = DataDirectory(root)
    trail = open_trail(data.segments)
    signer = CheckpointThread(checkpoints_of(data), trail.record_event, interval_seconds=0.002)
    signer.start()
    for number in range(calls):
        trail.record_outcome(trail.record_intent(intent()), outcome())
        if number % 50 == 0:
            os.write(1, b"fifty\n")
    signer.close(trail.close)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
