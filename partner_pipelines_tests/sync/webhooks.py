"""Webhooks for tests of the sync room: put into the inbox as the receiver does it, or dropped as any tool may."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from partner_pipelines.state.inbox import Inbox
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.house import open_house
from partner_pipelines.sync.webhooks import apply_webhooks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from partner_pipelines.sync.results import TableResult
    from partner_pipelines_tests.sync.program import Program

CREATED, UPDATED = "property.created", "property.updated"
NEW_MILESTONE, MILESTONE = "property.milestone.created", "property.milestone.updated"


def body(event: str, property_id: int, at: datetime, **data: Any) -> bytes:
    """A payload as the document prints it; its timestamp names a second."""
    stamp = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps({"event": event, "timestamp": stamp, "data": {"property_id": property_id, **data}}).encode()


def receive(program: Program, content: bytes, *, at: datetime | None = None, connection: str = "openmoove") -> None:
    """As the receiver stores what it has verified."""
    inbox = Inbox(program.data.webhooks, program.data.key("webhooks"))
    inbox.make()
    headers = {"x-openmoove-signature": signature(program, content)}
    inbox.put(connection, headers, content, at or datetime.now(UTC))


def drop(program: Program, name: str, content: bytes, **headers: str) -> Path:
    """As another tool drops it."""
    directory = program.data.webhooks / "inbox"
    directory.mkdir(parents=True, exist_ok=True)
    written = {
        "headers": headers,
        "body_base64": base64.b64encode(content).decode(),
        "received_at": datetime.now(UTC).isoformat(),
    }
    path = directory / name
    path.write_text(json.dumps(written))
    return path


def signature(program: Program, content: bytes) -> str:
    secret = program.variables["OPENMOOVE_WEBHOOK_SECRETS"].encode()
    return "sha256=" + hmac.new(secret, content, hashlib.sha256).hexdigest()


def apply(program: Program, env: Mapping[str, str] | None = None) -> TableResult:
    """What waits is applied."""
    with open_house(program.settings(env), run_id="apply", stop=StopSignal()) as house:
        return apply_webhooks(house).tables["audit.webhook_deliveries"]


def deliveries(program: Program) -> list[dict[str, Any]]:
    return program.query("FROM audit.webhook_deliveries ORDER BY received_at, delivery_id")
