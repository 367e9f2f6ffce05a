"""A child whose disk is full: RLIMIT_FSIZE with SIGXFSZ ignored cuts writes short and then refuses them (EFBIG)."""

from __future__ import annotations

import resource
import signal
import sys
from pathlib import Path

from partner_pipelines.errors import AuditUnavailableError
from partner_pipelines_tests.state.support_trail import intent, open_trail, outcome


def _limit(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def main(segments: Path, room: int) -> None:
    """Writes until the disk is full, tries once more, then goes on after it was mended."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    trail = open_trail(segments)
    _limit(room)
    sent = []
    try:
        while True:
            sent.append(trail.record_intent(intent()))
    except AuditUnavailableError as error:
        print("refused", error)  # noqa: T201 -- the parent reads it
    _limit(resource.RLIM_INFINITY)
    sent.append(trail.record_intent(intent()))
    for request_id in sent:
        trail.record_outcome(request_id, outcome())
    trail.close()
    print("sent", len(sent))  # noqa: T201 -- the parent reads it


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
