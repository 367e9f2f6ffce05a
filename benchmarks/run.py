"""`make bench`: this program beside plainer ways to do the same work, on one machine, in one go.

Whole commands, in turn; medians and their ratios are printed and written to docs/benchmarks.md. Everything talks to a
sandbox on loopback and is bounded in count.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import audit
import openmoove
import quota
from measure import BARE_PYTHON, EMPTY_RUN, HERE, PROGRAM, ROOT, Run, Way, interleaved, sandbox
from report import section

REPORT = ROOT / "docs" / "benchmarks.md"
UI_PORT = 38111
EVENTS = 40
SHARED = ROOT.parent / "shared" / "data"


Section = Callable[[argparse.Namespace], str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument(
        "--properties", type=int, default=2000, help="of OpenMoove, and where ../shared/data is not there"
    )
    parser.add_argument("--growth", type=_numbers, default=[500, 2000, 8000, 32000], help="properties, a comma list")
    parser.add_argument("--only", type=_names, help=f"prints these and writes nothing: {', '.join(SECTIONS)}")
    options = parser.parse_args()
    parts = [SECTIONS[name](options) for name in options.only or SECTIONS]
    if options.only:
        sys.stdout.write("\n\n".join(parts) + "\n")
        return
    text = "\n\n".join([_head(options.repetitions), *parts]) + "\n"
    sys.stdout.write(text)
    REPORT.write_text(text)


def _names(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no section {unknown[0]}; there are {', '.join(SECTIONS)}")
    return names


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _head(repetitions: int) -> str:
    return (
        "# Benchmarks\n\n"
        f"Made anew by `make bench`: whole commands against a sandbox on the same machine ({os.cpu_count()} cores, "
        f"Python {platform.python_version()}), medians of {repetitions} interleaved repetitions. Seconds differ from "
        "machine to machine; the ratios are what counts."
    )


def first_sync(options: argparse.Namespace) -> str:
    rows, what = _rows(options)
    found = _beside_bare(rows, options.repetitions)
    bare, ours, empty = (found[name].seconds for name in ("bare", "sync", "empty"))
    allowed = 1.2 * bare + empty
    return section(
        "A first sync",
        f"Limits off, no latency, {what}. The bare loop makes the same requests one after the other and loads the same "
        "rows with DuckDB's JSON reader; it keeps no audit, no vault, no history of runs, and cannot resume. The empty "
        "run loads nothing but the audit trail.",
        found,
        f"`sync` takes {(ours - empty) / bare:.2f} times the bare loop plus one empty run (aim: 1.2 times, "
        f"{allowed:.1f} s here), with a peak of {found['sync'].peak_mib:.0f} MiB (aim: 300).",
    )


def with_latency(options: argparse.Namespace) -> str:
    rows, what = _rows(options)
    found = _beside_bare((*rows, "--latency-ms", "20"), 1)
    ratio = found["bare"].seconds / found["sync"].seconds
    return section(
        "A first sync at 20 ms latency",
        f"Limits off, {what}; the bare loop asks one request at a time. One repetition.",
        found,
        f"`sync` is {ratio:.1f} times faster than one request at a time (aim: 5 times).",
    )


def _rows(options: argparse.Namespace) -> tuple[tuple[str, ...], str]:
    """The sandbox's rows, and what they are."""
    if SHARED.is_dir():
        return ("--seed-dir", str(SHARED)), "the real rows: 6,310 properties and 11,054 rows of ResMan"
    return ("--properties", str(options.properties)), f"{options.properties:,} generated properties"


def _beside_bare(rows: Sequence[str], repetitions: int) -> dict[str, Run]:
    with tempfile.TemporaryDirectory() as folder, sandbox(*rows) as environ:
        data, database = Path(folder) / "data", Path(folder) / "bare.duckdb"
        ways = {
            "bare": Way([str(BARE_PYTHON), str(HERE / "bare.py"), str(database)], [database]),
            "sync": Way([*PROGRAM, "sync"], [data]),
            "empty": Way(EMPTY_RUN),
        }
        return interleaved(ways, environ | {"PARTNER_DATA_DIR": str(data)}, repetitions)


