"""The whole job with every failure that there is, as loud as it can be: what it leaves behind is to be searched.

`run_job` syncs twice in one data directory: as `sync` does it, with webhooks that wait and a mistake in the program,
then as Dagster's own command does it, pictures drawn. Somebody is notified; doctor and support bundles look at it.
DEBUG is on, Dagster keeps all Python logs and whatever the steps print.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from partner_pipelines.defs.home import make_home
from partner_pipelines.state.data_directory import open_data_directory
from partner_pipelines_tests.alert_receiver import AlertReceiver
from partner_pipelines_tests.hostile.proxy import HostileProxy, Request
from partner_pipelines_tests.leaks.canaries import (
    EMPLOYEES,
    LEADS,
    PROPERTY,
    PUSHED,
    REFUSED,
    REJECTED_PROPERTY,
    SECRETS,
)
from partner_pipelines_tests.leaks.deliveries import drop_deliveries
from partner_pipelines_tests.leaks.echoing import PERSON, TOKEN, EchoingPartner, echo
from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.wire.certificates import Authority
from partner_pipelines_tests.wire.raw_server import Part, RawServer, answer

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 600
OURS = ("PARTNER_", "RESMAN_", "OPENMOOVE_", "DAGSTER_")

_LOUD_HOME = """
python_logs:
  managed_python_loggers: [root]
  python_log_level: DEBUG
compute_logs:
  module: dagster._core.storage.local_compute_log_manager
  class: LocalComputeLogManager
  config:
    base_dir: {base}
"""
_IN_DAGSTER = 'key:"resman/leads" or key:"resman/employees" or key:"audit/*" or key:"marts/*"'
_CONNECTIONS = """
[[connections]]
name = "good"
partner = "resman"
base_url = "{good}"
client_id = "canary-client"
client_secret = "env:GOOD_SECRET"

[[connections]]
name = "echoing"
partner = "resman"
base_url = "{echoing}"
client_id = "canary-client"
client_secret = "env:OTHER_SECRET"

[[connections]]
name = "refusing"
partner = "resman"
base_url = "{refusing}"
client_id = "canary-client"
client_secret = "env:OTHER_SECRET"
token_auth = "client_secret_basic"

[[connections]]
name = "south"
partner = "openmoove"
base_url = "{good}/api/partners/"
api_key = "env:GOOD_KEY"
webhook_secrets = ["env:WEBHOOK_SECRET"]

[[connections]]
name = "leading-away"
partner = "openmoove"
base_url = "{leading_away}/api/partners/"
api_key = "env:OTHER_KEY"

[[connections]]
name = "untrusted"
partner = "openmoove"
base_url = "{untrusted}/api/partners/"
api_key = "env:OTHER_KEY"

[[connections]]
name = "shut"
partner = "openmoove"
base_url = "{shut}/api/partners/"
api_key = "env:OTHER_KEY"
"""


@dataclass
class Job:
    """What came of it. `sent`, `echoed`, `untrusted`: what the good, the echoing, the untrusted partner was asked.

    `elsewhere`: what came to a host that nobody should ask. `notifications`: what whoever is to be notified was sent.
    """

    home: Path
    data: Path
    outputs: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    sent: list[bytes] = field(default_factory=list)
    echoed: list[bytes] = field(default_factory=list)
    elsewhere: list[bytes] = field(default_factory=list)
    untrusted: list[bytes] = field(default_factory=list)
    notifications: list[str] = field(default_factory=list)


class _Recording(HostileProxy):
    """Remembers the access tokens that it hands on."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.tokens: set[str] = set()

    def parts(self, request: bytes) -> list[Part]:
        parts = list(super().parts(request))
        if b"/oauth2/token" in request.partition(b"\r\n")[0]:
            body = b"".join(part for part in parts if isinstance(part, bytes)).partition(b"\r\n\r\n")[2]
            self.tokens.add(json.loads(body)["access_token"])
        return parts


