"""Writes to the partners: each has one effect, whatever becomes of the answer."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from partner_pipelines.errors import AuditUnavailableError
from partner_pipelines.partners.writes.forms import CLIENTS
from partner_pipelines.state.outbox import Settled
from partner_pipelines_tests.sandbox_process import NO_CERTIFICATES, SandboxProcess
from partner_pipelines_tests.sync.program import Program
from partner_pipelines_tests.sync.writing import client, lead, outbox, push, work
from partner_pipelines_tests.unit.test_write_forms import CLIENT, EMPLOYEE, LEAD, PAYMENT

if TYPE_CHECKING:
    from collections.abc import Iterator

AT_ONCE = {"PARTNER_SETTLE_SECONDS": "0"}
LEADS = r"/api/leads$"


@pytest.fixture(scope="module")
def shared() -> Iterator[SandboxProcess]:
    with SandboxProcess.silent("--properties", "20") as sandbox:
        yield sandbox


@pytest.fixture
def program(shared: SandboxProcess, data_dir: Path) -> Iterator[Program]:
    """A data directory of the test's own; the rows are of all tests, each has names of its own."""
    with shared.lent() as sandbox:
        yield Program(sandbox, data_dir)


def named(program: Program, collection: str, name: str) -> list[dict[str, Any]]:
    """The partner's rows with this last name, or this name in the address."""
    return [row for row in program.sandbox.rows(collection) if name in (row.get("last_name"), *_street(row))]


def _street(row: dict[str, Any]) -> list[str]:
    return [row["address"].split()[1]] if row.get("address") else []


def grant(program: Program, *scopes: str) -> None:
    env = program.sandbox.env
    given = {"client_id": env["RESMAN_CLIENT_ID"], "client_secret": env["RESMAN_CLIENT_SECRET"]}
    program.sandbox.control(
        "POST", "clients", {**given, "granted": ["leads", "units", "employees", "documents", *scopes]}
    )


def test_what_is_new_is_created_once_and_then_unchanged(program: Program) -> None:
    first = push(program, "leads", lead("Newone"))
    again = push(program, "leads", lead("Newone"))
    assert (first.states, again.states, again.unchanged) == ({"created": 1}, {}, 1)
    assert first.sent == [("POST", "/api/leads")]
    assert again.sent == []
    (row,) = named(program, "resman_leads", "Newone")
    assert first.writes[0].partner_id == row["id"]


def test_other_values_of_the_same_person_are_an_update_of_the_same_row(program: Program) -> None:
    push(program, "leads", lead("Mover"))
    moved = push(program, "leads", lead("Mover", status="contacted"))
    (row,) = named(program, "resman_leads", "Mover")
    assert moved.states == {"updated": 1}
    assert moved.sent == [("PATCH", f"/api/leads/{row['id']}")]
    assert row["status"] == "contacted"


def test_what_the_warehouse_has_is_updated_or_unchanged_though_nothing_was_ever_pushed(program: Program) -> None:
    program.sync("leads")
    there = next(row for row in program.sandbox.rows("resman_leads") if row["email"] and row["phone_number"])
    same = {name: there[name] for name in ("first_name", "last_name", "email", "phone_number", "property_id", "source")}
    unchanged = push(program, "leads", same)
    assert (unchanged.states, unchanged.sent) == ({"unchanged": 1}, [])
    updated = push(program, "leads", {**same, "source": "a friend"})
    assert (updated.states, updated.sent) == ({"updated": 1}, [("PATCH", f"/api/leads/{there['id']}")])


def test_what_somebody_changed_at_the_partner_since_is_set_again(program: Program) -> None:
    push(program, "leads", lead("Undone", source="ours"))
    (row,) = named(program, "resman_leads", "Undone")
    program.sandbox.change(resman={"leads": {"upsert": [{**row, "source": "theirs"}]}})
    assert push(program, "leads", lead("Undone", source="ours")).unchanged == 1, "nobody has seen it yet"
    program.sync("leads")
    again = push(program, "leads", lead("Undone", source="ours"))
    assert (again.states, again.unchanged) == ({"updated": 1}, 0)


def test_an_older_sight_never_undoes_a_newer_write(program: Program) -> None:
    push(program, "leads", lead("Backforth", source="one"))
    program.sync("leads")
    push(program, "leads", lead("Backforth", source="two"))
    back = push(program, "leads", lead("Backforth", source="one"))
    assert back.states == {"updated": 1}, "the warehouse still shows one, the partner has two"
    (row,) = named(program, "resman_leads", "Backforth")
    assert row["source"] == "one"


