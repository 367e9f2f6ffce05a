"""The requests that write: what is sent where, and what the partner's answer says. No I/O.

Sources: resman_handshake.md, "2. API Endpoint Usage"; openmoove_partner_api.md, "1. Create Client and Property".
ResMan's document names no method for updates: `PATCH /api/{kind}/{id}`. Neither partner documents an idempotency key;
the header (draft-ietf-httpapi-idempotency-key-header) goes along for the day that one heeds it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from partner_pipelines.errors import APIResponseError, CallFacts
from partner_pipelines.partners.caller import Answer, Operation
from partner_pipelines.partners.rows import parse_json
from partner_pipelines.partners.writes.forms import Form

_SINGULAR = {
    "leads": "lead",
    "employees": "employee",
    "payments": "payment",
    "maintenance": "maintenance",
    "clients": "client",
}
MAX_ANSWER_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sending:
    """What is to be written. `sent` describes it for the trail: a keyed hash a field. `target`: the item to update."""

    form: Form
    payload: Mapping[str, Any] = field(repr=False)
    sent: dict[str, str]
    operation_id: str
    idempotency_key: str
    target: str | None = None


def build_write(base_url: str, sending: Sending) -> Operation:
    """The create or, with a target, the update."""
    form, target = sending.form, sending.target
    # The quota's last places are kept for writes: they cannot be planned, and somebody waits for them
    return Operation(
        f"{'create' if target is None else 'update'}_{_SINGULAR[form.kind]}",
        "POST" if target is None else "PATCH",
        _url(base_url, form, target),
        scope=form.kind if form.partner == "resman" else None,
        reason="write",
        body=json.dumps(sending.payload).encode(),  # escaped, so that there is no text that cannot be sent
        headers={"Idempotency-Key": f'"{sending.idempotency_key}"'},
        sent=sending.sent,
        max_body_bytes=MAX_ANSWER_BYTES,
        first_class=True,
        operation_id=sending.operation_id,
    )


def _url(base_url: str, form: Form, target: str | None) -> str:
    if form.partner == "openmoove":
        return f"{base_url}clients/"
    collection = f"{base_url.rstrip('/')}/api/{form.kind}"
    return collection if target is None else f"{collection}/{quote(target, safe='')}"


def decipher_written(form: Form, answer: Answer, facts: CallFacts) -> str:
    """The partner's id of what was written: the item's, for a client the property's. Raises APIResponseError."""
    value = parse_json(answer.body, facts)
    name = "property_id" if form.partner == "openmoove" else "id"
    found = value.get(name) if isinstance(value, dict) else None
    if isinstance(found, bool) or not isinstance(found, int | str) or found == "":
        raise APIResponseError(f"{facts.operation}: the answer names no {name} of what was written", facts)
    return str(found)