def run_job(home: Path, certificates: Path) -> Job:
    """The job, done. `home`: working directory, HOME, TMPDIR and data directory of all its processes."""
    job = Job(home, home / "data")
    with ExitStack() as stack:
        sandbox = stack.enter_context(SandboxProcess.start("--properties", "12"))
        _give_canaries(sandbox)
        elsewhere = stack.enter_context(RawServer(answer(b"{}")))
        good = stack.enter_context(_spoiled(sandbox, elsewhere))
        echoing = stack.enter_context(EchoingPartner(elsewhere.origin, gives_tokens=True))
        untrusted = stack.enter_context(RawServer(answer(b"{}"), Authority(certificates).server()))
        origins = {
            "good": good.origin,
            "echoing": echoing.origin,
            "refusing": stack.enter_context(EchoingPartner(elsewhere.origin, gives_tokens=False)).origin,
            "leading_away": stack.enter_context(
                RawServer(_page(f"{elsewhere.origin}/api/partners/properties/?page=2"))
            ).origin,
            "untrusted": untrusted.origin,
            "shut": f"http://127.0.0.1:{stack.enter_context(_taken_port())}",
        }
        alerts = stack.enter_context(AlertReceiver())
        _run_all(job, _environ(home, certificates, origins, alerts.address))
        job.notifications = [json.dumps(message) for message in alerts.messages]
        job.tokens = good.tokens | {TOKEN}
        job.echoed = echoing.requests
        job.sent, job.elsewhere, job.untrusted = good.requests, elsewhere.requests, untrusted.requests
    return job


def _run_all(job: Job, environ: Mapping[str, str]) -> None:
    dagster_home = make_home(open_data_directory(job.data, "sandbox"))
    config = dagster_home / "dagster.yaml"
    kept = config.read_text()
    before, _, after = kept.partition("compute_logs:\n")
    config.write_text(
        before + after.partition("\n")[2].partition("\n")[2] + _LOUD_HOME.format(base=dagster_home / "storage")
    )
    drop_deliveries(job.data / "webhooks" / "inbox")
    _drop_writes(job.data / "outbox" / "leads")
    loud = (sys.executable, "-m", "partner_pipelines_tests.leaks.loud")
    ours = str(Path(sys.executable).with_name("partner-pipelines"))
    _run(job, "sync", {**environ, "LOUD_MISTAKE": "resman.employees"}, *loud, "sync", "--json")
    in_dagster = ("asset", "materialize", "--select", _IN_DAGSTER, "-m", "partner_pipelines.definitions")
    _run(job, "dagster", {**environ, "DAGSTER_HOME": str(dagster_home)}, *loud, "dagster", *in_dagster)
    looks = {
        "doctor": (*loud, "doctor", "--json"),
        "query": (ours, "query", "FROM resman.leads", "--format", "json"),
        **{f"show {operation}": (ours, "audit", "show", one) for operation, one in _calls_to_show(job).items()},
        "verify": (ours, "audit", "verify"),
    }
    with ThreadPoolExecutor(2) as pool:  # none of them waits for another
        for done in [pool.submit(_run, job, name, environ, *command) for name, command in looks.items()]:
            done.result()