def test_a_client_who_is_there_with_other_values_is_rejected_for_there_is_no_update(program: Program) -> None:
    push(program, "clients", client("Stayer"))
    same = push(program, "clients", client("Stayer", property_address="1 stayer street london"))
    other = push(program, "clients", client("Stayer", first_name="Eve"))
    assert (same.states, same.sent) == ({"unchanged": 1}, [])
    (write,) = other.writes
    assert (write.state, write.reason) == (
        "rejected",
        "the partner has no update: it is there with other values (first_name)",
    )
    assert other.sent == []
    assert len(named(program, "openmoove_properties", "Stayer")) == 1


def test_a_client_whom_the_warehouse_knows_is_not_made_again(program: Program) -> None:
    made = push(program, "clients", client("Known"))
    program.sync("properties")
    shutil.rmtree(program.data.outbox)  # another machine's outbox
    same = push(program, "clients", client("Known"))
    other = push(program, "clients", client("Known", last_name="Other", phone_number="07700 900999"))
    assert (same.states, same.sent) == ({"unchanged": 1}, [])
    assert same.writes[0].partner_id == made.writes[0].partner_id
    assert other.writes[0].reason == (
        "the partner has no update: it is there with other values (last_name, phone_number)"
    )


@pytest.mark.parametrize("wrapped", [True, False])
def test_the_partners_refusal_is_kept_field_by_field_in_either_of_its_shapes(program: Program, wrapped: bool) -> None:
    program.sandbox.settings(field_errors_wrapped=wrapped)
    refused = push(program, "clients", client(f"Refused{wrapped}", products="no-such-product"))
    (write,) = refused.writes
    assert write.state == "rejected"
    assert write.field_errors == {"products": ["Object with slug=no-such-product does not exist."]}
    (row,) = program.query("SELECT state, reason, fields FROM audit.writes")
    assert (row["state"], row["fields"]) == ("rejected", ["products"])
    assert "no-such-product" not in row["reason"]


def test_a_refused_name_that_reads_like_no_fields_name_stays_in_the_outbox(program: Program) -> None:
    words = ["is registered already"]
    names = ("ada.refused@example.com", "07700900123", "Ada Refused", "email", "non_field_errors", "move-in", "unit2")
    program.sandbox.fault("status", method="POST", path=LEADS, times=1, status=400, body=dict.fromkeys(names, words))
    (write,) = push(program, "leads", lead("Refused")).writes
    assert set(write.field_errors or {}) == set(names)
    (row,) = program.query("SELECT state, fields FROM audit.writes")
    assert row == {"state": "rejected", "fields": ["email", "move-in", "non_field_errors", "unit2"]}


def test_our_words_are_the_partners_words(program: Program) -> None:
    """Each row of OpenMoove's table: what we refuse before the wire, the sandbox refuses in the same words."""
    headers = {"X-API-KEY": program.sandbox.env["OPENMOOVE_API_KEY"], "Content-Type": "application/json"}
    url = f"{program.sandbox.env['OPENMOOVE_BASE_URL'].rstrip('/')}/clients/"
    lawless = {name: value for name, value in CLIENT.items() if "agent" not in name and "conveyancer" not in name}
    wrong: list[dict[str, Any]] = [
        *({name: value for name, value in CLIENT.items() if name != missing} for missing in CLIENTS.required),
        *({**CLIENT, name: "x" * 300} for name in ("first_name", "last_name", "property_address")),
        {**CLIENT, "email": "john"},
        {**CLIENT, "phone_number": "12ab"},
        {**CLIENT, "conveyancer_email": "lawyer"},
        {**CLIENT, "sale_method": "modern_auction"},
        {**CLIENT, "sale_method": "secure_sale"},
        lawless,
    ]
    with httpx.Client(trust_env=False, verify=NO_CERTIFICATES) as http:
        for values in wrong:
            answer = http.post(url, json=values, headers=headers)
            assert answer.status_code == 400
            said = answer.json()
            assert CLIENTS.check(values, is_update=False)[1] == said.get("field_errors", said), values


def test_the_documents_samples_are_accepted_by_the_partner(program: Program) -> None:
    grant(program, "payments")
    for kind, sample in (("clients", CLIENT), ("leads", LEAD), ("employees", EMPLOYEE), ("payments", PAYMENT)):
        assert push(program, kind, sample, RESMAN_SCOPES="leads units employees documents payments").states == {
            "created": 1
        }


