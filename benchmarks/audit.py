"""What the audit adds to a call, and how fast it is proved."""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

import httpx
from measure import PROGRAM, sandbox
from report import part, table

from partner_pipelines.clock import now
from partner_pipelines.models.call import CallIntent, CallOutcome
from partner_pipelines.partners.attempt import ATTEMPT, Attempt
from partner_pipelines.partners.exchange import WireLimits
from partner_pipelines.partners.transport import Audited
from partner_pipelines.partners.wire import build_wire
from partner_pipelines.settings import load_settings
from partner_pipelines.state.audit_trail import AuditTrail
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.house import House, open_house
from partner_pipelines.sync.process_trail import end_trail

CALLS = 3_000
WARM_UP = 200
SEGMENTS, CALLS_A_SEGMENT = 4, 50_000
DEADLINE_SECONDS = 30.0

Call = Callable[[], object]


def cost(_options: argparse.Namespace) -> str:
    """The same request with and without the audit, in turn, over one wire each."""
    with tempfile.TemporaryDirectory() as folder, sandbox("--properties", "20") as environ:
        settings = load_settings(environ | {"PARTNER_DATA_DIR": folder})
        with open_house(settings, run_id=None, stop=StopSignal()) as house:
            found = _interleaved(_bare(environ), _audited(environ, house))
        end_trail(house.data.segments)
    bare, audited = (sorted(seconds) for seconds in found)
    rows = [
        [name, *(f"{1000 * each:.3f}" for each in (median(seconds), seconds[int(len(seconds) * 0.95)]))]
        for name, seconds in (("without", bare), ("audited", audited))
    ]
    return part(
        "What the audit adds to a call",
        f"{CALLS:,} details of a property with the audit and {CALLS:,} without, in turn, one at a time; a reservation "
        "of 50 numbers is synced within, intents and outcomes are written, checkpoints signed by their thread.",
        table(["", "median ms", "p95 ms"], rows),
        f"The audit adds {1000 * (median(audited) - median(bare)):.2f} ms at the median (aim: at most 1).",
    )


def _interleaved(*calls: Call) -> list[list[float]]:
    """Seconds of each call, by kind; the first ones do not count."""
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(WARM_UP + CALLS):
        for call, found in zip(calls, seconds, strict=True):
            began = time.perf_counter()
            call()
            found.append(time.perf_counter() - began)
    return [found[WARM_UP:] for found in seconds]


def _bare(environ: Mapping[str, str]) -> Call:
    wire = build_wire(None)

    def call() -> None:
        request = _request(environ)
        request.extensions["deadline"] = time.monotonic() + DEADLINE_SECONDS
        request.extensions["timeout"] = WireLimits().timeouts(DEADLINE_SECONDS)
        response = wire.handle_request(request)
        response.read()
        response.close()
        assert response.status_code == httpx.codes.OK

    return call


def _audited(environ: Mapping[str, str], house: House) -> Call:
    content_key = house.data.key("content")
    transport = Audited(build_wire(None), house.recorder, lambda body: _hash(content_key, body), WireLimits())

    def call() -> None:
        assert transport.handle_request(_request(environ)).status_code == httpx.codes.OK

    return call


def _hash(key: bytes, body: bytes) -> str:
    return hashlib.blake2b(body, key=key, digest_size=16).hexdigest()


def _request(environ: Mapping[str, str]) -> httpx.Request:
    url = f"{environ['OPENMOOVE_BASE_URL']}properties/1/detail/"
    attempt = Attempt(
        operation_id="0123456789abcdef",
        connection="openmoove",
        partner="openmoove",
        operation="get_property_detail",
        reason="new",
        purpose="work",
        url=url,
        number=1,
        deadline=time.monotonic() + DEADLINE_SECONDS,
    )
    headers = {"X-API-KEY": environ["OPENMOOVE_API_KEY"], "Accept": "application/json"}
    return httpx.Request("GET", url, headers=headers, extensions={ATTEMPT: attempt})


def verify(options: argparse.Namespace) -> str:
    """The whole command on a signed trail."""
    with tempfile.TemporaryDirectory() as folder, sandbox("--properties", "1") as environ:
        settings = load_settings(environ | {"PARTNER_DATA_DIR": folder})
        for _ in range(SEGMENTS):
            _write_segment(DataDirectory(Path(folder)))
        with open_house(settings, run_id=None, stop=StopSignal()) as house:
            house.journal("bench", {})
        end_trail(house.data.segments)
        size = sum(path.stat().st_size for path in house.data.segments.iterdir())
        runs = [_verified(environ | {"PARTNER_DATA_DIR": folder}) for _ in range(options.repetitions)]
    records, seconds = runs[0][0], median(seconds for _, seconds in runs)
    return part(
        "`audit verify`",
        f"The whole command on a signed trail of {records:,} records ({size / 2**20:,.0f} MiB), its start included.",
        f"{records / seconds:,.0f} records/s, {seconds:.1f} s in all (aim: 100,000 records/s).",
    )


def _write_segment(data: DataDirectory) -> None:
    trail = AuditTrail(data.segments, version="bench")
    intent = CallIntent(
        operation_id="0123456789abcdef",
        connection="openmoove",
        partner="openmoove",
        operation="get_property_detail",
        reason="new",
        purpose="work",
        method="GET",
        url="https://api.openmoove.com/api/partners/properties/1/detail/",
        attempt=1,
        started_at=now(),
    )
    outcome = CallOutcome(
        finished_at=now(), status=200, outcome="ok", latency_ms=12.5, bytes=2048, items=1, body_hash="0" * 32
    )
    for _ in range(CALLS_A_SEGMENT):
        trail.record_outcome(trail.record_intent(intent), outcome)
    trail.close()


def _verified(environ: Mapping[str, str]) -> tuple[int, float]:
    began = time.monotonic()
    done = subprocess.run(
        [*PROGRAM, "audit", "verify", "--json"], env=dict(environ), check=True, capture_output=True, text=True
    )
    seconds = time.monotonic() - began
    return json.loads(done.stdout.splitlines()[-1])["records"], seconds
