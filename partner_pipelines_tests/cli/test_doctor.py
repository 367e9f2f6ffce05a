"""`doctor` as a user meets it: what is wrong is named, with a remedy that the documentation has too."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from partner_pipelines.state.heartbeat import Heartbeat
from partner_pipelines_tests.cli.finished_demo import FinishedDemo
from partner_pipelines_tests.cli.program import Program, only_line
from partner_pipelines_tests.docs.doctor_page import PAGE
from partner_pipelines_tests.modes import MODES_HOLD
from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.wire.certificates import Authority
from partner_pipelines_tests.wire.raw_server import RawServer, answer

# The headings of the partners' guides, in their order: handshake, calls, scopes; between what this machine needs
ORDER = [
    *("settings", "data directory", "TLS"),
    *("resman: credentials", "resman: token endpoint", "resman: scopes", "resman: endpoint", "resman: quota"),
    *("openmoove: credentials", "openmoove: endpoint", "openmoove: quota"),
    *("notifications", "disk", "warehouse", "trail", "signing key", "up", "openmoove: receiver"),
    *("webhooks", "schedules"),
]
NOT_IT = "zq-none-of-theirs"


@dataclass
class Report:
    """What doctor said: by check, its lines' states and words."""

    status: int
    complaints: str
    lines: list[str]
    states: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    says: dict[str, str] = field(default_factory=dict)


def doctor(program: Program, *, before: tuple[str, ...] = (), **variables: str) -> Report:
    finished = program.run("doctor", "--json", before=before, **variables)
    assert "Traceback" not in finished.stderr, finished.stderr
    *lines, last = finished.stdout.splitlines()
    facts = json.loads(last)
    report = Report(finished.returncode, finished.stderr, lines)
    page = PAGE.read_text()
    for check in facts["checks"]:
        assert set(check) == {"name", "state", "says", "remedy"}
        report.states[check["name"]].append(check["state"])
        report.says[check["name"]] = f"{report.says.get(check['name'], '')}{check['says']}\n"
        assert (check["state"] == "green") == (check["remedy"] == "")
        connection = check["name"].partition(": ")[0]
        assert check["remedy"].replace(f"restore {connection}`", "restore CONNECTION`") in page
        assert any(line.startswith(check["state"]) and line.endswith(check["says"]) for line in lines)
    for state in ("red", "yellow"):
        assert facts[state] == sum(check["state"] == state for check in facts["checks"])
    return report


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxProcess]:
    with SandboxProcess.start("--properties", "5") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: SandboxProcess, program: Program) -> SandboxProcess:
    program.environ |= running.env
    return running


def last_request(sandbox: SandboxProcess) -> int:
    log = sandbox.log()
    return int(log[-1]["n"]) if log else 0


def test_with_nothing_there_and_nothing_running_it_makes_a_sandbox_finds_no_red_and_ends_with_0(
    program: Program,
) -> None:
    report = doctor(program)
    assert (report.status, report.complaints) == (0, "")
    assert list(report.states) == ORDER
    yellow = [name for name, states in report.states.items() if "yellow" in states]
    assert yellow == ["warehouse", "signing key", "up", "openmoove: receiver"]
    assert report.states["resman: endpoint"] == ["green"] * 4
    assert program.processes() == []


def test_bad_settings_are_the_first_red_line_and_status_2_and_nothing_is_made(program: Program) -> None:
    report = doctor(program, RESMAN_SCOPES="leads pets")
    assert (report.status, dict(report.states)) == (2, {"settings": ["red"]})
    assert "'pets' is no scope" in report.lines[0]
    assert report.complaints.count("\n") == 1
    assert not program.place.exists()
    unset = doctor(program, PARTNER_ENV="production")
    assert (unset.status, unset.states["settings"]) == (2, ["red"])
    assert "RESMAN_CLIENT_ID" in unset.says["settings"]


def test_another_environments_directory_is_red_and_status_2(program: Program, sandbox: SandboxProcess) -> None:
    program.place.mkdir()
    (program.place / "environment.json").write_text('{"environment": "production", "schema": 1}')
    seen = last_request(sandbox)
    finished = program.run("doctor")
    assert finished.returncode == 2
    assert "belongs to the environment 'production'" in only_line(finished)
    assert "red     data directory" in finished.stdout
    assert sandbox.log(since=seen) == []


