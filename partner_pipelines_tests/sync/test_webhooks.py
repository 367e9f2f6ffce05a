"""Webhooks that wait are applied once, never over newer news, and what they make due is asked."""

from __future__ import annotations

import gzip
import json
import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from partner_pipelines.errors import StateError
from partner_pipelines.state.inbox import Inbox
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.state.webhook_archive import WebhookArchive
from partner_pipelines.sync.drift import Drift, sample_drift
from partner_pipelines.sync.house import open_house
from partner_pipelines.sync.openmoove import sync_properties
from partner_pipelines.sync.webhooks import apply_webhooks
from partner_pipelines.warehouse.connection import Warehouse
from partner_pipelines_tests.sandbox_process import wait_until
from partner_pipelines_tests.sync.expected import differences, openmoove_tables, places_of, texts_of_published
from partner_pipelines_tests.sync.program import Program
from partner_pipelines_tests.sync.webhooks import (
    CREATED,
    MILESTONE,
    UPDATED,
    apply,
    body,
    deliveries,
    drop,
    receive,
    signature,
)

if TYPE_CHECKING:
    from partner_pipelines_tests.sandbox_process import SandboxProcess

AGO = timedelta(hours=1)
LATER = timedelta(hours=1)
DONE = "2026-01-20T10:00:00Z"


@pytest.fixture
def synced(program: Program) -> Program:
    program.sync("properties")
    return program


def _open_milestone(program: Program) -> dict[str, Any]:
    wanted = (
        "SELECT property_id, id, name, fetched_at FROM openmoove.milestones WHERE NOT completed ORDER BY ALL LIMIT 1"
    )
    (row,) = program.query(wanted)
    return row


def _row(program: Program, step: dict[str, Any]) -> dict[str, Any]:
    where = f"property_id = {step['property_id']} AND id = {step['id']}"
    (row,) = program.query(f"FROM openmoove.milestones WHERE {where}")
    return row


def _completed(step: dict[str, Any], at: datetime, **more: Any) -> bytes:
    told = {"id": step["id"], "name": step["name"], "completed": True, "completed_date": DONE, **more}
    return body(MILESTONE, step["property_id"], at, milestone=told)


def _states(program: Program) -> list[str]:
    return [row["state"] for row in deliveries(program)]


def test_a_milestones_payload_reaches_its_row_and_empties_nothing(synced: Program) -> None:
    step = _open_milestone(synced)
    before = _row(synced, step)
    # Stamped a little ahead, so that all of its second is after the sync; it cannot have happened later than now
    receive(synced, _completed(step, datetime.now(UTC) + timedelta(seconds=2)), at=datetime.now(UTC) + LATER)
    result = apply(synced)
    (delivery,) = deliveries(synced)
    row = _row(synced, step)
    assert result.inserted == 1
    assert (delivery["state"], delivery["verified"], delivery["milestone_id"]) == ("applied", True, step["id"])
    assert (row["completed"], row["completed_at"]) == (True, datetime.fromisoformat(DONE))
    assert (row["request_id"], row["delivery_id"]) == (None, delivery["delivery_id"])
    kept = ("description", "order", "due_date", "extra", "first_seen_at")
    assert {name: row[name] for name in kept} == {name: before[name] for name in kept}
    assert row["content_hash"] != before["content_hash"]


def test_all_that_is_told_of_a_milestone_at_once_are_versions_of_it(synced: Program) -> None:
    step = _open_milestone(synced)
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    told = [moment + timedelta(seconds=seconds) for seconds in (0, 1, 2)]
    # News from the future has no time of its own: events name whole seconds, so these have to pass
    wait_until(lambda: datetime.now(UTC) > told[-1])
    for at, name in zip(told, ("First", "Second", "Second"), strict=True):
        receive(
            synced, body(MILESTONE, step["property_id"], at, milestone={"id": step["id"], "name": name}), at=at + LATER
        )
    apply(synced)
    where = f"property_id = {step['property_id']} AND id = {step['id']}"
    found = synced.query(f"SELECT name, valid_from, valid_to FROM history.milestones WHERE {where} ORDER BY valid_from")
    first, second, third = [(row["name"], row["valid_from"], row["valid_to"]) for row in found]
    assert first == (step["name"], step["fetched_at"], second[1])
    assert (second[0], third[0], third[2]) == ("First", "Second", None)
    assert first[1] < second[1] < second[2] == third[1]


