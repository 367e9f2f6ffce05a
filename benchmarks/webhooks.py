"""Webhooks: durable deliveries a second, among slow senders too, and how long it takes until many of them are applied.

    python benchmarks/webhooks.py [--deliveries 20000] [--connections 64] [--applied 10000]

Prints a sentence a line. The receiver is the real command with a worker a core; what delivers to it runs on the same
machine.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from partner_pipelines.settings import load_settings  # noqa: E402 - the tests' own tools stand beside the package
from partner_pipelines.state.data_directory import DataDirectory, open_data_directory  # noqa: E402
from partner_pipelines.state.files import link_synced, sync_directory  # noqa: E402
from partner_pipelines.state.inbox import Inbox  # noqa: E402
from partner_pipelines.state.stop import StopSignal  # noqa: E402
from partner_pipelines.sync.house import open_house  # noqa: E402
from partner_pipelines.sync.webhooks import apply_webhooks  # noqa: E402
from partner_pipelines_tests.receiver.load import deliver  # noqa: E402
from partner_pipelines_tests.receiver.process import event, receiver  # noqa: E402

SLOW = 200
FILES = 5_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deliveries", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--applied", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        lines = [
            *_receive(Path(folder) / "received", options.deliveries, options.connections),
            *_disk_alone(Path(folder) / "disk"),
            *_receive_among_slow(Path(folder) / "slow"),
            *_apply(Path(folder) / "applied", options.applied),
        ]
    sys.stdout.write("\n".join(lines) + "\n")


def _receive(data: Path, deliveries: int, connections: int) -> list[str]:
    data.mkdir()
    with receiver(data, "--port", "0") as running:
        deliver(running.url, (event(number) for number in range(1, 200)), connections=connections)
        bodies = [event(number) for number in range(1_000, 1_000 + deliveries)]
        began = time.monotonic()
        found = deliver(running.url, bodies, connections=connections)
        seconds = time.monotonic() - began
    assert len(found.acknowledged) == deliveries
    rate = f"{deliveries / seconds:,.0f} durable deliveries a second at {connections} connections"
    return [f"{rate}, p99 {found.p99 * 1000:.0f} ms ({os.cpu_count()} cores, delivering included)"]


def _disk_alone(directory: Path) -> list[str]:
    """The same files and nothing else, each synced by itself; the receiver syncs those together that come together."""
    directory.mkdir()
    body = event(1) * 2

    def store(number: int) -> None:
        link_synced(directory / str(number), body)
        sync_directory(directory)

    began = time.monotonic()
    with ThreadPoolExecutor(16 * (os.cpu_count() or 1)) as threads:
        list(threads.map(store, range(FILES)))
    return [f"the disk alone: {FILES / (time.monotonic() - began):,.0f} such files a second, each synced with its name"]


def _receive_among_slow(data: Path) -> list[str]:
    data.mkdir()
    with receiver(data, "--port", "0") as running:
        host, _, port = running.url.removeprefix("http://").rpartition(":")
        with ExitStack() as stack:
            for _ in range(SLOW):
                connection = stack.enter_context(socket.create_connection((host, int(port))))
                connection.sendall(b"POST /webhooks/openmoove HTTP/1.1\r\nHost: receiver\r\nContent-Length: 9\r\n")
            found = deliver(running.url, [event(number) for number in range(2_000)], connections=8)
    assert len(found.acknowledged) == 2_000
    return [f"beside {SLOW} connections that never finish their request: p99 {found.p99 * 1000:.0f} ms"]


def _apply(data: Path, count: int) -> list[str]:
    opened = open_data_directory(data, "sandbox")
    inbox = Inbox(opened.webhooks, opened.key("webhooks"))
    _fill(opened, inbox, count)
    settings = load_settings({"PARTNER_DATA_DIR": str(data), "OPENMOOVE_WEBHOOK_SECRETS": "s"})
    began = time.monotonic()
    assert inbox.waiting(most=1) == 1
    looked = time.monotonic() - began
    with open_house(settings, run_id="bench", stop=StopSignal()) as house:
        result = apply_webhooks(house).tables["audit.webhook_deliveries"]
    seconds = time.monotonic() - began
    assert result.inserted == count
    return [
        f"{count:,} deliveries applied and published in {seconds:.1f} s",
        f"a tick's look at {count:,} waiting files: {looked * 1000:.1f} ms",
    ]


def _fill(data: DataDirectory, inbox: Inbox, count: int) -> None:
    """Files as the receiver writes them, without its waits for the disk."""
    inbox.make()
    sync, os.fsync = os.fsync, lambda _descriptor: None  # type: ignore[assignment]
    for number in range(1, count + 1):
        milestone = {"id": number, "name": "Completion", "completed": True, "completed_date": "2026-01-01T00:00:00Z"}
        told = {"property_id": number % 2_000 + 1, "milestone": milestone}
        stamp = "2026-01-01T00:00:00Z"
        body = json.dumps({"event": "property.milestone.updated", "timestamp": stamp, "data": told}).encode()
        inbox.put("openmoove", {}, body, datetime.now(UTC))
    os.fsync = sync
    assert data.webhooks.is_dir()


if __name__ == "__main__":
    main()
