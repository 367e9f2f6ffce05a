"""Webhooks for the whole job: dropped into the inbox, signed with the canary of a secret, naming a person."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path

from partner_pipelines_tests.leaks.canaries import PEOPLE, SECRETS

_PERSON = PEOPLE["person whom webhooks name"]
_EVENTS = {
    "used": {"event": "property.milestone.updated", "data": {"property_id": 1, "milestone": {"assigned_to": _PERSON}}},
    "dead": {"event": "property.nobody-knows-it", "data": {"property_id": 1, "seller": {"first_name": _PERSON}}},
}


def drop_deliveries(inbox: Path) -> None:
    """One that is used and archived, and one that becomes a dead letter."""
    inbox.mkdir(parents=True, mode=0o700, exist_ok=True)
    at = datetime.now(UTC).isoformat()
    for name, event in _EVENTS.items():
        body = json.dumps({"timestamp": at, **event}).encode()
        signature = hmac.new(SECRETS["webhook secret"].encode(), body, hashlib.sha256).hexdigest()
        envelope = {
            "headers": {"X-OpenMoove-Signature": f"sha256={signature}"},
            "body_base64": base64.b64encode(body).decode(),
            "received_at": at,
        }
        (inbox / f"{name}.json").write_text(json.dumps(envelope))