def test_what_is_told_is_asked_and_nothing_else(synced: Program, sandbox: SandboxProcess) -> None:
    step = _open_milestone(synced)
    others = [row["id"] for row in sandbox.rows("openmoove_properties") if row["id"] != step["property_id"]][:2]
    sandbox.change(openmoove={"update": [{"id": others[0], "postcode": "SW1A 2AA"}]})
    receive(synced, _completed(step, datetime.now(UTC)))
    receive(synced, body(UPDATED, others[0], datetime.now(UTC), property={"id": others[0]}))
    apply(synced)
    again = synced.sync("properties")
    assert sorted(again.asked("detail")) == sorted([step["property_id"], others[0]])
    assert again.asked("milestones") == [step["property_id"]]
    reasons = synced.query("SELECT DISTINCT reason FROM audit.api_calls WHERE run_id = 'run-2'")
    assert reasons == [{"reason": "webhook"}]
    assert synced.sync("properties").log == []
    assert differences(synced, openmoove_tables(sandbox.rows("openmoove_properties"))) == []


def test_late_news_is_stale_in_any_order(synced: Program) -> None:
    step = _open_milestone(synced)
    before = _row(synced, step)
    receive(synced, _completed(step, datetime.now(UTC) - AGO))
    receive(synced, body(UPDATED, step["property_id"], datetime.now(UTC) - AGO))
    apply(synced)
    assert _states(synced) == ["stale", "stale"]
    assert _row(synced, step) == before
    assert synced.sync("properties").log == []


def test_a_partner_whose_clock_is_an_hour_ahead_tells_no_news_from_the_past(
    program: Program, sandbox: SandboxProcess
) -> None:
    sandbox.settings(date_offset_seconds=3600)
    program.sync("properties")
    step = _open_milestone(program)
    receive(program, _completed(step, datetime.now(UTC) + timedelta(minutes=50)))
    apply(program)
    assert _states(program) == ["stale"]
    receive(
        program, _completed(step, datetime.now(UTC) + timedelta(minutes=61), note="2"), at=datetime.now(UTC) + LATER
    )
    apply(program)
    assert sorted(_states(program)) == ["applied", "stale"]


def test_the_same_body_counts_once_for_ever(synced: Program) -> None:
    step = _open_milestone(synced)
    content = _completed(step, datetime.now(UTC))
    receive(synced, content)
    receive(synced, content)
    drop(synced, "again.json", content, **{"x-openmoove-SIGNATURE": signature(synced, content)})
    apply(synced)
    receive(synced, content)
    apply(synced)
    rows = deliveries(synced)
    (original,) = [row for row in rows if row["state"] == "applied"]
    repeats = [row for row in rows if row["state"] == "duplicate"]
    assert len(rows) == 3
    assert [row["duplicate_of"] for row in repeats] == [original["delivery_id"]] * 2


def test_news_of_a_property_that_is_not_there_waits_and_is_asked(synced: Program, sandbox: SandboxProcess) -> None:
    made = sandbox.change(openmoove={"new_properties": 1})["created"]["openmoove_properties"][0]
    receive(synced, body(CREATED, made, datetime.now(UTC), property={"id": made}))
    receive(synced, body(CREATED, 987_654, datetime.now(UTC)))
    apply(synced)
    assert _states(synced) == ["waiting", "waiting"]
    again = synced.sync("properties")
    assert set(again.asked("detail")) == {made, 987_654}
    assert synced.sync("properties").log == [], "a property that the partner does not show is asked once"
    apply(synced)
    assert sorted(_states(synced)) == ["applied", "waiting"]


@pytest.mark.parametrize(
    ("reason", "content"),
    [
        ("not_json", b""),
        ("not_json", b"\xff\xfe"),
        ("not_json", b'{"event": NaN}'),
        ("not_json", b"[" * 100_000),
        ("not_json", b'{"n": ' + b"9" * 100_000 + b"}"),
        ("not_an_event", b"[]"),
        ("not_an_event", b'{"event": "property.updated", "timestamp": "soon", "data": {}}'),
        ("unknown_event", b'{"event": "lease.signed", "timestamp": "2026-01-01T00:00:00Z", "data": {}}'),
        ("no_property", b'{"event": "property.updated", "timestamp": "2026-01-01T00:00:00Z", "data": {"id": true}}'),
    ],
)
def test_what_cannot_be_used_is_a_dead_letter_and_stops_nothing(program: Program, reason: str, content: bytes) -> None:
    receive(program, content)
    receive(program, body(UPDATED, 5, datetime.now(UTC)))
    apply(program)
    assert ("dead_lettered", reason) in [(row["state"], row["reason"]) for row in deliveries(program)]
    (letter,) = (program.data.webhooks / "dead_letter").iterdir()
    assert f"~{reason}~" in letter.name
    assert list((program.data.webhooks / "claimed").iterdir()) == []


