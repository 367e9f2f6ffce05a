"""Starting, being refused, being killed, and ending."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from partner_pipelines_tests.sandbox_process import SandboxProcess, wait_until

COLLECTIONS = [
    "openmoove_properties",
    *(f"resman_{kind}" for kind in ("units", "leads", "employees", "documents", "payments", "maintenance")),
]
PROPERTY = {"id": 7, "address": "1 Test Street", "sale_method": "standard", "colour": "blue", "seller": {"id": 1}}


def refused(*options: str) -> str:
    """Start a sandbox that must not start; return its one line."""
    command = [sys.executable, "-m", "partner_pipelines.sandbox", *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    return line


def get_property(sandbox: SandboxProcess, property_id: int) -> httpx.Response:
    headers = {"X-API-KEY": sandbox.env["OPENMOOVE_API_KEY"]}
    return httpx.get(f"{sandbox.env['OPENMOOVE_BASE_URL']}properties/{property_id}/detail/", headers=headers)


def test_the_environment_points_at_it(sandbox: SandboxProcess) -> None:
    base = sandbox.base_url
    assert sandbox.env == {
        "PARTNER_ENV": "sandbox",
        "RESMAN_BASE_URL": base,
        "RESMAN_INTROSPECTION_URL": f"{base}/oauth2/introspect",
        "RESMAN_REVOCATION_URL": f"{base}/oauth2/revoke",
        "RESMAN_CLIENT_ID": "sandbox-client",
        "RESMAN_CLIENT_SECRET": sandbox.env["RESMAN_CLIENT_SECRET"],
        "OPENMOOVE_BASE_URL": f"{base}/api/partners/",
        "OPENMOOVE_API_KEY": sandbox.env["OPENMOOVE_API_KEY"],
        "OPENMOOVE_WEBHOOK_SECRETS": sandbox.env["OPENMOOVE_WEBHOOK_SECRETS"],
        "OPENMOOVE_RATE_LIMITS": "",
    }
    assert sandbox.env["OPENMOOVE_API_KEY"].startswith("om_")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--port", "x"], "--port"),
        (["--port", "70000"], "--port"),
        (["--properties", "-1"], "--properties"),
        (["--latency-ms", "soon"], "--latency-ms"),
        (["--rate-limits", "100"], "100"),
        (["--rate-limits", "0/60"], "0/60"),
        (["--webhook-url", "here"], "here"),
        (["--seed-dir", "/nowhere"], "/nowhere"),
        (["--note", "/nowhere/note"], "/nowhere"),
        (["--log", "/nowhere/log"], "/nowhere/log"),
        (["--state-dir", "/dev/null/x"], "/dev/null"),
        (["--what"], "--what"),
    ],
)
def test_a_bad_option_is_one_line_and_status_2(options: list[str], named: str) -> None:
    assert named in refused(*options)


def test_a_port_in_use_is_one_line_and_status_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port}" in refused("--port", str(port))


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"id": "7"}', "not a whole number"),
        ('{"id": 1}', "on line 1 already"),
        ('{"id": 2, "milestones": [1]}', "milestones"),
    ],
)
def test_a_bad_seed_line_is_named(tmp_path: Path, line: str, wrong: str) -> None:
    (tmp_path / "openmoove_properties.jsonl").write_text(f'{{"id": 1}}\n\n{line}\n')
    complaint = refused("--seed-dir", str(tmp_path))
    assert f"{tmp_path}/openmoove_properties.jsonl:3: " in complaint
    assert wrong in complaint


def test_a_seed_that_is_not_gzip_is_named(tmp_path: Path) -> None:
    (tmp_path / "resman_units.jsonl.gz").write_text('{"id": "UNIT_1"}\n')
    assert "resman_units.jsonl.gz:1: " in refused("--seed-dir", str(tmp_path))


def test_seed_rows_are_served_as_they_stand(tmp_path: Path) -> None:
    milestones = [{"id": 70, "name": "Instruction", "order": 1, "completed": True, "mood": "good"}]
    (tmp_path / "openmoove_properties.jsonl").write_text(json.dumps(PROPERTY | {"milestones": milestones}) + "\n")
    (tmp_path / "resman_units.jsonl.gz").write_bytes(gzip.compress(b'{"id": "UNIT_9", "view": "sea"}\n'))
    with SandboxProcess.start(seed_dir=tmp_path) as seeded:
        assert get_property(seeded, 7).json() == PROPERTY | {"milestones_count": 1, "completed_milestones": 1}
        assert seeded.rows("openmoove_properties")[0]["milestones"] == milestones
        assert seeded.rows("resman_units") == [{"id": "UNIT_9", "view": "sea"}]
        assert seeded.rows("resman_leads") == []


def test_generated_rows_are_the_same_at_every_start() -> None:
    with SandboxProcess.start() as one, SandboxProcess.start() as two:
        rows = {name: one.rows(name) for name in COLLECTIONS}
        assert rows == {name: two.rows(name) for name in COLLECTIONS}
    assert [len(rows[name]) for name in COLLECTIONS] == [300, 400, 500, 25, 200, 120, 90]
    assert_people_are_fictional(rows)
    properties = rows["openmoove_properties"]
    assert {row["sale_method"] for row in properties} == {"standard", "modern_auction", "secure_sale"}
    assert {row["completed_milestones"] for row in properties} == set(range(9))
    assert {"auctioneer" in row["team"] for row in properties if row["sale_method"] != "standard"} == {True}
    assert any(not row["milestones"] for row in properties)
    names = {milestone["name"] for row in properties for milestone in row["milestones"]}
    assert {"Exchange of Contracts", "Auction Marketing Period", "Auction Exchange"} <= names


def assert_people_are_fictional(rows: dict[str, list[dict[str, Any]]]) -> None:
    people = [row["seller"] for row in rows["openmoove_properties"]]
    people += rows["resman_leads"] + rows["resman_employees"]
    emails = [person["email"] for person in people]
    phones = [person["phone_number"] for person in people if "phone_number" in person]
    assert len(set(emails)) == len(emails)
    assert all(email.endswith("@example.com") and email.isascii() for email in emails)
    assert all(phone.startswith(("+447700900", "+1202555")) for phone in phones)


def test_what_changed_outlives_sigkill(tmp_path: Path) -> None:
    """Upserts, deletes, created rows and granted scopes are there at the next start over the same rows."""
    with SandboxProcess.start("--properties", "12", state_dir=tmp_path) as first:
        first.change(openmoove={"complete_milestones": 2, "new_properties": 1, "delete_properties": 1})
        first.change(resman={"rent_changes": 2, "new_leads": 1, "delete_units": 2})
        first.control("POST", "clients", {"client_id": "second", "client_secret": "s"})
        rows = {name: first.rows(name) for name in COLLECTIONS}
        first.kill()
    with (tmp_path / "changes.jsonl").open("ab") as changes:
        changes.write(b'{"collection": "resman_units", "ups')
    for _ in range(2):
        with SandboxProcess.start("--properties", "12", state_dir=tmp_path) as again:
            assert {name: again.rows(name) for name in COLLECTIONS} == rows
            form = {"grant_type": "client_credentials", "client_id": "second", "client_secret": "s"}
            assert httpx.post(f"{again.base_url}/oauth2/token", data=form).status_code == 200


def test_a_damaged_change_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "changes.jsonl").write_text('{"collection": "resman_units", "delete": "UNIT_1"}\nnonsense\n')
    assert "changes.jsonl:2: " in refused("--state-dir", str(tmp_path))


def test_two_sandboxes_never_share_a_state_directory(tmp_path: Path) -> None:
    with SandboxProcess.start("--properties", "1", state_dir=tmp_path):
        assert "another sandbox" in refused("--properties", "1", "--state-dir", str(tmp_path))


def test_the_note_is_there_while_it_runs(tmp_path: Path) -> None:
    note = tmp_path / "sandbox.json"
    with SandboxProcess.start("--properties", "1", note=note) as noted:
        content = json.loads(note.read_text())
        assert content == {"pid": noted.pid, "base_url": noted.base_url, "env": noted.env}
        assert stat.S_IMODE(note.stat().st_mode) == 0o600
        assert noted.stop() == 0
    assert [file.name for file in tmp_path.iterdir()] == ["sandbox.json.lock"]


def test_a_request_is_in_the_log_file_before_its_answer(tmp_path: Path) -> None:
    log = tmp_path / "requests.jsonl"
    with SandboxProcess.start("--properties", "1", log=log) as logged:
        logged.fault("delay", seconds=600)
        asking = threading.Thread(target=ask_in_vain, args=(logged.base_url,))
        asking.start()
        wait_until(lambda: log.read_text().endswith("\n"))
        logged.kill()
        asking.join()
    (line,) = log.read_text().splitlines()
    entry = json.loads(line)
    assert (entry["path"], entry["request_id"], entry["status"]) == ("/api/leads", "r-1", None)


def ask_in_vain(base_url: str) -> None:
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{base_url}/api/leads", headers={"X-Request-ID": "r-1"}, timeout=60)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_within_a_second_with_connections_open(number: signal.Signals) -> None:
    with SandboxProcess.start("--properties", "1") as ending:
        ending.fault("delay", seconds=600)
        asking = threading.Thread(target=ask_in_vain, args=(ending.base_url,))
        asking.start()
        wait_until(ending.log)
        with socket.create_connection(("127.0.0.1", int(ending.base_url.rpartition(":")[2]))):
            begun = time.monotonic()
            os.kill(ending.pid, number)
            status = ending.wait()
        assert time.monotonic() - begun < 1.5
        assert (status, ending.complaints()) == (0, "")
        asking.join()


def test_it_listens_on_loopback_only(sandbox: SandboxProcess) -> None:
    port = int(sandbox.base_url.rpartition(":")[2])
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    assert [row[1] for row in listening if row[3] == "0A" and row[1].endswith(f":{port:04X}")] == [
        f"0100007F:{port:04X}"
    ]


def test_latency_is_before_every_answer() -> None:
    with SandboxProcess.start("--properties", "1", "--latency-ms", "120") as slow:
        begun = time.monotonic()
        assert get_property(slow, 1).status_code == 200
        assert time.monotonic() - begun >= 0.12


def test_the_log_and_the_stats_tell_what_arrived(sandbox: SandboxProcess) -> None:
    sandbox.control("DELETE", "log")
    get_property(sandbox, 1)
    last = sandbox.log()[-1]["n"]
    headers = {"X-Request-ID": "r-2", "Idempotency-Key": "k-2", "User-Agent": "tests"}
    httpx.get(f"{sandbox.base_url}/api/leads?page=3", headers=headers)
    (entry,) = sandbox.log(since=last)
    assert entry | {"at": 0, "finished_at": 0} == {
        "n": last + 1,
        "at": 0,
        "method": "GET",
        "path": "/api/leads",
        "query": "page=3",
        "request_id": "r-2",
        "partner": "resman",
        "connection_hint": None,
        "status": 401,
        "idempotency_key": "k-2",
        "user_agent": "tests",
        "throttled": False,
        "fault": None,
        "finished_at": 0,
    }
    assert entry["at"] <= entry["finished_at"]
    assert sandbox.control("GET", "stats") == {
        "openmoove": {"/api/partners/properties/{id}/detail/": {"200": 1}},
        "resman": {"/api/leads": {"401": 1}},
    }
