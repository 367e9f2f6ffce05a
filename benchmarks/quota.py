"""OpenMoove under its quota, scaled from an hour to 30 seconds: one process, four at once, one that is killed."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from measure import PROGRAM
from openmoove_sandbox import OpenMooveSandbox, is_complete, openmoove, sync, wait_until
from report import part, table

LIMIT, WINDOW = 1000, 30.0
SHORT_LIMIT, SHORT_WINDOW = 100, 0.5
LIMITS = f"{LIMIT}/{WINDOW:g},{SHORT_LIMIT}/{SHORT_WINDOW:g}"
KEPT = 20  # of the longest window, for first-class requests
MAX_WAIT = {"PARTNER_MAX_WAIT_SECONDS": "1"}  # 60 of the hour are half a second; a sync that begins takes longer
STARTING_SECONDS = 1.0  # less than a sync takes until its first request
MOST_SYNCS = 30
PROCESSES = 4
KILLS = 10
BATCH = 50


def one_process(options: argparse.Namespace) -> str:
    with openmoove(options.properties, "--rate-limits", LIMITS) as partner, tempfile.TemporaryDirectory() as folder:
        environ = _environ(partner, folder)
        began = time.monotonic()
        syncs = _until_nothing_is_left(partner, environ)
        seconds = time.monotonic() - began
        complete = is_complete(environ, options.properties)
        arrivals, refused = partner.arrivals(), _refused(partner)
    counts = windows(arrivals, WINDOW)
    return part(
        "OpenMoove under its quota",
        f"{options.properties:,} properties under {LIMITS}, the partner's quota of an hour in {WINDOW:g} seconds, by "
        f"syncs one after the other, each begun when the next place is near: {syncs} syncs, {seconds:.0f} s. A window "
        f"is {WINDOW:g} s from its first request; all but the last are full ones.",
        table(["window", "requests"], [[str(number), f"{count:,}"] for number, count in enumerate(counts, 1)]),
        f"{_completeness(complete)} {_in_windows(partner, counts)}, {refused} answers 429 (aim: none), "
        f"{len(arrivals):,} requests (aim: {partner.plain_requests:,}). {_sliding(arrivals)}",
    )


def four_processes(options: argparse.Namespace) -> str:
    with openmoove(options.properties, "--rate-limits", LIMITS) as partner, tempfile.TemporaryDirectory() as folder:
        environ = _environ(partner, folder)
        with ThreadPoolExecutor(PROCESSES) as pool:
            each = [pool.submit(_until_nothing_is_left, partner, environ) for _ in range(PROCESSES)]
            syncs = sum(one.result() for one in each)
        complete = is_complete(environ, options.properties)
        arrivals, refused = partner.arrivals(), _refused(partner)
    counts = windows(arrivals, WINDOW)
    more = len(arrivals) / partner.plain_requests - 1
    return part(
        f"OpenMoove under its quota, {PROCESSES} processes at once",
        f"The same on one data directory and one key: each process repeats its sync until it has no backlog, {syncs} "
        f"syncs in all. Requests a window: {', '.join(f'{count:,}' for count in counts)}.",
        f"{_completeness(complete)} {_in_windows(partner, counts)}, with {len(arrivals):,} requests, {more:+.1%} (aim: "
        f"at most {partner.plain_requests:,} + 2 %), {refused} answers 429 (aim: none). {_sliding(arrivals)}",
    )


def _environ(partner: OpenMooveSandbox, folder: str) -> dict[str, str]:
    return {**partner.environ, **MAX_WAIT, "PARTNER_DATA_DIR": str(Path(folder) / "data")}


def _until_nothing_is_left(partner: OpenMooveSandbox, environ: Mapping[str, str]) -> int:
    """How many syncs it took."""
    for number in range(1, MOST_SYNCS + 1):
        facts = sync(environ)
        left = sum(facts["backlog"].values())
        sys.stderr.write(f"sync {number}: {facts['requests']} requests, {left} left, {facts['seconds']:.1f} s\n")
        if not left:
            return number
        wait_until(_next_place(partner.arrivals()) - STARTING_SECONDS)
    sys.exit(f"{MOST_SYNCS} syncs leave a backlog of {left}")


def _next_place(arrivals: Sequence[float]) -> float:
    spendable = LIMIT - KEPT
    return arrivals[-spendable] + WINDOW if len(arrivals) >= spendable else 0.0


def _refused(partner: OpenMooveSandbox) -> int:
    return sum(entry["status"] == 429 for entry in partner.log())


def _completeness(complete: bool) -> str:
    return "Complete" if complete else "NOT complete"


def _in_windows(partner: OpenMooveSandbox, counts: Sequence[int]) -> str:
    least = -(-partner.plain_requests // (LIMIT - KEPT))
    share = min(counts[:-1], default=0) / LIMIT
    return f"in {len(counts)} windows (aim: {least}), of each full one at least {share:.1%} spent (aim: 96 %)"


def _sliding(arrivals: Sequence[float]) -> str:
    return (
        f"The most in any {WINDOW:g} s: {most_within(arrivals, WINDOW):,} (aim: at most {LIMIT:,}); in any "
        f"{SHORT_WINDOW:g} s: {most_within(arrivals, SHORT_WINDOW)} (aim: at most {SHORT_LIMIT})."
    )


def windows(arrivals: Sequence[float], seconds: float) -> list[int]:
    """The requests of each window: it begins with the first request after the one before."""
    counts: list[int] = []
    end = 0.0
    for at in arrivals:
        if at >= end:
            end = at + seconds
            counts.append(0)
        counts[-1] += 1
    return counts


def most_within(arrivals: Sequence[float], seconds: float) -> int:
    """The most requests in any window of this length, wherever it begins; sorted times."""
    most = first = 0
    for number, at in enumerate(arrivals):
        while arrivals[first] <= at - seconds:
            first += 1
        most = max(most, number - first + 1)
    return most


def killed(options: argparse.Namespace) -> str:
    with openmoove(options.properties) as partner, tempfile.TemporaryDirectory() as folder:
        environ = _environ(partner, folder)
        for number in range(1, KILLS + 1):
            _kill_at(partner, environ, partner.plain_requests * number // (KILLS + 1), number * 0.037)
        sync(environ)
        complete = is_complete(environ, options.properties)
        found = partner.counted()
    again = found.total() - found["current"] - partner.plain_requests
    return part(
        f"OpenMoove: killed {KILLS} times",
        f"A first sync of {options.properties:,} properties, limits off; SIGKILL when the sandbox has seen 1, 2, … "
        f"{KILLS} of {KILLS + 1} parts of the requests, then one sync to the end.",
        f"{_completeness(complete)} with {again:,} requests asked again (aim: at most {KILLS * BATCH}, {KILLS} "
        f"batches), besides {found['current']} of an asset check.",
    )


def _kill_at(partner: OpenMooveSandbox, environ: Mapping[str, str], requests: int, later: float) -> None:
    """Starts a sync and kills it with its children, so many seconds after the sandbox has seen so many requests."""
    process = subprocess.Popen(
        [*PROGRAM, "sync"],
        env=dict(environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    try:
        while partner.counted().total() < requests and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(later)
        if process.poll() is not None:
            sys.exit(f"a sync ended with status {process.returncode} before it was killed at {requests} requests")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