def test_drops_are_believed_when_they_are_signed_and_unsigned_ones_when_the_setting_says_so(program: Program) -> None:
    content = body(UPDATED, 5, datetime.now(UTC))
    drop(program, "signed", content, **{"X-OpenMoove-Signature": signature(program, content)})
    drop(program, "wrong.json", content + b" ", **{"X-OpenMoove-Signature": "sha256=00"})
    drop(program, "unsigned.json", content + b"  ")
    (program.data.webhooks / "inbox" / "junk.json").write_text("junk")
    apply(program)
    found = {row["file_name"]: (row["state"], row["reason"], row["verified"]) for row in deliveries(program)}
    assert found == {
        "signed": ("waiting", None, True),
        "wrong.json": ("dead_lettered", "wrong_signature", False),
        "unsigned.json": ("dead_lettered", "unsigned", False),
        "junk.json": ("dead_lettered", "not_a_drop", False),
    }
    drop(program, "unsigned.json", content + b"   ")
    apply(program, {"PARTNER_WEBHOOKS_ALLOW_UNSIGNED": "true"})
    assert ("waiting", False) in [(row["state"], row["verified"]) for row in deliveries(program)]


def test_a_secret_that_rotates_between_receipt_and_applying_loses_nothing(program: Program) -> None:
    receive(program, body(UPDATED, 5, datetime.now(UTC)))
    apply(program, {"OPENMOOVE_WEBHOOK_SECRETS": "quite-another"})
    assert _states(program) == ["waiting"]


def test_nothing_personal_leaves_the_vault(synced: Program) -> None:
    step = _open_milestone(synced)
    person = {"seller": {"email": "ada.canary@example.com", "name": "Ada Canary"}}
    told = _completed(step, datetime.now(UTC) + timedelta(seconds=2), assigned_to="Ada Canary", colour="Ada Canary")
    receive(synced, told, at=datetime.now(UTC) + LATER)
    receive(synced, body(UPDATED, step["property_id"], datetime.now(UTC), property=person, note="Ada Canary"))
    apply(synced)
    values = {"Ada Canary", "ada.canary@example.com"}
    assert places_of(values, texts_of_published(synced)) == []
    archived = b"".join(gzip.decompress(path.read_bytes()) for path in (synced.data.webhooks / "archive").rglob("*.gz"))
    assert archived.count(b"\n") == 2
    assert b"anary" not in archived
    extras = [json.loads(row["extra"] or "{}") for row in deliveries(synced)]
    assert {"data.property", "data.note", "milestone.colour"} == {name for extra in extras for name in extra}


def test_a_gap_of_the_receiver_makes_the_active_properties_due_once(synced: Program, sandbox: SandboxProcess) -> None:
    ended = datetime.now(UTC)
    gaps = [{"since": (ended - AGO).isoformat(), "until": ended.isoformat()}]
    beat = {"openmoove": {"last_at": ended.isoformat(), "gaps": gaps}}
    synced.data.webhooks.mkdir(exist_ok=True)
    (synced.data.webhooks / "heartbeat.json").write_text(json.dumps(beat))
    apply(synced)
    told = synced.query("SELECT property_id FROM internal.due WHERE reason = 'webhook_gap'")
    assert told
    assert len(told) <= len(sandbox.rows("openmoove_properties"))
    again = synced.sync("properties")
    assert sorted(again.asked("detail")) == sorted(row["property_id"] for row in told)
    apply(synced)
    assert synced.sync("properties").log == []


