"""The audit trail's finished calls in the warehouse, each once."""

from __future__ import annotations

import json

import pytest

from partner_pipelines.clock import now
from partner_pipelines.errors import WarehouseError
from partner_pipelines.warehouse.trail import trail_damage
from partner_pipelines_tests.state.support_trail import intent, open_trail, outcome
from partner_pipelines_tests.warehouse.support import Yard

CALLS = "FROM audit.api_calls ORDER BY request_id"


def test_a_finished_call_is_there_at_the_next_opening_and_once(yard: Yard) -> None:
    trail = open_trail(yard.data.segments)
    first, waiting = trail.record_intent(intent()), trail.record_intent(intent("get_milestones"))
    trail.record_outcome(first, outcome())
    trail.record_event("token", {"granted": ["units"]})
    assert [row["request_id"] for row in yard.read(CALLS)] == [first]
    trail.record_outcome(waiting, outcome(404))
    trail.close()
    rows = {row["request_id"]: row for row in yard.read(CALLS)}
    assert set(rows) == {first, waiting}
    row = rows[first]
    assert (row["status"], row["outcome"], row["latency_ms"], row["bytes"]) == (200, "ok", 12.5, 321)
    assert (row["attempt"], row["purpose"], row["body_hash"], row["items"]) == (1, "work", "c0ffee", 8)
    assert json.loads(row["sent"]) == {"name": "ab12"}
    assert row["started_at"].isoformat() == "2026-11-22T03:15:19+00:00"
    assert rows[waiting]["status"] == 404
    (event,) = yard.read("FROM internal.trail_events")
    assert (event["event"], json.loads(event["facts"])) == ("token", {"granted": ["units"]})


TOLD = {"event": "refused", "connection": "elm", "asked": ["units", "leads"], "error_code": "invalid_scope"}
CHANGE = {"event_id": "e-1", "connection": "elm", "scope": "payments", "event": "granted", "via": "probe"}


def test_events_of_tokens_and_scopes_have_tables_of_their_own(yard: Yard) -> None:
    trail = open_trail(yard.data.segments)
    trail.record_event("token", TOLD | {"request_id": "r-1"})
    trail.record_event("scope", CHANGE | {"found_at": now()})
    assert len(yard.read("FROM audit.scope_events")) == 1
    trail.record_event("scope", CHANGE | {"found_at": now()})
    trail.record_event("token", TOLD | {"event": "issued", "granted": [], "lifetime_seconds": 60})
    trail.record_event("notification", {"audience": "admin_alert"})
    trail.close()
    first, second = yard.read("FROM audit.token_events ORDER BY line")
    assert (first["asked"], first["granted"], first["request_id"]) == (["units", "leads"], None, "r-1")
    assert (first["event"], first["connection"], first["error_code"]) == ("refused", "elm", "invalid_scope")
    assert (second["event"], second["granted"], second["lifetime_seconds"]) == ("issued", [], 60)
    (change,) = yard.read("FROM audit.scope_events")
    assert (change["event_id"], change["scope"], change["event"], change["via"]) == (
        "e-1", "payments", "granted", "probe",
    )  # fmt: skip


def test_calls_stay_though_the_work_after_them_fails(yard: Yard) -> None:
    trail = open_trail(yard.data.segments)
    trail.record_outcome(trail.record_intent(intent()), outcome())
    with pytest.raises(WarehouseError):
        yard.read("INSERT INTO resman.units (id) SELECT 'lost' UNION ALL SELECT CAST(error('broken') AS VARCHAR)")
    trail.close()
    assert len(yard.read(CALLS)) == 1
    assert yard.read("FROM resman.units") == []


def test_thousands_of_calls_come_in_pieces_and_whole(yard: Yard) -> None:
    trail = open_trail(yard.data.segments)
    sent = []
    for _ in range(6_000):
        sent.append(trail.record_intent(intent()))
        trail.record_outcome(sent[-1], outcome())
    trail.close()
    rows = yard.read("SELECT count(*) AS calls, count(DISTINCT request_id) AS ids FROM audit.api_calls")
    assert rows == [{"calls": len(sent), "ids": len(sent)}]


def test_damage_is_named_and_stops_nothing_else(yard: Yard) -> None:
    trail = open_trail(yard.data.segments)
    trail.record_outcome(trail.record_intent(intent()), outcome())
    trail.close()
    (segment,) = yard.data.segments.glob("*.jsonl")
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join([*lines[:2], b"{}\n", *lines[3:]]))
    other = open_trail(yard.data.segments)
    other.record_outcome(other.record_intent(intent()), outcome())
    other.close()
    assert len(yard.read(CALLS)) == 1
    with yard.warehouse.writing() as database:
        (sentence,) = trail_damage(database)
    assert "damaged at line 3" in sentence
