"""A person who is erased is nowhere in the data directory, and nothing brings them back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from partner_pipelines.errors import UsageError
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.erase import ErasureReport, allow_again, erase_person
from partner_pipelines.sync.house import open_house
from partner_pipelines.sync.outbox_run import run_outbox
from partner_pipelines_tests.leaks.search import Canary, Leak, Search
from partner_pipelines_tests.sandbox_process import SandboxProcess
from partner_pipelines_tests.sync.program import ALL_DUE, Program
from partner_pipelines_tests.sync.webhooks import UPDATED, apply, body, drop, receive
from partner_pipelines_tests.sync.writing import client, lead, outbox, push

ADDRESS = "Zq.Erased@canary.example"
PERSON = {
    "first name": "Zqerasmus",
    "last name": "Zqwegmann",
    "e-mail": ADDRESS,
    "phone": "+12025558499",
    "alone": "Zqlodger Nöbody",
}
SHARED_PHONE = "+12025558498"
SEARCH = Search([Canary(name, value) for name, value in PERSON.items()])


@pytest.fixture
def program(data_dir: Path) -> Iterator[Program]:
    with SandboxProcess.silent("--properties", "6") as sandbox:
        _change(sandbox)
        yield Program(sandbox, data_dir)


def _change(sandbox: SandboxProcess) -> None:
    """The person stands at the partners in every way that there is."""
    named = {"first_name": PERSON["first name"], "last_name": PERSON["last name"], "email": ADDRESS}
    leads: list[dict[str, Any]] = [
        {"id": "LEAD_E1", **named, "phone_number": PERSON["phone"], "lodger": PERSON["alone"]},
        {"id": "LEAD_E2", **named, "email": ADDRESS.upper(), "phone_number": SHARED_PHONE, "property_id": "PROP_001"},
        {"id": "LEAD_E3", "first_name": "Somebody", "email": "else@canary.example", "phone_number": SHARED_PHONE},
        {"id": "LEAD_E4", "first_name": PERSON["alone"], "budget": f"ask {ADDRESS}"},  # a row that is rejected
    ]
    employees = [{"id": "EMP_E1", **named, "role": "Leasing Agent"}]
    sold = {**sandbox.rows("openmoove_properties")[0]}
    sold["seller"] = {"id": 987654, **named, "phone_number": PERSON["phone"]}
    sandbox.change(
        resman={"leads": {"upsert": leads}, "employees": {"upsert": employees}}, openmoove={"update": [sold]}
    )


def fill(program: Program) -> None:
    """Syncs, writes and webhooks bring the person into every part of the data directory."""
    program.sync()
    named = {"first_name": PERSON["first name"], "last_name": PERSON["last name"], "property_id": "PROP_002"}
    push(program, "leads", lead("Other", email=ADDRESS) | named)
    program.sandbox.fault("drop_before_effect", method="POST", path="/clients/$")
    push(program, "clients", client("Street", email=ADDRESS, last_name=PERSON["last name"]))
    property_id = program.sandbox.rows("openmoove_properties")[1]["id"]
    receive(program, body(UPDATED, property_id, datetime.now(UTC), lodger={"name": PERSON["alone"], "at": ADDRESS}))
    as_a_name = {ADDRESS: {"role": "lodger"}}
    receive(program, body(UPDATED, property_id, datetime.now(UTC), **as_a_name))
    among_many = {f"a{number}": number for number in range(600)} | as_a_name  # the last of more than are told apart
    receive(program, body(UPDATED, property_id, datetime.now(UTC), **among_many))
    receive(program, json.dumps({"event": "party.invited", "who": ADDRESS, "name": PERSON["alone"]}).encode())
    drop(program, "unsigned.json", json.dumps({"mail": ADDRESS}).encode())
    apply(program)
    receive(program, body(UPDATED, property_id, datetime.now(UTC), other={"name": PERSON["alone"], "at": ADDRESS}))
    place = program.data.outbox / "leads"
    place.mkdir(parents=True, exist_ok=True)
    (place / "waiting.csv").write_text(f"first_name,last_name,email\nA,B,{ADDRESS}\n", encoding="utf-8")


def erase(program: Program, address: str = ADDRESS) -> ErasureReport:
    with open_house(program.settings(), run_id=None, stop=StopSignal()) as house:
        report, _ = erase_person(house, address)
        return report


def leaks(program: Program) -> list[Leak]:
    program.query("SELECT 1")  # what this process has open for its own looks is closed: the search opens it otherwise
    return SEARCH.tree(program.data.root)


def test_nothing_of_the_person_is_left_and_nothing_brings_it_back(program: Program) -> None:
    fill(program)
    found = {leak.file.split("/")[0] for leak in leaks(program)}
    assert found == {"state", "webhooks", "outbox"}, "the search finds what is there"
    report = erase(program)
    assert leaks(program) == []
    assert (report.persons >= 5, report.writes, report.dead_letters, report.first_time) == (True, 2, 2, True)
    states = {write.kind: (write.state, write.payload) for write in outbox(program).find([1, 2])}
    assert states == {"leads": ("created", None), "clients": ("unknown", None)}, "uncertain: for a person"
    program.sync(env=ALL_DUE)
    assert leaks(program) == []
    _come_again(program)
    assert leaks(program) == []
    with program.published(full=True) as query:
        (shared,) = query("SELECT phone_number FROM resman.leads WHERE id = 'LEAD_E3'")
        (gone,) = query("SELECT phone_number, email FROM resman.leads WHERE id = 'LEAD_E2'")
    assert shared["phone_number"] == SHARED_PHONE, "a phone that another living person has stays that person's"
    assert gone["phone_number"].startswith("phone_")
    assert gone["email"].startswith("email_")
    events = program.trail()
    (proof,) = [record["facts"] for record in events if record.get("event") == "erasure"]
    assert proof["subject"] == report.subject


def _come_again(program: Program) -> None:
    """By webhook, by push, by a file, and with the address left out."""
    property_id = program.sandbox.rows("openmoove_properties")[1]["id"]
    receive(program, body(UPDATED, property_id, datetime.now(UTC), lodger={"name": PERSON["alone"], "at": ADDRESS}))
    as_a_name = {ADDRESS: {"role": "lodger"}}
    receive(program, body(UPDATED, property_id, datetime.now(UTC), **as_a_name))
    among_many = {f"a{number}": number for number in range(600)} | as_a_name  # the last of more than are told apart
    receive(program, body(UPDATED, property_id, datetime.now(UTC), **among_many))
    apply(program)
    refused = push(program, "leads", lead("Again", email=ADDRESS.lower(), first_name=PERSON["first name"]))
    assert refused.sent == []
    assert [bad.errors for bad in refused.rejected] == [
        {"email": ["This person was erased: nothing of them is stored or sent"]}
    ]
    place = program.data.outbox / "leads"
    (place / "again.csv").write_text(
        f"first_name,last_name,email\n{PERSON['first name']},B,{ADDRESS}\n", encoding="utf-8"
    )
    with open_house(program.settings(), run_id=None, stop=StopSignal()) as house:
        run_outbox(house)
    assert list(place.iterdir()) == []
    bare = {"id": "LEAD_E1", "first_name": PERSON["first name"], "phone_number": PERSON["phone"]}
    program.sandbox.change(resman={"leads": {"delete": ["LEAD_E1"]}})
    program.sandbox.change(resman={"leads": {"upsert": [bare]}})
    program.sync("leads")


def test_writes_of_the_persons_items_lose_what_they_say_though_they_name_no_address(program: Program) -> None:
    program.sync()
    alone = {"id": "LEAD_E1", "first_name": PERSON["alone"], "status": "lost"}
    push(program, "leads", alone, {"id": "LEAD_E3", "first_name": "Another", "status": "lost"})
    (canary,) = {leak.canary for leak in leaks(program) if leak.file.startswith("outbox/")}
    assert canary == "alone"
    assert erase(program).writes == 1
    assert leaks(program) == []
    payloads = [write.payload for write in outbox(program).find([1, 2])]
    assert payloads[0] is None
    assert payloads[1] is not None
    again = push(program, "leads", alone, {"id": "LEAD_E3", "first_name": "A third", "status": "lost"})
    assert [bad.errors for bad in again.rejected] == [
        {"id": ["This person was erased: nothing of them is stored or sent"]}
    ]
    assert again.states == {"updated": 1}
    assert leaks(program) == []


def test_a_dry_run_changes_nothing_and_says_what_an_erasure_takes(program: Program) -> None:
    fill(program)
    apply(program)  # what waits in the inbox is in nobody's count yet
    before = {(leak.file, leak.canary) for leak in leaks(program)}
    with open_house(program.settings(), run_id=None, stop=StopSignal()) as house:
        told, files = erase_person(house, ADDRESS, dry_run=True)
    assert {(leak.file, leak.canary) for leak in leaks(program)} == before
    assert not [record for record in program.trail() if record.get("event") == "erasure"]
    with open_house(program.settings(), run_id=None, stop=StopSignal()) as house:
        assert erase_person(house, ADDRESS) == (told, files)
    assert told.first_time
    assert told.files == 1


def test_who_is_allowed_again_is_stored_again_when_the_partners_are_asked(program: Program) -> None:
    fill(program)
    report = erase(program)
    with open_house(program.settings(), run_id=None, stop=StopSignal()) as house:
        assert allow_again(house, "zq.somebody@canary.example") is None
        assert allow_again(house, ADDRESS.upper()) == report.subject
        assert allow_again(house, ADDRESS) is None, "it has ended"
    assert leaks(program) == [], "nothing comes back by itself"
    program.sync(env=ALL_DUE)
    names = "SELECT first_name FROM resman.leads WHERE id = 'LEAD_E1'"
    with program.published(full=True) as query:
        (lead_row,), (seller,) = query(names), query("SELECT email FROM openmoove.sellers WHERE id = 987654")
    assert (lead_row["first_name"], seller["email"]) == (PERSON["first name"], ADDRESS)
    program.sandbox.change(resman={"leads": {"delete": ["LEAD_E1"]}})
    program.sandbox.change(resman={"leads": {"upsert": [{"id": "LEAD_E1", "first_name": "Zqbare"}]}})
    program.sync("leads")
    with program.published(full=True) as query:
        (bare,) = query(names)
    assert bare["first_name"] == "Zqbare", "the row is kept without the address too"
    ended = [record["facts"] for record in program.trail() if record.get("event") == "erasure_ended"]
    assert [facts["subject"] for facts in ended] == [report.subject]


def test_files_of_writes_lose_that_persons_lines_and_keep_the_others(program: Program) -> None:
    program.sync("leads")
    place = program.data.outbox / "leads"
    place.mkdir(parents=True, exist_ok=True)
    (place / "two.csv").write_text(
        f'first_name,last_name,email\nStay,"Here,\ntoo",stay@canary.example\nGo,Away,{ADDRESS.upper()}\n',
        encoding="utf-8",
    )
    (place / "two.jsonl").write_text(
        f'{{"email": "{ADDRESS}"}}\n{{"first_name": "Stay", "last_name": "Too"}}\n', encoding="utf-8"
    )
    (place / "half.tmp").write_text("somebody else's, half written", encoding="utf-8")
    with open_house(program.settings(), run_id=None, stop=StopSignal()) as house:
        _, files = erase_person(house, ADDRESS)
    assert {(cleared.path.name, cleared.lines) for cleared in files} == {("two.csv", 1), ("two.jsonl", 1)}
    assert (place / "two.csv").read_text(encoding="utf-8") == (
        'first_name,last_name,email\nStay,"Here,\ntoo",stay@canary.example\n'
    )
    assert (place / "two.jsonl").read_text(encoding="utf-8") == '{"first_name": "Stay", "last_name": "Too"}\n'
    assert (place / "half.tmp").exists()


def test_erasing_again_finds_nothing_and_says_so(program: Program) -> None:
    program.sync("leads")
    assert erase(program).values > 0
    again = erase(program, f"  {ADDRESS.upper()} ")
    assert (again.persons, again.values, again.first_time) == (0, 0, False)


def test_what_is_no_address_is_refused_without_being_repeated(program: Program) -> None:
    with pytest.raises(UsageError) as raised:
        erase(program, PERSON["last name"])
    assert PERSON["last name"] not in str(raised.value)


def test_a_person_with_another_address_by_now_is_kept(program: Program) -> None:
    program.sync("leads")
    erase(program)
    row = {"id": "LEAD_E1", "first_name": "Newcomer", "email": "newcomer@canary.example"}
    program.sandbox.change(resman={"leads": {"upsert": [row]}})
    program.sync("leads")
    with program.published(full=True) as query:
        (kept,) = query("SELECT first_name FROM resman.leads WHERE id = 'LEAD_E1'")
    assert kept["first_name"] == "Newcomer"
