"""What the receiver answers to what, and what it writes then."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from partner_pipelines.state.audit_verify import verify
from partner_pipelines_tests.receiver.process import PATH, PROGRAM, SECRET, ReceiverProcess, event, receiver, signature
from partner_pipelines_tests.sandbox_process import wait_until

LARGEST = 256 * 1024
BODY = event(1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiverProcess]:
    place = tmp_path_factory.mktemp("receiver")
    secrets = place / "elm"
    secrets.write_text("whsec-elm\n")
    connections = place / "connections.toml"
    connections.write_text(
        '[[connections]]\nname = "oak"\npartner = "openmoove"\napi_key = "k"\nbase_url = "http://127.0.0.1:9/"\n'
        f'webhook_secrets = ["{SECRET}", "whsec-old"]\n'
        '[[connections]]\nname = "elm"\npartner = "openmoove"\napi_key = "k"\nbase_url = "http://127.0.0.1:9/"\n'
        f'webhook_secrets = ["file:{secrets}"]\n'
    )
    with receiver(place / "data", "--port", "0", "--workers", "1", PARTNER_CONNECTIONS=str(connections)) as found:
        yield found


def _written(running: ReceiverProcess, body: bytes) -> list[dict[str, str]]:
    wanted = base64.b64encode(body).decode()
    return [file for file in running.waiting() if file["body_base64"] == wanted]


def test_a_signed_delivery_is_a_private_file_in_the_form_of_the_interface(running: ReceiverProcess) -> None:
    before = datetime.now(UTC)
    answer = running.post(BODY)
    assert (answer.status_code, answer.json()) == (202, {"accepted": True})
    (file,) = _written(running, BODY)
    assert {"headers", "body_base64", "received_at"} <= file.keys()
    assert file["headers"]["x-openmoove-signature"] == signature(BODY)  # type: ignore[index]
    assert timedelta() <= datetime.fromisoformat(file["received_at"]) - before < timedelta(minutes=5)
    path = running.inbox / f"{hashlib.sha256(BODY).hexdigest()}-oak.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(running.inbox.stat().st_mode) == 0o700


def test_a_repeat_is_the_same_file(running: ReceiverProcess) -> None:
    body = event(2)
    assert [running.post(body).status_code for _ in range(4)] == [202] * 4
    assert len(_written(running, body)) == 1


def test_both_secrets_are_taken_and_each_connections_own(running: ReceiverProcess) -> None:
    body = event(3)
    for secret in (SECRET, "whsec-old", "whsec-elm"):
        assert running.post(body, signature(body, secret)).status_code == 202
    assert sorted(file["connection"] for file in _written(running, body)) == ["elm", "oak"]


def test_a_secret_in_a_file_rotates_without_a_restart(running: ReceiverProcess) -> None:
    body, file = event(4), running.data.parent / "elm"
    file.write_text("whsec-elm-2\n")
    assert running.post(body, signature(body, "whsec-elm")).status_code == 401
    assert running.post(body, signature(body, "whsec-elm-2")).status_code == 202


@pytest.mark.parametrize(
    ("reason", "signatures"),
    [
        ("no_signature", []),
        ("doubled_signature", [signature(BODY), signature(BODY)]),
        ("malformed_signature", [signature(BODY)[7:]]),
        ("malformed_signature", [""]),
        ("wrong_signature", [signature(BODY, "retired")]),
        ("wrong_signature", [signature(BODY).upper().replace("SHA", "sha")]),
    ],
)
def test_what_nobodys_secret_signed_is_refused_and_counted(
    running: ReceiverProcess, reason: str, signatures: list[str]
) -> None:
    files = sorted(running.inbox.iterdir())
    connection = http.client.HTTPConnection(running.url.removeprefix("http://"), timeout=60)
    connection.putrequest("POST", PATH)
    for each in signatures:
        connection.putheader("X-OpenMoove-Signature", each)
    connection.putheader("Content-Length", str(len(BODY)))
    connection.endheaders(BODY)
    assert connection.getresponse().status == 401
    connection.close()
    assert sorted(path for path in running.inbox.iterdir() if "probe" not in path.name) == files

    def counted() -> bool:
        return any((seen["reason"], seen["source"]) == (reason, "127.0.0.1") for seen in running.events())

    wait_until(counted, 60)


def test_a_body_of_the_largest_size_is_taken_and_one_byte_more_is_not(running: ReceiverProcess) -> None:
    largest = b"x" * LARGEST
    assert running.post(largest).status_code == 202
    assert running.post(largest + b"x").status_code == 413
    wait_until(lambda: any(seen["reason"] == "too_large" for seen in running.events()), 60)


def test_the_size_holds_without_content_length_too(running: ReceiverProcess) -> None:
    for body, status in ((b"y" * LARGEST, 202), (b"y" * (LARGEST + 1), 413)):
        pieces = (body[start : start + 10_000] for start in range(0, len(body), 10_000))
        answer = running.http.post(PATH, content=pieces, headers={"X-OpenMoove-Signature": signature(body)})
        assert answer.status_code == status


@pytest.mark.parametrize("length", ["99999999999999999999", "5000000"])
def test_a_size_that_is_only_announced_is_refused_at_once(running: ReceiverProcess, length: str) -> None:
    connection = http.client.HTTPConnection(running.url.removeprefix("http://"), timeout=60)
    connection.putrequest("POST", PATH)
    connection.putheader("Content-Length", length)
    connection.endheaders()
    assert connection.getresponse().status in (400, 413)
    connection.close()


def test_what_is_no_plain_post_is_refused(running: ReceiverProcess) -> None:
    assert running.post(BODY, **{"Content-Encoding": "gzip"}).status_code == 415
    for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"):
        answer = running.http.request(method, PATH)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert running.http.post("/healthz").status_code == 405
    assert running.http.post("/webhooks/resman", content=BODY).status_code == 404
    assert running.http.get("/healthz").json() == {"ok": True}


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"no json", b'{"event": "lease.signed"}', b"[" * 100_000])
def test_what_is_signed_is_taken_whatever_it_says(running: ReceiverProcess, body: bytes) -> None:
    assert running.post(body).status_code == 202
    assert len(_written(running, body)) == 1


def test_without_a_secret_the_partner_shall_try_again(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    missing = tmp_path / "secret"
    missing.write_text("whsec-file")
    with receiver(tmp_path / "data", "--port", "0", OPENMOOVE_WEBHOOK_SECRETS=f"file:{missing}") as found:
        body = event(9)
        missing.unlink()
        assert found.post(body, signature(body, "whsec-file")).status_code == 503
        assert found.waiting() == []
        missing.write_text("whsec-file")
        assert found.post(body, signature(body, "whsec-file")).status_code == 202


def test_a_worker_that_dies_is_replaced_and_the_trail_holds(tmp_path: Path) -> None:
    with receiver(tmp_path / "data", "--port", "0", "--workers", "2") as found:
        first = found.workers()
        assert len(first) == 2
        found.post(BODY, "sha256=wrong")
        os.kill(first[0], signal.SIGKILL)
        wait_until(lambda: len(set(found.workers()) - set(first)) == 1, 60)
        assert all(found.post(event(number)).status_code == 202 for number in range(20))
    assert verify(tmp_path / "data" / "audit" / "segments").problems == []
    assert sum(seen["count"] for seen in found.events()) <= 1


def test_its_workers_end_with_it(tmp_path: Path) -> None:
    with receiver(tmp_path / "data", "--port", "0", "--workers", "2") as found:
        workers = found.workers()
        found.process.kill()
        found.process.wait()
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 60)


def _refused(tmp_path: Path, *options: str, **variables: str) -> str:
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PARTNER_DATA_DIR": str(tmp_path / "data")}
    done = subprocess.run(
        [PROGRAM, "receiver", *options],
        env=environ | variables,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    return done.stderr.strip()


def test_a_secret_of_two_connections_is_refused_at_the_start(tmp_path: Path) -> None:
    tables = [
        f'[[connections]]\nname = "{name}"\npartner = "openmoove"\napi_key = "k"\nbase_url = "http://127.0.0.1:9/"\n'
        'webhook_secrets = ["env:SHARED"]\n'
        for name in ("oak", "elm")
    ]
    (tmp_path / "connections.toml").write_text("".join(tables))
    said = _refused(tmp_path, PARTNER_CONNECTIONS=str(tmp_path / "connections.toml"), SHARED="hunter2-hunter2")
    assert "oak and elm share one" in said
    assert "hunter2" not in said


def test_a_port_that_is_taken_is_one_line(running: ReceiverProcess, tmp_path: Path) -> None:
    port = running.url.rpartition(":")[2]
    said = _refused(tmp_path, "--port", port)
    assert said.splitlines()[-1].startswith(f"partner-pipelines: 127.0.0.1 port {port} cannot be used")


def test_no_log_line_carries_a_body_or_a_secret(tmp_path: Path) -> None:
    body = json.dumps({"seller": "ada@example.com", "n": "\udcff"}).encode()
    with receiver(tmp_path / "data", "--port", "0") as found:
        for each in (signature(body), "sha256=wrong"):
            found.post(body, each)
        connection = http.client.HTTPConnection(found.url.removeprefix("http://"), timeout=60)
        connection.putrequest("POST", "/ada@example.com")
        connection.putheader("Broken\x00Header", "ada@example.com")
        connection.endheaders()
        connection.getresponse().read()
        connection.close()
    kept = b"".join(path.read_bytes() for path in (tmp_path / "data" / "audit").rglob("*") if path.is_file())
    assert b"ada@example.com" not in kept
    assert SECRET.encode() not in kept
