"""`audit show`: one call as a support bundle: what a partner's support asks for, as far as the trail holds it.

Source: openmoove_partner_api.md, "Troubleshooting": endpoint, headers, payload, answer, time.
"""

from __future__ import annotations

import json
from typing import Any

import typer

from partner_pipelines.cli.places import data_to_read
from partner_pipelines.errors import UsageError
from partner_pipelines.state.audit_lookup import RecordedCall, find_call

_NOT_KEPT = (
    "the API key, access token and client secret: secrets are never written down",
    "the values that were sent, and the answer's body: they may be personal; names, sizes and keyed hashes stand here",
)
_PROOF = {"openmoove": "X-API-KEY", "resman": "Authorization"}


def run_show(request_id: str, *, as_json: bool) -> None:
    """Prints the bundle. Raises UsageError where the trail has no such call."""
    segments = data_to_read().segments
    call = find_call(segments, request_id)
    if call is None:
        raise UsageError(
            f"{segments} holds no call {request_id!r}: audit.api_calls has the ids; of a call whose segment was purged "
            "its row there is what is left"
        )
    bundle = bundle_of(call)
    if as_json:
        typer.echo(json.dumps(bundle))
        return
    for name, value in bundle.items():
        if isinstance(value, dict):
            typer.echo(f"{name}:")
            for key, one in value.items():
                typer.echo(f"  {key}: {_shown(one)}")
        elif isinstance(value, list):
            typer.echo(f"{name}:")
            for one in value:
                typer.echo(f"  - {_shown(one)}")
        else:
            typer.echo(f"{name}: {_shown(value)}")


def bundle_of(call: RecordedCall) -> dict[str, Any]:
    """What can be handed to the partner's support: no secret, no personal data."""
    intent, outcome = call.intent, call.outcome or {}
    attempts = {call.request_id: {**intent, **outcome}, **call.others}
    return {
        "request_id": call.request_id,
        "partner": intent["partner"],
        "connection": intent["connection"],
        "endpoint": f"{intent['method']} {intent['url']}",
        "sent_at": intent["started_at"],
        "headers": {
            "Accept": "application/json",
            "User-Agent": f"partner-pipelines/{call.version}",
            "X-Request-ID": call.request_id,
            _PROOF.get(intent["partner"], "Authorization"): "(not kept)",
        },
        "payload": _payload(intent),
        "answer": {
            "status": outcome.get("status"),
            "outcome": outcome.get("outcome", "unknown"),
            "bytes": outcome.get("bytes"),
            "finished_at": outcome.get("finished_at"),
            "latency_ms": outcome.get("latency_ms"),
            "error": outcome.get("error"),
            "body_hash": outcome.get("body_hash"),
        },
        "operation": intent["operation"],
        "reason": intent["reason"],
        "scope": intent.get("scope"),
        "run_id": intent.get("run_id"),
        "attempts": [
            f"{one['attempt']}. {request_id}: {one.get('status') or one.get('outcome', 'unknown')}"
            for request_id, one in sorted(attempts.items(), key=lambda pair: pair[1]["attempt"])
        ],
        "not_kept": list(_NOT_KEPT),
    }


def _payload(intent: dict[str, Any]) -> str:
    sent = intent.get("sent")
    if sent:
        return f"an object with the fields {', '.join(sorted(sent))}"
    return "none" if intent["method"] == "GET" else "not kept"


def _shown(value: object) -> str:
    return "none" if value is None else str(value)
