"""A receiver for tests: the real command on a real socket; deliveries signed by the standard library's HMAC.

The signature itself is proved against openssl in unit/test_signature.py.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from partner_pipelines_tests.sandbox_process import NO_CERTIFICATES, wait_until

PROGRAM = str(Path(sys.executable).with_name("partner-pipelines"))
OURS = ("PARTNER_", "RESMAN_", "OPENMOOVE_", "DAGSTER_")
SECRET = "whsec-current"
PATH = "/webhooks/openmoove"
STOP_SECONDS = 30


def signature(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def event(number: int, name: str = "property.updated", **data: Any) -> bytes:
    """A body that no other number has."""
    told = {"event": name, "timestamp": "2024-01-15T10:30:00Z", "data": {"property_id": number, **data}}
    return json.dumps(told).encode()


class ReceiverProcess:
    """One running `partner-pipelines receiver`."""

    def __init__(self, process: subprocess.Popen[bytes], data: Path, url: str) -> None:
        self.process = process
        self.data = data
        self.url = url
        self.http = httpx.Client(base_url=url, timeout=60, trust_env=False, verify=NO_CERTIFICATES)

    @property
    def inbox(self) -> Path:
        return self.data / "webhooks" / "inbox"

    def post(self, body: bytes, *signatures: str, **headers: str) -> httpx.Response:
        """A delivery; without signatures, with the right one."""
        named = [("X-OpenMoove-Signature", each) for each in signatures or (signature(body),)]
        return self.http.post(PATH, content=body, headers=[*named, *headers.items()])

    def waiting(self) -> list[dict[str, Any]]:
        """The files that wait, as interface.md says them."""
        return [json.loads(path.read_bytes()) for path in self.inbox.glob("[!.]*")]

    def events(self) -> list[dict[str, Any]]:
        """The refusals in the trail."""
        lines = [
            line for path in (self.data / "audit" / "segments").glob("*") for line in path.read_text().splitlines()
        ]
        found = [json.loads(line) for line in lines]
        return [record["facts"] for record in found if record.get("event") == "webhook_refused"]

    def workers(self) -> list[int]:
        """The process ids of its workers."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]


@contextmanager
def receiver(data: Path, *options: str, before: Sequence[str] = (), **variables: str) -> Iterator[ReceiverProcess]:
    """A receiver on a free port; SIGTERM ends it, and it had nothing to complain about."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    environ = kept | {"OPENMOOVE_WEBHOOK_SECRETS": SECRET, "PARTNER_DATA_DIR": str(data), "PYTHONWARNINGS": "error"}
    process = subprocess.Popen(
        [*before, PROGRAM, "receiver", *(options or ("--port", "0"))],
        env=environ | variables,
        cwd=data.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, process.communicate()[1].decode()
            ready = json.loads(line)
            assert ready["ready"] is True
            found = ReceiverProcess(process, data, ready["url"])
            yield found
            found.http.close()
            if process.poll() is None:
                process.terminate()
                _, complaints = process.communicate(timeout=STOP_SECONDS)
                assert (process.returncode, complaints) == (0, b"")
        finally:
            process.kill()


def wait_until_healthy(found: ReceiverProcess) -> None:
    wait_until(lambda: found.http.get("/healthz").status_code == 200, 60)
