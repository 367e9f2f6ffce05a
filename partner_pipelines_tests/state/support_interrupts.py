"""A child that is interrupted (Ctrl-C) at random moments of its appends, and goes on each time."""

from __future__ import annotations

import random
import signal
import sys
from pathlib import Path

from partner_pipelines_tests.state.support_trail import intent, open_trail, outcome


def main(segments: Path, times: int) -> None:
    """Prints the id of each intent that was recorded."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    chance = random.Random(20261122)  # noqa: S311 -- moments, not secrets
    trail = open_trail(segments)
    recorded = []
    for _ in range(times):
        recorded.append(trail.record_intent(intent()))  # opens the segment, so that the interrupt finds an append
        try:
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.00002, 0.0005))
            while True:
                recorded.append(trail.record_intent(intent()))
                trail.record_outcome(recorded[-1], outcome())
        except KeyboardInterrupt:
            pass
    trail.close()
    print("\n".join(recorded))  # noqa: T201 -- the parent reads it


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
