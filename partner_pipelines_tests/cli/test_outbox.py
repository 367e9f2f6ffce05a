"""`outbox`: payments whose end nobody has seen are a person's to settle, drop or send again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from partner_pipelines_tests.cli.in_process import said
from partner_pipelines_tests.cli.program import Program, only_line
from partner_pipelines_tests.cli.pushing import EVERY_SCOPE, REQUIRED_SCOPES, counts, grant, last_line, posts, write_csv
from partner_pipelines_tests.sandbox_process import SandboxProcess

PAYMENTS = [
    {"reference": f"UNSURE-{number}", "prospect_id": "LEAD_00001", "amount": f"{number}.09", "fee_type": "deposit"}
    for number in (1, 2, 3, 4)
]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess.silent("--properties", "12") as process:
        yield process


@pytest.fixture
def unsure(program: Program, sandbox: SandboxProcess) -> Iterator[Program]:
    """Four payments were pushed: the first two had their effect and no answer, the third neither."""
    with sandbox.lent():
        grant(sandbox, *EVERY_SCOPE)
        program.environ |= sandbox.env | {
            "RESMAN_SCOPES": " ".join(EVERY_SCOPE),
            "PARTNER_SETTLE_SECONDS": "0",
        }
        sandbox.fault("drop_after_effect", method="POST", path="/api/payments$", times=2)
        sandbox.fault("drop_before_effect", method="POST", path="/api/payments$")
        pushed = said(program, "push", "payments", str(write_csv(program.home / "pay.csv", PAYMENTS)), "--json")
        assert (pushed.returncode, counts(pushed)) == (1, {"created": 1, "unknown": 3})
        assert "of them only a person can settle: `outbox list` says which" in pushed.stdout
        yield program


def _listed(program: Program, *words: str) -> dict[int, dict[str, Any]]:
    finished = said(program, "outbox", "list", "--json", *words)
    assert finished.returncode == 0, finished.stderr
    return {write["outbox_id"]: write for write in last_line(finished)["writes"]}


def _amounts(sandbox: SandboxProcess, since: int) -> list[float]:
    """The payments that the sandbox has, but for the first ones."""
    return sorted(row["amount"] for row in sandbox.rows("resman_payments")[since:])


def test_uncertain_payments_are_listed_and_never_sent_again_by_themselves(
    unsure: Program, sandbox: SandboxProcess
) -> None:
    listed = _listed(unsure)
    assert [(write["state"], write["kind"], write["line"]) for write in listed.values()] == [
        ("unknown", "payments", line) for line in (2, 3, 4)
    ]
    assert all("`outbox settle` or `outbox resend`" in write["reason"] for write in listed.values())
    assert all(len(write["request_ids"]) == 1 for write in listed.values())
    assert {write["state"] for write in _listed(unsure, "--all").values()} == {"unknown", "created"}
    lines = said(unsure, "outbox", "list").stdout.splitlines()
    assert [line.split()[:4] for line in lines[::2]] == [[str(one), "payments", "resman", "unknown"] for one in listed]
    for number, (write, line) in enumerate(zip(listed.values(), lines[1::2], strict=True), 1):
        asked = write["request_ids"][-1]
        assert line.strip() == f"pay.csv, UNSURE-{number}, line {number + 1}; the last request: {asked}"
    before = sandbox.log()[-1]["n"]
    assert said(unsure, "outbox", "settle").returncode == 0
    assert said(unsure, "push", "payments", str(unsure.home / "pay.csv")).returncode == 1, "a person has to settle them"
    assert posts(sandbox, before) == 0
    assert set(_listed(unsure)) == set(listed)


def test_a_person_says_what_became_of_each(unsure: Program, sandbox: SandboxProcess) -> None:
    first, second, third = _listed(unsure)
    there = sandbox.rows("resman_payments")
    partner_id = next(row["id"] for row in reversed(there) if row["amount"] == 1.09)
    settled = said(unsure, "outbox", "settle", str(first), "--created", "--partner-id", partner_id, "--json")
    assert settled.returncode == 0, settled.stderr
    told = {"success": True, "created": 2, "updated": 0, "unchanged": 0, "rejected": 0, "unknown": 2, "queued": 0}
    assert last_line(settled) == told
    assert said(unsure, "outbox", "settle", str(second), "--dropped").returncode == 0
    resent = said(unsure, "outbox", "resend", str(third))
    assert resent.returncode == 0, resent.stderr
    assert len(sandbox.rows("resman_payments")) == len(there) + 1, "the third alone was sent again"
    writes = _listed(unsure, "--all")
    assert [writes[one]["state"] for one in (first, second, third)] == ["created", "rejected", "created"]
    assert writes[first]["partner_id"] == partner_id
    assert writes[second]["reason"] == "settled by a person: it had no effect and is not sent"
    assert list(_listed(unsure)) == [second]
    _is_on_record(unsure, first, second, third)


def _is_on_record(program: Program, *ids: int) -> None:
    """Each of the three words stands in the trail, with who it was about."""
    lines = [
        json.loads(line)
        for segment in Path(program.place / "audit" / "segments").glob("*.jsonl")
        for line in segment.read_text().splitlines()
    ]
    said_of = [json.dumps(line) for line in lines if '"deed"' in json.dumps(line)]
    assert len(said_of) == 3
    for outbox_id, deed in zip(ids, ("settle", "settle", "resend"), strict=True):
        assert any(f'"deed": "{deed}"' in line and f"[{outbox_id}]" in line for line in said_of)


def test_what_a_person_dropped_may_be_sent_after_all(unsure: Program, sandbox: SandboxProcess) -> None:
    *_, third = _listed(unsure)
    assert said(unsure, "outbox", "settle", str(third), "--dropped").returncode == 0
    before = len(sandbox.rows("resman_payments"))
    assert said(unsure, "outbox", "resend", str(third)).returncode == 0
    assert len(sandbox.rows("resman_payments")) == before + 1
    assert third not in _listed(unsure)


def test_what_waits_can_be_taken_back_and_nothing_else_is_sent_by_that(
    program: Program, sandbox: SandboxProcess
) -> None:
    with sandbox.lent():
        program.environ |= sandbox.env
        grant(sandbox, *REQUIRED_SCOPES)
        pushed = said(program, "push", "payments", str(write_csv(program.home / "pay.csv", PAYMENTS[:2])), "--json")
        assert (pushed.returncode, last_line(pushed)["queued"]) == (0, 2), pushed.stdout
        grant(sandbox, *EVERY_SCOPE)
        assert said(program, "scopes").returncode == 0
        before = sandbox.log()[-1]["n"]
        assert said(program, "outbox", "settle", "1", "--dropped").returncode == 0
        assert posts(sandbox, before) == 0
        assert [write["state"] for write in _listed(program).values()] == ["rejected", "queued"]
        assert said(program, "outbox", "settle").returncode == 0
        assert posts(sandbox, before) == 1


def test_what_is_not_to_be_done_is_one_line(unsure: Program) -> None:
    first, second, _ = _listed(unsure)
    (done,) = set(_listed(unsure, "--all")) - set(_listed(unsure))
    for words, says in {
        ("settle", str(first)): "--created or --dropped; or name none",
        ("settle", "--created"): "--created or --dropped; or name none",
        ("settle", str(first), "--created", "--dropped"): "--created and --dropped exclude each other",
        ("settle", str(first), str(second), "--created", "--partner-id", "PAY_1"): "goes with --created and one write",
        ("settle", str(first), "--dropped", "--partner-id", "PAY_1"): "goes with --created and one write",
        ("settle", "99", "--dropped"): "there is no write 99: `outbox list` has them",
        ("settle", str(done), "--dropped"): f"write {done} is created, not unknown or queued",
        ("settle", "one", "--dropped"): "'one' is no whole number",
        ("resend",): "name the writes by their numbers (`outbox list` has them)",
        ("resend", "99"): "there is no write 99",
        ("resend", str(first), str(done)): f"write {done} is created, not unknown or rejected",
    }.items():
        finished = said(unsure, "outbox", *words)
        assert finished.returncode == 2, words
        assert says in only_line(finished), words
    assert {write["state"] for write in _listed(unsure).values()} == {"unknown"}


def test_an_uncertain_lead_is_asked_about_twice_before_it_is_sent_again(
    program: Program, sandbox: SandboxProcess
) -> None:
    lead = {"first_name": "Ada", "last_name": "Unsure", "email": "ada.unsure@example.com"}
    with sandbox.lent():
        program.environ |= sandbox.env | {"PARTNER_SETTLE_SECONDS": "0"}
        sandbox.fault("drop_after_effect", method="POST", path="/api/leads$")
        sandbox.fault("drop_before_effect", method="POST", path="/api/leads$")
        people = [lead, lead | {"email": "never.came@example.com"}]
        pushed = said(program, "push", "leads", str(write_csv(program.home / "leads.csv", people)), "--json")
        assert (pushed.returncode, counts(pushed)) == (0, {"unknown": 2})
        states = []
        for _ in range(2):
            assert said(program, "outbox", "settle").returncode == 0
            states.append([write["state"] for write in _listed(program, "--all").values()])
    assert states == [["created", "unknown"], ["created", "created"]]
    assert [row["last_name"] for row in sandbox.rows("resman_leads")].count("Unsure") == 2


def test_an_outbox_that_was_never_used_lists_nothing_and_makes_nothing(program: Program) -> None:
    finished = said(program, "outbox", "list")
    assert (finished.returncode, finished.stdout) == (0, "Nothing waits, is uncertain or was rejected.\n")
    assert not program.place.exists()
