"""Receivers killed under load at random moments; what was acknowledged must be in the warehouse, exactly once.

More kills than `make test` has time for:

    python -m partner_pipelines_tests.receiver.killing 200 [SEED]

Before them, strace looks that file and directory are synced before the 202 leaves.
"""

from __future__ import annotations

import base64
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from itertools import count
from pathlib import Path

from partner_pipelines.settings import load_settings
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.house import open_house
from partner_pipelines.sync.webhooks import apply_webhooks
from partner_pipelines.warehouse.reading import open_published
from partner_pipelines_tests.receiver.load import Delivered, deliver
from partner_pipelines_tests.receiver.process import SECRET, ReceiverProcess, event, receiver

KILLS_A_START = 4


def kill_under_load(data: Path, kills: int, seed: int = 0) -> set[bytes]:
    """Kills workers, which are replaced, and now and then the whole receiver. Returns what was acknowledged."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    numbers = count(1)
    acknowledged: set[bytes] = set()
    for done in range(0, kills, KILLS_A_START):
        with receiver(data, "--port", "0", "--workers", "2") as running:
            few = min(KILLS_A_START, kills - done)
            acknowledged |= _kill_some(running, few, numbers, chance).acknowledged
    return acknowledged


def _kill_some(running: ReceiverProcess, kills: int, numbers: count[int], chance: random.Random) -> Delivered:
    over = threading.Event()
    found: list[Delivered] = []
    bodies = (event(next(numbers)) for _ in iter(int, 1))
    partner = threading.Thread(
        target=lambda: found.append(deliver(running.url, bodies, connections=16, stop=over.is_set))
    )
    partner.start()
    for _ in range(kills - 1):
        over.wait(chance.uniform(0.05, 0.6))
        with suppress(ProcessLookupError, IndexError):  # it is being replaced
            os.kill(chance.choice(running.workers()), signal.SIGKILL)
    over.wait(chance.uniform(0.05, 0.6))
    running.process.kill()
    running.process.wait()
    over.set()
    partner.join()
    return found[0]


def check_applied_once(data: Path, acknowledged: set[bytes]) -> None:
    """Applies what waits; each acknowledged body is one delivery that is no duplicate and no dead letter."""
    waiting = [
        base64.b64decode(json.loads(path.read_bytes())["body_base64"])
        for path in (data / "webhooks" / "inbox").glob("[!.]*")
    ]
    assert len(waiting) == len(set(waiting))
    assert acknowledged <= set(waiting), f"{len(acknowledged - set(waiting))} acknowledged deliveries are lost"
    settings = load_settings({"PARTNER_DATA_DIR": str(data), "OPENMOOVE_WEBHOOK_SECRETS": SECRET})
    with open_house(settings, run_id="apply", stop=StopSignal()) as house:
        apply_webhooks(house)
        database = open_published(house.data)
    ids = [json.loads(body)["data"]["property_id"] for body in waiting]
    told = "SELECT property_id FROM audit.webhook_deliveries WHERE state IN ('applied', 'waiting') AND verified"
    rows = [property_id for (property_id,) in database.execute(told).fetchall()]
    database.close()
    assert sorted(rows) == sorted(ids)


def syscalls_of_one_delivery(data: Path) -> list[str]:
    """What one worker asks of the kernel for one delivery, as strace writes it."""
    with receiver(data, "--port", "0", "--workers", "1") as running:
        (worker,) = running.workers()
        trace = data.with_name("trace")
        calls = "openat,fsync,link,linkat,write,writev,sendto,sendmsg"
        command = ["strace", "-f", "-y", "-s", "40", "-e", f"trace={calls}", "-o", str(trace), "-p", str(worker)]
        tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert tracer.stderr is not None
        assert "attached" in tracer.stderr.readline()
        assert running.post(event(0)).status_code == 202
        tracer.terminate()
        tracer.communicate()
        return trace.read_text().splitlines()


def check_synced_before_the_answer(lines: list[str]) -> None:
    """File synced, named, directory synced, answered: in this order."""
    wanted = ("fsync(.*/inbox/[#.]", "link.*/inbox/", "fsync(.*/inbox>", "HTTP/1.1 202")
    places = [
        next(place for place, line in enumerate(lines) if re.search(each.replace("(", r"\("), line)) for each in wanted
    ]
    assert places == sorted(places), "\n".join(lines[place] for place in places)


def main(kills: int, seed: int) -> None:
    """Prints what was seen; AssertionError for what does not hold."""
    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "data"
        data.mkdir()
        check_synced_before_the_answer(syscalls_of_one_delivery(Path(place) / "traced"))
        acknowledged = kill_under_load(data, kills, seed)
        check_applied_once(data, acknowledged)
        sys.stdout.write(
            "strace: the file synced, named, its directory synced, and then 202\n"
            f"{kills} kills; {len(acknowledged):,} acknowledged deliveries, each in the warehouse once\n"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