def _drop_writes(place: Path) -> None:
    """A lead for the partner that takes it, for the one that shows it again, and a line that no partner gets."""
    place.mkdir(0o700, parents=True)
    lines = [{**PUSHED, "connection": "good"}, {**PUSHED, "connection": "echoing"}, {**REFUSED, "connection": "good"}]
    (place / "people.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def records(job: Job) -> list[dict[str, Any]]:
    """The whole trail."""
    return [
        {"segment": segment.stem, **json.loads(line)}
        for segment in (job.data / "audit" / "segments").glob("*.jsonl")
        for line in segment.read_text().splitlines()
    ]


def _calls_to_show(job: Job) -> dict[str, str]:
    """The last one of those whose addresses and bodies hold most of what must not be shown, by operation."""
    return {
        record["operation"]: f"{record['segment']}-{record['n']}"
        for record in records(job)
        if record["kind"] == "intent" and record["connection"] == "echoing"
        if record["operation"] in ("request_token", "list_documents")
    }


def _run(job: Job, name: str, environ: Mapping[str, str], *command: str) -> None:
    finished = subprocess.run(
        command,
        env=dict(environ),
        cwd=job.home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    job.statuses[name] = finished.returncode
    job.outputs[f"{name}, output"] = finished.stdout.decode()
    job.outputs[f"{name}, complaints"] = finished.stderr.decode()


def _environ(home: Path, certificates: Path, origins: Mapping[str, str], alerts: str) -> dict[str, str]:
    file = certificates / "connections.toml"
    file.write_text(_CONNECTIONS.format_map(origins))
    (home / "tmp").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return kept | {
        "PARTNER_CONNECTIONS": str(file),
        "PARTNER_DATA_DIR": str(home / "data"),
        "PARTNER_CONCURRENCY": "1",
        "PARTNER_MAX_WAIT_SECONDS": "0.1",  # seldom a second try: the first one shows as much
        "GOOD_SECRET": SECRETS["client secret"],
        "OTHER_SECRET": SECRETS["another client secret"],
        "GOOD_KEY": SECRETS["API key"],
        "OTHER_KEY": SECRETS["another API key"],
        "WEBHOOK_SECRET": SECRETS["webhook secret"],
        "ALERTS": alerts.replace("://", f"://bell:{SECRETS['password of the alerts']}@"),
        **{f"PARTNER_ALERTS_{audience}": "env:ALERTS" for audience in ("SYSTEM", "ADMIN", "INTEGRATION")},
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "default",
        "DO_NOT_TRACK": "1",
    }


def _give_canaries(sandbox: SandboxProcess) -> None:
    sandbox.control("POST", "clients", {"client_id": "canary-client", "client_secret": SECRETS["client secret"]})
    sandbox.control("POST", "keys", {"api_key": SECRETS["API key"]})
    sandbox.change(
        resman={"leads": {"upsert": LEADS}, "employees": {"upsert": EMPLOYEES}},
        openmoove={"update": [PROPERTY, REJECTED_PROPERTY]},
    )


@contextmanager
def _spoiled(sandbox: SandboxProcess, elsewhere: RawServer) -> Iterator[_Recording]:
    """The good partner, whose answers about some properties go wrong, each in its own way."""
    with _Recording(sandbox.base_url) as good:
        sandbox.fault("expire_token", path="/api/units")

        def first_time_only(request: Request) -> list[Part] | None:
            return [echo(request, "429 Too Many Requests")] if request.number == 1 else None

        good.spoil("/properties/12/detail/", first_time_only)
        for number, status in ((4, "400 Bad Request"), (5, "404 Not Found"), (6, "500 Oops"), (7, "422 Unprocessable")):
            good.spoil(f"/properties/{number}/detail/", lambda request, status=status: [echo(request, status)])  # type: ignore[misc]
        good.spoil("/properties/8/detail/", answer(b"", "302 Found", f"Location: {elsewhere.origin}/api/partners/"))
        good.spoil("/properties/9/detail/", lambda request: [echo(request, "200 OK", wrong=b"{")])
        good.spoil("/properties/10/detail/", lambda request: [echo(request, "200 OK")[:-9]])
        good.spoil("/properties/11/detail/", lambda request: [f"{PERSON} {request.headers}\r\n\r\n".encode()])
        good.spoil("/properties/3/detail/", lambda request: [_bad_header(request)])
        yield good


def _bad_header(request: Request) -> bytes:
    return f"HTTP/1.1 200 OK\r\nX-{PERSON}\r\n {request.headers}: \0\r\n\r\n".encode()


def _page(next_url: str) -> bytes:
    return answer(json.dumps({"count": 2, "next": next_url, "previous": None, "results": [{"id": 900}]}).encode())


@contextmanager
def _taken_port() -> Iterator[int]:
    """A port that nobody listens at and nobody else gets."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]
