"""The main job on real rows: what the files hold stands in the warehouse, each value of it, and nobody's name."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from partner_pipelines.state.audit_verify import verify
from partner_pipelines_tests.sync.expected import (
    ADDRESS_PLACES,
    differences,
    openmoove_tables,
    personal_values_of,
    places_of,
    resman_table,
    texts_of_published,
)

if TYPE_CHECKING:
    from partner_pipelines_tests.shared.conftest import Row, Whole
    from partner_pipelines_tests.sync.expected import Table

KINDS = ("units", "leads", "employees", "documents")


def tables_of(files: dict[str, list[Row]]) -> dict[str, Table]:
    tables = openmoove_tables(files["openmoove_properties"])
    return tables | {f"resman.{kind}": resman_table(files[f"resman_{kind}"]) for kind in KINDS}


def test_the_counts_are_those_of_the_files(whole: Whole) -> None:
    rows = {name: result.rows for name, result in whole.first.tables.items() if not name.startswith("audit")}
    files = whole.files
    sellers = {row["seller"]["id"] for row in files["openmoove_properties"] if row["seller"]}
    members = sum(len(row["team"]) for row in files["openmoove_properties"])
    assert rows == {
        "openmoove.properties": 6_310,
        "openmoove.milestones": 50_480,
        "openmoove.sellers": len(sellers),
        "openmoove.team_members": members,
        "resman.units": 5_000,
        "resman.leads": 4_000,
        "resman.employees": 54,
        "resman.documents": 2_000,
    }
    assert all(result.inserted == result.rows for name, result in whole.first.tables.items() if name in rows)
    assert all(not (result.failed or result.skipped or result.rejected) for result in whole.first.tables.values())


def test_every_value_is_that_of_the_files(whole: Whole) -> None:
    assert differences(whole.program, tables_of(whole.files)) == []


def test_a_value_that_differed_would_be_seen(whole: Whole) -> None:
    tables = tables_of(whole.files)
    key = max(tables["resman.leads"])
    tables["resman.leads"][key] = {**tables["resman.leads"][key], "last_name": "Ashdówn"}
    del tables["openmoove.milestones"][1, 11]
    assert len(differences(whole.program, tables)) == 2


def test_no_personal_value_of_the_files_is_published(whole: Whole) -> None:
    people = [*whole.files["resman_leads"], *whole.files["resman_employees"]]
    for row in whole.files["openmoove_properties"]:
        people += [row["seller"], *row["team"].values()]
    values = personal_values_of(people)
    assert len(values) > 10_000
    texts = texts_of_published(whole.program)
    # The search finds what is there: one address, whole, and an e-mail inside of a longer text
    assert sorted(places_of({whole.files["openmoove_properties"][0]["address"]}, texts)) == ADDRESS_PLACES
    assert places_of(values, texts | {"planted.here": {"write to lead7@example.com"}}) == ["planted.here"]
    assert places_of(values, texts) == []


def test_the_sandbox_log_and_the_audit_agree_request_by_request(whole: Whole) -> None:
    base_url = whole.program.sandbox.base_url
    logged = [
        (one["request_id"], one["method"], one["path"] + (f"?{one['query']}" if one["query"] else ""), one["status"])
        for one in whole.program.sandbox.log()
    ]
    audited = [
        (call["request_id"], call["method"], call["url"].removeprefix(base_url), call["status"])
        for call in whole.program.query("SELECT request_id, method, url, status FROM audit.api_calls")
    ]
    assert sorted(audited, key=str) == sorted(logged, key=str)
    statuses = [status for *_, status in logged]
    assert (statuses.count(503), statuses.count(None), statuses.count(401)) == (3, 2, 1)
    assert len([path for _, _, path, _ in logged if path == "/oauth2/token"]) == 2
    assert sum(whole.first.requests.values()) == len(logged) > 12_700


def test_each_answer_is_hashed_and_each_call_belongs_to_the_run(whole: Whole) -> None:
    (found,) = whole.program.query(
        "SELECT count(DISTINCT run_id) AS runs, count(*) FILTER (outcome = 'ok' AND body_hash IS NULL) AS unhashed, "
        "count(*) FILTER (outcome = 'ok' AND bytes = 0) AS empty, count(DISTINCT request_id) = count(*) AS unique "
        "FROM audit.api_calls"
    )
    assert found == {"runs": 1, "unhashed": 0, "empty": 0, "unique": True}


def test_each_answer_says_how_many_items_it_held(whole: Whole) -> None:
    """Each address counted once: the first page and the last are looked at twice, and some calls went wrong."""
    properties = whole.files["openmoove_properties"]
    expected = {f"list_{kind}": len(whole.files[f"resman_{kind}"]) for kind in KINDS}
    expected |= {"list_properties": len(properties), "get_property_detail": len(properties), "request_token": 1}
    expected["get_milestones"] = sum(len(one["milestones"]) for one in properties)
    found = whole.program.query(
        "SELECT operation, CAST(sum(items) AS BIGINT) AS items FROM "
        "(SELECT DISTINCT operation, url, items FROM audit.api_calls WHERE outcome = 'ok') GROUP BY ALL"
    )
    assert {row["operation"]: row["items"] for row in found} == expected
    failed = whole.program.column("SELECT DISTINCT items FROM audit.api_calls WHERE outcome <> 'ok'")
    assert failed == [None]


def test_the_trail_is_proved(whole: Whole) -> None:
    report = verify(whole.program.data.segments)
    assert (report.problems, report.torn_tails) == ([], [])


def test_a_chain_of_the_trail_is_proved_without_the_program(whole: Whole) -> None:
    for path in whole.program.data.segments.glob("*.jsonl"):
        before = "0" * 64
        for line in path.read_bytes().splitlines():
            body, _, seal = line.rpartition(b',"hash":"')
            digest = hashlib.sha256(before.encode() + body).hexdigest()
            assert seal == f'{digest}"}}'.encode()
            assert json.loads(line)["hash"] == digest
            before = digest


def test_a_second_sync_asks_openmoove_nothing_and_changes_nothing(whole: Whole) -> None:
    second = whole.program.sync("properties", *KINDS)
    assert not [path for path in second.paths if path.startswith("/api/partners")]
    assert all(result.inserted + result.updated + result.deleted == 0 for result in second.tables.values())
