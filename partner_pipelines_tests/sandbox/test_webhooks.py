"""Webhooks: the documented events, signed over the very bytes, tried four times."""

from __future__ import annotations

import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from partner_pipelines_tests.sandbox.test_openmoove_clients import SAMPLE
from partner_pipelines_tests.sandbox_process import SandboxProcess, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


class Receiver(ThreadingHTTPServer):
    """Keeps what is posted to it and answers with the statuses it was given, then with 202."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/webhooks/openmoove"

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.received]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.statuses.pop(0) if self.server.statuses else 202
        self.server.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # named by the standard library
        del format, args


@pytest.fixture
def receiver(sandbox: SandboxProcess) -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        sandbox.settings(webhook_url=server.url, webhook_secret="a secret", webhook_delays=[0, 0.05, 0.1, 0.2])
        yield server
        sandbox.settings(webhook_url=None)
        server.shutdown()
        thread.join()


def hmac_by_openssl(secret: str, body: bytes) -> str:
    """The expected value from an independent tool."""
    command = ["openssl", "dgst", "-sha256", "-hmac", secret]
    return subprocess.run(command, input=body, capture_output=True, check=True).stdout.split()[-1].decode()


def test_a_completed_milestone_is_told_as_the_document_prints_it(sandbox: SandboxProcess, receiver: Receiver) -> None:
    (property_id,) = sandbox.change(openmoove={"complete_milestones": 1})["changed"]["openmoove_properties"]
    wait_until(lambda: receiver.received)
    (event,) = receiver.events()
    assert set(event) == {"event", "timestamp", "data"}
    assert event["event"] == "property.milestone.updated"
    assert set(event["data"]) == {"property_id", "milestone"}
    assert set(event["data"]["milestone"]) == {"id", "name", "completed", "completed_date"}
    row = next(row for row in sandbox.rows("openmoove_properties") if row["id"] == property_id)
    told = event["data"]["milestone"]
    milestone = next(one for one in row["milestones"] if one["id"] == told["id"])
    assert (told["completed"], told["completed_date"]) == (True, milestone["completed_at"])


def test_the_signature_is_over_the_raw_body(sandbox: SandboxProcess, receiver: Receiver) -> None:
    sandbox.change(openmoove={"complete_milestones": 1})
    wait_until(lambda: receiver.received)
    headers, body = receiver.received[0]
    assert headers["x-openmoove-signature"] == f"sha256={hmac_by_openssl('a secret', body)}"
    assert headers["content-type"] == "application/json"


def test_a_created_client_is_told_with_its_milestones(
    openmoove: httpx.Client, sandbox: SandboxProcess, receiver: Receiver
) -> None:
    made = openmoove.post("clients/", json=SAMPLE).json()
    row = sandbox.rows("openmoove_properties")[-1]
    wait_until(lambda: len(receiver.received) == 1 + len(row["milestones"]))
    events = [event["event"] for event in receiver.events()]
    assert {event["data"]["property_id"] for event in receiver.events()} == {made["property_id"]}
    assert events.count("property.created") == 1
    assert events.count("property.milestone.created") == len(row["milestones"]) == 8


def test_an_update_and_a_new_milestone_are_told(sandbox: SandboxProcess, receiver: Receiver) -> None:
    sandbox.change(openmoove={"update": [{"id": 5, "postcode": "SW1A 2AA"}], "new_milestones": 1})
    wait_until(lambda: len(receiver.received) == 2)
    by_name = {event["event"]: event["data"] for event in receiver.events()}
    assert set(by_name) == {"property.updated", "property.milestone.created"}
    assert (by_name["property.updated"]["property_id"], by_name["property.updated"]["property"]["postcode"]) == (
        5,
        "SW1A 2AA",
    )


def test_a_refused_delivery_is_tried_again_with_the_same_bytes(sandbox: SandboxProcess, receiver: Receiver) -> None:
    receiver.statuses = [500, 400]
    sandbox.change(openmoove={"complete_milestones": 1})
    wait_until(lambda: sandbox.control("GET", "webhooks")[-1]["delivered"])
    attempts = sandbox.control("GET", "webhooks")[-1]["attempts"]
    assert [attempt["status"] for attempt in attempts] == [500, 400, 202]
    assert len({body for _, body in receiver.received}) == 1


def test_after_the_fourth_attempt_it_is_given_up(sandbox: SandboxProcess, receiver: Receiver) -> None:
    receiver.statuses = [503] * 9
    sandbox.change(openmoove={"complete_milestones": 1})
    wait_until(lambda: sandbox.control("GET", "webhooks")[-1]["given_up"])
    assert [attempt["status"] for attempt in sandbox.control("GET", "webhooks")[-1]["attempts"]] == [503] * 4


def test_a_receiver_that_is_away_is_noted_by_its_error(sandbox: SandboxProcess) -> None:
    sandbox.settings(webhook_url="http://127.0.0.1:9/", webhook_delays=[0])
    sandbox.change(openmoove={"complete_milestones": 1})
    wait_until(lambda: sandbox.control("GET", "webhooks")[-1]["given_up"])
    (attempt,) = sandbox.control("GET", "webhooks")[-1]["attempts"]
    assert (attempt["status"], attempt["error"]) == (None, "ConnectError")


def test_nothing_is_sent_without_an_address(sandbox: SandboxProcess) -> None:
    before = len(sandbox.control("GET", "webhooks"))
    sandbox.settings(webhook_url=None)
    sandbox.change(openmoove={"complete_milestones": 1})
    assert len(sandbox.control("GET", "webhooks")) == before


def test_address_and_secret_may_be_options() -> None:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        options = ("--properties", "3", "--webhook-url", server.url, "--webhook-secret", "by option")
        with SandboxProcess.start(*options) as sandbox:
            assert sandbox.env["OPENMOOVE_WEBHOOK_SECRETS"] == "by option"
            sandbox.change(openmoove={"update": [{"id": 1}]})
            wait_until(lambda: server.received)
        headers, body = server.received[0]
        assert headers["x-openmoove-signature"] == f"sha256={hmac_by_openssl('by option', body)}"
        server.shutdown()
        thread.join()