def warehouse(options: argparse.Namespace) -> str:
    found = []
    for _ in range(options.repetitions):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([sys.executable, str(HERE / "writers.py"), folder], check=True, capture_output=True)
        found.append(json.loads(done.stdout))
    one = sorted(found, key=lambda each: each["rows_per_second"])[len(found) // 2]
    return (
        "## Four writers and a reader on one warehouse\n\n"
        "Each writer: 20 batches of 1,000 rows, each landed, merged, committed and published; the reader opens the "
        "published file in a loop and counts.\n\n"
        f"{one['rows_per_second']:,.0f} rows/s (aim: 9,000), slowest write {one['slowest_write_seconds']:.2f} s "
        f"(aim: 1), {one['reads']:,} reads with {sum(each['reader_errors'] for each in found)} errors (aim: 0)."
    )


def marts(options: argparse.Namespace) -> str:
    rows, what = _rows(options)
    generated = _marts_on((), options.repetitions)
    return (
        "## The marts\n\nEvery row and column of each of them, and of so many times the rows, multiplied in DuckDB.\n\n"
        "| rows | times | rows of the marts | s | peak MiB | slowest |\n|---|---|---|---|---|---|\n"
        + _marts_lines("what the sandbox generates", generated)
        + _marts_lines(what.split(":")[0], _marts_on(rows, options.repetitions))
        + f"\n{generated[1]['seconds']:.2f} s (aim: 5) and {generated[1]['peak_mib']:.0f} MiB (aim: 300); 100 times "
        f"the rows take {generated[100]['seconds'] / generated[1]['seconds']:.1f} times as long (aim: 30)."
    )


def _marts_on(rows: Sequence[str], repetitions: int) -> dict[int, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder, sandbox(*rows) as environ:
        data = Path(folder) / "data"
        subprocess.run(
            [*PROGRAM, "sync"], env=environ | {"PARTNER_DATA_DIR": str(data)}, check=True, capture_output=True
        )
        published = data / "warehouse" / "published" / "current.duckdb"
        return {times: _marts_of(published, times, repetitions if times == 1 else 1) for times in (1, 10, 100)}


def _marts_lines(what: str, found: dict[int, dict[str, Any]]) -> str:
    return "".join(
        f"| {what} | {times} | {one['rows']:,} | {one['seconds']:.2f} | {one['peak_mib']:.0f} | {one['slowest']} |\n"
        for times, one in found.items()
    )


def _marts_of(published: Path, times: int, repetitions: int) -> dict[str, Any]:
    command = [sys.executable, str(HERE / "marts.py"), str(published), str(times)]
    runs = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(repetitions)]
    return sorted(runs, key=lambda each: each["seconds"])[len(runs) // 2]


def up(_options: argparse.Namespace) -> str:
    with tempfile.TemporaryDirectory() as folder, sandbox("--properties", "100") as environ:
        environ |= {"PARTNER_DATA_DIR": str(Path(folder) / "data")}
        began = time.monotonic()
        command = [*PROGRAM, "up", "--port", str(UI_PORT), "--receiver-port", str(UI_PORT + 1)]
        process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            seconds = _seconds_until_ready(began, f"http://127.0.0.1:{UI_PORT}/server_info")
            waits = _seconds_to_published(environ)
        finally:
            process.terminate()
            process.wait()
    return (
        f"## `up`\n\nThe UI answers {seconds:.1f} s after `partner-pipelines up` on a new data directory (aim: 20).\n\n"
        f"From a milestone's webhook to the warehouse that shows it, {len(waits)} events one after the other: median "
        f"{median(waits):.0f} s, p95 {sorted(waits)[int(len(waits) * 0.95)]:.0f} s (aim: 45)."
    )


def _seconds_to_published(environ: Mapping[str, str]) -> list[float]:
    """Of events that come now and then; the tables are filled first."""
    subprocess.run([*PROGRAM, "sync"], env=dict(environ), check=True, capture_output=True)
    _ask(environ, "settings", {"webhook_url": f"http://127.0.0.1:{UI_PORT + 1}/webhooks/openmoove"})
    for _ in range(EVENTS):
        _ask(environ, "change", {"openmoove": {"complete_milestones": 1}})
        time.sleep(3)
    query = "SELECT seconds_to_published FROM audit.webhook_deliveries WHERE seconds_to_published IS NOT NULL"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = subprocess.run(
            [*PROGRAM, "query", "--format", "json", query], env=dict(environ), check=True, capture_output=True
        )
        waits = [float(row["seconds_to_published"]) for row in json.loads(found.stdout)]
        if len(waits) == EVENTS:
            return waits
        time.sleep(2)
    sys.exit(f"{len(waits)} of {EVENTS} events are published after two minutes")


def _ask(environ: Mapping[str, str], name: str, values: Mapping[str, object]) -> None:
    request = urllib.request.Request(  # noqa: S310 - our own sandbox on loopback
        f"{environ['RESMAN_BASE_URL']}/_sandbox/{name}",
        data=json.dumps(values).encode(),
        headers={"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310


def webhooks(_options: argparse.Namespace) -> str:
    done = subprocess.run([sys.executable, str(HERE / "webhooks.py")], check=True, capture_output=True, text=True)
    lines = "\n".join(f"- {line}" for line in done.stdout.splitlines())
    return f"## Webhooks\n\nAims: 1,000 durable deliveries a second, p99 100 ms, 10,000 applied in 20 s.\n\n{lines}"


def _seconds_until_ready(began: float, url: str) -> float:
    while time.monotonic() - began < 120:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - loopback
                return time.monotonic() - began
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    sys.exit("up is not ready after two minutes")


SECTIONS: dict[str, Section] = {
    "first_sync": first_sync,
    "latency": with_latency,
    "warehouse": warehouse,
    "up": up,
    "webhooks": webhooks,
    "openmoove_first": openmoove.first_sync,
    "openmoove_latency": openmoove.with_latency,
    "openmoove_second": openmoove.second_sync,
    "openmoove_changed": openmoove.changed,
    "quota_one": quota.one_process,
    "quota_four": quota.four_processes,
    "killed": quota.killed,
    "growth": openmoove.growth,
    "audit_cost": audit.cost,
    "verify": audit.verify,
    "marts": marts,
}

main()
