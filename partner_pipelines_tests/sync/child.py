"""A sync in a process of its own, to be killed, raced or stopped: the words of EVERYTHING as arguments.

Prints `ready`, then `done` or the class and the sentence of the error that ended it.
SYNC_FILE_SIZE: files grow to this size only, as on a full disk. SYNC_CLOCK: by how many seconds its clock is wrong, and
by how many after it is stepped (stepping.py).
"""

from __future__ import annotations

import os
import resource
import signal
import sys

from partner_pipelines.errors import PartnerPipelinesError
from partner_pipelines.settings import load_settings
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.house import open_house
from partner_pipelines_tests.sync import stepping
from partner_pipelines_tests.sync.program import sync_one


def main(*what: str) -> int:
    if "SYNC_FILE_SIZE" in os.environ:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(os.environ["SYNC_FILE_SIZE"]), resource.RLIM_INFINITY))
    if "SYNC_CLOCK" in os.environ:
        wrong, stepped = map(float, os.environ["SYNC_CLOCK"].split(","))
        stepping.install((wrong, stepped))
    stop = StopSignal()
    print("ready", flush=True)  # noqa: T201 - the parent reads it
    try:
        with (
            stop.on_signals(signal.SIGTERM),
            open_house(load_settings(dict(os.environ)), run_id=f"child-{os.getpid()}", stop=stop) as house,
        ):
            for one in what:
                sync_one(house, one)
    except PartnerPipelinesError as error:
        print(f"{type(error).__name__}: {error}", flush=True)  # noqa: T201 - the parent reads it
        return 1
    print("done", flush=True)  # noqa: T201 - the parent reads it
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
