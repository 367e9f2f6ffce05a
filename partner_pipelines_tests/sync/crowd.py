"""Many processes of several threads that ask ResMan for one unit at the same moment: `PROCESSES THREADS UNIT_ID`.

They are forked from one that has imported everything. Prints `ready`, goes on a line of input, then a line a process:
its process id and how each thread fared.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from partner_pipelines.errors import PartnerPipelinesError
from partner_pipelines.partners.resman.operations import UNITS
from partner_pipelines.settings import Settings, load_settings
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.house import open_house


def main(processes: int, threads: int, unit_id: str) -> None:
    settings = load_settings(dict(os.environ))
    begin, let_begin = os.pipe()
    children = []
    for _ in range(processes):
        child = os.fork()
        if child == 0:
            os.close(let_begin)
            os.read(begin, 1)  # until the parent closes its end: all of them at once
            os._exit(ask(settings, threads, unit_id))
        children.append(child)
    print("ready", flush=True)  # noqa: T201 - the test reads it
    sys.stdin.readline()
    os.close(let_begin)
    for child in children:
        os.waitpid(child, 0)


def ask(settings: Settings, threads: int, unit_id: str) -> int:
    together = Barrier(threads)
    with open_house(settings, run_id=f"crowd-{os.getpid()}", stop=StopSignal()) as house:
        client = house.resman(settings.resman[0])

        def one(_: int) -> str:
            together.wait()
            try:
                return "ok" if client.get(UNITS, unit_id)[0].items else "empty"
            except PartnerPipelinesError as error:
                return type(error).__name__

        with ThreadPoolExecutor(threads) as pool:
            fared = list(pool.map(one, range(threads)))
    os.write(1, f"{os.getpid()} {' '.join(fared)}\n".encode())
    return 0


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