@pytest.mark.parametrize("fault", ["drop_after_effect", "drop_mid_body", "truncate"])
def test_an_effect_without_an_answer_is_found_and_not_repeated(program: Program, fault: str) -> None:
    name = f"Lost{fault.replace('_', '')}"
    program.sandbox.fault(fault, method="POST", path=LEADS)
    first = push(program, "leads", lead(name))
    assert first.states == {"unknown": 1}
    settled = work(program, **AT_ONCE)
    assert outbox(program).find([first.writes[0].id])[0].state == "unknown", "it has not rested yet"
    assert settled.sent == []
    outbox(program).settle([Settled(first.writes[0].id, "unknown", "create", rest_seconds=0)])
    asked = work(program, **AT_ONCE)
    (write,) = outbox(program).find([first.writes[0].id])
    assert {method for method, _ in asked.sent} == {"GET"}
    (row,) = named(program, "resman_leads", name)
    assert (write.state, write.partner_id) == ("created", row["id"])


def test_what_had_no_effect_is_asked_about_twice_and_then_sent_again(program: Program) -> None:
    program.sandbox.fault("drop_before_effect", method="POST", path=LEADS)
    first = push(program, "leads", lead("Twice"), **AT_ONCE)
    assert first.states == {"unknown": 1}
    states = []
    for _ in range(2):
        done = work(program, **AT_ONCE)
        states.append((outbox(program).find([first.writes[0].id])[0].state, [method for method, _ in done.sent]))
    assert states == [("unknown", ["GET"] * len(states[0][1])), ("created", [*["GET"] * len(states[0][1]), "POST"])]
    assert len(named(program, "resman_leads", "Twice")) == 1


def test_a_client_without_an_answer_is_found_by_place_and_seller(program: Program) -> None:
    program.sandbox.fault("drop_after_effect", method="POST", path="/clients/$")
    first = push(program, "clients", client("Vanish"), **AT_ONCE)
    work(program, **AT_ONCE)
    (write,) = outbox(program).find([first.writes[0].id])
    (row,) = named(program, "openmoove_properties", "Vanish")
    assert (write.state, write.partner_id) == ("created", str(row["id"]))


def test_an_update_without_an_answer_is_sent_again_for_it_sets_the_same_values(program: Program) -> None:
    push(program, "leads", lead("Patch"))
    program.sandbox.fault("drop_before_effect", method="PATCH", path="/api/leads/")
    first = push(program, "leads", lead("Patch", source="new"), **AT_ONCE)
    assert first.states == {"unknown": 1}
    work(program, **AT_ONCE)
    (write,) = outbox(program).find([first.writes[0].id])
    (row,) = named(program, "resman_leads", "Patch")
    assert (write.state, row["source"]) == ("updated", "new")


def test_a_payment_without_an_answer_is_a_persons_to_settle(program: Program) -> None:
    grant(program, "payments")
    scopes = {"RESMAN_SCOPES": "leads units employees documents payments"}
    payment = {"reference": "R-1", "prospect_id": "LEAD_00001", "amount": "12.50", "fee_type": "deposit"}
    program.sandbox.fault("drop_after_effect", method="POST", path="/api/payments$")
    first = push(program, "payments", payment, **scopes, **AT_ONCE)
    later = work(program, **scopes, **AT_ONCE)
    again = push(program, "payments", payment, **scopes, **AT_ONCE)
    assert (first.states, later.sent, again.sent) == ({"unknown": 1}, [], [])
    assert "only a person" not in (first.writes[0].reason or "")
    assert "outbox settle" in (first.writes[0].reason or "")


def test_where_nothing_left_the_write_waits_and_is_not_uncertain(program: Program) -> None:
    down = {"OPENMOOVE_BASE_URL": "http://127.0.0.1:9/api/partners/"}
    first = push(program, "clients", client("Offline"), **down)
    assert (first.states, set(first.report.failed)) == ({"queued": 1}, {"openmoove"})
    assert push(program, "clients", client("Offline")).states == {"created": 1}


def test_a_429_has_no_effect_and_is_waited_for(program: Program) -> None:
    program.sandbox.fault("status", status=429, headers={"retry-after": "0"}, method="POST", path=LEADS, times=2)
    done = push(program, "leads", lead("Patient"))
    assert done.states == {"created": 1}
    assert [method for method, _ in done.sent] == ["POST"] * 3