def test_a_wrong_secret_and_a_wrong_key_are_red_and_nothing_else_is_asked(
    program: Program, sandbox: SandboxProcess
) -> None:
    seen = last_request(sandbox)
    report = doctor(program, RESMAN_CLIENT_SECRET=NOT_IT, OPENMOOVE_API_KEY=NOT_IT)
    assert report.status == 1
    assert report.states["resman: credentials"] == report.states["openmoove: credentials"] == ["red"]
    assert "resman: endpoint" not in report.states
    remedies = [line for line in report.lines if line.strip().startswith("→ verify")]
    assert [("client_id" in line, "API key" in line) for line in remedies] == [(True, False), (False, True)]
    assert NOT_IT not in "".join(report.lines)
    assert [entry["path"] for entry in sandbox.log(since=seen)] == ["/oauth2/token", "/api/partners/properties/"]


def test_certificates_that_have_expired_are_red_and_those_that_end_soon_yellow(
    program: Program, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    expired = authority.server(expires_in=timedelta(hours=-1))
    with RawServer(answer(b"{}"), authority.server()) as soon, RawServer(answer(b"{}"), expired) as over:
        report = doctor(
            program,
            PARTNER_CA_BUNDLE=str(authority.bundle),
            RESMAN_BASE_URL=soon.origin,
            RESMAN_CLIENT_ID="id",
            RESMAN_CLIENT_SECRET="secret",
            OPENMOOVE_BASE_URL=over.origin,
            OPENMOOVE_API_KEY="key",
        )
        assert over.requests == []
    assert report.status == 1
    assert report.states["TLS"] == ["yellow", "red"]
    assert "Test Authority vouches for it for 0 days" in report.says["TLS"]
    assert "certificate has expired" in report.says["TLS"]
    assert report.states["openmoove: endpoint"] == ["red"]
    assert report.states["resman: token endpoint"] == ["red"]  # it answers, and gives no token


def test_a_full_disk_is_red_no_request_leaves_and_the_other_checks_are_made(
    program: Program, sandbox: SandboxProcess
) -> None:
    seen = last_request(sandbox)
    report = doctor(program, before=("prlimit", "--fsize=0"))
    assert report.status == 1
    assert report.states["data directory"] == ["red"]
    assert report.states["resman: credentials"] == ["yellow"]
    assert {"TLS", "disk", "trail", "signing key", "up", "schedules"} <= set(report.states)
    assert sandbox.log(since=seen) == []


def test_a_directory_that_cannot_be_written_is_red_and_no_request_leaves(
    program: Program, sandbox: SandboxProcess
) -> None:
    program.place.mkdir()
    (program.place / "environment.json").write_text('{"environment": "sandbox", "schema": 1}')
    program.place.chmod(0o500)
    seen = last_request(sandbox)
    report = doctor(program, before=MODES_HOLD)
    alone = doctor(program, before=MODES_HOLD, RESMAN_BASE_URL="", OPENMOOVE_BASE_URL="")
    program.place.chmod(0o700)
    assert report.status == alone.status == 1
    assert report.states["data directory"] == alone.states["data directory"] == ["red"]
    assert alone.states["settings"] == ["yellow", "green"]  # no sandbox can be had, and that is said
    assert sandbox.log(since=seen) == []
    assert doctor(program).states["data directory"] == ["green"]  # mended


def test_a_directory_that_cannot_be_read_is_one_red_line_and_its_remedy_stands_once(
    program: Program, sandbox: SandboxProcess
) -> None:
    seen = last_request(sandbox)
    program.place.mkdir(0o300)  # it can be written, and nobody sees what is in it
    (program.place / "environment.json").write_text('{"environment": "sandbox", "schema": 1}')
    program.place.chmod(0)
    report = doctor(program, before=MODES_HOLD)
    program.place.chmod(0o700)
    assert report.status == 1
    assert sandbox.log(since=seen) == []
    assert [name for name, states in report.states.items() if "red" in states] == ["data directory"]
    inside = ("disk", "warehouse", "trail", "signing key", "up", "receiver", "schedules")
    assert {report.says[name] for name in inside} == {"not looked at: the data directory cannot be read\n"}
    last = report.lines[-3:]  # seven lines of one cause, what to do once below them, the sum
    assert (last[0].split()[:2], last[1].strip()[0]) == (["yellow", "schedules"], "→")
    assert sum("mend the red lines first" in line for line in report.lines) == 2  # below credentials, below these


def test_an_address_that_no_notification_can_go_to_is_red_and_not_shown(
    program: Program, sandbox: SandboxProcess
) -> None:
    assert sandbox.base_url
    report = doctor(program, PARTNER_ALERTS_SYSTEM=f"zq://{NOT_IT}", PARTNER_ALERTS_ADMIN="json://127.0.0.1:9/a")
    good = doctor(
        program,
        PARTNER_ALERTS_SYSTEM="json://127.0.0.1:9/a,mailto://127.0.0.1:25/o@example.com?from=p@example.com&mode=insecure",
    )
    assert report.states["notifications"] == ["red", "green"]
    assert "address 1 of system_alert is none that Apprise knows" in report.says["notifications"]
    assert NOT_IT not in "".join(report.lines)
    assert (good.states["notifications"], good.says["notifications"]) == (["green"], "2 addresses can be written to\n")


def test_a_run_that_failed_is_told(program: Program, sandbox: SandboxProcess) -> None:
    assert sandbox.base_url
    words = ("sync", "--select", "group:openmoove")
    assert program.run(*words, OPENMOOVE_API_KEY=NOT_IT).returncode == 1
    failed = doctor(program)
    assert failed.states["up"] == ["green", "yellow"]
    assert "the last run, which ended at " in failed.says["up"]
    assert program.run(*words).returncode == 0
    assert doctor(program).states["up"] == ["green"]


def test_for_another_commands_sandbox_nobody_waits(program: Program) -> None:
    lock = program.place / "state" / "sandbox" / "lock"
    for directory in reversed((lock.parent, lock.parent.parent, program.place)):
        directory.mkdir(0o700)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        report = doctor(program)
    assert (report.status, report.states["settings"]) == (0, ["yellow", "green"])
    assert "another command has a sandbox" in report.says["settings"]
    assert not any(name.startswith(("resman", "openmoove")) for name in report.states)


@pytest.fixture
def loaded(demo: FinishedDemo, program: Program, sandbox: SandboxProcess) -> Program:
    """A data directory with data, and no sandbox of its own."""
    assert sandbox.base_url
    shutil.copytree(demo.data, program.place, symlinks=True)
    return program


def test_on_a_directory_in_use_all_is_green_but_the_key_beside_the_trail(loaded: Program) -> None:
    Heartbeat(loaded.place / "webhooks").beat(["openmoove"])
    with (loaded.place / "state" / "up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        report = doctor(loaded, OPENMOOVE_WEBHOOK_SECRETS="s3cret")
    assert report.status == 0
    low = {"disk"}  # the machine's own affair
    assert {name for name, states in report.states.items() if "yellow" in states} - low == {"signing key"}
    assert "`up` is at work" in report.says["up"]
    assert "the whole of it holds" in report.says["trail"]
    assert "warehouse-" in report.says["warehouse"]


def test_deliveries_that_nobody_takes_and_those_that_cannot_be_used_are_named(loaded: Program) -> None:
    assert doctor(loaded).says["webhooks"] == "no delivery waits\n"
    inbox = loaded.place / "webhooks" / "inbox"
    (inbox / "of-a-tool").mkdir(parents=True)
    (inbox / "of-a-tool" / "delivery.json").write_text("{}")
    (inbox / "link.json").symlink_to(inbox / "of-a-tool" / "delivery.json")
    (inbox / "no-webhook.json").write_text("{}")
    report = doctor(loaded)
    assert report.states["webhooks"] == ["green", "yellow"]
    assert "1 delivery waits, since 20" in report.says["webhooks"]
    assert f"{inbox / 'link.json'} and 1 more: no file, nobody reads it" in report.says["webhooks"]
    eleven_minutes_ago = time.time() - 660
    os.utime(inbox / "no-webhook.json", (eleven_minutes_ago, eleven_minutes_ago))
    assert doctor(loaded).states["webhooks"] == ["yellow", "yellow"]
    assert loaded.run("sync", "--select", 'key:"audit/webhook_deliveries"').returncode == 0
    report = doctor(loaded)
    assert report.says["webhooks"].splitlines()[0] == "no delivery waits"
    assert report.says["webhooks"].splitlines()[2] == "1 delivery could not be used"


def test_a_damaged_trail_an_open_key_and_a_revoked_connection_are_named(loaded: Program) -> None:
    assert loaded.run("revoke", "resman").returncode == 0
    segment = max((loaded.place / "audit" / "segments").iterdir(), key=lambda file: file.stat().st_size)
    lines = segment.read_bytes().split(b"\n")
    lines[4] = lines[4].replace(b"200", b"201").replace(b"GET", b"PUT")
    segment.write_bytes(b"\n".join(lines))
    (key,) = (loaded.place / "state" / "keys").glob("personal.key")
    key.chmod(0o644)
    (loaded.place / "warehouse" / "published" / "current.duckdb").unlink()
    report = doctor(loaded)
    assert report.status == 1
    assert report.says["trail"].startswith(f"{segment.stem} line 5: ")
    assert report.states["trail"] == report.states["data directory"] == ["red"]
    assert str(key) in report.says["data directory"]
    assert report.states["resman: credentials"] == ["yellow"]
    assert any(line.strip() == "→ if that is over: `partner-pipelines restore resman`" for line in report.lines)
    assert report.states["openmoove: endpoint"] == ["green"]
    assert report.states["warehouse"] == ["yellow"]
