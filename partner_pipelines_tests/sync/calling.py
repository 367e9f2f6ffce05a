"""A process that calls a partner when it is told to, while things are done to its data directory.

call     one page of OpenMoove's list is asked for: prints `answered`, or the error's class and sentence
full     from now on no file grows: the disk is full
room     there is room again
"""

from __future__ import annotations

import os
import resource
import signal
import sys

from partner_pipelines.errors import PartnerPipelinesError
from partner_pipelines.partners.openmoove.client import OpenMooveClient
from partner_pipelines.settings import load_settings
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.house import open_house


def _call(client: OpenMooveClient) -> str:
    try:
        next(client.list_pages("list"))
    except PartnerPipelinesError as error:
        return f"{type(error).__name__}: {error}"
    return "answered"


def _room(size: int) -> str:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    return "done"


def main() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    settings = load_settings(dict(os.environ))
    with open_house(settings, run_id=None, stop=StopSignal()) as house:
        client = house.openmoove(settings.openmoove[0])
        print("ready", flush=True)  # noqa: T201 - the parent reads it
        for line in sys.stdin:
            told = line.strip()
            said = _call(client) if told == "call" else _room(0 if told == "full" else resource.RLIM_INFINITY)
            print(said, flush=True)  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    main()