@pytest.mark.parametrize("dies_at", ["tidy", "archive", "apply"])
def test_a_process_that_dies_in_between_leaves_nothing_undone_and_nothing_done_twice(
    synced: Program, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    step = _open_milestone(synced)
    receive(synced, _completed(step, datetime.now(UTC) + timedelta(seconds=2)))
    receive(synced, b"no json")
    where: dict[str, tuple[type, str]] = {
        "tidy": (Inbox, "tidy"),
        "archive": (WebhookArchive, "put"),
        "apply": (Warehouse, "session"),
    }
    owner, method = where[dies_at]
    with monkeypatch.context() as patched:
        patched.setattr(owner, method, _die)
        with pytest.raises(StateError, match="died here"):
            apply(synced)
    apply(synced)
    assert sorted(_states(synced)) == ["applied", "dead_lettered"]
    assert _row(synced, step)["completed"] is True
    assert len(list((synced.data.webhooks / "dead_letter").iterdir())) == 1
    assert list((synced.data.webhooks / "claimed").iterdir()) == []
    archived = [gzip.decompress(path.read_bytes()) for path in (synced.data.webhooks / "archive").rglob("*.gz")]
    assert b"".join(archived).count(b"\n") == 1


def _die(*_arguments: object) -> None:
    raise StateError("died here")


def test_once_a_day_a_sample_tells_what_no_webhook_told_and_mends_it(program: Program, sandbox: SandboxProcess) -> None:
    program.sync("properties")
    assert _drift(program).compared == {}, "what was read within an hour is not read again"
    with Warehouse(program.data).writing() as database:
        database.execute("UPDATE openmoove.properties SET detail_fetched_at = now() - INTERVAL 2 HOUR")
    active = [
        row["id"]
        for row in sandbox.rows("openmoove_properties")
        if any(not step["completed"] for step in row["milestones"])
    ]
    sandbox.change(openmoove={"update": [{"id": property_id, "postcode": "SW1A 2AA"} for property_id in active]})
    found = _drift(program)
    assert found.compared == {"openmoove": 10}
    assert len(found.drifted["openmoove"]) == 10
    told = "SELECT id FROM openmoove.properties WHERE postcode = 'SW1A 2AA' ORDER BY id"
    assert [row["id"] for row in program.query(told)] == list(found.drifted["openmoove"])
    assert _drift(program).compared == {}


def _drift(program: Program) -> Drift:
    with open_house(program.settings(), run_id="drift", stop=StopSignal()) as house:
        return sample_drift(house)


def test_what_a_payload_carries_beyond_is_resolved_for_those_who_may_read_it(synced: Program) -> None:
    receive(synced, body(UPDATED, 1, datetime.now(UTC), note={"who": "Ada Canary"}))
    apply(synced)
    with synced.published(full=True) as query:
        (row,) = query("SELECT extra FROM audit.webhook_deliveries")
    assert json.loads(row["extra"]) == {"data.note": {"who": "Ada Canary"}}


def test_a_name_that_reads_like_no_fields_name_hides_behind_a_token_and_comes_back_for_those_who_may(
    synced: Program,
) -> None:
    step = _open_milestone(synced)
    names = ("ada.canary@example.com", "Ada Canary, 07700 900123", "07700900123", "ada.canary")
    more: dict[str, Any] = {name: {"role": "buyer"} for name in names}
    content = json.loads(_completed(step, datetime.now(UTC) + timedelta(seconds=2), **more, colour="red"))
    content["data"] |= more | {"note": 1, "": 2}
    content |= {"ada.top@example.com": True, "version": 3}
    receive(synced, json.dumps(content).encode(), at=datetime.now(UTC) + LATER)
    apply(synced)
    texts = {*names, "ada.top@example.com"}
    assert places_of(texts, texts_of_published(synced)) == []
    (archive,) = (synced.data.webhooks / "archive").rglob("*.gz")
    archived = gzip.decompress(archive.read_bytes()).decode()
    assert [text for text in texts if text in archived] == []
    (row,) = deliveries(synced)
    shown = {name for name in json.loads(row["extra"]) if not re.fullmatch(r"raw_[0-9a-f]{28}", name)}
    assert shown == {"data.note", "data.", "milestone.colour", "version"}
    with synced.published(full=True) as query:
        (full,) = query("SELECT extra FROM audit.webhook_deliveries")
    expected = {f"{place}. {name}": value for place in ("data", "milestone") for name, value in more.items()}
    others = {"data.note": 1, "data.": 2, "milestone.colour": "red", "ada.top@example.com": True, "version": 3}
    assert json.loads(full["extra"]) == expected | others


def test_an_event_that_happens_after_its_time_has_no_seconds_to_count(synced: Program) -> None:
    numbers = [row["id"] for row in synced.query("SELECT id FROM openmoove.properties ORDER BY id LIMIT 2")]
    receive(synced, body(UPDATED, numbers[0], datetime.now(UTC) + timedelta(days=9_000)))
    receive(synced, body(UPDATED, numbers[1], datetime.now(UTC) + timedelta(seconds=1)))
    time.sleep(1.5)  # so that it is news, and in the past
    apply(synced)
    apply(synced)
    found = {row["property_id"]: row["seconds_to_published"] for row in deliveries(synced)}
    assert found[numbers[0]] is None
    assert 0 < found[numbers[1]] < 300


def test_a_row_that_a_webhook_changed_counts_once_where_the_run_syncs_its_table(synced: Program) -> None:
    step = _open_milestone(synced)
    receive(synced, _completed(step, datetime.now(UTC) + timedelta(seconds=2)), at=datetime.now(UTC) + LATER)
    with open_house(synced.settings(), run_id="with-webhooks", stop=StopSignal()) as house:
        apply_webhooks(house)
        tables = sync_properties(house).tables
    assert tables["openmoove.milestones"].updated == 1
    assert tables["openmoove.properties"].updated == 0