def test_a_budget_that_is_spent_leaves_places_for_writes(program: Program) -> None:
    limits = {"OPENMOOVE_RATE_LIMITS": "41/3600", "PARTNER_MAX_WAIT_SECONDS": "0"}
    program.sync("properties", env=limits)
    done = push(program, "clients", client("Urgent"), **limits)
    assert done.states == {"created": 1}


def test_what_needs_a_scope_waits_for_it(program: Program) -> None:
    payment = {"reference": "S-1", "prospect_id": "LEAD_00001", "amount": "1.00", "fee_type": "deposit"}
    held = push(program, "payments", payment)
    other = push(program, "leads", lead("Goeson"))
    assert (held.states, held.sent, other.states) == ({"queued": 1}, [], {"created": 1})
    assert "the scope 'payments' is not granted" in held.report.held["resman: payments"]
    grant(program, "payments")
    granted = {"RESMAN_SCOPES": "leads units employees documents payments"}
    work(program, **granted)
    assert outbox(program).find([held.writes[0].id])[0].state == "created"


def test_two_pushes_of_the_same_rows_at_once_make_no_doubles(program: Program) -> None:
    rows = [lead(f"Both{number}") for number in range(40)]
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(push, program, "leads", *rows) for _ in range(2)]:
            done.result()
    names = [row["last_name"] for row in program.sandbox.rows("resman_leads") if row["last_name"].startswith("Both")]
    assert sorted(names) == sorted(row["last_name"] for row in rows)


def test_without_the_trail_nothing_is_written(program: Program) -> None:
    push(program, "leads", lead("Seen"))  # the token is there
    program.close()
    segments = program.data.segments
    aside = segments.rename(segments.with_name("aside"))
    segments.write_text("in the way", encoding="utf-8")
    since = program.last_request()
    with pytest.raises(AuditUnavailableError):
        push(program, "leads", lead("Unseen"))
    assert program.sandbox.log(since) == []
    segments.unlink()
    aside.rename(segments)
    assert push(program, "leads", lead("Unseen")).states == {"created": 1}
    assert len(named(program, "resman_leads", "Unseen")) == 1


def test_what_was_written_is_in_the_warehouse_with_its_number_after_the_next_sync(program: Program) -> None:
    made = push(program, "leads", lead("Landed"))
    sold = push(program, "clients", client("Landed"))
    program.sync("leads", "properties")
    work(program)
    (row,) = program.query(f"SELECT outbox_id FROM resman.leads WHERE id = '{made.writes[0].partner_id}'")
    (sale,) = program.query(f"SELECT outbox_id FROM openmoove.properties WHERE id = {sold.writes[0].partner_id}")
    assert (row["outbox_id"], sale["outbox_id"]) == (made.writes[0].id, sold.writes[0].id)


def test_every_write_has_its_row_and_its_calls(program: Program) -> None:
    program.sandbox.fault("status", status=500, method="POST", path=LEADS)
    push(program, "leads", lead("Rowed"), **AT_ONCE)
    for _ in range(2):
        work(program, **AT_ONCE)
    (row,) = program.query("SELECT * FROM audit.writes")
    assert (row["state"], row["attempts"], row["action"], row["kind"]) == ("created", 2, "create", "leads")
    calls = program.calls("operation = 'create_lead'")
    assert [call["request_id"] for call in calls] == row["request_ids"]
    assert {call["operation_id"] for call in calls} == set(row["operation_ids"])
    assert [(call["reason"], call["scope"], call["status"]) for call in calls] == [
        ("write", "leads", 500),
        ("write", "leads", 201),
    ]
    assert {call["reason"] for call in program.calls("operation = 'list_leads'")} == {"settle"}


def test_writes_that_were_queued_at_once_are_all_shown_though_fewer_are_read_at_once(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("partner_pipelines.sync.write_table._PIECE", 3)
    payments = [
        {"reference": f"W-{number}", "prospect_id": "LEAD_00001", "amount": "1.00", "fee_type": "deposit"}
        for number in range(7)
    ]
    held = push(program, "payments", *payments)
    assert held.states == {"queued": 7}
    assert program.column("SELECT outbox_id FROM audit.writes ORDER BY 1") == [write.id for write in held.writes]


def test_the_partner_gets_an_idempotency_key_that_stays(program: Program) -> None:
    program.sandbox.fault("status", status=500, method="POST", path=LEADS)
    first = push(program, "leads", lead("Keyed"), **AT_ONCE)
    keys = {first.writes[0].idempotency_key}
    for _ in range(2):
        work(program, **AT_ONCE)
    keys |= {write.idempotency_key for write in outbox(program).find([first.writes[0].id])}
    assert len(keys) == 1
